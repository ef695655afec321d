//! What provisioning asks of ARM, Entra and blobs: over TLS, by Azure's own host names, as a client does.

#![allow(unreachable_pub, reason = "the modules of a test")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are parts of tests")]

mod accounts;
mod admission;
mod blobs;
mod chain;
mod client;
mod credentials;
mod groups;
mod identities;
mod replication;
mod roles;
mod sdk;
mod store;
mod world;
