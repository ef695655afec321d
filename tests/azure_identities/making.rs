//! What is made, kept, replaced and taken away.

use std::collections::BTreeMap;

use azure_standin::{
    arm::{Behaviour, Delay, Spreading},
    fault::{Effect, Fault},
    operation::Operation,
};
use hcp_identity::{arm::OldRoles, provision::Given};
use serde_json::{Value, json};

use crate::world::{
    BLOBS, CONTRIBUTOR, IDENTITIES, ISSUER, OWNER, PROD, READER, SUBSCRIPTION, World, plan, planned, requests,
};

const INGRESS: &str = "prod-openshift-ingress-operator-cloud-credentials";
const REGISTRY: &str = "prod-openshift-image-registry-installer-cloud-credentials";
const MESSAGES: &str = "Microsoft.Storage/storageAccounts/queueServices/queues/messages/read";

const STEPS: &str = "\
created: resource group prod-oidc
created: resource group prod
created: identity prod-openshift-ingress-operator-cloud-credentials
created: identity prod-openshift-image-registry-installer-cloud-credentials
created: custom role prod-openshift-image-registry-installer-cloud-credentials
created: role \"Contributor\" of prod-openshift-ingress-operator-cloud-credentials on prod
created: role \"Contributor\" of prod-openshift-ingress-operator-cloud-credentials on dns
created: role \"Contributor\" of prod-openshift-ingress-operator-cloud-credentials on net
created: role \"DNS Zone Contributor\" of prod-openshift-ingress-operator-cloud-credentials on prod
created: role \"DNS Zone Contributor\" of prod-openshift-ingress-operator-cloud-credentials on dns
created: role \"DNS Zone Contributor\" of prod-openshift-ingress-operator-cloud-credentials on net
created: federated credential ingress-operator of prod-openshift-ingress-operator-cloud-credentials
created: role \"prod-openshift-image-registry-installer-cloud-credentials\" of \
prod-openshift-image-registry-installer-cloud-credentials on prod
created: role \"prod-openshift-image-registry-installer-cloud-credentials\" of \
prod-openshift-image-registry-installer-cloud-credentials on net
created: federated credential cluster-image-registry-operator of prod-openshift-image-registry-installer-cloud-credentials
created: federated credential registry of prod-openshift-image-registry-installer-cloud-credentials";

#[tokio::test]
async fn a_first_run_makes_everything_and_a_second_one_nothing() {
    let world = World::start().await;
    let plan = plan(&requests());
    assert_eq!(world.made(&plan).await.join("\n"), STEPS);
    let mut steps: Vec<_> = plan.steps().collect();
    let mut told: Vec<_> = STEPS.lines().map(|line| line.trim_start_matches("created: ").to_owned()).collect();
    steps.sort();
    told.sort();
    assert_eq!(steps, told, "a dry run shows what is done");

    let shown = world.shown().await;
    let mark = "openshift.io_cloud-credential-operator_prod";
    let tags = json!({mark: "owned", "team": "a"});
    let groups = json!([
        ["dns", "westeurope", {}],
        ["net", "westeurope", {}],
        ["prod", "westeurope", tags],
        ["prod-oidc", "westeurope", tags]
    ]);
    assert_eq!(shown["groups"], groups);
    let credential = |name: &str, namespace: &str| {
        let subject = format!("system:serviceaccount:{namespace}:{name}");
        json!([name, {"issuer": ISSUER, "subject": subject, "audiences": ["openshift"]}])
    };
    let of_registry = [
        credential("cluster-image-registry-operator", "openshift-image-registry"),
        credential("registry", "openshift-image-registry"),
    ];
    let of_ingress = [credential("ingress-operator", "openshift-ingress-operator")];
    let identities = json!([[REGISTRY, "westeurope", tags, of_registry], [INGRESS, "westeurope", tags, of_ingress]]);
    assert_eq!(shown["identities"], identities);
    let role = &shown["roles"][0];
    assert_eq!((&role[1], &role[2]), (&json!(REGISTRY), &json!("Custom role for OpenShift. Owned by: prod")));
    let actions = json!(["Microsoft.Storage/storageAccounts/read", "Microsoft.Storage/storageAccounts/write"]);
    assert_eq!((&role[3][0]["actions"], &role[4]), (&actions, &json!([format!("/subscriptions/{SUBSCRIPTION}")])));
    assert_eq!(role[3][0]["dataActions"], json!([BLOBS]));
    let assignments = shown["assignments"].as_array().unwrap();
    assert_eq!(assignments.len(), 8);
    let one = json!([INGRESS, CONTRIBUTOR, world.group("dns"), "hcp-identity: owned by prod"]).to_string();
    assert!(assignments.contains(&json!(one)), "{assignments:#?}");

    world.standin.azure().journal.clear();
    assert_eq!(world.made(&plan).await.join("\n"), STEPS.replace("created: ", "kept: "));
    assert_eq!((world.writes(), world.shown().await), (0, shown));
}

/// The calls that a run makes, in order.
async fn calls(world: &World) -> Vec<Operation> {
    world.standin.azure().journal.clear();
    world.made(&plan(&requests())).await;
    let entries = world.standin.azure().journal.entries();
    entries.iter().filter(|entry| entry.host.starts_with("management.")).map(|entry| entry.operation).collect()
}

/// The fault of the call that has this place among all.
fn at(calls: &[Operation], at: usize, effect: Effect) -> Fault {
    let before = calls[..at].iter().filter(|operation| **operation == calls[at]).count();
    Fault { after: u32::try_from(before).unwrap(), ..Fault::times(calls[at], 1, effect) }
}

fn killed() -> Effect {
    Effect::Refuse {
        status: 400,
        code: "Killed".to_owned(),
        message: "as if nobody had asked".to_owned(),
        retry_after_seconds: None,
    }
}

#[tokio::test]
async fn a_run_that_was_killed_is_completed_by_the_next_one() {
    let world = World::start().await;
    let calls = calls(&world).await;
    let whole = world.shown().await;
    for number in 0..calls.len() {
        let world = World::start().await;
        world.standin.azure().faults.add(at(&calls, number, killed()));
        let (_, done) = world.make(&plan(&requests())).await;
        assert_eq!(done.unwrap_err().code, "Killed", "call {number}");
        world.made(&plan(&requests())).await;
        assert_eq!(world.shown().await, whole, "killed at call {number}, {:?}", calls[number]);
    }
}

/// Done, and nobody has heard of it.
#[tokio::test]
async fn an_answer_that_was_lost_makes_nothing_twice() {
    let world = World::start().await;
    let calls = calls(&world).await;
    let whole = world.shown().await;
    let writes = (0..calls.len()).filter(|number| format!("{:?}", calls[*number]).starts_with("Write"));
    for number in writes {
        let world = World::start().await;
        world.standin.azure().faults.add(at(&calls, number, Effect::Torn));
        let (_, done) = world.make(&plan(&requests())).await;
        if done.is_err() {
            world.made(&plan(&requests())).await;
        }
        assert_eq!(world.shown().await, whole, "the answer of call {number} was lost, {:?}", calls[number]);
    }
}

#[tokio::test]
async fn what_takes_its_time_to_be_seen_is_waited_for() {
    let whole = {
        let world = World::start().await;
        world.made(&plan(&requests())).await;
        world.shown().await
    };
    for what in [
        Spreading::Principals,
        Spreading::Identities,
        Spreading::FederatedCredentials,
        Spreading::RoleDefinitions,
        Spreading::RoleAssignments,
    ] {
        let world = World::start().await;
        let delays = BTreeMap::from([(what, Delay { calls: 2, seconds: 0 })]);
        world.behave(Behaviour { delays, ..Behaviour::default() });
        world.made(&plan(&requests())).await;
        if what == Spreading::Principals {
            assert_eq!(
                world.count(Operation::WriteRoleAssignment),
                8,
                "nobody looks for a principal whose type is given"
            );
        }
        world.made(&plan(&requests())).await;
        let shown = world.shown().await;
        assert_eq!(
            (&shown["identities"], &shown["assignments"]),
            (&whole["identities"], &whole["assignments"]),
            "{what:?}"
        );
    }
}

#[tokio::test]
async fn a_role_that_lists_do_not_have_yet_is_kept() {
    let world = World::start().await;
    let delays = BTreeMap::from([(Spreading::RoleDefinitions, Delay { calls: 1, seconds: 0 })]);
    world.behave(Behaviour { delays, ..Behaviour::default() });
    world.standin.azure().faults.add(Fault::times(Operation::WriteRoleAssignment, 1, killed()));
    assert_eq!(world.make(&plan(&requests())).await.1.unwrap_err().code, "Killed");
    let told = world.made(&plan(&requests())).await;
    assert!(told.contains(&format!("kept: custom role {REGISTRY}")), "{told:#?}");
}

#[tokio::test]
async fn writes_of_credentials_that_meet_those_of_others_are_tried_again() {
    let world = World::start().await;
    let meets = Effect::Refuse {
        status: 409,
        code: "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity".to_owned(),
        message: "Too many Federated Identity Credentials are written concurrently".to_owned(),
        retry_after_seconds: None,
    };
    world.standin.azure().faults.add(Fault::times(Operation::WriteFederatedCredential, 2, meets));
    world.made(&plan(&requests())).await;
    assert_eq!(world.count(Operation::WriteFederatedCredential), 3 + 2);
}

#[tokio::test]
async fn what_is_written_in_another_case_is_the_same() {
    let world = World::start().await;
    let mut requests = requests();
    requests.truncate(1);
    requests[0].roles = &[];
    world.made(&plan(&requests)).await;
    let principal = world.principal(INGRESS).await;
    let scope = world.group("PROD").replace("/resourceGroups/", "/RESOURCEGROUPS/");
    let ours = Some("hcp-identity: owned by prod");
    world.assign(&scope, &CONTRIBUTOR.to_uppercase(), &principal, ours).await;
    requests[0].roles = &["contributor"];
    let told = world.made(&plan(&requests)).await;
    assert!(told.contains(&format!("kept: role \"contributor\" of {INGRESS} on prod")), "{told:#?}");
    assert_eq!(world.shown().await["assignments"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_is_left_of_an_identity_that_was_deleted_is_replaced() {
    let world = World::start().await;
    world.made(&plan(&requests())).await;
    let whole = world.shown().await;
    world.delete(&world.identity(INGRESS), IDENTITIES).await;
    let told = world.made(&plan(&requests())).await;
    let replaced = told.iter().filter(|line| line.starts_with("replaced: role ")).count();
    assert_eq!((replaced, world.shown().await), (6, whole), "{told:#?}");
}

#[tokio::test]
async fn roles_that_are_not_wanted_any_more_go_and_those_of_others_stay() {
    let world = World::start().await;
    world.made(&plan(&requests())).await;
    let principal = world.principal(INGRESS).await;
    world.assign(&world.group("net"), READER, &principal, None).await;
    let mut fewer = requests();
    fewer[0].roles = &["Contributor"];
    let (without_dns, _) = planned(&fewer, &Given { dns_zone_group: None, ..PROD });
    let (told, done) = world.make_as(OWNER, SUBSCRIPTION, &without_dns, OldRoles::Preserve).await;
    done.unwrap();
    assert!(!told.iter().any(|line| line.starts_with("deleted: ")), "{told:#?}");
    let told = world.made(&without_dns).await;
    let mut deleted: Vec<_> = told.iter().filter(|line| line.starts_with("deleted: ")).cloned().collect();
    deleted.sort();
    let gone = [
        ("Contributor", "dns"),
        ("DNS Zone Contributor", "dns"),
        ("DNS Zone Contributor", "net"),
        ("DNS Zone Contributor", "prod"),
    ];
    assert_eq!(deleted, gone.map(|(role, group)| format!("deleted: role {role:?} of {INGRESS} on {group}")));
    let left: Vec<_> = world.shown().await["assignments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| serde_json::from_str::<Value>(one.as_str().unwrap()).unwrap())
        .filter(|one| one[0] == INGRESS)
        .map(|one| (one[1].as_str().unwrap().to_owned(), one[2].as_str().unwrap().to_owned()))
        .collect();
    let expected = [(READER, "net"), (CONTRIBUTOR, "net"), (CONTRIBUTOR, "prod")];
    assert_eq!(left, expected.map(|(role, group)| (role.to_owned(), world.group(group))));
}

#[tokio::test]
async fn credentials_of_service_accounts_that_are_gone_go_where_the_identity_is_ours() {
    let world = World::start().await;
    world.made(&plan(&requests())).await;
    let by_hand = json!({"properties": {"issuer": "https://ci.test", "subject": "repo:a", "audiences": ["openshift"]}});
    world.put(&format!("{}/federatedIdentityCredentials/by-hand", world.identity(REGISTRY)), IDENTITIES, by_hand).await;
    let mut fewer = requests();
    fewer[1].accounts = vec!["registry".to_owned()];
    let unmarked = world.identity(REGISTRY);
    world.call(reqwest::Method::PATCH, &unmarked, IDENTITIES, &json!({"tags": {}})).await;
    world.made(&plan(&fewer)).await;
    let names = async || {
        let all = world.credentials(REGISTRY).await;
        all.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["cluster-image-registry-operator", "registry", "by-hand"]);
    let marked = json!({"tags": {"openshift.io_cloud-credential-operator_prod": "owned"}});
    world.call(reqwest::Method::PATCH, &unmarked, IDENTITIES, &marked).await;
    let told = world.made(&plan(&fewer)).await;
    let line = format!("deleted: federated credential cluster-image-registry-operator of {REGISTRY}");
    assert!(told.contains(&line), "{told:#?}");
    assert_eq!(names().await, ["registry", "by-hand"]);
}

/// Of the form that ours have, but for one thing each.
#[tokio::test]
async fn credentials_of_others_stay_on_an_identity_of_ours() {
    let world = World::start().await;
    world.made(&plan(&requests())).await;
    let put = async |name: &str, issuer: &str, account: &str, audience: &str| {
        let body = json!({"properties": {
            "issuer": issuer, "subject": format!("system:serviceaccount:{account}"), "audiences": [audience],
        }});
        let path = format!("{}/federatedIdentityCredentials/{name}", world.identity(REGISTRY));
        world.put(&path, IDENTITIES, body).await;
    };
    let (other, ours) = ("https://othercluster.example/x", "openshift-image-registry:my-backup");
    put("by-admin", other, ours, "openshift").await;
    put("my-backup", "https://another.example", ours, "openshift").await;
    put("by-hand", ISSUER, ours, "openshift").await;
    put("backup", ISSUER, "openshift-image-registry:backup", "api://AzureADTokenExchange").await;
    put("elsewhere", ISSUER, "default:elsewhere", "openshift").await;
    let before = world.credentials(REGISTRY).await;
    put("gone", ISSUER, "openshift-image-registry:gone", "openshift").await;
    let told = world.made(&plan(&requests())).await;
    let deleted: Vec<_> = told.iter().filter(|line| line.starts_with("deleted: ")).collect();
    assert_eq!(deleted, [&format!("deleted: federated credential gone of {REGISTRY}")]);
    assert_eq!(world.credentials(REGISTRY).await, before);
}

#[tokio::test]
async fn a_credential_that_lets_in_somebody_else_is_updated() {
    let world = World::start().await;
    world.made(&plan(&requests())).await;
    let whole = world.shown().await;
    let path = format!("{}/federatedIdentityCredentials/ingress-operator", world.identity(INGRESS));
    let subject = "system:serviceaccount:openshift-ingress-operator:ingress-operator";
    for (issuer, subject, audience) in [
        ("https://prodoidc.blob.core.windows.net/Prod/", subject, "openshift"),
        ("https://prodoidc.blob.core.windows.net/prod", subject, "openshift"),
        (ISSUER, "system:serviceaccount:default:ingress-operator", "openshift"),
        (ISSUER, subject, "api://AzureADTokenExchange"),
    ] {
        let other = json!({"properties": {"issuer": issuer, "subject": subject, "audiences": [audience]}});
        world.put(&path, IDENTITIES, other).await;
        let told = world.made(&plan(&requests())).await;
        let before = if issuer == ISSUER { String::new() } else { format!(", which was of the issuer {issuer}") };
        let line = format!("updated: federated credential ingress-operator of {INGRESS}{before}");
        assert!(told.contains(&line), "{issuer} {subject} {audience}: {told:#?}");
        assert_eq!(world.shown().await, whole);
    }
}

#[tokio::test]
async fn a_role_that_asks_for_more_is_updated() {
    let world = World::start().await;
    world.made(&plan(&requests())).await;
    let mut more = requests();
    more[1].permissions = &["Microsoft.Storage/storageAccounts/*"];
    let told = world.made(&plan(&more)).await;
    assert!(told.contains(&format!("updated: custom role {REGISTRY}")), "{told:#?}");
    let shown = world.shown().await;
    assert_eq!(shown["roles"].as_array().unwrap().len(), 1);
    assert_eq!(shown["roles"][0][3][0]["actions"], json!(["Microsoft.Storage/storageAccounts/*"]));
    more[1].data_permissions = &[BLOBS, MESSAGES];
    let told = world.made(&plan(&more)).await;
    assert!(told.contains(&format!("updated: custom role {REGISTRY}")), "{told:#?}");
    assert_eq!(world.shown().await["roles"][0][3][0]["dataActions"], json!([BLOBS, MESSAGES]));
}

#[tokio::test]
async fn what_was_there_before_is_not_marked() {
    let world = World::start().await;
    for group in ["prod", "prod-oidc"] {
        world.put(&world.group(group), "2021-04-01", json!({"location": "West Europe", "tags": {"a": "b"}})).await;
    }
    world.put(&world.identity(INGRESS), IDENTITIES, json!({"location": "westeurope"})).await;
    let told = world.made(&plan(&requests())).await;
    assert!(told.contains(&"updated: resource group prod".to_owned()), "{told:#?}");
    assert!(told.contains(&format!("updated: identity {INGRESS}")), "{told:#?}");
    let shown = world.shown().await;
    assert_eq!(shown["groups"][2], json!(["prod", "westeurope", {"a": "b", "team": "a"}]));
    assert_eq!(shown["identities"][1][2], json!({"team": "a"}));
}

/// Azure goes by issuer and subject: the one of our name lets in tokens of another issuer, and nobody has changed it.
#[tokio::test]
async fn a_credential_that_is_kept_under_another_name_was_of_no_other_issuer() {
    let world = World::start().await;
    world.made(&plan(&requests())).await;
    let credentials = format!("{}/federatedIdentityCredentials", world.identity(INGRESS));
    let subject = "system:serviceaccount:openshift-ingress-operator:ingress-operator";
    for (name, issuer) in [("ingress-operator", "https://another.example"), ("by-hand", ISSUER)] {
        let other = json!({"properties": {"issuer": issuer, "subject": subject, "audiences": ["openshift"]}});
        world.put(&format!("{credentials}/{name}"), IDENTITIES, other).await;
    }
    let told = world.made(&plan(&requests())).await;
    assert!(told.contains(&format!("kept: federated credential ingress-operator of {INGRESS}")), "{told:#?}");
}
