//! Where nobody else wires pods: Deployments that come and go are wired once and stay wired.

use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::{
    cluster::wait_until,
    stage::{DEPLOYMENT, POD, Stage, condition},
};

fn is_wired(deployment: &DynamicObject) -> bool {
    deployment.data["spec"].to_string().contains("ingress-cert")
        && deployment.data["spec"].to_string().contains("/mnt/certs/prod-ingress")
}

async fn until_wired(stage: &Stage, namespace: &str, name: &str) -> DynamicObject {
    wait_until("it is wired", async || stage.get(namespace, DEPLOYMENT, name).await.filter(is_wired)).await
}

fn rolled_out(deployment: &DynamicObject) -> bool {
    let status = &deployment.data["status"];
    status["observedGeneration"].as_i64() == deployment.metadata.generation
        && status["availableReplicas"] == deployment.data["spec"]["replicas"]
        && status["replicas"] == deployment.data["spec"]["replicas"]
        && status["updatedReplicas"] == deployment.data["spec"]["replicas"]
}

#[tokio::test]
async fn everything_is_wired_mounted_and_ready() {
    let stage = Stage::new("whole").await;
    stage.create_cluster("prod", |_| {}).await;
    stage.create_workloads("prod", 1).await;
    let daemon = stage.daemon(&[]).await;
    let namespace = stage.plane("prod");
    wait_until("all eleven are rolled out", async || {
        let all = stage.list(&namespace, DEPLOYMENT).await;
        (all.len() == 11 && all.iter().all(|one| one.metadata.generation >= Some(2) && rolled_out(one))).then_some(())
    })
    .await;
    wait_until("old pods are gone", async || (stage.list(&namespace, POD).await.len() == 11).then_some(())).await;
    stage.mount_all(&namespace).await;
    let status = stage.ready_reason("prod", "Ready").await;
    assert_eq!((&status["wired"], &status["mounted"]), (&json!("9/9"), &json!("9/9")), "{status:#}");
    assert_eq!(condition(&status, "Verified")["reason"], "NotChecked");
    assert_eq!(daemon.changes(), 9 + 11, "{}", daemon.log());
    assert!(
        stage.generations(&namespace, DEPLOYMENT).await.values().all(|generation| *generation == 2),
        "one rollout each"
    );
}

#[tokio::test]
async fn a_workload_that_comes_before_its_hosted_cluster_is_wired() {
    let stage = Stage::new("before").await;
    crate::support::cluster::create_namespace(&stage.client, &stage.plane("prod")).await;
    stage.create_workloads("prod", 0).await;
    let _daemon = stage.daemon(&[]).await;
    stage.apply_cluster("prod", |_| {}).await;
    until_wired(&stage, &stage.plane("prod"), "ingress-operator").await;
}

#[tokio::test]
async fn scaled_edited_deleted_and_made_anew_it_stays_wired() {
    let stage = Stage::new("edited").await;
    stage.create_cluster("prod", |_| {}).await;
    let daemon = stage.daemon(&[]).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
    stage.create_workloads("prod", 0).await;
    let namespace = stage.plane("prod");
    let api = stage.api(&namespace, DEPLOYMENT);
    let name = "ingress-operator";
    let wired = until_wired(&stage, &namespace, name).await;
    assert_eq!(wired.metadata.generation, Some(2));
    stage.ready_reason("prod", "WaitingForPod").await;
    let before = daemon.changes();

    let scale = json!({"spec": {"replicas": 2}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(&scale)).await.expect("scaled");
    let edit =
        json!({"spec": {"template": {"spec": {"containers": [{"name": name, "image": "registry.example/other:2"}]}}}});
    api.patch(name, &PatchParams::default(), &Patch::Strategic(&edit)).await.expect("edited");
    let rolled =
        wait_until("the rollout completes", async || stage.get(&namespace, DEPLOYMENT, name).await.filter(rolled_out))
            .await;
    assert!(is_wired(&rolled) && rolled.metadata.generation == Some(4));
    assert_eq!(daemon.changes(), before, "an edit by somebody else is none of ours");

    api.delete(name, &Default::default()).await.expect("deleted");
    wait_until("it is gone", async || stage.get(&namespace, DEPLOYMENT, name).await.is_none().then_some(())).await;
    let anew =
        stage.workloads(&namespace).into_iter().find(|workload| workload["metadata"]["name"] == name).expect("it");
    api.create(&PostParams::default(), &serde_json::from_value(anew).expect("a Deployment")).await.expect("made anew");
    let wired = until_wired(&stage, &namespace, name).await;
    assert_eq!((wired.metadata.generation, daemon.changes()), (Some(2), before + 1));
}

/// A renamed secret: its class, then the pods that name it, and nothing else.
#[tokio::test]
async fn a_renamed_secret_reaches_its_class_and_its_pods_only() {
    let stage = Stage::new("renamed").await;
    stage.create_cluster("prod", |_| {}).await;
    stage.create_workloads("prod", 0).await;
    let daemon = stage.daemon(&[]).await;
    stage.ready_reason("prod", "WaitingForPod").await;
    let before = daemon.changes();
    let others = stage.generations(&stage.plane("prod"), DEPLOYMENT).await;
    stage.apply_cluster("prod", |cluster| {
        let pointer = "/spec/platform/azure/azureAuthenticationConfig/managedIdentities/controlPlane/ingress/credentialsSecretName";
        *cluster.pointer_mut(pointer).expect("a name") = Value::from("renamed");
    })
    .await;
    wait_until("the env names it", async || {
        let live = stage.get(&stage.plane("prod"), DEPLOYMENT, "ingress-operator").await?;
        live.data["spec"].to_string().contains("/mnt/certs/renamed").then_some(())
    })
    .await;
    let mut now = stage.generations(&stage.plane("prod"), DEPLOYMENT).await;
    *now.get_mut("ingress-operator").expect("it") -= 1;
    assert_eq!((now, daemon.changes()), (others, before + 2));
}

/// Ours comes after it.
#[tokio::test]
async fn what_a_user_has_put_into_a_pod_stays() {
    let stage = Stage::new("user").await;
    stage.create_cluster("prod", |_| {}).await;
    let namespace = stage.plane("prod");
    let mut workload = stage
        .workloads(&namespace)
        .into_iter()
        .find(|workload| workload["metadata"]["name"] == "ingress-operator")
        .expect("it");
    workload["spec"]["replicas"] = json!(0);
    workload["spec"]["template"]["spec"]["volumes"] = json!([{"name": "theirs", "emptyDir": {}}]);
    let api = stage.api(&namespace, DEPLOYMENT);
    api.create(&PostParams::default(), &serde_json::from_value(workload).expect("a Deployment"))
        .await
        .expect("created");
    let _daemon = stage.daemon(&[]).await;
    let live = until_wired(&stage, &namespace, "ingress-operator").await;
    let volumes: Vec<_> = live.data["spec"]["template"]["spec"]["volumes"]
        .as_array()
        .expect("volumes")
        .iter()
        .map(|v| v["name"].clone())
        .collect();
    assert_eq!(volumes, ["theirs", "ingress-cert"], "ours comes last");
}
