//! `hcp-identity capz`, from outside: the built binary over `testdata/capz/<command>/<case>/`, and the files that it writes.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are parts of tests")]
#![allow(clippy::disallowed_methods, reason = "this is about files")]

mod support;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
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
    check_input(arguments, &read(&case.join("input.yaml")))
}

fn check_input(mut arguments: Vec<String>, input: &str) -> (i32, String, String) {
    arguments.extend(["-f".to_owned(), "-".to_owned()]);
    capz("check", &arguments, input.as_bytes())
}

/// The order of documents and files tells nothing.
#[test]
fn objects_are_held_against_each_other_in_whatever_order_they_come() {
    for case in cases("capz/check") {
        let input = read(&case.join("input.yaml"));
        let reversed: Vec<_> = input.split("---\n").collect();
        let reversed: String = reversed.iter().rev().map(|document| format!("---\n{document}")).collect();
        let (_, stdout, _) = check(&case, &[]);
        let (_, of_reversed, _) = check_input(arguments(&case), &reversed);
        let reasons = |text: &str| {
            let mut reasons: Vec<_> = text.lines().map(|line| line[..=line.find(']').unwrap()].to_owned()).collect();
            reasons.sort();
            reasons
        };
        assert_eq!(reasons(&stdout), reasons(&of_reversed), "{}", case.display());
    }
}

#[cfg(feature = "cluster")]
#[test]
fn without_manifests_a_cluster_is_looked_at() {
    let (exit, stdout, stderr) = capz("check", &[], b"kind: AzureCluster");
    assert_eq!((exit, stdout.as_str()), (2, ""));
    assert!(stderr.contains("standard input with -f -") && stderr.contains("--kubeconfig"), "{stderr}");
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
            let (exit, stdout, _) = check_input(Vec::new(), &wired);
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

#[test]
fn every_plan_is_as_on_disk() {
    for case in cases("capz/plan") {
        let (exit, stdout, stderr) = capz("plan", &arguments(&case), b"");
        golden(&case.join("expected.txt"), &stdout);
        assert_eq!((exit, stderr.as_str()), (0, ""), "{}", case.display());
    }
}

/// A plan for an identity passes the check, whatever its type is.
#[test]
fn what_is_planned_passes_the_check() {
    let mut types = BTreeSet::new();
    for case in cases("capz/plan") {
        let folder = empty(&case.file_name().unwrap().to_string_lossy());
        let mut with_folder: Vec<_> = arguments(&case);
        with_folder.extend(["--output-dir".to_owned(), folder.display().to_string()]);
        assert_eq!(capz("plan", &with_folder, b"").0, 0);
        let path = folder.join("azure-cluster-identity.yaml");
        if let Some(identity) = objects(&read(&path)).first() {
            types.insert(identity["spec"]["type"].as_str().unwrap().to_owned());
            let (exit, stdout, _) = capz("check", &["-f".into(), path.display().to_string()], b"");
            assert_eq!((exit, stdout.as_str()), (0, ""), "{}", case.display());
        }
    }
    assert_eq!(types.len(), 6, "{types:?}");
}

/// An empty folder of this test's own.
fn empty(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("capz").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").current_dir(folder).args(arguments).output().expect("openssl is installed");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A pair as CAPZ's documentation has people make it.
fn pair(folder: &Path, bits: &str) {
    openssl(folder, &["genrsa", "-out", "sa.key", bits]);
    openssl(folder, &["rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"]);
}

const OF_TOKENS: [&str; 12] = [
    "capz",
    "plan",
    "--cluster-name",
    "prod",
    "--issuer",
    "https://oidc.example.com/prod/",
    "--tenant-id",
    "99999999-2222-4333-8444-555555555555",
    "--private-key",
    "sa.key",
    "--public-key",
    "sa.pub",
];

fn plan(folder: &Path, more: &[&str]) -> (i32, String, String) {
    let output = hcp_identity().current_dir(folder).args(OF_TOKENS).args(more).output().expect("it starts");
    (output.status.code().expect("it exits"), text(output.stdout), text(output.stderr))
}

#[test]
fn the_files_of_a_plan_belong_together() {
    let folder = empty("files");
    pair(&folder, "2048");
    let flags = ["--client-id", "2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11", "--output-dir", "out"];
    let (exit, stdout, stderr) = plan(&folder, &flags);
    assert_eq!((exit, stderr.as_str()), (0, ""));
    for name in ["azure-cluster-identity.yaml", "kind.yaml", "openid-configuration", "jwks", "prod-sa.yaml"] {
        assert!(stdout.contains(&format!("created: out/{name}\n")), "{stdout}");
        let mode = fs::metadata(folder.join("out").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let file = |name: &str| read(&folder.join("out").join(name));
    let secret = &objects(&file("prod-sa.yaml"))[0];
    assert_eq!(secret["metadata"]["labels"]["cluster.x-k8s.io/cluster-name"], "prod");
    let data = |key: &str| BASE64_STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap();
    assert_eq!(data("tls.key"), fs::read(folder.join("sa.key")).unwrap());
    assert_eq!(data("tls.crt"), fs::read(folder.join("sa.pub")).unwrap());

    let keys: Value = serde_json::from_str(&file("jwks")).unwrap();
    let id = keys["keys"][0]["kid"].as_str().unwrap();
    assert!(stdout.contains(&format!("key id    {id}\n")), "{stdout}");
    let discovery: Value = serde_json::from_str(&file("openid-configuration")).unwrap();
    assert_eq!(discovery["issuer"], "https://oidc.example.com/prod/");
    assert!(stdout.contains(discovery["jwks_uri"].as_str().unwrap()));

    let checked = ["capz", "check", "-f", "out", "--issuer", "https://oidc.example.com/prod/"];
    let output = hcp_identity().current_dir(&folder).args(checked).output().unwrap();
    assert_eq!((output.status.code(), text(output.stdout).as_str()), (Some(0), ""));

    let (_, again, _) = plan(&folder, &flags);
    assert_eq!(again.matches("kept: ").count(), 5, "{again}");
    let (_, without_folder, _) = plan(&folder, &[]);
    let (_, as_json, _) = plan(&folder, &["-o", "json"]);
    let private = read(&folder.join("sa.key"));
    let lines: Vec<_> = private.lines().filter(|line| !line.starts_with("---")).collect();
    let encoded = secret["data"]["tls.key"].as_str().unwrap();
    for printed in [&stdout, &again, &without_folder, &as_json] {
        assert!(!lines.iter().any(|line| printed.contains(line)) && !printed.contains(encoded), "a key is printed");
    }
}

/// Tokens of the old pair are good until they end.
#[test]
fn keys_of_the_file_stay_beside_that_of_another_pair() {
    let folder = empty("keys");
    let ids = || {
        let keys: Value = serde_json::from_str(&read(&folder.join("out/jwks"))).unwrap();
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].to_string()).collect::<Vec<_>>()
    };
    pair(&folder, "2048");
    assert_eq!(plan(&folder, &["--output-dir", "out"]).0, 0);
    let old = ids();
    pair(&folder, "2048");
    let (_, stdout, _) = plan(&folder, &["--output-dir", "out"]);
    assert!(stdout.contains("replaced: out/jwks\n"), "{stdout}");
    assert_eq!((ids().len(), &ids()[1]), (2, &old[0]));
}

#[test]
fn files_that_are_no_pair_are_refused_before_anything_is_written() {
    let folder = empty("no-pair");
    pair(&folder, "2048");
    let tweaks: [(&str, &dyn Fn()); 4] = [
        ("do not belong together", &|| openssl(&folder, &["genrsa", "-out", "sa.key", "2048"])),
        ("is a key of 1024 bits", &|| pair(&folder, "1024")),
        ("the private key has no PEM block", &|| {
            pair(&folder, "2048");
            fs::write(folder.join("sa.key"), "x").unwrap();
        }),
        ("cannot read sa.pub", &|| fs::remove_file(folder.join("sa.pub")).unwrap()),
    ];
    for (says, tweak) in tweaks {
        tweak();
        let (exit, stdout, stderr) = plan(&folder, &["--output-dir", "out"]);
        assert_eq!((exit, stdout.as_str()), (2, ""), "{says}: {stderr}");
        assert!(stderr.contains(says), "{says}: {stderr}");
        assert!(!folder.join("out").exists());
    }
}

#[test]
fn a_private_key_that_others_can_read_is_told() {
    let folder = empty("open");
    pair(&folder, "2048");
    fs::set_permissions(folder.join("sa.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let (exit, _, stderr) = plan(&folder, &[]);
    assert_eq!((exit, stderr.as_str()), (0, "sa.key can be read by others: chmod 600 it\n"));
}

#[test]
fn flags_of_another_type_are_usage_errors() {
    let run = |more: &[&str]| {
        let all = ["--cluster-name", "prod", "--tenant-id", "contoso.com"].iter().chain(more);
        let (exit, stdout, stderr) = capz("plan", &all.map(ToString::to_string).collect::<Vec<_>>(), b"");
        assert_eq!((exit, stdout.as_str()), (2, ""), "{more:?}");
        stderr
    };
    assert!(run(&[]).contains("needs --issuer\n"));
    assert!(run(&["--identity-type", "ServicePrincipal"]).contains("needs --secret-name\n"));
    assert!(
        run(&["--identity-type", "ServicePrincipalCertificate"])
            .contains("needs either --secret-name or --certificate-path\n")
    );
    assert!(run(&["--identity-type", "UserAssignedIdentityCredential"]).contains("needs --credentials-path\n"));
    assert!(run(&["--identity-type", "UserAssignedMSI", "--issuer", "https://x"]).contains("--issuer is for another"));
    let both = ["--identity-type", "ServicePrincipalCertificate", "--secret-name", "a", "--certificate-path", "/b"];
    assert!(run(&both).contains("needs either --secret-name or --certificate-path\n"));
    assert!(run(&["--issuer", "http://x"]).contains("must be an https URL"));
    assert!(run(&["--issuer", "https://x", "--subscription-id", "x"]).contains("must be a UUID"));
    assert!(run(&["--issuer", "https://x", "--private-key", "x"]).contains("--public-key"));
}
