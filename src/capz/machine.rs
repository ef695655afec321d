//! Machines: the user-assigned identity that their nodes sign in with, as a cluster without secrets has nothing else to give
//! them.

use std::fmt;

use serde_json::json;

use super::edit::Change;
use crate::{
    finding::{FieldPath, Problem, Reason},
    manifest::{Content, Node},
    names::is_uuid,
};

/// The kinds that machines are made of, and where their identity stands.
pub(super) const KINDS: [(&str, &str); 3] =
    [("AzureMachineTemplate", "spec.template.spec"), ("AzureMachinePool", "spec"), ("AzureMachine", "spec")];

/// The resource id of a user-assigned identity, without the `azure://` that provider ids start with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdentityId(Box<str>);

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is no user-assigned identity: it must be /subscriptions/ID/resourceGroups/GROUP/providers/Microsoft.ManagedIdentity/userAssignedIdentities/NAME"
)]
pub struct NoIdentity(String);

const SCHEME: &str = "azure://";

impl IdentityId {
    /// # Errors
    /// Where Azure can have no identity of this id.
    pub fn new(id: &str) -> Result<Self, NoIdentity> {
        let bare = id.strip_prefix(SCHEME).unwrap_or(id);
        let fixed = |part: &str, wanted: &str| part.eq_ignore_ascii_case(wanted);
        let named = |name: &str, length| {
            (1..=length).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.()".contains(&byte))
        };
        match bare.split('/').collect::<Vec<_>>()[..] {
            ["", subscriptions, subscription, groups, group, providers, provider, identities, name]
                if fixed(subscriptions, "subscriptions")
                    && is_uuid(subscription)
                    && fixed(groups, "resourceGroups")
                    && named(group, 90)
                    && fixed(providers, "providers")
                    && fixed(provider, "Microsoft.ManagedIdentity")
                    && fixed(identities, "userAssignedIdentities")
                    && named(name, 128) =>
            {
                Ok(Self(bare.into()))
            }
            _ => Err(NoIdentity(id.to_owned())),
        }
    }

    /// Its subscription, its resource group and its name.
    #[must_use]
    pub fn parts(&self) -> (&str, &str, &str) {
        let part = |number| self.0.split('/').nth(number).unwrap_or_default();
        (part(2), part(4), part(8))
    }

    /// As machines name it.
    #[must_use]
    pub fn provider_id(&self) -> String {
        format!("{SCHEME}{}", self.0)
    }

    /// Azure compares ids without regard to case.
    fn is(&self, provider_id: &str) -> bool {
        provider_id.strip_prefix(SCHEME).unwrap_or(provider_id).eq_ignore_ascii_case(&self.0)
    }
}

impl fmt::Display for IdentityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const IDENTITY: &str = "identity";
const IDENTITIES: &str = "userAssignedIdentities";
const USER_ASSIGNED: &str = "UserAssigned";

/// What is to change in the spec of a machine for its nodes to have this identity.
pub(super) fn changes(spec: &Node, at: &FieldPath, wanted: Option<&IdentityId>) -> Result<Vec<Change>, Vec<Problem>> {
    let of_the_system = of_the_system(spec, at);
    if !of_the_system.is_empty() {
        return Err(of_the_system);
    }
    let (assigned, others) = match (identity(spec, at), identities(spec, at)) {
        (Ok(assigned), Ok(others)) => (assigned, others),
        (assigned, others) => return Err(assigned.err().into_iter().chain(others.err()).collect()),
    };
    let mut problems = Vec::new();
    let mut changes = Vec::new();
    if !assigned {
        changes.push(Change::Set(IDENTITY, USER_ASSIGNED.into()));
    }
    match (wanted, others.first()) {
        (None, None) => problems.push(Problem::error(
            Reason::Required,
            at.key(IDENTITIES),
            "has no identity: its nodes could not sign in to Azure, as there is no secret to give them",
            "give it one (hcp-identity capz wire --user-assigned-identity ID)",
        )),
        (Some(wanted), None) => {
            changes.push(Change::Set(IDENTITIES, json!([{"providerID": wanted.provider_id()}])));
        }
        (Some(wanted), Some(first)) if !wanted.is(first) => problems.push(
            Problem::error(
                Reason::MachineIdentityConflict,
                at.key(IDENTITIES).index(0).key("providerID"),
                "names another identity, and the first is the one that nodes sign in with",
                "remove it from the manifest, or leave --user-assigned-identity out to keep it",
            )
            .with_value(*first),
        ),
        (_, Some(_)) => {}
    }
    if problems.is_empty() { Ok(changes) } else { Err(problems) }
}

/// The identities that a machine names, and where.
pub(super) fn identity_ids(spec: &Node, at: &FieldPath) -> impl Iterator<Item = (FieldPath, IdentityId)> {
    let field = at.key(IDENTITIES);
    let ids = identities(spec, at).unwrap_or_default().into_iter().enumerate();
    ids.filter_map(move |(index, id)| Some((field.index(index).key("providerID"), IdentityId::new(id).ok()?)))
}

/// What only machines with an identity of their own may have.
fn of_the_system(spec: &Node, at: &FieldPath) -> Vec<Problem> {
    let conflict = |field: &str| {
        let message = "is of an identity that Azure makes for each machine";
        let remedy = "remove it and give the machine a user-assigned identity, or leave the manifest as it is";
        Problem::error(Reason::MachineIdentityConflict, at.key(field), message, remedy)
    };
    let mut problems: Vec<_> = ["systemAssignedIdentityRole", "roleAssignmentName"]
        .into_iter()
        .filter(|field| spec.get(field).is_some_and(|value| !value.is_null() && value.to_value() != ""))
        .map(conflict)
        .collect();
    if spec.text(IDENTITY) == Some("SystemAssigned") {
        problems.push(conflict(IDENTITY).with_value("SystemAssigned"));
    }
    problems
}

/// Whether the machine says already that its identity is one that somebody has made.
fn identity(spec: &Node, at: &FieldPath) -> Result<bool, Problem> {
    match spec.get(IDENTITY).map(|node| &node.content) {
        None | Some(Content::Null) => Ok(false),
        Some(Content::String(text)) if matches!(&**text, "" | "None") => Ok(false),
        Some(Content::String(text)) if &**text == USER_ASSIGNED => Ok(true),
        Some(Content::String(text)) => {
            let (message, remedy) = ("is no kind of identity that CAPZ knows", "write UserAssigned, or remove it");
            Err(Problem::error(Reason::UnsupportedValue, at.key(IDENTITY), message, remedy).with_value(&**text))
        }
        Some(_) => Err(wrong_type(at.key(IDENTITY), "is no string")),
    }
}

fn identities<'n>(spec: &'n Node, at: &FieldPath) -> Result<Vec<&'n str>, Problem> {
    let field = at.key(IDENTITIES);
    match spec.get(IDENTITIES).map(|node| &node.content) {
        None | Some(Content::Null) => Ok(Vec::new()),
        Some(Content::Sequence(items)) => items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                item.text("providerID").ok_or_else(|| wrong_type(field.index(index), "has no providerID"))
            })
            .collect(),
        Some(_) => Err(wrong_type(field, "is no list")),
    }
}

fn wrong_type(field: FieldPath, message: &str) -> Problem {
    Problem::error(Reason::InvalidType, field, message, "correct it, or remove the field")
}
