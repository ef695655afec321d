//! Files that are written: the one place that does.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    hash::{BuildHasher as _, RandomState},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::{
    credential::Secret,
    provision::{self, KeySet, Readers, SigningKey},
};

/// Of what only its owner reads.
const PRIVATE: u32 = 0o600;
/// Of what is published.
const PUBLIC: u32 = 0o644;

/// More than any key or document that this program writes.
const LIMIT: u64 = 1 << 20;

/// What became of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(super) enum Change {
    Created,
    Replaced,
    /// Others could read it, and no more.
    Restricted,
    Kept,
}

/// A folder that is written into, by one run at a time.
///
/// A file appears whole or not at all: it is written beside its name, and renamed. A symbolic link in its place is neither
/// read nor written through.
pub(super) struct Folder {
    path: PathBuf,
    /// Held open: closing it gives the lock back. None where nothing is written.
    lock: Option<File>,
}

impl Folder {
    /// Takes it, and makes it first where it is missing, but not those above it.
    pub(super) fn take(path: &Path, subfolders: &[&str]) -> Result<Self> {
        make(path)?;
        #[expect(clippy::disallowed_methods, reason = "this is where folders are written into")]
        let lock = File::open(path).with_context(|| format!("cannot open the folder {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another run is writing into {}; wait for its end", path.display()),
            // There are file systems without locks: files of two runs at once may not belong together, and the next one says so.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock the folder {}", path.display()));
            }
        }
        let folder = Self { path: path.to_owned(), lock: Some(lock) };
        subfolders.iter().try_for_each(|name| folder.make(name))?;
        Ok(folder)
    }

    /// Writes nothing into it, and tells what would become of its files.
    pub(super) fn rehearse(path: &Path, subfolders: &[&str]) -> Result<Self> {
        let folder = Self { path: path.to_owned(), lock: None };
        subfolders.iter().try_for_each(|name| folder.make(name))?;
        Ok(folder)
    }

    pub(super) fn is_rehearsed(&self) -> bool {
        self.lock.is_none()
    }

    pub(super) fn make(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        if !self.is_rehearsed() {
            make(&path)?;
        }
        let there = match fs::symlink_metadata(&path) {
            Err(error) if self.is_rehearsed() && error.kind() == io::ErrorKind::NotFound => return Ok(()),
            there => there.with_context(|| format!("cannot read {}", path.display()))?,
        };
        // What is written into it may be a key.
        if there.is_symlink() {
            bail!("{} is a symbolic link; put the folder itself there, or name another one", path.display());
        }
        Ok(())
    }

    /// The files of a subfolder whose names end like this; none where it is not there.
    pub(super) fn list(&self, subfolder: &str, end: &str) -> Result<Vec<String>> {
        let path = self.path.join(subfolder);
        let listed = names(&path).with_context(|| format!("cannot read the folder {}", path.display()))?;
        let mut files: Vec<_> = listed.into_iter().filter(|name| name.ends_with(end)).collect();
        files.sort();
        Ok(files.into_iter().map(|name| format!("{subfolder}/{name}")).collect())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What a file holds. None where it is not there.
    pub(super) fn read(&self, name: &str) -> Result<Option<Secret>> {
        read(&self.path.join(name))
    }

    /// The keys of a file that is there, with this one and without those that are retired.
    pub(super) fn keys(&self, name: &str, key: &SigningKey, retired: &[String]) -> Result<KeySet> {
        let there = self.read(name)?;
        KeySet::after(there.as_ref().map(Secret::expose), key, retired)
            .map_err(|error| anyhow!("{} {error}; move it away to have another one made", self.path(name).display()))
    }

    /// Writes a file of a plan, unless it is so already.
    pub(super) fn put(&self, file: &provision::File) -> Result<Change> {
        let path = self.path.join(&file.path);
        let change = match read(&path)? {
            Some(there) if there.expose() == file.text.as_bytes() => return Ok(Change::Kept),
            Some(_) => Change::Replaced,
            None => Change::Created,
        };
        let mode = match file.readers {
            Readers::Owner => PRIVATE,
            Readers::Everyone => PUBLIC,
        };
        self.write_as(&file.path, file.text.as_bytes(), mode)?;
        Ok(change)
    }

    /// Writes a file that only its owner reads. What is there is replaced.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.write_as(name, bytes, PRIVATE)
    }

    fn write_as(&self, name: &str, bytes: &[u8], mode: u32) -> Result<()> {
        if self.is_rehearsed() {
            return Ok(());
        }
        let path = self.path.join(name);
        write_beside(&path, bytes, mode).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Takes a file that is there from everybody but its owner.
    pub(super) fn restrict(&self, name: &str) -> Result<Change> {
        let path = self.path.join(name);
        let Some(file) = open(&path)? else { bail!("{} has gone meanwhile", path.display()) };
        let restricted = file.metadata().and_then(|metadata| {
            let mode = metadata.permissions().mode();
            if mode & 0o077 == 0 {
                return Ok(Change::Kept);
            }
            if !self.is_rehearsed() {
                file.set_permissions(fs::Permissions::from_mode(mode & 0o700))?;
            }
            Ok(Change::Restricted)
        });
        restricted.with_context(|| {
            format!(
                "{} can be read by others, and cannot be taken from them: chmod 600 it as its owner",
                path.display()
            )
        })
    }
}

/// What a file holds. None where it is not there.
fn read(path: &Path) -> Result<Option<Secret>> {
    let Some(mut file) = open(path)? else { return Ok(None) };
    // Room for everything at once: a buffer that grows is copied and given back.
    let mut bytes = Vec::with_capacity(usize::try_from(LIMIT)? + 64);
    let read = (&mut file).take(LIMIT + 1).read_to_end(&mut bytes);
    let secret = Secret::new(bytes);
    read.with_context(|| format!("cannot read {}", path.display()))?;
    if secret.expose().len() as u64 > LIMIT {
        bail!("cannot read {}: it is larger than 1 MiB", path.display());
    }
    Ok(Some(secret))
}

fn make(folder: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot make the folder {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Opens a file that is one: a pipe would not come to an end, and behind a link may be anything.
fn open(path: &Path) -> Result<Option<File>> {
    let cannot = || format!("cannot read {}", path.display());
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(cannot),
        Ok(metadata) if metadata.is_symlink() => {
            bail!("{} is a symbolic link; put the file itself there, or name another folder", path.display())
        }
        Ok(metadata) if !metadata.is_file() => bail!("{} is no file; name another folder", path.display()),
        Ok(_) => {}
    }
    #[expect(clippy::disallowed_methods, reason = "what is written here is read first")]
    File::open(path).map(Some).with_context(cannot)
}

fn write_beside(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    clear(path, &name)?;
    let beside = path.with_file_name(format!(".{name}.{:016x}.partial", RandomState::new().hash_one(0)));
    let written = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    #[expect(clippy::disallowed_methods, reason = "this is where files are written")]
    let renamed = written.and_then(|()| fs::rename(&beside, path));
    renamed.inspect_err(|_| {
        // It may not even have been made.
        #[expect(clippy::disallowed_methods, reason = "this is where files are written")]
        drop(fs::remove_file(&beside));
    })
}

/// Removes what a run that was killed has left of this file: it may be a private key.
fn clear(path: &Path, name: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    for left in
        names(folder)?.iter().filter(|left| left.starts_with(&format!(".{name}.")) && left.ends_with(".partial"))
    {
        #[expect(clippy::disallowed_methods, reason = "this is where files are written")]
        fs::remove_file(folder.join(left))?;
    }
    Ok(())
}

/// Names that are Unicode, as all of ours are.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    #[expect(clippy::disallowed_methods, reason = "what is written here is read first")]
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    entries.filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose()).collect()
}
