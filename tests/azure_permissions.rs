//! What the caller of the Azure commands may do, as docs/azure.md lists it: enough, and no more than that.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are parts of tests")]
#![allow(clippy::disallowed_methods, reason = "files of a user are written")]

mod support;

use std::fs;

use serde_json::json;
use support::subscription::{REQUEST, Ran, STRANGER, SUBSCRIPTION, Subscription, TENANT, object_of, run};

const ROLE: &str = "/providers/Microsoft.Authorization/roleDefinitions/aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa";
const ASSIGNMENT: &str = "/providers/Microsoft.Authorization/roleAssignments/bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb";
const AUTHORIZATION: &str = "2022-04-01";

/// An action, and whether it is one on data.
type Action = (String, bool);

/// The actions of a command, as the table has them.
fn actions(command: &str) -> Vec<Action> {
    let docs = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/azure.md")).unwrap();
    let rows = docs.lines().filter_map(|line| line.strip_prefix("| `Microsoft.")?.split_once('|'));
    let found: Vec<_> = rows
        .filter(|(_, commands)| commands.trim_matches(['|', ' ']).split(", ").any(|one| one == command))
        .map(|(action, _)| (format!("Microsoft.{}", action.split('`').next().unwrap()), action.contains("(data)")))
        .collect();
    assert!(!found.is_empty(), "docs/azure.md has no actions of {command}");
    found
}

/// Lets the caller do these, but one.
async fn allow(azure: &Subscription, actions: &[Action], but: Option<usize>) {
    let left = || actions.iter().enumerate().filter(|(at, _)| Some(*at) != but).map(|(_, action)| action);
    let of = |data: bool| left().filter(|one| one.1 == data).map(|one| one.0.clone()).collect::<Vec<_>>();
    let scope = format!("/subscriptions/{SUBSCRIPTION}");
    let role = json!({"properties": {
        "roleName": "caller", "type": "CustomRole", "assignableScopes": [scope],
        "permissions": [{"actions": of(false), "dataActions": of(true), "notActions": [], "notDataActions": []}],
    }});
    let made = azure.put(ROLE, AUTHORIZATION, &role).await;
    assert_eq!(made["properties"]["roleName"], "caller", "{made}");
}

/// What the owner does before the caller is let in.
#[derive(Clone, Copy)]
enum Before {
    Nothing,
    /// All of a cluster is there.
    CreateAll,
    /// There is an identity, and `NAME.yaml` is a HostedCluster all of whose components are it.
    HostedCluster,
}

async fn create_all(azure: &Subscription, name: &str) {
    let mut made = azure.command();
    let flags = ["azure", "create-all", "--region", "westeurope", "--tenant-id", TENANT];
    made.args(flags).args(["--credentials-requests-dir", "requests"]);
    made.args(["--subscription-id", SUBSCRIPTION, "--output-dir", "out", "--name", name]);
    let ran = run(made).await;
    assert_eq!(ran.code, 0, "{ran:?}");
}

async fn hosted_cluster(azure: &Subscription, name: &str) {
    let group = "/resourceGroups/identities";
    azure.put(group, "2021-04-01", &json!({"location": "westeurope"})).await;
    let id = format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}");
    let made = azure.put(&id, "2024-11-30", &json!({"location": "westeurope"})).await;
    let client = made["properties"]["clientId"].as_str().unwrap();
    let case = support::testdata("federation").join("all-nine-identities-of-a-private-hosted-cluster");
    let mut input = support::read(&case.join("input.yaml"));
    let planned: serde_json::Value = serde_json::from_str(&support::read(&case.join("expected.json"))).unwrap();
    for identity in planned["identities"].as_array().unwrap() {
        input = input.replace(identity["clientID"].as_str().unwrap(), client);
    }
    let input = input.replace(planned["identities"][0]["tenantID"].as_str().unwrap(), TENANT);
    fs::write(azure.folder.join(format!("{name}.yaml")), input).unwrap();
}

/// Runs a command as the caller, under a name of its own each time: with all actions, then without each of them.
async fn minimal(azure: &Subscription, command: &str, arguments: impl Fn(&str) -> Vec<String>, before: Before) {
    let actions = actions(command);
    for but in std::iter::once(None).chain((0..actions.len()).map(Some)) {
        let name = but.map_or_else(|| format!("{command}0"), |at| format!("{command}{}", at + 1));
        match before {
            Before::Nothing => {}
            Before::CreateAll => create_all(azure, &name).await,
            Before::HostedCluster => hosted_cluster(azure, &name).await,
        }
        allow(azure, &actions, but).await;
        let mut caller = azure.command();
        caller.args(arguments(&name)).env("AZURE_CLIENT_ID", STRANGER);
        let Ran { code, out, err } = run(caller).await;
        match but {
            None => assert_eq!(code, 0, "{command}: {out}{err}"),
            Some(at) => {
                let refused =
                    ["AuthorizationFailed", "AuthorizationPermissionMismatch"].iter().any(|one| err.contains(one));
                assert!(code == 2 && refused, "{command} without {}: {code} {out}{err}", actions[at].0);
            }
        }
    }
}

#[tokio::test]
async fn each_action_of_the_table_is_needed_and_they_are_enough() {
    let names = |command: &str| (0..=actions(command).len()).map(|at| format!("{command}{at}")).collect::<Vec<_>>();
    let accounts = ["issuer", "website", "delete"].map(names).concat();
    let accounts: Vec<_> = accounts.iter().map(String::as_str).collect();
    let azure = Subscription::start("permissions", &accounts).await;
    fs::create_dir(azure.folder.join("requests")).unwrap();
    fs::write(azure.folder.join("requests/registry.yaml"), REQUEST).unwrap();
    let keys = azure.run(&["azure", "create-key-pair", "--output-dir", "out"]).await;
    assert_eq!(keys.code, 0, "{keys:?}");
    allow(&azure, &actions("issuer"), None).await;
    let scope = format!("/subscriptions/{SUBSCRIPTION}{ROLE}");
    let assignment = json!({"properties": {"principalId": object_of(STRANGER), "roleDefinitionId": scope}});
    azure.put(ASSIGNMENT, AUTHORIZATION, &assignment).await;

    let place = ["--region", "westeurope", "--subscription-id", SUBSCRIPTION, "--output-dir", "out"];
    let flags = |command: &[&str], name: &str| -> Vec<String> {
        ["azure"].iter().chain(command).chain(&["--name", name]).map(ToString::to_string).collect()
    };
    let issuer = [&["create-oidc-issuer", "--tenant-id", TENANT][..], &place].concat();
    minimal(&azure, "issuer", |name| flags(&issuer, name), Before::Nothing).await;
    let website = [&issuer[..], &["--issuer-hosting", "static-website"]].concat();
    minimal(&azure, "website", |name| flags(&website, name), Before::Nothing).await;
    let issuer_url = ["--issuer-url", "https://issuer.example", "--credentials-requests-dir", "requests"];
    let identities = [&["create-managed-identities"][..], &place, &issuer_url].concat();
    minimal(&azure, "identities", |name| flags(&identities, name), Before::Nothing).await;
    let delete = ["delete", "--subscription-id", SUBSCRIPTION, "--delete-oidc-resource-group"];
    minimal(&azure, "delete", |name| flags(&delete, name), Before::CreateAll).await;
    let apply = |name: &str| {
        let file = format!("{name}.yaml");
        ["azure", "apply", "--subscription-id", SUBSCRIPTION, "-f", &file].map(str::to_owned).to_vec()
    };
    minimal(&azure, "apply", apply, Before::HostedCluster).await;
}
