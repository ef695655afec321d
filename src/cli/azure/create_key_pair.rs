//! `hcp-identity azure create-key-pair`.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use super::journal::DRY;
use crate::{
    cli::{
        CommandResult, Outcome,
        answer::{OutputFormat, print},
        output::{Change, Folder},
        report,
    },
    provision::{Found, INSTALLER_COPY, KeyPair, PRIVATE, PUBLIC, Problem, RETIRED, SigningKey, Verified, verify},
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
  hcp-identity azure create-key-pair --output-dir keys --rotate --dry-run
  hcp-identity azure create-key-pair -o json | jq -r .keyID   # the kid of the tokens")]
pub(super) struct Args {
    /// Folder for the files, which is made if it is missing; the current one without it.
    #[arg(long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    output_dir: PathBuf,

    /// Make another pair in the place of the one that is there, which is kept in the folder `retired`. Publish the new public key
    /// (create-oidc-issuer) before the cluster signs with the new private key.
    #[arg(long)]
    rotate: bool,

    /// Show what would become of each file, and write nothing.
    #[arg(long)]
    dry_run: bool,

    /// Output format.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

#[derive(Default, Serialize)]
pub(super) struct Answer {
    /// None of a key that is made for a rehearsal.
    #[serde(rename = "keyID", skip_serializing_if = "Option::is_none")]
    pub(super) key_id: Option<String>,
    #[serde(skip)]
    pub(super) public: Option<SigningKey>,
    pub(super) files: Vec<Written>,
    pub(super) problems: Vec<Problem>,
    /// Why it ended before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Written {
    pub(super) path: PathBuf,
    pub(super) change: Change,
}

pub(super) fn run(args: &Args) -> CommandResult {
    let take = if args.dry_run { Folder::rehearse } else { Folder::take };
    let created = take(&args.output_dir, &["tls"]).and_then(|folder| create(&folder, args.rotate));
    let error = created.as_ref().err().map(|error| format!("{error:#}"));
    let (answer, done) = match created {
        Ok(answer) => (answer, Ok(())),
        Err(ended) => (Answer { error, ..Answer::default() }, Err(ended)),
    };
    if args.output == OutputFormat::Text {
        answer.tell_problems(&args.output_dir);
    }
    let rehearsed = if args.dry_run { DRY } else { "" };
    print(&answer, args.output, |out, answer| text(out, answer, rehearsed))?;
    done.map(|()| if answer.problems.is_empty() { Outcome::Done } else { Outcome::Findings })
}

impl Answer {
    pub(super) fn tell_problems(&self, folder: &Path) {
        for problem in &self.problems {
            report::refused(problem.reason.into(), &format!("{}: {problem}", folder.display()));
        }
    }
}

/// In a folder that has `tls`.
pub(super) fn create(folder: &Folder, rotate: bool) -> Result<Answer> {
    let (found, there) = look(folder)?;
    let mut files = Vec::new();
    let (pair, outdated, is_new) = match verify(found) {
        Ok(Some(Verified { pair, outdated })) if rotate && outdated.is_empty() => {
            retire(folder, &pair, &mut files)?;
            (generate()?, vec![PRIVATE, PUBLIC, INSTALLER_COPY], true)
        }
        // A rotation that was not carried through is, and no other one begun.
        Ok(Some(Verified { pair, outdated })) => (pair, outdated, false),
        Ok(None) if rotate => {
            bail!("{} has no key pair to rotate; leave --rotate out to make one", folder.path("").display())
        }
        Ok(None) => (generate()?, Vec::new(), true),
        Err(problems) => return Ok(Answer { problems, ..Answer::default() }),
    };
    let public = pair.public().pem();
    // The private key first: whatever ends this run, the next one makes the rest from it.
    for (name, there) in there {
        let content = if name == PUBLIC { &public } else { pair.private().expose() };
        let change = if !there || outdated.contains(&name) {
            folder.write(name, content)?;
            if there { Change::Replaced } else { Change::Created }
        } else if name == PUBLIC {
            Change::Kept
        } else {
            folder.restrict(name)?
        };
        files.push(Written { path: folder.path(name), change });
    }
    let is_made_up = is_new && folder.is_rehearsed();
    let key_id = (!is_made_up).then(|| pair.public().id());
    Ok(Answer { key_id, public: Some(pair.public().clone()), files, ..Answer::default() })
}

/// What a folder has of a pair, and which of its files are there.
fn look(folder: &Folder) -> Result<(Found, [(&'static str, bool); 3])> {
    let retired = folder.list(RETIRED, ".private")?;
    let retired = retired.iter().filter_map(|name| folder.read(name).transpose()).collect::<Result<_>>()?;
    let [private, public, installer_copy] = [folder.read(PRIVATE)?, folder.read(PUBLIC)?, folder.read(INSTALLER_COPY)?];
    let there = [(PRIVATE, private.is_some()), (PUBLIC, public.is_some()), (INSTALLER_COPY, installer_copy.is_some())];
    Ok((Found { private, public, installer_copy, retired }, there))
}

fn generate() -> Result<KeyPair> {
    KeyPair::generate().context("cannot make a key: the system gives no random numbers")
}

fn retire(folder: &Folder, pair: &KeyPair, files: &mut Vec<Written>) -> Result<()> {
    folder.make(RETIRED)?;
    for (name, content) in pair.retired().into_iter().zip([pair.private().expose(), &pair.public().pem()]) {
        folder.write(&name, content)?;
        files.push(Written { path: folder.path(&name), change: Change::Created });
    }
    Ok(())
}

fn text(out: &mut dyn Write, answer: &Answer, rehearsed: &str) -> io::Result<()> {
    for Written { path, change } in &answer.files {
        let change: &str = change.into();
        writeln!(out, "{change}: {}{rehearsed}", path.display())?;
    }
    match &answer.key_id {
        Some(id) => writeln!(out, "key id: {id}"),
        None => Ok(()),
    }
}
