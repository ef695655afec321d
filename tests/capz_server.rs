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

use serde_json::json;
use support::{hcp_identity, text};

/// Runs a subcommand: exit code, stdout, stderr.
fn capz(arguments: &[&str]) -> (i32, String, String) {
    let output = hcp_identity().arg("capz").args(arguments).output().unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A server that answers every request with the status that its path gets.
fn server(status: fn(&str) -> u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let path = read_request(&mut reader);
            let code = status(&path);
            let body =
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "odd"});
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
    let failing: [(&str, fn(&str) -> u16, &[&str], &str); 4] = [
        (
            "secrets",
            |path| if path.contains("/secrets/") { 500 } else { 403 },
            &["--cluster-name", "prod"],
            "the Secret default/prod-sa: ",
        ),
        (
            "tokens",
            |path| if path.ends_with("/token") { 401 } else { 403 },
            &["--issuer", "https://127.0.0.1:1"],
            "a token of capz-system/capz-manager: ",
        ),
        (
            "discovery",
            |path| if path.starts_with("/.well-known") { 500 } else { 403 },
            &["--issuer", "https://127.0.0.1:1"],
            "/.well-known/openid-configuration: ",
        ),
        (
            "keys",
            |path| if path.ends_with("/jwks") { 401 } else { 403 },
            &["--issuer", "https://127.0.0.1:1"],
            "/openid/v1/jwks: ",
        ),
    ];
    for (name, status, more, what) in failing {
        let (exit, _, stderr) = check_server(&format!("ceasing-{name}"), &server(status), more);
        assert_eq!((exit, stderr.lines().count()), (2, 1), "{name}: {stderr}");
        assert!(stderr.contains(&format!("cannot ask the API server for {what}")), "{name}: {stderr}");
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
