//! Key Vault's secrets.

use std::collections::BTreeMap;

use azure_standin::{
    azure::Azure,
    exchange::{Answer, Call},
    fault::{Effect, Fault},
    operation::Operation,
    vault::{Authorization, store::NewVersion},
    world::Tenant,
};
use http::{Method, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::world::{
    APPLICATION, NOW, OPERATOR, TENANT, VAULT, WORKLOAD, answered, azure, bearer, get, json_of, object_of, other_azure,
    vault, vault_call, with_secret,
};

const OFFICER: &str = APPLICATION;
const USER: &str = WORKLOAD;
const READER: &str = OPERATOR;

async fn ask(azure: &Azure, method: Method, path: &str, who: &str) -> Answer {
    answered(azure, &vault_call(azure, method, path, who)).await
}

async fn send(azure: &Azure, method: Method, path: &str, body: &Value) -> Answer {
    let mut call = vault_call(azure, method, path, OFFICER);
    call.body = body.to_string().into();
    answered(azure, &call).await
}

/// Status, code, inner code and message of a refusal.
fn refusal(answer: &Answer) -> (u16, String, Option<String>, String) {
    let error = json_of(answer)["error"].clone();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let code = text(&error["code"]).unwrap();
    (answer.status().as_u16(), code, text(&error["innererror"]["code"]), text(&error["message"]).unwrap())
}

fn versioned(value: &str, version: &str) -> NewVersion {
    NewVersion { version: Some(version.to_owned()), ..NewVersion::of(value) }
}

#[tokio::test]
async fn a_user_gets_the_latest_version_and_any_other() {
    let azure = azure();
    with_secret(&azure, "creds", versioned("old", "v1"));
    let new = NewVersion {
        content_type: Some("application/json".into()),
        tags: BTreeMap::from([("renew_after".into(), "2026-07-01T00:00:00Z".into())]),
        not_before: Some(Timestamp::from_second(NOW - 60).unwrap()),
        expires: Some(Timestamp::from_second(NOW + 60).unwrap()),
        ..versioned("new", "v2")
    };
    with_secret(&azure, "creds", new);
    let latest = json!({
        "id": format!("{VAULT}/secrets/creds/v2"),
        "value": "new",
        "contentType": "application/json",
        "tags": {"renew_after": "2026-07-01T00:00:00Z"},
        "attributes": {
            "enabled": true, "created": NOW, "updated": NOW, "nbf": NOW - 60, "exp": NOW + 60,
            "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90,
        },
    });
    for path in ["/secrets/creds", "/secrets/creds/", "/secrets/CREDS", "/secrets/creds/v2"] {
        assert_eq!(json_of(&ask(&azure, Method::GET, path, USER).await), latest, "{path}");
    }
    assert_eq!(json_of(&ask(&azure, Method::GET, "/secrets/creds/v1", USER).await)["value"], "old");
}

#[tokio::test]
async fn without_a_token_the_challenge_says_where_to_get_one() {
    let answer = answered(&azure(), &get(&format!("{VAULT}/secrets/creds?api-version=7.4"))).await;
    assert_eq!(
        answer.headers()[header::WWW_AUTHENTICATE],
        format!(
            "Bearer authorization=\"https://login.microsoftonline.com/{TENANT}\", resource=\"https://vault.azure.net\""
        )
    );
    assert_eq!(
        refusal(&answer),
        (401, "Unauthorized".into(), None, "AKV10000: Request is missing a Bearer or PoP token.".into())
    );
}

async fn refusal_of_token(azure: &Azure, token: &str) -> String {
    let call =
        get(&format!("{VAULT}/secrets?api-version=7.4")).with_header(header::AUTHORIZATION, &format!("Bearer {token}"));
    let (status, code, _, message) = refusal(&answered(azure, &call).await);
    assert_eq!((status, code.as_str()), (401, "Unauthorized"));
    message
}

#[tokio::test]
async fn a_token_is_for_key_vault_itself() {
    let azure = azure();
    for other in ["https://management.azure.com/", "https://vault.azure.net/", VAULT] {
        assert_eq!(
            refusal_of_token(&azure, &bearer(&azure, USER, other)).await,
            format!("AKV10022: Invalid audience. Expected https://vault.azure.net, found: {other}.")
        );
    }
}

#[tokio::test]
async fn a_token_is_of_the_vaults_tenant() {
    let azure = azure();
    let token = bearer(&azure, USER, "https://vault.azure.net");
    azure.with_world_mut(|world| {
        world.tenants.push(Tenant { id: "other".into(), ..Tenant::default() });
        world.vaults.get_mut("kv-test").unwrap().tenant = "other".into();
    });
    assert_eq!(
        refusal_of_token(&azure, &token).await,
        format!(
            "AKV10032: Invalid issuer. Expected one of https://sts.windows.net/other/, found \
             https://sts.windows.net/{TENANT}/."
        )
    );
}

#[tokio::test]
async fn a_token_expires_after_five_minutes_of_grace() {
    let azure = azure();
    let token = bearer(&azure, USER, "https://vault.azure.net");
    azure.clock.advance(SignedDuration::from_secs(3600 + 299));
    let call = || {
        get(&format!("{VAULT}/secrets?api-version=7.4")).with_header(header::AUTHORIZATION, &format!("Bearer {token}"))
    };
    assert_eq!(answered(&azure, &call()).await.status(), 200);
    azure.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(refusal_of_token(&azure, &token).await, "[TokenExpired] Error validating token: 'S2S12086'.");
}

#[tokio::test]
async fn a_token_of_somebody_else_is_invalid() {
    let (azure, other) = (azure(), other_azure());
    let token = bearer(&other, USER, "https://vault.azure.net");
    assert!(refusal_of_token(&azure, &token).await.ends_with("its signature is invalid."));
    assert!(refusal_of_token(&azure, "no.token").await.starts_with("Error validating token: the token is malformed"));
}

#[tokio::test]
async fn a_reader_lists_and_does_not_get() {
    let azure = azure();
    with_secret(&azure, "creds", versioned("value", "v1"));
    for path in ["/secrets", "/secrets/creds/versions"] {
        assert_eq!(ask(&azure, Method::GET, path, READER).await.status(), 200, "{path}");
    }
    let (status, code, inner, message) = refusal(&ask(&azure, Method::GET, "/secrets/Creds", READER).await);
    assert_eq!((status, code.as_str(), inner.as_deref()), (403, "Forbidden", Some("ForbiddenByRbac")));
    assert_eq!(
        message,
        format!(
            "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role \
             definitions were changed recently, please observe propagation time.\r\nCaller: \
             appid={READER};oid={};iss=https://sts.windows.net/{TENANT}/\r\nAction: \
             'Microsoft.KeyVault/vaults/secrets/getSecret/action'\r\nResource: \
             '/subscriptions/s/resourcegroups/rg/providers/microsoft.keyvault/vaults/kv-test/secrets/creds'\r\n\
             Assignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: null \r\nVault: \
             kv-test;location=eastus\r\n",
            object_of(READER)
        )
    );
}

#[tokio::test]
async fn a_user_does_not_set() {
    let azure = azure();
    with_secret(&azure, "creds", versioned("value", "v1"));
    for (method, path) in [
        (Method::PUT, "/secrets/creds"),
        (Method::PATCH, "/secrets/creds/v1"),
        (Method::DELETE, "/secrets/creds"),
        (Method::GET, "/deletedsecrets"),
    ] {
        let (status, _, inner, _) = refusal(&ask(&azure, method.clone(), path, USER).await);
        assert_eq!((status, inner.as_deref()), (403, Some("ForbiddenByRbac")), "{method} {path}");
    }
}

#[tokio::test]
async fn a_vault_with_access_policies_says_so() {
    let azure = azure();
    azure.with_world_mut(|world| {
        world.vaults.get_mut("kv-test").unwrap().authorization = Authorization::AccessPolicies;
    });
    let (status, code, inner, message) = refusal(&ask(&azure, Method::GET, "/secrets/creds", READER).await);
    assert_eq!((status, code.as_str(), inner.as_deref()), (403, "Forbidden", Some("AccessDenied")));
    assert_eq!(
        message,
        format!(
            "The user, group or application 'appid={READER};oid={};iss=https://sts.windows.net/{TENANT}/' does not \
             have secrets get permission on key vault 'kv-test;location=eastus'. For help resolving this issue, please \
             see https://go.microsoft.com/fwlink/?linkid=2125287",
            object_of(READER)
        )
    );
}

#[tokio::test]
async fn a_secret_or_version_that_is_not_there_is_not_found() {
    let azure = azure();
    with_secret(&azure, "creds", versioned("value", "v1"));
    for (path, name) in [("/secrets/other", "other"), ("/secrets/creds/v9", "creds/v9")] {
        let message = format!(
            "A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you \
             may be able to recover it using the correct recovery command. For help resolving this issue, please see \
             https://go.microsoft.com/fwlink/?linkid=2125182"
        );
        let expected = (404, "SecretNotFound".into(), None, message);
        assert_eq!(refusal(&ask(&azure, Method::GET, path, USER).await), expected);
    }
}

#[tokio::test]
async fn a_disabled_secret_is_listed_and_not_got() {
    let azure = azure();
    with_secret(&azure, "creds", NewVersion { enabled: Some(false), ..NewVersion::of("value") });
    let message = "Operation get is not allowed on a disabled secret.".to_owned();
    let expected = (403, "Forbidden".into(), Some("SecretDisabled".into()), message);
    assert_eq!(refusal(&ask(&azure, Method::GET, "/secrets/creds", USER).await), expected);
    let list = json_of(&ask(&azure, Method::GET, "/secrets", USER).await);
    assert_eq!(list["value"][0]["attributes"]["enabled"], false);
}

#[tokio::test]
async fn an_expired_secret_is_got_all_the_same() {
    let azure = azure();
    let past = Some(Timestamp::from_second(NOW - 1).unwrap());
    with_secret(&azure, "old", NewVersion { expires: past, ..NewVersion::of("value") });
    let future = Some(Timestamp::from_second(NOW + 1000).unwrap());
    with_secret(&azure, "new", NewVersion { not_before: future, ..NewVersion::of("value") });
    for name in ["old", "new"] {
        let answer = ask(&azure, Method::GET, &format!("/secrets/{name}"), USER).await;
        assert_eq!(json_of(&answer)["value"], "value");
    }
}

#[tokio::test]
async fn the_version_of_the_interface_is_required_and_known() {
    let azure = azure();
    let token = bearer(&azure, USER, "https://vault.azure.net");
    let call = |query: &str| {
        get(&format!("{VAULT}/secrets{query}")).with_header(header::AUTHORIZATION, &format!("Bearer {token}"))
    };
    for (query, text) in [("", "Method requires 'api-version'"), ("?api-version=9.9", "The specified version (9.9)")] {
        let (status, code, _, message) = refusal(&answered(&azure, &call(query)).await);
        assert_eq!((status, code.as_str()), (400, "BadParameter"));
        assert!(message.starts_with(text), "{message}");
    }
}

#[tokio::test]
async fn a_name_that_no_secret_can_have_is_refused() {
    let (status, code, _, message) = refusal(&ask(&azure(), Method::GET, "/secrets/a_b", USER).await);
    assert_eq!((status, code.as_str()), (400, "BadParameter"));
    assert_eq!(message, "The request URI contains an invalid name: a_b");
}

/// All pages of a list, with the number of requests.
async fn pages(azure: &Azure, path: &str) -> (Vec<Value>, usize) {
    let mut call = vault_call(azure, Method::GET, path, READER);
    let (mut all, mut requests) = (Vec::new(), 0);
    loop {
        let page = json_of(&answered(azure, &call).await);
        requests += 1;
        all.extend(page["value"].as_array().unwrap().iter().cloned());
        let Some(next) = page["nextLink"].as_str() else { return (all, requests) };
        assert!(next.starts_with("https://kv-test.vault.azure.net:443/secrets"), "{next}");
        let headers = call.headers.clone();
        call = Call { headers, ..get(next) };
    }
}

#[tokio::test]
async fn secrets_are_listed_without_values_25_at_a_time() {
    let azure = azure();
    for number in 0..60 {
        with_secret(&azure, &format!("secret-{number:02}"), NewVersion::of("hush"));
    }
    let (all, requests) = pages(&azure, "/secrets").await;
    assert_eq!((all.len(), requests), (60, 3));
    assert_eq!(all[59]["id"], format!("{VAULT}/secrets/secret-59"));
    assert!(all.iter().all(|secret| secret.get("value").is_none()));
    let (all, requests) = pages(&azure, "/secrets?maxresults=20").await;
    assert_eq!((all.len(), requests), (60, 3));
    assert_eq!(azure.journal.count(Operation::ListSecrets), 6);
}

#[tokio::test]
async fn versions_are_listed_with_their_ids() {
    let azure = azure();
    for number in 0..26 {
        with_secret(&azure, "creds", versioned("hush", &format!("v{number}")));
    }
    let (all, requests) = pages(&azure, "/secrets/creds/versions").await;
    assert_eq!((all.len(), requests), (26, 2));
    assert_eq!(all[25]["id"], format!("{VAULT}/secrets/creds/v25"));
    assert_eq!(ask(&azure, Method::GET, "/secrets/other/versions", READER).await.status(), 404);
}

#[tokio::test]
async fn a_page_has_one_to_25() {
    for size in ["0", "26", "x"] {
        let path = format!("/secrets?maxresults={size}");
        let (status, code, _, _) = refusal(&ask(&azure(), Method::GET, &path, READER).await);
        assert_eq!((status, code.as_str()), (400, "BadParameter"));
    }
}

#[tokio::test]
async fn a_secret_is_set_and_updated() {
    let azure = azure();
    let body = json!({
        "value": "first", "contentType": "text/plain", "tags": {"a": "b"}, "attributes": {"nbf": NOW, "exp": NOW + 1},
    });
    let set = json_of(&send(&azure, Method::PUT, "/secrets/creds", &body).await);
    assert_eq!((&set["value"], &set["attributes"]["exp"]), (&json!("first"), &json!(NOW + 1)));
    azure.clock.advance(SignedDuration::from_secs(5));
    let update = json!({"attributes": {"enabled": false}, "tags": {"a": "c"}});
    let updated = json_of(&send(&azure, Method::PATCH, "/secrets/creds", &update).await);
    assert_eq!((&updated["tags"]["a"], &updated["contentType"]), (&json!("c"), &json!("text/plain")));
    assert_eq!(updated["attributes"]["enabled"], false);
    assert_eq!((&updated["attributes"]["created"], &updated["attributes"]["updated"]), (&json!(NOW), &json!(NOW + 5)));
    assert_eq!(updated.get("value"), None);
    let (status, code, _, _) = refusal(&send(&azure, Method::PUT, "/secrets/creds", &json!({"tags": {}})).await);
    assert_eq!((status, code.as_str()), (400, "BadParameter"));
}

#[tokio::test]
async fn a_deleted_secret_is_recovered_or_purged() {
    let azure = azure();
    with_secret(&azure, "creds", versioned("value", "v1"));
    let deleted = json_of(&ask(&azure, Method::DELETE, "/secrets/creds", OFFICER).await);
    assert_eq!(deleted["recoveryId"], format!("{VAULT}/deletedsecrets/creds"));
    assert_eq!((&deleted["deletedDate"], deleted.get("value")), (&json!(NOW), None));
    assert_eq!(ask(&azure, Method::GET, "/secrets/creds", USER).await.status(), 404);
    let list = json_of(&ask(&azure, Method::GET, "/deletedsecrets", OFFICER).await);
    assert_eq!(list["value"][0]["id"], format!("{VAULT}/secrets/creds"));
    assert_eq!(ask(&azure, Method::GET, "/deletedsecrets/creds", OFFICER).await.status(), 200);
    assert_eq!(ask(&azure, Method::POST, "/deletedsecrets/creds/recover", OFFICER).await.status(), 200);
    assert_eq!(ask(&azure, Method::GET, "/secrets/creds", USER).await.status(), 200);
    ask(&azure, Method::DELETE, "/secrets/creds", OFFICER).await;
    assert_eq!(ask(&azure, Method::DELETE, "/deletedsecrets/creds", OFFICER).await.status(), 204);
    for (method, path) in [(Method::GET, "/deletedsecrets/creds"), (Method::POST, "/deletedsecrets/creds/recover")] {
        assert_eq!(ask(&azure, method, path, OFFICER).await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn the_name_of_a_deleted_secret_is_not_free() {
    let azure = azure();
    with_secret(&azure, "creds", versioned("value", "v1"));
    ask(&azure, Method::DELETE, "/secrets/creds", OFFICER).await;
    let message =
        "Secret creds is currently in a deleted but recoverable state, and its name cannot be reused; in this \
                   state, the secret can only be recovered or purged."
            .to_owned();
    let expected = (409, "Conflict".into(), Some("ObjectIsDeletedButRecoverable".into()), message);
    assert_eq!(refusal(&send(&azure, Method::PUT, "/secrets/creds", &json!({"value": "x"})).await), expected);
}

#[tokio::test]
async fn a_throttled_vault_says_when_to_come_back() {
    let azure = azure();
    let effect = Effect::Status { status: 429, retry_after_seconds: Some(7) };
    azure.faults.add(Fault::times(Operation::GetSecret, 1, effect));
    let answer = ask(&azure, Method::GET, "/secrets/creds", USER).await;
    assert_eq!(answer.headers()[header::RETRY_AFTER], "7");
    let (status, code, _, message) = refusal(&answer);
    assert_eq!((status, code.as_str()), (429, "Throttled"));
    assert!(message.ends_with("VaultRequestTypeLimitReached"));
    assert_eq!(ask(&azure, Method::GET, "/secrets/creds", USER).await.status(), 404);
}

#[tokio::test]
async fn a_vault_that_does_not_exist_has_no_host() {
    let answer = answered(&azure(), &get("https://other.vault.azure.net/secrets?api-version=7.4")).await;
    assert_eq!(answer.status(), 502);
    let azure = azure();
    azure.with_world_mut(|world| {
        world
            .vaults
            .insert("other".into(), azure_standin::vault::store::Vault::new(vault("other"), Timestamp::UNIX_EPOCH));
    });
    let answer = answered(&azure, &get("https://other.vault.azure.net/secrets?api-version=7.4")).await;
    assert_eq!(answer.status(), 401);
    let of_another_cloud = get("https://other.vault.azure.cn/secrets?api-version=7.4");
    assert_eq!(answered(&azure, &of_another_cloud).await.status(), 502);
}

#[tokio::test]
async fn the_journal_knows_who_was_refused_what_and_no_value() {
    let azure = azure();
    with_secret(&azure, "creds", NewVersion::of("hush-hush"));
    ask(&azure, Method::GET, "/secrets/creds", USER).await;
    ask(&azure, Method::GET, "/secrets/creds", READER).await;
    let entries = azure.journal.entries();
    let told: Vec<_> =
        entries.iter().map(|entry| (entry.caller.as_deref(), entry.status, entry.refusal.as_deref())).collect();
    assert_eq!(told, [(Some(USER), Some(200), None), (Some(READER), Some(403), Some("ForbiddenByRbac"))]);
    let everything = format!("{azure:?} {}", serde_json::to_string(&entries).unwrap());
    assert!(!everything.contains("hush-hush") && !everything.contains("eyJ"), "{everything}");
}
