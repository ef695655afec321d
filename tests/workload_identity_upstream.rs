//! What we make of a pod that asks for a workload identity against what the webhook of Azure/azure-workload-identity does:
//! its own code, through `hack/upstream/workload-identity`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "these are parts of tests")]

mod support;

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
    thread,
};

use hcp_identity::workload_identity::{Denial, mutate, service_account_name};
use serde_json::{Value, json};
use support::{
    cases, read,
    workload_identity::{TENANT, account, settings},
};

const NAMESPACE: &str = "shop";

struct Case {
    name: String,
    pod: Value,
    account: Value,
    setup: Value,
}

impl Case {
    /// The pod as we would have it.
    fn ours(&self) -> Result<Value, Denial> {
        let named = self.account["metadata"]["name"] == service_account_name(&self.pod);
        let account = account(if named { &self.account } else { &Value::Null });
        let mutation = mutate(&self.pod, NAMESPACE, &account, &settings(&self.setup))?;
        let mut pod = self.pod.clone();
        let patch: json_patch::Patch = serde_json::from_value(json!(mutation.patch)).expect("a JSON patch");
        json_patch::patch(&mut pod, &patch).expect("it applies");
        Ok(pod)
    }

    fn question(&self) -> Value {
        json!({
            "cloud": self.setup["cloud"],
            "audience": self.setup["audience"],
            "tenant": TENANT,
            "namespace": NAMESPACE,
            "pod": self.pod,
            "serviceAccount": self.account,
            "ours": self.ours().ok(),
        })
    }
}

/// What the webhook makes of each, with ours as its types write it.
fn upstream(cases: &[Case]) -> Vec<Value> {
    let mut program = Command::new("go")
        .args(["run", "."])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/hack/upstream/workload-identity"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test runs `go`: install Go, of the version in hack/upstream/workload-identity/go.mod or later, and put it on the PATH");
    let mut stdin = program.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            for case in cases {
                writeln!(stdin, "{}", case.question()).expect("the program reads to the end; see its message");
            }
        });
        program.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "`go run .` in hack/upstream/workload-identity failed: {}", output.status);
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let answers: Vec<_> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    assert_eq!(answers.len(), cases.len(), "one answer for each pod");
    answers
}

/// What differs, if something does. Of what cannot be read, each decoder has words of its own.
fn difference(case: &Case, answer: &Value) -> Option<String> {
    let theirs = (&answer["theirs"], &answer["denied"]["code"], &answer["denied"]["message"]);
    match case.ours() {
        Ok(_) if answer["denied"].is_null() && answer["ours"] == *theirs.0 => None,
        Ok(_) => Some(format!("we: {}\n  they: {answer}", answer["ours"])),
        Err(Denial { code, message }) => {
            let unreadable = message.starts_with("the pod cannot be read: ");
            let alike = *theirs.1 == code && (unreadable || *theirs.2 == message.as_str());
            (!alike).then(|| format!("we: {code} {message}\n  they: {answer}"))
        }
    }
}

fn assert_alike(cases: &[Case]) {
    let mut differences = String::new();
    for (case, answer) in cases.iter().zip(upstream(cases)) {
        if let Some(difference) = difference(case, &answer) {
            writeln!(differences, "{}\n  {difference}", case.name).unwrap();
        }
    }
    assert!(differences.is_empty(), "of {} pods these differ:\n{differences}", cases.len());
}

fn accounts() -> Vec<(&'static str, Value)> {
    let annotated = |annotations: &[(&str, &str)]| {
        let annotations: serde_json::Map<_, _> =
            annotations.iter().map(|(key, value)| (format!("azure.workload.identity/{key}"), json!(value))).collect();
        json!({"metadata": {"name": "web", "namespace": NAMESPACE, "annotations": annotations}})
    };
    let expiration = "service-account-token-expiration";
    vec![
        ("no account", Value::Null),
        ("a bare account", json!({"metadata": {"name": "web"}})),
        ("a client", annotated(&[("client-id", "client")])),
        ("an empty client", annotated(&[("client-id", "")])),
        ("a client and a tenant", annotated(&[("client-id", "client"), ("tenant-id", "another")])),
        ("an empty tenant", annotated(&[("client-id", "client"), ("tenant-id", "")])),
        ("the longest expiration", annotated(&[("client-id", "client"), (expiration, "86400")])),
        ("an expiration too long", annotated(&[(expiration, "86401")])),
        ("an expiration in hours", annotated(&[(expiration, "24h")])),
        ("an empty expiration", annotated(&[(expiration, "")])),
    ]
}

fn setups() -> Vec<(&'static str, Value)> {
    vec![
        ("nothing set", json!({"cloud": "", "audience": ""})),
        ("the public cloud, oddly written", json!({"cloud": "AZURECLOUD", "audience": ""})),
        ("a government", json!({"cloud": "AzureUSGovernment", "audience": "api://AzureADTokenExchangeUSGov"})),
        ("China", json!({"cloud": "AzureChinaCloud", "audience": "api://AzureADTokenExchangeChina"})),
        ("Germany", json!({"cloud": "azuregermancloud", "audience": ""})),
    ]
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-0", "namespace": NAMESPACE, "labels": {"azure.workload.identity/use": "true"}},
        "spec": {
            "serviceAccountName": "web",
            "initContainers": [{"name": "init", "image": "web", "resources": {"requests": {"cpu": "0.10"}}}],
            "containers": [
                {"name": "web", "image": "web", "env": [{"name": "MODE", "value": "fast"}], "ports": [{"containerPort": 80}]},
                {"name": "logs", "image": "logs", "volumeMounts": [{"name": "data", "mountPath": "/data"}]},
            ],
            "volumes": [{"name": "data", "emptyDir": {}}],
        },
    })
}

/// Of the pod web-0, by 1.6.0.
const RESERVED: &str = "azure-workload-identity-reserved-1ae6fac6e0a6c45234c7f9a125d492";

/// One pod each: what is other than in `pod`, as a pointer and its value. `null` takes it away.
fn tweaks() -> Vec<(String, Vec<(&'static str, Value)>)> {
    let env = |env: Value| ("/spec/containers/0/env", env);
    let mut tweaks = vec![
        ("nothing", vec![]),
        ("a prefix of a name", vec![("/metadata/name", Value::Null), ("/metadata/generateName", json!("web-"))]),
        ("a name and a prefix", vec![("/metadata/generateName", json!("web-"))]),
        ("no name", vec![("/metadata/name", Value::Null)]),
        ("no namespace", vec![("/metadata/namespace", Value::Null)]),
        ("another namespace", vec![("/metadata/namespace", json!("other"))]),
        ("no metadata", vec![("/metadata", Value::Null)]),
        ("another account", vec![("/spec/serviceAccountName", json!("other"))]),
        ("no account named", vec![("/spec/serviceAccountName", Value::Null)]),
        ("no init containers", vec![("/spec/initContainers", Value::Null)]),
        ("empty lists", vec![("/spec/initContainers", json!([])), ("/spec/volumes", json!([])), env(json!([]))]),
        ("no lists", vec![("/spec/volumes", Value::Null), env(Value::Null)]),
        ("the host's network", vec![("/spec/hostNetwork", json!(true)), ("/spec/hostPID", json!(true))]),
        ("no token of Kubernetes", vec![("/spec/automountServiceAccountToken", json!(false))]),
        ("its own client", vec![env(json!([{"name": "AZURE_CLIENT_ID", "value": "own"}]))]),
        ("its own empty tenant", vec![env(json!([{"name": "AZURE_TENANT_ID", "value": ""}]))]),
        ("a tenant without a value", vec![env(json!([{"name": "AZURE_TENANT_ID"}]))]),
        (
            "a token file from elsewhere",
            vec![env(json!([{
                "name": "AZURE_FEDERATED_TOKEN_FILE",
                "valueFrom": {"configMapKeyRef": {"name": "azure", "key": "file"}},
            }]))],
        ),
        (
            "everything set, and one thing twice",
            vec![env(json!([
                {"name": "AZURE_CLIENT_ID", "value": "a"}, {"name": "AZURE_CLIENT_ID", "value": "b"},
                {"name": "AZURE_TENANT_ID", "value": "c"}, {"name": "AZURE_FEDERATED_TOKEN_FILE", "value": "d"},
                {"name": "AZURE_AUTHORITY_HOST", "value": "e"},
            ]))],
        ),
        (
            "a volume and mounts of the reserved name",
            vec![
                ("/spec/volumes", json!([{"name": RESERVED, "emptyDir": {}}, {"name": "data", "emptyDir": {}}])),
                ("/spec/containers/0/volumeMounts", json!([{"name": RESERVED, "mountPath": "/own", "subPath": "x"}])),
                (
                    "/spec/containers/1/volumeMounts",
                    json!([
                        {"name": "data", "mountPath": "/data"}, {"name": RESERVED, "mountPath": "/a"},
                        {"name": RESERVED, "mountPath": "/b"},
                    ]),
                ),
            ],
        ),
        (
            "a volume of earlier versions",
            vec![("/spec/volumes", json!([{"name": "azure-identity-token", "emptyDir": {}}]))],
        ),
        ("ephemeral containers", vec![("/spec/ephemeralContainers", json!([{"name": "debug", "image": "debug"}]))]),
        ("containers that are no list", vec![("/spec/containers", json!({}))]),
        ("an environment that is no list", vec![env(json!("A=B"))]),
        ("volumes that are no list", vec![("/spec/volumes", json!(true))]),
        ("a container that is none", vec![("/spec/containers", json!(["web"]))]),
    ];
    let annotated = |key: &str, value: &str| {
        let annotations = json!({format!("azure.workload.identity/{key}"): value, "other": "x"});
        vec![("/metadata/annotations", annotations)]
    };
    let mut named: Vec<_> = tweaks.drain(..).map(|(name, tweak)| (name.to_owned(), tweak)).collect();
    for skipped in ["", "web", " web ; init", "web;logs;init", "nobody", ";", "web,logs", "\tlogs\u{a0};"] {
        named.push((format!("skipped: {skipped:?}"), annotated("skip-containers", skipped)));
    }
    let expirations = [
        "",
        "3600",
        "86400",
        "3599",
        "86401",
        "+7200",
        "-7200",
        "0007200",
        "7_200",
        "0x1c20",
        "1h",
        " 7200",
        "7200.0",
        "+",
        "9223372036854775808",
        "-9223372036854775809",
        "\"7200\"",
        "sieben\\tausend",
        "zw\u{f6}lf\n",
    ];
    for expiration in expirations {
        named.push((format!("expires: {expiration:?}"), annotated("service-account-token-expiration", expiration)));
    }
    // What the original reads of a ServiceAccount says nothing on a pod.
    named.push(("a client of its own annotation".to_owned(), annotated("client-id", "own")));
    named
}

fn tweaked(tweak: &[(&str, Value)]) -> Value {
    let mut pod = pod();
    for (pointer, value) in tweak {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = pod.pointer_mut(parent).and_then(Value::as_object_mut).expect("it is there");
        match value {
            Value::Null => drop(parent.remove(key)),
            value => drop(parent.insert(key.to_owned(), value.clone())),
        }
    }
    pod
}

#[test]
fn every_pod_comes_out_as_of_the_original() {
    let mut corpus = Vec::new();
    for (what, tweak) in tweaks() {
        for (of_account, account) in accounts() {
            for (of_setup, setup) in setups() {
                let name = format!("{what}, {of_account}, {of_setup}");
                corpus.push(Case { name, pod: tweaked(&tweak), account: account.clone(), setup });
            }
        }
    }
    assert!(corpus.len() >= 2000, "{} cases", corpus.len());
    let denied = corpus.iter().filter(|case| case.ours().is_err()).count();
    assert!(denied > 100 && denied < corpus.len() - 100, "{denied} are denied");
    assert_alike(&corpus);
}

/// But for what we do not do, or do as earlier versions did.
#[test]
fn every_golden_case_comes_out_as_of_the_original() {
    let mut corpus = Vec::new();
    for case in cases("workload_identity") {
        let yaml = |name: &str| serde_saphyr::from_str::<Value>(&read(&case.join(name))).unwrap_or_default();
        let (mut input, mut setup) = (yaml("input.yaml"), yaml("settings.yaml"));
        let annotations = &input["pod"]["metadata"]["annotations"];
        if setup["paths"] == "older" || annotations.get("azure.workload.identity/inject-proxy-sidecar").is_some() {
            continue;
        }
        if setup.is_null() {
            setup = json!({});
        }
        let name = case.display().to_string();
        corpus.push(Case { name, pod: input["pod"].take(), account: input["serviceAccount"].take(), setup });
    }
    assert!(corpus.len() >= 12, "{} cases", corpus.len());
    assert_alike(&corpus);
}
