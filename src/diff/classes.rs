//! Provider classes, and the AzureClusterIdentity: created where they are not, changed where they are ours.

use std::collections::BTreeMap;

use hcp_identity_api::secret_provider_class::SecretProviderClass;
use serde_json::Value;

use super::{Change, Fate, Pass, Permission};
use crate::{
    component::{COMPONENTS, Component, Id},
    condition::Reason,
    ledger::Patience,
    observed::{Class, Kind, ObjectKey, Owner},
    plan::Identity,
    settings::{PARAMETERS, daemon::AzureClusterIdentityWriting},
};

/// The field of a class beside its parameters.
const PROVIDER: &str = "provider";

/// Whether pods may depend on a class.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ClassState {
    /// On the server, as planned.
    Ready,
    /// About to be.
    Pending,
    /// Not until something else happens.
    Blocked,
}

impl Pass<'_> {
    pub(super) fn classes(&mut self) -> BTreeMap<Id, ClassState> {
        let plan = self.plan;
        let wanted = plan.identities().named.iter().zip(plan.provider_classes());
        wanted.map(|(identity, class)| (identity.component, self.class(identity, class))).collect()
    }

    fn class(&mut self, identity: &Identity, wanted: SecretProviderClass) -> ClassState {
        let id = identity.component;
        let key = ObjectKey { kind: Kind::SecretProviderClass, name: Component::of(id).class.into() };
        let there = self.observed.classes.get(&id);
        let Some(there) = there else {
            let change = Change::ApplyClass { class: Box::new(wanted), planned_from: None, removes: Vec::new() };
            return self.write_class(id, &key, change, "is missing", "nobody");
        };
        if self.observed.unseen(key.kind, &key.name) {
            self.waiting = true;
            self.say_fate(id, &Fate::Unseen, &key, "");
            return ClassState::Pending;
        }
        if there.deleting {
            self.say(id, Reason::Applying, format!("{key} is being deleted; it is made anew when it is gone"));
            return ClassState::Pending;
        }
        let (wanted, left_out) = fitting(wanted, there);
        if !left_out.is_empty() {
            let message = format!(
                "{key} is HyperShift's too, which takes extra parameters away: {} not set. Leave \
                 secretProviderClass.extraParameters empty where HyperShift runs",
                left_out.join(", ")
            );
            self.say(id, Reason::ExtraParametersNotApplied, message);
        }
        let differing = differing(&wanted, there);
        if differing.is_empty() {
            return ClassState::Ready;
        }
        let others = foreign(&differing, &there.owners, there.made_by_us);
        if !others.is_empty() {
            let message = format!(
                "{key} differs from the HostedCluster in {}, written by {}; hcp-identity leaves it alone. {}",
                differing.join(", "),
                others.join(", "),
                remedy(&differing)
            );
            self.say(id, Reason::ForeignDrift, message);
            return ClassState::Blocked;
        }
        let planned_from = Some(there.version.clone());
        let is_stale = |field: &&String| *field != PROVIDER && !wanted.spec.parameters.contains_key(*field);
        let removes = differing.iter().filter(is_stale).cloned().collect();
        let change = Change::ApplyClass { class: Box::new(wanted), planned_from, removes };
        let last = last_writer(&there.owners).to_owned();
        self.write_class(id, &key, change, &format!("differs in {}", differing.join(", ")), &last)
    }

    fn write_class(&mut self, id: Id, key: &ObjectKey, change: Change, what: &str, last: &str) -> ClassState {
        let fate = self.want(change, Patience::Some, last);
        self.say_fate(id, &fate, key, what);
        match fate {
            Fate::Written | Fate::Unseen => ClassState::Pending,
            Fate::Forbidden(_) | Fate::Contested(_) => ClassState::Blocked,
        }
    }

    /// Classes of rows that the HostedCluster no longer names. One goes when no pod mounts it and no workload would, if we
    /// made it and nobody has adopted it. The watch of pods may lag behind that of workloads: not before a rollout is over.
    pub(super) fn obsolete_classes(&mut self) {
        let named = &self.plan.identities().named;
        let unnamed = COMPONENTS.iter().filter(|row| named.iter().all(|identity| identity.component != row.id));
        for row in unnamed {
            let Some(there) = self.observed.classes.get(&row.id) else { continue };
            if !there.made_by_us || there.adopted || !there.owners.iter().all(Owner::is_us) || there.deleting {
                continue;
            }
            let may_delete = self.now.may_delete || self.now.permission != Permission::Write;
            if !may_delete || self.observed.mounting(row.id).next().is_some() || self.may_be_mounted_by_a_workload(row)
            {
                self.waiting = true;
                continue;
            }
            let change = Change::DeleteClass { name: row.class, planned_from: there.version.clone() };
            self.want(change, Patience::Some, "nobody");
        }
    }

    pub(super) fn capz_identity(&mut self) {
        if self.now.capz != AzureClusterIdentityWriting::Apply {
            return;
        }
        let Some(wanted) = self.plan.azure_cluster_identity() else { return };
        let signs_in = |identity: &&Identity| Component::of(identity.component).azure_cluster_identity;
        let Some(id) = self.plan.identities().named.iter().find(signs_in).map(|identity| identity.component) else {
            return;
        };
        let name = self.plan.identities().cluster.name.to_string();
        let key = ObjectKey { kind: Kind::AzureClusterIdentity, name: name.into() };
        if !self.observed.capz_installed {
            let message = "the CRD of AzureClusterIdentity is not installed; install Cluster API Provider Azure, or set \
                           azureClusterIdentity: none";
            return self.say(id, Reason::CapzNotInstalled, message);
        }
        let Some(there) = &self.observed.capz_identity else {
            let change = Change::ApplyCapzIdentity { identity: Box::new(wanted), planned_from: None };
            let fate = self.want(change, Patience::Some, "nobody");
            return self.say_fate(id, &fate, &key, "is missing");
        };
        let spec = serde_json::to_value(&wanted.spec).unwrap_or_default();
        let differs = |(field, value): (&String, &Value)| (there.spec.get(field) != Some(value)).then(|| field.clone());
        let differing: Vec<String> = spec.as_object().into_iter().flatten().filter_map(differs).collect();
        if differing.is_empty() {
            return;
        }
        let others = foreign(&differing, &there.owners, there.made_by_us);
        if !others.is_empty() {
            let message = format!(
                "{key} differs from the HostedCluster in {}, written by {}; hcp-identity leaves it alone",
                differing.join(", "),
                others.join(", ")
            );
            return self.say(id, Reason::ForeignDrift, message);
        }
        let last = last_writer(&there.owners).to_owned();
        let planned_from = Some(there.version.clone());
        let fate =
            self.want(Change::ApplyCapzIdentity { identity: Box::new(wanted), planned_from }, Patience::Some, &last);
        self.say_fate(id, &fate, &key, &format!("differs in {}", differing.join(", ")));
    }
}

/// The class without those extra parameters that an operator would take away again, and their names.
pub(super) fn fitting(mut wanted: SecretProviderClass, there: &Class) -> (SecretProviderClass, Vec<String>) {
    let hypershifts = there.adopted || !there.made_by_us;
    let parameters = &mut wanted.spec.parameters;
    let extra: Vec<String> = parameters.keys().filter(|name| !PARAMETERS.contains(&name.as_str())).cloned().collect();
    let missing = |name: &String| {
        there.parameters.get(name.as_str()).map(|value| &**value) != parameters.get(name).map(String::as_str)
    };
    let left_out: Vec<String> = extra.into_iter().filter(|name| hypershifts && missing(name)).collect();
    for name in &left_out {
        wanted.spec.parameters.remove(name);
    }
    (wanted, left_out)
}

/// Which of the fields that matter are not as wanted: the provider and the parameters that we want, and parameters that
/// are ours alone and no longer wanted. What others have added is theirs.
pub(super) fn differing(wanted: &SecretProviderClass, there: &Class) -> Vec<String> {
    let mut fields = Vec::new();
    if *wanted.spec.provider != *there.provider {
        fields.push(PROVIDER.to_owned());
    }
    let value = |name: &str| there.parameters.get(name).map(|value| &**value);
    let parameters = &wanted.spec.parameters;
    fields.extend(parameters.iter().filter(|(name, wanted)| value(name) != Some(wanted)).map(|(name, _)| name.clone()));
    let only_ours = |name: &str| {
        let mut owners =
            there.owners.iter().filter(|owner| owner.fields.iter().any(|field| &**field == name)).peekable();
        owners.peek().is_some() && owners.all(Owner::is_us)
    };
    let stale = there.parameters.keys().filter(|name| !parameters.contains_key(&***name) && only_ours(name));
    fields.extend(stale.map(ToString::to_string));
    fields
}

/// Who else owns one of the fields. A field of nobody's is ours to give only on an object that we made.
fn foreign(fields: &[String], owners: &[Owner], made_by_us: bool) -> Vec<String> {
    let owns = |owner: &Owner, field: &String| owner.fields.iter().any(|owned| **owned == **field);
    let strangers = || owners.iter().filter(|owner| !owner.is_us());
    let of_fields = strangers().filter(|owner| fields.iter().any(|field| owns(owner, field)));
    let mut others: Vec<String> = of_fields.map(|owner| owner.manager.to_string()).collect();
    let unowned = fields.iter().any(|field| !owners.iter().any(|owner| owns(owner, field)));
    if others.is_empty() && !made_by_us && unowned {
        others = strangers().map(|owner| owner.manager.to_string()).collect();
        if others.is_empty() {
            others.push("somebody else".to_owned());
        }
    }
    others.sort();
    others.dedup();
    others
}

/// The manager that wrote last, which is how the API server sorts them.
fn last_writer(owners: &[Owner]) -> &str {
    owners.iter().rev().find(|owner| !owner.is_us()).map_or("somebody", |owner| &owner.manager)
}

/// What to look at first, by what differs.
fn remedy(fields: &[String]) -> &'static str {
    if fields == ["userAssignedIdentityID"] {
        "Give both the same key vault user: keyVaultUserClientID here, ARO_HCP_KEY_VAULT_USER_CLIENT_ID there"
    } else {
        "Correct the HostedCluster or that writer, or delete the class if nobody needs it as it is"
    }
}
