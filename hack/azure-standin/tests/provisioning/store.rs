//! An account with blobs in Azurite, and requests to them.

use std::path::Path;

use azure_standin::{
    Settings,
    arm::{Behaviour, Habits},
    azurite::Azurite,
};
use http::Method;
use serde_json::{Value, json};

use crate::{
    client::Reply,
    world::{GROUP, OWNER, ROLES, STORAGE, World, account, assignment, definition, object_of},
};

pub const BLOBS: &str = "https://oidc.blob.core.windows.net";
pub const WEBSITE: &str = "https://oidc.z13.web.core.windows.net";
const VERSION: (&str, &str) = ("x-ms-version", "2021-12-02");
/// Storage Blob Data Contributor.
const CONTRIBUTOR: &str = "ba92f5b4-2d11-453d-a403-e96b0029c9fe";

pub struct Store {
    pub world: World,
    pub token: String,
    _azurite: Azurite,
}

impl Store {
    /// With an account that has these properties. Its owner may not write blobs: that is another role.
    pub async fn start(properties: Value) -> Self {
        let azurite = Azurite::start(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("azurite"), &["oidc"]).unwrap();
        let world = World::with(Settings { blob_store: Some(azurite.store()), ..Settings::default() }).await;
        world.behave(Behaviour { habits: Habits { polls: 0, ..Habits::default() }, ..Behaviour::default() });
        world.put_group(json!({"location": "eastus"})).await;
        let body = json!({
            "location": "eastus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": properties,
        });
        assert_eq!(world.put(&account("oidc"), STORAGE, body).await.code(), "200");
        let token = world.token_of(OWNER, "https://storage.azure.com/.default").await;
        Self { world, token, _azurite: azurite }
    }

    pub async fn container(&self, name: &str, access: &str) {
        let path = format!("{}/blobServices/default/containers/{name}", account("oidc"));
        let reply = self.world.put(&path, STORAGE, json!({"properties": {"publicAccess": access}})).await;
        assert_eq!(reply.code(), "201", "{}", reply.text());
    }

    pub async fn let_owner_write(&self) {
        let grant = json!({"properties": {
            "principalId": object_of(OWNER), "roleDefinitionId": definition(CONTRIBUTOR),
        }});
        let path = assignment(GROUP, "cccccccc-cccc-cccc-cccc-cccccccccccc");
        assert_eq!(self.world.put(&path, ROLES, grant).await.code(), "201");
    }

    pub async fn upload(&self, path: &str, body: &str) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str()), VERSION, ("x-ms-blob-type", "BlockBlob")];
        self.world.client.send(Method::PUT, &format!("{BLOBS}/{path}"), &headers, body.to_owned()).await
    }

    /// By the token of the owner.
    pub async fn ask(&self, method: Method, path: &str) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str()), VERSION];
        self.world.client.send(method, &format!("{BLOBS}/{path}"), &headers, "").await
    }

    /// As anybody.
    pub async fn fetch(&self, url: &str) -> Reply {
        self.world.client.send(Method::GET, url, &[], "").await
    }
}
