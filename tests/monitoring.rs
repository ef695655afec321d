//! `manifests/monitoring`: the alerts fire when they should, each has a runbook, and neither they nor the dashboard ask for what
//! nobody exports.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod support;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use hcp_identity::{
    admission::Outcome,
    cluster::metrics::{Gathered, Metrics},
    condition::Reason,
};
use hcp_identity_api::control_plane_identity::{ComponentStatus, CredentialStatus, MountStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use strum::IntoEnumIterator as _;
use support::{pipe, read, text};

/// Prometheus' own.
const OF_PROMETHEUS: [&str; 1] = ["up"];
const RUNBOOKS: &str = "https://github.com/hcp-identity/hcp-identity/blob/main/docs/runbooks/";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn monitoring(file: &str) -> Value {
    serde_saphyr::from_str(&read(&root().join("manifests/monitoring").join(file))).expect("YAML")
}

fn groups() -> Vec<Value> {
    monitoring("alerts-prometheusRule.yaml")["spec"]["groups"].as_array().expect("groups").clone()
}

fn alerts() -> Vec<Value> {
    groups().iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

fn word<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("{value} has no {key}"))
}

/// The expressions of the dashboard's panels, with its variables and Grafana's filled in.
fn panels() -> Vec<String> {
    let dashboard = monitoring("dashboard.json");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels
        .filter(|panel| panel["type"] != "row")
        .flat_map(|panel| panel["targets"].as_array().expect("targets").clone());
    targets.map(|target| word(&target, "expr").replace("$__rate_interval", "5m").replace("$__interval", "5m")).collect()
}

/// What the exporter renders when there is one of everything.
fn exported() -> BTreeSet<String> {
    let metrics = Metrics::default();
    metrics.request(&http::Method::GET, 200);
    metrics.write("patch", "deployments", "done");
    metrics.admission(Outcome::Wired, Duration::ZERO);
    metrics.webhook_certificate(Timestamp::from_second(60).ok());
    let at = |second| Some(Time(Timestamp::from_second(second).expect("a time")));
    let credential = CredentialStatus {
        version: "new".into(),
        created: at(60),
        check: "Passed".into(),
        not_after: at(7200),
        renew_after: at(3600),
        ..CredentialStatus::default()
    };
    let mount = MountStatus { pod: "p".into(), version: "old".into(), ..MountStatus::default() };
    let component = ComponentStatus { credential: Some(credential), mounts: vec![mount], ..ComponentStatus::default() };
    let gathered = Gathered {
        components: vec![("a/b".into(), component)],
        ready: vec![("a/b".into(), "Ready".into(), true)],
        ..Gathered::default()
    };
    let rendered = metrics.render(&gathered).expect("text");
    let samples = rendered.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.split(['{', ' ']).next().unwrap_or_default().to_owned()).collect()
}

/// The metrics that an expression asks for: its words that are no function, keyword, label or text.
fn queried(expression: &str) -> BTreeSet<String> {
    const KEYWORDS: [&str; 6] = ["unless", "or", "and", "by", "sort", "bool"];
    let mut found = BTreeSet::new();
    let mut rest = expression;
    while let Some(start) =
        rest.find(|character: char| character.is_ascii_alphabetic() || ['{', '[', '"'].contains(&character))
    {
        let from = &rest[start..];
        let closing = |end: char| from[1..].find(end).map_or(from.len(), |at| at + 2);
        let length = match from.as_bytes()[0] {
            b'{' => closing('}'),
            b'[' => closing(']'),
            b'"' => closing('"'),
            _ => from
                .find(|character: char| !(character.is_ascii_alphanumeric() || character == '_'))
                .unwrap_or(from.len()),
        };
        let (token, after) = from.split_at(length);
        let next = after.trim_start();
        if token == "by" {
            rest = next.split_once(')').map_or("", |(_, rest)| rest);
            continue;
        }
        let is_word = token.starts_with(|character: char| character.is_ascii_alphabetic());
        let is_function = next.starts_with('(') || next.starts_with("by ");
        if is_word && !is_function && !KEYWORDS.contains(&token) {
            found.insert(token.to_owned());
        }
        rest = after;
    }
    found
}

#[test]
fn the_metrics_of_an_expression_are_found() {
    for (expression, wanted) in [
        ("up", &["up"][..]),
        ("sum by (cluster, kind) (increase(a_total{outcome=~\"x|y\"}[15m])) > 3", &["a_total"]),
        ("group by (c) (max_over_time(up{job=\"a\"}[1d]))\nunless group by (c) (down == 1)", &["down", "up"]),
        ("histogram_quantile(0.5, sum by (le) (rate(b_bucket{x=~\"$x\"}[5m]))) or vector(0)", &["b_bucket"]),
        ("count(max by (a) (c) == 0) / 86400 < time() - 3 * 86400", &["c"]),
    ] {
        assert_eq!(queried(expression).iter().map(String::as_str).collect::<Vec<_>>(), wanted, "{expression}");
    }
}

#[test]
fn alerts_and_dashboard_ask_only_for_what_is_exported() {
    let exported = exported();
    let known = |metric: &String| exported.contains(metric) || OF_PROMETHEUS.contains(&metric.as_str());
    let expressions: Vec<_> = alerts().iter().map(|alert| word(alert, "expr").to_owned()).chain(panels()).collect();
    for expression in &expressions {
        let metrics = queried(expression);
        assert!(!metrics.is_empty() && metrics.iter().all(known), "{expression} asks for {metrics:?}");
    }
    let shown: BTreeSet<_> = panels().iter().flat_map(|panel| queried(panel)).collect();
    let family = |metric: &str| {
        metric.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count").to_owned()
    };
    let shown: BTreeSet<_> = shown.iter().map(|metric| family(metric)).collect();
    for metric in exported.iter().map(String::as_str) {
        assert!(shown.contains(&family(metric)), "the dashboard does not show {metric}");
    }
}

/// A state that was renamed would silence the alert.
#[test]
fn the_reasons_of_alerts_are_states() {
    let all: BTreeSet<_> = Reason::iter().map(|reason| reason.to_string()).collect();
    let of = |name: &str, operator: &str| -> BTreeSet<String> {
        let alert = alerts().into_iter().find(|alert| alert["alert"] == name).expect("an alert");
        let (_, matcher) = word(&alert, "expr").split_once(&format!("reason{operator}\"")).expect("a matcher");
        matcher.split('"').next().expect("reasons").split('|').map(str::to_owned).collect()
    };
    let acting = of("HcpIdentityHostedClusterNeedsAction", "=~");
    let stalled = Reason::iter().filter(|reason| reason.is_stalled()).map(|reason| reason.to_string());
    assert_eq!(acting, stalled.chain(["DriverNotInstalled".to_owned()]).collect());
    let left_out = of("HcpIdentityHostedClusterNotReady", "!~");
    assert!(left_out.is_superset(&acting) && left_out.is_subset(&all), "{left_out:?}");
    assert!(of("HcpIdentityEmptyMount", "=").is_subset(&all));
}

/// The rules of the house in which these alerts are to live.
#[test]
fn every_alert_keeps_the_rules_of_the_house() {
    for group in groups() {
        assert_eq!(group["labels"], json!({"component": "hcp-identity"}));
    }
    let mut runbooks = BTreeSet::new();
    for alert in alerts() {
        let (name, notes) = (word(&alert, "alert"), &alert["annotations"]);
        assert!(["2", "2.5", "3", "4"].contains(&word(&alert["labels"], "severity")), "{name}");
        assert!(!word(notes, "summary").contains("{{"), "{name}: a summary is a title, and does not change");
        assert!(word(notes, "description").contains("{{ $labels.cluster }}"), "{name}");
        assert!(word(notes, "correlationId").starts_with(&format!("{name}/{{{{ $labels.cluster }}}}")), "{name}");
        let expression = word(&alert, "expr");
        let per_cluster = expression.contains("hosted_cluster)") || expression.contains("hosted_cluster, reason)");
        assert_eq!(per_cluster, word(notes, "correlationId").contains("hosted_cluster"), "{name}");
        assert!(!expression.contains("absent"), "{name}");
        assert_eq!(word(notes, "runbook_url"), format!("{RUNBOOKS}{name}.md"));
        let page = read(&root().join(format!("docs/runbooks/{name}.md")));
        for heading in [&format!("# {name}\n")[..], "## What it means\n", "## What to look at\n", "## What to do\n"] {
            assert!(page.contains(heading), "docs/runbooks/{name}.md lacks {heading}");
        }
        runbooks.insert(format!("{name}.md"));
    }
    let entries = std::fs::read_dir(root().join("docs/runbooks")).expect("a folder");
    let found: BTreeSet<_> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(found, runbooks, "a runbook an alert");
}

#[test]
fn every_alert_is_seen_to_fire_and_not_to_fire() {
    let tests = monitoring("alerts-prometheusRule_test.yaml");
    let cases: Vec<_> = tests["tests"]
        .as_array()
        .expect("tests")
        .iter()
        .flat_map(|test| test["alert_rule_test"].as_array().expect("cases").clone())
        .collect();
    for alert in alerts() {
        let of_alert = cases.iter().filter(|case| case["alertname"] == alert["alert"]);
        let outcomes: BTreeSet<_> = of_alert.map(|case| case["exp_alerts"] != json!([])).collect();
        assert_eq!(outcomes.len(), 2, "{} has to fire and not to fire", alert["alert"]);
    }
}

/// A folder with these files.
fn folder(name: &str, files: &[(&str, String)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    for (name, content) in files {
        std::fs::write(folder.join(name), content).expect("a file");
    }
    folder
}

fn promtool(arguments: &[&str], folder: &Path) {
    let output = pipe(&mut Command::new(root().join("hack/promtool")), b"");
    assert!(output.status.success(), "{}", text(output.stderr));
    let mut promtool = Command::new(text(output.stdout).trim());
    let output = pipe(promtool.args(arguments).current_dir(folder), b"");
    assert!(output.status.success(), "{}{}", text(output.stdout), text(output.stderr));
}

#[test]
fn promtool_runs_the_tests_of_the_alerts() {
    let tests = read(&root().join("manifests/monitoring/alerts-prometheusRule_test.yaml"));
    let rules = monitoring("alerts-prometheusRule.yaml")["spec"].to_string();
    let folder = folder("alerts", &[("rules.yaml", rules), ("test.yaml", tests)]);
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"], &folder);
    promtool(&["test", "rules", "test.yaml"], &folder);
}

#[test]
fn promtool_reads_every_expression_of_the_dashboard() {
    let rules: Vec<_> = panels()
        .iter()
        .enumerate()
        .map(|(number, expr)| json!({"record": format!("panel:{number}"), "expr": expr}))
        .collect();
    let rules = json!({"groups": [{"name": "panels", "rules": rules}]}).to_string();
    let folder = folder("dashboard", &[("rules.yaml", rules)]);
    promtool(&["check", "rules", "rules.yaml"], &folder);
}

#[test]
fn the_dashboard_is_found_and_filled_where_it_is_loaded() {
    let dashboard = monitoring("dashboard.json");
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let regex = |name: &str| {
        let variable = variables.iter().find(|variable| variable["name"] == name).expect("a variable");
        word(variable, "regex").to_owned()
    };
    assert_eq!(regex("datasource"), "/^Managed_Prometheus_(hcps|services)-.*$/");
    assert_eq!(regex("cluster"), "/^.*-mgmt-\\d+$/");
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert!(word(panel, "description").ends_with('.'), "{panel}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}");
    }
}
