//! Which of several replicas writes: whatever happens to one of them, never two at once, and soon the other.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kube::{ResourceExt as _, api::DynamicObject};

use crate::support::{
    cluster::wait_until,
    proxy::{EVERYTHING, NOTHING, Proxy},
    stage::{CLASS, DEPLOYMENT, Daemon, LEASE, STATUS, Stage},
};

async fn holder(stage: &Stage) -> String {
    let lease = stage.get(&stage.namespace, LEASE, "hcp-identity").await.expect("a Lease");
    lease.data["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

/// The one that leads, and one that waits for its end.
async fn two(stage: &Stage) -> (Daemon, Daemon) {
    let first = stage.daemon(&[]).await;
    first.until_leading().await;
    let second = stage.daemon(&[]).await;
    assert!(!second.leads());
    (first, second)
}

/// Everything that a daemon writes, with what changes when it is written.
async fn written(stage: &Stage) -> BTreeMap<String, Option<String>> {
    let plane = stage.plane("prod");
    let mut all: Vec<DynamicObject> = stage.list(&plane, CLASS).await;
    all.extend(stage.list(&plane, DEPLOYMENT).await);
    all.extend(stage.list(&stage.namespace, STATUS).await);
    all.into_iter().map(|object| (object.name_any(), object.resource_version())).collect()
}

async fn all_wired(stage: &Stage) {
    wait_until("all eleven are wired", async || {
        let all = stage.list(&stage.plane("prod"), DEPLOYMENT).await;
        let settled = |one: &DynamicObject| {
            let generation = one.metadata.generation;
            generation >= Some(2) && one.data["status"]["observedGeneration"].as_i64() == generation
        };
        (all.len() == 11 && all.iter().all(settled)).then_some(())
    })
    .await;
    stage.ready_reason("prod", "WaitingForPod").await;
}

#[tokio::test]
async fn after_a_kill_the_other_takes_over_when_the_lease_has_run_out() {
    let stage = Stage::new("l-kill").await;
    let (first, second) = two(&stage).await;
    first.signal("-KILL");
    let killed = Instant::now();
    stage.create_cluster("prod", |_| {}).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
    let took = killed.elapsed();
    assert!(took > Duration::from_secs(12), "{took:?}: the first may have been writing still");
    assert!(took < Duration::from_secs(22), "{took:?}");
    assert!(second.leads());
    assert_eq!(holder(&stage).await, second.identity);
}

#[tokio::test]
async fn after_a_graceful_stop_the_other_takes_over_at_once() {
    let stage = Stage::new("l-stop").await;
    stage.create_cluster("prod", |_| {}).await;
    let (first, second) = two(&stage).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
    let stopped = Instant::now();
    assert_eq!(first.stop().0, 0);
    second.until_leading().await;
    assert!(stopped.elapsed() < Duration::from_secs(4), "{:?}", stopped.elapsed());
    stage.create_workloads("prod", 0).await;
    all_wired(&stage).await;
}

#[tokio::test]
async fn a_graceful_stop_ends_with_0_and_hands_the_lease_back() {
    let stage = Stage::new("l-end").await;
    let daemon = stage.daemon(&[]).await;
    daemon.until_leading().await;
    assert_eq!(holder(&stage).await, daemon.identity);
    let (code, log) = daemon.stop();
    assert_eq!((code, holder(&stage).await.as_str()), (0, ""), "{log}");
    assert!(log.lines().last().is_some_and(|line| line.contains("\"stopped\"")), "{log}");
}

/// A machine that sleeps for a while, with work waiting for it when it wakes.
#[tokio::test]
async fn a_leader_that_was_paused_writes_nothing_over_the_one_that_took_over() {
    let stage = Stage::new("l-pause").await;
    stage.create_cluster("prod", |_| {}).await;
    let (first, second) = two(&stage).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;
    let attempts = first.metric("hcp_identity_kubernetes_writes_total", "");
    let done = first.metric("hcp_identity_kubernetes_writes_total", "outcome=\"done\"");
    first.signal("-STOP");
    stage.create_workloads("prod", 0).await;
    second.until_leading().await;
    all_wired(&stage).await;
    let before = written(&stage).await;

    first.signal("-CONT");
    wait_until("it knows that it no longer leads", async || first.log().contains("no longer leading").then_some(()))
        .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let more = first.metric("hcp_identity_kubernetes_writes_total", "") - attempts;
    assert!(more <= 1.0, "{more} writes: {}", first.log());
    assert_eq!(first.metric("hcp_identity_kubernetes_writes_total", "outcome=\"done\""), done, "{}", first.log());
    assert_eq!(written(&stage).await, before);
    assert!(second.leads() && !first.leads());
}

/// What a network keeps for half a minute arrives when another has written: it is planned from a version that is gone.
#[tokio::test]
async fn a_write_that_a_partition_delays_is_refused() {
    let stage = Stage::new("l-cut").await;
    stage.create_cluster("prod", |_| {}).await;
    let proxy = Proxy::new(NOTHING, NOTHING);
    let mut first = stage.daemon_behind(&proxy, &[]);
    first.until_ready().await;
    first.until_leading().await;
    let second = stage.daemon(&[]).await;
    stage.ready_reason("prod", "WaitingForWorkload").await;

    proxy.hold(|request| request.starts_with("PATCH"));
    stage.create_workloads("prod", 0).await;
    wait_until("a write is under way", async || (!proxy.held().is_empty()).then_some(())).await;
    proxy.hold(EVERYTHING);
    let mut both = false;
    wait_until("the other leads", async || {
        let (first, second) = (first.leads(), second.leads());
        both |= first && second;
        second.then_some(())
    })
    .await;
    assert!(!both && !first.leads(), "two lead at once: {}", first.log());
    all_wired(&stage).await;
    let before = written(&stage).await;

    proxy.hold(NOTHING);
    let patches = wait_until("what was held has been answered", async || {
        let held = proxy.held().into_iter().filter(|(request, _)| request.starts_with("PATCH"));
        held.map(|(_, code)| code).collect::<Option<Vec<u16>>>()
    })
    .await;
    assert!(!patches.is_empty() && patches.iter().all(|code| *code == 409), "{patches:?}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(written(&stage).await, before);
    assert!(second.leads() && !first.leads());
}

/// There is nobody to hand the Lease back to.
#[tokio::test]
async fn a_daemon_that_is_cut_off_ends_all_the_same() {
    let stage = Stage::new("l-alone").await;
    let proxy = Proxy::new(NOTHING, NOTHING);
    let mut daemon = stage.daemon_behind(&proxy, &[]);
    daemon.until_ready().await;
    daemon.until_leading().await;
    proxy.hold(EVERYTHING);
    let stopped = Instant::now();
    daemon.signal("-TERM");
    let code = wait_until("it ends", async || daemon.child.try_wait().expect("its end")).await.code();
    assert_eq!(code, Some(0), "{}", daemon.log());
    assert!(stopped.elapsed() < Duration::from_secs(8), "{:?}", stopped.elapsed());
}
