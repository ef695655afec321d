//! In which state a component or a HostedCluster is: one word each, for conditions, events, metrics and documentation.

use serde::Serialize;
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

/// From the worst to the best: of several components the first one speaks for the HostedCluster.
#[derive(
    Clone, Copy, Debug, Display, EnumIter, EnumString, Eq, Hash, IntoStaticStr, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum Reason {
    // Of the HostedCluster as a whole.
    InvalidHostedCluster,
    NamespaceCollision,
    NoKeyVaultUser,
    DriverNotInstalled,
    NamespaceMissing,
    Off,
    // Somebody has to act.
    Contested,
    ForeignDrift,
    WorkloadConflict,
    WriteRefused,
    CapzNotInstalled,
    NotFederated,
    OtherIdentity,
    PoliciesUnsupported,
    PoliciesMissing,
    PoliciesOutdated,
    WebhookUnavailable,
    Expired,
    RestartRequired,
    CredentialFailed,
    RotationFailing,
    RotationDisabled,
    RenewalOverdue,
    // Nobody writes, by somebody's wish.
    Paused,
    Observing,
    Deleting,
    PatchedByNobody,
    // Goes on by itself.
    WriteFailed,
    Applying,
    WaitingForWorkload,
    CredentialNotChecked,
    EmptyMount,
    NotInjected,
    WaitingForPod,
    // As it should be, with something to know.
    RotationLag,
    ReloadPending,
    CloudConfigNotOurs,
    ExtraParametersNotApplied,
    WorkloadIdentities,
    NothingNamed,
    NotChecked,
    Ready,
}

impl Reason {
    /// Whether nothing will happen until a person acts.
    #[must_use]
    pub fn is_stalled(self) -> bool {
        matches!(
            self,
            Self::InvalidHostedCluster
                | Self::NamespaceCollision
                | Self::NoKeyVaultUser
                | Self::Contested
                | Self::ForeignDrift
                | Self::WorkloadConflict
                | Self::WriteRefused
                | Self::CapzNotInstalled
                | Self::NotFederated
                | Self::OtherIdentity
                | Self::PoliciesUnsupported
                | Self::PoliciesMissing
                | Self::PoliciesOutdated
                | Self::WebhookUnavailable
                | Self::Expired
                | Self::RestartRequired
                | Self::CredentialFailed
                | Self::RotationFailing
                | Self::RotationDisabled
                | Self::RenewalOverdue
        )
    }

    /// Whether we are on our way, and no news is to be told yet.
    #[must_use]
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Applying | Self::WriteFailed)
    }

    /// Whether a component in this state is as it should be.
    #[must_use]
    pub fn is_good(self) -> bool {
        self >= Self::RotationLag
    }
}
