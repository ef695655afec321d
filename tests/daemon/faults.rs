//! An API server, or something on the way to it, that does everything wrong: whatever it is, the daemon lives, does not ask
//! more than it has to, and has soon done what is to be done when it is over.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::support::{
    cluster::wait_until,
    events::Tampering,
    proxy::{EVERYTHING, Fault, NOTHING, Proxy, Which},
    stage::{CLASS, DEPLOYMENT, Daemon, HOSTED_CLUSTER, Stage, condition, is_settled},
};

/// How long the trouble lasts, and how much may be asked in a second of it.
const TROUBLE: Duration = Duration::from_secs(8);
const AT_MOST: f64 = 15.0;

const WATCHES: Which = |request| request.contains("watch=true");
/// All but the first question: without an answer to that it says so and ends, and its pod is started again.
const LATER: Which = |request| !request.ends_with("/version");

async fn is_done(stage: &Stage) {
    let status = wait_until("all is done", async || stage.status("prod").await.filter(is_settled)).await;
    let plane = stage.plane("prod");
    assert_eq!(status["controlPlaneNamespace"], plane.as_str());
    let classes = stage.generations(&plane, CLASS).await;
    assert!(classes.len() == 9 && classes.values().all(|generation| *generation == 1), "{classes:?}");
    let deployments = stage.generations(&plane, DEPLOYMENT).await;
    assert!(deployments.values().all(|generation| *generation == 2), "one rollout each: {deployments:?}");
}

fn lives(daemon: &mut Daemon) {
    assert!(daemon.child.try_wait().expect("a child").is_none(), "it has ended: {}", daemon.log());
}

/// How much is asked in a second, of ten watches, the Lease and the writes.
async fn rate(proxy: &Proxy) -> f64 {
    let before = proxy.asked(EVERYTHING);
    tokio::time::sleep(TROUBLE).await;
    (proxy.asked(EVERYTHING) - before) as f64 / TROUBLE.as_secs_f64()
}

/// A daemon that starts in the middle of trouble, and all is well later; then trouble in the middle of its life, and work.
#[expect(clippy::print_stderr, reason = "the figures of docs/reliability.md")]
async fn trouble(name: &str, faults: fn(&str) -> Fault) {
    let stage = Stage::new(name).await;
    stage.create_small_world("prod").await;
    let proxy = Proxy::new(NOTHING, NOTHING);
    proxy.fault(faults);
    let mut daemon = stage.daemon_behind(&proxy, &[]);
    let at_start = rate(&proxy).await;
    lives(&mut daemon);
    proxy.fault(|_| Fault::Nothing);
    let over = Instant::now();
    is_done(&stage).await;
    let done = over.elapsed();

    proxy.fault(faults);
    stage.create_small_world("other").await;
    let later = rate(&proxy).await;
    proxy.fault(|_| Fault::Nothing);
    let over = Instant::now();
    wait_until("the other is done", async || stage.status("other").await.filter(is_settled)).await;
    eprintln!(
        "{name}: {at_start:.1} and {later:.1} requests a second; done {:.1} and {:.1} s after it",
        done.as_secs_f64(),
        over.elapsed().as_secs_f64()
    );
    lives(&mut daemon);
    assert!(at_start < AT_MOST && later < AT_MOST, "{at_start} and {later} requests a second");
    is_done(&stage).await;
}

fn at(here: bool, fault: Fault) -> Fault {
    if here { fault } else { Fault::Nothing }
}

#[tokio::test]
async fn every_answer_may_be_500() {
    trouble("f-500", |request| at(LATER(request), Fault::Error(500, None))).await;
}

#[tokio::test]
async fn every_answer_may_be_503() {
    trouble("f-503", |request| at(LATER(request), Fault::Error(503, None))).await;
}

#[tokio::test]
async fn every_answer_may_be_429_and_ask_for_patience() {
    trouble("f-429", |request| at(LATER(request), Fault::Error(429, Some(3)))).await;
}

#[tokio::test]
async fn every_answer_may_be_410() {
    trouble("f-410", |request| at(LATER(request), Fault::Error(410, None))).await;
}

#[tokio::test]
async fn every_write_may_be_a_conflict() {
    trouble("f-409", |request| at(!request.starts_with("GET"), Fault::Error(409, None))).await;
}

#[tokio::test]
async fn every_answer_may_be_slow() {
    trouble("f-slow", |request| at(LATER(request), Fault::Slow(Duration::from_millis(1500)))).await;
}

#[tokio::test]
async fn no_answer_may_come() {
    trouble("f-silence", |request| at(LATER(request), Fault::Silence)).await;
}

#[tokio::test]
async fn every_watch_may_be_cut_in_the_middle_of_an_event() {
    trouble("f-cut", |request| at(WATCHES(request), Fault::Events(Tampering::Cut))).await;
}

#[tokio::test]
async fn every_watch_may_end_at_once() {
    trouble("f-empty", |request| at(WATCHES(request), Fault::Events(Tampering::Empty))).await;
}

#[tokio::test]
async fn every_watch_may_be_gone_after_an_event() {
    trouble("f-gone", |request| at(WATCHES(request), Fault::Events(Tampering::Gone))).await;
}

/// All is done while it lasts.
#[expect(clippy::print_stderr, reason = "the figures of docs/reliability.md")]
async fn odd_events(name: &str, faults: fn(&str) -> Fault) {
    let stage = Stage::new(name).await;
    stage.create_small_world("prod").await;
    let proxy = Proxy::new(NOTHING, NOTHING);
    proxy.fault(faults);
    let mut daemon = stage.daemon_behind(&proxy, &[]);
    is_done(&stage).await;
    let changes = daemon.changes();
    assert_eq!(changes, 12, "nine classes, three Deployments: {}", daemon.log());
    let rate = rate(&proxy).await;
    eprintln!("{name}: {rate:.1} requests a second at rest");
    assert!(rate < AT_MOST, "{rate} requests a second");
    is_done(&stage).await;
    assert_eq!(daemon.changes(), changes, "{}", daemon.log());
    lives(&mut daemon);
}

#[tokio::test]
async fn events_may_come_twice() {
    odd_events("f-twice", |request| at(WATCHES(request), Fault::Events(Tampering::Twice))).await;
}

#[tokio::test]
async fn events_may_change_places() {
    odd_events("f-swap", |request| at(WATCHES(request), Fault::Events(Tampering::Swapped))).await;
}

#[tokio::test]
async fn events_may_go_back_and_forth() {
    odd_events("f-back", |request| at(WATCHES(request), Fault::Events(Tampering::BackAndForth))).await;
}

/// Its types are not those of the CRD that this release knows.
#[tokio::test]
async fn a_malformed_hosted_cluster_keeps_no_other_waiting() {
    let stage = Stage::new("f-malformed").await;
    let proxy = Proxy::new(NOTHING, NOTHING);
    proxy.fault(|request| {
        if !WATCHES(request) || !request.contains("/hostedclusters?") {
            return Fault::Nothing;
        }
        Fault::Events(Tampering::Changed(|object| {
            if object["metadata"]["name"] == "broken" {
                object["spec"]["platform"] = json!(7);
            }
        }))
    });
    let mut daemon = stage.daemon_behind(&proxy, &[]);
    daemon.until_ready().await;
    stage.create_cluster("broken", |_| {}).await;
    let broken = stage.ready_reason("broken", "InvalidHostedCluster").await;
    let message = condition(&broken, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("cannot be read"), "{message}");
    let created = Instant::now();
    stage.create_small_world("prod").await;
    is_done(&stage).await;
    assert!(created.elapsed() < Duration::from_secs(15), "{:?}", created.elapsed());
    assert!(stage.list(&stage.plane("broken"), CLASS).await.is_empty());
    lives(&mut daemon);
}

/// One of each kind of write.
const WRITES: [(&str, Which); 7] = [
    ("lease", |request| request.contains("/leases") && !request.starts_with("GET")),
    ("class", |request| request.starts_with("POST ") && request.contains("/secretproviderclasses")),
    ("deployment", |request| request.starts_with("PATCH ") && request.contains("/deployments/")),
    ("capz", |request| request.starts_with("POST ") && request.contains("/azureclusteridentities")),
    ("new-status", |request| request.starts_with("POST ") && request.contains("/controlplaneidentities")),
    ("status", |request| request.starts_with("PUT ") && request.contains("/controlplaneidentities/")),
    ("event", |request| request.starts_with("POST ") && request.contains("/events")),
];
const CHANGED_CLASS: Which = |request| request.starts_with("PATCH ") && request.contains("/secretproviderclasses/");
const CAPZ: [&str; 2] = ["--azure-cluster-identity", "apply"];

/// A daemon is killed when such a write of its has been sent, or has arrived, and it knows nothing of what came of it.
async fn kill(stage: &Stage, which: Which, fault: Fault) {
    let proxy = Proxy::new(NOTHING, NOTHING);
    proxy.fault(move |request| at(which(request), fault));
    let daemon = stage.daemon_behind(&proxy, &CAPZ);
    wait_until("the write is under way", async || (proxy.asked(which) > 0).then_some(())).await;
    // With SIGKILL.
    drop(daemon);
}

/// Most of the time each waits for the Lease of the one that was killed to run out.
const AT_ONCE: usize = 7;

#[tokio::test]
async fn a_kill_while_any_kind_of_write_is_under_way_costs_no_rollout() {
    let cases = WRITES.into_iter().flat_map(|case| [(case, Fault::Silence), (case, Fault::Unanswered)]);
    let tried = cases.map(async |((what, which), fault)| {
        let stage = Stage::new(&format!("kill-{what}")).await;
        stage.create_small_world("prod").await;
        kill(&stage, which, fault).await;
        let second = stage.daemon(&CAPZ).await;
        is_done(&stage).await;
        assert!(second.changes() <= 13, "{what}: nine classes, three Deployments and the AzureClusterIdentity");
    });
    futures::stream::iter(tried).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
}

#[tokio::test]
async fn a_kill_while_a_class_is_changed_costs_nothing_either() {
    futures::future::join_all([Fault::Silence, Fault::Unanswered].map(async |fault| {
        let stage = Stage::new("kill-change").await;
        stage.create_small_world("prod").await;
        let first = stage.daemon(&CAPZ).await;
        is_done(&stage).await;
        assert_eq!(first.stop().0, 0);
        let renamed = json!({"controlPlane": {"ingress": {"credentialsSecretName": "renamed"}}});
        let change =
            json!({"spec": {"platform": {"azure": {"azureAuthenticationConfig": {"managedIdentities": renamed}}}}});
        let api = stage.api(&stage.namespace, HOSTED_CLUSTER);
        api.patch("prod", &PatchParams::default(), &Patch::Merge(&change)).await.expect("a change");
        kill(&stage, CHANGED_CLASS, fault).await;
        let _second = stage.daemon(&CAPZ).await;
        let plane = stage.plane("prod");
        wait_until("class and workload follow", async || {
            let classes = stage.generations(&plane, CLASS).await;
            let deployments = stage.generations(&plane, DEPLOYMENT).await;
            (classes["managed-azure-ingress"] == 2 && deployments["ingress-operator"] == 3).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(stage.generations(&plane, CLASS).await.values().sum::<i64>(), 10, "one change of one class");
        assert_eq!(stage.generations(&plane, DEPLOYMENT).await.values().sum::<i64>(), 7, "one more rollout of one");
    }))
    .await;
}
