//! What is asked, how often, and what stays known.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use azure_standin::{
    fault::{Effect, Fault},
    operation::Operation::{EntraToken, GetSecret, ListSecrets},
    vault::store::NewVersion,
};
use hcp_identity::{
    vault::{Level, Orders},
    verification::{Standing, WantedSecret},
};
use jiff::SignedDuration;

use crate::world::{World, good, of, orders, text, wanted, wanted_secret};

/// Often enough for a test to see several rounds.
fn often(level: Level) -> Orders {
    Orders { interval: Duration::from_secs(1), ..orders(level) }
}

async fn rounds(world: &World, pages: usize) {
    while world.answered(ListSecrets, 200) < pages {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_good_credential_passes_at_every_level() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    let one = wanted("creds");
    for level in [Level::Content, Level::SignIn] {
        let mut keeping = world.keep(of(&one), orders(level));
        let known = keeping.until(|known| known.credentials.contains_key(&one)).await;
        let verification = &known.credentials[&one];
        assert_eq!(verification.standing, Standing::Passed, "{level}");
        assert!(verification.version.is_some() && verification.created.is_some() && verification.not_after.is_some());
        assert!(known.vaults.is_empty(), "{:?}", known.vaults);
        keeping.end().await;
    }
    assert_eq!(world.answered(EntraToken, 200), 1, "it signs in where it is told to");
}

/// One page holds 25.
#[tokio::test]
async fn six_hundred_secrets_cost_24_lists_and_nothing_more_while_they_stay() {
    let world = World::start().await;
    let names: Vec<String> = (0..600).map(|number| format!("secret-{number}")).collect();
    names.iter().for_each(|name| world.store(name, "hush"));
    let all: BTreeSet<_> = names.iter().map(|name| wanted(name)).collect();
    let mut keeping = world.keep(all, Orders { interval: Duration::from_secs(3), ..orders(Level::Content) });
    keeping.until(|known| known.credentials.len() == 600).await;
    assert_eq!((world.answered(ListSecrets, 200), world.answered(GetSecret, 200)), (24, 600));
    rounds(&world, 48).await;
    world.store("secret-17", "hush, hush");
    rounds(&world, 96).await;
    assert_eq!(world.answered(GetSecret, 200), 601, "what has changed, and nothing else");
    assert_eq!(world.answered(ListSecrets, 401), 1, "one challenge for all rounds");
    keeping.end().await;
}

#[tokio::test]
async fn many_who_want_one_secret_cost_one_request_and_one_sign_in() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    let other = WantedSecret { client_id: None, ..wanted_secret("creds") };
    let all = BTreeSet::from([wanted("creds"), other.into()]);
    let mut keeping = world.keep(all, orders(Level::SignIn));
    let known = keeping.until(|known| known.credentials.len() == 2).await;
    assert!(known.credentials.values().all(|one| one.standing == Standing::Passed), "{known:#?}");
    assert_eq!((world.answered(GetSecret, 200), world.answered(EntraToken, 200)), (1, 1));
    keeping.end().await;
}

#[tokio::test]
async fn metadata_takes_no_value_out_of_the_vault() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    let one = wanted("creds");
    let mut keeping = world.keep(of(&one), often(Level::Metadata));
    assert_eq!(keeping.standing(&one).await, Standing::Unknown);
    rounds(&world, 3).await;
    assert_eq!(world.standin.azure().journal.count(GetSecret), 0);
    keeping.end().await;
}

#[tokio::test]
async fn a_new_version_is_judged_and_signs_in_once() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    let one = wanted("creds");
    let mut keeping = world.keep(of(&one), often(Level::SignIn));
    assert_eq!(keeping.standing(&one).await, Standing::Passed);
    // Key Vault tells a second version from the first by its second.
    world.standin.azure().clock.advance(SignedDuration::from_secs(2));
    world.store("creds", "hush");
    keeping.until(|known| matches!(known.credentials[&one].standing, Standing::Failed { .. })).await;
    world.standin.azure().clock.advance(SignedDuration::from_secs(2));
    world.store("creds", text(&good()));
    keeping.until(|known| known.credentials[&one].standing == Standing::Passed).await;
    assert_eq!((world.answered(GetSecret, 200), world.answered(EntraToken, 200)), (3, 2));
    keeping.end().await;
}

#[tokio::test]
async fn something_new_is_looked_at_before_its_time() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    let mut keeping = world.keep(BTreeSet::new(), orders(Level::Content));
    keeping.wanted.send(Arc::new(of(&wanted("creds")))).unwrap();
    assert_eq!(keeping.standing(&wanted("creds")).await, Standing::Passed);
    keeping.wanted.send(Arc::new(BTreeSet::new())).unwrap();
    keeping.until(|known| known.credentials.is_empty()).await;
    keeping.end().await;
}

#[tokio::test]
async fn another_level_is_taken_up_before_its_time() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    let one = wanted("creds");
    let mut keeping = world.keep(of(&one), orders(Level::Metadata));
    assert_eq!(keeping.standing(&one).await, Standing::Unknown);
    keeping.orders.send(orders(Level::SignIn)).unwrap();
    keeping.until(|known| known.credentials[&one].standing == Standing::Passed).await;
    assert_eq!(world.answered(EntraToken, 200), 1);
    keeping.end().await;
}

#[tokio::test]
async fn what_once_passed_stays_passed_while_its_vault_is_away() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    let one = wanted("creds");
    let mut keeping = world.keep(of(&one), often(Level::Content));
    assert_eq!(keeping.standing(&one).await, Standing::Passed);
    world.standin.azure().faults.add(Fault::always(ListSecrets, Effect::Cut));
    let known = keeping.until(|known| !known.vaults.is_empty()).await;
    assert_eq!(known.credentials[&one].standing, Standing::Passed);
    world.standin.azure().faults.clear();
    keeping.until(|known| known.vaults.is_empty()).await;
    assert_eq!(world.answered(GetSecret, 200), 1);
    keeping.end().await;
}

#[tokio::test]
async fn what_once_passed_stays_passed_while_entra_is_away() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    let one = wanted("creds");
    let mut keeping = world.keep(of(&one), often(Level::SignIn));
    assert_eq!(keeping.standing(&one).await, Standing::Passed);
    world
        .standin
        .azure()
        .faults
        .add(Fault::always(EntraToken, Effect::Status { status: 503, retry_after_seconds: None }));
    world.standin.azure().clock.advance(SignedDuration::from_secs(2));
    world.store("creds", text(&good()));
    let known = keeping.until(|known| !known.vaults.is_empty()).await;
    assert_eq!(known.credentials[&one].standing, Standing::Passed);
    keeping.end().await;
}

#[tokio::test]
async fn a_throttled_vault_is_left_alone_for_as_long_as_it_wants() {
    let world = World::start().await;
    world.store("creds", text(&good()));
    let one = wanted("creds");
    let throttled = Effect::Status { status: 429, retry_after_seconds: Some(3) };
    world.standin.azure().faults.add(Fault::times(ListSecrets, 1, throttled));
    let mut keeping = world.keep(of(&one), often(Level::Content));
    assert!(keeping.trouble().await.contains("(VaultThrottled)"));
    assert_eq!(keeping.standing(&one).await, Standing::Passed);
    let lists = world.standin.azure().journal.entries();
    let times: Vec<_> = lists.iter().filter(|entry| entry.operation == ListSecrets).map(|entry| entry.at).collect();
    assert!(times[1].duration_since(times[0]) >= SignedDuration::from_secs(3), "{times:?}");
    keeping.end().await;
}

/// The attributes of the vault's version count as well.
#[tokio::test]
async fn a_secret_that_has_ended_fails_at_every_level() {
    let world = World::start().await;
    let ended = world.standin.azure().clock.now() - SignedDuration::from_hours(1);
    world.store_version("creds", NewVersion { expires: Some(ended), ..NewVersion::of(text(&good())) });
    for level in [Level::Metadata, Level::Content] {
        let mut keeping = world.keep(of(&wanted("creds")), orders(level));
        assert!(keeping.failure(&wanted("creds")).await.contains("has ended"), "{level}");
        keeping.end().await;
    }
}
