//! What a HostedCluster and its control plane are to look like before and after, from the golden files of `render`.

use serde_json::{Map, Value, json};

use crate::Result;

const BEFORE: &str = include_str!("../../../../testdata/render/every-pod-of-the-table-is-wired/input.yaml");
const AFTER: &str = include_str!("../../../../testdata/render/every-pod-of-the-table-is-wired/expected.yaml");

/// The name of the HostedCluster in the golden files; its namespaces and secrets are named after it.
const NAME: &str = "prod";

/// The lists of a pod spec and of a container that wiring adds to.
const OF_PODS: [&str; 1] = ["volumes"];
const OF_CONTAINERS: [&str; 2] = ["volumeMounts", "env"];

/// Of one HostedCluster, in the order in which the golden files have them.
#[derive(Clone)]
pub struct Golden {
    pub hosted_cluster: Value,
    pub deployments: Vec<Value>,
    pub classes: Vec<Value>,
    /// One for each Deployment: what an apply has to name to wire it.
    pub wirings: Vec<Value>,
}

impl Golden {
    pub fn read() -> Result<Self> {
        let before = documents(BEFORE)?;
        let (classes, after): (Vec<_>, Vec<_>) =
            documents(AFTER)?.into_iter().partition(|document| document["kind"] == "SecretProviderClass");
        let (hosted_cluster, deployments) = before.split_first().ok_or("no HostedCluster in the golden file")?;
        let wirings = deployments.iter().map(|deployment| {
            let after = after.iter().find(|after| after["metadata"]["name"] == deployment["metadata"]["name"]);
            Ok(wiring(deployment, after.ok_or("a Deployment is not in both golden files")?))
        });
        Ok(Self {
            hosted_cluster: hosted_cluster.clone(),
            wirings: wirings.collect::<Result<_>>()?,
            deployments: deployments.to_vec(),
            classes,
        })
    }

    /// The same of another HostedCluster.
    pub fn of(&self, name: &str) -> Result<Self> {
        let all = |values: &[Value]| values.iter().map(|value| renamed(value, name)).collect::<Result<_>>();
        Ok(Self {
            hosted_cluster: renamed(&self.hosted_cluster, name)?,
            deployments: all(&self.deployments)?,
            classes: all(&self.classes)?,
            wirings: all(&self.wirings)?,
        })
    }
}

fn documents(yaml: &str) -> Result<Vec<Value>> {
    Ok(serde_saphyr::read::<_, Value>(&mut yaml.as_bytes()).collect::<std::result::Result<_, _>>()?)
}

fn renamed(value: &Value, name: &str) -> Result<Value> {
    Ok(serde_json::from_str(&value.to_string().replace(NAME, name))?)
}

fn wiring(before: &Value, after: &Value) -> Value {
    let spec = "/spec/template/spec";
    let (before_spec, after_spec) =
        (before.pointer(spec).unwrap_or(&Value::Null), after.pointer(spec).unwrap_or(&Value::Null));
    let mut wiring = added(before_spec, after_spec, &OF_PODS);
    let containers: Vec<Value> = items(&before_spec["containers"])
        .iter()
        .zip(items(&after_spec["containers"]))
        .map(|(before, after)| (after, added(before, after, &OF_CONTAINERS)))
        .filter(|(_, added)| !added.is_empty())
        .map(|(container, mut added)| {
            added.insert("name".to_owned(), container["name"].clone());
            Value::Object(added)
        })
        .collect();
    wiring.insert("containers".to_owned(), Value::Array(containers));
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": before["metadata"]["name"], "namespace": before["metadata"]["namespace"]},
        "spec": {"template": {"spec": wiring}},
    })
}

fn added(before: &Value, after: &Value, lists: &[&str]) -> Map<String, Value> {
    let new = |list: &str| -> Vec<Value> {
        let old = items(&before[list]);
        items(&after[list]).iter().filter(|item| !old.contains(item)).cloned().collect()
    };
    lists
        .iter()
        .map(|list| ((*list).to_owned(), new(list)))
        .filter(|(_, new)| !new.is_empty())
        .map(|(list, new)| (list, new.into()))
        .collect()
}

/// Whether a Deployment has everything of a wiring.
pub fn is_wired(deployment: &Value, wiring: &Value) -> bool {
    let spec = "/spec/template/spec";
    let (Some(have), Some(wanted)) = (deployment.pointer(spec), wiring.pointer(spec)) else { return false };
    let contains = |have: &Value, wanted: &Value, list: &str| {
        items(&wanted[list]).iter().all(|item| items(&have[list]).contains(item))
    };
    OF_PODS.iter().all(|list| contains(have, wanted, list))
        && items(&wanted["containers"]).iter().all(|wanted| {
            let have = items(&have["containers"]).iter().find(|have| have["name"] == wanted["name"]);
            have.is_some_and(|have| OF_CONTAINERS.iter().all(|list| contains(have, wanted, list)))
        })
}

/// The elements of a list that may be absent.
pub fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}
