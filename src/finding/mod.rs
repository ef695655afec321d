//! What is wrong, where, and what to do: the one form in which every door reports.
//!
//! A [`Problem`] is what a rule says of one field; a [`Finding`] adds where in which document the field stands. Neither
//! may hold credential material: hcp-identity's findings quote identity names and manifest fields only.

mod reason;

use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer};
use strum::Display;

pub use reason::Reason;

/// How much a finding weighs. Only errors change the exit code.
#[derive(Clone, Copy, Debug, Display, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Severity {
    /// Nothing is wrong: says why something expected is not there.
    Note,
    /// Works as written, and is likely not what was meant.
    Warning,
    /// Refused.
    Error,
}

/// One step into an object.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// The path of a field, printed as the Kubernetes API server prints it: `spec.containers[0].env`.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FieldPath(Vec<Step>);

impl FieldPath {
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads a dotted path of plain keys, as the tables of this program spell them.
    #[must_use]
    pub fn of(dotted: &str) -> Self {
        Self(dotted.split('.').filter(|key| !key.is_empty()).map(|key| Step::Key(key.into())).collect())
    }

    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.then(Step::Key(key.into()))
    }

    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    #[must_use]
    pub fn join(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if key.contains(['.', '/', '[', ']', ' ']) || key.is_empty() => {
                    write!(f, "[{}]", Quoted(key))?;
                }
                Step::Key(key) if position == 0 => f.write_str(&key.escape_debug().to_string())?,
                Step::Key(key) => write!(f, ".{}", key.escape_debug())?,
            }
        }
        Ok(())
    }
}

impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value as a message shows it: quoted, cut, and escaped, because an input must not be able to drive the reader's
/// terminal. What is JSON already is not quoted again.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 200;
        let cut: String = self.0.chars().take(SHOWN).collect();
        if cut.starts_with(['{', '[']) {
            write!(f, "{}", Plain(&cut))?;
        } else {
            write!(f, "{cut:?}")?;
        }
        if cut.len() < self.0.len() { write!(f, " (cut; {} bytes)", self.0.len()) } else { Ok(()) }
    }
}

/// Words that may quote an input: as they are, but for characters that could drive a terminal.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '"' | '\\' | '\'' => write!(f, "{character}"),
            other => write!(f, "{}", other.escape_debug()),
        })
    }
}

/// Which object: kind, namespace and name as far as the input gives them.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ObjectRef {
    pub kind: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "(no name)" } else { &self.name };
        write!(f, "{} ", self.kind.escape_debug())?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace.escape_debug())?;
        }
        write!(f, "{}", name.escape_debug())
    }
}

/// What one rule says of one field of one object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    pub severity: Severity,
    pub reason: Reason,
    pub field: FieldPath,
    /// The offending value, as the input has it; absent where the field is.
    pub value: Option<String>,
    pub message: String,
    /// What to do, in the imperative.
    pub remedy: String,
}

impl Problem {
    #[must_use]
    pub fn error(reason: Reason, field: FieldPath, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (message, remedy) = (message.into(), remedy.into());
        Self { severity: Severity::Error, reason, field, value: None, message, remedy }
    }

    #[must_use]
    pub fn warning(reason: Reason, field: FieldPath, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(reason, field, message, remedy) }
    }

    #[must_use]
    pub fn note(reason: Reason, field: FieldPath, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(reason, field, message, remedy) }
    }

    #[must_use]
    pub fn with_value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }
}

/// Where a document came from and where in it something stands. Lines and columns count from 1, documents too; they are 0
/// of what is no text, such as an object of a cluster.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Place {
    pub source: Arc<str>,
    pub document: usize,
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// Somewhere in a source that has no lines.
    #[must_use]
    pub fn within(source: &Arc<str>) -> Self {
        Self { source: Arc::clone(source), document: 0, line: 0, column: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.document == 0 {
            return write!(f, "{}", self.source.escape_debug());
        }
        write!(f, "{}:{}:{}: document {}", self.source.escape_debug(), self.line, self.column, self.document)
    }
}

/// A [`Problem`] in its place: one line for people, one JSON object for machines.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    pub place: Place,
    pub object: Option<ObjectRef>,
    pub problem: Problem,
}

impl Finding {
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.problem.severity == Severity::Error
    }
}

/// The findings of one document while it is read. A document can be made of millions of things to say; past a number
/// that nobody reads they are only counted, and the worst of them keeps its weight.
#[derive(Debug, Default)]
pub struct FindingsOfDocument {
    kept: Vec<Finding>,
    more: usize,
    worst: Option<(Severity, Place)>,
}

impl FindingsOfDocument {
    pub const KEPT: usize = 10_000;

    pub fn push(&mut self, finding: Finding) {
        if self.kept.len() < Self::KEPT {
            self.kept.push(finding);
            return;
        }
        self.more += 1;
        let severity = finding.problem.severity;
        if self.worst.as_ref().is_none_or(|(worst, _)| *worst < severity) {
            self.worst = Some((severity, finding.place));
        }
    }

    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.push(finding));
    }

    /// Hands all of them on, the last one saying how many more there are.
    pub fn report(self, findings: &mut dyn FnMut(Finding)) {
        self.kept.into_iter().for_each(&mut *findings);
        if let Some((severity, place)) = self.worst {
            let message = format!("has {} more findings", self.more);
            let remedy = "mend those above and try again";
            let problem = Problem::error(Reason::TooManyFindings, FieldPath::root(), message, remedy);
            findings(Finding { place, object: None, problem: Problem { severity, ..problem } });
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { severity, reason, field, value, message, remedy } = &self.problem;
        write!(f, "{severity}[{reason}]: {}: ", self.place)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if !field.steps().is_empty() {
            write!(f, "{field}: ")?;
        }
        write!(f, "{}", Plain(message))?;
        if let Some(value) = value {
            write!(f, " (value {})", Quoted(value))?;
        }
        if remedy.is_empty() { Ok(()) } else { write!(f, "; {}", Plain(remedy)) }
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            severity: Severity,
            reason: Reason,
            #[serde(flatten)]
            place: &'a Place,
            #[serde(flatten)]
            object: &'a Option<ObjectRef>,
            field: &'a FieldPath,
            value: &'a Option<String>,
            message: &'a str,
            remedy: &'a str,
        }
        let Problem { severity, reason, field, value, message, remedy } = &self.problem;
        let (severity, reason) = (*severity, *reason);
        Flat { severity, reason, place: &self.place, object: &self.object, field, value, message, remedy }
            .serialize(serializer)
    }
}

/// An error with its causes, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

/// A text that may have no more bytes than these, cut between characters.
pub(crate) fn shortened(text: &str, longest: usize) -> String {
    const CUT: &str = "…";
    if text.len() <= longest {
        return text.to_owned();
    }
    [beginning(text, longest.saturating_sub(CUT.len())), CUT].concat()
}

/// As much of a text as these bytes hold, cut between characters.
pub(crate) fn beginning(text: &str, longest: usize) -> &str {
    let end = (0..=longest.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_the_api_servers() {
        let path = FieldPath::of("spec.containers").index(0).key("env").key("a.b/c");
        assert_eq!(path.to_string(), r#"spec.containers[0].env["a.b/c"]"#);
    }

    #[test]
    fn values_cannot_drive_the_terminal() {
        assert_eq!(Quoted("\u{1b}[31m\u{202e}x").to_string(), r#""\u{1b}[31m\u{202e}x""#);
        assert_eq!(Quoted("{\"a\":\"\u{202e}\"}").to_string(), r#"{"a":"\u{202e}"}"#);
        assert!(Quoted(&"x".repeat(500)).to_string().len() < 240);
    }

    #[test]
    fn a_finding_is_one_line_that_says_where_what_and_what_to_do() {
        let finding = Finding {
            place: Place { source: "cluster.yaml".into(), document: 2, line: 14, column: 9 },
            object: Some(ObjectRef { kind: "HostedCluster".into(), namespace: "clusters".into(), name: "prod".into() }),
            problem: Problem::error(Reason::Required, FieldPath::of("spec.x"), "is missing", "add it")
                .with_value("a\nb"),
        };
        assert_eq!(
            finding.to_string(),
            "error[Required]: cluster.yaml:14:9: document 2: HostedCluster clusters/prod: spec.x: is missing (value \"a\\nb\"); add it"
        );
    }

    #[test]
    fn a_text_that_is_too_long_keeps_as_much_as_fits() {
        assert_eq!(shortened("short", 5), "short");
        assert_eq!(shortened("a remedy at the end", 12), "a remedy …");
        assert_eq!(shortened("äöü", 5), "ä…");
        assert_eq!((beginning("äöü", 3), beginning("äöü", 9), beginning("", 3)), ("ä", "äöü", ""));
    }
}
