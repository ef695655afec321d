//! What a command has done, told as it is done, or as one answer at the end.

use std::{
    io::{self, Write as _},
    path::Path,
};

use anyhow::Result;
use serde::Serialize;

use crate::{
    arm::{Refusal, See},
    cli::{
        answer::{OutputFormat, print},
        output, report,
    },
    provision::IdentityPlan,
};

/// One thing that was done.
#[derive(Serialize)]
pub(super) struct Line {
    change: &'static str,
    what: String,
}

#[derive(Serialize)]
pub(super) struct Journal {
    #[serde(skip)]
    form: OutputFormat,
    /// What would be done, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) plan: Option<IdentityPlan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) issuer: Option<String>,
    #[serde(rename = "keyIDs", skip_serializing_if = "Vec::is_empty")]
    pub(super) key_ids: Vec<String>,
    /// In the order in which they were done.
    steps: Vec<Line>,
    files: Vec<Line>,
    /// What stays though it might have been meant, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) left: Vec<String>,
    /// Why it ended before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Journal {
    pub(super) fn new(form: OutputFormat) -> Self {
        Self {
            form,
            plan: None,
            issuer: None,
            key_ids: Vec::new(),
            steps: Vec::new(),
            files: Vec::new(),
            left: Vec::new(),
            error: None,
        }
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

    fn tell(&self, line: &Line) -> Result<()> {
        if self.form != OutputFormat::Text {
            return Ok(());
        }
        report::clear_progress();
        let Line { change, what } = line;
        let written = writeln!(anstream::stdout(), "{change}: {}", report::visible(what));
        Ok(written.or_else(report::unless_reader_left)?)
    }

    /// What became of it all. An error that ended it is the caller's to tell.
    pub(super) fn finish(mut self, done: Result<()>) -> Result<()> {
        self.error = done.as_ref().err().map(|error| format!("{error:#}"));
        print(&self, self.form, |out, journal| {
            if let (Some(issuer), None) = (&journal.issuer, &journal.error) {
                writeln!(out, "issuer: {issuer}")?;
            }
            io::Result::Ok(())
        })?;
        done
    }
}
