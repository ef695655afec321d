//! What becomes of a pod that asks for a workload identity, case by case.

#![allow(clippy::expect_used, reason = "these are parts of tests")]

mod support;

use std::path::Path;

use hcp_identity::workload_identity::mutate;
use serde_json::{Value, json};
use support::{
    cases, golden, read, testdata,
    workload_identity::{account, settings},
};

fn yaml(path: &Path) -> Value {
    let text = read(path);
    if text.is_empty() { json!({}) } else { serde_saphyr::from_str(&text).expect("YAML") }
}

fn outcome(case: &Path) -> Value {
    let (input, setup) = (yaml(&case.join("input.yaml")), yaml(&case.join("settings.yaml")));
    match mutate(&input["pod"], "shop", &account(&input["serviceAccount"]), &settings(&setup)) {
        Err(denial) => json!({"denied": {"code": denial.code, "message": denial.message}}),
        Ok(mutation) if mutation.warnings.is_empty() => json!({"patch": mutation.patch}),
        Ok(mutation) => json!({"warnings": mutation.warnings, "patch": mutation.patch}),
    }
}

#[test]
fn every_case_comes_out_as_expected() {
    for case in cases("workload_identity") {
        let outcome = serde_saphyr::to_string(&outcome(&case)).expect("YAML");
        golden(&case.join("expected.yaml"), &outcome);
    }
}

/// A case whose name or annotations nothing reads would pass on anything.
#[test]
fn every_annotation_has_a_case() {
    let inputs: String = cases("workload_identity").iter().map(|case| read(&case.join("input.yaml"))).collect();
    for annotation in
        ["client-id", "tenant-id", "service-account-token-expiration", "skip-containers", "inject-proxy-sidecar"]
    {
        let name = format!("azure.workload.identity/{annotation}:");
        assert!(inputs.contains(&name), "{} has no case with {name}", testdata("workload_identity").display());
    }
}
