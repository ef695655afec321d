//! `hcp-identity azure create-oidc-issuer` against the stand-in, with Azurite for blobs: what is made, what a second run leaves alone, and what
//! becomes of a run that was cut off.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are parts of tests")]

mod support;

use std::{fs, path::Path, process::Stdio, sync::LazyLock, time::Duration};

use azure_standin::{
    fault::{Effect, Fault},
    operation::Operation,
};
use hcp_identity::provision::{INSTALLER_COPY, PRIVATE, PUBLIC};
use serde_json::Value;
use support::subscription::{Ran, STRANGER, SUBSCRIPTION, Subscription, TENANT, run};

const ISSUER: &str = "https://prod.blob.core.windows.net/prod";
const WEBSITE: &str = "https://prod.z13.web.core.windows.net";

/// A pair, made once: large keys take their time.
#[expect(clippy::disallowed_methods, reason = "the program reads files")]
static PAIR: LazyLock<[(&str, Vec<u8>); 3]> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("issuer-pair");
    let made =
        support::hcp_identity().args(["azure", "create-key-pair", "--output-dir"]).arg(&folder).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    [PRIVATE, PUBLIC, INSTALLER_COPY].map(|name| (name, fs::read(folder.join(name)).unwrap()))
});

async fn start(test: &str) -> Subscription {
    start_in("public", test).await
}

#[expect(clippy::disallowed_methods, reason = "the program reads files")]
async fn start_in(cloud: &str, test: &str) -> Subscription {
    let subscription = Subscription::start_in(cloud, test, &["prod"]).await;
    fs::create_dir_all(subscription.folder.join("out/tls")).unwrap();
    for (name, content) in &*PAIR {
        fs::write(subscription.folder.join("out").join(name), content).unwrap();
    }
    subscription
}

const FLAGS: [&str; 12] = [
    "azure",
    "create-oidc-issuer",
    "--name",
    "prod",
    "--region",
    "westeurope",
    "--subscription-id",
    SUBSCRIPTION,
    "--tenant-id",
    TENANT,
    "--output-dir",
    "out",
];

async fn create(subscription: &Subscription, more: &[&str]) -> Ran {
    subscription.run(&[&FLAGS, more].concat()).await
}

/// As Entra looks at it: nobody in particular.
async fn fetch(subscription: &Subscription, url: &str) -> Option<Value> {
    let answer = subscription.http().get(url).send().await.unwrap();
    answer.status().is_success().then_some(())?;
    Some(serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}

#[tokio::test]
async fn the_documents_of_an_issuer_are_published_once_and_kept() {
    let azure = start("published").await;
    let ran = create(&azure, &[]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let keys = fetch(&azure, &format!("{ISSUER}/openid/v1/jwks")).await.unwrap();
    let expected = [
        "created: resource group prod-oidc",
        "created: storage account prod",
        "created: container prod/prod",
        &format!("created: {ISSUER}/openid/v1/jwks"),
        &format!("created: {ISSUER}/.well-known/openid-configuration"),
        "created: out/openid-configuration",
        "created: out/jwks",
        "created: out/manifests/cluster-authentication-02-config.yaml",
        "created: out/manifests/azure-ad-pod-identity-webhook-config.yaml",
        &format!("key id: {}", keys["keys"][0]["kid"].as_str().unwrap()),
        &format!("issuer: {ISSUER}"),
    ];
    assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected);
    let discovery = fetch(&azure, &format!("{ISSUER}/.well-known/openid-configuration")).await.unwrap();
    assert_eq!(discovery["issuer"], ISSUER);
    assert_eq!(
        discovery.to_string(),
        serde_json::from_str::<Value>(&azure.read("out/openid-configuration")).unwrap().to_string()
    );
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    // Nothing is asked of the account's keys.
    let entries = azure.standin.azure().journal.entries();
    assert!(!entries.iter().any(|entry| entry.path.to_lowercase().contains("listkeys")), "{entries:#?}");

    azure.standin.azure().journal.clear();
    let files = azure.files("out");
    let again = create(&azure, &[]).await;
    assert_eq!(again.code, 0, "{again:?}");
    assert!(
        again.out.lines().all(|line| ["kept: ", "key id: ", "issuer: "].iter().any(|start| line.starts_with(start))),
        "{}",
        again.out
    );
    assert!(azure.changes().is_empty(), "{:?}", azure.changes());
    assert_eq!(azure.files("out"), files);
}

#[tokio::test]
async fn a_rotated_key_is_published_beside_the_old_one_until_that_is_retired() {
    let azure = start("rotated").await;
    assert_eq!(create(&azure, &[]).await.code, 0);
    let ids = |keys: &Value| -> Vec<String> {
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    let url = format!("{ISSUER}/openid/v1/jwks");
    let old = ids(&fetch(&azure, &url).await.unwrap());
    assert_eq!(azure.run(&["azure", "create-key-pair", "--rotate", "--output-dir", "out"]).await.code, 0);
    assert_eq!(create(&azure, &[]).await.code, 0);
    let both = ids(&fetch(&azure, &url).await.unwrap());
    assert_eq!(both.len(), 2);
    assert_eq!(both[1], old[0]);
    // A misspelt id would leave the one that was meant where it is.
    let mut misspelt = old[0].clone();
    misspelt.replace_range(9..10, if &misspelt[9..10] == "A" { "B" } else { "A" });
    for (id, told) in [
        (&misspelt, format!("no key {misspelt} is published there (--retire-key), but {}; ", both.join(", "))),
        (&both[0], format!("--retire-key: {} is the key that is published for the cluster to sign with; ", both[0])),
    ] {
        let ran = create(&azure, &["--retire-key", id, "--retire-key", &old[0]]).await;
        assert!(ran.code == 2 && ran.err.contains(&told), "{ran:?}");
        assert_eq!(ids(&fetch(&azure, &url).await.unwrap()), both);
    }
    let ran = create(&azure, &["--retire-key", &old[0], "-o", "json"]).await;
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["keyIDs"], serde_json::json!([both[0]]));
    assert_eq!(ids(&fetch(&azure, &url).await.unwrap()), [both[0].clone()]);
    // A run is repeated, of a pair that is known; in another folder it is not.
    let ran = create(&azure, &["--retire-key", &old[0]]).await;
    assert!(ran.code == 0 && ran.out.contains(&format!("kept: {url}\n")), "{ran:?}");
    fs::remove_dir_all(azure.folder.join("out/retired")).unwrap();
    let ran = create(&azure, &["--retire-key", &old[0]]).await;
    let told = format!("no key {} is published there (--retire-key), but {}; ", old[0], both[0]);
    assert!(ran.code == 2 && ran.err.contains(&told), "{ran:?}");
}

/// Of somebody else, in a container that is not ours alone.
#[tokio::test]
async fn a_document_that_is_larger_than_any_is_not_read_whole() {
    let azure = start("large").await;
    assert_eq!(create(&azure, &[]).await.code, 0);
    let token = azure.token("https://storage.azure.com/.default").await;
    let url = format!("{ISSUER}/openid/v1/jwks");
    let put = azure.http().put(&url).bearer_auth(token).header("x-ms-blob-type", "BlockBlob");
    let put = put.header("x-ms-version", "2021-12-02").body(" ".repeat(9 << 20)).send().await.unwrap();
    assert_eq!(put.status(), 201, "{put:?}");
    azure.standin.azure().journal.clear();
    let ran = create(&azure, &[]).await;
    let told = format!("cannot publish {url}: what is there is larger than 1 MiB");
    assert!(ran.code == 2 && ran.err.contains(&told), "{ran:?}");
    assert_eq!(azure.standin.azure().journal.count(Operation::ReadBlob), 1);
    assert!(azure.changes().is_empty(), "{:?}", azure.changes());
}

/// As a Secret is mounted: a link to a link.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the program reads files")]
async fn a_public_key_may_be_behind_a_link() {
    let azure = start("mounted").await;
    fs::rename(azure.folder.join("out/serviceaccount-signer.public"), azure.folder.join("key")).unwrap();
    std::os::unix::fs::symlink("key", azure.folder.join("link")).unwrap();
    std::os::unix::fs::symlink("link", azure.folder.join("sa.pub")).unwrap();
    let ran = create(&azure, &["--dry-run", "--public-key-file", "sa.pub"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[tokio::test]
async fn a_website_needs_no_blob_that_everybody_may_read() {
    let azure = start("website").await;
    let ran = create(&azure, &["--issuer-hosting", "static-website"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.ends_with(&format!("issuer: {WEBSITE}\n")), "{}", ran.out);
    assert_eq!(fetch(&azure, &format!("{WEBSITE}/.well-known/openid-configuration")).await.unwrap()["issuer"], WEBSITE);
    assert!(fetch(&azure, "https://prod.blob.core.windows.net/$web/openid/v1/jwks").await.is_none());
    azure.standin.azure().journal.clear();
    assert_eq!(create(&azure, &["--issuer-hosting", "static-website"]).await.code, 0);
    assert!(azure.changes().is_empty(), "{:?}", azure.changes());
    // The documents of two clusters: the website is one of them.
    let container = "/resourceGroups/prod-oidc/providers/Microsoft.Storage/storageAccounts/prod/blobServices/default/containers/others";
    azure.put(container, "2024-01-01", &serde_json::json!({})).await;
    azure.standin.azure().journal.clear();
    let ran = azure.run(&["azure", "delete", "--subscription-id", SUBSCRIPTION, "--name", "prod"]).await;
    assert!(ran.err.contains("kept: storage account prod: it has the containers $web, others; "), "{ran:?}");
    assert!(azure.changes().is_empty(), "{:?}", azure.changes());
}

const REQUEST: &str = "\
apiVersion: cloudcredential.openshift.io/v1
kind: CredentialsRequest
metadata: {name: registry, namespace: a}
spec:
  secretRef: {name: creds, namespace: registry}
  providerSpec: {kind: AzureProviderSpec, roleBindings: [{role: Reader}], permissions: [Microsoft.Storage/storageAccounts/read]}
  serviceAccountNames: [registry]
";

/// Each change in turn is refused as by a policy, and the run ends there; the next run makes the rest.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the program reads files")]
async fn a_run_that_ends_anywhere_is_completed_by_the_next_one() {
    use Operation::{
        WriteBlob, WriteBlobServiceData, WriteContainer, WriteFederatedCredential, WriteIdentity, WriteResourceGroup,
        WriteRoleAssignment, WriteRoleDefinition, WriteStorageAccount,
    };
    let website = [WriteResourceGroup, WriteStorageAccount, WriteBlobServiceData, WriteBlob, WriteBlob];
    let issuer = [WriteResourceGroup, WriteStorageAccount, WriteContainer, WriteBlob, WriteBlob];
    let identities = [
        WriteResourceGroup,
        WriteIdentity,
        WriteRoleDefinition,
        WriteRoleAssignment,
        WriteRoleAssignment,
        WriteFederatedCredential,
    ];
    for (command, more, changes) in [
        ("create-oidc-issuer", ["--issuer-hosting", "static-website"], website.to_vec()),
        ("create-all", ["--credentials-requests-dir", "requests"], [&issuer[..], &identities].concat()),
    ] {
        let azure = start(&format!("ended-{command}")).await;
        fs::create_dir(azure.folder.join("requests")).unwrap();
        fs::write(azure.folder.join("requests/registry.yaml"), REQUEST).unwrap();
        let create = async || azure.run(&[&["azure", command], &FLAGS[2..], &more].concat()).await;
        let done = || -> Vec<_> {
            let done = azure.changes().into_iter().filter(|entry| entry.refusal.is_none());
            done.map(|entry| entry.operation).collect()
        };
        for (number, operation) in changes.iter().enumerate() {
            let (status, code, message) = (403, "RequestDisallowedByPolicy".to_owned(), "Not here.".to_owned());
            let refuse = Effect::Refuse { status, code, message, retry_after_seconds: None };
            // What was refused in the last run comes first in this one.
            let after = u32::from(number > 0 && changes[number - 1] == *operation);
            azure.standin.azure().faults.add(Fault { after, ..Fault::times(*operation, 1, refuse) });
            let ran = create().await;
            assert!(ran.code == 2 && ran.err.contains("RequestDisallowedByPolicy"), "{operation:?}: {ran:?}");
            assert_eq!(done(), changes[..number], "{operation:?}");
            let published = done().iter().filter(|operation| **operation == WriteBlob).count() == 2;
            assert_eq!(azure.folder.join("out/jwks").exists(), published, "{operation:?}");
        }
        let ran = create().await;
        assert_eq!((ran.code, done()), (0, changes.clone()), "{ran:?}");
        assert_eq!((create().await.code, done()), (0, changes));
    }
}

/// Killed while Azure is at work on each change in turn: what was asked for is done, and nobody heard of it.
#[tokio::test]
async fn a_run_that_is_killed_anywhere_is_completed_by_the_next_one() {
    let azure = start("killed").await;
    for operation in [
        Operation::WriteResourceGroup,
        Operation::WriteStorageAccount,
        Operation::WriteContainer,
        Operation::WriteBlob,
        Operation::WriteBlob,
    ] {
        azure.standin.azure().faults.add(Fault::times(operation, 1, Effect::Slow { milliseconds: 1000 }));
        let mut running = azure.command().args(FLAGS).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !azure.standin.azure().faults.all().is_empty() {
            assert!(running.try_wait().unwrap().is_none(), "{operation:?}: it ended before");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        running.kill().unwrap();
        running.wait().unwrap();
    }
    let ran = create(&azure, &[]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let made = azure.changes();
    let made =
        |operation| made.iter().filter(|entry| entry.operation == operation && entry.status == Some(201)).count();
    assert_eq!(made(Operation::WriteResourceGroup), 1);
    assert_eq!(made(Operation::WriteContainer), 1);
    assert!(fetch(&azure, &format!("{ISSUER}/.well-known/openid-configuration")).await.is_some());
}

/// Group and account of another name, of which this one's documents make use.
#[tokio::test]
async fn what_bears_no_mark_or_that_of_another_is_not_deleted() {
    let azure = start("another").await;
    let named = |name: &'static str| {
        let mut flags = FLAGS.to_vec();
        flags[3] = name;
        flags.extend([
            "--oidc-resource-group-name",
            "shared",
            "--storage-account-name",
            "prod",
            "--blob-container-name",
            name,
        ]);
        flags
    };
    for name in ["others", "prod"] {
        let ran = azure.run(&named(name)).await;
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    azure.standin.azure().journal.clear();
    let delete = [
        "azure",
        "delete",
        "--subscription-id",
        SUBSCRIPTION,
        "--oidc-resource-group-name",
        "shared",
        "--storage-account-name",
        "prod",
        "--delete-oidc-resource-group",
        "--name",
    ];
    let ran = azure.run(&[&delete[..], &["prod"]].concat()).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
    for kept in ["storage account prod", "resource group shared"] {
        assert!(ran.err.contains(&format!("kept: {kept}: it has not the tag of prod")), "{}", ran.err);
    }
    assert!(azure.changes().is_empty(), "{:?}", azure.changes());
    // It is marked, and the issuer of another cluster is in it.
    let ran = azure.run(&[&delete[..], &["others"]].concat()).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
    assert!(ran.err.contains("kept: storage account prod: it has the containers others, prod; "), "{}", ran.err);
    assert!(ran.err.contains("kept: resource group shared: in it are also prod"), "{}", ran.err);
    assert!(azure.changes().is_empty(), "{:?}", azure.changes());
}

/// Made by somebody else, with whatever is in it.
#[tokio::test]
async fn a_container_that_nobody_may_read_is_not_opened() {
    let azure = start("private").await;
    assert_eq!(create(&azure, &[]).await.code, 0);
    let container = "/resourceGroups/prod-oidc/providers/Microsoft.Storage/storageAccounts/prod/blobServices/default/containers/backups";
    let body = serde_json::json!({"properties": {"publicAccess": "None"}});
    let made = azure.put(container, "2024-01-01", &body).await;
    assert_eq!(made["name"], "backups", "{made}");
    azure.standin.azure().journal.clear();
    let ran = create(&azure, &["--blob-container-name", "backups"]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("it is there, and nobody may read its blobs"), "{}", ran.err);
    assert!(azure.changes().is_empty(), "{:?}", azure.changes());
}

#[tokio::test]
async fn nothing_is_written_through_a_folder_that_is_a_link() {
    let azure = start("linked").await;
    fs::create_dir_all(azure.folder.join("outside")).unwrap();
    std::os::unix::fs::symlink("../outside", azure.folder.join("out/manifests")).unwrap();
    let ran = create(&azure, &["--dry-run"]).await;
    assert!(ran.code == 2 && ran.err.contains("out/manifests is a symbolic link"), "{ran:?}");
    assert!(azure.files("outside").is_empty());
}

#[tokio::test]
async fn answers_that_are_lost_cost_no_second_account() {
    let azure = start("lost").await;
    for operation in [
        Operation::WriteResourceGroup,
        Operation::WriteStorageAccount,
        Operation::WriteContainer,
        Operation::ReadStorageAccount,
    ] {
        azure.standin.azure().faults.add(Fault::times(operation, 1, Effect::Torn));
        azure.standin.azure().faults.add(Fault::times(
            operation,
            1,
            Effect::Status { status: 429, retry_after_seconds: Some(0) },
        ));
    }
    let ran = create(&azure, &[]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[tokio::test]
async fn every_cloud_has_hosts_of_its_own() {
    for (cloud, named, suffix) in [
        ("us-government", "AzureUSGovernmentCloud", "blob.core.usgovcloudapi.net"),
        ("china", "AzureChinaCloud", "blob.core.chinacloudapi.cn"),
    ] {
        let azure = start_in(cloud, cloud).await;
        let ran = create(&azure, &["--cloud", named]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.ends_with(&format!("issuer: https://prod.{suffix}/prod\n")), "{}", ran.out);
        let asked = azure.standin.azure().journal.entries();
        assert!(!asked.iter().any(|entry| entry.host.ends_with(".azure.com") || entry.host.ends_with(".windows.net")));
    }
}

/// A cloud that nobody knows here but its owner.
#[tokio::test]
async fn a_cloud_that_is_not_known_needs_its_hosts() {
    let azure = start("stack").await;
    let run_with = async |variables: &[(&str, &str)]| {
        let mut command = azure.command();
        command.args(FLAGS).args(["--cloud", "AzureBleuCloud"]).envs(variables.iter().copied());
        run(command).await
    };
    let hosts = [
        ("HCP_IDENTITY_RESOURCE_MANAGER", "https://management.azure.com"),
        ("HCP_IDENTITY_BLOB_SUFFIX", "blob.core.windows.net"),
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com"),
    ];
    let ran = run_with(&[]).await;
    assert!(ran.code == 2 && ran.err.contains("HCP_IDENTITY_RESOURCE_MANAGER"), "{ran:?}");
    let ran = run_with(&hosts[..1]).await;
    assert!(ran.code == 2 && ran.err.contains("HCP_IDENTITY_BLOB_SUFFIX"), "{ran:?}");
    let ran = run_with(&hosts).await;
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[tokio::test]
async fn a_dry_run_calls_nobody() {
    let azure = start("dry").await;
    let ran = create(&azure, &["--dry-run"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(azure.standin.azure().journal.entries().is_empty());
    assert_eq!(ran.out.lines().filter(|line| line.starts_with("planned: ")).count(), 5, "{}", ran.out);
    let dry = azure.files("out");
    assert_eq!(create(&azure, &[]).await.code, 0);
    assert_eq!(azure.files("out"), dry, "a dry run writes what a real one does");
}

#[tokio::test]
async fn who_has_not_signed_in_is_told_how() {
    let azure = start("nobody").await;
    let mut command = azure.command();
    command.args(FLAGS);
    for variable in ["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"] {
        command.env_remove(variable);
    }
    let ran = run(command).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("nobody is signed in; run az login"), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
}

#[tokio::test]
async fn what_azure_refuses_is_told_with_what_to_do() {
    let azure = start("refused").await;
    let mut command = azure.command();
    command.args(FLAGS).env("AZURE_CLIENT_ID", STRANGER);
    let ran = run(command).await;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("AuthorizationFailed"), "{}", ran.err);

    assert_eq!(create(&azure, &[]).await.code, 0);
    let ran = create(&azure, &["--region", "eastus"]).await;
    assert!(ran.err.is_empty() || ran.code == 2, "a flag twice");
    let mut flags = FLAGS.to_vec();
    flags[5] = "northeurope";
    let ran = azure.run(&flags).await;
    assert!(ran.code == 2 && ran.err.contains("it is in westeurope and not in northeurope"), "{ran:?}");
}

/// What was published may be gone, or another's, long after a HostedCluster was made.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the program reads files")]
async fn an_issuer_is_asked_again_for_what_entra_would_refuse() {
    let azure = start("checked").await;
    assert_eq!(create(&azure, &[]).await.code, 0);
    let case = "federation/two-components-of-one-identity/input.yaml";
    let input = support::read(&support::testdata(case));
    let plan = async |issuer: &str, more: &[&str]| {
        let input = input.replace("https://prodoidc.blob.core.windows.net/prod", issuer);
        fs::write(azure.folder.join("hostedcluster.yaml"), input).unwrap();
        azure.run(&[&["azure", "plan", "-f", "hostedcluster.yaml"], more].concat()).await
    };
    let discovery = |issuer: &str| format!("{issuer}/.well-known/openid-configuration");
    let found = plan(ISSUER, &["--check-issuer"]).await;
    assert!(found.code == 0 && !found.err.contains("error["), "{found:?}");
    let slash = format!("{ISSUER}/");
    let told = plan(&slash, &["--check-issuer"]).await;
    let mismatch = format!("error[IssuerMismatch]: {}: ", discovery(ISSUER));
    assert!(told.code == 1 && told.err.contains(&mismatch), "{told:?}");
    let elsewhere = ISSUER.replace("/prod", "/Prod");
    let told = plan(&elsewhere, &["--check-issuer"]).await;
    let unreachable = format!("error[IssuerUnreachable]: {}: answers 4", discovery(&elsewhere));
    assert!(told.code == 1 && told.err.contains(&unreachable), "{told:?}");
    // Once, as several components have it in common.
    assert_eq!(told.err.matches("error[").count(), 1);
    azure.standin.azure().journal.clear();
    assert_eq!(plan(&elsewhere, &[]).await.code, 0);
    assert!(azure.standin.azure().journal.entries().is_empty(), "nothing is asked for without the flag");
}
