//! What is told of a HostedCluster: conditions, components, and an event for each piece of news.
//!
//! Pure, and quiet: the same state gives the same status, whenever it is told.

mod credentials;

#[cfg(test)]
mod tests;

pub use credentials::{Credentials, remembered};
use hcp_identity_api::control_plane_identity::{
    ComponentStatus, ContestedObject, ControlPlaneIdentityStatus, FederatedCredentialStatus,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{
    component::Component,
    condition::Reason,
    diff::{ComponentState, Difference},
    finding::{Problem, Severity},
    observed::Cluster,
    plan::{AUDIENCE, Identity},
    verification::Trouble,
};

/// What a pass over a HostedCluster came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// There is no plan, and this is why.
    NoPlan(Reason, String),
    Planned {
        difference: Difference,
        failures: Vec<Failure>,
    },
    /// It signs in with tokens of its own: there is nothing to write, and this is how its components are.
    Federated {
        components: Vec<ComponentState>,
        /// More is about to be known.
        waiting: bool,
    },
}

/// A write that failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// Whether trying again is no use before somebody acts.
    pub refused: bool,
    pub message: String,
}

/// The status to be written and the news in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub status: ControlPlaneIdentityStatus,
    pub news: Vec<News>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct News {
    pub reason: Reason,
    pub message: String,
}

/// Tells the outcome of a pass.
#[must_use]
pub fn tell(
    cluster: &Cluster,
    namespace: &str,
    outcome: &Outcome,
    credentials: &Credentials,
    previous: Option<&ControlPlaneIdentityStatus>,
    now: Timestamp,
) -> Told {
    let (states, failures, waiting): (&[ComponentState], &[Failure], bool) = match outcome {
        Outcome::NoPlan(..) => (&[], &[], false),
        Outcome::Federated { components, waiting } => (components, &[], *waiting),
        Outcome::Planned { difference, failures } => (&difference.components, failures, difference.waiting),
    };
    let states: &[ComponentState] = &states.iter().map(|state| credentials.judged(state)).collect::<Vec<_>>();
    let named = number_named(cluster);
    let (reason, message) = match outcome {
        Outcome::Federated { components, .. } => federated(components, &cluster.problems),
        _ => ready(outcome, states, failures, credentials.trouble.as_ref()),
    };
    let count =
        |wanted: fn(&ComponentState) -> bool| format!("{}/{named}", states.iter().filter(|s| wanted(s)).count());
    let mut conditions = Conditions { previous, generation: cluster.generation, now, all: Vec::new() };
    conditions.set("Ready", readiness(reason), reason, &message);
    conditions.of_components("Wired", named, states, |state| state.wired);
    conditions.verified(states, credentials);
    conditions.of_components("Mounted", named, states, is_mounted);
    conditions.fresh(states, credentials);
    conditions.set("Reconciling", if waiting || !failures.is_empty() { TRUE } else { FALSE }, reason, "");
    conditions.set(
        "Stalled",
        if reason.is_stalled() { TRUE } else { FALSE },
        reason,
        if reason.is_stalled() { &message } else { "" },
    );
    let status = ControlPlaneIdentityStatus {
        hosted_cluster_generation: cluster.generation,
        control_plane_namespace: namespace.to_owned(),
        wired: count(|state| state.wired),
        mounted: count(is_mounted),
        expires: credentials.first_end().map(|end| end.to_string()).unwrap_or_default(),
        conditions: conditions.all,
        components: states.iter().map(|state| component(state, cluster, credentials)).collect(),
    };
    let news = news(&status, previous, reason, &message, states);
    Told { status, news }
}

/// Identities that the HostedCluster names, of either kind.
fn number_named(cluster: &Cluster) -> usize {
    let managed = cluster.identities.as_ref().map(|identities| identities.named.len());
    managed.or(cluster.workload_identities.as_ref().map(|identities| identities.named.len())).unwrap_or_default()
}

const TRUE: &str = "True";
const FALSE: &str = "False";
const UNKNOWN: &str = "Unknown";

fn is_mounted(state: &ComponentState) -> bool {
    state.pods > 0 && state.mounted_pods == state.pods && state.pods_without == 0
}

/// The component that speaks for all, if something is not as it should be, and the names of those that are like it.
fn worst_of(states: &[ComponentState]) -> Option<(&ComponentState, String)> {
    let worst = states.iter().filter(|state| !state.reason.is_good()).min_by_key(|state| state.reason)?;
    let same = states.iter().filter(|state| state.reason == worst.reason).map(|state| state.id.to_string());
    Some((worst, same.collect::<Vec<_>>().join(", ")))
}

/// The word for the whole: the worst of what is said.
fn ready(
    outcome: &Outcome,
    states: &[ComponentState],
    failures: &[Failure],
    trouble: Option<&Trouble>,
) -> (Reason, String) {
    if let Outcome::NoPlan(reason, message) = outcome {
        return (*reason, message.clone());
    }
    let failed = failures.iter().max_by_key(|failure| failure.refused).map(|failure| {
        let reason = if failure.refused { Reason::WriteRefused } else { Reason::WriteFailed };
        (reason, failure.message.clone())
    });
    let said = worst_of(states).map(|(worst, same)| {
        // Why none is looked at is one thing, whichever it is about.
        let why = trouble.filter(|_| worst.reason == Reason::CredentialNotChecked);
        let message = why.map_or(&worst.message, |trouble| &trouble.message);
        (worst.reason, format!("{same}: {message}"))
    });
    match (said, failed) {
        (Some(said), Some(failed)) => {
            if said.0 < failed.0 {
                said
            } else {
                failed
            }
        }
        (Some(said), None) => said,
        (None, Some(failed)) => failed,
        (None, None) if states.is_empty() => (Reason::NothingNamed, "the HostedCluster names no identity".to_owned()),
        (None, None) => {
            let noted = states.iter().filter(|state| state.reason != Reason::Ready);
            let notes = noted.map(|state| format!("{}: {}", state.id, state.reason));
            let notes: Vec<_> = notes.chain(trouble.map(|trouble| trouble.message.clone())).collect();
            let all = format!("all {} components are wired and mounted", states.len());
            (Reason::Ready, if notes.is_empty() { all } else { format!("{all}; {}", notes.join("; ")) })
        }
    }
}

/// The same where components sign in with tokens. What is odd about the HostedCluster is told in any case: Entra may refuse
/// the tokens for it.
fn federated(states: &[ComponentState], problems: &[Problem]) -> (Reason, String) {
    let (reason, said) = match worst_of(states) {
        None if states.is_empty() => (Reason::NothingNamed, "the HostedCluster names no identity".to_owned()),
        None => {
            let all = format!("all {} components are given their tokens", states.len());
            (Reason::WorkloadIdentities, format!("{all}; neither Azure nor what stands in Secrets is looked at"))
        }
        Some((worst, same)) => (worst.reason, format!("{same}: {}", worst.message)),
    };
    (reason, format!("{said}; {}", no_plan(problems).1))
}

fn readiness(reason: Reason) -> &'static str {
    match reason {
        Reason::Ready | Reason::WorkloadIdentities => TRUE,
        Reason::Off | Reason::NothingNamed => UNKNOWN,
        _ => FALSE,
    }
}

struct Conditions<'p> {
    previous: Option<&'p ControlPlaneIdentityStatus>,
    generation: i64,
    now: Timestamp,
    all: Vec<Condition>,
}

impl Conditions<'_> {
    fn set(&mut self, kind: &str, status: &str, reason: Reason, message: &str) {
        let before =
            self.previous.and_then(|status| status.conditions.iter().find(|condition| condition.type_ == kind));
        let since = before
            .filter(|condition| condition.status == status)
            .map(|condition| condition.last_transition_time.clone());
        self.all.push(Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_string(),
            message: shortened(message),
            observed_generation: Some(self.generation),
            last_transition_time: since.unwrap_or(Time(self.now)),
        });
    }

    /// True if it holds for all components; what does not is named.
    fn of_components(
        &mut self,
        kind: &str,
        named: usize,
        states: &[ComponentState],
        holds: fn(&ComponentState) -> bool,
    ) {
        let lacking: Vec<_> = states.iter().filter(|state| !holds(state)).collect();
        match lacking.iter().min_by_key(|state| state.reason) {
            _ if states.is_empty() => self.set(kind, UNKNOWN, Reason::NotChecked, ""),
            None => self.set(kind, TRUE, Reason::Ready, &format!("{named} of {named}")),
            Some(worst) => {
                let ids: Vec<_> = lacking.iter().map(|state| state.id.to_string()).collect();
                self.set(kind, FALSE, worst.reason, &format!("not {}", ids.join(", ")));
            }
        }
    }
}

/// What the CRD allows.
fn shortened(message: &str) -> String {
    crate::finding::shortened(message, 4096)
}

fn component(state: &ComponentState, cluster: &Cluster, credentials: &Credentials) -> ComponentStatus {
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    ComponentStatus {
        id: state.id.to_string(),
        reason: state.reason.to_string(),
        message: shortened(&[std::slice::from_ref(&state.message), &state.notes].concat().join("; ")),
        wired: state.wired,
        pods: number(state.pods),
        mounted_pods: number(state.mounted_pods),
        mounted_versions: state.mounted_versions.iter().take(100).map(ToString::to_string).collect(),
        contested: state
            .contested
            .iter()
            .map(|(key, manager)| ContestedObject {
                kind: key.kind.to_string(),
                name: key.name.to_string(),
                manager: manager.to_string(),
            })
            .collect(),
        credential: credentials.verified.get(&state.id).and_then(credentials::credential),
        mounts: credentials
            .freshness
            .get(&state.id)
            .map(|fresh| credentials::mounts(&fresh.mounts))
            .unwrap_or_default(),
        ..identity(state, cluster)
    }
}

/// Which identity a component signs in as, and how.
fn identity(state: &ComponentState, cluster: &Cluster) -> ComponentStatus {
    if let Some(identities) = &cluster.workload_identities {
        let identity = identities.named.iter().find(|identity| identity.component == state.id);
        let federated = identities.federated_credentials(state.id).map(|credential| FederatedCredentialStatus {
            name: credential.name,
            issuer: credential.issuer.to_string(),
            subject: credential.subject,
            audiences: vec![AUDIENCE.to_owned()],
        });
        return ComponentStatus {
            client_id: identity.map(|identity| identity.client_id.to_string()).unwrap_or_default(),
            federated_credentials: federated.collect(),
            ..ComponentStatus::default()
        };
    }
    let named = cluster.identities.as_ref().map_or(&[][..], |identities| &identities.named);
    let identity = named.iter().find(|identity| identity.component == state.id);
    let client_id = |identity: &Identity| identity.client_id.as_ref().map(ToString::to_string);
    ComponentStatus {
        provider_class: Component::of(state.id).class.to_owned(),
        secret_name: identity.map(|identity| identity.secret.to_string()).unwrap_or_default(),
        client_id: identity.and_then(client_id).unwrap_or_default(),
        ..ComponentStatus::default()
    }
}

/// News is what the HostedCluster as a whole has come to, and a component for which somebody has to act. What passes by
/// itself within seconds is none.
fn news(
    status: &ControlPlaneIdentityStatus,
    previous: Option<&ControlPlaneIdentityStatus>,
    reason: Reason,
    message: &str,
    states: &[ComponentState],
) -> Vec<News> {
    let mut news = Vec::new();
    let reason_of = |status: &ControlPlaneIdentityStatus| {
        status.conditions.iter().find(|condition| condition.type_ == "Ready").map(|condition| condition.reason.clone())
    };
    if !reason.is_passing() && previous.and_then(reason_of) != reason_of(status) {
        news.push(News { reason, message: message.to_owned() });
    }
    for state in states.iter().filter(|state| state.reason.is_stalled() && state.reason != reason) {
        let before =
            previous.and_then(|previous| previous.components.iter().find(|before| before.id == state.id.to_string()));
        if before.is_none_or(|before| before.reason != state.reason.to_string()) {
            news.push(News { reason: state.reason, message: format!("{}: {}", state.id, state.message) });
        }
    }
    news
}

/// Why a HostedCluster has no plan, as the gate says it.
#[must_use]
pub fn no_plan(problems: &[Problem]) -> (Reason, String) {
    let line = |problem: &Problem| {
        let value = problem.value.as_deref().map(|value| format!(" (value {value:?})")).unwrap_or_default();
        format!("{}: {}{value}; {}", problem.field, problem.message, problem.remedy)
    };
    let errors: Vec<_> = problems.iter().filter(|problem| problem.severity == Severity::Error).map(line).collect();
    if !errors.is_empty() {
        return (Reason::InvalidHostedCluster, errors.join("; "));
    }
    let notes: Vec<_> = problems.iter().map(line).collect();
    (Reason::WorkloadIdentities, notes.join("; "))
}

/// The objects that a status says are contested, with the manager of each.
pub fn contested(status: &ControlPlaneIdentityStatus) -> impl Iterator<Item = &ContestedObject> {
    status.components.iter().flat_map(|component| &component.contested)
}
