//! The ownership protocol, to be checked exhaustively: our daemon among everybody else who writes the same objects.
//!
//! Real are `plan`, `diff`, `Ledger` and `tell`. Played are the API server ([`server`]), HyperShift's operators and people
//! ([`writers`]), the Deployment's pods, and what carries our decisions to the server ([`daemon`]). A state is everything
//! that any of them remembers; an action is one step of one of them. `docs/reliability.md` says what is left out.

mod canonical;
pub mod daemon;
pub mod objects;
mod properties;
pub mod server;
pub mod writers;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use stateright::{Model, Property};

use crate::{
    daemon::{Daemon, Seen, Setting, Status},
    objects::{Class, Content, Field, Items, Managers, Named, Pods, Secret, Version, Workload},
    server::{Answer, Manners, Request, Server, Write},
    writers::{Deed, HyperShift},
};

/// A way to break the protocol, for which some property has to fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Break {
    /// Applies with force.
    Force,
    /// Forgets what was taken back.
    NoLedger,
    /// Deletes without looking at pods.
    BlindToPods,
    /// Deletes while a rollout goes on.
    BlindToRollouts,
    /// Deletes before the requests of the last daemon have timed out.
    DeletesAtOnce,
    /// Sends no uid and resourceVersion.
    NoVersions,
    /// Plans on a watch that has not shown its own writes, and sends no versions, which would refuse what comes of it.
    ForgetsWrites,
    /// Withdraws by an apply of nothing.
    EmptyApply,
}

/// Who is there, how often the outside interferes, and what is broken.
#[derive(Clone, Debug)]
pub struct World {
    hypershift: HyperShift,
    budget: Budget,
    broken: Option<Break>,
    passes: Arc<Mutex<Passes>>,
}

/// Passes that have been made: they are pure, and the same few are asked for again and again.
type Passes = HashMap<(Daemon, u8, bool), Daemon>;

/// How often each may still happen.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Budget {
    /// A person does something.
    pub deeds: u8,
    /// HyperShift wants something else of its Deployment: a new image, other resources.
    pub releases: u8,
    /// The daemon dies, or loses its lease; another one starts.
    pub crashes: u8,
    /// More than ten minutes pass.
    pub waits: u8,
    /// A pod is evicted.
    pub evictions: u8,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct State {
    pub named: Named,
    pub server: Server,
    pub pods: Pods,
    /// ReplicaSets that are scaled up.
    pub replica_sets: Pods,
    /// What the operators know of the HostedCluster.
    pub operators_named: Named,
    pub daemon: Daemon,
    /// The last request of a daemon that leads no more.
    pub late: Option<Request>,
    pub budget: Budget,
    pub waited: u8,
    /// Our writes to the class and to the Deployment since the outside last interfered, up to [`MANY`].
    pub writes: [u8; 2],
    pub harm: Harm,
}

/// More writes than the ledger can allow.
pub const MANY: u8 = 6;

/// What must not have happened.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Harm {
    /// We deleted a class that a pod had a volume of.
    pub deleted_under_a_pod: bool,
    pub emptied: bool,
    /// We changed a value of somebody else's.
    pub overwrote: bool,
    /// We planned to write what was there, or wrote what was already.
    pub wrote_the_same: bool,
    /// A late request changed an object that it was not planned from.
    pub late_change: bool,
    /// What was planned from the newest state was refused.
    pub futile: bool,
}

/// One step of somebody.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    Pass,
    /// The first request arrives, and so does its answer.
    Send,
    SeeHostedCluster,
    SeeClass,
    SeeWorkload,
    SeePods,
    OperatorsSeeHostedCluster,
    ReconcileClass,
    ReconcileWorkload,
    ScaleUp,
    ScaleDown,
    Start(Pods),
    End(Pods),
    LateArrival,
    // From outside.
    Deed(Deed),
    Release,
    Crash,
    Wait,
    Evict(Pods),
}

impl Action {
    /// Steps that are taken as long as there are any: together they have to come to an end.
    const FAIR: [Self; 16] = [
        Self::LateArrival,
        Self::Send,
        Self::SeeHostedCluster,
        Self::SeeClass,
        Self::SeeWorkload,
        Self::SeePods,
        Self::OperatorsSeeHostedCluster,
        Self::ReconcileClass,
        Self::ReconcileWorkload,
        Self::ScaleUp,
        Self::ScaleDown,
        Self::Start(Pods::MOUNTING),
        Self::Start(Pods::PLAIN),
        Self::End(Pods::MOUNTING),
        Self::End(Pods::PLAIN),
        Self::Pass,
    ];

    /// Steps that need not be taken ever, and as often as the budget allows.
    fn outside() -> impl Iterator<Item = Self> {
        let others = [Self::Release, Self::Crash, Self::Wait, Self::Evict(Pods::MOUNTING), Self::Evict(Pods::PLAIN)];
        Deed::ALL.into_iter().map(Self::Deed).chain(others)
    }
}

impl World {
    #[must_use]
    pub fn new(hypershift: HyperShift, budget: Budget, broken: Option<Break>) -> Self {
        Self { hypershift, budget, broken, passes: Arc::default() }
    }

    fn pass(&self, state: &State) -> Daemon {
        let lock = || self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (state.daemon.clone(), state.waited, self.may_delete(state));
        if let Some(known) = lock().get(&key) {
            return known.clone();
        }
        let next = state.daemon.pass(self.setting(state));
        lock().insert(key, next.clone());
        next
    }

    fn setting(&self, state: &State) -> Setting {
        const STEP: Duration = Duration::from_secs(660);
        let now = STEP * u32::from(state.waited);
        Setting { hypershift: self.hypershift, now, may_delete: self.may_delete(state), broken: self.broken }
    }

    /// Not before what the last daemon had sent has timed out, and been shown if it came: it may wire a pod.
    fn may_delete(&self, state: &State) -> bool {
        let crashed = state.budget.crashes < self.budget.crashes;
        let late = state.late.is_some() || state.daemon.seen.workload != state.server.workload;
        !(crashed && late) || self.broken == Some(Break::DeletesAtOnce)
    }

    fn manners(&self) -> Manners {
        let ignore_versions = matches!(self.broken, Some(Break::NoVersions | Break::ForgetsWrites));
        Manners { force: self.broken == Some(Break::Force), ignore_versions }
    }

    /// Nothing of ours, nothing wired.
    fn fresh(&self) -> State {
        let workload =
            Workload { version: Version::default(), current: true, hash: None, items: [None; 3], rolling: false };
        let next = Version { uid: 1, revision: 1 };
        let seen = Seen { named: Some(Secret::A), class: None, workload: workload.clone(), pods: Pods::PLAIN };
        State {
            named: Some(Secret::A),
            server: Server { class: None, workload, next_class: next, next_workload: next },
            pods: Pods::PLAIN,
            replica_sets: Pods::PLAIN,
            operators_named: Some(Secret::A),
            daemon: Daemon::start(seen, Status::default()),
            late: None,
            budget: self.budget,
            waited: 0,
            writes: [0; 2],
            harm: Harm::default(),
        }
        .canonical()
    }

    /// The step's outcome, if it can be taken and changes anything.
    fn step(&self, state: &State, action: Action) -> Option<State> {
        if is_idle(state, action) {
            return None;
        }
        let mut next = state.clone();
        match action {
            Action::Pass => {
                next.daemon = self.pass(state);
                let (requests, seen) = (&next.daemon.requests, &state.daemon.seen);
                let deletes = requests.iter().any(|request| request.write == Write::DeleteClass);
                next.harm.deleted_under_a_pod |= deletes && seen.pods.contains(Pods::MOUNTING);
                next.harm.wrote_the_same |= requests.iter().any(|request| same(request, seen));
            }
            Action::Send => self.send(&mut next),
            Action::SeeHostedCluster => next.daemon.see_named(state.named),
            Action::SeeClass => next.daemon.see_class(state.server.class.as_ref()),
            Action::SeeWorkload => next.daemon.see_workload(&state.server.workload),
            Action::SeePods => next.daemon.seen.pods = state.pods,
            Action::OperatorsSeeHostedCluster => next.operators_named = state.named,
            Action::ReconcileClass => self.hypershift.reconcile_class(&mut next.server, state.operators_named),
            Action::ReconcileWorkload => self.hypershift.reconcile_workload(&mut next.server, state.operators_named),
            Action::ScaleUp => next.replica_sets = state.replica_sets.with(state.server.workload.pod()),
            Action::ScaleDown => next.scale_down(),
            Action::Start(kind) => next.pods = state.pods.with(kind),
            Action::End(kind) => next.pods = state.pods.without(kind),
            Action::LateArrival => self.late_arrival(&mut next),
            outside => self.interfere(&mut next, outside)?,
        }
        (next != *state).then(|| next.canonical())
    }

    fn send(&self, next: &mut State) {
        let request = next.daemon.requests.remove(0);
        let before = next.server.clone();
        let up_to_date = request.planned_from == before.version(&request.write);
        let answer = next.serve(&request, self.manners());
        next.harm.futile |= up_to_date && answer == Answer::Conflict;
        if answer == Answer::Conflict {
            return;
        }
        // After a crash, the late request of the last daemon may have been the same.
        next.harm.wrote_the_same |= next.server == before && next.budget.crashes == self.budget.crashes;
        next.daemon.note(&request, self.setting(next).now);
        let count = &mut next.writes[usize::from(!request.write.is_to_class())];
        *count = (*count + 1).min(MANY);
    }

    fn late_arrival(&self, next: &mut State) {
        let Some(request) = next.late.take() else { return };
        let before = next.server.clone();
        next.serve(&request, self.manners());
        let changed = next.server.class.as_ref().map(content) != before.class.as_ref().map(content)
            || next.server.workload.contents() != before.workload.contents();
        // Nobody has touched the object since: as if it had come in time.
        let in_time = before.version(&request.write) == request.planned_from;
        if changed && !in_time {
            next.harm.late_change = true;
        }
    }

    fn interfere(&self, next: &mut State, action: Action) -> Option<()> {
        let budget = &mut next.budget;
        let left = match action {
            Action::Deed(_) => &mut budget.deeds,
            Action::Release if self.hypershift.workload != writers::WorkloadWriter::Nobody => &mut budget.releases,
            Action::Crash => &mut budget.crashes,
            Action::Wait => &mut budget.waits,
            Action::Evict(_) => &mut budget.evictions,
            _ => return None,
        };
        *left = left.checked_sub(1)?;
        let untouched = next.clone();
        match action {
            Action::Deed(deed) => {
                deed.perform(&mut next.named, &mut next.server);
                if deed == Deed::ReplaceWorkload {
                    next.replica_sets = Pods::NONE;
                }
            }
            Action::Release => next.server.workload.current = false,
            Action::Wait => next.waited += 1,
            Action::Evict(kind) => next.pods = next.pods.without(kind),
            _ => next.crash(),
        }
        if *next == untouched {
            return None;
        }
        if !matches!(action, Action::Evict(_)) {
            next.writes = [0; 2];
        }
        Some(())
    }

    /// Whether nothing more happens unless somebody outside interferes.
    fn rests(&self, state: &State) -> bool {
        Action::FAIR.into_iter().all(|action| self.step(state, action).is_none())
    }

    /// Takes fair steps to the end. `None`: there is none.
    #[must_use]
    pub fn settled(&self, mut state: State) -> Option<State> {
        for _ in 0..1000 {
            let Some(next) = Action::FAIR.into_iter().find_map(|action| self.step(&state, action)) else {
                return Some(State { writes: [0; 2], ..state });
            };
            state = next;
        }
        None
    }
}

impl State {
    fn serve(&mut self, request: &Request, manners: Manners) -> Answer {
        let before = self.server.clone();
        let answer = self.server.serve(request, manners);
        let emptied = |class: &Option<Class>| {
            class.as_ref().is_some_and(|class| class.objects.is_none() || class.rest == Managers::NOBODY)
        };
        let deleted = before.class.is_some() && self.server.class.is_none();
        // One that is ending, and of which the watch had not told, does not miss it.
        let needed = self.pods.contains(Pods::MOUNTING) && self.replica_sets.contains(Pods::MOUNTING);
        self.harm.deleted_under_a_pod |= deleted && needed;
        self.harm.emptied |= emptied(&self.server.class) && !emptied(&before.class);
        self.harm.overwrote |= overwrote(&before, &self.server);
        answer
    }

    /// The old ReplicaSets go when a pod of the new one is ready, which one with a volume is not before its class is there.
    fn scale_down(&mut self) {
        let kind = self.server.workload.pod();
        let ready = self.pods.contains(kind) && (kind == Pods::PLAIN || self.server.class.is_some());
        if ready && self.replica_sets.contains(kind) {
            self.replica_sets = kind;
            self.server.put_workload(Workload { rolling: false, ..self.server.workload.clone() });
        }
    }

    /// Another daemon leads. What the old one was sending may still arrive; what it had not sent is lost.
    fn crash(&mut self) {
        if self.late.is_none() {
            self.late = self.daemon.requests.first().cloned();
        }
        let Self { named, server, pods, .. } = self;
        let (class, workload) = (server.class.clone(), server.workload.clone());
        let seen = Seen { named: *named, class, workload, pods: *pods };
        self.daemon = Daemon::start(seen, self.daemon.status.clone());
    }
}

/// Whether a step cannot be taken or plainly changes nothing. Most are, and this is cheap.
fn is_idle(state: &State, action: Action) -> bool {
    let State { server, daemon, .. } = state;
    match action {
        Action::Pass => !daemon.requests.is_empty(),
        Action::Send => daemon.requests.is_empty(),
        Action::SeeHostedCluster => daemon.seen.named == state.named,
        Action::SeeClass => !daemon.unseen_class && daemon.seen.class == server.class,
        Action::SeeWorkload => !daemon.unseen_workload && daemon.seen.workload == server.workload,
        Action::SeePods => daemon.seen.pods == state.pods,
        Action::OperatorsSeeHostedCluster => state.operators_named == state.named,
        Action::ScaleUp => state.replica_sets.contains(server.workload.pod()),
        Action::ScaleDown => !server.workload.rolling,
        Action::Start(kind) => !state.replica_sets.contains(kind) || state.pods.contains(kind),
        Action::End(kind) => state.replica_sets.contains(kind) || !state.pods.contains(kind),
        Action::LateArrival => state.late.is_none(),
        Action::Deed(_) => state.budget.deeds == 0,
        Action::Release => state.budget.releases == 0,
        Action::Crash => state.budget.crashes == 0,
        Action::Wait => state.budget.waits == 0,
        Action::Evict(kind) => state.budget.evictions == 0 || !state.pods.contains(kind),
        Action::ReconcileClass | Action::ReconcileWorkload => false,
    }
}

/// Whether a request asks for nothing but what was seen.
fn same(request: &Request, seen: &Seen) -> bool {
    match (&request.write, &seen.class) {
        (Write::ApplyClass(secret), Some(class)) => content(class) == Some(Content::Of(*secret)),
        (Write::ApplyWorkload(items), _) => {
            let there = seen.workload.contents();
            let dropped = |field: &Field, wanted: Option<Content>| wanted.is_none() && field.owners == Managers::US;
            let drops = |there: &Items<Field>| {
                there.iter().zip(items).any(|(there, wanted)| there.is_some_and(|field| dropped(&field, *wanted)))
            };
            let adds = items.iter().zip(there).any(|(wanted, there)| wanted.is_some() && *wanted != there);
            !adds && !drops(&seen.workload.items)
        }
        _ => false,
    }
}

fn content(class: &Class) -> Option<Content> {
    class.objects.map(|objects| objects.content)
}

/// Whether a write of ours changed a value that others owned.
fn overwrote(before: &Server, after: &Server) -> bool {
    let class = |server: &Server| server.class.as_ref().and_then(|class| class.objects);
    let fields = before.workload.items.iter().zip(after.workload.items);
    let items = fields.map(|(before, after)| (*before, after));
    let survived = before.class.is_some() && after.class.is_some();
    items.chain(survived.then(|| (class(before), class(after)))).any(|(before, after)| {
        before.is_some_and(|before| {
            before.owners.without(Managers::US) != Managers::NOBODY
                && after.is_none_or(|after| after.content != before.content)
        })
    })
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let fresh = self.fresh();
        let settled = self.settled(fresh.clone());
        [fresh].into_iter().chain(settled).collect()
    }

    fn actions(&self, _: &State, actions: &mut Vec<Action>) {
        actions.extend(Action::FAIR);
        actions.extend(Action::outside());
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        self.step(state, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
