//! Pods get their workload identity on a real kube-apiserver: the shipped registration, the server that it names, and the
//! ServiceAccounts as the daemon's watch brings them.

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use azure_standin::authority::{Authority, server_key};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hcp_identity::{
    admission::identities::WorkloadIdentities,
    cluster::{
        client::Heard,
        daemon::{Applied, Shared, watch_all},
        metrics::Metrics,
    },
    settings::{SettingsFile, daemon::DaemonSettings},
    webhook::{Certificate, Entries, serve},
    workload_identity::{Lookup, Settings},
};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams},
};
use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};
use serde_json::{Value, json};
use support::{
    cluster::{client, create_namespace, fresh_name, wait_until},
    read,
};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Duration, Instant},
};

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

/// A namespace whose labelled pods are asked about.
struct World {
    client: Client,
    namespace: String,
    asked: Arc<AtomicUsize>,
    server: Server,
    _watches: JoinSet<()>,
}

struct Server {
    stop: watch::Sender<bool>,
    ended: Mutex<Option<JoinHandle<Result<(), rustls::Error>>>>,
}

impl Server {
    /// It has stopped when this ends, however often it is told to.
    async fn stop(&self) {
        self.stop.send_replace(true);
        let ended = self.ended.lock().expect("no poison").take();
        if let Some(ended) = ended {
            ended.await.expect("it does not panic").expect("it had TLS");
        }
    }
}

fn settings() -> DaemonSettings {
    let yaml = format!("workloadIdentityWebhook: {{enabled: true, tenantID: {TENANT}}}");
    DaemonSettings::new(SettingsFile::parse(&yaml).expect("settings")).expect("settings")
}

/// What the daemon knows: its own watches, and all that they have brought.
fn known(client: &Client) -> (Arc<Shared>, JoinSet<()>) {
    let (settings, applied) = watch::channel(Arc::new(Applied { settings: settings(), epoch: 0 }));
    let (knows, known) = watch::channel(Arc::default());
    let shared = Arc::new(Shared::new(applied, known, Heard::default(), Arc::new(Metrics::default())));
    let mut watches = JoinSet::new();
    watch_all(&shared, client, &mut watches);
    // Dropped, both would seem to have ended.
    watches.spawn(async move {
        std::future::pending::<()>().await;
        drop((settings, knows));
    });
    (shared, watches)
}

fn certificate(authority: &Authority, namespace: &str) -> CertifiedKey {
    let (key, private) = server_key().expect("a key");
    let chain = authority.server(&format!("hcp-identity-webhook.{namespace}.svc"), &key).expect("a certificate");
    let key = aws_lc_rs::default_provider().key_provider.load_private_key(private).expect("a key for TLS");
    CertifiedKey::new(chain, key)
}

/// As it is shipped, but for where the server is and whose pods it is asked about.
fn registration(namespace: &str, port: u16, authority: &Authority) -> Value {
    let path = "manifests/components/workload-identity-webhook/registration.yaml";
    let mut shipped: Value =
        serde_saphyr::from_str(&read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path))).expect("YAML");
    shipped["metadata"]["name"] = json!(namespace);
    let webhook = &mut shipped["webhooks"][0];
    webhook["clientConfig"]["service"]["namespace"] = json!(namespace);
    webhook["clientConfig"]["service"]["port"] = json!(port);
    webhook["clientConfig"]["caBundle"] = json!(BASE64_STANDARD.encode(authority.pem()));
    let own = json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespace]});
    webhook["namespaceSelector"]["matchExpressions"].as_array_mut().expect("a list").push(own);
    shipped
}

fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

impl World {
    async fn new(name: &str) -> Self {
        Self::knowing(name, |shared| shared).await
    }

    async fn knowing(name: &str, what: impl FnOnce(Arc<Shared>) -> Arc<dyn WorkloadIdentities>) -> Self {
        let (client, namespace) = (client().await, fresh_name(name));
        create_namespace(&client, &namespace).await;
        let (shared, watches) = known(&client);
        let world = Self::with(client, namespace, what(shared), watches).await;
        world.create("ServiceAccount", &account("web", &[("client-id", "the-client")])).await.expect("an account");
        // A registration comes to the API server's admission when it comes.
        wait_until("labelled pods are asked about", async || {
            world.dry_run(&pod("probe", "web")).await.ok().filter(has_token)
        })
        .await;
        world
    }

    async fn with(
        client: Client,
        namespace: String,
        identities: Arc<dyn WorkloadIdentities>,
        watches: JoinSet<()>,
    ) -> Self {
        let authority = Authority::new("webhook authority").expect("an authority");
        let leaf = Arc::new(certificate(&authority, &namespace));
        let (served, certificate): (_, Certificate) = watch::channel(Some(leaf));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let observe = move |_, _| {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        let entries = Entries { workload_identities: Some(identities), ..Entries::default() };
        let (stop, mut stopped) = watch::channel(false);
        let ended = tokio::spawn(async move {
            let stop = async { drop(stopped.wait_for(|stop| *stop).await) };
            let ended = serve(listener, entries, certificate, observe, stop).await;
            drop(served);
            ended
        });
        let server = Server { stop, ended: Mutex::new(Some(ended)) };
        let world = Self { client, namespace, asked, server, _watches: watches };
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "hcp-identity-webhook"},
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
        });
        world.create("Service", &service).await.expect("a Service");
        let registration = registration(&world.namespace, port, &authority);
        let registration = serde_json::from_value(registration).expect("an object");
        world.registrations().create(&PostParams::default(), &registration).await.expect("a registration");
        world
    }

    fn registrations(&self) -> Api<DynamicObject> {
        let kind = resource("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration");
        Api::all_with(self.client.clone(), &kind)
    }

    async fn create(&self, kind: &str, object: &Value) -> kube::Result<Value> {
        self.post(kind, object, &PostParams::default()).await
    }

    async fn dry_run(&self, pod: &Value) -> kube::Result<Value> {
        self.post("Pod", pod, &PostParams { dry_run: true, ..PostParams::default() }).await
    }

    async fn post(&self, kind: &str, object: &Value, parameters: &PostParams) -> kube::Result<Value> {
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource("", "v1", kind));
        let object = serde_json::from_value(object.clone()).expect("an object");
        Ok(serde_json::to_value(api.create(parameters, &object).await?).expect("JSON"))
    }

    /// Why a pod is not created.
    async fn refusal(&self, pod: &Value) -> (u16, String) {
        match self.create("Pod", pod).await {
            Err(kube::Error::Api(status)) => (status.code, status.message),
            other => panic!("the pod is not denied: {other:?}"),
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// The test of the world ends; pods of other tests are not asked about.
    async fn end(self) {
        self.server.stop().await;
        let registrations = self.registrations();
        registrations.delete(&self.namespace, &DeleteParams::default()).await.expect("the registration is there");
        support::cluster::delete_namespace(&self.client, &self.namespace).await;
    }
}

fn account(name: &str, annotations: &[(&str, &str)]) -> Value {
    let annotations: BTreeMap<_, _> =
        annotations.iter().map(|(key, value)| (format!("azure.workload.identity/{key}"), value)).collect();
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "annotations": annotations}})
}

fn pod(name: &str, account: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"azure.workload.identity/use": "true"}},
        "spec": {"serviceAccountName": account, "containers": [{"name": "web", "image": "web"}]},
    })
}

fn unlabelled(name: &str) -> Value {
    let mut pod = pod(name, "web");
    pod["metadata"]["labels"] = json!({"azure.workload.identity/use": "false"});
    pod
}

fn has_token(pod: &Value) -> bool {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    volumes.into_iter().any(|volume| {
        let name = volume["name"].as_str().unwrap_or_default();
        name.starts_with("azure-workload-identity-reserved-")
            && volume["projected"]["sources"][0]["serviceAccountToken"]["audience"] == "api://AzureADTokenExchange"
    })
}

#[tokio::test]
async fn a_labelled_pod_gets_its_token_and_others_are_not_asked_about() {
    let world = World::new("identified").await;
    let created = world.create("Pod", &pod("labelled", "web")).await.expect("a pod");
    assert!(has_token(&created), "{created:#}");
    let container = &created["spec"]["containers"][0];
    let env: Vec<_> = container["env"].as_array().into_iter().flatten().collect();
    let expected = json!([
        {"name": "AZURE_CLIENT_ID", "value": "the-client"},
        {"name": "AZURE_TENANT_ID", "value": TENANT},
        {"name": "AZURE_FEDERATED_TOKEN_FILE", "value": "/var/run/secrets/azure/wi/token/azure-identity-token"},
        {"name": "AZURE_AUTHORITY_HOST", "value": "https://login.microsoftonline.com/"},
    ]);
    assert_eq!(json!(env), expected);
    let mounts = container["volumeMounts"].as_array().expect("mounts");
    assert!(mounts.iter().any(|mount| mount["mountPath"] == "/var/run/secrets/azure/wi" && mount["readOnly"] == true));

    let asked = world.asked();
    for name in ["one", "two", "three"] {
        assert!(!has_token(&world.create("Pod", &unlabelled(name)).await.expect("a pod")));
    }
    assert_eq!(world.asked(), asked);
    world.end().await;
}

/// By a watch as it is, and by one that is half a second behind.
#[tokio::test]
async fn a_service_account_that_is_made_just_before_its_pod_is_known() {
    make_accounts_and_pods(World::new("new-accounts").await, 40).await;
    let behind = |shared| -> Arc<dyn WorkloadIdentities> { Arc::new(Behind { shared, since: Mutex::default() }) };
    make_accounts_and_pods(World::knowing("late-accounts", behind).await, 5).await;
}

/// A watch that brings an account half a second after it is first asked for.
struct Behind {
    shared: Arc<Shared>,
    since: Mutex<HashMap<String, Instant>>,
}

impl WorkloadIdentities for Behind {
    fn settings(&self) -> Option<Arc<Settings>> {
        WorkloadIdentities::settings(&*self.shared)
    }

    fn service_account(&self, namespace: &str, name: &str) -> Lookup {
        let mut since = self.since.lock().expect("no poison");
        let since = since.entry(name.to_owned()).or_insert_with(Instant::now);
        if since.elapsed() < Duration::from_millis(500) {
            return Lookup::Missing;
        }
        self.shared.service_account(namespace, name)
    }
}

async fn make_accounts_and_pods(world: World, count: usize) {
    for number in 0..count {
        let name = format!("web-{number}");
        world.create("ServiceAccount", &account(&name, &[("client-id", &name)])).await.expect("an account");
        let created = world.create("Pod", &pod(&name, &name)).await.expect("a pod");
        assert!(has_token(&created));
        assert_eq!(created["spec"]["containers"][0]["env"][0]["value"], name);
    }
    world.end().await;
}

/// The API server's own admission of ServiceAccounts, which the test cluster goes without, usually says no before.
#[tokio::test]
async fn a_pod_without_its_service_account_is_denied_in_the_words_of_the_original() {
    let world = World::new("denied-pods").await;
    let start = Instant::now();
    let (code, message) = world.refusal(&pod("lost", "ghost")).await;
    let expected = "admission webhook \"workload-identity.hcpidentity.dev\" denied the request: serviceaccounts \"ghost\" not found";
    assert_eq!((code, message.as_str()), (400, expected));
    assert!(start.elapsed().as_secs() >= 3, "it has been waited for");
    let mut short = pod("short", "web");
    short["metadata"]["annotations"] = json!({"azure.workload.identity/service-account-token-expiration": "60"});
    let (code, message) = world.refusal(&short).await;
    assert!(code == 400 && message.contains("token expiration 60 not valid"), "{message}");
    world.end().await;
}

/// failurePolicy Fail: a pod that would run without its identity is not created. Nothing else is held up.
#[tokio::test]
async fn a_server_that_is_down_holds_up_labelled_pods_alone() {
    let world = World::new("down").await;
    world.server.stop().await;
    let (code, message) = world.refusal(&pod("labelled", "web")).await;
    assert!(code == 500 && message.contains("failed calling webhook"), "{code} {message}");
    world.create("Pod", &unlabelled("unlabelled")).await.expect("a pod");
    world.end().await;
}
