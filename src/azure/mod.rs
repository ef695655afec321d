//! The way to Azure that its clients, `vault` and `arm`, have in common.

mod access;
mod told;
mod transport;

pub use access::Access;
pub(crate) use access::{Caller, options};
pub(crate) use told::told;
