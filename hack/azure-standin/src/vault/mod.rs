//! Key Vault's secrets, data plane.

mod access;
mod page;
mod refusal;
pub mod store;

use std::collections::BTreeMap;

use http::{HeaderName, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use self::{
    refusal::Refused,
    store::{Deleted, NewVersion, Secret, Vault, Version},
};
use crate::{
    azure::Azure,
    cloud::Cloud,
    exchange::{Answer, Call, json, with_caller, with_header},
    operation::Operation,
    secret::Redacted,
};

pub use access::{Authorization, Permission, Role};
pub(crate) use refusal::failure;

/// Those with which secrets look as they do here.
const API_VERSIONS: &[&str] =
    &["2016-10-01", "7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01", "2026-03-01-preview", "2026-04-01"];

/// A request that was let in.
struct Visit<'a> {
    vault: &'a mut Vault,
    /// `https://NAME.vault.azure.net`
    url: String,
    call: &'a Call,
    name: &'a str,
    version: Option<&'a str>,
    now: Timestamp,
}

pub(crate) fn answer(azure: &Azure, cloud: Cloud, vault: &str, operation: Operation, call: &Call) -> Answer {
    let now = azure.clock.now();
    azure.with_world_mut(|world| match world.vaults.get_mut(vault) {
        Some(vault) => admit(azure, cloud, vault, operation, call, now),
        None => json(StatusCode::NOT_FOUND, &json!({"error": {"code": "VaultNotFound"}})),
    })
}

fn admit(azure: &Azure, cloud: Cloud, vault: &mut Vault, operation: Operation, call: &Call, now: Timestamp) -> Answer {
    let bearer = match access::authenticate(azure.signer(), cloud, vault, call, now) {
        Ok(bearer) => bearer,
        Err(refused) => return refused.into(),
    };
    let segments = call.segments();
    let name = segments.get(1).map_or("", String::as_str);
    let version = segments.get(2).map(String::as_str);
    let url = format!("https://{}.{}", vault.name.to_lowercase(), cloud.names().vaults);
    let answer = check_request(operation, call, name)
        .and_then(|()| access::authorize(vault, &bearer, operation, name))
        .and_then(|()| Visit { vault, url, call, name, version, now }.perform(operation))
        .unwrap_or_else(Answer::from);
    with_caller(answer, &bearer.client_id)
}

fn check_request(operation: Operation, call: &Call, name: &str) -> Result<(), Refused> {
    match call.query("api-version") {
        None | Some("") => return Err(refusal::bad_parameter("Method requires 'api-version' parameter.")),
        Some(version) if !API_VERSIONS.contains(&version) => {
            return Err(refusal::bad_parameter(&format!(
                "The specified version ({version}) is not recognized. Consider using the latest supported version \
                 (2026-04-01)."
            )));
        }
        Some(_) => {}
    }
    if operation == Operation::Unknown {
        return Err(refusal::unknown_operation(&call.method));
    }
    let fit = name.len() <= 127 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if fit { Ok(()) } else { Err(refusal::bad_parameter(&format!("The request URI contains an invalid name: {name}"))) }
}

impl Visit<'_> {
    fn perform(self, operation: Operation) -> Result<Answer, Refused> {
        match operation {
            Operation::GetSecret => self.get(),
            Operation::ListSecrets => self.list(),
            Operation::ListSecretVersions => self.list_versions(),
            Operation::SetSecret => self.set(),
            Operation::UpdateSecret => self.update(),
            Operation::DeleteSecret => self.delete(),
            Operation::GetDeletedSecret => self.get_deleted(),
            Operation::ListDeletedSecrets => self.list_deleted(),
            Operation::RecoverSecret => self.recover(),
            Operation::PurgeSecret => self.purge(),
            _ => Err(refusal::unknown_operation(&self.call.method)),
        }
    }

    /// Neither `nbf` nor `exp` keeps a value back; only `enabled` does.
    fn get(self) -> Result<Answer, Refused> {
        let (secret, version) = self.vault.version(self.name, self.version).ok_or_else(|| self.not_found())?;
        if !version.enabled {
            return Err(refusal::disabled());
        }
        Ok(ok(&version.bundle(&self.id(secret, Some(version)))))
    }

    fn list(self) -> Result<Answer, Refused> {
        let latest = self.vault.secrets.values().filter_map(|secret| Some((secret, secret.latest()?)));
        let all = latest.map(|(secret, version)| version.properties(&self.id(secret, None))).collect();
        page::answer(self.call, &self.url, all)
    }

    fn list_versions(self) -> Result<Answer, Refused> {
        let secret = self.vault.secret(self.name).ok_or_else(|| refusal::not_found(self.name))?;
        let all = secret.versions.iter().map(|version| version.properties(&self.id(secret, Some(version)))).collect();
        page::answer(self.call, &self.url, all)
    }

    fn set(self) -> Result<Answer, Refused> {
        let body: SetBody = self.body()?;
        if self.vault.deleted.contains_key(&self.name.to_lowercase()) {
            return Err(refusal::name_is_deleted(self.name));
        }
        let attributes = body.attributes.unwrap_or_default();
        let new = NewVersion {
            content_type: body.content_type,
            tags: body.tags.unwrap_or_default(),
            enabled: attributes.enabled,
            not_before: moment(attributes.nbf)?,
            expires: moment(attributes.exp)?,
            ..NewVersion::of(body.value.reveal())
        };
        let id = self.vault.set(self.name, new, self.now).id.clone();
        let (secret, version) = self.vault.version(self.name, Some(&id)).ok_or_else(|| self.not_found())?;
        Ok(ok(&version.bundle(&self.id(secret, Some(version)))))
    }

    fn update(self) -> Result<Answer, Refused> {
        let body: UpdateBody = self.body()?;
        let not_found = self.not_found();
        let version = self.vault.version_mut(self.name, self.version).ok_or(not_found)?;
        let attributes = body.attributes.unwrap_or_default();
        version.enabled = attributes.enabled.unwrap_or(version.enabled);
        version.not_before = moment(attributes.nbf)?.or(version.not_before);
        version.expires = moment(attributes.exp)?.or(version.expires);
        version.content_type = body.content_type.or(version.content_type.take());
        version.tags = body.tags.unwrap_or_else(|| std::mem::take(&mut version.tags));
        version.updated = self.now;
        let (secret, version) = self.vault.version(self.name, self.version).ok_or_else(|| self.not_found())?;
        Ok(ok(&version.properties(&self.id(secret, Some(version)))))
    }

    fn delete(self) -> Result<Answer, Refused> {
        let url = self.url.clone();
        let deleted = self.vault.delete(self.name, self.now).ok_or_else(|| refusal::not_found(self.name))?;
        Ok(ok(&shown(&url, deleted, Shown::Bundle)))
    }

    fn get_deleted(self) -> Result<Answer, Refused> {
        let deleted = self.vault.deleted.get(&self.name.to_lowercase());
        let deleted = deleted.ok_or_else(|| refusal::deleted_not_found(self.name))?;
        Ok(ok(&shown(&self.url, deleted, Shown::Bundle)))
    }

    fn list_deleted(self) -> Result<Answer, Refused> {
        let all = self.vault.deleted.values().map(|deleted| shown(&self.url, deleted, Shown::Properties)).collect();
        page::answer(self.call, &self.url, all)
    }

    fn recover(self) -> Result<Answer, Refused> {
        let url = self.url.clone();
        let secret = self.vault.recover(self.name).ok_or_else(|| refusal::deleted_not_found(self.name))?;
        let version = secret.latest().ok_or_else(|| refusal::not_found(self.name))?;
        Ok(ok(&version.properties(&id(&url, secret, Some(version)))))
    }

    fn purge(self) -> Result<Answer, Refused> {
        let gone = self.vault.deleted.remove(&self.name.to_lowercase());
        gone.ok_or_else(|| refusal::deleted_not_found(self.name))?;
        let mut answer = Answer::default();
        *answer.status_mut() = StatusCode::NO_CONTENT;
        Ok(answer)
    }

    fn not_found(&self) -> Refused {
        match self.version {
            Some(version) => refusal::not_found(&format!("{}/{version}", self.name)),
            None => refusal::not_found(self.name),
        }
    }

    fn id(&self, secret: &Secret, version: Option<&Version>) -> String {
        id(&self.url, secret, version)
    }

    fn body<T: serde::de::DeserializeOwned>(&self) -> Result<T, Refused> {
        serde_json::from_slice(&self.call.body).map_err(|_| refusal::bad_parameter("The request body is not valid."))
    }
}

fn id(url: &str, secret: &Secret, version: Option<&Version>) -> String {
    match version {
        Some(version) => format!("{url}/secrets/{}/{}", secret.name, version.id),
        None => format!("{url}/secrets/{}", secret.name),
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shown {
    Bundle,
    Properties,
}

/// A deleted secret. Its value is not shown.
fn shown(url: &str, deleted: &Deleted, how: Shown) -> Value {
    let secret = &deleted.secret;
    let version = secret.latest();
    let id = id(url, secret, version.filter(|_| how == Shown::Bundle));
    let properties = version.map_or_else(|| json!({"id": id}), |version| version.properties(&id));
    deleted.dressed(properties, &format!("{url}/deletedsecrets/{}", secret.name))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetBody {
    value: Redacted,
    content_type: Option<String>,
    tags: Option<BTreeMap<String, String>>,
    attributes: Option<Attributes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpdateBody {
    content_type: Option<String>,
    tags: Option<BTreeMap<String, String>>,
    attributes: Option<Attributes>,
}

#[derive(Default, Deserialize)]
struct Attributes {
    enabled: Option<bool>,
    nbf: Option<i64>,
    exp: Option<i64>,
}

fn moment(seconds: Option<i64>) -> Result<Option<Timestamp>, Refused> {
    seconds
        .map(|seconds| {
            Timestamp::from_second(seconds).map_err(|_| refusal::bad_parameter("Property has invalid value\r\n"))
        })
        .transpose()
}

fn ok(body: &Value) -> Answer {
    json(StatusCode::OK, body)
}

/// The headers that only Key Vault has.
pub(crate) fn dressed(answer: Answer) -> Answer {
    let answer = with_header(answer, HeaderName::from_static("x-ms-keyvault-region"), "eastus");
    let version = HeaderName::from_static("x-ms-keyvault-service-version");
    let answer = with_header(answer, version, "1.9.2500.1");
    with_header(answer, HeaderName::from_static("x-content-type-options"), "nosniff")
}
