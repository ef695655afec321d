//! The command line: what it prints, which files it writes, and when it asks Azure for nothing.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::Value;

use crate::{
    support::subscription::{Ran, SUBSCRIPTION, Subscription, TENANT},
    world::{ISSUER, Request, requests, yaml},
};

const FLAGS: [&str; 12] = [
    "azure",
    "create-managed-identities",
    "--name=prod",
    "--region=westeurope",
    "--subscription-id",
    SUBSCRIPTION,
    "--credentials-requests-dir=requests",
    "--issuer-url",
    ISSUER,
    "--user-tags=team=a",
    "--output-dir",
    "out",
];
const INGRESS: &str = "out/manifests/openshift-ingress-operator-cloud-credentials-credentials.yaml";
const REGISTRY: &str = "out/manifests/openshift-image-registry-installer-cloud-credentials-credentials.yaml";

async fn start(test: &str, requests: &[Request]) -> Subscription {
    let azure = Subscription::start(test, &[]).await;
    let folder = azure.folder.join("requests");
    write(&folder, "all.yaml", &yaml(requests));
    azure
}

#[expect(clippy::disallowed_methods, reason = "the program reads files")]
fn write(folder: &Path, name: &str, text: &str) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(name), text).unwrap();
}

async fn create(azure: &Subscription, more: &[&str]) -> Ran {
    azure.run(&[&FLAGS, more].concat()).await
}

#[tokio::test]
async fn a_dry_run_asks_azure_for_nothing_and_shows_what_a_run_does() {
    let azure = start("identities-dry", &requests()).await;
    let dry = create(&azure, &["--dry-run"]).await;
    assert_eq!((dry.code, dry.err.as_str()), (0, ""), "{}", dry.out);
    assert!(azure.standin.azure().journal.entries().is_empty());
    let secret = azure.read(INGRESS);
    assert!(
        secret.starts_with("# No identity has been made") && secret.contains("azure_client_id: \"\"\n"),
        "{secret}"
    );

    let ran = create(&azure, &[]).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    let what = |out: &str| {
        let mut lines: Vec<_> = out.lines().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect();
        lines.sort();
        lines
    };
    assert_eq!(what(&dry.out), what(&ran.out));

    let secret = azure.read(INGRESS);
    let again = create(&azure, &["--dry-run"]).await;
    assert!(again.out.ends_with(&format!("kept: {INGRESS}\nkept: {REGISTRY}\n")), "{}", again.out);
    assert_eq!(azure.read(INGRESS), secret, "a dry run takes no ids away");
}

#[tokio::test]
async fn the_secrets_have_the_ids_and_are_for_their_owner() {
    let azure = start("identities-secrets", &requests()).await;
    let ran = create(&azure, &["-o", "json"]).await;
    assert_eq!((ran.code, ran.err.as_str()), (0, "{\"findings\": []}\n"), "{}", ran.out);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((answer["steps"].as_array().unwrap().len(), answer["files"].as_array().unwrap().len()), (11, 2));
    let clients: Vec<_> = azure.standin.azure().with_world(|world| {
        world.principals.iter().filter(|one| one.resource_id.is_some()).map(|one| one.client_id.clone()).collect()
    });
    for (file, client) in [INGRESS, REGISTRY].into_iter().zip(&clients) {
        let secret = azure.read(file);
        for line in [
            format!("  azure_client_id: {client}\n"),
            format!("  azure_tenant_id: {TENANT}\n"),
            format!("  azure_subscription_id: {SUBSCRIPTION}\n"),
            "  azure_region: westeurope\n".to_owned(),
            "  azure_federated_token_file: /var/run/secrets/openshift/serviceaccount/token\n".to_owned(),
        ] {
            assert!(secret.replace('"', "").contains(&line), "{line}{secret}");
        }
        assert_eq!(mode(&azure.folder.join(file)), 0o600);
    }
    let files = azure.files("out");
    azure.standin.azure().journal.clear();
    let again = create(&azure, &[]).await;
    assert!(again.out.lines().all(|line| line.starts_with("kept: ")), "{}", again.out);
    assert_eq!((azure.changes().len(), azure.files("out")), (0, files));
}

#[expect(clippy::disallowed_methods, reason = "the program writes files")]
fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_dry_run_has_its_plan_as_json() {
    let azure = start("identities-plan", &requests()).await;
    let dry = create(&azure, &["--dry-run", "-o", "json", "--network-resource-group-name=net"]).await;
    let answer: Value = serde_json::from_str(&dry.out).unwrap();
    let plan = serde_json::to_string_pretty(&answer["plan"]).unwrap();
    crate::support::golden(&crate::support::testdata("azure-identities").join("plan.json"), &format!("{plan}\n"));
}

#[tokio::test]
async fn a_request_that_is_refused_ends_it_before_anything_is_made() {
    let mut refused = requests();
    refused[1].accounts = vec!["registry".to_owned(), "Registry".to_owned(), "a.b".to_owned()];
    let azure = start("identities-refused", &refused).await;
    let ran = create(&azure, &[]).await;
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    let lines: Vec<_> = ran.err.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for (line, field) in lines.iter().zip(["spec.serviceAccountNames[1]", "spec.serviceAccountNames[2]"]) {
        assert!(line.starts_with("error[InvalidName]: requests/all.yaml:3:") && line.contains(field), "{line}");
    }
    assert!(azure.standin.azure().journal.entries().is_empty() && !azure.folder.join("out").exists());
}

#[tokio::test]
async fn what_cannot_be_is_told_with_its_flag() {
    let azure = start("identities-flags", &requests()).await;
    for (more, expected) in [
        (["--installation-resource-group-name=PROD-OIDC"].as_slice(), "--installation-resource-group-name: "),
        (&["--user-tags=a=b,A=c"], "--user-tags: "),
        (&["--dnszone-resource-group-name=a/b", "--network-resource-group-name=c."], "--network-resource-group-name: "),
    ] {
        let ran = create(&azure, more).await;
        assert!(ran.code == 2 && ran.err.contains(expected), "{ran:?}");
    }
    write(&azure.folder.join("requests"), "all.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
    let ran = create(&azure, &[]).await;
    assert!(ran.code == 2 && ran.err.contains("requests has no CredentialsRequest of Azure"), "{ran:?}");
    assert!(azure.standin.azure().journal.entries().is_empty());
}

/// What was done stands there, and why it ended.
#[tokio::test]
async fn a_run_that_is_refused_tells_how_far_it_came() {
    let mut misspelt = requests();
    misspelt[0].permissions = &["everything"];
    let azure = start("identities-ended", &misspelt).await;
    let ran = create(&azure, &["-o", "json"]).await;
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, answer["steps"].as_array().unwrap().len()), (2, 3), "{ran:?}");
    let error = answer["error"].as_str().unwrap();
    assert!(error.contains("InvalidActionOrNotAction") && ran.err.contains(error), "{ran:?}");
    assert!(!azure.folder.join(INGRESS).exists());
}
