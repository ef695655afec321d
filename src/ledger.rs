//! Who keeps taking back what we write: the memory that ends every fight.
//!
//! An object that has been written with the same content before, and needs it again, has been reverted. Three times in
//! ten minutes, and it is left alone.

use std::{collections::BTreeMap, time::Duration};

/// Reverts after which an object is left alone.
pub const REVERTS: usize = 3;
/// The time in which they count.
pub const WINDOW: Duration = Duration::from_secs(600);

/// The writes to the objects of one HostedCluster. Times are those of a clock that only goes forward.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Ledger<K> {
    entries: BTreeMap<K, Entry>,
}

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct Entry {
    content: u64,
    writes: Vec<Duration>,
    /// The manager that took it back.
    contested: Option<Box<str>>,
}

/// How often an object may be taken back before it is left alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Patience {
    /// Three times.
    Some,
    /// Not once: its writer answers within half a second, each time with a rollout.
    None,
}

/// Whether an object may be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    Write,
    Contested { manager: Box<str> },
}

impl<K> Default for Ledger<K> {
    fn default() -> Self {
        Self { entries: BTreeMap::new() }
    }
}

impl<K: Clone + Ord> Ledger<K> {
    /// Whether an object that needs this content may be given it, and if not, who is in the way.
    ///
    /// # Guarantees
    /// What is contested stays so until [`Self::forgive`], whatever content it needs.
    pub fn judge(&mut self, key: &K, content: u64, patience: Patience, now: Duration, last_writer: &str) -> Verdict {
        let Some(entry) = self.entries.get_mut(key) else { return Verdict::Write };
        if let Some(manager) = &entry.contested {
            return Verdict::Contested { manager: manager.clone() };
        }
        let recent = entry.writes.iter().filter(|at| now.saturating_sub(**at) <= WINDOW).count();
        let allowed = match patience {
            Patience::Some => REVERTS,
            Patience::None => 0,
        };
        // What was written, was seen and is needed again has been taken back: as often as it was written.
        if entry.content != content || recent <= allowed {
            return Verdict::Write;
        }
        entry.contested = Some(last_writer.into());
        Verdict::Contested { manager: last_writer.into() }
    }

    /// Notes a write.
    pub fn wrote(&mut self, key: &K, content: u64, now: Duration) {
        let entry = self.entries.entry(key.clone()).or_default();
        if entry.content != content {
            *entry = Entry { content, ..Entry::default() };
        }
        entry.writes.retain(|at| now.saturating_sub(*at) <= WINDOW);
        entry.writes.push(now);
    }

    /// Takes over from an earlier process what was contested.
    pub fn remember(&mut self, key: K, manager: &str) {
        self.entries.entry(key).or_default().contested = Some(manager.into());
    }

    /// Who took this object back, if it is left alone.
    pub fn contested(&self, key: &K) -> Option<&str> {
        self.entries.get(key)?.contested.as_deref()
    }

    /// Begins anew: the HostedCluster or the settings have changed, or somebody asks for it.
    pub fn forgive(&mut self) {
        self.entries.clear();
    }

    /// Forgets objects that are gone.
    pub fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.entries.retain(|key, _| keep(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    /// Writes whatever is allowed, at each of these minutes; how many writes that were.
    fn writes(patience: Patience, at: &[u64]) -> (usize, Verdict) {
        let mut ledger = Ledger::default();
        let mut written = 0;
        let mut verdict = Verdict::Write;
        for minute in at {
            verdict = ledger.judge(&"x", 1, patience, minutes(*minute), "their-operator");
            if verdict == Verdict::Write {
                ledger.wrote(&"x", 1, minutes(*minute));
                written += 1;
            }
        }
        (written, verdict)
    }

    #[test]
    fn three_reverts_in_ten_minutes_end_it() {
        let contested = Verdict::Contested { manager: "their-operator".into() };
        assert_eq!(writes(Patience::Some, &[0, 1, 2, 3, 4, 5]), (4, contested.clone()));
        assert_eq!(writes(Patience::Some, &[0, 0, 0, 0, 0]), (4, contested));
    }

    #[test]
    fn slow_reverts_are_no_fight() {
        assert_eq!(writes(Patience::Some, &[0, 5, 10, 15, 20, 25, 30]), (7, Verdict::Write));
    }

    #[test]
    fn library_go_is_tried_once() {
        assert_eq!(writes(Patience::None, &[0, 1]).0, 1);
        assert!(matches!(writes(Patience::None, &[0, 9]).1, Verdict::Contested { .. }));
    }

    #[test]
    fn other_content_is_no_revert_and_contested_is_contested_for_all() {
        let mut ledger = Ledger::default();
        for content in 0..9 {
            assert_eq!(ledger.judge(&"x", content, Patience::Some, minutes(1), "m"), Verdict::Write);
            ledger.wrote(&"x", content, minutes(1));
        }
        ledger.remember("x", "m");
        assert!(matches!(ledger.judge(&"x", 99, Patience::Some, minutes(99), "m"), Verdict::Contested { .. }));
        ledger.forgive();
        assert_eq!(ledger.judge(&"x", 99, Patience::Some, minutes(99), "m"), Verdict::Write);
    }
}
