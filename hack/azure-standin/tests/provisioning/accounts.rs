//! Storage accounts, their blob service and their containers, in ARM.

use azure_standin::arm::{Behaviour, Habits};
use http::Method;
use serde_json::{Value, json};

use crate::world::{GROUP, STORAGE, SUBSCRIPTION, World, account};

fn body() -> Value {
    json!({
        "location": "eastus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"},
        "properties": {"allowBlobPublicAccess": true}, "tags": {"a": "b"},
    })
}

async fn world() -> World {
    let world = World::with_group().await;
    world.behave(Behaviour { habits: Habits { polls: 0, ..Habits::default() }, ..Behaviour::default() });
    world
}

fn container(name: &str) -> String {
    format!("{}/blobServices/default/containers/{name}", account("oidc"))
}

#[tokio::test]
async fn an_account_takes_its_time() {
    let world = World::with_group().await;
    let reply = world.put(&account("oidc"), STORAGE, body()).await;
    assert_eq!((reply.code().as_str(), reply.header("retry-after")), ("202", "0"));
    let location = reply.header("location").to_owned();
    let begin = format!(
        "https://management.azure.com/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Storage/locations/eastus/\
         asyncoperations/"
    );
    assert!(location.starts_with(&begin), "{location}");
    let path = location.strip_prefix("https://management.azure.com").unwrap().split('?').next().unwrap().to_owned();
    let made = world.get(&path, STORAGE).await;
    assert_eq!((made.code().as_str(), &made.json()["properties"]["provisioningState"]), ("200", &json!("Succeeded")));
    assert_eq!(world.put(&account("oidc"), STORAGE, body()).await.code(), "200");
}

/// A refusal is a look, too: it is there afterwards.
#[tokio::test]
async fn an_account_that_is_coming_takes_no_change() {
    let (name, patch) = (account("oidc"), json!({"tags": {}}));
    for (method, path, body, code) in [
        (Method::PUT, name.clone(), body(), "409 StorageAccountOperationInProgress"),
        (Method::PATCH, name.clone(), patch, "409 StorageAccountIsNotProvisioned"),
        (Method::PUT, container("docs"), json!({}), "409 StorageAccountIsNotProvisioned"),
    ] {
        let world = World::with_group().await;
        world.put(&name, STORAGE, self::body()).await;
        assert_eq!(world.call(method.clone(), &path, STORAGE, body.clone()).await.code(), code);
        assert!(world.call(method, &path, STORAGE, body).await.code().starts_with("20"), "{path}");
    }
}

#[tokio::test]
async fn an_account_has_what_was_asked_for() {
    let world = world().await;
    let made = world.put(&account("oidc"), STORAGE, body()).await;
    assert_eq!(made.code(), "200");
    let made = made.json();
    assert_eq!(
        (&made["id"], &made["kind"], &made["tags"]),
        (&json!(account("oidc")), &json!("StorageV2"), &json!({"a": "b"}))
    );
    let properties = &made["properties"];
    assert_eq!(properties["allowBlobPublicAccess"], true);
    assert_eq!(properties["primaryEndpoints"]["blob"], "https://oidc.blob.core.windows.net/");
    assert_eq!(properties["primaryEndpoints"]["web"], "https://oidc.z13.web.core.windows.net/");
    let patch = json!({"properties": {"allowSharedKeyAccess": false}});
    let patched = world.call(Method::PATCH, &account("oidc"), STORAGE, patch).await.json();
    assert_eq!(patched["properties"]["allowBlobPublicAccess"], true);
    assert_eq!(patched["properties"]["allowSharedKeyAccess"], false);
    let all = world.get(&format!("{GROUP}/providers/Microsoft.Storage/storageAccounts"), STORAGE).await.json();
    assert_eq!(all["value"], json!([patched]));
    assert_eq!(world.delete(&account("oidc"), STORAGE).await.code(), "200");
    assert_eq!(world.delete(&account("oidc"), STORAGE).await.code(), "204");
    assert_eq!(world.get(&account("oidc"), STORAGE).await.code(), "404 ResourceNotFound");
}

#[tokio::test]
async fn the_name_of_an_account_is_lower_case_and_free() {
    let world = world().await;
    for name in ["my-oidc", "Oidc", "ab", "abcdefghijklmnopqrstuvwxy"] {
        let reply = world.put(&account(name), STORAGE, body()).await;
        assert_eq!(reply.code(), "400 AccountNameInvalid", "{name}");
    }
    let available = format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Storage/checkNameAvailability");
    let ask = json!({"name": "oidc", "type": "Microsoft.Storage/storageAccounts"});
    let free = world.call(Method::POST, &available, STORAGE, ask.clone()).await;
    assert_eq!(free.json(), json!({"nameAvailable": true}));
    world.put(&account("oidc"), STORAGE, body()).await;
    let taken = world.call(Method::POST, &available, STORAGE, ask).await;
    assert_eq!(taken.json()["reason"], "AlreadyExists");
    let other = account("oidc").replace("/rg/", "/rg2/");
    world.put(&GROUP.replace("/rg", "/rg2"), "2021-04-01", json!({"location": "eastus"})).await;
    let reply = world.put(&other, STORAGE, body()).await;
    assert_eq!(reply.code(), "409 StorageAccountInAnotherResourceGroup");
}

#[tokio::test]
async fn an_account_stays_in_its_location() {
    let world = world().await;
    world.put(&account("oidc"), STORAGE, body()).await;
    let mut moved = body();
    moved["location"] = json!("westus");
    assert_eq!(world.put(&account("oidc"), STORAGE, moved).await.code(), "409 InvalidResourceLocation");
}

#[tokio::test]
async fn an_account_has_two_keys() {
    let world = world().await;
    world.put(&account("oidc"), STORAGE, body()).await;
    let keys = world.call(Method::POST, &format!("{}/listKeys", account("oidc")), STORAGE, Value::Null).await.json();
    let names: Vec<_> = keys["keys"].as_array().unwrap().iter().map(|key| key["keyName"].clone()).collect();
    assert_eq!(names, ["key1", "key2"]);
    assert_eq!(keys["keys"][0]["value"].as_str().unwrap().len(), 88);
}

#[tokio::test]
async fn a_container_is_made_and_made_again() {
    let world = world().await;
    assert_eq!(world.get(&container("cluster"), STORAGE).await.code(), "404 ParentResourceNotFound");
    world.put(&account("oidc"), STORAGE, body()).await;
    let missing = world.get(&container("cluster"), STORAGE).await;
    assert_eq!(missing.code(), "404 ContainerNotFound");
    assert!(missing.message().starts_with("The specified container does not exist.\nRequestId:"));
    let public = json!({"properties": {"publicAccess": "Container"}});
    assert_eq!(world.put(&container("cluster"), STORAGE, public.clone()).await.code(), "201");
    assert_eq!(world.put(&container("cluster"), STORAGE, public).await.code(), "200");
    let found = world.get(&container("cluster"), STORAGE).await.json();
    assert_eq!(found["properties"]["publicAccess"], "Container");
    assert_eq!(world.put(&container("My_Cluster"), STORAGE, json!({})).await.code(), "400 InvalidResourceName");
}

#[tokio::test]
async fn a_container_is_public_only_if_the_account_allows_it() {
    let world = world().await;
    let mut closed = body();
    closed["properties"] = json!({});
    world.put(&account("oidc"), STORAGE, closed).await;
    let public = json!({"properties": {"publicAccess": "Blob"}});
    let reply = world.put(&container("cluster"), STORAGE, public.clone()).await;
    assert_eq!(reply.code(), "409 PublicAccessNotPermitted");
    let patch = json!({"properties": {"allowBlobPublicAccess": true}});
    world.call(Method::PATCH, &account("oidc"), STORAGE, patch).await;
    assert_eq!(world.put(&container("cluster"), STORAGE, public).await.code(), "201");
}

#[tokio::test]
async fn a_static_website_has_its_container() {
    let world = world().await;
    world.put(&account("oidc"), STORAGE, body()).await;
    assert_eq!(world.get(&container("$web"), STORAGE).await.code(), "404 ContainerNotFound");
    let service = format!("{}/blobServices/default", account("oidc"));
    let on = json!({"properties": {"staticWebsite": {"enabled": true, "indexDocument": "index.html"}}});
    let reply = world.put(&service, STORAGE, on).await;
    assert_eq!((reply.code().as_str(), &reply.json()["properties"]["staticWebsite"]["enabled"]), ("200", &json!(true)));
    assert_eq!(world.get(&container("$web"), STORAGE).await.code(), "200");
}
