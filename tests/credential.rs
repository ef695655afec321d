//! What a credential is told of, and `check credential` from outside.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are parts of tests")]

mod support;

use std::path::PathBuf;

use hcp_identity::{
    credential::{Consumer, Expectation, ObjectEncoding, Reason, Secret, VaultDates, Verdict, judge},
    finding::Severity,
};
use jiff::Timestamp;
use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value};
use strum::IntoEnumIterator as _;
use support::{
    credentials::{CLIENT, NOW, TENANT, around, base64, file, files, good, hex, text, with},
    hcp_identity, pipe, read,
};

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn judged(credential: &Map<String, Value>, expected: &Expectation) -> Verdict {
    judge(&Secret::new(text(credential)), ObjectEncoding::Utf8, expected, at(NOW))
}

fn reasons(verdict: &Verdict) -> Vec<(Severity, Reason)> {
    verdict.problems.iter().map(|problem| (problem.severity, problem.reason)).collect()
}

/// The one thing that is wrong with it.
fn only(credential: &Map<String, Value>, expected: &Expectation) -> (Severity, Reason) {
    match reasons(&judged(credential, expected)).as_slice() {
        [only] => *only,
        several => panic!("{several:?}"),
    }
}

fn expecting(change: impl FnOnce(&mut Expectation)) -> Expectation {
    let mut expected = Expectation::default();
    change(&mut expected);
    expected
}

#[test]
fn nothing_is_wrong_with_a_good_credential() {
    let expected = expecting(|expected| {
        expected.client_id = Some(CLIENT.to_uppercase());
        expected.tenant_id = Some(TENANT.to_owned());
        expected.cloud = Some("AzurePublicCloud".to_owned());
        expected.in_use = Some(at("2025-12-01T00:00:00Z"));
    });
    for secret in
        [files(&["leaf.key", "leaf.pem", "ca.pem"]), file("triple-des.pfx"), file("chain.pfx"), file("converted.pfx")]
    {
        let verdict = judged(&around(secret), &expected);
        assert_eq!((verdict.consumer, reasons(&verdict)), (Consumer::Accepted, vec![]));
        assert!(verdict.is_valid());
        assert_eq!(verdict.facts.usable_until, Some(at("2026-12-31T00:00:00Z")));
        assert_eq!(verdict.facts.key_bits, Some(2048));
        assert_eq!(verdict.facts.certificates[0].common_name.as_deref(), Some("identity"));
    }
}

/// A line a reason: what breaks the good credential, and nothing else.
#[test]
fn each_thing_that_is_wrong_has_its_reason() {
    use Severity::{Error, Warning};
    let plain = Expectation::default();
    let replaced = |name: &str, value: &str| with(name, value);
    let without = |name: &str| {
        let mut credential = good();
        credential.shift_remove(name);
        credential
    };
    let far = "2099-01-01T00:00:00Z";
    for (credential, severity, reason) in [
        (with("not_after", 7), Error, Reason::WrongType),
        (without("client_id"), Error, Reason::MissingField),
        (without("not_before"), Error, Reason::MissingNotBefore),
        (replaced("client_id", ""), Error, Reason::EmptyClientID),
        (replaced("client_id", "ingress"), Warning, Reason::ClientIDNotUUID),
        (replaced("tenant_id", "a b"), Error, Reason::InvalidTenant),
        (replaced("tenant_id", "contoso.com"), Warning, Reason::TenantNotUUID),
        (replaced("authentication_endpoint", "http://login.microsoftonline.com/"), Error, Reason::InvalidEndpoint),
        (replaced("authentication_endpoint", ""), Warning, Reason::EmptyEndpoint),
        (replaced("authentication_endpoint", "https://login.example.test/"), Warning, Reason::UnknownEndpoint),
        (replaced("client_secret", "-----BEGIN"), Error, Reason::SecretNotBase64),
        (around("hunter2"), Error, Reason::NotACertificate),
        (around(base64(file("leaf.pem"))), Error, Reason::NotACertificate),
        (around(broken_pfx()), Error, Reason::DamagedPkcs12),
        (around(file("password.pfx")), Error, Reason::Pkcs12Password),
        (around(file("modern.pfx")), Error, Reason::UnsupportedPkcs12),
        (around(file("sha256-mac.pfx")), Error, Reason::UnsupportedPkcs12),
        (around(file("aes.pfx")), Error, Reason::UnsupportedPkcs12),
        (around(file("no-mac.pfx")), Error, Reason::UnsupportedPkcs12),
        (around(file("leaf.key")), Error, Reason::NoCertificate),
        (around(file("leaf.pem")), Error, Reason::NoPrivateKey),
        (around(files(&["leaf.encrypted.key", "leaf.pem"])), Error, Reason::NoPrivateKey),
        (around(files(&["ec.sec1.key", "ec.pem"])), Error, Reason::NoPrivateKey),
        (around(files(&["leaf.key", "other.key", "leaf.pem"])), Error, Reason::SeveralPrivateKeys),
        (around(files(&["leaf.pkcs1.encrypted.key", "leaf.pem"])), Error, Reason::InvalidPrivateKey),
        (around(files(&["ec.key", "ec.pem"])), Error, Reason::KeyNotRsa),
        (around(files(&["weak.key", "weak.pem"])), Error, Reason::WeakKey),
        (around(files(&["leaf.key", "other.pem"])), Error, Reason::KeyWithoutCertificate),
        (around(files(&["leaf.key", "leaf.pem", "other.pem"])), Warning, Reason::ChainOrder),
        (replaced("renew_after", "soon"), Warning, Reason::InvalidDate),
        (replaced("not_before", "soon"), Error, Reason::InvalidDate),
        (without("not_after"), Warning, Reason::MissingDate),
        (replaced("not_before", far), Error, Reason::NotYetValid),
        (around(files(&["leaf.key", "new.pem"])), Error, Reason::NotYetValid),
        (replaced("not_after", "2026-01-31T00:00:00Z"), Error, Reason::Expired),
        (replaced("not_after", "2026-02-20T00:00:00Z"), Warning, Reason::ExpiresSoon),
        (replaced("not_after", far), Warning, Reason::DatesDisagree),
        (replaced("renew_after", "2026-01-31T00:00:00Z"), Warning, Reason::RenewalOverdue),
        (replaced("cannot_renew_after", "2026-01-31T00:00:00Z"), Error, Reason::NotRenewable),
        (replaced("cannot_renew_after", "2026-02-20T00:00:00Z"), Warning, Reason::NotRenewableSoon),
    ] {
        assert_eq!(only(&credential, &plain), (severity, reason));
    }
}

/// What a credential is held against.
#[test]
fn what_is_expected_has_its_reasons() {
    use Severity::{Error, Warning};
    let other = "99999999-2222-4333-8444-555555555555";
    for (expected, severity, reason) in [
        (expecting(|expected| expected.client_id = Some(other.into())), Warning, Reason::OtherClient),
        (
            expecting(|expected| {
                expected.client_id = Some(other.into());
                expected.strict_client_id = true;
            }),
            Error,
            Reason::OtherClient,
        ),
        (expecting(|expected| expected.tenant_id = Some(other.into())), Warning, Reason::OtherTenant),
        (expecting(|expected| expected.cloud = Some("AzureChinaCloud".into())), Error, Reason::OtherCloud),
        (expecting(|expected| expected.in_use = Some(at("2026-01-01T00:00:00Z"))), Error, Reason::NotNewer),
        (
            expecting(|expected| expected.vault = VaultDates { expires: Some(at(NOW)), ..VaultDates::default() }),
            Error,
            Reason::Expired,
        ),
        (
            expecting(|expected| {
                expected.vault = VaultDates { not_before: Some(at("2026-02-02T00:00:00Z")), ..VaultDates::default() };
            }),
            Error,
            Reason::NotYetValid,
        ),
    ] {
        assert_eq!(only(&good(), &expected), (severity, reason));
    }
}

#[test]
fn the_file_itself_has_its_reasons() {
    let judged = |value: Vec<u8>, encoding| judge(&Secret::new(value), encoding, &Expectation::default(), at(NOW));
    let stored = text(&good());
    for (value, encoding, reason, words) in [
        (hex(&stored).into_bytes(), ObjectEncoding::Utf8, Reason::EncodingMismatch, "the value is hex"),
        (base64(&stored).into_bytes(), ObjectEncoding::Hex, Reason::EncodingMismatch, "the value is base64"),
        (stored.clone(), ObjectEncoding::Base64, Reason::EncodingMismatch, "the value is utf-8"),
        (b"hunter2!".to_vec(), ObjectEncoding::Hex, Reason::EncodingMismatch, "no pod can mount it"),
        (stored[..stored.len() - 3].to_vec(), ObjectEncoding::Utf8, Reason::NotJson, "is not JSON (line "),
        (file("leaf.pem"), ObjectEncoding::Utf8, Reason::NotJson, "is a certificate"),
        (b" \n".to_vec(), ObjectEncoding::Utf8, Reason::NotJson, "is empty"),
        (b"[]".to_vec(), ObjectEncoding::Utf8, Reason::NotJson, "is not an object"),
    ] {
        let verdict = judged(value, encoding);
        let [problem] = verdict.problems.as_slice() else { panic!("{:?}", verdict.problems) };
        assert_eq!((problem.reason, verdict.consumer), (reason, Consumer::Rejected));
        assert!(problem.message.contains(words), "{problem}");
    }
    for encoding in [hex(&stored), base64(&stored)].into_iter().zip([ObjectEncoding::Hex, ObjectEncoding::Base64]) {
        assert_eq!(reasons(&judged(encoding.0.into_bytes(), encoding.1)), []);
    }
}

#[test]
fn a_certificate_that_cannot_be_read_is_told() {
    let damaged = String::from_utf8(files(&["leaf.key", "leaf.pem"])).unwrap()
        + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(only(&around(damaged), &Expectation::default()), (Severity::Error, Reason::InvalidCertificate));
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let mut credential = around(files(&["ec.key", "leaf.key", "old.pem"]));
    for (name, value) in
        [("client_id", ""), ("tenant_id", "?"), ("authentication_endpoint", "ftp://x"), ("not_before", "never")]
    {
        credential.insert(name.to_owned(), value.into());
    }
    credential.shift_remove("not_after");
    let verdict = judged(&credential, &Expectation::default());
    let mut told: Vec<Reason> = verdict.problems.iter().map(|problem| problem.reason).collect();
    told.sort();
    let mut expected = vec![
        Reason::EmptyClientID,
        Reason::InvalidTenant,
        Reason::InvalidEndpoint,
        Reason::SeveralPrivateKeys,
        Reason::KeyNotRsa,
        Reason::InvalidDate,
        Reason::MissingDate,
        Reason::Expired,
    ];
    expected.sort();
    assert_eq!(told, expected);
}

/// A PKCS#12 file whose MAC is right and whose insides are not: the MAC is computed over what is there.
fn broken_pfx() -> Vec<u8> {
    let mut pfx = file("triple-des.pfx");
    // The tag of the MAC's sequence; see `damaged_pkcs12_is_judged_as_the_consumer_does` for every other byte.
    let at = pfx.windows(5).rposition(|bytes| bytes == [0x06, 0x05, 0x2b, 0x0e, 0x03]).unwrap();
    pfx[at - 4] = 0x31;
    pfx
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever it is: a verdict, and never a panic.
    #[test]
    fn any_bytes_are_judged(bytes in vec(any::<u8>(), 0..400), text in "[-BEGINDRSAPVTKYCFO =\n:a-zA-Z0-9+/]{0,300}") {
        let judged = |value: Vec<u8>, encoding| judge(&Secret::new(value), encoding, &Expectation::default(), at(NOW));
        for encoding in [ObjectEncoding::Utf8, ObjectEncoding::Hex, ObjectEncoding::Base64] {
            prop_assert!(!judged(bytes.clone(), encoding).problems.is_empty());
        }
        for secret in [&bytes[..], text.as_bytes(), format!("-----BEGIN {text}").as_bytes(), &[b"0\x82", &bytes[..]].concat()] {
            prop_assert!(!judged(self::text(&around(secret)), ObjectEncoding::Utf8).problems.is_empty());
        }
        let _ = judged(self::text(&with("authentication_endpoint", text.as_str())), ObjectEncoding::Utf8);
        let _ = judged(self::text(&with("not_after", text.as_str())), ObjectEncoding::Utf8);
    }
}

#[test]
fn reasons_and_documentation_are_the_same_list() {
    let documentation = read(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/credential.md"));
    let tests = read(&PathBuf::from(file!()));
    for reason in Reason::iter() {
        let consumer = match reason.consumer() {
            Consumer::Accepted => "accepts",
            Consumer::Rejected => "refuses",
            Consumer::Panics => "goes down",
        };
        let row = documentation.lines().find(|line| line.starts_with(&format!("| `{reason}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/credential.md does not explain {reason}"));
        assert!(row.contains(&format!("| {consumer} |")), "docs/credential.md: {reason}: {consumer}");
        assert!(tests.contains(&format!("Reason::{reason}")), "no test shows {reason}");
    }
}

fn check(value: &[u8], arguments: &[&str]) -> (i32, String) {
    let output = pipe(hcp_identity().args(["check", "credential", "-", "--at", NOW]).args(arguments), value);
    (output.status.code().unwrap(), support::text(output.stdout))
}

#[test]
fn the_command_tells_findings_and_facts_and_exits_by_errors() {
    let (exit, stdout) =
        check(&text(&good()), &["--cloud", "AzurePublicCloud", "--client-id", CLIENT, "--tenant-id", TENANT]);
    assert_eq!(exit, 0, "{stdout}");
    let (facts, thumbprint) = stdout.split_once("certificate: CN=identity").unwrap();
    assert_eq!(
        facts,
        format!(
            "consumer: accepted\nclient id: {CLIENT}\ntenant id: {TENANT}\nendpoint: login.microsoftonline.com\n\
             not before: 2026-01-01T00:00:00Z\nusable until: 2026-12-31T00:00:00Z\nrenew after: 2026-06-01T00:00:00Z\n\
             key: RSA, 2048 bits\n"
        )
    );
    assert!(thumbprint.starts_with(", 2026-01-01T00:00:00Z to 2027-01-01T00:00:00Z, thumbprint "), "{thumbprint}");
    let (exit, stdout) = check(&text(&with("not_before", Value::Null)), &[]);
    assert_eq!(exit, 1);
    assert!(stdout.starts_with("error[MissingNotBefore]: not_before: is missing: the consumer goes down"), "{stdout}");
    assert!(stdout.contains("\nconsumer: panics\n"), "{stdout}");
    let (exit, _) = check(hex(&text(&good())).as_bytes(), &["--object-encoding", "hex"]);
    assert_eq!(exit, 0);
    let (exit, _) = check(&text(&good()), &["--client-id", TENANT]);
    assert_eq!(exit, 0, "a warning is no error");
    let (exit, _) = check(&text(&good()), &["--client-id", TENANT, "--strict-client-id"]);
    assert_eq!(exit, 1);
    let missing = hcp_identity().args(["check", "credential", "/no/such/file"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn json_has_the_verdict() {
    let (exit, stdout) = check(&text(&with("renew_after", "2026-01-31T00:00:00Z")), &["-o", "json"]);
    let verdict: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(exit, 0);
    assert_eq!(verdict["consumer"], "accepted");
    assert_eq!(verdict["facts"]["clientID"], CLIENT);
    assert_eq!(verdict["findings"][0]["reason"], "RenewalOverdue");
    assert_eq!(verdict["findings"][0]["field"], "renew_after");
    assert_eq!(verdict["findings"][0]["severity"], "warning");
}
