//! `podPatch: policy`: pods are wired as they are created, and HyperShift's Deployments stay as they are.

use std::collections::BTreeMap;

use hypershift_sim::{Azure, ControlPlane, Operator};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, DynamicObject},
};
use serde_json::json;
use tokio::sync::Mutex;

use crate::support::{
    KEY_VAULT_USER,
    cluster::{kubectl, succeeds, wait_until},
    hcp_identity,
    stage::{CLASS, DEPLOYMENT, Daemon, POD, Stage, component},
};

const POLICY: [&str; 2] = ["--pod-patch", "policy"];

/// The simulated HyperShift beside the daemon: classes and Deployments that know nothing of them, with a pod each.
pub(super) struct Hypershift<'s> {
    stage: &'s Stage,
    plane: String,
    operators: Vec<Operator>,
    /// By a pass that finds everything as it has written it.
    written: usize,
    generations: [BTreeMap<String, i64>; 2],
}

impl<'s> Hypershift<'s> {
    pub(super) async fn at_rest(stage: &'s Stage) -> Self {
        let mut hypershift = ControlPlane::new(stage.hosted_cluster("prod", |_| {}), KEY_VAULT_USER);
        (hypershift.azure, hypershift.replicas) = (Azure::ClassesOnly, 1);
        hypershift.create(&stage.client).await.expect("a control plane namespace");
        stage.apply_cluster("prod", |_| {}).await;
        let mut operators = hypershift.operators(&stage.client);
        reconcile(&mut operators).await;
        let written = reconcile(&mut operators).await;
        let plane = stage.plane("prod");
        let are_there = async || (stage.list(&plane, POD).await.len() == 11).then_some(());
        wait_until("there are pods", are_there).await;
        let generations = generations(stage, &plane).await;
        Self { stage, plane, operators, written, generations }
    }

    /// Makes pods anew until they are wired: what wires them comes to the API server's admission when it comes.
    pub(super) async fn pods_are_wired_and_nothing_else_moves(&mut self, daemon: &Daemon) {
        let (stage, plane) = (self.stage, &self.plane);
        let status = stage.ready_reason("prod", "NotInjected").await;
        assert_eq!(status["wired"], "0/9", "{status:#}");
        wait_until("every pod is wired", async || {
            for pod in stage.list(plane, POD).await {
                let hands_on = ["cluster-network-operator", "cluster-storage-operator"];
                let is_done = is_wired(&pod) || hands_on.contains(&pod.labels()["app"].as_str());
                if !is_done && pod.metadata.deletion_timestamp.is_none() {
                    stage.api(plane, POD).delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await.ok();
                }
            }
            stage.mount_all(plane).await;
            let status = stage.status("prod").await?;
            (status["wired"] == "9/9" && status["mounted"] == "9/9").then_some(())
        })
        .await;
        stage.ready_reason("prod", "Ready").await;
        assert_eq!(reconcile(&mut self.operators).await, self.written, "HyperShift has nothing to put right");
        assert_eq!(self.generations, generations(stage, plane).await);
        assert_eq!(daemon.changes(), 0, "{}", daemon.log());
    }
}

async fn generations(stage: &Stage, plane: &str) -> [BTreeMap<String, i64>; 2] {
    [stage.generations(plane, CLASS).await, stage.generations(plane, DEPLOYMENT).await]
}

async fn reconcile(operators: &mut [Operator]) -> usize {
    for operator in operators.iter_mut() {
        operator.reconcile().await.expect("the operator writes");
    }
    operators.iter().flat_map(Operator::writes).filter(|write| write.changed()).count()
}

pub(super) fn is_wired(pod: &DynamicObject) -> bool {
    let volumes = pod.data["spec"]["volumes"].as_array().into_iter().flatten();
    volumes.into_iter().any(|volume| volume.pointer("/csi/volumeAttributes/secretProviderClass").is_some())
}

/// Policies, and the webhook's registration, are of the whole cluster: one test after the other says what is there.
pub(super) static ADMISSION: Mutex<()> = Mutex::const_new(());

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
    let _alone = ADMISSION.lock().await;
    let stage = Stage::new("policies").await;
    let mut hypershift = Hypershift::at_rest(&stage).await;

    let daemon = stage.daemon(&POLICY).await;
    let status = stage.ready_reason("prod", "PoliciesMissing").await;
    let message = component(&status, "ingress")["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("MutatingAdmissionPolicyBinding hcp-identity-ingress"), "{message}");
    drop(daemon);

    install();
    let daemon = stage.daemon(&POLICY).await;
    hypershift.pods_are_wired_and_nothing_else_moves(&daemon).await;
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
