//! What a command has done, told as it is done, or as one answer at the end.

use std::{io::Write as _, path::Path};

use anyhow::Result;
use serde::Serialize;

use super::flags::DryRun;
use crate::{
    arm::{Refusal, See},
    cli::{
        CommandResult,
        answer::{OutputFormat, print},
        output, report,
    },
    finding::Finding,
    provision::{IdentityPlan, Problem},
};

/// One thing that was done.
#[derive(Serialize)]
pub(super) struct Line {
    change: &'static str,
    what: String,
}

#[derive(Default, Serialize)]
pub(super) struct Journal {
    #[serde(skip)]
    pub(super) form: OutputFormat,
    /// Whether nothing is done of what is told.
    #[serde(skip)]
    rehearsed: bool,
    /// What would be done, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) plan: Option<IdentityPlan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) issuer: Option<String>,
    #[serde(rename = "keyIDs", skip_serializing_if = "Vec::is_empty")]
    pub(super) key_ids: Vec<String>,
    /// The key of a rehearsal, which nobody will ever have.
    #[serde(skip)]
    pub(super) rehearsed_key: Option<String>,
    /// In the order in which they were done.
    steps: Vec<Line>,
    files: Vec<Line>,
    /// What stays though it might have been meant, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) left: Vec<String>,
    /// What is wrong with a key pair that was to be used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) problems: Vec<Problem>,
    /// What is refused of what was read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<Finding>,
    /// Why it ended before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Journal {
    /// Of what would be done.
    pub(super) fn rehearsing(&mut self, dry_run: DryRun) {
        self.rehearsed = dry_run == DryRun::Server;
    }

    /// What is wrong with what was read.
    pub(super) fn found(&mut self, finding: Finding) {
        self.findings.extend(Some(finding).filter(Finding::is_error));
    }

    /// A change to Azure.
    pub(super) fn step(&mut self, change: impl Into<&'static str>, what: impl Into<String>) -> Result<()> {
        let line = Line { change: change.into(), what: what.into() };
        self.tell(&line)?;
        self.steps.push(line);
        Ok(())
    }

    /// Work on Azure that tells of its steps.
    pub(super) async fn follow<T>(&mut self, work: impl AsyncFnOnce(See<'_>) -> Result<T, Refusal>) -> Result<T> {
        let mut told = Ok(());
        let mut see = |change, what| {
            if told.is_ok() {
                told = self.step(change, what);
            }
        };
        let done = work(&mut see).await?;
        told.map(|()| done)
    }

    pub(super) fn file(&mut self, change: output::Change, path: &Path) -> Result<()> {
        let line = Line { change: change.into(), what: path.display().to_string() };
        self.tell(&line)?;
        self.files.push(line);
        Ok(())
    }

    /// A file that cannot be written, because it names something that is not known.
    pub(super) fn left_out(&mut self, path: &Path, names: &str) -> Result<()> {
        let line = Line { change: "left out", what: format!("{}, as it names {names}", path.display()) };
        self.tell(&line)?;
        self.files.push(line);
        Ok(())
    }

    fn tell(&self, line: &Line) -> Result<()> {
        if self.form != OutputFormat::Text {
            return Ok(());
        }
        report::clear_progress();
        let (Line { change, what }, rehearsed) = (line, if self.rehearsed { DRY } else { "" });
        let written = writeln!(anstream::stdout(), "{change}: {}{rehearsed}", report::visible(what));
        Ok(written.or_else(report::unless_reader_left)?)
    }

    /// What became of it all. An error that ended it is the caller's to tell.
    fn finish<T>(mut self, done: Result<T>) -> Result<T> {
        self.key_ids.retain(|id| self.rehearsed_key.as_ref() != Some(id));
        self.error = done.as_ref().err().map(|error| format!("{error:#}"));
        print(&self, self.form, |out, journal| {
            if journal.error.is_some() {
                return Ok(());
            }
            journal.key_ids.iter().try_for_each(|id| writeln!(out, "key id: {}", report::visible(id)))?;
            journal.issuer.iter().try_for_each(|issuer| writeln!(out, "issuer: {issuer}"))
        })?;
        done
    }
}

/// Runs a command, and tells what became of it, also of what ended it before anything was done.
pub(super) fn tell(form: OutputFormat, command: impl FnOnce(&mut Journal) -> CommandResult) -> CommandResult {
    let mut journal = Journal { form, ..Journal::default() };
    let done = command(&mut journal);
    journal.finish(done)
}

/// Behind what would be done.
pub(super) const DRY: &str = " (dry run)";
