//! Workloads of about the size that HyperShift's have.

use serde_json::{Value, json};

/// A Deployment of the golden file, grown towards the size of HyperShift's: with managed fields 10 to 26 KB.
pub fn grown(deployment: &Value, number: usize) -> Value {
    let mut grown = deployment.clone();
    grown["spec"]["replicas"] = json!(0);
    let template = &mut grown["spec"]["template"];
    let hash = |of: usize| format!("{:064x}", (of + 1) * 7919);
    template["metadata"]["annotations"] =
        (0..6).map(|of| (format!("component.hypershift.openshift.io/config-hash-{of}"), json!(hash(of)))).collect();
    let spec = &mut template["spec"];
    spec["tolerations"] = ["control-plane", "cluster", "request-serving"]
        .map(|of| json!({"effect": "NoSchedule", "key": format!("hypershift.openshift.io/{of}"), "operator": "Equal", "value": "true"}))
        .into();
    spec["priorityClassName"] = json!("");
    let secrets = (0..8).map(|of| json!({"name": format!("volume-{of}"), "secret": {"secretName": format!("secret-of-volume-{of}"), "defaultMode": 416}}));
    append(spec, "volumes", secrets);
    let sidecars = if number == 10 { 4 } else { 1 + number % 3 };
    append(spec, "containers", (0..sidecars).map(sidecar));
    grown
}

fn sidecar(number: usize) -> Value {
    let probe = json!({
        "httpGet": {"path": "/healthz", "port": 8081, "scheme": "HTTPS"}, "initialDelaySeconds": 15,
        "periodSeconds": 60, "timeoutSeconds": 10, "failureThreshold": 3, "successThreshold": 1,
    });
    json!({
        "name": format!("sidecar-{number}"),
        "image": format!("registry.example.com/sidecar@sha256:{:064x}", number + 1),
        "imagePullPolicy": "IfNotPresent",
        "command": ["/usr/bin/control-plane-operator", "konnectivity-socks5-proxy"],
        "args": (0..8).map(|of| format!("--flag-number-{of}=/etc/kubernetes/flag/{of}")).collect::<Vec<_>>(),
        "env": (0..10).map(|of| json!({"name": format!("SETTING_NUMBER_{of}"), "value": format!("value of the setting {of}")})).collect::<Vec<_>>(),
        "resources": {"requests": {"cpu": "10m", "memory": "30Mi"}},
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true},
        "livenessProbe": probe, "readinessProbe": probe,
        "volumeMounts": (0..8).map(|of| json!({"name": format!("volume-{of}"), "mountPath": format!("/etc/volume/{of}"), "readOnly": true})).collect::<Vec<_>>(),
    })
}

fn append(owner: &mut Value, list: &str, new: impl Iterator<Item = Value>) {
    match &mut owner[list] {
        Value::Array(all) => all.extend(new),
        none => *none = new.collect(),
    }
}
