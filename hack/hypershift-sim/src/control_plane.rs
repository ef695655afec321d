//! What a HostedCluster makes HyperShift's operators want in a control plane namespace: small Deployments, true in what
//! concerns the identities, and the provider classes.

use std::{convert::Infallible, iter, time::Duration};

use anyhow::{Context as _, Result};
use futures::future;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    operator::{Operator, resource},
    writer::{HOSTED_CLUSTER, Writer},
};

/// How much of the Azure identities HyperShift takes care of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Azure {
    /// Provider classes, and the Deployments wired to them.
    Wired,
    /// Provider classes, and Deployments that know nothing of them.
    ClassesOnly,
    /// No provider classes, and Deployments that know nothing of them.
    Absent,
}

/// One control plane, and the versions and settings of what runs it.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    pub hosted_cluster: Value,
    pub key_vault_user: String,
    /// The image of every container. Another one is another desired state.
    pub image: String,
    /// `CpoHead` or `Cpo419`.
    pub cpo: Writer,
    pub azure: Azure,
    pub replicas: u32,
    /// Of the HostedControlPlane, which owns what control-plane-operator writes. `create` fills it in.
    pub owner_uid: Option<String>,
}

/// A Deployment of the control plane.
#[derive(Debug)]
pub struct Workload {
    pub name: &'static str,
    pub app: &'static str,
    by: By,
    containers: &'static [&'static str],
    mounts: &'static [Mount],
    env: &'static [Env],
}

/// Which operator writes a thing.
#[derive(Clone, Copy, Debug)]
enum By {
    /// control-plane-operator's framework, of the version that the release has.
    Cpo,
    /// The same framework, in hypershift-operator.
    Ho,
    Csi,
    Cno,
}

#[derive(Debug)]
struct Mount {
    volume: &'static str,
    class: &'static str,
    path: &'static str,
    containers: &'static [&'static str],
}

#[derive(Debug)]
struct Env {
    container: &'static str,
    name: &'static str,
    value: EnvValue,
}

#[derive(Debug)]
enum EnvValue {
    Text(&'static str),
    /// What stands before the secret's name, and whose secret it is.
    Secret(&'static str, &'static str),
}

/// A provider class: its name, who writes it, and where in the HostedCluster its identity stands.
#[derive(Debug)]
struct Class {
    name: &'static str,
    by: &'static [By],
    identity: &'static str,
}

const IDENTITIES: &str = "/spec/platform/azure/azureAuthenticationConfig/managedIdentities/controlPlane";
const FILE_PATH: &str = "MANAGED_AZURE_HCP_CREDENTIALS_FILE_PATH";
/// Runs only where a HostedCluster encrypts with KMS.
const KMS_SIDECAR: &str = "azure-kms-provider-active";
/// A tag is enough to tell one state from another.
const FIRST_IMAGE: &str = "registry.invalid/control-plane:1";

#[rustfmt::skip]
const CLASSES: [Class; 9] = [
    Class { name: "managed-azure-cloud-provider", by: &[By::Cpo], identity: "cloudProvider" },
    Class { name: "managed-azure-cpo", by: &[By::Ho], identity: "controlPlaneOperator" },
    Class { name: "managed-azure-nodepool-management", by: &[By::Ho], identity: "nodePoolManagement" },
    Class { name: "managed-azure-ingress", by: &[By::Cpo], identity: "ingress" },
    Class { name: "managed-azure-network", by: &[By::Cpo], identity: "network" },
    Class { name: "managed-azure-disk-csi", by: &[By::Cpo], identity: "disk" },
    Class { name: "managed-azure-file-csi", by: &[By::Cpo], identity: "file" },
    Class { name: "managed-azure-image-registry", by: &[By::Cpo], identity: "imageRegistry" },
    Class { name: "managed-azure-kms", by: &[By::Ho, By::Cpo], identity: "kms" },
];

#[rustfmt::skip]
pub const WORKLOADS: [Workload; 11] = [
    Workload {
        name: "azure-cloud-controller-manager", app: "cloud-controller-manager", by: By::Cpo,
        containers: &["cloud-controller-manager"],
        mounts: &[Mount { volume: "cloud-provider-cert", class: "managed-azure-cloud-provider", path: "/mnt/certs", containers: &["cloud-controller-manager"] }],
        env: &[],
    },
    Workload {
        name: "control-plane-operator", app: "control-plane-operator", by: By::Ho,
        containers: &["control-plane-operator"],
        mounts: &[
            Mount { volume: "cpo-cert", class: "managed-azure-cpo", path: "/mnt/certs", containers: &["control-plane-operator"] },
            Mount { volume: "kms-cert", class: "managed-azure-kms", path: "/mnt/kms", containers: &["control-plane-operator"] },
        ],
        env: &[],
    },
    Workload {
        name: "capi-provider", app: "capi-provider-controller-manager", by: By::Ho,
        containers: &["manager"],
        mounts: &[Mount { volume: "nodepool-management-cert", class: "managed-azure-nodepool-management", path: "/mnt/certs", containers: &["manager"] }],
        env: &[],
    },
    Workload {
        name: "ingress-operator", app: "ingress-operator", by: By::Cpo,
        containers: &["ingress-operator"],
        mounts: &[Mount { volume: "ingress-cert", class: "managed-azure-ingress", path: "/mnt/certs", containers: &["ingress-operator"] }],
        env: &[Env { container: "ingress-operator", name: FILE_PATH, value: EnvValue::Secret("/mnt/certs/", "ingress") }],
    },
    Workload {
        name: "cluster-network-operator", app: "cluster-network-operator", by: By::Cpo,
        containers: &["cluster-network-operator"],
        mounts: &[],
        env: &[
            Env { container: "cluster-network-operator", name: "ARO_HCP_SECRET_PROVIDER_CLASS", value: EnvValue::Text("managed-azure-network") },
            Env { container: "cluster-network-operator", name: FILE_PATH, value: EnvValue::Secret("", "network") },
        ],
    },
    Workload {
        name: "cloud-network-config-controller", app: "cloud-network-config-controller", by: By::Cno,
        containers: &["controller", "cloud-token"],
        mounts: &[Mount { volume: "cncc-cert", class: "managed-azure-network", path: "/var/run/secrets/azure", containers: &["controller"] }],
        env: &[Env { container: "controller", name: "ARO_HCP_CLIENT_CREDENTIALS_PATH", value: EnvValue::Secret("/var/run/secrets/azure/", "network") }],
    },
    Workload {
        name: "cluster-storage-operator", app: "cluster-storage-operator", by: By::Cpo,
        containers: &["cluster-storage-operator"],
        mounts: &[],
        env: &[
            Env { container: "cluster-storage-operator", name: "ARO_HCP_SECRET_PROVIDER_CLASS_FOR_DISK", value: EnvValue::Text("managed-azure-disk-csi") },
            Env { container: "cluster-storage-operator", name: "ARO_HCP_SECRET_PROVIDER_CLASS_FOR_FILE", value: EnvValue::Text("managed-azure-file-csi") },
        ],
    },
    Workload {
        name: "azure-disk-csi-driver-controller", app: "azure-disk-csi-driver-controller", by: By::Csi,
        containers: &["csi-driver", "csi-provisioner"],
        mounts: &[Mount { volume: "azure-disk", class: "managed-azure-disk-csi", path: "/mnt/certs", containers: &["csi-driver"] }],
        env: &[],
    },
    Workload {
        name: "azure-file-csi-driver-controller", app: "azure-file-csi-driver-controller", by: By::Csi,
        containers: &["csi-driver", "csi-provisioner"],
        mounts: &[Mount { volume: "azure-file", class: "managed-azure-file-csi", path: "/mnt/certs", containers: &["csi-driver"] }],
        env: &[],
    },
    Workload {
        name: "cluster-image-registry-operator", app: "cluster-image-registry-operator", by: By::Cpo,
        containers: &["cluster-image-registry-operator"],
        mounts: &[Mount { volume: "image-registry-cert", class: "managed-azure-image-registry", path: "/mnt/certs", containers: &["cluster-image-registry-operator"] }],
        env: &[Env { container: "cluster-image-registry-operator", name: FILE_PATH, value: EnvValue::Secret("/mnt/certs/", "imageRegistry") }],
    },
    Workload {
        name: "kube-apiserver", app: "kube-apiserver", by: By::Cpo,
        containers: &["kube-apiserver", KMS_SIDECAR],
        mounts: &[Mount { volume: "kms-cert", class: "managed-azure-kms", path: "/mnt/certs", containers: &[KMS_SIDECAR] }],
        env: &[],
    },
];

impl ControlPlane {
    /// As the newest HyperShift runs it, with pods that a cluster without nodes need not place.
    #[must_use]
    pub fn new(hosted_cluster: Value, key_vault_user: &str) -> Self {
        Self {
            hosted_cluster,
            key_vault_user: key_vault_user.to_owned(),
            image: FIRST_IMAGE.to_owned(),
            cpo: Writer::CpoHead,
            azure: Azure::Wired,
            replicas: 0,
            owner_uid: None,
        }
    }

    #[must_use]
    pub fn namespace(&self) -> String {
        format!("{}-{}", self.text("/metadata/namespace"), self.text("/metadata/name").replace('.', "-"))
    }

    /// The namespace and the HostedControlPlane in it.
    pub async fn create(&mut self, client: &Client) -> Result<()> {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": self.namespace(), "labels": {"hypershift.openshift.io/hosted-control-plane": "true"}},
        });
        let name = self.namespace();
        apply(&Api::all_with(client.clone(), &resource(&namespace)), &name, &namespace).await?;
        let plane = json!({
            "apiVersion": "hypershift.openshift.io/v1beta1",
            "kind": "HostedControlPlane",
            "metadata": {
                "name": self.text("/metadata/name"),
                "namespace": name,
                "annotations": {HOSTED_CLUSTER: self.back_link()},
            },
            "spec": {"platform": self.hosted_cluster["spec"]["platform"]},
        });
        let planes = Api::namespaced_with(client.clone(), &name, &resource(&plane));
        let created = apply(&planes, self.text("/metadata/name"), &plane).await?;
        self.owner_uid = created.metadata.uid;
        Ok(())
    }

    /// Every writer of every object, HyperShift's two writers of the kms class included.
    #[must_use]
    pub fn operators(&self, client: &Client) -> Vec<Operator> {
        let desired = self.classes().into_iter().chain(self.deployments());
        desired.map(|(writer, desired)| Operator::new(client.clone(), writer, desired)).collect()
    }

    /// Runs all of them until the future is dropped.
    pub async fn run(operators: &mut [Operator], resync: Duration) -> Option<Infallible> {
        future::join_all(operators.iter_mut().map(|operator| operator.run(resync))).await.pop()
    }

    #[must_use]
    pub fn deployments(&self) -> Vec<(Writer, Value)> {
        WORKLOADS.iter().map(|workload| (self.writer(workload.by), self.deployment(workload))).collect()
    }

    /// One for each identity that the HostedCluster names; the kms class twice, as two operators write it.
    #[must_use]
    pub fn classes(&self) -> Vec<(Writer, Value)> {
        let named = CLASSES.iter().filter(|_| self.azure != Azure::Absent);
        let named = named.filter_map(|class| Some((class, self.identity(class.identity)?)));
        named
            .flat_map(|(class, identity)| class.by.iter().map(move |by| (*by, self.class(class, identity, *by))))
            .map(|(by, class)| (if matches!(by, By::Ho) { Writer::Ho } else { self.cpo }, class))
            .collect()
    }

    fn writer(&self, by: By) -> Writer {
        match by {
            By::Cpo => self.cpo,
            // The operator's own version is not the release's.
            By::Ho => Writer::CpoHead,
            By::Csi => Writer::LibraryGo,
            By::Cno => Writer::Cno,
        }
    }

    fn class(&self, class: &Class, identity: &Value, by: By) -> Value {
        let vault = &self.hosted_cluster.pointer(&format!("{IDENTITIES}/managedIdentitiesKeyVault"));
        let vault = vault.unwrap_or(&Value::Null);
        let (secret, encoding) = (text(identity, "credentialsSecretName"), text(identity, "objectEncoding"));
        let objects = format!(
            "\narray:\n  - |\n    objectName: {secret}\n    objectEncoding: {encoding}\n    objectType: secret\n"
        );
        json!({
            "apiVersion": "secrets-store.csi.x-k8s.io/v1",
            "kind": "SecretProviderClass",
            "metadata": self.metadata(class.name, by),
            "spec": {
                "provider": "azure",
                "parameters": {
                    "usePodIdentity": "false",
                    "useVMManagedIdentity": "true",
                    "userAssignedIdentityID": self.key_vault_user,
                    "keyvaultName": vault["name"],
                    "tenantId": vault["tenantID"],
                    "objects": objects,
                },
            },
            "status": {},
        })
    }

    fn metadata(&self, name: &str, by: By) -> Value {
        let mut metadata = json!({"name": name, "namespace": self.namespace()});
        match (by, &self.owner_uid) {
            (By::Ho, _) => metadata["annotations"] = json!({HOSTED_CLUSTER: self.back_link()}),
            (By::Cpo, Some(uid)) => {
                metadata["ownerReferences"] = json!([{
                    "apiVersion": "hypershift.openshift.io/v1beta1",
                    "kind": "HostedControlPlane",
                    "name": self.text("/metadata/name"),
                    "uid": uid,
                    "controller": true,
                    "blockOwnerDeletion": true,
                }]);
            }
            (By::Cpo, None) | (By::Csi | By::Cno, _) => {}
        }
        metadata
    }

    fn deployment(&self, workload: &Workload) -> Value {
        let mut metadata = self.metadata(workload.name, workload.by);
        metadata["labels"] = match workload.by {
            By::Csi => json!({"hypershift.openshift.io/managed-by": "cluster-storage-operator"}),
            By::Cno => json!({"networkoperator.openshift.io/generates-operator-status": "stand-alone"}),
            By::Cpo | By::Ho => json!({"hypershift.openshift.io/managed-by": "control-plane-operator"}),
        };
        let mut labels = json!({"app": workload.app, "hypershift.openshift.io/hosted-control-plane": self.namespace()});
        if matches!(workload.by, By::Cpo | By::Ho) {
            labels["hypershift.openshift.io/control-plane-component"] = json!(workload.name);
        }
        let mounts: Vec<_> = workload.mounts.iter().filter(|mount| self.mounts(mount.class)).collect();
        let containers =
            workload.containers.iter().filter(|name| **name != KMS_SIDECAR || self.identity("kms").is_some());
        let containers = containers.map(|name| self.container(name, workload, &mounts));
        let volumes =
            mounts.iter().map(|mount| volume(mount)).chain(iter::once(json!({"name": "tmp-dir", "emptyDir": {}})));
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": {"app": workload.app}},
                "strategy": {"type": "Recreate"},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "automountServiceAccountToken": false,
                        "containers": containers.collect::<Vec<_>>(),
                        "volumes": volumes.collect::<Vec<_>>(),
                    },
                },
            },
        })
    }

    fn container(&self, name: &str, workload: &Workload, mounts: &[&Mount]) -> Value {
        let own = mounts.iter().filter(|mount| mount.containers.contains(&name));
        let mounts = own.map(|mount| json!({"name": mount.volume, "mountPath": mount.path, "readOnly": true}));
        let wiring = workload.env.iter().filter(|env| self.azure == Azure::Wired && env.container == name);
        let env = wiring.filter_map(|env| Some(json!({"name": env.name, "value": self.value(&env.value)?})));
        let env = iter::once(json!({"name": "RELEASE_VERSION", "value": "4.20.0"})).chain(env);
        let mounts = mounts.chain(iter::once(json!({"name": "tmp-dir", "mountPath": "/tmp"})));
        json!({
            "name": name,
            "image": self.image,
            "env": env.collect::<Vec<_>>(),
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
            "volumeMounts": mounts.collect::<Vec<_>>(),
        })
    }

    fn mounts(&self, class: &str) -> bool {
        let identity = CLASSES.iter().find(|row| row.name == class).map(|row| row.identity);
        self.azure == Azure::Wired && identity.is_some_and(|identity| self.identity(identity).is_some())
    }

    fn value(&self, value: &EnvValue) -> Option<String> {
        match value {
            EnvValue::Text(value) => Some((*value).to_owned()),
            EnvValue::Secret(folder, identity) => {
                Some(format!("{folder}{}", text(self.identity(identity)?, "credentialsSecretName")))
            }
        }
    }

    fn identity(&self, name: &str) -> Option<&Value> {
        let pointer = match name {
            "kms" => "/spec/secretEncryption/kms/azure/kms".to_owned(),
            name => format!("{IDENTITIES}/{name}"),
        };
        self.hosted_cluster.pointer(&pointer)
    }

    fn back_link(&self) -> String {
        format!("{}/{}", self.text("/metadata/namespace"), self.text("/metadata/name"))
    }

    fn text(&self, pointer: &str) -> &str {
        self.hosted_cluster.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

fn volume(mount: &Mount) -> Value {
    json!({
        "name": mount.volume,
        "csi": {
            "driver": "secrets-store.csi.k8s.io",
            "readOnly": true,
            "volumeAttributes": {"secretProviderClass": mount.class},
        },
    })
}

fn text<'v>(object: &'v Value, key: &str) -> &'v str {
    object[key].as_str().unwrap_or_default()
}

async fn apply(api: &Api<DynamicObject>, name: &str, object: &Value) -> Result<DynamicObject> {
    let parameters = PatchParams::apply("hypershift-operator").force();
    api.patch(name, &parameters, &Patch::Apply(object)).await.with_context(|| format!("cannot create {name}"))
}
