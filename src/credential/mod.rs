//! Credentials: the JSON that a component signs in with, judged as its consumer will.
//!
//! The consumer is Azure/msi-dataplane v0.4.3, the Go library in every component; what it refuses, what makes it go down
//! and what it ignores in silence is checked against it by `tests/credential_upstream.rs`. Nothing here can print a key.

mod bundle;
mod certificate;
mod date;
mod dates;
mod der;
mod document;
mod encoding;
mod endpoint;
mod judge;
mod pem;
mod pkcs12;
mod private_key;
mod problem;
pub(crate) mod rsa;
mod secret;
mod sign_in;

#[cfg(feature = "webhook")]
pub(crate) use certificate::Certificate;
pub use document::Field;
pub use encoding::decode;
pub use hcp_identity_api::hosted_cluster::ObjectEncoding;
pub use judge::{CertificateFacts, Expectation, Facts, VaultDates, Verdict, judge};
#[cfg(feature = "webhook")]
pub(crate) use pem::encode as pem_block;
pub use problem::{Consumer, Problem, Reason};
pub use secret::Secret;
pub use sign_in::SignIn;
