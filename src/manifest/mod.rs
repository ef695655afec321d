//! Manifests: YAML and JSON in, with the position of every value, and objects out.
//!
//! Reads what `kubectl apply` reads, and refuses, in bounded time and memory, what nobody means: alias bombs, endless
//! documents, deep nesting, duplicate keys. Knows nothing of HostedClusters.

mod compose;
mod node;
mod scalar;
mod spans;
mod stream;
#[cfg(test)]
mod tests;
mod write;

pub use compose::{Limits, Unreadable};
pub use node::{Content, Entry, Node, Position};
pub use spans::{Field, Form, Written};
pub use stream::{Document, Documents, Object};
pub use write::{Format, Writer, on_lines};
