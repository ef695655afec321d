//! What is known of the secrets of one vault, and which of them have to be read. Pure: no clock, no network.
//!
//! A value is read once a version. It is read again where the verdict may have become another: the expectation changed, a
//! date that counts has passed, or Entra may know a certificate by now that it did not.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    Level,
    client::Listed,
    refusal::{Kind, Refusal},
};
use crate::{
    credential::{Expectation, VaultDates, Verdict},
    finding::Severity,
    verification::{Standing, Verification, Wanted, WantedSecret},
};

/// How far to check, and how strictly.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rules {
    pub(super) level: Level,
    pub(super) strict_client_id: bool,
}

#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<Wanted, Remembered>);

#[derive(Debug)]
struct Remembered {
    verification: Arc<Verification>,
    /// Of the version whose content was judged, and how.
    judged: Option<Judged>,
    /// When it was asked about last.
    asked: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Judged {
    /// Of the version; the rest of what the vault lists of it stands in the verification.
    updated: Option<Timestamp>,
    strict_client_id: bool,
    valid: bool,
    /// When the verdict may become another by itself.
    turns: Option<Timestamp>,
    sign_in: SignedIn,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum SignedIn {
    NotTried,
    Passed,
    Refused(Timestamp),
}

/// A certificate that Entra did not know may be on its way there.
const REFUSED_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(15);

impl Memory {
    /// Forgets what nobody wants any more.
    pub(super) fn retain(&mut self, wanted: &BTreeSet<Wanted>) {
        self.0.retain(|known, _| wanted.contains(known));
    }

    pub(super) fn knows(&self, wanted: &Wanted) -> bool {
        self.0.contains_key(wanted)
    }

    pub(super) fn verifications(&self) -> impl Iterator<Item = (&Wanted, &Arc<Verification>)> {
        self.0.iter().map(|(wanted, known)| (wanted, &known.verification))
    }

    /// Who waits longest comes first.
    pub(super) fn asked(&self, wanted: &Wanted) -> Option<Timestamp> {
        self.0.get(wanted)?.asked
    }

    /// Whether the secret's value has to be read, now that the vault says this of it.
    pub(super) fn needs(&self, wanted: &Wanted, listed: &Listed, rules: Rules, now: Timestamp) -> bool {
        if rules.level == Level::Metadata {
            return false;
        }
        let Some(judged) = self.0.get(wanted).and_then(|known| known.judged_as(listed)) else { return true };
        let judged_otherwise = judged.strict_client_id != rules.strict_client_id && wanted.client_id.is_some();
        judged_otherwise || judged.turns.is_some_and(|turns| turns <= now) || judged.wants_sign_in(rules.level, now)
    }

    /// Whether the credential has to be tried once its content is found good.
    pub(super) fn needs_sign_in(&self, wanted: &Wanted, listed: &Listed, rules: Rules, now: Timestamp) -> bool {
        let judged = self.0.get(wanted).and_then(|known| known.judged_as(listed));
        rules.level == Level::SignIn && judged.is_none_or(|judged| judged.sign_in.may_be_tried(now))
    }

    /// Takes what the vault lists of a secret; `None` where it lists none.
    pub(super) fn listed(&mut self, wanted: &Wanted, listed: Option<&Listed>, rules: Rules, now: Timestamp) {
        match listed {
            None => self.gone(wanted, &missing(wanted), now),
            Some(listed) if !listed.enabled => {
                self.gone(wanted, &disabled(wanted), now);
                if let Some(known) = self.0.get_mut(wanted) {
                    dated(Arc::make_mut(&mut known.verification), listed);
                }
            }
            Some(listed) => {
                // What was found of the version before holds until there is a verdict on this one.
                let known = self.0.get(wanted);
                let kept = known.and_then(|known| match rules.level {
                    Level::Metadata => known.judged_as(listed),
                    Level::Content | Level::SignIn => known.judged,
                });
                if kept.is_none() {
                    self.0.insert(wanted.clone(), Remembered::by_listing(wanted, listed, now));
                }
            }
        }
    }

    /// No pod can mount it.
    pub(super) fn gone(&mut self, wanted: &Wanted, refusal: &Refusal, now: Timestamp) {
        let standing = Standing::Failed { message: refusal.message.clone() };
        let verification = Verification { standing, ..Verification::default() };
        self.0.insert(wanted.clone(), Remembered { verification: verification.into(), judged: None, asked: Some(now) });
    }

    /// Takes the verdict on a version, and what Entra said where it was asked.
    ///
    /// # Guarantees
    /// What once passed stays passed as long as Entra does not answer.
    pub(super) fn judged(&mut self, wanted: &Wanted, found: &Found<'_>, rules: Rules, now: Timestamp) {
        let Found { listed, version, verdict, sign_in } = *found;
        let known = self.0.get(wanted);
        let before = known.and_then(|known| known.judged_as(listed));
        let before = before.map_or(SignedIn::NotTried, |judged| judged.sign_in);
        let (signed_in, standing) = match sign_in {
            _ if !verdict.is_valid() => (SignedIn::NotTried, Standing::Failed { message: errors(verdict) }),
            Some(Ok(())) => (SignedIn::Passed, Standing::Passed),
            Some(Err(refusal)) if refusal.kind == Kind::SignInRefused => {
                (SignedIn::Refused(now), Standing::Failed { message: refusal.message.clone() })
            }
            Some(Err(_)) if known.is_some_and(|known| known.verification.standing == Standing::Passed) => return,
            Some(Err(_)) => (SignedIn::NotTried, Standing::Unknown),
            None if rules.level < Level::SignIn || before == SignedIn::Passed => {
                (before.unless_refused(), Standing::Passed)
            }
            None => (before, known.map(|known| known.verification.standing.clone()).unwrap_or_default()),
        };
        let verification = verification(standing, listed, version, verdict);
        let judged = Judged {
            updated: listed.updated,
            strict_client_id: rules.strict_client_id,
            valid: verdict.is_valid(),
            turns: turns(&verification, now),
            sign_in: signed_in,
        };
        let verification = verification.into();
        self.0.insert(wanted.clone(), Remembered { verification, judged: Some(judged), asked: Some(now) });
    }

    /// It was asked about, and nothing changed.
    pub(super) fn unchanged(&mut self, wanted: &Wanted, now: Timestamp) {
        if let Some(known) = self.0.get_mut(wanted) {
            known.asked = Some(now);
        }
    }
}

/// What was found of a version.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) listed: &'a Listed,
    pub(super) version: Option<&'a str>,
    pub(super) verdict: &'a Verdict,
    /// None where it was not tried.
    pub(super) sign_in: Option<&'a Result<(), Refusal>>,
}

impl Judged {
    fn wants_sign_in(self, level: Level, now: Timestamp) -> bool {
        match level {
            Level::SignIn => self.valid && self.sign_in.may_be_tried(now),
            // Nobody asks Entra any more: what it refused is judged by its content again.
            Level::Metadata | Level::Content => matches!(self.sign_in, SignedIn::Refused(_)),
        }
    }
}

impl SignedIn {
    fn may_be_tried(self, now: Timestamp) -> bool {
        match self {
            Self::NotTried => true,
            Self::Passed => false,
            Self::Refused(at) => now.duration_since(at) >= REFUSED_AGAIN_AFTER,
        }
    }

    fn unless_refused(self) -> Self {
        if self == Self::Passed { self } else { Self::NotTried }
    }
}

impl Remembered {
    /// The verdict, if it is on what the vault lists.
    fn judged_as(&self, listed: &Listed) -> Option<Judged> {
        let Verification { created, vault, .. } = *self.verification;
        let same =
            |judged: &Judged| Listed { enabled: true, created, updated: judged.updated, dates: vault } == *listed;
        self.judged.filter(same)
    }

    fn by_listing(wanted: &Wanted, listed: &Listed, now: Timestamp) -> Self {
        let mut verification = Verification::default();
        dated(&mut verification, listed);
        if listed.dates.expires.is_some_and(|expires| expires <= now) {
            verification.standing = Standing::Failed { message: expired(wanted, listed.dates) };
        }
        Self { verification: verification.into(), judged: None, asked: None }
    }
}

fn dated(verification: &mut Verification, listed: &Listed) {
    verification.created = listed.created;
    verification.vault = listed.dates;
}

/// What a credential is expected to be.
pub(super) fn expectation(wanted: &Wanted, listed: &Listed, rules: Rules) -> Expectation {
    Expectation {
        client_id: wanted.client_id.as_deref().map(str::to_owned),
        strict_client_id: rules.strict_client_id,
        tenant_id: wanted.tenant_id.as_deref().map(str::to_owned),
        cloud: Some(wanted.cloud.to_string()).filter(|cloud| !cloud.is_empty()),
        vault: listed.dates,
        ..Expectation::default()
    }
}

fn verification(standing: Standing, listed: &Listed, version: Option<&str>, verdict: &Verdict) -> Verification {
    let facts = &verdict.facts;
    Verification {
        standing,
        version: version.map(Box::from),
        created: listed.created,
        not_before: facts.not_before,
        not_after: facts.usable_until.or(facts.not_after),
        renew_after: facts.renew_after,
        cannot_renew_after: facts.cannot_renew_after,
        vault: listed.dates,
    }
}

/// The first date to come that the verdict depends on.
fn turns(verification: &Verification, now: Timestamp) -> Option<Timestamp> {
    let Verification { not_before, not_after, cannot_renew_after, vault, .. } = verification;
    let dates = [*not_before, *not_after, *cannot_renew_after, vault.not_before, vault.expires];
    dates.into_iter().flatten().filter(|date| *date > now).min()
}

/// The errors of a verdict in a line.
fn errors(verdict: &Verdict) -> String {
    let errors = verdict.problems.iter().filter(|problem| problem.severity == Severity::Error);
    let words = errors.map(|problem| {
        let field = problem.field.map(|field| format!("{field} ")).unwrap_or_default();
        format!("{}: {field}{}; {}", problem.reason, problem.message, problem.remedy)
    });
    words.collect::<Vec<_>>().join(". ")
}

pub(super) fn missing(wanted: &Wanted) -> Refusal {
    let subject = format!("no pod can mount secret {} of vault {}", wanted.secret, wanted.vault);
    Refusal::new(Kind::Missing, &subject, "SecretNotFound")
}

pub(super) fn disabled(wanted: &Wanted) -> Refusal {
    let subject = format!("no pod can mount secret {} of vault {}", wanted.secret, wanted.vault);
    Refusal::new(Kind::Disabled, &subject, "not allowed on a disabled secret")
}

fn expired(wanted: &Wanted, dates: VaultDates) -> String {
    let WantedSecret { vault, secret, .. } = &**wanted;
    let expires = dates.expires.unwrap_or_default();
    format!(
        "secret {secret} of vault {vault} has ended on {expires}, as the vault says; store a fresh credential: see whether what renews it is running"
    )
}
