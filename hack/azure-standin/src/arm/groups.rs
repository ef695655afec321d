//! Resource groups, what is in them, and operations that go on.

use http::{Method, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Visit, checked, empty, location, made, ok,
    refusal::{self, Refused},
    store::{End, Group, Tags},
    target::{Scope, Wanted},
};
use crate::{
    exchange::{Answer, with_header},
    random,
};

#[derive(Deserialize)]
struct Body {
    location: Option<String>,
    tags: Option<Tags>,
}

pub(super) fn path(subscription: &str, name: &str) -> String {
    format!("/subscriptions/{subscription}/resourceGroups/{name}")
}

pub(super) fn going(name: &str) -> Refused {
    let message = format!("The resource group '{name}' is in deprovisioning state and cannot perform this operation.");
    refusal::conflict("ResourceGroupBeingDeleted", &message)
}

pub(super) fn perform(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let end = End::GroupDeleted(visit.target.scope.path().to_lowercase());
    match (visit.call.method.as_str(), &visit.target.wanted) {
        ("GET", Wanted::All) => list(visit),
        ("GET", _) => {
            visit.world.arm.look(&end);
            Ok(ok(&visit.group()?.shown()))
        }
        ("HEAD", Wanted::One) => {
            visit.world.arm.look(&end);
            let is_there = visit.group().is_ok();
            Ok(empty(if is_there { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }))
        }
        ("PUT", Wanted::One) => put(visit),
        ("PATCH", Wanted::One) => patch(visit),
        ("DELETE", Wanted::One) => delete(visit, end),
        _ => Err(visit.refuse_method()),
    }
}

fn list(visit: &Visit<'_>) -> Result<Answer, Refused> {
    let subscription = Scope::new(&format!("/subscriptions/{}", visit.target.scope.subscription()));
    let own = visit.world.arm.groups.values().filter(|group| subscription.covers(&group.path));
    visit.list(own.map(Group::shown).collect())
}

fn put(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let name = visit.target.group();
    check_name(name)?;
    let body: Body = visit.body()?;
    let location = location(visit.target, body.location.as_deref())?;
    let tags = checked(body.tags)?.unwrap_or_default();
    let path = path(visit.target.scope.subscription(), name);
    let key = path.to_lowercase();
    if let Some(known) = visit.world.arm.groups.get(&key) {
        check_place(known, location)?;
    }
    let is_new = !visit.world.arm.groups.contains_key(&key);
    let group = Group { path, name: name.to_owned(), location: location.to_owned(), tags, going: false };
    let group =
        visit.world.arm.groups.entry(key).and_modify(|known| known.tags.clone_from(&group.tags)).or_insert(group);
    Ok(made(is_new, &group.shown()))
}

fn check_place(known: &Group, location: &str) -> Result<(), Refused> {
    if known.going {
        return Err(going(&known.name));
    }
    if known.location == location {
        return Ok(());
    }
    let message = format!(
        "Invalid resource group location '{location}'. The Resource group already exists in location '{}'.",
        known.location
    );
    Err(refusal::conflict("InvalidResourceGroupLocation", &message))
}

fn check_name(name: &str) -> Result<(), Refused> {
    let odd: String = name.chars().filter(|c| !(c.is_alphanumeric() || "-._()".contains(*c))).collect();
    if odd.is_empty() && name.len() <= 90 && !name.ends_with('.') {
        return Ok(());
    }
    let message = format!(
        "The provided resource group name '{name}' has these invalid characters: '{odd}'. The name can only be a \
         letter, digit, '-', '.', '(', ')' or '_'."
    );
    Err(refusal::bad("InvalidResourceGroup", &message))
}

fn patch(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let key = visit.group()?.path.to_lowercase();
    let body: Body = visit.body()?;
    let tags = checked(body.tags)?;
    let name = visit.target.group();
    let group = visit.world.arm.groups.get_mut(&key).ok_or_else(|| refusal::no_group(name))?;
    group.tags = tags.unwrap_or_else(|| std::mem::take(&mut group.tags));
    Ok(ok(&group.shown()))
}

fn delete(visit: &mut Visit<'_>, end: End) -> Result<Answer, Refused> {
    let key = visit.group()?.path.to_lowercase();
    if let Some(group) = visit.world.arm.groups.get_mut(&key) {
        group.going = true;
    }
    let subscription = visit.target.scope.subscription();
    let id = visit.world.arm.start(end);
    visit.world.forget_lost_principals();
    let path = format!("/subscriptions/{subscription}/operationresults/{}", id.unwrap_or_else(random::uuid));
    Ok(accepted(visit, &path))
}

/// Goes on; where to look for the end is said.
pub(super) fn accepted(visit: &Visit<'_>, path: &str) -> Answer {
    let version = visit.call.query("api-version").unwrap_or_default();
    let url = format!("https://{}{path}?api-version={version}", visit.cloud.names().manager);
    let answer = with_header(empty(StatusCode::ACCEPTED), header::LOCATION, &url);
    with_header(answer, header::RETRY_AFTER, &visit.world.arm.habits.retry_after_seconds.to_string())
}

pub(super) fn poll(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    if visit.call.method != Method::GET {
        return Err(visit.refuse_method());
    }
    let id = visit.target.name();
    if let Some(running) = visit.world.arm.operations.get(id).cloned() {
        visit.world.arm.look(&running.end);
        visit.world.forget_lost_principals();
        if visit.world.arm.operations.contains_key(id) {
            return Ok(accepted(visit, &visit.call.path.clone()));
        }
        if let End::AccountMade(name) = running.end {
            let account = visit.world.arm.accounts.get(&name);
            return Ok(ok(&account.map(|account| account.shown(visit.cloud)).unwrap_or_default()));
        }
    }
    // What is not known any more has ended: it is not told how.
    Ok(empty(StatusCode::OK))
}

pub(super) fn resources(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    if visit.call.method != Method::GET {
        return Err(visit.refuse_method());
    }
    let group = visit.group()?.path;
    let accounts = visit.world.arm.accounts.values().filter(|account| account.group.eq_ignore_ascii_case(&group));
    let scope = Scope::new(&group);
    let identities = visit.world.arm.identities.values().filter(|identity| scope.covers(&identity.id));
    let short = |mut shown: Value| {
        if let Some(all) = shown.as_object_mut() {
            all.remove("properties");
        }
        shown
    };
    let accounts = accounts.map(|account| short(account.shown(visit.cloud)));
    let all = accounts.chain(identities.map(|identity| short(identity.shown()))).collect();
    visit.list(all)
}

impl Group {
    fn shown(&self) -> Value {
        json!({
            "id": self.path,
            "name": self.name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": self.location,
            "tags": self.tags,
            "properties": {"provisioningState": if self.going { "Deleting" } else { "Succeeded" }},
        })
    }
}
