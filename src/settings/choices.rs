//! The words that a setting may have.

use serde::Deserialize;

/// Whether anything but our own status, events and Lease is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, strum::EnumString, strum::VariantNames, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Mode {
    #[default]
    Enforce,
    Observe,
}

/// How pods come to their wiring.
#[derive(Clone, Copy, Debug, Default, Deserialize, strum::EnumString, strum::VariantNames, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum PodPatch {
    /// On the Deployments: where no operator of HyperShift's writes them.
    #[default]
    Workload,
    /// As they are created, by our webhook: see `admission`.
    Webhook,
    /// As they are created, by MutatingAdmissionPolicies: see `policies`.
    Policy,
    /// Not by us.
    None,
}

/// What wires pods where the API server does not serve the policies.
#[derive(Clone, Copy, Debug, Default, Deserialize, strum::EnumString, strum::VariantNames, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum PolicyFallback {
    #[default]
    None,
    Webhook,
}

/// Who makes the webhook's certificate.
#[derive(Clone, Copy, Debug, Default, Deserialize, strum::EnumString, strum::VariantNames, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Certificates {
    /// We, with a CA in a Secret.
    #[default]
    #[serde(rename = "self")]
    #[strum(serialize = "self")]
    Own,
    /// cert-manager, which also writes the CA into the webhook's registration.
    CertManager,
    /// Somebody else.
    Files,
}

/// Whether the AzureClusterIdentity of each HostedCluster is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, strum::EnumString, strum::VariantNames, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum AzureClusterIdentityWriting {
    #[default]
    None,
    Apply,
}

/// How closely credentials are looked at in their vault.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, strum::EnumString, strum::VariantNames, Eq, Ord, PartialEq, PartialOrd,
)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "camelCase")]
pub enum CredentialCheck {
    #[default]
    None,
    /// What the vault says of its versions: whether there is one, and its dates.
    Metadata,
    /// What the consumer would make of it.
    Content,
    /// And whether Entra takes it.
    SignIn,
}

/// Whether the Secrets and ServiceAccounts are looked at that say to pods as whom they sign in.
#[derive(Clone, Copy, Debug, Default, Deserialize, strum::EnumString, strum::VariantNames, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum ConfigurationCheck {
    #[default]
    None,
    /// That they are there, and what their metadata shows.
    Metadata,
}

/// What is done about pods that may hold an old credential for too long.
#[derive(Clone, Copy, Debug, Default, Deserialize, strum::EnumString, strum::VariantNames, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Rotation {
    /// It is told.
    #[default]
    Observe,
    /// They are evicted.
    Restart,
}
