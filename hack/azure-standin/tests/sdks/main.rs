//! From outside: Azure's own SDKs for Go and Python, and the sockets that they come in by.
//!
//! The first run downloads the SDKs; they are cached then, in Go's module cache and in a folder of target.

#![allow(unreachable_pub, reason = "the modules of a test")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are parts of tests")]

mod clients;
mod program;
mod sockets;
mod world;

use azure_standin::{
    fault::{Effect, Fault},
    operation::Operation,
};
use clients::{Client, Outcome, Task};
use world::{APPLICATION, OPERATOR, READER, STRANGER, WORKLOAD, World};

async fn run(client: Client, world: &World, tasks: Vec<Task>) -> Vec<Outcome> {
    let environment = world.environment();
    tokio::task::spawn_blocking(move || client.run(&environment, &tasks)).await.unwrap()
}

async fn every_way_to_sign_in_gets_the_secret(client: Client) {
    let world = World::start().await;
    let tasks = vec![
        world.task("certificate", APPLICATION).file(&world.certificate),
        world.task("chain", OPERATOR).file(&world.chain),
        world.task("workload", WORKLOAD).file(&world.token),
        world.task("managed", WORKLOAD),
    ];
    let expected = vec![Outcome::value("hush"); tasks.len()];
    assert_eq!(run(client, &world, tasks).await, expected);
    // In a process of its own: Go's SDK keeps the tokens of an identity, wherever they are from.
    let tasks = vec![world.task("managed", WORKLOAD).environment(&world.app_service())];
    assert_eq!(run(client, &world, tasks).await, [Outcome::value("hush")]);
    let journal = &world.standin.azure().journal;
    assert_eq!(journal.count(Operation::EntraToken), 3);
    assert_eq!((journal.count(Operation::MetadataToken) > 0, journal.count(Operation::AppServiceToken)), (true, 1));
    // Both SDKs first ask without a token, to be told where to get one; Python's remembers what it was told.
    let statuses: Vec<_> = journal
        .entries()
        .iter()
        .filter(|entry| entry.operation == Operation::GetSecret)
        .filter_map(|entry| entry.status)
        .collect();
    assert_eq!((statuses[0], statuses.iter().filter(|status| **status == 200).count()), (401, 5));
    assert_eq!(journal.count(Operation::Unknown), 0);
}

async fn a_list_is_read_to_its_end(client: Client) {
    let world = World::start().await;
    world.fill(60);
    let tasks = vec![world.task("certificate", READER).file(&world.certificate).list()];
    assert_eq!(run(client, &world, tasks).await, [Outcome::listed(61)]);
    assert_eq!(world.standin.azure().journal.count(Operation::ListSecrets), 4);
}

async fn a_refusal_arrives_in_azures_words(client: Client) {
    let world = World::start().await;
    let tasks = vec![
        world.task("certificate", STRANGER).file(&world.certificate),
        world.task("chain", OPERATOR).file(&world.other_chain),
        world.task("workload", WORKLOAD).file(&world.other_token),
        world.task("certificate", READER).file(&world.certificate),
        world.task("certificate", APPLICATION).file(&world.certificate).secret("other"),
        world.task("managed", APPLICATION),
        world.task("managed", APPLICATION).environment(&world.app_service()),
    ];
    let expected = [
        "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered",
        "AADSTS7000213: Invalid certificate chain.",
        "AADSTS700212: No matching federated identity record found for presented assertion audience",
        "Caller is not authorized to perform action on resource.",
        "A secret with (name/id) other was not found in this key vault.",
        client.words_for_no_identity(),
        "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.",
    ];
    for (outcome, text) in run(client, &world, tasks).await.iter().zip(expected) {
        assert!(outcome.error.contains(text), "{text:?} is not in {outcome:?}");
    }
}

async fn faults_are_outlived(client: Client) {
    let throttled = Effect::Status { status: 429, retry_after_seconds: Some(1) };
    let failing = Effect::Status { status: 503, retry_after_seconds: None };
    for effect in [throttled, failing, Effect::Cut, Effect::Slow { milliseconds: 50 }] {
        let world = World::start().await;
        world.standin.azure().faults.add(Fault::times(Operation::GetSecret, 1, effect.clone()));
        let tasks = vec![world.task("certificate", APPLICATION).file(&world.certificate)];
        assert_eq!(run(client, &world, tasks).await, [Outcome::value("hush")], "{effect:?}");
        assert!(world.standin.azure().faults.all().is_empty());
    }
}

macro_rules! for_each_client {
    ($($case:ident),*) => {
        mod go {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(super::Client::Go).await; })*
        }
        mod python {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(super::Client::Python).await; })*
        }
    };
}

for_each_client!(
    every_way_to_sign_in_gets_the_secret,
    a_list_is_read_to_its_end,
    a_refusal_arrives_in_azures_words,
    faults_are_outlived
);
