//! In a person's words: why a pod does not get its volume.

use super::Pass;
use crate::{
    component::{Component, Id},
    observed::{FailedMount, Pod, Why},
};

impl Pass<'_> {
    /// What keeps one of these pods from its volumes, and what to do, if a kubelet has said so.
    pub(super) fn why_unmounted(&self, id: Id, pods: &[&Pod]) -> Option<String> {
        pods.iter().find_map(|pod| self.failed_mount(id, pod)).map(words)
    }

    /// The component's own volume says most about it; one without a name, that volumes have not come in time, least.
    fn failed_mount(&self, id: Id, pod: &Pod) -> Option<&FailedMount> {
        let rows = self.plan.settings().pods(Component::of(id));
        let own = |volume: &str| rows.iter().filter_map(|row| row.mount.as_ref()).any(|mount| mount.volume == volume);
        let of_pod = self.observed.failed_mounts.iter().filter(|failed| failed.is_of(pod));
        of_pod.min_by_key(|failed| (!own(&failed.volume), failed.volume.is_empty(), &failed.volume))
    }
}

pub(super) fn words(failed: &FailedMount) -> String {
    let FailedMount { pod, volume, why, .. } = failed;
    let volume = if volume.is_empty() { "a volume".to_owned() } else { format!("volume {volume}") };
    match why {
        Why::Explained { reason, cause, next, command } => {
            let command = if command.is_empty() { String::new() } else { format!(": `{command}`") };
            format!("{volume} of {pod} cannot be mounted: {cause} ({reason}); {next}{command}")
        }
        Why::Unknown { names } => {
            let names = if names.is_empty() { String::new() } else { format!(", which names {names}") };
            format!(
                "{volume} of {pod} cannot be mounted, and nothing here explains the kubelet's text{names}; `kubectl \
                 describe pod {pod}` shows it"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{condition::Reason, diff::tests::World, observed::Phase};

    /// One pod of a component that has not started, and what its kubelet says.
    fn failing(phase: Phase, failed_mounts: Vec<FailedMount>) -> (Reason, String) {
        let mut world = World::classes_and_workloads();
        world.settle();
        let (name, uid) = ("a".into(), "u".into());
        world.observed.pods =
            vec![Pod { name, uid, app: "ingress-operator".into(), mounts: vec![Id::Ingress], phase, ..Pod::default() }];
        world.observed.failed_mounts = failed_mounts;
        let state = world.component("ingress");
        (state.reason, state.message)
    }

    fn failed(volume: &str, why: Why) -> FailedMount {
        FailedMount { pod: "a".into(), pod_uid: "u".into(), volume: volume.into(), why }
    }

    fn no_secret() -> Why {
        let (cause, next) = ("the vault has no secret of this name", "compare it");
        Why::Explained { reason: "SecretNotFound", cause, next, command: "az keyvault secret list".into() }
    }

    #[test]
    fn why_a_pod_does_not_get_its_volume_is_told_with_what_to_do() {
        let why = "volume ingress-cert of a cannot be mounted: the vault has no secret of this name (SecretNotFound); compare \
                   it: `az keyvault secret list`";
        let (reason, message) = failing(Phase::Pending, vec![failed("ingress-cert", no_secret())]);
        assert_eq!((reason, message), (Reason::WaitingForPod, format!("a has not started; {why}")));
        let (reason, message) = failing(Phase::Running, vec![failed("ingress-cert", no_secret())]);
        let words = format!("a runs, and the CSI driver reports no mount for its volume; {why}");
        assert_eq!((reason, message), (Reason::EmptyMount, words));
    }

    #[test]
    fn a_text_that_nothing_explains_is_said_to_be_unknown() {
        let unknown = |names: &str| failing(Phase::Pending, vec![failed("", Why::Unknown { names: names.into() })]).1;
        let says = |names: &str| {
            format!(
                "a has not started; a volume of a cannot be mounted, and nothing here explains the kubelet's text{names}; \
                 `kubectl describe pod a` shows it"
            )
        };
        assert_eq!(unknown(""), says(""));
        assert_eq!(unknown("status 418"), says(", which names status 418"));
    }

    #[test]
    fn of_several_volumes_the_components_own_is_told() {
        let unknown = || Why::Unknown { names: Box::default() };
        let both = vec![failed("", unknown()), failed("a-volume", unknown()), failed("ingress-cert", no_secret())];
        assert!(failing(Phase::Pending, both).1.contains("volume ingress-cert of a"));
        let others = vec![failed("", unknown()), failed("a-volume", unknown()), failed("b-volume", no_secret())];
        assert!(failing(Phase::Pending, others).1.contains("volume a-volume of a"));
    }

    #[test]
    fn what_a_kubelet_says_of_another_pod_is_not_told() {
        let of_another = FailedMount { pod_uid: "v".into(), ..failed("ingress-cert", no_secret()) };
        let message = failing(Phase::Pending, vec![of_another]).1;
        assert_eq!(message, "a has not started; `kubectl describe pod a` shows what it waits for");
    }
}
