//! Words for people and findings for machines.

use std::io::{self, IsTerminal as _, Write};

use anstyle::{AnsiColor, Style};

use crate::finding::{Finding, Severity};

/// How findings are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// One line each, the severity in colour where that is welcome.
    Text,
    /// One object: `{"findings": […]}`.
    Json,
}

/// Where findings are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum To {
    Stdout,
    Stderr,
}

/// How many findings of the kinds that weigh.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Count {
    pub(super) errors: usize,
    pub(super) warnings: usize,
}

/// Writes findings as they come, and counts the errors.
pub(super) struct Report {
    out: Box<dyn Write>,
    form: Form,
    written: usize,
    count: Count,
    /// The first failure to write: told at the end, because findings come from deep inside.
    failure: Option<io::Error>,
}

impl Report {
    pub(super) fn new(form: Form, to: To) -> Self {
        let out: Box<dyn Write> = match to {
            To::Stdout => Box::new(anstream::stdout().lock()),
            To::Stderr => Box::new(anstream::stderr().lock()),
        };
        Self { out: Box::new(io::BufWriter::new(out)), form, written: 0, count: Count::default(), failure: None }
    }

    pub(super) fn add(&mut self, finding: &Finding) {
        match finding.problem.severity {
            Severity::Error => self.count.errors += 1,
            Severity::Warning => self.count.warnings += 1,
            Severity::Note => {}
        }
        let written = match self.form {
            Form::Text => self.text(finding),
            Form::Json => self.json(finding),
        };
        self.written += 1;
        if let Err(error) = written {
            self.failure.get_or_insert(error);
        }
    }

    /// Completes the report, and counts what is in it.
    pub(super) fn finish(mut self) -> io::Result<Count> {
        if let Some(error) = self.failure {
            return unless_reader_left(error).map(|()| self.count);
        }
        let completed = self.complete();
        completed.or_else(unless_reader_left).map(|()| self.count)
    }

    fn complete(&mut self) -> io::Result<()> {
        match (self.form, self.written) {
            (Form::Text, _) => {}
            (Form::Json, 0) => writeln!(self.out, "{{\"findings\": []}}")?,
            (Form::Json, _) => writeln!(self.out, "\n]}}")?,
        }
        self.out.flush()
    }

    fn text(&mut self, finding: &Finding) -> io::Result<()> {
        let style = style(finding.problem.severity);
        let line = finding.to_string();
        let (severity, rest) = line.split_once('[').unwrap_or(("", &line));
        writeln!(self.out, "{style}{severity}{style:#}[{rest}")
    }

    fn json(&mut self, finding: &Finding) -> io::Result<()> {
        self.out.write_all(if self.written == 0 { b"{\"findings\": [\n" } else { b",\n" })?;
        Ok(serde_json::to_writer(&mut self.out, finding)?)
    }
}

/// A reader that has seen enough, as in `| head`, is no failure.
pub(super) fn unless_reader_left(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

pub(super) fn style(severity: Severity) -> Style {
    let colour = match severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
        Severity::Note => AnsiColor::Cyan,
    };
    colour.on_default().bold()
}

/// A number of things, in words.
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A line for people, beside the data.
pub(super) fn note(words: &str) {
    // Nobody to tell if stderr is gone.
    for line in words.lines() {
        drop(writeln!(anstream::stderr(), "{}", visible(line)));
    }
}

/// What is refused, and why, where there is no document to find it in.
pub(super) fn refused(reason: &str, words: &str) {
    let style = style(Severity::Error);
    drop(writeln!(anstream::stderr(), "{style}error{style:#}[{reason}] {}", visible(words)));
}

/// Names may be anybody's, and a terminal does what its codes say.
pub(super) fn visible(words: &str) -> String {
    words.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// Replaces the progress line; an empty one clears it. The terminal cuts what is longer than it is wide: a line that wraps would not be
/// cleared whole.
pub(super) fn progress(words: &str) {
    drop(write!(io::stderr(), "\r\u{1b}[K\u{1b}[?7l{words}\u{1b}[?7h").and_then(|()| io::stderr().flush()));
}

/// So that a line for people does not begin behind what was waited for.
pub(super) fn clear_progress() {
    if io::stderr().is_terminal() {
        progress("");
    }
}

/// Why the program ends with exit code 2.
pub(super) fn fatal(error: &anyhow::Error) {
    let style = style(Severity::Error);
    for line in format!("{error:#}").lines() {
        drop(writeln!(anstream::stderr(), "{style}hcp-identity{style:#}: {}", visible(line)));
    }
}
