//! `manifests/` without a cluster: the roles are what the code makes them, and no file grants what was promised never to be.

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use std::path::{Path, PathBuf};

use hcp_identity::{
    cluster::rbac,
    settings::{
        SettingsFile,
        daemon::{DaemonSettings, Mode},
    },
};
use serde_json::{Value, json};
use support::{golden, hcp_identity, read, text};

fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests")
}

#[expect(clippy::disallowed_methods, reason = "this test is about files")]
fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(yaml_files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Every object of every file.
fn objects() -> Vec<Value> {
    let files: Vec<_> = yaml_files(&manifests()).iter().map(|file| read(file)).collect();
    files
        .iter()
        .flat_map(|text| text.split("\n---\n"))
        .map(|document| serde_saphyr::from_str(document).expect("YAML"))
        .collect()
}

/// Secrets of control planes whose metadata may be asked for, where somebody installs the component for it.
const CONFIGURATION: [&str; 7] = [
    "azure-cloud-config",
    "azure-ingress-credentials",
    "cloud-network-config-controller-creds",
    "azure-disk-csi-config",
    "azure-file-csi-config",
    "azure-image-registry-credentials",
    "azure-kms-config",
];

/// What a rule grants that none may.
fn offence(rule: &Value) -> Option<&'static str> {
    let words = |key: &str| -> Vec<String> {
        let list = rule[key].as_array().cloned().unwrap_or_default();
        list.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
    };
    let (resources, verbs) = (words("resources"), words("verbs"));
    let has = |resource: &str| resources.iter().any(|found| found.split('/').next() == Some(resource));
    if [words("apiGroups"), resources.clone(), verbs.clone()].concat().iter().any(|word| word.contains('*')) {
        return Some("a wildcard");
    }
    let is_ours = words("resourceNames") == ["hcp-identity-webhook-ca"] && verbs == ["get", "update"];
    let is_named = words("resourceNames") == CONFIGURATION && verbs == ["get"];
    if has("configmaps") || has("secrets") && !is_ours && !is_named && verbs != ["create"] {
        return Some("secrets or configmaps");
    }
    if has("hostedclusters") && verbs.iter().any(|verb| !["get", "list", "watch"].contains(&verb.as_str())) {
        return Some("a write to hostedclusters");
    }
    let reads = |verb: &String| ["get", "list", "watch"].contains(&verb.as_str());
    if has("serviceaccounts") && !verbs.iter().all(reads)
        || words("apiGroups").contains(&"rbac.authorization.k8s.io".to_owned())
    {
        return Some("power over who may do what");
    }
    if resources.contains(&"pods/exec".to_owned()) || rule.get("nonResourceURLs").is_some() {
        return Some("more than objects");
    }
    None
}

#[test]
fn the_roles_are_made_of_the_table_of_accesses() {
    for manifest in rbac::manifests().expect("they are written") {
        golden(&manifests().join(&manifest.path), &manifest.yaml);
    }
    let mut render = hcp_identity();
    render.env_clear();
    let printed = render.args(["render", "--policies"]).output().expect("it needs no key vault user");
    let policies = format!("# What `hcp-identity render --policies` prints.\n{}", text(printed.stdout));
    golden(&manifests().join("components/policies/policies.yaml"), &policies);
}

#[test]
fn no_rule_grants_what_was_promised_never_to_be() {
    let objects = objects();
    let roles = objects.iter().filter(|object| matches!(object["kind"].as_str(), Some("Role" | "ClusterRole")));
    let rules: Vec<_> = roles.flat_map(|role| role["rules"].as_array().expect("rules")).collect();
    assert!(rules.len() >= 12, "{rules:?}");
    for rule in rules {
        assert_eq!(offence(rule), None, "{rule}");
    }
    assert!(objects.iter().all(|object| object.get("aggregationRule").is_none()));
    let of_the_cluster = objects.iter().filter(|object| object["kind"] == "ClusterRole");
    let reach = of_the_cluster.filter(|role| role["rules"].to_string().contains("\"secrets\""));
    let reach: Vec<_> = reach.map(|role| role["metadata"]["name"].as_str().expect("a name")).collect();
    assert_eq!(reach, ["hcp-identity-configuration-metadata"], "of no other namespace but by this one");
}

#[test]
fn each_offence_is_seen() {
    let rule = |group: &str, resource: &str, verb: &str| json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]});
    assert_eq!(offence(&rule("", "secrets", "get")), Some("secrets or configmaps"));
    assert_eq!(offence(&rule("", "secrets", "update")), Some("secrets or configmaps"));
    let named = |verb: &str, names: &[&str]| json!({"apiGroups": [""], "resources": ["secrets"], "verbs": [verb], "resourceNames": names});
    assert_eq!(offence(&named("get", &CONFIGURATION)), None);
    assert_eq!(offence(&named("list", &CONFIGURATION)), Some("secrets or configmaps"));
    assert_eq!(offence(&named("get", &["another"])), Some("secrets or configmaps"));
    assert_eq!(offence(&rule("", "configmaps", "list")), Some("secrets or configmaps"));
    assert_eq!(offence(&rule("hypershift.openshift.io", "hostedclusters", "patch")), Some("a write to hostedclusters"));
    assert_eq!(
        offence(&rule("hypershift.openshift.io", "hostedclusters/status", "update")),
        Some("a write to hostedclusters")
    );
    assert_eq!(offence(&rule("apps", "*", "get")), Some("a wildcard"));
    assert_eq!(offence(&rule("apps", "deployments", "*")), Some("a wildcard"));
    assert_eq!(offence(&rule("rbac.authorization.k8s.io", "clusterroles", "bind")), Some("power over who may do what"));
    assert_eq!(offence(&rule("", "serviceaccounts/token", "create")), Some("power over who may do what"));
    assert_eq!(offence(&rule("", "serviceaccounts", "impersonate")), Some("power over who may do what"));
    assert_eq!(offence(&rule("", "serviceaccounts", "list")), None);
    assert_eq!(offence(&rule("", "pods/exec", "create")), Some("more than objects"));
    assert_eq!(offence(&rule("apps", "deployments", "patch")), None);
}

/// Whoever installs the base alone has a daemon that only looks.
#[test]
fn the_base_only_observes() {
    let settings: Value = serde_saphyr::from_str(&read(&manifests().join("base/settings.yaml"))).expect("YAML");
    let text = settings["data"]["settings.yaml"].as_str().expect("settings");
    let settings = DaemonSettings::new(SettingsFile::parse(text).expect("settings")).expect("valid settings");
    assert_eq!(settings.mode, Mode::Observe);
}

/// The image of a release is that release, everywhere.
#[test]
fn the_image_is_of_this_version() {
    let image = format!("ghcr.io/hcp-identity/hcp-identity:v{}", env!("CARGO_PKG_VERSION"));
    let deployment: Value = serde_saphyr::from_str(&read(&manifests().join("base/deployment.yaml"))).expect("YAML");
    assert_eq!(deployment["spec"]["template"]["spec"]["containers"][0]["image"], image);
    assert!(read(&manifests().join("../hack/kind/up")).contains(&image));
}
