//! What there is in subscriptions.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    built_in::BUILT_IN,
    replication::{Delays, Replication},
    target::Target,
};
use crate::{random, secret::Redacted};

/// All that ARM keeps.
#[derive(Debug, Default)]
pub struct Store {
    pub(super) subscriptions: Vec<Subscription>,
    /// By path, in lower case.
    pub(super) groups: BTreeMap<String, Group>,
    /// By name: it is unique in all of Azure.
    pub(crate) accounts: BTreeMap<String, Account>,
    /// By id, in lower case.
    pub(super) identities: BTreeMap<String, Identity>,
    /// By GUID, in lower case.
    pub(super) definitions: BTreeMap<String, Definition>,
    /// By GUID, in lower case.
    pub(super) assignments: BTreeMap<String, Assignment>,
    pub(super) operations: BTreeMap<String, Running>,
    /// The clients of all identities that were ever made here.
    pub(super) made: BTreeSet<String>,
    pub(super) habits: Habits,
    pub(crate) replication: Replication,
}

/// A subscription, which is in a tenant.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subscription {
    pub id: String,
    pub tenant: String,
}

/// A role that somebody has from the start: without one nobody could begin.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Assigned {
    /// The id of its object.
    pub principal_id: String,
    /// The name of a built-in role.
    pub role: String,
    pub scope: String,
}

/// How ARM takes its time.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Habits {
    /// A storage account is made, and a resource group deleted, after so many looks; 0 is at once.
    pub polls: u32,
    /// What these say in `Retry-After`. Azure says 15 to 17.
    pub retry_after_seconds: u32,
    /// Lists come in pages of so many.
    pub page_size: usize,
    /// A write of a federated credential takes so long, and no other one of that identity is taken meanwhile.
    pub federated_write_milliseconds: u64,
}

impl Default for Habits {
    fn default() -> Self {
        Self { polls: 1, retry_after_seconds: 0, page_size: 100, federated_write_milliseconds: 20 }
    }
}

/// What a test can say of ARM as a whole.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Behaviour {
    pub habits: Habits,
    pub delays: Delays,
}

pub(super) type Tags = BTreeMap<String, String>;

#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) path: String,
    pub(super) name: String,
    pub(super) location: String,
    pub(super) tags: Tags,
    /// While it is being deleted.
    pub(super) going: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(super) name: String,
    /// The path of its resource group.
    pub(super) group: String,
    pub(super) location: String,
    pub(super) kind: String,
    pub(super) sku: String,
    pub(super) tags: Tags,
    /// What was asked for, as it was asked for.
    pub(super) properties: Map<String, Value>,
    pub(super) service: Map<String, Value>,
    /// By name.
    pub(crate) containers: BTreeMap<String, Container>,
    pub(crate) keys: [Redacted; 2],
    pub(super) created: Timestamp,
    /// While it is being made.
    pub(super) coming: bool,
}

impl Account {
    pub(crate) fn id(&self) -> String {
        format!("{}/providers/Microsoft.Storage/storageAccounts/{}", self.group, self.name)
    }

    /// Off unless it was switched on, since November 2023.
    pub(crate) fn allows_public_access(&self) -> bool {
        self.switch("allowBlobPublicAccess", false)
    }

    /// On unless it was switched off.
    pub(crate) fn allows_keys(&self) -> bool {
        self.switch("allowSharedKeyAccess", true)
    }

    fn switch(&self, name: &str, otherwise: bool) -> bool {
        self.properties.get(name).and_then(Value::as_bool).unwrap_or(otherwise)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Container {
    pub(crate) public_access: String,
    pub(super) metadata: Value,
    /// Whether the blob store has it as it is.
    pub(crate) settled: bool,
    pub(super) etag: String,
    pub(super) modified: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// With `resourcegroups` in lower case, as the provider writes it.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) location: String,
    pub(super) tags: Tags,
    pub(super) tenant: String,
    pub(super) client_id: String,
    pub(super) object_id: String,
}

#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) tenant: String,
    pub(super) role_name: String,
    pub(super) description: String,
    pub(super) permissions: Vec<Permission>,
    pub(super) assignable_scopes: Vec<String>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Permission {
    pub(super) actions: Vec<String>,
    pub(super) not_actions: Vec<String>,
    pub(super) data_actions: Vec<String>,
    pub(super) not_data_actions: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) tenant: String,
    /// As it was written when it was made.
    pub(super) scope: String,
    pub(super) principal_id: String,
    pub(super) principal_type: String,
    /// The GUID of the role.
    pub(super) role: String,
    /// As it was written when it was made.
    pub(super) role_definition_id: String,
    pub(super) description: Option<String>,
    pub(super) created: Timestamp,
}

/// Something that goes on after it was answered.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) looks_left: u32,
    pub(super) end: End,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// The account of this name is there.
    AccountMade(String),
    /// The group of this path, in lower case, is gone, and what was in it.
    GroupDeleted(String),
}

impl Store {
    pub fn add_subscription(&mut self, subscription: Subscription) {
        self.subscriptions.retain(|known| !known.id.eq_ignore_ascii_case(&subscription.id));
        self.subscriptions.push(subscription);
    }

    /// False if the scope is in no subscription, or there is no such built-in role.
    pub fn assign(&mut self, assigned: Assigned, now: Timestamp) -> bool {
        let scope = super::target::Scope::new(&assigned.scope);
        let role = BUILT_IN.iter().find(|role| role.name.eq_ignore_ascii_case(&assigned.role));
        let (Some(role), Some(subscription)) = (role, self.subscription(scope.subscription())) else { return false };
        let assignment = Assignment {
            name: random::uuid(),
            tenant: subscription.tenant.clone(),
            role_definition_id: super::definitions::id(subscription.id.as_str(), role.id),
            scope: scope.path().to_owned(),
            principal_id: assigned.principal_id,
            principal_type: "ServicePrincipal".to_owned(),
            role: role.id.to_owned(),
            description: None,
            created: now,
        };
        self.assignments.insert(assignment.name.clone(), assignment);
        true
    }

    pub fn behave(&mut self, behaviour: Behaviour) {
        self.habits = behaviour.habits;
        self.replication.set(behaviour.delays);
    }

    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        Behaviour { habits: self.habits, delays: self.replication.delays().clone() }
    }

    /// The tenant of the subscription that a thing is in.
    pub(crate) fn tenant_of(&self, id: &str) -> Option<String> {
        let subscription = super::target::Scope::new(id).subscription().to_owned();
        self.subscription(&subscription).map(|subscription| subscription.tenant.clone())
    }

    pub(super) fn subscription(&self, id: &str) -> Option<&Subscription> {
        self.subscriptions.iter().find(|known| known.id.eq_ignore_ascii_case(id))
    }

    /// What goes on is looked at; at the last look it ends.
    pub(super) fn look(&mut self, end: &End) {
        let Some((id, running)) = self.operations.iter_mut().find(|(_, running)| running.end == *end) else { return };
        running.looks_left = running.looks_left.saturating_sub(1);
        if running.looks_left == 0 {
            let id = id.clone();
            self.operations.remove(&id);
            self.finish(end);
        }
    }

    /// The id of something that goes on from now.
    pub(super) fn start(&mut self, end: End) -> Option<String> {
        if self.habits.polls == 0 {
            self.finish(&end);
            return None;
        }
        let id = random::uuid();
        self.operations.insert(id.clone(), Running { looks_left: self.habits.polls, end });
        Some(id)
    }

    fn finish(&mut self, end: &End) {
        match end {
            End::AccountMade(name) => {
                if let Some(account) = self.accounts.get_mut(name) {
                    account.coming = false;
                }
            }
            End::GroupDeleted(path) => {
                self.groups.remove(path);
                self.accounts.retain(|_, account| !account.group.eq_ignore_ascii_case(path));
                let below = super::target::Scope::new(path);
                self.identities.retain(|id, _| !below.covers(id));
                self.assignments.retain(|_, assignment| !below.covers(&assignment.scope));
            }
        }
    }

    /// Whether this was the client of an identity that is gone.
    pub(crate) fn is_lost(&self, client_id: &str) -> bool {
        self.made.contains(client_id) && !self.identities.values().any(|identity| identity.client_id == client_id)
    }

    /// Where the thing is that a path names, if it is there.
    pub(super) fn location(&self, target: &Target) -> Option<String> {
        let group = self.groups.get(&super::groups::path(target.scope.subscription(), target.group()).to_lowercase());
        group.map(|group| group.location.clone())
    }
}
