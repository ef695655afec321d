//! The verdict on a credential: what the consumer does with it, and everything that is wrong.

use hcp_identity_api::hosted_cluster::ObjectEncoding;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use strum::IntoEnumIterator as _;

use super::{
    Consumer, Field, Problem, Reason, Secret,
    bundle::{self, Bundle},
    certificate::Certificate,
    date, dates,
    document::Document,
    encoding,
    endpoint::{self, Endpoint},
};
use crate::{
    clouds::Cloud,
    finding::{Quoted, Severity},
    names::is_uuid,
};

/// What a credential should be, as far as it is known.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The HostedCluster's.
    pub client_id: Option<String>,
    /// Whether another client id is an error: development environments sign in as somebody else.
    pub strict_client_id: bool,
    pub tenant_id: Option<String>,
    /// `spec.platform.azure.cloud`.
    pub cloud: Option<String>,
    /// The attributes of the vault's version.
    pub vault: VaultDates,
    /// `not_before` of the credential in use, if one is.
    pub in_use: Option<Timestamp>,
    /// How long before an end there is a warning.
    pub warn_within: SignedDuration,
}

/// What Key Vault says of a secret, and does not enforce.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct VaultDates {
    pub not_before: Option<Timestamp>,
    pub expires: Option<Timestamp>,
}

impl Default for Expectation {
    /// Nothing in particular, and a month's notice.
    fn default() -> Self {
        Self {
            client_id: None,
            strict_client_id: false,
            tenant_id: None,
            cloud: None,
            vault: VaultDates::default(),
            in_use: None,
            warn_within: SignedDuration::from_hours(30 * 24),
        }
    }
}

/// What became of it. Holds nothing secret.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    pub consumer: Consumer,
    pub facts: Facts,
    #[serde(rename = "findings")]
    pub problems: Vec<Problem>,
}

/// What a credential says of itself, as far as it can be shown.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    #[serde(rename = "clientID")]
    pub client_id: Option<String>,
    #[serde(rename = "tenantID")]
    pub tenant_id: Option<String>,
    /// The host of `authentication_endpoint`.
    pub endpoint: Option<String>,
    pub not_before: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
    pub renew_after: Option<Timestamp>,
    pub cannot_renew_after: Option<Timestamp>,
    /// The earliest end of all that are known.
    pub usable_until: Option<Timestamp>,
    pub key_bits: Option<usize>,
    /// In the order in which the consumer sends them.
    pub certificates: Vec<CertificateFacts>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateFacts {
    pub common_name: Option<String>,
    /// SHA-1, as Entra names it.
    pub thumbprint: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl From<&Certificate> for CertificateFacts {
    fn from(certificate: &Certificate) -> Self {
        let Certificate { common_name, thumbprint, not_before, not_after, .. } = certificate;
        let common_name = common_name.as_ref().map(|name| name.chars().take(64).collect());
        Self { common_name, thumbprint: thumbprint.clone(), not_before: *not_before, not_after: *not_after }
    }
}

impl Verdict {
    /// Whether a control plane can go on with it.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.problems.iter().all(|problem| problem.severity != Severity::Error)
    }

    fn new(facts: Facts, problems: Vec<Problem>) -> Self {
        let consumer = problems.iter().map(|problem| problem.reason.consumer()).max().unwrap_or(Consumer::Accepted);
        Self { consumer, facts, problems }
    }
}

/// Judges a vault's value, or with [`ObjectEncoding::Utf8`] a mounted file.
///
/// # Guarantees
/// Everything that is wrong is told in one verdict. Nothing of the verdict quotes what may be a key.
/// [`Verdict::consumer`] is what Azure/msi-dataplane v0.4.3 does with the file.
#[must_use]
pub fn judge(value: &Secret, encoding: ObjectEncoding, expected: &Expectation, now: Timestamp) -> Verdict {
    let mut problems = Vec::new();
    let document = match document(value, encoding) {
        Ok(document) => document,
        Err(problem) => return Verdict::new(Facts::default(), vec![problem]),
    };
    types(&document, &mut problems);
    client(&document, expected, &mut problems);
    tenant(&document, expected, &mut problems);
    let endpoint = endpoint(&document, expected, &mut problems);
    let bundle = match document.text(Field::ClientSecret) {
        Some(secret) => bundle::read(secret, &mut problems),
        None => Bundle::default(),
    };
    let mut facts = facts(&document, &bundle);
    facts.endpoint = endpoint;
    facts.usable_until = dates::judge(&document, &bundle, expected, now, &mut problems);
    Verdict::new(facts, problems)
}

fn document(value: &Secret, encoding: ObjectEncoding) -> Result<Document, Problem> {
    let decoded = encoding::decode(value, encoding);
    let refusal = match &decoded {
        None => None,
        Some(file) => match Document::read(file.expose()) {
            Ok(document) => return Ok(document),
            Err(refusal) => Some(refusal),
        },
    };
    let reads = |other: &&ObjectEncoding| {
        encoding::decode(value, **other).is_some_and(|file| Document::read(file.expose()).is_ok())
    };
    let fits = encoding::ENCODINGS.iter().find(reads);
    match (fits, refusal) {
        (Some(fits), _) => {
            let message = format!(
                "the value is {}, and its object encoding is {encoding}",
                fits.as_str(),
                encoding = encoding.as_str()
            );
            let remedy = format!("set objectEncoding: {}, or store the value as {}", fits.as_str(), encoding.as_str());
            Err(Problem::error(Reason::EncodingMismatch, None, message, remedy))
        }
        (None, None) => {
            let message = format!("the value is no {}: no pod can mount it", encoding.as_str());
            Err(Problem::error(Reason::EncodingMismatch, None, message, "set the object encoding of the stored value"))
        }
        (None, Some(refusal)) => {
            let file = decoded.as_ref().map(Secret::expose).unwrap_or_default();
            let (message, remedy) = not_json(file, refusal.message, (refusal.line, refusal.column));
            Err(Problem::error(Reason::NotJson, None, message, remedy))
        }
    }
}

fn not_json(file: &[u8], message: &str, (line, column): (usize, usize)) -> (String, &'static str) {
    const STORE: &str = "store the JSON that the identity service gave (client_id, tenant_id, client_secret, …)";
    if file.iter().all(u8::is_ascii_whitespace) {
        ("is empty".to_owned(), STORE)
    } else if file.starts_with(b"-----BEGIN") || file.starts_with(b"MII") {
        ("is a certificate, and the consumer wants the JSON around it".to_owned(), STORE)
    } else if file.starts_with(b"\xef\xbb\xbf") {
        ("begins with a byte order mark, which the consumer refuses".to_owned(), "store it without one")
    } else {
        (format!("{message} (line {line}, column {column})"), STORE)
    }
}

fn types(document: &Document, problems: &mut Vec<Problem>) {
    const REQUIRED: [Field; 4] = [Field::ClientId, Field::TenantId, Field::ClientSecret, Field::AuthenticationEndpoint];
    for field in Field::iter() {
        if let Some(kind) = document.wrong_type(field) {
            let message = format!("is {kind}");
            problems.push(Problem::error(Reason::WrongType, field, message, "write it as a string"));
        }
    }
    let hint = |field: Field| match document.misspelt.contains(&field) {
        true => format!("rename what is there: the consumer reads exactly {field}"),
        false => "store the credential as the identity service gave it".to_owned(),
    };
    for field in REQUIRED.into_iter().filter(|field| document.is_absent(*field)) {
        problems.push(Problem::error(Reason::MissingField, field, "is missing", hint(field)));
    }
    if document.is_absent(Field::NotBefore) {
        let message = "is missing: the consumer goes down with a nil pointer";
        problems.push(Problem::error(Reason::MissingNotBefore, Field::NotBefore, message, hint(Field::NotBefore)));
    }
}

fn client(document: &Document, expected: &Expectation, problems: &mut Vec<Problem>) {
    let Some(client) = document.text(Field::ClientId) else { return };
    let field = Field::ClientId;
    if client.is_empty() {
        let remedy = "store the client id of the managed identity";
        problems.push(Problem::error(Reason::EmptyClientID, field, "is empty: Entra refuses it", remedy));
    } else if !is_uuid(client) {
        let remedy = "store the client id, not a name or resource id";
        problems.push(Problem::warning(Reason::ClientIDNotUUID, field, "is no UUID, which every client id is", remedy));
    }
    let Some(wanted) = expected.client_id.as_deref().filter(|wanted| !wanted.eq_ignore_ascii_case(client)) else {
        return;
    };
    let message = format!("is {}, and the HostedCluster names {}", shown(client), Quoted(wanted));
    let remedy = "store the credential of the named identity, or correct the HostedCluster";
    let problem = Problem::warning(Reason::OtherClient, field, message, remedy);
    let severity = if expected.strict_client_id { Severity::Error } else { Severity::Warning };
    problems.push(Problem { severity, ..problem });
}

fn tenant(document: &Document, expected: &Expectation, problems: &mut Vec<Problem>) {
    let Some(tenant) = document.text(Field::TenantId) else { return };
    let field = Field::TenantId;
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    if tenant.is_empty() || !tenant.bytes().all(sound) {
        let message = "is no tenant: the consumer takes letters, digits, dots and hyphens";
        problems.push(Problem::error(Reason::InvalidTenant, field, message, "store the tenant id of the identity"));
    } else if !is_uuid(tenant) {
        let remedy = "store the tenant id, not its domain";
        problems.push(Problem::warning(Reason::TenantNotUUID, field, "is no UUID, which every tenant id is", remedy));
    }
    let Some(wanted) = expected.tenant_id.as_deref().filter(|wanted| !wanted.eq_ignore_ascii_case(tenant)) else {
        return;
    };
    let message = format!("is {}, and {} is expected", shown(tenant), Quoted(wanted));
    let remedy = "store the credential of an identity in that tenant, or correct the HostedCluster's tenantID";
    problems.push(Problem::warning(Reason::OtherTenant, field, message, remedy));
}

/// The host, where it may be shown.
fn endpoint(document: &Document, expected: &Expectation, problems: &mut Vec<Problem>) -> Option<String> {
    const REMEDY: &str =
        "store the endpoint that the identity service gave, such as https://login.microsoftonline.com/";
    let field = Field::AuthenticationEndpoint;
    let host = match endpoint::read(document.text(field)?) {
        Endpoint::Empty => {
            let message = "is empty: the consumer takes the public cloud, or AZURE_AUTHORITY_HOST of its environment";
            problems.push(Problem::warning(Reason::EmptyEndpoint, field, message, REMEDY));
            return None;
        }
        Endpoint::Refused(why) => {
            problems.push(Problem::error(Reason::InvalidEndpoint, field, why, REMEDY));
            return None;
        }
        Endpoint::Https { host } => host,
    };
    match (Cloud::of_entra(host), expected.cloud.as_deref()) {
        (Some(cloud), Some(wanted)) if cloud != wanted => {
            let message = format!("is of {cloud}, and the HostedCluster is in {}", Quoted(wanted));
            problems.push(Problem::error(Reason::OtherCloud, field, message, REMEDY));
        }
        (Some(_), _) => {}
        (None, _) => {
            let message = "is no host of Entra that is known here";
            problems.push(Problem::warning(Reason::UnknownEndpoint, field, message, REMEDY));
        }
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-:".contains(&byte);
    Some(host.to_owned()).filter(|host| host.len() <= 253 && host.contains('.') && host.bytes().all(is_name))
}

fn facts(document: &Document, bundle: &Bundle) -> Facts {
    let uuid = |field| document.text(field).filter(|text| is_uuid(text)).map(str::to_owned);
    let date = |field| document.text(field).and_then(date::read);
    Facts {
        client_id: uuid(Field::ClientId),
        tenant_id: uuid(Field::TenantId),
        endpoint: None,
        not_before: date(Field::NotBefore),
        not_after: date(Field::NotAfter),
        renew_after: date(Field::RenewAfter),
        cannot_renew_after: date(Field::CannotRenewAfter),
        usable_until: None,
        key_bits: bundle.key.as_ref().map(super::private_key::RsaPublic::bits),
        certificates: bundle.chain.iter().map(CertificateFacts::from).collect(),
    }
}

/// An id, or how long it is: what is no id may be a key in the wrong place.
fn shown(id: &str) -> String {
    if is_uuid(id) { id.to_owned() } else { format!("{} characters that are no UUID", id.chars().count()) }
}
