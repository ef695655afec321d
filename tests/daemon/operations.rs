//! Several replicas, settings that change, a person's commands, and ends.

use std::{os::unix::fs::symlink, path::Path, process::Output, time::Duration};

use hcp_identity::cluster::access::Role;
use kube::{
    ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::support::{
    cluster::wait_until,
    stage::{CLASS, DEPLOYMENT, Daemon, HOSTED_CLUSTER, Stage},
};

const LEASE: (&str, &str, &str) = ("coordination.k8s.io", "v1", "Lease");

async fn holder(stage: &Stage) -> String {
    let lease = stage.get(&stage.namespace, LEASE, "hcp-identity").await;
    lease.and_then(|lease| lease.data["spec"]["holderIdentity"].as_str().map(str::to_owned)).unwrap_or_default()
}

async fn until_leads(stage: &Stage, daemon: &Daemon) {
    // The Lease of another runs for fifteen seconds.
    wait_until("it leads", async || (holder(stage).await == daemon.identity).then_some(())).await;
}

async fn rename_ingress_secret(stage: &Stage, cluster: &str, name: &str) {
    let pointer = json!({"spec": {"platform": {"azure": {"azureAuthenticationConfig": {"managedIdentities": {"controlPlane":
        {"ingress": {"credentialsSecretName": name}}}}}}}});
    let api = stage.api(&stage.namespace, HOSTED_CLUSTER);
    api.patch(cluster, &PatchParams::default(), &Patch::Merge(&pointer)).await.expect("a change");
}

async fn until_class_names(stage: &Stage, cluster: &str, secret: &str) -> DynamicObject {
    wait_until("the class names the secret", async || {
        let class = stage.get(&stage.plane(cluster), CLASS, "managed-azure-ingress").await?;
        class.data["spec"].to_string().contains(secret).then_some(class)
    })
    .await
}

/// Ended as a pod is, a replica hands the Lease over at once; killed, it is waited for until the Lease has run out.
#[tokio::test]
async fn one_of_two_replicas_writes_and_the_other_takes_over() {
    let stage = Stage::new("o-replicas").await;
    stage.create_cluster("prod", |_| {}).await;
    let first = stage.daemon(&[]).await;
    until_leads(&stage, &first).await;
    let second = stage.daemon(&[]).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
    assert_eq!((first.writes(), second.writes()), (9, 0));
    let (code, log) = first.stop();
    assert_eq!(code, 0, "{log}");
    let handed_over = std::time::Instant::now();
    until_leads(&stage, &second).await;
    assert!(handed_over.elapsed() < Duration::from_secs(8), "it waited for a Lease that was handed back");
    rename_ingress_secret(&stage, "prod", "second").await;
    until_class_names(&stage, "prod", "second").await;

    let third = stage.daemon(&[]).await;
    second.signal("-KILL");
    until_leads(&stage, &third).await;
    rename_ingress_secret(&stage, "prod", "third").await;
    until_class_names(&stage, "prod", "third").await;
    assert_eq!(third.changes(), 1, "what is as planned is not written again");
}

/// A leader that is stopped and goes on finds that it leads no more: what it had planned changes nothing.
#[tokio::test]
async fn a_paused_leader_changes_nothing_when_it_wakes_up() {
    let stage = Stage::new("o-paused").await;
    stage.create_cluster("prod", |_| {}).await;
    stage.create_workloads("prod", 0).await;
    let old = stage.daemon(&[]).await;
    until_leads(&stage, &old).await;
    stage.ready_reason("prod", "WaitingForPod").await;
    let new = stage.daemon(&[]).await;
    let old_writes = old.writes();
    old.signal("-STOP");
    // News for both; the old one sees it when it wakes up.
    rename_ingress_secret(&stage, "prod", "while-stopped").await;
    until_leads(&stage, &new).await;
    until_class_names(&stage, "prod", "while-stopped").await;
    rename_ingress_secret(&stage, "prod", "after").await;
    until_class_names(&stage, "prod", "after").await;
    wait_until("its pods name it too", async || {
        let live = stage.get(&stage.plane("prod"), DEPLOYMENT, "ingress-operator").await?;
        (live.data["spec"].to_string().contains("/mnt/certs/after")
            && live.data["status"]["observedGeneration"].as_i64() == live.metadata.generation)
            .then_some(())
    })
    .await;
    let versions = async || {
        let objects = stage
            .list(&stage.plane("prod"), CLASS)
            .await
            .into_iter()
            .chain(stage.list(&stage.plane("prod"), DEPLOYMENT).await);
        objects.map(|object| (object.name_any(), object.metadata.generation)).collect::<Vec<_>>()
    };
    let before = versions().await;
    let (seen, writes) = (9 + 11, new.writes());
    old.signal("-CONT");
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(versions().await, before, "{}", old.log());
    assert!(old.changes() <= seen, "it changed something");
    assert!(old.writes() <= old_writes + 1, "more than one request was under way: {}", old.log());
    assert_eq!(holder(&stage).await, new.identity);
    assert!(old.log().contains("no longer leading"), "{}", old.log());
    assert_eq!(new.writes(), writes);
}

/// As the kubelet changes a ConfigMap's volume.
fn swap(folder: &Path, generation: &str, text: &str) {
    let data = folder.join(generation);
    std::fs::create_dir_all(&data).expect("a folder");
    std::fs::write(data.join("settings.yaml"), text).expect("a file");
    let link = folder.join("..data_tmp");
    symlink(generation, &link).expect("a link");
    std::fs::rename(&link, folder.join("..data")).expect("a swap");
}

#[tokio::test]
async fn settings_are_followed_and_invalid_ones_are_not() {
    let stage = Stage::new("o-settings").await;
    stage.create_cluster("prod", |_| {}).await;
    let folder = stage.file("config");
    std::fs::create_dir_all(&folder).expect("a folder");
    swap(&folder, "..1", "mode: observe\nlogLevel: info\n");
    let path = folder.join("settings.yaml");
    symlink("..data/settings.yaml", &path).expect("a link");
    let daemon = stage.daemon(&["--settings", &path.to_string_lossy(), "--pod-patch", "none"]).await;
    stage.ready_reason("prod", "Observing").await;
    swap(&folder, "..2", "mode: sometimes\n");
    wait_until("it says so", async || daemon.log().contains("the new settings are invalid").then_some(())).await;
    assert!(daemon.metrics().contains("hcp_identity_settings_valid 0"));
    assert_eq!(daemon.writes(), 0);
    // The flag podPatch goes on winning over the file.
    swap(&folder, "..3", "mode: enforce\npodPatch: workload\nlogLevel: debug\n");
    let status = stage.ready_reason("prod", "WaitingForWorkload").await;
    assert_eq!(status["wired"], "0/9");
    assert!(daemon.metrics().contains("hcp_identity_settings_valid 1"));
    wait_until("its log is louder", async || daemon.log().contains("\"level\":\"DEBUG\"").then_some(())).await;
}

#[tokio::test]
async fn every_line_of_the_log_is_json_and_each_change_has_one() {
    let stage = Stage::new("o-log").await;
    stage.create_cluster("prod", |_| {}).await;
    let daemon = stage.daemon(&["--log-level", "debug"]).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
    let log = daemon.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let changed: Vec<_> = lines.iter().filter(|line| line["message"] == "changed").collect();
    assert_eq!(changed.len(), 9);
    assert!(changed.iter().all(|line| line["hosted_cluster"] == format!("{}/prod", stage.namespace)));
    assert!(daemon.get("/livez").starts_with("HTTP/1.1 200"));
    let metrics = daemon.metrics();
    for line in metrics.lines().skip_while(|line| !line.starts_with('#')).filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a sample");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(!name.contains("namespace="), "{line}");
    }
}

/// With no role but to observe, nothing is refused, because nothing else is tried.
#[tokio::test]
async fn observing_needs_and_tries_no_more_than_its_role() {
    let stage = Stage::with_roles("o-observe", &[Role::Observe, Role::Leader]).await;
    stage.create_cluster("prod", |_| {}).await;
    stage.create_workloads("prod", 0).await;
    let daemon = stage.daemon(&["--mode", "observe"]).await;
    stage.ready_reason("prod", "Observing").await;
    assert_eq!(daemon.writes(), 0);
    assert!(!daemon.metrics().contains("code=\"403\""), "{}", daemon.metrics());
}

/// What it may not do it says, names the object, and goes on with the rest.
#[tokio::test]
async fn a_missing_role_is_told() {
    let stage = Stage::with_roles("o-denied", &[Role::Observe, Role::Leader]).await;
    stage.create_cluster("prod", |_| {}).await;
    let _daemon = stage.daemon(&[]).await;
    let status = stage.ready_reason("prod", "WriteRefused").await;
    let message = crate::support::stage::condition(&status, "Ready")["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("SecretProviderClass managed-azure") && message.contains("forbidden"), "{message}");
}

fn fails(stage: &Stage, kubeconfig: &Path, arguments: &[&str]) -> String {
    let output: Output = stage.command(kubeconfig, &[&["run"], arguments].concat()).output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert_eq!(text.lines().filter(|line| !line.starts_with('{')).count(), 1, "one clear line: {text}");
    text
}

#[tokio::test]
async fn what_cannot_start_says_why_in_one_line() {
    let stage = Stage::new("o-start").await;
    let config = stage.kubeconfig.clone();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let free = ["--listen-metrics", "127.0.0.1:0", "--listen-health", "127.0.0.1:0"];
    assert!(
        fails(&stage, &config, &["--listen-health", &address, "--listen-metrics", "127.0.0.1:0"]).contains(&address)
    );
    assert!(fails(&stage, Path::new("/nonexistent/kubeconfig"), &free).contains("/nonexistent/kubeconfig"));
    assert!(
        fails(&stage, &config, &[&["--label-selector", "a in"], &free[..]].concat())
            .contains("selection.labelSelector")
    );
    let nowhere = stage.file("nowhere");
    stage.write_kubeconfig(&nowhere, Some("http://127.0.0.1:9"), "none");
    assert!(fails(&stage, &nowhere, &free).contains("cannot talk to the API server"));
    let wrong = stage.file("wrong-token");
    let text = crate::support::read(&config).replace(&stage.token(), "not-a-token");
    std::fs::write(&wrong, text).expect("a file");
    assert!(fails(&stage, &wrong, &free).contains("Unauthorized"));
}

#[tokio::test]
async fn diff_shows_what_run_would_write_and_writes_nothing() {
    let stage = Stage::new("o-diff").await;
    stage.create_cluster("prod", |_| {}).await;
    stage.create_workloads("prod", 0).await;
    let user = ["--key-vault-user-client-id", crate::support::KEY_VAULT_USER, "--namespaces", &stage.namespace];
    let diff = || {
        let output = stage.command(&stage.kubeconfig, &[&["diff"], &user[..]].concat()).output().expect("it ends");
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
    };
    let (text, code) = diff();
    assert_eq!(
        (code, text.lines().filter(|line| line.starts_with("+ SecretProviderClass")).count()),
        (Some(1), 9),
        "{text}"
    );
    assert!(stage.list(&stage.plane("prod"), CLASS).await.is_empty());
    let daemon = stage.daemon(&[]).await;
    stage.ready_reason("prod", "WaitingForPod").await;
    assert_eq!(daemon.stop().0, 0);
    assert_eq!(diff(), (String::new(), Some(0)));
    // As if it were on the cluster: another secret.
    let mut cluster = stage.hosted_cluster("prod", |_| {});
    let pointer =
        "/spec/platform/azure/azureAuthenticationConfig/managedIdentities/controlPlane/disk/credentialsSecretName";
    *cluster.pointer_mut(pointer).expect("a name") = json!("other");
    let file = stage.file("hostedcluster.json");
    std::fs::write(&file, cluster.to_string()).expect("a file");
    let file = file.to_string_lossy().into_owned();
    let arguments = [&["diff", "-f", &file], &user[..]].concat();
    let output = stage.command(&stage.kubeconfig, &arguments).output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.starts_with(&format!("~ SecretProviderClass {}/managed-azure-disk-csi\n", stage.plane("prod"))),
        "{text}"
    );
}

#[tokio::test]
async fn status_is_a_table_objects_or_a_story() {
    let stage = Stage::new("o-status").await;
    stage.create_cluster("prod", |_| {}).await;
    let _daemon = stage.daemon(&[]).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
    let admin = crate::support::stage::admin();
    let status = |arguments: &[&str]| {
        let all = [&["status", "-n", &stage.namespace], arguments].concat();
        let output = stage.command(&admin, &all).output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let table = status(&[]);
    let lines: Vec<_> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines[0], ["NAME", "READY", "WIRED", "MOUNTED", "EXPIRES", "REASON", "AGE"]);
    assert_eq!(lines[1][..6], ["prod", "False", "0/9", "0/9", "-", "WaitingForWorkload"]);
    let story = status(&["prod"]);
    assert!(story.contains("COMPONENT") && story.contains("app=cloud-controller-manager"), "{story}");
    let json: Value = serde_json::from_str(&status(&["-o", "json"])).expect("JSON");
    assert_eq!(json["items"][0]["status"]["wired"], "0/9");
    assert!(status(&["-o", "yaml"]).contains("kind: ControlPlaneIdentity"));
    assert!(status(&["-o", "wide"]).contains("MESSAGE"));
}

/// What the node pools sign in with follows the HostedCluster where that is asked for.
#[tokio::test]
async fn the_azure_cluster_identity_is_written_where_it_is_wanted() {
    const IDENTITY: (&str, &str, &str) = ("infrastructure.cluster.x-k8s.io", "v1beta1", "AzureClusterIdentity");
    let stage = Stage::new("o-capz").await;
    stage.create_cluster("prod", |_| {}).await;
    let _daemon = stage.daemon(&["--azure-cluster-identity", "apply"]).await;
    let get = async || {
        let kind = kube::api::ApiResource {
            plural: "azureclusteridentities".into(),
            ..crate::support::stage::resource(IDENTITY)
        };
        let api: kube::Api<DynamicObject> =
            kube::Api::namespaced_with(stage.client.clone(), &stage.plane("prod"), &kind);
        api.get_opt("prod").await.expect("the API server answers")
    };
    let found = wait_until("it is there", get).await;
    assert_eq!(
        found.data["spec"]["userAssignedIdentityCredentialsPath"], "/mnt/certs/prod-nodepool-management",
        "{found:#?}"
    );
    let renamed = json!({"spec": {"platform": {"azure": {"azureAuthenticationConfig": {"managedIdentities": {"controlPlane":
        {"nodePoolManagement": {"credentialsSecretName": "renamed"}}}}}}}});
    let api = stage.api(&stage.namespace, HOSTED_CLUSTER);
    api.patch("prod", &PatchParams::default(), &Patch::Merge(&renamed)).await.expect("a change");
    wait_until("it follows", async || {
        get().await.filter(|found| found.data["spec"]["userAssignedIdentityCredentialsPath"] == "/mnt/certs/renamed")
    })
    .await;
}
