//! `hcp-identity azure create-key-pair`.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{
    cli::{
        CommandResult, Outcome,
        answer::{OutputFormat, print},
        output::{Change, Folder},
        report,
    },
    finding::Severity,
    provision::{Found, INSTALLER_COPY, KeyPair, PRIVATE, PUBLIC, Problem, verify},
};

/// Make the key pair that a cluster signs service account tokens with.
///
/// Writes serviceaccount-signer.private, serviceaccount-signer.public and tls/bound-service-account-signing-key.key, a copy
/// of the private key for the installer. A pair that is there already stays as it is, once it is known to be one: what is
/// missing is made from the private key, and what does not belong together is refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hcp-identity azure create-key-pair --output-dir keys
  hcp-identity azure create-key-pair -o json | jq -r .keyID   # the kid of the tokens")]
pub(super) struct Args {
    /// Folder for the files; it is made if it is missing.
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    output_dir: PathBuf,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(rename = "keyID", skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    files: Vec<Written>,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Written {
    path: PathBuf,
    change: Change,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let answer = create(&args.output_dir)?;
    for problem in answer.problems.iter().filter(|_| args.output == OutputFormat::Text) {
        let style = report::style(Severity::Error);
        let reason: &str = problem.reason.into();
        report::note(&format!("{style}error{style:#}[{reason}] {}: {problem}", args.output_dir.display()));
    }
    print(&answer, args.output, text)?;
    Ok(if answer.problems.is_empty() { Outcome::Done } else { Outcome::Findings })
}

fn create(path: &Path) -> Result<Answer> {
    let folder = Folder::take(path, &["tls"])?;
    let found = Found {
        private: folder.read(PRIVATE)?,
        public: folder.read(PUBLIC)?,
        installer_copy: folder.read(INSTALLER_COPY)?,
    };
    let there = [(PRIVATE, &found.private), (PUBLIC, &found.public), (INSTALLER_COPY, &found.installer_copy)]
        .map(|(name, file)| (name, file.is_some()));
    let pair = match verify(found) {
        Ok(Some(pair)) => pair,
        Ok(None) => KeyPair::generate().context("cannot make a key: the system gives no random numbers")?,
        Err(problems) => return Ok(Answer { key_id: None, files: Vec::new(), problems }),
    };
    let public = pair.public().pem();
    let mut files = Vec::new();
    // The private key first: whatever ends this run, the next one makes the rest from it.
    for (name, there) in there {
        let content = if name == PUBLIC { &public } else { pair.private().expose() };
        let change = match there {
            false => folder.create(name, content)?,
            true if name == PUBLIC => Change::Kept,
            true => folder.restrict(name)?,
        };
        files.push(Written { path: folder.path(name), change });
    }
    Ok(Answer { key_id: Some(pair.public().id()), files, problems: Vec::new() })
}

fn text(out: &mut dyn Write, answer: &Answer) -> io::Result<()> {
    for Written { path, change } in &answer.files {
        let change: &str = change.into();
        writeln!(out, "{change}: {}", path.display())?;
    }
    match &answer.key_id {
        Some(id) => writeln!(out, "key id: {id}"),
        None => Ok(()),
    }
}
