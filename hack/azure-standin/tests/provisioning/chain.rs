//! From an issuer's documents to a call of ARM: what a cluster that signs its own tokens needs, end to end.

use std::sync::{Arc, LazyLock};

use azure_standin::signer::Signer;
use http::Method;
use serde_json::{Value, json};

use crate::{
    store::{BLOBS, Store, WEBSITE},
    world::{GROUP, IDENTITIES, ROLES, STORAGE, TENANT, account, assignment, credential, definition},
};

const SUBJECT: &str = "system:serviceaccount:openshift-image-registry:registry";
const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
static CLUSTER: LazyLock<Arc<Signer>> = LazyLock::new(|| Arc::new(Signer::generate().unwrap()));

/// Publishes the documents in a container, and lets an identity in by them: its client id.
async fn federate(store: &Store, issuer: &str, container: &str) -> String {
    store.let_owner_write().await;
    let base = issuer.trim_end_matches('/');
    let discovery = json!({"issuer": issuer, "jwks_uri": format!("{base}/openid/v1/jwks")}).to_string();
    let keys = CLUSTER.key_set().to_string();
    for (path, body) in [(".well-known/openid-configuration", discovery), ("openid/v1/jwks", keys)] {
        assert_eq!(store.upload(&format!("{container}/{path}"), &body).await.status, 201);
    }
    let identity = store.world.identity("operator").await;
    let body = json!({"properties": {"issuer": issuer, "subject": SUBJECT, "audiences": ["openshift"]}});
    assert_eq!(store.world.put(&credential("operator", "registry"), IDENTITIES, body).await.code(), "201");
    let grant = json!({"properties": {
        "principalId": identity["principalId"], "roleDefinitionId": definition(READER),
    }});
    let path = assignment(GROUP, "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa");
    assert_eq!(store.world.put(&path, ROLES, grant).await.code(), "201");
    identity["clientId"].as_str().unwrap().to_owned()
}

fn claims(store: &Store, issuer: &str) -> Value {
    let now = store.world.standin.azure().clock.now().as_second();
    json!({"iss": issuer, "sub": SUBJECT, "aud": ["openshift"], "iat": now, "nbf": now, "exp": now + 3600})
}

/// A token for ARM, or what Entra says.
async fn exchange(store: &Store, client_id: &str, assertion: &str) -> Result<String, String> {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
        ("scope", "https://management.azure.com/.default"),
    ];
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let url = format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let reply = store.world.client.send(Method::POST, &url, &headers, form).await.json();
    let code = || reply["error_description"].as_str().unwrap().split(':').next().unwrap().to_owned();
    reply["access_token"].as_str().map(str::to_owned).ok_or_else(code)
}

async fn reads_its_group(store: &Store, token: &str) -> String {
    store.world.call_as(token, Method::GET, GROUP, "2021-04-01", Value::Null).await.code()
}

#[tokio::test]
async fn a_cluster_is_let_in_by_the_documents_in_a_container() {
    let store = Store::start(json!({"allowBlobPublicAccess": true})).await;
    store.container("cluster", "Container").await;
    let issuer = format!("{BLOBS}/cluster");
    let client_id = federate(&store, &issuer, "cluster").await;
    let token = CLUSTER.sign(&claims(&store, &issuer)).unwrap();
    let granted = exchange(&store, &client_id, &token).await.unwrap();
    assert_eq!(reads_its_group(&store, &granted).await, "200");
    for (claim, value, code) in [
        ("aud", "api://AzureADTokenExchange".to_owned(), "AADSTS700212"),
        ("iss", format!("{issuer}/"), "AADSTS700211"),
        ("iss", issuer.replace("cluster", "Cluster"), "AADSTS7002138"),
        ("sub", SUBJECT.replace("registry:registry", "registry:other"), "AADSTS700213"),
    ] {
        let mut wrong = claims(&store, &issuer);
        wrong[claim] = json!(value);
        let wrong = CLUSTER.sign(&wrong).unwrap();
        assert_eq!(exchange(&store, &client_id, &wrong).await.unwrap_err(), code, "{claim}");
    }
    let stranger = Signer::generate().unwrap().sign(&claims(&store, &issuer)).unwrap();
    assert_eq!(exchange(&store, &client_id, &stranger).await.unwrap_err(), "AADSTS7000272");
    // An identity that is gone signs in no more.
    store.world.delete(&crate::world::identity("operator"), IDENTITIES).await;
    assert_eq!(exchange(&store, &client_id, &token).await.unwrap_err(), "AADSTS700016");
}

#[tokio::test]
async fn documents_that_nobody_may_read_let_nobody_in() {
    let store = Store::start(json!({})).await;
    store.container("cluster", "None").await;
    let issuer = format!("{BLOBS}/cluster");
    let client_id = federate(&store, &issuer, "cluster").await;
    let token = CLUSTER.sign(&claims(&store, &issuer)).unwrap();
    assert_eq!(exchange(&store, &client_id, &token).await.unwrap_err(), "AADSTS50166");
}

#[tokio::test]
async fn a_cluster_is_let_in_by_a_website_of_a_closed_account() {
    let store = Store::start(json!({"allowBlobPublicAccess": false, "allowSharedKeyAccess": false})).await;
    let service = format!("{}/blobServices/default", account("oidc"));
    let on = json!({"properties": {"staticWebsite": {"enabled": true}}});
    assert_eq!(store.world.put(&service, STORAGE, on).await.code(), "200");
    let issuer = format!("{WEBSITE}/");
    let client_id = federate(&store, &issuer, "$web").await;
    let token = CLUSTER.sign(&claims(&store, &issuer)).unwrap();
    let granted = exchange(&store, &client_id, &token).await.unwrap();
    assert_eq!(reads_its_group(&store, &granted).await, "200");
    let without_slash = CLUSTER.sign(&claims(&store, WEBSITE)).unwrap();
    assert_eq!(exchange(&store, &client_id, &without_slash).await.unwrap_err(), "AADSTS700211");
}
