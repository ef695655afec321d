//! hcp-identity: from HostedClusters to provider classes and wired pods.
//!
//! The library is the pure core: every decision is a function of its arguments. Arrows go one way:
//! `names` → `component` → `plan` → `render`/`validate` → `cli`. Without default features nothing here can reach a
//! network, and `cargo xtask purity` proves it from the dependency graph.

#[cfg(feature = "cli")]
pub mod cli;
pub mod component;
pub mod crd;
pub mod credential;
pub mod explain;
pub mod finding;
pub mod input;
pub mod manifest;
pub mod names;
pub mod namespaces;
pub mod plan;
pub mod render;
pub mod settings;
#[cfg(test)]
mod testing;
pub mod validate;
