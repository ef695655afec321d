//! What "we" write in the scenarios: apply configurations and JSON patches, by the names that the tables give them.

use serde_json::{Value, json};

/// An apply configuration over the operator's `first` desired state.
pub(crate) fn configuration(name: &str, first: &Value, current: &Value, ours: &str) -> Value {
    let mut object = json!({
        "apiVersion": first["apiVersion"],
        "kind": first["kind"],
        "metadata": {"name": first["metadata"]["name"]},
    });
    let container = &first["spec"]["template"]["spec"]["containers"][0]["name"];
    match name {
        "nothing" => {}
        "trio" => object["spec"] = pod(&json!([volume()]), container, &json!([mount()]), &json!([env()])),
        // Shapes that the API server writes in another way than they were sent.
        "other shapes" => {
            let volumes = json!([{"name": "s", "secret": {"secretName": "s"}}, {"name": "e", "emptyDir": {}}]);
            let env = json!([{"name": "EMPTY", "value": ""}]);
            object["spec"] = pod(&volumes, container, &json!([]), &env);
            object["metadata"]["creationTimestamp"] = Value::Null;
            object["spec"]["template"]["metadata"] = json!({"creationTimestamp": null});
            object["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "1000m"}});
        }
        "equal values" => object["spec"] = equal(first),
        "current values" => object["spec"] = equal(current),
        "pod annotation" => object["spec"] = json!({"template": {"metadata": {"annotations": {"ours": "1"}}}}),
        "annotation" => object["metadata"]["annotations"] = json!({"ours": "1"}),
        "label" => object["metadata"]["labels"] = json!({"ours": "1"}),
        "annotation and label" => {
            object["metadata"]["annotations"] = json!({"ours": "1"});
            object["metadata"]["labels"] = json!({"ours": "1"});
        }
        "owner reference" => object["metadata"]["ownerReferences"] = owner(ours),
        "class" => object["spec"] = first["spec"].clone(),
        "current class" => object["spec"] = current["spec"].clone(),
        "class with status" => {
            object["spec"] = first["spec"].clone();
            object["status"] = json!({});
        }
        "class with metadata" => {
            object["spec"] = first["spec"].clone();
            object["metadata"]["annotations"] = json!({"ours": "1"});
            object["metadata"]["labels"] = json!({"ours": "1"});
            object["metadata"]["ownerReferences"] = owner(ours);
        }
        "class with another vault" => {
            object["spec"] = first["spec"].clone();
            object["spec"]["parameters"]["keyvaultName"] = json!("another");
        }
        "class with cloudName" => {
            object["spec"] = first["spec"].clone();
            object["spec"]["parameters"]["cloudName"] = json!("AzureUSGovernmentCloud");
        }
        "cloudName" => object["spec"] = json!({"parameters": {"cloudName": "AzureUSGovernmentCloud"}}),
        other => panic!("nothing is called {other}"),
    }
    object
}

/// A JSON patch over the operator's desired state.
pub(crate) fn patch(name: &str, desired: &Value) -> Value {
    let spec = "/spec/template/spec";
    let add = |path: &str, value: Value| json!({"op": "add", "path": format!("{spec}/{path}"), "value": value});
    match name {
        "trio last" => json!([
            add("volumes/-", volume()),
            add("containers/0/volumeMounts/-", mount()),
            add("containers/0/env/-", env())
        ]),
        "trio first" => json!([
            add("volumes/0", volume()),
            add("containers/0/volumeMounts/0", mount()),
            add("containers/0/env/0", env())
        ]),
        "trio, env first" => json!([
            add("volumes/-", volume()),
            add("containers/0/volumeMounts/-", mount()),
            add("containers/0/env/0", env())
        ]),
        "resources" => json!([add("containers/0/resources/requests/cpu", json!("77m"))]),
        "their label" => {
            let label =
                desired["metadata"]["labels"].as_object().and_then(|labels| labels.keys().next()).expect("a label");
            json!([{"op": "replace", "path": format!("/metadata/labels/{}", label.replace('/', "~1")), "value": "ours"}])
        }
        "a label" => json!([{"op": "add", "path": "/metadata/labels/touched", "value": "1"}]),
        "annotations away" => json!([{"op": "remove", "path": "/metadata/annotations"}]),
        "owner references away" => json!([{"op": "remove", "path": "/metadata/ownerReferences"}]),
        "owners away" => json!([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]),
        other => panic!("no patch is called {other}"),
    }
}

/// The desired state of tomorrow.
pub(crate) fn change(name: &str, desired: &mut Value) {
    match name {
        "new image" => {
            let containers = desired["spec"]["template"]["spec"]["containers"].as_array_mut().expect("containers");
            containers[0]["image"] = json!("registry.invalid/control-plane:2");
        }
        "new value" => last(&mut desired["spec"]["template"]["spec"]["containers"][0]["env"])["value"] = json!("new"),
        "new vault" => desired["spec"]["parameters"]["keyvaultName"] = json!("new"),
        other => panic!("no desired state is called {other}"),
    }
}

fn pod(volumes: &Value, container: &Value, mounts: &Value, env: &Value) -> Value {
    let container = json!({"name": container, "volumeMounts": mounts, "env": env});
    json!({"template": {"spec": {"volumes": volumes, "containers": [container]}}})
}

/// The first volume and mount and the last env of the operator's own.
fn equal(desired: &Value) -> Value {
    let spec = &desired["spec"]["template"]["spec"];
    let container = &spec["containers"][0];
    let env = container["env"].as_array().and_then(|env| env.last()).expect("an env");
    pod(&json!([spec["volumes"][0]]), &container["name"], &json!([container["volumeMounts"][0]]), &json!([env]))
}

fn owner(uid: &str) -> Value {
    json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "ours", "uid": uid}])
}

fn volume() -> Value {
    let attributes = json!({"secretProviderClass": "ours"});
    json!({"name": "ours", "csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": true, "volumeAttributes": attributes}})
}

fn mount() -> Value {
    json!({"name": "ours", "mountPath": "/ours", "readOnly": true})
}

fn env() -> Value {
    json!({"name": "OURS", "value": "1"})
}

fn last(list: &mut Value) -> &mut Value {
    list.as_array_mut().and_then(|list| list.last_mut()).expect("an element")
}
