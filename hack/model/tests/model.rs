//! The model, checked: every state within the budgets, and each property seen to fail where the protocol is broken.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "these are parts of tests")]

use hcp_identity_model::{
    Break, Budget, World,
    writers::{
        ClassWriter::{self, Cpo419, Cpo420, HyperShiftOperator},
        HyperShift,
        WorkloadWriter::{self, ForcedApply, LibraryGo},
    },
};
use stateright::{Checker, Expectation, Model, Property};

const NOTHING: Budget = Budget { deeds: 0, releases: 0, crashes: 0, waits: 0, evictions: 0 };
const ONE_DEED: Budget = Budget { deeds: 1, ..NOTHING };
const STANDALONE: HyperShift = hypershift(ClassWriter::Nobody, WorkloadWriter::Nobody, Wires::No);
const TELLING: usize = 900;

#[derive(Clone, Copy, PartialEq)]
enum Wires {
    Yes,
    No,
}

const fn hypershift(class: ClassWriter, workload: WorkloadWriter, wires: Wires) -> HyperShift {
    HyperShift { class, workload, wires: matches!(wires, Wires::Yes) }
}

/// `deeds,releases,crashes,waits,evictions` instead of what a test has.
#[expect(clippy::disallowed_methods, reason = "how deep to look is asked for by a variable")]
fn deeper() -> Option<Budget> {
    let text = std::env::var("HCP_IDENTITY_MODEL_BUDGET").ok()?;
    let numbers: Vec<u8> = text.split(',').map(|number| number.parse().expect("a number")).collect();
    let [deeds, releases, crashes, waits, evictions] = numbers[..] else { panic!("five numbers") };
    Some(Budget { deeds, releases, crashes, waits, evictions })
}

fn checked(world: World) -> impl Checker<World> {
    world.checker().threads(1).spawn_bfs().join()
}

fn always(world: &World) -> impl Iterator<Item = Property<World>> {
    world.properties().into_iter().filter(|property| property.expectation == Expectation::Always)
}

/// Explores everything, and finds the number of states in the documentation.
fn holds(name: &str, hypershift: HyperShift, budget: Budget) {
    let budget = deeper().unwrap_or(budget);
    let checker = checked(World::new(hypershift, budget, None));
    let mut failures = Vec::new();
    for property in always(checker.model()) {
        if let Some(path) = checker.discovery(property.name) {
            failures.push(format!("{}: {:#?}\n{:#?}", property.name, path.clone().into_actions(), path.last_state()));
        }
    }
    assert!(failures.is_empty(), "{name}\n{}", failures.join("\n"));
    assert!(checker.unique_state_count() > TELLING, "{name}: only {}", checker.unique_state_count());
    let Budget { deeds, releases, crashes, waits, evictions } = budget;
    let row = format!(
        "| {name} | {deeds}, {releases}, {crashes}, {waits}, {evictions} | {} | {} |",
        checker.unique_state_count(),
        checker.max_depth()
    );
    println!("{row}");
    let documented = include_str!("../../../docs/reliability.md");
    assert!(deeper().is_some() || documented.contains(&row), "docs/reliability.md has not the row\n{row}");
}

/// The property fails in a world that is broken so.
fn fails(property: &str, hypershift: HyperShift, budget: Budget, broken: Break) {
    let checker = checked(World::new(hypershift, budget, Some(broken)));
    assert!(always(checker.model()).any(|known| known.name == property), "there is no property {property}");
    let property = checker.model().properties().into_iter().find(|known| known.name == property);
    assert!(checker.discovery(property.expect("just seen").name).is_some(), "{broken:?} does no harm");
}

#[test]
fn standalone() {
    holds("nobody else writes", STANDALONE, Budget { deeds: 2, ..NOTHING });
}

#[test]
fn standalone_with_crashes() {
    holds("nobody else writes; crashes", STANDALONE, Budget { crashes: 1, evictions: 1, ..ONE_DEED });
}

#[test]
fn hypershift_wires() {
    holds("4.20 writes both and wires", hypershift(Cpo420, WorkloadWriter::Cpo420, Wires::Yes), ONE_DEED);
    holds(
        "4.19 writes both and wires",
        hypershift(Cpo419, WorkloadWriter::Cpo419, Wires::Yes),
        Budget { releases: 1, ..NOTHING },
    );
}

#[test]
fn releases_wipe_what_is_ours() {
    let releases = Budget { releases: 4, ..NOTHING };
    holds("4.20 writes the Deployment", hypershift(ClassWriter::Nobody, WorkloadWriter::Cpo420, Wires::No), releases);
}

#[test]
fn hypershift_operator_is_strict() {
    holds(
        "HyperShift operator, class only",
        hypershift(HyperShiftOperator, WorkloadWriter::Nobody, Wires::No),
        ONE_DEED,
    );
}

#[test]
fn classes_are_hypershifts() {
    holds("4.19, class only", hypershift(Cpo419, WorkloadWriter::Nobody, Wires::No), ONE_DEED);
    holds("4.20, class only", hypershift(Cpo420, WorkloadWriter::Nobody, Wires::No), ONE_DEED);
}

#[test]
fn library_go_reverts() {
    let budget = Budget { crashes: 1, waits: 1, ..NOTHING };
    holds("library-go", hypershift(ClassWriter::Nobody, LibraryGo, Wires::No), budget);
}

#[test]
fn forced_applies() {
    holds("forced apply beside us", hypershift(ClassWriter::Nobody, ForcedApply, Wires::No), ONE_DEED);
    let budget = Budget { releases: 1, evictions: 1, ..NOTHING };
    holds("forced apply that wires", hypershift(Cpo420, ForcedApply, Wires::Yes), budget);
}

#[test]
fn force_takes_what_is_others() {
    let world = hypershift(Cpo419, WorkloadWriter::Nobody, Wires::No);
    fails("what is others' is not changed", world, ONE_DEED, Break::Force);
}

#[test]
fn without_a_ledger_the_fight_goes_on() {
    let world = hypershift(ClassWriter::Nobody, LibraryGo, Wires::No);
    fails("writes between two interferences are few", world, NOTHING, Break::NoLedger);
}

#[test]
fn blind_to_pods_it_deletes_under_one() {
    fails("a class under a pod is not deleted", STANDALONE, ONE_DEED, Break::BlindToPods);
}

#[test]
fn blind_to_rollouts_it_deletes_under_a_pod_that_the_watch_has_not_shown() {
    fails("a class under a pod is not deleted", STANDALONE, ONE_DEED, Break::BlindToRollouts);
}

#[test]
fn deleting_at_once_it_deletes_under_a_pod_that_a_late_write_wired() {
    let budget = Budget { crashes: 1, evictions: 1, ..ONE_DEED };
    fails("a class under a pod is not deleted", STANDALONE, budget, Break::DeletesAtOnce);
}

#[test]
fn without_versions_a_late_write_changes_something() {
    fails("a late write changes nothing", STANDALONE, Budget { crashes: 1, ..ONE_DEED }, Break::NoVersions);
}

#[test]
fn forgetting_its_writes_it_writes_them_again() {
    fails("equal content is not written", STANDALONE, NOTHING, Break::ForgetsWrites);
}

#[test]
fn withdrawing_by_an_empty_apply_empties_the_class() {
    fails("a class is not emptied", STANDALONE, ONE_DEED, Break::EmptyApply);
}
