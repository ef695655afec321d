//! A world by the machine's own clock, which is the one that SDKs have, and files for their credentials.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use azure_standin::{
    Settings, Standin,
    authority::{Authority, ClientCertificate, Validity},
    signer::Signer,
    vault::store::NewVersion,
};
use serde_json::{Value, json};

use crate::clients::Task;

pub const TENANT: &str = "11111111-1111-1111-1111-111111111111";
/// Knows the certificate; may do everything.
pub const APPLICATION: &str = "22222222-2222-2222-2222-222222222222";
/// Knows the authority of the certificate.
pub const OPERATOR: &str = "33333333-3333-3333-3333-333333333333";
/// Knows the cluster, and is an identity of the machine.
pub const WORKLOAD: &str = "44444444-4444-4444-4444-444444444444";
/// Knows the certificate; may only list.
pub const READER: &str = "55555555-5555-5555-5555-555555555555";
/// Knows no certificate.
pub const STRANGER: &str = "66666666-6666-6666-6666-666666666666";
const ISSUER: &str = "https://oidcaccount.blob.core.windows.net/cluster";
const VAULT: &str = "https://kv-test.vault.azure.net";

pub struct World {
    pub standin: Standin,
    pub certificate: PathBuf,
    pub chain: PathBuf,
    pub other_chain: PathBuf,
    pub token: PathBuf,
    pub other_token: PathBuf,
    folder: PathBuf,
}

/// The keys of all worlds: RSA keys take their time.
struct Keys {
    entra: Arc<Signer>,
    cluster: Signer,
    known: (Authority, ClientCertificate),
    other: (Authority, ClientCertificate),
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let issued = |name: &str| {
        let authority = Authority::new(name).unwrap();
        let validity = Validity { not_before: 1_577_836_800, not_after: 4_102_444_800 };
        let certificate = authority.client("operator.test", validity).unwrap();
        (authority, certificate)
    };
    Keys {
        entra: Arc::new(Signer::generate().unwrap()),
        cluster: Signer::generate().unwrap(),
        known: issued("authority"),
        other: issued("other authority"),
    }
});

/// A stand-in without a world.
pub async fn empty(settings: Settings) -> Standin {
    Standin::start(Settings { signer: Some(Arc::clone(&KEYS.entra)), ..settings }).await.unwrap()
}

impl World {
    pub async fn start() -> Self {
        let standin = empty(Settings::default()).await;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("world-{}", standin.about().proxy.port()));
        let Keys { cluster, known: (known, certificate), other: (_, other), .. } = &*KEYS;
        let now = standin.azure().clock.now().as_second();
        let token = |audience: &str| {
            let claims =
                json!({"iss": ISSUER, "sub": "daemon", "aud": [audience], "iat": now, "nbf": now, "exp": now + 600});
            cluster.sign(&claims).unwrap()
        };
        let document = document(known, certificate, cluster).to_string();
        standin.azure().load(serde_json::from_str(&document).unwrap());
        let write = |name: &str, text: &str| write(&folder, name, text);
        let world = Self {
            certificate: write("certificate.pem", certificate.bundle().reveal()),
            chain: write("chain.pem", &format!("{}{}", certificate.bundle().reveal(), known.pem())),
            other_chain: write("other.pem", other.bundle().reveal()),
            token: write("token", &token("openshift")),
            other_token: write("other-token", &token("api://AzureADTokenExchange")),
            standin,
            folder,
        };
        write_ca(&world);
        world
    }

    /// More secrets than fit on a page.
    pub fn fill(&self, secrets: usize) {
        let azure = self.standin.azure();
        let now = azure.clock.now();
        for number in 0..secrets {
            let name = format!("secret-{number}");
            azure.with_world_mut(|world| world.set_secret("kv-test", &name, NewVersion::of("hush"), now));
        }
    }

    pub fn task(&self, credential: &'static str, client: &str) -> Task {
        let client = client.to_owned();
        Task { credential, tenant: TENANT, client, vault: VAULT, secret: "creds", ..Task::default() }
    }

    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let ca = self.folder.join("ca.pem").display().to_string();
        let mut environment = self.standin.proxy_environment().to_vec();
        environment.extend([("SSL_CERT_FILE", ca.clone()), ("REQUESTS_CA_BUNDLE", ca)]);
        environment
    }

    pub fn app_service(&self) -> [(&'static str, String); 2] {
        let about = self.standin.about();
        [("IDENTITY_ENDPOINT", about.identity_endpoint.clone()), ("IDENTITY_HEADER", about.identity_header.clone())]
    }
}

impl Drop for World {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

fn document(authority: &Authority, certificate: &ClientCertificate, cluster: &Signer) -> Value {
    let principal = |client: &str| json!({"clientId": client, "objectId": client, "tenant": TENANT});
    let with = |client: &str, field: &str, value: Value| {
        let mut principal = principal(client);
        principal[field] = value;
        principal
    };
    let pem = &certificate.certificate_pem;
    let trusted = json!([{"subject": "operator.test", "authority": authority.pem()}]);
    let federated = json!([{"issuer": ISSUER, "subject": "daemon", "audiences": ["openshift"]}]);
    let mut workload = with(WORKLOAD, "federatedCredentials", federated);
    workload["onMachine"] = json!(true);
    let keys = format!("{ISSUER}/openid/v1/jwks");
    let discovery = json!({"issuer": ISSUER, "jwks_uri": keys}).to_string();
    let permission = |client: &str, role: &str| json!({"objectId": client, "role": role});
    json!({
        "tenants": [{"id": TENANT}],
        "principals": [
            with(APPLICATION, "certificates", json!([pem])), with(READER, "certificates", json!([pem])),
            with(OPERATOR, "trustedSubjects", trusted), workload, principal(STRANGER),
        ],
        "vaults": [{
            "name": "kv-test", "tenant": TENANT, "secrets": [{"name": "creds", "value": "hush"}],
            "permissions": [
                permission(APPLICATION, "secretsOfficer"), permission(OPERATOR, "secretsUser"),
                permission(WORKLOAD, "secretsUser"), permission(READER, "reader"),
            ],
        }],
        "documents": [
            {"url": format!("{ISSUER}/.well-known/openid-configuration"), "body": discovery},
            {"url": keys, "body": cluster.key_set().to_string()},
        ],
    })
}

fn write_ca(world: &World) {
    write(&world.folder, "ca.pem", &world.standin.about().ca_pem);
}

#[expect(clippy::disallowed_methods, reason = "credentials of SDKs are files")]
fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file
}
