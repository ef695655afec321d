//! Finds what bears a mark, and deletes it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Arm, Change, Refusal,
    ensure::tags_of,
    id::{
        AUTHORIZATION, GROUPS, IDENTITIES, ROLE_ASSIGNMENTS, ROLE_DEFINITIONS, STORAGE, STORAGE_ACCOUNTS,
        USER_ASSIGNED_IDENTITIES, id_of, is_within, last,
    },
    publish::WEB,
    role::{Assignment, guid_of},
};
use crate::provision::{Mark, Names};

/// Something that is to go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Doomed {
    pub what: String,
    id: String,
    version: &'static str,
    /// Of a group: the ids, in lower case, of all that may be in it when it goes.
    holds: Option<BTreeSet<String>>,
}

impl Doomed {
    fn new(what: String, id: String, version: &'static str) -> Self {
        Self { what, id, version, holds: None }
    }
}

const NAME_GROUP: &str = "name its resource group (--oidc-resource-group-name) to delete it";
const NAME_ACCOUNT: &str = "name it (--storage-account-name), and its resource group, to delete it";
const ABOVE: &str = "it is not of this subscription, but of what is above it";
const NOT_OURS: &str = "it has not our mark, and is of nobody that goes; delete it if it is of no use any more";
const ELSEWHERE: &str = "it is of an identity that stays";
const WITH_IDENTITY: &str = "not marked, but of an identity that goes";

/// Identities with the mark.
#[derive(Default)]
struct Identities {
    /// With the principals of each.
    going: Vec<(String, Doomed)>,
    /// The principals of those in other groups than the one that is looked at.
    elsewhere: Vec<String>,
}

/// What a subscription has of a cluster.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Belongings {
    /// In the order in which they have to go.
    pub doomed: Vec<Doomed>,
    /// What stays, and why.
    pub kept: Vec<String>,
}

impl Arm {
    /// What bears the mark: custom roles, identities and role assignments, then the storage account, or the resource group with everything in
    /// it. With an identity that goes, all its assignments go, as Azure leaves them behind otherwise; a role that somebody else has stays. Only
    /// looks.
    ///
    /// # Errors
    /// What Azure refuses.
    pub async fn belongings(
        &self,
        names: &Names,
        account: Option<&str>,
        whole_group: bool,
    ) -> Result<Belongings, Refusal> {
        let (mut found, mark) = (Belongings::default(), names.mark());
        let mut roles = self.own_roles(&mark, &mut found).await?;
        let group_subject = format!("cannot look at the resource group {}", names.oidc_group);
        let group_id = self.in_group(&names.oidc_group, "");
        let group = self.get(&group_subject, &group_id, GROUPS).await?;
        let identities = self.own_identities(names, &mark, &mut found).await?;
        let still_assigned = self.assigned(&roles, &identities, &mark, &mut found).await?;
        for role in roles.extract_if(.., |role| still_assigned.contains(&guid_of(&role.id))) {
            found.kept.push(format!("{}: it is still assigned, and Azure deletes no such role", role.what));
        }
        found.doomed.extend(roles);
        found.doomed.extend(identities.going.into_iter().map(|(_, identity)| identity));
        self.other_accounts(names, account, &mark, &mut found).await?;
        if let Some(group) = group {
            if let Some(account) = account {
                self.account_of(names, account, &mark, &mut found).await?;
            }
            if whole_group {
                self.whole(names, &group, &mark, &mut found).await?;
            }
        }
        Ok(found)
    }

    /// # Errors
    /// What Azure refuses.
    pub async fn destroy(&self, doomed: &Doomed) -> Result<Change, Refusal> {
        let subject = format!("cannot delete the {}", doomed.what);
        // Much may have been deleted since it was looked at.
        if let Some(holds) = &doomed.holds
            && let Some(others) = self.others(&doomed.id, holds).await?
        {
            return Err(Refusal::new(&subject, &format!("{others} has come into it meanwhile; look again")));
        }
        let gone = async || self.delete(&subject, &doomed.id, doomed.version).await;
        // An assignment that has gone is not gone everywhere at once.
        self.patiently(&["RoleDefinitionHasAssignments"], gone).await?;
        Ok(Change::Deleted)
    }

    /// The assignments that go; and the roles, by their GUIDs, of those that stay though they are of ours.
    async fn assigned(
        &self,
        roles: &[Doomed],
        identities: &Identities,
        mark: &Mark,
        found: &mut Belongings,
    ) -> Result<BTreeSet<String>, Refusal> {
        let subject = "cannot list the role assignments of the subscription";
        let all = self.list(subject, &self.in_subscription(ROLE_ASSIGNMENTS), AUTHORIZATION, &[]).await?;
        let mut still_assigned = BTreeSet::new();
        for one in all.iter().map(Assignment::read) {
            let is_marked = one.description == mark.of_assignment();
            let identity = identities.going.iter().find(|(principal, _)| one.is_of(principal));
            if !is_marked && identity.is_none() && !roles.iter().any(|role| guid_of(&role.id) == one.role) {
                continue;
            }
            let who = identity.map_or(&*one.principal, |(_, identity)| last(&identity.id));
            let what = self.role_of("cannot name what is assigned", &one, who).await?;
            let stays = match (is_within(&one.id, &self.in_subscription("")), is_marked || identity.is_some()) {
                (false, _) => Some(ABOVE),
                (true, _) if identities.elsewhere.iter().any(|principal| one.is_of(principal)) => Some(ELSEWHERE),
                (true, false) => Some(NOT_OURS),
                (true, true) => None,
            };
            if let Some(why) = stays {
                found.kept.push(format!("{what}: {why}"));
                still_assigned.insert(one.role);
            } else {
                let what = if is_marked { what } else { format!("{what}, {WITH_IDENTITY}") };
                found.doomed.push(Doomed::new(what, one.id, AUTHORIZATION));
            }
        }
        Ok(still_assigned)
    }

    async fn own_roles(&self, mark: &Mark, found: &mut Belongings) -> Result<Vec<Doomed>, Refusal> {
        let subject = "cannot list the roles of the subscription";
        let id = self.in_subscription(ROLE_DEFINITIONS);
        let custom = [("$filter", "type eq 'CustomRole'")];
        let scope = self.in_subscription("");
        let mut own = Vec::new();
        for role in self.list(subject, &id, AUTHORIZATION, &custom).await? {
            let properties = role.get("properties").unwrap_or(&Value::Null);
            if properties.get("description").and_then(Value::as_str) != Some(&mark.of_role()) {
                continue;
            }
            let what =
                format!("custom role {}", properties.get("roleName").and_then(Value::as_str).unwrap_or_default());
            let id = id_of(&role).to_owned();
            if !is_within(&id, &scope) {
                found.kept.push(format!("{what}: it is not of this subscription"));
                continue;
            }
            let scopes = properties.get("assignableScopes").and_then(Value::as_array);
            let elsewhere = |one: &Value| !one.as_str().is_some_and(|one| is_within(one, &scope));
            if scopes.into_iter().flatten().any(elsewhere) {
                found.kept.push(format!("{what}: other subscriptions can assign it, too"));
            } else {
                own.push(Doomed::new(what, id, AUTHORIZATION));
            }
        }
        Ok(own)
    }

    async fn own_identities(
        &self,
        Names { oidc_group, name, .. }: &Names,
        mark: &Mark,
        found: &mut Belongings,
    ) -> Result<Identities, Refusal> {
        let subject = "cannot list the identities of the subscription";
        let all = self.list(subject, &self.in_subscription(USER_ASSIGNED_IDENTITIES), IDENTITIES, &[]).await?;
        let mut own = Identities::default();
        for identity in all {
            let id = id_of(&identity).to_owned();
            let what = format!("identity {}", last(&id));
            let is_here = is_within(&id, &self.in_group(oidc_group, ""));
            let principal = identity.pointer("/properties/principalId").and_then(Value::as_str).unwrap_or_default();
            match (mark.is_on(&tags_of(&identity)), is_here) {
                (true, true) => own.going.push((principal.to_lowercase(), Doomed::new(what, id, IDENTITIES))),
                (true, false) => {
                    found.kept.push(format!("{what}: it is not in {oidc_group}, but is {id}; {NAME_GROUP}"));
                    own.elsewhere.push(principal.to_owned());
                }
                (false, true) => found.kept.push(format!("{what}: it has not the tag of {name}")),
                (false, false) => {}
            }
        }
        Ok(own)
    }

    /// Of an issuer whose account has a name of its own.
    async fn other_accounts(
        &self,
        names: &Names,
        account: Option<&str>,
        mark: &Mark,
        found: &mut Belongings,
    ) -> Result<(), Refusal> {
        let subject = "cannot list the storage accounts of the subscription";
        let ours = account.map(|account| self.storage_account(&names.oidc_group, account));
        let marked = self.list(subject, &self.in_subscription(STORAGE_ACCOUNTS), STORAGE, &[]).await?;
        for id in marked.iter().filter(|one| mark.is_on(&tags_of(one))).map(id_of) {
            if !ours.as_ref().is_some_and(|ours| ours.eq_ignore_ascii_case(id)) {
                found
                    .kept
                    .push(format!("storage account {}: it is not looked at, as it is {id}; {NAME_ACCOUNT}", last(id)));
            }
        }
        Ok(())
    }

    async fn account_of(
        &self,
        names: &Names,
        account: &str,
        mark: &Mark,
        found: &mut Belongings,
    ) -> Result<(), Refusal> {
        let what = format!("storage account {account}");
        let id = self.storage_account(&names.oidc_group, account);
        let Some(known) = self.get(&format!("cannot look at the {what}"), &id, STORAGE).await? else { return Ok(()) };
        if !mark.is_on(&tags_of(&known)) {
            found.kept.push(format!("{what}: it has not the tag of {}", names.name));
        } else if let others @ [_, _, ..] = &*self.containers(&id).await? {
            let others = others.join(", ");
            let name = &names.name;
            found.kept.push(format!("{what}: it has the containers {others}; delete those that are not of {name}"));
        } else {
            found.doomed.push(Doomed::new(what, id, STORAGE));
        }
        Ok(())
    }

    async fn whole(
        &self,
        Names { oidc_group, name, .. }: &Names,
        group: &Value,
        mark: &Mark,
        found: &mut Belongings,
    ) -> Result<(), Refusal> {
        let what = format!("resource group {oidc_group}");
        if !mark.is_on(&tags_of(group)) {
            found.kept.push(format!("{what}: it has not the tag of {name}"));
            return Ok(());
        }
        let going: BTreeSet<_> = found.doomed.iter().map(|doomed| doomed.id.to_lowercase()).collect();
        let id = self.in_group(oidc_group, "");
        match self.others(&id, &going).await? {
            Some(others) => found.kept.push(format!("{what}: in it are also {others}")),
            None => found.doomed.push(Doomed { holds: Some(going), ..Doomed::new(what, id, GROUPS) }),
        }
        Ok(())
    }

    /// What is in a group beside these.
    async fn others(&self, group: &str, than: &BTreeSet<String>) -> Result<Option<String>, Refusal> {
        let subject = format!("cannot list what is in {}", last(group));
        let there = self.list(&subject, &format!("{group}/resources"), GROUPS, &[]).await?;
        let others = there.iter().map(id_of).filter(|id| !than.contains(&id.to_lowercase()));
        let others: Vec<_> = others.map(last).collect();
        Ok(if others.is_empty() { None } else { Some(others.join(", ")) })
    }

    /// Those of an account but Azure's own, of which a website's is none. Containers bear no mark, and the issuer of another cluster may
    /// be in one.
    async fn containers(&self, account: &str) -> Result<Vec<String>, Refusal> {
        let subject = format!("cannot list the containers of {}", last(account));
        let there = self.list(&subject, &format!("{account}/blobServices/default/containers"), STORAGE, &[]).await?;
        let names = there.iter().map(|container| last(id_of(container)).to_owned());
        Ok(names.filter(|name| name == WEB || !name.starts_with('$')).collect())
    }
}
