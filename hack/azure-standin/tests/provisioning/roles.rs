//! Role definitions and assignments.

use http::Method;
use serde_json::{Value, json};

use crate::world::{
    GROUP, IDENTITIES, OWNER, ROLES, STRANGER, SUBSCRIPTION, TENANT, World, assignment, definition, identity, object_of,
};

const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
const ONE: &str = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
const TWO: &str = "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb";

fn role(name: &str) -> Value {
    json!({"properties": {
        "roleName": name,
        "description": "Custom role",
        "type": "CustomRole",
        "permissions": [{"actions": ["Microsoft.Network/virtualNetworks/read"], "dataActions": []}],
        "assignableScopes": [format!("/subscriptions/{SUBSCRIPTION}")],
    }})
}

fn grant(principal: &str, role: &str) -> Value {
    json!({"properties": {"principalId": principal, "roleDefinitionId": definition(role)}})
}

fn principal_of(identity: &Value) -> &str {
    identity["principalId"].as_str().unwrap()
}

#[tokio::test]
async fn a_custom_role_is_found_by_its_name() {
    let world = World::start().await;
    let made = world.put(&definition(ONE), ROLES, role("it's mine")).await;
    assert_eq!(made.code(), "201", "{}", made.text());
    let list = definition("");
    let filter = "$filter=roleName%20eq%20'it''s%20mine'";
    let found = world.get(&format!("{}?{filter}", list.trim_end_matches('/')), ROLES).await.json();
    assert_eq!(found["value"], json!([made.json()]));
    assert_eq!(made.json()["id"], definition(ONE));
    let built_in =
        world.get(&format!("{}?$filter=roleName%20eq%20'Contributor'", list.trim_end_matches('/')), ROLES).await;
    assert_eq!(built_in.json()["value"][0]["name"], "b24988ac-6180-42a0-ab88-20f7382dd24c");
    let odd = world.get(&format!("{}?$filter=name%20ne%20'x'", list.trim_end_matches('/')), ROLES).await;
    assert_eq!(odd.code(), "400 UnsupportedQuery");
}

#[tokio::test]
async fn the_name_of_a_role_is_in_a_tenant_once() {
    let world = World::start().await;
    world.put(&definition(ONE), ROLES, role("operator")).await;
    assert_eq!(world.put(&definition(ONE), ROLES, role("operator")).await.code(), "201");
    for name in ["operator", "OPERATOR", "Contributor"] {
        assert_eq!(world.put(&definition(TWO), ROLES, role(name)).await.code(), "409 RoleDefinitionWithSameNameExists");
    }
    assert_eq!(world.put(&definition(TWO), ROLES, role("other")).await.code(), "201");
}

#[tokio::test]
async fn a_role_is_well_formed() {
    let world = World::start().await;
    assert_eq!(world.put(&definition("operator"), ROLES, role("operator")).await.code(), "400 BadRequestFormat");
    let mut elsewhere = role("operator");
    elsewhere["properties"]["assignableScopes"] = json!([GROUP]);
    assert_eq!(world.put(&definition(ONE), ROLES, elsewhere).await.code(), "400 InvalidAssignableScopes");
    let mut nothing = role("operator");
    nothing["properties"]["permissions"][0]["actions"] = json!(["read"]);
    assert_eq!(world.put(&definition(ONE), ROLES, nothing).await.code(), "400 InvalidActionOrNotAction");
}

#[tokio::test]
async fn a_role_that_is_assigned_stays() {
    let world = World::with_group().await;
    let identity = world.identity("operator").await;
    world.put(&definition(ONE), ROLES, role("operator")).await;
    let path = assignment(GROUP, TWO);
    assert_eq!(world.put(&path, ROLES, grant(principal_of(&identity), ONE)).await.code(), "201");
    assert_eq!(world.delete(&definition(ONE), ROLES).await.code(), "400 RoleDefinitionHasAssignments");
    assert_eq!(world.delete(&path, ROLES).await.code(), "200");
    assert_eq!(world.delete(&path, ROLES).await.code(), "204");
    assert_eq!(world.delete(&definition(ONE), ROLES).await.code(), "200");
    assert_eq!(world.get(&definition(ONE), ROLES).await.code(), "404 RoleDefinitionDoesNotExist");
}

#[tokio::test]
async fn an_assignment_is_made_and_made_again() {
    let world = World::with_group().await;
    let identity = world.identity("operator").await;
    let path = assignment(GROUP, ONE);
    let made = world.put(&path, ROLES, grant(principal_of(&identity), READER)).await;
    assert_eq!(made.code(), "201");
    assert_eq!(made.json()["properties"]["scope"], GROUP);
    assert_eq!(made.json()["properties"]["principalType"], "ServicePrincipal");
    assert_eq!(world.put(&path, ROLES, grant(principal_of(&identity), READER)).await.code(), "200");
}

#[tokio::test]
async fn an_assignment_under_another_name_exists_already() {
    let world = World::with_group().await;
    let identity = world.identity("operator").await;
    world.put(&assignment(GROUP, ONE), ROLES, grant(principal_of(&identity), READER)).await;
    // Whatever the case of the scope: it is the same.
    for scope in [GROUP.to_owned(), GROUP.to_lowercase()] {
        let twin = world.put(&assignment(&scope, TWO), ROLES, grant(principal_of(&identity), READER)).await;
        assert_eq!(twin.code(), "409 RoleAssignmentExists");
        let expected = "The role assignment already exists. The ID of the existing role assignment is \
                        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.";
        assert_eq!(twin.message(), expected);
    }
    let elsewhere = assignment(&format!("/subscriptions/{SUBSCRIPTION}"), TWO);
    assert_eq!(world.put(&elsewhere, ROLES, grant(principal_of(&identity), READER)).await.code(), "201");
}

#[tokio::test]
async fn an_assignment_stays_with_its_principal() {
    let world = World::with_group().await;
    let (one, other) = (world.identity("operator").await, world.identity("other").await);
    let path = assignment(GROUP, ONE);
    world.put(&path, ROLES, grant(principal_of(&one), READER)).await;
    let reply = world.put(&path, ROLES, grant(principal_of(&other), READER)).await;
    assert_eq!(reply.code(), "400 RoleAssignmentUpdateNotPermitted");
    let expected = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.";
    assert_eq!(reply.message(), expected);
}

#[tokio::test]
async fn an_assignment_outlives_its_principal() {
    let world = World::with_group().await;
    let first = world.identity("operator").await;
    let path = assignment(GROUP, ONE);
    world.put(&path, ROLES, grant(principal_of(&first), READER)).await;
    assert_eq!(world.delete(&identity("operator"), IDENTITIES).await.code(), "200");
    assert_eq!(world.get(&path, ROLES).await.code(), "200");
    // An orphan is in the way of the identity that is made again.
    let second = world.identity("operator").await;
    let refused = world.put(&path, ROLES, grant(principal_of(&second), READER)).await;
    assert_eq!(refused.code(), "400 RoleAssignmentUpdateNotPermitted");
    world.delete(&path, ROLES).await;
    assert_eq!(world.put(&path, ROLES, grant(principal_of(&second), READER)).await.code(), "201");
}

#[tokio::test]
async fn an_assignment_is_of_a_principal_that_is_there() {
    let world = World::with_group().await;
    let nobody = "dddddddd-dddd-dddd-dddd-dddddddddddd";
    let reply = world.put(&assignment(GROUP, ONE), ROLES, grant(nobody, READER)).await;
    assert_eq!(reply.code(), "400 PrincipalNotFound");
    let begin =
        format!("Principal dddddddddddddddddddddddddddddddd does not exist in the directory {TENANT}. Check that");
    assert!(reply.message().starts_with(&begin), "{}", reply.message());
    let mut user = grant(&object_of(STRANGER), READER);
    user["properties"]["principalType"] = json!("User");
    assert_eq!(world.put(&assignment(GROUP, ONE), ROLES, user).await.code(), "400 UnmatchedPrincipalType");
    let named = world.put(&assignment(GROUP, "operator"), ROLES, grant(&object_of(STRANGER), READER)).await;
    assert_eq!(named.code(), "400 InvalidRoleAssignmentId");
    let no_role = world.put(&assignment(GROUP, ONE), ROLES, grant(&object_of(STRANGER), TWO)).await;
    assert_eq!(no_role.code(), "404 RoleDefinitionDoesNotExist");
}

#[tokio::test]
async fn a_role_is_a_permission_where_it_is_assigned_and_below() {
    let world = World::with_group().await;
    world.identity("operator").await;
    let token = world.token_of(STRANGER, "https://management.azure.com/.default").await;
    let read = |path: String| world.call_as(&token, Method::GET, leak(path), IDENTITIES, Value::Null);
    assert_eq!(read(identity("operator")).await.code(), "403 AuthorizationFailed");
    world.put(&assignment(GROUP, ONE), ROLES, grant(&object_of(STRANGER), READER)).await;
    assert_eq!(read(identity("operator")).await.code(), "200");
    let other = identity("operator").replace("/rg/", "/rg2/");
    assert_eq!(read(other).await.code(), "403 AuthorizationFailed");
    let path = identity("operator");
    let write = world.call_as(&token, Method::PUT, &path, IDENTITIES, json!({"location": "eastus"})).await;
    assert_eq!(write.code(), "403 AuthorizationFailed");
}

/// A test's paths live as long as it.
fn leak(path: String) -> &'static str {
    Box::leak(path.into_boxed_str())
}

#[tokio::test]
async fn assignments_are_listed_of_somebody() {
    let world = World::with_group().await;
    let identity = world.identity("operator").await;
    let principal = principal_of(&identity);
    world.put(&assignment(GROUP, ONE), ROLES, grant(principal, READER)).await;
    let list = |scope: &str, filter: &str| {
        format!("{scope}/providers/Microsoft.Authorization/roleAssignments?$filter={filter}")
    };
    let subscription = format!("/subscriptions/{SUBSCRIPTION}");
    for filter in [format!("assignedTo('{principal}')"), format!("principalId%20eq%20'{principal}'")] {
        let found = world.get(&list(&subscription, &filter), ROLES).await.json();
        assert_eq!(found["value"].as_array().unwrap().len(), 1, "{filter}");
        assert_eq!(found["value"][0]["name"], ONE);
    }
    let at_subscription = world.get(&list(&subscription, "atScope()"), ROLES).await.json();
    assert_eq!(at_subscription["value"][0]["properties"]["principalId"], object_of(OWNER));
    let at_group = world.get(&list(GROUP, "atScope()"), ROLES).await.json();
    assert_eq!(at_group["value"].as_array().unwrap().len(), 2);
}
