//! What `render` prints, on a real kube-apiserver. `hack/test` starts one; by hand:
//!
//!     eval "$(hack/cluster up)"; cargo test --features test-cluster --test cluster; hack/cluster down

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::Value;
use support::{
    cases,
    cluster::{install_crds, kubectl, succeeds},
    hcp_identity, pipe, read, testdata, text,
};

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

/// The CRD of the tests, and our own reading of HyperShift's, against what was measured of the real one.
#[test]
fn the_crd_of_the_tests_and_validate_give_the_verdicts_of_the_real_one() {
    install_crds();
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: clusters}\n";
    succeeds(kubectl().args(["apply", "--server-side", "-f", "-"]), namespace);
    let valid = read(&testdata("render").join("a-hosted-cluster-with-all-nine-identities/input.yaml"));
    let valid: Value = serde_saphyr::from_str(&valid).expect("a HostedCluster");
    let table = read(&testdata("cluster").join("verdicts.md"));
    let rows = table.lines().filter(|line| line.ends_with("accepted |") || line.ends_with("refused |"));
    let mut seen = 0;
    for row in rows {
        let [_, change, tweaks, verdict, _] = row.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("{row} is no row")
        };
        let mut cluster = valid.clone();
        cluster["metadata"]["name"] = "verdicts".into();
        tweaks.split("; ").filter(|tweak| !tweak.is_empty()).for_each(|tweak| apply_tweak(&mut cluster, tweak));
        let cluster = cluster.to_string();
        let create = pipe(kubectl().args(["create", "--dry-run=server", "-f", "-"]), cluster.as_bytes());
        let validate = pipe(hcp_identity().args(["validate", "--crd-only", "-f", "-"]), cluster.as_bytes());
        let said = |accepts: bool| if accepts { "accepted" } else { "refused" };
        assert_eq!(said(create.status.success()), verdict, "{change}, the CRD: {}", text(create.stderr));
        assert_eq!(said(validate.status.success()), verdict, "{change}, validate: {}", text(validate.stdout));
        seen += 1;
    }
    assert!(seen > 30, "{seen} rows are fewer than the table has");
}

/// `set POINTER JSON` or `unset POINTER`.
fn apply_tweak(cluster: &mut Value, tweak: &str) {
    let tweak = tweak.replace('@', "/spec/platform/azure/azureAuthenticationConfig/managedIdentities");
    let (verb, rest) = tweak.split_once(' ').expect("a verb");
    let (pointer, value) = rest.split_once(' ').unwrap_or((rest, ""));
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = cluster.pointer_mut(parent).and_then(Value::as_object_mut).expect("the field is in something");
    match verb {
        "set" => {
            parent.insert(key.to_owned(), serde_json::from_str(value).expect("JSON"));
        }
        "unset" => assert!(parent.remove(key).is_some(), "no {pointer}"),
        other => panic!("{other} is no verb"),
    }
}
