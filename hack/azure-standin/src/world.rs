//! What there is: tenants, principals, vaults, documents. Set up by a test, a file or the control interface.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    arm::{self, Assigned, Spreading, Subscription},
    certificate::Certificate,
    cloud::Cloud,
    secret::Redacted,
    vault::store::{NewVersion, Vault, VaultDocument},
};

/// Everything that exists in this Azure.
#[derive(Debug, Default)]
pub struct World {
    pub tenants: Vec<Tenant>,
    pub principals: Vec<Principal>,
    /// By name, in lower case.
    pub vaults: BTreeMap<String, Vault>,
    /// By host and path.
    pub documents: BTreeMap<(String, String), PublicDocument>,
    /// `jti` of the assertions that were taken.
    pub spent_assertions: BTreeSet<String>,
    /// The keys of issuers and when they were asked for, by issuer.
    pub(crate) issuer_keys: BTreeMap<String, (Timestamp, serde_json::Value)>,
    /// Subscriptions and what is in them.
    pub arm: arm::Store,
}

/// A part of a world as a file has it. What it names replaces what has that name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Document {
    pub tenants: Vec<Tenant>,
    pub principals: Vec<Principal>,
    pub vaults: Vec<VaultDocument>,
    pub documents: Vec<PublicDocument>,
    pub subscriptions: Vec<Subscription>,
    pub role_assignments: Vec<Assigned>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tenant {
    pub id: String,
    /// A verified domain, by which the tenant can be named as well.
    #[serde(default)]
    pub domain: Option<String>,
    #[serde(default)]
    pub cloud: Cloud,
}

impl Tenant {
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.id.eq_ignore_ascii_case(name) || self.domain.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name))
    }
}

/// An application or a managed identity: what can have a token.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Principal {
    pub client_id: String,
    pub object_id: String,
    /// The id of its tenant.
    pub tenant: String,
    #[serde(default)]
    pub name: String,
    /// A managed identity has one.
    #[serde(default)]
    pub resource_id: Option<String>,
    /// Whether the machine with the metadata service has this identity.
    #[serde(default)]
    pub on_machine: bool,
    /// Registered certificates, PEM.
    #[serde(default)]
    pub certificates: Vec<RegisteredCertificate>,
    /// Subjects whose certificates are good if one of these authorities issued them ("subject name and issuer").
    #[serde(default)]
    pub trusted_subjects: Vec<TrustedSubject>,
    #[serde(default)]
    pub client_secrets: Vec<ClientSecret>,
    #[serde(default)]
    pub federated_credentials: Vec<FederatedCredential>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct RegisteredCertificate(pub Certificate);

impl TryFrom<String> for RegisteredCertificate {
    type Error = crate::certificate::NoCertificate;
    fn try_from(pem: String) -> Result<Self, Self::Error> {
        Certificate::from_pem(&pem).map(Self)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustedSubject {
    /// The common name.
    pub subject: String,
    /// Its authority, PEM.
    pub authority: RegisteredCertificate,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientSecret {
    pub value: Redacted,
    pub not_after: Timestamp,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FederatedCredential {
    #[serde(default)]
    pub name: String,
    pub issuer: String,
    pub subject: String,
    pub audiences: Vec<String>,
}

/// By what a credential is known while it spreads.
pub(crate) fn federation_key(client_id: &str, name: &str) -> String {
    format!("{client_id}/{name}")
}

/// Something that anybody may get: the documents of an issuer.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublicDocument {
    pub url: String,
    pub body: String,
}

impl World {
    /// Adds what the document has.
    pub fn load(&mut self, document: Document, now: Timestamp) {
        for tenant in document.tenants {
            self.tenants.retain(|known| known.id != tenant.id);
            self.tenants.push(tenant);
        }
        for principal in document.principals {
            self.principals.retain(|known| known.client_id != principal.client_id || known.tenant != principal.tenant);
            self.principals.push(principal);
        }
        for vault in document.vaults {
            self.vaults.insert(vault.name.to_lowercase(), Vault::new(vault, now));
        }
        for public in document.documents {
            self.publish(public);
        }
        for subscription in document.subscriptions {
            self.arm.add_subscription(subscription);
        }
        for assigned in document.role_assignments {
            self.arm.assign(assigned, now);
        }
    }

    /// Serves a document at its URL.
    pub fn publish(&mut self, document: PublicDocument) {
        if let Ok(uri) = document.url.parse::<http::Uri>() {
            let host = uri.host().unwrap_or_default().to_lowercase();
            self.documents.insert((host, uri.path().to_owned()), document);
        }
    }

    /// Identities that ARM has no more have no principal either.
    pub(crate) fn forget_lost_principals(&mut self) {
        let arm = &self.arm;
        self.principals.retain(|principal| !arm.is_lost(&principal.client_id));
    }

    /// Adds a version to a secret of a vault, and its secret if there is none. False without such a vault.
    pub fn set_secret(&mut self, vault: &str, secret: &str, version: NewVersion, now: Timestamp) -> bool {
        let Some(vault) = self.vaults.get_mut(&vault.to_lowercase()) else { return false };
        vault.set(secret, version, now);
        true
    }

    #[must_use]
    pub fn tenant(&self, name: &str, cloud: Cloud) -> Option<&Tenant> {
        self.tenants.iter().find(|tenant| tenant.cloud == cloud && tenant.is_called(name))
    }

    #[must_use]
    pub fn principal(&self, tenant: &Tenant, client_id: &str) -> Option<&Principal> {
        self.principals.iter().find(|one| one.tenant == tenant.id && one.client_id.eq_ignore_ascii_case(client_id))
    }

    /// One whose making has spread as far as the token endpoint: a look that counts.
    pub(crate) fn spread_principal(&mut self, tenant: &Tenant, client_id: &str, now: Timestamp) -> Option<Principal> {
        let mut principal = self.principal(tenant, client_id)?.clone();
        let replication = &mut self.arm.replication;
        if !replication.is_seen(Spreading::Principals, &principal.object_id, now) {
            return None;
        }
        principal.federated_credentials.retain(|one| {
            replication.is_seen(Spreading::FederatedCredentials, &federation_key(client_id, &one.name), now)
        });
        Some(principal)
    }

    /// The cloud of the tenant with this id.
    #[must_use]
    pub fn cloud_of(&self, tenant: &str) -> Cloud {
        self.tenants.iter().find(|known| known.id == tenant).map(|known| known.cloud).unwrap_or_default()
    }
}
