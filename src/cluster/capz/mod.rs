//! A management cluster of Cluster API, as a person asks it once: what is on it, and what is applied to it.

mod look;

pub use look::{Looked, ask, look};
