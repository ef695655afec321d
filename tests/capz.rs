//! `hcp-identity capz`, from outside: the built binary over `testdata/capz/<command>/<case>/`.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are parts of tests")]

mod support;

use std::{path::Path, sync::Arc};

use hcp_identity::{
    capz::{Checker, IdentityId, Wiring, is_tenant, wire as wire_stream},
    finding::Finding,
    manifest::{Documents, Limits},
    names::Namespace,
};
use serde_json::Value;
use support::{arguments, cases, golden, hcp_identity, pipe, read, text};

const NODES: &str = "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/nodes/providers/Microsoft.ManagedIdentity/userAssignedIdentities/nodes";

/// Runs a subcommand on standard input: exit code, stdout, stderr.
fn capz(command: &str, arguments: &[String], input: &[u8]) -> (i32, String, String) {
    let output = pipe(hcp_identity().args(["capz", command]).args(arguments), input);
    (output.status.code().expect("it exits"), text(output.stdout), text(output.stderr))
}

fn wire(case: &Path, input: &[u8]) -> (i32, String, String) {
    capz("wire", &arguments(case), input)
}

fn objects(stream: &str) -> Vec<Value> {
    let mut objects = Vec::new();
    let mut documents = Documents::new(stream.as_bytes(), Limits::default());
    while let Some(document) = documents.next_document().unwrap() {
        document.objects(&Limits::default(), &mut |object| objects.push(object.node.to_value())).unwrap();
    }
    objects
}

#[test]
fn every_case_is_wired_as_on_disk() {
    for case in cases("capz/wire") {
        let (exit, stdout, stderr) = wire(&case, read(&case.join("input.yaml")).as_bytes());
        golden(&case.join("expected.yaml"), &stdout);
        golden(&case.join("expected.stderr"), &stderr);
        assert_eq!(exit, support::expected_exit(&stderr), "{}", case.display());
        assert_eq!(stdout.is_empty(), exit == 1, "{}: half a stream", case.display());
    }
}

#[test]
fn what_has_been_wired_is_not_changed_again() {
    for case in cases("capz/wire") {
        let expected = read(&case.join("expected.yaml"));
        if !expected.is_empty() {
            let (exit, stdout, stderr) = wire(&case, expected.as_bytes());
            assert_eq!((exit, stdout), (0, expected), "{}: {stderr}", case.display());
            assert!(!stderr.contains("wired Azure"), "{}: {stderr}", case.display());
        }
    }
}

/// Lines that are there before and after are there in the same order, whatever their ends are.
#[test]
fn line_ends_marks_and_neighbours_stay() {
    for case in cases("capz/wire") {
        let (input, expected) = (read(&case.join("input.yaml")), read(&case.join("expected.yaml")));
        if expected.is_empty() {
            continue;
        }
        let windows = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
        assert_eq!(wire(&case, windows(&input).as_bytes()).1, windows(&expected), "{}", case.display());
        let unfinished = |text: &str| text.trim_end_matches('\n').to_owned();
        assert_eq!(wire(&case, unfinished(&input).as_bytes()).1, unfinished(&expected), "{}", case.display());
    }
}

/// The fields of CAPZ's CRDs, as far as a manifest that has been wired uses them.
const IDENTITY_FIELDS: [&str; 4] = ["type", "clientID", "tenantID", "allowedNamespaces"];

#[test]
fn what_is_wired_is_what_capz_documents() {
    let mut seen = 0;
    for case in cases("capz/wire") {
        for object in objects(&read(&case.join("expected.yaml"))) {
            let spec = &object["spec"];
            let machine = match object["kind"].as_str().unwrap() {
                "AzureClusterIdentity" => {
                    assert_eq!(spec["type"], "WorkloadIdentity");
                    let fields: Vec<_> = spec.as_object().unwrap().keys().collect();
                    assert!(fields.iter().all(|field| IDENTITY_FIELDS.contains(&field.as_str())), "{fields:?}");
                    assert!(IDENTITY_FIELDS.iter().all(|field| !spec[field].is_null()), "{spec}");
                    seen += 1;
                    continue;
                }
                "AzureMachineTemplate" => &spec["template"]["spec"],
                "AzureMachinePool" => spec,
                _ => continue,
            };
            assert_eq!(machine["identity"], "UserAssigned");
            let id = machine["userAssignedIdentities"][0]["providerID"].as_str().unwrap();
            assert!(IdentityId::new(id).is_ok(), "{id}");
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen}");
}

#[test]
fn ids_that_azure_cannot_have_are_usage_errors() {
    for (flag, bad) in [
        ("--client-id", "me"),
        ("--tenant-id", "a b"),
        ("--tenant-id", ""),
        ("--allowed-namespace", "Default"),
        ("--user-assigned-identity", ""),
        ("--user-assigned-identity", "nodes"),
        ("--user-assigned-identity", &NODES.replace("nodes/providers", "a b/providers")),
        ("--user-assigned-identity", &NODES.replace("Microsoft.ManagedIdentity", "Microsoft.Compute")),
        ("--user-assigned-identity", &format!("{NODES}/x")),
        ("--user-assigned-identity", &format!("{NODES}\n")),
    ] {
        let (exit, stdout, stderr) = capz("wire", &[flag.into(), bad.into()], b"");
        assert_eq!((exit, stdout.as_str()), (2, ""), "{flag} {bad}: {stderr}");
        assert!(stderr.contains(flag), "{stderr}");
    }
}

#[test]
fn a_file_is_read_as_standard_input_is() {
    let case = &cases("capz/wire")[0];
    let output = hcp_identity().current_dir(case).args(["capz", "wire", "-f", "missing.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let output = hcp_identity().current_dir(case).args(["capz", "wire", "-f", "input.yaml"]).output().unwrap();
    assert!(text(output.stderr).contains("input.yaml:"));
}

fn wiring() -> Wiring {
    Wiring {
        machine_identity: Some(IdentityId::new(NODES).unwrap()),
        allowed_namespaces: vec![Namespace::new("default").unwrap()],
        ..Wiring::default()
    }
}

fn wired(stream: &str) -> Result<String, Vec<Finding>> {
    let mut findings = Vec::new();
    let source: Arc<str> = "stream".into();
    let wired = wire_stream(&source, stream.as_bytes(), &wiring(), &mut |finding| findings.push(finding)).unwrap();
    wired.map(|wired| String::from_utf8(wired.text).unwrap()).ok_or(findings)
}

/// Each of its documents as text, or what else is between separators.
fn documents(stream: &str) -> Vec<String> {
    let mut documents = Documents::new(stream.as_bytes(), Limits::default());
    let mut texts = Vec::new();
    while let Some(document) = documents.next_document().unwrap() {
        texts.push(document.text().unwrap_or_default().to_owned());
    }
    texts
}

fn is_target(document: &str) -> bool {
    ["AzureClusterIdentity", "AzureMachine"].iter().any(|kind| document.contains(kind))
}

/// Every line of every case dropped, doubled, moved in and out, and cut off.
#[test]
fn streams_that_are_nearly_right_are_wired_whole_or_refused() {
    let mut wired_ones = 0;
    for case in cases("capz/wire") {
        let stream = read(&case.join("input.yaml"));
        let case = case.display();
        let lines: Vec<_> = stream.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let with = |changed: &[String]| {
                let kept = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
                let changed: String = changed.iter().map(|line| format!("{line}\n")).collect();
                kept(&lines[..at]) + &changed + &kept(&lines[at + 1..])
            };
            for tweaked in [
                with(&[]),
                with(&[line.to_string(), line.to_string()]),
                with(&[format!("  {line}")]),
                with(&[line.strip_prefix(' ').unwrap_or(line).to_owned()]),
                with(&[line.chars().take(line.chars().count() / 2).collect()]),
                with(&[format!("{line} |")]),
                with(&[format!("{line}\t# ä\u{1f600}")]),
            ] {
                let Ok(result) = wired(&tweaked) else { continue };
                wired_ones += 1;
                assert_eq!(wired(&result).as_ref(), Ok(&result), "{case}, line {at}: {tweaked}");
                let before: Vec<_> = documents(&tweaked).into_iter().filter(|text| !is_target(text)).collect();
                let after: Vec<_> = documents(&result).into_iter().filter(|text| !is_target(text)).collect();
                assert_eq!(before, after, "{case}, line {at}");
            }
        }
    }
    assert!(wired_ones > 500, "{wired_ones}");
}

#[test]
fn identities_are_resource_ids() {
    let with_scheme = format!("azure://{NODES}");
    assert_eq!(IdentityId::new(&with_scheme), IdentityId::new(NODES));
    assert_eq!(IdentityId::new(NODES).unwrap().provider_id(), with_scheme);
    assert!(IdentityId::new(&NODES.to_lowercase()).is_ok());
    assert!(is_tenant("contoso.com") && !is_tenant("contoso") && !is_tenant("a..b") && !is_tenant(""));
}

#[test]
fn every_case_is_checked_as_on_disk() {
    for case in cases("capz/check") {
        let (exit, stdout, stderr) = check(&case, &[]);
        golden(&case.join("expected.txt"), &stdout);
        golden(&case.join("expected.stderr"), &stderr);
        assert_eq!(exit, support::expected_exit(&stdout), "{}", case.display());
    }
}

fn check(case: &Path, more: &[&str]) -> (i32, String, String) {
    let mut arguments = arguments(case);
    arguments.extend(more.iter().map(ToString::to_string));
    capz("check", &arguments, read(&case.join("input.yaml")).as_bytes())
}

/// The order of documents and files tells nothing.
#[test]
fn objects_are_held_against_each_other_in_whatever_order_they_come() {
    for case in cases("capz/check") {
        let input = read(&case.join("input.yaml"));
        let reversed: Vec<_> = input.split("---\n").collect();
        let reversed: String = reversed.iter().rev().map(|document| format!("---\n{document}")).collect();
        let (_, stdout, _) = check(&case, &[]);
        let (_, of_reversed, _) = capz("check", &arguments(&case), reversed.as_bytes());
        let reasons = |text: &str| {
            let mut reasons: Vec<_> = text.lines().map(|line| line[..=line.find(']').unwrap()].to_owned()).collect();
            reasons.sort();
            reasons
        };
        assert_eq!(reasons(&stdout), reasons(&of_reversed), "{}", case.display());
    }
}

#[test]
fn machines_read_findings_as_json() {
    let case = support::testdata("capz/check").join("issuers-that-differ");
    let (exit, stdout, stderr) = check(&case, &["-o", "json"]);
    assert_eq!((exit, stderr.as_str()), (1, ""));
    let answer: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(answer["findings"][0]["field"], "nodes[0].kubeadmConfigPatches[0]");
    assert!(answer["findings"].as_array().unwrap().iter().any(|finding| finding["reason"] == "IssuerMismatch"));
}

/// What `wire` has made of a stream has nothing that `check` finds wrong with it.
#[test]
fn what_has_been_wired_passes_the_check() {
    for case in cases("capz/wire") {
        let wired = read(&case.join("expected.yaml"));
        if !wired.is_empty() {
            let (exit, stdout, _) = capz("check", &[], wired.as_bytes());
            assert_eq!((exit, stdout.as_str()), (0, ""), "{}", case.display());
        }
    }
}

/// Every line of every case dropped, doubled and cut: the checker looks at anything.
#[test]
fn manifests_that_are_nearly_right_are_checked() {
    for case in cases("capz/check") {
        let input = read(&case.join("input.yaml"));
        let lines: Vec<_> = input.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            for changed in ["", &format!("{line}\n{line}"), &line[..line.len() / 2], &line.replace(": ", ": [] # ")] {
                let tweaked = [&lines[..at].join("\n"), "\n", changed, "\n", &lines[at + 1..].join("\n")].concat();
                let mut count = 0;
                let mut add = |_| count += 1;
                let mut checker = Checker::new(None, Limits::default(), &mut add);
                checker.read(&"stream".into(), tweaked.as_bytes()).unwrap();
                assert!(checker.finish().documents > 0 || count == 0);
            }
        }
    }
}
