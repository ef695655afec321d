//! AzureClusterIdentity v1beta1 of Cluster API Provider Azure: how its manager signs in for the node pools.
//!
//! Source: `sigs.k8s.io/cluster-api-provider-azure/api/v1beta1/azureclusteridentity_types.go`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct AzureClusterIdentity {
    pub metadata: ObjectMeta,
    pub spec: AzureClusterIdentitySpec,
}

crate::namespaced_resource!(
    AzureClusterIdentity,
    group: "infrastructure.cluster.x-k8s.io",
    version: "v1beta1",
    kind: "AzureClusterIdentity",
    plural: "azureclusteridentities"
);
crate::serialize_as_manifest!(AzureClusterIdentity);

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AzureClusterIdentitySpec {
    pub allowed_namespaces: AllowedNamespaces,
    /// Required by the CRD, and empty where the credential file carries the client id itself.
    #[serde(rename = "clientID")]
    pub client_id: String,
    #[serde(rename = "tenantID")]
    pub tenant_id: String,
    #[serde(rename = "type")]
    pub identity_type: IdentityType,
    pub user_assigned_identity_credentials_cloud_type: CloudType,
    pub user_assigned_identity_credentials_path: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct AllowedNamespaces {
    pub list: Vec<String>,
}

/// The one of CAPZ's identity types that reads a UserAssignedIdentityCredentials file.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum IdentityType {
    UserAssignedIdentityCredential,
}

/// The clouds that CAPZ has an endpoint table for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CloudType {
    Public,
    UsGovernment,
    China,
}
