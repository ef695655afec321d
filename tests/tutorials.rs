//! Every command of the tutorials, run as a reader copies it, prints what the tutorial shows. Ids of keys and dates differ from run to run.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are parts of tests")]

mod support;

use std::path::{Path, PathBuf};

use azure_standin::{
    authority::{Authority, ClientCertificate, Validity},
    vault::store::NewVersion,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use support::{
    golden, read,
    subscription::{OWNER, Subscription, TENANT, object_of},
    transcript::{commands, session, with_outputs},
};

fn tutorials() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tutorials")
}

/// The folder of a tutorial is where its reader begins.
#[expect(clippy::disallowed_methods, reason = "a reader has files")]
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, copied) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &copied);
        } else {
            std::fs::copy(path, copied).unwrap();
        }
    }
}

/// What the commands of a tutorial print, in one shell, to the caller of the stand-in.
async fn outputs(azure: &Subscription, tutorial: &str) -> Vec<String> {
    let binary = Path::new(env!("CARGO_BIN_EXE_hcp-identity")).parent().unwrap();
    let mut shell = azure.program("sh");
    shell.env("PATH", format!("{}:/usr/bin:/bin", binary.display()));
    let commands = commands(tutorial);
    tokio::task::spawn_blocking(move || session(&mut shell, &commands)).await.unwrap()
}

/// With what differs from run to run in words of its own.
fn steady(text: &str) -> String {
    let is_part = |character: char| character.is_ascii_alphanumeric() || "-_:".contains(character);
    let mut rest = text;
    let mut told = String::new();
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|character| is_part(character) != is_part(first)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        told += kind(word).unwrap_or(word);
        rest = after;
    }
    told
}

fn kind(word: &str) -> Option<&'static str> {
    let is_hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
    match word.len() {
        _ if word.parse::<Timestamp>().is_ok() => Some("TIME"),
        32 | 40 if is_hex => Some("HEX"),
        43 if word.contains(char::is_uppercase) && !word.contains(':') => Some("KEY-ID"),
        _ => None,
    }
}

fn shows(name: &str, outputs: &[String]) {
    let path = tutorials().join(name);
    let tutorial = read(&path);
    let actual = with_outputs(&tutorial, outputs);
    if steady(&tutorial) != steady(&actual) {
        golden(&path, &actual);
    }
    assert!(actual.lines().count() < 150, "{name} is too long to be read in one go");
}

/// What `hypershift create iam azure` would have made: identities, each with the client id that it got.
async fn create_iam(azure: &Subscription, names: &[&str]) -> Vec<String> {
    let body = json!({"location": "westeurope"});
    azure.put("/resourceGroups/guest", "2021-04-01", &body).await;
    let mut clients = Vec::new();
    for name in names {
        let identity =
            format!("/resourceGroups/guest/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}");
        let made = azure.put(&identity, "2024-11-30", &body).await;
        clients.push(made["properties"]["clientId"].as_str().unwrap().to_owned());
    }
    clients
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "a reader has files")]
async fn what_the_tutorial_of_self_managed_clusters_shows_is_what_is_printed() {
    let azure = Subscription::start("self-managed", &["mgmt7k2", "guest7k2", "site7k2"]).await;
    copy(&tutorials().join("self-managed"), &azure.folder);
    let components = ["cloud-provider", "node-pool-mgmt", "ingress", "network", "disk", "file", "image-registry"];
    let names = components.map(|component| format!("guest-{component}-guest-x7k2p"));
    let clients = create_iam(&azure, &names.each_ref().map(String::as_str)).await;
    // Azure chooses client ids, and the tutorial shows others.
    let shown = |number: usize| format!("0000000{number}-aaaa-4bbb-8ccc-00000000000{number}");
    let pairs: Vec<_> = clients.iter().enumerate().map(|(index, client)| (shown(index + 1), client)).collect();
    let entered =
        pairs.iter().fold(azure.read("hostedcluster.yaml"), |text, (shown, client)| text.replace(shown, client));
    std::fs::write(azure.folder.join("hostedcluster.yaml"), entered).unwrap();

    let outputs = outputs(&azure, &read(&tutorials().join("self-managed.md"))).await;
    let as_shown = |text: String| pairs.iter().fold(text, |text, (shown, client)| text.replace(client.as_str(), shown));
    shows("self-managed.md", &outputs.into_iter().map(as_shown).collect::<Vec<_>>());
}

const VAULT: &str = "mgmt-westeurope-1";
const INGRESS: &str = "00000005-aaaa-4bbb-8ccc-000000000005";

fn in_days(now: Timestamp, days: i64) -> Timestamp {
    now + SignedDuration::from_hours(24 * days)
}

/// Of a certificate that is good for some weeks, as the identity service gives it.
fn credential(certificate: &ClientCertificate, now: Timestamp) -> Value {
    let date = |days| in_days(now, days).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({
        "client_id": INGRESS,
        "tenant_id": TENANT,
        "authentication_endpoint": "https://login.microsoftonline.com/",
        "client_secret": BASE64_STANDARD.encode(certificate.bundle().reveal()),
        "not_before": date(-1),
        "not_after": date(90),
        "renew_after": date(46),
        "cannot_renew_after": date(180),
    })
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "a reader has files")]
async fn what_the_tutorial_of_aro_hcp_shows_is_what_is_printed() {
    let azure = Subscription::start("aro-hcp", &[]).await;
    copy(&tutorials().join("aro-hcp"), &azure.folder);
    let authority = Authority::new("authority").unwrap();
    let world = azure.standin.azure();
    let now = world.clock.now();
    let validity = Validity { not_before: in_days(now, -1).as_second(), not_after: in_days(now, 90).as_second() };
    let certificate = authority.client("prod-ingress", validity).unwrap();
    let mut value = credential(&certificate, now);
    let stored = NewVersion::of(value.to_string());
    std::fs::write(azure.folder.join("credential.json"), value.to_string()).unwrap();
    value.as_object_mut().unwrap().remove("not_before");
    std::fs::write(azure.folder.join("renewed.json"), value.to_string()).unwrap();
    let reader = object_of(OWNER);
    let document = json!({
        "principals": [
            {"clientId": OWNER, "objectId": reader, "tenant": TENANT, "onMachine": true},
            {"clientId": INGRESS, "objectId": INGRESS, "tenant": TENANT, "certificates": [certificate.certificate_pem]},
        ],
        "vaults": [{"name": VAULT, "tenant": TENANT, "permissions": [{"objectId": reader, "role": "secretsUser"}]}],
    });
    world.load(serde_json::from_value(document).unwrap());
    assert!(world.with_world_mut(|world| world.set_secret(VAULT, "prod-ingress", stored, now)));

    let tutorial = read(&tutorials().join("aro-hcp.md"));
    shows("aro-hcp.md", &outputs(&azure, &tutorial).await);
}

#[test]
fn what_differs_from_run_to_run_is_not_compared_and_all_else_is() {
    let at = "until 2026-11-27T12:00:00Z, key u2Yk0vJb6b8mP2dJm0yY4m1oA1b2c3d4e5f6g7h8i9j";
    let later = "until 2027-01-01T00:00:00Z, key AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(steady(at), "until TIME, key KEY-ID");
    assert_eq!(steady(at), steady(later));
    assert_ne!(steady(at), steady(&later.replace("until", "since")));
}
