//! Azure Resource Manager, and blobs: makes what a plan of `provision` has, step by step, and deletes what bears its mark.
//!
//! Every step asks first what is there, so that a run that was killed is completed by the next one.

mod client;
mod delete;
mod ensure;
mod federated;
mod guid;
mod id;
mod identity;
mod publish;
mod refusal;
mod rehearsal;
mod role;
mod verify;

pub use client::Arm;
pub use delete::{Belongings, Doomed};
pub use ensure::Change;
pub use identity::{OldRoles, See};
pub use publish::Publication;
pub use refusal::Refusal;
