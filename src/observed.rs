//! What is on the cluster, as small as the decisions need it. How it gets here is for others to know.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    component::{Id, Place},
    condition::Reason,
    finding::Problem,
    plan::{Identities, WorkloadIdentities},
    verification::Verification,
};

/// The field manager of everything that we write.
pub const MANAGER: &str = "hcp-identity";

/// What a write has to name so that a late one changes nothing.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Version {
    pub uid: Box<str>,
    pub resource_version: Box<str>,
}

/// A HostedCluster, read through the gate.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub namespace: Box<str>,
    pub name: Box<str>,
    pub uid: Box<str>,
    pub generation: i64,
    pub labels: BTreeMap<String, String>,
    pub scope: Option<Box<str>>,
    pub deleting: bool,
    pub paused_until: Option<Box<str>>,
    /// Of the annotation `hcpidentity.dev/mode`.
    pub mode: Option<Box<str>>,
    /// Of the annotation `hcpidentity.dev/recheck`: any new value is a request.
    pub recheck: Option<Box<str>>,
    /// Whether its platform is Azure: of others nothing is told.
    pub azure: bool,
    pub identities: Option<Identities>,
    /// Where it signs in with tokens of its own, in the place of the others.
    pub workload_identities: Option<WorkloadIdentities>,
    pub problems: Vec<Problem>,
}

/// Somebody who has written an object, and which of the fields that matter here are theirs.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Owner {
    pub manager: Box<str>,
    pub fields: Vec<Box<str>>,
}

impl Owner {
    #[must_use]
    pub fn is_us(&self) -> bool {
        &*self.manager == MANAGER
    }
}

/// A SecretProviderClass with the name of a row.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Class {
    pub version: Version,
    pub deleting: bool,
    /// Carries our label: we made it.
    pub made_by_us: bool,
    /// Somebody else has written to it, or it carries the marks of an operator.
    pub adopted: bool,
    pub provider: Box<str>,
    pub parameters: BTreeMap<Box<str>, Box<str>>,
    /// Fields are `provider` and the names of parameters. A manager that owns none of these is here as well.
    pub owners: Vec<Owner>,
}

/// A Deployment with the label `app` of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    pub name: Box<str>,
    pub version: Version,
    pub deleting: bool,
    /// Written by library-go, which undoes what it does not know within half a second.
    pub library_go: bool,
    /// Made by an operator of HyperShift's, which then also writes the configuration that names the credential.
    pub hypershift: bool,
    /// Pods of an earlier template may still be there, or come: its status is not of this generation, or not all replicas
    /// are updated.
    pub rolling: bool,
    /// Its pod template: labels, and of the pod spec what wiring looks at.
    pub template: Value,
    /// Who owns which elements of the template.
    pub owners: Vec<(Item, Vec<Box<str>>)>,
}

/// The key of an element of a pod template's list, as the API server merges them.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Item {
    Volume(Box<str>),
    /// Container and mount path.
    Mount(Box<str>, Box<str>),
    /// Container and name.
    Env(Box<str>, Box<str>),
}

/// A pod that mounts a class of a row or has the label of one.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Pod {
    pub name: Box<str>,
    pub app: Box<str>,
    /// Components whose class it has a volume of.
    pub mounts: Vec<Id>,
    pub phase: Phase,
    pub created: Option<Timestamp>,
    pub uid: Box<str>,
    /// It is on its way out, and a successor in.
    pub deleting: bool,
    pub ready: bool,
}

/// How far a pod has come.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Phase {
    /// Its volumes may still be on their way.
    #[default]
    Pending,
    Running,
    /// It will not use a mount again.
    Ended,
}

/// What the CSI driver says that a pod has mounted of a class.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Mounted {
    pub pod: Box<str>,
    pub component: Id,
    pub mounted: bool,
    pub versions: Vec<Box<str>>,
}

/// A volume of a pod that its kubelet could not mount.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FailedMount {
    pub pod: Box<str>,
    pub pod_uid: Box<str>,
    /// Empty where the kubelet names none.
    pub volume: Box<str>,
    pub why: Why,
}

/// Of the kubelet's text only what is known to be fit for a status.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Why {
    Explained {
        reason: &'static str,
        cause: &'static str,
        next: &'static str,
        /// Empty where none helps.
        command: Box<str>,
    },
    /// Nothing explains it. `names` are those that it has, in words.
    Unknown { names: Box<str> },
}

impl FailedMount {
    #[must_use]
    pub fn is_of(&self, pod: &Pod) -> bool {
        self.pod_uid == pod.uid && self.pod == pod.name
    }
}

/// An AzureClusterIdentity with the name of a HostedCluster.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CapzIdentity {
    pub version: Version,
    pub made_by_us: bool,
    /// Its `spec`, as JSON.
    pub spec: Value,
    /// Fields are those of `spec`.
    pub owners: Vec<Owner>,
}

/// What is known of the objects that say to pods as whom they sign in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Configuration {
    /// Those that could be looked at; absent is one that is not there.
    pub objects: BTreeMap<Place, Option<Sighted>>,
    /// Why others could not.
    pub trouble: Option<String>,
}

impl Configuration {
    /// Whether all of it is there, with all its keys.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let is_whole = |(place, seen): (&Place, &Option<Sighted>)| {
            seen.as_ref().is_some_and(|seen| seen.lacks(*place).next().is_none())
        };
        self.trouble.is_none() && self.objects.iter().all(is_whole)
    }
}

/// A Secret or ServiceAccount, by its metadata.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sighted {
    pub managers: Vec<Box<str>>,
    /// Of a Secret, those that somebody is known to have written.
    pub keys: Vec<Box<str>>,
    /// Of a ServiceAccount, those that say who its pods are.
    pub annotations: BTreeMap<Box<str>, Box<str>>,
}

impl Sighted {
    /// Keys that it is known not to have. Where nobody is known to have written any, nothing is known of the others either.
    pub fn lacks(&self, place: Place) -> impl Iterator<Item = &'static str> {
        let lacks = |key: &&str| !self.keys.is_empty() && !self.keys.iter().any(|found| **found == **key);
        place.keys().iter().copied().filter(lacks)
    }
}

/// Whether the CSI driver has the kubelet mount again and again, which is how it rotates.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Republish {
    #[default]
    Unknown,
    Asked,
    NotAsked,
}

/// What wires pods as they are created is not as it should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AdmissionTrouble {
    pub reason: Reason,
    pub message: String,
}

/// Everything of one control plane.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    pub namespace_exists: bool,
    /// Whether the CSI driver's CRD is there.
    pub driver_installed: bool,
    pub classes: BTreeMap<Id, Class>,
    pub workloads: Vec<Workload>,
    pub pods: Vec<Pod>,
    pub mounted: Vec<Mounted>,
    /// The last of each volume.
    pub failed_mounts: Vec<FailedMount>,
    /// Whether Cluster API Provider Azure's CRD is there.
    pub capz_installed: bool,
    pub capz_identity: Option<CapzIdentity>,
    /// Absent where it is not looked at.
    pub configuration: Option<Configuration>,
    /// What is known of the credentials of named identities; nothing where they are not checked.
    pub verified: BTreeMap<Id, Verification>,
    pub republish: Republish,
    /// Why the admission policies cannot be relied on, where they are to wire pods.
    pub policies: Option<AdmissionTrouble>,
    /// What is wrong with the webhook.
    pub webhook: Option<AdmissionTrouble>,
    /// Objects of which the watch has not yet shown what we wrote.
    pub unseen_writes: Vec<ObjectKey>,
}

/// Which object of a control plane namespace.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectKey {
    pub kind: Kind,
    pub name: Box<str>,
}

/// What we write into a control plane namespace.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, strum::Display, strum::EnumString)]
pub enum Kind {
    SecretProviderClass,
    Deployment,
    AzureClusterIdentity,
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl Observed {
    #[must_use]
    pub fn unseen(&self, kind: Kind, name: &str) -> bool {
        self.unseen_writes.iter().any(|key| key.kind == kind && &*key.name == name)
    }

    /// Pods that are alive and have a volume of a component's class.
    pub fn mounting(&self, component: Id) -> impl Iterator<Item = &Pod> {
        self.pods.iter().filter(move |pod| pod.phase != Phase::Ended && pod.mounts.contains(&component))
    }
}
