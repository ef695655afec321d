//! The simulated HyperShift and `render` were written from the same facts and share no code: they have to agree.

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use hypershift_sim::{Azure, ControlPlane};
use serde_json::Value;
use support::{KEY_VAULT_USER, hcp_identity, pipe, read, testdata, text};

fn control_plane() -> ControlPlane {
    let input = read(&testdata("render").join("a-hosted-cluster-with-all-nine-identities/input.yaml"));
    ControlPlane::new(serde_saphyr::from_str(&input).expect("a HostedCluster"), KEY_VAULT_USER)
}

/// What `render` makes of the HostedCluster and the Deployments of its control plane.
fn rendered(plane: &ControlPlane) -> Vec<Value> {
    let deployments = plane.deployments().into_iter().map(|(_, deployment)| deployment);
    let documents = std::iter::once(plane.hosted_cluster.clone()).chain(deployments);
    let input: String = documents.map(|document| format!("---\n{document}\n")).collect();
    let output = pipe(hcp_identity().args(["render", "-o", "json", "-f", "-"]), input.as_bytes());
    assert!(output.status.success(), "{}", text(output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout).expect("a List");
    list["items"].as_array().expect("items").clone()
}

/// Name and spec of every object of a kind, by name.
fn specs<'o>(objects: impl IntoIterator<Item = &'o Value>, kind: &str) -> Vec<(String, Value)> {
    let of_kind = objects.into_iter().filter(|object| object["kind"] == kind);
    let mut specs: Vec<_> =
        of_kind.map(|object| (object["metadata"]["name"].to_string(), object["spec"].clone())).collect();
    specs.sort_by(|a, b| a.0.cmp(&b.0));
    specs.dedup();
    specs
}

#[test]
fn both_want_the_same_nine_provider_classes() {
    let plane = control_plane();
    let classes: Vec<_> = plane.classes().into_iter().map(|(_, class)| class).collect();
    assert_eq!(classes.len(), 10, "the kms class has two writers");
    let wanted = specs(&classes, "SecretProviderClass");
    assert_eq!(wanted.len(), 9);
    assert_eq!(specs(&rendered(&plane), "SecretProviderClass"), wanted);
}

#[test]
fn what_the_simulation_wired_render_leaves_as_it_is() {
    let plane = control_plane();
    let deployments: Vec<_> = plane.deployments().into_iter().map(|(_, deployment)| deployment).collect();
    let wanted = specs(&deployments, "Deployment");
    assert_eq!(wanted.len(), 11);
    assert_eq!(specs(&rendered(&plane), "Deployment"), wanted);
}

/// The same wiring from nothing, but for its place in the lists.
#[test]
fn what_the_simulation_left_unwired_render_wires_the_same_way() {
    let mut plane = control_plane();
    let wired: Vec<_> = plane.deployments().into_iter().map(|(_, deployment)| in_order(deployment)).collect();
    plane.azure = Azure::Absent;
    assert_eq!(plane.classes(), []);
    let rendered: Vec<_> = rendered(&plane).into_iter().map(in_order).collect();
    assert_eq!(specs(&rendered, "Deployment"), specs(&wired, "Deployment"));
}

/// The object with its lists sorted.
fn in_order(object: Value) -> Value {
    match object {
        Value::Array(items) => {
            let mut items: Vec<_> = items.into_iter().map(in_order).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().map(|(key, value)| (key, in_order(value))).collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(fields.into_iter().collect())
        }
        other => other,
    }
}
