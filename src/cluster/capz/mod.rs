//! A management cluster of Cluster API, as a person asks it once: what is on it, and what is applied to it.

mod apply;
mod ask;
mod look;

pub use apply::{Change, Conflict, Conflicts, Manifest, NotApplied, Write, apply};
pub use ask::{has_secret, token};
pub use look::{NotSeen, ask, look};
