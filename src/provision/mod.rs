//! What a cluster that signs its own tokens needs in Azure: its keys, and what tells Entra of them.
//!
//! Pure but for the making of a key, which is the feature `provision`. Names, shapes and modes of files are those of
//! `ccoctl azure` (openshift/cloud-credential-operator), because installers and people depend on them.

mod credentials_request;
mod federation;
mod file;
mod identities;
mod issuer;
mod key_pair;
mod key_set;
mod provider_spec;
mod resource;
mod signing_key;

pub use credentials_request::{CredentialsRequest, CredentialsRequests, Identity, TechPreview};
pub use federation::{Clouds, Credential, FederatedIdentity, Federation, Summary, Use};
pub use file::{File, Readers};
pub use identities::{Cluster, CustomRole, Given, Grant, IdentityPlan, ManagedIdentity};
#[cfg(feature = "provision")]
pub(crate) use identities::{credential_of, role_of};
pub use issuer::{Issuer, IssuerError, discovery, is_storage_account, issuer_files};
pub use key_pair::{
    Found, INSTALLER_COPY, KeyPair, PRIVATE, PUBLIC, Problem, RETIRED, Reason, Verified, retired_files, verify,
};
pub use key_set::{KeySet, KeySetError};
pub use provider_spec::Powers;
pub use resource::{BadName, Hosting, Mark, Names, RESOURCE_GROUP, Resource, Tags, is_resource_group};
pub use signing_key::{SigningKey, UnusableKey};
