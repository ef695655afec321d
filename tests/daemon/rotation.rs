//! Credentials, as far as a daemon knows of them without a vault: by what its status says from before.

use std::{collections::BTreeSet, time::Duration};

use jiff::{SignedDuration, Timestamp};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::credentials::World;
use crate::support::{
    cluster::wait_until,
    stage::{DEPLOYMENT, POD, POD_STATUS, STATUS, Stage, component, condition},
};

#[tokio::test]
async fn no_pod_is_wired_before_its_credential_has_been_looked_at() {
    let stage = Stage::new("c-unknown").await;
    stage.create_cluster("prod", |_| {}).await;
    stage.create_workloads("prod", 0).await;
    let before = stage.generations(&stage.plane("prod"), DEPLOYMENT).await;
    let daemon = stage.daemon(&["--credential-check", "content"]).await;
    let status = stage.ready_reason("prod", "CredentialNotChecked").await;
    assert_eq!(condition(&status, "Ready")["status"], "False");
    assert_eq!(condition(&status, "Stalled")["status"], "False", "it goes on by itself");
    assert_eq!(status["wired"], "0/9");
    assert_eq!(stage.generations(&stage.plane("prod"), DEPLOYMENT).await, before);
    drop(daemon);
    let _daemon = stage.daemon(&[]).await;
    stage.ready_reason("prod", "WaitingForPod").await;
}

/// Wired and mounted by a daemon that checks nothing, and then what another one would have found: every credential has passed,
/// and the one of ingress has a newer version than the pod that mounts it, whose own ends in an hour.
async fn late(stage: &Stage) {
    stage.create_cluster("prod", |_| {}).await;
    stage.create_workloads("prod", 1).await;
    let daemon = stage.daemon(&[]).await;
    let plane = stage.plane("prod");
    wait_until("all is mounted", async || {
        stage.mount_all(&plane).await;
        let status = stage.status("prod").await?;
        (status["mounted"] == "9/9").then_some(())
    })
    .await;
    drop(daemon);
    let mut status = stage.status("prod").await.expect("a status");
    let pods = stage.list(&plane, POD).await;
    let pod = pods.iter().find(|pod| pod.name_any().starts_with("ingress-operator")).expect("a pod").name_any();
    let (now, hour) = (Timestamp::now(), SignedDuration::from_hours(1));
    for component in status["components"].as_array_mut().expect("components") {
        let is_late = component["id"] == "ingress";
        component["credential"] = json!({
            "version": if is_late { "v2" } else { "v1" }, "check": "Passed",
            "created": (now + SignedDuration::from_secs(1)).to_string(), "notAfter": (now + 999 * hour).to_string(),
        });
        if is_late {
            component["mounts"] = json!([
                {"pod": pod, "version": "v1", "since": (now - hour).to_string(), "notAfter": (now + hour).to_string()}
            ]);
        }
    }
    let patch = json!({"status": {"components": status["components"]}});
    let api = stage.api(&stage.namespace, STATUS);
    api.patch_status("prod", &PatchParams::default(), &Patch::Merge(&patch)).await.expect("a valid status");
}

fn ids_by_reason(status: &Value, reason: &str) -> Vec<String> {
    let all = status["components"].as_array().into_iter().flatten();
    all.filter(|component| component["reason"] == reason)
        .map(|c| c["id"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn a_pod_that_would_hold_its_credential_past_its_end_is_evicted_and_no_other() {
    let world = World::new("c-restart").await;
    let stage = &world.stage;
    late(stage).await;
    world.store_versions("v1", "v2");
    let plane = stage.plane("prod");
    let names =
        async || -> Vec<String> { stage.list(&plane, POD).await.iter().map(kube::ResourceExt::name_any).collect() };
    let before = names().await;
    let generations = stage.generations(&plane, DEPLOYMENT).await;
    let daemon = world.daemon(&["--credential-check", "content", "--rotation", "restart"]).await;
    let status = stage.ready_reason("prod", "RestartRequired").await;
    assert_eq!(ids_by_reason(&status, "RestartRequired"), ["ingress"], "{status:#}");
    assert_eq!(condition(&status, "Verified")["status"], "True", "what has passed is remembered");
    assert_eq!(condition(&status, "Fresh")["status"], "False");
    assert_eq!(names().await, before, "all have just come");

    // Pods are left alone for two minutes.
    tokio::time::sleep(Duration::from_secs(110)).await;
    let new = wait_until("the pod is replaced", async || {
        let now = names().await;
        let gone: Vec<_> = before.iter().filter(|name| !now.contains(name)).collect();
        let new: Vec<_> = now.iter().filter(|name| !before.contains(name)).collect();
        assert!(gone.iter().chain(&new).all(|name| name.starts_with("ingress-operator")), "{gone:?} {new:?}");
        (gone.len() == 1 && new.len() == 1).then(|| new[0].clone())
    })
    .await;
    let name = format!("{new}-{plane}-managed-azure-ingress");
    let mounted = json!({
        "apiVersion": "secrets-store.csi.x-k8s.io/v1", "kind": "SecretProviderClassPodStatus",
        "metadata": {"name": name, "namespace": plane},
        "status": {
            "mounted": true, "podName": new, "secretProviderClassName": "managed-azure-ingress",
            "targetPath": "/var/lib/kubelet", "objects": [{"id": "secret/x", "version": "v2"}],
        },
    });
    let parameters = PatchParams::apply("secrets-store-csi").force();
    stage.api(&plane, POD_STATUS).patch(&name, &parameters, &Patch::Apply(&mounted)).await.expect("a pod status");
    let status = stage.ready_reason("prod", "Ready").await;
    assert_eq!(condition(&status, "Fresh")["status"], "True", "{status:#}");
    assert_eq!(component(&status, "ingress")["mounts"][0]["pod"], new);
    assert_eq!(stage.generations(&plane, DEPLOYMENT).await, generations, "no workload was touched");
    drop(daemon);
}

/// Refused by a disruption budget, its daemon killed, its credential broken in the meantime: the pod goes when it may.
#[tokio::test]
async fn a_pod_is_not_evicted_against_a_budget_or_onto_a_broken_credential() {
    let world = World::new("c-budget").await;
    let stage = &world.stage;
    late(stage).await;
    world.store_versions("v1", "v2");
    let plane = stage.plane("prod");
    let budgets = stage.api(&plane, ("policy", "v1", "PodDisruptionBudget"));
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "ingress"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "ingress-operator"}}},
    });
    budgets.create(&PostParams::default(), &serde_json::from_value(budget).expect("a budget")).await.expect("created");
    let uids = async || -> BTreeSet<String> {
        stage.list(&plane, POD).await.iter().filter_map(kube::ResourceExt::uid).collect()
    };
    let before = uids().await;
    let arguments = ["--credential-check", "content", "--rotation", "restart"];
    let daemon = world.daemon(&arguments).await;
    tokio::time::sleep(Duration::from_secs(110)).await;
    wait_until("the eviction is refused", async || {
        let is_refusal = |line: &Value| line["message"] == "the pod was not evicted" && line["component"] == "ingress";
        daemon.log_lines().into_iter().find(is_refusal).map(|line| {
            assert!(line["error"].as_str().unwrap_or_default().contains("disruption budget"), "{line}");
        })
    })
    .await;
    drop(daemon); // with SIGKILL
    assert_eq!(uids().await, before, "a disruption budget is respected");

    world.store_version("ingress", "{}", Some("v3"));
    let daemon = world.daemon(&arguments).await;
    wait_until("the daemon knows", async || {
        let status = stage.status("prod").await?;
        let message = component(&status, "ingress")["message"].as_str()?.to_owned();
        let is_known = condition(&status, "Verified")["reason"] == "CredentialFailed";
        (is_known && message.contains("store a good credential first")).then_some(())
    })
    .await;
    budgets.delete("ingress", &DeleteParams::default()).await.expect("deleted");
    // Longer than between two tries.
    tokio::time::sleep(Duration::from_secs(75)).await;
    assert_eq!(uids().await, before, "nothing begins anew with a credential that fails");

    world.store_versions("v1", "v4");
    world.recheck("mended").await;
    wait_until("the pod is replaced", async || {
        let now = uids().await;
        (before.difference(&now).count() == 1 && now.difference(&before).count() == 1).then_some(())
    })
    .await;
    drop(daemon);
}
