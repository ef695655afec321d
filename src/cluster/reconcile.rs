//! One pass over one HostedCluster: observe, decide, apply, report.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hcp_identity_api::control_plane_identity::ControlPlaneIdentityStatus;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    apply::{self, WriteError, Writer},
    credentials::{self, Restarts},
    daemon::{Applied, Shared},
    decide::decide,
    report::{self, Reported, StatusSeen},
    store::{ClusterKey, Shown, Unreadable},
};
use crate::{
    diff::{Change, LedgerKey},
    ledger::Ledger,
    observed::{Cluster, Kind, ObjectKey, Observed},
    pause::permission,
    status::{self, Credentials, Failure, Outcome, tell},
    verification::Trouble,
};

/// What is remembered of a HostedCluster between passes.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) ledger: Ledger<LedgerKey>,
    /// What the watch has yet to show.
    expected: BTreeMap<ObjectKey, Expected>,
    status_expected: Option<(String, Instant)>,
    /// Generation, settings and request for another try that the ledger is about.
    about: Option<(i64, u64, Option<Box<str>>)>,
    /// Since when its state is one that passes.
    passing_since: Option<Instant>,
    pub(super) restarts: Restarts,
    failures: u32,
}

#[derive(Debug)]
struct Expected {
    /// Absent: the object is to be gone.
    resource_version: Option<String>,
    until: Instant,
}

/// How long a watch may take to show a write before it is no longer waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// States that pass are told when they last longer.
const PASSING: Duration = Duration::from_secs(2);
/// How long after the start of leading what an earlier leader has sent can only have failed or been shown: it gave up
/// before its Lease ran out, and a watch tells within a second or two.
const SETTLED: Duration = Duration::from_secs(20);
/// A look without news, for what no watch tells.
const RESYNC: Duration = Duration::from_secs(600);

/// Everything that a pass looks at.
pub(super) struct Seen {
    pub(super) key: ClusterKey,
    pub(super) cluster: Arc<Cluster>,
    pub(super) observed: Observed,
    pub(super) neighbours: Vec<ClusterKey>,
    status_seen: Option<StatusSeen>,
    pub(super) status: Option<ControlPlaneIdentityStatus>,
    pub(super) applied: Arc<Applied>,
    pub(super) trouble: Option<Trouble>,
    /// What an earlier leader has sent has been shown.
    pub(super) is_settled: bool,
    pub(super) now: Timestamp,
}

/// Looks at a HostedCluster and does what is to be done. Returns when to look again; nothing if it is gone or not ours.
///
/// observe: from the watches, no request. decide: pure. apply and restart: the only writes to what is not ours. report:
/// status and events, of a refusal as well.
pub(super) async fn reconcile(
    shared: &Shared,
    writer: &Writer,
    key: &ClusterKey,
    memory: &mut Memory,
) -> Option<Duration> {
    let seen = match observe(shared, key, memory) {
        Ok(seen) => seen?,
        Err(error) => {
            tracing::error!(hosted_cluster = %key, %error, "this is a defect of hcp-identity; please report it");
            return Some(RESYNC);
        }
    };
    if memory.is_asked_again(&seen.cluster) {
        shared.recheck();
    }
    memory.settle(&seen);
    let (outcome, changes) = decide(&seen, memory, shared.uptime());
    let failures = carry_out(shared, writer, &seen, changes, memory).await;
    let outcome = outcome.with(&failures);
    let credentials = credentials::look(&seen);
    credentials::restart(writer, &seen, &outcome, &credentials, &mut memory.restarts).await;
    let reported = tell_of(writer, &seen, &outcome, &credentials, memory).await;
    if let Err(error) = &reported {
        tracing::warn!(hosted_cluster = %key, %error, "the status was not written");
    }
    Some(memory.next(&seen, &failures, reported.as_ref().err(), shared.jitter()))
}

pub(super) fn observe(shared: &Shared, key: &ClusterKey, memory: &mut Memory) -> Result<Option<Seen>, Unreadable> {
    let applied = shared.settings();
    let store = shared.store();
    let Some(cluster) = store.cluster(key) else {
        shared.wants(key, Vec::new());
        return Ok(None);
    };
    let selection = &applied.settings.selection;
    if !cluster.azure || !selection.selects(&cluster.namespace, &cluster.labels, cluster.scope.as_deref()) {
        shared.wants(key, Vec::new());
        return Ok(None);
    }
    let mut observed = store.observe(key)?;
    let namespace = key.control_plane_namespace();
    let now = Instant::now();
    let mut shown = Vec::new();
    for (object, expected) in &memory.expected {
        if now >= expected.until || is_shown(expected.resource_version.as_deref(), &store.shown(&namespace, object)?) {
            shown.push(object.clone());
        }
    }
    memory.expected.retain(|object, _| !shown.contains(object));
    observed.unseen_writes = memory.expected.keys().cloned().collect();
    let status_seen = store.status(key).cloned();
    let status = status_seen.as_ref().map(StatusSeen::status).transpose()?.flatten();
    let (verified, trouble) = credentials::known(shared, key, &cluster, &applied, status.as_ref());
    observed.verified = verified;
    let neighbours = store.of_namespace(&namespace).into_iter().filter(|other| other != key).collect();
    #[expect(clippy::disallowed_methods, reason = "here the clock becomes an argument")]
    let now = Timestamp::now();
    let is_settled = shared.leads_since().is_some_and(|since| since.elapsed() >= SETTLED);
    Ok(Some(Seen {
        key: key.clone(),
        cluster,
        observed,
        neighbours,
        status_seen,
        status,
        applied,
        trouble,
        is_settled,
        now,
    }))
}

/// Whether the watch has shown a write that was answered with this version, or, without one, a deletion.
fn is_shown(written: Option<&str>, shown: &Shown) -> bool {
    match (written, shown) {
        (None, Shown::Version(_)) | (Some(_), Shown::Nothing) => false,
        (None, _) => true,
        (Some(written), Shown::Version(version)) => is_at_least(version, written),
        (Some(written), Shown::Gone(version)) => version.is_empty() || is_at_least(version, written),
    }
}

/// Versions are numbers of one sequence; what is none is taken as it comes.
fn is_at_least(version: &str, other: &str) -> bool {
    match (version.parse::<u128>(), other.parse::<u128>()) {
        (Ok(version), Ok(other)) => version >= other,
        _ => version == other,
    }
}

/// A change that failed, and how.
struct Failed {
    object: ObjectKey,
    error: WriteError,
}

/// Carries the changes out, in their order. A failure of one is none of the next, unless nobody may write any more.
async fn carry_out(
    shared: &Shared,
    writer: &Writer,
    seen: &Seen,
    changes: Vec<Change>,
    memory: &mut Memory,
) -> Vec<Failed> {
    let mut failures = Vec::new();
    let namespace = seen.key.control_plane_namespace();
    for change in changes {
        let object = change.key();
        match apply::apply(writer, &namespace, &change).await {
            Ok(written) => {
                memory.ledger.wrote(&change.ledger_key(), change.content(), shared.uptime());
                let gone = matches!(change, Change::DeleteClass { .. });
                let resource_version = Some(written.metadata.resource_version).filter(|_| !gone);
                log_change(seen, &change);
                memory.expected.insert(object, Expected { resource_version, until: Instant::now() + PATIENCE });
            }
            Err(error) => {
                let stop = matches!(error, WriteError::NotLeading | WriteError::Busy { .. });
                failures.push(Failed { object, error });
                if stop {
                    break;
                }
            }
        }
    }
    failures
}

/// One line for each change.
fn log_change(seen: &Seen, change: &Change) {
    let object = change.key();
    let hosted_cluster = seen.key.to_string();
    let namespace = seen.key.control_plane_namespace();
    let (adds, removes) = match change {
        Change::ApplyWorkload { adds, removes, .. } => (*adds, *removes),
        Change::DeleteClass { .. } => (0, 1),
        _ => (1, 0),
    };
    let verb = if object.kind == Kind::SecretProviderClass && removes > 0 { "deleted" } else { "applied" };
    tracing::info!(hosted_cluster, control_plane_namespace = namespace, %object, verb, adds, removes, "changed");
}

impl Outcome {
    fn with(self, failed: &[Failed]) -> Self {
        match self {
            Self::Planned { difference, failures: mut all } => {
                all.extend(failed.iter().map(|failed| Failure {
                    refused: matches!(failed.error, WriteError::Refused(_)),
                    message: format!("{} cannot be written: {}", failed.object, failed.error),
                }));
                Self::Planned { difference, failures: all }
            }
            other => other,
        }
    }

    /// Whether nothing was written in this pass, nor has to be seen first.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self, Self::Planned { difference, failures } if failures.is_empty() && !difference.waiting)
    }

    fn is_passing(&self) -> bool {
        match self {
            Self::NoPlan(..) => false,
            Self::Federated { waiting, .. } => *waiting,
            Self::Planned { difference, failures } => {
                failures.iter().all(|failure| !failure.refused)
                    && (difference.waiting || !failures.is_empty())
                    && difference.components.iter().all(|state| !state.reason.is_stalled())
            }
        }
    }
}

async fn tell_of(
    writer: &Writer,
    seen: &Seen,
    outcome: &Outcome,
    credentials: &Credentials,
    memory: &mut Memory,
) -> Result<Reported, WriteError> {
    if outcome.is_passing() {
        let since = *memory.passing_since.get_or_insert_with(Instant::now);
        if since.elapsed() < PASSING {
            return Ok(Reported::Nothing);
        }
    } else {
        memory.passing_since = None;
    }
    // What we have told last is what counts, and the watch may not have shown it yet.
    if let Some((version, until)) = &memory.status_expected {
        let there =
            seen.status_seen.as_ref().map_or(Shown::Nothing, |seen| Shown::Version(seen.resource_version.clone()));
        if !is_shown(Some(version), &there) && Instant::now() < *until {
            return Ok(Reported::Later);
        }
        memory.status_expected = None;
    }
    let namespace = seen.key.control_plane_namespace();
    let told = tell(&seen.cluster, &namespace, outcome, credentials, seen.status.as_ref(), seen.now);
    let (status_seen, before) = (seen.status_seen.as_ref(), seen.status.as_ref());
    let reported = report::report(writer, &seen.cluster, &told, status_seen, before, seen.now).await?;
    if let Reported::Written { resource_version } = &reported {
        memory.status_expected = Some((resource_version.clone(), Instant::now() + PATIENCE));
        for news in &told.news {
            tracing::info!(hosted_cluster = %seen.key, reason = %news.reason, message = news.message, "news");
        }
    }
    Ok(reported)
}

impl Memory {
    /// Whether the annotation has got another value since the last pass.
    fn is_asked_again(&self, cluster: &Cluster) -> bool {
        self.about.as_ref().is_some_and(|(_, _, recheck)| *recheck != cluster.recheck)
    }

    /// Begins anew when the HostedCluster or the settings have changed or somebody asks for it; at the first look after a
    /// start, takes over what was contested.
    pub(super) fn settle(&mut self, seen: &Seen) {
        let about = (seen.cluster.generation, seen.applied.epoch, seen.cluster.recheck.clone());
        match &self.about {
            Some(before) if *before == about => {}
            Some(_) => self.ledger.forgive(),
            None => {
                let same =
                    |status: &&ControlPlaneIdentityStatus| status.hosted_cluster_generation == seen.cluster.generation;
                for contested in seen.status.iter().filter(same).flat_map(status::contested) {
                    let Ok(kind) = contested.kind.parse::<Kind>() else { continue };
                    let object = ObjectKey { kind, name: contested.name.as_str().into() };
                    let workload = seen.observed.workloads.iter().find(|workload| workload.name == object.name);
                    let life =
                        workload.filter(|_| kind == Kind::Deployment).map(|workload| workload.version.uid.clone());
                    let key = LedgerKey { object, life: life.unwrap_or_default() };
                    self.ledger.remember(key, &contested.manager);
                }
            }
        }
        self.about = Some(about);
    }

    /// When to look again, if nothing happens before.
    fn next(&mut self, seen: &Seen, failures: &[Failed], report: Option<&WriteError>, jitter: f64) -> Duration {
        let errors = failures.iter().map(|failed| &failed.error).chain(report);
        let waits: Vec<Duration> = errors.map(|error| self.backoff(error)).collect();
        if waits.is_empty() {
            self.failures = 0;
        } else {
            self.failures = self.failures.saturating_add(1);
        }
        let spread = 0.75 + jitter / 2.0;
        let mut next = waits.into_iter().max().unwrap_or(RESYNC).mul_f64(spread);
        if self.passing_since.is_some() || !self.expected.is_empty() || self.status_expected.is_some() {
            next = next.min(PASSING);
        }
        next = self.restarts.again().map_or(next, |again| next.min(again));
        let paused = permission(&seen.cluster, &seen.applied.settings, seen.now).until;
        let until = paused.map(|until| Duration::try_from(seen.now.duration_until(until)).unwrap_or_default());
        until.map_or(next, |until| next.min(until + Duration::from_millis(100)))
    }

    fn backoff(&self, error: &WriteError) -> Duration {
        let growing = Duration::from_millis(250 << self.failures.min(8));
        match error {
            WriteError::Refused(_) => Duration::from_secs(60),
            WriteError::Busy { retry_after: Some(after), .. } => growing.max(*after),
            _ => growing.min(Duration::from_secs(60)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Shown, is_shown};

    #[test]
    fn a_write_is_shown_by_what_is_at_least_as_new() {
        let version = |version: &str| Shown::Version(version.into());
        assert!(is_shown(Some("9"), &version("10")) && is_shown(Some("10"), &version("10")));
        assert!(!is_shown(Some("10"), &version("9")) && !is_shown(Some("10"), &Shown::Nothing));
        assert!(is_shown(Some("a"), &version("a")) && !is_shown(Some("a"), &version("b")));
    }

    /// Deleted by somebody as soon as it was there: it is made anew at once.
    #[test]
    fn an_object_that_is_gone_again_has_been_shown() {
        assert!(is_shown(Some("10"), &Shown::Gone("11".into())) && is_shown(Some("10"), &Shown::Gone("".into())));
        assert!(!is_shown(Some("10"), &Shown::Gone("9".into())), "that was the one before");
        assert!(is_shown(None, &Shown::Nothing) && is_shown(None, &Shown::Gone("1".into())));
        assert!(!is_shown(None, &Shown::Version("1".into())));
    }
}
