//! What was just made is not seen everywhere at once, if a test says so.

use std::collections::BTreeMap;

use azure_standin::arm::{Behaviour, Delay, Spreading};
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::world::{
    GROUP, IDENTITIES, ROLES, STRANGER, SUBSCRIPTION, World, assignment, credential, definition, object_of,
};

const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
const ONE: &str = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";

async fn slow(what: Spreading, delay: Delay) -> World {
    let world = World::with_group().await;
    world.behave(Behaviour { delays: BTreeMap::from([(what, delay)]), ..Behaviour::default() });
    world
}

const TWO_CALLS: Delay = Delay { calls: 2, seconds: 0 };

#[tokio::test]
async fn a_new_principal_is_not_found_for_a_while() {
    let world = slow(Spreading::Principals, TWO_CALLS).await;
    let identity = world.identity("operator").await;
    let grant = json!({"properties": {
        "principalId": identity["principalId"], "roleDefinitionId": definition(READER),
    }});
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(world.put(&assignment(GROUP, ONE), ROLES, grant.clone()).await.code());
    }
    assert_eq!(codes, ["400 PrincipalNotFound", "400 PrincipalNotFound", "201"]);
}

#[tokio::test]
async fn a_new_principal_whose_type_is_given_is_taken() {
    let world = slow(Spreading::Principals, TWO_CALLS).await;
    let identity = world.identity("operator").await;
    let grant = json!({"properties": {
        "principalId": identity["principalId"], "roleDefinitionId": definition(READER),
        "principalType": "ServicePrincipal",
    }});
    assert_eq!(world.put(&assignment(GROUP, ONE), ROLES, grant).await.code(), "201");
}

#[tokio::test]
async fn a_new_identity_has_no_credentials_for_a_while() {
    let world = slow(Spreading::Identities, Delay { calls: 0, seconds: 30 }).await;
    world.identity("operator").await;
    let body = json!({"properties": {"issuer": "https://i.test", "subject": "s", "audiences": ["openshift"]}});
    let path = credential("operator", "registry");
    assert_eq!(world.put(&path, IDENTITIES, body.clone()).await.code(), "404 ParentResourceNotFound");
    world.standin.azure().clock.advance(SignedDuration::from_secs(30));
    assert_eq!(world.put(&path, IDENTITIES, body).await.code(), "201");
}

#[tokio::test]
async fn a_new_role_is_not_found_for_a_while() {
    let world = slow(Spreading::RoleDefinitions, Delay { calls: 1, seconds: 0 }).await;
    let body = json!({"properties": {
        "roleName": "operator", "permissions": [{"actions": ["*/read"]}],
        "assignableScopes": [format!("/subscriptions/{SUBSCRIPTION}")],
    }});
    world.put(&definition(ONE), ROLES, body).await;
    let path = format!("{}?$filter=roleName%20eq%20'operator'", definition("").trim_end_matches('/'));
    assert_eq!(world.get(&path, ROLES).await.json()["value"], json!([]));
    assert_eq!(world.get(&path, ROLES).await.json()["value"][0]["name"], ONE);
}

#[tokio::test]
async fn a_new_role_assignment_allows_nothing_for_a_while() {
    let world = slow(Spreading::RoleAssignments, TWO_CALLS).await;
    let grant = json!({"properties": {"principalId": object_of(STRANGER), "roleDefinitionId": definition(READER)}});
    assert_eq!(world.put(&assignment(GROUP, ONE), ROLES, grant).await.code(), "201");
    let token = world.token_of(STRANGER, "https://management.azure.com/.default").await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(world.call_as(&token, Method::GET, GROUP, "2021-04-01", Value::Null).await.code());
    }
    assert_eq!(codes, ["403 AuthorizationFailed", "403 AuthorizationFailed", "200"]);
}
