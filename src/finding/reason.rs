//! The names of all rules.

use serde::Serialize;
use strum::{Display, EnumIter};

/// The stable name of a rule: scripts match on it, the documentation explains it, the text around it may change.
#[derive(Clone, Copy, Debug, Display, EnumIter, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Reason {
    // Reading documents.
    InvalidYaml,
    InvalidEncoding,
    DuplicateKey,
    DocumentTooLarge,
    ObjectTooLarge,
    TooManyAliases,
    NotAKubernetesObject,
    UnsupportedVersion,
    UnreadableList,
    DuplicateWorkload,
    HeldWorkloadsTooLarge,
    TooManyFindings,
    // What HyperShift's CRD refuses.
    InvalidType,
    Required,
    TooShort,
    TooLong,
    TooFewProperties,
    InvalidFormat,
    UnsupportedValue,
    UnionMismatch,
    IdentityConflict,
    KeyVaultMismatch,
    PrivateLinkIdentityRequired,
    // What the CRD accepts and no provider class can be made from.
    EmptyKeyVaultName,
    EmptyKeyVaultTenant,
    InvalidName,
    MissingNamespace,
    ControlPlaneNamespaceTooLong,
    ControlPlaneNamespaceCollision,
    CloudWithoutCapzType,
    EmptyTenantID,
    // What the CRD accepts and Entra would take no token of.
    InvalidIssuer,
    IssuerNotPublic,
    TooManyFederatedCredentials,
    FederatedCredentialConflict,
    OtherCloud,
    // What works as written, and is likely not what was meant.
    SharedSecret,
    SharedIdentity,
    OddIssuer,
    SigningKeyNotGiven,
    ImplausibleKeyVaultName,
    TenantNotUUID,
    MissingClientID,
    KeyVaultAccessIgnored,
    SharedKeyVault,
    KmsIdentityUnused,
    DataPlaneClientIDEmpty,
    // Why something expected is not there.
    NotAzure,
    WorkloadIdentities,
    CapabilityDisabled,
    MachineManagementDisabled,
    IdentityNotNamed,
    WorkloadLeftOut,
    CredentialsRequestLeftOut,
    // Requests of components of a cluster.
    SharedSecretRef,
    SharedIdentityName,
    ServiceAccountsNotNamed,
    // Manifests of Cluster API.
    NotEditable,
    NothingToWire,
    MachineIdentityConflict,
    SeveralIdentities,
    UnusedSecret,
    AllowedNamespacesMatchNobody,
    NamespaceNotAllowed,
    IdentityNotFound,
    AsoSecretControllerOn,
    SharedCredentialCache,
    TokenNotMounted,
    TokenLifetimeTooLong,
    IssuerMissing,
    IssuerMismatch,
    SigningKeyMissing,
    ServiceAccountMismatch,
    // A management cluster that runs.
    NotLookedAt,
    IssuerUnreachable,
    SigningKeyNotPublished,
    IdentityNotInAzure,
    FederatedCredentialMissing,
    RoleMissing,
    OwnedByAnother,
    RefusedByCluster,
    // Wiring a pod.
    InvalidPodSpec,
    MissingContainer,
    VolumeConflict,
    MountPathConflict,
    MountConflict,
    EnvConflict,
}

impl Reason {
    /// Whether it says why a provider class is not there.
    #[must_use]
    pub fn explains_absence(self) -> bool {
        matches!(
            self,
            Self::NotAzure
                | Self::WorkloadIdentities
                | Self::CapabilityDisabled
                | Self::MachineManagementDisabled
                | Self::IdentityNotNamed
                | Self::KmsIdentityUnused
                | Self::WorkloadLeftOut
        )
    }
}
