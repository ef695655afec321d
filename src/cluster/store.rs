//! What the watches have shown, small, and by control plane.
//!
//! Kept packed: a control plane is looked at for a moment after something in it has changed, and lies here for weeks.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    configuration::Configurations, failed_mounts::FailedMounts, report::StatusSeen, service_accounts::ServiceAccounts,
};
use crate::{
    component::{Component, Id},
    names::control_plane_namespace,
    observed::{
        AdmissionTrouble, CapzIdentity, Class, Cluster, FailedMount, Item, Kind, Mounted, ObjectKey, Observed, Pod,
        Republish, Version, Workload,
    },
};

/// `namespace/name` of a HostedCluster.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClusterKey {
    pub namespace: Arc<str>,
    pub name: Arc<str>,
}

impl std::fmt::Display for ClusterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl ClusterKey {
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    #[must_use]
    pub fn control_plane_namespace(&self) -> String {
        control_plane_namespace(&self.namespace, &self.name)
    }
}

/// What has been read. Each change names the HostedClusters that it is news for.
#[derive(Debug, Default)]
pub(super) struct Store {
    clusters: BTreeMap<ClusterKey, Arc<Cluster>>,
    /// Which HostedClusters have which control plane namespace: one each, unless names collide.
    of_namespace: HashMap<Box<str>, Vec<ClusterKey>>,
    namespaces: HashSet<Box<str>>,
    planes: HashMap<Box<str>, Plane>,
    statuses: HashMap<ClusterKey, StatusSeen>,
    shared: Shared,
    pub(super) installed: Installed,
    pub(super) accounts: ServiceAccounts,
    pub(super) configurations: Configurations,
    republish: Republish,
    policies: Option<AdmissionTrouble>,
    webhook: Option<AdmissionTrouble>,
}

/// Which kinds the API server serves.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Installed {
    pub(super) classes: bool,
    pub(super) capz: bool,
    /// Of our own CRD.
    pub(super) statuses: bool,
}

/// The objects of one control plane namespace.
#[derive(Debug, Default)]
struct Plane {
    classes: Vec<(Id, Packed<Class>)>,
    workloads: Vec<PackedWorkload>,
    pods: Vec<Pod>,
    /// By the name of the SecretProviderClassPodStatus.
    mounted: Vec<(Box<str>, Mounted)>,
    failed_mounts: FailedMounts,
    capz: Vec<(Box<str>, Box<[u8]>, CapzVersion)>,
    /// Objects of which the watch has told the end, and as of which version; empty where only a list has told it.
    gone: Vec<(ObjectKey, Box<str>)>,
}

/// What the watch has shown of an object last.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Shown {
    Nothing,
    Version(Box<str>),
    Gone(Box<str>),
}

/// The rest of a [`CapzIdentity`] beside its spec.
type CapzVersion = (Version, bool, Vec<crate::observed::Owner>);

#[derive(Debug)]
struct Packed<T> {
    bytes: Box<[u8]>,
    of: std::marker::PhantomData<fn() -> T>,
}

#[derive(Debug)]
struct PackedWorkload {
    name: Box<str>,
    version: Version,
    deleting: bool,
    library_go: bool,
    hypershift: bool,
    rolling: bool,
    template: Arc<[u8]>,
    owners: Arc<[u8]>,
}

/// Bytes that many objects have in common, once.
#[derive(Debug, Default)]
struct Shared {
    all: HashSet<Arc<[u8]>>,
    since_sweep: usize,
}

/// Something of our own memory cannot be read back: a defect of this program.
#[derive(Debug, thiserror::Error)]
#[error("cannot read back what was kept of {what}: {why}")]
pub(super) struct Unreadable {
    pub(super) what: &'static str,
    pub(super) why: String,
}

impl Shared {
    fn share(&mut self, bytes: &[u8]) -> Arc<[u8]> {
        self.since_sweep += 1;
        if self.since_sweep > 4096 {
            self.since_sweep = 0;
            self.all.retain(|bytes| Arc::strong_count(bytes) > 1);
        }
        if let Some(bytes) = self.all.get(bytes) {
            return Arc::clone(bytes);
        }
        let bytes: Arc<[u8]> = bytes.into();
        self.all.insert(Arc::clone(&bytes));
        bytes
    }
}

impl<T: serde::Serialize + serde::de::DeserializeOwned> Packed<T> {
    fn new(value: &T) -> Result<Self, Unreadable> {
        let bytes =
            postcard::to_allocvec(value).map_err(|error| Unreadable { what: "an object", why: error.to_string() })?;
        Ok(Self { bytes: bytes.into(), of: std::marker::PhantomData })
    }

    fn open(&self) -> Result<T, Unreadable> {
        postcard::from_bytes(&self.bytes).map_err(|error| Unreadable { what: "an object", why: error.to_string() })
    }
}

impl PackedWorkload {
    fn new(workload: Workload, shared: &mut Shared) -> Result<Self, Unreadable> {
        let unpackable = |why: String| Unreadable { what: "a Deployment", why };
        let template = serde_json::to_vec(&workload.template).map_err(|error| unpackable(error.to_string()))?;
        let owners = postcard::to_allocvec(&workload.owners).map_err(|error| unpackable(error.to_string()))?;
        let Workload { name, version, deleting, library_go, hypershift, rolling, .. } = workload;
        let (template, owners) = (shared.share(&template), shared.share(&owners));
        Ok(Self { name, version, deleting, library_go, hypershift, rolling, template, owners })
    }

    fn open(&self) -> Result<Workload, Unreadable> {
        let unreadable = |why: String| Unreadable { what: "a Deployment", why };
        let owners: Vec<(Item, Vec<Box<str>>)> =
            postcard::from_bytes(&self.owners).map_err(|error| unreadable(error.to_string()))?;
        Ok(Workload {
            name: self.name.clone(),
            version: self.version.clone(),
            deleting: self.deleting,
            library_go: self.library_go,
            hypershift: self.hypershift,
            rolling: self.rolling,
            template: serde_json::from_slice(&self.template).map_err(|error| unreadable(error.to_string()))?,
            owners,
        })
    }
}

/// Replaces the element that is the same, or adds one; removes it where there is nothing new.
fn put<T>(list: &mut Vec<T>, same: impl Fn(&T) -> bool, new: Option<T>) {
    match (list.iter().position(same), new) {
        (Some(index), Some(new)) => list[index] = new,
        (Some(index), None) => drop(list.swap_remove(index)),
        (None, Some(new)) => {
            list.reserve_exact(1);
            list.push(new);
        }
        (None, None) => {}
    }
}

impl Store {
    pub(super) fn cluster(&self, key: &ClusterKey) -> Option<Arc<Cluster>> {
        self.clusters.get(key).cloned()
    }

    pub(super) fn cluster_keys(&self) -> Vec<ClusterKey> {
        self.clusters.keys().cloned().collect()
    }

    /// The HostedClusters of a control plane namespace.
    pub(super) fn of_namespace(&self, namespace: &str) -> Vec<ClusterKey> {
        self.of_namespace.get(namespace).cloned().unwrap_or_default()
    }

    pub(super) fn put_cluster(&mut self, key: ClusterKey, cluster: Option<Cluster>) -> Vec<ClusterKey> {
        let namespace = key.control_plane_namespace();
        let neighbours = self.of_namespace.entry(namespace.as_str().into()).or_default();
        neighbours.retain(|other| *other != key);
        if cluster.is_some() {
            neighbours.push(key.clone());
            neighbours.sort();
        }
        // A collision begins or ends for all of them.
        let mut news = neighbours.clone();
        if neighbours.is_empty() {
            self.of_namespace.remove(namespace.as_str());
        }
        news.push(key.clone());
        match cluster {
            Some(cluster) => drop(self.clusters.insert(key, Arc::new(cluster))),
            None => drop(self.clusters.remove(&key)),
        }
        news.sort();
        news.dedup();
        news
    }

    pub(super) fn put_namespace(&mut self, name: &str, there: bool) -> Vec<ClusterKey> {
        if there {
            self.namespaces.insert(name.into());
        } else {
            self.namespaces.remove(name);
        }
        self.of_namespace(name)
    }

    /// Of the admission policies, which are the same for all.
    pub(super) fn put_policies(&mut self, trouble: Option<AdmissionTrouble>) -> Vec<ClusterKey> {
        if self.policies == trouble {
            return Vec::new();
        }
        self.policies = trouble;
        self.cluster_keys()
    }

    /// Of this replica's webhook, which is the same for all.
    pub(super) fn put_webhook(&mut self, trouble: Option<AdmissionTrouble>) -> Vec<ClusterKey> {
        if self.webhook == trouble {
            return Vec::new();
        }
        self.webhook = trouble;
        self.cluster_keys()
    }

    /// Of the CSI driver, which is one for all.
    pub(super) fn put_republish(&mut self, republish: Republish) -> Vec<ClusterKey> {
        let before = std::mem::replace(&mut self.republish, republish);
        if before == republish { Vec::new() } else { self.cluster_keys() }
    }

    pub(super) fn put_class(
        &mut self,
        namespace: &str,
        id: Id,
        class: Option<&Class>,
    ) -> Result<Vec<ClusterKey>, Unreadable> {
        let new = class.map(Packed::new).transpose()?.map(|class| (id, class));
        self.plane(namespace, |plane| put(&mut plane.classes, |(other, _)| *other == id, new));
        Ok(self.of_namespace(namespace))
    }

    pub(super) fn put_workload(
        &mut self,
        namespace: &str,
        name: &str,
        workload: Option<Workload>,
    ) -> Result<Vec<ClusterKey>, Unreadable> {
        let new = workload.map(|workload| PackedWorkload::new(workload, &mut self.shared)).transpose()?;
        self.plane(namespace, |plane| put(&mut plane.workloads, |other| &*other.name == name, new));
        Ok(self.of_namespace(namespace))
    }

    /// News only if something that matters has changed: pods report often.
    pub(super) fn put_pod(&mut self, namespace: &str, name: &str, pod: Option<Pod>) -> Vec<ClusterKey> {
        let before = self.planes.get(namespace).and_then(|plane| plane.pods.iter().find(|other| &*other.name == name));
        if before == pod.as_ref() {
            return Vec::new();
        }
        self.plane(namespace, |plane| {
            if pod.is_none() {
                plane.failed_mounts.forget_pod(name);
            }
            put(&mut plane.pods, |other| &*other.name == name, pod);
        });
        self.of_namespace(namespace)
    }

    pub(super) fn put_mounted(&mut self, namespace: &str, name: &str, mounted: Option<Mounted>) -> Vec<ClusterKey> {
        let new = mounted.map(|mounted| (name.into(), mounted));
        self.plane(namespace, |plane| put(&mut plane.mounted, |(other, _)| &**other == name, new));
        self.of_namespace(namespace)
    }

    /// News only if it says something else than before: kubelets try again every few minutes.
    pub(super) fn put_failed_mount(
        &mut self,
        namespace: &str,
        event: &str,
        failed: Option<(Timestamp, FailedMount)>,
    ) -> Vec<ClusterKey> {
        let before = self.failed_mounts(namespace);
        self.plane(namespace, |plane| plane.failed_mounts.put(event, failed));
        if self.failed_mounts(namespace) == before { Vec::new() } else { self.of_namespace(namespace) }
    }

    fn failed_mounts(&self, namespace: &str) -> Vec<FailedMount> {
        self.planes.get(namespace).map(|plane| plane.failed_mounts.latest()).unwrap_or_default()
    }

    pub(super) fn put_capz(
        &mut self,
        namespace: &str,
        name: &str,
        identity: Option<CapzIdentity>,
    ) -> Result<Vec<ClusterKey>, Unreadable> {
        let new = match identity {
            None => None,
            Some(identity) => {
                let spec = serde_json::to_vec(&identity.spec)
                    .map_err(|error| Unreadable { what: "an AzureClusterIdentity", why: error.to_string() })?;
                let rest = (identity.version, identity.made_by_us, identity.owners);
                Some((name.into(), spec.into_boxed_slice(), rest))
            }
        };
        self.plane(namespace, |plane| put(&mut plane.capz, |(other, ..)| &**other == name, new));
        Ok(self.of_namespace(namespace))
    }

    fn plane(&mut self, namespace: &str, change: impl FnOnce(&mut Plane)) {
        let plane = self.planes.entry(namespace.into()).or_default();
        change(plane);
        plane.failed_mounts.forget_mounted(&plane.pods, &plane.mounted);
        if plane.is_empty() {
            self.planes.remove(namespace);
        }
    }

    pub(super) fn put_status(&mut self, key: ClusterKey, status: Option<StatusSeen>) -> Vec<ClusterKey> {
        match status {
            Some(status) => drop(self.statuses.insert(key.clone(), status)),
            None => drop(self.statuses.remove(&key)),
        }
        vec![key]
    }

    pub(super) fn status(&self, key: &ClusterKey) -> Option<&StatusSeen> {
        self.statuses.get(key)
    }

    /// The provider classes of a control plane.
    pub(super) fn classes(&self, namespace: &str) -> Result<BTreeMap<Id, Class>, Unreadable> {
        let classes = self.planes.get(namespace).map(|plane| plane.classes.as_slice()).unwrap_or_default();
        classes.iter().map(|(id, class)| Ok((*id, class.open()?))).collect()
    }

    /// Everything of a control plane.
    pub(super) fn observe(&self, key: &ClusterKey) -> Result<Observed, Unreadable> {
        let namespace = key.control_plane_namespace();
        let mut observed = Observed {
            namespace_exists: self.namespaces.contains(namespace.as_str()),
            driver_installed: self.installed.classes,
            capz_installed: self.installed.capz,
            configuration: self.configurations.get(key),
            republish: self.republish,
            policies: self.policies.clone(),
            webhook: self.webhook.clone(),
            ..Observed::default()
        };
        let Some(plane) = self.planes.get(namespace.as_str()) else { return Ok(observed) };
        observed.classes = self.classes(&namespace)?;
        observed.workloads = plane.workloads.iter().map(PackedWorkload::open).collect::<Result<_, _>>()?;
        observed.workloads.sort_by(|a, b| a.name.cmp(&b.name));
        observed.pods.clone_from(&plane.pods);
        observed.pods.sort_by(|a, b| a.name.cmp(&b.name));
        observed.mounted = plane.mounted.iter().map(|(_, mounted)| mounted.clone()).collect();
        observed.failed_mounts = plane.failed_mounts.latest();
        if let Some((_, spec, (version, made_by_us, owners))) = plane.capz.iter().find(|(name, ..)| **name == *key.name)
        {
            let unreadable =
                |error: serde_json::Error| Unreadable { what: "an AzureClusterIdentity", why: error.to_string() };
            let spec = serde_json::from_slice(spec).map_err(unreadable)?;
            let (version, made_by_us, owners) = (version.clone(), *made_by_us, owners.clone());
            observed.capz_identity = Some(CapzIdentity { version, made_by_us, spec, owners });
        }
        Ok(observed)
    }

    /// Notes the end of an object.
    pub(super) fn note_gone(&mut self, namespace: &str, key: &ObjectKey, resource_version: &str) {
        if let Some(plane) = self.planes.get_mut(namespace) {
            let new = Some((key.clone(), resource_version.into()));
            put(&mut plane.gone, |(other, _)| other == key, new);
        }
    }

    pub(super) fn shown(&self, namespace: &str, key: &ObjectKey) -> Result<Shown, Unreadable> {
        let Some(plane) = self.planes.get(namespace) else { return Ok(Shown::Nothing) };
        let there = match key.kind {
            Kind::SecretProviderClass => {
                let class = plane.classes.iter().find(|(id, _)| *Component::of(*id).class == *key.name);
                class.map(|(_, class)| class.open()).transpose()?.map(|class| class.version.resource_version)
            }
            Kind::Deployment => {
                let workload = plane.workloads.iter().find(|workload| workload.name == key.name);
                workload.map(|workload| workload.version.resource_version.clone())
            }
            Kind::AzureClusterIdentity => {
                let identity = plane.capz.iter().find(|(name, ..)| *name == key.name);
                identity.map(|(_, _, (version, ..))| version.resource_version.clone())
            }
        };
        let gone =
            || plane.gone.iter().find(|(other, _)| other == key).map(|(_, version)| Shown::Gone(version.clone()));
        Ok(there.map(Shown::Version).or_else(gone).unwrap_or(Shown::Nothing))
    }
}

impl Plane {
    fn is_empty(&self) -> bool {
        self.classes.is_empty()
            && self.workloads.is_empty()
            && self.pods.is_empty()
            && self.mounted.is_empty()
            && self.failed_mounts.is_empty()
            && self.capz.is_empty()
    }
}
