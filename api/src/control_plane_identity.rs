//! ControlPlaneIdentity v1alpha1, our own kind: what hcp-identity knows about the identities of one HostedCluster.
//!
//! It stands beside its HostedCluster, has its name and is owned by it. The schema is
//! `manifests/crds/controlplaneidentities.yaml`; a test on a real kube-apiserver holds both to each other.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct ControlPlaneIdentity {
    pub metadata: ObjectMeta,
    pub spec: ControlPlaneIdentitySpec,
    #[serde(default)]
    pub status: Option<ControlPlaneIdentityStatus>,
}

crate::namespaced_resource!(
    ControlPlaneIdentity,
    group: "hcpidentity.dev",
    version: "v1alpha1",
    kind: "ControlPlaneIdentity",
    plural: "controlplaneidentities"
);

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlPlaneIdentitySpec {
    /// The HostedCluster of this namespace that it tells about. Immutable, and the name of this object.
    pub hosted_cluster_name: String,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ControlPlaneIdentityStatus {
    /// `metadata.generation` of the HostedCluster that this tells about.
    pub hosted_cluster_generation: i64,
    pub control_plane_namespace: String,
    /// Components that are wired, of those that the HostedCluster names: `9/9`.
    pub wired: String,
    /// Components that some pod mounts with a credential in it, of those named.
    pub mounted: String,
    /// When the first credential expires, RFC 3339; empty while nothing is known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expires: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// In the order of the table of components.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<ComponentStatus>,
}

/// What is known of one component.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ComponentStatus {
    pub id: String,
    /// Name of its SecretProviderClass in the control plane namespace.
    pub provider_class: String,
    /// Name of its Key Vault secret.
    pub secret_name: String,
    #[serde(rename = "clientID", skip_serializing_if = "String::is_empty")]
    pub client_id: String,
    /// What the identity has to have in Azure, where the component signs in with tokens of the hosted cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub federated_credentials: Vec<FederatedCredentialStatus>,
    /// One word for the state that it is in: see docs/status.md.
    pub reason: String,
    /// What that is about, and what to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    pub wired: bool,
    /// Pods that carry the component's volume.
    pub pods: i32,
    /// Pods whose mount has a credential in it.
    pub mounted_pods: i32,
    /// Versions of the secret that are mounted, each once, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounted_versions: Vec<String>,
    /// What is known of its credential; absent while nothing is, or where it is not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialStatus>,
    /// What each pod has mounted, since when.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<MountStatus>,
    /// Objects that another writer took back from us too often to go on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contested: Vec<ContestedObject>,
}

/// A federated credential, in the fields of Azure Resource Manager; Entra compares all but the name byte by byte.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FederatedCredentialStatus {
    /// As `hypershift create iam azure` names it.
    pub name: String,
    pub issuer: String,
    pub subject: String,
    pub audiences: Vec<String>,
}

/// The vault's current version of a credential.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CredentialStatus {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// When the vault got that version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// `Passed`, `Failed`, or `PassedBefore` where an earlier version has passed and this one is yet to be looked at; empty while
    /// nothing has been.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub check: String,
    /// What is wrong with it, and what to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// The first of all the ends that are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew_after: Option<Time>,
}

/// What a pod has mounted.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MountStatus {
    pub pod: String,
    pub version: String,
    /// When that version was first seen in its mount: from then on its process reloads within `consumerReload`.
    pub since: Option<Time>,
    /// The end of that version, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,
    /// The end of what the mount had before, which its process may hold until it reloads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_not_after: Option<Time>,
}

/// An object that we have stopped writing, until the HostedCluster changes or somebody asks for another try.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContestedObject {
    pub kind: String,
    pub name: String,
    /// Field manager that wrote it last.
    pub manager: String,
}

impl Serialize for ControlPlaneIdentity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let fields = if self.status.is_some() { 5 } else { 4 };
        let mut object = serializer.serialize_struct(Self::KIND, fields)?;
        object.serialize_field("apiVersion", Self::API_VERSION)?;
        object.serialize_field("kind", Self::KIND)?;
        object.serialize_field("metadata", &self.metadata)?;
        object.serialize_field("spec", &self.spec)?;
        if let Some(status) = &self.status {
            object.serialize_field("status", status)?;
        }
        object.end()
    }
}
