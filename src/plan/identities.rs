//! The gate: from a HostedCluster as it was read to identities that provider classes can be made of.
//!
//! Everything that can be wrong is said here, all of it at once; past the gate nothing can fail.

use std::collections::HashMap;

use hcp_identity_api::{
    azure_cluster_identity::CloudType,
    hosted_cluster::{
        AzureAuthenticationConfigType, AzurePlatform, AzurePrivateType, Cloud, ControlPlaneManagedIdentities,
        HostedCluster, KeyVaultAccess, ManagedIdentities, ManagedIdentity, ObjectEncoding, Open,
    },
};
use serde::{Deserialize, Serialize};

use super::workload_identities::{self, WorkloadIdentities};
use crate::{
    component::{self, COMPONENTS, Component, Id, LeftOut},
    finding::{FieldPath, Problem, Reason, Severity},
    names::{
        self, ClientId, Namespace, ObjectName, SecretName, TenantId, VaultName, control_plane_namespace, is_uuid,
        plausible_vault_name,
    },
};

/// What a HostedCluster with managed identities says about them, checked.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Identities {
    pub cluster: ClusterName,
    /// The control plane namespace, where the classes and the pods are.
    pub namespace: Namespace,
    pub vault: VaultName,
    pub tenant: TenantId,
    /// Tenant of the customer's resources, which Cluster API manages.
    pub azure_tenant: Box<str>,
    /// `spec.platform.azure.cloud`, with its default.
    pub cloud: Box<str>,
    /// The cloud as Cluster API Provider Azure calls it, if it does.
    pub capz_cloud: Option<CloudType>,
    /// In the order of the table.
    pub named: Vec<Identity>,
}

#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ClusterName {
    pub namespace: Namespace,
    pub name: ObjectName,
}

/// The identity of one component.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Identity {
    pub component: Id,
    pub secret: SecretName,
    pub encoding: ObjectEncoding,
    pub client_id: Option<ClientId>,
}

/// What came out of the gate: identities of the kind that the HostedCluster uses, unless a problem is an error or says that
/// there are none for us.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gated {
    pub identities: Option<Identities>,
    pub workload_identities: Option<WorkloadIdentities>,
    pub problems: Vec<Problem>,
}

pub(super) const AZURE: &str = "spec.platform.azure";
const AUTHENTICATION: &str = "spec.platform.azure.azureAuthenticationConfig";
const CONTROL_PLANE: &str = "spec.platform.azure.azureAuthenticationConfig.managedIdentities.controlPlane";
const KEY_VAULT: &str =
    "spec.platform.azure.azureAuthenticationConfig.managedIdentities.controlPlane.managedIdentitiesKeyVault";
const DATA_PLANE: &str = "spec.platform.azure.azureAuthenticationConfig.managedIdentities.dataPlane";
const KMS: &str = "spec.secretEncryption.kms.azure";

/// Checks a HostedCluster.
#[must_use]
pub(super) fn gate(cluster: &HostedCluster) -> Gated {
    let mut gated = Gated::default();
    let problems = &mut gated.problems;
    match azure_platform(cluster, problems).and_then(|azure| Some((azure, authentication(azure, problems)?))) {
        Some((azure, Authentication::Managed(managed))) => {
            gated.identities = identities(cluster, azure, managed, problems);
        }
        Some((azure, Authentication::Workload)) => {
            gated.workload_identities = workload_identities::check(cluster, azure, problems);
        }
        None => {}
    }
    if gated.problems.iter().any(|problem| problem.severity == Severity::Error) {
        (gated.identities, gated.workload_identities) = (None, None);
    }
    gated
}

fn identities(
    cluster: &HostedCluster,
    azure: &AzurePlatform,
    managed: &ManagedIdentities,
    problems: &mut Vec<Problem>,
) -> Option<Identities> {
    let control_plane = &managed.control_plane;
    let cluster_name = cluster_name(cluster, problems);
    let vault = vault(control_plane, problems);
    let named: Vec<_> = COMPONENTS.iter().filter_map(|component| identity(component, cluster, problems)).collect();
    warn_of_shared_secrets(&named, problems);
    warn_of_missing_client_ids(&named, problems);
    warn_of_data_plane(managed, problems);
    warn_of_kms_vault(cluster, azure, control_plane, problems);
    warn_of_tenant(AZURE, &azure.tenant_id, problems);
    if azure.tenant_id.is_empty() {
        let message = "is empty: Cluster API and the operators could not sign in to the customer's tenant";
        let field = FieldPath::of(AZURE).key("tenantID");
        problems.push(Problem::warning(Reason::EmptyTenantID, field, message, "give the tenant id").with_value(""));
    }
    let (cluster, namespace) = cluster_name?;
    let (vault, tenant) = vault?;
    let capz_cloud = capz_cloud(azure);
    if capz_cloud.is_none() && named.iter().any(|id| Component::of(id.component).azure_cluster_identity) {
        problems.push(cloud_without_capz_type(azure));
    }
    Some(Identities {
        cluster,
        namespace,
        vault,
        tenant,
        azure_tenant: azure.tenant_id.as_str().into(),
        cloud: cloud_name(azure).into(),
        capz_cloud,
        named,
    })
}

fn azure_platform<'c>(cluster: &'c HostedCluster, problems: &mut Vec<Problem>) -> Option<&'c AzurePlatform> {
    let platform = &cluster.spec.platform;
    match platform.platform_type.as_str() {
        "Azure" if platform.azure.is_none() => {
            let message = "is missing, although the platform type is Azure";
            problems.push(Problem::error(Reason::Required, FieldPath::of(AZURE), message, "add it"));
        }
        "Azure" => {}
        "" => {
            let field = FieldPath::of("spec.platform.type");
            problems.push(Problem::error(Reason::Required, field, "is missing", "name the platform, such as Azure"));
            return None;
        }
        other => {
            let message = "the platform is not Azure: no provider classes";
            let field = FieldPath::of("spec.platform.type");
            problems.push(Problem::note(Reason::NotAzure, field, message, "nothing is to be done").with_value(other));
            return None;
        }
    }
    platform.azure.as_ref()
}

/// The member of the union that its type names.
enum Authentication<'c> {
    Managed(&'c ManagedIdentities),
    Workload,
}

fn authentication<'c>(azure: &'c AzurePlatform, problems: &mut Vec<Problem>) -> Option<Authentication<'c>> {
    use AzureAuthenticationConfigType::{ManagedIdentities, WorkloadIdentities};
    let config = &azure.azure_authentication_config;
    let field = FieldPath::of(AUTHENTICATION).key("azureAuthenticationConfigType");
    let (found, member, message) = match &config.azure_authentication_config_type {
        Some(Open::Known(ManagedIdentities)) => {
            let message = "is missing, although the type is ManagedIdentities";
            (config.managed_identities.as_ref().map(Authentication::Managed), "managedIdentities", message)
        }
        Some(Open::Known(WorkloadIdentities)) => {
            let message = "the control plane signs in by workload identity: no provider classes";
            let remedy = "`hcp-identity azure plan` lists the federated credentials that it needs";
            problems.push(Problem::note(Reason::WorkloadIdentities, field, message, remedy));
            let message = "is missing, although the type is WorkloadIdentities";
            (config.workload_identities.as_ref().map(|_| Authentication::Workload), "workloadIdentities", message)
        }
        Some(Open::Unknown(value)) => {
            let message = "is none of ManagedIdentities and WorkloadIdentities";
            let problem = Problem::error(Reason::UnsupportedValue, field, message, "use one of the two");
            problems.push(problem.with_value(value.as_str()));
            return None;
        }
        None => {
            let remedy = "set it to ManagedIdentities or WorkloadIdentities";
            problems.push(Problem::error(Reason::Required, field, "is missing", remedy));
            return None;
        }
    };
    if found.is_none() {
        let field = FieldPath::of(AUTHENTICATION).key(member);
        problems.push(Problem::error(Reason::UnionMismatch, field, message, "name the identities"));
    }
    found
}

pub(super) fn cluster_name(cluster: &HostedCluster, problems: &mut Vec<Problem>) -> Option<(ClusterName, Namespace)> {
    let metadata = &cluster.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    let name = match ObjectName::new(name) {
        Ok(name) => Some(name),
        Err(unfit) => {
            let problem = Problem::error(
                Reason::InvalidName,
                FieldPath::of("metadata.name"),
                "is no name that a HostedCluster can have",
                format!("it {unfit}"),
            );
            problems.push(if name.is_empty() { problem } else { problem.with_value(name) });
            None
        }
    };
    let field = FieldPath::of("metadata.namespace");
    let namespace = match metadata.namespace.as_deref().unwrap_or_default() {
        "" => {
            let message = "is missing, and the control plane namespace is made of it";
            problems.push(Problem::error(
                Reason::MissingNamespace,
                field,
                message,
                "set the HostedCluster's namespace",
            ));
            None
        }
        namespace => Namespace::new(namespace)
            .map_err(|unfit| {
                let message = "is no namespace that Kubernetes can have";
                let remedy = format!("it {unfit}");
                problems.push(Problem::error(Reason::InvalidName, field, message, remedy).with_value(namespace));
            })
            .ok(),
    };
    let (name, namespace) = (name?, namespace?);
    let joined = control_plane_namespace(&namespace, &name);
    match Namespace::new(joined.as_str()) {
        Ok(control_plane) => Some((ClusterName { namespace, name }, control_plane)),
        Err(_) => {
            let message = format!(
                "makes the control plane namespace {joined} of {} characters, and a namespace has 63 at most",
                joined.len()
            );
            let remedy = "shorten the name or the namespace of the HostedCluster";
            let field = FieldPath::of("metadata.name");
            problems.push(Problem::error(Reason::ControlPlaneNamespaceTooLong, field, message, remedy));
            None
        }
    }
}

fn vault(identities: &ControlPlaneManagedIdentities, problems: &mut Vec<Problem>) -> Option<(VaultName, TenantId)> {
    let vault = &identities.managed_identities_key_vault;
    let field = FieldPath::of(KEY_VAULT);
    let name = VaultName::new(vault.name.as_str());
    if name.is_err() {
        let message = "is empty: the CSI driver would find no vault and no pod could start";
        let remedy = "name the management cluster's Key Vault";
        problems.push(Problem::error(Reason::EmptyKeyVaultName, field.key("name"), message, remedy).with_value(""));
    } else if !plausible_vault_name(&vault.name) {
        problems.push(implausible_vault(field.key("name"), &vault.name));
    }
    let tenant = TenantId::new(vault.tenant_id.as_str());
    if tenant.is_err() {
        let message = "is empty: the CSI driver could not sign in to the vault and no pod could start";
        let remedy = "give the tenant of the management cluster's Key Vault";
        problems
            .push(Problem::error(Reason::EmptyKeyVaultTenant, field.key("tenantID"), message, remedy).with_value(""));
    }
    warn_of_tenant(KEY_VAULT, &vault.tenant_id, problems);
    Some((name.ok()?, tenant.ok()?))
}

fn identity(component: &Component, cluster: &HostedCluster, problems: &mut Vec<Problem>) -> Option<Identity> {
    if let Some(left_out) = (component.left_out)(cluster) {
        problems.push(absence("provider class", component.id, &left_out));
        return None;
    }
    let identity = (component.identity)(cluster)?;
    let field = FieldPath::of(component.field);
    let secret = secret_name(identity, &field, problems);
    let encoding = encoding(identity, &field, problems);
    let client_id = client_id(identity, &field, problems);
    Some(Identity { component: component.id, secret: secret?, encoding: encoding?, client_id })
}

/// Why a component has not what the others have.
pub(super) fn absence(of: &str, component: Id, left_out: &LeftOut) -> Problem {
    let message = format!("no {of} for {component}: {}", left_out.message);
    let note = Problem::note(left_out.reason, FieldPath::of(left_out.field), message, left_out.remedy);
    Problem { severity: left_out.severity, ..note }
}

fn secret_name(identity: &ManagedIdentity, field: &FieldPath, problems: &mut Vec<Problem>) -> Option<SecretName> {
    let value = identity.credentials_secret_name.as_str();
    let refuse = |_| {
        let (reason, message) = if value.is_empty() {
            (Reason::Required, "names no Key Vault secret")
        } else {
            (Reason::InvalidFormat, "is no name that a Key Vault secret can have")
        };
        let remedy = format!("it must be {}", SecretName::RULE);
        problems.push(Problem::error(reason, field.key("credentialsSecretName"), message, remedy).with_value(value));
    };
    SecretName::new(value).map_err(refuse).ok()
}

fn encoding(identity: &ManagedIdentity, field: &FieldPath, problems: &mut Vec<Problem>) -> Option<ObjectEncoding> {
    let remedy = "set it to how the secret's value is stored: utf-8, hex or base64";
    let field = field.key("objectEncoding");
    match &identity.object_encoding {
        Some(Open::Known(encoding)) => Some(*encoding),
        Some(Open::Unknown(value)) => {
            let message = "is no encoding that the CSI provider knows";
            problems.push(Problem::error(Reason::UnsupportedValue, field, message, remedy).with_value(value.as_str()));
            None
        }
        None => {
            problems.push(Problem::error(Reason::Required, field, "is missing, and there is no default", remedy));
            None
        }
    }
}

fn client_id(identity: &ManagedIdentity, field: &FieldPath, problems: &mut Vec<Problem>) -> Option<ClientId> {
    let value = identity.client_id.as_deref()?;
    let refuse = |unfit: names::Unfit| {
        let field = field.key("clientID");
        let remedy = format!("it {unfit}, or be left out");
        problems.push(Problem::error(Reason::InvalidFormat, field, "is no client id", remedy).with_value(value));
    };
    ClientId::new(value).map_err(refuse).ok()
}

fn warn_of_shared_secrets(named: &[Identity], problems: &mut Vec<Problem>) {
    let mut first = HashMap::new();
    for identity in named {
        // Key Vault compares names without regard to case.
        let Some(other) = first.insert(identity.secret.to_ascii_lowercase(), identity.component) else { continue };
        let field = FieldPath::of(Component::of(identity.component).field).key("credentialsSecretName");
        let message = format!("is the secret of {other} as well: both components act as one identity");
        let remedy = "give each component an identity and a secret of its own";
        problems.push(
            Problem::warning(Reason::SharedSecret, field, message, remedy).with_value(identity.secret.to_string()),
        );
    }
}

/// One warning for all: in managed Azure the client id is usually left out, and nine lines would say no more.
fn warn_of_missing_client_ids(named: &[Identity], problems: &mut Vec<Problem>) {
    let without: Vec<_> = named.iter().filter(|id| id.client_id.is_none()).map(|id| id.component.to_string()).collect();
    if !without.is_empty() {
        let message = format!(
            "no clientID for {}: a check of the credentials cannot tell whether a secret is of the right identity",
            without.join(", ")
        );
        let remedy = "add clientID to each identity";
        problems.push(Problem::warning(Reason::MissingClientID, FieldPath::of(CONTROL_PLANE), message, remedy));
    }
}

fn warn_of_data_plane(managed: &ManagedIdentities, problems: &mut Vec<Problem>) {
    let data_plane = &managed.data_plane;
    for (key, value) in [
        ("imageRegistryMSIClientID", &data_plane.image_registry_msi_client_id),
        ("diskMSIClientID", &data_plane.disk_msi_client_id),
        ("fileMSIClientID", &data_plane.file_msi_client_id),
    ] {
        if value.is_empty() {
            let message = "is empty: the guest cluster's credentials Secret gets an empty client id";
            let remedy = "give the client id of the data plane identity";
            let field = FieldPath::of(DATA_PLANE).key(key);
            problems.push(Problem::warning(Reason::DataPlaneClientIDEmpty, field, message, remedy).with_value(""));
        }
    }
}

fn warn_of_kms_vault(
    cluster: &HostedCluster,
    azure: &AzurePlatform,
    identities: &ControlPlaneManagedIdentities,
    problems: &mut Vec<Problem>,
) {
    let Some(kms) = component::azure_kms(cluster) else { return };
    let kms_vault = &kms.active_key.key_vault_name;
    let field = FieldPath::of(KMS).key("activeKey").key("keyVaultName");
    if !kms_vault.is_empty() && !plausible_vault_name(kms_vault) {
        problems.push(implausible_vault(field.clone(), kms_vault));
    }
    if !kms_vault.is_empty() && kms_vault.eq_ignore_ascii_case(&identities.managed_identities_key_vault.name) {
        let message =
            "is also the vault of the control plane's credentials: whoever may use the key may be given those";
        let remedy = "keep the KMS key in a vault of the customer's own";
        problems.push(Problem::warning(Reason::SharedKeyVault, field, message, remedy).with_value(kms_vault.as_str()));
    }
    let swift = azure.private.as_ref().and_then(|private| private.connectivity_type.as_ref());
    let is_swift = swift.is_some_and(|connectivity| connectivity.is(&AzurePrivateType::Swift));
    let access = kms.key_vault_access.as_ref();
    if access.is_some_and(|access| access.is(&KeyVaultAccess::Private)) && !is_swift {
        let message = "sends Key Vault traffic through the private router, which a HostedCluster without Swift has not";
        let remedy =
            "remove it; Swift (spec.platform.azure.private) can only be chosen when a HostedCluster is created";
        let field = FieldPath::of(KMS).key("keyVaultAccess");
        problems.push(Problem::warning(Reason::KeyVaultAccessIgnored, field, message, remedy).with_value("Private"));
    }
}

pub(super) fn warn_of_tenant(of: &str, tenant: &str, problems: &mut Vec<Problem>) {
    if !tenant.is_empty() && !is_uuid(tenant) {
        let message = "is no UUID, which every Entra tenant id is";
        let remedy = "give the tenant id, not its domain name";
        let field = FieldPath::of(of).key("tenantID");
        problems.push(Problem::warning(Reason::TenantNotUUID, field, message, remedy).with_value(tenant));
    }
}

fn implausible_vault(field: FieldPath, name: &str) -> Problem {
    let message = "is no name that Azure gives a vault";
    let remedy = "give the vault's name alone, 3 to 24 letters, digits and hyphens, not its address";
    Problem::warning(Reason::ImplausibleKeyVaultName, field, message, remedy).with_value(name)
}

pub(super) fn cloud_name(azure: &AzurePlatform) -> String {
    match azure.cloud.as_ref().unwrap_or(&Open::Known(Cloud::AzurePublicCloud)) {
        Open::Known(cloud) => format!("{cloud:?}"),
        Open::Unknown(cloud) => cloud.clone(),
    }
}

/// The cloud as Cluster API calls it.
fn capz_cloud(azure: &AzurePlatform) -> Option<CloudType> {
    match azure.cloud.as_ref().unwrap_or(&Open::Known(Cloud::AzurePublicCloud)) {
        Open::Known(Cloud::AzurePublicCloud) => Some(CloudType::Public),
        Open::Known(Cloud::AzureUSGovernmentCloud) => Some(CloudType::UsGovernment),
        Open::Known(Cloud::AzureChinaCloud) => Some(CloudType::China),
        Open::Known(_) | Open::Unknown(_) => None,
    }
}

/// A warning: only who wants an AzureClusterIdentity cannot go on, and the other components are not concerned.
fn cloud_without_capz_type(azure: &AzurePlatform) -> Problem {
    let message = "is a cloud that Cluster API Provider Azure has no credentials type for: no AzureClusterIdentity";
    let remedy = "node pools cannot be managed there; the other components are not concerned";
    let field = FieldPath::of(AZURE).key("cloud");
    Problem::warning(Reason::CloudWithoutCapzType, field, message, remedy).with_value(cloud_name(azure))
}
