//! One pod with one credential, and the clock.

use super::*;
use crate::{
    component::COMPONENTS,
    observed::{Mounted, Phase, Pod},
    verification::Standing,
};

const LIMITS: Limits =
    Limits { driver_poll: SignedDuration::from_hours(1), consumer_reload: SignedDuration::from_hours(6) };

fn at(text: &str) -> Timestamp {
    format!("2026-{text}Z").parse().unwrap()
}

/// A vault, a pod and what was told before.
struct World {
    known: Verification,
    observed: Observed,
    before: ComponentStatus,
    now: Timestamp,
}

impl World {
    /// Version `new` since noon, in the vault and in a pod of this morning; its mount was told with `old` until now.
    fn rotated() -> Self {
        let component = COMPONENTS[0].id;
        let known = Verification {
            standing: Standing::Passed,
            version: Some("new".into()),
            created: Some(at("11-01T12:00:00")),
            not_after: Some(at("12-30T00:00:00")),
            renew_after: Some(at("12-01T00:00:00")),
            ..Verification::default()
        };
        let pod = Pod {
            name: "pod".into(),
            mounts: vec![component],
            phase: Phase::Running,
            created: Some(at("11-01T08:00:00")),
            ..Pod::default()
        };
        let mounted = Mounted { pod: "pod".into(), component, mounted: true, versions: vec!["new".into()] };
        let old = Mount {
            pod: "pod".into(),
            created: None,
            version: "old".into(),
            since: at("11-01T08:00:00"),
            not_after: Some(at("11-30T00:00:00")),
            older_not_after: None,
        };
        Self {
            known,
            observed: Observed { pods: vec![pod], mounted: vec![mounted], ..Observed::default() },
            before: ComponentStatus { mounts: vec![(&old).into()], ..ComponentStatus::default() },
            now: at("11-01T13:00:00"),
        }
    }

    /// The same, and the pod has not been given the new version.
    fn stale() -> Self {
        let mut world = Self::rotated();
        world.mount("old");
        world
    }

    fn mount(&mut self, version: &str) {
        self.observed.mounted[0].versions = vec![version.into()];
    }

    /// Looks, and keeps what a status would.
    fn look(&mut self, now: &str) -> Freshness {
        self.now = at(now);
        let freshness = look(COMPONENTS[0].id, &self.observed, &self.known, Some(&self.before), LIMITS, self.now);
        self.before.mounts = freshness.mounts.iter().map(MountStatus::from).collect();
        freshness
    }

    fn reason(&mut self, now: &str) -> Option<Reason> {
        self.look(now).reason
    }
}

#[test]
fn nothing_is_said_before_the_vault_has_told() {
    let mut world = World::rotated();
    world.known = Verification::default();
    assert_eq!(world.reason("11-01T13:00:00"), None);
    assert_eq!(world.before.mounts[0].version, "new", "what is mounted is remembered all the same");
}

#[test]
fn a_pod_that_is_younger_than_the_version_began_with_it() {
    let mut world = World::rotated();
    world.observed.pods[0].created = Some(at("11-01T12:30:00"));
    assert_eq!(world.reason("11-01T13:00:00"), Some(Reason::Ready));
}

#[test]
fn a_swapped_mount_is_reloaded_within_the_consumers_time() {
    let mut world = World::rotated();
    let told = world.look("11-01T13:00:00");
    assert_eq!(told.reason, Some(Reason::ReloadPending));
    assert!(told.message.contains("2026-11-01T19:00:00Z"), "{}", told.message);
    assert_eq!(world.reason("11-01T18:59:59"), Some(Reason::ReloadPending), "the time counts from the first sight");
    assert_eq!(world.reason("11-01T19:00:00"), Some(Reason::Ready));
}

#[test]
fn the_driver_has_its_time_to_rotate() {
    let mut world = World::stale();
    assert_eq!(world.reason("11-01T12:00:00"), Some(Reason::RotationLag));
    assert_eq!(world.reason("11-01T13:14:59"), Some(Reason::RotationLag));
    let told = world.look("11-01T13:15:00");
    assert_eq!(told.reason, Some(Reason::RotationFailing));
    assert!(told.message.contains("version new") && told.message.contains("pod has mounted version old"), "{told:?}");
}

/// An older driver rotates without asking the kubelet: it has its time as well.
#[test]
fn a_driver_that_is_not_set_to_rotate_is_the_cause_of_the_delay() {
    let mut world = World::stale();
    world.observed.republish = Republish::NotAsked;
    assert_eq!(world.reason("11-01T12:00:01"), Some(Reason::RotationLag));
    assert_eq!(world.reason("11-01T13:15:00"), Some(Reason::RotationDisabled));
    world.mount("new");
    assert_eq!(world.reason("11-01T13:15:01"), Some(Reason::ReloadPending));
}

#[test]
fn a_reload_after_the_end_of_what_is_held_calls_for_a_restart() {
    let mut world = World::rotated();
    world.before.mounts[0].not_after = Some(time(at("11-01T18:00:00")));
    let told = world.look("11-01T13:00:00");
    assert_eq!(told.reason, Some(Reason::RestartRequired));
    assert!(told.message.contains("ends on 2026-11-01T18:00:00Z"), "{}", told.message);
    // A new pod begins with what is there.
    world.observed.pods[0].created = Some(at("11-01T14:00:00"));
    assert_eq!(world.reason("11-01T14:00:00"), Some(Reason::Ready));
}

#[test]
fn what_ends_before_driver_and_consumer_can_be_done_calls_for_a_restart() {
    let mut world = World::stale();
    world.before.mounts[0].not_after = Some(time(at("11-01T18:59:59")));
    assert_eq!(world.reason("11-01T12:00:00"), Some(Reason::RestartRequired));
    world.before.mounts[0].not_after = Some(time(at("11-01T19:00:00")));
    assert_eq!(world.reason("11-01T12:00:00"), Some(Reason::RotationLag));
}

/// Two rotations within one reload: the process may hold the first version of the three.
#[test]
fn what_was_held_before_the_last_rotation_counts_until_the_reload() {
    let mut world = World::rotated();
    world.before.mounts[0].older_not_after = Some(time(at("11-01T15:00:00")));
    world.before.mounts[0].since = Some(time(at("11-01T12:30:00")));
    assert_eq!(world.reason("11-01T13:00:00"), Some(Reason::RestartRequired));
}

#[test]
fn an_end_is_an_end_in_the_vault_and_in_the_mount() {
    let mut world = World::rotated();
    assert_eq!(world.reason("12-30T00:00:00"), Some(Reason::Expired));
    let mut world = World::rotated();
    world.known.vault.expires = Some(at("11-02T00:00:00"));
    assert_eq!(world.reason("11-02T00:00:00"), Some(Reason::Expired));
    let mut world = World::stale();
    assert_eq!(world.reason("11-29T12:00:00"), Some(Reason::RotationFailing));
    assert_eq!(world.reason("11-29T23:00:00"), Some(Reason::RestartRequired));
    assert_eq!(world.reason("11-30T00:00:00"), Some(Reason::Expired));
}

#[test]
fn a_renewal_is_overdue_a_day_after_its_date() {
    let mut world = World::rotated();
    world.look("11-01T13:00:00");
    assert_eq!(world.reason("12-01T23:59:59"), Some(Reason::Ready));
    assert_eq!(world.reason("12-02T00:00:00"), Some(Reason::RenewalOverdue));
}

#[test]
fn pods_without_a_mount_are_others_concern() {
    let mut world = World::rotated();
    world.observed.mounted[0].mounted = false;
    let told = world.look("11-01T13:00:00");
    assert_eq!((told.reason, told.mounts), (Some(Reason::Ready), vec![]));
}

proptest::proptest! {
    /// Nothing but an act brings an ended credential back, and a reload that is over does not come again.
    #[test]
    fn time_alone_heals_nothing_but_a_reload(
        pod in 0..200_i64, created in 0..200_i64, end in 0..400_i64, old_end in 0..400_i64, stale: bool, start in 0..300_i64,
        steps in proptest::collection::vec(0..40_i64, 1..12),
    ) {
        let hour = |hours: i64| Timestamp::from_second(hours * 3600).unwrap();
        let mut world = if stale { World::stale() } else { World::rotated() };
        world.known.created = Some(hour(created));
        world.known.not_after = Some(hour(end));
        world.known.renew_after = None;
        world.observed.pods[0].created = Some(hour(pod));
        world.before.mounts[0].not_after = Some(Time(hour(old_end)));
        let mut messages = Vec::new();
        let mut reasons = Vec::new();
        let mut now = start;
        for step in steps {
            now += step;
            let told = look(COMPONENTS[0].id, &world.observed, &world.known, Some(&world.before), LIMITS, hour(now));
            world.before.mounts = told.mounts.iter().map(MountStatus::from).collect();
            reasons.push(told.reason.unwrap());
            messages.push(told.message);
        }
        messages.dedup();
        proptest::prop_assert!(messages.len() <= 5, "time alone is no news: {messages:?}");
        for pair in reasons.windows(2) {
            let worsens = pair[0] >= pair[1];
            let is_reload = [Reason::ReloadPending, Reason::RestartRequired].contains(&pair[0]) && pair[1] == Reason::Ready;
            proptest::prop_assert!(worsens || (is_reload && !stale), "{:?}", reasons);
        }
    }
}
