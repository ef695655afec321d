//! What the compiler does not check of the structure: who may know whom, and that nothing lies about unused.

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use std::path::{Path, PathBuf};

use support::{read, testdata};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[expect(clippy::disallowed_methods, reason = "this test is about files")]
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The top-level module that a source file belongs to.
fn module_of(file: &Path) -> String {
    let relative = file.strip_prefix(root().join("src")).expect("a source file");
    let first = relative.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// Code without comments, tests and the modules that are only compiled for tests.
fn production_code(file: &Path) -> String {
    let text = read(file);
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Each module and what it may use of the others: arrows go one way.
const ARROWS: [(&str, &[&str]); 38] = [
    ("finding", &[]),
    ("clouds", &[]),
    ("names", &[]),
    ("component", &["finding"]),
    ("settings", &["component", "manifest", "names", "workload_identity"]),
    ("manifest", &["finding"]),
    ("crd", &["clouds", "finding", "names"]),
    ("credential", &["clouds", "finding", "names"]),
    ("explain", &["finding", "names"]),
    ("verification", &["credential", "plan"]),
    ("azure", &["assertion", "clouds", "credential", "explain", "finding"]),
    ("arm", &["azure", "explain", "finding", "names", "provision"]),
    ("vault", &["assertion", "azure", "clouds", "credential", "explain", "finding", "names", "verification"]),
    ("assertion", &["credential"]),
    ("watched", &[]),
    ("workload_identity", &["clouds"]),
    ("mounted", &["assertion", "component", "credential", "names", "watched"]),
    ("plan", &["component", "finding", "names", "settings"]),
    ("policies", &["component", "plan", "settings"]),
    ("admission", &["component", "condition", "finding", "plan", "workload_identity"]),
    ("webhook", &["admission", "workload_identity"]),
    ("provision", &["component", "credential", "finding", "input", "manifest", "names", "namespaces", "plan"]),
    ("capz", &["credential", "finding", "input", "manifest", "names", "provision"]),
    ("certificates", &["credential", "finding", "plan"]),
    ("condition", &[]),
    ("ledger", &[]),
    ("observed", &["component", "condition", "finding", "plan", "verification"]),
    ("freshness", &["component", "condition", "observed", "plan", "verification"]),
    ("diff", &["component", "condition", "finding", "ledger", "observed", "plan", "settings", "verification"]),
    ("pause", &["condition", "diff", "observed", "settings"]),
    (
        "status",
        &["component", "condition", "diff", "finding", "freshness", "observed", "plan", "settings", "verification"],
    ),
    ("rotation", &["component", "observed", "status", "verification"]),
    ("input", &["crd", "finding", "manifest", "plan"]),
    ("namespaces", &["finding", "input", "manifest", "names"]),
    ("render", &["component", "finding", "input", "manifest", "namespaces", "plan", "policies", "settings"]),
    ("validate", &["finding", "input", "manifest", "namespaces"]),
    (
        "cluster",
        &[
            "admission",
            "capz",
            "certificates",
            "component",
            "condition",
            "credential",
            "diff",
            "explain",
            "finding",
            "freshness",
            "ledger",
            "manifest",
            "names",
            "observed",
            "pause",
            "plan",
            "policies",
            "rotation",
            "settings",
            "status",
            "verification",
            "watched",
            "workload_identity",
        ],
    ),
    (
        "cli",
        &[
            "arm",
            "azure",
            "capz",
            "clouds",
            "cluster",
            "credential",
            "diff",
            "explain",
            "finding",
            "input",
            "manifest",
            "names",
            "policies",
            "provision",
            "render",
            "settings",
            "status",
            "validate",
            "vault",
            "verification",
            "webhook",
            "workload_identity",
        ],
    ),
];

#[test]
fn modules_use_only_what_is_below_them() {
    for file in files(&root().join("src"), "rs") {
        let module = module_of(&file);
        if ["lib", "main", "testing"].contains(&module.as_str()) || file.ends_with("tests.rs") {
            continue;
        }
        let (_, allowed) = ARROWS
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("{} is in no module of the table above", file.display()));
        let code = production_code(&file);
        for (other, _) in ARROWS.iter().filter(|(other, _)| *other != module && !allowed.contains(other)) {
            let nested = code.contains(&format!("    {other}::")) && code.contains("use crate::{");
            let used =
                code.contains(&format!("crate::{other}::")) || code.contains(&format!("crate::{{{other}")) || nested;
            assert!(!used, "{} uses {other}, which is not below it", file.display());
        }
    }
}

/// Only the table knows a component by name.
#[test]
fn nothing_outside_the_table_names_a_component() {
    let of_a_row =
        ["managed-azure-", "-cert\"", "/mnt/certs", "/mnt/kms", "/var/run/secrets/azure\"", " Id::", "(Id::"];
    for file in files(&root().join("src"), "rs") {
        if module_of(&file) == "component" || file.ends_with("tests.rs") || file.ends_with("testing.rs") {
            continue;
        }
        let code = production_code(&file);
        for text in of_a_row {
            assert!(!code.contains(text), "{} knows {text}", file.display());
        }
    }
}

#[test]
fn every_source_file_is_declared_by_a_mod() {
    for folder in
        ["src", "api/src", "hack/azure-standin/src", "hack/model/src", "hack/hypershift-sim/src", "hack/xtask/src"]
    {
        for file in files(&root().join(folder), "rs") {
            let stem = file.file_stem().expect("a name").to_string_lossy().into_owned();
            let parent = file.parent().expect("a folder");
            let declared_in = match stem.as_str() {
                "lib" | "main" => continue,
                "mod" => parent.parent().expect("a folder"),
                _ => parent,
            };
            let name =
                if stem == "mod" { parent.file_name().expect("a name").to_string_lossy().into_owned() } else { stem };
            let declared = ["lib.rs", "main.rs", "mod.rs"].iter().any(|owner| {
                read(&declared_in.join(owner)).lines().any(|line| {
                    line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").trim() == format!("mod {name};")
                })
            });
            assert!(declared, "{} is declared by no mod", file.display());
        }
    }
}

#[test]
fn every_case_of_testdata_is_run() {
    for case in files(&testdata(""), "yaml") {
        if case.starts_with(testdata("cluster")) || case.starts_with(testdata("azure")) {
            continue;
        }
        let name = case.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(
            ["input.yaml", "expected.yaml", "settings.yaml"].contains(&name.as_str()),
            "{} is read by no test",
            case.display()
        );
        let area = case.strip_prefix(testdata("")).expect("testdata").components().next().expect("an area");
        let area = area.as_os_str().to_string_lossy().into_owned();
        assert!(
            ["render", "validate", "federation", "cluster", "workload_identity", "capz"].contains(&area.as_str()),
            "testdata/{area} is run by no test"
        );
    }
}

/// Every rule is constructed somewhere and seen by some test or golden case.
#[test]
fn every_reason_is_shown_by_a_test() {
    use strum::IntoEnumIterator as _;
    let sources: String = files(&root().join("src"), "rs").iter().map(|file| production_code(file)).collect();
    let tests: String = files(&root().join("src"), "rs")
        .iter()
        .filter(|file| file.ends_with("tests.rs"))
        .chain(&files(&testdata(""), "stderr"))
        .chain(&files(&testdata(""), "txt"))
        .chain(&files(&root().join("tests"), "rs"))
        .map(|file| read(file))
        .collect();
    for reason in hcp_identity::finding::Reason::iter() {
        assert!(sources.contains(&format!("Reason::{reason}")), "nothing reports {reason}");
        let shown = tests.contains(&format!("[{reason}]")) || tests.contains(&format!("Reason::{reason}"));
        assert!(shown, "no test and no golden case shows {reason}");
        assert!(
            read(&root().join("docs/findings.md")).contains(&format!("`{reason}`")),
            "docs/findings.md does not explain {reason}"
        );
    }
}

/// What the daemon says is explained where people look it up.
#[test]
fn every_state_is_explained() {
    use strum::IntoEnumIterator as _;
    let documented = read(&root().join("docs/status.md"));
    let sources: String = files(&root().join("src"), "rs").iter().map(|file| production_code(file)).collect();
    for reason in hcp_identity::condition::Reason::iter() {
        assert!(documented.contains(&format!("| `{reason}` |")), "docs/status.md does not explain {reason}");
        assert!(sources.contains(&format!("Reason::{reason}")), "nothing says {reason}");
    }
}

/// The documentation of the command line is its help.
#[test]
fn every_flag_is_documented() {
    let documented = read(&root().join("docs/cli.md"));
    for command in [
        "render",
        "validate",
        "diff",
        "run",
        "status",
        "release",
        "crds",
        "check credential",
        "check vault",
        "check cluster",
        "explain",
        "azure create-key-pair",
        "azure create-oidc-issuer",
        "azure delete",
        "azure create-managed-identities",
        "azure create-all",
        "azure apply",
        "azure plan",
        "capz plan",
        "capz apply",
        "capz wire",
        "capz check",
        "completions",
    ] {
        let words = command.split(' ').chain(["--help"]);
        let output = support::hcp_identity().args(words).output().expect("it starts");
        let help = support::text(output.stdout);
        assert!(documented.contains(&format!("## {command}\n")), "docs/cli.md does not know {command}");
        let options = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
        for flag in options.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--"))) {
            // The value of some may be left out.
            let flag = flag.split('[').next().unwrap_or(flag);
            assert!(documented.contains(flag), "docs/cli.md does not know {command} {flag}");
        }
    }
}

/// Small files: a limit that starts a conversation.
#[test]
fn files_stay_readable() {
    for file in files(&root().join("src"), "rs") {
        let lines = read(&file).lines().count();
        let table_or_tests = module_of(&file) == "component" || file.ends_with("tests.rs");
        assert!(lines <= if table_or_tests { 650 } else { 450 }, "{} has {lines} lines", file.display());
    }
    assert!(read(&root().join("src/main.rs")).lines().count() <= 40);
}
