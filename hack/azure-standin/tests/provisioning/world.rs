//! A subscription, somebody who owns it, and somebody who may do nothing yet.

use std::sync::{Arc, LazyLock};

use azure_standin::{
    Settings, Standin,
    arm::{Assigned, Behaviour, Subscription},
    secret::Redacted,
    signer::Signer,
    world::{ClientSecret, Document, Principal, Tenant},
};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::client::{Client, Reply};

pub const TENANT: &str = "11111111-1111-1111-1111-111111111111";
pub const SUBSCRIPTION: &str = "99999999-9999-9999-9999-999999999999";
pub const OWNER: &str = "22222222-2222-2222-2222-222222222222";
pub const STRANGER: &str = "33333333-3333-3333-3333-333333333333";
pub const GROUP: &str = "/subscriptions/99999999-9999-9999-9999-999999999999/resourceGroups/rg";
pub const MANAGER: &str = "https://management.azure.com";
pub const IDENTITIES: &str = "2024-11-30";
pub const STORAGE: &str = "2024-01-01";
pub const ROLES: &str = "2022-04-01";
const RESOURCES: &str = "2021-04-01";

static ENTRA: LazyLock<Arc<Signer>> = LazyLock::new(|| Arc::new(Signer::generate().unwrap()));

pub struct World {
    pub standin: Standin,
    pub client: Client,
    token: String,
}

fn principal(client_id: &str) -> Principal {
    Principal {
        client_id: client_id.to_owned(),
        object_id: object_of(client_id),
        tenant: TENANT.to_owned(),
        client_secrets: vec![ClientSecret { value: Redacted::new("hush"), not_after: Timestamp::MAX }],
        ..Principal::default()
    }
}

/// The object ids of this world are its client ids, with an f in front.
pub fn object_of(client_id: &str) -> String {
    format!("f{}", &client_id[1..])
}

fn document() -> Document {
    let scope = format!("/subscriptions/{SUBSCRIPTION}");
    Document {
        tenants: vec![Tenant { id: TENANT.to_owned(), ..Tenant::default() }],
        principals: vec![principal(OWNER), principal(STRANGER)],
        subscriptions: vec![Subscription { id: SUBSCRIPTION.to_owned(), tenant: TENANT.to_owned() }],
        role_assignments: vec![Assigned { principal_id: object_of(OWNER), role: "Owner".to_owned(), scope }],
        ..Document::default()
    }
}

impl World {
    pub async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> Self {
        let standin = Standin::start(Settings { signer: Some(Arc::clone(&ENTRA)), ..settings }).await.unwrap();
        standin.azure().load(document());
        let client = Client::of(&standin);
        let token = sign_in(&client, OWNER, "https://management.azure.com/.default").await;
        Self { standin, client, token }
    }

    /// With a resource group.
    pub async fn with_group() -> Self {
        let world = Self::start().await;
        assert_eq!(world.put(GROUP, RESOURCES, json!({"location": "eastus"})).await.code(), "201");
        world
    }

    pub fn behave(&self, behaviour: Behaviour) {
        self.standin.azure().with_world_mut(|world| world.arm.behave(behaviour));
    }

    pub async fn token_of(&self, client_id: &str, scope: &str) -> String {
        sign_in(&self.client, client_id, scope).await
    }

    pub async fn call(&self, method: Method, path: &str, version: &str, body: Value) -> Reply {
        self.call_as(&self.token, method, path, version, body).await
    }

    pub async fn call_as(&self, token: &str, method: Method, path: &str, version: &str, body: Value) -> Reply {
        let separator = if path.contains('?') { '&' } else { '?' };
        let url = format!("{MANAGER}{path}{separator}api-version={version}");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("authorization", format!("Bearer {token}")), ("content-type", "application/json".to_owned())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.client.send(method, &url, &headers, body).await
    }

    pub async fn get(&self, path: &str, version: &str) -> Reply {
        self.call(Method::GET, path, version, Value::Null).await
    }

    pub async fn put(&self, path: &str, version: &str, body: Value) -> Reply {
        self.call(Method::PUT, path, version, body).await
    }

    pub async fn delete(&self, path: &str, version: &str) -> Reply {
        self.call(Method::DELETE, path, version, Value::Null).await
    }

    pub async fn put_group(&self, body: Value) -> Reply {
        self.put(GROUP, RESOURCES, body).await
    }

    pub async fn get_group(&self) -> Reply {
        self.get(GROUP, RESOURCES).await
    }

    pub async fn delete_group(&self) -> Reply {
        self.delete(GROUP, RESOURCES).await
    }

    /// An identity of this name: its properties.
    pub async fn identity(&self, name: &str) -> Value {
        let reply = self.put(&identity(name), IDENTITIES, json!({"location": "eastus"})).await;
        assert_eq!(reply.code(), "201", "{}", reply.text());
        reply.json()["properties"].clone()
    }
}

async fn sign_in(client: &Client, client_id: &str, scope: &str) -> String {
    let fields =
        [("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", "hush"), ("scope", scope)];
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let url = format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token");
    let reply = client.send(Method::POST, &url, &[("content-type", "application/x-www-form-urlencoded")], form).await;
    reply.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", reply.text())).to_owned()
}

pub fn identity(name: &str) -> String {
    format!("{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}")
}

pub fn credential(identity_name: &str, name: &str) -> String {
    format!("{}/federatedIdentityCredentials/{name}", identity(identity_name))
}

pub fn account(name: &str) -> String {
    format!("{GROUP}/providers/Microsoft.Storage/storageAccounts/{name}")
}

pub fn assignment(scope: &str, name: &str) -> String {
    format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}")
}

pub fn definition(name: &str) -> String {
    format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{name}")
}
