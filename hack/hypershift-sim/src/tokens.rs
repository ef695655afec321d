//! What the Deployments of a control plane have that signs in with tokens of its own: a minter, the volume that it writes to, and
//! what the containers need that sign in.

use serde_json::{Value, json};

/// Of one Deployment.
struct Row {
    deployment: &'static str,
    minter: &'static str,
    volume: &'static str,
    /// Whose tokens are minted, in the hosted cluster.
    account: (&'static str, &'static str),
    /// Who signs in with them.
    containers: &'static [&'static str],
    /// The identity in their environment, by where its client id stands in the HostedCluster.
    environment: Option<&'static str>,
    /// A Secret that they mount: its volume, its name, where.
    secret: Option<(&'static str, &'static str, &'static str)>,
}

const FOLDER: &str = "/var/run/secrets/openshift/serviceaccount";
const TENANT: &str = "/spec/platform/azure/tenantID";
const NODE_POOL: &str = "/spec/platform/azure/azureAuthenticationConfig/workloadIdentities/nodePoolManagement";
const KMS: &str = "/spec/secretEncryption/kms/azure/workloadIdentity";
const CSI: &str = "openshift-cluster-csi-drivers";
const CNCC: &str = "cloud-network-config-controller";

const fn row(
    deployment: &'static str,
    minter: &'static str,
    volume: &'static str,
    account: (&'static str, &'static str),
    containers: &'static [&'static str],
) -> Row {
    Row { deployment, minter, volume, account, containers, environment: None, secret: None }
}

#[rustfmt::skip]
const ROWS: [Row; 8] = [
    row("azure-cloud-controller-manager", "cloud-token-minter", "cloud-token", ("kube-system", "azure-cloud-provider"), &["cloud-controller-manager"]),
    Row {
        environment: Some(NODE_POOL),
        ..row("capi-provider", "cloud-token-minter", "cloud-token", ("kube-system", "capi-provider"), &["manager"])
    },
    row("ingress-operator", "cloud-token-minter", "cloud-token", ("openshift-ingress-operator", "ingress-operator"), &["ingress-operator"]),
    Row {
        secret: Some(("cloud-provider-secret", "cloud-network-config-controller-creds", "/etc/secret/cloudprovider")),
        ..row(CNCC, "cloud-token", "cloud-token", ("openshift-cloud-network-config-controller", CNCC), &["controller"])
    },
    row("azure-disk-csi-driver-controller", "token-minter", "bound-sa-token", (CSI, "azure-disk-csi-driver-controller-sa"), &["csi-driver"]),
    row("azure-file-csi-driver-controller", "token-minter", "bound-sa-token", (CSI, "azure-file-csi-driver-controller-sa"), &["csi-driver"]),
    row("cluster-image-registry-operator", "cloud-token-minter", "cloud-token", ("openshift-image-registry", "cluster-image-registry-operator"), &["cluster-image-registry-operator"]),
    Row {
        environment: Some(KMS),
        ..row("kube-apiserver", "azure-kms-token-minter", "azure-kms-cloud-token", ("kube-system", "kms-provider"), &["azure-kms-provider-active", "azure-kms-provider-backup"])
    },
];

/// Gives a Deployment of a HostedCluster with workload identities what its pods sign in with, if they do.
pub fn federate(deployment: &mut Value, hosted_cluster: &Value) {
    let Some(row) = ROWS.iter().find(|row| deployment["metadata"]["name"] == row.deployment) else { return };
    let spec = &mut deployment["spec"]["template"]["spec"];
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        if row.containers.iter().any(|name| container["name"] == *name) {
            row.sign_in(container, hosted_cluster);
        }
    }
    push(spec, "containers", row.minter());
    push(spec, "volumes", json!({"name": row.volume, "emptyDir": {"medium": "Memory"}}));
    if let Some((volume, secret, _)) = row.secret {
        push(spec, "volumes", json!({"name": volume, "secret": {"secretName": secret}}));
    }
}

impl Row {
    fn sign_in(&self, container: &mut Value, hosted_cluster: &Value) {
        push(container, "volumeMounts", json!({"name": self.volume, "mountPath": FOLDER, "readOnly": true}));
        if let Some((volume, _, path)) = self.secret {
            push(container, "volumeMounts", json!({"name": volume, "mountPath": path, "readOnly": true}));
        }
        let Some(identity) = self.environment else { return };
        let text = |pointer: &str| hosted_cluster.pointer(pointer).cloned().unwrap_or_default();
        let token = json!(format!("{FOLDER}/token"));
        for (name, value) in [
            ("AZURE_CLIENT_ID", text(&format!("{identity}/clientID"))),
            ("AZURE_TENANT_ID", text(TENANT)),
            ("AZURE_FEDERATED_TOKEN_FILE", token),
        ] {
            push(container, "env", json!({"name": name, "value": value}));
        }
    }

    /// Releases of cluster-network-operator differ: some tell theirs no audience, which is this one by default.
    fn minter(&self) -> Value {
        let (namespace, name) = self.account;
        let audience = (self.minter != "cloud-token").then(|| "--token-audience=openshift".to_owned());
        let arguments = [
            format!("--service-account-namespace={namespace}"),
            format!("--service-account-name={name}"),
            format!("--token-file={FOLDER}/token"),
        ];
        json!({
            "name": self.minter,
            "image": "registry.invalid/token-minter:1",
            "command": ["/usr/bin/control-plane-operator", "token-minter"],
            "args": audience.into_iter().chain(arguments).collect::<Vec<_>>(),
            "volumeMounts": [{"name": self.volume, "mountPath": FOLDER}],
        })
    }
}

fn push(owner: &mut Value, list: &str, element: Value) {
    match owner[list].as_array_mut() {
        Some(list) => list.push(element),
        None => owner[list] = json!([element]),
    }
}
