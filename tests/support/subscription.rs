//! A subscription of the stand-in, somebody who owns it, and the built binary as they run it.
#![allow(clippy::unwrap_used, reason = "these are parts of tests")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, LazyLock},
};

use azure_standin::{Settings, Standin, azurite::Azurite, journal::Entry, signer::Signer, world::Document};
use serde_json::{Value, json};

use super::standin::http;

pub const TENANT: &str = "11111111-1111-1111-1111-111111111111";
pub const SUBSCRIPTION: &str = "99999999-9999-9999-9999-999999999999";
pub const OWNER: &str = "22222222-2222-2222-2222-222222222222";
/// May do nothing.
pub const STRANGER: &str = "33333333-3333-3333-3333-333333333333";

/// RSA keys take their time.
static ENTRA: LazyLock<Arc<Signer>> = LazyLock::new(|| Arc::new(Signer::generate().unwrap()));

pub struct Subscription {
    pub standin: Standin,
    pub folder: PathBuf,
    _azurite: Option<Azurite>,
}

/// The CredentialsRequest of the image registry.
pub const REQUEST: &str = "\
apiVersion: cloudcredential.openshift.io/v1
kind: CredentialsRequest
metadata: {name: openshift-image-registry-azure, namespace: openshift-cloud-credential-operator}
spec:
  secretRef: {name: installer-cloud-credentials, namespace: openshift-image-registry}
  providerSpec:
    apiVersion: cloudcredential.openshift.io/v1
    kind: AzureProviderSpec
    permissions: [Microsoft.Resources/subscriptions/resourceGroups/read]
    roleBindings: [{role: Contributor}]
  serviceAccountNames: [registry, cluster-image-registry-operator]
";

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Subscription {
    /// Whose owner may write blobs, too. Accounts of these names can have some.
    pub async fn start(test: &str, accounts: &[&str]) -> Self {
        Self::start_in("public", test, accounts).await
    }

    /// In one of the stand-in's clouds.
    #[expect(clippy::disallowed_methods, reason = "the program reads and writes files")]
    pub async fn start_in(cloud: &str, test: &str, accounts: &[&str]) -> Self {
        let npm = Path::new(env!("CARGO_TARGET_TMPDIR")).join("azurite");
        let azurite = (!accounts.is_empty()).then(|| Azurite::start(&npm, accounts).unwrap());
        let blob_store = azurite.as_ref().map(Azurite::store);
        let settings = Settings { signer: Some(Arc::clone(&ENTRA)), blob_store, ..Settings::default() };
        let standin = Standin::start(settings).await.unwrap();
        standin.azure().load(document(cloud));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("subscription").join(test);
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ca.pem"), &standin.about().ca_pem).unwrap();
        Self { standin, folder, _azurite: azurite }
    }

    /// The built binary, as the owner runs it in the folder of the test.
    pub fn command(&self) -> Command {
        self.program(env!("CARGO_BIN_EXE_hcp-identity"))
    }

    /// Any program, as the owner runs it there.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.env_clear().current_dir(&self.folder).env("SSL_CERT_FILE", self.folder.join("ca.pem"));
        command.envs(self.standin.proxy_environment());
        let caller =
            [("AZURE_CLIENT_ID", OWNER), ("AZURE_TENANT_ID", TENANT), ("AZURE_CLIENT_SECRET", "a-secret-of-the-owner")];
        command.envs(caller);
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command();
        command.args(arguments);
        run(command).await
    }

    pub fn http(&self) -> reqwest::Client {
        http(&self.standin)
    }

    /// Makes something in ARM as the owner, below the subscription: what is there then.
    pub async fn put(&self, path: &str, version: &str, body: &Value) -> Value {
        self.call(reqwest::Method::PUT, path, version, body.to_string()).await
    }

    /// What is there.
    pub async fn get(&self, path: &str, version: &str) -> Value {
        self.call(reqwest::Method::GET, path, version, String::new()).await
    }

    /// Everything that the subscription has.
    pub async fn resources(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for (path, version) in [
            ("/resourcegroups", "2021-04-01"),
            ("/resources", "2021-04-01"),
            ("/providers/Microsoft.Authorization/roleAssignments", "2022-04-01"),
            ("/providers/Microsoft.Authorization/roleDefinitions", "2022-04-01"),
        ] {
            all.push(self.get(path, version).await["value"].clone());
        }
        all
    }

    /// The owner's, for something of Azure.
    pub async fn token(&self, scope: &str) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", OWNER),
            ("client_secret", "a-secret-of-the-owner"),
            ("scope", scope),
        ];
        let url = format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token");
        let token = json_of(self.http().post(url).form(&form)).await;
        token["access_token"].as_str().expect("a token").to_owned()
    }

    async fn call(&self, method: reqwest::Method, path: &str, version: &str, body: String) -> Value {
        let token = self.token("https://management.azure.com/.default").await;
        let url = format!("https://management.azure.com/subscriptions/{SUBSCRIPTION}{path}?api-version={version}");
        let request = self.http().request(method, url).bearer_auth(token).header("content-type", "application/json");
        json_of(request.body(body)).await
    }

    /// All that ARM and blobs have been asked to change.
    pub fn changes(&self) -> Vec<Entry> {
        let entries = self.standin.azure().journal.entries();
        entries.into_iter().filter(|entry| entry.method != "GET" && !entry.host.starts_with("login.")).collect()
    }

    #[expect(clippy::disallowed_methods, reason = "the program writes files")]
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Everything below a folder.
    pub fn files(&self, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        files(&self.folder.join(name))
    }
}

async fn json_of(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the program writes files")]
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = fs::read(&path).unwrap();
            found.insert(path, content);
        }
    }
    found
}

pub async fn run(mut command: Command) -> Ran {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

fn document(cloud: &str) -> Document {
    let principal = |client: &str| {
        json!({
            "clientId": client, "objectId": object_of(client), "tenant": TENANT,
            "clientSecrets": [{"value": "a-secret-of-the-owner", "notAfter": "2100-01-01T00:00:00Z"}],
        })
    };
    let scope = format!("/subscriptions/{SUBSCRIPTION}");
    let role = |role: &str| json!({"principalId": object_of(OWNER), "role": role, "scope": scope});
    let document = json!({
        "tenants": [{"id": TENANT, "cloud": cloud}],
        "principals": [principal(OWNER), principal(STRANGER)],
        "subscriptions": [{"id": SUBSCRIPTION, "tenant": TENANT}],
        "roleAssignments": [role("Owner"), role("Storage Blob Data Contributor")],
    });
    serde_json::from_value(document).unwrap()
}

/// The object ids of this world are its client ids, with an f in front.
pub fn object_of(client_id: &str) -> String {
    format!("f{}", &client_id[1..])
}
