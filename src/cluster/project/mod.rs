//! From objects as they are read to what is kept of them.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use hcp_identity_api::{
    hosted_cluster::{HostedCluster, annotations},
    pod_status::SecretProviderClassPodStatus,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::{Map, Value, json};

use super::wire;
use crate::{
    component::{COMPONENTS, Id, MinterFlag, TOKEN_FOLDER, TokenEnv},
    explain::{Explanation, explain, recognise},
    finding::{FieldPath, Problem, Reason, Severity},
    observed::{CapzIdentity, Class, Cluster, FailedMount, Item, Mounted, Owner, Phase, Pod, Version, Why, Workload},
    plan::{self, MANAGED_BY, same_path},
    settings::Settings,
    workload_identity::ServiceAccount,
};

/// Annotations of ours on a HostedCluster.
const MODE: &str = "hcpidentity.dev/mode";
const RECHECK: &str = "hcpidentity.dev/recheck";

/// library-go's mark on what it writes.
const LIBRARY_GO: &str = "operator.openshift.io/spec-hash";
/// Marks of HyperShift's own operators.
const DESIRED_STATE_HASH: &str = "hypershift.openshift.io/desired-state-hash";
const HYPERSHIFT_MANAGED_BY: &str = "hypershift.openshift.io/managed-by";
const CONTROL_PLANE_COMPONENT: &str = "hypershift.openshift.io/control-plane-component";

/// What of a pod template matters: every name that some row may put into one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Interest {
    pub(super) apps: BTreeSet<String>,
    volumes: BTreeSet<String>,
    paths: BTreeSet<String>,
    env: BTreeSet<String>,
    minters: BTreeSet<&'static str>,
    secret_folders: BTreeSet<&'static str>,
}

/// Of its annotations, those that matter.
pub(super) fn service_account(account: &wire::ServiceAccount) -> ServiceAccount {
    let annotations = account.metadata.annotations.iter().flatten();
    ServiceAccount::new(annotations.map(|(key, value)| (key.as_str(), value.as_str())))
}

impl Interest {
    /// From the settings, or from the table alone where there are none.
    pub(super) fn new(settings: Option<&Settings>) -> Self {
        let mut interest = Self::default();
        interest.env.extend(TokenEnv::ALL.iter().map(ToString::to_string));
        interest.paths.insert(TOKEN_FOLDER.to_owned());
        for component in &COMPONENTS {
            let token = &component.federated.token;
            interest.minters.insert(token.minter);
            interest.secret_folders.extend(token.secret_folder);
            interest.paths.extend(token.secret_folder.map(str::to_owned));
            for pod in component.pods {
                interest.apps.insert(pod.app.to_owned());
                interest.volumes.extend(pod.mount.iter().map(|mount| mount.volume.to_owned()));
                interest.paths.extend(pod.mount.iter().map(|mount| mount.path.to_owned()));
                interest.env.extend(pod.env.iter().map(|env| env.name.to_owned()));
            }
            for pod in settings.map(|settings| settings.pods(component)).unwrap_or_default() {
                interest.apps.insert(pod.app.to_owned());
                interest.paths.extend(pod.mount.map(|mount| mount.path.to_owned()));
            }
        }
        interest
    }

    fn has_path(&self, path: &str) -> bool {
        self.paths.iter().any(|wanted| same_path(wanted, path))
    }
}

pub(super) fn cluster(cluster: &HostedCluster) -> Cluster {
    let plan::Gated { identities, workload_identities, mut problems } = plan::gate(cluster);
    // Of a HostedCluster without a plan its problems are all that is told, odd ones too.
    let federated = problems.iter().any(|problem| problem.reason == Reason::WorkloadIdentities);
    problems.retain(|problem| federated || problem.severity == Severity::Error || problem.reason.explains_absence());
    let azure = cluster.spec.platform.platform_type == "Azure";
    let paused_until = cluster.spec.paused_until.as_deref().map(Box::from);
    Cluster { paused_until, azure, identities, workload_identities, problems, ..named_cluster(&cluster.metadata) }
}

/// A HostedCluster whose fields are not of the types that the CRD gives them.
pub(super) fn malformed(metadata: &ObjectMeta, error: &str) -> Cluster {
    let message = format!("cannot be read: {error}");
    let remedy = "correct the HostedCluster, or run the release of hcp-identity that knows its CRD";
    let problems = vec![Problem::error(Reason::InvalidType, FieldPath::of("spec"), message, remedy)];
    Cluster { azure: true, problems, ..named_cluster(metadata) }
}

fn named_cluster(metadata: &ObjectMeta) -> Cluster {
    let annotation = |name: &str| metadata.annotations.as_ref()?.get(name).map(|value| value.as_str().into());
    Cluster {
        namespace: metadata.namespace.as_deref().unwrap_or_default().into(),
        name: metadata.name.as_deref().unwrap_or_default().into(),
        uid: metadata.uid.as_deref().unwrap_or_default().into(),
        generation: metadata.generation.unwrap_or_default(),
        labels: metadata.labels.clone().unwrap_or_default(),
        scope: annotation(annotations::SCOPE),
        deleting: metadata.deletion_timestamp.is_some(),
        mode: annotation(MODE),
        recheck: annotation(RECHECK),
        ..Cluster::default()
    }
}

fn version(metadata: &ObjectMeta) -> Version {
    Version {
        uid: metadata.uid.as_deref().unwrap_or_default().into(),
        resource_version: metadata.resource_version.as_deref().unwrap_or_default().into(),
    }
}

fn made_by_us(metadata: &ObjectMeta) -> bool {
    let (label, ours) = MANAGED_BY;
    metadata.labels.as_ref().and_then(|labels| labels.get(label)).is_some_and(|value| value == ours)
}

pub(super) fn class(class: &wire::SecretProviderClass) -> Class {
    let metadata = &class.metadata;
    let owners = owners(metadata, |fields| {
        let spec = fields.get("f:spec");
        let parameters = spec.and_then(|spec| spec.get("f:parameters"));
        let provider = spec.and_then(|spec| spec.get("f:provider")).map(|_| "provider".into());
        provider.into_iter().chain(field_names(parameters)).collect()
    });
    let hash = metadata.annotations.as_ref().is_some_and(|all| all.contains_key(DESIRED_STATE_HASH));
    let owned = metadata.owner_references.as_ref().is_some_and(|owners| !owners.is_empty());
    Class {
        version: version(metadata),
        deleting: metadata.deletion_timestamp.is_some(),
        made_by_us: made_by_us(metadata),
        adopted: hash || owned || !owners.iter().all(Owner::is_us),
        provider: class.spec.provider.as_str().into(),
        parameters: class
            .spec
            .parameters
            .iter()
            .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
            .collect(),
        owners,
    }
}

pub(super) fn capz_identity(identity: &wire::AzureClusterIdentity) -> CapzIdentity {
    CapzIdentity {
        version: version(&identity.metadata),
        made_by_us: made_by_us(&identity.metadata),
        spec: identity.spec.clone(),
        owners: owners(&identity.metadata, |fields| field_names(fields.get("f:spec")).collect()),
    }
}

/// Each manager with what it owns, in the API server's order, which is that of time.
fn owners(metadata: &ObjectMeta, owned: impl Fn(&Value) -> Vec<Box<str>>) -> Vec<Owner> {
    let entries =
        metadata.managed_fields.as_deref().unwrap_or_default().iter().filter(|entry| entry.subresource.is_none());
    entries
        .map(|entry| Owner {
            manager: manager(entry),
            fields: entry.fields_v1.as_ref().map(|fields| owned(&fields.0)).unwrap_or_default(),
        })
        .collect()
}

fn manager(entry: &ManagedFieldsEntry) -> Box<str> {
    entry.manager.as_deref().unwrap_or("unknown").into()
}

/// Names of `f:` fields.
fn field_names(fields: Option<&Value>) -> impl Iterator<Item = Box<str>> {
    fields.and_then(Value::as_object).into_iter().flatten().filter_map(|(key, _)| key.strip_prefix("f:")).map(Box::from)
}

/// A Deployment that carries a component by its label, or nothing.
pub(super) fn workload(deployment: wire::Deployment, interest: &Interest) -> Option<Workload> {
    let wire::Deployment { metadata, spec, status } = deployment;
    let app = label(&spec.template, "app")?;
    if !interest.apps.contains(app) {
        return None;
    }
    let has = |all: &Option<std::collections::BTreeMap<String, String>>, key| {
        all.as_ref().is_some_and(|all| all.contains_key(key))
    };
    let library_go = has(&metadata.annotations, LIBRARY_GO);
    Some(Workload {
        name: metadata.name.as_deref()?.into(),
        version: version(&metadata),
        deleting: metadata.deletion_timestamp.is_some(),
        library_go,
        rolling: status.observed_generation < metadata.generation.unwrap_or_default()
            || status.replicas != status.updated_replicas,
        hypershift: library_go
            || has(&metadata.labels, HYPERSHIFT_MANAGED_BY)
            || label(&spec.template, CONTROL_PLANE_COMPONENT).is_some(),
        owners: item_owners(&metadata, interest),
        template: trimmed(&spec.template, app, interest),
    })
}

fn label<'v>(template: &'v Value, name: &str) -> Option<&'v str> {
    template.get("metadata")?.get("labels")?.get(name)?.as_str()
}

/// The template with what matters whole and of the rest the names, so that indexes stay true.
fn trimmed(template: &Value, app: &str, interest: &Interest) -> Value {
    let spec = template.get("spec").unwrap_or(&Value::Null);
    let containers = list(spec, "containers").iter().map(|container| {
        let mut kept = named(container, interest);
        let matters = |mount: &Value| text(mount, "mountPath").is_some_and(|path| interest.has_path(path));
        keep(&mut kept, "volumeMounts", list(container, "volumeMounts"), matters);
        keep(&mut kept, "env", list(container, "env"), |env| {
            text(env, "name").is_some_and(|name| interest.env.contains(name))
        });
        Value::Object(kept)
    });
    let of_secrets = volumes_of_secrets(spec, interest);
    let matters = |volume: &Value| {
        text(volume, "name").is_some_and(|name| interest.volumes.contains(name) || of_secrets.contains(&name))
    };
    let volumes =
        list(spec, "volumes").iter().map(|volume| if matters(volume) { volume.clone() } else { only_name(volume) });
    let init = list(spec, "initContainers").iter().map(|container| Value::Object(named(container, interest)));
    json!({
        "metadata": {"labels": {"app": app}},
        "spec": {
            "volumes": volumes.collect::<Value>(),
            "containers": containers.collect::<Value>(),
            "initContainers": init.collect::<Value>(),
        },
    })
}

/// A container's name, and of a minter what it mints.
fn named(container: &Value, interest: &Interest) -> Map<String, Value> {
    let mut kept = Map::from_iter([("name".to_owned(), container.get("name").cloned().unwrap_or_default())]);
    if text(container, "name").is_some_and(|name| interest.minters.contains(name)) {
        let matters = |argument: &&Value| {
            let argument = argument.as_str().unwrap_or_default();
            MinterFlag::ALL.iter().any(|flag| flag.value(argument).is_some())
        };
        kept.insert("args".to_owned(), list(container, "args").iter().filter(matters).cloned().collect());
    }
    kept
}

/// Names of what is mounted where a Secret should be.
fn volumes_of_secrets<'v>(spec: &'v Value, interest: &Interest) -> Vec<&'v str> {
    let mounts = list(spec, "containers").iter().flat_map(|container| list(container, "volumeMounts"));
    let of_secret = |mount: &&Value| {
        let path = text(mount, "mountPath").unwrap_or_default();
        interest.secret_folders.iter().any(|folder| same_path(folder, path))
    };
    mounts.filter(of_secret).filter_map(|mount| text(mount, "name")).collect()
}

/// Keeps a list up to the last element that matters.
fn keep(owner: &mut Map<String, Value>, key: &str, list: &[Value], matters: impl Fn(&Value) -> bool) {
    let Some(last) = list.iter().rposition(&matters) else { return };
    let kept = list[..=last].iter().map(|element| if matters(element) { element.clone() } else { only_name(element) });
    owner.insert(key.to_owned(), kept.collect());
}

fn only_name(element: &Value) -> Value {
    json!({"name": element.get("name").cloned().unwrap_or_default()})
}

fn list<'v>(owner: &'v Value, key: &str) -> &'v [Value] {
    owner.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

/// Who owns each element of the template that matters.
fn item_owners(metadata: &ObjectMeta, interest: &Interest) -> Vec<(Item, Vec<Box<str>>)> {
    let mut owners: Vec<(Item, Vec<Box<str>>)> = Vec::new();
    for entry in
        metadata.managed_fields.as_deref().unwrap_or_default().iter().filter(|entry| entry.subresource.is_none())
    {
        let Some(fields) = &entry.fields_v1 else { continue };
        let Some(spec) = fields.0.pointer("/f:spec/f:template/f:spec") else { continue };
        for item in items(spec, interest) {
            match owners.iter_mut().find(|(owned, _)| *owned == item) {
                Some((_, managers)) => managers.push(manager(entry)),
                None => owners.push((item, vec![manager(entry)])),
            }
        }
    }
    owners
}

fn items(spec: &Value, interest: &Interest) -> Vec<Item> {
    let mut items = Vec::new();
    let volumes = keys(spec.get("f:volumes"), "name").filter(|(name, _)| interest.volumes.contains(name));
    items.extend(volumes.map(|(name, _)| Item::Volume(name.into())));
    for (container, fields) in keys(spec.get("f:containers"), "name") {
        let mounts = keys(fields.get("f:volumeMounts"), "mountPath").filter(|(path, _)| interest.has_path(path));
        items.extend(mounts.map(|(path, _)| Item::Mount(container.as_str().into(), path.into())));
        let env = keys(fields.get("f:env"), "name").filter(|(name, _)| interest.env.contains(name));
        items.extend(env.map(|(name, _)| Item::Env(container.as_str().into(), name.into())));
    }
    items
}

/// The elements of a keyed list that somebody owns: `k:{"name":"…"}`, with what is in each.
fn keys<'v>(list: Option<&'v Value>, key: &'static str) -> impl Iterator<Item = (String, &'v Value)> {
    let elements = list.and_then(Value::as_object).into_iter().flatten();
    elements.filter_map(move |(element, fields)| {
        let parsed: Value = serde_json::from_str(element.strip_prefix("k:")?).ok()?;
        Some((text(&parsed, key)?.to_owned(), fields))
    })
}

pub(super) fn component_of_class(class: &str) -> Option<Id> {
    COMPONENTS.iter().find(|component| component.class == class).map(|component| component.id)
}

/// Which component a class is of, by its name.
pub(super) fn component_of(metadata: &ObjectMeta) -> Option<Id> {
    component_of_class(metadata.name.as_deref()?)
}

/// A pod that mounts a class of a row or is recognised by one, or nothing.
pub(super) fn pod(pod: &wire::Pod, interest: &Interest) -> Option<Pod> {
    let csi =
        pod.spec.volumes.iter().filter_map(|volume| volume.csi.as_ref()).filter(|csi| csi.driver == plan::CSI_DRIVER);
    let mounts: Vec<Id> =
        csi.filter_map(|csi| component_of_class(&csi.volume_attributes.secret_provider_class)).collect();
    let app = pod.metadata.labels.as_ref().and_then(|labels| labels.get("app")).map(String::as_str).unwrap_or_default();
    if mounts.is_empty() && !interest.apps.contains(app) {
        return None;
    }
    let phase = match pod.status.phase.as_str() {
        "Succeeded" | "Failed" => Phase::Ended,
        "Pending" | "" => Phase::Pending,
        _ => Phase::Running,
    };
    let is_ready = |condition: &wire::PodCondition| condition.kind == "Ready" && condition.status == "True";
    Some(Pod {
        name: pod.metadata.name.as_deref()?.into(),
        app: app.into(),
        mounts,
        phase,
        created: pod.metadata.creation_timestamp.as_ref().map(|created| created.0),
        uid: pod.metadata.uid.as_deref().unwrap_or_default().into(),
        deleting: pod.metadata.deletion_timestamp.is_some(),
        ready: pod.status.conditions.iter().any(is_ready),
    })
}

/// What a pod has mounted of a class of a row, or nothing.
pub(super) fn mounted(status: &SecretProviderClassPodStatus) -> Option<Mounted> {
    let component = component_of_class(&status.status.secret_provider_class_name)?;
    Some(Mounted {
        pod: status.status.pod_name.as_str().into(),
        component,
        mounted: status.status.mounted,
        versions: status.status.objects.iter().map(|object| object.version.as_str().into()).collect(),
    })
}

/// What a kubelet says of a volume of a pod and when it said so last, or nothing. Its own words end here: anything may
/// stand in them.
pub(super) fn failed_mount(event: &wire::Event) -> Option<(Timestamp, FailedMount)> {
    let about = &event.involved_object;
    if event.reason != "FailedMount" || about.kind != "Pod" {
        return None;
    }
    let recognised = recognise(&event.message);
    let why = match explain(&event.message) {
        Some(Explanation { reason, cause, next, command, .. }) => {
            let namespace = event.metadata.namespace.as_deref().unwrap_or("NAMESPACE");
            Why::Explained { reason, cause, next, command: command.replace("NAMESPACE", namespace).into() }
        }
        None => {
            // Pod and volume are told anyway.
            let names = recognised.iter().filter(|(kind, _)| !["pod", "volume"].contains(kind));
            let names = names.map(|(kind, value)| format!("{kind} {value}")).collect::<Vec<_>>().join(", ");
            Why::Unknown { names: names.into() }
        }
    };
    let volume = recognised.get("volume").unwrap_or_default().into();
    let failed = FailedMount { pod: about.name.as_str().into(), pod_uid: about.uid.as_str().into(), volume, why };
    Some((last_time(event), failed))
}

fn last_time(event: &wire::Event) -> Timestamp {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let first = || event.event_time.as_ref().map(|time| time.0);
    let made = || event.metadata.creation_timestamp.as_ref().map(|time| time.0);
    last.or_else(first).or_else(made).unwrap_or_default()
}
