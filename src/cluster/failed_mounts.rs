//! What the kubelets have lately said of mounts that failed in one namespace: no more of it than fits.

use jiff::Timestamp;

use crate::observed::{FailedMount, Mounted, Pod};

/// Events that are kept of a namespace. A control plane has fewer pods that matter; whoever writes events is not to be
/// trusted with our memory.
const MOST: usize = 64;

#[derive(Debug, Default)]
pub(super) struct FailedMounts(Vec<Noted>);

#[derive(Debug)]
struct Noted {
    event: Box<str>,
    last: Timestamp,
    failed: FailedMount,
}

impl FailedMounts {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Replaces what an event says. Where there are too many, the one that has been silent for longest goes.
    pub(super) fn put(&mut self, event: &str, new: Option<(Timestamp, FailedMount)>) {
        self.0.retain(|noted| &*noted.event != event);
        let Some((last, failed)) = new else { return };
        self.0.reserve_exact(1);
        self.0.push(Noted { event: event.into(), last, failed });
        if self.0.len() > MOST
            && let Some((oldest, _)) = self.0.iter().enumerate().min_by_key(|(_, noted)| noted.last)
        {
            self.0.swap_remove(oldest);
        }
    }

    pub(super) fn forget_pod(&mut self, name: &str) {
        self.0.retain(|noted| &*noted.failed.pod != name);
    }

    /// Of a pod that has all its credentials, earlier failures are no news.
    pub(super) fn forget_mounted(&mut self, pods: &[Pod], mounted: &[(Box<str>, Mounted)]) {
        self.0.retain(|Noted { failed, .. }| !pods.iter().any(|pod| failed.is_of(pod) && has_all(pod, mounted)));
    }

    /// The last of each volume of each pod, in an order that does not change with time: kubelets repeat themselves.
    pub(super) fn latest(&self) -> Vec<FailedMount> {
        let mut noted: Vec<_> = self.0.iter().collect();
        let volume = |noted: &Noted| (noted.failed.pod_uid.clone(), noted.failed.volume.clone());
        noted.sort_by(|a, b| volume(a).cmp(&volume(b)).then(b.last.cmp(&a.last)).then(a.event.cmp(&b.event)));
        noted.dedup_by(|a, b| volume(a) == volume(b));
        noted.into_iter().map(|noted| noted.failed.clone()).collect()
    }
}

fn has_all(pod: &Pod, mounted: &[(Box<str>, Mounted)]) -> bool {
    let is_of = |status: &Mounted, id| status.mounted && status.component == id && status.pod == pod.name;
    let has = |id| mounted.iter().any(|(_, status)| is_of(status, id));
    !pod.mounts.is_empty() && pod.mounts.iter().all(|id| has(*id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{component::COMPONENTS, observed::Why};

    fn failed(pod: &str, volume: &str, names: &str) -> FailedMount {
        let why = Why::Unknown { names: names.into() };
        FailedMount { pod: pod.into(), pod_uid: format!("{pod}-uid").into(), volume: volume.into(), why }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_last_word_on_a_volume_counts_until_its_event_is_gone() {
        let mut noted = FailedMounts::default();
        noted.put("one", Some((at(1), failed("a", "cert", "first"))));
        noted.put("two", Some((at(2), failed("a", "cert", "second"))));
        noted.put("other", Some((at(1), failed("a", "kms", "other"))));
        assert_eq!(noted.latest(), [failed("a", "cert", "second"), failed("a", "kms", "other")]);
        noted.put("one", Some((at(3), failed("a", "cert", "first"))));
        assert_eq!(noted.latest()[0], failed("a", "cert", "first"));
        noted.put("one", None);
        assert_eq!(noted.latest()[0], failed("a", "cert", "second"));
        noted.put("two", None);
        noted.put("other", None);
        assert!(noted.is_empty());
    }

    #[test]
    fn a_flood_drives_out_what_has_been_silent_for_longest() {
        let mut noted = FailedMounts::default();
        for number in 0..1000 {
            noted.put(&number.to_string(), Some((at(number), failed(&number.to_string(), "cert", ""))));
        }
        assert_eq!(noted.0.len(), MOST);
        assert!(noted.0.iter().all(|noted| noted.last >= at(936)));
    }

    #[test]
    fn a_pod_that_has_all_its_mounts_or_is_gone_is_forgotten() {
        let mut noted = FailedMounts::default();
        noted.put("one", Some((at(1), failed("a", "cert", ""))));
        noted.put("two", Some((at(1), failed("b", "cert", ""))));
        let ids = [COMPONENTS[0].id, COMPONENTS[1].id];
        let pod = Pod { name: "a".into(), uid: "a-uid".into(), mounts: ids.into(), ..Pod::default() };
        let mounted = |component, mounted| {
            (Box::default(), Mounted { pod: "a".into(), component, mounted, versions: Vec::new() })
        };
        noted.forget_mounted(std::slice::from_ref(&pod), &[mounted(ids[0], true), mounted(ids[1], false)]);
        assert_eq!(noted.latest().len(), 2, "one of its two is missing");
        let another = Pod { uid: "another".into(), ..pod.clone() };
        noted.forget_mounted(&[another], &[mounted(ids[0], true), mounted(ids[1], true)]);
        assert_eq!(noted.latest().len(), 2, "another pod of its name");
        noted.forget_mounted(&[pod], &[mounted(ids[0], true), mounted(ids[1], true)]);
        assert_eq!(noted.latest(), [failed("b", "cert", "")]);
        noted.forget_pod("b");
        assert!(noted.is_empty());
    }
}
