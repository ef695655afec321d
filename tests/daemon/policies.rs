//! `podPatch: policy`: pods are wired as they are created, and HyperShift's Deployments stay as they are.

use std::{collections::BTreeSet, time::Duration};

use hypershift_sim::{Azure, ControlPlane, Operator};
use kube::{ResourceExt as _, api::DeleteParams};
use serde_json::json;
use tokio::sync::Mutex;

use crate::credentials::World;
use crate::support::{
    KEY_VAULT_USER,
    cluster::{kubectl, label_namespace, succeeds, wait_until},
    hcp_identity,
    stage::{CLASS, DEPLOYMENT, POD, Stage, component},
};

const POLICY: [&str; 2] = ["--pod-patch", "policy"];

/// HyperShift makes classes and Deployments that know nothing of them, with a pod each.
async fn unwired(stage: &Stage) -> Vec<Operator> {
    let mut plane = ControlPlane::new(stage.hosted_cluster("prod", |_| {}), KEY_VAULT_USER);
    (plane.azure, plane.replicas) = (Azure::ClassesOnly, 1);
    plane.create(&stage.client).await.expect("a control plane namespace");
    stage.apply_cluster("prod", |_| {}).await;
    plane.operators(&stage.client)
}

async fn reconcile(operators: &mut [Operator]) -> usize {
    for operator in operators.iter_mut() {
        operator.reconcile().await.expect("the operator writes");
    }
    operators.iter().flat_map(Operator::writes).filter(|write| write.changed()).count()
}

/// The policies are of the whole cluster: one test after the other says whether they are there.
static POLICIES: Mutex<()> = Mutex::const_new(());

fn install() {
    let policies = succeeds(hcp_identity().args(["render", "--policies"]), "");
    succeeds(kubectl().args(["apply", "--server-side", "-f", "-"]), &policies);
}

fn uninstall() {
    for kind in ["mutatingadmissionpolicybindings", "mutatingadmissionpolicies"] {
        succeeds(kubectl().args(["delete", kind, "-l", "app.kubernetes.io/name=hcp-identity"]), "");
    }
}

#[tokio::test]
async fn pods_are_wired_by_policies_and_no_deployment_changes() {
    let _alone = POLICIES.lock().await;
    let stage = Stage::new("policies").await;
    let mut operators = unwired(&stage).await;
    reconcile(&mut operators).await;
    let written = reconcile(&mut operators).await;
    let plane = stage.plane("prod");
    let pods = async || stage.list(&plane, POD).await;
    wait_until("there are pods", async || (pods().await.len() == 11).then_some(())).await;
    let before = (stage.generations(&plane, CLASS).await, stage.generations(&plane, DEPLOYMENT).await);

    let daemon = stage.daemon(&POLICY).await;
    let status = stage.ready_reason("prod", "PoliciesMissing").await;
    let message = component(&status, "ingress")["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("MutatingAdmissionPolicyBinding hcp-identity-ingress"), "{message}");
    drop(daemon);

    install();
    let daemon = stage.daemon(&POLICY).await;
    let status = stage.ready_reason("prod", "NotInjected").await;
    assert_eq!(status["wired"], "0/9", "{status:#}");

    // Policies come to the API server's admission when they come: pods are made anew until they are wired.
    wait_until("every pod is wired", async || {
        for pod in pods().await {
            let volumes = pod.data["spec"]["volumes"].as_array().into_iter().flatten();
            let is_wired = volumes.into_iter().any(|volume| volume.get("csi").is_some());
            let hands_on = ["cluster-network-operator", "cluster-storage-operator"];
            if !is_wired
                && !hands_on.contains(&pod.labels()["app"].as_str())
                && pod.metadata.deletion_timestamp.is_none()
            {
                stage.api(&plane, POD).delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await.ok();
            }
        }
        stage.mount_all(&plane).await;
        let status = stage.status("prod").await?;
        (status["wired"] == "9/9" && status["mounted"] == "9/9").then_some(())
    })
    .await;
    stage.ready_reason("prod", "Ready").await;
    assert_eq!(reconcile(&mut operators).await, written, "HyperShift has nothing to put right");
    let after = (stage.generations(&plane, CLASS).await, stage.generations(&plane, DEPLOYMENT).await);
    assert_eq!(before, after);
    assert_eq!(daemon.changes(), 0, "{}", daemon.log());
    drop(daemon);

    let other = json!({"spec": {"failurePolicy": "Fail"}}).to_string();
    let patch = ["patch", "mutatingadmissionpolicy", "hcp-identity-ingress", "--type", "merge", "-p"];
    succeeds(kubectl().args(patch).arg(&other), "");
    let daemon = stage.daemon(&POLICY).await;
    let status = stage.ready_reason("prod", "PoliciesOutdated").await;
    let message = component(&status, "kms")["message"].as_str().expect("a message").to_owned();
    assert!(message.contains(": MutatingAdmissionPolicy hcp-identity-ingress;"), "{message}");
    assert_eq!(component(&status, "ingress")["wired"], true, "what is wired stays so: {status:#}");
    drop(daemon);
    uninstall();
}

/// What was created without its volume is replaced, one pod at a time, by rotation's rules.
#[tokio::test]
async fn pods_that_the_policies_missed_are_replaced_one_at_a_time() {
    let _alone = POLICIES.lock().await;
    let world = World::new("c-unwired").await;
    let stage = &world.stage;
    stage.create_cluster("prod", |_| {}).await;
    let plane = stage.plane("prod");
    label_namespace(&stage.client, &plane, "hypershift.openshift.io/hosted-control-plane").await;
    world.store_versions("v1", "v1");
    stage.create_workloads("prod", 1).await;
    install();
    let names = async || -> BTreeSet<String> {
        stage.list(&plane, POD).await.iter().map(kube::ResourceExt::name_any).collect()
    };
    wait_until("there are pods", async || (names().await.len() == 11).then_some(())).await;
    let (before, generations) = (names().await, stage.generations(&plane, DEPLOYMENT).await);
    let daemon =
        world.daemon(&["--pod-patch", "policy", "--credential-check", "content", "--rotation", "restart"]).await;
    stage.ready_reason("prod", "NotInjected").await;
    // Pods are left alone for two minutes.
    tokio::time::sleep(Duration::from_secs(110)).await;
    let new = wait_until("a pod is replaced", async || {
        let now = names().await;
        let new: Vec<_> = now.difference(&before).cloned().collect();
        assert!(new.len() < 2, "{new:?}");
        (before.difference(&now).count() == 1).then_some(new).filter(|new| new.len() == 1)
    })
    .await;
    let pod = stage.get(&plane, POD, &new[0]).await.expect("the pod");
    let volumes = pod.data["spec"]["volumes"].as_array().into_iter().flatten();
    assert!(volumes.into_iter().any(|volume| volume.get("csi").is_some()), "{:#}", pod.data["spec"]);
    // The next one waits for two minutes again.
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(names().await.difference(&before).count(), 1);
    assert_eq!(stage.generations(&plane, DEPLOYMENT).await, generations, "no workload was touched");
    drop(daemon);
    uninstall();
}
