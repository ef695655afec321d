//! What is known of the credentials that provider classes name. How it gets here is for others to know.

use std::{collections::BTreeMap, ops::Deref, sync::Arc};

use hcp_identity_api::hosted_cluster::ObjectEncoding;
use jiff::Timestamp;

use crate::{
    credential::VaultDates,
    plan::{Identities, Identity},
};

/// A secret that a provider class names, and what its credential should be. Two HostedClusters that name one secret and
/// expect different things of it are two. A clone is one more pointer: who wants it, who asks for it and what is known of it
/// all hold it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Wanted(Arc<WantedSecret>);

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WantedSecret {
    pub vault: Box<str>,
    pub secret: Box<str>,
    pub encoding: ObjectEncoding,
    /// `spec.platform.azure.cloud`, which says where the vault is.
    pub cloud: Box<str>,
    /// The HostedCluster's, of the vault and of the identity.
    pub tenant_id: Option<Box<str>>,
    pub client_id: Option<Box<str>>,
}

impl Wanted {
    /// What a HostedCluster says of the credential of one of its identities.
    #[must_use]
    pub fn new(identities: &Identities, identity: &Identity) -> Self {
        Self::from(WantedSecret {
            vault: identities.vault.to_string().into(),
            secret: identity.secret.to_string().into(),
            encoding: identity.encoding,
            cloud: identities.cloud.clone(),
            tenant_id: Some(identities.azure_tenant.clone()).filter(|tenant| !tenant.is_empty()),
            client_id: identity.client_id.as_ref().map(|id| id.to_string().into()),
        })
    }
}

impl From<WantedSecret> for Wanted {
    fn from(secret: WantedSecret) -> Self {
        Self(Arc::new(secret))
    }
}

impl Deref for Wanted {
    type Target = WantedSecret;
    fn deref(&self) -> &WantedSecret {
        &self.0
    }
}

/// What the checks of a credential came to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verification {
    pub standing: Standing,
    /// The version of the secret that this is about, the vault's current one.
    pub version: Option<Box<str>>,
    /// When the vault has got that version.
    pub created: Option<Timestamp>,
    pub not_before: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
    pub renew_after: Option<Timestamp>,
    pub cannot_renew_after: Option<Timestamp>,
    /// What Key Vault says of the version.
    pub vault: VaultDates,
}

impl Verification {
    /// The first of all the ends that are known.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        [self.not_after, self.vault.expires].into_iter().flatten().min()
    }

    /// What is wrong, if that is known.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match &self.standing {
            Standing::Failed { message } => Some(message),
            _ => None,
        }
    }

    /// What is known now, over what was known before: the outcome of a check counts for its version until there is another,
    /// and one that has passed speaks for its successor until that has been looked at.
    #[must_use]
    pub fn over(now: Option<&Self>, before: Option<Self>) -> Option<Self> {
        match (now, before) {
            (None, before) => before,
            (Some(now), Some(before)) if now.standing == Standing::Unknown => Some(match &now.version {
                None => Self { vault: now.vault, ..before },
                Some(_) if now.version == before.version => Self { standing: before.standing, ..now.clone() },
                Some(_) => Self { standing: before.standing.of_a_successor(), ..now.clone() },
            }),
            (Some(now), _) => Some(now.clone()),
        }
    }
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Standing {
    /// Nothing is known yet, or only the vault's own word, which is no check of the content.
    #[default]
    Unknown,
    Passed,
    /// An earlier version has, and this one is yet to be looked at. Nobody checks this: it is what [`Verification::over`] makes
    /// of two.
    PassedBefore,
    /// What is wrong and what to do, without anything secret.
    Failed {
        message: String,
    },
}

impl Standing {
    fn of_a_successor(self) -> Self {
        match self {
            Self::Passed | Self::PassedBefore => Self::PassedBefore,
            Self::Unknown | Self::Failed { .. } => Self::Unknown,
        }
    }
}

/// Why a vault does not tell. What was known of its secrets before stays known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trouble {
    pub message: String,
    pub since: Timestamp,
}

/// Everything that is known.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Known {
    pub credentials: BTreeMap<Wanted, Arc<Verification>>,
    /// By name of the vault.
    pub vaults: BTreeMap<Box<str>, Trouble>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(standing: Standing, version: &str) -> Verification {
        Verification { standing, version: Some(version.into()), ..Verification::default() }
    }

    #[test]
    fn a_check_counts_for_its_version() {
        let passed = of(Standing::Passed, "1");
        let failed = of(Standing::Failed { message: "ended".into() }, "2");
        assert_eq!(Verification::over(None, None), None);
        assert_eq!(Verification::over(None, Some(passed.clone())), Some(passed.clone()));
        assert_eq!(Verification::over(Some(&failed), Some(passed.clone())), Some(failed.clone()));
        assert_eq!(Verification::over(Some(&of(Standing::Unknown, "1")), Some(passed.clone())), Some(passed.clone()));
        assert_eq!(Verification::over(Some(&Verification::default()), Some(passed.clone())), Some(passed));
        assert_eq!(Verification::over(Some(&of(Standing::Unknown, "2")), Some(failed.clone())), Some(failed));
    }

    #[test]
    fn what_has_passed_speaks_for_its_successors_until_they_are_looked_at() {
        let unknown = |version| of(Standing::Unknown, version);
        let second = Verification::over(Some(&unknown("2")), Some(of(Standing::Passed, "1")));
        assert_eq!(second, Some(of(Standing::PassedBefore, "2")));
        assert_eq!(Verification::over(Some(&unknown("3")), second), Some(of(Standing::PassedBefore, "3")));
        let failed = of(Standing::Failed { message: "ended".into() }, "1");
        assert_eq!(Verification::over(Some(&unknown("2")), Some(failed)), Some(unknown("2")));
    }
}
