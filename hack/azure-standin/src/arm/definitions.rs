//! Role definitions: Azure's own, and those that a tenant made. A name is in a tenant once.

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Visit,
    built_in::{BUILT_IN, BuiltIn},
    empty, ok,
    refusal::{self, Refused},
    replication::Spreading,
    store::{Definition, Permission},
    target::{Scope, Wanted},
};
use crate::exchange::{Answer, json as answer};

#[derive(Deserialize)]
struct Body {
    properties: Properties,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Properties {
    role_name: String,
    description: String,
    r#type: Option<String>,
    permissions: Vec<Permission>,
    assignable_scopes: Vec<String>,
}

const TYPE: &str = "Microsoft.Authorization/roleDefinitions";

pub(super) fn perform(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    match (visit.call.method.as_str(), &visit.target.wanted) {
        ("GET", Wanted::All) => list(visit),
        ("GET", Wanted::One) => get(visit),
        ("PUT", Wanted::One) => put(visit),
        ("DELETE", Wanted::One) => delete(visit),
        _ => Err(visit.refuse_method()),
    }
}

pub(super) fn id(subscription: &str, name: &str) -> String {
    if subscription.is_empty() {
        return format!("/providers/{TYPE}/{name}");
    }
    format!("/subscriptions/{subscription}/providers/{TYPE}/{name}")
}

/// 36 characters, as Azure reads one.
pub(super) fn is_guid(text: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    let fits = |(at, byte): (usize, u8)| if hyphens.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}

pub(super) fn does_not_exist(name: &str) -> Refused {
    let name = name.replace('-', "");
    let message = format!("The specified role definition with ID '{name}' does not exist.");
    refusal::missing("RoleDefinitionDoesNotExist", &message)
}

/// `roleName eq 'NAME'` and `type eq 'CustomRole'`, and what of it is quoted.
struct Filter {
    name: Option<String>,
    kind: Option<String>,
}

impl Filter {
    fn of(visit: &Visit<'_>) -> Result<Self, Refused> {
        let mut filter = Self { name: None, kind: None };
        for part in visit.call.query("$filter").unwrap_or_default().split(" and ").map(str::trim) {
            match part.split_once(" eq ") {
                Some(("roleName", value)) => filter.name = Some(unquoted(value)?),
                Some(("type", value)) => filter.kind = Some(unquoted(value)?),
                None if part.is_empty() || part.starts_with("atScope") => {}
                _ => return Err(unsupported()),
            }
        }
        Ok(filter)
    }

    fn takes(&self, name: &str, kind: &str) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|one| one.eq_ignore_ascii_case(is));
        same(&self.name, name) && same(&self.kind, kind)
    }
}

/// A text of OData: in single quotes, of which one inside is written twice.
pub(super) fn unquoted(text: &str) -> Result<String, Refused> {
    let inner = text.trim().strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    inner.map(|text| text.replace("''", "'")).ok_or_else(unsupported)
}

pub(super) fn unsupported() -> Refused {
    let message = "The filter is not supported. Supported filters are either 'atScope()' or 'principalId eq \
                   '{value}'' or 'assignedTo('{value}')'.";
    refusal::bad("UnsupportedQuery", message)
}

fn list(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let filter = Filter::of(visit)?;
    let (tenant, scope, now) = (visit.tenant, visit.target.scope.clone(), visit.now);
    let subscription = scope.subscription().to_owned();
    let custom: Vec<_> = visit
        .world
        .arm
        .definitions
        .values()
        .filter(|one| one.tenant == tenant && one.is_assignable_at(scope.path()))
        .filter(|one| filter.takes(&one.role_name, "CustomRole"))
        .cloned()
        .collect();
    let replication = &mut visit.world.arm.replication;
    let custom = custom.iter().filter(|one| replication.is_seen(Spreading::RoleDefinitions, &one.name, now));
    let custom: Vec<_> = custom.map(|one| one.shown(&subscription)).collect();
    let built_in = BUILT_IN.iter().filter(|one| filter.takes(one.name, "BuiltInRole"));
    let all = built_in.map(|one| one.shown(&subscription)).chain(custom).collect();
    visit.list(all)
}

fn get(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let name = visit.target.name();
    let subscription = visit.target.scope.subscription();
    if let Some(role) = BUILT_IN.iter().find(|role| role.id.eq_ignore_ascii_case(name)) {
        return Ok(ok(&role.shown(subscription)));
    }
    let found = visit.world.arm.definitions.get(&name.to_lowercase()).filter(|one| one.tenant == visit.tenant);
    found.map(|one| ok(&one.shown(subscription))).ok_or_else(|| does_not_exist(name))
}

fn put(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let name = visit.target.name().to_lowercase();
    let Body { properties } = visit.body()?;
    check(visit, &name, &properties)?;
    let now = visit.now;
    let before = visit.world.arm.definitions.get(&name);
    let created = before.map_or(now, |one| one.created);
    if before.is_none() {
        visit.world.arm.replication.begin(Spreading::RoleDefinitions, &name, now);
    }
    let definition = Definition {
        name: name.clone(),
        tenant: visit.tenant.to_owned(),
        role_name: properties.role_name,
        description: properties.description,
        permissions: properties.permissions,
        assignable_scopes: properties.assignable_scopes,
        created,
        updated: now,
    };
    let shown = definition.shown(visit.target.scope.subscription());
    visit.world.arm.definitions.insert(name, definition);
    Ok(answer(StatusCode::CREATED, &shown))
}

fn check(visit: &Visit<'_>, name: &str, new: &Properties) -> Result<(), Refused> {
    let custom = new.r#type.as_deref().is_none_or(|kind| kind.eq_ignore_ascii_case("CustomRole"));
    if !is_guid(name) || new.role_name.is_empty() || new.permissions.is_empty() || !custom {
        return Err(refusal::bad("BadRequestFormat", "The request was incorrectly formatted."));
    }
    check_scopes(visit.target.scope.path(), &new.assignable_scopes)?;
    let mut actions = new.permissions.iter().flat_map(|one| one.actions.iter().chain(&one.data_actions));
    if let Some(action) = actions.find(|action| *action != "*" && !action.contains('/')) {
        let message = format!("'{action}' does not match any of the actions supported by the providers.");
        return Err(refusal::bad("InvalidActionOrNotAction", &message));
    }
    check_name(visit, name, &new.role_name)
}

fn check_scopes(at: &str, assignable: &[String]) -> Result<(), Refused> {
    if assignable.iter().any(|one| Scope::new(one).is(at)) {
        return Ok(());
    }
    let message = "The role definition cannot be written at a scope that is not one of its assignable scopes.";
    Err(refusal::bad("InvalidAssignableScopes", message))
}

fn check_name(visit: &Visit<'_>, name: &str, role_name: &str) -> Result<(), Refused> {
    let same = |other: &str| other.eq_ignore_ascii_case(role_name);
    let all = &visit.world.arm.definitions;
    let custom = all.values().any(|one| one.tenant == visit.tenant && one.name != name && same(&one.role_name));
    if !custom && !BUILT_IN.iter().any(|one| same(one.name)) {
        return Ok(());
    }
    let message = if all.contains_key(name) {
        "A role definition cannot be updated with a name that already exists."
    } else {
        "A custom role with the same name already exists in this directory. Use a different name."
    };
    Err(refusal::conflict("RoleDefinitionWithSameNameExists", message))
}

fn delete(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let name = visit.target.name().to_lowercase();
    let subscription = visit.target.scope.subscription();
    let is_own = visit.world.arm.definitions.get(&name).is_some_and(|one| one.tenant == visit.tenant);
    if !is_own {
        return Ok(empty(StatusCode::NO_CONTENT));
    }
    if visit.world.arm.assignments.values().any(|one| one.role == name) {
        let message = "There are existing role assignments referencing role (code: RoleDefinitionHasAssignments)";
        return Err(refusal::bad("RoleDefinitionHasAssignments", message));
    }
    let removed = visit.world.arm.definitions.remove(&name);
    Ok(ok(&removed.map(|one| one.shown(subscription)).unwrap_or_default()))
}

impl Definition {
    pub(super) fn is_assignable_at(&self, scope: &str) -> bool {
        scope == "/" || self.assignable_scopes.iter().any(|one| Scope::new(one).covers(scope))
    }

    fn shown(&self, subscription: &str) -> Value {
        let about = About { name: &self.name, role: &self.role_name, kind: "CustomRole", at: self.created };
        let mut shown = about.shown(subscription, &self.permissions, &self.assignable_scopes);
        shown["properties"]["description"] = json!(self.description);
        shown["properties"]["updatedOn"] = json!(self.updated);
        shown
    }
}

impl BuiltIn {
    fn shown(&self, subscription: &str) -> Value {
        let about = About { name: self.id, role: self.name, kind: "BuiltInRole", at: Timestamp::UNIX_EPOCH };
        about.shown(subscription, &[self.permission()], &["/".to_owned()])
    }
}

/// What a role is called.
struct About<'a> {
    name: &'a str,
    role: &'a str,
    kind: &'a str,
    at: Timestamp,
}

impl About<'_> {
    fn shown(&self, subscription: &str, permissions: &[Permission], scopes: &[String]) -> Value {
        json!({
            "id": id(subscription, self.name),
            "name": self.name,
            "type": TYPE,
            "properties": {
                "roleName": self.role,
                "type": self.kind,
                "description": "",
                "permissions": permissions,
                "assignableScopes": scopes,
                "createdOn": self.at,
                "updatedOn": self.at,
                "createdBy": null,
                "updatedBy": null,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_has_its_hyphens() {
        assert!(is_guid("8e3af657-a8ff-443c-a75c-2fe8c4bcb635"));
        assert!(!is_guid("8e3af657a8ff443ca75c2fe8c4bcb635") && !is_guid("8e3af657-a8ff-443c-a75c-2fe8c4bcb63g"));
    }

    #[test]
    fn a_quote_in_a_text_is_written_twice() {
        assert_eq!(unquoted("'it''s'").unwrap(), "it's");
        assert!(unquoted("it").is_err());
    }
}
