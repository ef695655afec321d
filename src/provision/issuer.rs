//! The issuer of a cluster's tokens: its URL, and the documents that it publishes.

use std::{fmt, io};

use serde::Serialize;
use serde_json::json;

use super::{File, KeySet, Readers, file::manifest};
use crate::names::{IssuerUrl, TenantId};

/// The issuer as tokens name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Issuer(IssuerUrl);

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IssuerError {
    #[error("{0:?} is no issuer: it must be an https URL without user, query and fragment")]
    NoIssuer(String),
    #[error(
        "{0:?} is no name of a storage account: it must be 3 to 24 lower-case letters and digits; give it one of its own (--storage-account-name)"
    )]
    StorageAccount(String),
    #[error(
        "{0:?} is no name of a container: it must be 3 to 63 lower-case letters, digits and single hyphens, starting and ending with a letter or digit"
    )]
    Container(String),
}

impl Issuer {
    /// # Errors
    /// Where no verifier of tokens would take it.
    pub fn new(url: &str) -> Result<Self, IssuerError> {
        IssuerUrl::new(url).map(Self).map_err(|_| IssuerError::NoIssuer(url.to_owned()))
    }

    /// The issuer in a container of a storage account; `blobs` is what hosts of blobs end with in a cloud.
    ///
    /// # Errors
    /// Where Azure can have no such account or container.
    pub fn of_container(account: &str, container: &str, blobs: &str) -> Result<Self, IssuerError> {
        if !is_storage_account(account) {
            return Err(IssuerError::StorageAccount(account.to_owned()));
        }
        if !is_container(container) {
            return Err(IssuerError::Container(container.to_owned()));
        }
        Self::new(&format!("https://{account}.{blobs}/{container}"))
    }

    /// What it publishes, below its URL.
    pub const KEYS: &'static str = "openid/v1/jwks";
    pub const DISCOVERY: &'static str = ".well-known/openid-configuration";

    /// As tokens name it.
    #[must_use]
    pub fn url(&self) -> &IssuerUrl {
        &self.0
    }

    pub(crate) fn below(&self, path: &str) -> String {
        format!("{}/{path}", self.0.strip_suffix('/').unwrap_or(&self.0))
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// <https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftstorage>
#[must_use]
pub fn is_storage_account(name: &str) -> bool {
    (3..=24).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

pub(super) fn is_container(name: &str) -> bool {
    let parts =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    (3..=63).contains(&name.len()) && name.split('-').all(parts)
}

/// What `/.well-known/openid-configuration` answers, in ccoctl's order.
#[derive(Serialize)]
struct Discovery<'a> {
    issuer: &'a str,
    jwks_uri: String,
    response_types_supported: [&'a str; 1],
    subject_types_supported: [&'a str; 1],
    id_token_signing_alg_values_supported: [&'a str; 1],
}

/// What a verifier of the issuer's tokens asks for first.
///
/// # Errors
/// Never of an issuer.
pub fn discovery(issuer: &Issuer) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Discovery {
        issuer: &issuer.0,
        jwks_uri: issuer.below(Issuer::KEYS),
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["RS256"],
    })
}

/// Everything that `ccoctl azure create-oidc-issuer --dry-run` writes.
///
/// # Errors
/// Where an object cannot be written as YAML.
pub fn issuer_files(issuer: &Issuer, tenant: &TenantId, keys: &KeySet) -> io::Result<[File; 4]> {
    let authentication = json!({
        "apiVersion": "config.openshift.io/v1",
        "kind": "Authentication",
        "metadata": {"name": "cluster"},
        "spec": {"serviceAccountIssuer": issuer.0},
    });
    let webhook = json!({
        "apiVersion": "v1",
        "stringData": {"azure_tenant_id": tenant},
        "kind": "Secret",
        "metadata": {"name": "azure-credentials", "namespace": "openshift-cloud-credential-operator"},
        "type": "Opaque",
    });
    let public = |path: &str, text| File { path: path.to_owned(), readers: Readers::Everyone, text };
    Ok([
        public("openid-configuration", discovery(issuer)?),
        public("jwks", keys.text()?),
        manifest("cluster-authentication-02-config.yaml", "", &authentication)?,
        manifest("azure-ad-pod-identity-webhook-config.yaml", "", &webhook)?,
    ])
}
