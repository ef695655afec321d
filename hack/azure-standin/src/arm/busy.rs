//! Identities whose federated credentials are being written: one write at a time.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

#[derive(Debug, Default)]
pub(crate) struct Busy(Mutex<BTreeSet<String>>);

/// A write that goes on. It ends when this is dropped, also if the client is gone before.
#[derive(Debug)]
pub(super) struct Writing<'a> {
    busy: &'a Busy,
    id: String,
}

impl Busy {
    /// None if another one goes on.
    pub(super) fn begin(&self, id: &str) -> Option<Writing<'_>> {
        let id = id.to_lowercase();
        let is_first = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        is_first.then_some(Writing { busy: self, id })
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.busy.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
