//! HyperShift's writers, simulated: how its operators write the Deployments and provider classes of a control plane.
//!
//! Four ways of writing (`writer.rs`), each a pure decision over what is there and what is wanted; an `Operator` that
//! carries one out on a cluster, once or continuously, and counts its writes; and what a HostedCluster makes them want
//! (`control_plane.rs`, and `tokens.rs` where it signs in with tokens). What is known of the real ones was measured; `tests/replay.rs` replays the measurements, so
//! that this is known to do the same. Nothing in here shares code with hcp-identity: it is the other side.

mod control_plane;
mod derivative;
mod operator;
mod tokens;
mod writer;

pub use control_plane::{Azure, ControlPlane, WORKLOADS, Workload};
pub use operator::{Operator, Stamp, Verb, Write, resource};
pub use tokens::federate;
pub use writer::{DESIRED_STATE_HASH, HOSTED_CLUSTER, Writer};
