//! `validate`, from outside: the built binary over `testdata/validate/<case>/`.

#![allow(clippy::expect_used, reason = "these are parts of tests")]

mod support;

use std::path::Path;

use support::{cases, expected_exit, golden, hcp_identity, run_case};

fn validate(case: &Path, more: &[&str]) -> (String, String, i32) {
    run_case("validate", case, more)
}

#[test]
fn every_case_finds_what_is_on_disk() {
    for case in cases("validate") {
        let (stdout, stderr, exit) = validate(&case, &[]);
        golden(&case.join("expected.txt"), &stdout);
        golden(&case.join("expected.stderr"), &stderr);
        let refused = expected_exit(&stdout) == 1 || stdout.contains("\"severity\":\"error\"");
        assert_eq!(exit, i32::from(refused), "{}", case.display());
    }
}

/// `validate` refuses exactly the inputs that `render` refuses, where nothing but HostedClusters is in them.
#[test]
fn validate_and_render_refuse_the_same() {
    for area in ["validate", "render"] {
        for case in cases(area).into_iter().filter(|case| !case.join("arguments").exists()) {
            let run = |command: &str| {
                let output =
                    hcp_identity().current_dir(&case).args([command, "-f", "input.yaml"]).output().expect("it starts");
                output.status.code()
            };
            let only_render =
                ["a-workload-that-is-in-the-way-is-not-printed", "a-workload-that-stands-there-twice-is-not-printed"]
                    .iter()
                    .any(|name| case.ends_with(name));
            assert_eq!(run("validate") == run("render"), !only_render, "{}", case.display());
        }
    }
}

/// Whatever HyperShift's CRD refuses is refused without the flag as well.
#[test]
fn the_flag_only_takes_findings_away() {
    for case in cases("validate").into_iter().filter(|case| !case.join("arguments").exists()) {
        let (all, ..) = validate(&case, &[]);
        let (crd, ..) = validate(&case, &["--crd-only"]);
        for line in crd.lines() {
            assert!(all.lines().any(|other| other == line), "{}: {line}", case.display());
        }
    }
}
