//! Storage accounts.

use std::collections::BTreeMap;

use aws_lc_rs::rand;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Visit, checked, gone, groups, location, ok,
    refusal::{self, Refused},
    store::{Account, End, Group, Tags},
    target::{Scope, Target, Wanted},
};
use crate::{cloud::Cloud, exchange::Answer, secret::Redacted};

#[derive(Deserialize)]
struct Body {
    location: Option<String>,
    kind: Option<String>,
    sku: Option<Sku>,
    tags: Option<Tags>,
    #[serde(default)]
    properties: Map<String, Value>,
}

#[derive(Deserialize)]
struct Sku {
    name: String,
}

#[derive(Deserialize)]
struct NameBody {
    name: String,
}

pub(super) fn perform(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    match (visit.call.method.as_str(), &visit.target.wanted) {
        ("GET", Wanted::All) => list(visit),
        ("GET", Wanted::One) => {
            visit.world.arm.look(&End::AccountMade(visit.target.name().to_lowercase()));
            let account = find(visit)?;
            Ok(ok(&account.shown(visit.cloud)))
        }
        ("PUT", Wanted::One) => put(visit),
        ("PATCH", Wanted::One) => patch(visit),
        ("DELETE", Wanted::One) => delete(visit),
        ("POST", Wanted::Action(action)) if action.eq_ignore_ascii_case("listKeys") => keys(visit),
        ("POST", Wanted::Action(action)) if action.eq_ignore_ascii_case("checkNameAvailability") => availability(visit),
        _ => Err(visit.refuse_method()),
    }
}

/// The account that the path names, which has to be in the group of the path.
pub(super) fn find(visit: &mut Visit<'_>) -> Result<Account, Refused> {
    let group = visit.group()?;
    let name = visit.target.outer();
    let found = visit.world.arm.accounts.get(&name.to_lowercase()).filter(|account| account.is_in(&group));
    found.cloned().ok_or_else(|| refusal::no_resource("Microsoft.Storage/storageAccounts", name, &group.name))
}

/// The same, once it is made: until then it takes no change.
pub(super) fn made_account(visit: &mut Visit<'_>) -> Result<Account, Refused> {
    let account = find(visit)?;
    if !account.coming {
        return Ok(account);
    }
    visit.world.arm.look(&End::AccountMade(account.name.clone()));
    let message = format!("The storage account '{}' is not provisioned.", account.name);
    Err(refusal::conflict("StorageAccountIsNotProvisioned", &message))
}

fn list(visit: &Visit<'_>) -> Result<Answer, Refused> {
    let scope = visit.target.scope.clone();
    let own = visit.world.arm.accounts.values().filter(|account| scope.covers(&account.group));
    visit.list(own.map(|account| account.shown(visit.cloud)).collect())
}

fn put(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let group = visit.group()?;
    let name = visit.target.name();
    check_name(name)?;
    let body: Body = visit.body()?;
    let location = location(visit.target, body.location.as_deref())?;
    check_free(visit, name, &group, location)?;
    if visit.world.arm.accounts.contains_key(name) {
        return update(visit, body);
    }
    create(visit, body, &group, location)
}

fn create(visit: &mut Visit<'_>, body: Body, group: &Group, location: &str) -> Result<Answer, Refused> {
    let name = visit.target.name().to_owned();
    let account = Account {
        name: name.clone(),
        group: group.path.clone(),
        location: location.to_owned(),
        kind: body.kind.ok_or_else(|| required("kind"))?,
        sku: body.sku.ok_or_else(|| required("sku"))?.name,
        tags: checked(body.tags)?.unwrap_or_default(),
        properties: body.properties,
        service: Map::new(),
        containers: BTreeMap::new(),
        keys: [visit.key.map_or_else(new_key, Redacted::new), new_key()],
        created: visit.now,
        coming: true,
    };
    visit.world.arm.accounts.insert(name.clone(), account);
    match visit.world.arm.start(End::AccountMade(name.clone())) {
        Some(id) => {
            let subscription = visit.target.scope.subscription();
            let path = format!(
                "/subscriptions/{subscription}/providers/Microsoft.Storage/locations/{location}/asyncoperations/{id}"
            );
            Ok(groups::accepted(visit, &path))
        }
        None => Ok(ok(&find(visit)?.shown(visit.cloud))),
    }
}

/// The name is that of nobody else; here it is an update.
fn check_free(visit: &mut Visit<'_>, name: &str, group: &Group, location: &str) -> Result<(), Refused> {
    let Some(known) = visit.world.arm.accounts.get(name).cloned() else { return Ok(()) };
    if !known.is_in(group) {
        let subscription = Scope::new(&format!("/subscriptions/{}", visit.target.scope.subscription()));
        return Err(if subscription.covers(&known.group) {
            let message = format!("The account {name} is already in another resource group in this subscription.");
            refusal::conflict("StorageAccountInAnotherResourceGroup", &message)
        } else {
            let message = format!("The storage account named {name} is already taken.");
            refusal::conflict("StorageAccountAlreadyTaken", &message)
        });
    }
    if known.coming {
        visit.world.arm.look(&End::AccountMade(known.name));
        let message = "An operation is currently performing on this storage account that requires exclusive access.";
        return Err(refusal::conflict("StorageAccountOperationInProgress", message));
    }
    if known.location == location {
        return Ok(());
    }
    Err(refusal::another_location(name, &group.name, &known.location, location))
}

fn patch(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    made_account(visit)?;
    let body = visit.body()?;
    update(visit, body)
}

/// What a body does not have stays as it is.
fn update(visit: &mut Visit<'_>, body: Body) -> Result<Answer, Refused> {
    let tags = checked(body.tags)?;
    let cloud = visit.cloud;
    let name = visit.target.name().to_lowercase();
    let Some(account) = visit.world.arm.accounts.get_mut(&name) else { return Err(no_account(visit.target)) };
    account.tags = tags.unwrap_or_else(|| std::mem::take(&mut account.tags));
    account.sku = body.sku.map_or_else(|| std::mem::take(&mut account.sku), |sku| sku.name);
    account.properties.extend(body.properties);
    Ok(ok(&account.shown(cloud)))
}

fn delete(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let group = visit.group()?;
    let name = visit.target.name().to_lowercase();
    let was_there = visit.world.arm.accounts.get(&name).is_some_and(|account| account.is_in(&group));
    if was_there {
        visit.world.arm.accounts.remove(&name);
    }
    Ok(gone(was_there))
}

fn keys(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let account = find(visit)?;
    let keys: Vec<_> = account
        .keys
        .iter()
        .zip(["key1", "key2"])
        .map(|(key, name)| json!({"keyName": name, "value": key.reveal(), "permissions": "FULL"}))
        .collect();
    Ok(ok(&json!({"keys": keys})))
}

fn availability(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let body: NameBody = visit.body()?;
    let name = body.name;
    if check_name(&name).is_err() {
        return Ok(ok(&unavailable("AccountNameInvalid", &name_message(&name))));
    }
    if visit.world.arm.accounts.contains_key(&name) {
        let message = format!("The storage account named {name} is already taken.");
        return Ok(ok(&unavailable("AlreadyExists", &message)));
    }
    Ok(ok(&json!({"nameAvailable": true})))
}

fn unavailable(reason: &str, message: &str) -> Value {
    json!({"nameAvailable": false, "reason": reason, "message": message})
}

fn name_message(name: &str) -> String {
    format!(
        "{name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in \
         length and use numbers and lower-case letters only."
    )
}

fn check_name(name: &str) -> Result<(), Refused> {
    let fit = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if fit && (3..=24).contains(&name.len()) {
        Ok(())
    } else {
        Err(refusal::bad("AccountNameInvalid", &name_message(name)))
    }
}

fn required(what: &str) -> Refused {
    let message = format!("Values for request parameters are invalid: {what}.");
    refusal::refused(StatusCode::BAD_REQUEST, "InvalidValuesForRequestParameters", &message)
}

fn no_account(target: &Target) -> Refused {
    refusal::no_resource("Microsoft.Storage/storageAccounts", target.outer(), target.group())
}

fn new_key() -> Redacted {
    let mut bytes = [0; 64];
    // As good as none if it fails: a key that only has to be there.
    if rand::fill(&mut bytes).is_err() {
        bytes.fill(0);
    }
    Redacted::new(BASE64_STANDARD.encode(bytes))
}

impl Account {
    fn is_in(&self, group: &Group) -> bool {
        self.group.eq_ignore_ascii_case(&group.path)
    }

    pub(super) fn shown(&self, cloud: Cloud) -> Value {
        let (name, names) = (&self.name, cloud.names());
        let defaults = json!({
            "allowBlobPublicAccess": false,
            "minimumTlsVersion": "TLS1_0",
            "supportsHttpsTrafficOnly": true,
            "provisioningState": if self.coming { "ResolvingDNS" } else { "Succeeded" },
            "creationTime": self.created,
            "primaryLocation": self.location,
            "statusOfPrimary": "available",
            "primaryEndpoints": {
                "blob": format!("https://{name}.{}/", names.blobs),
                "web": format!("https://{name}.{}.{}/", crate::cloud::WEB_ZONE, names.websites),
            },
        });
        let mut properties = defaults;
        for (key, value) in &self.properties {
            properties[key] = value.clone();
        }
        json!({
            "id": self.id(),
            "name": name,
            "type": "Microsoft.Storage/storageAccounts",
            "location": self.location,
            "kind": self.kind,
            "sku": {"name": self.sku, "tier": self.sku.split('_').next()},
            "tags": self.tags,
            "properties": properties,
        })
    }
}
