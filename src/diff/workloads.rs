//! Deployments: what of a pod template is to be ours, and whether that is what it is.
//!
//! Ours is what nobody else owns. Taken out of the template, `wire` says what is missing; that, and nothing more, is to be
//! ours. So adding, changing and taking back are one comparison.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Change, Fate, Pass, apps, classes::ClassState};
use crate::{
    component::{Component, Id},
    condition::Reason,
    finding::{FieldPath, Problem, Step},
    ledger::Patience,
    observed::{Item, Kind, MANAGER, ObjectKey, Workload},
    plan::{Addition, Element, Template, Wired},
    settings::daemon::PodPatch,
};

/// Elements by their keys, each with its value.
type Elements = BTreeMap<Item, Value>;

impl Pass<'_> {
    pub(super) fn workloads(&mut self, classes: &BTreeMap<Id, ClassState>) {
        let observed = self.observed;
        let ids: Vec<Id> = self.plan.identities().named.iter().map(|identity| identity.component).collect();
        for id in &ids {
            // Until a workload says otherwise: the one that mounts has to be there, the others follow from it.
            let apps = apps(self.plan, *id);
            let there = observed.workloads.iter().any(|workload| app(workload) == apps.first().map(String::as_str));
            self.wired.insert(*id, there);
            if !there {
                let message = format!(
                    "no Deployment whose pods have the label app={} and the component's container yet",
                    apps[0]
                );
                self.say(*id, Reason::WaitingForWorkload, message);
            }
        }
        for workload in &observed.workloads {
            let about: Vec<Id> = ids.iter().copied().filter(|id| self.is_about(workload, *id)).collect();
            match self.now.pod_patch {
                PodPatch::Webhook | PodPatch::Policy => self.wired_at_creation(workload, &about),
                PodPatch::Workload | PodPatch::None => self.workload(workload, &about, classes),
            }
        }
    }

    fn is_about(&self, workload: &Workload, id: Id) -> bool {
        app(workload).is_some_and(|app| apps(self.plan, id).iter().any(|wanted| wanted == app))
    }

    fn workload(&mut self, workload: &Workload, about: &[Id], classes: &BTreeMap<Id, ClassState>) {
        let key = ObjectKey { kind: Kind::Deployment, name: workload.name.clone() };
        let (base, ours) = without_ours(workload);
        let needed = match self.plan.wire(&Template::new(&base)) {
            Ok(Wired::NotOurs) => Vec::new(),
            Ok(Wired::Missing(additions)) => additions,
            Err(problems) => return self.conflict(workload, &key, about, &problems),
        };
        let is_held = |id: &Id| classes.get(id) != Some(&ClassState::Ready) || !self.admits(*id);
        let held: Vec<Id> = about.iter().copied().filter(is_held).collect();
        let current = |addition: &Addition| item(&base, &addition.element).and_then(|item| ours.get(&item));
        let changes = |addition: &&Addition| current(addition) != Some(&value(&addition.element));
        let waits = |id: &Id| classes.get(id) == Some(&ClassState::Pending);
        let withheld: Vec<Id> =
            needed.iter().filter(changes).map(|addition| addition.component).filter(|id| held.contains(id)).collect();
        // Until its class is there, a component keeps what it has: nothing, or what it had before.
        let allowed: Vec<Addition> = needed
            .iter()
            .filter_map(|addition| {
                let is_withheld = changes(&addition) && withheld.contains(&addition.component);
                if is_withheld { Some(with_value(addition, current(addition)?)) } else { Some(addition.clone()) }
            })
            .collect();
        self.wired.extend(needed.iter().filter(changes).map(|addition| (addition.component, false)));
        let wanted: Elements = allowed
            .iter()
            .filter_map(|addition| Some((item(&base, &addition.element)?, value(&addition.element))))
            .collect();
        if wanted == ours && withheld.is_empty() {
            return self.note_cloud_config(workload, &allowed);
        }
        if self.now.pod_patch == PodPatch::None {
            return self.unpatched(&key, about, &needed);
        }
        // All classes of a pod first, so that it is rolled out once.
        if withheld.iter().any(waits) {
            self.waiting = true;
            return about
                .iter()
                .for_each(|id| self.say(*id, Reason::Applying, format!("{key}: waiting for the provider classes")));
        }
        // And all that is about to be known of their credentials.
        let unknown = |id: &&Id| classes.get(id) == Some(&ClassState::Ready) && self.is_unchecked(**id);
        if let Some(unchecked) = withheld.iter().find(unknown).copied() {
            let message = format!("{key}: waiting for the check of the credential of {unchecked}");
            return about.iter().for_each(|id| self.say(*id, Reason::CredentialNotChecked, message.clone()));
        }
        if wanted == ours || workload.deleting {
            return;
        }
        let change = Change::ApplyWorkload {
            name: workload.name.clone(),
            planned_from: workload.version.clone(),
            template: applied(&base, &allowed),
            adds: wanted.iter().filter(|(item, value)| ours.get(*item) != Some(value)).count(),
            removes: ours.keys().filter(|item| !wanted.contains_key(*item)).count(),
        };
        let patience = if workload.library_go { Patience::None } else { Patience::Some };
        let fate = self.want(change, patience, &last_writer(workload));
        let what = if wanted.len() < ours.len() { "has what it no longer needs" } else { "is not wired" };
        let changed: Vec<Id> = allowed.iter().map(|addition| addition.component).collect();
        for id in about.iter().filter(|id| changed.contains(id)) {
            // What is wired in this pod already is only waited for, not missed.
            if fate == Fate::Written || self.wired.get(id) != Some(&true) {
                self.say_fate(*id, &fate, &key, what);
            }
        }
    }

    /// A workload whose pods are wired as they are created; its template stays as it is.
    fn wired_at_creation(&mut self, workload: &Workload, about: &[Id]) {
        if let Err(problems) = self.plan.wire_created(&Template::new(&workload.template)) {
            let key = ObjectKey { kind: Kind::Deployment, name: workload.name.clone() };
            self.conflict(workload, &key, about, &problems);
        }
    }

    /// A workload that nobody of ours patches.
    fn unpatched(&mut self, key: &ObjectKey, about: &[Id], needed: &[Addition]) {
        for id in about.iter().filter(|id| needed.iter().any(|addition| addition.component == **id)) {
            let message =
                format!("{key} is not wired, and podPatch is none: HyperShift's operators wire it where they run");
            self.say(*id, Reason::PatchedByNobody, message);
        }
    }

    fn conflict(&mut self, workload: &Workload, key: &ObjectKey, about: &[Id], problems: &[Problem]) {
        let owners: Vec<String> = problems.iter().flat_map(|problem| owners_at(workload, &problem.field)).collect();
        let reason = if owners.is_empty() { Reason::WorkloadConflict } else { Reason::ForeignDrift };
        let prefix = FieldPath::of("spec.template");
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| {
                let by = owners_at(workload, &problem.field);
                let by = if by.is_empty() { String::new() } else { format!(" (written by {})", by.join(", ")) };
                format!("{}: {}{by}; {}", prefix.join(&problem.field), problem.message, problem.remedy)
            })
            .collect();
        for id in about {
            self.wired.insert(*id, false);
            self.say(*id, reason, format!("{key}: {}", lines.join("; ")));
        }
    }

    /// Where we wire a pod, HyperShift does not write the configuration that names the credential.
    fn note_cloud_config(&mut self, workload: &Workload, ours: &[Addition]) {
        if workload.hypershift {
            return;
        }
        for addition in ours.iter().filter(|addition| matches!(addition.element, Element::Volume(_))) {
            let Some(cloud_config) = Component::of(addition.component).cloud_config else { continue };
            let plan = self.plan;
            let path = plan.credential_path(addition.component);
            let message = format!(
                "hcp-identity does not write the Secret {}; see that its {} has aadMSIDataPlaneIdentityPath: {path}",
                cloud_config.secret, cloud_config.key
            );
            self.say(addition.component, Reason::CloudConfigNotOurs, message);
        }
    }
}

fn app(workload: &Workload) -> Option<&str> {
    Template::new(&workload.template).app()
}

/// The template without what only we own, and that.
fn without_ours(workload: &Workload) -> (Value, Elements) {
    let mut template = workload.template.clone();
    let mut ours = Elements::new();
    let is_ours = |item: &Item| {
        let owners = workload.owners.iter().find(|(owned, _)| owned == item).map(|(_, owners)| owners);
        owners.is_some_and(|owners| !owners.is_empty() && owners.iter().all(|owner| &**owner == MANAGER))
    };
    let mut take = |list: Option<&mut Value>, key: &dyn Fn(&Value) -> Option<Item>| {
        let Some(list) = list.and_then(Value::as_array_mut) else { return };
        list.retain(|element| match key(element).filter(&is_ours) {
            Some(item) => {
                ours.insert(item, without_defaults(element));
                false
            }
            None => true,
        });
    };
    let Some(spec) = template.get_mut("spec") else { return (template, ours) };
    take(spec.get_mut("volumes"), &|volume| Some(Item::Volume(text(volume, "name")?.into())));
    for container in spec.get_mut("containers").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(name) = text(container, "name").map(Box::<str>::from) else { continue };
        let mount = |mount: &Value| Some(Item::Mount(name.clone(), text(mount, "mountPath")?.into()));
        take(container.get_mut("volumeMounts"), &mount);
        take(container.get_mut("env"), &|env: &Value| Some(Item::Env(name.clone(), text(env, "name")?.into())));
    }
    (template, ours)
}

/// An element as `wire` writes it: the API server adds nothing to these but nulls that a client may have sent.
fn without_defaults(element: &Value) -> Value {
    let Some(object) = element.as_object() else { return element.clone() };
    let kept = object.iter().filter(|(_, value)| !value.is_null());
    Value::Object(kept.map(|(key, value)| (key.clone(), without_defaults(value))).collect())
}

pub(super) fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

fn container_name(template: &Value, index: usize) -> Option<Box<str>> {
    text(template.get("spec")?.get("containers")?.get(index)?, "name").map(Box::from)
}

/// The key of an element that `wire` wants added.
fn item(template: &Value, element: &Element) -> Option<Item> {
    Some(match element {
        Element::Volume(volume) => Item::Volume(text(volume, "name")?.into()),
        Element::Mount { container, mount } => {
            Item::Mount(container_name(template, *container)?, text(mount, "mountPath")?.into())
        }
        Element::Env { container, env } => Item::Env(container_name(template, *container)?, text(env, "name")?.into()),
    })
}

fn value(element: &Element) -> Value {
    match element {
        Element::Volume(value) | Element::Mount { mount: value, .. } | Element::Env { env: value, .. } => value.clone(),
    }
}

/// The same element with another value.
fn with_value(addition: &Addition, value: &Value) -> Addition {
    let element = match &addition.element {
        Element::Volume(_) => Element::Volume(value.clone()),
        Element::Mount { container, .. } => Element::Mount { container: *container, mount: value.clone() },
        Element::Env { container, .. } => Element::Env { container: *container, env: value.clone() },
    };
    Addition { component: addition.component, element }
}

/// The part of the pod spec that an apply has to name.
fn applied(template: &Value, additions: &[Addition]) -> Value {
    let mut spec = Map::new();
    let mut containers: BTreeMap<usize, Map<String, Value>> = BTreeMap::new();
    let push = |owner: &mut Map<String, Value>, list: &str, value: &Value| {
        if let Some(list) = owner.entry(list).or_insert_with(|| json!([])).as_array_mut() {
            list.push(value.clone());
        }
    };
    for addition in additions {
        let mut container = |index: usize, list: &str, value: &Value| {
            let named = || Map::from_iter([("name".to_owned(), json!(container_name(template, index)))]);
            push(containers.entry(index).or_insert_with(named), list, value);
        };
        match &addition.element {
            Element::Volume(volume) => push(&mut spec, "volumes", volume),
            Element::Mount { container: index, mount } => container(*index, "volumeMounts", mount),
            Element::Env { container: index, env } => container(*index, "env", env),
        }
    }
    if !containers.is_empty() {
        spec.insert("containers".to_owned(), containers.into_values().map(Value::Object).collect());
    }
    Value::Object(spec)
}

/// Who owns the element that a problem is about.
fn owners_at(workload: &Workload, field: &FieldPath) -> Vec<String> {
    let mut value = &workload.template;
    let mut container = None;
    let mut list = "";
    for step in field.steps() {
        let next = match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        };
        let Some(next) = next else { return Vec::new() };
        if let Step::Key(key) = step {
            list = key;
        } else if list == "containers" {
            container = text(next, "name");
        }
        value = next;
    }
    let name = |key| text(value, key).map(Box::<str>::from);
    let item = match (list, container) {
        ("volumes", _) => name("name").map(Item::Volume),
        ("volumeMounts", Some(container)) => name("mountPath").map(|path| Item::Mount(container.into(), path)),
        ("env", Some(container)) => name("name").map(|name| Item::Env(container.into(), name)),
        _ => None,
    };
    let owners =
        workload.owners.iter().filter(|(owned, _)| Some(owned) == item.as_ref()).flat_map(|(_, owners)| owners);
    owners.filter(|owner| &***owner != MANAGER).map(ToString::to_string).collect()
}

/// Who wrote the template's other elements: the manager to name when ours are gone.
fn last_writer(workload: &Workload) -> String {
    let mut others = workload.owners.iter().flat_map(|(_, owners)| owners).filter(|owner| &***owner != MANAGER);
    others.next().map_or_else(|| "another writer of the Deployment".to_owned(), ToString::to_string)
}

impl Pass<'_> {
    /// Whether a workload's next pod would mount a row's class, or one that is not known yet may do so.
    pub(super) fn may_be_mounted_by_a_workload(&self, row: &Component) -> bool {
        self.observed.workloads.iter().any(|workload| {
            let unsettled = workload.rolling || self.observed.unseen(Kind::Deployment, &workload.name);
            has_volume(workload, row) || (unsettled && self.is_about(workload, row.id))
        })
    }
}

fn has_volume(workload: &Workload, row: &Component) -> bool {
    let volumes = workload.template.get("spec").and_then(|spec| spec.get("volumes")).and_then(Value::as_array);
    let class = |volume: &Value| volume.pointer("/csi/volumeAttributes/secretProviderClass").cloned();
    volumes.into_iter().flatten().filter_map(class).any(|class| class == row.class)
}
