//! A credential of whatever a program has been given, against the stand-in's Entra: what is chosen signs in, and as whom it should.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "these are parts of tests"
)]

mod support;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::Duration,
};

use azure_core::credentials::TokenCredential;
use azure_standin::{
    Settings, Standin,
    authority::{Authority, ClientCertificate, Validity},
    operation::Operation,
    signer::Signer,
};
use hcp_identity::{
    mounted::{Options, Sources, credential},
    provision::{FederatedIdentity, Federation},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use support::credentials::{TENANT, base64};

const SCOPE: &str = "https://management.azure.com/.default";
/// Of the application with a client secret, and of the identity that is mounted.
const APPLICATION: &str = "11111111-2222-4333-8444-000000000001";
const MOUNTED: &str = "11111111-2222-4333-8444-000000000002";
const CLIENT_SECRET: &str = "a-client-secret";

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::generate().unwrap());
static CERTIFICATE: LazyLock<ClientCertificate> = LazyLock::new(|| {
    let now = Timestamp::now().as_second();
    let validity = Validity { not_before: now - 86_400, not_after: now + 90 * 86_400 };
    Authority::new("authority").unwrap().client("identity.test", validity).unwrap()
});
/// What `azure plan` lists for a HostedCluster with all nine identities.
static PLAN: LazyLock<Vec<FederatedIdentity>> = LazyLock::new(|| {
    let case = support::testdata("federation").join("all-nine-identities-of-a-private-hosted-cluster/input.yaml");
    let mut refuse = |finding| panic!("{finding}");
    let mut federation = Federation::new(&mut refuse);
    federation.read(&"input.yaml".into(), support::read(&case).as_bytes()).unwrap();
    federation.finish().0
});

fn issuer() -> String {
    PLAN[0].federated_credentials[0].issuer.to_string()
}

/// An Entra with the identities as they are planned, and whose issuer publishes its key.
async fn entra() -> Standin {
    let standin = Standin::start(Settings::default()).await.unwrap();
    let planned = |identity: &FederatedIdentity| {
        json!({
            "clientId": identity.client_id, "objectId": identity.client_id, "tenant": TENANT,
            "federatedCredentials": identity.federated_credentials,
        })
    };
    let mut principals: Vec<_> = PLAN.iter().map(planned).collect();
    let secret = json!({"value": CLIENT_SECRET, "notAfter": "2100-01-01T00:00:00Z"});
    principals
        .push(json!({"clientId": APPLICATION, "objectId": APPLICATION, "tenant": TENANT, "clientSecrets": [secret]}));
    let certificates = [&CERTIFICATE.certificate_pem];
    principals.push(json!({"clientId": MOUNTED, "objectId": MOUNTED, "tenant": TENANT, "certificates": certificates}));
    let issuer = issuer();
    let keys = format!("{issuer}/openid/v1/jwks");
    let discovery = json!({"issuer": issuer, "jwks_uri": keys});
    let world = json!({
        "tenants": [{"id": TENANT, "domain": "t.onmicrosoft.com", "cloud": "public"}],
        "principals": principals,
        "documents": [
            {"url": format!("{issuer}/.well-known/openid-configuration"), "body": discovery.to_string()},
            {"url": keys, "body": SIGNER.key_set().to_string()},
        ],
    });
    standin.azure().load(serde_json::from_value(world).unwrap());
    standin
}

fn token(subject: &str, audience: &str) -> String {
    let now = Timestamp::now().as_second();
    let claims = json!({"iss": issuer(), "sub": subject, "aud": [audience], "iat": now, "nbf": now, "exp": now + 3600});
    SIGNER.sign(&claims).unwrap()
}

/// A folder of files, as a Secret or a token volume is mounted.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("choice-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        let folder = Self(folder);
        files.iter().for_each(|(name, content)| folder.write(name, content));
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.0.join(name), content).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn environment(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> + use<> {
    let variables: HashMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    move |name| variables.get(name).cloned()
}

fn open(standin: &Standin, sources: &Sources) -> Arc<dyn TokenCredential> {
    let client_options = support::standin::client_options(standin);
    credential(sources, Options { backstop: Duration::from_secs(3600), client_options }).unwrap()
}

/// Who has signed in, one after the other.
fn signed_in(standin: &Standin) -> Vec<String> {
    let entries = standin.azure().journal.entries();
    let tokens = entries.iter().filter(|entry| entry.operation == Operation::EntraToken && entry.status == Some(200));
    tokens.map(|entry| entry.caller.clone().unwrap_or_default()).collect()
}

/// The plan is what Entra wants: each service account of each component signs in as the component's identity, and as nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_planned_credential_signs_in_as_its_identity() {
    let standin = entra().await;
    let folder = Folder::new("plan", &[]);
    let environment = |identity: &FederatedIdentity| {
        environment(&[
            ("AZURE_CLIENT_ID", &identity.client_id),
            ("AZURE_TENANT_ID", TENANT),
            ("AZURE_FEDERATED_TOKEN_FILE", &folder.path("token")),
        ])
    };
    for (number, identity) in PLAN.iter().enumerate() {
        for federated in &identity.federated_credentials {
            folder.write("token", &token(&federated.subject, federated.audiences[0]));
            let sources = Sources::default().with_environment(environment(identity));
            open(&standin, &sources).get_token(&[SCOPE], None).await.unwrap();
            assert_eq!(signed_in(&standin).pop().as_deref(), Some(&*identity.client_id));
            let other = Sources::default().with_environment(environment(&PLAN[(number + 1) % PLAN.len()]));
            let refused = open(&standin, &other).get_token(&[SCOPE], None).await.unwrap_err();
            assert!(format!("{refused:?}").contains("AADSTS700213"), "{refused:?}");
        }
    }
    folder.write("token", &token(&PLAN[0].federated_credentials[0].subject, "api://AzureADTokenExchange"));
    let sources = Sources::default().with_environment(environment(&PLAN[0]));
    let refused = open(&standin, &sources).get_token(&[SCOPE], None).await.unwrap_err();
    assert!(format!("{refused:?}").contains("AADSTS700212"), "{refused:?}");
}

/// A minter may write its first token after the program has started, and goes on writing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_file_is_read_anew_whenever_entra_is_asked() {
    let standin = entra().await;
    let [identity, other] = [&PLAN[0], &PLAN[1]];
    let tokens = Folder::new("tokens", &[]);
    let secret = Folder::new(
        "config",
        &[
            ("azure_client_id", &identity.client_id),
            ("azure_tenant_id", TENANT),
            ("azure_region", "eastus"),
            ("azure_federated_token_file", &tokens.path("token")),
        ],
    );
    let sources = Sources::default().with_secret_folder(&secret.0).unwrap();
    let federated = open(&standin, &sources);
    let scope = |number: usize| format!("https://management.azure.com/{}.default", "/".repeat(number));
    let refused = federated.get_token(&[&scope(0)], None).await.unwrap_err().to_string();
    assert!(refused.contains("cannot read the token file") && refused.contains(&tokens.path("token")), "{refused}");
    tokens.write("token", "\n");
    assert!(federated.get_token(&[&scope(0)], None).await.unwrap_err().to_string().contains("is empty"));

    let sign = |identity: &FederatedIdentity| token(&identity.federated_credentials[0].subject, "openshift") + "\n";
    tokens.write("token", &sign(identity));
    let first = federated.get_token(&[&scope(0)], None).await.unwrap();
    // What is in the file now does not sign in, which is seen as soon as Entra is asked for something else.
    tokens.write("token", &sign(other));
    let kept = federated.get_token(&[&scope(0)], None).await.unwrap();
    assert_eq!(first.token.secret(), kept.token.secret(), "a token is kept");
    let refused = federated.get_token(&[&scope(1)], None).await.unwrap_err();
    assert!(format!("{refused:?}").contains("AADSTS700213"), "{refused:?}");
    tokens.write("token", &sign(identity));
    federated.get_token(&[&scope(1)], None).await.unwrap();
    assert_eq!(signed_in(&standin), [&*identity.client_id; 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_first_signs_in() {
    let standin = entra().await;
    let identity = &PLAN[0];
    let at = |days: i64| (Timestamp::now() + SignedDuration::from_hours(24 * days)).to_string();
    let credential: Value = json!({
        "authentication_endpoint": "https://login.microsoftonline.com/", "client_id": MOUNTED, "tenant_id": TENANT,
        "client_secret": base64(CERTIFICATE.bundle().reveal()),
        "not_before": at(-1), "not_after": at(80), "renew_after": at(40), "cannot_renew_after": at(200),
    });
    let token = token(&identity.federated_credentials[0].subject, "openshift");
    let files = Folder::new("files", &[("credential", &credential.to_string()), ("token", &token)]);
    let secret = Folder::new(
        "application",
        &[("azure_client_id", APPLICATION), ("azure_tenant_id", TENANT), ("azure_client_secret", CLIENT_SECRET)],
    );
    let (path, token_file) = (files.path("credential"), files.path("token"));
    let webhook = [
        ("AZURE_CLIENT_ID", &*identity.client_id),
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_FEDERATED_TOKEN_FILE", &token_file),
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"),
    ];
    let all = [&webhook[..], &[("MANAGED_AZURE_HCP_CREDENTIALS_FILE_PATH", &path)]].concat();
    let with_secret = || Sources::default().with_secret_folder(&secret.0).unwrap();
    for sources in [
        with_secret().with_environment(environment(&all)),
        with_secret().with_environment(environment(&webhook)),
        Sources::default().with_environment(environment(&webhook)),
    ] {
        open(&standin, &sources).get_token(&[SCOPE], None).await.unwrap();
    }
    assert_eq!(signed_in(&standin), [MOUNTED, APPLICATION, &identity.client_id]);
}

#[test]
fn a_config_secret_that_is_not_mounted_is_told() {
    let missing = Sources::default().with_secret_folder(Path::new("/nowhere/config")).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read the config Secret /nowhere/config"), "{missing}");
}
