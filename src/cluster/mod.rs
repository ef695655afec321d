//! The only Kubernetes client: watches, writes, the Lease, and what is served to probes and Prometheus.

pub mod access;
mod admission;
pub mod apply;
pub mod capz;
pub mod certificates;
pub mod client;
pub mod configuration;
mod credentials;
pub mod daemon;
mod decide;
mod failed_mounts;
mod failpoint;
pub mod fitness;
pub mod lease;
pub mod metrics;
pub mod policies;
pub mod preview;
mod project;
mod queue;
pub mod rbac;
mod reconcile;
pub mod release;
pub mod reload;
pub mod report;
pub mod serve;
mod service_accounts;
mod store;
mod wants;
mod watch;
mod wire;

pub use store::ClusterKey;
