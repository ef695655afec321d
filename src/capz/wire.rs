//! From what `clusterctl generate cluster` prints to the same without secrets.

use std::{fmt, io, sync::Arc};

use serde_json::Value;

use super::{
    API_VERSION, GROUP, cluster_identity,
    edit::{Change, Edit, NotEditable, patched},
    machine::{self, IdentityId},
};
use crate::{
    finding::{FieldPath, Finding, ObjectRef, Place, Problem, Reason},
    input::{Located, place},
    manifest::{Content, Document, Documents, Limits, Node},
    names::{ClientId, Namespace, TenantId},
};

/// What is wired: where nothing is given, what is there stays.
#[derive(Clone, Debug, Default)]
pub struct Wiring {
    pub client: Option<ClientId>,
    pub tenant: Option<TenantId>,
    pub allowed_namespaces: Vec<Namespace>,
    pub machine_identity: Option<IdentityId>,
}

/// The stream with its edits.
#[derive(Debug)]
pub struct Wired {
    pub text: Vec<u8>,
    pub edits: Vec<Edited>,
    /// How many objects would have been edited if they were not wired already.
    pub unchanged: usize,
}

/// An object and its fields that have changed.
#[derive(Debug)]
pub struct Edited {
    pub object: ObjectRef,
    pub fields: Vec<&'static str>,
}

impl fmt::Display for Edited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.fields.join(", "))
    }
}

const LIMITS: Limits = Limits { document_bytes: 16 << 20, object_bytes: 64 << 20, alias_bytes: 8 << 20, nesting: 100 };

/// Wires every AzureClusterIdentity and every machine of a stream. None where anything is refused.
///
/// # Guarantees
/// Outside of the lines and scalars that are edited every byte stays. An edit comes to what it is meant for, or is refused:
/// the result is read again. What is wired already is not changed.
///
/// # Errors
/// What reading fails with, which memory does not.
pub fn wire(
    source: &Arc<str>,
    stream: &[u8],
    wiring: &Wiring,
    findings: &mut dyn FnMut(Finding),
) -> io::Result<Option<Wired>> {
    let wired = Wired { text: Vec::with_capacity(stream.len() + 4096), edits: Vec::new(), unchanged: 0 };
    let rest = Rest { stream, line: 1, at: 0 };
    let mut run = Run { wiring, findings, refused: false, identities: 0, wired, rest };
    let mut documents = Documents::new(stream, LIMITS);
    while let Some(document) = documents.next_document()? {
        match target(source, &document) {
            Ok(Some(target)) => run.wire(&target, &document),
            Ok(None) => {}
            Err(found) => found.into_iter().for_each(|finding| run.tell(finding)),
        }
    }
    Ok(run.finish(source))
}

/// The wiring of one stream.
struct Run<'r> {
    wiring: &'r Wiring,
    findings: &'r mut dyn FnMut(Finding),
    refused: bool,
    identities: usize,
    wired: Wired,
    rest: Rest<'r>,
}

impl Run<'_> {
    fn tell(&mut self, finding: Finding) {
        self.refused |= finding.is_error();
        (self.findings)(finding);
    }

    fn wire(&mut self, target: &Target, document: &Document) {
        if target.is_identity() {
            self.identities += 1;
            if self.identities > 1 && (self.wiring.client.is_some() || self.wiring.tenant.is_some()) {
                return self.tell(target.located.finding(second_identity()));
            }
        }
        match target.edit(document, self.wiring) {
            Ok(None) => self.wired.unchanged += 1,
            Ok(Some((edit, text))) => {
                let fields = edit.changes.iter().map(Change::field).collect();
                self.wired.edits.push(Edited { object: target.located.reference(), fields });
                self.rest.copy_until(document, &mut self.wired.text);
                self.wired.text.extend_from_slice(text.as_bytes());
            }
            Err(problems) => problems.into_iter().for_each(|problem| self.tell(target.located.finding(problem))),
        }
    }

    fn finish(mut self, source: &Arc<str>) -> Option<Wired> {
        if !self.refused && self.wired.edits.is_empty() && self.wired.unchanged == 0 {
            self.tell(nothing(source));
        }
        self.wired.text.extend_from_slice(&self.rest.stream[self.rest.at..]);
        (!self.refused).then_some(self.wired)
    }
}

/// What has not been copied yet.
struct Rest<'s> {
    stream: &'s [u8],
    /// The line that `at` starts.
    line: u32,
    at: usize,
}

impl Rest<'_> {
    /// Copies what is before a document, and skips it.
    fn copy_until(&mut self, document: &Document, out: &mut Vec<u8>) {
        let from = self.at;
        while self.line < document.start().line {
            let newline = memchr::memchr(b'\n', &self.stream[self.at..]);
            self.at = newline.map_or(self.stream.len(), |newline| self.at + newline + 1);
            self.line += 1;
        }
        let text = document.text().unwrap_or_default();
        // A byte order mark is no part of the text.
        let mark = if self.stream[self.at..].starts_with(text.as_bytes()) { 0 } else { "\u{feff}".len() };
        out.extend_from_slice(&self.stream[from..self.at + mark]);
        self.at = (self.at + mark + text.len()).min(self.stream.len());
        self.line += u32::try_from(memchr::memchr_iter(b'\n', text.as_bytes()).count()).unwrap_or(u32::MAX);
    }
}

/// An object that is to be wired.
struct Target {
    located: Located,
    /// Where the mapping stands that is edited.
    spec: &'static str,
}

/// The object of a document that is to be wired, if it has one.
fn target(source: &Arc<str>, document: &Document) -> Result<Option<Target>, Vec<Finding>> {
    let (mut found, mut findings, mut objects) = (Vec::new(), Vec::new(), 0);
    let read = document.objects(&LIMITS, &mut |object| {
        objects += 1;
        let located = Located { source: Arc::clone(source), document: document.number, object };
        match spec_of(&located) {
            Ok(Some(spec)) => found.push(Target { located, spec }),
            Ok(None) => findings.extend(located.refusal()),
            Err(problem) => findings.push(located.finding(problem)),
        }
    });
    if let Err(unreadable) = read {
        let problem = Problem::error(unreadable.reason, FieldPath::root(), unreadable.message, unreadable.remedy);
        return Err(vec![Finding { place: place(source, document.number, unreadable.at), object: None, problem }]);
    }
    // An item of a list, even if it is the only one, is not where the document says.
    let alone = objects == 1 && found.iter().all(|target| target.located.object.path == FieldPath::root());
    if !alone {
        findings
            .extend(found.iter().map(|target| target.located.finding(not_editable("shares its document with others"))));
    }
    if findings.is_empty() { Ok(found.pop()) } else { Err(findings) }
}

/// Where the spec stands in an object that is to be wired.
fn spec_of(located: &Located) -> Result<Option<&'static str>, Problem> {
    let node = located.node();
    let (Some(kind), Some(version)) = (node.text("kind"), node.text("apiVersion")) else { return Ok(None) };
    let spec = if kind == cluster_identity::KIND {
        Some("spec")
    } else {
        machine::KINDS.iter().find(|(machine, _)| *machine == kind).map(|(_, spec)| *spec)
    };
    let group = version.split('/').next().unwrap_or_default();
    match spec {
        Some(spec) if version == API_VERSION => Ok(Some(spec)),
        Some(_) if group.ends_with(GROUP) => {
            let message = "is a version of CAPZ's kinds that is not known";
            let problem = Problem::error(
                Reason::UnsupportedVersion,
                FieldPath::of("apiVersion"),
                message,
                format!("use {API_VERSION}"),
            );
            Err(problem.with_value(version))
        }
        _ => Ok(None),
    }
}

impl Target {
    fn is_identity(&self) -> bool {
        self.located.node().text("kind") == Some(cluster_identity::KIND)
    }

    /// What is edited, and the text of the document then.
    fn edit(&self, document: &Document, wiring: &Wiring) -> Result<Option<(Edit, String)>, Vec<Problem>> {
        let path = FieldPath::of(self.spec);
        let node = self.located.node();
        let spec = self.spec.split('.').try_fold(node, |node, key| node.get(key));
        let Some(spec) = spec.filter(|spec| matches!(spec.content, Content::Mapping(_))) else {
            let (message, remedy) = ("is missing, or is no object", "write it as CAPZ documents it");
            return Err(vec![Problem::error(Reason::Required, path, message, remedy)]);
        };
        let changes = if self.is_identity() {
            cluster_identity::changes(spec, wiring)?
        } else {
            machine::changes(spec, &path, wiring.machine_identity.as_ref())?
        };
        if changes.is_empty() {
            return Ok(None);
        }
        let edit = Edit { mapping: self.spec, changes };
        match edited(&edit, document, node) {
            Ok(text) => Ok(Some((edit, text))),
            Err(why) => Err(vec![Problem { field: path, ..not_editable(why) }]),
        }
    }
}

/// The text of the document with the edit, which has been read again.
fn edited(edit: &Edit, document: &Document, node: &Node) -> Result<String, NotEditable> {
    let text = document.text().unwrap_or_default();
    let text = patched(text, &edit.patches(text, &LIMITS)?);
    let mut wanted = node.to_value();
    edit.apply(&mut wanted);
    if reread(&text).as_ref() == Some(&wanted) { Ok(text) } else { Err("is bound up with other parts of its document") }
}

fn reread(text: &str) -> Option<Value> {
    let document = Documents::new(text.as_bytes(), LIMITS).next_document().ok()??;
    let mut values = Vec::new();
    document.objects(&LIMITS, &mut |object| values.push(object.node.to_value())).ok()?;
    if values.len() == 1 { values.pop() } else { None }
}

fn not_editable(why: &str) -> Problem {
    let remedy = "write it as `clusterctl generate cluster` does, as a document of its own in block style";
    Problem::error(Reason::NotEditable, FieldPath::root(), why, remedy)
}

fn second_identity() -> Problem {
    let message = "is one of several: which of them --client-id and --tenant-id are meant for cannot be told";
    Problem::error(Reason::SeveralIdentities, FieldPath::root(), message, "wire a stream with one identity at a time")
}

fn nothing(source: &Arc<str>) -> Finding {
    let message = format!("has no AzureClusterIdentity and no machine of {API_VERSION}: there is nothing to wire");
    let remedy = "give it what `clusterctl generate cluster` prints";
    Finding {
        place: Place { source: Arc::clone(source), document: 1, line: 1, column: 1 },
        object: None,
        problem: Problem::error(Reason::NothingToWire, FieldPath::root(), message, remedy),
    }
}
