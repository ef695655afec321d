//! `hcp-identity check vault`, the built binary.

use azure_standin::{
    fault::{Effect, Fault},
    operation::Operation::{EntraToken, GetSecret, ListSecrets},
    vault::store::NewVersion,
};
use serde_json::{Value, json};

use crate::world::{IDENTITY, STRANGER, TENANT, VAULT, World, good, key_lines, text};

/// Exit code, stdout, stderr. A key is in none of them.
async fn check(world: &World, arguments: &[&str]) -> (i32, String, String) {
    let output = world.run(arguments).await;
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    for line in key_lines() {
        assert!(!stdout.contains(&line) && !stderr.contains(&line), "a line of the key: {stdout}{stderr}");
    }
    (output.status.code().unwrap(), stdout, stderr)
}

#[tokio::test]
async fn a_credential_that_works_is_done() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    let (code, stdout, stderr) = check(&world, &[VAULT, "creds", "--level", "sign-in", "--client-id", IDENTITY]).await;
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    for line in ["consumer: accepted\n", "list: allowed\n", "read: allowed\n", "sign-in: allowed\n"] {
        assert!(stdout.contains(line), "{stdout}");
    }
    assert_eq!(world.answered(EntraToken, 200), 1);
}

#[tokio::test]
async fn the_answer_is_json_where_that_is_asked_for() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    let (code, stdout, _) = check(&world, &[VAULT, "creds", "-o", "json"]).await;
    let answer: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &answer["list"], &answer["read"]), (0, &json!("allowed"), &json!("allowed")));
    assert_eq!((&answer["signIn"], &answer["problems"]), (&json!("not-tried"), &json!([])));
    assert_eq!(answer["credential"]["facts"]["clientID"], IDENTITY);
}

#[tokio::test]
async fn metadata_reads_no_value() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    let (code, stdout, _) = check(&world, &[VAULT, "creds", "--level", "metadata"]).await;
    assert_eq!(code, 0, "{stdout}");
    assert!(stdout.contains("read: not-tried\n") && stdout.contains("enabled: true\n"), "{stdout}");
    assert_eq!(world.standin.azure().journal.count(GetSecret), 0);
}

#[tokio::test]
async fn what_is_wrong_is_a_finding() {
    let world = World::start().await;
    let (code, stdout, _) = check(&world, &[VAULT, "creds"]).await;
    assert!(code == 1 && stdout.contains("error[Missing]: cannot read secret creds"), "{stdout}");
    let (code, stdout, _) = check(&world, &[VAULT, "creds", "--level", "metadata"]).await;
    assert!(code == 1 && stdout.contains("error[Missing]: the vault lists no secret creds"), "{stdout}");
    world.store_version("creds", NewVersion { enabled: Some(false), ..NewVersion::of(text(&good())) });
    for level in ["metadata", "content"] {
        let (code, stdout, _) = check(&world, &[VAULT, "creds", "--level", level]).await;
        assert!(code == 1 && stdout.contains("error[Disabled]: "), "{stdout}");
    }
    world.store("creds", "hush");
    let (code, stdout, _) = check(&world, &[VAULT, "creds", "--level", "sign-in"]).await;
    assert!(code == 1 && stdout.contains("error[NotJson]: ") && stdout.contains("sign-in: not-tried\n"), "{stdout}");
    let mut credential = good();
    credential.insert("client_id".to_owned(), json!(STRANGER));
    world.store("creds", text(&credential));
    let (code, stdout, _) = check(&world, &[VAULT, "creds", "--level", "sign-in"]).await;
    assert!(code == 1 && stdout.contains("error[SignInRefused]: "), "{stdout}");
}

#[tokio::test]
async fn what_is_no_name_of_a_secret_is_not_asked_for() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    let (code, stdout, _) = check(&world, &[VAULT, "../secrets/creds"]).await;
    assert!(code == 1 && stdout.contains("letters, digits and hyphens"), "{stdout}");
    assert_eq!(world.standin.azure().journal.count(GetSecret), 0);
}

#[tokio::test]
async fn who_may_read_and_not_list_is_warned() {
    let world = World::start().await;
    world.reload("secretsGetter", TENANT);
    world.store("creds", text(&good()));
    let (code, stdout, _) = check(&world, &[VAULT, "creds"]).await;
    assert!(code == 0 && stdout.contains("warning[Forbidden]: cannot list"), "{stdout}");
    let (code, stdout, _) = check(&world, &[VAULT, "creds", "--level", "metadata"]).await;
    assert!(code == 1 && stdout.contains("error[Forbidden]: cannot list"), "{stdout}");
    world.reload("reader", TENANT);
    world.store("creds", text(&good()));
    let (code, stdout, _) = check(&world, &[VAULT, "creds"]).await;
    assert!(code == 1 && stdout.contains("error[Forbidden]: cannot read"), "{stdout}");
}

#[tokio::test]
async fn a_vault_that_does_not_answer_is_no_finding() {
    let world = World::start().await;
    world
        .standin
        .azure()
        .faults
        .add(Fault::always(ListSecrets, Effect::Status { status: 503, retry_after_seconds: None }));
    for name in [VAULT, "kv-other", "no vault"] {
        let (code, stdout, stderr) = check(&world, &[name, "creds"]).await;
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.starts_with("hcp-identity: cannot "), "{stderr}");
    }
}
