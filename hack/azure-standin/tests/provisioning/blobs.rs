//! Blobs in Azurite, and who may do what with them.

use http::Method;
use serde_json::{Value, json};

use crate::{
    store::{BLOBS, Store, WEBSITE},
    world::{GROUP, OWNER, ROLES, STORAGE, account, assignment, definition, object_of},
};

#[tokio::test]
async fn blobs_are_written_with_a_role_and_read_by_all_if_public() {
    let store = Store::start(json!({"allowBlobPublicAccess": true})).await;
    store.container("cluster", "Container").await;
    store.container("private", "None").await;
    let refused = store.upload("cluster/a", "one").await;
    assert_eq!(refused.header("x-ms-error-code"), "AuthorizationPermissionMismatch");
    store.let_owner_write().await;
    for path in ["cluster/a", "cluster/.well-known/b", "private/a"] {
        let reply = store.upload(path, "one").await;
        assert_eq!(reply.status, 201, "{}", reply.text());
    }
    assert_eq!(store.fetch(&format!("{BLOBS}/cluster/a")).await.text(), "one");
    assert_eq!(store.fetch(&format!("{BLOBS}/cluster/.well-known/b")).await.text(), "one");
    let missing = store.fetch(&format!("{BLOBS}/cluster/c")).await;
    assert_eq!((missing.status.as_u16(), missing.header("x-ms-error-code")), (404, "BlobNotFound"));
    let private = store.fetch(&format!("{BLOBS}/private/a")).await;
    assert_eq!((private.status.as_u16(), private.header("x-ms-error-code")), (404, "ResourceNotFound"));
    assert_eq!(store.ask(Method::GET, "private/a").await.text(), "one");
    let head = store.ask(Method::HEAD, "private/a").await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "3"));
    assert!(store.ask(Method::GET, "cluster?restype=container&comp=list").await.text().contains("<Name>a</Name>"));
    assert_eq!(store.ask(Method::DELETE, "private/a").await.status, 202);
    assert_eq!(store.ask(Method::GET, "private/a").await.status, 404);
    let anonymous = store.world.client.send(Method::PUT, &format!("{BLOBS}/cluster/a"), &[], "two").await;
    assert_eq!(anonymous.header("x-ms-error-code"), "NoAuthenticationInformation");
}

#[tokio::test]
async fn index_tags_need_a_permission_of_their_own() {
    let store = Store::start(json!({})).await;
    store.container("cluster", "None").await;
    store.let_owner_write().await;
    let put = |tags: &'static str| {
        let bearer = format!("Bearer {}", store.token);
        let client = &store.world.client;
        async move {
            let headers = [
                ("authorization", bearer.as_str()),
                ("x-ms-version", "2021-12-02"),
                ("x-ms-blob-type", "BlockBlob"),
                ("x-ms-tags", tags),
            ];
            client.send(Method::PUT, &format!("{BLOBS}/cluster/a"), &headers, "one").await
        }
    };
    assert_eq!(put("owner=us").await.header("x-ms-error-code"), "AuthorizationPermissionMismatch");
    let owner = json!({"properties": {
        "principalId": object_of(OWNER), "roleDefinitionId": definition("b7e6dc6d-f1e8-4753-8033-0f276bb0955b"),
    }});
    let path = assignment(GROUP, "dddddddd-dddd-dddd-dddd-dddddddddddd");
    assert_eq!(store.world.put(&path, ROLES, owner).await.code(), "201");
    assert_eq!(put("owner=us").await.status, 201);
}

#[tokio::test]
async fn an_account_can_refuse_the_public_and_keys() {
    let store = Store::start(json!({"allowBlobPublicAccess": true, "allowSharedKeyAccess": false})).await;
    store.container("cluster", "Container").await;
    store.let_owner_write().await;
    assert_eq!(store.upload("cluster/a", "one").await.status, 201);
    let close = json!({"properties": {"allowBlobPublicAccess": false}});
    assert_eq!(store.world.call(Method::PATCH, &account("oidc"), STORAGE, close).await.code(), "200");
    let closed = store.fetch(&format!("{BLOBS}/cluster/a")).await;
    assert_eq!((closed.status.as_u16(), closed.header("x-ms-error-code")), (409, "PublicAccessNotPermitted"));
    let headers = [("authorization", "SharedKey oidc:AAAA")];
    let by_key = store.world.client.send(Method::GET, &format!("{BLOBS}/cluster/a"), &headers, "").await;
    assert_eq!((by_key.status.as_u16(), by_key.header("x-ms-error-code")), (403, "KeyBasedAuthenticationNotPermitted"));
    assert_eq!(store.ask(Method::GET, "cluster/a").await.text(), "one");
}

#[tokio::test]
async fn a_token_is_for_storage_and_a_key_is_the_accounts() {
    let store = Store::start(json!({})).await;
    store.container("cluster", "None").await;
    store.let_owner_write().await;
    let other = store.world.token_of(OWNER, "https://management.azure.com/.default").await;
    let bearer = format!("Bearer {other}");
    let url = format!("{BLOBS}/cluster/a");
    let refused = store.world.client.send(Method::GET, &url, &[("authorization", &bearer)], "").await;
    assert_eq!((refused.status.as_u16(), refused.header("x-ms-error-code")), (401, "InvalidAuthenticationInfo"));
    assert!(refused.text().contains("Audience validation failed."), "{}", refused.text());
    let own = store.world.token_of(OWNER, &format!("{BLOBS}/.default")).await;
    let bearer = format!("Bearer {own}");
    let found = store.world.client.send(Method::GET, &url, &[("authorization", &bearer)], "").await;
    assert_eq!(found.header("x-ms-error-code"), "BlobNotFound");
    let headers = [("authorization", "SharedKey oidc:AAAA"), ("x-ms-version", "2021-12-02")];
    let forged = store.world.client.send(Method::GET, &url, &headers, "").await;
    assert_eq!(forged.status, 403, "{}", forged.text());
}

#[tokio::test]
async fn the_key_that_arm_lists_is_the_stores() {
    let store = Store::start(json!({})).await;
    store.container("cluster", "None").await;
    let keys = format!("{}/listKeys", account("oidc"));
    let keys = store.world.call(Method::POST, &keys, STORAGE, Value::Null).await.json();
    let date = httpdate();
    let text = format!(
        "PUT\n\n\n3\n\n\n\n\n\n\n\n\nx-ms-blob-type:BlockBlob\nx-ms-date:{date}\nx-ms-version:2021-12-02\n\
         /oidc/cluster/a"
    );
    let key = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, keys["keys"][0]["value"].as_str().unwrap());
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key.unwrap());
    let tag = aws_lc_rs::hmac::sign(&key, text.as_bytes());
    let signature = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, tag);
    let authorization = format!("SharedKey oidc:{signature}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("x-ms-blob-type", "BlockBlob"),
        ("x-ms-date", date.as_str()),
        ("x-ms-version", "2021-12-02"),
    ];
    let reply = store.world.client.send(Method::PUT, &format!("{BLOBS}/cluster/a"), &headers, "one").await;
    assert_eq!(reply.status, 201, "{}", reply.text());
}

/// Azurite judges by the machine's time.
#[expect(clippy::disallowed_methods, reason = "Azurite has the machine's clock")]
fn httpdate() -> String {
    jiff::Timestamp::try_from(std::time::SystemTime::now()).unwrap().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[tokio::test]
async fn a_website_is_for_everybody_on_a_closed_account() {
    let store = Store::start(json!({"allowBlobPublicAccess": false, "allowSharedKeyAccess": false})).await;
    assert_eq!(store.fetch(&format!("{WEBSITE}/a")).await.header("x-ms-error-code"), "WebsiteDisabled");
    let service = format!("{}/blobServices/default", account("oidc"));
    let on = json!({"properties": {"staticWebsite": {"enabled": true, "indexDocument": "index.html"}}});
    assert_eq!(store.world.put(&service, STORAGE, on).await.code(), "200");
    store.let_owner_write().await;
    for (path, body) in [("$web/openid/v1/jwks", "keys"), ("$web/index.html", "index")] {
        assert_eq!(store.upload(path, body).await.status, 201);
    }
    assert_eq!(store.fetch(&format!("{WEBSITE}/openid/v1/jwks")).await.text(), "keys");
    assert_eq!(store.fetch(&format!("{WEBSITE}/")).await.text(), "index");
    let missing = store.fetch(&format!("{WEBSITE}/other")).await;
    assert_eq!((missing.status.as_u16(), missing.header("x-ms-error-code")), (404, "WebContentNotFound"));
    // The blob endpoint of the same account is as closed as it was.
    let blob = store.fetch(&format!("{BLOBS}/$web/index.html")).await;
    assert_eq!(blob.header("x-ms-error-code"), "PublicAccessNotPermitted");
    let posted = store.world.client.send(Method::POST, &format!("{WEBSITE}/a"), &[], "").await;
    assert_eq!(posted.status, 405);
}

#[tokio::test]
async fn a_website_is_switched_on_by_the_service_too() {
    let store = Store::start(json!({})).await;
    let body = "<?xml version=\"1.0\" encoding=\"utf-8\"?><StorageServiceProperties><StaticWebsite><Enabled>true</Enabled>\
                <IndexDocument>index.html</IndexDocument></StaticWebsite></StorageServiceProperties>";
    let bearer = format!("Bearer {}", store.token);
    let headers = [("authorization", bearer.as_str()), ("x-ms-version", "2021-12-02")];
    let url = format!("{BLOBS}/?restype=service&comp=properties");
    let reply = store.world.client.send(Method::PUT, &url, &headers, body).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    store.let_owner_write().await;
    assert_eq!(store.upload("$web/index.html", "index").await.status, 201);
    assert_eq!(store.fetch(&format!("{WEBSITE}/")).await.text(), "index");
}

#[tokio::test]
async fn a_container_that_a_client_makes_is_in_arm() {
    let store = Store::start(json!({})).await;
    store.let_owner_write().await;
    let reply = store.ask(Method::PUT, "made?restype=container").await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let path = format!("{}/blobServices/default/containers/made", account("oidc"));
    assert_eq!(store.world.get(&path, STORAGE).await.code(), "200");
    assert_eq!(store.ask(Method::DELETE, "made?restype=container").await.status, 202);
    assert_eq!(store.world.get(&path, STORAGE).await.code(), "404 ContainerNotFound");
}
