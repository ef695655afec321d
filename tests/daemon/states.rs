//! Each state that a HostedCluster can be in, what is said of it, and that it tells a person what to do.

use kube::{
    ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::support::{
    cluster::{create_namespace, wait_until},
    read,
    stage::{CLASS, DEPLOYMENT, HOSTED_CLUSTER, POD, STATUS, Stage, component, condition, is_settled},
    testdata,
};

async fn annotate(stage: &Stage, name: &str, patch: Value) {
    let api = stage.api(&stage.namespace, HOSTED_CLUSTER);
    api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.expect("a change");
}

fn message(status: &Value) -> String {
    condition(status, "Ready")["message"].as_str().unwrap_or_default().to_owned()
}

/// Says that a status is False for this reason, that somebody has to act or not, and what its message names.
fn says(status: &Value, stalled: bool, names: &[&str]) {
    assert_eq!(condition(status, "Ready")["status"], "False", "{status:#}");
    assert_eq!(condition(status, "Stalled")["status"], if stalled { "True" } else { "False" }, "{status:#}");
    for name in names {
        assert!(message(status).contains(name), "{name} is not in {}", message(status));
    }
}

#[tokio::test]
async fn waiting_for_the_workload() {
    let stage = Stage::new("s-workload").await;
    stage.create_cluster("prod", |_| {}).await;
    let _daemon = stage.daemon(&[]).await;
    let status = stage.ready_reason("prod", "WaitingForWorkload").await;
    says(&status, false, &["app=cloud-controller-manager"]);
    assert_eq!(stage.list(&stage.plane("prod"), CLASS).await.len(), 9, "the classes do not wait");
}

#[tokio::test]
async fn a_class_that_is_missing_and_may_not_be_written() {
    let stage = Stage::new("s-missing").await;
    stage.create_cluster("prod", |_| {}).await;
    let _daemon = stage.daemon(&["--mode", "observe"]).await;
    let status = stage.ready_reason("prod", "Observing").await;
    says(&status, false, &["SecretProviderClass managed-azure-cloud-provider: is missing", "mode is observe"]);
}

#[tokio::test]
async fn an_invalid_hosted_cluster_does_not_delay_another() {
    let stage = Stage::new("s-invalid").await;
    stage.create_cluster("broken", |cluster| {
        let vault = "/spec/platform/azure/azureAuthenticationConfig/managedIdentities/controlPlane/managedIdentitiesKeyVault/name";
        *cluster.pointer_mut(vault).expect("a vault") = json!("");
    })
    .await;
    stage.create_cluster("good", |_| {}).await;
    let _daemon = stage.daemon(&[]).await;
    stage.ready_reason("good", "WaitingForWorkload").await;
    let status = stage.ready_reason("broken", "InvalidHostedCluster").await;
    says(&status, true, &["managedIdentitiesKeyVault.name", "name the management cluster's Key Vault"]);
    assert!(stage.list(&stage.plane("broken"), CLASS).await.is_empty());
}

#[tokio::test]
async fn paused_and_resumed() {
    let stage = Stage::new("s-paused").await;
    stage.create_cluster("prod", |cluster| cluster["spec"]["pausedUntil"] = json!("true")).await;
    let daemon = stage.daemon(&[]).await;
    let status = stage.ready_reason("prod", "Paused").await;
    says(&status, false, &["spec.pausedUntil"]);
    assert_eq!(daemon.writes(), 0);
    annotate(&stage, "prod", json!({"spec": {"pausedUntil": null}})).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
    // Until a time: it goes on by itself.
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3);
    stage.create_cluster("later", |cluster| cluster["spec"]["pausedUntil"] = json!(soon.to_string())).await;
    stage.ready_reason("later", "Paused").await;
    stage.ready_reason("later", "WaitingForWorkload").await;
}

#[tokio::test]
async fn nobody_has_said_who_reads_the_vault() {
    let stage = Stage::new("s-user").await;
    stage.create_cluster("prod", |_| {}).await;
    let daemon = stage.daemon(&["--key-vault-user-client-id", ""]).await;
    let status = stage.ready_reason("prod", "NoKeyVaultUser").await;
    says(&status, true, &["keyVaultUserClientID", "HCP_IDENTITY_KEY_VAULT_USER_CLIENT_ID"]);
    assert_eq!(daemon.writes(), 0);
}

#[tokio::test]
async fn the_control_plane_namespace_is_not_there_yet() {
    let stage = Stage::new("s-namespace").await;
    stage.apply_cluster("prod", |_| {}).await;
    let _daemon = stage.daemon(&[]).await;
    let status = stage.ready_reason("prod", "NamespaceMissing").await;
    says(&status, false, &[&stage.plane("prod"), "HyperShift makes it"]);
    create_namespace(&stage.client, &stage.plane("prod")).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
}

#[tokio::test]
async fn two_hosted_clusters_with_one_control_plane_namespace() {
    let stage = Stage::new("s-two").await;
    stage.create_cluster("a.b", |_| {}).await;
    stage.apply_cluster("a-b", |_| {}).await;
    let daemon = stage.daemon(&[]).await;
    let status = stage.ready_reason("a.b", "NamespaceCollision").await;
    says(&status, true, &[&format!("{}/a-b", stage.namespace), "rename"]);
    stage.ready_reason("a-b", "NamespaceCollision").await;
    assert_eq!(daemon.writes(), 0);
}

#[tokio::test]
async fn off_and_observe_by_annotation_and_other_scopes() {
    let stage = Stage::new("s-off").await;
    stage
        .create_cluster("off", |cluster| cluster["metadata"]["annotations"] = json!({"hcpidentity.dev/mode": "off"}))
        .await;
    stage
        .create_cluster("observed", |cluster| {
            cluster["metadata"]["annotations"] = json!({"hcpidentity.dev/mode": "observe"});
        })
        .await;
    stage
        .create_cluster("scoped", |cluster| {
            cluster["metadata"]["annotations"] = json!({"hypershift.openshift.io/scope": "other"});
        })
        .await;
    let daemon = stage.daemon(&["--scope", ""]).await;
    let off = stage.ready_reason("off", "Off").await;
    assert_eq!(condition(&off, "Ready")["status"], "Unknown");
    stage.ready_reason("observed", "Observing").await;
    assert_eq!(daemon.writes(), 0);
    assert!(stage.status("scoped").await.is_none(), "that of another operator");
}

#[tokio::test]
async fn a_deleted_hosted_cluster_takes_its_status_with_it() {
    let stage = Stage::new("s-deleted").await;
    stage
        .create_cluster("prod", |cluster| cluster["metadata"]["finalizers"] = json!(["test.hcpidentity.dev/held"]))
        .await;
    let daemon = stage.daemon(&[]).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
    let before = daemon.writes();
    stage.api(&stage.namespace, HOSTED_CLUSTER).delete("prod", &Default::default()).await.expect("deleted");
    stage.api(&stage.plane("prod"), CLASS).delete("managed-azure-ingress", &Default::default()).await.expect("deleted");
    stage.ready_reason("prod", "Deleting").await;
    assert_eq!(daemon.writes(), before, "nothing is made for what goes");
    annotate(&stage, "prod", json!({"metadata": {"finalizers": null}})).await;
    wait_until("the status is collected", async || {
        stage.get(&stage.namespace, STATUS, "prod").await.is_none().then_some(())
    })
    .await;
}

/// What a kubelet says of a pod, for as long as its event is there.
#[tokio::test]
async fn a_failed_mount_is_explained_in_the_status() {
    let stage = Stage::new("s-mount").await;
    stage.create_small_world("prod").await;
    let _daemon = stage.daemon(&[]).await;
    wait_until("everything is wired", async || stage.status("prod").await.filter(is_settled)).await;
    let plane = stage.plane("prod");
    // No node is good enough for its pod: it does not start.
    let template = json!({"spec": {"nodeSelector": {"node": "none"}}});
    let scale = Patch::Merge(json!({"spec": {"replicas": 1, "template": template}}));
    let deployments = stage.api(&plane, DEPLOYMENT);
    deployments.patch("ingress-operator", &PatchParams::default(), &scale).await.expect("scaled");
    let message = async |part: &str| {
        wait_until(part, async || {
            let message = component(&stage.status("prod").await?, "ingress")["message"].clone();
            message.as_str().filter(|message| message.contains(part)).map(ToOwned::to_owned)
        })
        .await
    };
    message("shows what it waits for").await;
    let pod = stage.list(&plane, POD).await.pop().expect("a pod");

    let now = jiff::Timestamp::now().strftime("%FT%TZ").to_string();
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "type": "Warning", "metadata": {"name": "failed"},
        "involvedObject": {
            "apiVersion": "v1", "kind": "Pod", "namespace": plane, "name": pod.name_any(), "uid": pod.metadata.uid,
        },
        "reason": "FailedMount", "message": read(&testdata("explain/secret-not-found/input.txt")),
        "source": {"component": "kubelet", "host": "node"}, "firstTimestamp": now, "lastTimestamp": now, "count": 1,
    });
    let events = stage.api(&plane, ("", "v1", "Event"));
    events.create(&Default::default(), &serde_json::from_value(event).expect("an event")).await.expect("created");
    assert_eq!(
        message("SecretNotFound").await,
        format!(
            "{pod} has not started; volume ingress-cert of {pod} cannot be mounted: the vault has no secret of this name \
             (SecretNotFound); compare credentialsSecretName with the vault's secrets: `az keyvault secret list \
             --vault-name mgmt-vault --query [].name -o tsv`",
            pod = pod.name_any()
        )
    );

    events.delete("failed", &Default::default()).await.expect("deleted");
    let after = message("shows what it waits for").await;
    assert!(!after.contains("SecretNotFound"), "{after}");
}

/// One event for each piece of news, on the HostedCluster and on our object, and none where nothing changes.
#[tokio::test]
async fn news_is_told_once() {
    let stage = Stage::new("s-news").await;
    stage.create_cluster("prod", |_| {}).await;
    let _daemon = stage.daemon(&[]).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
    let events = async || stage.list(&stage.namespace, ("events.k8s.io", "v1", "Event")).await;
    wait_until("two events", async || (events().await.len() == 2).then_some(())).await;
    for _ in 0..2 {
        annotate(
            &stage,
            "prod",
            json!({"metadata": {"labels": {"touched": jiff::Timestamp::now().as_nanosecond().to_string()}}}),
        )
        .await;
    }
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let events = events().await;
    let mut kinds: Vec<_> =
        events.iter().map(|event| event.data["regarding"]["kind"].as_str().unwrap_or_default().to_owned()).collect();
    kinds.sort();
    assert_eq!(kinds, ["ControlPlaneIdentity", "HostedCluster"]);
    assert!(
        events.iter().all(|event| event.data["reason"] == "WaitingForWorkload" && event.data["type"] == "Warning"),
        "{events:#?}"
    );
}

/// The CRD refuses what we never write.
#[tokio::test]
async fn our_own_kind_refuses_nonsense() {
    let stage = Stage::new("s-crd").await;
    let api = stage.api(&stage.namespace, STATUS);
    let create = async |name: &str, hosted_cluster: &str| {
        let object = json!({
            "apiVersion": "hcpidentity.dev/v1alpha1", "kind": "ControlPlaneIdentity",
            "metadata": {"name": name}, "spec": {"hostedClusterName": hosted_cluster},
        });
        api.create(&Default::default(), &serde_json::from_value(object).expect("an object")).await
    };
    let error = create("a", "b").await.expect_err("the names differ").to_string();
    assert!(error.contains("must be the name of this object"), "{error}");
    create("a", "a").await.expect("it is one");
    let renamed = json!({"spec": {"hostedClusterName": "c"}});
    let error =
        api.patch("a", &PatchParams::default(), &Patch::Merge(&renamed)).await.expect_err("immutable").to_string();
    assert!(error.contains("is immutable"), "{error}");
    let status = json!({"status": {"hostedClusterGeneration": 1, "controlPlaneNamespace": "x", "wired": "nine", "mounted": "0/9"}});
    let error =
        api.patch_status("a", &PatchParams::default(), &Patch::Merge(&status)).await.expect_err("no count").to_string();
    assert!(error.contains("wired"), "{error}");
    assert_eq!(api.get("a").await.expect("there").name_any(), "a");
}
