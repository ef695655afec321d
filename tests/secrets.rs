//! Nothing that this program prints, formats or serialises has a key in it, whatever is wrong with the credential.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "these are parts of tests")]

mod support;

use std::fmt::Write as _;

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};
use hcp_identity::{
    credential::{Expectation, Field, ObjectEncoding, Secret, decode, judge},
    explain::{explain, recognise},
};
use serde_json::{Map, Value};
use strum::IntoEnumIterator as _;
use support::{
    credentials::{NOW, base64, file, files, good, hex, text},
    hcp_identity, pipe,
};

/// Looks like nothing that may be shown, and like a name where only names are.
const CANARIES: [&str; 4] = [
    "cAnArY~8Q.secret+of/an=identity_0123456789abcdef",
    "canary-8Q-secret-of-an-identity",
    "https://canary8Qsecret:canary8Qsecret@x/",
    "{\"canary\":\"8Q\"}",
];

/// A text and whatever it can look like.
fn spellings(canary: &[u8]) -> Vec<String> {
    let plain = String::from_utf8_lossy(canary).into_owned();
    let percent: String = canary.iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02X}").unwrap();
        }
        text
    });
    let json = serde_json::to_string(&plain).unwrap();
    let debug = format!("{canary:?}");
    let debug = debug.trim_matches(['[', ']']).to_owned();
    let mut all =
        vec![hex(canary), hex(canary).to_uppercase(), percent, json.trim_matches('"').to_owned(), debug, plain];
    // Base64 of a text within a text depends on where it begins; what is left of the middle does not.
    for skip in 0..3 {
        let part = &canary[skip.min(canary.len())..];
        let part = &part[..part.len() - part.len() % 3];
        for engine in [BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD] {
            all.push(engine.encode(part));
        }
    }
    all
}

#[track_caller]
fn assert_clean(output: &str, canaries: &[Vec<u8>], what: &str) {
    for canary in canaries {
        for spelling in spellings(canary).iter().filter(|spelling| spelling.len() >= 8) {
            assert!(!output.contains(spelling.as_str()), "{what} shows {spelling:?}: {output}");
        }
    }
}

/// Everything that can be said of a value.
fn said(value: &[u8]) -> String {
    let secret = Secret::new(value.to_vec());
    let mut all = format!("{secret:?} {secret:#?}");
    for encoding in [ObjectEncoding::Utf8, ObjectEncoding::Hex, ObjectEncoding::Base64] {
        let expected =
            Expectation { client_id: Some("x".into()), tenant_id: Some("x".into()), ..Expectation::default() };
        let verdict = judge(&secret, encoding, &expected, NOW.parse().unwrap());
        let problems: Vec<_> = verdict.problems.iter().map(ToString::to_string).collect();
        let json = serde_json::to_string(&verdict).unwrap();
        write!(all, "{verdict:?} {problems:?} {json} {:?}", decode(&secret, encoding)).unwrap();
    }
    all
}

/// The good credential with a canary in each place where people put keys by mistake.
fn credentials(canary: &str) -> Vec<Vec<u8>> {
    let mut all: Vec<Map<String, Value>> = Vec::new();
    for field in Field::iter() {
        let mut credential = good();
        credential.insert(field.to_string(), canary.into());
        all.push(credential);
        let mut credential = good();
        credential.insert(field.to_string(), base64(canary).into());
        all.push(credential);
        let mut credential = good();
        credential.insert(field.to_string(), serde_json::json!([canary]));
        all.push(credential);
    }
    let mut credential = good();
    credential.insert(canary.to_owned(), canary.into());
    credential.insert("clientSecret".to_owned(), canary.into());
    all.push(credential);
    let pem = format!("-----BEGIN {canary}-----\n{}\n-----END {canary}-----\n", base64(canary));
    let mut credential = good();
    credential.insert("client_secret".to_owned(), base64(pem).into());
    all.push(credential);
    let mut values: Vec<Vec<u8>> = all.iter().map(text).collect();
    values.push(canary.as_bytes().to_vec());
    values.push(format!("{{\"client_secret\": {canary}").into_bytes());
    values.push(format!("[\"{canary}\"]").into_bytes());
    values
}

#[test]
fn no_canary_comes_out_of_a_verdict() {
    for canary in CANARIES {
        for value in credentials(canary) {
            let canaries = [canary.as_bytes().to_vec()];
            assert_clean(&said(&value), &canaries, "a verdict");
            assert_clean(&said(hex(&value).as_bytes()), &canaries, "a verdict of hex");
            assert_clean(&said(base64(&value).as_bytes()), &canaries, "a verdict of base64");
        }
    }
}

/// The private numbers of a key, wherever they are stored.
#[test]
fn no_part_of_a_key_comes_out_of_a_verdict() {
    let key = file("leaf.pkcs8.der");
    // Beyond the modulus, which a certificate shows as well.
    let parts: Vec<Vec<u8>> = (320..key.len() - 24).step_by(24).map(|at| key[at..at + 24].to_vec()).collect();
    for names in [
        &["leaf.key", "leaf.pem"][..],
        &["leaf.pkcs1.key", "other.pem"],
        &["leaf.key", "leaf.key"],
        &["triple-des.pfx"],
        &["modern.pfx"],
    ] {
        let mut credential = good();
        credential.insert("client_secret".to_owned(), base64(files(names)).into());
        assert_clean(&said(&text(&credential)), &parts, &names.join(" + "));
    }
}

#[test]
fn no_canary_comes_out_of_the_command_line() {
    for canary in CANARIES {
        let canaries = [canary.as_bytes().to_vec()];
        for value in credentials(canary).iter().step_by(2) {
            let other = ["--client-id", "x", "--tenant-id", "x", "--cloud", "AzureChinaCloud"];
            for arguments in [&other[..], &["-o", "json"]] {
                let output =
                    pipe(hcp_identity().args(["check", "credential", "-", "--at", NOW]).args(arguments), value);
                assert_clean(&support::text(output.stdout), &canaries, "stdout");
                assert_clean(&support::text(output.stderr), &canaries, "stderr");
            }
        }
    }
}

/// People paste more than the error.
#[test]
fn no_canary_comes_out_of_an_explanation() {
    /// Where names are looked for.
    const PLACES: [(&str, &str); 12] = [
        ("objectName:", ","),
        ("https://mgmt.vault.azure.net/secrets/", "/"),
        ("(name/id) ", " was not found in this key vault"),
        ("ERROR CODE: ", "\n"),
        ("Vault: ", ";"),
        ("keys for app '", "' are expired AADSTS7000222"),
        ("the tenant '", "'"),
        ("for pod ", ", err"),
        ("failed to get secretproviderclass ", ", error"),
        ("perform action '", "'"),
        ("over scope '", "'"),
        ("failed to read credential file ", ": open"),
    ];
    let credential = String::from_utf8(text(&good())).unwrap();
    let key = base64(file("leaf.key")).into_bytes();
    for canary in [CANARIES[0], CANARIES[2], CANARIES[3]] {
        for (before, after) in PLACES {
            let pasted = format!("{before}{canary}{after} {canary} {credential}");
            let answer = format!("{:?} {:?}", explain(&pasted), recognise(&pasted));
            assert_clean(&answer, &[canary.as_bytes().to_vec(), key.clone()], "an explanation");
        }
    }
}

/// Without this, a search that finds nothing proves nothing.
#[test]
fn the_search_finds_what_is_there() {
    let canary = CANARIES[0].as_bytes();
    let shown = [
        CANARIES[0].to_owned(),
        hex(canary),
        base64(canary),
        format!("{canary:?}"),
        serde_json::to_string(CANARIES[0]).unwrap(),
        BASE64_URL_SAFE.encode(canary),
        base64(format!("x{}", CANARIES[0])),
    ];
    for shown in shown {
        assert!(spellings(canary).iter().any(|spelling| shown.contains(spelling.as_str())), "{shown}");
    }
}
