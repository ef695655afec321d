//! Beside HyperShift, simulated as measured: what is equal is left alone, what differs is told, nothing is fought for.

use std::time::Duration;

use hypershift_sim::{Azure, ControlPlane, Operator};
use kube::{
    ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::support::{
    KEY_VAULT_USER,
    cluster::wait_until,
    stage::{CLASS, DEPLOYMENT, Stage, component},
};

const OTHER_USER: &str = "00000000-1111-2222-3333-444444444444";

async fn hypershift(stage: &Stage, name: &str, user: &str, azure: Azure) -> ControlPlane {
    let mut plane = ControlPlane::new(stage.hosted_cluster(name, |_| {}), user);
    plane.azure = azure;
    plane.create(&stage.client).await.expect("a control plane namespace");
    stage.apply_cluster(name, |_| {}).await;
    plane
}

async fn reconcile(operators: &mut [Operator]) {
    for operator in operators {
        operator.reconcile().await.expect("the operator writes");
    }
}

/// How often each operator has changed something.
fn changes(operators: &[Operator]) -> usize {
    operators.iter().flat_map(Operator::writes).filter(|write| write.changed()).count()
}

/// HyperShift was there first and has done everything: we write nothing, on every pass, for ever.
#[tokio::test]
async fn equal_content_is_never_written() {
    let stage = Stage::new("equal").await;
    let plane = hypershift(&stage, "prod", KEY_VAULT_USER, Azure::Wired).await;
    let mut operators = plane.operators(&stage.client);
    reconcile(&mut operators).await;
    reconcile(&mut operators).await;
    let namespace = stage.plane("prod");
    let before = (stage.generations(&namespace, CLASS).await, stage.generations(&namespace, DEPLOYMENT).await);
    let daemon = stage.daemon(&[]).await;
    let status = stage.ready_reason("prod", "WaitingForPod").await;
    assert_eq!(status["wired"], "9/9", "{status:#}");
    // A touch makes every pass happen again.
    for round in 0..3 {
        let touch = json!({"metadata": {"annotations": {"touched": round.to_string()}}});
        let api = stage.api(&stage.namespace, crate::support::stage::HOSTED_CLUSTER);
        api.patch("prod", &PatchParams::default(), &Patch::Merge(&touch)).await.expect("a touch");
        reconcile(&mut operators).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(daemon.writes(), 0, "{}", daemon.log());
    let after = (stage.generations(&namespace, CLASS).await, stage.generations(&namespace, DEPLOYMENT).await);
    assert_eq!(before, after);
}

#[tokio::test]
async fn foreign_content_is_told_with_manager_and_field_and_left_alone() {
    let stage = Stage::new("foreign").await;
    let plane = hypershift(&stage, "prod", OTHER_USER, Azure::Wired).await;
    let mut operators = plane.operators(&stage.client);
    reconcile(&mut operators).await;
    let writer = stage.get(&stage.plane("prod"), CLASS, "managed-azure-ingress").await.expect("a class");
    let manager = writer.managed_fields()[0].manager.clone().expect("a manager");
    let daemon = stage.daemon(&[]).await;
    let status = stage.ready_reason("prod", "ForeignDrift").await;
    let message = component(&status, "ingress")["message"].as_str().expect("a message").to_owned();
    assert!(message.contains(&manager) && message.contains("userAssignedIdentityID"), "{message}");
    assert!(message.contains("ARO_HCP_KEY_VAULT_USER_CLIENT_ID"), "it does not say what to do: {message}");
    assert_eq!(daemon.writes(), 0);
}

/// What is missing is created without waiting, and in the form that HyperShift takes over with one write of its own.
#[tokio::test]
async fn what_is_absent_is_created_and_adopted() {
    let stage = Stage::new("absent").await;
    let plane = hypershift(&stage, "prod", KEY_VAULT_USER, Azure::Wired).await;
    let daemon = stage.daemon(&["--pod-patch", "none"]).await;
    let namespace = stage.plane("prod");
    wait_until("nine classes", async || (stage.list(&namespace, CLASS).await.len() == 9).then_some(())).await;
    let mut operators = plane.operators(&stage.client);
    reconcile(&mut operators).await;
    let adopted = changes(&operators);
    reconcile(&mut operators).await;
    reconcile(&mut operators).await;
    assert_eq!(changes(&operators), adopted, "HyperShift goes on writing");
    stage.ready_reason("prod", "WaitingForPod").await;
    assert_eq!(daemon.writes(), 9, "one write a class: {}", daemon.log());
    // Somebody deletes one: it is there again at once, whoever is faster.
    stage.api(&namespace, CLASS).delete("managed-azure-ingress", &Default::default()).await.expect("deleted");
    wait_until("the class is back", async || stage.get(&namespace, CLASS, "managed-azure-ingress").await).await;
}

/// Handing over what we made and HyperShift adopted must leave the parameters where they are: an empty apply would not.
#[tokio::test]
async fn releasing_an_adopted_class_never_empties_it() {
    let stage = Stage::new("release").await;
    let plane = hypershift(&stage, "prod", KEY_VAULT_USER, Azure::Wired).await;
    let daemon = stage.daemon(&["--pod-patch", "none"]).await;
    let namespace = stage.plane("prod");
    wait_until("nine classes", async || (stage.list(&namespace, CLASS).await.len() == 9).then_some(())).await;
    let mut operators = plane.operators(&stage.client);
    reconcile(&mut operators).await;
    reconcile(&mut operators).await;
    stage.ready_reason("prod", "WaitingForPod").await;
    assert_eq!(daemon.stop().0, 0);
    let before: Vec<Value> =
        stage.list(&namespace, CLASS).await.into_iter().map(|class| class.data["spec"].clone()).collect();
    let written = changes(&operators);

    let admin = crate::support::stage::admin();
    let lease = ["--lease-namespace", &stage.namespace, "--control-plane-namespace", &namespace];
    let dry = stage.command(&admin, &[&["release", "--dry-run"], &lease[..]].concat()).output().expect("it runs");
    let text = String::from_utf8_lossy(&dry.stdout).into_owned();
    let of_stage = |text: &str| text.lines().filter(|line| line.contains(&namespace)).count();
    assert_eq!(of_stage(&text), 9, "{text}{}", String::from_utf8_lossy(&dry.stderr));
    assert!(text.contains("would be handed over to"), "{text}");
    let done = stage.command(&admin, &[&["release"], &lease[..]].concat()).output().expect("it runs");
    assert_eq!(of_stage(&String::from_utf8_lossy(&done.stdout)), 9, "{}", String::from_utf8_lossy(&done.stderr));

    let classes = stage.list(&namespace, CLASS).await;
    let after: Vec<Value> = classes.iter().map(|class| class.data["spec"].clone()).collect();
    assert_eq!(before, after);
    for class in &classes {
        assert!(
            class.managed_fields().iter().all(|entry| entry.manager.as_deref() != Some("hcp-identity")),
            "{class:#?}"
        );
        assert!(!class.labels().contains_key("app.kubernetes.io/managed-by"));
    }
    reconcile(&mut operators).await;
    assert_eq!(changes(&operators), written, "HyperShift had to repair something");
    assert!(stage.status("prod").await.is_none(), "our status is gone");
}

/// Somebody undoes what we write, again and again.
#[tokio::test]
async fn three_reverts_end_in_contested() {
    let stage = Stage::new("contested").await;
    stage.create_cluster("prod", |_| {}).await;
    stage.create_workloads("prod", 0).await;
    let namespace = stage.plane("prod");
    let original =
        stage.workloads(&namespace).into_iter().find(|workload| workload["metadata"]["name"] == "ingress-operator");
    let original = original.expect("the ingress-operator");
    let daemon = stage.daemon(&[]).await;
    let api = stage.api(&namespace, DEPLOYMENT);
    let wired = async || {
        let live = stage.get(&namespace, DEPLOYMENT, "ingress-operator").await?;
        live.data["spec"].to_string().contains("ingress-cert").then_some(live)
    };
    for _ in 0..4 {
        wait_until("the ingress-operator is wired", wired).await;
        let theirs = serde_json::from_value(original.clone()).expect("a Deployment");
        let parameters = kube::api::PostParams { field_manager: Some("their-operator".into()), ..Default::default() };
        api.replace("ingress-operator", &parameters, &theirs).await.expect("reverted");
    }
    let status = stage.ready_reason("prod", "Contested").await;
    let ingress = component(&status, "ingress");
    assert_eq!(ingress["contested"][0]["name"], "ingress-operator", "{ingress:#}");
    assert!(
        ingress["message"].as_str().is_some_and(|message| message.contains("hcpidentity.dev/recheck")),
        "{ingress:#}"
    );
    let generation = |live: &kube::api::DynamicObject| live.metadata.generation.unwrap_or_default();
    let live = stage.get(&namespace, DEPLOYMENT, "ingress-operator").await.expect("there");
    assert!(generation(&live) < 10, "generation {}", generation(&live));
    // A restart does not begin anew; a request does.
    assert_eq!(daemon.stop().0, 0);
    let daemon = stage.daemon(&[]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(daemon.writes(), 0, "{}", daemon.log());
    let recheck = json!({"metadata": {"annotations": {"hcpidentity.dev/recheck": "1"}}});
    let clusters = stage.api(&stage.namespace, crate::support::stage::HOSTED_CLUSTER);
    clusters.patch("prod", &PatchParams::default(), &Patch::Merge(&recheck)).await.expect("a request");
    wait_until("it is wired again", wired).await;
}

/// csi-operator undoes within half a second whatever it does not know, each time with two rollouts.
#[tokio::test]
async fn library_gos_deployments_are_wired_once_at_most() {
    let stage = Stage::new("libgo").await;
    let plane = hypershift(&stage, "prod", KEY_VAULT_USER, Azure::ClassesOnly).await;
    let mut operators = plane.operators(&stage.client);
    reconcile(&mut operators).await;
    let running = async {
        ControlPlane::run(&mut operators, Duration::from_secs(60)).await;
    };
    let looking = async {
        let _daemon = stage.daemon(&[]).await;
        let status = wait_until("disk is contested", async || {
            let status = stage.status("prod").await?;
            (component(&status, "disk")["reason"] == "Contested" && component(&status, "file")["reason"] == "Contested")
                .then_some(status)
        })
        .await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        status
    };
    tokio::select! {
        () = running => panic!("the operators ended"),
        _ = looking => {}
    }
    for name in ["azure-disk-csi-driver-controller", "azure-file-csi-driver-controller"] {
        let live = stage.get(&stage.plane("prod"), DEPLOYMENT, name).await.expect("there");
        assert!(live.metadata.generation.unwrap_or_default() <= 3, "{name}: {:?}", live.metadata.generation);
    }
}

/// The fields leave the pods first; the class goes when the last pod that mounts it has gone.
#[tokio::test]
async fn an_identity_that_is_removed_leaves_in_order() {
    let stage = Stage::new("removed").await;
    stage.create_cluster("prod", |_| {}).await;
    stage.create_workloads("prod", 1).await;
    let namespace = stage.plane("prod");
    let _daemon = stage.daemon(&[]).await;
    let registry = "cluster-image-registry-operator";
    let pods = async || {
        let pods = stage.list(&namespace, crate::support::stage::POD).await.into_iter();
        pods.filter(|pod| pod.name_any().starts_with(registry)).collect::<Vec<_>>()
    };
    let mounts = |pod: &kube::api::DynamicObject| pod.data["spec"].to_string().contains("managed-azure-image-registry");
    wait_until("a pod mounts the class", async || pods().await.iter().any(&mounts).then_some(())).await;
    // One that nothing replaces.
    let api = stage.api(&namespace, crate::support::stage::POD);
    let mut held = pods().await.into_iter().find(&mounts).expect("a pod that mounts");
    held.metadata = kube::core::ObjectMeta { name: Some("held".into()), ..Default::default() };
    api.create(&Default::default(), &held).await.expect("a pod of its own");

    stage
        .apply_cluster("prod", |cluster| {
            let identities = &mut cluster["spec"]["platform"]["azure"]["azureAuthenticationConfig"]["managedIdentities"]
                ["controlPlane"];
            identities.as_object_mut().expect("identities").remove("imageRegistry");
        })
        .await;
    wait_until("the Deployment mounts nothing", async || {
        let live = stage.get(&namespace, DEPLOYMENT, registry).await?;
        (!live.data["spec"].to_string().contains("managed-azure-image-registry")).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(stage.get(&namespace, CLASS, "managed-azure-image-registry").await.is_some(), "a pod mounts it");
    api.delete("held", &Default::default()).await.expect("deleted");
    wait_until("the class is gone", async || {
        stage.get(&namespace, CLASS, "managed-azure-image-registry").await.is_none().then_some(())
    })
    .await;
    assert_eq!(stage.list(&namespace, CLASS).await.len(), 8);
}
