//! The daemon: watches, one queue, one writer, a Lease, and what people ask it for.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    hash::BuildHasher as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use jiff::Timestamp;
use kube::Client;
use tokio::{sync::watch as channel, task::JoinSet, time::Instant};

use super::{
    access::{
        Access, CAPZ_IDENTITIES, CLASSES, CSI_DRIVERS, DEPLOYMENTS, FAILED_MOUNTS, HOSTED_CLUSTERS, NAMESPACES,
        POD_STATUSES, PODS, SERVICE_ACCOUNTS, STATUSES,
    },
    admission::Decisions,
    apply::Writer,
    certificates,
    client::Heard,
    lease::{Candidate, Fence, Standing, retry_period},
    metrics::{Gathered, Metrics},
    project::Interest,
    queue::Queue,
    reconcile::{Memory, reconcile},
    service_accounts::{self, ServiceAccounts},
    store::{ClusterKey, Store},
    wants::Wants,
    watch::{self, WATCH_TIMEOUT},
};
use crate::{
    condition::Reason,
    observed::AdmissionTrouble,
    settings::daemon::{AzureClusterIdentityWriting, DaemonSettings},
    verification::{Known, Wanted},
};

/// Passes that may wait for answers at the same time. Writes are one at a time all the same.
const PASSES: usize = 16;
/// When a pass that has come before a first list comes again.
const UNLISTED: Duration = Duration::from_millis(250);

/// Settings in use, and the how manieth they are.
#[derive(Debug)]
pub struct Applied {
    pub settings: DaemonSettings,
    pub epoch: u64,
}

/// What all tasks have in common.
pub struct Shared {
    store: Mutex<Store>,
    pub(super) accounts: ServiceAccounts,
    queue: Queue,
    settings: channel::Receiver<Arc<Applied>>,
    known: channel::Receiver<Arc<Known>>,
    wants: Wants,
    pub(super) decisions: Decisions,
    interest: channel::Sender<Arc<Interest>>,
    listed: Mutex<BTreeSet<&'static str>>,
    /// What the API server last said of a kind that cannot be listed.
    refused: Mutex<BTreeMap<&'static str, String>>,
    heard: Heard,
    pub metrics: Arc<Metrics>,
    started: Instant,
    leads_since: Mutex<Option<Instant>>,
}

impl Shared {
    #[must_use]
    pub fn new(
        settings: channel::Receiver<Arc<Applied>>,
        known: channel::Receiver<Arc<Known>>,
        heard: Heard,
        metrics: Arc<Metrics>,
    ) -> Self {
        let interest = Interest::new(settings.borrow().settings.wiring.as_deref());
        let store = Store::default();
        Self {
            accounts: store.accounts.clone(),
            store: Mutex::new(store),
            queue: Queue::default(),
            settings,
            known,
            wants: Wants::default(),
            decisions: Decisions::default(),
            interest: channel::Sender::new(Arc::new(interest)),
            listed: Mutex::default(),
            refused: Mutex::default(),
            heard,
            metrics,
            started: Instant::now(),
            leads_since: Mutex::default(),
        }
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The settings as they change.
    pub fn applied(&self) -> channel::Receiver<Arc<Applied>> {
        self.settings.clone()
    }

    pub(super) fn settings(&self) -> Arc<Applied> {
        Arc::clone(&self.settings.borrow())
    }

    /// What is known of credentials by now.
    pub(super) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.borrow())
    }

    /// The credentials that are to be known, for whoever asks the vaults.
    pub fn wanted(&self) -> channel::Receiver<Arc<BTreeSet<Wanted>>> {
        self.wants.published.subscribe()
    }

    /// How often somebody has asked for another look at credentials.
    pub fn rechecks(&self) -> channel::Receiver<u64> {
        self.wants.rechecks.subscribe()
    }

    pub(super) fn recheck(&self) {
        self.wants.rechecks.send_modify(|rechecks| *rechecks += 1);
    }

    /// A HostedCluster wants these to be known.
    pub(super) fn wants(&self, key: &ClusterKey, wanted: Vec<Wanted>) {
        self.wants.set(key, wanted);
    }

    pub(super) fn interest(&self) -> Arc<Interest> {
        Arc::clone(&self.interest.borrow())
    }

    pub(super) fn interest_changed(&self) -> channel::Receiver<Arc<Interest>> {
        self.interest.subscribe()
    }

    /// Told after it is in the store.
    pub(super) fn news(&self, keys: Vec<ClusterKey>) {
        self.decisions.forget(&keys);
        self.queue.add_all(keys);
    }

    /// The first list of a kind is in.
    pub(super) fn listed(&self, access: &'static Access) {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).insert(access.resource);
    }

    /// A kind cannot be listed or watched.
    pub(super) fn refused(&self, access: &'static Access, why: String) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(access.resource, why);
    }

    /// Time since the start, on a clock that only goes forward.
    pub(super) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Since when this replica leads, if it does.
    pub(super) fn leads_since(&self) -> Option<Instant> {
        *self.leads_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_leads_since(&self, since: Option<Instant>) {
        *self.leads_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    pub(super) fn is_listed(&self, access: &'static Access) -> bool {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).contains(access.resource)
    }

    /// Between 0 and 1, another one each time.
    pub(super) fn jitter(&self) -> f64 {
        let bits = std::hash::RandomState::new().hash_one(self.started);
        f64::from(u32::try_from(bits >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }

    /// What HostedClusters need.
    pub(super) fn kinds(&self) -> Vec<&'static Access> {
        let mut kinds = vec![
            &HOSTED_CLUSTERS,
            &CLASSES,
            &POD_STATUSES,
            &CSI_DRIVERS,
            &DEPLOYMENTS,
            &PODS,
            &FAILED_MOUNTS,
            &NAMESPACES,
            &STATUSES,
        ];
        if self.settings().settings.azure_cluster_identity == AzureClusterIdentityWriting::Apply {
            kinds.push(&CAPZ_IDENTITIES);
        }
        kinds
    }

    /// Why the daemon is not ready, if so: a list that is not in, or a watch that has gone deaf.
    pub fn unready(&self) -> Vec<String> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let deaf = |access: &&&'static Access| {
            let path =
                format!("/apis/{}/{}/{}", access.group, version(access), access.resource).replace("/apis//", "/api/");
            self.heard.last(&path).is_some_and(|at| at.elapsed() > 2 * WATCH_TIMEOUT)
        };
        let mut kinds = self.kinds();
        kinds.extend(self.settings().settings.workload_identity.as_ref().map(|_| &SERVICE_ACCOUNTS));
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = kinds.iter().filter(|access| !listed.contains(access.resource)).map(|access| {
            let why = refused.get(access.resource).map(|why| format!(": {why}")).unwrap_or_default();
            format!("{}: no list yet{why}", access.resource)
        });
        let deaf = kinds.iter().filter(deaf).map(|access| format!("{}: the watch is not answered", access.resource));
        missing.chain(deaf).collect()
    }

    pub(super) fn all_listed(&self) -> bool {
        self.kinds().into_iter().all(|access| self.is_listed(access))
    }

    /// Tells how it stands with the webhook's certificate and its registration.
    pub fn webhook_stands(&self, standing: &certificates::Standing) {
        self.metrics.webhook_certificate(standing.not_after);
        let trouble = standing.trouble.clone();
        let trouble = trouble.map(|message| AdmissionTrouble { reason: Reason::WebhookUnavailable, message });
        let news = self.store().put_webhook(trouble);
        self.news(news);
    }

    /// What a scrape shows of the HostedClusters.
    pub fn gather(&self) -> Gathered {
        #[expect(clippy::disallowed_methods, reason = "an age is that of the moment of the scrape")]
        let mut gathered = Gathered { queued: self.queue.len(), now: Timestamp::now(), ..Gathered::default() };
        let store = self.store();
        for key in store.cluster_keys() {
            let Some(Ok(Some(status))) = store.status(&key).map(super::report::StatusSeen::status) else { continue };
            let name = key.to_string();
            if let Some(ready) = status.conditions.iter().find(|condition| condition.type_ == "Ready") {
                gathered.ready.push((name.clone(), ready.reason.clone(), ready.status == "True"));
            }
            let components = status.components.into_iter();
            gathered.components.extend(components.map(|status| (name.clone(), status)));
        }
        gathered
    }
}

fn version(access: &Access) -> &'static str {
    match access.group {
        "hypershift.openshift.io" | "infrastructure.cluster.x-k8s.io" => "v1beta1",
        "hcpidentity.dev" => "v1alpha1",
        _ => "v1",
    }
}

/// Starts the watches of all kinds; they run until the set is dropped.
pub fn watch_all(shared: &Arc<Shared>, client: &Client, tasks: &mut JoinSet<()>) {
    let own = || (Arc::clone(shared), client.clone());
    let mut start = |task: futures::future::BoxFuture<'static, ()>| drop(tasks.spawn(task));
    let (s, c) = own();
    start(watch::watch::<watch::HostedClusters>(s, c).boxed());
    let (s, c) = own();
    start(watch::watch::<watch::Namespaces>(s, c).boxed());
    let (s, c) = own();
    start(watch::watch::<watch::Classes>(s, c).boxed());
    let (s, c) = own();
    start(watch::watch::<watch::PodStatuses>(s, c).boxed());
    let (s, c) = own();
    start(watch::watch::<watch::Deployments>(s, c).boxed());
    let (s, c) = own();
    start(watch::watch::<watch::CsiDrivers>(s, c).boxed());
    let (s, c) = own();
    start(watch::watch::<watch::Pods>(s, c).boxed());
    let (s, c) = own();
    start(watch::watch::<watch::FailedMounts>(s, c).boxed());
    let (s, c) = own();
    start(watch::watch::<watch::Statuses>(s, c).boxed());
    let (s, c) = own();
    start(watch_capz(s, c).boxed());
    let (s, c) = own();
    start(service_accounts::watch(s, c).boxed());
}

/// AzureClusterIdentities are looked at from when they are first to be written.
async fn watch_capz(shared: Arc<Shared>, client: Client) {
    let mut settings = shared.settings.clone();
    let wanted = |applied: &Arc<Applied>| applied.settings.azure_cluster_identity == AzureClusterIdentityWriting::Apply;
    if settings.wait_for(wanted).await.is_ok() {
        watch::watch::<watch::CapzIdentities>(Arc::clone(&shared), client).await;
    } else {
        std::future::pending::<()>().await;
    }
}

/// Waits until every first list is in.
pub async fn until_listed(shared: &Shared) {
    while !shared.all_listed() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Looks at whatever is due, while this replica leads. Passes that have begun are finished before this ends.
pub async fn work(
    shared: Arc<Shared>,
    writer: Writer,
    mut leading: channel::Receiver<bool>,
    stop: impl Future<Output = ()>,
) {
    until_listed(&shared).await;
    let mut memories: HashMap<ClusterKey, Memory> = HashMap::new();
    let mut passes = FuturesUnordered::new();
    let stop = stop.fuse();
    tokio::pin!(stop);
    let mut led = false;
    loop {
        let leads = *leading.borrow_and_update();
        if leads != std::mem::replace(&mut led, leads) {
            // What another replica has done in the meantime is not what we remember.
            memories.clear();
            shared.wants.clear();
            shared.set_leads_since(leads.then(Instant::now));
            shared.news(if leads { shared.store().cluster_keys() } else { Vec::new() });
        }
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some((key, memory, again)) = passes.next() => finish(&shared, &mut memories, key, memory, again),
            changed = leading.changed() => if changed.is_err() { break },
            key = shared.queue.next(), if leads && passes.len() < PASSES => {
                let memory = memories.remove(&key).unwrap_or_default();
                passes.push(pass(&shared, &writer, key, memory));
            }
        }
    }
    while let Some((key, memory, again)) = passes.next().await {
        finish(&shared, &mut memories, key, memory, again);
    }
}

async fn pass(
    shared: &Shared,
    writer: &Writer,
    key: ClusterKey,
    mut memory: Memory,
) -> (ClusterKey, Memory, Option<Duration>) {
    let started = Instant::now();
    // New settings may have asked for another kind.
    if !shared.all_listed() {
        return (key, memory, Some(UNLISTED));
    }
    let again = reconcile(shared, writer, &key, &mut memory).await;
    shared.metrics.pass(started.elapsed());
    (key, memory, again)
}

fn finish(
    shared: &Shared,
    memories: &mut HashMap<ClusterKey, Memory>,
    key: ClusterKey,
    memory: Memory,
    again: Option<Duration>,
) {
    shared.queue.done(&key);
    if let Some(again) = again {
        shared.queue.add(key.clone(), again);
        memories.insert(key, memory);
    }
}

/// Keeps at the Lease, and says whether it is ours.
pub async fn lead(
    mut candidate: Candidate,
    fence: Fence,
    leading: Arc<channel::Sender<bool>>,
    metrics: Arc<Metrics>,
    stop: impl Future<Output = ()>,
) {
    let stop = stop.fuse();
    tokio::pin!(stop);
    loop {
        let standing = tokio::select! {
            biased;
            () = &mut stop => break,
            standing = candidate.step() => standing,
        };
        if let Err(error) = &standing {
            tracing::warn!(error, "the Lease could not be read or written");
        }
        let leads = fence.holds(Instant::now());
        // Only a change is news: at each the workers forget what they remember and look at everything.
        let changed = leading.send_if_modified(|before| std::mem::replace(before, leads) != leads);
        metrics.leads(leads);
        if changed {
            let leader = if let Ok(Standing::Following { leader }) = &standing { leader } else { "" };
            tracing::info!(leader, "{}", if leads { "leading" } else { "no longer leading" });
        }
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = tokio::time::sleep(retry_period()) => {}
        }
    }
    leading.send_replace(false);
    candidate.release().await;
}

/// Publishes what is wanted, and brings what has become known to the HostedClusters that it is about.
pub async fn follow_credentials(shared: Arc<Shared>) {
    let publish = async {
        loop {
            shared.wants.publish().await;
        }
    };
    tokio::join!(publish, follow_known(&shared));
}

async fn follow_known(shared: &Shared) {
    let mut known = shared.known.clone();
    let mut before = Arc::clone(&known.borrow_and_update());
    while known.changed().await.is_ok() {
        let now = Arc::clone(&known.borrow_and_update());
        shared.news(shared.wants.concerned(&before, &now));
        before = now;
    }
}

/// Takes new settings into use: other names to look for, and another look at everything.
pub async fn follow_settings(shared: Arc<Shared>) {
    let mut settings = shared.settings.clone();
    while settings.changed().await.is_ok() {
        let interest = Interest::new(settings.borrow_and_update().settings.wiring.as_deref());
        shared.interest.send_if_modified(|before| {
            let changed = **before != interest;
            if changed {
                *before = Arc::new(interest);
            }
            changed
        });
        let all = shared.store().cluster_keys();
        shared.news(all);
    }
}
