//! Resource groups.

use azure_standin::{
    arm::{Behaviour, Habits},
    operation::Operation,
};
use http::Method;
use serde_json::{Value, json};

use crate::world::{GROUP, IDENTITIES, World, identity};

#[tokio::test]
async fn a_group_is_made_and_made_again() {
    let world = World::start().await;
    let body = json!({"location": "East US", "tags": {"a": "b"}});
    let reply = world.put_group(body.clone()).await;
    assert_eq!(reply.code(), "201");
    let expected = json!({
        "id": GROUP, "name": "rg", "type": "Microsoft.Resources/resourceGroups", "location": "eastus",
        "tags": {"a": "b"}, "properties": {"provisioningState": "Succeeded"},
    });
    assert_eq!(reply.json(), expected);
    assert_eq!(world.put_group(body).await.code(), "200");
    assert_eq!(world.get(&GROUP.to_uppercase(), "2021-04-01").await.json(), expected);
}

#[tokio::test]
async fn a_group_that_is_not_there_is_not_found() {
    let reply = World::start().await.get_group().await;
    assert_eq!(reply.code(), "404 ResourceGroupNotFound");
    assert_eq!(reply.message(), "Resource group 'rg' could not be found.");
}

#[tokio::test]
async fn a_group_stays_in_its_location() {
    let world = World::with_group().await;
    let reply = world.put_group(json!({"location": "westus"})).await;
    assert_eq!(reply.code(), "409 InvalidResourceGroupLocation");
    let expected = "Invalid resource group location 'westus'. The Resource group already exists in location 'eastus'.";
    assert_eq!(reply.message(), expected);
    let nowhere = world.put_group(json!({"location": "atlantis"})).await;
    assert_eq!(nowhere.code(), "400 LocationNotAvailableForResourceGroup");
    assert_eq!(world.put_group(json!({})).await.code(), "400 LocationRequired");
    assert_eq!(world.put_group(json!([])).await.code(), "400 InvalidRequestContent");
}

#[tokio::test]
async fn a_group_has_50_tags_at_most() {
    let world = World::start().await;
    let tags = |count: usize| (0..count).map(|at| (format!("t{at}"), json!("v"))).collect::<serde_json::Map<_, _>>();
    let reply = world.put_group(json!({"location": "eastus", "tags": tags(51)})).await;
    assert_eq!(reply.code(), "400 TooManyTags");
    assert_eq!(world.put_group(json!({"location": "eastus", "tags": tags(50)})).await.code(), "201");
}

#[tokio::test]
async fn a_patch_replaces_the_tags() {
    let world = World::start().await;
    world.put_group(json!({"location": "eastus", "tags": {"a": "b"}})).await;
    let reply = world.call(Method::PATCH, GROUP, "2021-04-01", json!({"tags": {"c": "d"}})).await;
    assert_eq!(reply.json()["tags"], json!({"c": "d"}));
}

#[tokio::test]
async fn a_group_goes_with_what_is_in_it_and_takes_its_time() {
    let world = World::with_group().await;
    world.identity("operator").await;
    let reply = world.delete_group().await;
    assert_eq!(reply.code(), "202");
    let location = reply.header("location").strip_prefix("https://management.azure.com").unwrap().to_owned();
    let refused = world.put(&identity("other"), IDENTITIES, json!({"location": "eastus"})).await;
    assert_eq!(refused.code(), "409 ResourceGroupBeingDeleted");
    let (path, _) = location.split_once('?').unwrap();
    assert_eq!(world.get(path, "2021-04-01").await.code(), "200");
    assert_eq!(world.get_group().await.code(), "404 ResourceGroupNotFound");
    world.put_group(json!({"location": "eastus"})).await;
    assert_eq!(world.get(&identity("operator"), IDENTITIES).await.code(), "404 ResourceNotFound");
}

#[tokio::test]
async fn a_group_can_go_at_once() {
    let world = World::with_group().await;
    world.behave(Behaviour { habits: Habits { polls: 0, ..Habits::default() }, ..Behaviour::default() });
    let reply = world.delete_group().await;
    let (path, _) =
        reply.header("location").strip_prefix("https://management.azure.com").unwrap().split_once('?').unwrap();
    assert_eq!(world.get(path, "2021-04-01").await.code(), "200");
    assert_eq!(world.get_group().await.code(), "404 ResourceGroupNotFound");
}

#[tokio::test]
async fn it_is_listed_what_is_in_a_group() {
    let world = World::with_group().await;
    assert_eq!(world.get(&format!("{GROUP}/resources"), "2021-04-01").await.json()["value"], json!([]));
    world.identity("operator").await;
    let all = world.get(&format!("{GROUP}/resources"), "2021-04-01").await.json();
    assert_eq!(all["value"][0]["type"], "Microsoft.ManagedIdentity/userAssignedIdentities");
    assert_eq!(all["value"][0]["properties"], Value::Null);
    assert_eq!(world.standin.azure().journal.count(Operation::ListResources), 2);
}
