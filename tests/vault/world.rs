//! An Azure with one vault, an identity that reads it, and a credential that works. A test is the line that breaks it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, LazyLock},
    time::Duration,
};

use azure_standin::{
    Settings, Standin,
    authority::{Authority, ClientCertificate, Validity},
    operation::Operation,
    signer::Signer,
    vault::store::NewVersion,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hcp_identity::{
    credential::ObjectEncoding,
    vault::{Access, Level, Orders, keep_known},
    verification::{Known, Standing, Wanted, WantedSecret},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

pub const TENANT: &str = "11111111-1111-1111-1111-111111111111";
pub const OTHER_TENANT: &str = "99999999-9999-9999-9999-999999999999";
/// The daemon.
pub const READER: &str = "44444444-4444-4444-4444-444444444444";
/// Whose credential it is; knows its certificate.
pub const IDENTITY: &str = "22222222-2222-2222-2222-222222222222";
/// Knows the cluster.
pub const WORKLOAD: &str = "55555555-5555-5555-5555-555555555555";
/// Knows no certificate.
pub const STRANGER: &str = "66666666-6666-6666-6666-666666666666";
pub const VAULT: &str = "kv-test";
const ISSUER: &str = "https://oidcaccount.blob.core.windows.net/cluster";

/// RSA keys take their time.
struct Keys {
    /// Signs for the cluster as well.
    entra: Arc<Signer>,
    good: ClientCertificate,
    ended: ClientCertificate,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let authority = Authority::new("authority").unwrap();
    let until =
        |not_after| authority.client("identity.test", Validity { not_before: 1_577_836_800, not_after }).unwrap();
    Keys { entra: Arc::new(Signer::generate().unwrap()), good: until(4_102_444_800), ended: until(1_609_459_200) }
});

pub struct World {
    pub standin: Standin,
}

impl World {
    pub async fn start() -> Self {
        let standin =
            Standin::start(Settings { signer: Some(Arc::clone(&KEYS.entra)), ..Settings::default() }).await.unwrap();
        let world = Self { standin };
        world.reload("secretsUser", TENANT);
        world
    }

    /// An empty vault of a tenant, in which the reader has this role.
    pub fn reload(&self, role: &str, tenant: &str) {
        let certificates = json!([KEYS.good.certificate_pem, KEYS.ended.certificate_pem]);
        let federated = json!([{"issuer": ISSUER, "subject": "daemon", "audiences": ["api://AzureADTokenExchange"]}]);
        let keys = format!("{ISSUER}/openid/v1/jwks");
        let discovery = json!({"issuer": ISSUER, "jwks_uri": keys}).to_string();
        let permission = |client: &str| json!({"objectId": client, "role": role});
        let document = json!({
            "tenants": [{"id": TENANT}, {"id": OTHER_TENANT}],
            "principals": [
                {"clientId": READER, "objectId": READER, "tenant": TENANT, "onMachine": true},
                {"clientId": IDENTITY, "objectId": IDENTITY, "tenant": TENANT, "certificates": certificates},
                {"clientId": WORKLOAD, "objectId": WORKLOAD, "tenant": TENANT, "federatedCredentials": federated},
                {"clientId": STRANGER, "objectId": STRANGER, "tenant": TENANT},
            ],
            "vaults": [{"name": VAULT, "tenant": tenant, "permissions": [permission(READER), permission(WORKLOAD)]}],
            "documents": [
                {"url": format!("{ISSUER}/.well-known/openid-configuration"), "body": discovery},
                {"url": keys, "body": KEYS.entra.key_set().to_string()},
            ],
        });
        self.standin.azure().load(serde_json::from_value(document).unwrap());
    }

    pub fn store(&self, secret: &str, value: impl Into<String>) {
        self.store_version(secret, NewVersion::of(value));
    }

    pub fn store_version(&self, secret: &str, version: NewVersion) {
        let azure = self.standin.azure();
        let now = azure.clock.now();
        assert!(azure.with_world_mut(|world| world.set_secret(VAULT, secret, version, now)));
    }

    /// As somebody with the command line of Azure does.
    pub fn delete(&self, secret: &str) {
        let gone = self.standin.azure().with_world_mut(|world| {
            world.vaults.get_mut(VAULT).and_then(|vault| vault.secrets.remove(secret)).is_some()
        });
        assert!(gone);
    }

    pub fn answered(&self, operation: Operation, status: u16) -> usize {
        let entries = self.standin.azure().journal.entries();
        entries.iter().filter(|entry| entry.operation == operation && entry.status == Some(status)).count()
    }

    /// The way that the keepers of this world go.
    pub fn access(&self) -> Access {
        let about = self.standin.about();
        Access {
            proxy: Some(format!("http://{}", about.proxy)),
            authorities: Some(about.ca_pem.clone()),
            ..Access::default()
        }
    }

    /// Keeps what is known of these.
    pub fn keep(&self, wanted: BTreeSet<Wanted>, orders: Orders) -> Keeping {
        let (wanted, wants) = watch::channel(Arc::new(wanted));
        let (orders, ordered) = watch::channel(orders);
        let (known, news) = watch::channel(Arc::new(Known::default()));
        let access = self.access();
        let task = tokio::spawn(async move {
            keep_known(access, clock, wants, ordered, &known).await.unwrap();
        });
        Keeping { wanted, orders, news, task }
    }

    /// The built binary on a machine that has the reader's identity.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(&[], arguments).await
    }

    /// The built binary in a pod of a service account.
    pub async fn run_in_pod_of(&self, subject: &str, arguments: &[&str]) -> Output {
        let now = clock().as_second();
        let audience = "api://AzureADTokenExchange";
        let claims =
            json!({"iss": ISSUER, "sub": subject, "aud": [audience], "iat": now, "nbf": now, "exp": now + 600});
        let token = write(&self.folder(), "token", &KEYS.entra.sign(&claims).unwrap());
        let token = token.to_str().unwrap();
        let variables =
            [("AZURE_CLIENT_ID", WORKLOAD), ("AZURE_TENANT_ID", TENANT), ("AZURE_FEDERATED_TOKEN_FILE", token)];
        self.run_with(&variables, arguments).await
    }

    fn folder(&self) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("vault-{}", self.standin.about().proxy.port()))
    }

    async fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        let folder = self.folder();
        let ca = write(&folder, "ca.pem", &self.standin.about().ca_pem);
        let mut command = Command::new(env!("CARGO_BIN_EXE_hcp-identity"));
        command.env_clear().args(["check", "vault"]).args(arguments).env("SSL_CERT_FILE", ca);
        command.envs(self.standin.proxy_environment()).envs(variables.iter().copied());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        output
    }
}

#[expect(clippy::disallowed_methods, reason = "the program reads files")]
fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file
}

#[expect(clippy::disallowed_methods, reason = "tokens and TLS go by the machine's clock, and so does this")]
pub fn clock() -> Timestamp {
    Timestamp::now()
}

/// A running keeper of what is known.
pub struct Keeping {
    pub wanted: watch::Sender<Arc<BTreeSet<Wanted>>>,
    pub orders: watch::Sender<Orders>,
    pub news: watch::Receiver<Arc<Known>>,
    task: JoinHandle<()>,
}

const PATIENCE: Duration = Duration::from_secs(60);

impl Keeping {
    pub async fn until(&mut self, fits: impl FnMut(&Arc<Known>) -> bool) -> Arc<Known> {
        let found = timeout(PATIENCE, self.news.wait_for(fits)).await.map(|known| Arc::clone(&known.unwrap()));
        found.unwrap_or_else(|_| panic!("this is all that is known: {:#?}", self.news.borrow()))
    }

    /// Once something is known of one that is wanted.
    pub async fn standing(&mut self, wanted: &Wanted) -> Standing {
        let known = self.until(|known| known.credentials.contains_key(wanted)).await;
        known.credentials[wanted].standing.clone()
    }

    pub async fn failure(&mut self, wanted: &Wanted) -> String {
        match self.standing(wanted).await {
            Standing::Failed { message } => message,
            other => panic!("{other:?}"),
        }
    }

    pub async fn trouble(&mut self) -> String {
        let known = self.until(|known| !known.vaults.is_empty()).await;
        assert_eq!(known.vaults.len(), 1, "one trouble a vault");
        known.vaults[VAULT].message.clone()
    }

    /// It ends when nobody can want anything any more.
    pub async fn end(self) {
        drop(self.wanted);
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

pub fn orders(level: Level) -> Orders {
    Orders { level, interval: Duration::from_secs(3600), strict_client_id: false, rechecks: 0 }
}

pub fn wanted(secret: &str) -> Wanted {
    Wanted::from(wanted_secret(secret))
}

pub fn wanted_secret(secret: &str) -> WantedSecret {
    WantedSecret {
        vault: VAULT.into(),
        secret: secret.into(),
        encoding: ObjectEncoding::Utf8,
        cloud: "AzurePublicCloud".into(),
        tenant_id: Some(TENANT.into()),
        client_id: Some(IDENTITY.into()),
    }
}

pub fn of(wanted: &Wanted) -> BTreeSet<Wanted> {
    BTreeSet::from([wanted.clone()])
}

fn credential(certificate: &ClientCertificate) -> Map<String, Value> {
    let date = |days: i64| (clock() + SignedDuration::from_hours(24 * days)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let credential = json!({
        "client_id": IDENTITY,
        "tenant_id": TENANT,
        "authentication_endpoint": "https://login.microsoftonline.com/",
        "client_secret": BASE64_STANDARD.encode(certificate.bundle().reveal()),
        "not_before": date(-1),
        "not_after": date(90),
        "renew_after": date(46),
        "cannot_renew_after": date(180),
    });
    credential.as_object().unwrap().clone()
}

pub fn good() -> Map<String, Value> {
    credential(&KEYS.good)
}

pub fn ended() -> Map<String, Value> {
    credential(&KEYS.ended)
}

pub fn text(credential: &Map<String, Value>) -> String {
    serde_json::to_string(credential).unwrap()
}

/// What must not come out anywhere.
pub fn key_lines() -> Vec<String> {
    let key = KEYS.good.key_pem.reveal();
    key.lines().filter(|line| line.len() == 64).map(str::to_owned).collect()
}
