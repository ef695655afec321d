//! What holds in every state that can be reached.

use hcp_identity::condition::Reason;
use stateright::Property;

use crate::{
    State, World,
    objects::{Content, Managers, wiring},
    writers::WorkloadWriter,
};

pub(crate) fn all() -> Vec<Property<World>> {
    vec![
        Property::always("rest is agreement or a reported stop", |world: &World, state: &State| {
            !world.rests(state) || agreed(state) || reported(state)
        }),
        Property::always("writes between two interferences are few", few_writes),
        Property::always("what was planned from the newest state is not refused", |_: &World, state: &State| {
            !state.harm.futile
        }),
        Property::always("a class under a pod is not deleted", |_: &World, state: &State| {
            !state.harm.deleted_under_a_pod
        }),
        Property::always("a class is not emptied", |_: &World, state: &State| !state.harm.emptied),
        Property::always("what is others' is not changed", |_: &World, state: &State| !state.harm.overwrote),
        Property::always("a late write changes nothing", |_: &World, state: &State| !state.harm.late_change),
        Property::always("equal content is not written", |_: &World, state: &State| !state.harm.wrote_the_same),
    ]
}

/// Everything is as the HostedCluster wants it, and that is what the status says.
fn agreed(state: &State) -> bool {
    let (class, workload) = (&state.server.class, &state.server.workload);
    match state.named {
        Some(secret) => {
            let class = class
                .as_ref()
                .is_some_and(|class| class.objects.is_some_and(|objects| objects.content == Content::Of(secret)));
            class && workload.contents() == wiring(secret) && state.daemon.status.reason.is_some_and(Reason::is_good)
        }
        None => {
            let ours_alone = |owners: Managers| owners == Managers::US;
            let wired = workload.items.iter().flatten().any(|item| ours_alone(item.owners));
            let others_volume = workload.pod() == crate::objects::Pods::MOUNTING;
            let left =
                class.as_ref().is_some_and(|class| class.made_by_us && !class.adopted && ours_alone(class.managers));
            !wired && (!left || others_volume)
        }
    }
}

/// The status says that somebody has to act.
fn reported(state: &State) -> bool {
    state.daemon.status.reason.is_some_and(Reason::is_stalled)
}

/// A write and its three repetitions; on library-go's Deployment none.
fn few_writes(world: &World, state: &State) -> bool {
    let [class, workload] = state.writes;
    class <= 4 && workload <= if world.hypershift.workload == WorkloadWriter::LibraryGo { 1 } else { 4 }
}
