//! Before anything is done: the subscription, the token, the version, the permission.

use azure_standin::{
    fault::{Effect, Fault},
    operation::Operation,
};
use http::Method;
use serde_json::{Value, json};

use crate::world::{
    GROUP, IDENTITIES, MANAGER, OWNER, STORAGE, STRANGER, SUBSCRIPTION, TENANT, World, account, identity,
};

#[tokio::test]
async fn without_a_token_the_tenant_is_told() {
    let world = World::start().await;
    let url = format!("{MANAGER}{GROUP}?api-version=2021-04-01");
    let reply = world.client.send(Method::GET, &url, &[], "").await;
    assert_eq!(reply.code(), "401 AuthenticationFailed");
    let challenge = format!("Bearer authorization_uri=\"https://login.microsoftonline.com/{TENANT}\"");
    assert!(reply.header("www-authenticate").starts_with(&challenge), "{reply:?}");
}

#[tokio::test]
async fn a_token_is_for_arm() {
    let world = World::start().await;
    for resource in ["https://management.azure.com", "https://management.core.windows.net/"] {
        let token = world.token_of(OWNER, &format!("{resource}/.default")).await;
        let reply = world.call_as(&token, Method::GET, GROUP, "2021-04-01", Value::Null).await;
        assert_eq!(reply.code(), "404 ResourceGroupNotFound", "{resource}");
    }
    let token = world.token_of(OWNER, "https://vault.azure.net/.default").await;
    let reply = world.call_as(&token, Method::GET, GROUP, "2021-04-01", Value::Null).await;
    assert_eq!(reply.code(), "401 InvalidAuthenticationTokenAudience");
    assert!(reply.message().contains("wrong audience or resource 'https://vault.azure.net'."), "{}", reply.message());
}

#[tokio::test]
async fn a_forged_token_is_refused() {
    let world = World::start().await;
    let token = world.token_of(OWNER, "https://management.azure.com/.default").await;
    let (signed, _) = token.rsplit_once('.').unwrap();
    let reply = world.call_as(&format!("{signed}.AAAA"), Method::GET, GROUP, "2021-04-01", Value::Null).await;
    assert_eq!(reply.code(), "401 InvalidAuthenticationToken");
}

#[tokio::test]
async fn an_unknown_subscription_is_not_found() {
    let world = World::start().await;
    let reply = world.get("/subscriptions/none/resourceGroups/rg", "2021-04-01").await;
    assert_eq!(reply.code(), "404 SubscriptionNotFound");
    assert_eq!(reply.message(), "The subscription 'none' could not be found.");
    let own = world.get(&format!("/subscriptions/{SUBSCRIPTION}"), "2021-01-01").await;
    assert_eq!(own.json()["tenantId"], TENANT);
}

#[tokio::test]
async fn a_request_has_a_version() {
    let world = World::with_group().await;
    assert_eq!(world.get(GROUP, "").await.code(), "400 MissingApiVersionParameter");
    let unknown = world.get(GROUP, "2021-04-02").await;
    assert_eq!(unknown.code(), "400 InvalidApiVersionParameter");
    let message = "The api-version '2021-04-02' is invalid. The supported versions are '";
    assert!(unknown.message().starts_with(message), "{}", unknown.message());
}

#[tokio::test]
async fn a_version_is_one_of_the_type() {
    let world = World::with_group().await;
    let unknown = world.get(&identity("operator"), STORAGE).await;
    assert_eq!(unknown.code(), "400 NoRegisteredProviderFound");
    let message = format!(
        "No registered resource provider found for location 'eastus' and API version '{STORAGE}' for type \
         'userAssignedIdentities'. The supported api-versions are '2024-11-30, "
    );
    assert!(unknown.message().starts_with(&message), "{}", unknown.message());
    assert_eq!(world.get(&account("a"), IDENTITIES).await.code(), "400 NoRegisteredProviderFound");
    let roles = format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions");
    assert_eq!(world.get(&roles, STORAGE).await.code(), "404 InvalidResourceType");
}

#[tokio::test]
async fn who_has_no_role_may_do_nothing() {
    let world = World::with_group().await;
    let token = world.token_of(STRANGER, "https://management.azure.com/.default").await;
    let reply = world.call_as(&token, Method::PUT, &identity("operator"), IDENTITIES, json!({"location": "x"})).await;
    assert_eq!(reply.code(), "403 AuthorizationFailed");
    let expected = format!(
        "The client '{STRANGER}' with object id 'f3333333-3333-3333-3333-333333333333' does not have authorization to \
         perform action 'Microsoft.ManagedIdentity/userAssignedIdentities/write' over scope '{}' or the scope is \
         invalid. If access was recently granted, please refresh your credentials.",
        identity("operator")
    );
    assert_eq!(reply.message(), expected);
}

#[tokio::test]
async fn arm_is_throttled_and_refuses_as_a_test_says() {
    let world = World::with_group().await;
    let faults = &world.standin.azure().faults;
    let throttled = Effect::Status { status: 429, retry_after_seconds: Some(3) };
    faults.add(Fault::times(Operation::ReadResourceGroup, 1, throttled));
    let reply = world.get_group().await;
    assert_eq!((reply.code().as_str(), reply.header("retry-after")), ("429 SubscriptionRequestsThrottled", "3"));
    let refused = Effect::Refuse {
        status: 403,
        code: "RequestDisallowedByPolicy".to_owned(),
        message: "Resource 'oidc' was disallowed by policy.".to_owned(),
        retry_after_seconds: None,
    };
    faults.add(Fault::times(Operation::WriteStorageAccount, 1, refused));
    let reply = world.put(&account("oidc"), STORAGE, json!({})).await;
    assert_eq!(reply.code(), "403 RequestDisallowedByPolicy");
    assert_eq!(world.get_group().await.code(), "200");
}
