//! When a vault is asked again. Pure: time and chance are arguments.

use std::time::Duration;

/// How a sweep went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    Complete,
    /// The budget is spent and something is left to ask.
    Unfinished,
    Failed {
        retry_after: Option<Duration>,
    },
}

/// What is remembered of the pace of one vault.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Pace {
    failures: u32,
}

const FIRST: Duration = Duration::from_secs(5);

impl Pace {
    /// How long to wait after a sweep; `chance` is of 0 to 1.
    ///
    /// # Guarantees
    /// Never sooner than Azure asked for. A vault that fails is asked half as often each time, down to once an interval.
    pub(super) fn pause(&mut self, ending: Ending, interval: Duration, chance: f64) -> Duration {
        self.failures = if matches!(ending, Ending::Failed { .. }) { self.failures.saturating_add(1) } else { 0 };
        match ending {
            Ending::Complete => interval.mul_f64(0.9 + 0.2 * chance),
            Ending::Unfinished => FIRST.min(interval),
            Ending::Failed { retry_after } => {
                let doubled = FIRST.saturating_mul(1 << (self.failures - 1).min(16)).min(interval);
                doubled.mul_f64(0.5 + 0.5 * chance).max(retry_after.unwrap_or_default())
            }
        }
    }

    /// Whether news may bring the next sweep forward: not against a vault that fails.
    pub(super) fn takes_news(self) -> bool {
        self.failures == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_mins(5);

    fn failed(retry_after: Option<u64>) -> Ending {
        Ending::Failed { retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn a_vault_that_answers_is_asked_about_once_an_interval() {
        let mut pace = Pace::default();
        assert_eq!(pace.pause(Ending::Complete, INTERVAL, 0.0), Duration::from_secs(270));
        assert_eq!(pace.pause(Ending::Complete, INTERVAL, 1.0), Duration::from_secs(330));
    }

    #[test]
    fn a_vault_that_fails_is_asked_half_as_often_each_time() {
        let mut pace = Pace::default();
        let pauses: Vec<u64> = (0..8).map(|_| pace.pause(failed(None), INTERVAL, 1.0).as_secs()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert!(!pace.takes_news());
        pace.pause(Ending::Complete, INTERVAL, 0.5);
        assert!(pace.takes_news());
        assert_eq!(pace.pause(failed(None), INTERVAL, 0.0), Duration::from_millis(2500));
    }

    #[test]
    fn azure_is_not_asked_sooner_than_it_wants() {
        let mut pace = Pace::default();
        assert_eq!(pace.pause(failed(Some(400)), INTERVAL, 0.0), Duration::from_secs(400));
        assert_eq!(pace.pause(failed(Some(1)), INTERVAL, 1.0), Duration::from_secs(10));
    }

    #[test]
    fn what_is_left_over_is_asked_soon() {
        assert_eq!(Pace::default().pause(Ending::Unfinished, INTERVAL, 0.0), FIRST);
        assert_eq!(Pace::default().pause(Ending::Unfinished, Duration::from_secs(1), 0.0), Duration::from_secs(1));
    }
}
