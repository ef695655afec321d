//! Files, folders and standard input: the one place that opens them.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal as _, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::credential::Secret;

/// The `-f` of every command that reads manifests.
#[derive(Debug, clap::Args)]
pub(super) struct Sources {
    /// Manifests to read: files, folders (their .yaml, .yml and .json files) or - for standard input. May be repeated.
    /// Without it, standard input.
    #[arg(short, long = "filename", value_name = "FILE|DIR|-")]
    filename: Vec<PathBuf>,
}

enum Source {
    Stdin,
    /// Opened already: a pipe can be opened once only.
    Opened(PathBuf, File),
    /// One of the many of a folder, opened when it is its turn.
    InFolder(PathBuf),
}

impl Sources {
    /// Those of one folder.
    pub(super) fn of(folder: &Path) -> Self {
        Self { filename: vec![folder.to_owned()] }
    }

    /// Whether any is named: standard input is only read unasked where there is nothing else to read.
    pub(super) fn are_named(&self) -> bool {
        !self.filename.is_empty()
    }

    /// Hands every source to `read`, in the order given, those of a folder by name.
    ///
    /// Nothing is read before it is known that every source is there, so that a misspelt name costs no half a run.
    pub(super) fn each(&self, mut read: impl FnMut(&Arc<str>, &mut dyn BufRead) -> io::Result<()>) -> Result<()> {
        for source in self.resolve()? {
            match source {
                Source::Stdin => {
                    let stdin = io::stdin().lock();
                    if stdin.is_terminal() {
                        super::report::note("reading manifests from standard input; end with Ctrl-D");
                    }
                    read(&"stdin".into(), &mut Progress::new(stdin)).context("cannot read standard input")?;
                }
                Source::Opened(path, file) => read_file(&path, file, &mut read)?,
                Source::InFolder(path) => read_file(&path, open(&path)?, &mut read)?,
            }
        }
        Ok(())
    }

    fn resolve(&self) -> Result<Vec<Source>> {
        let mut sources = Vec::new();
        let mut errors = Vec::new();
        for name in &self.filename {
            match resolve(name) {
                Ok(mut found) => sources.append(&mut found),
                Err(error) => errors.push(format!("{error:#}")),
            }
        }
        if sources.iter().filter(|source| matches!(source, Source::Stdin)).count() > 1 {
            errors.push("standard input (-) is named twice".to_owned());
        }
        if !errors.is_empty() {
            bail!(errors.join("\n"));
        }
        if self.filename.is_empty() {
            sources.push(Source::Stdin);
        }
        Ok(sources)
    }
}

fn read_file(
    path: &Path,
    file: File,
    read: &mut impl FnMut(&Arc<str>, &mut dyn BufRead) -> io::Result<()>,
) -> Result<()> {
    let name: Arc<str> = path.to_string_lossy().into();
    let reader = &mut Progress::new(BufReader::with_capacity(1 << 16, file));
    read(&name, reader).with_context(|| format!("cannot read {name}"))
}

fn resolve(name: &Path) -> Result<Vec<Source>> {
    if name == Path::new("-") {
        return Ok(vec![Source::Stdin]);
    }
    #[expect(clippy::disallowed_methods, reason = "this is where files become arguments")]
    let metadata = std::fs::metadata(name).with_context(|| format!("cannot read {}", name.display()))?;
    if !metadata.is_dir() {
        return Ok(vec![Source::Opened(name.to_owned(), open(name)?)]);
    }
    let files = manifests_in(name).with_context(|| format!("cannot read the folder {}", name.display()))?;
    if files.is_empty() {
        return Err(anyhow!("the folder {} has no .yaml, .yml or .json file", name.display()));
    }
    Ok(files.into_iter().map(Source::InFolder).collect())
}

fn manifests_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "this is where folders become arguments")]
    let entries = std::fs::read_dir(folder)?;
    for entry in entries {
        let path = entry?.path();
        let manifest =
            path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known));
        #[expect(clippy::disallowed_methods, reason = "this is where folders become arguments")]
        let is_folder = || std::fs::metadata(&path).map(|metadata| metadata.is_dir());
        if manifest && !is_folder().map_err(|error| io::Error::other(format!("{}: {error}", path.display())))? {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A megabyte: more than any settings file, credential or error text has.
const LIMIT: u64 = 1 << 20;

/// Reads a credential, or whatever the file is instead, and leaves no copy behind.
pub(super) fn read_secret(path: &Path) -> Result<Secret> {
    let name = if path == Path::new("-") { "standard input".into() } else { path.to_string_lossy() };
    let reader: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin().lock()) } else { Box::new(open(path)?) };
    // Room for everything at once: a buffer that grows is copied and given back.
    let mut bytes = Vec::with_capacity(usize::try_from(LIMIT)? + 64);
    let read = reader.take(LIMIT + 1).read_to_end(&mut bytes);
    let secret = Secret::new(bytes);
    read.with_context(|| format!("cannot read {name}"))?;
    if secret.expose().len() as u64 > LIMIT {
        bail!("cannot read {name}: it is larger than 1 MiB");
    }
    Ok(secret)
}

/// Whether anybody but its owner may read a file.
#[cfg(feature = "provision")]
pub(super) fn is_open_to_others(path: &Path) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    if path == Path::new("-") {
        return Ok(false);
    }
    #[expect(clippy::disallowed_methods, reason = "this is where files become arguments")]
    let metadata = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(metadata.permissions().mode() & 0o077 != 0)
}

/// Reads a small file whole.
pub(super) fn read_small(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = open(path)?.take(LIMIT + 1).read_to_string(&mut text);
    read.with_context(|| format!("cannot read {}", path.display()))?;
    if text.len() as u64 > LIMIT {
        bail!("cannot read {}: it is larger than 1 MiB", path.display());
    }
    Ok(text)
}

/// Sixteen megabytes: more than anybody generates for one cluster.
#[cfg(feature = "provision")]
const STREAM_LIMIT: u64 = 16 << 20;

/// Reads a stream of manifests whole, for what edits it; its name as well.
#[cfg(feature = "provision")]
pub(super) fn read_stream(path: &Path) -> Result<(Arc<str>, Vec<u8>)> {
    let (name, reader): (Arc<str>, Box<dyn Read>) = if path == Path::new("-") {
        if io::stdin().is_terminal() {
            super::report::note("reading manifests from standard input; end with Ctrl-D");
        }
        ("stdin".into(), Box::new(io::stdin().lock()))
    } else {
        (path.to_string_lossy().into(), Box::new(open(path)?))
    };
    let mut bytes = Vec::new();
    reader.take(STREAM_LIMIT + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > STREAM_LIMIT {
        bail!("cannot read {name}: it is larger than {} MiB", STREAM_LIMIT >> 20);
    }
    Ok((name, bytes))
}

fn open(path: &Path) -> Result<File> {
    #[expect(clippy::disallowed_methods, reason = "this is where files become arguments")]
    File::open(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Counts what is read, and tells a terminal every few megabytes.
struct Progress<R> {
    inner: R,
    read: usize,
    told: usize,
    shown: bool,
}

impl<R> Progress<R> {
    const STEP: usize = 16 << 20;

    fn new(inner: R) -> Self {
        Self { inner, read: 0, told: 0, shown: io::stderr().is_terminal() }
    }
}

impl<R> Drop for Progress<R> {
    fn drop(&mut self) {
        if self.shown && self.told > 0 {
            super::report::progress("");
        }
    }
}

impl<R: BufRead> Read for Progress<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl<R: BufRead> BufRead for Progress<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
        self.read += amount;
        if self.shown && self.read - self.told >= Self::STEP {
            self.told = self.read;
            super::report::progress(&format!("read {} MiB", self.read >> 20));
        }
    }
}
