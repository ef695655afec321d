//! What was asked and what was answered, for tests that count. Never a value, a token or a query.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    azure::Outcome,
    exchange::{Call, Caller, Channel, Refusal},
    operation::Operation,
};

/// One request and what came of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub at: Timestamp,
    pub operation: Operation,
    pub channel: Channel,
    pub method: String,
    pub host: String,
    pub path: String,
    /// The client id, as far as the service found it out.
    pub caller: Option<String>,
    /// None if the connection was cut.
    pub status: Option<u16>,
    /// The code of a refusal: `AADSTS700027`, `SecretNotFound`.
    pub refusal: Option<String>,
    pub user_agent: Option<String>,
}

impl Entry {
    pub(crate) fn new(at: Timestamp, operation: Operation, call: &Call, outcome: &Outcome) -> Self {
        let answer = match outcome {
            Outcome::Answered(answer) | Outcome::Torn(answer) => Some(answer),
            Outcome::Cut => None,
        };
        Self {
            at,
            operation,
            channel: call.channel,
            method: call.method.to_string(),
            host: call.host.clone(),
            path: call.path.clone(),
            caller: answer.and_then(|answer| answer.extensions().get::<Caller>()).map(|caller| caller.0.clone()),
            status: answer.map(|answer| answer.status().as_u16()),
            refusal: answer.and_then(|answer| answer.extensions().get::<Refusal>()).map(|code| code.0.clone()),
            user_agent: call.header("user-agent").map(str::to_owned),
        }
    }
}

/// The last requests.
#[derive(Debug, Default)]
pub struct Journal(Mutex<VecDeque<Entry>>);

const KEPT: usize = 100_000;

impl Journal {
    pub(crate) fn add(&self, entry: Entry) {
        self.with(|entries| {
            if entries.len() == KEPT {
                entries.pop_front();
            }
            entries.push_back(entry);
        });
    }

    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.with(|entries| entries.iter().cloned().collect())
    }

    /// How often each operation was asked for.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Operation, usize> {
        self.with(|entries| {
            let mut counts = BTreeMap::new();
            for entry in entries.iter() {
                *counts.entry(entry.operation).or_default() += 1;
            }
            counts
        })
    }

    #[must_use]
    pub fn count(&self, operation: Operation) -> usize {
        self.counts().get(&operation).copied().unwrap_or_default()
    }

    pub fn clear(&self) {
        self.with(VecDeque::clear);
    }

    fn with<T>(&self, look: impl FnOnce(&mut VecDeque<Entry>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
