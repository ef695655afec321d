//! `hcp-identity azure create-managed-identities`, against an Azure that checks everything: `hack/azure-standin`, in process.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are parts of tests")]
#![allow(unreachable_pub, reason = "the world is a module of the tests")]

mod apply;
mod clouds;
mod command;
mod delete;
mod ended;
mod making;
mod refusals;
mod signing_in;
#[path = "../support/mod.rs"]
mod support;
mod world;
