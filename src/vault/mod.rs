//! Key Vault and Entra: what is known of the secrets that provider classes name.
//!
//! `memory`, `pace` and `cloud` decide and know no network; `client` and `sign_in` ask; `sweep` does what was decided, and
//! `keep` does it again and again. A value is judged and forgotten; nothing here can print one.

mod access;
mod client;
mod cloud;
mod keep;
mod memory;
mod pace;
mod refusal;
mod sign_in;
mod sweep;

pub use crate::azure::Access;
pub use access::Azure;
pub use client::{Fetched, Listed, Vault};
pub use keep::{Orders, keep_known};
pub use refusal::{Kind, Refusal};

/// How far a check goes. Each level includes those before it.
#[derive(
    Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, strum::Display, strum::EnumString,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Level {
    /// What the vault lists: which secrets there are, since when and until when. No value leaves the vault.
    Metadata,
    /// The value is read and judged.
    #[default]
    Content,
    /// The credential signs in, once a version.
    SignIn,
}
