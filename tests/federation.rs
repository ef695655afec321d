//! `azure plan`, from outside: the built binary over `testdata/federation/<case>/`.

#![allow(clippy::expect_used, reason = "these are parts of tests")]

mod support;

use std::{collections::HashSet, path::Path};

use serde_json::Value;
use support::{cases, expected_exit, golden, hcp_identity, pipe, text};

fn plan(case: &Path, more: &[&str]) -> (String, String, i32) {
    let mut program = hcp_identity();
    program.current_dir(case).args(["azure", "plan", "-f", "input.yaml"]).args(more);
    let output = program.output().expect("it starts");
    (text(output.stdout), text(output.stderr), output.status.code().expect("it exits"))
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}

#[test]
fn every_case_plans_what_is_on_disk() {
    for case in cases("federation") {
        let (stdout, stderr, exit) = plan(&case, &[]);
        golden(&case.join("expected.txt"), &stdout);
        golden(&case.join("expected.stderr"), &stderr);
        assert_eq!(exit, expected_exit(&stderr), "{}", case.display());
        golden(&case.join("expected.json"), &plan(&case, &["-o", "json"]).0);
    }
}

/// Machines are told of the same findings as people.
#[test]
fn json_has_the_findings_of_the_text() {
    for case in cases("federation") {
        let (_, words, exit) = plan(&case, &[]);
        let (_, findings, same) = plan(&case, &["-o", "json"]);
        let told = |line: &&str| ["error[", "warning[", "note["].iter().any(|severity| line.starts_with(severity));
        let findings = parsed(&findings)["findings"].as_array().expect("a list").len();
        assert_eq!((findings, same), (words.lines().filter(told).count(), exit), "{}", case.display());
    }
}

/// What Azure asks of the federated credentials of one identity.
#[test]
fn what_is_planned_is_what_azure_takes() {
    for case in cases("federation") {
        let answer = parsed(&plan(&case, &["-o", "json"]).0);
        let mut identities = HashSet::new();
        for identity in answer["identities"].as_array().expect("a list") {
            assert!(identities.insert(identity["clientID"].as_str().expect("text").to_ascii_lowercase()));
            let credentials = identity["federatedCredentials"].as_array().expect("a list");
            assert!((1..=20).contains(&credentials.len()), "{}", case.display());
            let of = |key: &str| credentials.iter().map(|one| one[key].as_str().expect("text")).collect::<Vec<_>>();
            let names = of("name");
            assert!(names.iter().all(|name| (3..=120).contains(&name.len())));
            let plain = |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            assert!(names.iter().all(plain), "{names:?}");
            assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "a name twice");
            let pairs: HashSet<_> = of("issuer").into_iter().zip(of("subject")).collect();
            assert_eq!(pairs.len(), credentials.len(), "an issuer and subject twice");
        }
    }
}

/// A stream that is turned round is the same plan.
#[test]
fn documents_may_come_in_any_order() {
    for case in cases("federation") {
        let input = support::read(&case.join("input.yaml"));
        let mut documents: Vec<_> = input.split("\n---\n").collect();
        documents.reverse();
        let mut command = hcp_identity();
        let output = pipe(command.args(["azure", "plan", "-o", "json"]), documents.join("\n---\n").as_bytes());
        assert_eq!(text(output.stdout), plan(&case, &["-o", "json"]).0, "{}", case.display());
    }
}

/// Control characters of an input never reach the terminal: a tenant is whatever stands there.
#[test]
fn a_plan_carries_no_escape_sequences() {
    let case = support::testdata("federation").join("two-components-of-one-identity/input.yaml");
    let tenant = "64dc69e4-d083-49fc-9569-ebece1dd1408";
    let input = support::read(&case).replace(tenant, "\"\\e]0;x\\a\\u202e\"");
    let output = pipe(hcp_identity().args(["azure", "plan"]), input.as_bytes());
    for shown in [text(output.stdout), text(output.stderr)] {
        assert!(shown.contains("]0;x"), "{shown:?}");
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()) && !shown.contains('\u{202e}'), "{shown:?}");
    }
}
