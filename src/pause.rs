//! Whether a HostedCluster wants its objects to be written now.
//!
//! Source of the rules of `pausedUntil`: openshift/hypershift `support/util/pausereconcile.go`.

use jiff::Timestamp;

use crate::{
    condition::Reason,
    diff::Permission,
    observed::Cluster,
    settings::daemon::{DaemonSettings, Mode},
};

/// What is permitted, and until when where that is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Permitted {
    pub permission: Permission,
    /// When to look again.
    pub until: Option<Timestamp>,
}

/// Whether nothing is to be changed by us, whatever HyperShift may do.
#[must_use]
pub fn is_observed(cluster: &Cluster, settings: &DaemonSettings) -> bool {
    settings.mode == Mode::Observe || cluster.mode.as_deref() == Some("observe")
}

/// Permission for a HostedCluster. Deletion comes first, as in HyperShift; then the pause; then what we are set to.
#[must_use]
pub fn permission(cluster: &Cluster, settings: &DaemonSettings, now: Timestamp) -> Permitted {
    let (paused, until) = paused(cluster.paused_until.as_deref(), now);
    let permission = if cluster.deleting {
        Permission::Not(Reason::Deleting)
    } else if paused {
        Permission::Not(Reason::Paused)
    } else if is_observed(cluster, settings) {
        Permission::Not(Reason::Observing)
    } else {
        Permission::Write
    };
    Permitted { permission, until }
}

/// Go's `strconv.ParseBool`, else an RFC 3339 time. Anything else pauses nothing.
fn paused(until: Option<&str>, now: Timestamp) -> (bool, Option<Timestamp>) {
    match until {
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => (true, None),
        Some(text) => match text.parse::<Timestamp>() {
            Ok(until) if now < until => (true, Some(until)),
            _ => (false, None),
        },
        None => (false, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_as_hypershift_does() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        for yes in ["true", "True", "t", "1", "2026-11-26T12:00:01Z", "2026-11-26T13:30:00+01:00"] {
            assert!(paused(Some(yes), now).0, "{yes}");
        }
        for no in ["false", "0", "F", "", "yes", "tomorrow", "2026-11-26T12:00:00Z", "2026-11-26"] {
            assert!(!paused(Some(no), now).0, "{no}");
        }
        assert_eq!(paused(Some("2026-11-26T12:00:01Z"), now).1, Some("2026-11-26T12:00:01Z".parse().unwrap()));
        assert!(!paused(None, now).0);
    }

    #[test]
    fn deletion_comes_before_pause_and_pause_before_observing() {
        let observing = DaemonSettings { mode: Mode::Observe, ..DaemonSettings::new(Default::default()).unwrap() };
        let of = |cluster: &Cluster| permission(cluster, &observing, Timestamp::UNIX_EPOCH).permission;
        let mut cluster = Cluster::default();
        assert_eq!(of(&cluster), Permission::Not(Reason::Observing));
        cluster.paused_until = Some("true".into());
        assert_eq!(of(&cluster), Permission::Not(Reason::Paused));
        cluster.deleting = true;
        assert_eq!(of(&cluster), Permission::Not(Reason::Deleting));
        let enforcing = DaemonSettings::new(Default::default()).unwrap();
        assert_eq!(permission(&Cluster::default(), &enforcing, Timestamp::UNIX_EPOCH).permission, Permission::Write);
        let annotated = Cluster { mode: Some("observe".into()), ..Cluster::default() };
        assert_eq!(
            permission(&annotated, &enforcing, Timestamp::UNIX_EPOCH).permission,
            Permission::Not(Reason::Observing)
        );
    }
}
