//! What the commands of `hcp-identity azure` show before they do it: without a call, and beside what is there.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are parts of tests")]
#![allow(clippy::disallowed_methods, reason = "files of a user are written")]

mod support;

use serde_json::Value;
use support::subscription::{Ran, SUBSCRIPTION, Subscription, TENANT};

const PLACE: [&str; 6] =
    ["--region=westeurope", "--subscription-id", SUBSCRIPTION, "--output-dir", "out", "--name=prod"];

async fn start(test: &str) -> Subscription {
    let azure = Subscription::start(&format!("dry-run-{test}"), &["prod"]).await;
    create(&azure, &["create-key-pair", "--output-dir=out"]).await;
    azure
}

/// A command that is done.
async fn create(azure: &Subscription, command: &[&str]) -> Ran {
    let ran = azure.run(&[&["azure"], command].concat()).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    ran
}

async fn issuer(azure: &Subscription, more: &[&str]) -> Ran {
    create(azure, &[&["create-oidc-issuer", "--tenant-id", TENANT], &PLACE[..], more].concat()).await
}

/// The ids of the keys that stand in the file, the newest one first.
fn key_ids(azure: &Subscription) -> Vec<String> {
    let keys: Value = serde_json::from_str(&azure.read("out/jwks")).unwrap();
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn keys_of_the_file_stay_until_they_are_told_to_go() {
    let azure = start("keys").await;
    issuer(&azure, &["--dry-run"]).await;
    let old = key_ids(&azure);
    create(&azure, &["create-key-pair", "--rotate", "--output-dir=out"]).await;
    issuer(&azure, &["--dry-run"]).await;
    let both = key_ids(&azure);
    assert_eq!((both.len(), &both[1]), (2, &old[0]));
    let again = issuer(&azure, &["--dry-run"]).await;
    assert!(again.out.contains("kept: out/jwks\n"), "{}", again.out);
    issuer(&azure, &["--dry-run", "--retire-key", &old[0]]).await;
    assert_eq!(key_ids(&azure), both[..1]);

    std::fs::write(azure.folder.join("out/jwks"), "{}").unwrap();
    let flags = ["azure", "create-oidc-issuer", "--dry-run", "--tenant-id", TENANT];
    let ran = azure.run(&[&flags[..], &PLACE].concat()).await;
    assert!(ran.code == 2 && ran.err.contains("out/jwks is no JSON Web Key Set"), "{ran:?}");
    assert_eq!(azure.read("out/jwks"), "{}");
}
