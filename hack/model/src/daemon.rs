//! Our daemon: a stale view of the server, the real `plan`, `diff`, `Ledger` and `tell`, and one request at a time.
//!
//! What stands between them and a real API server is played here: how objects are read, and when a write counts as seen.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use hcp_identity::{
    component::{Component, Id},
    condition::Reason,
    diff::{Change, Circumstances, Difference, LedgerKey, Permission, diff},
    ledger::Ledger,
    names::{ClientId, Namespace, ObjectName, SecretName, TenantId, VaultName},
    observed::{self, Item, Kind, Mounted, ObjectKey, Observed, Owner, Phase, Pod},
    plan::{ClusterName, Element, Identities, Identity, Plan, Template, Wired},
    settings::{
        Settings,
        daemon::{AzureClusterIdentityWriting, CredentialCheck, PodPatch, PolicyFallback},
    },
    status::{Credentials, Outcome, contested, tell},
};
use hcp_identity_api::hosted_cluster::ObjectEncoding;
use serde_json::{Value, json};

use crate::{
    Break,
    objects::{Class, Content, ENV, Field, Items, MOUNT, Managers, Named, Pods, Secret, VOLUME, Version, Workload},
    server::{Request, Write},
    writers::{HyperShift, WorkloadWriter},
};

const ID: Id = Id::Ingress;
const CONTAINER: &str = "ingress-operator";
const WORKLOAD: &str = "ingress-operator";

/// What the watches have brought.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Seen {
    pub named: Named,
    pub class: Option<Class>,
    pub workload: Workload,
    pub pods: Pods,
}

/// The daemon that leads.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Daemon {
    pub seen: Seen,
    /// Whether the watch has yet to show our last write to each.
    pub unseen_class: bool,
    pub unseen_workload: bool,
    pub ledger: Ledger<LedgerKey>,
    /// Of the last pass: in the order in which they are sent.
    pub requests: Vec<Request>,
    pub status: Status,
}

/// What of the status object matters here. It outlives the daemon.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Status {
    pub reason: Option<Reason>,
    pub contested_class: bool,
    pub contested_workload: bool,
}

/// What a pass was told and not told.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub hypershift: HyperShift,
    pub now: Duration,
    pub may_delete: bool,
    pub broken: Option<Break>,
}

impl Daemon {
    /// A daemon that starts: its lists are fresh, its memory is what the status says.
    #[must_use]
    pub fn start(seen: Seen, status: Status) -> Self {
        let mut ledger = Ledger::default();
        if status.contested_class {
            ledger.remember(class_key(), "another");
        }
        if status.contested_workload {
            ledger.remember(workload_key(seen.workload.version), "another");
        }
        Self { seen, unseen_class: false, unseen_workload: false, ledger, requests: Vec::new(), status }
    }

    /// One pass over what has been seen. What it wants written waits to be sent.
    #[must_use]
    pub fn pass(&self, setting: Setting) -> Self {
        let mut next = self.clone();
        if setting.broken == Some(Break::NoLedger) {
            next.ledger = Ledger::default();
        }
        let plan = plan(self.seen.named);
        let now = Circumstances {
            permission: Permission::Write,
            pod_patch: PodPatch::Workload,
            fallback: PolicyFallback::None,
            capz: AzureClusterIdentityWriting::None,
            check: CredentialCheck::None,
            may_delete: setting.may_delete,
            now: setting.now,
        };
        let difference = diff(plan, &self.observed(setting), now, &mut next.ledger);
        next.requests = difference.changes.iter().map(request).collect();
        if setting.broken == Some(Break::EmptyApply) && self.seen.named.is_none() {
            next.requests =
                self.seen.class.iter().filter(|class| class.managers.contains(Managers::US)).map(empty).collect();
        }
        next.status = status(plan, difference);
        next
    }

    /// Notes a write that the server has made.
    pub fn note(&mut self, request: &Request, now: Duration) {
        self.ledger.wrote(&request.key, request.content, now);
        if request.write.is_to_class() {
            self.unseen_class = true;
        } else {
            self.unseen_workload = true;
        }
    }

    /// The watch has caught up. It shows each change in its order, so what we wrote has been seen, be it gone by now.
    pub fn see_class(&mut self, class: Option<&Class>) {
        self.seen.class = class.cloned();
        self.unseen_class = false;
    }

    pub fn see_workload(&mut self, workload: &Workload) {
        self.seen.workload = workload.clone();
        self.unseen_workload = false;
    }

    /// A HostedCluster of a new generation begins anew.
    pub fn see_named(&mut self, named: Named) {
        if self.seen.named != named {
            self.seen.named = named;
            self.ledger.forgive();
        }
    }

    fn observed(&self, setting: Setting) -> Observed {
        let Seen { class, workload, pods, .. } = &self.seen;
        let pods = if setting.broken == Some(Break::BlindToPods) { Pods::NONE } else { *pods };
        let mounting = pods.contains(Pods::MOUNTING);
        let mut unseen_writes = Vec::new();
        if setting.broken != Some(Break::ForgetsWrites) {
            unseen_writes.extend(self.unseen_class.then(|| class_key().object));
            unseen_writes.extend(self.unseen_workload.then(|| workload_key(Version::default()).object));
        }
        Observed {
            namespace_exists: true,
            driver_installed: true,
            classes: class.iter().map(|class| (ID, observed_class(class))).collect(),
            workloads: vec![observed_workload(workload, setting)],
            pods: Pods::KINDS.iter().filter(|kind| pods.contains(**kind)).map(|kind| observed_pod(*kind)).collect(),
            mounted: mounting.then(observed_mount).into_iter().collect(),
            unseen_writes,
            ..Observed::default()
        }
    }
}

fn status(plan: &Plan, difference: Difference) -> Status {
    let reason = difference.components.first().map(|state| state.reason);
    let cluster = observed::Cluster { identities: Some(plan.identities().clone()), ..observed::Cluster::default() };
    let outcome = Outcome::Planned { difference, failures: Vec::new() };
    let unchecked = Credentials::default();
    let told = tell(&cluster, &plan.identities().namespace, &outcome, &unchecked, None, jiff::Timestamp::UNIX_EPOCH);
    let of = |kind: Kind| contested(&told.status).any(|object| object.kind == kind.to_string());
    Status { reason, contested_class: of(Kind::SecretProviderClass), contested_workload: of(Kind::Deployment) }
}

fn class_key() -> LedgerKey {
    let name = Component::of(ID).class.into();
    LedgerKey { object: ObjectKey { kind: Kind::SecretProviderClass, name }, life: Box::default() }
}

fn workload_key(version: Version) -> LedgerKey {
    let object = ObjectKey { kind: Kind::Deployment, name: WORKLOAD.into() };
    LedgerKey { object, life: observed_version(version).uid }
}

fn request(change: &Change) -> Request {
    let (write, planned_from) = match change {
        Change::ApplyClass { class, planned_from, .. } => {
            let objects = class.spec.parameters.get("objects");
            let is = |secret: &Secret| objects == KNOWN[index(*secret)].class.get("objects");
            let secret = [Secret::A, Secret::B].into_iter().find(is).unwrap_or(Secret::A);
            (Write::ApplyClass(secret), planned_from.as_ref())
        }
        Change::ApplyWorkload { template, planned_from, .. } => {
            (Write::ApplyWorkload(applied(template)), Some(planned_from))
        }
        Change::DeleteClass { planned_from, .. } => (Write::DeleteClass, Some(planned_from)),
        Change::ApplyCapzIdentity { .. } => unreachable!("the model has none"),
    };
    let number = |text: &str| text.parse().unwrap_or_default();
    let planned_from = planned_from.map(|v| Version { uid: number(&v.uid), revision: number(&v.resource_version) });
    Request { write, planned_from, key: change.ledger_key(), content: change.content() }
}

fn empty(class: &Class) -> Request {
    Request { write: Write::EmptyClass, planned_from: Some(class.version), key: class_key(), content: 0 }
}

/// What `plan` and `wire` say for each secret.
struct Known {
    plan: Plan,
    class: BTreeMap<String, String>,
    items: [Value; 3],
}

static KNOWN: LazyLock<[Known; 2]> = LazyLock::new(|| ["secret-a", "secret-b"].map(known));
static NONE: LazyLock<Plan> = LazyLock::new(|| plan_of(Vec::new()));

fn index(secret: Secret) -> usize {
    match secret {
        Secret::A => 0,
        Secret::B => 1,
    }
}

fn plan(named: Named) -> &'static Plan {
    named.map_or(&NONE, |secret| &KNOWN[index(secret)].plan)
}

#[expect(clippy::unwrap_used, reason = "constants that are known to be valid")]
fn known(secret: &str) -> Known {
    let secret = SecretName::new(secret).unwrap();
    let identity = Identity { component: ID, secret, encoding: ObjectEncoding::Utf8, client_id: None };
    let plan = plan_of(vec![identity]);
    let class = plan.provider_classes().next().unwrap().spec.parameters;
    let Ok(Wired::Missing(additions)) = plan.wire(&Template::new(&template(&[None; 3]))) else {
        unreachable!("the template has its label and its container")
    };
    let items = additions.into_iter().map(|addition| match addition.element {
        Element::Volume(value) | Element::Mount { mount: value, .. } | Element::Env { env: value, .. } => value,
    });
    Known { items: items.collect::<Vec<_>>().try_into().unwrap(), plan, class }
}

#[expect(clippy::unwrap_used, reason = "constants that are known to be valid")]
fn plan_of(named: Vec<Identity>) -> Plan {
    let uuid = "00000000-0000-0000-0000-000000000001";
    let identities = Identities {
        cluster: ClusterName { namespace: Namespace::new("clusters").unwrap(), name: ObjectName::new("a").unwrap() },
        namespace: Namespace::new("clusters-a").unwrap(),
        vault: VaultName::new("vault").unwrap(),
        tenant: TenantId::new(uuid).unwrap(),
        azure_tenant: uuid.into(),
        cloud: "AzurePublicCloud".into(),
        capz_cloud: None,
        named,
    };
    let key_vault_user = ClientId::new(uuid).unwrap();
    let settings = Settings { key_vault_user, extra_parameters: BTreeMap::new(), overrides: BTreeMap::new() };
    Plan::new(identities, Arc::new(settings))
}

fn observed_version(version: Version) -> observed::Version {
    let text = |number: u8| number.to_string().into();
    observed::Version { uid: text(version.uid), resource_version: text(version.revision) }
}

fn names(managers: Managers) -> Vec<Box<str>> {
    Managers::NAMES.iter().filter(|(manager, _)| managers.contains(*manager)).map(|(_, name)| (*name).into()).collect()
}

fn observed_class(class: &Class) -> observed::Class {
    let mut parameters: BTreeMap<Box<str>, Box<str>> =
        KNOWN[0].class.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
    let rest: Vec<Box<str>> =
        parameters.keys().filter(|name| &***name != "objects").cloned().chain(["provider".into()]).collect();
    match class.objects.map(|objects| objects.content) {
        Some(Content::Of(secret)) => {
            parameters.insert("objects".into(), KNOWN[index(secret)].class["objects"].as_str().into());
        }
        Some(Content::Foreign) => drop(parameters.insert("objects".into(), "theirs".into())),
        None => drop(parameters.remove("objects")),
    }
    let emptied = class.rest == Managers::NOBODY;
    if emptied {
        parameters.retain(|name, _| &**name == "objects");
    }
    let owner = |(manager, name): &(Managers, &str)| {
        let mut fields = if class.rest.contains(*manager) { rest.clone() } else { Vec::new() };
        fields.extend(class.objects.filter(|objects| objects.owners.contains(*manager)).map(|_| "objects".into()));
        Owner { manager: (*name).into(), fields }
    };
    observed::Class {
        version: observed_version(class.version),
        deleting: false,
        made_by_us: class.made_by_us,
        adopted: class.adopted,
        provider: if emptied { Box::default() } else { "azure".into() },
        parameters,
        owners: Managers::NAMES.iter().filter(|(manager, _)| class.managers.contains(*manager)).map(owner).collect(),
    }
}

fn observed_workload(workload: &Workload, Setting { hypershift, broken, .. }: Setting) -> observed::Workload {
    let operator =
        Managers::NAMES.iter().find(|(manager, _)| *manager == Managers::OPERATOR).map_or("", |(_, name)| name);
    let its_own = (Item::Env(CONTAINER.into(), "RELEASE_VERSION".into()), vec![operator.into()]);
    let keys = |item: usize| match item {
        VOLUME => Item::Volume(text(&KNOWN[0].items[VOLUME], "name")),
        MOUNT => Item::Mount(CONTAINER.into(), text(&KNOWN[0].items[MOUNT], "mountPath")),
        _ => Item::Env(CONTAINER.into(), text(&KNOWN[0].items[ENV], "name")),
    };
    let owned = (VOLUME..=ENV).filter_map(|item| Some((keys(item), names(workload.items[item]?.owners))));
    observed::Workload {
        name: WORKLOAD.into(),
        version: observed_version(workload.version),
        deleting: false,
        library_go: hypershift.workload == WorkloadWriter::LibraryGo,
        hypershift: hypershift.workload != WorkloadWriter::Nobody,
        rolling: workload.rolling && broken != Some(Break::BlindToRollouts),
        template: template(&workload.items),
        owners: owned.chain([its_own]).collect(),
    }
}

fn text(value: &Value, key: &str) -> Box<str> {
    value[key].as_str().unwrap_or_default().into()
}

fn template(items: &Items<Field>) -> Value {
    let value = |item: usize| {
        Some(match items[item]?.content {
            Content::Of(secret) => KNOWN[index(secret)].items[item].clone(),
            Content::Foreign => foreign(item),
        })
    };
    let list = |item: usize| Value::Array(value(item).into_iter().collect());
    let container = json!({"name": CONTAINER, "volumeMounts": list(MOUNT), "env": list(ENV)});
    let spec = json!({"volumes": list(VOLUME), "containers": [container]});
    json!({"metadata": {"labels": {"app": WORKLOAD}}, "spec": spec})
}

/// What a person puts in the place of an element.
fn foreign(item: usize) -> Value {
    let mut value = KNOWN[0].items[item].clone();
    match item {
        VOLUME => value = json!({"name": value["name"], "secret": {"secretName": "theirs"}}),
        MOUNT => value["name"] = "theirs".into(),
        _ => value["value"] = "/theirs".into(),
    }
    value
}

/// Which elements an apply names, and with which content.
fn applied(template: &Value) -> Items<Content> {
    let container = &template["containers"][0];
    let first = [&template["volumes"][0], &container["volumeMounts"][0], &container["env"][0]];
    let content = |item: usize| {
        let is = |secret: &Secret| KNOWN[index(*secret)].items[item] == *first[item];
        [Secret::A, Secret::B].into_iter().find(is).map(Content::Of)
    };
    [content(VOLUME), content(MOUNT), content(ENV)]
}

fn observed_pod(kind: Pods) -> Pod {
    let mounting = kind == Pods::MOUNTING;
    let name = if mounting { "mounting" } else { "plain" };
    Pod {
        name: name.into(),
        app: WORKLOAD.into(),
        mounts: if mounting { vec![ID] } else { Vec::new() },
        phase: Phase::Running,
        ..Pod::default()
    }
}

fn observed_mount() -> Mounted {
    Mounted { pod: "mounting".into(), component: ID, mounted: true, versions: vec!["1".into()] }
}
