//! Every way to be refused, and what is said of it.

use azure_standin::{
    fault::{Effect, Fault},
    operation::Operation::{EntraToken, GetSecret, ListSecrets},
    vault::store::NewVersion,
};
use hcp_identity::{
    vault::Level,
    verification::{Standing, Wanted, WantedSecret},
};
use serde_json::json;

use crate::world::{OTHER_TENANT, STRANGER, TENANT, World, ended, good, of, orders, text, wanted, wanted_secret};

async fn failure(world: &World, level: Level) -> String {
    let one = wanted("creds");
    let mut keeping = world.keep(of(&one), orders(level));
    let failure = keeping.failure(&one).await;
    keeping.end().await;
    failure
}

async fn trouble(world: &World, wanted: &[Wanted], level: Level) -> String {
    let mut keeping = world.keep(wanted.iter().cloned().collect(), orders(level));
    let trouble = keeping.trouble().await;
    keeping.end().await;
    trouble
}

#[tokio::test]
async fn who_may_not_list_reads_each_secret_by_its_name() {
    let world = World::start().await;
    world.reload("secretsGetter", TENANT);
    world.store("creds", text(&good()));
    let all = [wanted("creds"), wanted("missing")];
    let mut keeping = world.keep(all.iter().cloned().collect(), orders(Level::Content));
    assert_eq!(keeping.standing(&all[0]).await, Standing::Passed);
    assert!(keeping.failure(&all[1]).await.contains("(SecretNotFound)"));
    assert!(keeping.news.borrow().vaults.is_empty());
    keeping.end().await;
}

#[tokio::test]
async fn who_may_neither_list_nor_take_values_out_is_told_so() {
    let world = World::start().await;
    world.reload("secretsGetter", TENANT);
    world.store("creds", text(&good()));
    let trouble = trouble(&world, &[wanted("creds")], Level::Metadata).await;
    assert!(trouble.contains("cannot list") && trouble.contains("(VaultRbacDenied)"), "{trouble}");
    assert_eq!(world.standin.azure().journal.count(GetSecret), 0);
}

/// Five in a row are enough to know.
#[tokio::test]
async fn who_may_not_read_has_one_trouble_and_not_one_a_secret() {
    let world = World::start().await;
    world.reload("reader", TENANT);
    let names: Vec<String> = (0..40).map(|number| format!("secret-{number}")).collect();
    names.iter().for_each(|name| world.store(name, "hush"));
    let all: Vec<_> = names.iter().map(|name| wanted(name)).collect();
    let trouble = trouble(&world, &all, Level::Content).await;
    assert!(trouble.contains("cannot read secret") && trouble.contains("(VaultRbacDenied)"), "{trouble}");
    assert_eq!(world.answered(GetSecret, 403), 5);
}

#[tokio::test]
async fn a_secret_that_is_not_there_fails() {
    let world = World::start().await;
    for level in [Level::Metadata, Level::Content] {
        let failure = failure(&world, level).await;
        assert!(failure.contains("no pod can mount secret creds") && failure.contains("(SecretNotFound)"), "{failure}");
    }
    assert_eq!(world.standin.azure().journal.count(GetSecret), 0, "the list says it");
}

#[tokio::test]
async fn a_secret_that_is_deleted_fails_though_it_once_passed() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    let one = wanted("creds");
    let often =
        hcp_identity::vault::Orders { interval: std::time::Duration::from_millis(200), ..orders(Level::Content) };
    let mut keeping = world.keep(of(&one), often);
    assert_eq!(keeping.standing(&one).await, Standing::Passed);
    world.delete("creds");
    keeping.until(|known| matches!(known.credentials[&one].standing, Standing::Failed { .. })).await;
    keeping.end().await;
}

#[tokio::test]
async fn a_disabled_secret_fails() {
    let world = World::start().await;
    world.store_version("creds", NewVersion { enabled: Some(false), ..NewVersion::of(text(&good())) });
    for level in [Level::Metadata, Level::Content] {
        assert!(failure(&world, level).await.contains("(SecretDisabled)"));
    }
    world.reload("secretsGetter", TENANT);
    world.store_version("creds", NewVersion { enabled: Some(false), ..NewVersion::of(text(&good())) });
    assert!(failure(&world, Level::Content).await.contains("(SecretDisabled)"));
}

#[tokio::test]
async fn a_vault_of_another_tenant_takes_no_token_of_ours() {
    let world = World::start().await;
    world.reload("secretsUser", OTHER_TENANT);
    let trouble = trouble(&world, &[wanted("creds")], Level::Content).await;
    assert!(trouble.contains("(VaultTenantMismatch)"), "{trouble}");
}

#[tokio::test]
async fn a_vault_that_is_not_there_is_trouble() {
    let world = World::start().await;
    let other = Wanted::from(WantedSecret { vault: "kv-other".into(), ..wanted_secret("creds") });
    let mut keeping = world.keep(of(&other), orders(Level::Content));
    let known = keeping.until(|known| !known.vaults.is_empty()).await;
    assert!(known.vaults["kv-other"].message.starts_with("cannot list the secrets of vault kv-other"));
    assert!(known.credentials.is_empty());
    keeping.end().await;
}

#[tokio::test]
async fn a_vault_that_is_out_of_order_is_trouble() {
    let world = World::start().await;
    let broken = Effect::Status { status: 503, retry_after_seconds: None };
    world.standin.azure().faults.add(Fault::always(ListSecrets, broken));
    let trouble = trouble(&world, &[wanted("creds")], Level::Content).await;
    assert!(trouble.contains("currently unavailable"), "{trouble}");
}

#[tokio::test]
async fn an_answer_that_is_torn_is_trouble_and_no_missing_secret() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    world.standin.azure().faults.add(Fault::always(ListSecrets, Effect::Torn));
    let mut keeping = world.keep(of(&wanted("creds")), orders(Level::Content));
    keeping.trouble().await;
    assert!(keeping.news.borrow().credentials.is_empty());
    keeping.end().await;
}

#[tokio::test]
async fn a_certificate_that_entra_does_not_know_fails_the_sign_in() {
    let world = World::start().await;
    let mut credential = good();
    credential.insert("client_id".to_owned(), json!(STRANGER));
    world.store("creds", text(&credential));
    let failure = failure(&world, Level::SignIn).await;
    assert!(failure.contains("(CertificateNotRegistered)"), "{failure}");
}

#[tokio::test]
async fn a_client_that_the_tenant_does_not_know_fails_the_sign_in() {
    let world = World::start().await;
    let mut credential = good();
    credential.insert("tenant_id".to_owned(), json!(OTHER_TENANT));
    world.store("creds", text(&credential));
    let failure = failure(&world, Level::SignIn).await;
    assert!(failure.contains("(ApplicationNotFound)"), "{failure}");
}

#[tokio::test]
async fn another_client_id_fails_where_that_is_told_to_be_an_error() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    let one = Wanted::from(WantedSecret { client_id: Some(STRANGER.into()), ..wanted_secret("creds") });
    let mut keeping = world.keep(of(&one), orders(Level::Content));
    assert_eq!(keeping.standing(&one).await, Standing::Passed);
    keeping.end().await;
    let strict = hcp_identity::vault::Orders { strict_client_id: true, ..orders(Level::Content) };
    let mut keeping = world.keep(of(&one), strict);
    assert!(keeping.failure(&one).await.contains("OtherClient"));
    keeping.end().await;
}

#[tokio::test]
async fn what_is_bad_by_its_content_is_not_tried() {
    let world = World::start().await;
    world.store("creds", text(&ended()));
    assert!(failure(&world, Level::SignIn).await.contains("Expired"));
    world.store("creds", "hush");
    assert!(failure(&world, Level::SignIn).await.contains("NotJson"));
    assert_eq!(world.standin.azure().journal.count(EntraToken), 0);
}

/// An assertion goes to Entra and to nobody else, whatever a secret says.
#[tokio::test]
async fn nobody_but_entra_is_asked() {
    let world = World::start().await;
    let mut credential = good();
    credential.insert("authentication_endpoint".to_owned(), json!("https://login.example.com/"));
    world.store("creds", text(&credential));
    let failure = failure(&world, Level::SignIn).await;
    assert!(failure.contains("AZURE_AUTHORITY_HOST"), "{failure}");
    assert!(world.standin.azure().journal.entries().iter().all(|entry| entry.host != "login.example.com"));
}

#[tokio::test]
async fn a_sign_in_without_an_answer_is_trouble_and_no_verdict() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    world
        .standin
        .azure()
        .faults
        .add(Fault::always(EntraToken, Effect::Status { status: 503, retry_after_seconds: None }));
    let mut keeping = world.keep(of(&wanted("creds")), orders(Level::SignIn));
    assert!(keeping.trouble().await.contains("(EntraTransient)"));
    assert_eq!(keeping.standing(&wanted("creds")).await, Standing::Unknown);
    keeping.end().await;
}
