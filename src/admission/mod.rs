//! What kube-apiserver is answered that asks about a pod before it is created: its wiring, as a JSON patch.
//!
//! Pure, and from memory alone: no request, no clock, no HTTP. A pod is never denied for its wiring; what is not wired is said
//! in a warning and an audit annotation.

pub mod identities;
mod patch;
mod review;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

pub use self::review::Refusal;
use self::{
    patch::patch,
    review::{Request, Response},
};
use crate::{
    component::{COMPONENTS, Id},
    condition::Reason,
    finding::{Problem, shortened},
    plan::{Addition, Plan, Template, Wired},
};

/// What admission has to know of control planes.
pub trait ControlPlanes: Send + Sync + 'static {
    fn control_plane(&self, namespace: &str) -> ControlPlane;
}

#[derive(Clone, Debug)]
pub enum ControlPlane {
    /// No HostedCluster has this namespace, as far as is known: its pods are none of ours.
    Unknown,
    /// Its pods are admitted as they are, and why.
    LeftAlone { reason: Reason, message: String },
    /// Its pods are wired, but for components that are held back, each with why.
    Wired { plan: Arc<Plan>, held: BTreeMap<Id, Held> },
}

/// Why a component's pods are not wired now: they could not mount, or not sign in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held {
    pub reason: Reason,
    pub message: String,
}

/// An answer, and what it comes to.
#[derive(Clone, Debug)]
pub struct Answer {
    /// An AdmissionReview.
    pub body: Value,
    pub outcome: Outcome,
}

/// What became of a pod. Label of a metric.
#[derive(Clone, Copy, Debug, Eq, PartialEq, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "kebab-case")]
pub enum Outcome {
    /// Something was added.
    Wired,
    /// Nothing was missing.
    Unchanged,
    /// It is no pod of the table, or of no control plane that is known.
    NotOurs,
    /// All or a part of its wiring is held back.
    Held,
    /// Something stands in the way.
    Conflict,
    /// It was asked about something that no pod at its creation is: a webhook configuration of somebody else's making.
    Misdirected,
    /// There was nothing to answer: see [`Refusal`].
    Refused,
    /// Its workload identity was added: see [`crate::workload_identity`].
    Identified,
    /// It is not created, for want of a workload identity: see [`crate::workload_identity::Denial`].
    Denied,
}

/// What is said of a pod, for whoever creates it and for the audit log.
#[derive(Debug, Default)]
struct Words {
    warnings: Vec<String>,
    audit: BTreeMap<&'static str, String>,
}

/// Warnings beyond these are dropped by the API server, or cut.
const WARNINGS: usize = 10;
const LONGEST: usize = 256;

/// Answers an AdmissionReview.
///
/// # Guarantees
/// - Allowed, always. The patch appends what [`Plan::wire_created`] says is missing, and nothing else; there is none where
///   nothing is. A dry run is answered like any other.
/// - Of a body of this size nothing bigger is made than a few times itself.
///
/// # Errors
/// A body that is no AdmissionReview of `admission.k8s.io/v1`: there is nobody to answer.
pub fn review(body: &[u8], control_planes: &dyn ControlPlanes) -> Result<Answer, Refusal> {
    let request = review::read(body)?;
    let (outcome, additions, words) = decide(&request, control_planes);
    let patch = patch(&request.object, &additions);
    let response = Response { patch, warnings: words.warnings, audit: words.audit, denial: None };
    Ok(Answer { body: response.to(&request), outcome })
}

fn decide(request: &Request, control_planes: &dyn ControlPlanes) -> (Outcome, Vec<Addition>, Words) {
    let mut words = Words::default();
    if let Some(what) = request.is_misdirected() {
        words.warn(&format!("hcp-identity wires pods as they are created, and was asked about {what}"));
        return (Outcome::Misdirected, Vec::new(), words);
    }
    let (plan, held) = match control_planes.control_plane(&request.namespace) {
        ControlPlane::Unknown => return (Outcome::NotOurs, Vec::new(), words),
        ControlPlane::LeftAlone { .. } if !is_of_the_table(&request.object) => {
            return (Outcome::NotOurs, Vec::new(), words);
        }
        ControlPlane::LeftAlone { reason, message } => {
            words.say("left-alone", &reason.to_string(), &format!("{reason}: {message}"));
            return (Outcome::Held, Vec::new(), words);
        }
        ControlPlane::Wired { plan, held } => (plan, held),
    };
    match plan.wire_created(&Template::new(&request.object)) {
        Ok(Wired::NotOurs) => (Outcome::NotOurs, Vec::new(), words),
        Ok(Wired::Missing(additions)) => {
            let (withheld, additions): (Vec<_>, Vec<_>) =
                additions.into_iter().partition(|addition| held.contains_key(&addition.component));
            words.hold(&withheld, &held);
            words.wire(&additions);
            let outcome = match (additions.is_empty(), withheld.is_empty()) {
                (_, false) => Outcome::Held,
                (false, true) => Outcome::Wired,
                (true, true) => Outcome::Unchanged,
            };
            (outcome, additions, words)
        }
        Err(problems) => {
            words.conflict(&problems);
            (Outcome::Conflict, Vec::new(), words)
        }
    }
}

/// Whether it has the label of a row, as HyperShift has it: without a plan nobody knows better.
fn is_of_the_table(pod: &Value) -> bool {
    let app = Template::new(pod).app();
    COMPONENTS.iter().flat_map(|row| row.pods).any(|pod| Some(pod.app) == app)
}

impl Words {
    fn warn(&mut self, warning: &str) {
        if self.warnings.len() < WARNINGS {
            self.warnings.push(shortened(warning, LONGEST));
        }
    }

    fn say(&mut self, key: &'static str, audit: &str, warning: &str) {
        self.audit.insert(key, shortened(audit, LONGEST));
        self.warn(&format!("hcp-identity does not wire this pod: {warning}"));
    }

    fn hold(&mut self, withheld: &[Addition], held: &BTreeMap<Id, Held>) {
        let ids = ids(withheld);
        for (id, why) in held.iter().filter(|(id, _)| ids.contains(id)) {
            self.warn(&format!("hcp-identity does not wire {id}: {}: {}", why.reason, why.message));
        }
        if !ids.is_empty() {
            self.audit.insert("held", joined(&ids));
        }
    }

    fn wire(&mut self, additions: &[Addition]) {
        let ids = ids(additions);
        if !ids.is_empty() {
            self.audit.insert("wired", joined(&ids));
        }
    }

    fn conflict(&mut self, problems: &[Problem]) {
        let fields: Vec<_> = problems.iter().map(|problem| format!("{} {}", problem.reason, problem.field)).collect();
        self.audit.insert("conflict", shortened(&fields.join(", "), LONGEST));
        for problem in problems {
            let Problem { field, message, remedy, .. } = problem;
            self.warn(&format!("hcp-identity does not wire this pod: {field}: {message}; {remedy}"));
        }
    }
}

fn ids(additions: &[Addition]) -> Vec<Id> {
    let mut ids: Vec<_> = additions.iter().map(|addition| addition.component).collect();
    ids.dedup();
    ids
}

fn joined(ids: &[Id]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
