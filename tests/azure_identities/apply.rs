//! `hcp-identity azure apply`: the federated credentials of HostedClusters, on identities that somebody else has made.

use std::fs;

use azure_standin::{cloud::Cloud, operation::Operation};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{IDENTITIES, OWNER, SUBSCRIPTION, TENANT, World};

const CASE: &str = "all-nine-identities-of-a-private-hosted-cluster";

/// The HostedCluster of a case of `plan`, whose identities are there under names of their own.
pub async fn world() -> (World, String) {
    world_in(Cloud::Public).await
}

async fn world_in(cloud: Cloud) -> (World, String) {
    let world = World::start_in(cloud).await;
    world.put(&world.group("prod-oidc"), "2021-04-01", json!({"location": "westeurope"})).await;
    let case = crate::support::testdata("federation").join(CASE);
    let mut input = crate::support::read(&case.join("input.yaml"));
    let planned: Value = serde_json::from_str(&crate::support::read(&case.join("expected.json"))).unwrap();
    for (number, identity) in planned["identities"].as_array().unwrap().iter().enumerate() {
        let id = world.identity(&format!("identity-{number}"));
        let made = world.put(&id, IDENTITIES, json!({"location": "westeurope"})).await;
        let client = made["properties"]["clientId"].as_str().unwrap().to_uppercase();
        input = input.replace(identity["clientID"].as_str().unwrap(), &client);
    }
    let input = input.replace(planned["identities"][0]["tenantID"].as_str().unwrap(), &TENANT.to_uppercase());
    world.standin.azure().journal.clear();
    (world, input)
}

async fn start(test: &str) -> (World, String) {
    start_in(Cloud::Public, test).await
}

async fn start_in(cloud: Cloud, test: &str) -> (World, String) {
    let (world, input) = world_in(cloud).await;
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("apply").join(test);
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("hostedcluster.yaml");
    write(&file, &input);
    write(&folder.join("ca.pem"), &world.standin.about().ca_pem);
    (world, file.display().to_string())
}

#[expect(clippy::disallowed_methods, reason = "the program reads files")]
fn write(file: &std::path::Path, text: &str) {
    fs::write(file, text).unwrap();
}

async fn apply(world: &World, file: &str, more: &[&str]) -> (i32, String, String) {
    let mut command = crate::support::hcp_identity();
    command.args(["azure", "apply", "-f", file, "--subscription-id", SUBSCRIPTION]).args(more);
    command.env("SSL_CERT_FILE", std::path::Path::new(file).with_file_name("ca.pem"));
    command.envs(world.standin.proxy_environment());
    command.envs([("AZURE_CLIENT_ID", OWNER), ("AZURE_TENANT_ID", TENANT), ("AZURE_CLIENT_SECRET", "hush")]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output.status.code().unwrap(), crate::support::text(output.stdout), crate::support::text(output.stderr))
}

/// All that are there, by identity.
async fn credentials(world: &World) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    for number in 0..9 {
        all.push(world.credentials(&format!("identity-{number}")).await);
    }
    all
}

#[tokio::test]
async fn what_plan_lists_is_made_and_kept() {
    let (world, file) = start("made").await;
    let (code, dry, _) = apply(&world, &file, &["--dry-run"]).await;
    assert_eq!((code, world.standin.azure().journal.entries().len()), (0, 0));
    let (code, out, err) = apply(&world, &file, &[]).await;
    assert_eq!(code, 0, "{err}");
    assert_eq!(
        (dry.lines().count(), out.lines().filter(|line| line.starts_with("created: ")).count()),
        (14, 14),
        "{out}"
    );
    let made = credentials(&world).await;
    let planned = crate::support::read(&crate::support::testdata("federation").join(CASE).join("expected.json"));
    let planned: Value = serde_json::from_str(&planned).unwrap();
    for (made, planned) in made.iter().zip(planned["identities"].as_array().unwrap()) {
        let made: Vec<_> = made
            .iter()
            .map(|one| {
                let of = &one["properties"];
                json!({"name": one["name"], "issuer": of["issuer"], "subject": of["subject"], "audiences": of["audiences"]})
            })
            .collect();
        assert_eq!(json!(made), planned["federatedCredentials"]);
    }
    let writes = world.writes();
    let (code, out, _) = apply(&world, &file, &["-o", "json"]).await;
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert!(answer["steps"].as_array().unwrap().iter().all(|step| step["change"] == "kept"), "{out}");
    assert_eq!((code, world.writes()), (0, writes));
}

#[tokio::test]
async fn the_cloud_is_that_of_the_hosted_cluster() {
    let (world, file) = start_in(Cloud::UsGovernment, "cloud").await;
    let public = crate::support::read(std::path::Path::new(&file));
    let government = "AzureUSGovernmentCloud";
    write(
        std::path::Path::new(&file),
        &public.replace("\n    azure:\n", &format!("\n    azure:\n      cloud: {government}\n")),
    );
    let (code, _, err) = apply(&world, &file, &["--cloud", "AzurePublicCloud"]).await;
    let contradicts = format!(
        "HostedCluster clusters/prod: spec.platform.azure.cloud: is another cloud than AzurePublicCloud, that of --cloud: a subscription is in one (value \"{government}\")"
    );
    assert!(code == 1 && err.starts_with("error[OtherCloud]: ") && err.contains(&contradicts), "{err}");
    assert_eq!(world.standin.azure().journal.entries().len(), 0);
    for more in [&[][..], &["--cloud", government]] {
        let (code, _, err) = apply(&world, &file, more).await;
        assert_eq!(code, 0, "{err}");
    }
    let asked = world.standin.azure().journal.entries();
    let hosts = ["login.microsoftonline.us", "management.usgovcloudapi.net"];
    assert!(asked.iter().all(|entry| hosts.contains(&&*entry.host)), "{asked:?}");
    assert_eq!(credentials(&world).await.concat().len(), 14);
}

#[tokio::test]
async fn hosted_clusters_of_two_clouds_have_no_subscription_in_common() {
    let (world, file) = start("clouds").await;
    let one = crate::support::read(std::path::Path::new(&file));
    let other = one.replace("  name: prod\n", "  name: test\n");
    let other = other.replace("\n    azure:\n", "\n    azure:\n      cloud: AzureChinaCloud\n");
    write(std::path::Path::new(&file), &[one, other].join("---\n"));
    let (code, out, err) = apply(&world, &file, &[]).await;
    let told = "HostedCluster clusters/test: spec.platform.azure.cloud: is another cloud than AzurePublicCloud, that of HostedCluster clusters/prod";
    assert!(code == 1 && out.is_empty() && err.contains(told), "{err}");
    assert_eq!(world.standin.azure().journal.entries().len(), 0);
}

#[tokio::test]
async fn all_identities_that_are_not_there_are_told_before_anything_is_made() {
    let (world, file) = start("missing").await;
    for name in ["identity-0", "identity-8"] {
        world.delete(&world.identity(name), IDENTITIES).await;
    }
    let (code, out, err) = apply(&world, &file, &[]).await;
    assert!(code == 2 && out.is_empty() && err.contains("has none with the client id ") && err.contains(", "), "{err}");
    assert_eq!(world.count(Operation::WriteFederatedCredential), 0);
}

#[tokio::test]
async fn a_tenant_that_is_not_that_of_the_identities_is_told_before_anything_is_made() {
    let (world, file) = start("tenant").await;
    let input = crate::support::read(std::path::Path::new(&file));
    let other = "64dc69e4-d083-49fc-9569-ebece1dd1408";
    write(std::path::Path::new(&file), &input.replace(TENANT, other));
    let (code, out, err) = apply(&world, &file, &[]).await;
    let told = |number| {
        format!(
            "cannot use the identity identity-{number}: it is of the tenant {TENANT}, and spec.platform.azure.tenantID of HostedCluster clusters/prod is {other}; give {TENANT} there"
        )
    };
    assert!(code == 2 && out.is_empty() && (0..9).all(|number| err.contains(&told(number))), "{err}");
    assert_eq!(world.count(Operation::WriteFederatedCredential), 0);
}

#[tokio::test]
async fn what_lets_in_somebody_else_is_not_taken_from_them() {
    let (world, file) = start("taken").await;
    let path = format!("{}/federatedIdentityCredentials/", world.identity("identity-0"));
    let (code, ..) = apply(&world, &file, &[]).await;
    assert_eq!(code, 0);
    let one = world.credentials("identity-0").await.remove(0);
    let path = format!("{path}{}", one["name"].as_str().unwrap());
    let other = json!({"properties": {"issuer": "https://other.test", "subject": "a", "audiences": ["openshift"]}});
    world.put(&path, IDENTITIES, other.clone()).await;
    let (code, _, err) = apply(&world, &file, &[]).await;
    let (name, wanted) = (one["name"].as_str().unwrap(), &one["properties"]);
    let told = format!(
        "cannot make the federated credentials of identity-0: {name} lets in somebody else: it has the issuer \"https://other.test\", the subject \"a\" and the audiences [\"openshift\"]; wanted is {name} with {}, {} and [\"openshift\"]; delete {name} if nobody uses it",
        wanted["issuer"], wanted["subject"]
    );
    assert!(code == 2 && err.contains(&told), "{err}");
    assert_eq!(world.get(&path, IDENTITIES).await["properties"], other["properties"]);
    // Under another name it is as good.
    world.delete(&path, IDENTITIES).await;
    let (status, _) = world.call(Method::PUT, &format!("{path}-2"), IDENTITIES, &one).await;
    assert_eq!(status, 201);
    let (code, out, err) = apply(&world, &file, &[]).await;
    assert!(code == 0 && out.lines().all(|line| line.starts_with("kept: ")), "{out}{err}");
}

#[tokio::test]
async fn all_that_is_in_the_way_is_told_before_anything_is_made() {
    let (world, file) = start("conflicts").await;
    let (_, planned, _) = apply(&world, &file, &["--dry-run"]).await;
    let names: Vec<_> = planned.lines().filter_map(|line| line.split(' ').nth(3)).collect();
    let other = json!({"properties": {"issuer": "https://other.test", "subject": "a", "audiences": ["openshift"]}});
    for (identity, name) in [("identity-1", names[1]), ("identity-8", names[names.len() - 1])] {
        let path = format!("{}/federatedIdentityCredentials/{name}", world.identity(identity));
        world.put(&path, IDENTITIES, other.clone()).await;
    }
    world.standin.azure().journal.clear();
    let (code, out, err) = apply(&world, &file, &[]).await;
    assert!(code == 2 && out.is_empty() && err.matches(" lets in somebody else: ").count() == 2, "{out}{err}");
    assert_eq!(world.count(Operation::WriteFederatedCredential), 0);
}

#[tokio::test]
async fn where_there_is_nothing_to_make_it_is_told_what_was_read() {
    let (world, file) = start("nothing").await;
    let of_nobody = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: a}\n";
    for (input, documents) in [("", "0 documents"), (of_nobody, "1 document")] {
        write(std::path::Path::new(&file), input);
        for more in [&[][..], &["--dry-run"], &["--dry-run=server"]] {
            let told = format!(
                "{documents}: 0 HostedClusters, 0 with workload identities: 0 identities, 0 federated credentials\n"
            );
            assert_eq!(apply(&world, &file, more).await, (0, String::new(), told));
        }
    }
    assert_eq!(world.standin.azure().journal.entries().len(), 0);
}

#[tokio::test]
async fn a_server_dry_run_tells_what_becomes_of_what_is_there() {
    let (world, file) = start("rehearsed").await;
    apply(&world, &file, &[]).await;
    let one = world.credentials("identity-0").await.remove(0);
    let name = one["name"].as_str().unwrap();
    world.delete(&format!("{}/federatedIdentityCredentials/{name}", world.identity("identity-0")), IDENTITIES).await;
    let (there, writes) = (credentials(&world).await, world.writes());
    let (code, dry, err) = apply(&world, &file, &["--dry-run=server"]).await;
    assert_eq!((code, world.writes()), (0, writes), "{err}");
    assert_eq!(credentials(&world).await, there);
    let (_, out, _) = apply(&world, &file, &[]).await;
    assert_eq!(dry.replace(" (dry run)", ""), out);
    let created: Vec<_> = dry.lines().filter(|line| line.starts_with("created: ")).collect();
    assert_eq!(created, [format!("created: federated credential {name} of identity-0 (dry run)")]);
}
