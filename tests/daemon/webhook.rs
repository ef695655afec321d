//! `podPatch: webhook`: pods are wired as they are created, by us; without us they are created all the same.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, http::StatusCode, routing::post};
use azure_standin::authority as standin;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::{StreamExt as _, stream};
use hcp_identity::{
    certificates::{Authority, Leaf, Lifetimes, Service},
    webhook::{Limits, PATH, serve_router},
};
use jiff::{SignedDuration, Timestamp};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
};

use crate::{
    credentials::World,
    policies::{ADMISSION, reconcile, unwired},
    support::{
        cluster::{kubectl, label_namespace, succeeds, wait_until},
        pipe, read,
        stage::{CLASS, DEPLOYMENT, Daemon, HOSTED_CLUSTER, POD, Stage, free_port},
    },
};

const SERVICE: &str = "hcp-identity-webhook";
const LABEL: &str = "hypershift.openshift.io/hosted-control-plane";

/// The entry as it is shipped, and a way for the API server to a port of this machine.
struct Registration {
    name: String,
    flags: Vec<String>,
    port: u16,
}

impl Registration {
    /// Of a daemon that makes its certificate: of this name there is one in a cluster.
    fn new(stage: &Stage) -> Self {
        Self::applied(stage, "hcp-identity", &[], |_| {})
    }

    /// Of a daemon with a certificate of files, and for one control plane: there may be others.
    fn of_files(stage: &Stage, plane: &str) -> Self {
        let (flags, authority) = certificate_of_files(stage);
        Self::applied(stage, &stage.namespace, &flags.each_ref().map(String::as_str), |entry| {
            entry["clientConfig"]["caBundle"] = json!(BASE64_STANDARD.encode(authority.pem()));
            let own = json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": [plane]});
            entry["namespaceSelector"]["matchExpressions"] = json!([own]);
        })
    }

    fn applied(stage: &Stage, name: &str, flags: &[&str], edit: impl FnOnce(&mut Value)) -> Self {
        let port = free_port();
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": stage.namespace},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        });
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/components/webhook/registration.yaml");
        let mut shipped: Value = serde_saphyr::from_str(&read(&file)).expect("YAML");
        shipped["metadata"]["name"] = json!(name);
        let entry = &mut shipped["webhooks"][0];
        entry["clientConfig"]["service"]["namespace"] = json!(stage.namespace);
        entry["clientConfig"]["service"]["port"] = json!(port);
        edit(entry);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [service, shipped]}).to_string();
        succeeds(kubectl().args(["apply", "--server-side", "--force-conflicts", "-f", "-"]), &list);
        let address = format!("127.0.0.1:{port}");
        let flags = [&["--pod-patch", "webhook", "--listen-webhook", &address], flags].concat();
        Self { name: name.to_owned(), flags: flags.into_iter().map(str::to_owned).collect(), port }
    }

    /// Of the daemon.
    fn flags(&self) -> Vec<&str> {
        self.flags.iter().map(String::as_str).collect()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        succeeds(kubectl().args(["delete", "mutatingwebhookconfiguration", &self.name]), "");
    }
}

/// A certificate for the webhook's Service, as flags of the daemon, and who has signed it.
pub(super) fn certificate_of_files(stage: &Stage) -> ([String; 4], standin::Authority) {
    let authority = standin::Authority::new("authority").expect("an authority");
    let (key, _) = standin::server_key().expect("a key");
    let chain = authority.server(&format!("{SERVICE}.{}.svc", stage.namespace), &key).expect("a certificate");
    let pem = |der: &CertificateDer<'_>| {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64_STANDARD.encode(der))
    };
    let folder = stage.file("certificates");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("tls.crt"), chain.iter().map(pem).collect::<String>()).expect("a certificate");
    fs::write(folder.join("tls.key"), key.serialize_pem()).expect("a key");
    let folder = folder.to_str().expect("text");
    (["--webhook-certificates", "files", "--webhook-certificate-folder", folder].map(str::to_owned), authority)
}

async fn daemon(stage: &Stage, registration: &Registration) -> Daemon {
    stage.daemon(&registration.flags()).await
}

/// A pod of the ingress operator, as a ReplicaSet makes it; no node has room for as many as there come.
fn ingress() -> DynamicObject {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": "ingress-operator-", "labels": {"app": "ingress-operator"}},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "ingress-operator", "image": "x"}]},
    });
    serde_json::from_value(pod).expect("a pod")
}

fn is_wired(pod: &DynamicObject) -> bool {
    let volumes = pod.data["spec"]["volumes"].as_array().into_iter().flatten();
    volumes.into_iter().any(|volume| volume.pointer("/csi/volumeAttributes/secretProviderClass").is_some())
}

async fn create(stage: &Stage, plane: &str) -> DynamicObject {
    stage.api(plane, POD).create(&PostParams::default(), &ingress()).await.expect("no pod is kept away")
}

/// What would become of a pod.
async fn try_to_create(stage: &Stage, plane: &str) -> DynamicObject {
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    stage.api(plane, POD).create(&dry_run, &ingress()).await.expect("no pod is kept away")
}

async fn until_wiring(stage: &Stage, plane: &str) {
    wait_until("pods are wired", async || is_wired(&try_to_create(stage, plane).await).then_some(())).await;
}

#[tokio::test]
async fn pods_are_wired_by_the_webhook_and_no_deployment_changes() {
    let _alone = ADMISSION.lock().await;
    let stage = Stage::new("webhook").await;
    let registration = Registration::new(&stage);
    let mut operators = unwired(&stage).await;
    reconcile(&mut operators).await;
    let written = reconcile(&mut operators).await;
    let plane = stage.plane("prod");
    let pods = async || stage.list(&plane, POD).await;
    wait_until("there are pods", async || (pods().await.len() == 11).then_some(())).await;
    let before = (stage.generations(&plane, CLASS).await, stage.generations(&plane, DEPLOYMENT).await);

    let daemon = daemon(&stage, &registration).await;
    let status = stage.ready_reason("prod", "NotInjected").await;
    assert_eq!(status["wired"], "0/9", "{status:#}");
    wait_until("every pod is wired", async || {
        for pod in pods().await {
            let hands_on = ["cluster-network-operator", "cluster-storage-operator"];
            let is_done = is_wired(&pod) || hands_on.contains(&pod.labels()["app"].as_str());
            if !is_done && pod.metadata.deletion_timestamp.is_none() {
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
    assert!(daemon.metric("hcp_identity_admission_requests_total", "outcome=\"wired\"") >= 9.0);
}

/// What was created while the webhook was down is replaced, one pod at a time, by rotation's rules.
#[tokio::test]
async fn pods_that_the_webhook_missed_are_replaced_one_at_a_time() {
    let world = World::new("c-unwired").await;
    let stage = &world.stage;
    stage.create_cluster("prod", |_| {}).await;
    let plane = stage.plane("prod");
    let registration = Registration::of_files(stage, &plane);
    label_namespace(&stage.client, &plane, LABEL).await;
    world.store_versions("v1", "v1");
    stage.create_workloads("prod", 1).await;
    let names = async || -> BTreeSet<String> {
        stage.list(&plane, POD).await.iter().map(kube::ResourceExt::name_any).collect()
    };
    wait_until("there are pods", async || (names().await.len() == 11).then_some(())).await;
    let (before, generations) = (names().await, stage.generations(&plane, DEPLOYMENT).await);
    let checks = ["--credential-check", "content", "--rotation", "restart"];
    let daemon = world.daemon(&[&registration.flags(), &checks[..]].concat()).await;
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
    assert!(is_wired(&pod), "{:#}", pod.data["spec"]);
    // The next one waits for two minutes again.
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(names().await.difference(&before).count(), 1);
    assert_eq!(stage.generations(&plane, DEPLOYMENT).await, generations, "no workload was touched");
    drop(daemon);
}

/// What is answered says why, to whoever creates the pod.
#[tokio::test]
async fn a_pod_that_cannot_mount_is_admitted_as_it_is_with_a_warning() {
    let _alone = ADMISSION.lock().await;
    let stage = Stage::new("w-held").await;
    let registration = Registration::new(&stage);
    stage.create_cluster("prod", |_| {}).await;
    let plane = stage.plane("prod");
    label_namespace(&stage.client, &plane, LABEL).await;
    let _daemon = daemon(&stage, &registration).await;
    until_wiring(&stage, &plane).await;
    assert!(is_wired(&create(&stage, &plane).await));

    let create = || {
        let pod = serde_json::to_string(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"generateName": "ingress-operator-", "namespace": plane, "labels": {"app": "ingress-operator"}},
            "spec": {
                "containers": [{"name": "ingress-operator", "image": "x"}],
                "volumes": [{"name": "ingress-cert", "emptyDir": {}}],
            },
        }));
        let mut command = kubectl();
        command.args(["create", "-f", "-"]);
        pipe(&mut command, pod.expect("JSON").as_bytes())
    };
    let output = create();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Warning: hcp-identity does not wire this pod: spec.volumes[0]"), "{said}");

    let annotate = json!({"metadata": {"annotations": {"hcpidentity.dev/mode": "observe"}}});
    let api = stage.api(&stage.namespace, HOSTED_CLUSTER);
    api.patch("prod", &PatchParams::default(), &Patch::Merge(&annotate)).await.expect("a HostedCluster");
    wait_until("pods are left alone", async || {
        let said = String::from_utf8_lossy(&create().stderr).into_owned();
        said.contains("does not wire this pod: Observing: mode is observe").then_some(())
    })
    .await;
}

/// A server on the webhook's port that is not the daemon, with a certificate that the entry trusts.
struct Other {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Other {
    /// The certificate is made at a moment, and lasts for a day.
    async fn start(stage: &Stage, port: u16, made: Timestamp, router: Router) -> Self {
        let lifetimes = Lifetimes::default();
        let authority = Authority::new(made, &lifetimes).expect("an authority");
        let service = Service { name: SERVICE.to_owned(), namespace: stage.namespace.clone() };
        let leaf = Leaf::new(&authority, &service, made, &lifetimes).expect("a certificate");
        trust(&authority.bundle());
        let listener = listen(port).await;
        let (certificate, certificates) = watch::channel(Some(leaf.certified));
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let stop = async { drop(stopped.await) };
            serve_router(listener, router, certificates, Limits::default(), stop).await.expect("TLS");
            drop(certificate);
        });
        Self { stop, task }
    }

    async fn end(self) {
        drop(self.stop);
        self.task.await.expect("it ends");
    }
}

/// Has the entry trust another CA.
fn trust(bundle: &[u8]) {
    let patch = json!([{
        "op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": BASE64_STANDARD.encode(bundle),
    }]);
    let patch = patch.to_string();
    succeeds(
        kubectl().args(["patch", "mutatingwebhookconfiguration", "hcp-identity", "--type", "json", "-p", &patch]),
        "",
    );
}

async fn listen(port: u16) -> TcpListener {
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    wait_until("the port is free", async || TcpListener::bind(address).await.ok()).await
}

/// How a review is answered, wiring nothing but saying that it was asked.
fn answers(body: &Bytes) -> Value {
    let review: Value = serde_json::from_slice(body).expect("JSON");
    let patch = json!([{"op": "add", "path": "/metadata/annotations", "value": {"asked": "true"}}]).to_string();
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {
            "uid": review["request"]["uid"], "allowed": true,
            "patchType": "JSONPatch", "patch": BASE64_STANDARD.encode(patch),
        },
    })
}

/// What a server may answer that is of no use, each under its name.
fn nonsense() -> Vec<(&'static str, Router)> {
    let answering = |text: &'static str| Router::new().route(PATH, post(async move || text));
    let edited = |edit: fn(&mut Value)| {
        Router::new().route(
            PATH,
            post(async move |body: Bytes| {
                let mut answer = answers(&body);
                edit(&mut answer);
                answer.to_string()
            }),
        )
    };
    vec![
        ("nothing", answering("")),
        ("no JSON", answering("\u{0}\u{1}garbage")),
        ("another object", answering("{\"apiVersion\":\"v1\",\"kind\":\"Pod\"}")),
        ("an error", Router::new().route(PATH, post(async || StatusCode::INTERNAL_SERVER_ERROR))),
        ("no such entry", Router::new()),
        ("another uid", edited(|answer| answer["response"]["uid"] = json!("another"))),
    ]
}

/// Whatever becomes of us, pods are created.
#[tokio::test]
async fn nothing_that_becomes_of_the_webhook_keeps_a_pod_away() {
    let _alone = ADMISSION.lock().await;
    let stage = Stage::new("w-faults").await;
    let registration = Registration::new(&stage);
    stage.create_cluster("prod", |_| {}).await;
    let plane = stage.plane("prod");
    label_namespace(&stage.client, &plane, LABEL).await;
    assert!(!is_wired(&create(&stage, &plane).await), "nobody answers yet");
    let hanging = daemon(&stage, &registration).await;
    until_wiring(&stage, &plane).await;

    hanging.signal("-STOP");
    let start = Instant::now();
    assert!(!is_wired(&create(&stage, &plane).await), "it hangs");
    assert!(start.elapsed() >= Duration::from_secs(2), "it was asked");
    hanging.signal("-CONT");
    until_wiring(&stage, &plane).await;
    hanging.signal("-KILL");
    drop(hanging);
    assert!(!is_wired(&create(&stage, &plane).await), "it is dead");

    let babbler = listen(registration.port).await;
    let babble = tokio::spawn(async move {
        while let Ok((mut stream, _)) = babbler.accept().await {
            stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await.ok();
        }
    });
    assert!(!is_wired(&create(&stage, &plane).await), "it speaks no TLS");
    babble.abort();
    babble.await.expect_err("it was aborted");

    let asked = |pod: &DynamicObject| pod.annotations().contains_key("asked");
    let now = Timestamp::now();
    let sound = || Router::new().route(PATH, post(async |body: Bytes| answers(&body).to_string()));
    let other = Other::start(&stage, registration.port, now, sound()).await;
    wait_until("another server is asked", async || asked(&try_to_create(&stage, &plane).await).then_some(())).await;
    other.end().await;
    for (what, router) in nonsense() {
        let other = Other::start(&stage, registration.port, now, router).await;
        let pod = create(&stage, &plane).await;
        assert!(!asked(&pod) && !is_wired(&pod), "{what}");
        other.end().await;
    }
    let expired = now - SignedDuration::from_hours(25);
    let other = Other::start(&stage, registration.port, expired, sound()).await;
    // The API server may yet trust the CA before.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!asked(&create(&stage, &plane).await), "its certificate has expired");
    other.end().await;

    // What somebody else has written is theirs.
    let mine = daemon(&stage, &registration).await;
    let status = stage.ready_reason("prod", "WebhookUnavailable").await;
    assert!(status.to_string().contains("conflict with \\\"kubectl-patch\\\""), "{status:#}");
    drop(mine);
    let patch = json!([{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]).to_string();
    succeeds(
        kubectl().args(["patch", "mutatingwebhookconfiguration", "hcp-identity", "--type", "json", "-p", &patch]),
        "",
    );
    let _again = daemon(&stage, &registration).await;
    until_wiring(&stage, &plane).await;
    let created = stream::iter(0..2_000).map(|_| create(&stage, &plane)).buffer_unordered(64).map(|pod| is_wired(&pod));
    let wired = created.filter(|wired| std::future::ready(*wired)).count().await;
    assert_eq!(wired, 2_000);
    stage
        .api(&plane, POD)
        .delete_collection(&DeleteParams::default().grace_period(0), &Default::default())
        .await
        .expect("they go");
}

/// The other entry, of a daemon that wires nothing: it makes its certificate, tells API servers whom to trust, and reads the
/// ServiceAccounts by itself. Without it no such pod is created.
#[tokio::test]
async fn pods_are_given_their_workload_identity_by_the_daemon() {
    let _alone = ADMISSION.lock().await;
    let stage = Stage::new("w-identity").await;
    let (port, namespace) = (free_port(), &stage.namespace);
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/components/workload-identity-webhook/registration.yaml");
    let mut shipped: Value = serde_saphyr::from_str(&read(&file)).expect("YAML");
    let entry = &mut shipped["webhooks"][0];
    entry["clientConfig"]["service"]["namespace"] = json!(namespace);
    entry["clientConfig"]["service"]["port"] = json!(port);
    let own = json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespace]});
    entry["namespaceSelector"]["matchExpressions"] = json!([own]);
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {
            "name": "web", "namespace": namespace, "annotations": {"azure.workload.identity/client-id": "the-client"},
        },
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": namespace},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [account, service, shipped]}).to_string();
    succeeds(kubectl().args(["apply", "--server-side", "--force-conflicts", "-f", "-"]), &list);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": "web-", "labels": {"azure.workload.identity/use": "true"}},
        "spec": {"serviceAccountName": "web", "containers": [{"name": "web", "image": "x"}]},
    });
    let pod: DynamicObject = serde_json::from_value(pod).expect("a pod");
    let create = async || stage.api(namespace, POD).create(&PostParams::default(), &pod).await;
    let refused = |created: kube::Result<DynamicObject>| {
        created.err().map(|error| error.to_string()).filter(|error| error.contains("failed calling webhook"))
    };
    wait_until("no such pod is created", async || refused(create().await)).await;

    let address = format!("127.0.0.1:{port}");
    let identify =
        ["--pod-patch", "none", "--workload-identity-webhook", "--workload-identity-tenant-id", "the-tenant"];
    let daemon = stage.daemon(&[&identify[..], &["--listen-webhook", &address]].concat()).await;
    let created = wait_until("pods are created again", async || create().await.ok()).await;
    let container = &created.data["spec"]["containers"][0];
    assert_eq!(container["env"][0], json!({"name": "AZURE_CLIENT_ID", "value": "the-client"}), "{container:#}");
    assert_eq!(container["env"][1], json!({"name": "AZURE_TENANT_ID", "value": "the-tenant"}));
    assert!(daemon.metric("hcp_identity_admission_requests_total", "outcome=\"identified\"") >= 1.0);

    drop(daemon);
    wait_until("no such pod is created any more", async || refused(create().await)).await;
    succeeds(kubectl().args(["delete", "mutatingwebhookconfiguration", "hcp-identity-workload-identity"]), "");
}
