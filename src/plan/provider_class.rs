//! The SecretProviderClass of a component, equal in `spec` to the one that HyperShift writes.
//!
//! Source: openshift/hypershift `support/secretproviderclass/secretproviderclass.go`.

use std::collections::BTreeMap;

use hcp_identity_api::{
    hosted_cluster::annotations,
    secret_provider_class::{SecretProviderClass, SecretProviderClassSpec},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{
    Plan,
    identities::{Identities, Identity},
};
use crate::component::Component;

/// The label that says who made an object, and the value that says it was us.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "hcp-identity");

pub(super) fn provider_class(plan: &Plan, identity: &Identity) -> SecretProviderClass {
    let component = Component::of(identity.component);
    let settings = plan.settings();
    let Identities { vault, tenant, .. } = plan.identities();
    let mut parameters = settings.extra_parameters.clone();
    parameters.extend(
        [
            ("keyvaultName", vault.to_string()),
            ("objects", objects(identity)),
            ("tenantId", tenant.to_string()),
            ("usePodIdentity", "false".to_owned()),
            ("useVMManagedIdentity", "true".to_owned()),
            ("userAssignedIdentityID", settings.key_vault_user.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    SecretProviderClass {
        metadata: metadata(plan.identities(), component.class),
        spec: SecretProviderClassSpec { provider: "azure".to_owned(), parameters },
    }
}

/// YAML in a string, which the CSI provider parses again. HyperShift prints it byte for byte so; the names in it are
/// checked ones, and cannot break out of it.
fn objects(identity: &Identity) -> String {
    let (secret, encoding) = (&identity.secret, identity.encoding.as_str());
    format!("\narray:\n  - |\n    objectName: {secret}\n    objectEncoding: {encoding}\n    objectType: secret\n")
}

/// Metadata of an object that we create. No owner reference and no desired-state-hash: an operator that adopts the
/// object would replace the one and be misled by the other.
pub(super) fn metadata(identities: &Identities, name: &str) -> ObjectMeta {
    let cluster = format!("{}/{}", identities.cluster.namespace, identities.cluster.name);
    let (label, ours) = MANAGED_BY;
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(identities.namespace.to_string()),
        annotations: Some(BTreeMap::from([(annotations::CLUSTER.to_owned(), cluster)])),
        labels: Some(BTreeMap::from([(label.to_owned(), ours.to_owned())])),
        ..ObjectMeta::default()
    }
}
