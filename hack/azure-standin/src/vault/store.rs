//! A vault and its secrets: versions, deletion and what is shown of them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{Authorization, Permission};
use crate::{random, secret::Redacted};

/// A vault.
#[derive(Clone, Debug)]
pub struct Vault {
    pub name: String,
    pub tenant: String,
    pub authorization: Authorization,
    pub permissions: Vec<Permission>,
    pub subscription: String,
    pub resource_group: String,
    pub location: String,
    /// By name, in lower case: names differ by more than their case.
    pub secrets: BTreeMap<String, Secret>,
    pub deleted: BTreeMap<String, Deleted>,
}

/// A secret: its versions, the latest last.
#[derive(Clone, Debug)]
pub struct Secret {
    pub name: String,
    pub versions: Vec<Version>,
}

#[derive(Clone, Debug)]
pub struct Version {
    pub id: String,
    pub value: Redacted,
    pub content_type: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub enabled: bool,
    pub not_before: Option<Timestamp>,
    pub expires: Option<Timestamp>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

#[derive(Clone, Debug)]
pub struct Deleted {
    pub secret: Secret,
    pub at: Timestamp,
}

/// A version to be.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewVersion {
    pub value: Redacted,
    #[serde(default)]
    pub content_type: Option<String>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(default)]
    pub enabled: Option<bool>,
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// Else a random one.
    #[serde(default)]
    pub version: Option<String>,
}

impl NewVersion {
    #[must_use]
    pub fn of(value: impl Into<String>) -> Self {
        Self {
            value: Redacted::new(value),
            content_type: None,
            tags: BTreeMap::new(),
            enabled: None,
            not_before: None,
            expires: None,
            version: None,
        }
    }
}

/// A vault as a file has it. A secret that stands there twice has two versions.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultDocument {
    pub name: String,
    pub tenant: String,
    #[serde(default)]
    pub authorization: Authorization,
    #[serde(default)]
    pub permissions: Vec<Permission>,
    #[serde(default = "subscription")]
    pub subscription: String,
    #[serde(default = "resource_group")]
    pub resource_group: String,
    #[serde(default = "location")]
    pub location: String,
    #[serde(default)]
    pub secrets: Vec<SecretDocument>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretDocument {
    pub name: String,
    #[serde(flatten)]
    pub version: NewVersion,
}

fn subscription() -> String {
    "00000000-0000-0000-0000-00000000000a".to_owned()
}

fn resource_group() -> String {
    "standin".to_owned()
}

fn location() -> String {
    "eastus".to_owned()
}

/// For how long a deleted secret can be recovered.
const RECOVERABLE_DAYS: i64 = 90;

impl Vault {
    #[must_use]
    pub fn new(document: VaultDocument, now: Timestamp) -> Self {
        let mut vault = Self {
            name: document.name,
            tenant: document.tenant,
            authorization: document.authorization,
            permissions: document.permissions,
            subscription: document.subscription,
            resource_group: document.resource_group,
            location: document.location,
            secrets: BTreeMap::new(),
            deleted: BTreeMap::new(),
        };
        for secret in document.secrets {
            vault.set(&secret.name, secret.version, now);
        }
        vault
    }

    /// Adds a version, which becomes the latest.
    pub fn set(&mut self, name: &str, new: NewVersion, now: Timestamp) -> &Version {
        let secret = self
            .secrets
            .entry(name.to_lowercase())
            .or_insert_with(|| Secret { name: name.to_owned(), versions: Vec::new() });
        let version = Version {
            id: new.version.unwrap_or_else(|| random::hex(16)),
            value: new.value,
            content_type: new.content_type,
            tags: new.tags,
            enabled: new.enabled.unwrap_or(true),
            not_before: new.not_before,
            expires: new.expires,
            created: now,
            updated: now,
        };
        let at = secret.versions.len();
        secret.versions.push(version);
        &secret.versions[at]
    }

    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.get(&name.to_lowercase())
    }

    /// A version of a secret; the latest without one.
    #[must_use]
    pub fn version(&self, name: &str, version: Option<&str>) -> Option<(&Secret, &Version)> {
        let secret = self.secret(name)?;
        Some((secret, secret.version(version)?))
    }

    pub fn version_mut(&mut self, name: &str, version: Option<&str>) -> Option<&mut Version> {
        let versions = &mut self.secrets.get_mut(&name.to_lowercase())?.versions;
        match version {
            None => versions.last_mut(),
            Some(id) => versions.iter_mut().find(|known| known.id.eq_ignore_ascii_case(id)),
        }
    }

    pub fn delete(&mut self, name: &str, now: Timestamp) -> Option<&Deleted> {
        let key = name.to_lowercase();
        let secret = self.secrets.remove(&key)?;
        Some(self.deleted.entry(key).or_insert(Deleted { secret, at: now }))
    }

    pub fn recover(&mut self, name: &str) -> Option<&Secret> {
        let key = name.to_lowercase();
        let deleted = self.deleted.remove(&key)?;
        Some(self.secrets.entry(key).or_insert(deleted.secret))
    }

    /// The ARM id of the vault, in the mix of cases of Key Vault's error texts.
    #[must_use]
    pub fn resource_id(&self) -> String {
        format!(
            "/subscriptions/{}/resourcegroups/{}/providers/microsoft.keyvault/vaults/{}",
            self.subscription, self.resource_group, self.name
        )
    }
}

impl Secret {
    #[must_use]
    pub fn latest(&self) -> Option<&Version> {
        self.versions.last()
    }

    #[must_use]
    pub fn version(&self, id: Option<&str>) -> Option<&Version> {
        match id {
            None => self.latest(),
            Some(id) => self.versions.iter().find(|version| version.id.eq_ignore_ascii_case(id)),
        }
    }
}

impl Version {
    /// Everything but the value: what lists have.
    #[must_use]
    pub fn properties(&self, id: &str) -> Value {
        let mut attributes = json!({
            "enabled": self.enabled,
            "created": self.created.as_second(),
            "updated": self.updated.as_second(),
            "recoveryLevel": "Recoverable+Purgeable",
            "recoverableDays": RECOVERABLE_DAYS,
        });
        if let Some(not_before) = self.not_before {
            attributes["nbf"] = json!(not_before.as_second());
        }
        if let Some(expires) = self.expires {
            attributes["exp"] = json!(expires.as_second());
        }
        let mut properties = json!({"id": id, "attributes": attributes});
        if let Some(content_type) = &self.content_type {
            properties["contentType"] = json!(content_type);
        }
        if !self.tags.is_empty() {
            properties["tags"] = json!(self.tags);
        }
        properties
    }

    /// The properties and the value.
    #[must_use]
    pub fn bundle(&self, id: &str) -> Value {
        let mut bundle = self.properties(id);
        bundle["value"] = json!(self.value.reveal());
        bundle
    }
}

impl Deleted {
    /// Adds to the properties of a deleted secret how it comes back.
    #[must_use]
    pub fn dressed(&self, mut properties: Value, recovery_id: &str) -> Value {
        let purge = self.at.saturating_add(SignedDuration::from_hours(24 * RECOVERABLE_DAYS)).unwrap_or(Timestamp::MAX);
        properties["recoveryId"] = json!(recovery_id);
        properties["deletedDate"] = json!(self.at.as_second());
        properties["scheduledPurgeDate"] = json!(purge.as_second());
        properties
    }
}
