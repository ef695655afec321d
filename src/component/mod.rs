//! The table of the nine components: which identity of a HostedCluster is whose, and how its pods are wired.
//!
//! Everything that knows a component by name stands in its row. What is irregular about one is a column.
//! Sources, all of openshift/hypershift: `support/config/constants.go` (names and paths), `support/azureutil/azureutil.go`
//! (volumes, mounts, env), `control-plane-operator/controllers/hostedcontrolplane/v2/*` (which pod gets them); of
//! openshift/cluster-network-operator: `bindata/cloud-network-config-controller/managed/controller.yaml`; of
//! openshift/csi-operator: `pkg/driver/azure-{disk,file}`. Federated identities: `cmd/infra/azure/identities.go` of
//! openshift/hypershift, and its token minters.

mod left_out;
#[cfg(test)]
mod tests;
mod token;

use hcp_identity_api::hosted_cluster::{
    AzureKms, ControlPlaneManagedIdentities, HostedCluster, ManagedIdentity, WorkloadIdentities, WorkloadIdentity,
};
use left_out::{kms_in_use, kms_left_out, kms_not_federated, never, no_ingress, no_machine_management, no_registry};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoStaticStr};
pub use token::{MinterFlag, Operator, Place, TOKEN_FILE, TOKEN_FOLDER, Token, TokenEnv};

use crate::finding::{Reason, Severity};

/// The id of a component, as status, metrics, settings and documentation spell it.
#[derive(
    Clone,
    Copy,
    Debug,
    Deserialize,
    Display,
    EnumIter,
    EnumString,
    Eq,
    Hash,
    IntoStaticStr,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Id {
    CloudProvider,
    Cpo,
    #[serde(rename = "nodepool")]
    #[strum(serialize = "nodepool")]
    NodePool,
    Ingress,
    Network,
    Disk,
    File,
    Registry,
    Kms,
}

/// One row of the table.
#[derive(Debug)]
pub struct Component {
    pub id: Id,
    /// Name of its SecretProviderClass.
    pub class: &'static str,
    /// Where in the HostedCluster its identity stands.
    pub field: &'static str,
    /// The identity, if the HostedCluster names one.
    pub identity: fn(&HostedCluster) -> Option<&ManagedIdentity>,
    /// Why there is no class for it in this HostedCluster, where that wants saying.
    pub left_out: fn(&HostedCluster) -> Option<LeftOut>,
    /// Whether Cluster API signs in as it, through an AzureClusterIdentity.
    pub azure_cluster_identity: bool,
    /// Where its pod reads the path of its credential, if not in its own pod spec.
    pub cloud_config: Option<CloudConfig>,
    /// The pods that get something. The first one mounts the credential; the others follow from it.
    pub pods: &'static [Pod],
    /// How it signs in where the control plane uses workload identities.
    pub federated: Federated,
}

/// An identity that service accounts of the hosted cluster sign in as.
#[derive(Debug)]
pub struct Federated {
    /// Where in the HostedCluster the identity stands.
    pub field: &'static str,
    /// The identity, if the HostedCluster names one that is used.
    pub identity: fn(&HostedCluster) -> Option<&WorkloadIdentity>,
    /// Why nothing signs in as it, where that wants saying.
    pub left_out: fn(&HostedCluster) -> Option<LeftOut>,
    /// What names are made of, in the way of `hypershift create iam azure`.
    pub name: &'static str,
    /// Whose tokens are exchanged, each by a federated credential of its own.
    pub service_accounts: &'static [ServiceAccount],
    /// How the first pod of the row comes by them.
    pub token: Token,
}

/// A service account of the hosted cluster.
#[derive(Debug)]
pub struct ServiceAccount {
    pub namespace: &'static str,
    pub name: &'static str,
    /// What tells its federated credential from the others of the identity.
    pub suffix: &'static str,
}

/// A Secret of HyperShift's that tells a pod where its credential is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CloudConfig {
    pub secret: &'static str,
    pub key: &'static str,
}

/// Why a component gets no class.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeftOut {
    /// A note, or a warning where HyperShift's own pods will miss the class.
    pub severity: Severity,
    pub reason: Reason,
    pub field: &'static str,
    pub message: &'static str,
    /// What to do, where that is not what is meant.
    pub remedy: &'static str,
}

/// What one kind of pod gets for a component. It is recognised by its label `app` and its container, never by name.
#[derive(Debug)]
pub struct Pod {
    /// Value of the label `app`.
    pub app: &'static str,
    pub containers: &'static [Container],
    pub mount: Option<Mount>,
    pub env: &'static [Env],
}

#[derive(Debug)]
pub struct Container {
    pub name: &'static str,
    pub presence: Presence,
}

/// Whether doing without is a finding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Presence {
    Required,
    IfPresent,
}

/// A volume of the component's provider class, and where the containers mount it.
#[derive(Debug)]
pub struct Mount {
    pub volume: &'static str,
    pub path: &'static str,
}

#[derive(Debug)]
pub struct Env {
    pub name: &'static str,
    pub value: EnvValue,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EnvValue {
    /// Name of the provider class.
    ProviderClass,
    /// Name of the Key Vault secret, which is the file's name in the mount.
    SecretName,
    /// Full path of the credential in the mount.
    CredentialPath,
}

macro_rules! control_plane_field {
    ($name:literal) => {
        concat!("spec.platform.azure.azureAuthenticationConfig.managedIdentities.controlPlane.", $name)
    };
}

macro_rules! workload_field {
    ($name:literal) => {
        concat!("spec.platform.azure.azureAuthenticationConfig.workloadIdentities.", $name)
    };
}

const NETWORK_CONFIG: &str = "openshift-cloud-network-config-controller";

/// Where most components mount their credential.
const CERTS: &str = "/mnt/certs";

const CLOUD_TOKEN_MINTER: &str = "cloud-token-minter";
const CLOUD_TOKEN: &str = "cloud-token";

/// In the words of a remedy.
const CONTROL_PLANE_OPERATOR: &str =
    "control-plane-operator writes it, unless it runs with MANAGED_SERVICE=ARO-HCP: see its log";
const HYPERSHIFT_OPERATOR: &str =
    "hypershift-operator writes it, unless it runs with MANAGED_SERVICE=ARO-HCP: see its log";
const NETWORK_OPERATOR: &str = "cluster-network-operator of the control plane namespace writes it: see its log";
const DRIVER_OPERATOR: &str =
    "the operator of the CSI driver writes it, where it has HYPERSHIFT_IMAGE in its environment: see its log";

const CREDENTIALS_FILE_PATH: &str = "MANAGED_AZURE_HCP_CREDENTIALS_FILE_PATH";

/// In the order in which everything prints them.
pub static COMPONENTS: [Component; 9] = [
    Component {
        id: Id::CloudProvider,
        class: "managed-azure-cloud-provider",
        field: control_plane_field!("cloudProvider"),
        identity: |cluster| control_plane(cluster).map(|identities| &identities.cloud_provider),
        left_out: never,
        azure_cluster_identity: false,
        cloud_config: Some(CloudConfig { secret: "azure-cloud-config", key: "cloud.conf" }),
        pods: &[Pod {
            app: "cloud-controller-manager",
            containers: &[required("cloud-controller-manager")],
            mount: Some(Mount { volume: "cloud-provider-cert", path: CERTS }),
            env: &[],
        }],
        federated: Federated {
            field: workload_field!("cloudProvider"),
            identity: |cluster| Some(&workload(cluster)?.cloud_provider),
            left_out: never,
            name: "cloud-provider",
            service_accounts: &[account("kube-system", "azure-cloud-provider", "")],
            token: Token {
                minter: CLOUD_TOKEN_MINTER,
                volume: CLOUD_TOKEN,
                told_by: &[
                    Place::Config("azure-cloud-config", Operator::ControlPlaneOperator),
                    Place::ServiceAccount("azure-cloud-controller-manager", Operator::ControlPlaneOperator),
                ],
                secret_folder: None,
                written_by: CONTROL_PLANE_OPERATOR,
            },
        },
    },
    Component {
        id: Id::Cpo,
        class: "managed-azure-cpo",
        field: control_plane_field!("controlPlaneOperator"),
        identity: |cluster| control_plane(cluster).map(|identities| &identities.control_plane_operator),
        left_out: never,
        azure_cluster_identity: false,
        cloud_config: None,
        pods: &[Pod {
            app: "control-plane-operator",
            containers: &[required("control-plane-operator")],
            mount: Some(Mount { volume: "cpo-cert", path: CERTS }),
            env: &[],
        }],
        federated: Federated {
            field: workload_field!("controlPlaneOperator"),
            identity: |cluster| workload(cluster)?.control_plane_operator.as_ref(),
            left_out: never,
            name: "control-plane-operator",
            service_accounts: &[account("kube-system", "control-plane-operator", "")],
            token: Token {
                minter: CLOUD_TOKEN_MINTER,
                volume: CLOUD_TOKEN,
                told_by: &[Place::Environment],
                secret_folder: None,
                written_by: HYPERSHIFT_OPERATOR,
            },
        },
    },
    Component {
        id: Id::NodePool,
        class: "managed-azure-nodepool-management",
        field: control_plane_field!("nodePoolManagement"),
        identity: |cluster| control_plane(cluster).map(|identities| &identities.node_pool_management),
        left_out: no_machine_management,
        azure_cluster_identity: true,
        cloud_config: None,
        pods: &[Pod {
            app: "capi-provider-controller-manager",
            containers: &[required("manager")],
            mount: Some(Mount { volume: "nodepool-management-cert", path: CERTS }),
            env: &[],
        }],
        federated: Federated {
            field: workload_field!("nodePoolManagement"),
            identity: |cluster| Some(&workload(cluster)?.node_pool_management),
            left_out: no_machine_management,
            name: "node-pool-mgmt",
            service_accounts: &[account("kube-system", "capi-provider", "")],
            token: Token {
                minter: CLOUD_TOKEN_MINTER,
                volume: CLOUD_TOKEN,
                told_by: &[Place::Environment],
                secret_folder: None,
                written_by: HYPERSHIFT_OPERATOR,
            },
        },
    },
    Component {
        id: Id::Ingress,
        class: "managed-azure-ingress",
        field: control_plane_field!("ingress"),
        identity: |cluster| control_plane(cluster).map(|identities| &identities.ingress),
        left_out: no_ingress,
        azure_cluster_identity: false,
        cloud_config: None,
        pods: &[Pod {
            app: "ingress-operator",
            containers: &[required("ingress-operator")],
            mount: Some(Mount { volume: "ingress-cert", path: CERTS }),
            env: &[Env { name: CREDENTIALS_FILE_PATH, value: EnvValue::CredentialPath }],
        }],
        federated: Federated {
            field: workload_field!("ingress"),
            identity: |cluster| Some(&workload(cluster)?.ingress),
            left_out: no_ingress,
            name: "ingress",
            service_accounts: &[account("openshift-ingress-operator", "ingress-operator", "")],
            token: Token {
                minter: CLOUD_TOKEN_MINTER,
                volume: CLOUD_TOKEN,
                told_by: &[Place::Keys("azure-ingress-credentials", Operator::HypershiftOperator)],
                secret_folder: None,
                written_by: CONTROL_PLANE_OPERATOR,
            },
        },
    },
    Component {
        id: Id::Network,
        class: "managed-azure-network",
        field: control_plane_field!("network"),
        identity: |cluster| control_plane(cluster).map(|identities| &identities.network),
        left_out: never,
        azure_cluster_identity: false,
        cloud_config: None,
        pods: &[
            Pod {
                app: "cloud-network-config-controller",
                containers: &[required("controller")],
                mount: Some(Mount { volume: "cncc-cert", path: "/var/run/secrets/azure" }),
                env: &[Env { name: "ARO_HCP_CLIENT_CREDENTIALS_PATH", value: EnvValue::CredentialPath }],
            },
            // cluster-network-operator renders the pod above, and wires it when it has these.
            Pod {
                app: "cluster-network-operator",
                containers: &[required("cluster-network-operator")],
                mount: None,
                env: &[
                    Env { name: "ARO_HCP_SECRET_PROVIDER_CLASS", value: EnvValue::ProviderClass },
                    Env { name: CREDENTIALS_FILE_PATH, value: EnvValue::SecretName },
                ],
            },
        ],
        federated: Federated {
            field: workload_field!("network"),
            identity: |cluster| Some(&workload(cluster)?.network),
            left_out: never,
            name: "network",
            service_accounts: &[account(NETWORK_CONFIG, "cloud-network-config-controller", "")],
            token: Token {
                minter: CLOUD_TOKEN,
                volume: CLOUD_TOKEN,
                told_by: &[Place::Keys("cloud-network-config-controller-creds", Operator::HypershiftOperator)],
                secret_folder: Some("/etc/secret/cloudprovider"),
                written_by: NETWORK_OPERATOR,
            },
        },
    },
    Component {
        id: Id::Disk,
        class: "managed-azure-disk-csi",
        field: control_plane_field!("disk"),
        identity: |cluster| control_plane(cluster).map(|identities| &identities.disk),
        left_out: never,
        azure_cluster_identity: false,
        cloud_config: Some(CloudConfig { secret: "azure-disk-csi-config", key: "cloud.conf" }),
        pods: &[
            Pod {
                app: "azure-disk-csi-driver-controller",
                containers: &[required("csi-driver")],
                mount: Some(Mount { volume: "azure-disk", path: CERTS }),
                env: &[],
            },
            // cluster-storage-operator hands this on to the driver's operator, which wires the pod above.
            Pod {
                app: "cluster-storage-operator",
                containers: &[required("cluster-storage-operator")],
                mount: None,
                env: &[Env { name: "ARO_HCP_SECRET_PROVIDER_CLASS_FOR_DISK", value: EnvValue::ProviderClass }],
            },
        ],
        federated: Federated {
            field: workload_field!("disk"),
            identity: |cluster| Some(&workload(cluster)?.disk),
            left_out: never,
            name: "disk",
            service_accounts: &[
                account("openshift-cluster-csi-drivers", "azure-disk-csi-driver-node-sa", "-node"),
                account("openshift-cluster-csi-drivers", "azure-disk-csi-driver-operator", "-operator"),
                account("openshift-cluster-csi-drivers", "azure-disk-csi-driver-controller-sa", "-controller"),
            ],
            token: Token {
                minter: "token-minter",
                volume: "bound-sa-token",
                told_by: &[Place::Config("azure-disk-csi-config", Operator::ControlPlaneOperator)],
                secret_folder: None,
                written_by: DRIVER_OPERATOR,
            },
        },
    },
    Component {
        id: Id::File,
        class: "managed-azure-file-csi",
        field: control_plane_field!("file"),
        identity: |cluster| control_plane(cluster).map(|identities| &identities.file),
        left_out: never,
        azure_cluster_identity: false,
        cloud_config: Some(CloudConfig { secret: "azure-file-csi-config", key: "cloud.conf" }),
        pods: &[
            Pod {
                app: "azure-file-csi-driver-controller",
                containers: &[required("csi-driver")],
                mount: Some(Mount { volume: "azure-file", path: CERTS }),
                env: &[],
            },
            Pod {
                app: "cluster-storage-operator",
                containers: &[required("cluster-storage-operator")],
                mount: None,
                env: &[Env { name: "ARO_HCP_SECRET_PROVIDER_CLASS_FOR_FILE", value: EnvValue::ProviderClass }],
            },
        ],
        federated: Federated {
            field: workload_field!("file"),
            identity: |cluster| Some(&workload(cluster)?.file),
            left_out: never,
            name: "file",
            service_accounts: &[
                account("openshift-cluster-csi-drivers", "azure-file-csi-driver-node-sa", "-node"),
                account("openshift-cluster-csi-drivers", "azure-file-csi-driver-operator", "-operator"),
                account("openshift-cluster-csi-drivers", "azure-file-csi-driver-controller-sa", "-controller"),
            ],
            token: Token {
                minter: "token-minter",
                volume: "bound-sa-token",
                told_by: &[Place::Config("azure-file-csi-config", Operator::ControlPlaneOperator)],
                secret_folder: None,
                written_by: DRIVER_OPERATOR,
            },
        },
    },
    Component {
        id: Id::Registry,
        class: "managed-azure-image-registry",
        field: control_plane_field!("imageRegistry"),
        identity: |cluster| control_plane(cluster).and_then(|identities| identities.image_registry.as_ref()),
        left_out: |cluster| {
            const UNNAMED: LeftOut = LeftOut {
                severity: Severity::Note,
                reason: Reason::IdentityNotNamed,
                field: control_plane_field!("imageRegistry"),
                message: "no identity is named for the image registry, and the capability ImageRegistry is not disabled",
                remedy: "name one, or disable the capability when the HostedCluster is created",
            };
            let named = control_plane(cluster).is_some_and(|identities| identities.image_registry.is_some());
            no_registry(cluster).or((!named).then_some(UNNAMED))
        },
        azure_cluster_identity: false,
        cloud_config: None,
        pods: &[Pod {
            app: "cluster-image-registry-operator",
            containers: &[required("cluster-image-registry-operator")],
            mount: Some(Mount { volume: "image-registry-cert", path: CERTS }),
            env: &[Env { name: CREDENTIALS_FILE_PATH, value: EnvValue::CredentialPath }],
        }],
        federated: Federated {
            field: workload_field!("imageRegistry"),
            identity: |cluster| Some(&workload(cluster)?.image_registry),
            left_out: no_registry,
            name: "image-registry",
            service_accounts: &[
                account("openshift-image-registry", "registry", "-registry"),
                account("openshift-image-registry", "cluster-image-registry-operator", "-operator"),
            ],
            token: Token {
                minter: CLOUD_TOKEN_MINTER,
                volume: CLOUD_TOKEN,
                told_by: &[Place::Keys("azure-image-registry-credentials", Operator::HypershiftOperator)],
                secret_folder: None,
                written_by: CONTROL_PLANE_OPERATOR,
            },
        },
    },
    Component {
        id: Id::Kms,
        class: "managed-azure-kms",
        field: "spec.secretEncryption.kms.azure.kms",
        identity: |cluster| control_plane(cluster).and(azure_kms(cluster)).and_then(|kms| kms.kms.as_ref()),
        left_out: kms_left_out,
        azure_cluster_identity: false,
        cloud_config: Some(CloudConfig { secret: "azure-kms-config", key: "cloud.conf" }),
        pods: &[
            Pod {
                app: "kube-apiserver",
                // The backup sidecar runs while a key is being rotated.
                containers: &[required("azure-kms-provider-active"), if_present("azure-kms-provider-backup")],
                mount: Some(Mount { volume: "kms-cert", path: CERTS }),
                env: &[],
            },
            // control-plane-operator validates the KMS key with the same credential.
            Pod {
                app: "control-plane-operator",
                containers: &[required("control-plane-operator")],
                mount: Some(Mount { volume: "kms-cert", path: "/mnt/kms" }),
                env: &[],
            },
        ],
        federated: Federated {
            field: "spec.secretEncryption.kms.azure.workloadIdentity",
            identity: |cluster| workload(cluster).and(kms_in_use(cluster))?.workload_identity.as_ref(),
            left_out: kms_not_federated,
            name: "kms",
            service_accounts: &[account("kube-system", "kms-provider", "")],
            token: Token {
                minter: "azure-kms-token-minter",
                volume: "azure-kms-cloud-token",
                told_by: &[Place::Environment, Place::Config("azure-kms-config", Operator::HypershiftOperator)],
                secret_folder: None,
                written_by: CONTROL_PLANE_OPERATOR,
            },
        },
    },
];

impl Component {
    /// The row of a component.
    #[must_use]
    pub fn of(id: Id) -> &'static Self {
        &COMPONENTS[id as usize]
    }
}

/// `spec.secretEncryption.kms.azure`, if it is there.
#[must_use]
pub fn azure_kms(cluster: &HostedCluster) -> Option<&AzureKms> {
    cluster.spec.secret_encryption.as_ref()?.kms.as_ref()?.azure.as_ref()
}

fn control_plane(cluster: &HostedCluster) -> Option<&ControlPlaneManagedIdentities> {
    let authentication = &cluster.spec.platform.azure.as_ref()?.azure_authentication_config;
    Some(&authentication.managed_identities.as_ref()?.control_plane)
}

fn workload(cluster: &HostedCluster) -> Option<&WorkloadIdentities> {
    cluster.spec.platform.azure.as_ref()?.azure_authentication_config.workload_identities.as_ref()
}

const fn account(namespace: &'static str, name: &'static str, suffix: &'static str) -> ServiceAccount {
    ServiceAccount { namespace, name, suffix }
}

const fn required(name: &'static str) -> Container {
    Container { name, presence: Presence::Required }
}

const fn if_present(name: &'static str) -> Container {
    Container { name, presence: Presence::IfPresent }
}
