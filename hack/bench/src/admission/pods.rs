//! The pods of a control plane, as kube-apiserver asks about them: with its defaults, their owner and managed fields.

use serde_json::{Map, Value, json};

use crate::{Result, grown::grown};

const WORKLOADS: &str = include_str!("../../../../testdata/render/every-pod-of-the-table-is-wired/input.yaml");

/// Of the many that are no component's.
const OTHERS: [&str; 9] = [
    "catalog-operator",
    "cluster-autoscaler",
    "cluster-policy-controller",
    "etcd",
    "kube-controller-manager",
    "kube-scheduler",
    "oauth-openshift",
    "openshift-apiserver",
    "openshift-controller-manager",
];

/// One of each Deployment that the table is about, and others.
pub fn control_plane_pods() -> Result<Vec<Value>> {
    let documents =
        serde_saphyr::read::<_, Value>(&mut WORKLOADS.as_bytes()).collect::<std::result::Result<Vec<_>, _>>()?;
    let workloads = documents.into_iter().filter(|document| document["kind"] == "Deployment");
    let others = OTHERS.iter().map(|name| other(name));
    Ok(workloads.chain(others).enumerate().map(|(number, workload)| pod(&grown(&workload, number))).collect())
}

fn other(name: &str) -> Value {
    let container = json!({"name": name, "image": format!("registry.example.com/{name}:4.20")});
    let template = json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}});
    json!({"metadata": {"name": name}, "spec": {"template": template}})
}

fn pod(workload: &Value) -> Value {
    let name = workload["metadata"]["name"].as_str().unwrap_or_default();
    let template = &workload["spec"]["template"];
    let mut labels = template["metadata"]["labels"].clone();
    labels["pod-template-hash"] = json!("79c5b7d5c9");
    let mut metadata = json!({
        "generateName": format!("{name}-79c5b7d5c9-"),
        "labels": labels,
        "annotations": template["metadata"]["annotations"],
        "ownerReferences": [{
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{name}-79c5b7d5c9"),
            "uid": "0b1f6f0e-6f57-4a0e-9a6d-3f5e3f1c2d4b", "controller": true, "blockOwnerDeletion": true,
        }],
    });
    let mut spec = template["spec"].clone();
    let containers = spec["containers"].as_array_mut();
    containers.into_iter().flatten().for_each(|container| complete(container, &defaults_of_containers()));
    complete(&mut spec, &defaults_of_pods());
    // What is empty is not sent.
    spec.as_object_mut().into_iter().for_each(|spec| drop(spec.shift_remove("priorityClassName")));
    metadata["managedFields"] = json!([{
        "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": fields(&metadata), "f:spec": fields(&spec)},
    }]);
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec, "status": {}})
}

fn defaults_of_containers() -> Value {
    json!({
        "resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    })
}

fn defaults_of_pods() -> Value {
    json!({
        "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default", "serviceAccount": "default", "automountServiceAccountToken": false,
        "securityContext": {}, "schedulerName": "default-scheduler", "priority": 0, "enableServiceLinks": true,
        "preemptionPolicy": "PreemptLowerPriority",
    })
}

fn complete(object: &mut Value, defaults: &Value) {
    for (key, value) in defaults.as_object().into_iter().flatten() {
        if object.get(key).is_none() {
            object[key] = value.clone();
        }
    }
}

/// As managed fields name them.
fn fields(value: &Value) -> Value {
    let named = |item: &Value| item["name"].as_str().map(|name| format!("k:{{\"name\":\"{name}\"}}"));
    let children: Map<String, Value> = match value {
        Value::Object(object) => object.iter().map(|(key, value)| (format!("f:{key}"), fields(value))).collect(),
        Value::Array(items) => items.iter().filter_map(|item| Some((named(item)?, fields(item)))).collect(),
        _ => Map::new(),
    };
    Value::Object(children)
}

/// An AdmissionReview about its creation.
pub fn question(pod: &Value, namespace: &str) -> Value {
    let mut pod = pod.clone();
    pod["metadata"]["namespace"] = json!(namespace);
    let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
    let resource = json!({"group": "", "version": "v1", "resource": "pods"});
    json!({
        "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
            "namespace": namespace, "operation": "CREATE",
            "userInfo": {
                "username": "system:serviceaccount:kube-system:replicaset-controller",
                "uid": "94d49ed1-6a1c-4a3c-9b1e-5f6d7c8b9a01",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
            },
            "object": pod, "oldObject": null, "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    })
}
