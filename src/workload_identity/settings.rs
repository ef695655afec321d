//! How the webhook is set up, and what follows for a token.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{ServiceAccount, pod::Pod};
use crate::clouds::{CLOUDS, Cloud};

/// Of one webhook.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    tenant: String,
    authority_host: String,
    audience: String,
    paths: Paths,
}

/// Where a pod finds its token, and what the volume is called.
#[derive(Clone, Copy, Debug, Default, Deserialize, strum::EnumString, strum::VariantNames, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Paths {
    /// Of version 1.6.0: a name of the volume that no other one has.
    #[default]
    #[serde(rename = "v1.6")]
    #[strum(serialize = "v1.6")]
    V1_6,
    /// Of the versions before: the path that programs may have written down. What a pod brings of that name stays as it is.
    Older,
}

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SettingsError {
    #[error("the tenant ID is empty; set it to the tenant of the managed identities")]
    NoTenant,
    #[error("cloud {cloud:?} is not known; known are {}", known())]
    UnknownCloud { cloud: String },
}

/// The token of one pod.
pub(super) struct Token<'a> {
    pub(super) volume: String,
    pub(super) mount: &'static str,
    pub(super) path: &'static str,
    pub(super) audience: &'a str,
    pub(super) expiration: i64,
    pub(super) paths: Paths,
    client_id: &'a str,
    tenant_id: &'a str,
    authority_host: &'a str,
}

const DEFAULT_AUDIENCE: &str = "api://AzureADTokenExchange";

/// Names for which azure-workload-identity has two.
const ALIASES: [(&str, &str); 2] =
    [("AzureCloud", "AzurePublicCloud"), ("AzureUSGovernment", "AzureUSGovernmentCloud")];

/// A volume's name is a DNS label.
const LONGEST_NAME: usize = 63;

impl Settings {
    /// Without a name, the cloud is the public one; without an audience, it is the one of Entra.
    ///
    /// # Errors
    /// No tenant, or no cloud whose Entra is known.
    pub fn new(tenant: &str, cloud: &str, audience: &str, paths: Paths) -> Result<Self, SettingsError> {
        if tenant.is_empty() {
            return Err(SettingsError::NoTenant);
        }
        let authority = authority(cloud).ok_or_else(|| SettingsError::UnknownCloud { cloud: cloud.to_owned() })?;
        let audience = if audience.is_empty() { DEFAULT_AUDIENCE } else { audience };
        // With the slash, as in the original: programs join the tenant to it.
        Ok(Self {
            tenant: tenant.to_owned(),
            authority_host: format!("{authority}/"),
            audience: audience.to_owned(),
            paths,
        })
    }

    pub(super) fn token<'a>(&'a self, pod: &Pod<'_>, account: &'a ServiceAccount, expiration: i64) -> Token<'a> {
        let (volume, mount, path) = match self.paths {
            Paths::V1_6 => (reserved(&pod.name()), "/var/run/secrets/azure/wi", "token/azure-identity-token"),
            Paths::Older => {
                ("azure-identity-token".to_owned(), "/var/run/secrets/azure/tokens", "azure-identity-token")
            }
        };
        Token {
            volume,
            mount,
            path,
            audience: &self.audience,
            expiration,
            paths: self.paths,
            client_id: account.client_id.as_deref().unwrap_or_default(),
            tenant_id: account.tenant_id.as_deref().unwrap_or(&self.tenant),
            authority_host: &self.authority_host,
        }
    }
}

impl Token<'_> {
    /// What Azure's SDKs read. What is empty is not set.
    pub(super) fn environment(&self) -> impl Iterator<Item = (&'static str, String)> {
        [
            ("AZURE_CLIENT_ID", self.client_id.to_owned()),
            ("AZURE_TENANT_ID", self.tenant_id.to_owned()),
            ("AZURE_FEDERATED_TOKEN_FILE", format!("{}/{}", self.mount, self.path)),
            ("AZURE_AUTHORITY_HOST", self.authority_host.to_owned()),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
    }
}

fn authority(cloud: &str) -> Option<String> {
    let alias = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(cloud));
    let cloud = alias.map_or(cloud, |(_, name)| name);
    let known = CLOUDS.iter().find(|known| known.name.eq_ignore_ascii_case(cloud));
    known.or_else(|| Cloud::of(cloud))?.authority()
}

fn known() -> String {
    let known = CLOUDS.iter().filter(|cloud| !cloud.entra.is_empty());
    known.map(|cloud| cloud.name).collect::<Vec<_>>().join(", ")
}

/// The name of a volume that belongs to this pod: as long as it can be.
fn reserved(pod: &str) -> String {
    let digest: String = Sha256::digest(pod).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut name = format!("azure-workload-identity-reserved-{digest}");
    name.truncate(LONGEST_NAME);
    name
}
