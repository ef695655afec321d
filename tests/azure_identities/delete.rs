//! `hcp-identity azure delete`, where names and answers are somebody else's.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::world::{IDENTITIES, OWNER, READER, ROLES, STRANGER, SUBSCRIPTION, TENANT, World, plan, requests};

const INGRESS: &str = "prod-openshift-ingress-operator-cloud-credentials";
const REGISTRY: &str = "prod-openshift-image-registry-installer-cloud-credentials";

async fn delete(world: &World, test: &str, more: &[&str]) -> (i32, String, String) {
    delete_named(world, "prod", test, more).await
}

async fn delete_named(world: &World, name: &str, test: &str, more: &[&str]) -> (i32, String, String) {
    run(world, crate::support::hcp_identity(), name, test, more).await
}

async fn run(world: &World, mut command: Command, name: &str, test: &str, more: &[&str]) -> (i32, String, String) {
    let ca = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}.pem"));
    write(&ca, &world.standin.about().ca_pem);
    command.args(["azure", "delete", "--name", name, "--subscription-id", SUBSCRIPTION]).args(more);
    command.env("SSL_CERT_FILE", ca).envs(world.standin.proxy_environment());
    command.envs([("AZURE_CLIENT_ID", OWNER), ("AZURE_TENANT_ID", TENANT), ("AZURE_CLIENT_SECRET", "hush")]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output.status.code().unwrap(), crate::support::text(output.stdout), crate::support::text(output.stderr))
}

#[expect(clippy::disallowed_methods, reason = "the program reads files")]
fn write(file: &std::path::Path, text: &str) {
    std::fs::write(file, text).unwrap();
}

/// Somebody else in the subscription may name a role as they like, and what a terminal is told by it.
#[tokio::test]
async fn the_name_of_a_role_tells_the_terminal_nothing() {
    let world = World::start().await;
    let scope = format!("/subscriptions/{SUBSCRIPTION}");
    for (id, scopes) in [("a", vec![&scope]), ("b", vec![&scope, &scope])] {
        let role = json!({"properties": {
            "roleName": format!("{id}\u{1b}]0;owned\u{7}\rkept"), "description": "Custom role for OpenShift. Owned by: prod",
            "permissions": [{"actions": ["*/read"]}], "assignableScopes": scopes,
        }});
        let id = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa".replace('a', id);
        world.put(&format!("{scope}/providers/Microsoft.Authorization/roleDefinitions/{id}"), ROLES, role).await;
    }
    let (code, out, err) = delete(&world, "terminal", &["--dry-run"]).await;
    assert_eq!((code, out.lines().count()), (0, 2), "{out:?} {err:?}");
    assert!(!out.chars().chain(err.chars()).any(|one| one.is_control() && one != '\n'), "{out:?} {err:?}");
    let (_, out, _) = delete(&world, "terminal", &["--dry-run", "-o", "json"]).await;
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["steps"][0]["what"], "delete custom role a\u{1b}]0;owned\u{7}\rkept");
}

/// The same with a terminal in the place of both streams.
#[tokio::test]
async fn on_a_terminal_what_is_waited_for_is_told_and_goes_again() {
    let world = World::start().await;
    world.made(&plan(&requests())).await;
    let program = crate::support::hcp_identity();
    let mut command = Command::new("python3");
    command.args(["-c", "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"]);
    command.arg(program.get_program()).stdin(Stdio::null());
    let (code, out, err) = run(&world, command, "prod", "pty", &["--delete-oidc-resource-group"]).await;
    let waiting = "\r\u{1b}[K\u{1b}[?7lwaiting for Azure to delete the resource group prod-oidc …\u{1b}[?7h";
    assert!(code == 0 && out.contains(waiting), "{out:?} {err:?}");
    // The line is cleared before another one is written.
    let cleared = "\r\u{1b}[K\u{1b}[?7l\u{1b}[?7h";
    assert!(out.contains(&format!("{cleared}deleted: resource group prod-oidc\r\n")), "{out:?}");
}

#[tokio::test]
async fn what_begins_or_ends_like_the_name_is_not_deleted() {
    let world = World::start().await;
    let scope = format!("/subscriptions/{SUBSCRIPTION}");
    let tags = |name: &str| json!({"location": "westeurope", "tags": {format!("openshift.io_cloud-credential-operator_{name}"): "owned"}});
    world.put(&world.group("prod-oidc"), "2021-04-01", tags("prod-eu")).await;
    for (id, name) in [("a", "prod-eu"), ("b", "eu-prod"), ("c", "pro")] {
        world.put(&world.identity(&format!("prod-{name}")), IDENTITIES, tags(name)).await;
        let role = json!({"properties": {
            "roleName": name, "description": format!("Custom role for OpenShift. Owned by: {name}"),
            "permissions": [{"actions": ["*/read"]}], "assignableScopes": [&scope],
        }});
        let id = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa".replace('a', id);
        world.put(&format!("{scope}/providers/Microsoft.Authorization/roleDefinitions/{id}"), ROLES, role).await;
    }
    let writes = world.writes();
    let (code, out, err) = delete(&world, "prefix", &["--delete-oidc-resource-group"]).await;
    assert_eq!((code, out.as_str(), world.writes()), (0, "", writes), "{err}");
    assert_eq!(err.lines().filter(|line| line.starts_with("kept: ")).count(), 4, "{err}");
}

/// What an administrator has assigned by hand, beside what we have.
#[tokio::test]
async fn of_assignments_go_those_with_our_mark_and_those_of_identities_that_go() {
    let world = World::start().await;
    world.made(&plan(&requests())).await;
    let role = world.shown().await["roles"][0][0].as_str().unwrap().to_owned();
    let subscription = format!("/subscriptions/{SUBSCRIPTION}");
    let by_hand = world.assign(&world.group("net"), &role, STRANGER, None).await;
    world.assign(&world.group("prod"), READER, &world.principal(INGRESS).await, None).await;
    world.assign(&world.group("dns"), READER, STRANGER, Some("hcp-identity: owned by prod")).await;
    world.assign(&subscription, READER, STRANGER, Some("hcp-identity: owned by prod-eu")).await;

    let (_, dry, _) = delete(&world, "assignments", &["--dry-run"]).await;
    let (code, out, err) = delete(&world, "assignments", &[]).await;
    assert_eq!((code, dry.replace("planned: delete ", "deleted: ")), (0, out.clone()), "{err}");
    for line in [
        format!("deleted: role \"DNS Zone Contributor\" of {INGRESS} on net"),
        format!("deleted: role {REGISTRY:?} of {REGISTRY} on prod"),
        format!("deleted: role \"Reader\" of {INGRESS} on prod, not marked, but of an identity that goes"),
        format!("deleted: role \"Reader\" of {STRANGER} on dns"),
        format!("deleted: identity {REGISTRY}"),
    ] {
        assert!(out.lines().any(|one| one == line), "{line} is not in {out}");
    }
    assert_eq!(out.lines().count(), 8 + 2 + 2, "{out}");
    let kept = [
        format!(
            "kept: role {REGISTRY:?} of {STRANGER} on net: it has not our mark, and is of nobody that goes; delete it if it is of no use any more"
        ),
        format!("kept: custom role {REGISTRY}: it is still assigned, and Azure deletes no such role"),
    ];
    assert_eq!(err.lines().collect::<Vec<_>>(), kept);
    let left = world.shown().await;
    assert_eq!((left["identities"].as_array().unwrap().len(), left["roles"].as_array().unwrap().len()), (0, 1));
    assert_eq!(left["assignments"].as_array().unwrap().len(), 2, "{left:#}");

    world.delete(&by_hand, ROLES).await;
    let (code, out, err) = delete(&world, "assignments", &[]).await;
    assert_eq!((code, out, err.as_str()), (0, format!("deleted: custom role {REGISTRY}\n"), ""));
}

/// Where they are is told, and nothing is taken from identities that stay.
#[tokio::test]
async fn what_is_of_the_cluster_elsewhere_is_told_and_left_whole() {
    let world = World::start().await;
    world.made(&plan(&requests())).await;
    let account = format!("{}/providers/Microsoft.Storage/storageAccounts/other", world.group("prod-oidc"));
    let tags = json!({"openshift.io_cloud-credential-operator_prod": "owned"});
    let body = json!({"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "tags": tags});
    world.put(&account, "2024-01-01", body).await;
    let before = world.shown().await;
    let elsewhere = ["--oidc-resource-group-name", "elsewhere"];
    let (code, out, err) = delete(&world, "elsewhere", &elsewhere).await;
    assert_eq!((code, out.as_str(), world.shown().await), (0, "", before), "{err}");
    for told in [
        format!("kept: identity {INGRESS}: it is not in elsewhere, but is /subscriptions/"),
        "kept: role \"DNS Zone Contributor\" of ".to_owned(),
        format!("kept: custom role {REGISTRY}: it is still assigned"),
        "kept: storage account other: it is not looked at, as it is /subscriptions/".to_owned(),
    ] {
        assert!(err.lines().any(|line| line.starts_with(&told)), "{told} is not in {err}");
    }
    assert!(!err.contains("there is nothing"), "{err}");
}

#[tokio::test]
async fn a_name_that_no_storage_account_can_have_is_that_of_none() {
    let world = World::start().await;
    let made =
        json!({"location": "westeurope", "tags": {"openshift.io_cloud-credential-operator_my-cluster": "owned"}});
    let group = world.group("my-cluster-oidc");
    world.put(&group, "2021-04-01", made.clone()).await;
    world
        .put(&format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one"), IDENTITIES, made)
        .await;
    let remove = async |more: &[&str]| delete_named(&world, "my-cluster", "no-account", more).await;
    let (code, out, err) = remove(&["--storage-account-name", "my-cluster", "--dry-run"]).await;
    assert!(code == 2 && err.contains("--storage-account-name: \"my-cluster\" must be "), "{out}{err}");
    let (code, out, err) = remove(&["--delete-oidc-resource-group"]).await;
    assert_eq!((code, out.as_str()), (0, "deleted: identity one\ndeleted: resource group my-cluster-oidc\n"), "{err}");
    assert!(err.starts_with("no storage account is looked for: none can have the name my-cluster; "), "{err}");
}

#[tokio::test]
async fn a_cloud_that_is_not_reached_is_told_as_json_too() {
    let world = World::start().await;
    let (code, out, err) = delete(&world, "unreached", &["--cloud", "AzureStackCloud", "-o", "json"]).await;
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert!(code == 2 && answer["error"].as_str().unwrap().starts_with("cannot reach Azure: "), "{out} {err}");
}
