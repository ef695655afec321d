//! From sources to located objects: what `render` and `validate` read, and how they speak of it.

use std::{
    io::{self, BufRead},
    sync::Arc,
};

use hcp_identity_api::hosted_cluster::HostedCluster;
use serde_json::{Map, Value};

use crate::{
    crd,
    finding::{FieldPath, Finding, FindingsOfDocument, ObjectRef, Place, Problem, Reason, Severity, Step},
    manifest::{Documents, Limits, Node, Object, Position},
    plan::{self, Gated},
};

/// An object, and where it came from.
#[derive(Debug)]
pub struct Located {
    pub source: Arc<str>,
    pub document: usize,
    pub object: Object,
}

/// What an object is to this program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    HostedCluster,
    /// A HostedCluster of a version that is not read.
    OtherHostedCluster,
    /// A kind with a pod template, or a pod.
    Workload,
    /// A list whose items cannot be read: they are no list, or it stands in another one.
    List,
    /// Neither kind nor apiVersion.
    Nothing,
    Other,
}

/// A door that reads streams. What it gathers from a document counts once the document has been read whole.
pub trait Visitor {
    type Gathered: Default;

    /// Looks at one object of the document that is being read.
    fn object(&self, object: Located, gathered: &mut Self::Gathered, findings: &mut FindingsOfDocument);

    /// The document has been read whole: this is what was gathered from it.
    fn keep(&mut self, gathered: Self::Gathered);

    fn report(&mut self, finding: Finding);
}

/// Reads one source, and counts its documents.
///
/// # Errors
/// What reading fails with. A document that cannot be read is a finding, and nothing of it is kept.
pub fn read<V: Visitor>(source: &Arc<str>, reader: impl BufRead, limits: Limits, visitor: &mut V) -> io::Result<usize> {
    let mut documents = Documents::new(reader, limits);
    let mut count = 0;
    while let Some(document) = documents.next_document()? {
        count += 1;
        let number = document.number;
        let (mut gathered, mut findings) = (V::Gathered::default(), FindingsOfDocument::default());
        let read = document.objects(&limits, &mut |object| {
            let located = Located { source: Arc::clone(source), document: number, object };
            visitor.object(located, &mut gathered, &mut findings);
        });
        match read {
            Ok(()) => {
                visitor.keep(gathered);
                findings.report(&mut |finding| visitor.report(finding));
            }
            Err(unreadable) => visitor.report(Finding {
                place: place(source, number, unreadable.at),
                object: None,
                problem: Problem::error(unreadable.reason, FieldPath::root(), unreadable.message, unreadable.remedy),
            }),
        }
    }
    Ok(count)
}

impl Located {
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.object.node
    }

    #[must_use]
    pub fn role(&self) -> Role {
        match (self.node().text("kind"), self.node().text("apiVersion")) {
            (Some(HostedCluster::KIND), Some(HostedCluster::API_VERSION)) => Role::HostedCluster,
            (Some(HostedCluster::KIND), Some(version)) if version.starts_with("hypershift.openshift.io/") => {
                Role::OtherHostedCluster
            }
            (Some("Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet"), Some("apps/v1")) => Role::Workload,
            (Some("Pod"), Some("v1")) => Role::Workload,
            (Some(kind), Some(_)) if kind.ends_with("List") && self.node().get("items").is_some() => Role::List,
            (Some(kind), Some(version)) if !kind.is_empty() && !version.is_empty() => Role::Other,
            _ => Role::Nothing,
        }
    }

    #[must_use]
    pub fn reference(&self) -> ObjectRef {
        let metadata = self.node().get("metadata");
        let text = |key: &str| metadata.and_then(|metadata| metadata.text(key)).unwrap_or_default().to_owned();
        let kind = self.node().text("kind").unwrap_or_default().to_owned();
        ObjectRef { kind, namespace: text("namespace"), name: text("name") }
    }

    /// Puts a problem of this object in its place.
    #[must_use]
    pub fn finding(&self, problem: Problem) -> Finding {
        let place = place(&self.source, self.document, self.node().locate(&problem.field));
        let reference = self.reference();
        let object = (reference != ObjectRef::default()).then_some(reference);
        let field = self.object.path.join(&problem.field);
        Finding { place, object, problem: Problem { field, ..problem } }
    }

    /// What is wrong with an object that is no Kubernetes object, or a HostedCluster that cannot be read.
    #[must_use]
    pub fn refusal(&self) -> Option<Finding> {
        let (reason, field, message, remedy) = match self.role() {
            Role::List => (
                Reason::UnreadableList,
                "items",
                "is a list that kubectl does not read either: its items are no list, or it stands inside of another list",
                "write the items into the outer list, or as documents of their own",
            ),
            Role::Nothing if self.node().is_sequence() => (
                Reason::NotAKubernetesObject,
                "",
                "is a list of values, and no Kubernetes object",
                "write the objects as documents, or as items of a `kind: List`",
            ),
            Role::Nothing => (
                Reason::NotAKubernetesObject,
                "",
                "is no Kubernetes object: kind or apiVersion is missing",
                "add them, or leave the file out",
            ),
            Role::OtherHostedCluster => (
                Reason::UnsupportedVersion,
                "apiVersion",
                "is a version of HostedCluster that is not supported",
                "use hypershift.openshift.io/v1beta1",
            ),
            _ => return None,
        };
        let mut problem = Problem::error(reason, FieldPath::of(field), message, remedy);
        problem.value = self.node().text(field).map(str::to_owned);
        Some(self.finding(problem))
    }
}

/// Which rules a HostedCluster is held against.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Rules {
    /// HyperShift's CRD, and what a provider class needs beyond it.
    #[default]
    All,
    /// HyperShift's CRD alone.
    CrdOnly,
}

/// Holds a HostedCluster against the rules. There are identities if nothing is wrong and it has any.
#[must_use]
pub fn inspect(hosted_cluster: &Node, rules: Rules) -> Gated {
    let mut value = hosted_cluster.to_value_without_nulls();
    let mut problems = crd::check(&value);
    if rules == Rules::CrdOnly {
        return Gated { problems, ..Gated::default() };
    }
    let refused = !problems.is_empty();
    // What has the wrong type has been reported; without it the rest can be looked at.
    for problem in problems.iter().filter(|problem| problem.reason == Reason::InvalidType) {
        remove(&mut value, problem.field.steps());
    }
    let mut gated = match typed(value) {
        Ok(cluster) => plan::gate(&cluster),
        Err(problem) => Gated { problems: vec![problem], ..Gated::default() },
    };
    // One field, one word: what the CRD says of a field, and of what would be inside it, is enough.
    let said = |problem: &Problem| problems.iter().any(|said| problem.field.steps().starts_with(said.field.steps()));
    gated.problems.retain(|problem| !said(problem));
    problems.append(&mut gated.problems);
    if refused { Gated { problems, ..Gated::default() } } else { Gated { problems, ..gated } }
}

/// Removes a field; an element of a list goes with the whole list.
fn remove(value: &mut Value, path: &[Step]) {
    match (path, value) {
        ([Step::Key(key)] | [Step::Key(key), Step::Index(_), ..], Value::Object(map)) => {
            map.shift_remove(key);
        }
        ([Step::Key(key), rest @ ..], Value::Object(map)) => {
            if let Some(value) = map.get_mut(key) {
                remove(value, rest);
            }
        }
        ([], value) => *value = Value::Object(Map::new()),
        _ => {}
    }
}

/// The HostedCluster as a typed value, with only as much of its metadata as is used.
fn typed(mut value: Value) -> Result<HostedCluster, Problem> {
    if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
        metadata.retain(|key, _| matches!(key.as_str(), "name" | "namespace" | "annotations" | "labels"));
    }
    serde_json::from_value(value).map_err(|error| {
        let message = format!("cannot be read as a HostedCluster: {error}");
        Problem::error(Reason::InvalidType, FieldPath::root(), message, "correct the type of the field")
    })
}

/// Whether a problem concerns what is rendered: what is merely odd is for `validate` to say.
#[must_use]
pub fn concerns_rendering(problem: &Problem) -> bool {
    problem.severity == Severity::Error || problem.reason.explains_absence()
}

pub(crate) fn place(source: &Arc<str>, document: usize, at: Position) -> Place {
    Place { source: Arc::clone(source), document, line: at.line as usize, column: at.column as usize }
}
