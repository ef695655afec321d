//! hcp-identity: from HostedClusters to provider classes and wired pods.
//!
//! Every decision is a function of its arguments. Arrows go one way: `names` → `component` → `plan` → `diff`, `render`,
//! `status` → `cluster` → `cli`. Without default features nothing here can reach a network, and `cargo xtask purity` proves
//! it from the dependency graph; `cluster` is the only Kubernetes client, `vault` and `arm` the only ones of
//! Azure, `webhook` the server that Kubernetes asks.

pub mod admission;
#[cfg(feature = "provision")]
pub mod arm;
#[cfg(any(feature = "mounted", feature = "provision", feature = "vault"))]
mod assertion;
#[cfg(any(feature = "provision", feature = "vault"))]
pub mod azure;
pub mod capz;
#[cfg(feature = "webhook")]
pub mod certificates;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clouds;
#[cfg(feature = "cluster")]
pub mod cluster;
pub mod component;
pub mod condition;
pub mod crd;
pub mod credential;
pub mod diff;
pub mod explain;
pub mod finding;
pub mod freshness;
pub mod input;
pub mod ledger;
pub mod manifest;
#[cfg(feature = "mounted")]
pub mod mounted;
pub mod names;
pub mod namespaces;
pub mod observed;
pub mod pause;
pub mod plan;
pub mod policies;
pub mod provision;
pub mod render;
pub mod rotation;
pub mod settings;
pub mod status;
#[cfg(test)]
mod testing;
pub mod validate;
#[cfg(feature = "vault")]
pub mod vault;
pub mod verification;
#[cfg(any(feature = "cluster", feature = "mounted"))]
mod watched;
#[cfg(feature = "webhook")]
pub mod webhook;
pub mod workload_identity;
