//! What is known of the credentials that provider classes name. How it gets here is for others to know.

use std::collections::BTreeMap;

use hcp_identity_api::hosted_cluster::ObjectEncoding;
use jiff::Timestamp;

use crate::credential::VaultDates;

/// A secret that a provider class names, and what its credential should be. Two HostedClusters that name one secret and
/// expect different things of it are two.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Wanted {
    pub vault: Box<str>,
    pub secret: Box<str>,
    pub encoding: ObjectEncoding,
    /// `spec.platform.azure.cloud`, which says where the vault is.
    pub cloud: Box<str>,
    /// The HostedCluster's, of the vault and of the identity.
    pub tenant_id: Option<Box<str>>,
    pub client_id: Option<Box<str>>,
}

/// What the checks of a credential came to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verification {
    pub standing: Standing,
    /// The version of the secret that this is about, the vault's current one.
    pub version: Option<Box<str>>,
    /// When the vault has got that version.
    pub created: Option<Timestamp>,
    pub not_before: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
    pub renew_after: Option<Timestamp>,
    pub cannot_renew_after: Option<Timestamp>,
    /// What Key Vault says of the version.
    pub vault: VaultDates,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Standing {
    /// Nothing is known yet, or only the vault's own word, which is no check of the content.
    #[default]
    Unknown,
    Passed,
    /// What is wrong and what to do, without anything secret.
    Failed {
        message: String,
    },
}

/// Why a vault does not tell. What was known of its secrets before stays known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    pub message: String,
    pub since: Timestamp,
}

/// Everything that is known.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Known {
    pub credentials: BTreeMap<Wanted, Verification>,
    /// By name of the vault.
    pub vaults: BTreeMap<Box<str>, Trouble>,
}
