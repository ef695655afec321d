//! Roles: which ones there are, those that are made, and who has which where.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    Arm, Change, Refusal,
    guid::guid,
    id::{AUTHORIZATION, ROLE_ASSIGNMENTS, ROLE_DEFINITIONS, id_of, is_within, last},
    identity::{OldRoles, See, There},
};
use crate::provision::{CustomRole, ManagedIdentity, Mark};

/// The GUIDs of roles, by their display names in lower case.
#[derive(Default)]
pub(super) struct Roles(BTreeMap<String, String>);

impl Roles {
    pub(super) fn add(&mut self, name: &str, guid: String) {
        self.0.insert(name.to_ascii_lowercase(), guid);
    }

    fn of(&self, subject: &str, name: &str) -> Result<&str, Refusal> {
        let found = self.0.get(&name.to_ascii_lowercase());
        found.map(String::as_str).ok_or_else(|| Refusal::new(subject, "no such role was looked up"))
    }
}

/// A role that somebody has somewhere.
struct Assignment {
    id: String,
    /// The GUID of the role, in lower case.
    role: String,
    scope: String,
    principal: String,
    description: String,
}

impl Assignment {
    fn read(known: &Value) -> Self {
        let text = |key: &str| known.pointer(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            id: text("/id"),
            role: guid_of(&text("/properties/roleDefinitionId")),
            scope: text("/properties/scope"),
            principal: text("/properties/principalId"),
            description: text("/properties/description"),
        }
    }

    /// Azure writes ids in the case in which somebody else has written them.
    fn is(&self, role: &str, scope: &str) -> bool {
        self.role == role && self.scope.trim_end_matches('/').eq_ignore_ascii_case(scope)
    }

    fn is_of(&self, principal: &str) -> bool {
        self.principal.eq_ignore_ascii_case(principal)
    }
}

impl Arm {
    /// The roles of these names; all that are not there are told at once.
    pub(super) async fn roles(&self, names: &BTreeSet<&str>) -> Result<Roles, Refusal> {
        const SUBJECT: &str = "cannot assign roles";
        let (mut roles, mut unknown) = (Roles::default(), Vec::new());
        for name in names {
            match &*self.definitions(SUBJECT, name).await? {
                [role] => roles.add(name, guid_of(id_of(role))),
                [] => unknown.push(format!("{name:?}")),
                [_, _, ..] => {
                    return Err(Refusal::new(
                        SUBJECT,
                        &format!("several roles have the name {name:?}; rename all but one"),
                    ));
                }
            }
        }
        if unknown.is_empty() {
            return Ok(roles);
        }
        let text = format!(
            "no role that can be assigned in the subscription has the name {}; see az role definition list --query '[].roleName'",
            unknown.join(" or ")
        );
        Err(Refusal::new(SUBJECT, &text))
    }

    async fn definitions(&self, subject: &str, name: &str) -> Result<Vec<Value>, Refusal> {
        let filter = format!("roleName eq '{}'", name.replace('\'', "''"));
        let id = self.in_subscription(ROLE_DEFINITIONS);
        let mut found = self.list(subject, &id, AUTHORIZATION, &[("$filter", &filter)]).await?;
        found.retain(|role| property(role, "roleName").as_str().is_some_and(|known| known.eq_ignore_ascii_case(name)));
        Ok(found)
    }

    /// A role of its own for an identity, and the GUID of it.
    pub(super) async fn custom_role(&self, role: &CustomRole, mark: &Mark) -> Result<(Change, String), Refusal> {
        let subject = format!("cannot make the {role}");
        let own = guid(&[&self.in_subscription(""), "role", &role.name]);
        let own_id = self.in_subscription(&format!("{ROLE_DEFINITIONS}/{own}"));
        let mut found = self.definitions(&subject, &role.name).await?;
        if found.is_empty() {
            // Lists learn of a new role last.
            found.extend(self.get(&subject, &own_id, AUTHORIZATION).await?);
        }
        let known = match &*found {
            [] => {
                self.define(&subject, &own_id, role, &mark.of_role(), &json!([self.in_subscription("")])).await?;
                return Ok((Change::Created, own));
            }
            [known] => known,
            [_, _, ..] => return Err(Refusal::new(&subject, "several roles have this name; rename all but one")),
        };
        let name = guid_of(id_of(known));
        if is_as(known, role) {
            return Ok((Change::Kept, name));
        }
        let description = mark.of_role();
        if property(known, "description") != &json!(description) {
            return Err(Refusal::new(&subject, NOT_OURS));
        }
        let id = self.in_subscription(&format!("{ROLE_DEFINITIONS}/{name}"));
        self.define(&subject, &id, role, &description, property(known, "assignableScopes")).await?;
        Ok((Change::Updated, name))
    }

    async fn define(
        &self,
        subject: &str,
        id: &str,
        role: &CustomRole,
        description: &str,
        scopes: &Value,
    ) -> Result<(), Refusal> {
        let CustomRole { name, actions, data_actions } = role;
        let permission =
            json!({"actions": actions, "notActions": [], "dataActions": data_actions, "notDataActions": []});
        let body = json!({"properties": {
            "roleName": name,
            "description": description,
            "type": "CustomRole",
            "permissions": [permission],
            "assignableScopes": scopes,
        }});
        let put = self.put(subject, id, AUTHORIZATION, &body).await;
        put.map(drop).map_err(|refusal| {
            refusal
                .remedied(&["RoleDefinitionWithSameNameExists"], TAKEN)
                .remedied(&["AuthorizationFailed"], ADMINISTRATOR)
        })
    }

    /// Gives an identity its roles, and takes from it what we have given and is not wanted any more.
    pub(super) async fn grant(
        &self,
        wanted: &ManagedIdentity,
        who: &There,
        roles: &Roles,
        mark: &Mark,
        old_roles: OldRoles,
        see: See<'_>,
    ) -> Result<(), Refusal> {
        let subject = format!("cannot find the roles of the {wanted}");
        let assigned =
            if who.is_nobody_yet() { Vec::new() } else { self.assignments(&subject, &who.principal).await? };
        let mut meant = Vec::with_capacity(wanted.grants.len());
        for grant in &wanted.grants {
            let told = wanted.grant(grant);
            let subject = format!("cannot assign the {told}");
            let (role, scope) = (roles.of(&subject, &grant.role)?, self.in_group(&grant.resource_group, ""));
            let change = if assigned.iter().any(|one| one.is(role, &scope)) {
                Change::Kept
            } else {
                self.assign(&subject, role, &scope, who, mark).await?
            };
            see(change, told);
            meant.push((role, scope));
        }
        let old = assigned.iter().filter(|one| one.description == mark.of_assignment() && one.is_of(&who.principal));
        let old = old.filter(|one| is_within(&one.scope, &self.in_subscription("")));
        let old = old.filter(|one| !meant.iter().any(|(role, scope)| one.is(role, scope)));
        for one in old.filter(|_| old_roles == OldRoles::Prune) {
            let subject = format!("cannot take a role from the {wanted}");
            self.delete(&subject, &one.id, AUTHORIZATION).await?;
            see(Change::Deleted, format!("role {} of {} on {}", one.role, wanted.name, one.scope));
        }
        Ok(())
    }

    /// Those of somebody at, above and below the subscription: not those of groups.
    async fn assignments(&self, subject: &str, principal: &str) -> Result<Vec<Assignment>, Refusal> {
        let filter = format!("principalId eq '{principal}'");
        let id = self.in_subscription(ROLE_ASSIGNMENTS);
        let found = self.list(subject, &id, AUTHORIZATION, &[("$filter", &filter)]).await?;
        Ok(found.iter().map(Assignment::read).collect())
    }

    async fn assign(
        &self,
        subject: &str,
        role: &str,
        scope: &str,
        who: &There,
        mark: &Mark,
    ) -> Result<Change, Refusal> {
        // Of the identity and not of its principal: one that was deleted and made again finds what was left of the old one.
        let id = format!("{scope}{ROLE_ASSIGNMENTS}/{}", guid(&[scope, role, &who.id]));
        let change = match self.get(subject, &id, AUTHORIZATION).await?.as_ref().map(Assignment::read) {
            None => Change::Created,
            Some(known) if known.is_of(&who.principal) => return Ok(Change::Kept),
            Some(orphan) if orphan.description == mark.of_assignment() => {
                self.delete(subject, &id, AUTHORIZATION).await?;
                Change::Replaced
            }
            Some(_) => return Err(Refusal::new(subject, &format!("{id} is somebody else's; delete it"))),
        };
        let body = json!({"properties": {
            "roleDefinitionId": self.in_subscription(&format!("{ROLE_DEFINITIONS}/{role}")),
            "principalId": who.principal,
            // Then Azure does not look for the principal where it has not come to be known yet.
            "principalType": "ServicePrincipal",
            "description": mark.of_assignment(),
        }});
        let put = async || self.put(subject, &id, AUTHORIZATION, &body).await;
        match self.patiently(&SPREADING, put).await {
            Ok(_) => Ok(change),
            Err(refusal) if refusal.is(&["RoleAssignmentExists"]) => Ok(Change::Kept),
            Err(refusal) => Err(refusal.remedied(&["AuthorizationFailed"], ADMINISTRATOR)),
        }
    }
}

/// What is said of something that was made a moment ago.
const SPREADING: [&str; 3] = ["PrincipalNotFound", "RoleDefinitionDoesNotExist", "ResourceGroupNotFound"];

const ADMINISTRATOR: &str = "the caller needs the role \"User Access Administrator\", or \"Owner\", on the subscription; a role that was \
                             just given takes some minutes to be known";
const TAKEN: &str = "names of custom roles are unique in a tenant, and another subscription of it has one of this name: give another --name; \
                     if it was deleted a moment ago, run this again later";
const NOT_OURS: &str =
    "a role of this name is there that was made otherwise and allows something else; rename it, or give another --name";

fn property<'v>(resource: &'v Value, name: &str) -> &'v Value {
    resource.get("properties").and_then(|properties| properties.get(name)).unwrap_or(&Value::Null)
}

/// The GUID of a role, of its id.
fn guid_of(id: &str) -> String {
    last(id).to_ascii_lowercase()
}

/// Whether a role allows just this.
fn is_as(known: &Value, role: &CustomRole) -> bool {
    let Some([permission]) = property(known, "permissions").as_array().map(Vec::as_slice) else { return false };
    let set = |key: &str| -> BTreeSet<String> {
        let actions = permission.get(key).and_then(Value::as_array).into_iter().flatten();
        actions.filter_map(Value::as_str).map(str::to_ascii_lowercase).collect()
    };
    let wanted = |actions: &[String]| actions.iter().map(|action| action.to_ascii_lowercase()).collect();
    let CustomRole { actions, data_actions, .. } = role;
    [("actions", wanted(actions)), ("dataActions", wanted(data_actions))]
        .into_iter()
        .chain([("notActions", BTreeSet::new()), ("notDataActions", BTreeSet::new())])
        .all(|(key, wanted)| set(key) == wanted)
}
