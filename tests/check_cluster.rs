//! `check cluster` on a cluster that has nothing, then gets one thing after the other; as the daemon's account; and on servers that
//! are odd. On a cluster of its own, as what it looks at belongs to all of one.

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Output},
};

use axum::{
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use hcp_identity::cluster::{access::ACCESSES, fitness::Reason};
use serde_json::{Value, json};
use strum::IntoEnumIterator as _;
use support::{
    cluster::{OwnCluster, kubeconfig, kubectl, succeeds, wait_until},
    hcp_identity, read,
    stage::Stage,
    testdata, text,
};

const DRIVER: &str = "secrets-store.csi.k8s.io";

/// What was found, by what was looked at: verdict and reason.
struct Found {
    code: i32,
    checks: BTreeMap<String, String>,
    json: Value,
}

impl Found {
    fn of(&self, check: &str) -> &str {
        self.checks.get(check).map_or("", String::as_str)
    }

    /// Those that are neither ok nor unused.
    fn notable(&self) -> BTreeMap<&str, &str> {
        let all = self.checks.iter().map(|(check, found)| (check.as_str(), found.as_str()));
        all.filter(|(_, found)| !["ok AsItShouldBe", "skipped NotUsed"].contains(found)).collect()
    }
}

fn check_at(kubeconfig: &Path, arguments: &[&str]) -> Found {
    found(hcp_identity().args(["check", "cluster", "-o", "json", "--kubeconfig"]).arg(kubeconfig).args(arguments))
}

fn found(command: &mut Command) -> Found {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let json: Value = serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("{error}: {}", text(stderr)));
    let word = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let checks = json["checks"].as_array().expect("checks").iter();
    let checks =
        checks.map(|check| (word(check, "check"), format!("{} {}", word(check, "verdict"), word(check, "reason"))));
    Found { code: status.code().unwrap_or(-1), checks: checks.collect(), json }
}

fn check(arguments: &[&str]) -> Found {
    check_at(&kubeconfig(), arguments)
}

fn apply(object: &Value) {
    succeeds(kubectl().args(["apply", "-f", "-"]), &object.to_string());
}

/// One after the other, on one cluster.
#[tokio::test]
async fn a_cluster_becomes_fit_one_thing_after_the_other() {
    let _cluster = OwnCluster::start_with("check-cluster", &["--nodes", "2"]);
    a_bare_cluster_lacks_everything_but_itself();
    kinds_in_another_version_are_told_from_those_that_are_missing();
    kinds_that_are_served_are_fine().await;
    the_driver_is_looked_at_object_by_object();
    on_every_node().await;
    a_fit_cluster_is_fit_for_people_to_read();
    the_daemons_account_may_what_its_roles_allow().await;
    an_account_without_roles_may_nothing();
    vaults_are_asked_where_that_is_wanted().await;
    policies_are_compared_where_pods_are_wired_by_them();
}

fn policies_are_compared_where_pods_are_wired_by_them() {
    let found = || check(&["--pod-patch", "policy"]).of("admission policies").to_owned();
    assert_eq!(check(&[]).of("admission policies"), "skipped NotUsed");
    assert_eq!(found(), "error PoliciesMissing");
    let policies = succeeds(hcp_identity().args(["render", "--policies"]), "");
    succeeds(kubectl().args(["apply", "--server-side", "-f", "-"]), &policies);
    assert_eq!(found(), "ok AsItShouldBe");
    let patch = ["patch", "mutatingadmissionpolicy", "hcp-identity-kms", "--type", "merge", "-p"];
    succeeds(kubectl().args(patch).arg(json!({"spec": {"failurePolicy": "Fail"}}).to_string()), "");
    assert_eq!(found(), "error PoliciesOutdated");
}

/// As whoever this process is in Azure: the machine's identity, which may first list and then not.
async fn vaults_are_asked_where_that_is_wanted() {
    const TENANT: &str = "93b21e64-4824-439a-b893-46c9b2a51082";
    const READER: &str = "44444444-4444-4444-4444-444444444444";
    assert_eq!(check(&["--vaults"]).of("vaults"), "skipped NothingToLookAt");
    let stage = Stage::new("fit-vaults").await;
    stage.create_cluster("prod", |_| {}).await;
    let standin = azure_standin::Standin::start(azure_standin::Settings::default()).await.expect("a stand-in");
    let ca = stage.file("ca.pem");
    #[expect(clippy::disallowed_methods, reason = "the program reads a file")]
    std::fs::write(&ca, &standin.about().ca_pem).expect("a CA");
    for (role, wanted) in [("reader", "ok AsItShouldBe"), ("none", "error VaultDoesNotTell")] {
        let may = if role == "none" { json!([]) } else { json!([{"objectId": READER, "role": role}]) };
        let world = json!({
            "tenants": [{"id": TENANT}],
            "principals": [{"clientId": READER, "objectId": READER, "tenant": TENANT, "onMachine": true}],
            "vaults": [{"name": "mgmt-westeurope-1", "tenant": TENANT, "permissions": may}],
        });
        standin.azure().load(serde_json::from_value(world).expect("a world"));
        let mut command = hcp_identity();
        command.args(["check", "cluster", "--vaults", "-o", "json", "--kubeconfig"]).arg(kubeconfig());
        command.envs(standin.proxy_environment()).env("SSL_CERT_FILE", &ca);
        let found = tokio::task::spawn_blocking(move || found(&mut command)).await.expect("it ends");
        assert_eq!(found.of("vault mgmt-westeurope-1"), wanted, "{}", found.json);
    }
}

fn a_bare_cluster_lacks_everything_but_itself() {
    let found = check(&[]);
    let mut wanted = BTreeMap::from([
        ("CSIDriver", "error DriverNotInstalled"),
        ("CSI driver rotation", "skipped NothingToLookAt"),
        ("CSI driver on nodes", "error DriverNotOnNode"),
        ("CSI driver pods", "error DriverNotInstalled"),
        ("Azure provider pods", "error ProviderNotInstalled"),
    ]);
    for kind in ["HostedCluster", "SecretProviderClass", "SecretProviderClassPodStatus", "ControlPlaneIdentity"] {
        wanted.insert(["kind ", kind].concat().leak(), "error KindMissing");
    }
    assert_eq!((found.code, found.notable()), (1, wanted));
    assert_eq!(found.json["user"], "admin");
    assert_eq!(found.of("access azureclusteridentities.infrastructure.cluster.x-k8s.io (capz)"), "skipped NotUsed");
    for check in found.json["checks"].as_array().expect("checks") {
        assert_eq!(check["verdict"] == "error", check["remedy"].is_string(), "{check}");
    }
}

fn kinds_in_another_version_are_told_from_those_that_are_missing() {
    const NAME: &str = "hostedclusters.hypershift.openshift.io";
    apply(&json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": NAME},
        "spec": {
            "group": "hypershift.openshift.io", "scope": "Namespaced",
            "names": {"kind": "HostedCluster", "plural": "hostedclusters"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    }));
    succeeds(kubectl().args(["wait", "--for=condition=Established", "--timeout=60s", "crd", NAME]), "");
    let found = check(&[]);
    assert_eq!(found.of("kind HostedCluster"), "error VersionMissing");
    assert!(found.json.to_string().contains("is served as v1alpha1 and not as v1beta1"), "{:#}", found.json);
    assert_eq!(found.of("kind SecretProviderClass"), "error KindMissing");
    succeeds(kubectl().args(["delete", "crd", NAME, "--timeout=60s"]), "");
}

async fn kinds_that_are_served_are_fine() {
    succeeds(kubectl().args(["apply", "--server-side", "-f"]).arg(testdata("cluster/crds")), "");
    succeeds(kubectl().args(["apply", "--server-side", "-f", "manifests/crds/controlplaneidentities.yaml"]), "");
    wait_until("every kind is served", async || {
        let found = check(&["--azure-cluster-identity", "apply"]);
        let kinds: Vec<_> = found.checks.iter().filter(|(check, _)| check.starts_with("kind ")).collect();
        (kinds.len() == 5 && kinds.iter().all(|(_, found)| *found == "ok AsItShouldBe")).then_some(())
    })
    .await;
    assert_eq!(check(&[]).of("kind AzureClusterIdentity"), "skipped NotUsed");
}

fn the_driver_is_looked_at_object_by_object() {
    let object = |spec: Value| {
        succeeds(kubectl().args(["delete", "csidriver", DRIVER, "--ignore-not-found"]), "");
        apply(
            &json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": DRIVER}, "spec": spec}),
        );
        check(&[]).of("CSIDriver").to_owned()
    };
    let inline = json!(["Ephemeral"]);
    assert_eq!(object(json!({"podInfoOnMount": true})), "error DriverMisconfigured");
    assert_eq!(object(json!({"volumeLifecycleModes": inline})), "error DriverMisconfigured");
    let once = json!({"podInfoOnMount": true, "volumeLifecycleModes": inline});
    assert_eq!(object(once), "warning NotRepublished");
    let whole = json!({"podInfoOnMount": true, "attachRequired": false, "volumeLifecycleModes": inline, "requiresRepublish": true});
    assert_eq!(object(whole), "ok AsItShouldBe");

    for (arguments, verdict) in [
        (&["--enable-secret-rotation=false"][..], "error RotationOff"),
        (&[], "error RotationOff"),
        (&["--enable-secret-rotation=true", "--rotation-poll-interval=1h"], "ok AsItShouldBe"),
    ] {
        apply(&driver(arguments, &json!({"kubernetes.io/hostname": "none"})));
        assert_eq!(check(&[]).of("CSI driver rotation"), verdict, "{arguments:?}");
    }
}

fn driver(arguments: &[&str], nodes: &Value) -> Value {
    daemon_set("csi-secrets-store", "driver:v1.6.0", "/var/lib/kubelet/plugins/csi-secrets-store/", arguments, nodes)
}

fn provider(image: &str) -> Value {
    daemon_set("csi-provider", image, "/var/run/secrets-store-csi-providers", &[], &json!({}))
}

fn daemon_set(name: &str, image: &str, folder: &str, arguments: &[&str], nodes: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "nodeSelector": nodes,
                    "containers": [{"name": "main", "image": image, "args": arguments}],
                    "volumes": [{"name": "folder", "hostPath": {"path": folder}}],
                },
            },
        },
    })
}

async fn becomes(check_name: &str, wanted: &str) {
    wait_until(&format!("{check_name} is {wanted}"), async || (check(&[]).of(check_name) == wanted).then_some(()))
        .await;
}

async fn on_every_node() {
    let register = |node: &str| {
        let drivers = json!([{"name": DRIVER, "nodeID": node}, {"name": "disk.csi.azure.com", "nodeID": node}]);
        let drivers = json!({"drivers": drivers});
        apply(
            &json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": node}, "spec": drivers}),
        );
    };
    register("node-1");
    assert_eq!(check(&[]).of("CSI driver on nodes"), "error DriverNotOnNode");
    register("node-2");
    assert_eq!(check(&[]).of("CSI driver on nodes"), "ok AsItShouldBe");

    assert_eq!(check(&[]).of("CSI driver pods"), "error DriverNotReady");
    apply(&driver(&["--enable-secret-rotation=true"], &json!({})));
    becomes("CSI driver pods", "ok AsItShouldBe").await;

    // Another cloud's provider is none of Azure's.
    apply(&provider("provider-of-another:v1"));
    assert_eq!(check(&[]).of("Azure provider pods"), "error ProviderNotInstalled");
    succeeds(kubectl().args(["cordon", "node-2"]), "");
    let mut azure = provider("oss/azure/secrets-store/provider-azure:v1.8.2");
    azure["spec"]["template"]["spec"]["nodeSelector"] = json!({"kwok": "none"});
    apply(&azure);
    becomes("Azure provider pods", "error ProviderNotReady").await;
    apply(&provider("oss/azure/secrets-store/provider-azure:v1.8.2"));
    becomes("Azure provider pods", "ok AsItShouldBe").await;
    succeeds(kubectl().args(["uncordon", "node-2"]), "");
    becomes("Azure provider pods", "ok AsItShouldBe").await;
}

fn a_fit_cluster_is_fit_for_people_to_read() {
    let mut command = hcp_identity();
    let output = command.args(["check", "cluster", "--kubeconfig"]).arg(kubeconfig()).output().expect("it runs");
    let (out, words) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{words}");
    assert!(
        out.lines().all(|line| line.starts_with("ok[AsItShouldBe]: ") || line.starts_with("skipped[NotUsed]: ")),
        "{out}"
    );
    assert!(out.contains("ok[AsItShouldBe]: CSI driver pods: on all 2 nodes\n"), "{out}");
    assert!(words.starts_with("as admin: 0 errors, 0 warnings, "), "{words}");
}

/// With the roles that are shipped, and no more: what only a person reads is skipped.
async fn the_daemons_account_may_what_its_roles_allow() {
    let stage = Stage::new("fit").await;
    let lease = ["--lease-namespace", &stage.namespace, "--azure-cluster-identity", "apply"];
    let found = check_at(&stage.kubeconfig, &lease);
    let skipped = BTreeMap::from([
        ("CSIDriver", "skipped NotAllowedToLook"),
        ("CSI driver rotation", "skipped NotAllowedToLook"),
        ("CSI driver on nodes", "skipped NotAllowedToLook"),
        ("CSI driver pods", "skipped NotAllowedToLook"),
        ("Azure provider pods", "skipped NotAllowedToLook"),
    ]);
    assert_eq!((found.code, found.notable()), (0, skipped));
    let user = format!("system:serviceaccount:{}:hcp-identity", stage.namespace);
    assert_eq!(found.json["user"], user);
    let same = check(&[&["--as", &user], &lease[..]].concat());
    assert_eq!(same.checks, found.checks);
    // Its Lease is that of one namespace.
    let elsewhere = check_at(&stage.kubeconfig, &["--lease-namespace", "default"]);
    assert_eq!(elsewhere.of("access leases.coordination.k8s.io (leader)"), "error AccessDenied");
}

fn an_account_without_roles_may_nothing() {
    let denied = |more: &[&str]| {
        let found = check(&[&["--as", "system:serviceaccount:default:nobody"], more].concat());
        assert_eq!(found.code, 1);
        found.checks.values().filter(|found| *found == "error AccessDenied").count()
    };
    let restart = ["--rotation", "restart", "--credential-check", "content"];
    // Policies are two, and looked at where nobody wires Deployments; three are of webhooks: ServiceAccounts, the authority of
    // certificates and whom it is told to; two are of what says to pods as whom they sign in.
    let all = ACCESSES.len() - 2 - 3 - 2;
    let identify = ["--workload-identity-webhook", "--workload-identity-tenant-id", "tenant"];
    assert_eq!(denied(&[&["--azure-cluster-identity", "apply"], &restart[..], &identify].concat()), all + 3);
    assert_eq!(denied(&[&["--azure-cluster-identity", "apply"], &restart[..]].concat()), all);
    assert_eq!(denied(&["--azure-cluster-identity", "apply"]), all - 1);
    assert_eq!(denied(&[]), all - 2);
    assert_eq!(denied(&["--pod-patch", "none"]), all - 3);
    assert_eq!(denied(&["--pod-patch", "policy"]), all - 3 + 2);
    assert_eq!(denied(&["--pod-patch", "webhook", "--webhook-certificates", "files"]), all - 3);
    assert_eq!(denied(&["--mode", "observe"]), all - 4);
    assert_eq!(denied(&["--mode", "observe", "--configuration-check", "metadata"]), all - 4 + 2);
}

/// A server that says its version, and to everything else the same.
fn odd_server(name: &str, date: &'static str, code: StatusCode) -> std::path::PathBuf {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let server = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let answer = async move |request: Request| answer(request.uri().path(), date, code);
            axum::serve(listener, axum::Router::new().fallback(answer)).await.expect("it serves");
        });
    });
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "odd",
        "clusters": [{"name": "odd", "cluster": {"server": server}}],
        "users": [{"name": "odd", "user": {}}],
        "contexts": [{"name": "odd", "context": {"cluster": "odd", "user": "odd"}}],
    });
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.kubeconfig"));
    #[expect(clippy::disallowed_methods, reason = "a kubeconfig is a file")]
    std::fs::write(&path, config.to_string()).expect("a kubeconfig");
    path
}

fn answer(path: &str, date: &str, code: StatusCode) -> Response {
    let version = json!({
        "major": "1", "minor": "30", "gitVersion": "v1.30.1", "gitCommit": "", "gitTreeState": "", "buildDate": "",
        "goVersion": "", "compiler": "", "platform": "",
    });
    let status =
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code.as_u16(), "message": "odd"});
    let (code, body) = if path == "/version" { (StatusCode::OK, version) } else { (code, status) };
    (code, [(header::DATE, date), (header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

#[test]
fn an_old_server_with_another_time_is_told_and_what_is_forbidden_is_skipped() {
    let found = check_at(&odd_server("odd-old", "Tue, 01 Nov 2022 10:00:00 GMT", StatusCode::FORBIDDEN), &[]);
    assert_eq!(found.of("server version"), "warning OldVersion");
    assert_eq!((found.code, found.of("clock")), (1, "error ClockSkew"));
    let others = found.checks.iter().filter(|(check, _)| !["server version", "clock"].contains(&check.as_str()));
    let words: std::collections::BTreeSet<_> = others.map(|(_, found)| found.as_str()).collect();
    assert_eq!(words.into_iter().collect::<Vec<_>>(), ["skipped NotAllowedToLook", "skipped NotUsed"]);
    assert!(found.json.to_string().contains("may not list Nodes"), "{:#}", found.json);
}

#[test]
fn what_fails_is_an_error_and_nobodys_all_clear() {
    let found = check_at(&odd_server("odd-failing", "no date", StatusCode::UNPROCESSABLE_ENTITY), &[]);
    assert_eq!(found.of("clock"), "skipped NothingToLookAt");
    assert_eq!(
        (found.code, found.of("CSIDriver"), found.of("kind HostedCluster")),
        (1, "error RequestFailed", "error RequestFailed")
    );
}

#[test]
fn a_server_that_is_not_there_is_exit_code_2() {
    let path = odd_server("odd-absent", "", StatusCode::OK);
    let config = read(&path);
    let server = config.split('"').find(|word| word.starts_with("http://")).expect("a server").to_owned();
    #[expect(clippy::disallowed_methods, reason = "a kubeconfig is a file")]
    std::fs::write(&path, config.replace(&server, "http://127.0.0.1:1")).expect("a kubeconfig");
    let output = hcp_identity().args(["check", "cluster", "--kubeconfig"]).arg(path).output().expect("it runs");
    let words = text(output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{words}");
    assert!(words.contains("cannot ask the API server for its version"), "{words}");
}

#[test]
fn every_reason_is_documented_and_seen_here() {
    let documented = read(Path::new("docs/check.md"));
    let tests = read(Path::new("tests/check_cluster.rs"));
    for reason in Reason::iter() {
        assert!(documented.contains(&format!("| `{reason}` |")), "docs/check.md does not explain {reason}");
        assert!(tests.contains(&format!(" {reason}\"")), "nothing here shows {reason}");
    }
}
