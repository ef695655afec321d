//! SecretProviderClassPodStatus v1 of the Secrets Store CSI driver: what one pod has mounted of one class, and in which
//! versions. The driver writes one per pod and class when it mounts, and after each rotation.
//!
//! Source: `sigs.k8s.io/secrets-store-csi-driver/apis/v1/secretproviderclasspodstatus_types.go`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct SecretProviderClassPodStatus {
    pub metadata: ObjectMeta,
    pub status: PodStatus,
}

crate::namespaced_resource!(
    SecretProviderClassPodStatus,
    group: "secrets-store.csi.x-k8s.io",
    version: "v1",
    kind: "SecretProviderClassPodStatus",
    plural: "secretproviderclasspodstatuses"
);

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    pub pod_name: String,
    pub secret_provider_class_name: String,
    pub mounted: bool,
    pub objects: Vec<MountedObject>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct MountedObject {
    /// `secret/NAME` in the Azure provider.
    pub id: String,
    pub version: String,
}
