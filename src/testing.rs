//! One valid world for the unit tests: a HostedCluster with all nine identities, and ways to break it by a line.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    manifest::{Documents, Limits, Node},
    settings::{Settings, SettingsFile},
};

pub(crate) const IDENTITIES: &str = "/spec/platform/azure/azureAuthenticationConfig/managedIdentities";

pub(crate) fn node(yaml: &str) -> Node {
    let mut documents = Documents::new(yaml.as_bytes(), Limits::default());
    let document = documents.next_document().unwrap().unwrap();
    let mut nodes = Vec::new();
    document.objects(&Limits::default(), &mut |object| nodes.push(object.node)).unwrap();
    nodes.remove(0)
}

pub(crate) fn hosted_cluster() -> Value {
    node(include_str!("../testdata/render/a-hosted-cluster-with-all-nine-identities/input.yaml")).to_value()
}

pub(crate) fn workload_identities() -> Value {
    let mut cluster = hosted_cluster();
    let client = |number: usize| json!({"clientID": format!("00000000-0000-0000-0000-{number:012}")});
    let names = ["cloudProvider", "disk", "file", "imageRegistry", "ingress", "network", "nodePoolManagement"];
    let identities = names.iter().enumerate().map(|(number, name)| ((*name).to_owned(), client(number)));
    let identities: serde_json::Map<_, _> = identities.collect();
    set(
        &mut cluster,
        "/spec/platform/azure/azureAuthenticationConfig",
        json!({"azureAuthenticationConfigType": "WorkloadIdentities", "workloadIdentities": identities}),
    );
    set(&mut cluster, "/spec/secretEncryption/kms/azure/workloadIdentity", client(names.len()));
    unset(&mut cluster, "/spec/secretEncryption/kms/azure/kms");
    set(&mut cluster, "/spec/issuerURL", json!("https://prodoidc.blob.core.windows.net/prod"));
    set(&mut cluster, "/spec/infraID", json!("prod-x7k2p"));
    set(&mut cluster, "/spec/serviceAccountSigningKey", json!({"name": "prod-sa-signing-key"}));
    cluster
}

/// Sets a field by its JSON pointer; `@/` stands for the managed identities.
pub(crate) fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = split(pointer);
    let parent = object.pointer_mut(&parent).unwrap_or_else(|| panic!("no {parent}"));
    parent[key] = value;
}

pub(crate) fn unset(object: &mut Value, pointer: &str) {
    let (parent, key) = split(pointer);
    let parent = object.pointer_mut(&parent).and_then(Value::as_object_mut).unwrap();
    assert!(parent.shift_remove(&key).is_some(), "no {pointer}");
}

fn split(pointer: &str) -> (String, String) {
    let pointer = pointer.replace("@/", &format!("{IDENTITIES}/"));
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    (parent.to_owned(), key.to_owned())
}

pub(crate) fn settings() -> Arc<Settings> {
    let user = "2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11";
    Arc::new(Settings::new(Some(user), SettingsFile::default()).unwrap())
}
