//! What is known of a HostedCluster's credentials, what follows from it, and the restarts that it takes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hcp_identity_api::control_plane_identity::{ComponentStatus, ControlPlaneIdentityStatus};
use tokio::time::Instant;

use super::{
    apply::{Path, Writer},
    daemon::{Applied, Shared},
    reconcile::Seen,
    store::ClusterKey,
};
use crate::{
    component::Id,
    condition::Reason,
    diff::Permission,
    freshness::{self, Limits},
    observed::Cluster,
    pause::permission,
    plan::{Identities, Identity},
    rotation::{self, Eviction, Turn},
    settings::daemon::{CredentialCheck, Rotation},
    status::{self, Credentials, Outcome},
    verification::{Known, Trouble, Verification, Wanted},
};

/// Between two evictions of one control plane: by then the watches have shown the first, and what comes of it.
const BETWEEN_EVICTIONS: Duration = Duration::from_secs(60);

/// What is remembered of the restarts of a control plane; all else is read off its pods.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    /// When a pod was last evicted, or was to be.
    last: Option<Instant>,
    turn: Turn,
    /// Pods wait for it.
    pending: bool,
}

impl Restarts {
    /// When to look again: no watch tells that a pod has been there for long enough.
    pub(super) fn again(&self) -> Option<Duration> {
        self.pending.then_some(BETWEEN_EVICTIONS / 4)
    }
}

/// What is known of the credentials that a HostedCluster names, and why no more is; and makes that known where it is wanted.
pub(super) fn known(
    shared: &Shared,
    key: &ClusterKey,
    cluster: &Cluster,
    applied: &Applied,
    status: Option<&ControlPlaneIdentityStatus>,
) -> (BTreeMap<Id, Verification>, Option<Trouble>) {
    let checked = applied.settings.credentials.check != CredentialCheck::None && cluster.mode.as_deref() != Some("off");
    let Some(identities) = cluster.identities.as_ref().filter(|_| checked) else {
        shared.wants(key, Vec::new());
        return Default::default();
    };
    let known = shared.known();
    let verified = verified(&known, identities, status);
    let all: Vec<_> = identities.named.iter().map(|identity| Wanted::new(identities, identity)).collect();
    let trouble = all.first().and_then(|wanted| known.vaults.get(&wanted.vault)).cloned();
    shared.wants(key, all);
    (verified, trouble)
}

/// What has become known since the start, over what the status says.
pub(super) fn verified(
    known: &Known,
    identities: &Identities,
    status: Option<&ControlPlaneIdentityStatus>,
) -> BTreeMap<Id, Verification> {
    let of = |identity: &Identity| {
        let now = known.credentials.get(&Wanted::new(identities, identity)).map(Arc::as_ref);
        let before = status.and_then(|status| status::remembered(status, identity));
        Some((identity.component, Verification::over(now, before)?))
    };
    identities.named.iter().filter_map(of).collect()
}

/// What is to be told of the credentials.
pub(super) fn look(seen: &Seen) -> Credentials {
    let settings = &seen.applied.settings.credentials;
    let Some(identities) = seen.cluster.identities.as_ref().filter(|_| settings.check != CredentialCheck::None) else {
        return Credentials::default();
    };
    let limits = Limits { driver_poll: settings.driver_poll_interval, consumer_reload: settings.consumer_reload };
    let unknown = Verification::default();
    let look = |identity: &Identity| {
        let id = identity.component;
        let known = seen.observed.verified.get(&id).unwrap_or(&unknown);
        let mut told = seen.status.iter().flat_map(|status| &status.components);
        let is_same = |before: &&ComponentStatus| {
            before.id == id.to_string() && before.secret_name == identity.secret.to_string()
        };
        let before = told.find(is_same);
        (id, freshness::look(id, &seen.observed, known, before, limits, seen.now))
    };
    Credentials {
        check: settings.check,
        verified: seen.observed.verified.clone(),
        freshness: identities.named.iter().map(look).collect(),
        trouble: seen.trouble.clone(),
    }
}

/// Pods that lack nothing but what the policies would give a successor.
fn unwired(outcome: &Outcome) -> Vec<(Id, Box<str>)> {
    let Outcome::Planned { difference, .. } = outcome else { return Vec::new() };
    let components = difference.components.iter().filter(|state| state.reason == Reason::NotInjected);
    components.flat_map(|state| state.unwired.iter().map(|pod| (state.id, pod.clone()))).collect()
}

/// Evicts the next pod that would hold a credential past its end, where that is wanted and nothing else is under way.
pub(super) async fn restart(
    writer: &Writer,
    seen: &Seen,
    outcome: &Outcome,
    credentials: &Credentials,
    restarts: &mut Restarts,
) {
    let settings = &seen.applied.settings;
    let is_wanted = settings.credentials.rotation == Rotation::Restart
        && permission(&seen.cluster, settings, seen.now).permission == Permission::Write;
    restarts.turn.unwired = unwired(outcome);
    let is_late = credentials.freshness.values().any(|fresh| !fresh.late.is_empty());
    restarts.pending = is_wanted && (is_late || !restarts.turn.unwired.is_empty());
    let is_quiet =
        outcome.is_settled() && seen.is_settled && restarts.last.is_none_or(|last| last.elapsed() >= BETWEEN_EVICTIONS);
    if !restarts.pending || !is_quiet {
        return;
    }
    let next = rotation::next(&seen.observed, credentials, &restarts.turn, seen.now);
    let Some(Eviction { component, pod, uid }) = next else { return };
    let namespace = seen.key.control_plane_namespace();
    // Refused, it is tried again no sooner.
    restarts.last = Some(Instant::now());
    let path = Path { version: "v1", namespace: &namespace, name: &pod };
    let hosted_cluster = seen.key.to_string();
    match writer.evict(&path, &uid).await {
        Ok(_) => {
            tracing::info!(hosted_cluster, namespace, %component, pod, "evicted");
            if restarts.turn.unwired.iter().any(|(_, unwired)| *unwired == pod) {
                restarts.turn.replacing_since.entry(component).or_insert(seen.now);
            }
        }
        Err(error) => {
            tracing::warn!(hosted_cluster, namespace, %component, pod, %error, "the pod was not evicted");
            if !restarts.turn.refused.insert(uid) {
                restarts.turn.refused.clear();
            }
        }
    }
}
