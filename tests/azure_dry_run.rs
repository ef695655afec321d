//! What the commands of `hcp-identity azure` show before they do it: without a call, and beside what is there.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are parts of tests")]
#![allow(clippy::disallowed_methods, reason = "files of a user are written")]

mod support;

use serde_json::Value;
use support::subscription::{REQUEST, Ran, SUBSCRIPTION, Subscription, TENANT};

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

const IDENTITY: &str = "prod-openshift-image-registry-installer-cloud-credentials";
const WEBSITE: &[&str] = &["--issuer-hosting=static-website"];

async fn all(azure: &Subscription, more: &[&str]) -> Ran {
    std::fs::create_dir_all(azure.folder.join("requests")).unwrap();
    std::fs::write(azure.folder.join("requests/registry.yaml"), REQUEST).unwrap();
    let flags = ["create-all", "--credentials-requests-dir=requests", "--tenant-id", TENANT];
    create(azure, &[&flags, &PLACE[..], more].concat()).await
}

#[tokio::test]
async fn a_website_is_shown_whole_though_its_host_is_not_known() {
    let azure = start("website").await;
    let dry = all(&azure, &[WEBSITE, &["--dry-run"]].concat()).await;
    let issuer_lines = [
        "planned: resource group prod-oidc",
        "planned: storage account prod",
        "planned: static website of prod",
        "planned: openid/v1/jwks of the issuer, whose host Azure chooses",
        "planned: .well-known/openid-configuration of the issuer, whose host Azure chooses",
        "left out: out/openid-configuration, as it names the issuer, whose host Azure chooses",
        "created: out/jwks",
        "left out: out/manifests/cluster-authentication-02-config.yaml, as it names the issuer, whose host Azure chooses",
        "created: out/manifests/azure-ad-pod-identity-webhook-config.yaml",
    ];
    let lines: Vec<_> = dry.out.lines().filter(|line| !line.starts_with("kept: ")).collect();
    assert_eq!((&lines[..issuer_lines.len()], dry.err.as_str()), (&issuer_lines[..], ""), "{}", dry.out);
    assert!(lines.contains(&&*format!("planned: federated credential registry of {IDENTITY}")), "{}", dry.out);
    assert!(azure.standin.azure().journal.entries().is_empty());
    let files = azure.files("out");
    let naming = ["openid-configuration", "cluster-authentication-02-config.yaml"];
    assert!(!files.keys().any(|path| naming.iter().any(|name| path.ends_with(name))), "{:?}", files.keys());

    let alone = issuer(&azure, &[WEBSITE, &["--dry-run"]].concat()).await;
    let told = alone.out.lines().filter(|line| !ends(line));
    assert_eq!(told.count(), issuer_lines.len(), "{}", alone.out);
}

#[tokio::test]
async fn identities_trust_the_website_that_azure_has_chosen() {
    let azure = start("chosen").await;
    let ran = all(&azure, WEBSITE).await;
    let website = "https://prod.z13.web.core.windows.net";
    assert!(ran.out.ends_with(&format!("issuer: {website}\n")), "{}", ran.out);
    let path = format!(
        "/resourceGroups/prod-oidc/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{IDENTITY}/federatedIdentityCredentials"
    );
    let listed = azure.get(&path, "2024-11-30").await;
    let issuers: Vec<_> = listed["value"].as_array().unwrap().iter().map(|one| &one["properties"]["issuer"]).collect();
    assert_eq!(issuers, [website, website]);
    let manifest = azure.read("out/manifests/cluster-authentication-02-config.yaml");
    assert!(manifest.contains(&format!("serviceAccountIssuer: {website}\n")), "{manifest}");
}

/// A rehearsal knows it of identities that are there, and a run once there is the first one.
#[tokio::test]
async fn another_tenant_than_that_of_the_identities_is_told_before_anything_is_federated() {
    let azure = start("tenant").await;
    std::fs::create_dir_all(azure.folder.join("requests")).unwrap();
    std::fs::write(azure.folder.join("requests/registry.yaml"), REQUEST).unwrap();
    let other = "64dc69e4-d083-49fc-9569-ebece1dd1408";
    let of =
        |tenant| [&["create-all", "--credentials-requests-dir=requests", "--tenant-id", tenant], &PLACE[..]].concat();
    let told = format!(
        "cannot use the identity {IDENTITY}: it is of the tenant {TENANT}, and --tenant-id is {other}; give {TENANT} there, and run this again"
    );
    let ran = azure.run(&[&["azure"], &of(other)[..]].concat()).await;
    assert!(ran.code == 2 && ran.err.contains(&told), "{ran:?}");
    assert!(!ran.out.contains("federated credential") && !ran.out.contains("role"), "{}", ran.out);
    let dry = azure.run(&[&["azure"], &of(other)[..], &["--dry-run=server"]].concat()).await;
    assert!(dry.code == 2 && dry.err.contains(&told), "{dry:?}");
    // What was written of the other tenant is mended.
    let ran = create(&azure, &of(TENANT)).await;
    let webhook = "out/manifests/azure-ad-pod-identity-webhook-config.yaml";
    assert!(ran.code == 0 && ran.out.contains(&format!("replaced: {webhook}\n")), "{ran:?}");
    assert!(azure.read(webhook).contains(TENANT));
}

/// What is said at the end, and of no thing.
fn ends(line: &str) -> bool {
    line.starts_with("key id: ") || line.starts_with("issuer: ")
}

/// What is said of things, without who says it.
fn lines(out: &str) -> Vec<String> {
    out.lines().filter(|line| !ends(line)).map(|line| line.replace(" (dry run)", "")).collect()
}

/// A rehearsal, and what it is the rehearsal of: the same lines, and nothing changed by the first.
async fn rehearsed(azure: &Subscription, command: &[&str]) -> Vec<String> {
    let whole = async || (azure.files("."), azure.resources().await);
    let before = whole().await;
    azure.standin.azure().journal.clear();
    let dry = create(azure, &[command, &["--dry-run=server"]].concat()).await;
    assert!(azure.changes().is_empty(), "{:#?}", azure.changes());
    assert!(whole().await == before, "a rehearsal changes nothing");
    let told = dry.out.lines().filter(|line| !ends(line));
    assert!(told.into_iter().all(|line| line.ends_with(" (dry run)")), "{}", dry.out);
    let ran = create(azure, command).await;
    assert_eq!(lines(&dry.out), lines(&ran.out));
    lines(&dry.out)
}

/// One that has been made before, with another key, other tags, and roles and service accounts that are not asked for any more.
#[tokio::test]
async fn a_server_dry_run_tells_what_the_run_does() {
    let azure = start("server").await;
    std::fs::create_dir_all(azure.folder.join("requests")).unwrap();
    let request = |text: &str| std::fs::write(azure.folder.join("requests/registry.yaml"), text).unwrap();
    request(REQUEST);
    let flags = ["create-all", "--credentials-requests-dir=requests", "--tenant-id", TENANT];
    let all = [&flags, &PLACE[..]].concat();
    let first = rehearsed(&azure, &all).await;
    assert_eq!(
        first.iter().filter(|line| !line.starts_with("created: ")).collect::<Vec<_>>(),
        [
            "kept: out/serviceaccount-signer.private",
            "kept: out/serviceaccount-signer.public",
            "kept: out/tls/bound-service-account-signing-key.key",
            "kept: resource group prod-oidc"
        ]
    );
    assert_eq!(rehearsed(&azure, &all).await.len(), first.len());

    create(&azure, &["create-key-pair", "--rotate", "--output-dir=out"]).await;
    request(&REQUEST.replace("    roleBindings: [{role: Contributor}]\n", "").replace("registry, cluster", "cluster"));
    let then = rehearsed(&azure, &[&all[..], &["--user-tags=team=a"]].concat()).await;
    for line in [
        "updated: resource group prod-oidc",
        "updated: https://prod.blob.core.windows.net/prod/openid/v1/jwks",
        "replaced: out/jwks",
        &format!("updated: identity {IDENTITY}"),
        &format!("deleted: federated credential registry of {IDENTITY}"),
    ] {
        assert!(then.iter().any(|told| told == line), "{line}: {then:#?}");
    }
    assert!(then.iter().any(|told| told.starts_with("deleted: role ")), "{then:#?}");
}

#[tokio::test]
async fn each_command_can_be_rehearsed_alone() {
    let azure = start("alone").await;
    let issuer = [&["create-oidc-issuer", "--tenant-id", TENANT], &PLACE[..]].concat();
    rehearsed(&azure, &issuer).await;
    // Now its host is known.
    let website = [&issuer, WEBSITE].concat();
    let told = rehearsed(&azure, &website).await;
    assert!(told.contains(&"updated: static website of prod".to_owned()), "{told:#?}");
    std::fs::create_dir_all(azure.folder.join("requests")).unwrap();
    std::fs::write(azure.folder.join("requests/registry.yaml"), REQUEST).unwrap();
    let flags =
        ["create-managed-identities", "--credentials-requests-dir=requests", "--issuer-url=https://issuer.example"];
    let identities = [&flags, &PLACE[..]].concat();
    let told = rehearsed(&azure, &identities).await;
    assert!(told.contains(&format!("created: federated credential registry of {IDENTITY}")), "{told:#?}");
}

/// Of a website, the host is known once there is its account.
#[tokio::test]
async fn a_website_that_is_not_there_is_rehearsed_but_for_its_host() {
    let azure = Subscription::start("dry-run-server-website", &["prod"]).await;
    std::fs::create_dir_all(azure.folder.join("requests")).unwrap();
    std::fs::write(azure.folder.join("requests/registry.yaml"), REQUEST).unwrap();
    let dry = all(&azure, &[WEBSITE, &["--dry-run=server"]].concat()).await;
    assert!(azure.changes().is_empty() && !azure.folder.join("out").exists(), "{dry:?}");
    let as_json = all(&azure, &[WEBSITE, &["--dry-run=server", "-o", "json"]].concat()).await;
    let answer: Value = serde_json::from_str(&as_json.out).unwrap();
    assert_eq!((&answer["issuer"], &answer["keyIDs"]), (&Value::Null, &Value::Null), "the key is nobody's");
    let ran = all(&azure, WEBSITE).await;
    let known = lines(&ran.out)
        .into_iter()
        .map(|line| match line.split_once("https://prod.z13.web.core.windows.net/") {
            Some((change, path)) => format!("{change}{path} of the issuer, whose host Azure chooses"),
            None => line,
        })
        .collect::<Vec<_>>();
    assert_eq!(lines(&dry.out), known);
}

#[tokio::test]
async fn a_pair_can_be_looked_at_before_it_is_made_or_rotated() {
    let azure = Subscription::start("dry-run-pair", &[]).await;
    let pair = ["create-key-pair", "--output-dir=out"];
    let dry = create(&azure, &[&pair[..], &["--dry-run"]].concat()).await;
    assert!(!azure.folder.join("out").exists());
    let id = |out: &str| out.lines().last().filter(|line| line.starts_with("key id: ")).map(str::to_owned);
    assert_eq!((dry.out.matches("created: ").count(), id(&dry.out)), (3, None), "{}", dry.out);
    let made = create(&azure, &pair).await;
    let files = azure.files("out");

    let kept = create(&azure, &[&pair[..], &["--dry-run"]].concat()).await;
    assert_eq!((kept.out.matches("kept: ").count(), id(&kept.out)), (3, id(&made.out)), "{}", kept.out);
    let rotate = [&pair[..], &["--rotate"]].concat();
    let dry = create(&azure, &[&rotate[..], &["--dry-run"]].concat()).await;
    assert_eq!(azure.files("out"), files);
    let ran = create(&azure, &rotate).await;
    let told = |out: &str| {
        out.lines()
            .filter(|line| !line.starts_with("key id: "))
            .map(|line| line.replace(" (dry run)", ""))
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&dry.out), told(&ran.out));
    assert_eq!((dry.out.matches("replaced: ").count(), id(&dry.out)), (3, None), "{}", dry.out);
}

/// A program that reads it learns why there is no more of it.
#[tokio::test]
async fn json_says_what_is_wrong_however_early_it_ends() {
    let azure = Subscription::start("dry-run-json", &[]).await;
    std::fs::create_dir_all(azure.folder.join("requests")).unwrap();
    std::fs::create_dir_all(azure.folder.join("broken")).unwrap();
    std::fs::write(azure.folder.join("broken/serviceaccount-signer.private"), "none").unwrap();
    std::fs::write(azure.folder.join("requests/registry.yaml"), REQUEST).unwrap();
    std::fs::write(azure.folder.join("file"), "").unwrap();
    std::fs::write(azure.folder.join("refused.yaml"), REQUEST.replace("secretRef", "other")).unwrap();
    let all = "create-all --region westeurope --credentials-requests-dir requests";
    let issuer = "create-oidc-issuer --region westeurope";
    for (command, code, field, expected) in [
        (format!("{all} --name prod --output-dir broken"), 1, "/problems/0/message", "has no PEM block"),
        (format!("{issuer} --name prod"), 2, "/error", "there is no ./serviceaccount-signer.public"),
        (format!("{issuer} --name my-cluster"), 2, "/error", "--storage-account-name"),
        (format!("{issuer} --name prod --output-dir file"), 2, "/error", "file"),
        (format!("{all} --name prod --output-dir broken/a/b"), 2, "/error", "cannot make the folder"),
        ("create-key-pair --output-dir file".to_owned(), 2, "/error", "file"),
        ("create-key-pair --rotate --output-dir requests".to_owned(), 2, "/error", "has no key pair to rotate"),
        ("plan -f missing".to_owned(), 2, "/error", "missing"),
        ("apply -f missing".to_owned(), 2, "/error", "missing"),
        ("delete --name -".to_owned(), 2, "/error", "--name"),
        (
            format!("{all} --name prod").replace("requests-dir requests", "requests-dir refused.yaml"),
            1,
            "/findings/0/reason",
            "",
        ),
    ] {
        let mut words: Vec<_> = ["azure"].into_iter().chain(command.split(' ')).chain(["-o", "json"]).collect();
        let place = ["--subscription-id", SUBSCRIPTION];
        words.extend(place.iter().filter(|_| !command.contains("create-key-pair") && !command.starts_with("plan")));
        words.extend(["--tenant-id", TENANT].iter().filter(|_| command.contains("--region")));
        let ran = azure.run(&words).await;
        let answer: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{command}: {error} {ran:?}"));
        let said = answer.pointer(field).and_then(Value::as_str).unwrap_or_else(|| panic!("{command}: {ran:?}"));
        assert!(ran.code == code && said.contains(expected), "{command}: {ran:?}");
    }
}
