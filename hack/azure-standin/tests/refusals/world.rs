//! One world in which everything is as it should be. A test is the line that breaks it.

use std::sync::{Arc, LazyLock};

use azure_standin::{
    authority::{Authority, ClientCertificate, Validity},
    azure::{Azure, Outcome, Rules},
    certificate::Certificate,
    exchange::{Answer, Call},
    signer::Signer,
    vault::{
        Authorization, Permission, Role,
        store::{NewVersion, VaultDocument},
    },
    world::{Document, FederatedCredential, Principal, PublicDocument, RegisteredCertificate, Tenant, TrustedSubject},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderName, Method, header};
use jiff::Timestamp;
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};

pub const TENANT: &str = "11111111-1111-1111-1111-111111111111";
pub const DOMAIN: &str = "example.onmicrosoft.com";
/// Signs in with a certificate, by its thumbprint.
pub const APPLICATION: &str = "22222222-2222-2222-2222-222222222222";
/// Signs in with a certificate, by subject and issuer, as the identities of hosted control planes do.
pub const OPERATOR: &str = "33333333-3333-3333-3333-333333333333";
/// Signs in with the tokens of a cluster; the machine has it too.
pub const WORKLOAD: &str = "44444444-4444-4444-4444-444444444444";
pub const SUBJECT: &str = "operator.example.identity.test";
pub const ISSUER: &str = "https://oidcaccount.blob.core.windows.net/cluster";
pub const SERVICE_ACCOUNT: &str = "system:serviceaccount:hcp:daemon";
pub const VAULT: &str = "https://kv-test.vault.azure.net";
pub const VAULT_SCOPE: &str = "https://vault.azure.net/.default";
/// 2026-06-01T12:00:00Z, at which the clock of this world stands.
pub const NOW: i64 = 1_780_315_200;
const DAY: i64 = 86_400;

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("identity authority").unwrap());
pub static OTHER_AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("other authority").unwrap());
/// Makes one key for all tests: RSA keys take their time.
pub static CERTIFICATE: LazyLock<ClientCertificate> = LazyLock::new(|| client_certificate(&AUTHORITY, SUBJECT, 90));
pub static OTHER_CERTIFICATE: LazyLock<ClientCertificate> =
    LazyLock::new(|| client_certificate(&OTHER_AUTHORITY, SUBJECT, 90));
pub static EXPIRED: LazyLock<ClientCertificate> = LazyLock::new(|| client_certificate(&AUTHORITY, SUBJECT, -1));
pub static MISNAMED: LazyLock<ClientCertificate> =
    LazyLock::new(|| client_certificate(&AUTHORITY, "other.identity.test", 90));
pub static CLUSTER: LazyLock<Arc<Signer>> = LazyLock::new(|| Arc::new(Signer::generate().unwrap()));
static ENTRA: LazyLock<Arc<Signer>> = LazyLock::new(|| Arc::new(Signer::generate().unwrap()));

fn client_certificate(authority: &Authority, subject: &str, days: i64) -> ClientCertificate {
    let validity = Validity { not_before: NOW - 10 * DAY, not_after: NOW + days * DAY };
    authority.client(subject, validity).unwrap()
}

pub fn signer(certificate: &ClientCertificate) -> Arc<Signer> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(certificate.key_pem.reveal().as_bytes()).unwrap();
    Arc::new(Signer::from_pkcs8(key.secret_pkcs8_der()).unwrap())
}

pub fn azure() -> Azure {
    azure_with(Rules::default())
}

pub fn azure_with(rules: Rules) -> Azure {
    of_signer(rules, &ENTRA)
}

/// Another Azure, whose tokens are not good in this one.
pub fn other_azure() -> Azure {
    of_signer(Rules::default(), &CLUSTER)
}

fn of_signer(rules: Rules, signer: &Arc<Signer>) -> Azure {
    let azure = Azure::new(rules, Vec::new(), Arc::clone(signer));
    azure.clock.stop_at(Timestamp::from_second(NOW).unwrap());
    azure.load(document());
    azure
}

pub fn registered(pem: &str) -> RegisteredCertificate {
    RegisteredCertificate(Certificate::from_pem(pem).unwrap())
}

fn principal(client_id: &str) -> Principal {
    Principal {
        client_id: client_id.to_owned(),
        object_id: object_of(client_id),
        tenant: TENANT.to_owned(),
        name: "test".to_owned(),
        ..Principal::default()
    }
}

/// The object ids of this world are its client ids, with an f in front.
pub fn object_of(client_id: &str) -> String {
    format!("f{}", &client_id[1..])
}

pub fn document() -> Document {
    let application =
        Principal { certificates: vec![registered(&CERTIFICATE.certificate_pem)], ..principal(APPLICATION) };
    let trusted = TrustedSubject { subject: SUBJECT.to_owned(), authority: registered(AUTHORITY.pem()) };
    let operator = Principal { trusted_subjects: vec![trusted], ..principal(OPERATOR) };
    let workload = Principal {
        federated_credentials: vec![FederatedCredential {
            name: "cluster".to_owned(),
            issuer: ISSUER.to_owned(),
            subject: SERVICE_ACCOUNT.to_owned(),
            audiences: vec!["openshift".to_owned()],
        }],
        resource_id: Some("/subscriptions/s/resourcegroups/r/providers/Microsoft.ManagedIdentity/id".to_owned()),
        on_machine: true,
        ..principal(WORKLOAD)
    };
    let permission = |client_id: &str, role| Permission { object_id: object_of(client_id), role };
    let vault = VaultDocument {
        permissions: vec![
            permission(APPLICATION, Role::SecretsOfficer),
            permission(OPERATOR, Role::Reader),
            permission(WORKLOAD, Role::SecretsUser),
        ],
        ..vault("kv-test")
    };
    Document {
        tenants: vec![Tenant { id: TENANT.to_owned(), domain: Some(DOMAIN.to_owned()), ..Tenant::default() }],
        principals: vec![application, operator, workload],
        vaults: vec![vault],
        documents: issuer_documents(),
        ..Document::default()
    }
}

pub fn vault(name: &str) -> VaultDocument {
    VaultDocument {
        name: name.to_owned(),
        tenant: TENANT.to_owned(),
        authorization: Authorization::Rbac,
        permissions: Vec::new(),
        subscription: "s".to_owned(),
        resource_group: "rg".to_owned(),
        location: "eastus".to_owned(),
        secrets: Vec::new(),
    }
}

fn issuer_documents() -> Vec<PublicDocument> {
    let keys = format!("{ISSUER}/openid/v1/jwks");
    let discovery = json!({"issuer": ISSUER, "jwks_uri": keys});
    vec![
        PublicDocument { url: format!("{ISSUER}/.well-known/openid-configuration"), body: discovery.to_string() },
        PublicDocument { url: keys, body: CLUSTER.key_set().to_string() },
    ]
}

/// A secret of the vault.
pub fn with_secret(azure: &Azure, name: &str, version: NewVersion) {
    let now = azure.clock.now();
    assert!(azure.with_world_mut(|world| world.set_secret("kv-test", name, version, now)));
}

/// Changes a principal.
pub fn with_principal(azure: &Azure, client_id: &str, change: impl FnOnce(&mut Principal)) {
    azure.with_world_mut(|world| change(world.principals.iter_mut().find(|one| one.client_id == client_id).unwrap()));
}

/// A token to be, good as it is.
pub struct Assertion {
    header: Value,
    claims: Value,
    key: Arc<Signer>,
}

impl Assertion {
    /// As Go's azidentity signs one: PS256 with the SHA-256 thumbprint and the chain.
    pub fn by(certificate: &ClientCertificate, client_id: &str) -> Self {
        let parsed = Certificate::from_der(&certificate.certificate_der).unwrap();
        let chain: Vec<_> = certificate.chain.iter().map(|der| BASE64_STANDARD.encode(der)).collect();
        Self {
            header: json!({"alg": "PS256", "typ": "JWT", "x5t#S256": sha256(&parsed), "x5c": chain}),
            claims: json!({
                "aud": format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"),
                "iss": client_id, "sub": client_id, "jti": "a-b-c", "nbf": NOW, "exp": NOW + 600,
            }),
            key: signer(certificate),
        }
    }

    /// As kube-apiserver signs one.
    pub fn of_cluster() -> Self {
        let key_id = CLUSTER.key_id();
        Self {
            header: json!({"alg": "RS256", "kid": key_id}),
            claims: json!({
                "aud": ["openshift"], "iss": ISSUER, "sub": SERVICE_ACCOUNT, "iat": NOW, "nbf": NOW, "exp": NOW + 3600,
            }),
            key: Arc::clone(&CLUSTER),
        }
    }

    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    pub fn without_header(mut self, name: &str) -> Self {
        self.header.as_object_mut().unwrap().remove(name);
        self
    }

    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(name);
        self
    }

    pub fn signed_by(mut self, key: Arc<Signer>) -> Self {
        self.key = key;
        self
    }

    pub fn token(&self) -> String {
        self.key.sign_with(&self.header, &self.claims).unwrap()
    }
}

fn sha256(certificate: &Certificate) -> String {
    // The one of the two thumbprints that has 32 bytes: 43 characters.
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.der());
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(digest.as_ref())
}

pub async fn answered(azure: &Azure, call: &Call) -> Answer {
    match azure.answer(call).await {
        Outcome::Answered(answer) => answer,
        other => panic!("{other:?}"),
    }
}

pub fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(answer.body()).unwrap_or(Value::Null)
}

pub fn get(url: &str) -> Call {
    Call::new(Method::GET, url).unwrap()
}

pub fn token_url(tenant: &str) -> String {
    format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token")
}

/// The fields of a token request with an assertion.
pub fn fields<'a>(client_id: &'a str, assertion: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
        ("scope", VAULT_SCOPE),
    ]
}

/// Posts a token request. The token, or status, OAuth error and description without its ids.
pub async fn post(azure: &Azure, url: &str, fields: &[(&str, &str)]) -> Result<String, String> {
    let call = Call::new(Method::POST, url).unwrap().with_form(fields);
    let answer = answered(azure, &call).await;
    let body = json_of(&answer);
    match body["access_token"].as_str() {
        Some(token) => Ok(token.to_owned()),
        None => {
            let description = body["error_description"].as_str().unwrap();
            let description = description.split(" Trace ID: ").next().unwrap();
            Err(format!("{} {} {description}", answer.status().as_u16(), body["error"].as_str().unwrap()))
        }
    }
}

pub async fn sign_in(azure: &Azure, client_id: &str, assertion: &str) -> Result<String, String> {
    post(azure, &token_url(TENANT), &fields(client_id, assertion)).await
}

/// A token of a principal for a resource, without asking Entra.
pub fn bearer(azure: &Azure, client_id: &str, resource: &str) -> String {
    let principal = azure.with_world(|world| world.principals.iter().find(|one| one.client_id == client_id).cloned());
    let grant = azure_standin::entra::Grant {
        cloud: azure_standin::cloud::Cloud::Public,
        principal: &principal.unwrap(),
        resource,
        lifetime_seconds: 3600,
    };
    grant.token(azure.signer(), azure.clock.now()).unwrap()
}

/// A request to the vault by somebody.
pub fn vault_call(azure: &Azure, method: Method, path: &str, client_id: &str) -> Call {
    let separator = if path.contains('?') { '&' } else { '?' };
    let token = bearer(azure, client_id, "https://vault.azure.net");
    Call::new(method, &format!("{VAULT}{path}{separator}api-version=7.4"))
        .unwrap()
        .with_header(header::AUTHORIZATION, &format!("Bearer {token}"))
}

pub fn with(call: Call, name: &'static str, value: &str) -> Call {
    call.with_header(HeaderName::from_static(name), value)
}
