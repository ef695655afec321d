//! `manifests/`, `hack/kind` and `hack/demo` on a real kube-apiserver. `hack/test` starts one; by hand:
//!
//!     eval "$(hack/cluster up)"; cargo test --features test-cluster --test install; hack/cluster down

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use hcp_identity::{
    cluster::{access::Role, rbac},
    settings::{
        SettingsFile,
        daemon::{
            AzureClusterIdentityWriting, Certificates, ConfigurationCheck, DaemonSettings, Mode, PodPatch, Rotation,
        },
    },
};
use serde_json::{Value, json};
use support::{
    cluster::{install_crds, kubeconfig, kubectl, succeeds},
    pipe, read, text,
};

const ACCOUNT: &str = "system:serviceaccount:hcp-identity:hcp-identity";

/// What these tests install is one thing, and there is one of it on a cluster.
static INSTALLATION: Mutex<()> = Mutex::new(());

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shipped overlays, and the one that docs/install.md tells people to write.
fn overlays() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("manifests/overlays")).expect("a folder");
    let mut overlays: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    assert!(overlays.len() >= 3);
    overlays.push(documented_overlay());
    overlays.push(restarting_overlay());
    overlays.push(identifying_overlay());
    overlays.push(overlay("configuration-overlay", &["configuration-metadata"], "configurationCheck: metadata\n"));
    overlays.push(self_signed_overlay());
    overlays.push(cert_manager_overlay());
    overlays
}

fn documented_overlay() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documented-overlay");
    std::fs::create_dir_all(&folder).expect("a folder");
    let page = read(&root().join("docs/install.md"));
    let mut blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().expect("a block"));
    let relative = relative_to(&folder);
    let kustomization = blocks.next().expect("a kustomization").replace("../manifests", &relative);
    std::fs::write(folder.join("kustomization.yaml"), kustomization).expect("a file");
    std::fs::write(folder.join("settings.yaml"), blocks.next().expect("settings")).expect("a file");
    folder
}

/// Where `manifests` is from a folder: kustomize takes relative paths only.
fn relative_to(folder: &Path) -> String {
    let (up, mut here) = (root().join("manifests"), folder);
    let mut relative = String::new();
    while !up.starts_with(here) {
        relative += "../";
        here = here.parent().expect("a folder");
    }
    relative + &up.strip_prefix(here).expect("below it").to_string_lossy()
}

/// The shipped overlays restart nothing: this one does, with the component for it.
fn restarting_overlay() -> PathBuf {
    overlay("restarting-overlay", &["restart-pods"], "credentialCheck: content\nrotation: restart\n")
}

/// The webhook, with certificates of its own.
fn self_signed_overlay() -> PathBuf {
    overlay("self-signed-overlay", &["webhook", "webhook-self-signed"], "podPatch: webhook\n")
}

/// The same, with those of cert-manager: for which the daemon needs no right.
fn cert_manager_overlay() -> PathBuf {
    let settings = "podPatch: policy\npolicyFallback: webhook\nwebhook: {certificates: cert-manager}\n";
    overlay("cert-manager-overlay", &["policies", "webhook", "webhook-cert-manager"], settings)
}

/// The base, with components and settings for them.
fn overlay(name: &str, components: &[&str], settings: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    let relative = relative_to(&folder);
    let settings = format!("keyVaultUserClientID: 2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11\nmode: observe\n{settings}");
    let kustomization = json!({
        "resources": [format!("{relative}/base")],
        "components": components.iter().map(|name| format!("{relative}/components/{name}")).collect::<Vec<_>>(),
        "patches": [{"path": "settings.yaml"}],
    });
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "hcp-identity", "namespace": "hcp-identity"},
        "data": {"settings.yaml": settings},
    });
    std::fs::write(folder.join("kustomization.yaml"), kustomization.to_string()).expect("a file");
    std::fs::write(folder.join("settings.yaml"), map.to_string()).expect("a file");
    folder
}

/// One that gives pods their workload identity, and does not wire them.
fn identifying_overlay() -> PathBuf {
    let identities = "workloadIdentityWebhook: {enabled: true, tenantID: 72f988bf-86f1-41af-91ab-2d7cd011db47}\n";
    overlay("identifying-overlay", &["webhook", "webhook-self-signed", "workload-identity-webhook"], identities)
}

fn build(overlay: &Path) -> String {
    succeeds(kubectl().arg("kustomize").arg(overlay), "")
}

fn objects(stream: &str) -> Vec<Value> {
    stream.split("\n---\n").map(|document| serde_saphyr::from_str(document).expect("YAML")).collect()
}

fn settings(objects: &[Value]) -> DaemonSettings {
    let is_ours = |object: &&Value| object["kind"] == "ConfigMap" && object["metadata"]["name"] == "hcp-identity";
    let map = objects.iter().find(is_ours).expect("a ConfigMap");
    let text = map["data"]["settings.yaml"].as_str().expect("settings");
    DaemonSettings::new(SettingsFile::parse(text).expect("settings")).expect("valid settings")
}

/// What the settings need, and no more.
fn needed(settings: &DaemonSettings) -> BTreeSet<String> {
    let enforces = settings.mode == Mode::Enforce;
    let signs_itself = settings.answers_reviews() && settings.webhook.certificates == Certificates::Own;
    let needs = [
        (Role::Observe, true),
        (Role::Leader, true),
        (Role::Enforce, enforces),
        (Role::PatchWorkloads, enforces && settings.pod_patch == PodPatch::Workload),
        (Role::Policies, settings.pod_patch == PodPatch::Policy),
        (Role::WorkloadIdentityWebhook, settings.workload_identity.is_some()),
        (Role::WebhookAuthority, signs_itself),
        (Role::WebhookRegistration, signs_itself),
        (Role::RestartPods, settings.credentials.rotation == Rotation::Restart),
        (Role::ConfigurationMetadata, settings.configuration_check == ConfigurationCheck::Metadata),
        (Role::Capz, settings.azure_cluster_identity == AzureClusterIdentityWriting::Apply),
    ];
    needs.iter().filter(|(_, needed)| *needed).map(|(role, _)| format!("hcp-identity-{role}")).collect()
}

#[test]
fn an_overlay_grants_what_its_settings_use() {
    for overlay in overlays() {
        let objects = objects(&build(&overlay));
        let names = |kinds: [&str; 2]| -> BTreeSet<String> {
            let named = objects.iter().filter(|object| kinds.contains(&object["kind"].as_str().expect("a kind")));
            named.map(|object| object["metadata"]["name"].as_str().expect("a name").to_owned()).collect()
        };
        let needed = needed(&settings(&objects));
        assert_eq!(names(["Role", "ClusterRole"]), needed, "{}", overlay.display());
        assert_eq!(names(["RoleBinding", "ClusterRoleBinding"]), needed, "{}", overlay.display());
    }
}

/// Every role is in some overlay, as the code makes it.
#[test]
fn every_role_is_installed_by_some_overlay() {
    let built: Vec<_> = overlays().iter().flat_map(|overlay| objects(&build(overlay))).collect();
    for manifest in rbac::manifests().expect("they are written") {
        let role = &objects(&manifest.yaml)[0];
        let same =
            |object: &&Value| object["kind"] == role["kind"] && object["metadata"]["name"] == role["metadata"]["name"];
        let found = built.iter().find(same).unwrap_or_else(|| panic!("no overlay has {}", manifest.role));
        assert_eq!(found["rules"], role["rules"]);
    }
}

#[test]
fn the_api_server_takes_every_overlay() {
    install_crds();
    let _alone = INSTALLATION.lock().unwrap_or_else(PoisonError::into_inner);
    let namespace = root().join("manifests/base/namespace.yaml");
    succeeds(kubectl().args(["apply", "--server-side", "-f"]).arg(&namespace), "");
    for overlay in overlays() {
        let (ours, of_others): (Vec<_>, Vec<_>) = objects(&build(&overlay)).into_iter().partition(|object| {
            !["monitoring.coreos.com/v1", "cert-manager.io/v1"].iter().any(|of| object["apiVersion"] == *of)
        });
        let stream: Vec<_> = ours.iter().map(Value::to_string).collect();
        let apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-o", "name", "-f", "-"];
        let taken = succeeds(kubectl().args(apply), &stream.join("\n---\n"));
        assert_eq!(taken.lines().count(), ours.len());
        assert!(of_others.len() <= 4);
    }
}

fn may(arguments: &[&str]) -> bool {
    let output = pipe(kubectl().args(["auth", "can-i", "--as", ACCOUNT]).args(arguments), b"");
    text(output.stdout).trim() == "yes"
}

/// What `hack/kind/up` does but for kind itself. The namespace enforces the pod security standard `restricted`: that there
/// are pods is the proof that they keep it.
#[test]
fn what_kind_gets_is_installed_and_may_do_what_it_needs() {
    install_crds();
    let _alone = INSTALLATION.lock().unwrap_or_else(PoisonError::into_inner);
    let install = &mut Command::new(root().join("hack/kind/install"));
    install.env("KUBECONFIG", kubeconfig()).env("KUBECTL", kubeconfig().with_file_name("kubectl"));
    for _again in 0..2 {
        succeeds(install, "");
    }
    let replicas = "--for=jsonpath={.status.replicas}=2";
    succeeds(kubectl().args(["-n", "hcp-identity", "wait", replicas, "deployment/hcp-identity", "--timeout=60s"]), "");

    for yes in [
        &["watch", "hostedclusters.hypershift.openshift.io", "-A"][..],
        &["patch", "deployments.apps", "-n", "clusters-healthy"],
        &["create", "secretproviderclasses.secrets-store.csi.x-k8s.io", "-n", "clusters-healthy"],
        &["update", "controlplaneidentities.hcpidentity.dev", "--subresource=status", "-A"],
        &["create", "leases.coordination.k8s.io", "-n", "hcp-identity"],
        &["update", "leases.coordination.k8s.io/hcp-identity", "-n", "hcp-identity"],
    ] {
        assert!(may(yes), "{yes:?}");
    }
    for no in [
        &["get", "secrets", "-A"][..],
        &["list", "configmaps", "-n", "hcp-identity"],
        &["patch", "hostedclusters.hypershift.openshift.io", "-A"],
        &["update", "hostedclusters.hypershift.openshift.io", "--subresource=status", "-A"],
        &["delete", "deployments.apps", "-A"],
        &["create", "pods", "-A"],
        &["update", "leases.coordination.k8s.io/another", "-n", "hcp-identity"],
        &["get", "leases.coordination.k8s.io", "-n", "kube-system"],
        &["create", "clusterrolebindings.rbac.authorization.k8s.io"],
        &["create", "customresourcedefinitions.apiextensions.k8s.io"],
    ] {
        assert!(!may(no), "{no:?}");
    }
    let namespaces = ["hcp-identity", "clusters-healthy", "clusters-paused", "clusters-invalid"];
    succeeds(kubectl().args(["delete", "--wait=false", "namespace"]).args(namespaces), "");
    succeeds(kubectl().args(["delete", "-n", "clusters", "hostedclusters", "healthy", "paused", "invalid"]), "");
    succeeds(kubectl().args(["wait", "--for=delete", "--timeout=60s", "namespace"]).args(namespaces), "");
}

fn demo(arguments: &[&str]) -> Command {
    let mut demo = Command::new(root().join("hack/demo"));
    demo.args(arguments).env("HCP_IDENTITY_BINARY", env!("CARGO_BIN_EXE_hcp-identity")).env_remove("KUBECONFIG");
    demo
}

/// Command lines of processes that belong to the demo.
fn processes_of_the_demo() -> Vec<String> {
    let folder = root().join("target/demo");
    let folder = folder.to_str().expect("a path");
    let entries = std::fs::read_dir("/proc").expect("Linux").filter_map(Result::ok);
    let processes = entries.filter_map(|entry| {
        let pid = entry.file_name().into_string().ok().filter(|name| name.bytes().all(|b| b.is_ascii_digit()))?;
        let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?.replace('\0', " ");
        let here = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
        (words.contains(folder) || words.contains("hack/demo") || here.starts_with(folder)).then_some(words)
    });
    processes.collect()
}

fn assert_nothing_is_left() {
    assert_eq!(processes_of_the_demo(), [""; 0]);
    assert!(!root().join("target/demo").exists());
}

/// A demo as a terminal runs it: Ctrl-C reaches every process of its group.
struct OnATerminal(Child);

impl OnATerminal {
    fn signal(&self, signal: &str) {
        drop(Command::new("kill").args([signal, "--", &format!("-{}", self.0.id())]).status());
    }

    /// Its exit code, if it ends in time.
    fn end(&mut self, patience: Duration) -> Option<i32> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait().expect("it is ours") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        None
    }
}

/// A test that fails leaves nothing either.
impl Drop for OnATerminal {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            self.signal("-KILL");
            drop(self.0.wait());
            drop(Command::new(root().join("hack/cluster")).args(["down", "target/demo"]).status());
        }
    }
}

/// Both ends of it: by itself, and by Ctrl-C.
#[test]
fn the_demo_shows_three_hosted_clusters_and_leaves_nothing() {
    let shown = succeeds(&mut demo(&["--once"]), "");
    for line in ["managed-azure-kms", "9/9", "Paused", "InvalidHostedCluster", "ingress-cert"] {
        assert!(shown.contains(line), "no {line} in\n{shown}");
    }
    assert_nothing_is_left();
    for mode in ["--policies", "--webhook"] {
        let shown = succeeds(&mut demo(&["--once", mode]), "");
        let deployment = shown.lines().find(|line| line.starts_with("ingress-operator  ")).expect("a Deployment");
        assert_eq!(deployment.split_whitespace().skip(1).collect::<Vec<_>>(), ["1", "1", "<none>", "<none>"]);
        let pod = shown.lines().find(|line| line.starts_with("ingress-operator-")).expect("a pod");
        assert!(pod.ends_with("ingress-cert") && shown.contains("9/9"), "{shown}");
        assert_nothing_is_left();
    }

    let child = demo(&[]).process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut running = OnATerminal(child.expect("it starts"));
    let lines = BufReader::new(running.0.stdout.take().expect("piped")).lines();
    let mut lines = lines.map(|line| line.expect("text"));
    assert!(lines.any(|line| line.contains("Ctrl-C ends everything")), "it ended before it was done");
    assert!(lines.any(|line| line.starts_with("clusters ")), "status -w shows nothing");
    assert!(!processes_of_the_demo().is_empty(), "looking for processes finds none");
    running.signal("-INT");
    assert_eq!(running.end(Duration::from_secs(60)), Some(130));
    assert_nothing_is_left();
}
