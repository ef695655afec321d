//! Azurite, Microsoft's own blob store for tests, beside the stand-in: installed by npm when it is first needed.

use std::{
    io::{self, BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::{blobs::BlobStore, random, secret::Redacted};

const VERSION: &str = "3.37.0";
const PROGRAM: &str = "node_modules/azurite/dist/src/blob/main.js";
const LISTENS: &str = "successfully listens on http://";

/// A running Azurite, which keeps everything in memory. It ends when it is dropped.
#[derive(Debug)]
pub struct Azurite {
    process: Child,
    store: BlobStore,
}

#[derive(Debug, thiserror::Error)]
pub enum AzuriteError {
    #[error("cannot run {0}: is Node.js there, with npm?")]
    Run(&'static str, #[source] io::Error),
    #[error("npm cannot install azurite {VERSION} into {0}")]
    Install(PathBuf),
    #[error("azurite ended before it listened")]
    Ended,
}

impl Azurite {
    /// Starts it for these accounts. What npm installs is in `folder`, which tests share.
    ///
    /// # Errors
    /// If it can be neither installed nor started.
    pub fn start(folder: &Path, accounts: &[&str]) -> Result<Self, AzuriteError> {
        let program = installed(folder)?;
        let key = BASE64_STANDARD.encode(random::hex(32));
        let accounts: Vec<_> = accounts.iter().map(|account| format!("{account}:{key}")).collect();
        let mut process = Command::new("node")
            .arg(program)
            .args(["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck"])
            .arg("--disableTelemetry")
            .current_dir(folder)
            .env("AZURITE_ACCOUNTS", accounts.join(";"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| AzuriteError::Run("node", error))?;
        let Some(address) = address(&mut process) else {
            end(&mut process);
            return Err(AzuriteError::Ended);
        };
        Ok(Self { process, store: BlobStore { address, key: Redacted::new(key) } })
    }

    /// For [`crate::Settings::blob_store`].
    #[must_use]
    pub fn store(&self) -> BlobStore {
        self.store.clone()
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// One that is gone already is as good as ended.
fn end(process: &mut Child) {
    drop(process.kill());
    drop(process.wait());
}

/// The rest of what it prints goes on into a pipe that is never full: it prints once more, when it ends.
fn address(process: &mut Child) -> Option<SocketAddr> {
    let lines = BufReader::new(process.stdout.as_mut()?).lines();
    lines.map_while(Result::ok).find_map(|line| line.split_once(LISTENS)?.1.trim().parse().ok())
}

/// Installed beside and renamed: another test may do so at the same time, and the first one wins.
fn installed(folder: &Path) -> Result<PathBuf, AzuriteError> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let program = folder.join(PROGRAM);
    if is_file(&program) {
        return Ok(program);
    }
    let beside = folder.with_extension(format!("{}.new", std::process::id()));
    let npm = Command::new("npm")
        .args(["install", "--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"])
        .arg("--prefix")
        .arg(&beside)
        .arg(format!("azurite@{VERSION}"))
        .stdout(Stdio::null())
        .status()
        .map_err(|error| AzuriteError::Run("npm", error))?;
    drop(rename(&beside, folder));
    if npm.success() && is_file(&program) { Ok(program) } else { Err(AzuriteError::Install(folder.to_owned())) }
}

fn is_file(path: &Path) -> bool {
    path.is_file()
}

#[expect(clippy::disallowed_methods, reason = "the folder that the caller names")]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)
}
