//! The gate between a credential and the pods: none is wired to what failed its check, or has not been looked at.

use super::Pass;
use crate::{
    component::Id,
    condition::Reason,
    settings::daemon::CredentialCheck,
    verification::{Standing, Verification},
};

impl Pass<'_> {
    /// Whether a pod may be given the component's credential.
    pub(super) fn admits(&self, component: Id) -> bool {
        self.lacks(component).is_none()
    }

    /// Whether its check is still to come.
    pub(super) fn is_unchecked(&self, component: Id) -> bool {
        self.lacks(component).is_some_and(|(reason, _)| reason == Reason::CredentialNotChecked)
    }

    /// Says of each component what its credential lacks, wired or not.
    pub(super) fn credentials(&mut self) {
        let plan = self.plan;
        for identity in &plan.identities().named {
            if let Some((reason, message)) = self.lacks(identity.component) {
                self.say(identity.component, reason, message);
            }
        }
    }

    fn lacks(&self, component: Id) -> Option<(Reason, String)> {
        let check = self.now.check;
        if check == CredentialCheck::None {
            return None;
        }
        let unknown = Verification::default();
        let verified = self.observed.verified.get(&component).unwrap_or(&unknown);
        match &verified.standing {
            Standing::Failed { message } => Some((Reason::CredentialFailed, message.clone())),
            Standing::Passed | Standing::PassedBefore => None,
            // That the vault lists it is all that is wanted of it.
            Standing::Unknown if check == CredentialCheck::Metadata && verified.created.is_some() => None,
            Standing::Unknown => {
                Some((Reason::CredentialNotChecked, "its credential has not been looked at yet".to_owned()))
            }
        }
    }
}
