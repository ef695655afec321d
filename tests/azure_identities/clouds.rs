//! The same commands in every cloud, each at hosts of its own.

use std::{fs, path::Path};

use crate::{
    support::subscription::{Ran, SUBSCRIPTION, Subscription, TENANT, run},
    world::{ISSUER, requests, yaml},
};

type Variables = &'static [(&'static str, &'static str)];

/// As the owner of a cloud tells them that nobody else knows.
const HOSTS: Variables = &[
    ("HCP_IDENTITY_RESOURCE_MANAGER", "https://management.azure.com/"),
    ("HCP_IDENTITY_BLOB_SUFFIX", "blob.core.windows.net"),
    ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"),
];

async fn start(cloud: &str, test: &str) -> Subscription {
    let azure = Subscription::start_in(cloud, test, &[]).await;
    write(&azure.folder.join("requests"), "all.yaml", &yaml(&requests()));
    azure
}

#[expect(clippy::disallowed_methods, reason = "the program reads files")]
fn write(folder: &Path, name: &str, text: &str) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(name), text).unwrap();
}

async fn azure(azure: &Subscription, cloud: &str, variables: Variables, arguments: &[&str]) -> Ran {
    let mut command = azure.command();
    command.arg("azure").args(arguments).args(["--subscription-id", SUBSCRIPTION, "--cloud", cloud]);
    command.envs(variables.iter().copied());
    run(command).await
}

const CREATE: [&str; 6] = [
    "create-managed-identities",
    "--name=prod",
    "--region=westeurope",
    "--credentials-requests-dir=requests",
    "--issuer-url",
    ISSUER,
];

/// A HostedCluster of the cloud, all of whose components are the first identity that was made.
fn hosted_cluster(azure: &Subscription, cloud: &str) -> String {
    let made = |world: &azure_standin::world::World| {
        let identity = world.principals.iter().find(|one| one.resource_id.is_some()).unwrap();
        identity.client_id.clone()
    };
    let client = azure.standin.azure().with_world(made);
    let case = crate::support::testdata("federation").join("all-nine-identities-of-a-private-hosted-cluster");
    let mut input = crate::support::read(&case.join("input.yaml"));
    let planned: serde_json::Value = serde_json::from_str(&crate::support::read(&case.join("expected.json"))).unwrap();
    for identity in planned["identities"].as_array().unwrap() {
        input = input.replace(identity["clientID"].as_str().unwrap(), &client);
    }
    let input = input.replace(planned["identities"][0]["tenantID"].as_str().unwrap(), TENANT);
    input.replace("\n    azure:\n", &format!("\n    azure:\n      cloud: {cloud}\n"))
}

#[tokio::test]
async fn identities_are_made_federated_and_deleted_in_every_cloud() {
    for (cloud, named, variables) in [
        ("us-government", "AzureUSGovernmentCloud", &[][..]),
        ("china", "AzureChinaCloud", &[]),
        ("german", "AzureGermanCloud", &[]),
        ("public", "AzureStackCloud", HOSTS),
    ] {
        let subscription = start(cloud, &format!("identities-{cloud}")).await;
        let run = async |arguments: &[&str]| azure(&subscription, named, variables, arguments).await;
        let made = run(&CREATE).await;
        assert_eq!(made.code, 0, "{named}: {made:?}");
        write(&subscription.folder, "hostedcluster.yaml", &hosted_cluster(&subscription, named));
        let applied = run(&["apply", "-f", "hostedcluster.yaml"]).await;
        assert_eq!((applied.code, applied.out.lines().count()), (0, 14), "{named}: {applied:?}");
        assert!(applied.out.lines().all(|line| line.starts_with("created: ")), "{named}: {applied:?}");
        let deleted = run(&["delete", "--name=prod", "--delete-oidc-resource-group"]).await;
        assert!(deleted.out.ends_with("deleted: resource group prod-oidc\n"), "{named}: {deleted:?}");
        let asked = subscription.standin.azure().journal.entries();
        let public =
            |host: &str| [".azure.com", ".windows.net", ".microsoftonline.com"].iter().any(|end| host.ends_with(end));
        assert_eq!(asked.iter().any(|entry| public(&entry.host)), cloud == "public", "{named}");
    }
}

/// Azure Stack says for what its tokens are in `/metadata/endpoints`.
#[tokio::test]
async fn a_cloud_of_ones_own_may_have_tokens_for_something_else_than_its_host() {
    let subscription = start("public", "identities-audience").await;
    const AUDIENCE: &str = "HCP_IDENTITY_RESOURCE_MANAGER_AUDIENCE";
    const OTHER: Variables = &[HOSTS[0], HOSTS[1], HOSTS[2], (AUDIENCE, "https://management.nobody.example/guid")];
    const OLD: Variables = &[HOSTS[0], HOSTS[1], HOSTS[2], (AUDIENCE, "https://management.core.windows.net/")];
    let ran = azure(&subscription, "AzureStackCloud", OTHER, &CREATE).await;
    assert!(ran.code == 2 && ran.err.contains("https://management.nobody.example/guid"), "{ran:?}");
    let ran = azure(&subscription, "AzureStackCloud", OLD, &CREATE).await;
    assert_eq!(ran.code, 0, "{ran:?}");
}
