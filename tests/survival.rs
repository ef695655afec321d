//! Crashes at every write, and an API server that dies and comes back. On a cluster of its own, parts of which are killed.

#![allow(clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "these are parts of tests")]

mod support;

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::json;
use support::{
    cluster::{OwnCluster, wait_until},
    stage::{CLASS, DEPLOYMENT, Daemon, HOSTED_CLUSTER, Stage, is_settled},
};

/// One after the other, on one cluster.
#[tokio::test]
async fn nothing_that_happens_to_it_changes_what_comes_of_it() {
    let cluster = OwnCluster::start("survival");
    a_crash_at_any_write_costs_no_write_and_no_rollout().await;
    the_api_server_dies_and_comes_back_without_its_past(&cluster).await;
    etcd_dies_and_comes_back(&cluster).await;
}

/// Starts a daemon that ends itself at a write; whether it did.
async fn crash(stage: &Stage, name: &str, failpoint: &str) -> bool {
    let lease = format!("{name}-first");
    let arguments = ["--lease-name", &lease];
    let mut daemon = stage.start(&stage.kubeconfig.clone(), &arguments, &[("HCP_IDENTITY_FAILPOINT", failpoint)]);
    wait_until("it has ended, or has done everything", async || {
        let ended = daemon.child.try_wait().expect("a child").is_some();
        let done =
            stage.status(name).await.is_some_and(|status| is_settled(&status)) && news_is_told(stage, name).await;
        (ended || done).then_some(ended)
    })
    .await
}

/// Both events are the last of the writes.
async fn news_is_told(stage: &Stage, name: &str) -> bool {
    let events = stage.list(&stage.namespace, ("events.k8s.io", "v1", "Event")).await;
    events.iter().filter(|event| event.data["regarding"]["name"] == name).count() >= 2
}

/// Before and after each write of a convergence, until there is none left to crash at.
async fn a_crash_at_any_write_costs_no_write_and_no_rollout() {
    let stage = Stage::new("crash").await;
    let mut crashes = 0;
    for when in ["before", "after"] {
        for number in 1.. {
            let name = format!("{when}-{number}");
            stage.create_small_world(&name).await;
            let crashed = crash(&stage, &name, &format!("{when}:*:*:{number}")).await;
            let lease = format!("{name}-second");
            let second = stage.daemon(&["--lease-name", &lease]).await;
            let status =
                wait_until("what was left is done", async || stage.status(&name).await.filter(is_settled)).await;
            assert_eq!(status["controlPlaneNamespace"], stage.plane(&name));
            let plane = stage.plane(&name);
            let classes = stage.generations(&plane, CLASS).await;
            assert!(classes.len() == 9 && classes.values().all(|generation| *generation == 1), "{name}: {classes:?}");
            let deployments = stage.generations(&plane, DEPLOYMENT).await;
            assert!(
                deployments.values().all(|generation| *generation == 2),
                "{name}: one rollout each: {deployments:?}"
            );
            // Of the twelve writes to what is not ours, at most the one that was under way is repeated.
            let left = 12_u64.saturating_sub(number - 1);
            assert!(second.changes() <= left + 1, "{name}: {} writes where {left} were left", second.changes());
            assert_eq!(second.stop().0, 0);
            stage.api(&stage.namespace, HOSTED_CLUSTER).delete(&name, &Default::default()).await.expect("deleted");
            if !crashed {
                break;
            }
            crashes += 1;
        }
    }
    assert!(crashes >= 2 * 14, "only {crashes} crashes: nine classes, three Deployments, a status twice");
}

async fn change(stage: &Stage, secret: &str) {
    let identities = json!({"controlPlane": {"ingress": {"credentialsSecretName": secret}}});
    let patch =
        json!({"spec": {"platform": {"azure": {"azureAuthenticationConfig": {"managedIdentities": identities}}}}});
    let api = stage.api(&stage.namespace, HOSTED_CLUSTER);
    wait_until("the change is taken", async || {
        api.patch("prod", &PatchParams::default(), &Patch::Merge(&patch)).await.ok()
    })
    .await;
}

async fn until_written(stage: &Stage, secret: &str) {
    wait_until("the class follows", async || {
        let class = stage.api(&stage.plane("prod"), CLASS).get_opt("managed-azure-ingress").await.ok()??;
        class.data["spec"].to_string().contains(secret).then_some(())
    })
    .await;
}

/// What it asks in vain while nobody answers: bounded, whatever is broken.
fn asks_in_vain(daemon: &Daemon) -> f64 {
    ["0", "500", "503", "504"]
        .iter()
        .map(|code| daemon.metric("hcp_identity_kubernetes_requests_total", &format!("code=\"{code}\"")))
        .sum()
}

async fn the_api_server_dies_and_comes_back_without_its_past(cluster: &OwnCluster) {
    let stage = Stage::new("dies").await;
    stage.create_small_world("prod").await;
    let mut daemon = stage.daemon(&[]).await;
    until_written(&stage, "prod-ingress").await;
    wait_until("it is done", async || stage.status("prod").await.filter(is_settled)).await;
    let before = (daemon.writes(), asks_in_vain(&daemon));
    cluster.kill("kube-apiserver");
    let dead = Duration::from_secs(12);
    tokio::time::sleep(dead).await;
    let asked = asks_in_vain(&daemon) - before.1;
    assert!(asked < 15.0 * dead.as_secs_f64(), "{asked} requests in {dead:?} that nobody answers");
    // Nothing that a watch could go on from is left.
    cluster.compact();
    cluster.revive("kube-apiserver");
    change(&stage, "after-the-server").await;
    until_written(&stage, "after-the-server").await;
    assert!(daemon.child.try_wait().expect("a child").is_none(), "it has ended: {}", daemon.log());
    wait_until("the env follows", async || {
        let live = stage.api(&stage.plane("prod"), DEPLOYMENT).get_opt("ingress-operator").await.ok()??;
        live.data["spec"].to_string().contains("after-the-server").then_some(())
    })
    .await;
    assert!(daemon.changes() <= before.0 + 2, "what was as planned was written again: {}", daemon.log());
}

/// The API server answers, and every answer is a failure.
async fn etcd_dies_and_comes_back(cluster: &OwnCluster) {
    let stage = Stage::new("etcd").await;
    stage.create_small_world("prod").await;
    let mut daemon = stage.daemon(&[]).await;
    until_written(&stage, "prod-ingress").await;
    let before = asks_in_vain(&daemon);
    cluster.kill("etcd");
    let dead = Duration::from_secs(8);
    tokio::time::sleep(dead).await;
    let asked = asks_in_vain(&daemon) - before;
    assert!(asked < 15.0 * dead.as_secs_f64(), "{asked} requests in {dead:?} that fail");
    cluster.revive("etcd");
    change(&stage, "after-etcd").await;
    until_written(&stage, "after-etcd").await;
    assert!(daemon.child.try_wait().expect("a child").is_none(), "it has ended: {}", daemon.log());
}
