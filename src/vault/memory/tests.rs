//! One good secret and its verdict; a test is what happens to it.

use hcp_identity_api::hosted_cluster::ObjectEncoding;

use super::*;
use crate::credential::{Consumer, Facts, Problem, Reason};

const CONTENT: Rules = Rules { level: Level::Content, strict_client_id: false };
const METADATA: Rules = Rules { level: Level::Metadata, ..CONTENT };
const SIGN_IN: Rules = Rules { level: Level::SignIn, ..CONTENT };

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-02-01T00:00:00Z")
}

fn later(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

fn wanted() -> Wanted {
    Wanted::from(WantedSecret {
        vault: "kv-test".into(),
        secret: "creds".into(),
        encoding: ObjectEncoding::Utf8,
        cloud: "AzurePublicCloud".into(),
        tenant_id: None,
        client_id: Some("client".into()),
    })
}

/// The version that came at this minute.
fn version(minute: i64) -> Listed {
    let created = Some(later(minute));
    let expires = Some(at("2026-06-01T00:00:00Z"));
    Listed { enabled: true, created, updated: created, dates: VaultDates { not_before: None, expires } }
}

fn good() -> Verdict {
    let usable_until = Some(at("2026-05-01T00:00:00Z"));
    Verdict { consumer: Consumer::Accepted, facts: Facts { usable_until, ..Facts::default() }, problems: Vec::new() }
}

fn bad() -> Verdict {
    let problem = Problem {
        severity: Severity::Error,
        reason: Reason::NotJson,
        field: None,
        message: "is empty".into(),
        remedy: "store it".into(),
    };
    Verdict { problems: vec![problem], ..good() }
}

fn refused() -> Result<(), Refusal> {
    Err(Refusal::new(Kind::SignInRefused, "cannot sign in", "refused"))
}

fn away() -> Result<(), Refusal> {
    Err(Refusal::new(Kind::Unavailable, "cannot sign in", "away"))
}

/// A memory with this verdict on the first version.
fn with(verdict: &Verdict, sign_in: Option<&Result<(), Refusal>>, rules: Rules) -> Memory {
    let mut memory = Memory::default();
    take(&mut memory, &version(0), verdict, sign_in, rules);
    memory
}

fn take(memory: &mut Memory, listed: &Listed, verdict: &Verdict, sign_in: Option<&Result<(), Refusal>>, rules: Rules) {
    let version = Some("v");
    memory.judged(&wanted(), &Found { listed, version, verdict, sign_in }, rules, now());
}

fn standing(memory: &Memory) -> Standing {
    memory.0.get(&wanted()).map(|known| known.verification.standing.clone()).unwrap()
}

fn failed(message: &str) -> Standing {
    Standing::Failed { message: message.to_owned() }
}

#[test]
fn a_value_is_read_once_a_version() {
    let mut memory = Memory::default();
    assert!(memory.needs(&wanted(), &version(0), CONTENT, now()));
    take(&mut memory, &version(0), &good(), None, CONTENT);
    assert_eq!(standing(&memory), Standing::Passed);
    assert!(!memory.needs(&wanted(), &version(0), CONTENT, later(60)));
    assert!(memory.needs(&wanted(), &version(1), CONTENT, later(60)));
}

#[test]
fn a_bad_value_is_not_read_again_either() {
    let memory = with(&bad(), None, CONTENT);
    assert_eq!(standing(&memory), failed("NotJson: is empty; store it"));
    assert!(!memory.needs(&wanted(), &version(0), SIGN_IN, later(60)));
}

#[test]
fn no_value_is_read_for_metadata() {
    assert!(!Memory::default().needs(&wanted(), &version(0), METADATA, now()));
}

#[test]
fn a_value_is_read_again_when_a_date_has_passed_that_counts() {
    let memory = with(&good(), None, CONTENT);
    assert!(!memory.needs(&wanted(), &version(0), CONTENT, at("2026-04-30T23:59:59Z")));
    assert!(memory.needs(&wanted(), &version(0), CONTENT, at("2026-05-01T00:00:00Z")));
}

#[test]
fn a_value_is_read_again_when_another_client_id_becomes_an_error() {
    let memory = with(&good(), None, CONTENT);
    let strict = Rules { strict_client_id: true, ..CONTENT };
    assert!(memory.needs(&wanted(), &version(0), strict, now()));
    let other = Wanted::from(WantedSecret { client_id: Some("other".into()), ..(*wanted()).clone() });
    assert!(memory.needs(&other, &version(0), CONTENT, now()));
}

#[test]
fn the_verdict_before_holds_until_there_is_one_on_the_new_version() {
    let mut memory = with(&good(), None, CONTENT);
    memory.listed(&wanted(), Some(&version(1)), CONTENT, later(2));
    assert_eq!(standing(&memory), Standing::Passed);
}

#[test]
fn the_vaults_word_on_a_new_version_is_no_check_of_it() {
    let mut memory = with(&good(), None, CONTENT);
    memory.listed(&wanted(), Some(&version(0)), METADATA, later(2));
    assert_eq!(standing(&memory), Standing::Passed);
    memory.listed(&wanted(), Some(&version(1)), METADATA, later(2));
    assert_eq!(standing(&memory), Standing::Unknown);
}

#[test]
fn a_secret_that_is_missing_or_disabled_can_be_mounted_by_nobody() {
    let mut memory = with(&good(), None, CONTENT);
    memory.listed(&wanted(), None, CONTENT, now());
    assert_eq!(standing(&memory), failed(&missing(&wanted()).message));
    let listed = Listed { enabled: false, ..version(1) };
    memory.listed(&wanted(), Some(&listed), CONTENT, now());
    assert_eq!(standing(&memory), failed(&disabled(&wanted()).message));
    memory.listed(&wanted(), Some(&version(1)), CONTENT, now());
    assert_eq!(standing(&memory), Standing::Unknown);
    assert!(memory.needs(&wanted(), &version(1), CONTENT, now()));
}

#[test]
fn what_has_ended_by_the_vaults_word_fails_without_its_value() {
    let mut memory = Memory::default();
    memory.listed(&wanted(), Some(&version(0)), METADATA, at("2026-05-31T00:00:00Z"));
    assert_eq!(standing(&memory), Standing::Unknown);
    memory.listed(&wanted(), Some(&version(0)), METADATA, at("2026-06-01T00:00:00Z"));
    assert!(matches!(standing(&memory), Standing::Failed { message } if message.contains("2026-06-01T00:00:00Z")));
}

#[test]
fn a_credential_signs_in_once_a_version() {
    let memory = with(&good(), None, CONTENT);
    assert!(memory.needs(&wanted(), &version(0), SIGN_IN, now()));
    let memory = with(&good(), Some(&Ok(())), SIGN_IN);
    assert_eq!(standing(&memory), Standing::Passed);
    assert!(!memory.needs(&wanted(), &version(0), SIGN_IN, later(6000)));
    assert!(memory.needs_sign_in(&wanted(), &version(1), SIGN_IN, now()));
}

#[test]
fn a_sign_in_holds_where_the_same_version_is_judged_again() {
    let mut memory = with(&good(), Some(&Ok(())), SIGN_IN);
    assert!(!memory.needs_sign_in(&wanted(), &version(0), SIGN_IN, later(6000)));
    take(&mut memory, &version(0), &good(), None, SIGN_IN);
    assert_eq!(standing(&memory), Standing::Passed);
    assert!(!memory.needs(&wanted(), &version(0), SIGN_IN, now()));
}

#[test]
fn what_entra_refused_is_tried_again_in_a_while() {
    let memory = with(&good(), Some(&refused()), SIGN_IN);
    assert_eq!(standing(&memory), failed("cannot sign in: refused"));
    assert!(!memory.needs(&wanted(), &version(0), SIGN_IN, later(14)));
    assert!(memory.needs(&wanted(), &version(0), SIGN_IN, later(15)));
    assert!(memory.needs(&wanted(), &version(0), CONTENT, now()), "without sign-ins it is judged by its content");
}

#[test]
fn without_an_answer_of_entra_nothing_new_is_known() {
    let mut memory = with(&good(), Some(&away()), SIGN_IN);
    assert_eq!(standing(&memory), Standing::Unknown);
    assert!(memory.needs(&wanted(), &version(0), SIGN_IN, now()));
    take(&mut memory, &version(0), &good(), Some(&Ok(())), SIGN_IN);
    take(&mut memory, &version(1), &good(), Some(&away()), SIGN_IN);
    assert_eq!(standing(&memory), Standing::Passed, "what once passed stays passed");
    assert!(memory.needs(&wanted(), &version(1), SIGN_IN, now()), "and is asked about again");
}

#[test]
fn what_nobody_wants_is_forgotten() {
    let mut memory = with(&good(), None, CONTENT);
    memory.retain(&BTreeSet::from([wanted()]));
    assert!(memory.knows(&wanted()));
    memory.retain(&BTreeSet::new());
    assert!(!memory.knows(&wanted()));
}
