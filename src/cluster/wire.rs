//! What is read of other people's objects: just enough to decide, whatever else stands in them.
//!
//! These types are what a watch decodes into, one object at a time; `project` makes of them what is kept.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time};
use serde::Deserialize;
use serde_json::Value;

macro_rules! projection {
    ($type:ty, $scope:ty, $group:literal, $version:literal, $kind:literal, $plural:literal) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                $kind.into()
            }
            fn group((): &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }
            fn version((): &()) -> std::borrow::Cow<'_, str> {
                $version.into()
            }
            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }
            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

/// A Deployment: its pod template, and how far its rollout is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Deployment {
    pub(super) metadata: ObjectMeta,
    pub(super) spec: DeploymentSpec,
    pub(super) status: DeploymentStatus,
}
projection!(Deployment, kube::core::NamespaceResourceScope, "apps", "v1", "Deployment", "deployments");

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DeploymentSpec {
    pub(super) template: Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DeploymentStatus {
    pub(super) observed_generation: i64,
    pub(super) replicas: i32,
    pub(super) updated_replicas: i32,
}

/// A pod: its volumes of the CSI driver, and whether it has ended.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    pub(super) metadata: ObjectMeta,
    pub(super) spec: PodSpec,
    pub(super) status: PodStatus,
}
projection!(Pod, kube::core::NamespaceResourceScope, "", "v1", "Pod", "pods");

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodSpec {
    pub(super) volumes: Vec<Volume>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Volume {
    pub(super) csi: Option<CsiVolume>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CsiVolume {
    pub(super) driver: String,
    pub(super) volume_attributes: VolumeAttributes,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct VolumeAttributes {
    pub(super) secret_provider_class: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodStatus {
    pub(super) phase: String,
    pub(super) conditions: Vec<PodCondition>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodCondition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
}

/// An event: about what, and what somebody says of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Event {
    pub(super) metadata: ObjectMeta,
    pub(super) involved_object: InvolvedObject,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) last_timestamp: Option<Time>,
    pub(super) event_time: Option<MicroTime>,
}
projection!(Event, kube::core::NamespaceResourceScope, "", "v1", "Event", "events");

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct InvolvedObject {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: String,
}

/// A CSI driver: whether it asks the kubelet to mount again.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CsiDriver {
    pub(super) metadata: ObjectMeta,
    pub(super) spec: CsiDriverSpec,
}
projection!(CsiDriver, kube::core::ClusterResourceScope, "storage.k8s.io", "v1", "CSIDriver", "csidrivers");

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CsiDriverSpec {
    pub(super) requires_republish: bool,
}

/// A ServiceAccount: what it is annotated with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServiceAccount {
    pub(super) metadata: ObjectMeta,
}
projection!(ServiceAccount, kube::core::NamespaceResourceScope, "", "v1", "ServiceAccount", "serviceaccounts");

/// A namespace: that it is there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Namespace {
    pub(super) metadata: ObjectMeta,
}
projection!(Namespace, kube::core::ClusterResourceScope, "", "v1", "Namespace", "namespaces");

/// An AzureClusterIdentity, with a spec that may be anything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AzureClusterIdentity {
    pub(super) metadata: ObjectMeta,
    pub(super) spec: Value,
}
projection!(
    AzureClusterIdentity,
    kube::core::NamespaceResourceScope,
    "infrastructure.cluster.x-k8s.io",
    "v1beta1",
    "AzureClusterIdentity",
    "azureclusteridentities"
);

/// A provider class, with parameters that may be missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SecretProviderClass {
    pub(super) metadata: ObjectMeta,
    pub(super) spec: ClassSpec,
}
projection!(
    SecretProviderClass,
    kube::core::NamespaceResourceScope,
    "secrets-store.csi.x-k8s.io",
    "v1",
    "SecretProviderClass",
    "secretproviderclasses"
);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ClassSpec {
    pub(super) provider: String,
    pub(super) parameters: std::collections::BTreeMap<String, String>,
}
