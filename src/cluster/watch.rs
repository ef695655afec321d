//! From the API server's watches into the store.
//!
//! One task a kind. Lists are streamed object by object where the server can, and read in small pages where not. A kind
//! whose CRD is not installed counts as listed and empty, and is asked for again.

use std::{collections::HashSet, fmt::Debug, sync::Arc, time::Duration};

use futures::StreamExt as _;
use hcp_identity_api::{
    control_plane_identity::ControlPlaneIdentity, hosted_cluster::HostedCluster,
    pod_status::SecretProviderClassPodStatus,
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    core::{DeserializeGuard, Status},
    runtime::watcher::{self, Event, watcher},
};
use serde::de::DeserializeOwned;

use super::{
    access::{
        Access, CAPZ_IDENTITIES, CLASSES, CSI_DRIVERS, DEPLOYMENTS, FAILED_MOUNTS, HOSTED_CLUSTERS, NAMESPACES,
        POD_STATUSES, PODS, SERVICE_ACCOUNTS, STATUSES,
    },
    client::{api, chain},
    daemon::Shared,
    project::{self, Interest},
    report::StatusSeen,
    store::{ClusterKey, Store, Unreadable},
    wire,
};
use crate::{
    observed::{Kind, ObjectKey, Republish},
    plan::CSI_DRIVER,
};

/// How long a watch lasts before it is asked for anew; one that has not been answered for twice as long is deaf.
pub(super) const WATCH_TIMEOUT: Duration = Duration::from_secs(240);

/// The longest that is waited between tries; and for a kind that is not installed, where a try costs next to nothing.
const LONGEST: Duration = Duration::from_secs(30);
const UNINSTALLED: Duration = Duration::from_secs(4);

/// Objects of a page where lists are not streamed.
const PAGE: u32 = 20;

/// News for these HostedClusters; absent if the object is none that matters.
type News = Result<Option<Vec<ClusterKey>>, Unreadable>;

/// A kind of object and its place in the store.
pub(super) trait Shelf: Send + 'static {
    type Object: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static;
    const ACCESS: &'static Access;
    /// Which of them, by the API server's choice.
    const FIELDS: Option<&'static str> = None;

    fn put(store: &mut Store, interest: &Interest, object: Self::Object) -> News;
    fn remove(store: &mut Store, namespace: &str, name: &str) -> News;
    /// What of ours an object of this name is, if we write this kind.
    fn written(_name: &str) -> Option<ObjectKey> {
        None
    }
    /// The kind is served, or it is not: whether that is news for everybody.
    fn installed(_: &mut Store, _: bool) -> bool {
        false
    }
}

/// Watches a kind until the task is dropped.
pub(super) async fn watch<S: Shelf>(shared: Arc<Shared>, client: Client) {
    let api: Api<S::Object> = api(&client, S::ACCESS);
    let mut known = HashSet::new();
    let mut streamed = true;
    let mut failures = 0;
    loop {
        let config = watcher::Config::default().timeout(u32::try_from(WATCH_TIMEOUT.as_secs()).unwrap_or(u32::MAX));
        let config = S::FIELDS.iter().fold(config, |config, fields| config.fields(fields));
        let config = if streamed { config.streaming_lists() } else { config.page_size(PAGE) };
        let mut restart = shared.interest_changed();
        let events = watcher(api.clone(), config);
        tokio::pin!(events);
        let mut listed = HashSet::new();
        let error = loop {
            let event = tokio::select! {
                event = events.next() => event,
                _ = restart.changed() => break None,
            };
            match event {
                Some(Ok(event)) => {
                    failures = 0;
                    take::<S>(&shared, event, &mut known, &mut listed);
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        let Some(error) = error else { continue };
        failures += 1;
        if let Some(code) = code(&error) {
            if code == 404 {
                absent::<S>(&shared, &mut known);
            } else if streamed && cannot_stream(code, &error) {
                tracing::info!(
                    resource = S::ACCESS.resource,
                    "the API server does not stream lists; reading them in pages"
                );
                streamed = false;
                continue;
            }
        }
        shared.metrics.watch_error();
        let expired = code(&error) == Some(410);
        if !expired && (failures == 1 || failures % 20 == 0) {
            tracing::warn!(resource = S::ACCESS.resource, error = words(&error), "the watch is tried again");
        }
        let longest = if code(&error) == Some(404) { UNINSTALLED } else { LONGEST };
        shared.refused(S::ACCESS, words(&error));
        tokio::time::sleep(backoff(failures, longest, shared.jitter())).await;
    }
}

/// Growing from half a second, with a spread, so that watches do not come back all at once.
fn backoff(failures: u32, longest: Duration, jitter: f64) -> Duration {
    Duration::from_millis(500 << failures.saturating_sub(1).min(6)).min(longest).mul_f64(0.75 + jitter / 2.0)
}

/// What the API server has answered, if it has.
fn status(error: &watcher::Error) -> Option<&Status> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status),
        _ => None,
    }
}

fn code(error: &watcher::Error) -> Option<u16> {
    status(error).map(|status| status.code)
}

/// The server's own words, or what has kept them from coming.
fn words(error: &watcher::Error) -> String {
    status(error).map_or_else(|| chain(error), |status| status.message.trim().to_owned())
}

/// A server without streaming lists says so in several ways, never with these codes.
fn cannot_stream(code: u16, error: &watcher::Error) -> bool {
    let text = chain(error);
    matches!(code, 400 | 422)
        || (code == 500 && text.contains("RequestWatchProgress"))
        || text.contains("sendInitialEvents")
}

type Known = HashSet<(Box<str>, Box<str>)>;

fn absent<S: Shelf>(shared: &Shared, known: &mut Known) {
    let mut store = shared.store();
    let mut news = if S::installed(&mut store, false) { store.cluster_keys() } else { Vec::new() };
    for (namespace, name) in known.drain() {
        collect(S::remove(&mut store, &namespace, &name), &mut news);
    }
    drop(store);
    shared.listed(S::ACCESS);
    shared.news(news);
}

fn take<S: Shelf>(shared: &Shared, event: Event<S::Object>, known: &mut Known, listed: &mut Known) {
    let mut news = Vec::new();
    let mut store = shared.store();
    match event {
        Event::Init => {
            if S::installed(&mut store, true) {
                news = store.cluster_keys();
            }
            listed.clear();
        }
        Event::Apply(object) | Event::InitApply(object) => {
            let key = key(&object);
            let put = S::put(&mut store, &shared.interest(), object);
            if matches!(put, Ok(Some(_))) {
                known.insert(key.clone());
                listed.insert(key);
                collect(put, &mut news);
            } else if known.remove(&key) {
                collect(S::remove(&mut store, &key.0, &key.1), &mut news);
            } else {
                collect(put, &mut news);
            }
        }
        Event::Delete(object) => {
            let key = key(&object);
            if known.remove(&key) {
                collect(S::remove(&mut store, &key.0, &key.1), &mut news);
                note_gone::<S>(&mut store, &key, object.resource_version().as_deref().unwrap_or_default());
            }
        }
        Event::InitDone => {
            let gone: Vec<_> = known.iter().filter(|key| !listed.contains(*key)).cloned().collect();
            for key in gone {
                known.remove(&key);
                collect(S::remove(&mut store, &key.0, &key.1), &mut news);
                note_gone::<S>(&mut store, &key, "");
            }
            *listed = Known::new();
            drop(store);
            shared.listed(S::ACCESS);
            return shared.news(news);
        }
    }
    drop(store);
    shared.news(news);
}

fn note_gone<S: Shelf>(store: &mut Store, (namespace, name): &(Box<str>, Box<str>), resource_version: &str) {
    if let Some(object) = S::written(name) {
        store.note_gone(namespace, &object, resource_version);
    }
}

fn key<K: Resource>(object: &K) -> (Box<str>, Box<str>) {
    (object.namespace().unwrap_or_default().into(), object.name_any().into())
}

fn collect(put: News, news: &mut Vec<ClusterKey>) {
    match put {
        Ok(keys) => news.extend(keys.unwrap_or_default()),
        Err(error) => tracing::error!(error = chain(&error), "this is a defect of hcp-identity; please report it"),
    }
}

pub(super) struct HostedClusters;
impl Shelf for HostedClusters {
    type Object = DeserializeGuard<HostedCluster>;
    const ACCESS: &'static Access = &HOSTED_CLUSTERS;

    fn put(store: &mut Store, _: &Interest, object: Self::Object) -> News {
        let cluster = match &object.0 {
            Ok(cluster) => project::cluster(cluster),
            Err(invalid) => project::malformed(&invalid.metadata, &invalid.error),
        };
        let key = ClusterKey::new(&cluster.namespace, &cluster.name);
        Ok(Some(store.put_cluster(key, Some(cluster))))
    }

    fn remove(store: &mut Store, namespace: &str, name: &str) -> News {
        Ok(Some(store.put_cluster(ClusterKey::new(namespace, name), None)))
    }
}

pub(super) struct Classes;
impl Shelf for Classes {
    type Object = wire::SecretProviderClass;
    const ACCESS: &'static Access = &CLASSES;

    fn put(store: &mut Store, _: &Interest, object: Self::Object) -> News {
        let Some(id) = project::component_of(&object.metadata) else { return Ok(None) };
        store.put_class(&object.namespace().unwrap_or_default(), id, Some(&project::class(&object))).map(Some)
    }

    fn remove(store: &mut Store, namespace: &str, name: &str) -> News {
        let Some(id) = project::component_of_class(name) else { return Ok(None) };
        store.put_class(namespace, id, None).map(Some)
    }

    fn written(name: &str) -> Option<ObjectKey> {
        Some(ObjectKey { kind: Kind::SecretProviderClass, name: name.into() })
    }

    fn installed(store: &mut Store, installed: bool) -> bool {
        std::mem::replace(&mut store.installed.classes, installed) != installed
    }
}

pub(super) struct PodStatuses;
impl Shelf for PodStatuses {
    type Object = SecretProviderClassPodStatus;
    const ACCESS: &'static Access = &POD_STATUSES;

    fn put(store: &mut Store, _: &Interest, object: Self::Object) -> News {
        let Some(mounted) = project::mounted(&object) else { return Ok(None) };
        Ok(Some(store.put_mounted(&object.namespace().unwrap_or_default(), &object.name_any(), Some(mounted))))
    }

    fn remove(store: &mut Store, namespace: &str, name: &str) -> News {
        Ok(Some(store.put_mounted(namespace, name, None)))
    }
}

pub(super) struct Deployments;
impl Shelf for Deployments {
    type Object = wire::Deployment;
    const ACCESS: &'static Access = &DEPLOYMENTS;

    fn put(store: &mut Store, interest: &Interest, object: Self::Object) -> News {
        let (namespace, name) = key(&object);
        let Some(workload) = project::workload(object, interest) else { return Ok(None) };
        store.put_workload(&namespace, &name, Some(workload)).map(Some)
    }

    fn remove(store: &mut Store, namespace: &str, name: &str) -> News {
        store.put_workload(namespace, name, None).map(Some)
    }

    fn written(name: &str) -> Option<ObjectKey> {
        Some(ObjectKey { kind: Kind::Deployment, name: name.into() })
    }
}

pub(super) struct Pods;
impl Shelf for Pods {
    type Object = wire::Pod;
    const ACCESS: &'static Access = &PODS;

    fn put(store: &mut Store, interest: &Interest, object: Self::Object) -> News {
        let Some(pod) = project::pod(&object, interest) else { return Ok(None) };
        Ok(Some(store.put_pod(&object.namespace().unwrap_or_default(), &object.name_any(), Some(pod))))
    }

    fn remove(store: &mut Store, namespace: &str, name: &str) -> News {
        Ok(Some(store.put_pod(namespace, name, None)))
    }
}

pub(super) struct FailedMounts;
impl Shelf for FailedMounts {
    type Object = wire::Event;
    const ACCESS: &'static Access = &FAILED_MOUNTS;
    const FIELDS: Option<&'static str> = Some("reason=FailedMount");

    fn put(store: &mut Store, _: &Interest, object: Self::Object) -> News {
        let Some(failed) = project::failed_mount(&object) else { return Ok(None) };
        Ok(Some(store.put_failed_mount(&object.namespace().unwrap_or_default(), &object.name_any(), Some(failed))))
    }

    fn remove(store: &mut Store, namespace: &str, name: &str) -> News {
        Ok(Some(store.put_failed_mount(namespace, name, None)))
    }
}

pub(super) struct CsiDrivers;
impl Shelf for CsiDrivers {
    type Object = wire::CsiDriver;
    const ACCESS: &'static Access = &CSI_DRIVERS;

    fn put(store: &mut Store, _: &Interest, object: Self::Object) -> News {
        if object.name_any() != CSI_DRIVER {
            return Ok(None);
        }
        let republish = if object.spec.requires_republish { Republish::Asked } else { Republish::NotAsked };
        Ok(Some(store.put_republish(republish)))
    }

    fn remove(store: &mut Store, _: &str, _: &str) -> News {
        Ok(Some(store.put_republish(Republish::Unknown)))
    }
}

pub(super) struct Namespaces;
impl Shelf for Namespaces {
    type Object = wire::Namespace;
    const ACCESS: &'static Access = &NAMESPACES;

    fn put(store: &mut Store, _: &Interest, object: Self::Object) -> News {
        // One that is going takes no new objects.
        Ok(Some(store.put_namespace(&object.name_any(), object.metadata.deletion_timestamp.is_none())))
    }

    fn remove(store: &mut Store, _: &str, name: &str) -> News {
        Ok(Some(store.put_namespace(name, false)))
    }
}

pub(super) struct CapzIdentities;
impl Shelf for CapzIdentities {
    type Object = wire::AzureClusterIdentity;
    const ACCESS: &'static Access = &CAPZ_IDENTITIES;

    fn put(store: &mut Store, _: &Interest, object: Self::Object) -> News {
        let identity = project::capz_identity(&object);
        store.put_capz(&object.namespace().unwrap_or_default(), &object.name_any(), Some(identity)).map(Some)
    }

    fn remove(store: &mut Store, namespace: &str, name: &str) -> News {
        store.put_capz(namespace, name, None).map(Some)
    }

    fn written(name: &str) -> Option<ObjectKey> {
        Some(ObjectKey { kind: Kind::AzureClusterIdentity, name: name.into() })
    }

    fn installed(store: &mut Store, installed: bool) -> bool {
        std::mem::replace(&mut store.installed.capz, installed) != installed
    }
}

/// They are news for no HostedCluster.
pub(super) struct ServiceAccounts;
impl Shelf for ServiceAccounts {
    type Object = wire::ServiceAccount;
    const ACCESS: &'static Access = &SERVICE_ACCOUNTS;

    fn put(store: &mut Store, _: &Interest, object: Self::Object) -> News {
        let account = project::service_account(&object);
        store.accounts.put(&object.namespace().unwrap_or_default(), &object.name_any(), account);
        Ok(Some(Vec::new()))
    }

    fn remove(store: &mut Store, namespace: &str, name: &str) -> News {
        store.accounts.remove(namespace, name);
        Ok(Some(Vec::new()))
    }
}

pub(super) struct Statuses;
impl Shelf for Statuses {
    type Object = DeserializeGuard<ControlPlaneIdentity>;
    const ACCESS: &'static Access = &STATUSES;

    fn put(store: &mut Store, _: &Interest, object: Self::Object) -> News {
        let metadata = object.meta();
        let owner =
            metadata.owner_references.iter().flatten().next().map(|owner| owner.uid.as_str()).unwrap_or_default();
        let version = metadata.resource_version.as_deref().unwrap_or_default();
        // One of another release that cannot be read is one that is to be written anew.
        let status = object.0.as_ref().ok().and_then(|identity| identity.status.as_ref());
        let seen = StatusSeen::new(owner, version, status)?;
        let key = ClusterKey::new(&object.namespace().unwrap_or_default(), &object.name_any());
        Ok(Some(store.put_status(key, Some(seen))))
    }

    fn remove(store: &mut Store, namespace: &str, name: &str) -> News {
        Ok(Some(store.put_status(ClusterKey::new(namespace, name), None)))
    }

    fn installed(store: &mut Store, installed: bool) -> bool {
        std::mem::replace(&mut store.installed.statuses, installed) != installed
    }
}
