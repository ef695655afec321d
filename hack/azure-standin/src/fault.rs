//! Faults that a test orders: for which operation, how often, and what happens instead.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{exchange::Call, operation::Operation};

/// A fault of one operation.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    pub operation: Operation,
    pub effect: Effect,
    /// Only requests whose path has this text.
    #[serde(default)]
    pub path_contains: Option<String>,
    /// Only after so many requests went well.
    #[serde(default)]
    pub after: u32,
    /// For so many requests; without it until the faults are cleared.
    #[serde(default)]
    pub times: Option<u32>,
}

impl Fault {
    /// A fault of every request.
    #[must_use]
    pub fn always(operation: Operation, effect: Effect) -> Self {
        Self { operation, effect, path_contains: None, after: 0, times: None }
    }

    /// A fault of the next requests.
    #[must_use]
    pub fn times(operation: Operation, times: u32, effect: Effect) -> Self {
        Self { times: Some(times), ..Self::always(operation, effect) }
    }

    fn concerns(&self, operation: Operation, call: &Call) -> bool {
        self.operation == operation
            && self.times != Some(0)
            && self.path_contains.as_ref().is_none_or(|text| call.path.contains(text.as_str()))
    }

    /// Whether it strikes now; counts.
    fn strikes(&mut self) -> bool {
        if self.after > 0 {
            self.after -= 1;
            return false;
        }
        self.times = self.times.map(|times| times.saturating_sub(1));
        true
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Effect {
    /// The service answers with this status and says so in its own words: 429, 500, 503.
    Status {
        status: u16,
        #[serde(default)]
        retry_after_seconds: Option<u32>,
    },
    /// The service refuses with this code and message, as one does that is not known here: a policy, a quota.
    Refuse {
        status: u16,
        code: String,
        message: String,
        #[serde(default)]
        retry_after_seconds: Option<u32>,
    },
    /// The service answers well, but late.
    Slow { milliseconds: u64 },
    /// The connection is closed before an answer.
    Cut,
    /// The connection is closed in the middle of the body.
    Torn,
}

/// The faults that are ordered.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub fn add(&self, fault: Fault) {
        self.with(|faults| faults.push(fault));
    }

    pub fn clear(&self) {
        self.with(Vec::clear);
    }

    /// Those that are left.
    #[must_use]
    pub fn all(&self) -> Vec<Fault> {
        self.with(|faults| faults.clone())
    }

    pub(crate) fn next(&self, operation: Operation, call: &Call) -> Option<Effect> {
        self.with(|faults| {
            let effect = faults
                .iter_mut()
                .filter(|fault| fault.concerns(operation, call))
                .find_map(|fault| fault.strikes().then(|| fault.effect.clone()));
            faults.retain(|fault| fault.times != Some(0));
            effect
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Vec<Fault>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn a_fault_strikes_after_and_as_often_as_it_says() {
        let faults = Faults::default();
        let operation = Operation::GetSecret;
        faults.add(Fault { after: 1, ..Fault::times(operation, 2, Effect::Cut) });
        let call = Call::new(Method::GET, "https://v.vault.azure.net/secrets/a").unwrap();
        assert!(faults.next(Operation::ListSecrets, &call).is_none());
        let struck: Vec<_> = (0..4).map(|_| faults.next(operation, &call).is_some()).collect();
        assert_eq!(struck, [false, true, true, false]);
        assert!(faults.all().is_empty());
    }

    #[test]
    fn a_fault_can_be_of_one_path() {
        let faults = Faults::default();
        let fault = Fault::always(Operation::GetSecret, Effect::Cut);
        faults.add(Fault { path_contains: Some("/b".into()), ..fault });
        let next = |path: &str| {
            let call = Call::new(Method::GET, &format!("https://v.vault.azure.net/secrets/{path}")).unwrap();
            faults.next(Operation::GetSecret, &call).is_some()
        };
        assert_eq!((next("a"), next("b")), (false, true));
    }
}
