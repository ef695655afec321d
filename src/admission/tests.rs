//! A pod of every Deployment of a control plane, and one line of what is asked about it.

use hcp_identity_api::hosted_cluster::HostedCluster;
use serde_json::json;
use strum::IntoEnumIterator as _;

use super::*;
use crate::{
    component::COMPONENTS,
    plan::plan,
    testing::{hosted_cluster, settings},
};

struct Planes(ControlPlane);

impl ControlPlanes for Planes {
    fn control_plane(&self, namespace: &str) -> ControlPlane {
        if namespace == "clusters-prod" { self.0.clone() } else { ControlPlane::Unknown }
    }
}

fn held(ids: &[Id]) -> Planes {
    let cluster: HostedCluster = serde_json::from_value(hosted_cluster()).unwrap();
    let plan = Arc::new(plan(&cluster, &settings()).plan.unwrap());
    let held = ids.iter().map(|id| (*id, Held { reason: Reason::CredentialFailed, message: "ended".into() }));
    Planes(ControlPlane::Wired { plan, held: held.collect() })
}

fn planes() -> Planes {
    held(&[])
}

/// A pod with every container that some row wants of an app.
fn pod(app: &str) -> Value {
    let rows = COMPONENTS.iter().flat_map(|component| component.pods).filter(|pod| pod.app == app);
    let mut names: Vec<_> = rows.flat_map(|pod| pod.containers).map(|container| container.name).collect();
    names.dedup();
    let containers: Vec<_> = names.iter().map(|name| json!({"name": name, "image": "x"})).collect();
    json!({"metadata": {"generateName": "pod-", "labels": {"app": app}}, "spec": {"containers": containers}})
}

fn question(pod: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE", "namespace": "clusters-prod", "dryRun": false, "options": {}, "object": pod,
        },
    })
}

fn ask(question: &Value, planes: &Planes) -> (Outcome, Value) {
    let answer = review(question.to_string().as_bytes(), planes).unwrap();
    assert_eq!(answer.body["response"]["uid"], question["request"]["uid"]);
    assert_eq!(answer.body["response"]["allowed"], true, "no pod is ever denied");
    (answer.outcome, answer.body["response"].clone())
}

/// As kube-apiserver applies it.
fn patched(pod: &Value, response: &Value) -> Value {
    let mut pod = pod.clone();
    if let Some(patch) = response["patch"].as_str() {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        assert_eq!(response["patchType"], "JSONPatch");
        let patch: json_patch::Patch = serde_json::from_slice(&BASE64_STANDARD.decode(patch).unwrap()).unwrap();
        json_patch::patch(&mut pod, &patch).unwrap();
    }
    pod
}

fn wired(pod: &Value) -> Value {
    let ControlPlane::Wired { plan, .. } = planes().0 else { panic!("a plan") };
    let mut pod = pod.clone();
    if let Wired::Missing(additions) = plan.wire_created(&Template::new(&pod.clone())).unwrap() {
        additions.iter().for_each(|addition| addition.apply(&mut pod["spec"]));
    }
    pod
}

#[test]
fn admission_wires_exactly_what_is_wired_at_creation() {
    let mut components = Vec::new();
    for row in &COMPONENTS {
        for kind in row.pods {
            let pod = pod(kind.app);
            let (outcome, response) = ask(&question(&pod), &planes());
            let created = patched(&pod, &response);
            assert_eq!(created, wired(&pod), "{}", kind.app);
            assert_eq!(outcome == Outcome::Wired, kind.mount.is_some(), "{}", kind.app);
            components.extend(
                response["auditAnnotations"]["wired"]
                    .as_str()
                    .into_iter()
                    .flat_map(|ids| ids.split(','))
                    .map(str::to_owned),
            );
            // Asked again, as after another webhook: nothing is left to do.
            let (again, response) = ask(&question(&created), &planes());
            assert_ne!(again, Outcome::Wired);
            assert!(response.get("patch").is_none(), "{response}");
        }
    }
    assert!(Id::iter().all(|id| components.contains(&id.to_string())), "{components:?}");
}

#[test]
fn lists_that_are_null_or_there_are_appended_to() {
    let mut pod = pod("ingress-operator");
    pod["spec"]["volumes"] = json!([{"name": "other", "emptyDir": {}}]);
    pod["spec"]["containers"][0]["env"] = Value::Null;
    pod["spec"]["containers"][0]["volumeMounts"] = json!([]);
    let (_, response) = ask(&question(&pod), &planes());
    assert_eq!(patched(&pod, &response), wired(&pod));
}

#[test]
fn what_is_held_back_is_left_out_and_said() {
    let pod = pod("control-plane-operator");
    let (outcome, response) = ask(&question(&pod), &held(&[Id::Kms]));
    let (outcome_of_both, _) = ask(&question(&pod), &planes());
    assert_eq!((outcome, outcome_of_both), (Outcome::Held, Outcome::Wired));
    let created = patched(&pod, &response);
    assert_eq!(created["spec"]["volumes"].as_array().unwrap().len(), 1);
    assert_eq!(response["warnings"], json!(["hcp-identity does not wire kms: CredentialFailed: ended"]));
    assert_eq!(response["auditAnnotations"], json!({"held": "kms", "wired": "cpo"}));
    // Of what the pod does not need nothing is said.
    let (_, response) = ask(&question(&pod), &held(&[Id::Ingress]));
    assert!(response.get("warnings").is_none(), "{response}");
}

#[test]
fn what_stands_in_the_way_is_said_and_left() {
    let mut pod = pod("ingress-operator");
    pod["spec"]["volumes"] = json!([{"name": "ingress-cert", "emptyDir": {}}]);
    let (outcome, response) = ask(&question(&pod), &planes());
    assert_eq!((outcome, response.get("patch")), (Outcome::Conflict, None));
    assert!(response["warnings"][0].as_str().unwrap().contains("spec.volumes[0]"), "{response}");
    assert_eq!(response["auditAnnotations"]["conflict"], "VolumeConflict spec.volumes[0]");
}

#[test]
fn pods_of_nobody_and_of_paused_control_planes_are_left_alone() {
    let pod = pod("ingress-operator");
    let mut elsewhere = question(&pod);
    elsewhere["request"]["namespace"] = json!("default");
    assert_eq!(
        ask(&elsewhere, &planes()),
        (Outcome::NotOurs, json!({"uid": elsewhere["request"]["uid"], "allowed": true}))
    );
    let mut other = question(&pod);
    other["request"]["object"]["metadata"]["labels"]["app"] = json!("etcd");
    assert_eq!(ask(&other, &planes()).0, Outcome::NotOurs);
    let paused = Planes(ControlPlane::LeftAlone { reason: Reason::Paused, message: "until noon".into() });
    let (outcome, response) = ask(&question(&pod), &paused);
    assert_eq!((outcome, response.get("patch")), (Outcome::Held, None));
    assert_eq!(response["warnings"], json!(["hcp-identity does not wire this pod: Paused: until noon"]));
}

#[test]
fn what_is_no_pod_at_its_creation_is_admitted_with_a_word() {
    let tweaks: [(&str, Value); 6] = [
        ("/request/operation", json!("UPDATE")),
        ("/request/kind/kind", json!("Deployment")),
        ("/request/kind/group", json!("apps")),
        ("/request/kind/version", json!("v2")),
        ("/request/subResource", json!("ephemeralcontainers")),
        ("/request/kind", json!({})),
    ];
    for (pointer, value) in tweaks {
        let mut question = question(&pod("ingress-operator"));
        match question.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => question["request"]["subResource"] = value,
        }
        let (outcome, response) = ask(&question, &planes());
        assert_eq!((outcome, response.get("patch")), (Outcome::Misdirected, None), "{pointer}");
        assert!(response["warnings"][0].as_str().unwrap().contains("was asked about"), "{response}");
    }
}

#[test]
fn what_is_no_question_is_refused() {
    let refused = |body: &[u8]| review(body, &planes()).unwrap_err().to_string();
    assert!(refused(b"").contains("is no AdmissionReview: EOF"));
    assert!(refused(b"\xff\xfe").contains("is no AdmissionReview"));
    assert!(refused("[".repeat(1_000_000).as_bytes()).contains("is no AdmissionReview"));
    assert!(refused(format!("{{\"request\":{}", "[".repeat(100_000)).as_bytes()).contains("is no AdmissionReview"));
    let mut question = question(&pod("ingress-operator"));
    question["request"] = Value::Null;
    assert!(refused(question.to_string().as_bytes()).contains("has no request"));
    question["apiVersion"] = json!("admission.k8s.io/v1beta1");
    assert!(refused(question.to_string().as_bytes()).contains("admissionReviewVersions: [v1]"));
    question["apiVersion"] = json!("x".repeat(1 << 20));
    assert!(refused(question.to_string().as_bytes()).len() < 300);
    question["request"] = json!("x".repeat(1 << 20));
    assert!(refused(question.to_string().as_bytes()).len() < 300);
    question["apiVersion"] = json!("two\nlines");
    question["request"] = Value::Null;
    assert!(!refused(question.to_string().as_bytes()).contains('\n'));
}

#[test]
fn a_pod_of_another_shape_is_admitted() {
    for object in
        [json!(null), json!([]), json!("x"), json!({"metadata": {"labels": {"app": "ingress-operator"}}, "spec": 5})]
    {
        ask(&question(&object), &planes());
    }
    let mut odd = pod("ingress-operator");
    odd["spec"]["containers"] = json!({"0": {"name": "ingress-operator"}});
    assert_eq!(ask(&question(&odd), &planes()).0, Outcome::Conflict);
    let warnings: Vec<_> = (0..1000).map(|_| json!({"name": 5})).collect();
    odd["spec"]["containers"] = json!(warnings);
    let (_, response) = ask(&question(&odd), &planes());
    assert_eq!(response["warnings"].as_array().unwrap().len(), 10);
}
