//! Which pod is to begin anew, so that no process holds a credential past its end, and none goes without one.
//!
//! Decided from what is there alone: a daemon that was killed goes on where it was.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::{
    component::Id,
    observed::{Observed, Phase, Pod},
    status::Credentials,
    verification::{Standing, Verification},
};

/// A pod that is to be evicted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Eviction {
    pub component: Id,
    pub pod: Box<str>,
    pub uid: Box<str>,
}

/// What is known beside what is there.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    /// UIDs of pods whose eviction was refused: their turn is after the others, as a disruption budget keeps its own pods only.
    pub refused: BTreeSet<Box<str>>,
    /// Pods that were created without their volume, where pods are wired as they are created.
    pub unwired: Vec<(Id, Box<str>)>,
    /// Since when such pods of a component have been evicted: what has come after that is no better for another try.
    pub replacing_since: BTreeMap<Id, Timestamp>,
}

/// Pods of one control plane that may begin with a version within an hour, whoever makes them do so.
pub const BUDGET: usize = 6;
/// How long a pod is watched after its beginning before another one has its turn.
const SETTLING: SignedDuration = SignedDuration::from_mins(2);
/// From then on a pod that is not ready has another trouble, which must not keep the others from their credentials.
const STUCK: SignedDuration = SignedDuration::from_mins(15);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The next pod to evict, if it is the time for one.
///
/// # Guarantees
/// - None, unless the credentials of all that it mounts have passed their check and the vault tells.
/// - None while any pod of the control plane is going or has just come, and none beside one of its component that is not
///   ready.
/// - None that has begun with the vault's version: no pod is evicted twice for one.
/// - Nor twice for its volume: no successor of a pod that was created without it.
#[must_use]
pub fn next(observed: &Observed, credentials: &Credentials, turn: &Turn, now: Timestamp) -> Option<Eviction> {
    let is_busy = credentials.trouble.is_some()
        || observed.pods.iter().any(|pod| is_moving(pod, now))
        || begun_within_an_hour(observed, credentials, now) >= BUDGET;
    if is_busy {
        return None;
    }
    let late = credentials.freshness.iter().flat_map(|(id, fresh)| fresh.late.iter().map(move |pod| (*id, pod)));
    let pods = late.filter_map(|(id, name)| Some((id, observed.mounting(id).find(|pod| pod.name == *name)?)));
    let late = pods.filter(|(id, pod)| may_go(*id, pod, observed, credentials, now));
    let unwired =
        turn.unwired.iter().filter_map(|(id, name)| Some((*id, observed.pods.iter().find(|pod| pod.name == *name)?)));
    let unwired = unwired.filter(|(id, pod)| may_be_replaced(*id, pod, observed, credentials, turn, now));
    let may_go: Vec<_> = late.chain(unwired).collect();
    let (component, pod) = may_go.iter().find(|(_, pod)| !turn.refused.contains(&pod.uid)).or(may_go.first())?;
    Some(Eviction { component: *component, pod: pod.name.clone(), uid: pod.uid.clone() })
}

fn is_moving(pod: &Pod, now: Timestamp) -> bool {
    let limit = if pod.ready { SETTLING } else { STUCK };
    pod.phase != Phase::Ended && (pod.deleting || is_younger(pod, limit, now))
}

fn is_younger(pod: &Pod, than: SignedDuration, now: Timestamp) -> bool {
    pod.created.is_none_or(|created| now.duration_since(created) < than)
}

fn begun_within_an_hour(observed: &Observed, credentials: &Credentials, now: Timestamp) -> usize {
    let has_the_version = |pod: &Pod, id: &Id| credentials.verified.get(id).is_some_and(|known| !is_older(pod, known));
    let begun = |pod: &&Pod| is_younger(pod, HOUR, now) && pod.mounts.iter().any(|id| has_the_version(pod, id));
    observed.pods.iter().filter(begun).count()
}

fn may_go(component: Id, pod: &Pod, observed: &Observed, credentials: &Credentials, now: Timestamp) -> bool {
    let known = |id: &Id| credentials.verified.get(id);
    let others_are_ready = observed.mounting(component).all(|other| other.ready || other.name == pod.name);
    pod.phase == Phase::Running
        && others_are_ready
        && pod.mounts.iter().all(|id| known(id).is_some_and(|known| is_good(known, now)))
        && known(&component).is_some_and(|known| is_older(pod, known))
}

fn may_be_replaced(
    component: Id,
    pod: &Pod,
    observed: &Observed,
    credentials: &Credentials,
    turn: &Turn,
    now: Timestamp,
) -> bool {
    let is_known_good = |id: &Id| credentials.verified.get(id).is_some_and(|known| is_good(known, now));
    let mut others = observed.pods.iter().filter(|other| other.app == pod.app && other.name != pod.name);
    pod.phase == Phase::Running
        && others.all(|other| other.ready || other.phase == Phase::Ended)
        && pod.mounts.iter().chain([&component]).all(is_known_good)
        && turn.replacing_since.get(&component).is_none_or(|since| pod.created.is_some_and(|created| created < *since))
}

fn is_good(known: &Verification, now: Timestamp) -> bool {
    known.standing == Standing::Passed && known.ends().is_none_or(|end| now < end)
}

fn is_older(pod: &Pod, known: &Verification) -> bool {
    matches!((pod.created, known.created), (Some(pod), Some(version)) if pod < version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        component::COMPONENTS, freshness::Freshness, settings::daemon::CredentialCheck, verification::Trouble,
    };

    const NOW: i64 = 1_000_000;

    fn ago(duration: SignedDuration) -> Option<Timestamp> {
        Some(Timestamp::from_second(NOW - duration.as_secs()).unwrap())
    }

    /// Two components with two pods each, a day old; the credential is younger, and all four are late.
    struct World {
        ids: [Id; 2],
        observed: Observed,
        credentials: Credentials,
        turn: Turn,
    }

    impl World {
        fn late() -> Self {
            let ids = [COMPONENTS[0].id, COMPONENTS[1].id];
            let pod = |id: Id, name: &str| Pod {
                name: name.into(),
                uid: format!("uid-{name}").into(),
                mounts: vec![id],
                phase: Phase::Running,
                created: ago(24 * HOUR),
                ready: true,
                ..Pod::default()
            };
            let pods = vec![pod(ids[0], "a1"), pod(ids[0], "a2"), pod(ids[1], "b1"), pod(ids[1], "b2")];
            let verification = Verification {
                standing: Standing::Passed,
                version: Some("new".into()),
                created: ago(2 * HOUR),
                ..Verification::default()
            };
            let late = |names: [&str; 2]| Freshness { late: names.map(Into::into).into(), ..Freshness::default() };
            let credentials = Credentials {
                check: CredentialCheck::Content,
                verified: ids.map(|id| (id, verification.clone())).into(),
                freshness: [(ids[0], late(["a1", "a2"])), (ids[1], late(["b1", "b2"]))].into(),
                ..Credentials::default()
            };
            let observed = Observed { pods, ..Observed::default() };
            Self { ids, observed, credentials, turn: Turn::default() }
        }

        fn next(&self) -> Option<String> {
            let now = Timestamp::from_second(NOW).unwrap();
            next(&self.observed, &self.credentials, &self.turn, now).map(|eviction| eviction.pod.into())
        }

        fn pod(&mut self, name: &str) -> &mut Pod {
            self.observed.pods.iter_mut().find(|pod| &*pod.name == name).unwrap()
        }

        /// What becomes of an evicted pod.
        fn replace(&mut self, name: &str, age: SignedDuration) {
            let pod = self.pod(name);
            (pod.name, pod.created) = (format!("{name}-new").into(), ago(age));
        }
    }

    #[test]
    fn all_that_are_late_begin_anew_one_after_the_other() {
        let mut world = World::late();
        let mut evicted = Vec::new();
        while let Some(pod) = world.next() {
            world.replace(&pod, SETTLING);
            evicted.push(pod);
            assert!(evicted.len() < 9, "{evicted:?}");
        }
        assert_eq!(evicted, ["a1", "a2", "b1", "b2"]);
    }

    #[test]
    fn while_a_pod_goes_or_has_just_come_no_other_goes() {
        let tweaks: [fn(&mut Pod); 3] = [
            |pod| pod.deleting = true,
            |pod| pod.created = ago(SETTLING - SignedDuration::from_secs(1)),
            |pod| (pod.ready, pod.created) = (false, ago(STUCK - SignedDuration::from_secs(1))),
        ];
        for tweak in tweaks {
            let mut world = World::late();
            tweak(world.pod("b2"));
            assert_eq!(world.next(), None, "{:?}", world.pod("b2"));
        }
    }

    #[test]
    fn a_pod_that_is_stuck_keeps_its_component_and_no_other() {
        let mut world = World::late();
        world.pod("a2").ready = false;
        assert_eq!(world.next().as_deref(), Some("a2"), "the one that is not ready serves nobody");
        world.replace("a2", STUCK);
        assert_eq!(world.next().as_deref(), Some("b1"));
    }

    #[test]
    fn nothing_is_restarted_with_a_credential_that_is_not_known_to_be_good() {
        let tweaks: [fn(&mut Verification); 5] = [
            |known| known.standing = Standing::Failed { message: "ended".into() },
            |known| known.standing = Standing::Unknown,
            |known| known.standing = Standing::PassedBefore,
            |known| known.not_after = ago(SignedDuration::ZERO),
            |known| known.created = None,
        ];
        for tweak in tweaks {
            let mut world = World::late();
            let id = world.ids[0];
            tweak(world.credentials.verified.get_mut(&id).unwrap());
            assert_eq!(world.next().as_deref(), Some("b1"), "{:?}", world.credentials.verified[&id]);
        }
        let mut world = World::late();
        world.credentials.trouble = Some(Trouble { message: "no answer".into(), since: ago(HOUR).unwrap() });
        assert_eq!(world.next(), None);
    }

    /// Its other credential is loaded anew as well.
    #[test]
    fn a_pod_of_two_components_goes_when_both_are_good() {
        let mut world = World::late();
        let ids = world.ids;
        world.pod("a1").mounts = ids.into();
        world.pod("a2").mounts = ids.into();
        world.credentials.verified.get_mut(&ids[1]).unwrap().standing = Standing::Failed { message: "ended".into() };
        assert_eq!(world.next(), None);
    }

    #[test]
    fn no_pod_goes_twice_for_one_version() {
        let mut world = World::late();
        for name in ["a1", "a2", "b1", "b2"] {
            world.pod(name).created = ago(HOUR + HOUR);
        }
        assert_eq!(world.next(), None);
    }

    #[test]
    fn an_hour_has_its_budget_whoever_spends_it() {
        let mut world = World::late();
        let created = ago(HOUR - SignedDuration::from_secs(1));
        let young = Pod { created, ready: true, mounts: vec![world.ids[1]], ..Pod::default() };
        world.observed.pods.extend(std::iter::repeat_n(young, BUDGET));
        assert_eq!(world.next(), None);
        world.observed.pods.pop();
        assert_eq!(world.next().as_deref(), Some("a1"));
    }

    #[test]
    fn who_may_not_go_keeps_nobody_else() {
        let mut world = World::late();
        world.turn.refused.insert("uid-a1".into());
        assert_eq!(world.next().as_deref(), Some("a2"));
        world.turn.refused.extend(["uid-a2", "uid-b1", "uid-b2"].map(Box::from));
        assert_eq!(world.next().as_deref(), Some("a1"), "and then it is tried again");
    }

    #[test]
    fn a_pod_without_its_volume_is_replaced_once() {
        let mut world = World::late();
        world.credentials.freshness.clear();
        let id = world.ids[0];
        for name in ["a1", "a2"] {
            world.pod(name).mounts.clear();
            world.turn.unwired.push((id, name.into()));
        }
        assert_eq!(world.next().as_deref(), Some("a1"));
        world.turn.replacing_since.insert(id, ago(SETTLING).unwrap());
        world.replace("a1", SETTLING);
        world.turn.unwired[0].1 = "a1-new".into();
        assert_eq!(world.next().as_deref(), Some("a2"), "one of before, too");
        world.replace("a2", SETTLING);
        world.turn.unwired[1].1 = "a2-new".into();
        assert_eq!(world.next(), None, "their successors are no better");
    }

    #[test]
    fn a_pod_without_its_volume_stays_while_it_could_not_mount() {
        let mut world = World::late();
        world.credentials.freshness.clear();
        let id = world.ids[0];
        world.turn.unwired.push((id, "a1".into()));
        world.pod("a2").ready = false;
        assert_eq!(world.next(), None, "it is the one that serves");
        world.pod("a2").ready = true;
        world.credentials.verified.get_mut(&id).unwrap().standing = Standing::Failed { message: "ended".into() };
        assert_eq!(world.next(), None);
    }
}
