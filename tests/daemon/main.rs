//! The daemon on a real kube-apiserver, under the roles that are shipped, beside whoever else writes there.
//!
//!     eval "$(hack/cluster up target/cluster --nodes 2 --audit)"
//!     cargo test --features test-cluster --test daemon -- --test-threads 4
//!     hack/cluster down target/cluster

#![allow(clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "these are parts of tests")]

mod commands;
mod credentials;
mod faults;
mod federated;
mod leadership;
mod operations;
mod ownership;
mod policies;
mod rotation;
mod states;
#[path = "../support/mod.rs"]
mod support;
mod webhook;
mod workloads;
