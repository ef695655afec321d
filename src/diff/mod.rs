//! What to do next: a plan against what is there.
//!
//! Pure. One pass over all components gives the writes that are allowed now, in their order, and the state of each
//! component. Provider classes come first; a workload is wired once its classes have been seen on the server, all of
//! them at once. Nothing is forced: what somebody else has written otherwise is reported with their name.

mod classes;
mod created;
mod credentials;
mod failed_mounts;
mod federated;
mod workloads;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

pub use created::held;
pub use federated::{Sight, federated};
use hcp_identity_api::{azure_cluster_identity::AzureClusterIdentity, secret_provider_class::SecretProviderClass};
use serde_json::Value;

use crate::{
    component::{Component, Id},
    condition::Reason,
    ledger::{Ledger, Patience, Verdict},
    observed::{Kind, ObjectKey, Observed, Phase, Pod, Version},
    plan::{Identity, Plan},
    settings::daemon::{AzureClusterIdentityWriting, CredentialCheck, PodPatch, PolicyFallback},
};

/// One write. Each that changes an object names the version that it was planned from; without one it creates the object, and
/// fails where there is one by now.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// `removes` are parameters of ours that are no longer wanted.
    ApplyClass {
        class: Box<SecretProviderClass>,
        planned_from: Option<Version>,
        removes: Vec<String>,
    },
    DeleteClass {
        name: &'static str,
        planned_from: Version,
    },
    ApplyCapzIdentity {
        identity: Box<AzureClusterIdentity>,
        planned_from: Option<Version>,
    },
    /// `template` is the part of the pod template's spec that is to be ours, whole.
    ApplyWorkload {
        name: Box<str>,
        planned_from: Version,
        template: Value,
        adds: usize,
        removes: usize,
    },
}

impl Change {
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        let named = |kind, name: Option<&String>| ObjectKey {
            kind,
            name: name.map(|name| name.as_str().into()).unwrap_or_default(),
        };
        match self {
            Self::ApplyClass { class, .. } => named(Kind::SecretProviderClass, class.metadata.name.as_ref()),
            Self::DeleteClass { name, .. } => ObjectKey { kind: Kind::SecretProviderClass, name: (*name).into() },
            Self::ApplyCapzIdentity { identity, .. } => {
                named(Kind::AzureClusterIdentity, identity.metadata.name.as_ref())
            }
            Self::ApplyWorkload { name, .. } => ObjectKey { kind: Kind::Deployment, name: name.clone() },
        }
    }

    /// What the ledger knows the object by: a workload made anew under its name is another one, a class is not.
    #[must_use]
    pub fn ledger_key(&self) -> LedgerKey {
        let life = match self {
            Self::ApplyWorkload { planned_from, .. } => planned_from.uid.clone(),
            _ => Box::default(),
        };
        LedgerKey { object: self.key(), life }
    }

    /// A number that two changes to one object have in common if they want the same.
    #[must_use]
    pub fn content(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        match self {
            Self::ApplyClass { class, .. } => class.spec.parameters.hash(&mut hasher),
            Self::DeleteClass { .. } => "deleted".hash(&mut hasher),
            Self::ApplyCapzIdentity { identity, .. } => format!("{:?}", identity.spec).hash(&mut hasher),
            Self::ApplyWorkload { template, .. } => template.to_string().hash(&mut hasher),
        }
        hasher.finish()
    }
}

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LedgerKey {
    pub object: ObjectKey,
    /// The uid of a workload.
    pub life: Box<str>,
}

/// Whether writes to the objects of a HostedCluster are wanted now, and if not, why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Permission {
    Write,
    /// [`Reason::Paused`], [`Reason::Observing`] or [`Reason::Deleting`].
    Not(Reason),
}

/// What a pass is told beside the plan and what is there.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    pub permission: Permission,
    pub pod_patch: PodPatch,
    pub fallback: PolicyFallback,
    pub capz: AzureClusterIdentityWriting,
    pub check: CredentialCheck,
    /// Whether a class may be deleted: not before what an earlier leader has sent can only have failed or been shown.
    pub may_delete: bool,
    /// On a clock that only goes forward.
    pub now: Duration,
}

/// The outcome of a pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    pub changes: Vec<Change>,
    /// One per identity that the HostedCluster names, in the order of the table.
    pub components: Vec<ComponentState>,
    /// Something has to be seen or written before this is whole.
    pub waiting: bool,
}

/// The state of one component.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentState {
    pub id: Id,
    pub reason: Reason,
    pub message: String,
    /// What else there is to know.
    pub notes: Vec<String>,
    pub wired: bool,
    pub pods: usize,
    pub mounted_pods: usize,
    /// Pods from before it was wired.
    pub pods_without: usize,
    /// Those that nobody will wire, where pods are wired as they are created.
    pub unwired: Vec<Box<str>>,
    pub mounted_versions: Vec<Box<str>>,
    pub contested: Vec<(ObjectKey, Box<str>)>,
}

impl ComponentState {
    /// Of which nothing else is known.
    pub(crate) fn new(id: Id, reason: Reason) -> Self {
        Self {
            id,
            reason,
            message: String::new(),
            notes: Vec::new(),
            wired: false,
            pods: 0,
            mounted_pods: 0,
            pods_without: 0,
            unwired: Vec::new(),
            mounted_versions: Vec::new(),
            contested: Vec::new(),
        }
    }
}

/// What a part of the pass says about a component.
type Said = (Reason, String);

/// The notes of one pass: who is in which state, and what is to be written.
struct Pass<'p> {
    plan: &'p Plan,
    observed: &'p Observed,
    now: Circumstances,
    ledger: &'p mut Ledger<LedgerKey>,
    said: BTreeMap<Id, Vec<Said>>,
    contested: BTreeMap<Id, Vec<(ObjectKey, Box<str>)>>,
    wired: BTreeMap<Id, bool>,
    changes: Vec<Change>,
    waiting: bool,
}

/// Compares a plan with what is there.
///
/// # Guarantees
/// - No change where what is there is as planned, however it came to be.
/// - No change to a field that somebody else owns, and none at all without permission.
/// - A workload is given a component only if its class is on the server as planned.
/// - Where credentials are checked, a workload is given a component only once its credential has passed; what is wired
///   stays so, whatever becomes of the credential.
/// - A class that a live pod mounts is never deleted; one that others write to neither.
pub fn diff(plan: &Plan, observed: &Observed, now: Circumstances, ledger: &mut Ledger<LedgerKey>) -> Difference {
    let (said, contested, wired) = Default::default();
    let mut pass = Pass { plan, observed, now, ledger, said, contested, wired, changes: Vec::new(), waiting: false };
    let classes = pass.classes();
    pass.capz_identity();
    pass.workloads(&classes);
    pass.admission();
    pass.credentials();
    pass.obsolete_classes();
    for (id, state) in classes {
        // Pods that mount what is not as planned are not wired as planned.
        let wired = state == classes::ClassState::Ready && pass.wired.get(&id) == Some(&true) && !pass.misses_pods(id);
        pass.wired.insert(id, wired);
    }
    let components = plan.identities().named.iter().map(|identity| pass.component(identity)).collect();
    Difference { changes: pass.changes, components, waiting: pass.waiting }
}

/// What becomes of a change that is wanted.
#[derive(Clone, Debug, PartialEq)]
enum Fate {
    Written,
    /// The watch has not shown our last write to this object.
    Unseen,
    Forbidden(Reason),
    Contested(Box<str>),
}

impl<'p> Pass<'p> {
    fn say(&mut self, component: Id, reason: Reason, message: impl Into<String>) {
        self.said.entry(component).or_default().push((reason, message.into()));
    }

    /// Puts a wanted change on the list, if it may be written.
    fn want(&mut self, change: Change, patience: Patience, last_writer: &str) -> Fate {
        let key = change.key();
        if self.observed.unseen(key.kind, &key.name) {
            self.waiting = true;
            return Fate::Unseen;
        }
        if let Permission::Not(reason) = self.now.permission {
            return Fate::Forbidden(reason);
        }
        match self.ledger.judge(&change.ledger_key(), change.content(), patience, self.now.now, last_writer) {
            Verdict::Contested { manager } => Fate::Contested(manager),
            Verdict::Write => {
                self.waiting = true;
                self.changes.push(change);
                Fate::Written
            }
        }
    }

    /// Says what the fate of a change means for a component.
    fn say_fate(&mut self, component: Id, fate: &Fate, object: &ObjectKey, what: &str) {
        match fate {
            Fate::Written => self.say(component, Reason::Applying, format!("{object}: {what}")),
            Fate::Unseen => {
                self.say(component, Reason::Applying, format!("{object}: waiting to see what was written"));
            }
            Fate::Forbidden(reason) => {
                self.say(component, *reason, format!("{object}: {what}, and nothing is written: {}", why(*reason)));
            }
            Fate::Contested(manager) => {
                let message = format!(
                    "{object} was written and taken back by {manager} too often; hcp-identity has stopped writing it. Let \
                     one of the two write it (podPatch: none, or mode: observe), then set the annotation \
                     hcpidentity.dev/recheck on the HostedCluster to a new value"
                );
                self.contested.entry(component).or_default().push((object.clone(), manager.clone()));
                self.say(component, Reason::Contested, message);
            }
        }
    }

    fn component(&mut self, identity: &Identity) -> ComponentState {
        let id = identity.component;
        let wired = self.wired.get(&id).copied().unwrap_or_default();
        let Mounts { pods, mounted_pods, pods_without, unwired, mounted_versions } = self.mounts(id, wired);
        let mut said = self.said.remove(&id).unwrap_or_default();
        said.sort_by_key(|(reason, _)| *reason);
        let reason = said.first().map_or(Reason::Ready, |(reason, _)| *reason);
        let mut messages: Vec<String> = said.into_iter().map(|(_, message)| message).collect();
        messages.dedup();
        let notes = if messages.is_empty() { Vec::new() } else { messages.split_off(1) };
        let message = messages.pop().unwrap_or_default();
        let contested = self.contested.remove(&id).unwrap_or_default();
        ComponentState {
            id,
            reason,
            message,
            notes,
            wired,
            pods,
            mounted_pods,
            pods_without,
            unwired,
            mounted_versions,
            contested,
        }
    }

    /// Pods of a component that have not got its volume, and will not get it any more.
    fn without_volume(&self, id: Id) -> Vec<&'p Pod> {
        let app = apps(self.plan, id).into_iter().next().unwrap_or_default();
        let lacks = |pod: &&Pod| *pod.app == app && pod.phase == Phase::Running && !pod.mounts.contains(&id);
        self.observed.pods.iter().filter(lacks).collect()
    }

    /// Whether pods are wired as they are created: then they are what is wired or not.
    fn wires_at_creation(&self) -> bool {
        matches!(self.now.pod_patch, PodPatch::Webhook | PodPatch::Policy)
    }

    fn misses_pods(&self, id: Id) -> bool {
        self.wires_at_creation() && !self.without_volume(id).is_empty()
    }

    /// Says why nothing wires pods that are created.
    fn admission(&mut self) {
        let Observed { policies, webhook, .. } = self.observed;
        let is_unsupported = policies.as_ref().is_some_and(|trouble| trouble.reason == Reason::PoliciesUnsupported);
        let trouble = match self.now.pod_patch {
            PodPatch::Policy if is_unsupported && self.now.fallback == PolicyFallback::Webhook => webhook,
            PodPatch::Policy => policies,
            PodPatch::Webhook => webhook,
            PodPatch::Workload | PodPatch::None => return,
        };
        let Some(trouble) = trouble else { return };
        for identity in &self.plan.identities().named {
            self.say(identity.component, trouble.reason, trouble.message.clone());
        }
    }

    fn mounts(&mut self, id: Id, wired: bool) -> Mounts {
        let observed = self.observed;
        let pods: Vec<_> = observed.mounting(id).collect();
        let of = |pod: &str| observed.mounted.iter().find(|mounted| mounted.component == id && &*mounted.pod == pod);
        let statuses: Vec<_> = pods.iter().map(|pod| (pod, of(&pod.name).filter(|mounted| mounted.mounted))).collect();
        let mut versions: Vec<_> =
            statuses.iter().flat_map(|(_, status)| status.iter().flat_map(|s| s.versions.clone())).collect();
        versions.sort();
        versions.dedup();
        let mounted = statuses.iter().filter(|(_, status)| status.is_some()).count();
        let without = |phase| -> Vec<&Pod> {
            let pods = statuses.iter().filter(|(pod, status)| status.is_none() && pod.phase == phase);
            pods.map(|(pod, _)| **pod).collect()
        };
        let (empty, pending) = (without(Phase::Running), without(Phase::Pending));
        let old = self.without_volume(id);
        let at_creation = self.wires_at_creation();
        if let Some(first) = empty.first() {
            let why = self
                .why_unmounted(id, &empty)
                .unwrap_or_else(|| format!("`kubectl describe pod {}` shows why", first.name));
            let message = format!("{} runs, and the CSI driver reports no mount for its volume; {why}", names(&empty));
            self.say(id, Reason::EmptyMount, message);
        } else if let Some(first) = pending.first() {
            let why = self
                .why_unmounted(id, &pending)
                .unwrap_or_else(|| format!("`kubectl describe pod {}` shows what it waits for", first.name));
            let message = format!("{} has not started; {why}", names(&pending));
            self.say(id, Reason::WaitingForPod, message);
        } else if at_creation && !old.is_empty() {
            let message = format!(
                "{} was created without the volume, as before the class or what wires pods was there; delete it, and its \
                 successor has the volume",
                names(&old)
            );
            self.say(id, Reason::NotInjected, message);
        } else if wired && !old.is_empty() {
            let message = format!(
                "{} runs without the volume, from before it was wired; its Deployment replaces it",
                names(&old)
            );
            self.say(id, Reason::NotInjected, message);
        } else if pods.is_empty() && wired {
            self.say(
                id,
                Reason::WaitingForPod,
                "no pod has the volume yet; `kubectl get pods` in the control plane namespace",
            );
        }
        Mounts {
            pods: pods.len(),
            mounted_pods: mounted,
            pods_without: if wired || at_creation { old.len() } else { 0 },
            unwired: old.iter().filter(|_| at_creation).map(|pod| pod.name.clone()).collect(),
            mounted_versions: versions,
        }
    }
}

/// Pods with a component's volume, those of them with a credential in it, those without, and which versions are mounted.
struct Mounts {
    pods: usize,
    mounted_pods: usize,
    pods_without: usize,
    unwired: Vec<Box<str>>,
    mounted_versions: Vec<Box<str>>,
}

fn names(pods: &[&Pod]) -> String {
    pods.iter().map(|pod| &*pod.name).collect::<Vec<_>>().join(", ")
}

/// Why nothing is written, in words.
fn why(reason: Reason) -> &'static str {
    match reason {
        Reason::Paused => "spec.pausedUntil of the HostedCluster is in force",
        Reason::Observing => "mode is observe, in the settings or in the annotation hcpidentity.dev/mode",
        Reason::Deleting => "the HostedCluster is being deleted",
        _ => "it is not wanted",
    }
}

/// The pods' labels `app` of a component's row, the mounting one first.
fn apps(plan: &Plan, id: Id) -> Vec<String> {
    plan.settings().pods(Component::of(id)).into_iter().map(|pod| pod.app.to_owned()).collect()
}
