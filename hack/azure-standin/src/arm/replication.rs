//! What was just made is not seen everywhere at once: how long that takes is for a test to say. By default no time.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// What takes its time to be seen elsewhere, and where.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Spreading {
    /// By role assignments (`PrincipalNotFound`) and by Entra's token endpoint (AADSTS700016).
    Principals,
    /// By the federated credentials that are to be theirs (`ParentResourceNotFound`).
    Identities,
    /// By Entra's token endpoint (AADSTS70025, AADSTS700211 and so on).
    FederatedCredentials,
    /// By lists and by role assignments (`RoleDefinitionDoesNotExist`).
    RoleDefinitions,
    /// By authorization (`AuthorizationFailed`).
    RoleAssignments,
}

/// Not seen by so many looks, and not before so many seconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Delay {
    pub calls: u32,
    pub seconds: u32,
}

/// How long things take to spread, by what they are.
pub type Delays = BTreeMap<Spreading, Delay>;

/// What is still spreading.
#[derive(Debug, Default)]
pub(crate) struct Replication {
    delays: Delays,
    pending: BTreeMap<(Spreading, String), Pending>,
}

#[derive(Debug)]
struct Pending {
    calls: u32,
    until: Timestamp,
}

impl Replication {
    /// From now on; what is spreading goes on as it began.
    pub(crate) fn set(&mut self, delays: Delays) {
        self.delays = delays;
    }

    pub(crate) fn delays(&self) -> &Delays {
        &self.delays
    }

    /// Something was made.
    pub(crate) fn begin(&mut self, what: Spreading, id: &str, now: Timestamp) {
        let Some(delay) = self.delays.get(&what) else { return };
        let until = now.saturating_add(SignedDuration::from_secs(delay.seconds.into())).unwrap_or(Timestamp::MAX);
        self.pending.insert((what, id.to_lowercase()), Pending { calls: delay.calls, until });
    }

    /// Looks for it: a look that counts.
    pub(crate) fn is_seen(&mut self, what: Spreading, id: &str, now: Timestamp) -> bool {
        let key = (what, id.to_lowercase());
        let Some(pending) = self.pending.get_mut(&key) else { return true };
        if pending.calls == 0 && pending.until <= now {
            self.pending.remove(&key);
            return true;
        }
        pending.calls = pending.calls.saturating_sub(1);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn looks(delay: Delay, times: &[i64]) -> Vec<bool> {
        let mut replication = Replication::default();
        replication.set(BTreeMap::from([(Spreading::Principals, delay)]));
        replication.begin(Spreading::Principals, "A", START);
        let at = |seconds: &i64| START + SignedDuration::from_secs(*seconds);
        times.iter().map(|time| replication.is_seen(Spreading::Principals, "a", at(time))).collect()
    }

    #[test]
    fn it_is_seen_after_so_many_looks() {
        assert_eq!(looks(Delay { calls: 2, seconds: 0 }, &[0, 0, 0, 0]), [false, false, true, true]);
    }

    #[test]
    fn it_is_seen_after_so_many_seconds() {
        assert_eq!(looks(Delay { calls: 0, seconds: 5 }, &[0, 4, 5, 0]), [false, false, true, true]);
    }

    #[test]
    fn what_was_not_delayed_is_seen() {
        assert!(Replication::default().is_seen(Spreading::Identities, "a", START));
    }
}
