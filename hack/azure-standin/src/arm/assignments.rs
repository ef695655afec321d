//! Role assignments. Their names are GUIDs; of the same principal, role and scope there is one.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Visit,
    built_in::BUILT_IN,
    definitions::{does_not_exist, is_guid, unquoted, unsupported},
    empty, made, ok,
    refusal::{self, Refused},
    replication::Spreading,
    store::Assignment,
    target::{Scope, Wanted},
};
use crate::exchange::Answer;

#[derive(Deserialize)]
struct Body {
    properties: Properties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    principal_id: String,
    role_definition_id: String,
    principal_type: Option<String>,
    description: Option<String>,
}

const TYPE: &str = "Microsoft.Authorization/roleAssignments";

pub(super) fn perform(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    match (visit.call.method.as_str(), &visit.target.wanted) {
        ("GET", Wanted::All) => list(visit),
        ("GET", Wanted::One) => {
            let name = visit.target.name();
            let found = visit.world.arm.assignments.get(&name.to_lowercase());
            let found = found.filter(|one| visit.target.scope.is(&one.scope));
            found.map(|one| ok(&one.shown())).ok_or_else(|| not_found(name))
        }
        ("PUT", Wanted::One) => put(visit),
        ("DELETE", Wanted::One) => delete(visit),
        _ => Err(visit.refuse_method()),
    }
}

/// Which of those at, above and below the scope a list is of.
enum Filter {
    All,
    /// At the scope and above it.
    AtScope,
    /// Of somebody, also by a group: of which the stand-in has none.
    Of(String),
}

impl Filter {
    fn of(text: &str) -> Result<Self, Refused> {
        if let Some((_, principal)) = text.split_once("principalId eq ") {
            return unquoted(principal).map(Self::Of);
        }
        if let Some(rest) = text.strip_prefix("assignedTo(") {
            return unquoted(rest.trim_end_matches(')')).map(Self::Of);
        }
        match text {
            "" => Ok(Self::All),
            "atScope()" => Ok(Self::AtScope),
            _ => Err(unsupported()),
        }
    }

    fn takes(&self, one: &Assignment, at: &Scope) -> bool {
        let above = Scope::new(&one.scope).covers(at.path());
        match self {
            Self::All => above || at.covers(&one.scope),
            Self::AtScope => above,
            Self::Of(principal) => one.principal_id.eq_ignore_ascii_case(principal) && (above || at.covers(&one.scope)),
        }
    }
}

fn list(visit: &Visit<'_>) -> Result<Answer, Refused> {
    let filter = Filter::of(visit.call.query("$filter").unwrap_or_default().trim())?;
    let all = visit.world.arm.assignments.values();
    let own = all.filter(|one| one.tenant == visit.tenant && filter.takes(one, &visit.target.scope));
    visit.list(own.map(Assignment::shown).collect())
}

fn put(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let name = visit.target.name().to_lowercase();
    if !is_guid(&name) {
        let message = format!("The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.");
        return Err(refusal::bad("InvalidRoleAssignmentId", &message));
    }
    let Body { properties } = visit.body()?;
    check_scope(visit)?;
    let role = role(visit, &properties.role_definition_id)?;
    let new = Assignment {
        name,
        tenant: visit.tenant.to_owned(),
        scope: visit.target.scope.path().to_owned(),
        principal_type: properties.principal_type.clone().unwrap_or_else(|| "ServicePrincipal".to_owned()),
        principal_id: properties.principal_id,
        role,
        role_definition_id: properties.role_definition_id,
        description: properties.description,
        created: visit.now,
    };
    if let Some(known) = visit.world.arm.assignments.get(&new.name).cloned() {
        return update(visit, known, new);
    }
    check_principal(visit, &new.principal_id, properties.principal_type.as_deref())?;
    check_twin(visit, &new)?;
    let now = visit.now;
    visit.world.arm.replication.begin(Spreading::RoleAssignments, &new.name, now);
    let shown = new.shown();
    visit.world.arm.assignments.insert(new.name.clone(), new);
    Ok(made(true, &shown))
}

/// Of an assignment only the description can be changed.
fn update(visit: &mut Visit<'_>, known: Assignment, new: Assignment) -> Result<Answer, Refused> {
    if !known.is_twin_of(&new) {
        let message = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.";
        return Err(refusal::bad("RoleAssignmentUpdateNotPermitted", message));
    }
    let updated = Assignment { description: new.description, ..known };
    let shown = updated.shown();
    visit.world.arm.assignments.insert(updated.name.clone(), updated);
    Ok(made(false, &shown))
}

fn check_twin(visit: &Visit<'_>, new: &Assignment) -> Result<(), Refused> {
    let Some(twin) = visit.world.arm.assignments.values().find(|one| one.is_twin_of(new)) else { return Ok(()) };
    let id = twin.name.replace('-', "");
    let message = format!("The role assignment already exists. The ID of the existing role assignment is {id}.");
    Err(refusal::conflict("RoleAssignmentExists", &message))
}

/// A group has to be there; what is in it is taken as it is.
fn check_scope(visit: &mut Visit<'_>) -> Result<(), Refused> {
    if visit.target.scope.group().is_some() {
        visit.group()?;
    }
    Ok(())
}

/// The GUID of the role, by its id at any scope, or by itself.
fn role(visit: &mut Visit<'_>, id: &str) -> Result<String, Refused> {
    let name = id.rsplit('/').next().unwrap_or_default().to_lowercase();
    if !id.starts_with('/') || !is_guid(&name) {
        return Err(refusal::bad("BadRequestFormat", "The request was incorrectly formatted."));
    }
    if BUILT_IN.iter().any(|role| role.id == name) {
        return Ok(name);
    }
    let (tenant, now) = (visit.tenant, visit.now);
    let arm = &mut visit.world.arm;
    let definition = arm.definitions.get(&name).filter(|one| one.tenant == tenant);
    let definition = definition.ok_or_else(|| does_not_exist(&name))?;
    if !arm.replication.is_seen(Spreading::RoleDefinitions, &name, now) {
        return Err(does_not_exist(&name));
    }
    if definition.is_assignable_at(visit.target.scope.path()) {
        return Ok(name);
    }
    let message = format!("The role '{}' is not assignable at this scope.", definition.role_name);
    Err(refusal::bad("RoleNotAssignableAtScope", &message))
}

/// With the type given, a principal is taken that has not spread yet: then it is not looked up.
fn check_principal(visit: &mut Visit<'_>, id: &str, given: Option<&str>) -> Result<(), Refused> {
    let (tenant, now) = (visit.tenant, visit.now);
    let is_there =
        visit.world.principals.iter().any(|one| one.tenant == tenant && one.object_id.eq_ignore_ascii_case(id));
    if let Some(given) = given.filter(|given| *given != "ServicePrincipal") {
        let message = format!(
            "The PrincipalId '{}' has type 'ServicePrincipal' , which is different from specified PrinciaplType \
             '{given}'.",
            id.replace('-', "")
        );
        return Err(refusal::bad("UnmatchedPrincipalType", &message));
    }
    if is_there && (given.is_some() || visit.world.arm.replication.is_seen(Spreading::Principals, id, now)) {
        return Ok(());
    }
    let message = format!(
        "Principal {} does not exist in the directory {tenant}. Check that you have the correct principal ID. If you \
         are creating this principal and then immediately assigning a role, this error might be related to a \
         replication delay. In this case, set the role assignment principalType property to a value, such as \
         ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype",
        id.replace('-', "")
    );
    Err(refusal::bad("PrincipalNotFound", &message))
}

fn delete(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let name = visit.target.name().to_lowercase();
    let own = visit.world.arm.assignments.get(&name).is_some_and(|one| visit.target.scope.is(&one.scope));
    match visit.world.arm.assignments.remove(&name) {
        Some(removed) if own => Ok(ok(&removed.shown())),
        Some(other) => {
            visit.world.arm.assignments.insert(name, other);
            Ok(empty(StatusCode::NO_CONTENT))
        }
        None => Ok(empty(StatusCode::NO_CONTENT)),
    }
}

fn not_found(name: &str) -> Refused {
    let message = format!("The role assignment '{name}' is not found.");
    refusal::missing("RoleAssignmentNotFound", &message)
}

impl Assignment {
    fn is_twin_of(&self, other: &Self) -> bool {
        self.tenant == other.tenant
            && self.role == other.role
            && self.principal_id.eq_ignore_ascii_case(&other.principal_id)
            && self.scope.eq_ignore_ascii_case(&other.scope)
    }

    fn shown(&self) -> Value {
        let scope = self.scope.trim_end_matches('/');
        json!({
            "id": format!("{scope}/providers/{TYPE}/{}", self.name),
            "name": self.name,
            "type": TYPE,
            "properties": {
                "roleDefinitionId": self.role_definition_id,
                "principalId": self.principal_id,
                "principalType": self.principal_type,
                "scope": self.scope,
                "description": self.description,
                "condition": null,
                "createdOn": self.created,
                "updatedOn": self.created,
            },
        })
    }
}
