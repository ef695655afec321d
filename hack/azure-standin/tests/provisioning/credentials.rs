//! Federated credentials of identities.

use std::time::Duration;

use azure_standin::arm::{Behaviour, Habits};
use serde_json::{Value, json};

use crate::world::{IDENTITIES, World, credential, identity};

const ISSUER: &str = "https://oidcaccount.blob.core.windows.net/cluster";

fn body(subject: &str) -> Value {
    json!({"properties": {"issuer": ISSUER, "subject": subject, "audiences": ["openshift"]}})
}

async fn world() -> World {
    let world = World::with_group().await;
    world.identity("operator").await;
    world.behave(Behaviour {
        habits: Habits { federated_write_milliseconds: 0, ..Habits::default() },
        ..Behaviour::default()
    });
    world
}

#[tokio::test]
async fn a_credential_is_made_and_made_again() {
    let world = world().await;
    let path = credential("operator", "registry");
    let made = world.put(&path, IDENTITIES, body("system:serviceaccount:ns:registry")).await;
    assert_eq!(made.code(), "201");
    let expected = json!({
        "id": path.replace("resourceGroups", "resourcegroups"),
        "name": "registry",
        "type": "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials",
        "properties": body("system:serviceaccount:ns:registry")["properties"],
    });
    assert_eq!(made.json(), expected);
    let again = world.put(&path, IDENTITIES, body("system:serviceaccount:ns:registry")).await;
    assert_eq!((again.code().as_str(), again.json()), ("200", expected.clone()));
    assert_eq!(world.get(&path, IDENTITIES).await.json(), expected);
    let all = world.get(&format!("{}/federatedIdentityCredentials", identity("operator")), IDENTITIES).await;
    assert_eq!(all.json()["value"], json!([expected]));
}

#[tokio::test]
async fn a_credential_is_changed_and_deleted() {
    let world = world().await;
    let path = credential("operator", "registry");
    assert_eq!(world.get(&path, IDENTITIES).await.code(), "404 NotFound");
    world.put(&path, IDENTITIES, body("a")).await;
    assert_eq!(world.put(&path, IDENTITIES, body("b")).await.code(), "200");
    assert_eq!(world.get(&path, IDENTITIES).await.json()["properties"]["subject"], "b");
    assert_eq!(world.delete(&path, IDENTITIES).await.code(), "200");
    assert_eq!(world.delete(&path, IDENTITIES).await.code(), "204");
}

#[tokio::test]
async fn a_credential_needs_its_identity() {
    let world = world().await;
    let reply = world.put(&credential("other", "registry"), IDENTITIES, body("a")).await;
    assert_eq!(reply.code(), "404 ParentResourceNotFound");
    let expected = format!(
        "Failed to perform 'write' on resource(s) of type 'userAssignedIdentities/federatedIdentityCredentials', \
         because the parent resource '{}' could not be found.",
        identity("other")
    );
    assert_eq!(reply.message(), expected);
    let read = world.get(&credential("other", "registry"), IDENTITIES).await;
    assert_eq!(read.code(), "404 ParentResourceNotFound");
}

#[tokio::test]
async fn a_credential_has_issuer_subject_and_audience() {
    let world = world().await;
    let path = credential("operator", "registry");
    for missing in ["issuer", "subject", "audiences"] {
        let mut body = body("a");
        body["properties"].as_object_mut().unwrap().remove(missing);
        let reply = world.put(&path, IDENTITIES, body).await;
        assert_eq!(reply.code(), "400 BadRequest", "{missing}");
        let expected = "The request format was unexpected. Federated Identity Credential must specify 'issuer', \
                        'subject' and 'audience'.";
        assert_eq!(reply.message(), expected);
    }
    assert_eq!(world.put(&path, IDENTITIES, body("a")).await.code(), "201");
}

#[tokio::test]
async fn a_credential_has_one_audience() {
    let world = world().await;
    let mut body = body("a");
    body["properties"]["audiences"] = json!(["openshift", "api://AzureADTokenExchange"]);
    let reply = world.put(&credential("operator", "registry"), IDENTITIES, body).await;
    assert_eq!(reply.code(), "400 BadRequest");
    assert_eq!(reply.message(), "Federated identity credentials must have exactly one audience.");
}

#[tokio::test]
async fn a_name_has_3_to_120_characters() {
    let world = world().await;
    for name in ["ab", "-abc", "a.bc", &"a".repeat(121)] {
        let reply = world.put(&credential("operator", name), IDENTITIES, body("a")).await;
        assert_eq!(reply.message(), format!("Federated Identity Credential name '{name}' is invalid."));
    }
    assert_eq!(world.put(&credential("operator", &"a".repeat(120)), IDENTITIES, body("a")).await.code(), "201");
}

#[tokio::test]
async fn issuer_and_subject_are_there_once() {
    let world = world().await;
    world.put(&credential("operator", "one"), IDENTITIES, body("a")).await;
    let twin = world.put(&credential("operator", "two"), IDENTITIES, body("a")).await;
    assert_eq!(twin.code(), "409 Conflict");
    assert_eq!(twin.message(), "Issuer and subject combination already exists for this Managed Identity.");
    // Case makes another one of it.
    assert_eq!(world.put(&credential("operator", "two"), IDENTITIES, body("A")).await.code(), "201");
    world.identity("other").await;
    assert_eq!(world.put(&credential("other", "two"), IDENTITIES, body("a")).await.code(), "201");
}

#[tokio::test]
async fn an_identity_has_20_credentials_at_most() {
    let world = world().await;
    for at in 0..20 {
        let reply =
            world.put(&credential("operator", &format!("number-{at}")), IDENTITIES, body(&at.to_string())).await;
        assert_eq!(reply.code(), "201");
    }
    let reply = world.put(&credential("operator", "number-20"), IDENTITIES, body("20")).await;
    assert_eq!(reply.code(), "400 BadRequest");
    assert!(reply.message().ends_with("exceeds the limit of 20."), "{}", reply.message());
    assert_eq!(world.put(&credential("operator", "number-19"), IDENTITIES, body("other")).await.code(), "200");
    world.delete(&credential("operator", "number-0"), IDENTITIES).await;
    assert_eq!(world.put(&credential("operator", "number-20"), IDENTITIES, body("20")).await.code(), "201");
}

#[tokio::test]
async fn two_writes_to_one_identity_are_one_too_many() {
    let world = world().await;
    world.identity("other").await;
    world.behave(Behaviour {
        habits: Habits { federated_write_milliseconds: 300, ..Habits::default() },
        ..Behaviour::default()
    });
    let (one, two) = (credential("operator", "one"), credential("operator", "two"));
    let late = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let elsewhere = credential("other", "two");
        tokio::join!(world.put(&two, IDENTITIES, body("b")), world.put(&elsewhere, IDENTITIES, body("b")))
    };
    let (first, (second, elsewhere)) = tokio::join!(world.put(&one, IDENTITIES, body("a")), late);
    assert_eq!((first.code().as_str(), elsewhere.code().as_str()), ("201", "201"));
    assert_eq!(second.code(), "409 ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity");
    assert!(second.message().starts_with("Too many Federated Identity Credentials are written concurrently for the"));
    assert_eq!(world.put(&two, IDENTITIES, body("b")).await.code(), "201");
}
