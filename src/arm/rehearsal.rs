//! A rehearsal: nothing is changed, and what would have been is remembered, so that what comes after finds it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use super::id::is_within;

/// What would have been written so far, by id in lower case.
#[derive(Default)]
pub(super) struct Rehearsal(Mutex<BTreeMap<String, Rehearsed>>);

struct Rehearsed {
    /// Nothing can be below it, then.
    is_new: bool,
    resource: Value,
}

impl Rehearsal {
    /// What is known of an id without asking: what would be there by now, or that nothing is.
    pub(super) fn knows(&self, id: &str) -> Option<Option<Value>> {
        if let Some(rehearsed) = self.all().get(&id.to_lowercase()) {
            return Some(Some(rehearsed.resource.clone()));
        }
        self.is_below_new(id).then_some(None)
    }

    /// Whether it is something that would be made, or below it.
    pub(super) fn is_below_new(&self, id: &str) -> bool {
        self.all().iter().any(|(known, rehearsed)| rehearsed.is_new && is_within(id, known))
    }

    /// What is put is new, or has nothing below it that is looked at.
    pub(super) fn put(&self, id: &str, resource: &Value) {
        self.all().insert(id.to_lowercase(), Rehearsed { is_new: true, resource: resource.clone() });
    }

    /// What there would be after a change to what is known.
    pub(super) fn patch(&self, id: &str, mut known: Value, change: &Value) -> Value {
        merge(&mut known, change);
        let mut all = self.all();
        let is_new = all.get(&id.to_lowercase()).is_some_and(|rehearsed| rehearsed.is_new);
        all.insert(id.to_lowercase(), Rehearsed { is_new, resource: known.clone() });
        known
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Rehearsed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fields of objects one by one, everything else as it is.
fn merge(known: &mut Value, change: &Value) {
    match (known, change) {
        (Value::Object(known), Value::Object(change)) => {
            for (key, value) in change {
                merge(known.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (known, change) => *known = change.clone(),
    }
}
