//! User-assigned managed identities. Each is a principal of Entra as well.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Visit, checked, gone, location, made_at, ok,
    refusal::{self, Refused},
    replication::Spreading,
    store::{Group, Identity, Tags},
    target::{Scope, Wanted},
};
use crate::{exchange::Answer, random, world::Principal};

#[derive(Deserialize)]
struct Body {
    location: Option<String>,
    tags: Option<Tags>,
}

const TYPE: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

pub(super) fn perform(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    match (visit.call.method.as_str(), &visit.target.wanted) {
        ("GET", Wanted::All) => list(visit),
        ("GET", Wanted::One) => Ok(ok(&find(visit)?.shown())),
        ("PUT", Wanted::One) => put(visit),
        ("PATCH", Wanted::One) => patch(visit),
        ("DELETE", Wanted::One) => delete(visit),
        _ => Err(visit.refuse_method()),
    }
}

/// The key of an identity: its id in lower case.
pub(super) fn key(visit: &Visit<'_>) -> String {
    id(visit.target.scope.path(), visit.target.outer()).to_lowercase()
}

/// As the provider writes it.
fn id(group: &str, name: &str) -> String {
    format!("{}/providers/{TYPE}/{name}", group.replacen("/resourceGroups/", "/resourcegroups/", 1))
}

fn find(visit: &mut Visit<'_>) -> Result<Identity, Refused> {
    let group = visit.group()?;
    let found = visit.world.arm.identities.get(&key(visit));
    found.cloned().ok_or_else(|| refusal::no_resource(TYPE, visit.target.name(), &group.name))
}

fn list(visit: &Visit<'_>) -> Result<Answer, Refused> {
    let scope: Scope = visit.target.scope.clone();
    let own = visit.world.arm.identities.values().filter(|identity| scope.covers(&identity.id));
    visit.list(own.map(Identity::shown).collect())
}

fn put(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let group = visit.group()?;
    let name = visit.target.name();
    check_name(name)?;
    let body: Body = visit.body()?;
    let location = location(visit.target, body.location.as_deref())?;
    let tags = checked(body.tags)?;
    let key = key(visit);
    let Some(known) = visit.world.arm.identities.get_mut(&key) else {
        let shown = create(visit, &group, location, tags.unwrap_or_default());
        return Ok(made_at(true, &shown));
    };
    if known.location != location {
        return Err(refusal::another_location(name, &group.name, &known.location, location));
    }
    known.tags = tags.unwrap_or_default();
    Ok(made_at(false, &known.shown()))
}

fn create(visit: &mut Visit<'_>, group: &Group, location: &str, tags: Tags) -> Value {
    let name = visit.target.name().to_owned();
    let identity = Identity {
        id: id(&group.path, &name),
        location: location.to_owned(),
        tags,
        tenant: visit.tenant.to_owned(),
        client_id: random::uuid(),
        object_id: random::uuid(),
        name,
    };
    visit.world.principals.push(Principal {
        client_id: identity.client_id.clone(),
        object_id: identity.object_id.clone(),
        tenant: identity.tenant.clone(),
        name: identity.name.clone(),
        resource_id: Some(identity.id.clone()),
        ..Principal::default()
    });
    let (shown, now) = (identity.shown(), visit.now);
    let arm = &mut visit.world.arm;
    arm.replication.begin(Spreading::Principals, &identity.object_id, now);
    arm.replication.begin(Spreading::Identities, &identity.id, now);
    arm.made.insert(identity.client_id.clone());
    arm.identities.insert(identity.id.to_lowercase(), identity);
    shown
}

fn patch(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let mut identity = find(visit)?;
    let body: Body = visit.body()?;
    identity.tags = checked(body.tags)?.unwrap_or(identity.tags);
    let shown = identity.shown();
    visit.world.arm.identities.insert(key(visit), identity);
    Ok(ok(&shown))
}

/// The roles that the identity has stay assigned: to nobody.
fn delete(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    visit.group()?;
    let was_there = visit.world.arm.identities.remove(&key(visit)).is_some();
    visit.world.forget_lost_principals();
    Ok(gone(was_there))
}

fn check_name(name: &str) -> Result<(), Refused> {
    let fit = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if fit && begins && (3..=128).contains(&name.len()) {
        return Ok(());
    }
    let message = format!(
        "The resource name '{name}' is invalid. Resource names can contain alphanumeric characters, hyphens and \
         underscores, begin with a letter or a digit, and have 3 to 128 characters."
    );
    Err(refusal::bad("BadRequest", &message))
}

impl Identity {
    pub(super) fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "type": TYPE,
            "location": self.location,
            "tags": self.tags,
            "properties": {"tenantId": self.tenant, "principalId": self.object_id, "clientId": self.client_id},
        })
    }
}
