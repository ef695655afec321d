//! What `render` prints, on a real kube-apiserver. `hack/test` starts one; by hand:
//!
//!     eval "$(hack/cluster up)"; cargo test --features test-cluster --test cluster; hack/cluster down

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use support::{cases, hcp_identity, pipe, read, testdata, text};

/// The kubectl and the cluster of `KUBECONFIG`.
fn kubectl() -> Command {
    #[expect(clippy::disallowed_methods, reason = "which cluster is for the caller to say")]
    let kubeconfig = std::env::var_os("KUBECONFIG").map(PathBuf::from);
    let kubeconfig = kubeconfig.expect("KUBECONFIG names the test cluster: eval \"$(hack/cluster up)\"");
    let mut kubectl = Command::new(kubeconfig.with_file_name("kubectl"));
    kubectl.arg("--kubeconfig").arg(kubeconfig);
    kubectl
}

fn succeeds(command: &mut Command, input: &str) -> String {
    let output = pipe(command, input.as_bytes());
    assert!(output.status.success(), "{command:?}: {}", text(output.stderr));
    text(output.stdout)
}

/// The CRDs of others that `render` writes objects of.
fn install_crds() {
    succeeds(kubectl().args(["apply", "--server-side", "-f"]).arg(testdata("cluster/crds")), "");
    succeeds(kubectl().args(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]), "");
}

/// The documents of a stream but pods, whose spec cannot be changed once they are there.
fn applicable(stream: &str) -> Vec<&str> {
    stream.split("---\n").filter(|document| !document.is_empty() && !document.contains("\nkind: Pod\n")).collect()
}

fn create_namespaces(documents: &[&str]) {
    let lines = documents.iter().flat_map(|document| document.lines());
    let namespaces: BTreeSet<_> = lines.filter_map(|line| line.strip_prefix("  namespace: ")).collect();
    for namespace in namespaces {
        let manifest = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n");
        succeeds(kubectl().args(["apply", "--server-side", "-f", "-"]), &manifest);
    }
}

#[test]
fn the_api_server_takes_everything_that_is_rendered() {
    install_crds();
    let mut applied = 0;
    for case in cases("render") {
        let expected = read(&case.join("expected.yaml"));
        let documents = applicable(&expected);
        create_namespaces(&documents);
        if !documents.is_empty() {
            let apply = &mut kubectl();
            apply.args(["apply", "--server-side", "--dry-run=server", "--force-conflicts", "-o", "name", "-f", "-"]);
            applied += succeeds(apply, &documents.join("---\n")).lines().count();
        }
    }
    assert!(applied > 200, "{applied} objects are fewer than the cases have");
}

/// What the API server has made of our output, with its defaults and managedFields, goes back in: every value comes out as
/// it went in, but for what only the server writes.
#[test]
fn what_the_api_server_has_made_of_it_is_wired_already() {
    install_crds();
    // In a namespace of its own: the cases of the other test are not to meet what is made here.
    let input = read(&testdata("render").join("every-pod-of-the-table-is-wired/input.yaml"));
    let input = input.replace("name: prod\n", "name: live\n").replace("clusters-prod", "clusters-live");
    let expected = succeeds(hcp_identity().arg("render"), &input);
    create_namespaces(&applicable(&expected));
    succeeds(kubectl().args(["apply", "--server-side", "-f", "-"]), &expected);

    let live = succeeds(
        kubectl().args(["get", "deployments", "-n", "clusters-live", "-o", "json", "--show-managed-fields"]),
        "",
    );
    let render = &mut hcp_identity();
    render.args(["render", "-o", "json", "-f", "-", "-f"]).arg(hosted_cluster(&input));
    let rendered = succeeds(render, &live);

    let classes = succeeds(kubectl().args(["get", "secretproviderclasses", "-n", "clusters-live", "-o", "json"]), "");
    assert_eq!(specs(&classes, "SecretProviderClass"), specs(&rendered, "SecretProviderClass"));
    assert_eq!(specs(&live, "Deployment"), specs(&rendered, "Deployment"));
    assert_eq!(specs(&rendered, "Deployment").len(), 11);
    // An apply of what came out is no change: the API server keeps the generation.
    let generations = || {
        succeeds(
            kubectl().args([
                "get",
                "deployments,secretproviderclasses",
                "-n",
                "clusters-live",
                "-o",
                "jsonpath={.items[*].metadata.generation}",
            ]),
            "",
        )
    };
    let before = generations();
    succeeds(kubectl().args(["apply", "--server-side", "--force-conflicts", "-f", "-"]), &rendered);
    assert_eq!(generations(), before);
}

/// The HostedCluster alone, without the workloads of the case.
fn hosted_cluster(input: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hosted-cluster.yaml");
    let hosted_cluster = input.split("---\n").next().expect("a document");
    #[expect(clippy::disallowed_methods, reason = "render reads two sources, and standard input is one")]
    std::fs::write(&file, hosted_cluster).expect("a file");
    file
}

/// Name and spec of every object of a kind in a List.
fn specs(list: &str, kind: &str) -> Vec<(String, Value)> {
    let list: Value = serde_json::from_str(list).expect("a List");
    let mut specs: Vec<_> = list["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter(|object| object["kind"] == kind)
        .map(|object| (object["metadata"]["name"].as_str().expect("a name").to_owned(), object["spec"].clone()))
        .collect();
    specs.sort_by(|a, b| a.0.cmp(&b.0));
    specs
}
