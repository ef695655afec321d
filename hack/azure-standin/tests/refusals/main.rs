//! Each refusal, one line away from success, without sockets.

#![allow(unreachable_pub, reason = "the modules of a test")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are parts of tests")]

mod certificates;
mod federation;
mod key_vault;
mod managed_identity;
mod requests;
mod world;
