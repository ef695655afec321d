//! Files that a plan consists of, before anything is written.

use std::io;

use serde::Serialize;

use crate::manifest::{Format, Writer};

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct File {
    /// Below the output folder.
    pub path: String,
    pub readers: Readers,
    pub text: String,
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Readers {
    Owner,
    Everyone,
}

/// A manifest for the installer, under a comment.
pub(super) fn manifest(name: &str, comment: &str, object: &impl Serialize) -> io::Result<File> {
    let mut text = comment.as_bytes().to_vec();
    let mut writer = Writer::new(&mut text, Format::Yaml);
    writer.write(object)?;
    writer.finish()?;
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    Ok(File { path: format!("manifests/{name}"), readers: Readers::Owner, text })
}
