//! `hcp-identity azure delete`, where names and answers are somebody else's.

use serde_json::{Value, json};

use crate::world::{IDENTITIES, OWNER, ROLES, SUBSCRIPTION, TENANT, World};

async fn delete(world: &World, test: &str, more: &[&str]) -> (i32, String, String) {
    let ca = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}.pem"));
    write(&ca, &world.standin.about().ca_pem);
    let mut command = crate::support::hcp_identity();
    command.args(["azure", "delete", "--name", "prod", "--subscription-id", SUBSCRIPTION]).args(more);
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

#[tokio::test]
async fn a_cloud_that_is_not_reached_is_told_as_json_too() {
    let world = World::start().await;
    let (code, out, err) = delete(&world, "unreached", &["--cloud", "AzureStackCloud", "-o", "json"]).await;
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert!(code == 2 && answer["error"].as_str().unwrap().starts_with("cannot reach Azure: "), "{out} {err}");
}
