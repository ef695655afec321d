//! The webhook's own authority on a real kube-apiserver: its Secret, the registrations, and what holds the daemon to one field
//! of them. `hack/test` starts one; by hand:
//!
//!     eval "$(hack/cluster up)"; cargo test --features test-cluster --test authority; hack/cluster down

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    http::{HeaderValue, header},
    middleware::map_response,
    response::Response,
};
use futures::future::join_all;
use hcp_identity::{
    admission::{ControlPlane, ControlPlanes, Outcome},
    certificates::{Authority, Lifetimes},
    cluster::{
        certificates::{Orders, REGISTRATIONS, SECRET, SERVICE, Served, Standing, keep},
        daemon::Applied,
    },
    settings::{SettingsFile, daemon::DaemonSettings},
    webhook::{Limits, router, serve_router},
};
use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::{
        admissionregistration::v1::MutatingWebhookConfiguration,
        core::v1::{Pod, Secret},
    },
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use support::cluster::{fresh_name, kubeconfig, kubectl, succeeds, wait_until};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// Of the daemon, as `manifests/` has it: its account is named in the policy.
const NAMESPACE: &str = "hcp-identity";
const ACCOUNT: &str = "system:serviceaccount:hcp-identity:hcp-identity";

/// What the component webhook-self-signed has.
const COMPONENT: [&str; 3] = ["webhook-authority.yaml", "webhook-registration.yaml", "guard.yaml"];

/// Seconds where a daemon has months, hours and minutes.
const SHORT: Lifetimes = Lifetimes {
    authority: Duration::from_secs(9),
    overlap: Duration::from_secs(1),
    leaf: Duration::from_secs(3),
    skew: Duration::ZERO,
};

#[expect(clippy::disallowed_methods, reason = "the API server has no other clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn config() -> Kubeconfig {
    Kubeconfig::read_from(kubeconfig()).expect("a kubeconfig")
}

async fn client_of(change: impl FnOnce(&mut Config)) -> Client {
    let mut config = Config::from_custom_kubeconfig(config(), &KubeConfigOptions::default()).await.expect("a context");
    change(&mut config);
    Client::try_from(config).expect("a client")
}

async fn admin() -> Client {
    client_of(|_| {}).await
}

/// Whatever the daemon may do, by hand.
async fn as_the_daemon(groups: &[&str]) -> Client {
    client_of(|config| {
        config.auth_info.impersonate = Some(ACCOUNT.to_owned());
        config.auth_info.impersonate_groups = Some(groups.iter().map(ToString::to_string).collect());
    })
    .await
}

/// The daemon's client, with the daemon's token.
async fn daemon(namespace: &str) -> Client {
    let token = succeeds(kubectl().args(["-n", namespace, "create", "token", "hcp-identity"]), "");
    client_of(|config| {
        config.auth_info = serde_json::from_value(json!({"token": token.trim()})).expect("a user");
    })
    .await
}

/// The account, its roles and the policy, as they are shipped.
async fn install() {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    let apply = |file: &str| {
        let mut apply = kubectl();
        apply.args(["apply", "--server-side", "--force-conflicts", "-f"]).arg(manifests.join(file));
        apply
    };
    succeeds(&mut apply("base/namespace.yaml"), "");
    succeeds(apply("base/service-account.yaml").args(["-n", NAMESPACE]), "");
    for file in COMPONENT {
        succeeds(&mut apply(&format!("components/webhook-self-signed/{file}")), "");
    }
    register("hcp-identity", 443, &json!({"none": "such"})).await;
    let client = as_the_daemon(&[]).await;
    let tampered = json!([{"op": "add", "path": "/metadata/labels/a", "value": "b"}]);
    wait_until("the policy is in force", async || {
        change(&client, &tampered, Trying::Only).await.is_err().then_some(())
    })
    .await;
    let tried = PostParams { dry_run: true, ..PostParams::default() };
    wait_until("and the other one", async || {
        secrets(&client).create(&tried, &token("token")).await.is_err().then_some(())
    })
    .await;
}

async fn register(name: &str, port: u16, labels: &Value) {
    let admin = admin().await;
    delete(&admin, name).await;
    let registration = registration(name, port, labels);
    registrations(&admin).create(&PostParams::default(), &registration).await.expect("a new registration");
}

fn registrations(client: &Client) -> Api<MutatingWebhookConfiguration> {
    Api::all(client.clone())
}

fn secrets(client: &Client) -> Api<Secret> {
    Api::namespaced(client.clone(), NAMESPACE)
}

/// A Secret that would be filled with a token of the daemon's account.
fn token(name: &str) -> Secret {
    let secret = json!({
        "metadata": {"name": name, "annotations": {"kubernetes.io/service-account.name": "hcp-identity"}},
        "type": "kubernetes.io/service-account-token",
    });
    serde_json::from_value(secret).expect("a Secret")
}

/// With every field that there is but `url`, for pods of namespaces with a label.
fn registration(name: &str, port: u16, labels: &Value) -> MutatingWebhookConfiguration {
    let entry = json!({
        "name": format!("{name}.hcpidentity.dev"),
        "clientConfig": {"service": {"name": SERVICE, "namespace": NAMESPACE, "port": port, "path": "/wire-pods"}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "Namespaced"}],
        "failurePolicy": "Fail", "sideEffects": "None", "timeoutSeconds": 10, "admissionReviewVersions": ["v1"],
        "matchPolicy": "Equivalent", "reinvocationPolicy": "Never",
        "namespaceSelector": {"matchLabels": labels}, "objectSelector": {},
        "matchConditions": [{"name": "all", "expression": "true"}],
    });
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {
            "name": name, "labels": {"app.kubernetes.io/name": "hcp-identity"}, "annotations": {"example.com/a": "b"},
        },
        "webhooks": [entry],
    });
    serde_json::from_value(configuration).expect("a registration")
}

async fn delete(client: &Client, name: &str) {
    let api = registrations(client);
    drop(api.delete(name, &DeleteParams::default()).await);
    wait_until("it is gone", async || api.get_opt(name).await.expect("an answer").is_none().then_some(())).await;
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Trying {
    Only,
    InEarnest,
}

/// A JSON patch of the first registration.
async fn change(client: &Client, change: &Value, trying: Trying) -> Result<(), String> {
    let parameters = PatchParams {
        field_manager: Some("hcp-identity".to_owned()),
        dry_run: trying == Trying::Only,
        ..PatchParams::default()
    };
    let change: json_patch::Patch = serde_json::from_value(change.clone()).expect("a JSON patch");
    let patched = registrations(client).patch("hcp-identity", &parameters, &Patch::Json::<()>(change)).await;
    patched.map(drop).map_err(|error| error.to_string())
}

/// Changes of every field that people write, but the one.
fn tamperings() -> Vec<Value> {
    let set = |path: &str, value: Value| json!([{"op": "add", "path": path, "value": value}]);
    let entry = |field: &str, value: Value| set(&format!("/webhooks/0/{field}"), value);
    let owner = json!({"apiVersion": "v1", "kind": "Namespace", "name": "x", "uid": "1"});
    let another = json!({
        "name": "another.hcpidentity.dev", "clientConfig": {"url": "https://localhost"}, "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    });
    vec![
        set("/metadata/labels/a", json!("b")),
        json!([{"op": "remove", "path": "/metadata/labels"}]),
        set("/metadata/annotations/a", json!("b")),
        set("/metadata/finalizers", json!(["example.com/f"])),
        set("/metadata/ownerReferences", json!([owner])),
        set("/webhooks/-", another),
        json!([{"op": "remove", "path": "/webhooks/0"}]),
        json!([{"op": "remove", "path": "/webhooks"}]),
        entry("name", json!("another.hcpidentity.dev")),
        entry("clientConfig/service/name", json!("another")),
        entry("clientConfig/service/namespace", json!("another")),
        entry("clientConfig/service/path", json!("/another")),
        entry("clientConfig/service/port", json!(444)),
        entry("clientConfig", json!({"url": "https://localhost/"})),
        entry("rules/0/resources", json!(["secrets"])),
        entry("rules/0/operations", json!(["*"])),
        entry("rules/0/apiGroups", json!(["apps"])),
        entry("rules/0/apiVersions", json!(["*"])),
        entry("rules/0/scope", json!("*")),
        entry("rules", json!([])),
        entry("failurePolicy", json!("Ignore")),
        entry("sideEffects", json!("NoneOnDryRun")),
        entry("timeoutSeconds", json!(30)),
        entry("admissionReviewVersions", json!(["v1", "v1beta1"])),
        entry("matchPolicy", json!("Exact")),
        entry("reinvocationPolicy", json!("IfNeeded")),
        entry("namespaceSelector", json!({})),
        entry("objectSelector", json!({"matchLabels": {"a": "b"}})),
        entry("matchConditions", json!([])),
        entry("matchConditions/0/expression", json!("false")),
    ]
}

/// The fields of a type, as the API server describes them.
fn fields(kind: &str) -> BTreeSet<String> {
    let raw = kubectl().args(["get", "--raw", "/openapi/v3/apis/admissionregistration.k8s.io/v1"]).output();
    let described: Value = serde_json::from_slice(&raw.expect("an answer").stdout).expect("JSON");
    let properties = described["components"]["schemas"][kind]["properties"].as_object().cloned();
    properties.unwrap_or_else(|| panic!("no {kind}")).into_iter().map(|(name, _)| name).collect()
}

/// What the changes above begin with, below a path.
fn tampered(below: &str) -> BTreeSet<String> {
    let path = |change: &Value| change[0]["path"].as_str().expect("a path").to_owned();
    let paths = tamperings().into_iter().map(|change| path(&change));
    let field = |path: String| Some(path.strip_prefix(below)?.split('/').next()?.to_owned());
    paths.filter_map(field).filter(|field| !field.is_empty()).collect()
}

/// A field that a later Kubernetes adds is one that the policy does not know: this says so first.
fn every_field_is_tried() {
    let entry = fields("io.k8s.api.admissionregistration.v1.MutatingWebhook");
    assert_eq!(tampered("/webhooks/0/"), entry);
    let client = fields("io.k8s.api.admissionregistration.v1.WebhookClientConfig");
    assert_eq!(client, ["caBundle", "service", "url"].map(ToOwned::to_owned).into());
    let of_the_server = [
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generateName",
        "generation",
        "managedFields",
        "name",
        "namespace",
        "resourceVersion",
        "selfLink",
        "uid",
    ];
    let meta = fields("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
    let ours: BTreeSet<_> = meta.into_iter().filter(|field| !of_the_server.contains(&field.as_str())).collect();
    assert_eq!(tampered("/metadata/"), ours);
    let whole = fields("io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration");
    assert_eq!(whole, ["apiVersion", "kind", "metadata", "webhooks"].map(ToOwned::to_owned).into());
}

async fn the_daemon_may_change_whom_to_trust_and_nothing_else() {
    every_field_is_tried();
    let (daemon, admin) = (as_the_daemon(&[]).await, admin().await);
    for tampering in tamperings() {
        change(&admin, &tampering, Trying::Only).await.unwrap_or_else(|error| panic!("{tampering}: {error}"));
        let refused = change(&daemon, &tampering, Trying::InEarnest).await.expect_err(&tampering.to_string());
        assert!(
            refused.contains("hcp-identity changes nothing of a registration but clientConfig.caBundle"),
            "{refused}"
        );
    }
    let before = registrations(&admin).get("hcp-identity").await.expect("it is there");
    for bundle in [Authority::new(now(), &SHORT).expect("an authority").bundle(), vec![]] {
        let trust = json!([{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": ByteString(bundle)}]);
        change(&daemon, &trust, Trying::InEarnest).await.expect("it may");
    }
    let mut after = registrations(&admin).get("hcp-identity").await.expect("it is there");
    for entry in after.webhooks.iter_mut().flatten() {
        entry.client_config.ca_bundle = None;
    }
    assert_eq!(after.webhooks, before.webhooks);

    // Nor by any right that it is given by mistake.
    let mighty = as_the_daemon(&["system:masters"]).await;
    let made = registrations(&mighty).create(&PostParams::default(), &registration("another", 1, &json!({}))).await;
    let deleted = registrations(&mighty).delete("hcp-identity", &DeleteParams::default()).await.map(drop);
    for refused in [made.map(drop), deleted] {
        let refused = refused.expect_err("it may not").to_string();
        assert!(refused.contains("hcp-identity neither makes nor deletes registrations"), "{refused}");
    }
    for name in ["token", SECRET] {
        let refused = secrets(&daemon).create(&PostParams::default(), &token(name)).await.expect_err("it may not");
        assert!(refused.to_string().contains("hcp-identity makes no Secret but its webhook's authority"), "{refused}");
    }
    let may = |words: &str| {
        let output =
            kubectl().args(["auth", "can-i", "--as", ACCOUNT]).args(words.split(' ')).output().expect("it runs");
        support::text(output.stdout).trim() == "yes"
    };
    assert!(
        may(&format!("update secrets/{SECRET} -n {NAMESPACE}"))
            && may("get mutatingwebhookconfigurations/hcp-identity")
    );
    for no in [
        "get secrets/another -n hcp-identity",
        "list secrets -n hcp-identity",
        "get secrets/hcp-identity-webhook-ca -n kube-system",
        "create secrets -n kube-system",
        "delete secrets/hcp-identity-webhook-ca -n hcp-identity",
        "patch mutatingwebhookconfigurations/another",
        "create mutatingwebhookconfigurations",
        "patch validatingwebhookconfigurations/hcp-identity",
        "patch validatingadmissionpolicies/hcp-identity-webhook-registration",
    ] {
        assert!(!may(no), "{no}");
    }
}

/// A daemon as far as certificates go.
struct Replica {
    port: u16,
    served: watch::Receiver<Option<Arc<rustls::sign::CertifiedKey>>>,
    standings: Arc<Mutex<Vec<Standing>>>,
    tasks: Vec<JoinHandle<()>>,
}

struct NoControlPlane;

impl ControlPlanes for NoControlPlane {
    fn control_plane(&self, _: &str) -> ControlPlane {
        ControlPlane::Unknown
    }
}

fn settings(text: &str) -> watch::Receiver<Arc<Applied>> {
    let settings = DaemonSettings::new(SettingsFile::parse(text).expect("settings")).expect("valid settings");
    let (sender, applied) = watch::channel(Arc::new(Applied { settings, epoch: 0 }));
    // For as long as the test.
    std::mem::forget(sender);
    applied
}

impl Replica {
    async fn start(lifetimes: Lifetimes, asked: Arc<Mutex<usize>>) -> Self {
        Self::of(NAMESPACE, lifetimes, asked).await
    }

    async fn of(namespace: &str, lifetimes: Lifetimes, asked: Arc<Mutex<usize>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, served): (Served, _) = watch::channel(None);
        let standings = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&standings);
        let orders = Orders { lifetimes, interval: Duration::from_millis(100), ..Orders::new(namespace, now) };
        let applied = settings("podPatch: webhook");
        let keeping = keep(daemon(namespace).await, orders, applied, sender, move |standing: &Standing| {
            told.lock().expect("no poison").push(standing.clone());
        });
        let count = move |_: Outcome, _: Duration| *asked.lock().expect("no poison") += 1;
        let limits = Limits::default();
        // Each call is a handshake of its own.
        let close = async |mut response: Response| {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        };
        let router = router(Arc::new(NoControlPlane), count, limits).layer(map_response(close));
        let certificate = served.clone();
        let serving = async move {
            serve_router(listener, router, certificate, limits, std::future::pending()).await.expect("TLS");
        };
        Self { port, served, standings, tasks: vec![tokio::spawn(keeping), tokio::spawn(serving)] }
    }

    fn standing(&self) -> Standing {
        self.standings.lock().expect("no poison").last().cloned().unwrap_or_default()
    }

    async fn tells(&self, trouble: &str) {
        wait_until(trouble, async || {
            let told = self.standing().trouble.unwrap_or_default();
            (told.contains(trouble) && told.is_empty() == trouble.is_empty()).then_some(())
        })
        .await;
    }

    async fn is_content(&self) {
        wait_until("nothing is wrong", async || {
            let standing = self.standing();
            (standing.trouble.is_none() && standing.not_after.is_some()).then_some(())
        })
        .await;
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn remove_secret() {
    drop(secrets(&admin().await).delete(SECRET, &DeleteParams::default()).await);
}

async fn secret() -> Secret {
    secrets(&admin().await).get(SECRET).await.expect("it is there")
}

/// A namespace whose pods both replicas are asked about.
async fn namespace(label: &str) -> String {
    let name = fresh_name("certificates");
    let admin = admin().await;
    support::cluster::create_namespace(&admin, &name).await;
    support::cluster::label_namespace(&admin, &name, label).await;
    wait_until("it has its account", async || {
        kubectl()
            .args(["-n", &name, "get", "serviceaccount", "default"])
            .output()
            .expect("kubectl")
            .status
            .success()
            .then_some(())
    })
    .await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    });
    succeeds(kubectl().args(["apply", "-f", "-"]), &service.to_string());
    name
}

async fn create_pod(pods: &Api<Pod>) -> Result<(), String> {
    let pod = json!({"metadata": {"generateName": "x-"}, "spec": {"containers": [{"name": "x", "image": "x"}]}});
    let pod = serde_json::from_value(pod).expect("a pod");
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    pods.create(&dry_run, &pod).await.map(drop).map_err(|error| error.to_string())
}

/// Three authorities, each a few seconds old, while pods are created all the time and both replicas must answer.
async fn certificates_of_seconds_are_followed_and_no_call_fails() {
    const FOR: Duration = Duration::from_secs(22);
    remove_secret().await;
    let label = fresh_name("example.com/certificates");
    let name = namespace(&label).await;
    let asked = Arc::new(Mutex::new(0));
    let (one, two) = (Replica::start(SHORT, Arc::clone(&asked)).await, Replica::start(SHORT, Arc::clone(&asked)).await);
    register("hcp-identity", one.port, &json!({&label: "true"})).await;
    register("hcp-identity-workload-identity", two.port, &json!({&label: "true"})).await;
    let pods: Api<Pod> = Api::namespaced(admin().await, &name);
    one.is_content().await;
    two.is_content().await;
    wait_until("a pod is created", async || create_pod(&pods).await.is_ok().then_some(())).await;
    // What was registered before may have been seen, and seen to go.
    let before = [&one, &two].map(|replica| replica.standings.lock().expect("no poison").len());

    let end = tokio::time::Instant::now() + FOR;
    let creates = async |pods: Api<Pod>| {
        let (mut calls, mut failed) = (0, Vec::new());
        while tokio::time::Instant::now() < end {
            calls += 1;
            failed.extend(create_pod(&pods).await.err());
        }
        (calls, failed)
    };
    let watches = async {
        let (mut signers, mut leaves, mut most) = (BTreeSet::new(), BTreeSet::new(), 0);
        while tokio::time::Instant::now() < end {
            let data = secret().await.data.unwrap_or_default();
            let entries = |ends: &str| data.keys().filter(|key| key.ends_with(ends)).count();
            most = most.max(entries(".crt"));
            signers.insert(data["signer.crt"].0.clone());
            for replica in [&one, &two] {
                leaves.extend(replica.served.borrow().as_ref().map(|served| served.cert[0].to_vec()));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        (signers.len(), leaves.len(), most)
    };
    let (load, (signers, leaves, most)) = tokio::join!(join_all((0..4).map(|_| creates(pods.clone()))), watches);
    let calls: usize = load.iter().map(|(calls, _)| calls).sum();
    let failed: Vec<_> = load.into_iter().flat_map(|(_, failed)| failed).collect();
    let asked = *asked.lock().expect("no poison");
    assert!(failed.is_empty(), "{} of {calls} failed: {:#?}", failed.len(), failed.first());
    assert!(calls > 100 && asked >= 2 * calls, "{calls} pods, {asked} calls");
    assert!(signers >= 3 && most == 2 && leaves >= 12, "{signers} authorities, {most} at once, {leaves} leaves");
    for (replica, before) in [&one, &two].into_iter().zip(before) {
        let standings = replica.standings.lock().expect("no poison");
        let troubled: Vec<_> = standings.iter().skip(before).filter_map(|standing| standing.trouble.clone()).collect();
        assert!(troubled.is_empty(), "{troubled:#?}");
    }
    support::cluster::delete_namespace(&admin().await, &name).await;
}

/// However many begin at once, there is one authority, and each serves what it has signed.
async fn replicas_that_begin_at_once_share_an_authority() {
    remove_secret().await;
    register("hcp-identity", 443, &json!({"none": "such"})).await;
    let starting = (0..4).map(|_| Replica::start(Lifetimes::default(), Arc::default()));
    let replicas = join_all(starting).await;
    for replica in &replicas {
        replica.is_content().await;
    }
    let found = Authority::from_data(&secret().await.data.expect("data")).expect("ours");
    let registered = registrations(&admin().await).get("hcp-identity").await.expect("it is there");
    let bundle = registered.webhooks.expect("an entry").remove(0).client_config.ca_bundle.expect("a bundle").0;
    assert_eq!(bundle, found.bundle());
    let managers: Vec<_> = registered
        .metadata
        .managed_fields
        .expect("managers")
        .into_iter()
        .map(|entry| (entry.manager.unwrap_or_default(), entry.fields_v1))
        .collect();
    let (_, ours) = managers.into_iter().find(|(manager, _)| manager == "hcp-identity").expect("our fields");
    let ours = serde_json::to_string(&ours).expect("JSON");
    let owned = r#"{"f:webhooks":{"k:{\"name\":\"hcp-identity.hcpidentity.dev\"}":{".":{},"f:clientConfig":{"f:caBundle":{}},"f:name":{}}}}"#;
    assert_eq!(ours, owned);
}

async fn what_is_not_ours_is_left_alone_and_told() {
    register("hcp-identity", 443, &json!({"none": "such"})).await;
    remove_secret().await;
    let admin = admin().await;
    let foreign: Secret = serde_json::from_value(json!({
        "metadata": {"name": SECRET}, "stringData": {"signer.crt": "x", "signer.key": "canary"},
    }))
    .expect("a Secret");
    let foreign = secrets(&admin).create(&PostParams::default(), &foreign).await.expect("a new Secret");
    let replica = Replica::start(Lifetimes::default(), Arc::default()).await;
    replica.tells("Secret hcp-identity/hcp-identity-webhook-ca is not ours (no label app.kubernetes.io/managed-by=hcp-identity); delete it, and it is made anew").await;
    let label = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "hcp-identity"}}});
    secrets(&admin).patch(SECRET, &PatchParams::default(), &Patch::Merge(&label)).await.expect("a label");
    replica.tells("cannot be used: signer.crt is not one certificate in PEM that we have made; delete it, and it is made anew").await;
    assert_eq!(secret().await.data, foreign.data);
    assert!(replica.served.borrow().is_none());
    remove_secret().await;
    replica.is_content().await;

    // Whoever else writes the field keeps it.
    let elses = json!([{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": ByteString(Authority::new(now(), &SHORT).expect("one").bundle())}]);
    let parameters = PatchParams { field_manager: Some("cainjector".to_owned()), ..PatchParams::default() };
    let elses: json_patch::Patch = serde_json::from_value(elses).expect("a JSON patch");
    registrations(&admin).patch("hcp-identity", &parameters, &Patch::Json::<()>(elses)).await.expect("a patch");
    replica.tells("conflict with \"cainjector\"").await;
    replica.tells("let nobody else write it, or set webhook.certificates to who does").await;

    for name in REGISTRATIONS {
        delete(&admin, name).await;
    }
    replica.tells("no API server asks the webhook: there is no MutatingWebhookConfiguration hcp-identity and no hcp-identity-workload-identity; apply manifests/components/webhook").await;
    register("hcp-identity", 443, &json!({"none": "such"})).await;
    replica.is_content().await;

    let nobody = fresh_name("denied");
    support::cluster::create_namespace(&admin, &nobody).await;
    succeeds(kubectl().args(["-n", &nobody, "create", "serviceaccount", "hcp-identity"]), "");
    let denied = Replica::of(&nobody, Lifetimes::default(), Arc::default()).await;
    denied.tells("grant what manifests/components/webhook-self-signed has").await;
    support::cluster::delete_namespace(&admin, &nobody).await;
}

/// One after the other: what they are about there is once in a cluster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_webhook_has_an_authority_of_its_own() {
    install().await;
    the_daemon_may_change_whom_to_trust_and_nothing_else().await;
    replicas_that_begin_at_once_share_an_authority().await;
    certificates_of_seconds_are_followed_and_no_call_fails().await;
    what_is_not_ours_is_left_alone_and_told().await;
    for name in REGISTRATIONS {
        delete(&admin().await, name).await;
    }
    remove_secret().await;
    succeeds(kubectl().args(["-n", NAMESPACE, "delete", "service", SERVICE]), "");
    for file in COMPONENT {
        succeeds(kubectl().args(["delete", "-f", &format!("manifests/components/webhook-self-signed/{file}")]), "");
    }
}
