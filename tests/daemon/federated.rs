//! A control plane that signs in with tokens of its own: it is looked at like any other, and nothing is written to it.

use kube::{
    ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use hcp_identity::cluster::access::Role;
use hypershift_sim::federate;
use strum::IntoEnumIterator as _;

use crate::support::{
    cluster::{succeeds, wait_until},
    proxy::{NOTHING, Proxy},
    stage::{CLASS, DEPLOYMENT, POD, Stage, admin, component, condition},
};

const CAPZ: (&str, &str, &str) = ("infrastructure.cluster.x-k8s.io", "v1beta1", "AzureClusterIdentity");
const TENANT: &str = "64dc69e4-d083-49fc-9569-ebece1dd1408";
const NODE_POOL: &str = "00000000-0000-0000-0000-000000000006";
const KMS: &str = "00000000-0000-0000-0000-000000000007";
const ISSUER: &str = "https://prodoidc.blob.core.windows.net/prod";

fn workload_identities(cluster: &mut Value) {
    signs_in_with_tokens(cluster);
    let kms = &mut cluster["spec"]["secretEncryption"]["kms"]["azure"];
    kms["workloadIdentity"] = json!({"clientID": KMS});
    kms.as_object_mut().expect("an object").remove("kms");
}

/// All but the identity of KMS, of which the kind cannot change.
fn signs_in_with_tokens(cluster: &mut Value) {
    let names = ["cloudProvider", "disk", "file", "imageRegistry", "ingress", "network", "nodePoolManagement"];
    let client = |number: usize| json!({"clientID": format!("00000000-0000-0000-0000-{number:012}")});
    let identities = names.iter().enumerate().map(|(number, name)| ((*name).to_owned(), client(number)));
    cluster["spec"]["platform"]["azure"]["azureAuthenticationConfig"] = json!({
        "azureAuthenticationConfigType": "WorkloadIdentities",
        "workloadIdentities": identities.collect::<serde_json::Map<_, _>>(),
    });
    cluster["spec"]["issuerURL"] = json!(ISSUER);
    cluster["spec"]["serviceAccountSigningKey"] = json!({"name": "prod-sa-signing-key"});
}

async fn create_workloads(stage: &Stage, plane: &str) {
    let operator = PostParams { field_manager: Some("control-plane-operator".into()), ..PostParams::default() };
    let cluster = stage.hosted_cluster("prod", workload_identities);
    for mut deployment in stage.workloads(plane) {
        federate(&mut deployment, &cluster);
        let deployment = serde_json::from_value(deployment).expect("a Deployment");
        stage.api(plane, DEPLOYMENT).create(&operator, &deployment).await.expect("a new Deployment");
    }
    let identity = json!({
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "kind": "AzureClusterIdentity",
        "metadata": {"name": "prod", "namespace": plane},
        "spec": {"type": "WorkloadIdentity", "clientID": NODE_POOL, "tenantID": TENANT},
    });
    let identity = serde_json::from_value(identity).expect("an identity");
    stage.api(plane, CAPZ).create(&operator, &identity).await.expect("a new AzureClusterIdentity");
}

/// Everything that the daemon has the right to write, with who wrote it.
async fn written(stage: &Stage, plane: &str) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<DynamicObject> = Vec::new();
    for kind in [CLASS, DEPLOYMENT, CAPZ] {
        all.extend(stage.list(plane, kind).await);
    }
    let managers = |object: &DynamicObject| {
        let entries = object.managed_fields().iter().filter(|entry| entry.subresource.is_none());
        entries.filter_map(|entry| entry.manager.clone()).collect()
    };
    all.iter().map(|object| (object.name_any(), managers(object))).collect()
}

async fn set_env(stage: &Stage, plane: &str, deployment: &str, container: &str, value: &str) {
    let env = json!([{"name": "AZURE_CLIENT_ID", "value": value}]);
    edit(stage, plane, deployment, json!({"containers": [{"name": container, "env": env}]})).await;
}

/// Somebody's change of a pod's spec.
async fn edit(stage: &Stage, plane: &str, deployment: &str, spec: Value) {
    let patch = json!({"spec": {"template": {"spec": spec}}});
    let parameters = PatchParams { field_manager: Some("an-editor".into()), ..PatchParams::default() };
    stage.api(plane, DEPLOYMENT).patch(deployment, &parameters, &Patch::Strategic(&patch)).await.expect("edited");
}

#[tokio::test]
async fn what_hypershift_has_written_is_looked_at_and_told_and_never_written() {
    let stage = Stage::new("tokens").await;
    stage.create_cluster("prod", workload_identities).await;
    let plane = stage.plane("prod");
    let daemon = stage.daemon(&["--azure-cluster-identity", "apply"]).await;
    let status = stage.ready_reason("prod", "WaitingForWorkload").await;
    assert!(component(&status, "nodepool")["message"].as_str().is_some_and(|text| text.contains("is missing")));
    create_workloads(&stage, &plane).await;
    let status = stage.ready_reason("prod", "WorkloadIdentities").await;
    assert_eq!((&status["wired"], &status["mounted"]), (&json!("8/8"), &json!("8/8")), "{status:#}");
    assert_eq!(condition(&status, "Ready")["status"], "True", "{status:#}");
    let ingress = component(&status, "ingress");
    assert_eq!(ingress["clientID"], "00000000-0000-0000-0000-000000000004");
    assert_eq!(
        ingress["federatedCredentials"],
        json!([{
            "name": "prod-ingress-fed-id", "issuer": ISSUER,
            "subject": "system:serviceaccount:openshift-ingress-operator:ingress-operator", "audiences": ["openshift"],
        }])
    );
    let before = written(&stage, &plane).await;

    // Somebody sets an old identity, and somebody else another one for Cluster API.
    set_env(&stage, &plane, "capi-provider", "manager", "99999999-0000-0000-0000-000000000000").await;
    let status = stage.ready_reason("prod", "OtherIdentity").await;
    let node_pool = component(&status, "nodepool");
    let message = node_pool["message"].as_str().unwrap_or_default();
    assert!(message.contains("an-editor), and 00000000-0000-0000-0000-000000000006 is wanted"), "{message}");
    assert_eq!((&node_pool["wired"], &status["wired"]), (&json!(false), &json!("7/8")));
    let labels = format!("hosted_cluster=\"{}/prod\",component=\"nodepool\",reason=\"OtherIdentity\"", stage.namespace);
    // Counted a moment after it is told.
    let counted = format!("hcp_identity_component_wired{{{labels}}} 0");
    wait_until(&counted, async || daemon.metrics().contains(&counted).then_some(())).await;
    wait_until("an event tells it", async || {
        let events = stage.list(&stage.namespace, ("events.k8s.io", "v1", "Event")).await;
        events.iter().any(|event| event.data["reason"] == "OtherIdentity").then_some(())
    })
    .await;
    set_env(&stage, &plane, "capi-provider", "manager", NODE_POOL).await;
    stage.ready_reason("prod", "WorkloadIdentities").await;
    let other = Patch::Merge(json!({"spec": {"clientID": "other"}}));
    stage.api(&plane, CAPZ).patch("prod", &PatchParams::default(), &other).await.expect("edited");
    stage.ready_reason("prod", "OtherIdentity").await;
    stage.api(&plane, CAPZ).delete("prod", &Default::default()).await.expect("deleted");
    stage.ready_reason("prod", "NotFederated").await;

    let after = written(&stage, &plane).await;
    assert_eq!(before.len(), 12, "eleven Deployments and an AzureClusterIdentity, no class: {before:?}");
    assert!(before.iter().chain(&after).all(|(_, managers)| !managers.iter().any(|manager| manager == "hcp-identity")));
    assert_eq!(daemon.writes(), 0, "{}", daemon.metrics());
}

/// A pod like that starts, and cannot sign in.
#[tokio::test]
async fn a_pod_that_cannot_read_its_token_or_has_that_of_another_is_told() {
    let stage = Stage::new("unreadable").await;
    stage.create_cluster("prod", workload_identities).await;
    let plane = stage.plane("prod");
    create_workloads(&stage, &plane).await;
    let daemon = stage.daemon(&[]).await;
    stage.ready_reason("prod", "WorkloadIdentities").await;

    let folder = "/var/run/secrets/openshift/serviceaccount";
    let unmounted = json!([{"mountPath": folder, "$patch": "delete"}]);
    edit(
        &stage,
        &plane,
        "ingress-operator",
        json!({"containers": [{"name": "ingress-operator", "volumeMounts": unmounted}]}),
    )
    .await;
    let status = stage.ready_reason("prod", "NotFederated").await;
    let lacks = format!("lacks the mount of the volume cloud-token at {folder} in the container ingress-operator; ");
    says(&status, "ingress", "NotFederated", &lacks);

    let mounted = json!([{"mountPath": folder, "name": "cloud-token"}]);
    edit(
        &stage,
        &plane,
        "ingress-operator",
        json!({"containers": [{"name": "ingress-operator", "volumeMounts": mounted}]}),
    )
    .await;
    let other = json!({"name": "cloud-provider-secret", "secret": {"secretName": "cloud-credentials"}});
    edit(&stage, &plane, "cloud-network-config-controller", json!({"volumes": [other]})).await;
    let lacks = "lacks the mount of the Secret cloud-network-config-controller-creds at /etc/secret/cloudprovider in the container";
    wait_until("network is told", async || {
        let message = component(&stage.status("prod").await?, "network")["message"].to_string();
        message.contains(lacks).then_some(())
    })
    .await;

    let ours =
        json!({"name": "cloud-provider-secret", "secret": {"secretName": "cloud-network-config-controller-creds"}});
    edit(&stage, &plane, "cloud-network-config-controller", json!({"volumes": [ours]})).await;
    let arguments = json!(["--token-audience=api://AzureADTokenExchange", "--service-account-namespace=kube-system"]);
    edit(
        &stage,
        &plane,
        "kube-apiserver",
        json!({"containers": [{"name": "azure-kms-token-minter", "args": arguments}]}),
    )
    .await;
    let status = stage.ready_reason("prod", "OtherIdentity").await;
    let has = "Deployment kube-apiserver has --token-audience=\"api://AzureADTokenExchange\" in the container \
               azure-kms-token-minter, and openshift is wanted; ";
    says(&status, "kms", "OtherIdentity", has);
    assert_eq!(daemon.writes(), 0, "{}", daemon.metrics());
}

/// From one kind to the other: what was made for the first stays as it is.
#[tokio::test]
async fn a_control_plane_that_changes_over_keeps_its_classes() {
    let stage = Stage::new("changeover").await;
    stage.create_cluster("prod", |cluster| cluster["spec"]["issuerURL"] = json!(ISSUER)).await;
    stage.create_workloads("prod", 0).await;
    let daemon = stage.daemon(&[]).await;
    stage.ready_reason("prod", "WaitingForPod").await;
    let (plane, changes) = (stage.plane("prod"), daemon.changes());
    let classes = stage.list(&plane, CLASS).await;
    // What the first apply had and the second has not, goes.
    stage.apply_cluster("prod", signs_in_with_tokens).await;
    let status = stage.ready_reason("prod", "NotFederated").await;
    let message = component(&status, "ingress")["message"].as_str().unwrap_or_default().to_owned();
    let lacks = "Deployment ingress-operator lacks the container cloud-token-minter, which mints its tokens, the volume \
                 cloud-token";
    assert!(message.starts_with(lacks), "{message}");
    let versions =
        |all: &[DynamicObject]| all.iter().map(|one| (one.name_any(), one.resource_version())).collect::<Vec<_>>();
    assert_eq!(versions(&stage.list(&plane, CLASS).await), versions(&classes));
    assert_eq!(daemon.changes(), changes, "{}", daemon.log());
}

#[tokio::test]
async fn status_shows_each_component_and_what_azure_must_have() {
    let stage = Stage::new("told").await;
    stage.create_cluster("prod", workload_identities).await;
    let _daemon = stage.daemon(&[]).await;
    let status = stage.ready_reason("prod", "WaitingForWorkload").await;
    assert_eq!(component(&status, "nodepool")["federatedCredentials"][0]["name"], "prod-node-pool-mgmt-fed-id");
    assert!(stage.list(&stage.plane("prod"), POD).await.is_empty());
    let shown = succeeds(&mut stage.command(&admin(), &["status", "-n", &stage.namespace, "prod"]), "");
    let node = "system:serviceaccount:openshift-cluster-csi-drivers:azure-disk-csi-driver-node-sa";
    let line = ["disk", "prod-disk-fed-id-node", ISSUER, node, "openshift"];
    assert!(shown.lines().any(|found| found.split_whitespace().eq(line)), "{shown}");
    assert!(shown.contains("is not looked at, as azureClusterIdentity is none"), "{shown}");
}

const SECRET: (&str, &str, &str) = ("", "v1", "Secret");
const ACCOUNT: (&str, &str, &str) = ("", "v1", "ServiceAccount");
/// In a Secret's data and in an annotation of it, as `kubectl apply` leaves it there; in base64 as well.
const CANARY: [&str; 2] = ["canary-of-a-secret", "Y2FuYXJ5LW9mLWEtc2VjcmV0"];
const CONFIGURATION: [(&str, &[&str]); 7] = [
    ("azure-cloud-config", &["cloud.conf"]),
    ("azure-ingress-credentials", &["azure_client_id", "azure_tenant_id", "azure_client_secret"]),
    ("cloud-network-config-controller-creds", KEYS),
    ("azure-disk-csi-config", &["cloud.conf"]),
    ("azure-file-csi-config", &["cloud.conf"]),
    ("azure-image-registry-credentials", KEYS),
    ("azure-kms-config", &["cloud.conf"]),
];
const KEYS: &[&str] = &["azure_client_id", "azure_tenant_id", "azure_federated_token_file"];

async fn apply(stage: &Stage, plane: &str, kind: (&str, &str, &str), mut object: Value) {
    (object["apiVersion"], object["kind"]) = (json!(kind.1), json!(kind.2));
    let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
    let parameters = PatchParams::apply("control-plane-operator").force();
    stage.api(plane, kind).patch(&name, &parameters, &Patch::Apply(&object)).await.expect("applied");
}

async fn apply_secret(stage: &Stage, plane: &str, name: &str, keys: &[&str]) {
    let data: serde_json::Map<_, _> = keys.iter().map(|key| ((*key).to_owned(), json!(CANARY[1]))).collect();
    let annotations = json!({"kubectl.kubernetes.io/last-applied-configuration": CANARY.join(" ")});
    apply(stage, plane, SECRET, json!({"metadata": {"name": name, "annotations": annotations}, "data": data})).await;
}

fn says(status: &Value, id: &str, reason: &str, text: &str) {
    let component = component(status, id);
    assert_eq!(component["reason"], reason, "{component:#}");
    let message = component["message"].as_str().unwrap_or_default();
    assert!(message.contains(text), "{text} is not in {message}");
}

#[tokio::test]
async fn where_it_is_asked_for_the_metadata_of_secrets_is_looked_at_and_no_value() {
    let stage = Stage::new("metadata-only").await;
    stage.create_cluster("prod", workload_identities).await;
    let plane = stage.plane("prod");
    create_workloads(&stage, &plane).await;
    for (name, keys) in CONFIGURATION.iter().filter(|(name, _)| *name != "azure-disk-csi-config") {
        apply_secret(&stage, &plane, name, keys).await;
    }
    let annotations = json!({"azure.workload.identity/client-id": "old", "azure.workload.identity/tenant-id": TENANT});
    let account =
        |annotations| json!({"metadata": {"name": "azure-cloud-controller-manager", "annotations": annotations}});
    apply(&stage, &plane, ACCOUNT, account(annotations)).await;
    let proxy = Proxy::new(NOTHING, NOTHING);
    let daemon = stage.daemon_behind(&proxy, &["--configuration-check", "metadata"]);
    let status = stage.ready_reason("prod", "NotFederated").await;
    says(&status, "disk", "NotFederated", "Secret azure-disk-csi-config is missing");
    let lacks = "Secret azure-ingress-credentials (written by control-plane-operator) lacks azure_federated_token_file";
    says(&status, "ingress", "NotFederated", lacks);
    says(&status, "cloud-provider", "OtherIdentity", "azure.workload.identity/client-id: \"old\"");

    apply_secret(&stage, &plane, "azure-disk-csi-config", &["cloud.conf"]).await;
    apply_secret(&stage, &plane, "azure-ingress-credentials", KEYS).await;
    let client = "00000000-0000-0000-0000-000000000000";
    let annotations = json!({"azure.workload.identity/client-id": client, "azure.workload.identity/tenant-id": TENANT});
    apply(&stage, &plane, ACCOUNT, account(annotations)).await;
    let status = stage.ready_reason("prod", "WorkloadIdentities").await;
    assert_eq!(component(&status, "cloud-provider").get("message"), None, "all of it was looked at: {status:#}");
    assert!(proxy.asked(|line| line.contains("/secrets/")) >= 14, "twice each");
    assert_eq!(proxy.asked(|line| line.contains("/secrets/") && !line.ends_with(" as metadata")), 0);
    let told = [status.to_string(), daemon.log(), daemon.metrics()].concat();
    assert!(!CANARY.iter().any(|canary| told.contains(canary)), "{told}");
}

#[tokio::test]
async fn without_the_right_it_is_said_that_nothing_was_looked_at_and_without_the_wish_nothing_is_asked() {
    let roles: Vec<_> = Role::iter().filter(|role| *role != Role::ConfigurationMetadata).collect();
    let stage = Stage::with_roles("denied-metadata", &roles).await;
    stage.create_cluster("prod", workload_identities).await;
    create_workloads(&stage, &stage.plane("prod")).await;
    let proxy = Proxy::new(NOTHING, NOTHING);
    let unasked = stage.daemon_behind(&proxy, &[]);
    let status = stage.ready_reason("prod", "WorkloadIdentities").await;
    says(&status, "ingress", "Ready", "not looked at: Secret azure-ingress-credentials, as configurationCheck is none");
    assert_eq!(proxy.asked(|line| line.contains("/secrets/") || line.contains("/serviceaccounts/")), 0);
    assert_eq!(unasked.stop().0, 0);
    let _denied = stage.daemon(&["--configuration-check", "metadata"]).await;
    wait_until("it is said", async || {
        let message = component(&stage.status("prod").await?, "ingress")["message"].to_string();
        (message.contains("not looked at: Secret azure-ingress-credentials") && message.contains("cannot get resource"))
            .then_some(())
    })
    .await;
    assert_eq!(condition(&stage.status("prod").await.expect("a status"), "Ready")["status"], "True");
}
