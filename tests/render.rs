//! `render`, from outside: the built binary over `testdata/render/<case>/`.

#![allow(clippy::expect_used, reason = "these are parts of tests")]

mod support;

use std::path::Path;

use support::{arguments, cases, expected_exit, golden, hcp_identity, run_case, text};

fn render(case: &Path, more: &[&str]) -> (String, String, i32) {
    run_case("render", case, more)
}

#[test]
fn every_case_renders_what_is_on_disk() {
    for case in cases("render") {
        let (stdout, stderr, exit) = render(&case, &[]);
        golden(&case.join("expected.yaml"), &stdout);
        golden(&case.join("expected.stderr"), &stderr);
        assert_eq!(exit, expected_exit(&stderr), "{}", case.display());
        assert_eq!(render(&case, &[]).0, stdout, "{} twice", case.display());
    }
}

/// A second pass over what came out changes nothing, whatever the case.
#[test]
fn what_is_rendered_is_wired_already() {
    for case in cases("render") {
        let (first, ..) = render(&case, &[]);
        let input = support::read(&case.join("input.yaml")).replace("\r\n", "\n");
        let clusters = input.split("\n---\n").filter(|document| document.contains("kind: HostedCluster"));
        let input = clusters.chain([first.as_str()]).collect::<Vec<_>>().join("\n---\n");
        let mut command = hcp_identity();
        command.current_dir(&case).arg("render").args(arguments(&case));
        let second = text(support::pipe(&mut command, input.as_bytes()).stdout);
        let workloads = |yaml: &str| -> Vec<String> {
            let is_workload = |document: &&str| {
                !document.contains("\nkind: SecretProviderClass") && !document.contains("\nkind: AzureClusterIdentity")
            };
            let mut all: Vec<_> =
                yaml.split("---\n").filter(is_workload).filter(|text| !text.is_empty()).map(str::to_owned).collect();
            all.dedup();
            all
        };
        assert_eq!(workloads(&second), workloads(&first), "{}", case.display());
    }
}

/// JSON output carries the same objects, and the findings as JSON.
#[test]
fn json_says_the_same_as_yaml() {
    for case in cases("render") {
        let (yaml, words, _) = render(&case, &[]);
        let (json, findings, exit) = render(&case, &["-o", "json"]);
        let list: serde_json::Value = serde_json::from_str(&json).expect("a List");
        assert_eq!(list["kind"], "List");
        let from_yaml: Vec<serde_json::Value> =
            if yaml.is_empty() { Vec::new() } else { serde_saphyr::from_multiple(&yaml).expect("a YAML stream") };
        assert_eq!(list["items"].as_array().expect("items"), &from_yaml, "{}", case.display());
        let findings: serde_json::Value = serde_json::from_str(&findings).expect("findings");
        let errors =
            findings["findings"].as_array().expect("a list").iter().filter(|f| f["severity"] == "error").count();
        assert_eq!(errors, words.lines().filter(|line| line.starts_with("error[")).count(), "{}", case.display());
        assert_eq!(exit, i32::from(errors > 0));
    }
}

/// Turning or rotating the documents of a stream changes no byte of the output.
#[test]
fn documents_may_come_in_any_order() {
    for case in cases("render") {
        let input = support::read(&case.join("input.yaml"));
        let input = input.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        let mut documents: Vec<_> = input.split("\n---\n").collect();
        let render = |documents: &[&str]| {
            let mut command = hcp_identity();
            command.current_dir(&case).arg("render").args(arguments(&case));
            text(support::pipe(&mut command, documents.join("\n---\n").as_bytes()).stdout)
        };
        let as_they_are = render(&documents);
        documents.reverse();
        assert_eq!(render(&documents), as_they_are, "{} reversed", case.display());
        for turn in 1..documents.len().min(4) {
            documents.rotate_left(turn);
            assert_eq!(render(&documents), as_they_are, "{} rotated", case.display());
        }
    }
}
