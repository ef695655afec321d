//! `hcp-identity capz` before API servers that are played, or not there.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are parts of tests")]
#![allow(clippy::disallowed_methods, reason = "a kubeconfig is a file")]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read as _, Write as _},
    net::TcpListener,
    path::Path,
};

use serde_json::{Value, json};
use support::{hcp_identity, text};

/// Runs a subcommand: exit code, stdout, stderr.
fn capz(arguments: &[&str]) -> (i32, String, String) {
    let output = hcp_identity().arg("capz").args(arguments).output().unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn server(status: impl Fn(&str) -> u16 + Send + 'static) -> String {
    answering(move |path| {
        let code = status(path);
        (code, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "odd"}))
    })
}

/// A server that answers every request with what its path gets.
fn answering(answer: impl Fn(&str) -> (u16, Value) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (code, body) = answer(&read_request(&mut reader));
            let (body, head) = (body.to_string(), "content-type: application/json\r\nconnection: close");
            write!(stream, "HTTP/1.1 {code} Odd\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
    });
    url
}

/// Reads one whole, as an answer to half of it may be lost, and returns its path.
fn read_request(reader: &mut impl BufRead) -> String {
    let mut lines = reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let path = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
    let length = |line: String| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok();
    let length: u64 = lines.filter_map(length).last().unwrap_or_default();
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).unwrap();
    path
}

fn check_server(name: &str, url: &str, more: &[&str]) -> (i32, String, String) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("capz-{name}.kubeconfig"));
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "odd",
        "clusters": [{"name": "odd", "cluster": {"server": url}}],
        "users": [{"name": "odd", "user": {}}],
        "contexts": [{"name": "odd", "context": {"cluster": "odd", "user": "odd"}}],
    });
    fs::write(&path, config.to_string()).unwrap();
    capz(&[&["check", "--kubeconfig", path.to_str().unwrap()], more].concat())
}

/// What nobody has looked at is no all-clear; what whoever asks may not see is said, and the rest is looked at.
#[test]
fn a_cluster_that_does_not_answer_is_exit_code_2() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (name, url) in [("gone", format!("http://{gone}")), ("unknown", server(|_| 401)), ("failing", server(|_| 500))]
    {
        let (exit, stdout, stderr) = check_server(name, &url, &[]);
        assert_eq!((exit, stdout.as_str(), stderr.lines().count()), (2, "", 1), "{name}: {stderr}");
        assert!(stderr.contains("cannot ask the API server for azureclusteridentities."), "{name}: {stderr}");
    }
    let (exit, stdout, _) = check_server("forbidden", &server(|_| 403), &[]);
    let warnings = stdout.lines().filter(|line| line.starts_with("warning[NotLookedAt]: ")).count();
    assert_eq!((exit, warnings, stdout.lines().count()), (0, 12, 12), "{stdout}");
}

/// Also where that begins with something that comes later.
#[test]
fn a_cluster_that_ceases_to_answer_is_exit_code_2() {
    let (pair, issuer) = (["--cluster-name", "prod"], ["--issuer", "https://127.0.0.1:1"]);
    for (part, code, more, what) in [
        ("/secrets/", 500, pair, "the Secret default/prod-sa: "),
        ("/token", 401, issuer, "a token of capz-system/capz-manager: "),
        ("/.well-known/", 500, issuer, "/.well-known/openid-configuration: "),
        ("/jwks", 401, issuer, "/openid/v1/jwks: "),
    ] {
        let url = server(move |path| if path.contains(part) { code } else { 403 });
        let (exit, _, stderr) = check_server("ceasing", &url, &more);
        assert_eq!((exit, stderr.lines().count()), (2, 1), "{part}: {stderr}");
        assert!(stderr.contains(&format!("cannot ask the API server for {what}")), "{part}: {stderr}");
    }
}

/// An identity that is on the cluster without a type, as whoever may list identities only sees it.
fn with_identity(path: &str) -> (u16, Value) {
    if !path.contains("/azureclusteridentities") {
        return (404, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}));
    }
    let list = json!({
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "kind": "AzureClusterIdentityList", "metadata": {},
        "items": [identity("cluster-identity", &json!({}))],
    });
    (200, list)
}

fn identity(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "kind": "AzureClusterIdentity",
        "metadata": {"name": name, "namespace": "default"}, "spec": spec,
    })
}

#[test]
fn an_object_of_a_manifest_stands_for_the_one_of_the_cluster() {
    let url = answering(with_identity);
    let summary = |stderr: &str| stderr.lines().last().unwrap_or_default().split(", ").next().unwrap().to_owned();
    let (exit, stdout, stderr) = check_server("of-cluster", &url, &[]);
    assert!(stdout.contains("error[Required]: cluster: AzureClusterIdentity default/cluster-identity: "), "{stdout}");
    assert_eq!((exit, summary(&stderr).as_str()), (1, "1 object: 1 AzureClusterIdentity"));
    let spec = json!({
        "type": "ServicePrincipal", "clientID": "2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11", "tenantID": "contoso.com",
        "allowedNamespaces": {}, "clientSecret": {"name": "s", "namespace": "default"},
    });
    for (name, exit, counted) in
        [("cluster-identity", 0, "1 AzureClusterIdentity"), ("other", 1, "2 AzureClusterIdentities")]
    {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("capz-{name}.json"));
        fs::write(&file, identity(name, &spec).to_string()).unwrap();
        let (found, stdout, stderr) = check_server("beside-manifests", &url, &["-f", file.to_str().unwrap()]);
        assert_eq!((found, stdout.contains("error[")), (exit, exit == 1), "{stdout}");
        assert!(summary(&stderr).ends_with(counted), "{stderr}");
    }
}

/// Nothing is asked: there is no cluster to ask.
#[test]
fn a_type_without_federated_credentials_cannot_be_federated() {
    let federate = "--cluster-name prod --tenant-id contoso.com --identity-type UserAssignedMSI --federate \
                    --client-id 2f6e0f2a-7c33-4b0a-9c27-0d3b1e5a4c11 --subscription-id 11111111-2222-4333-8444-555555555555";
    let arguments: Vec<_> = ["apply"].into_iter().chain(federate.split_whitespace()).collect();
    let (exit, stdout, stderr) = capz(&arguments);
    assert_eq!((exit, stdout.as_str(), stderr.lines().count()), (2, "", 1), "{stderr}");
    assert!(stderr.contains("--federate is for another --identity-type"), "{stderr}");
}
