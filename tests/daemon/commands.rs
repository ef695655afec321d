//! The commands that look at a cluster once: what would be written, what is, and handing over.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Output, Stdio},
};

use hypershift_sim::{Azure, ControlPlane};
use kube::{
    ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::support::{
    KEY_VAULT_USER,
    cluster::{create_namespace, wait_until},
    proxy::{NOTHING, Proxy},
    stage::{CLASS, DEPLOYMENT, STATUS, Stage, admin, component},
};

const CAPZ: (&str, &str, &str) = ("infrastructure.cluster.x-k8s.io", "v1beta1", "AzureClusterIdentity");

fn run(stage: &Stage, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = stage.command(&admin(), arguments).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

fn diff(stage: &Stage, more: &[&str]) -> (i32, String, String) {
    let own = ["diff", "--namespaces", &stage.namespace, "--key-vault-user-client-id", KEY_VAULT_USER];
    run(stage, &[&own, more].concat())
}

fn starting_with<'t>(text: &'t str, sign: &str) -> Vec<&'t str> {
    text.lines().filter(|line| line.starts_with(sign)).collect()
}

fn rename_ingress(cluster: &mut Value, secret: &str) {
    let pointer =
        "/spec/platform/azure/azureAuthenticationConfig/managedIdentities/controlPlane/ingress/credentialsSecretName";
    *cluster.pointer_mut(pointer).expect("a name") = json!(secret);
}

#[tokio::test]
async fn diff_shows_what_run_would_write_and_nothing_when_all_is_done() {
    let stage = Stage::new("c-diff").await;
    stage.create_cluster("prod", |_| {}).await;
    stage.create_workloads("prod", 0).await;
    let plane = stage.plane("prod");
    let (code, out, words) = diff(&stage, &[]);
    assert_eq!((code, starting_with(&out, "+ ").len(), starting_with(&out, "! ").len()), (1, 9, 9), "{out}{words}");
    assert!(out.contains(&format!("+ SecretProviderClass {plane}/managed-azure-ingress\n")), "{out}");
    assert!(words.contains("1 HostedCluster: 9 writes"), "{words}");
    assert!(stage.list(&plane, CLASS).await.is_empty() && stage.status("prod").await.is_none(), "it has written");

    let daemon = stage.daemon(&[]).await;
    stage.ready_reason("prod", "WaitingForPod").await;
    assert_eq!(daemon.stop().0, 0);
    let (code, out, words) = diff(&stage, &[]);
    assert_eq!((code, out.as_str()), (0, ""), "{words}");
    assert!(words.contains("1 HostedCluster: 0 writes"), "{words}");

    stage.apply_cluster("prod", |cluster| rename_ingress(cluster, "renamed")).await;
    let (code, out, _) = diff(&stage, &[]);
    let changed: Vec<_> =
        starting_with(&out, "~ ").iter().map(|line| line.split(':').next().unwrap_or_default()).collect();
    // Its pods wait for the class.
    let class = format!("~ SecretProviderClass {plane}/managed-azure-ingress");
    assert_eq!((code, changed), (1, vec![&*class]), "{out}");
    assert!(starting_with(&out, "! ").iter().any(|line| line.contains("ingress Applying")), "{out}");
    let theirs = json!({"spec": {"parameters": {"keyvaultName": "theirs"}}});
    let parameters = PatchParams { field_manager: Some("somebody".into()), ..Default::default() };
    let api = stage.api(&plane, CLASS);
    api.patch("managed-azure-disk-csi", &parameters, &Patch::Merge(&theirs)).await.expect("a change");
    let (_, out, _) = diff(&stage, &[]);
    let foreign = starting_with(&out, "! ").into_iter().find(|line| line.contains("ForeignDrift"));
    assert!(foreign.is_some_and(|line| line.contains("somebody") && line.contains("keyvaultName")), "{out}");
}

#[tokio::test]
async fn diff_looks_at_a_file_as_if_it_were_on_the_cluster() {
    let stage = Stage::new("c-file").await;
    let file = stage.file("hostedcluster.json");
    let path = file.display().to_string();
    std::fs::write(&file, stage.hosted_cluster("new", |_| {}).to_string()).expect("a file");
    let (code, out, _) = diff(&stage, &["-f", &path]);
    assert_eq!((code, out.lines().count()), (1, 1), "{out}");
    assert!(out.starts_with(&format!("! HostedCluster {}/new NamespaceMissing: ", stage.namespace)), "{out}");
    create_namespace(&stage.client, &stage.plane("new")).await;
    let (code, out, _) = diff(&stage, &["-f", &path]);
    assert_eq!((code, starting_with(&out, "+ SecretProviderClass").len()), (1, 9), "{out}");
    let (code, out, _) = diff(&stage, &["-f", &path, "--mode", "observe"]);
    assert_eq!((code, starting_with(&out, "+ ").len()), (1, 0), "{out}");
    assert!(starting_with(&out, "! ").iter().all(|line| line.contains("Observing")), "{out}");

    std::fs::write(&file, "kind: ConfigMap").expect("a file");
    let (code, out, words) = diff(&stage, &["-f", &path]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(words.contains("there is no HostedCluster"), "{words}");
}

#[tokio::test]
async fn status_shows_a_line_a_hosted_cluster_and_with_a_name_everything() {
    let stage = Stage::new("c-status").await;
    let own = ["status", "-n", &stage.namespace];
    let status = |more: &[&str]| run(&stage, &[&own, more].concat());
    let (code, out, words) = status(&[]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(words.contains("no ControlPlaneIdentities found"), "{words}");

    stage.create_cluster("prod", |_| {}).await;
    stage.create_cluster("paused", |cluster| cluster["spec"]["pausedUntil"] = json!("true")).await;
    let _daemon = stage.daemon(&[]).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
    stage.ready_reason("paused", "Paused").await;
    let (_, out, _) = status(&[]);
    let rows: Vec<Vec<_>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "READY", "WIRED", "MOUNTED", "EXPIRES", "REASON", "AGE"]);
    assert_eq!(rows[1][..6], ["paused", "False", "0/9", "0/9", "-", "Paused"], "{out}");
    assert_eq!(rows[2][..6], ["prod", "False", "0/9", "0/9", "-", "WaitingForWorkload"], "{out}");
    assert_eq!(rows.len(), 3);
    let (_, out, _) = status(&["-o", "wide"]);
    assert!(
        out.lines().all(|line| line.contains("MESSAGE") || line.contains("pausedUntil") || line.contains("app=")),
        "{out}"
    );
    let (_, out, _) = run(&stage, &["status", "-A"]);
    assert!(out.starts_with("NAMESPACE") && out.lines().any(|line| line.starts_with(&stage.namespace)), "{out}");

    let (_, out, _) = status(&["-o", "json"]);
    let list: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&list["kind"], list["items"].as_array().map(Vec::len)), (&json!("List"), Some(2)), "{out}");
    let (_, out, _) = status(&["-o", "yaml", "prod"]);
    assert!(out.contains("kind: ControlPlaneIdentity\n") && out.contains("reason: WaitingForWorkload"), "{out}");

    let (code, out, _) = status(&["prod"]);
    let of_ingress = out.lines().find(|line| line.starts_with("ingress ")).unwrap_or_default();
    assert_eq!(code, 0);
    assert_eq!(
        of_ingress.split_whitespace().collect::<Vec<_>>(),
        ["ingress", "no", "0", "0", "-", "-", "-", "WaitingForWorkload"],
        "{out}"
    );
    assert!(out.contains(&format!("control plane namespace {}\n", stage.plane("prod"))), "{out}");
    let (code, out, words) = status(&["nobody"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(words.contains("there is no ControlPlaneIdentity nobody"), "{words}");
}

#[tokio::test]
async fn status_goes_on_with_a_line_for_each_change() {
    let stage = Stage::new("c-watch").await;
    stage.create_cluster("prod", |cluster| cluster["spec"]["pausedUntil"] = json!("true")).await;
    let _daemon = stage.daemon(&[]).await;
    stage.ready_reason("prod", "Paused").await;
    let mut command = stage.command(&admin(), &["status", "-n", &stage.namespace, "-w"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut next = move || lines.next().expect("a line").expect("text");
    assert!(next().starts_with("NAME"));
    assert!(next().contains("Paused"));
    stage.apply_cluster("prod", |_| {}).await;
    let line = tokio::task::spawn_blocking(next);
    let line = tokio::time::timeout(std::time::Duration::from_secs(20), line).await.expect("a line").expect("a line");
    child.kill().and_then(|()| child.wait()).expect("it ends");
    assert!(line.contains("WaitingForWorkload"), "{line}");
}

fn specs(objects: &[DynamicObject]) -> BTreeMap<String, (Option<i64>, Value)> {
    objects
        .iter()
        .map(|object| (object.name_any(), (object.metadata.generation, object.data["spec"].clone())))
        .collect()
}

fn is_ours(object: &DynamicObject) -> bool {
    object.managed_fields().iter().any(|entry| entry.manager.as_deref() == Some("hcp-identity"))
        || object.labels().get("app.kubernetes.io/managed-by").is_some_and(|value| value == "hcp-identity")
}

/// Operators that update, that apply and that are library-go's have made the Deployments that we wired.
#[tokio::test]
async fn release_hands_every_object_to_its_writer_and_changes_no_spec() {
    let stage = Stage::new("c-release").await;
    let mut plane = ControlPlane::new(stage.hosted_cluster("prod", |_| {}), KEY_VAULT_USER);
    plane.azure = Azure::Absent;
    plane.create(&stage.client).await.expect("a control plane namespace");
    let mut operators = plane.operators(&stage.client);
    for operator in &mut operators {
        operator.reconcile().await.expect("the operator writes");
    }
    let namespace = stage.plane("prod");
    let made = stage.list(&namespace, DEPLOYMENT).await;
    stage.apply_cluster("prod", |_| {}).await;
    let daemon = stage.daemon(&["--azure-cluster-identity", "apply"]).await;
    let written = async || {
        let kinds = [DEPLOYMENT, CLASS, CAPZ];
        let mut all = Vec::new();
        for kind in kinds {
            all.extend(stage.list(&namespace, kind).await);
        }
        all
    };
    wait_until("everything is wired", async || {
        let all = written().await;
        (all.len() == made.len() + 10 && all.iter().all(is_ours)).then_some(())
    })
    .await;
    let own = ["--control-plane-namespace", &namespace, "--lease-namespace", &stage.namespace];
    let release = |more: &[&str]| run(&stage, &[&["release"], &own[..], more].concat());
    let (code, out, words) = release(&[]);
    assert_eq!((code, out.as_str()), (2, ""), "{words}");
    assert!(words.contains("the daemon runs") && words.contains(&daemon.identity), "{words}");
    assert_eq!(daemon.stop().0, 0);

    let before = written().await;
    let (code, out, words) = release(&["--dry-run"]);
    assert_eq!((code, out.lines().count()), (0, before.len()), "{out}{words}");
    assert!(
        written().await.iter().all(is_ours) && stage.status("prod").await.is_some(),
        "a dry run has changed something"
    );
    let (code, out, words) = release(&[]);
    assert_eq!((code, out.lines().count()), (0, before.len()), "{out}{words}");
    let writers: BTreeMap<_, _> = out.lines().filter_map(|line| line.split_once(" handed over to ")).collect();
    for (object, writer) in &writers {
        let alone = *writer == "nobody";
        assert_eq!(alone, !object.starts_with("Deployment"), "{object} to {writer}");
    }
    assert!(writers.values().any(|writer| writer.starts_with("cluster-network-operator")), "{writers:#?}");
    let after = written().await;
    assert_eq!(specs(&after), specs(&before));
    assert!(!after.iter().any(is_ours));
    assert!(stage.list(&stage.namespace, STATUS).await.is_empty());
    assert_eq!(release(&[]).1, "", "there is nothing left");
}

#[tokio::test]
async fn the_azure_cluster_identity_follows_the_hosted_cluster() {
    let stage = Stage::new("c-capz").await;
    stage.create_cluster("prod", |_| {}).await;
    let daemon = stage.daemon(&["--azure-cluster-identity", "apply"]).await;
    let plane = stage.plane("prod");
    let client_id = async |wanted: &str| {
        wait_until(wanted, async || {
            let identity = stage.get(&plane, CAPZ, "prod").await?;
            (identity.data["spec"]["clientID"] == wanted).then_some(identity)
        })
        .await
    };
    let made = client_id("00000002-aaaa-4bbb-8ccc-000000000002").await;
    assert_eq!(made.data["spec"]["type"], "UserAssignedIdentityCredential");
    let other = "0000000f-aaaa-4bbb-8ccc-00000000000f";
    stage
        .apply_cluster("prod", |cluster| {
            let pointer = "/spec/platform/azure/azureAuthenticationConfig/managedIdentities/controlPlane/nodePoolManagement/clientID";
            *cluster.pointer_mut(pointer).expect("an id") = json!(other);
        })
        .await;
    let changed = client_id(other).await;
    assert_eq!(changed.metadata.uid, made.metadata.uid, "it was made anew");
    let written = |verb: &str| {
        daemon.metric(
            "hcp_identity_kubernetes_writes_total",
            &format!("verb=\"{verb}\",kind=\"azureclusteridentities\",outcome=\"done\""),
        )
    };
    assert_eq!((written("create"), written("patch")), (1.0, 1.0), "{}", daemon.metrics());
}

/// Asked for while the daemon runs, it is looked for before it is written.
#[tokio::test]
async fn somebody_elses_azure_cluster_identity_is_told_and_left_alone() {
    let stage = Stage::new("c-foreign").await;
    stage.create_cluster("prod", |_| {}).await;
    let plane = stage.plane("prod");
    let theirs = json!({
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "kind": "AzureClusterIdentity",
        "metadata": {"name": "prod", "namespace": plane},
        "spec": {"type": "ManualServicePrincipal", "clientID": "theirs", "tenantID": "theirs"},
    });
    let parameters = PostParams { field_manager: Some("their-operator".into()), ..Default::default() };
    let api = stage.api(&plane, CAPZ);
    let made = api.create(&parameters, &serde_json::from_value(theirs).expect("an identity")).await.expect("created");
    let settings = stage.file("settings.yaml");
    std::fs::write(&settings, "azureClusterIdentity: none").expect("settings");
    let proxy = Proxy::new(|request| request.contains("/azureclusteridentities?"), NOTHING);
    let mut daemon = stage.daemon_behind(&proxy, &["--settings", &settings.display().to_string()]);
    daemon.until_ready().await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
    std::fs::write(&settings, "azureClusterIdentity: apply").expect("settings");
    wait_until("they are asked for", async || (!proxy.held().is_empty()).then_some(())).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    proxy.hold(NOTHING);
    let status = stage.ready_reason("prod", "ForeignDrift").await;
    let message = component(&status, "nodepool")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("their-operator") && message.contains("clientID"), "{message}");
    let there = api.get("prod").await.expect("there");
    assert_eq!(there.resource_version(), made.resource_version());
    assert!(!daemon.metrics().contains("kind=\"azureclusteridentities\""), "it was written: {}", daemon.metrics());
    assert!(!daemon.log().contains("CapzNotInstalled"), "{}", daemon.log());
}
