//! What a cluster that signs its own tokens needs in Azure: its keys, and what tells Entra of them.
//!
//! Pure but for the making of a key, which is the feature `provision`. Names, shapes and modes of files are those of
//! `ccoctl azure` (openshift/cloud-credential-operator), because installers and people depend on them.

mod key_pair;
mod signing_key;

pub use key_pair::{Found, INSTALLER_COPY, KeyPair, PRIVATE, PUBLIC, Problem, Reason, verify};
pub use signing_key::SigningKey;
