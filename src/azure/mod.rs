//! The way to Azure that its clients, `vault` and `arm`, have in common.

mod access;
#[cfg(feature = "provision")]
mod document;
mod headers;
mod told;
mod transport;

pub use access::Access;
pub(crate) use access::{Caller, options};
#[cfg(feature = "provision")]
pub(crate) use document::public_document;
#[cfg(feature = "provision")]
pub(crate) use headers::header;
pub(crate) use headers::retry_after;
#[cfg(feature = "provision")]
pub(crate) use told::beginning;
pub(crate) use told::told;
