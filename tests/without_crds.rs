//! Kinds that are not installed yet, or no longer: the daemon runs, says so, and goes on by itself when they come. On a
//! cluster of its own, for this concerns whoever uses it.

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use std::path::PathBuf;

use support::{
    cluster::{OwnCluster, kubectl, succeeds, wait_until},
    stage::{CLASS, STATUS, Stage, component, condition},
    testdata,
};

const CLASSES: &str = "secretproviderclasses.secrets-store.csi.x-k8s.io";
const CAPZ: &str = "azureclusteridentities.infrastructure.cluster.x-k8s.io";
const HOSTED_CLUSTERS: &str = "hostedclusters.hypershift.openshift.io";
const STATUSES: &str = "controlplaneidentities.hcpidentity.dev";

fn remove(crd: &str) {
    succeeds(kubectl().args(["delete", "crd", crd, "--timeout=60s"]), "");
}

/// Installs whatever is missing.
fn install(crd: &str) {
    let files = [testdata("cluster/crds"), PathBuf::from("manifests/crds/controlplaneidentities.yaml")];
    files.iter().for_each(|file| drop(succeeds(kubectl().args(["apply", "--server-side", "-f"]).arg(file), "")));
    succeeds(kubectl().args(["wait", "--for=condition=Established", "--timeout=60s", &format!("crd/{crd}")]), "");
}

/// One after the other, on one cluster.
#[tokio::test]
async fn each_kind_may_be_missing_and_come() {
    let _cluster = OwnCluster::start("without-crds");
    the_driver_is_not_installed().await;
    the_driver_is_removed_and_comes_back().await;
    cluster_api_is_not_installed().await;
    hypershift_is_not_installed().await;
    our_own_kind_is_not_installed().await;
}

async fn the_driver_is_not_installed() {
    let stage = Stage::new("no-driver").await;
    stage.create_cluster("prod", |_| {}).await;
    remove(CLASSES);
    let daemon = stage.daemon(&[]).await;
    let status = stage.ready_reason("prod", "DriverNotInstalled").await;
    let ready = condition(&status, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(ready.contains("install the Secrets Store CSI driver"), "{ready}");
    assert_eq!(daemon.writes(), 0);
    install(CLASSES);
    stage.ready_reason("prod", "WaitingForWorkload").await;
    assert_eq!(stage.list(&stage.plane("prod"), CLASS).await.len(), 9);
}

async fn the_driver_is_removed_and_comes_back() {
    let stage = Stage::new("driver-again").await;
    stage.create_cluster("prod", |_| {}).await;
    let daemon = stage.daemon(&[]).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
    remove(CLASSES);
    stage.ready_reason("prod", "DriverNotInstalled").await;
    install(CLASSES);
    wait_until("the classes are there again", async || {
        (stage.list(&stage.plane("prod"), CLASS).await.len() == 9).then_some(())
    })
    .await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
    // While it goes the API server takes no new ones.
    assert_eq!(daemon.changes(), 18, "{}", daemon.log());
}

async fn cluster_api_is_not_installed() {
    let stage = Stage::new("no-capz").await;
    stage.create_cluster("prod", |_| {}).await;
    remove(CAPZ);
    let _daemon = stage.daemon(&["--azure-cluster-identity", "apply"]).await;
    let status = stage.ready_reason("prod", "CapzNotInstalled").await;
    let message = component(&status, "nodepool")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("install Cluster API Provider Azure"), "{message}");
    assert_eq!(stage.list(&stage.plane("prod"), CLASS).await.len(), 9, "the classes do not wait");
    install(CAPZ);
    let kind = ("infrastructure.cluster.x-k8s.io", "v1beta1", "AzureClusterIdentity");
    wait_until("it is made", async || stage.get(&stage.plane("prod"), kind, "prod").await).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
}

async fn hypershift_is_not_installed() {
    let stage = Stage::new("no-hypershift").await;
    remove(HOSTED_CLUSTERS);
    let daemon = stage.daemon(&[]).await;
    assert!(daemon.log().contains("hostedclusters"), "{}", daemon.log());
    install(HOSTED_CLUSTERS);
    stage.create_cluster("prod", |_| {}).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
}

/// Nobody can be told, but the work is done.
async fn our_own_kind_is_not_installed() {
    let stage = Stage::new("no-status").await;
    stage.create_cluster("prod", |_| {}).await;
    remove(STATUSES);
    let status = || {
        let arguments = ["status", "-n", &stage.namespace];
        stage.command(&stage.kubeconfig, &arguments).output().expect("it runs")
    };
    let output = status();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("the CRD ControlPlaneIdentity is not installed: `hcp-identity crds |"), "{words}");
    let daemon = stage.daemon(&[]).await;
    wait_until("nine classes", async || (stage.list(&stage.plane("prod"), CLASS).await.len() == 9).then_some(())).await;
    wait_until("the log says so", async || daemon.log().contains("the status was not written").then_some(())).await;
    install(STATUSES);
    stage.ready_reason("prod", "WaitingForWorkload").await;
    assert_eq!(status().status.code(), Some(0));
    assert_eq!(stage.list(&stage.namespace, STATUS).await.len(), 1);
}
