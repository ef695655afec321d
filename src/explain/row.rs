//! The form of a row of the table.

use serde::Serialize;
use strum::Display;

/// One error that is known.
#[derive(Debug)]
pub struct Row {
    /// Stable: scripts, events and metrics may depend on it.
    pub reason: &'static str,
    pub source: Source,
    pub matches: Match,
    pub cause: &'static str,
    /// What to do, in the imperative.
    pub next: &'static str,
    /// What to run; `{vault}` and the like stand for what the text names, in capitals where it does not.
    pub command: &'static str,
}

/// Who says it.
#[derive(Clone, Copy, Debug, Display, Eq, PartialEq, Serialize)]
pub enum Source {
    Entra,
    #[strum(serialize = "Azure Resource Manager")]
    ResourceManager,
    #[strum(serialize = "Key Vault")]
    KeyVault,
    #[strum(serialize = "mount")]
    Mount,
    #[strum(serialize = "component")]
    Component,
}

/// By what a text is known.
#[derive(Debug)]
pub enum Match {
    Aadsts(u32),
    /// All of them are in it.
    Texts(&'static [&'static str]),
}
