//! `explain`, from outside: the built binary over `testdata/explain/<case>/`, and the table as documentation.

#![allow(clippy::expect_used, reason = "these are parts of tests")]

mod support;

use std::{fmt::Write as _, path::Path};

use hcp_identity::explain::{Match, explain, recognise, rows};
use support::{cases, golden, hcp_identity, pipe, read, text};

#[test]
fn every_case_is_explained_as_on_disk() {
    for case in cases("explain") {
        let input = read(&case.join("input.txt"));
        let output = pipe(hcp_identity().args(["explain", "-"]), input.as_bytes());
        golden(&case.join("expected.txt"), &text(output.stdout));
        let known = explain(&input).is_some();
        assert_eq!(output.status.code(), Some(i32::from(!known)), "{}", case.display());
    }
}

/// The row of a case is the one that its name says, so no row hides another.
#[test]
fn every_row_explains_the_case_of_its_name() {
    let mut named: Vec<String> = Vec::new();
    for row in rows() {
        let case = row.reason.chars().fold(String::new(), |name, character| {
            let hyphen = if character.is_ascii_uppercase() && !name.is_empty() { "-" } else { "" };
            name + hyphen + &character.to_ascii_lowercase().to_string()
        });
        let input = read(&support::testdata("explain").join(&case).join("input.txt"));
        assert!(!input.is_empty(), "testdata/explain/{case} is missing");
        assert_eq!(explain(&input).map(|explanation| explanation.reason), Some(row.reason), "{case}");
        assert!(!named.contains(&case), "{} stands there twice", row.reason);
        named.push(case);
    }
    assert!(named.len() >= 40);
}

#[test]
fn arguments_are_a_text_as_well_and_json_says_the_same() {
    let error = "AADSTS7000112: Application '11111111-2222-4333-8444-555555555555'(x) is disabled.";
    let output = hcp_identity().args(["explain", "-o", "json", error]).output().expect("it starts");
    let answer: serde_json::Value = serde_json::from_str(&text(output.stdout)).expect("JSON");
    assert_eq!(answer["explanation"]["reason"], "ServicePrincipalDisabled");
    assert_eq!(
        answer["explanation"]["command"],
        "az ad sp show --id 11111111-2222-4333-8444-555555555555 --query accountEnabled"
    );
    assert_eq!(answer["recognised"]["aadsts"], "7000112");
    let unknown = hcp_identity().args(["explain", "what", "-o", "json"]).output().expect("it starts");
    assert_eq!(text(unknown.stdout), "{\n  \"explanation\": null,\n  \"recognised\": {}\n}\n");
    assert_eq!(unknown.status.code(), Some(1));
}

/// A code is whole: AADSTS70021 is not the beginning of AADSTS700213.
#[test]
fn a_longer_code_is_another_code() {
    let reason = |text: &str| explain(text).map(|explanation| explanation.reason);
    assert_eq!(reason("AADSTS70021: x"), Some("FederatedCredentialMissing"));
    assert_eq!(reason("AADSTS700213: x"), Some("FederatedSubjectUnknown"));
    assert_eq!(reason("AADSTS7002130: x"), None);
}

#[test]
fn hostile_text_comes_to_an_end_and_brings_nothing_into_commands() {
    for hostile in [
        "objectName:".repeat(1 << 20),
        "AADSTS".repeat(1 << 20),
        "https://".repeat(1 << 20),
        "\u{1F600}".repeat(1 << 20),
    ] {
        assert_eq!(explain(&hostile), None);
    }
    let evil = "SecretNotFound objectName:$(rm -rf /),\u{1b}[31m https://;reboot.vault.azure.net/";
    let explanation = explain(evil).expect("it is known");
    assert_eq!(explanation.command, "az keyvault secret list --vault-name VAULT --query [].name -o tsv");
    assert_eq!(recognise(evil).iter().count(), 0);
    assert_eq!(recognise(&format!("objectName:{},", "a".repeat(128))).get("secret"), None);
    assert_eq!(recognise(&format!("objectName:{},", "a".repeat(127))).get("secret"), Some("a".repeat(127).as_str()));
    assert_eq!(recognise("objectName:--query,").get("secret"), None);
}

fn document() -> String {
    let mut text = String::from(
        "# Explained errors\n\n\
         Generated from `src/explain` by `cargo xtask bless`. `hcp-identity explain TEXT` takes the first row that fits: every text\n\
         of `known by` must be in the error, and a code must be whole. Samples: `testdata/explain`.\n\n\
         | reason | who says it | known by | cause | next step | command |\n|---|---|---|---|---|---|\n",
    );
    for row in rows() {
        let by = match row.matches {
            Match::Aadsts(code) => format!("`AADSTS{code}`"),
            Match::Texts(texts) => texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", "),
        };
        let command =
            if row.command.is_empty() { String::new() } else { format!("`{}`", row.command.replace('|', "\\|")) };
        writeln!(text, "| `{}` | {} | {by} | {} | {} | {command} |", row.reason, row.source, row.cause, row.next)
            .expect("a string");
    }
    text
}

#[test]
fn the_documentation_is_the_table() {
    golden(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/explain.md"), &document());
}
