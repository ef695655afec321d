//! How fresh a component's credential is on its way from the vault into the mount and from there into the process.
//!
//! Nobody tells when a consumer has reloaded, so what it may still hold is reckoned: from when its mount was first seen to
//! have changed, and from how long it takes at most. Pure: what was seen before is in the status, and the time is an
//! argument.

use hcp_identity_api::control_plane_identity::{ComponentStatus, MountStatus};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    component::Id,
    condition::Reason,
    observed::{Observed, Republish},
    plan::CSI_DRIVER,
    verification::{Standing, Verification},
};

/// How long what goes by itself may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// How often the CSI driver looks for a new version.
    pub driver_poll: SignedDuration,
    /// The latest reload of a consumer after its mount has changed.
    pub consumer_reload: SignedDuration,
}

/// The kubelet mounts again once in a minute or two, and we look at the vault now and then.
const POLL_GRACE: SignedDuration = SignedDuration::from_mins(15);
/// What renews credentials looks at them now and then as well.
const RENEWAL_GRACE: SignedDuration = SignedDuration::from_hours(24);

/// What a pod has mounted, and what is remembered of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mount {
    pub pod: Box<str>,
    /// When the pod was made.
    pub created: Option<Timestamp>,
    pub version: Box<str>,
    /// When that version was first seen in its mount.
    pub since: Timestamp,
    /// The end of that version, where it was ever known.
    pub not_after: Option<Timestamp>,
    /// The end of what the mount had before, and its process may hold until it reloads.
    pub older_not_after: Option<Timestamp>,
}

/// How fresh a component's credential is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Freshness {
    /// Absent where the vault has not told its version; [`Reason::Ready`] where all is well.
    pub reason: Option<Reason>,
    pub message: String,
    pub mounts: Vec<Mount>,
    /// Pods that may hold what ends before they reload, and would begin anew with what the vault has.
    pub late: Vec<Box<str>>,
}

/// Looks at a component's mounts beside what is known of its credential.
#[must_use]
pub fn look(
    component: Id,
    observed: &Observed,
    known: &Verification,
    before: Option<&ComponentStatus>,
    limits: Limits,
    now: Timestamp,
) -> Freshness {
    let mounts = mounts(component, observed, known, before, limits, now);
    let late = late(known, &mounts, limits, now);
    let (reason, message) = judge(known, &mounts, &late, observed.republish, limits, now).unzip();
    let message = message.unwrap_or_default();
    Freshness { reason, message, mounts, late: late.into_iter().map(|late| late.pod).collect() }
}

/// What each pod has mounted, with what the status remembers of it.
fn mounts(
    component: Id,
    observed: &Observed,
    known: &Verification,
    before: Option<&ComponentStatus>,
    limits: Limits,
    now: Timestamp,
) -> Vec<Mount> {
    let remembered: Vec<Mount> = before.iter().flat_map(|before| &before.mounts).filter_map(remember).collect();
    let end_of = |version: &str| match known.version.as_deref() {
        Some(current) if current == version => known.ends(),
        _ => remembered.iter().find(|mount| &*mount.version == version).and_then(|mount| mount.not_after),
    };
    let mut mounts = Vec::new();
    for pod in observed.mounting(component) {
        let of_pod = |mounted: &&crate::observed::Mounted| mounted.component == component && mounted.pod == pod.name;
        let mounted = observed.mounted.iter().filter(of_pod).find(|mounted| mounted.mounted);
        let Some(version) = mounted.and_then(|mounted| mounted.versions.first()) else { continue };
        let last = remembered.iter().find(|mount| mount.pod == pod.name);
        let (since, older_not_after) = match last {
            Some(last) if last.version == *version => (last.since, last.older_not_after),
            Some(last) => (now, last.held_until_reload(limits, now)),
            None => (now, None),
        };
        let not_after = end_of(version);
        let (pod, version) = (pod, version.clone());
        mounts.push(Mount { pod: pod.name.clone(), created: pod.created, version, since, not_after, older_not_after });
    }
    mounts
}

fn remember(mount: &MountStatus) -> Option<Mount> {
    Some(Mount {
        pod: mount.pod.as_str().into(),
        created: None,
        version: mount.version.as_str().into(),
        since: mount.since.as_ref()?.0,
        not_after: mount.not_after.as_ref().map(|time| time.0),
        older_not_after: mount.older_not_after.as_ref().map(|time| time.0),
    })
}

/// To the second, as it comes back from the API server.
#[must_use]
pub fn time(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

impl From<&Mount> for MountStatus {
    fn from(mount: &Mount) -> Self {
        Self {
            pod: mount.pod.to_string(),
            version: mount.version.to_string(),
            since: Some(time(mount.since)),
            not_after: mount.not_after.map(time),
            older_not_after: mount.older_not_after.map(time),
        }
    }
}

impl Mount {
    fn reload_by(&self, limits: Limits) -> Timestamp {
        later(self.since, limits.consumer_reload)
    }

    /// The first end of what the process may hold: what is mounted, or what was before if its reload may be yet to come.
    fn held_until_reload(&self, limits: Limits, now: Timestamp) -> Option<Timestamp> {
        let older = self.older_not_after.filter(|_| now < self.reload_by(limits));
        [self.not_after, older].into_iter().flatten().min()
    }

    fn is_current(&self, known: &Verification) -> bool {
        known.version.as_ref().is_none_or(|current| *current == self.version)
    }

    /// Whether the process may hold what was mounted before: not if its pod is younger than the version.
    fn may_hold_older(&self, known: &Verification, limits: Limits, now: Timestamp) -> bool {
        let is_older = match (self.created, known.created) {
            (Some(pod), Some(version)) => pod < version,
            _ => self.older_not_after.is_some(),
        };
        is_older && now < self.reload_by(limits)
    }
}

/// A time that is too far away is none.
fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

type Said = (Reason, String);

/// The worst that is to be said of a credential. Nothing, where nothing is known of it.
fn judge(
    known: &Verification,
    mounts: &[Mount],
    late: &[Late],
    republish: Republish,
    limits: Limits,
    now: Timestamp,
) -> Option<Said> {
    let current = known.version.as_deref()?;
    let stale: Vec<_> = mounts.iter().filter(|mount| !mount.is_current(known)).collect();
    let reloading = reloading(known, mounts, limits, now);
    expired(known, &stale, now)
        .or_else(|| restart_required(known, late))
        .or_else(|| rotation(known, current, &stale, republish, limits, now))
        .or_else(|| renewal_overdue(known, now))
        .or_else(|| reload_pending(&reloading, limits))
        .or_else(|| Some((Reason::Ready, String::new())))
}

fn reloading<'m>(known: &Verification, mounts: &'m [Mount], limits: Limits, now: Timestamp) -> Vec<&'m Mount> {
    let may_hold_older = |mount: &&Mount| mount.is_current(known) && mount.may_hold_older(known, limits, now);
    mounts.iter().filter(may_hold_older).collect()
}

fn expired(known: &Verification, stale: &[&Mount], now: Timestamp) -> Option<Said> {
    if let Some(end) = known.ends().filter(|end| *end <= now) {
        let message = format!("the credential has ended on {end}; store a new one: see whether what renews it runs");
        return Some((Reason::Expired, message));
    }
    let ended = |mount: &&&Mount| mount.not_after.is_some_and(|end| end <= now);
    let mount = stale.iter().find(ended)?;
    let message = format!(
        "{} has mounted version {}, which has ended, and the vault has a newer one; replace the pod, and see why the CSI \
         driver does not rotate",
        mount.pod, mount.version
    );
    Some((Reason::Expired, message))
}

/// A pod that waits too long if it waits for its reload.
struct Late {
    pod: Box<str>,
    end: Timestamp,
}

fn late(known: &Verification, mounts: &[Mount], limits: Limits, now: Timestamp) -> Vec<Late> {
    if known.version.is_none() {
        return Vec::new();
    }
    let swapped_by = known.created.map_or(now, |created| later(created, limits.driver_poll).max(now));
    let stale = mounts.iter().filter(|mount| !mount.is_current(known));
    let stale = stale.map(|mount| (mount, later(swapped_by, limits.consumer_reload), mount.not_after));
    let reloading = reloading(known, mounts, limits, now).into_iter();
    let reloading = reloading.map(|mount| (mount, mount.reload_by(limits), mount.older_not_after));
    let all = stale.chain(reloading).filter_map(|(mount, reload_by, end)| {
        let end = end.filter(|end| *end < reload_by)?;
        Some(Late { pod: mount.pod.clone(), end })
    });
    all.collect()
}

fn restart_required(known: &Verification, late: &[Late]) -> Option<Said> {
    let end = late.iter().map(|late| late.end).min()?;
    let pods: Vec<&str> = late.iter().map(|late| &*late.pod).collect();
    let remedy = if matches!(known.standing, Standing::Failed { .. }) {
        "store a good credential first, as what the vault has fails its check, and replace the pod then"
    } else {
        "replace the pod: the new one begins with what the vault has"
    };
    let message = format!("{} may hold a credential that ends on {end}, before it reloads; {remedy}", pods.join(", "));
    Some((Reason::RestartRequired, message))
}

fn rotation(
    known: &Verification,
    current: &str,
    stale: &[&Mount],
    republish: Republish,
    limits: Limits,
    now: Timestamp,
) -> Option<Said> {
    let first = stale.first()?;
    let pods: Vec<&str> = stale.iter().map(|mount| &*mount.pod).collect();
    let fact =
        format!("the vault has version {current}, and {} has mounted version {}", pods.join(", "), first.version);
    let due = known.created.map(|created| later(later(created, limits.driver_poll), POLL_GRACE));
    let Some(due) = due.filter(|due| *due <= now) else {
        return Some((Reason::RotationLag, format!("{fact}; the driver rotates it by itself")));
    };
    let fact = format!("{fact}, and since {due} at the latest it should have the new one");
    if republish == Republish::NotAsked {
        let message = format!(
            "{fact}; the CSIDriver {CSI_DRIVER} does not ask the kubelet to mount again (requiresRepublish): turn the \
             driver's rotation on (enableSecretRotation)"
        );
        return Some((Reason::RotationDisabled, message));
    }
    let message = format!(
        "{fact}; the driver tells of a failed rotation only in its log and its metric rotation_reconcile_error_total"
    );
    Some((Reason::RotationFailing, message))
}

fn renewal_overdue(known: &Verification, now: Timestamp) -> Option<Said> {
    let due = known.renew_after.filter(|due| later(*due, RENEWAL_GRACE) <= now)?;
    let message = format!("should have been renewed on {due}: see whether what renews credentials runs");
    Some((Reason::RenewalOverdue, message))
}

fn reload_pending(reloading: &[&Mount], limits: Limits) -> Option<Said> {
    let last = reloading.iter().map(|mount| mount.reload_by(limits)).max()?;
    let pods: Vec<&str> = reloading.iter().map(|mount| &*mount.pod).collect();
    let message =
        format!("{} has the new version mounted, and reloads it by {} at the latest", pods.join(", "), time(last).0);
    Some((Reason::ReloadPending, message))
}

#[cfg(test)]
mod tests;
