//! The ways in which HyperShift's operators write. Each is a pure decision: what is there, what is wanted, what to put.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Map, Value, json};

use crate::derivative::is_derivative;

/// Who writes, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Writer {
    /// control-plane-operator since 4.20: ApplyManifest, with a hash of the desired state.
    CpoHead,
    /// control-plane-operator of 4.19: ApplyManifest without the hash.
    Cpo419,
    /// hypershift-operator's CreateOrUpdate of a provider class.
    Ho,
    /// library-go's ApplyDeployment: csi-operator and cluster-storage-operator.
    LibraryGo,
    /// cluster-network-operator's server-side apply, with force.
    Cno,
}

pub const DESIRED_STATE_HASH: &str = "hypershift.openshift.io/desired-state-hash";
pub const HOSTED_CLUSTER: &str = "hypershift.openshift.io/cluster";
const SPEC_HASH: &str = "operator.openshift.io/spec-hash";
pub(crate) const CNO_MANAGER: &str = "cluster-network-operator/operconfig";

impl Writer {
    /// What it creates where nothing is.
    pub(crate) fn creation(self, desired: &Value) -> Value {
        let mut object = desired.clone();
        match self {
            Self::CpoHead => annotate(&mut object, DESIRED_STATE_HASH, digest(desired)),
            Self::LibraryGo => annotate(&mut object, SPEC_HASH, digest(&desired["spec"])),
            Self::Cpo419 | Self::Ho | Self::Cno => {}
        }
        object
    }

    /// What it puts over what is there, or nothing. `expected_generation` is what library-go noted after its last write.
    pub(crate) fn update(self, live: &Value, desired: &Value, expected_generation: Option<i64>) -> Option<Value> {
        match self {
            Self::CpoHead | Self::Cpo419 => apply_manifest(live, desired, self == Self::CpoHead),
            Self::Ho => create_or_update(live, desired),
            Self::LibraryGo => apply_deployment(live, desired, expected_generation),
            // Says what it wants on every pass, and leaves the rest to the API server.
            Self::Cno => Some(desired.clone()),
        }
    }

    /// Whether a change of somebody else makes it reconcile before its time.
    pub(crate) fn watches(self, kind: &str) -> bool {
        match self {
            Self::CpoHead | Self::Cpo419 => kind == "Deployment",
            Self::Ho | Self::LibraryGo => true,
            Self::Cno => false,
        }
    }
}

/// The whole desired object is put if its hash is another than the stored one, or else if the live object lacks
/// something of it. Labels and annotations are merged, owner references are not.
fn apply_manifest(live: &Value, desired: &Value, with_hash: bool) -> Option<Value> {
    let mut object = desired.clone();
    keep_selector_and_resources(&mut object, live);
    let hash = digest(&object);
    let another_hash = with_hash && live["metadata"]["annotations"][DESIRED_STATE_HASH] != hash.as_str();
    // The labels and annotations of the live object are overwritten before it is compared: of those that have another
    // value it takes no notice, only of their number.
    let derived = ["spec", "status"].iter().all(|key| is_derivative(&object[key], &live[key]))
        && is_derivative(&object["metadata"]["ownerReferences"], &live["metadata"]["ownerReferences"]);
    merge(&mut object, live, "labels");
    merge(&mut object, live, "annotations");
    if with_hash {
        annotate(&mut object, DESIRED_STATE_HASH, hash);
    }
    let fewer_labels = size(&live["metadata"]["labels"]) < size(&object["metadata"]["labels"]);
    object["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
    (another_hash || fewer_labels || !derived).then_some(object)
}

/// What ApplyManifest leaves to the live object.
fn keep_selector_and_resources(object: &mut Value, live: &Value) {
    if let Some(selector) = live.pointer("/spec/selector") {
        object["spec"]["selector"] = selector.clone();
    }
    let live = live.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let containers = object.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        let same = live.into_iter().flatten().find(|live| live["name"] == container["name"]);
        if let Some(resources) = same.map(|live| &live["resources"]).filter(|resources| size(resources) > 0) {
            container["resources"] = resources.clone();
        }
    }
}

/// The spec is set as a whole and compared strictly; metadata of others stays.
fn create_or_update(live: &Value, desired: &Value) -> Option<Value> {
    let mut object = live.clone();
    object["spec"] = desired["spec"].clone();
    overlay(&mut object, desired, "annotations");
    let changed = object != *live;
    // Go's type has a status that it cannot leave out.
    if let Some(status) = desired.get("status") {
        object["status"] = status.clone();
    }
    changed.then_some(object)
}

/// The whole spec is put whenever the metadata lacks something or the generation is not the one of the last write.
fn apply_deployment(live: &Value, desired: &Value, expected_generation: Option<i64>) -> Option<Value> {
    let required = Writer::LibraryGo.creation(desired);
    let mut object = live.clone();
    overlay(&mut object, &required, "labels");
    overlay(&mut object, &required, "annotations");
    let as_expected = object == *live && live["metadata"]["generation"].as_i64() == expected_generation;
    object["spec"] = required["spec"].clone();
    (!as_expected).then_some(object)
}

/// Adds to a map of the metadata what only `live` has.
fn merge(object: &mut Value, live: &Value, map: &str) {
    let mut merged = live["metadata"][map].as_object().cloned().unwrap_or_default();
    merged.extend(object["metadata"][map].as_object().cloned().unwrap_or_default());
    if !merged.is_empty() {
        object["metadata"][map] = Value::Object(merged);
    }
}

/// Sets in a map of the metadata what `wanted` has.
fn overlay(object: &mut Value, wanted: &Value, map: &str) {
    let wanted = wanted["metadata"][map].as_object().cloned().unwrap_or_default();
    if wanted.is_empty() {
        return;
    }
    let mut merged = object["metadata"][map].as_object().cloned().unwrap_or_default();
    merged.extend(wanted);
    object["metadata"][map] = Value::Object(merged);
}

fn annotate(object: &mut Value, key: &str, value: String) {
    let annotations = &mut object["metadata"]["annotations"];
    if !annotations.is_object() {
        *annotations = json!({});
    }
    annotations[key] = Value::String(value);
}

fn size(map: &Value) -> usize {
    map.as_object().map_or(0, Map::len)
}

/// Of what it says, not of the order in which its fields stand.
fn digest(value: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    hash(value, &mut hasher);
    format!("{:016x}", hasher.finish())
}

fn hash(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            for (key, value) in entries {
                key.hash(hasher);
                hash(value, hasher);
            }
            "}".hash(hasher);
        }
        Value::Array(items) => {
            items.iter().for_each(|item| hash(item, hasher));
            "]".hash(hasher);
        }
        other => other.to_string().hash(hasher),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::digest;

    #[test]
    fn a_digest_knows_values_and_not_the_order_of_fields() {
        assert_eq!(digest(&json!({"a": 1, "b": [1, 2]})), digest(&json!({"b": [1, 2], "a": 1})));
        assert_ne!(digest(&json!({"a": 1, "b": [1, 2]})), digest(&json!({"a": 1, "b": [2, 1]})));
    }
}
