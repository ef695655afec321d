//! What HyperShift's own operators were measured to do, replayed by the simulated ones on a real kube-apiserver, so that
//! the simulation is known to be true. A table of testdata/replay is one scenario: a row is a step, a column a writer.
//! Nothing blesses the tables: they are not what the simulation does but what the real operators did.
//!
//!     eval "$(hack/cluster up)"; cargo test --features test-cluster --test replay; hack/cluster down

#![allow(clippy::expect_used, clippy::panic, reason = "these are parts of tests")]

mod replay {
    pub(crate) mod bench;
    pub(crate) mod contents;
    pub(crate) mod policy;
    pub(crate) mod table;
}
mod support;

use std::{collections::BTreeSet, path::Path, time::Duration};

use futures::{StreamExt as _, stream};
use replay::{bench::Bench, table::Table};
use support::{cases, cluster, read, testdata};

/// Scenarios that run at the same time. They spend their time waiting for the controllers.
const AT_ONCE: usize = 8;

/// Runs every table of a folder and says where the simulation did something else.
async fn replay(area: &str) {
    let client = cluster::client().await;
    let tables: Vec<Table> = Table::all(&testdata("replay").join(area));
    let runs = tables.iter().flat_map(|table| table.writers.iter().map(move |writer| (table, writer)));
    let mut results: Vec<_> = stream::iter(runs)
        .map(|(table, writer)| {
            let client = client.clone();
            async move {
                let mut bench = Bench::new(&client, writer, &table.target, table.replicas).await;
                let mut outcomes = Vec::new();
                for step in &table.steps {
                    outcomes.push(bench.take(step).await);
                }
                bench.end().await;
                table.differences(writer, &outcomes)
            }
        })
        .buffer_unordered(AT_ONCE)
        .flat_map(stream::iter)
        .collect()
        .await;
    results.sort();
    assert!(results.is_empty(), "the simulation differs from what was measured:\n{}", results.join("\n"));
}

#[tokio::test]
async fn foreign_wiring_on_a_deployment() {
    replay("1-foreign-wiring").await;
}

#[tokio::test]
async fn fields_owned_by_two_with_equal_values() {
    replay("2-equal-values").await;
}

#[tokio::test]
async fn annotations_and_labels_of_ours() {
    replay("3-annotations-and-labels").await;
}

#[tokio::test]
async fn provider_classes() {
    replay("4-provider-classes").await;
}

#[tokio::test]
async fn the_same_apply_again_and_again() {
    replay("5-the-same-apply-again").await;
}

#[tokio::test]
async fn a_policy_on_deployments() {
    replay("6-deployment-policy").await;
}

#[tokio::test]
async fn a_policy_on_pods() {
    replay("7-pod-policy").await;
}

#[test]
fn every_folder_of_tables_is_replayed() {
    let source = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay.rs"));
    let folders: BTreeSet<_> = cases("replay").into_iter().collect();
    for folder in folders {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(source.contains(&format!("replay(\"{name}\")")), "{name} is replayed by no test");
    }
}

/// library-go's controllers act on the event: a re-add is undone at once, with two rollouts each time.
#[tokio::test]
async fn a_running_library_go_controller_undoes_each_re_add() {
    let client = cluster::client().await;
    let mut bench = Bench::new(&client, "libgo", "deployment", 0).await;
    bench.take("operator").await;
    for round in 1..=3 {
        bench.take("we apply trio").await;
        let undone = bench.run_until("see trio", "gone").await;
        assert!(undone < Duration::from_secs(5), "round {round} took {undone:?}");
        assert_eq!(bench.take("see generation").await, (1 + 2 * round).to_string());
    }
    bench.end().await;
}

/// Under a policy that appends, it is content: nothing idle, one write for what somebody else adds, the policy's volume
/// in it.
#[tokio::test]
async fn a_running_library_go_controller_lives_with_a_policy_that_appends() {
    let client = cluster::client().await;
    let mut bench = Bench::new(&client, "libgo", "deployment", 0).await;
    bench.take("policy appends").await;
    bench.take("operator").await;
    assert_eq!(bench.run_for(Duration::from_secs(3)).await, 0, "writes while idle");
    bench.take("we apply trio").await;
    bench.run_until("see trio", "gone").await;
    assert_eq!(bench.run_for(Duration::from_secs(1)).await, 0, "writes after the revert");
    assert_eq!(bench.take("see generation").await, "3");
    assert_eq!(bench.take("see policy volume").await, "last");
    bench.end().await;
}
