//! What a status says of credentials, and reads back after a restart.

use std::collections::BTreeMap;

use hcp_identity_api::control_plane_identity::{
    ComponentStatus, ControlPlaneIdentityStatus, CredentialStatus, MountStatus,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{Conditions, FALSE, TRUE, UNKNOWN, shortened};
use crate::{
    component::Id,
    condition::Reason,
    diff::ComponentState,
    freshness::{Freshness, Mount, time},
    plan::Identity,
    settings::daemon::CredentialCheck,
    verification::{Standing, Trouble, Verification},
};

/// What is known of the credentials: nothing where they are not checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Credentials {
    pub check: CredentialCheck,
    pub verified: BTreeMap<Id, Verification>,
    pub freshness: BTreeMap<Id, Freshness>,
    /// Why the vault does not tell.
    pub trouble: Option<Trouble>,
}

impl Conditions<'_> {
    /// True if every credential has passed what the consumer would make of it.
    pub(super) fn verified(&mut self, states: &[ComponentState], credentials: &Credentials) {
        const KIND: &str = "Verified";
        let standing = |state: &&ComponentState| credentials.verified.get(&state.id).map(|known| &known.standing);
        let failed = states.iter().filter(|state| matches!(standing(state), Some(Standing::Failed { .. })));
        let unknown = states.iter().filter(|state| matches!(standing(state), None | Some(Standing::Unknown)));
        let (failed, unknown) = (ids(failed), ids(unknown));
        match credentials.check {
            CredentialCheck::None => self.set(KIND, UNKNOWN, Reason::NotChecked, "credentialCheck is none"),
            _ if states.is_empty() => self.set(KIND, UNKNOWN, Reason::NotChecked, ""),
            _ if !failed.is_empty() => self.set(KIND, FALSE, Reason::CredentialFailed, &format!("not {failed}")),
            CredentialCheck::Metadata => {
                self.set(
                    KIND,
                    UNKNOWN,
                    Reason::NotChecked,
                    "credentialCheck is metadata: the content is not looked at",
                );
            }
            _ if unknown.is_empty() => {
                let all = format!("{count} of {count}", count = states.len());
                // What was known stays known.
                let trouble = credentials.trouble.as_ref().map(|trouble| trouble.message.clone());
                let message: Vec<_> = std::iter::once(all).chain(trouble).collect();
                self.set(KIND, TRUE, Reason::Ready, &message.join("; "));
            }
            _ => self.set(KIND, UNKNOWN, Reason::CredentialNotChecked, &credentials.why_unknown(&unknown)),
        }
    }

    /// True if every credential is on its way as it should be.
    pub(super) fn fresh(&mut self, states: &[ComponentState], credentials: &Credentials) {
        const KIND: &str = "Fresh";
        let fresh = |state: &&ComponentState| credentials.freshness.get(&state.id).and_then(|fresh| fresh.reason);
        let Some(worst) = states.iter().filter_map(|state| fresh(&state)).min() else {
            let why = if credentials.check == CredentialCheck::None { "credentialCheck is none" } else { "" };
            return self.set(KIND, UNKNOWN, Reason::NotChecked, why);
        };
        let unknown = ids(states.iter().filter(|state| fresh(state).is_none()));
        let worst_ids = ids(states.iter().filter(|state| fresh(state) == Some(worst)));
        if !worst.is_good() {
            self.set(KIND, FALSE, worst, &format!("not {worst_ids}"));
        } else if !unknown.is_empty() {
            self.set(KIND, UNKNOWN, Reason::CredentialNotChecked, &credentials.why_unknown(&unknown));
        } else {
            self.set(KIND, TRUE, worst, &worst_ids);
        }
    }
}

fn ids<'s>(states: impl Iterator<Item = &'s ComponentState>) -> String {
    states.map(|state| state.id.to_string()).collect::<Vec<_>>().join(", ")
}

impl Credentials {
    /// A state together with what its credential's way to the process says of it.
    pub(super) fn judged(&self, state: &ComponentState) -> ComponentState {
        let mut state = state.clone();
        let Some(Freshness { reason: Some(reason), message, .. }) = self.freshness.get(&state.id) else { return state };
        if *reason < state.reason {
            let before = std::mem::replace(&mut state.message, message.clone());
            state.notes.splice(0..0, Some(before).filter(|before| !before.is_empty()));
            state.reason = *reason;
        } else if *reason != Reason::Ready {
            state.notes.push(message.clone());
        }
        state
    }

    pub(super) fn first_end(&self) -> Option<Timestamp> {
        self.verified.values().filter_map(Verification::ends).min().map(|end| time(end).0)
    }

    fn why_unknown(&self, unknown: &str) -> String {
        self.trouble.as_ref().map_or_else(|| format!("not yet {unknown}"), |trouble| trouble.message.clone())
    }
}

pub(super) fn mounts(mounts: &[Mount]) -> Vec<MountStatus> {
    mounts.iter().take(100).map(MountStatus::from).collect()
}

/// What is known, if anything is.
pub(super) fn credential(known: &Verification) -> Option<CredentialStatus> {
    if *known == Verification::default() {
        return None;
    }
    let (check, message) = match &known.standing {
        Standing::Unknown => ("", ""),
        Standing::Passed => (PASSED, ""),
        Standing::PassedBefore => (PASSED_BEFORE, ""),
        Standing::Failed { message } => (FAILED, message.as_str()),
    };
    Some(CredentialStatus {
        version: known.version.as_deref().unwrap_or_default().to_owned(),
        created: known.created.map(time),
        check: check.to_owned(),
        message: shortened(message),
        not_before: known.not_before.map(time),
        not_after: known.ends().map(time),
        renew_after: known.renew_after.map(time),
    })
}

const PASSED: &str = "Passed";
const PASSED_BEFORE: &str = "PassedBefore";
const FAILED: &str = "Failed";

/// What a status says of the credential of an identity: what was known before a restart is known after it.
#[must_use]
pub fn remembered(status: &ControlPlaneIdentityStatus, identity: &Identity) -> Option<Verification> {
    let is_same = |component: &&ComponentStatus| {
        component.id == identity.component.to_string()
            && component.secret_name == identity.secret.to_string()
            && component.client_id == identity.client_id.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    let credential = status.components.iter().find(is_same)?.credential.as_ref()?;
    let standing = match credential.check.as_str() {
        PASSED => Standing::Passed,
        PASSED_BEFORE => Standing::PassedBefore,
        FAILED => Standing::Failed { message: credential.message.clone() },
        _ => Standing::Unknown,
    };
    let at = |time: &Option<Time>| time.as_ref().map(|time| time.0);
    Some(Verification {
        standing,
        version: Some(credential.version.as_str()).filter(|version| !version.is_empty()).map(Into::into),
        created: at(&credential.created),
        not_before: at(&credential.not_before),
        not_after: at(&credential.not_after),
        renew_after: at(&credential.renew_after),
        ..Verification::default()
    })
}
