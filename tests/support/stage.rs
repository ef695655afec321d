//! A stage for a test of the daemon: HostedClusters in a namespace of its own, a service account with the shipped roles, and
//! the built binary running as that account. The test itself acts as administrator.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a stage is made of files, and a failed test shows its log"
)]

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use hcp_identity::cluster::access::{ACCESSES, Role};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use strum::IntoEnumIterator as _;

use super::{
    KEY_VAULT_USER,
    cluster::{client, create_namespace, fresh_name, kubeconfig, kubectl, succeeds, wait_until},
    proxy::Proxy,
    read, testdata,
};

pub const CLASS: (&str, &str, &str) = ("secrets-store.csi.x-k8s.io", "v1", "SecretProviderClass");
pub const POD_STATUS: (&str, &str, &str) = ("secrets-store.csi.x-k8s.io", "v1", "SecretProviderClassPodStatus");
pub const DEPLOYMENT: (&str, &str, &str) = ("apps", "v1", "Deployment");
pub const HOSTED_CLUSTER: (&str, &str, &str) = ("hypershift.openshift.io", "v1beta1", "HostedCluster");
pub const STATUS: (&str, &str, &str) = ("hcpidentity.dev", "v1alpha1", "ControlPlaneIdentity");
pub const LEASE: (&str, &str, &str) = ("coordination.k8s.io", "v1", "Lease");
pub const POD: (&str, &str, &str) = ("", "v1", "Pod");

/// Deployments of the small world: one of one component, one of two, one that only gets an env.
const FEW: [&str; 3] = ["ingress-operator", "control-plane-operator", "cluster-network-operator"];

pub struct Stage {
    pub client: Client,
    /// Of the HostedClusters, the service account and the Lease.
    pub namespace: String,
    pub kubeconfig: PathBuf,
    folder: PathBuf,
}

/// A resource by its coordinates; its plural is the usual one.
pub fn resource((group, version, kind): (&str, &str, &str)) -> ApiResource {
    let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    if kind == "SecretProviderClassPodStatus" {
        resource.plural = "secretproviderclasspodstatuses".into();
    }
    resource
}

impl Stage {
    /// With every role that there is.
    pub async fn new(name: &str) -> Self {
        Self::with_roles(name, &Role::iter().collect::<Vec<_>>()).await
    }

    pub async fn with_roles(name: &str, roles: &[Role]) -> Self {
        let client = client().await;
        succeeds(kubectl().args(["apply", "--server-side", "-f", "manifests/crds/controlplaneidentities.yaml"]), "");
        succeeds(
            kubectl().args(["wait", "--for=condition=Established", "crd/controlplaneidentities.hcpidentity.dev"]),
            "",
        );
        let namespace = fresh_name(name);
        create_namespace(&client, &namespace).await;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&namespace);
        std::fs::create_dir_all(&folder).expect("a folder");
        grant(&namespace, roles);
        let token = succeeds(kubectl().args(["-n", &namespace, "create", "token", "hcp-identity"]), "");
        let stage = Self { client, namespace, kubeconfig: folder.join("kubeconfig"), folder };
        stage.write_kubeconfig(&stage.kubeconfig, None, token.trim());
        stage
    }

    /// A kubeconfig of the service account, for the API server or for something in front of it.
    pub fn write_kubeconfig(&self, path: &Path, server: Option<&str>, token: &str) {
        let admin: Value =
            serde_json::from_str(&succeeds(kubectl().args(["config", "view", "--raw", "-o", "json"]), ""))
                .expect("JSON");
        let mut cluster = admin["clusters"][0]["cluster"].clone();
        if let Some(server) = server {
            cluster = json!({"server": server});
        }
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "stage",
            "clusters": [{"name": "stage", "cluster": cluster}],
            "users": [{"name": "daemon", "user": {"token": token}}],
            "contexts": [{"name": "stage", "context": {"cluster": "stage", "user": "daemon", "namespace": self.namespace}}],
        });
        std::fs::write(path, config.to_string()).expect("a kubeconfig");
    }

    pub fn token(&self) -> String {
        let config: Value = serde_json::from_str(&read(&self.kubeconfig)).expect("JSON");
        config["users"][0]["user"]["token"].as_str().expect("a token").to_owned()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn api(&self, namespace: &str, kind: (&str, &str, &str)) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &resource(kind))
    }

    /// The control plane namespace of a HostedCluster of this stage.
    pub fn plane(&self, name: &str) -> String {
        format!("{}-{}", self.namespace, name.replace('.', "-"))
    }

    /// A HostedCluster with all nine identities, changed by a line or two.
    pub fn hosted_cluster(&self, name: &str, tweak: impl FnOnce(&mut Value)) -> Value {
        let input = read(&testdata("render/every-pod-of-the-table-is-wired/input.yaml"));
        let first = input.split("---\n").next().expect("a HostedCluster");
        let yaml = first.replace("name: prod\n", &format!("name: \"{name}\"\n"));
        let json = succeeds(kubectl().args(["create", "--dry-run=client", "-o", "json", "-f", "-"]), &yaml);
        let mut cluster: Value = serde_json::from_str(&json).expect("JSON");
        cluster["metadata"] = json!({"name": name, "namespace": self.namespace});
        tweak(&mut cluster);
        cluster
    }

    pub async fn create_cluster(&self, name: &str, tweak: impl FnOnce(&mut Value)) {
        create_namespace(&self.client, &self.plane(name)).await;
        self.apply_cluster(name, tweak).await;
    }

    /// Creates or changes a HostedCluster.
    pub async fn apply_cluster(&self, name: &str, tweak: impl FnOnce(&mut Value)) {
        let cluster = self.hosted_cluster(name, tweak);
        let api = self.api(&self.namespace, HOSTED_CLUSTER);
        let parameters = PatchParams::apply("a-user").force();
        api.patch(name, &parameters, &Patch::Apply(&cluster)).await.expect("a valid HostedCluster");
    }

    /// The eleven Deployments of a control plane, as nobody has wired them, with as many replicas each.
    pub async fn create_workloads(&self, name: &str, replicas: u32) {
        let plane = self.plane(name);
        for mut deployment in self.workloads(&plane) {
            deployment["spec"]["replicas"] = json!(replicas);
            let deployment: DynamicObject = serde_json::from_value(deployment).expect("a Deployment");
            self.api(&plane, DEPLOYMENT).create(&PostParams::default(), &deployment).await.expect("a new Deployment");
        }
    }

    /// A HostedCluster with three Deployments, of no pods.
    pub async fn create_small_world(&self, name: &str) {
        self.create_cluster(name, |_| {}).await;
        let plane = self.plane(name);
        for mut workload in self.workloads(&plane) {
            if FEW.iter().any(|wanted| workload["metadata"]["name"] == *wanted) {
                workload["spec"]["replicas"] = json!(0);
                let workload = serde_json::from_value(workload).expect("a Deployment");
                self.api(&plane, DEPLOYMENT).create(&PostParams::default(), &workload).await.expect("a new Deployment");
            }
        }
    }

    pub fn workloads(&self, plane: &str) -> Vec<Value> {
        let input = read(&testdata("render/every-pod-of-the-table-is-wired/input.yaml"));
        let input = input.replace("namespace: clusters-prod", &format!("namespace: {plane}"));
        let documents = input.split("---\n").skip(1).filter(|document| document.contains("kind: Deployment"));
        let json = |yaml: &str| succeeds(kubectl().args(["create", "--dry-run=client", "-o", "json", "-f", "-"]), yaml);
        documents.map(|yaml| serde_json::from_str(&json(yaml)).expect("JSON")).collect()
    }

    pub async fn get(&self, namespace: &str, kind: (&str, &str, &str), name: &str) -> Option<DynamicObject> {
        self.api(namespace, kind).get_opt(name).await.expect("the API server answers")
    }

    pub async fn list(&self, namespace: &str, kind: (&str, &str, &str)) -> Vec<DynamicObject> {
        self.api(namespace, kind).list(&Default::default()).await.expect("the API server answers").items
    }

    /// Generations by name.
    pub async fn generations(&self, namespace: &str, kind: (&str, &str, &str)) -> BTreeMap<String, i64> {
        let list = self.list(namespace, kind).await.into_iter();
        list.map(|object| (object.name_any(), object.metadata.generation.unwrap_or_default())).collect()
    }

    pub async fn status(&self, name: &str) -> Option<Value> {
        let identity = self.get(&self.namespace, STATUS, name).await?;
        identity.data.get("status").cloned()
    }

    /// Waits until the condition Ready has a reason; the status.
    pub async fn ready_reason(&self, name: &str, reason: &str) -> Value {
        let last = std::cell::RefCell::new(Value::Null);
        let what = format!("HostedCluster {name} is {reason}");
        let found = wait_until(&what, async || {
            let status = self.status(name).await?;
            let ready = condition(&status, "Ready");
            *last.borrow_mut() = status.clone();
            (ready["reason"] == reason).then_some(status)
        });
        match tokio::time::timeout(Duration::from_secs(80), found).await {
            Ok(status) => status,
            Err(_) => panic!("HostedCluster {name} is not {reason} but {:#}", last.borrow()),
        }
    }

    /// Plays the CSI driver: says of every pod with a volume of a class that it is mounted.
    pub async fn mount_all(&self, plane: &str) {
        for pod in self.list(plane, POD).await {
            for volume in pod.data["spec"]["volumes"].as_array().into_iter().flatten() {
                let Some(class) = volume.pointer("/csi/volumeAttributes/secretProviderClass").and_then(Value::as_str)
                else {
                    continue;
                };
                let name = format!("{}-{plane}-{class}", pod.name_any());
                let status = json!({
                    "apiVersion": "secrets-store.csi.x-k8s.io/v1", "kind": "SecretProviderClassPodStatus",
                    "metadata": {"name": name, "namespace": plane},
                    "status": {
                        "mounted": true, "podName": pod.name_any(), "secretProviderClassName": class,
                        "targetPath": "/var/lib/kubelet", "objects": [{"id": "secret/x", "version": "v1"}],
                    },
                });
                let api = self.api(plane, POD_STATUS);
                api.patch(&name, &PatchParams::apply("secrets-store-csi").force(), &Patch::Apply(&status))
                    .await
                    .expect("a pod status");
            }
        }
    }

    /// The binary as the stage's service account, only for this stage's HostedClusters.
    pub fn command(&self, kubeconfig: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hcp-identity"));
        command.env_clear().args(arguments).arg("--kubeconfig").arg(kubeconfig).stdin(Stdio::null());
        command
    }

    pub async fn daemon(&self, arguments: &[&str]) -> Daemon {
        self.daemon_at(&self.kubeconfig.clone(), arguments).await
    }

    /// A daemon behind a proxy, which may be held up already: it is not waited for.
    pub fn daemon_behind(&self, proxy: &Proxy, arguments: &[&str]) -> Daemon {
        let path = self.file(&format!("{}.kubeconfig", fresh_name("proxy")));
        self.write_kubeconfig(&path, Some(&proxy.url), &self.token());
        self.start(&path, arguments, &[])
    }

    pub async fn daemon_at(&self, kubeconfig: &Path, arguments: &[&str]) -> Daemon {
        let mut daemon = self.start(kubeconfig, arguments, &[]);
        daemon.until_ready().await;
        daemon
    }

    /// Starts a daemon and does not wait for it.
    pub fn start(&self, kubeconfig: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Daemon {
        let (health, metrics) = (free_port(), free_port());
        let number = fresh_name("daemon");
        let log = self.file(&format!("{number}.log"));
        let output = File::create(&log).expect("a log");
        let mut command = self.command(kubeconfig, &["run"]);
        if !arguments.iter().any(|argument| argument.starts_with("--key-vault-user")) {
            command.args(["--key-vault-user-client-id", KEY_VAULT_USER]);
        }
        command
            .args(["--namespaces", &self.namespace, "--lease-namespace", &self.namespace, "--identity", &number])
            .args([
                "--listen-health",
                &format!("127.0.0.1:{health}"),
                "--listen-metrics",
                &format!("127.0.0.1:{metrics}"),
            ])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(output);
        let child = command.spawn().expect("the daemon starts");
        Daemon { child, health, metrics, log, identity: number }
    }
}

/// The roles of the table, bound to the service account of a namespace.
fn grant(namespace: &str, roles: &[Role]) {
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "hcp-identity", "namespace": namespace}}),
    ];
    for role in roles {
        let own = role.is_of_own_namespace();
        let (kind, binding) = if own { ("Role", "RoleBinding") } else { ("ClusterRole", "ClusterRoleBinding") };
        let name = format!("{namespace}-{role}");
        let rules: Vec<_> = ACCESSES
            .iter()
            .filter(|access| access.role == *role)
            .map(|access| {
                let verbs: Vec<_> = access.verbs.iter().map(ToString::to_string).collect();
                json!({"apiGroups": [access.group], "resources": [access.resource], "verbs": verbs})
            })
            .collect();
        let metadata = json!({"name": name, "namespace": own.then_some(namespace)});
        objects.push(
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules}),
        );
        objects.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": binding, "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "hcp-identity", "namespace": namespace}],
        }));
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    succeeds(kubectl().args(["create", "-f", "-"]), &list);
}

pub fn condition(status: &Value, kind: &str) -> Value {
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default()
}

pub fn component(status: &Value, id: &str) -> Value {
    let components = status["components"].as_array().cloned().unwrap_or_default();
    components.into_iter().find(|component| component["id"] == id).unwrap_or_default()
}

/// Whether everything of the small world has been written and told.
pub fn is_settled(status: &Value) -> bool {
    ["ingress", "cpo"].iter().all(|id| component(status, id)["reason"] == "WaitingForPod")
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// A running daemon. It is killed when the test ends.
pub struct Daemon {
    pub child: Child,
    pub health: u16,
    metrics: u16,
    log: PathBuf,
    pub identity: String,
}

impl Daemon {
    pub async fn until_ready(&mut self) {
        let port = self.health;
        let ready = wait_until("the daemon is ready", async || {
            http_get(port, "/readyz").filter(|answer| answer.starts_with("HTTP/1.1 200"))
        });
        if tokio::time::timeout(Duration::from_secs(80), ready).await.is_err() {
            panic!("the daemon is not ready: {:?}\n{}", http_get(port, "/readyz"), self.log());
        }
    }

    pub fn log(&self) -> String {
        read(&self.log)
    }

    pub fn get(&self, path: &str) -> String {
        http_get(self.health, path).unwrap_or_default()
    }

    pub fn metrics(&self) -> String {
        http_get(self.metrics, "/metrics").expect("metrics")
    }

    /// The sum of the samples of a metric whose labels contain this text.
    pub fn metric(&self, name: &str, labels: &str) -> f64 {
        let text = self.metrics();
        let samples = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// Writes to provider classes, workloads and AzureClusterIdentities, whatever became of them.
    pub fn writes(&self) -> u64 {
        let kinds = ["deployments", "secretproviderclasses", "azureclusteridentities"];
        kinds
            .iter()
            .map(|kind| self.metric("hcp_identity_kubernetes_writes_total", &format!("kind=\"{kind}\"")) as u64)
            .sum()
    }

    /// Those of them that the API server took.
    pub fn changes(&self) -> u64 {
        let text = self.metrics();
        let ours = ["deployments", "secretproviderclasses", "azureclusteridentities"];
        let done = text.lines().filter(|line| {
            line.starts_with("hcp_identity_kubernetes_writes_total{")
                && line.contains("outcome=\"done\"")
                && ours.iter().any(|kind| line.contains(&format!("kind=\"{kind}\"")))
        });
        done.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>() as u64
    }

    pub fn leads(&self) -> bool {
        self.metric("hcp_identity_leader", "") == 1.0
    }

    pub async fn until_leading(&self) {
        wait_until(&format!("{} leads", self.identity), async || self.leads().then_some(())).await;
    }

    /// Its log as what it is: a JSON object a line.
    pub fn log_lines(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        self.log().lines().map(parse).collect()
    }

    pub fn signal(&self, signal: &str) {
        let killed = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill");
        assert!(killed.success());
    }

    /// Ends it as a pod's end does; its exit code.
    pub fn stop(mut self) -> (i32, String) {
        self.signal("-TERM");
        let status = self.child.wait().expect("it ends");
        (status.code().unwrap_or(-1), self.log())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().rev().take(40).collect();
            eprintln!("the daemon's last lines:\n{}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

fn http_get(port: u16, path: &str) -> Option<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// The administrator's kubeconfig, for what a person runs.
pub fn admin() -> PathBuf {
    kubeconfig()
}
