//! HostedCluster v1beta1: the part that names Azure identities, and what decides which of them are used.
//!
//! Sources: `api/hypershift/v1beta1/{hostedcluster_types,azure}.go` of openshift/hypershift. Not `Serialize`, on
//! purpose: hcp-identity reads HostedClusters and must not be able to write one.
//!
//! Lenient as the Go types are: a missing string is empty, a missing object is one of missing fields, an enum value of
//! tomorrow is kept as text. What may not be missing is for whoever plans with it to say, field by field.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

/// Annotations of HyperShift's that hcp-identity honours.
pub mod annotations {
    /// On a HostedCluster: HyperShift runs no cluster-api, autoscaler and machine approver for it.
    pub const DISABLE_MACHINE_MANAGEMENT: &str = "hypershift.openshift.io/disable-machine-management";
    /// On what belongs to a HostedCluster: `<namespace>/<name>` of it.
    pub const CLUSTER: &str = "hypershift.openshift.io/cluster";
    /// On a HostedCluster: the operator, of several, that it is for.
    pub const SCOPE: &str = "hypershift.openshift.io/scope";
}

/// A HostedCluster, read-only: writing one does not compile.
///
/// ```compile_fail,E0277
/// fn written(cluster: &hcp_identity_api::hosted_cluster::HostedCluster) -> String {
///     serde_json::to_string(cluster).unwrap()
/// }
/// ```
///
/// The same line compiles for what we do write, so that the example above fails for the right reason:
///
/// ```
/// fn written(class: &hcp_identity_api::secret_provider_class::SecretProviderClass) -> String {
///     serde_json::to_string(class).unwrap()
/// }
/// ```
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct HostedCluster {
    pub metadata: ObjectMeta,
    pub spec: HostedClusterSpec,
}

crate::namespaced_resource!(
    HostedCluster,
    group: "hypershift.openshift.io",
    version: "v1beta1",
    kind: "HostedCluster",
    plural: "hostedclusters"
);

/// A value of an enum of the schema, or the text that stands in its place.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum Open<T> {
    Known(T),
    Unknown(String),
}

impl<T: PartialEq> Open<T> {
    #[must_use]
    pub fn is(&self, value: &T) -> bool {
        matches!(self, Self::Known(known) if known == value)
    }
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct HostedClusterSpec {
    pub platform: Platform,
    pub capabilities: Capabilities,
    pub secret_encryption: Option<SecretEncryption>,
    /// A boolean or an RFC 3339 time, as text.
    pub paused_until: Option<String>,
    /// Who signs the hosted cluster's tokens, as they say it. The CRD defaults it to `https://kubernetes.default.svc`.
    #[serde(rename = "issuerURL")]
    pub issuer_url: String,
    #[serde(rename = "infraID")]
    pub infra_id: String,
    /// The Secret of the key that signs them; without it, HyperShift makes a key.
    pub service_account_signing_key: Option<SecretReference>,
}

/// A Secret in the namespace of the HostedCluster.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct SecretReference {
    pub name: String,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Platform {
    /// `Azure`, `AWS`, `KubeVirt`, …
    #[serde(rename = "type")]
    pub platform_type: String,
    pub azure: Option<AzurePlatform>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Capabilities {
    pub disabled: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct AzurePlatform {
    pub azure_authentication_config: AzureAuthenticationConfig,
    /// The CRD defaults it to `AzurePublicCloud`.
    pub cloud: Option<Open<Cloud>>,
    #[serde(rename = "tenantID")]
    pub tenant_id: String,
    pub private: Option<AzurePrivate>,
}

/// `spec.platform.azure.cloud`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum Cloud {
    AzurePublicCloud,
    AzureUSGovernmentCloud,
    AzureChinaCloud,
    AzureGermanCloud,
    AzureStackCloud,
    AzureBleuCloud,
}

/// How the API server of a private HostedCluster is reached.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct AzurePrivate {
    #[serde(rename = "type")]
    pub connectivity_type: Option<Open<AzurePrivateType>>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum AzurePrivateType {
    PrivateLink,
    Swift,
}

/// A union: the member is there if, and only if, the type names it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct AzureAuthenticationConfig {
    pub azure_authentication_config_type: Option<Open<AzureAuthenticationConfigType>>,
    pub managed_identities: Option<ManagedIdentities>,
    pub workload_identities: Option<WorkloadIdentities>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum AzureAuthenticationConfigType {
    ManagedIdentities,
    WorkloadIdentities,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedIdentities {
    pub control_plane: ControlPlaneManagedIdentities,
    pub data_plane: DataPlaneManagedIdentities,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ControlPlaneManagedIdentities {
    pub managed_identities_key_vault: ManagedAzureKeyVault,
    pub cloud_provider: ManagedIdentity,
    pub node_pool_management: ManagedIdentity,
    pub control_plane_operator: ManagedIdentity,
    pub image_registry: Option<ManagedIdentity>,
    pub ingress: ManagedIdentity,
    pub network: ManagedIdentity,
    pub disk: ManagedIdentity,
    pub file: ManagedIdentity,
}

/// The vault of the management cluster that holds the credentials, not the customer's KMS vault.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct ManagedAzureKeyVault {
    pub name: String,
    #[serde(rename = "tenantID")]
    pub tenant_id: String,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ManagedIdentity {
    #[serde(rename = "clientID")]
    pub client_id: Option<String>,
    pub credentials_secret_name: String,
    /// Required: the CRD has no default, whatever its description says.
    pub object_encoding: Option<Open<ObjectEncoding>>,
}

/// How the Key Vault secret's value is encoded.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub enum ObjectEncoding {
    #[serde(rename = "utf-8")]
    Utf8,
    Hex,
    Base64,
}

impl ObjectEncoding {
    /// The spelling of the HostedCluster and of the CSI provider, which is the same.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Hex => "hex",
            Self::Base64 => "base64",
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct DataPlaneManagedIdentities {
    #[serde(rename = "imageRegistryMSIClientID")]
    pub image_registry_msi_client_id: String,
    #[serde(rename = "diskMSIClientID")]
    pub disk_msi_client_id: String,
    #[serde(rename = "fileMSIClientID")]
    pub file_msi_client_id: String,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadIdentities {
    pub cloud_provider: WorkloadIdentity,
    pub disk: WorkloadIdentity,
    pub file: WorkloadIdentity,
    pub image_registry: WorkloadIdentity,
    pub ingress: WorkloadIdentity,
    pub network: WorkloadIdentity,
    pub node_pool_management: WorkloadIdentity,
    pub control_plane_operator: Option<WorkloadIdentity>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct WorkloadIdentity {
    #[serde(rename = "clientID")]
    pub client_id: String,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct SecretEncryption {
    #[serde(rename = "type")]
    pub encryption_type: Option<Open<SecretEncryptionType>>,
    pub kms: Option<Kms>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum SecretEncryptionType {
    Kms,
    Aescbc,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Kms {
    /// `Azure`, `AWS` or `IBMCloud`.
    pub provider: String,
    pub azure: Option<AzureKms>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct AzureKms {
    pub active_key: AzureKmsKey,
    pub backup_key: Option<AzureKmsKey>,
    /// The identity of the KMS sidecars where the control plane uses managed identities.
    pub kms: Option<ManagedIdentity>,
    pub workload_identity: Option<WorkloadIdentity>,
    pub key_vault_type: Option<Open<KeyVaultType>>,
    pub key_vault_access: Option<Open<KeyVaultAccess>>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct AzureKmsKey {
    pub key_vault_name: String,
    pub key_name: String,
    pub key_version: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum KeyVaultType {
    KeyVault,
    ManagedHSM,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub enum KeyVaultAccess {
    Public,
    Private,
    #[serde(rename = "")]
    Unset,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// HyperShift's CRD grows with each release; an old hcp-identity must go on reading the identities.
    #[test]
    fn unknown_fields_and_values_are_tolerated() {
        let identity: ManagedIdentity = serde_json::from_value(
            json!({"credentialsSecretName": "s", "objectEncoding": "hex", "fieldOfTomorrow": {"a": [1]}}),
        )
        .unwrap();
        assert_eq!(identity.object_encoding, Some(Open::Known(ObjectEncoding::Hex)));
        let cluster: HostedCluster = serde_json::from_value(json!({
            "apiVersion": "hypershift.openshift.io/v1beta1", "kind": "HostedCluster", "status": {"x": 1},
            "metadata": {"name": "c", "namespace": "n", "fieldOfTomorrow": 1},
            "spec": {"platform": {"type": "Azure", "azure": {"cloud": "AzureMoonCloud"}}, "networking": {}},
        }))
        .unwrap();
        let azure = cluster.spec.platform.azure.unwrap();
        assert_eq!(azure.cloud, Some(Open::Unknown("AzureMoonCloud".into())));
        assert!(azure.azure_authentication_config.managed_identities.is_none());
    }

    #[test]
    fn all_six_clouds_are_known() {
        for cloud in [
            "AzurePublicCloud",
            "AzureUSGovernmentCloud",
            "AzureChinaCloud",
            "AzureGermanCloud",
            "AzureStackCloud",
            "AzureBleuCloud",
        ] {
            let parsed: Cloud = serde_json::from_value(json!(cloud)).unwrap();
            assert_eq!(format!("{parsed:?}"), cloud);
        }
    }

    #[test]
    fn encodings_are_spelt_as_they_are_read() {
        for encoding in ["utf-8", "hex", "base64"] {
            let parsed: ObjectEncoding = serde_json::from_value(json!(encoding)).unwrap();
            assert_eq!(parsed.as_str(), encoding);
        }
    }

    #[test]
    fn both_members_of_both_unions_are_read() {
        let uuid = "00000000-0000-0000-0000-000000000000";
        let config: AzureAuthenticationConfig = serde_json::from_value(json!({
            "azureAuthenticationConfigType": "WorkloadIdentities",
            "workloadIdentities": {"controlPlaneOperator": {"clientID": uuid}},
            "managedIdentities": {"controlPlane": {"imageRegistry": {"clientID": uuid}}},
        }))
        .unwrap();
        assert!(
            config.azure_authentication_config_type.unwrap().is(&AzureAuthenticationConfigType::WorkloadIdentities)
        );
        assert_eq!(config.workload_identities.unwrap().control_plane_operator.unwrap().client_id, uuid);
        let registry = config.managed_identities.unwrap().control_plane.image_registry.unwrap();
        assert_eq!(registry.client_id.as_deref(), Some(uuid));

        let kms: AzureKms = serde_json::from_value(json!({
            "keyVaultType": "ManagedHSM", "keyVaultAccess": "",
            "kms": {"objectEncoding": "base64"}, "workloadIdentity": {"clientID": uuid},
        }))
        .unwrap();
        assert!(kms.key_vault_type.unwrap().is(&KeyVaultType::ManagedHSM));
        assert!(kms.key_vault_access.unwrap().is(&KeyVaultAccess::Unset));
        assert!(kms.kms.unwrap().object_encoding.unwrap().is(&ObjectEncoding::Base64));
        assert_eq!(kms.workload_identity.unwrap().client_id, uuid);
    }
}
