//! The AzureClusterIdentity with which Cluster API's manager signs in for the node pools.
//!
//! Source: openshift/hypershift `hypershift-operator/controllers/hostedcluster/internal/platform/azure/azure.go`.

use hcp_identity_api::azure_cluster_identity::{
    AllowedNamespaces, AzureClusterIdentity, AzureClusterIdentitySpec, CloudType, IdentityType,
};

use super::{Plan, identities::Identity, provider_class::metadata};

pub(super) fn azure_cluster_identity(plan: &Plan, identity: &Identity, cloud: CloudType) -> AzureClusterIdentity {
    let identities = plan.identities();
    AzureClusterIdentity {
        metadata: metadata(identities, &identities.cluster.name),
        spec: AzureClusterIdentitySpec {
            allowed_namespaces: AllowedNamespaces { list: vec![identities.namespace.to_string()] },
            client_id: identity.client_id.as_ref().map(ToString::to_string).unwrap_or_default(),
            tenant_id: identities.azure_tenant.to_string(),
            identity_type: IdentityType::UserAssignedIdentityCredential,
            user_assigned_identity_credentials_cloud_type: cloud,
            user_assigned_identity_credentials_path: plan.credential_path(identity.component),
        },
    }
}
