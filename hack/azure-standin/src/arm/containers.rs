//! The blob service of a storage account and its containers, as ARM sees them.

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Visit, accounts, gone, made, ok,
    refusal::{self, Refused},
    store::{Account, Container},
    target::Wanted,
};
use crate::{exchange::Answer, random};

/// Where the files of a static website are.
pub(crate) const WEB: &str = "$web";

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    properties: Map<String, Value>,
}

pub(super) fn service(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let account = parent(visit)?;
    match (visit.call.method.as_str(), &visit.target.wanted) {
        ("GET", Wanted::One) => Ok(ok(&account.service_shown())),
        ("GET", Wanted::All) => visit.list(vec![account.service_shown()]),
        ("PUT", Wanted::One) => {
            let body: Body = visit.body()?;
            accounts::made_account(visit)?;
            let now = visit.now;
            let account = stored(visit)?;
            account.set_service(body.properties, now);
            Ok(ok(&account.service_shown()))
        }
        _ => Err(visit.refuse_method()),
    }
}

pub(super) fn perform(visit: &mut Visit<'_>) -> Result<Answer, Refused> {
    let account = parent(visit)?;
    let name = visit.target.name().to_owned();
    match (visit.call.method.as_str(), &visit.target.wanted) {
        ("GET", Wanted::All) => {
            visit.list(account.containers.iter().map(|(name, one)| one.shown(&account, name)).collect())
        }
        ("GET", Wanted::One) => {
            let container = account.containers.get(&name).ok_or_else(|| not_found(visit.now))?;
            Ok(ok(&container.shown(&account, &name)))
        }
        ("PUT" | "PATCH", Wanted::One) => write(visit, &account, &name),
        ("DELETE", Wanted::One) => Ok(gone(stored(visit)?.containers.remove(&name).is_some())),
        _ => Err(visit.refuse_method()),
    }
}

fn write(visit: &mut Visit<'_>, account: &Account, name: &str) -> Result<Answer, Refused> {
    check_name(name)?;
    accounts::made_account(visit)?;
    let body: Body = visit.body()?;
    let is_new = !account.containers.contains_key(name);
    if is_new && visit.call.method == http::Method::PATCH {
        return Err(not_found(visit.now));
    }
    let before = account.containers.get(name).map_or("None", |one| one.public_access.as_str());
    let access = body.properties.get("publicAccess").and_then(Value::as_str).unwrap_or(before).to_owned();
    if access != "None" && !account.allows_public_access() {
        return Err(refusal::conflict("PublicAccessNotPermitted", &dated(NOT_PUBLIC, visit.now)));
    }
    let container = Container {
        metadata: body.properties.get("metadata").cloned().unwrap_or_default(),
        ..Container::new(&access, visit.now)
    };
    let shown = container.shown(account, name);
    stored(visit)?.containers.insert(name.to_owned(), container);
    Ok(made(is_new, &shown))
}

pub(crate) const NOT_PUBLIC: &str = "Public access is not permitted on this storage account.";

fn not_found(now: Timestamp) -> Refused {
    refusal::missing("ContainerNotFound", &dated("The specified container does not exist.", now))
}

/// As the blob service itself says it.
pub(crate) fn dated(message: &str, now: Timestamp) -> String {
    format!("{message}\nRequestId:{}\nTime:{now}", random::uuid())
}

fn check_name(name: &str) -> Result<(), Refused> {
    let fit = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let hyphens = name.starts_with('-') || name.ends_with('-') || name.contains("--");
    if [WEB, "$root", "$logs"].contains(&name) || (fit && !hyphens && (3..=63).contains(&name.len())) {
        return Ok(());
    }
    let message = "The specifed resource name contains invalid characters.";
    Err(refusal::refused(StatusCode::BAD_REQUEST, "InvalidResourceName", message))
}

fn parent(visit: &mut Visit<'_>) -> Result<Account, Refused> {
    let target = visit.target;
    visit.group()?;
    accounts::find(visit).map_err(|_| {
        let parent = format!("{}/providers/Microsoft.Storage/storageAccounts/{}", target.scope.path(), target.outer());
        refusal::no_parent(&visit.call.method, target.kind.row().name, &parent)
    })
}

fn stored<'v>(visit: &'v mut Visit<'_>) -> Result<&'v mut Account, Refused> {
    let target = visit.target;
    let found = visit.world.arm.accounts.get_mut(&target.outer().to_lowercase());
    found.ok_or_else(|| refusal::no_resource("Microsoft.Storage/storageAccounts", target.outer(), target.group()))
}

impl Container {
    pub(crate) fn new(public_access: &str, now: Timestamp) -> Self {
        Self {
            public_access: public_access.to_owned(),
            metadata: Value::Null,
            settled: false,
            etag: format!("\"0x{}\"", random::hex(7).to_uppercase()),
            modified: now,
        }
    }

    fn shown(&self, account: &Account, name: &str) -> Value {
        json!({
            "id": format!("{}/blobServices/default/containers/{name}", account.id()),
            "name": name,
            "type": "Microsoft.Storage/storageAccounts/blobServices/containers",
            "etag": self.etag,
            "properties": {
                "publicAccess": self.public_access,
                "metadata": self.metadata,
                "lastModifiedTime": self.modified,
                "leaseStatus": "Unlocked",
                "leaseState": "Available",
                "hasImmutabilityPolicy": false,
                "hasLegalHold": false,
            },
        })
    }
}

impl Account {
    /// A website that is switched on has its container.
    pub(crate) fn set_service(&mut self, properties: Map<String, Value>, now: Timestamp) {
        self.service.extend(properties);
        if self.website().is_some() {
            self.containers.entry(WEB.to_owned()).or_insert_with(|| Container::new("None", now));
        }
    }

    /// The static website, if it is on.
    pub(crate) fn website(&self) -> Option<&Value> {
        self.service.get("staticWebsite").filter(|website| website["enabled"] == true)
    }

    fn service_shown(&self) -> Value {
        let mut properties = json!({"cors": {"corsRules": []}, "deleteRetentionPolicy": {"enabled": false}});
        for (key, value) in &self.service {
            properties[key] = value.clone();
        }
        json!({
            "id": format!("{}/blobServices/default", self.id()),
            "name": "default",
            "type": "Microsoft.Storage/storageAccounts/blobServices",
            "sku": {"name": self.sku},
            "properties": properties,
        })
    }
}
