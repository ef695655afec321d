//! An Azure that says what it should not. A test is what it says.

use std::sync::Mutex;

use async_trait::async_trait;
use azure_core::http::{AsyncRawResponse, HttpClient, StatusCode, Transport, headers::Headers};
use azure_identity::ManagedIdentityCredential;
use serde_json::json;

use super::*;
use crate::{
    arm::Belongings,
    provision::{Mark, Names},
};

/// Status, headers and body.
type Answer = (u16, Vec<(&'static str, &'static str)>, Value);

/// Answers by the last part of the path that is asked for.
struct Hostile {
    says: Box<dyn Fn(&str) -> Answer + Send + Sync>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl std::fmt::Debug for Hostile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hostile")
    }
}

#[async_trait]
impl HttpClient for Hostile {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let url = request.url();
        let asked = format!("{} {}{}", request.method(), url.host_str().unwrap_or_default(), url.path());
        self.asked.lock().unwrap().push(asked);
        let (status, said, body) = (self.says)(url.path().rsplit('/').next().unwrap_or_default());
        let mut headers = Headers::new();
        for (name, value) in said {
            headers.insert(name, value);
        }
        // A text stands for itself, so that there is one that is no JSON.
        let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        Ok(AsyncRawResponse::from_bytes(StatusCode::from(status), headers, body.into_bytes()))
    }
}

const SUBSCRIPTION: &str = "99999999-9999-9999-9999-999999999999";
const ASSIGNMENTS: &str = "/providers/Microsoft.Authorization/roleAssignments";

fn hostile(says: impl Fn(&str) -> Answer + Send + Sync + 'static) -> (Arm, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let client = Hostile { says: Box::new(says), asked: Arc::clone(&asked) };
    let transport = Some(Transport::new(Arc::new(client)));
    let options = ClientOptions { transport, retry: retries(), ..Default::default() };
    let arm = Arm {
        pipeline: Pipeline::new(None, None, options, Vec::new(), Vec::new(), None),
        endpoint: Url::parse("https://management.azure.test/").unwrap(),
        blob_suffix: "blob.azure.test".to_owned(),
        http: reqwest::Client::new(),
        credential: ManagedIdentityCredential::new(None).unwrap(),
        subscription: SUBSCRIPTION.to_owned(),
        rehearsal: None,
        waits: Box::new(|_| {}),
    };
    (arm, asked)
}

fn says(body: Value) -> Answer {
    (200, Vec::new(), body)
}

async fn listed(body: Value) -> String {
    let (arm, _) = hostile(move |_| says(body.clone()));
    arm.list("cannot list", "/subscriptions", "1", &[]).await.unwrap_err().message
}

#[tokio::test]
async fn a_list_that_leads_to_itself_ends() {
    let link = "https://management.azure.test/subscriptions?page=2";
    let message = listed(json!({"value": [1], "nextLink": link})).await;
    assert_eq!(message, "cannot list: Azure's list has no end");
}

#[tokio::test]
async fn a_list_whose_pages_never_end_ends() {
    let number = std::sync::atomic::AtomicUsize::new(0);
    let (arm, asked) = hostile(move |_| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        says(json!({"value": [], "nextLink": format!("https://management.azure.test/subscriptions?page={number}")}))
    });
    let refused = arm.list("cannot list", "/subscriptions", "1", &[]).await.unwrap_err();
    assert_eq!(refused.message, "cannot list: Azure's list has no end");
    assert_eq!(asked.lock().unwrap().len(), MOST_PAGES);
}

#[tokio::test]
async fn what_is_no_list_is_not_an_empty_one() {
    for body in [json!({}), json!({"value": null}), json!({"value": {}}), json!([])] {
        assert_eq!(listed(body.clone()).await, "cannot list: Azure's answer is no list", "{body}");
    }
    assert_eq!(listed(json!("<html>")).await, "cannot list: Azure's answer is no JSON");
}

#[tokio::test]
async fn a_link_to_another_host_is_not_followed() {
    for link in ["https://evil.test/", "http://management.azure.test/", "https://management.azure.test.evil.test/"] {
        let message = listed(json!({"value": [], "nextLink": link})).await;
        assert_eq!(message, "cannot list: Azure's answer leads to another host, and is not followed", "{link}");
    }
}

#[tokio::test]
async fn an_id_that_leads_elsewhere_is_not_followed() {
    let (arm, asked) = hostile(|_| says(json!({})));
    for id in [
        "",
        "/",
        "//evil.test/subscriptions/a",
        "https://evil.test/a",
        "/subscriptions/a/resourceGroups/b/..",
        "/subscriptions/a/resourceGroups/prod?/providers/c",
        "/subscriptions/a/resourceGroups/prod#/providers/c",
        "/subscriptions/a/%2e%2e/b",
        "/\\evil.test/a",
        "/subscriptions/a\n/b",
    ] {
        let refused = arm.delete("cannot delete", id, "1").await.unwrap_err();
        assert!(refused.message.contains("an id that is no path"), "{id}: {refused}");
    }
    assert_eq!(*asked.lock().unwrap(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_years_because_azure_asks_for_it() {
    for header in [("retry-after", "99999999"), ("retry-after", "Fri, 01 Jan 2100 00:00:00 GMT")] {
        let (arm, _) = hostile(move |_| (429, vec![header], json!({})));
        let started = Instant::now();
        let refused = arm.get("cannot look", "/subscriptions/a", "1").await.unwrap_err();
        assert!(refused.message.contains("has not answered in ten minutes"), "{refused}");
        assert!(started.elapsed() <= PATIENCE + LATEST, "{:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_never_ends_is_left_after_half_an_hour() {
    let link = ("location", "https://management.azure.test/operations/1");
    for wait in ["0", "99999999"] {
        let (arm, asked) = hostile(move |_| (202, vec![link, ("retry-after", wait)], json!({})));
        let started = Instant::now();
        let refused = arm.delete("cannot delete", "/subscriptions/a", "1").await.unwrap_err();
        assert!(refused.message.contains("in half an hour"), "{refused}");
        assert!(started.elapsed() <= OPERATION + LATEST * 2, "{:?}", started.elapsed());
        assert!(asked.lock().unwrap().len() <= 20_000, "{wait}: too often");
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_says_something_else_is_not_done() {
    let link = ("location", "https://management.azure.test/operations/1");
    let (arm, _) = hostile(move |last| match last {
        "1" => says(json!("<html>sign in to this network</html>")),
        _ => (202, vec![link], json!({})),
    });
    let refused = arm.delete("cannot delete", "/subscriptions/a", "1").await.unwrap_err();
    assert_eq!(refused.message, "cannot delete: Azure's answer is no JSON");
}

/// Whoever looks on sees progress, and nothing that reads as an error.
#[tokio::test(start_paused = true)]
async fn what_is_waited_for_is_no_failure() {
    let link = ("location", "https://management.azure.test/operations/1");
    let looks = std::sync::atomic::AtomicUsize::new(0);
    let (arm, _) = hostile(move |last| match last {
        "1" if looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0 => says(json!({"status": "Succeeded"})),
        _ => (202, vec![link], json!({})),
    });
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let arm = arm.telling(move |words| telling.lock().unwrap().push(words.to_owned()));
    assert!(arm.delete("cannot delete the resource group prod", "/subscriptions/a", "1").await.unwrap());
    assert_eq!(*told.lock().unwrap(), ["waiting for Azure to delete the resource group prod"; 2]);
    assert_eq!(waiting("https://a answers with 404"), "waiting: https://a answers with 404");
}

/// Whatever is made, changed or deleted.
#[tokio::test]
async fn a_rehearsal_sends_nothing_but_questions() {
    let (arm, asked) = hostile(|_| says(json!({"tags": {"a": "b"}, "properties": {"c": 1}})));
    let arm = arm.rehearsing();
    arm.put("cannot make", "/subscriptions/a/resourceGroups/New", "1", &json!({"location": "here"})).await.unwrap();
    let within = "/subscriptions/a/resourcegroups/new/b";
    assert_eq!(arm.get("cannot look", within, "1").await.unwrap(), None);
    assert!(arm.list("cannot list", within, "1", &[]).await.unwrap().is_empty());
    let there = arm.get("cannot look", "/subscriptions/a/resourceGroups/new", "1").await.unwrap();
    assert_eq!(there, Some(json!({"location": "here"})));
    assert_eq!(*asked.lock().unwrap(), [""; 0]);

    let changed = arm.patch("cannot change", "/subscriptions/a/b", "1", &json!({"tags": {"d": "e"}})).await.unwrap();
    assert_eq!(changed, json!({"tags": {"a": "b", "d": "e"}, "properties": {"c": 1}}));
    assert_eq!(arm.get("cannot look", "/subscriptions/A/b", "1").await.unwrap(), Some(changed));
    assert!(arm.delete("cannot delete", "/subscriptions/a/b", "1").await.unwrap());
    assert!(arm.get("cannot look", "/subscriptions/a/b/below", "1").await.unwrap().is_some());
    let get = |path: &str| format!("GET management.azure.test{path}");
    assert_eq!(*asked.lock().unwrap(), [get("/subscriptions/a/b"), get("/subscriptions/a/b/below")]);
}

/// What is said where a path ends so.
type Says = (&'static str, fn() -> Value);

/// What a subscription has of `prod`, where it says this of what is asked for by the end of its path.
async fn belongings(answers: &'static [Says]) -> Result<Belongings, Refusal> {
    let (arm, _) = hostile(move |last| {
        let answer = answers.iter().find(|(path, _)| *path == last);
        answer.map_or_else(|| (404, Vec::new(), json!({})), |(_, body)| says(body()))
    });
    let names = Names::new("prod", "any", None, None, None).unwrap();
    arm.belongings(&names, &Mark::of("prod"), true).await
}

fn nothing() -> Value {
    json!({"value": []})
}

fn group() -> Value {
    let (tag, owned) = Mark::of("prod").tag();
    json!({"id": format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/prod-oidc"), "tags": {tag: owned}})
}

#[tokio::test]
async fn a_group_is_not_deleted_where_what_is_in_it_is_not_told() {
    let refused = belongings(&[
        ("roleDefinitions", nothing),
        ("roleAssignments", nothing),
        ("userAssignedIdentities", nothing),
        ("prod-oidc", group),
        ("resources", || json!({})),
    ]);
    assert_eq!(refused.await.unwrap_err().message, "cannot list what is in prod-oidc: Azure's answer is no list");
}

/// Somebody makes something in a group that is about to go.
#[tokio::test]
async fn what_comes_into_a_group_meanwhile_is_not_deleted_with_it() {
    let looks = std::sync::atomic::AtomicUsize::new(0);
    let (arm, asked) = hostile(move |last| match last {
        "roleDefinitions" | "roleAssignments" | "userAssignedIdentities" => says(nothing()),
        "prod-oidc" => says(group()),
        "resources" if looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 => says(nothing()),
        "resources" => says(json!({"value": [{"id": "/subscriptions/a/b/new"}]})),
        _ => (404, Vec::new(), json!({})),
    });
    let names = Names::new("prod", "any", None, None, None).unwrap();
    let found = arm.belongings(&names, &Mark::of("prod"), true).await.unwrap();
    let refused = arm.destroy(found.doomed.last().unwrap()).await.unwrap_err();
    assert_eq!(
        refused.message,
        "cannot delete the resource group prod-oidc: new has come into it meanwhile; look again"
    );
    assert!(!asked.lock().unwrap().iter().any(|call| call.starts_with("DELETE")));
}

#[tokio::test]
async fn nothing_outside_the_subscription_is_deleted_whatever_is_listed() {
    let found = belongings(&[
        ("roleDefinitions", || {
            let id = "/subscriptions/88888888-8888-8888-8888-888888888888/providers/Microsoft.Authorization/roleDefinitions/a";
            let scopes = [format!("/subscriptions/{SUBSCRIPTION}")];
            let of = json!({"roleName": "a", "description": Mark::of("prod").of_role(), "assignableScopes": scopes});
            json!({"value": [{"id": id, "properties": of}]})
        }),
        ("roleAssignments", nothing),
        ("userAssignedIdentities", || {
            let (tag, owned) = Mark::of("prod").tag();
            let tags = json!({tag: owned});
            let identity = |group: &str, principal: &str| {
                json!({
                    "id": format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/a"),
                    "tags": tags, "properties": {"principalId": principal},
                })
            };
            json!({"value": [identity("other", "b"), identity("PROD-OIDC", "c")]})
        }),
        ("prod-oidc", group),
        ("resources", nothing),
    ]);
    let found = found.await.unwrap();
    let doomed: Vec<_> = found.doomed.iter().map(|doomed| &*doomed.what).collect();
    assert_eq!(doomed, ["identity a", "resource group prod-oidc"]);
    assert_eq!(found.kept, ["custom role a: it is not of this subscription", "identity a: it is not in prod-oidc"]);
}

#[tokio::test]
async fn an_assignment_of_nobody_is_not_ours() {
    let found = belongings(&[
        ("roleDefinitions", nothing),
        ("roleAssignments", || {
            let id = format!("/subscriptions/{SUBSCRIPTION}{ASSIGNMENTS}/a");
            json!({"value": [{"id": id, "properties": {"roleDefinitionId": "/b"}}, {"id": id, "properties": {"principalId": "c"}}]})
        }),
        ("userAssignedIdentities", || {
            let (tag, owned) = Mark::of("prod").tag();
            let id = format!(
                "/subscriptions/{SUBSCRIPTION}/resourceGroups/prod-oidc/providers/Microsoft.ManagedIdentity/userAssignedIdentities/a"
            );
            json!({"value": [{"id": id, "tags": {tag: owned}}]})
        }),
        ("prod-oidc", group),
        ("resources", nothing),
    ]);
    let found = found.await.unwrap();
    assert!(found.doomed.iter().all(|doomed| !doomed.what.starts_with("role assignment")), "{found:?}");
}
