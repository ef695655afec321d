//! What the tests on a real cluster share: which cluster, its CRDs, a namespace for each test, and waiting.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use kube::{
    Api, Client, Config,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};

use super::{pipe, testdata, text};

const DEADLINE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(20);

/// A cluster of a test's own, instead of the one that KUBECONFIG names.
static OWN: OnceLock<PathBuf> = OnceLock::new();

/// Starts a cluster for this test binary alone. It is taken down when this is dropped.
pub struct OwnCluster(PathBuf);

impl OwnCluster {
    pub fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// With more arguments of hack/cluster, such as nodes.
    pub fn start_with(name: &str, arguments: &[&str]) -> Self {
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        succeeds(hack_cluster().arg("up").arg(&folder).args(arguments), "");
        OWN.set(folder.join("kubeconfig")).expect("one cluster a test binary");
        Self(folder)
    }

    /// Kills one part where it stands.
    pub fn kill(&self, part: &str) {
        succeeds(hack_cluster().args(["stop", part]).arg(&self.0), "");
    }

    /// Starts it again, as it was.
    pub fn revive(&self, part: &str) {
        succeeds(hack_cluster().args(["start", part]).arg(&self.0), "");
    }

    /// Makes etcd forget all that was before now.
    pub fn compact(&self) {
        let answer = self.ask_etcd("/v3/kv/range", "{\"key\": \"AA==\"}");
        let revision = answer.split("\"revision\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let revision = revision.unwrap_or_else(|| panic!("no revision: {answer}"));
        let answer =
            self.ask_etcd("/v3/kv/compaction", &format!("{{\"revision\": \"{revision}\", \"physical\": true}}"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// Through the gateway to its API.
    fn ask_etcd(&self, path: &str, question: &str) -> String {
        use std::io::{Read as _, Write as _};
        let port = super::read(&self.0.join("etcd.port"));
        let mut stream = std::net::TcpStream::connect(format!("127.0.0.1:{}", port.trim())).expect("etcd");
        let (length, head) = (question.len(), "HTTP/1.1\r\nHost: localhost\r\nConnection: close");
        write!(stream, "POST {path} {head}\r\nContent-Length: {length}\r\n\r\n{question}").expect("a question");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        succeeds(hack_cluster().arg("down").arg(&self.0), "");
    }
}

fn hack_cluster() -> Command {
    Command::new(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/cluster"))
}

pub fn kubeconfig() -> PathBuf {
    if let Some(own) = OWN.get() {
        return own.clone();
    }
    #[expect(clippy::disallowed_methods, reason = "which cluster is for the caller to say")]
    let kubeconfig = std::env::var_os("KUBECONFIG").map(PathBuf::from);
    kubeconfig.expect("KUBECONFIG names the test cluster: eval \"$(hack/cluster up)\"")
}

/// The kubectl of the test cluster.
pub fn kubectl() -> Command {
    let mut kubectl = Command::new(kubeconfig().with_file_name("kubectl"));
    kubectl.arg("--kubeconfig").arg(kubeconfig());
    kubectl
}

pub fn succeeds(command: &mut Command, input: &str) -> String {
    let output = pipe(command, input.as_bytes());
    assert!(output.status.success(), "{command:?}: {}", text(output.stderr));
    text(output.stdout)
}

/// The CRDs of others that we read and write objects of, once for all tests of a file.
pub fn install_crds() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        succeeds(kubectl().args(["apply", "--server-side", "-f"]).arg(testdata("cluster/crds")), "");
        succeeds(kubectl().args(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]), "");
    });
}

/// A client of the test cluster, which then has the CRDs.
pub async fn client() -> Client {
    install_crds();
    let kubeconfig = Kubeconfig::read_from(kubeconfig()).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a context");
    Client::try_from(config).expect("a client")
}

pub fn namespaces(client: &Client) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace"));
    Api::all_with(client.clone(), &kind)
}

/// A name for a namespace that no other test has, of this run or of an earlier one on the same cluster.
pub fn fresh_name(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub async fn create_namespace(client: &Client, name: &str) {
    let namespace = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let namespace = serde_json::from_value(namespace).expect("a namespace");
    namespaces(client).create(&PostParams::default(), &namespace).await.expect("a new namespace");
}

/// As HyperShift labels the namespaces of its control planes, or with a label of a test's own.
pub async fn label_namespace(client: &Client, name: &str, label: &str) {
    let labelled = serde_json::json!({"metadata": {"labels": {label: "true"}}});
    let labelled = kube::api::Patch::Merge(&labelled);
    namespaces(client)
        .patch(name, &kube::api::PatchParams::default(), &labelled)
        .await
        .expect("the namespace is there");
}

/// Asks for its end, and does not wait: nothing else uses it.
pub async fn delete_namespace(client: &Client, name: &str) {
    namespaces(client).delete(name, &DeleteParams::default()).await.expect("the namespace is there");
}

/// Looks until there is an answer.
pub async fn wait_until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}
