//! Credentials for tests: keys, certificates and PKCS#12 files that openssl makes once, and the JSON around them.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]
#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]
#![allow(unreachable_pub, reason = "this is a module of each of them")]

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

pub const CLIENT: &str = "11111111-2222-4333-8444-555555555555";
pub const TENANT: &str = "93b21e64-4824-439a-b893-46c9b2a51082";
/// Within the dates of everything here that is valid.
pub const NOW: &str = "2026-02-01T00:00:00Z";

/// Change it when the script below changes: what it made is kept between runs.
const VERSION: u32 = 1;

const SCRIPT: &str = r#"
cat > ca.cnf <<'END'
[ca]
default_ca = default
[default]
database = index.txt
new_certs_dir = .
default_md = default
rand_serial = yes
unique_subject = no
policy = policy
x509_extensions = extensions
[policy]
commonName = supplied
[extensions]
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
subjectAltName = DNS:identity.test, URI:https://identity.test/x
basicConstraints = critical, CA:FALSE
END
: > index.txt

# self_signed KEY NAME OUT START END
request() { openssl req -new -key "$1" -subj "/CN=$2" -out request.csr; }
self_signed() {
    request "$1" "$2"
    openssl ca -config ca.cnf -batch -notext -selfsign -keyfile "$1" -in request.csr -out "$3" \
        -startdate "${4:-20260101000000Z}" -enddate "${5:-20270101000000Z}"
}
issued() {
    request "$1" "$2"
    openssl ca -config ca.cnf -batch -notext -keyfile ca.key -cert ca.pem -in request.csr -out "$3" \
        -startdate "${4:-20260101000000Z}" -enddate "${5:-20270101000000Z}"
}
rsa() { openssl genpkey -algorithm RSA -pkeyopt "rsa_keygen_bits:$1" -out "$2"; }

for name in ca leaf other; do rsa 2048 $name.key; done
rsa 1024 weak.key
openssl genrsa -primes 3 -out primes.key 2048
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.key
openssl genpkey -algorithm ED25519 -out ed25519.key
openssl genpkey -algorithm X25519 -out x25519.key
openssl ec -in ec.key -out ec.sec1.key
openssl rsa -in leaf.key -traditional -out leaf.pkcs1.key
openssl rsa -in leaf.key -traditional -aes128 -passout pass:x -out leaf.pkcs1.encrypted.key
openssl pkcs8 -in leaf.key -topk8 -passout pass:x -out leaf.encrypted.key
openssl rsa -in leaf.key -pubout -out leaf.public.key
openssl rsa -in leaf.key -outform DER -traditional -out leaf.pkcs1.der
openssl pkcs8 -in leaf.key -topk8 -nocrypt -outform DER -out leaf.pkcs8.der

self_signed ca.key ca ca.pem
issued leaf.key identity leaf.pem
issued leaf.key renewed renewed.pem
issued leaf.key old old.pem 20250101000000Z 20260115000000Z
issued leaf.key new new.pem 20260301000000Z 20270101000000Z
issued leaf.key brief brief.pem 20260101000000Z 20260210000000Z
self_signed leaf.key alone alone.pem
self_signed other.key other other.pem
self_signed weak.key weak weak.pem
self_signed primes.key primes primes.pem
self_signed ec.key ec ec.pem
self_signed ed25519.key ed25519 ed25519.pem
openssl x509 -in leaf.pem -outform DER -out leaf.der

pfx() { out=$1; shift; openssl pkcs12 -export -inkey leaf.key -in leaf.pem -passout pass: -out "$out" "$@"; }
old="-certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg SHA1"
pfx triple-des.pfx $old
pfx rc2.pfx -legacy -certpbe PBE-SHA1-RC2-40 -keypbe PBE-SHA1-3DES -macalg SHA1
pfx rc2-for-the-key.pfx -legacy -certpbe PBE-SHA1-RC2-40 -keypbe PBE-SHA1-RC2-40 -macalg SHA1
pfx legacy.pfx -legacy
pfx modern.pfx
pfx sha256-mac.pfx -certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg SHA256
pfx aes.pfx -macalg SHA1
pfx aes-for-the-key.pfx -certpbe PBE-SHA1-3DES -macalg SHA1
pfx two-key-des.pfx -certpbe PBE-SHA1-2DES -keypbe PBE-SHA1-3DES -macalg SHA1
pfx unencrypted.pfx -certpbe NONE -keypbe NONE -macalg SHA1
pfx plain-certificate.pfx -certpbe NONE -keypbe PBE-SHA1-3DES -macalg SHA1
pfx plain-key.pfx -certpbe PBE-SHA1-3DES -keypbe NONE -macalg SHA1
pfx no-mac.pfx $old -nomac
pfx named.pfx $old -name "the identity" -CSP "a provider"
pfx chain.pfx $old -certfile ca.pem
pfx one-iteration.pfx $old -iter 1
pfx no-certificate.pfx $old -nocerts
pfx no-key.pfx $old -nokeys
pfx utf8-key-name.pfx $old -name "Schlüssel"
openssl pkcs12 -export -inkey leaf.key -in leaf.pem -passout pass:secret -out password.pfx $old
openssl pkcs12 -export -inkey ec.key -in ec.pem -passout pass: -out ec.pfx $old
openssl pkcs12 -export -inkey ed25519.key -in ed25519.pem -passout pass: -out ed25519.pfx $old
# What UnsupportedPkcs12 says to do.
openssl pkcs12 -in modern.pfx -passin pass: -nodes -out converted.pem
openssl pkcs12 -export -legacy -macalg SHA1 -in converted.pem -passout pass: -out converted.pfx
"#;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(make);

#[expect(clippy::disallowed_methods, reason = "these are files for tests")]
fn make() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("credentials-{VERSION}"));
    if folder.exists() {
        return folder;
    }
    let made = folder.with_extension(std::process::id().to_string());
    std::fs::create_dir_all(&made).expect("a folder");
    let script = Command::new("bash").args(["-euc", SCRIPT]).current_dir(&made).output().expect("bash starts");
    assert!(script.status.success(), "openssl: {}", String::from_utf8_lossy(&script.stderr));
    // Another test may have been faster; one is as good as the other.
    if std::fs::rename(&made, &folder).is_err() {
        std::fs::remove_dir_all(&made).expect("our own folder");
    }
    folder
}

/// A file that the script made.
#[expect(clippy::disallowed_methods, reason = "these are files for tests")]
pub fn file(name: &str) -> Vec<u8> {
    std::fs::read(FOLDER.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Files one after the other, as a PEM bundle has them.
pub fn files(names: &[&str]) -> Vec<u8> {
    names.iter().flat_map(|name| file(name)).collect()
}

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A credential with which nothing is wrong.
pub fn good() -> Map<String, Value> {
    let credential = json!({
        "authentication_endpoint": "https://login.microsoftonline.com/",
        "client_id": CLIENT,
        "client_secret": base64(files(&["leaf.key", "leaf.pem", "ca.pem"])),
        "client_secret_url": "https://identity.test/renew",
        "custom_claims": {"xms_az_nwperimid": ["a"], "xms_az_tm": "user"},
        "mtls_authentication_endpoint": "https://mtlsauth.microsoft.com/",
        "not_after": "2026-12-31T00:00:00Z",
        "not_before": "2026-01-01T00:00:00Z",
        "object_id": "22222222-2222-4333-8444-555555555555",
        "renew_after": "2026-06-01T00:00:00Z",
        "resource_id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i",
        "cannot_renew_after": "2027-06-01T00:00:00Z",
        "tenant_id": TENANT,
    });
    match credential {
        Value::Object(credential) => credential,
        _ => unreachable!("it is an object"),
    }
}

/// The good credential with one member replaced.
pub fn with(name: &str, value: impl Into<Value>) -> Map<String, Value> {
    let mut credential = good();
    credential.insert(name.to_owned(), value.into());
    credential
}

/// The good credential around another certificate and key.
pub fn around(secret: impl AsRef<[u8]>) -> Map<String, Value> {
    with("client_secret", base64(secret))
}

pub fn text(credential: &Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec_pretty(credential).expect("JSON")
}
