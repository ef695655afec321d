//! SecretProviderClass v1 of the Secrets Store CSI driver.
//!
//! Source: `sigs.k8s.io/secrets-store-csi-driver/apis/v1/secretproviderclass_types.go`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct SecretProviderClass {
    pub metadata: ObjectMeta,
    pub spec: SecretProviderClassSpec,
}

crate::namespaced_resource!(
    SecretProviderClass,
    group: "secrets-store.csi.x-k8s.io",
    version: "v1",
    kind: "SecretProviderClass",
    plural: "secretproviderclasses"
);
crate::serialize_as_manifest!(SecretProviderClass);

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct SecretProviderClassSpec {
    pub provider: String,
    /// All values are strings, booleans included: that is what the provider parses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}
