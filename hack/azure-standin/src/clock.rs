//! The stand-in's own time, which a test moves.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Runs with the machine's time until it is told otherwise.
#[derive(Debug, Default)]
pub struct Clock(Mutex<Setting>);

#[derive(Clone, Copy, Debug)]
enum Setting {
    Ahead(SignedDuration),
    Stopped(Timestamp),
}

impl Default for Setting {
    fn default() -> Self {
        Self::Ahead(SignedDuration::ZERO)
    }
}

impl Clock {
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self.setting() {
            Setting::Ahead(by) => machine_time().saturating_add(by).unwrap_or(Timestamp::MAX),
            Setting::Stopped(at) => at,
        }
    }

    /// Stops at a moment.
    pub fn stop_at(&self, at: Timestamp) {
        self.set(Setting::Stopped(at));
    }

    /// Moves on (or back), running or stopped as it is.
    pub fn advance(&self, by: SignedDuration) {
        let moved = match self.setting() {
            Setting::Ahead(already) => Setting::Ahead(already.saturating_add(by)),
            Setting::Stopped(at) => Setting::Stopped(at.saturating_add(by).unwrap_or(Timestamp::MAX)),
        };
        self.set(moved);
    }

    /// Runs on from the machine's time.
    pub fn reset(&self) {
        self.set(Setting::default());
    }

    fn setting(&self) -> Setting {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, setting: Setting) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = setting;
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine for the time")]
fn machine_time() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_clock_moves_only_when_told() {
        let clock = Clock::default();
        let start = Timestamp::from_second(1_700_000_000).unwrap();
        clock.stop_at(start);
        assert_eq!(clock.now(), start);
        clock.advance(SignedDuration::from_hours(1));
        assert_eq!(clock.now(), start + SignedDuration::from_hours(1));
    }

    #[test]
    fn a_running_clock_can_be_ahead_of_the_machine() {
        let clock = Clock::default();
        let before = clock.now();
        clock.advance(SignedDuration::from_hours(24));
        assert!(clock.now().duration_since(before) >= SignedDuration::from_hours(24));
        clock.reset();
        assert!(clock.now() < before + SignedDuration::from_hours(1));
    }
}
