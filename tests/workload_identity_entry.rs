//! The entry that stands for the webhook of Azure/azure-workload-identity, by itself: what kube-apiserver is answered, and for
//! how long a pod waits for its ServiceAccount.

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::future::join_all;
use hcp_identity::{
    admission::{ControlPlane, ControlPlanes, Outcome, identities::WorkloadIdentities},
    webhook::{Entries, IDENTITIES_PATH, LARGEST_BODY, Limits, PATH, router},
    workload_identity::{Lookup, Settings},
};
use serde_json::{Value, json};
use support::{
    cases, read,
    workload_identity::{account, settings},
};
use tokio::time::{Duration, Instant, sleep};
use tower::ServiceExt as _;

/// A cluster in which every account is the same one.
struct Accounts {
    settings: Option<Arc<Settings>>,
    account: Mutex<Lookup>,
    asked: Mutex<Vec<(String, String)>>,
}

impl Accounts {
    fn new(setup: &Value, account: Lookup) -> Arc<Self> {
        let settings = Some(Arc::new(settings(setup)));
        Arc::new(Self { settings, account: Mutex::new(account), asked: Mutex::default() })
    }

    fn turn_into(&self, account: Lookup) {
        *self.account.lock().expect("no poison") = account;
    }
}

impl WorkloadIdentities for Accounts {
    fn settings(&self) -> Option<Arc<Settings>> {
        self.settings.clone()
    }

    fn service_account(&self, namespace: &str, name: &str) -> Lookup {
        self.asked.lock().expect("no poison").push((namespace.to_owned(), name.to_owned()));
        self.account.lock().expect("no poison").clone()
    }
}

struct NoPlanes;

impl ControlPlanes for NoPlanes {
    fn control_plane(&self, _: &str) -> ControlPlane {
        ControlPlane::Unknown
    }
}

type Heard = Arc<Mutex<Vec<Outcome>>>;

/// An entry, and what it has been observed to do.
fn entry(accounts: Arc<Accounts>) -> (Router, Heard) {
    let heard = Heard::default();
    let entries = Entries { workload_identities: Some(accounts), ..Entries::default() };
    let hears = Arc::clone(&heard);
    let router = router(entries, move |outcome, _| hears.lock().expect("no poison").push(outcome), Limits::default());
    (router, heard)
}

fn outcomes(heard: &Heard) -> Vec<Outcome> {
    heard.lock().expect("no poison").clone()
}

fn pod() -> Value {
    json!({
        "metadata": {"generateName": "web-", "labels": {"azure.workload.identity/use": "true"}},
        "spec": {"serviceAccountName": "web", "containers": [{"name": "web", "image": "web"}]},
    })
}

fn question(pod: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE",
            "namespace": "shop", "object": pod,
        },
    })
}

async fn post(router: &Router, path: &str, body: String) -> (StatusCode, String) {
    let request = Request::post(path).body(Body::from(body)).expect("a request");
    let (parts, body) = router.clone().oneshot(request).await.expect("infallible").into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    (parts.status, String::from_utf8(body.to_vec()).expect("text"))
}

/// The response to a question.
async fn ask(router: &Router, question: &Value) -> Value {
    let (status, body) = post(router, IDENTITIES_PATH, question.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let review: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((&review["apiVersion"], &review["kind"]), (&question["apiVersion"], &question["kind"]));
    assert_eq!(review["response"]["uid"], question["request"]["uid"]);
    review["response"].clone()
}

/// As the golden cases have it.
fn shape(response: &Value) -> Value {
    if response["allowed"] == false {
        return json!({"denied": response["status"]});
    }
    assert_eq!((&response["allowed"], response.get("status")), (&json!(true), None));
    let patch: Value = response["patch"].as_str().map_or_else(
        || json!([]),
        |patch| {
            assert_eq!(response["patchType"], "JSONPatch");
            serde_json::from_slice(&BASE64_STANDARD.decode(patch).expect("base64")).expect("a patch")
        },
    );
    match response.get("warnings") {
        None => json!({"patch": patch}),
        Some(warnings) => json!({"warnings": warnings, "patch": patch}),
    }
}

fn yaml(path: &Path) -> Value {
    let text = read(path);
    if text.is_empty() { json!({}) } else { serde_saphyr::from_str(&text).expect("YAML") }
}

#[tokio::test(start_paused = true)]
async fn every_case_is_answered_as_the_pure_function_decides() {
    for case in cases("workload_identity") {
        let (input, expected) = (yaml(&case.join("input.yaml")), yaml(&case.join("expected.yaml")));
        let accounts = Accounts::new(&yaml(&case.join("settings.yaml")), account(&input["serviceAccount"]));
        let (router, heard) = entry(Arc::clone(&accounts));
        assert_eq!(shape(&ask(&router, &question(&input["pod"])).await), expected, "{}", case.display());
        let expected = if expected.get("denied").is_some() { Outcome::Denied } else { Outcome::Identified };
        assert_eq!(outcomes(&heard), [expected], "{}", case.display());
        let name = input["pod"]["spec"]["serviceAccountName"].as_str().unwrap_or("default");
        let asked = accounts.asked.lock().expect("no poison").clone();
        assert!(asked.iter().all(|asked| *asked == ("shop".to_owned(), name.to_owned())), "{asked:?}");
    }
}

/// As the API server asks again when another webhook has changed the pod.
#[tokio::test]
async fn a_pod_that_has_its_identity_is_left_as_it_is() {
    let (router, heard) = entry(Accounts::new(&json!({}), account(&json!({}))));
    let mut pod = pod();
    let patch = shape(&ask(&router, &question(&pod)).await)["patch"].clone();
    let patch: json_patch::Patch = serde_json::from_value(patch).expect("a patch");
    json_patch::patch(&mut pod, &patch).expect("it applies");
    assert_eq!(ask(&router, &question(&pod)).await, json!({"uid": "u", "allowed": true}));
    assert_eq!(outcomes(&heard), [Outcome::Identified, Outcome::Unchanged]);
}

/// The API server has seen it before it asks; our watch may be a moment behind.
#[tokio::test(start_paused = true)]
async fn a_pod_waits_for_a_service_account_that_is_new() {
    for unknown in [Lookup::Missing, Lookup::Failed("ServiceAccounts are not known yet".into())] {
        let accounts = Accounts::new(&json!({}), unknown);
        let (router, _) = entry(Arc::clone(&accounts));
        let appears = async {
            sleep(Duration::from_millis(2_500)).await;
            accounts.turn_into(account(&json!({})));
        };
        let start = Instant::now();
        let (response, ()) = tokio::join!(async { ask(&router, &question(&pod())).await }, appears);
        assert_eq!(response["allowed"], true, "{response}");
        assert!(start.elapsed() < Duration::from_millis(2_600), "{:?}", start.elapsed());
    }
}

/// Denied as the original denies, long before the API server stops waiting.
#[tokio::test(start_paused = true)]
async fn a_pod_does_not_wait_for_ever() {
    let unknown =
        [(Lookup::Missing, "serviceaccounts \"web\" not found"), (Lookup::Failed("no list yet".into()), "no list yet")];
    for (unknown, message) in unknown {
        let (router, heard) = entry(Accounts::new(&json!({}), unknown));
        let start = Instant::now();
        let response = ask(&router, &question(&pod())).await;
        let expected = json!({"uid": "u", "allowed": false, "status": {"code": 400, "message": message}});
        assert_eq!(response, expected);
        let waited = start.elapsed();
        assert!(waited >= Duration::from_secs(3) && waited < Duration::from_millis(3_100), "{waited:?}");
        assert_eq!(outcomes(&heard), [Outcome::Denied]);
    }
}

/// Of all that wait, only so many bodies are held.
#[tokio::test(start_paused = true)]
async fn pods_that_wait_take_a_bounded_amount_of_memory() {
    let (router, _) = entry(Accounts::new(&json!({}), Lookup::Missing));
    let mut large = question(&pod()).to_string();
    large.extend(std::iter::repeat_n(' ', LARGEST_BODY - large.len()));
    let answers = join_all((0..30).map(|_| post(&router, IDENTITIES_PATH, large.clone()))).await;
    let refused = answers.iter().filter(|(status, _)| *status == StatusCode::SERVICE_UNAVAILABLE).count();
    assert_eq!(refused, 30 - (64 << 20) / LARGEST_BODY);
    assert_eq!(post(&router, IDENTITIES_PATH, large).await.0, StatusCode::OK, "room comes back");
}

/// Nobody is kept from something by a registration that asks too much.
#[tokio::test]
async fn what_is_no_pod_at_its_creation_is_allowed_with_a_warning() {
    let accounts = Accounts::new(&json!({}), Lookup::Missing);
    let (router, heard) = entry(Arc::clone(&accounts));
    let tweaks = [
        ("/request/operation", json!("UPDATE"), "UPDATE of Pod"),
        ("/request/operation", json!("DELETE"), "DELETE of Pod"),
        ("/request/kind/kind", json!("Deployment"), "CREATE of Deployment"),
        ("/request/kind/group", json!("example.com"), "CREATE of Pod"),
    ];
    for (pointer, value, what) in tweaks {
        let mut question = question(&pod());
        *question.pointer_mut(pointer).expect("a field") = value;
        let warning =
            format!("hcp-identity gives pods their workload identity as they are created, and was asked about {what}");
        assert_eq!(ask(&router, &question).await, json!({"uid": "u", "allowed": true, "warnings": [warning]}));
    }
    assert_eq!(outcomes(&heard), [Outcome::Misdirected; 4]);
    assert!(accounts.asked.lock().expect("no poison").is_empty());
}

#[tokio::test]
async fn what_is_no_question_is_refused() {
    let (router, heard) = entry(Accounts::new(&json!({}), Lookup::Missing));
    for body in ["", "{}", "[]", r#"{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview"}"#] {
        assert_eq!(post(&router, IDENTITIES_PATH, body.to_owned()).await.0, StatusCode::BAD_REQUEST, "{body}");
    }
    let larger = " ".repeat(LARGEST_BODY + 1);
    assert_eq!(post(&router, IDENTITIES_PATH, larger).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(outcomes(&heard), [Outcome::Refused; 5]);
}

/// And failurePolicy Fail says the rest: no pod is admitted by an entry that is not meant to be asked.
#[tokio::test]
async fn an_entry_that_is_turned_off_answers_nothing() {
    let off = Accounts { settings: None, account: Mutex::new(Lookup::Missing), asked: Mutex::default() };
    let (router, heard) = entry(Arc::new(off));
    let (status, line) = post(&router, IDENTITIES_PATH, question(&pod()).to_string()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(line.contains("workloadIdentityWebhook.enabled"), "{line}");
    assert_eq!(outcomes(&heard), [Outcome::Refused]);
}

#[tokio::test]
async fn each_entry_is_there_or_not() {
    let identities = || Accounts::new(&json!({}), account(&json!({})));
    let (none, wiring) = (Entries::default(), Entries::from(Arc::new(NoPlanes)));
    let both = Entries { workload_identities: Some(identities()), ..wiring.clone() };
    let alone = Entries { workload_identities: Some(identities()), ..Entries::default() };
    let (ok, missing) = (StatusCode::OK, StatusCode::NOT_FOUND);
    for (entries, statuses) in
        [(none, [missing, missing]), (wiring, [ok, missing]), (alone, [missing, ok]), (both, [ok, ok])]
    {
        let router = router(entries, |_, _| {}, Limits::default());
        for (path, status) in [PATH, IDENTITIES_PATH].into_iter().zip(statuses) {
            assert_eq!(post(&router, path, question(&pod()).to_string()).await.0, status, "{path}");
        }
        let (status, line) = post(&router, "/", String::new()).await;
        assert_eq!(status, missing);
        for (path, status) in [PATH, IDENTITIES_PATH].into_iter().zip(statuses) {
            assert_eq!(line.contains(path), status == ok, "{line}");
        }
    }
}
