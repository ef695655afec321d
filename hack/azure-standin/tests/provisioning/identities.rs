//! User-assigned managed identities.

use azure_standin::arm::{Behaviour, Habits};
use http::Method;
use serde_json::json;

use crate::world::{GROUP, IDENTITIES, TENANT, World, identity};

#[tokio::test]
async fn an_identity_keeps_its_ids() {
    let world = World::with_group().await;
    let made = world.put(&identity("operator"), IDENTITIES, json!({"location": "eastus"})).await.json();
    // The provider writes the group in lower case, and clients have to live with it.
    let id = identity("operator").replace("resourceGroups", "resourcegroups");
    assert_eq!(made["id"], id);
    assert_eq!(made["properties"]["tenantId"], TENANT);
    let again = world.put(&identity("operator"), IDENTITIES, json!({"location": "eastus", "tags": {"a": "b"}})).await;
    assert_eq!((again.code().as_str(), &again.json()["properties"]), ("200", &made["properties"]));
    assert_eq!(world.get(&identity("OPERATOR"), IDENTITIES).await.json()["tags"], json!({"a": "b"}));
    let patched = world.call(Method::PATCH, &identity("operator"), IDENTITIES, json!({"tags": {}})).await;
    assert_eq!(patched.json()["tags"], json!({}));
}

#[tokio::test]
async fn an_identity_that_is_not_there_is_not_found() {
    let world = World::with_group().await;
    let reply = world.get(&identity("operator"), IDENTITIES).await;
    assert_eq!(reply.code(), "404 ResourceNotFound");
    let expected = "The Resource 'Microsoft.ManagedIdentity/userAssignedIdentities/operator' under resource group 'rg' \
                    was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix";
    assert_eq!(reply.message(), expected);
    assert_eq!(world.delete(&identity("operator"), IDENTITIES).await.code(), "204");
}

#[tokio::test]
async fn an_identity_needs_its_group() {
    let world = World::start().await;
    let reply = world.put(&identity("operator"), IDENTITIES, json!({"location": "eastus"})).await;
    assert_eq!(reply.code(), "404 ResourceGroupNotFound");
}

#[tokio::test]
async fn an_identity_stays_in_its_location() {
    let world = World::with_group().await;
    world.identity("operator").await;
    let reply = world.put(&identity("operator"), IDENTITIES, json!({"location": "westus"})).await;
    assert_eq!(reply.code(), "409 InvalidResourceLocation");
}

#[tokio::test]
async fn a_name_has_3_to_128_characters() {
    let world = World::with_group().await;
    for (name, code) in
        [("ab", "400 BadRequest"), ("-abc", "400 BadRequest"), ("a.bc", "400 BadRequest"), ("abc", "201")]
    {
        assert_eq!(world.put(&identity(name), IDENTITIES, json!({"location": "eastus"})).await.code(), code, "{name}");
    }
    let longest = "a".repeat(128);
    world.identity(&longest).await;
    let longer = world.put(&identity(&format!("{longest}a")), IDENTITIES, json!({"location": "eastus"})).await;
    assert_eq!(longer.code(), "400 BadRequest");
}

#[tokio::test]
async fn identities_are_listed_in_pages() {
    let world = World::with_group().await;
    world.behave(Behaviour { habits: Habits { page_size: 2, ..Habits::default() }, ..Behaviour::default() });
    for name in ["one", "two", "three"] {
        world.identity(name).await;
    }
    let path = format!("{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities");
    let first = world.get(&path, IDENTITIES).await.json();
    assert_eq!(first["value"].as_array().unwrap().len(), 2);
    let next = first["nextLink"].as_str().unwrap().strip_prefix("https://management.azure.com").unwrap();
    let (next, query) = next.split_once('?').unwrap();
    assert_eq!(query, format!("api-version={IDENTITIES}&%24skiptoken=2"));
    let second = world.get(&format!("{next}?$skiptoken=2"), IDENTITIES).await.json();
    assert_eq!((second["value"].as_array().unwrap().len(), second.get("nextLink")), (1, None));
}
