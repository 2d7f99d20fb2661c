//! Who may not try for a while: pure counting over names and times.
use coffer_types::Timestamp;
use std::collections::HashMap;

/// Failures after which a name is locked.
pub(crate) const FAILURES: usize = 5;

/// Seconds in which failures count together, and for which a name is then locked.
pub(crate) const WINDOW_SECONDS: u64 = 15 * 60;

/// Names that are counted at once, a few MiB. Past that the name with the fewest failures is forgotten: to free one
/// name, a flood would have to guess five times at every other, at the full cost of a guess.
const MAX_NAMES: usize = 32_768;

/// The failures of late, by a keyed hash of the name: known names and unknown ones alike. In memory only.
#[derive(Default)]
pub(crate) struct Lockouts(HashMap<u64, Vec<Timestamp>>);

impl Lockouts {
    /// Whether `name` is locked. What is tried while it is does not count.
    pub(crate) fn is_locked(&self, name: u64, now: Timestamp) -> bool {
        self.0.get(&name).is_some_and(|times| times.len() >= FAILURES && is_recent(times, now))
    }

    /// Counts a failure.
    pub(crate) fn fail(&mut self, name: u64, now: Timestamp) {
        if self.0.len() >= MAX_NAMES && !self.0.contains_key(&name) {
            self.make_room(now);
        }
        let times = self.0.entry(name).or_default();
        times.retain(|time| now < time.plus_seconds(WINDOW_SECONDS));
        times.push(now);
    }

    /// Forgets the failures of a name that proved itself.
    pub(crate) fn succeed(&mut self, name: u64) {
        self.0.remove(&name);
    }

    fn make_room(&mut self, now: Timestamp) {
        self.0.retain(|_, times| is_recent(times, now));
        if self.0.len() >= MAX_NAMES
            && let Some(least) = self.0.iter().min_by_key(|(_, times)| (times.len(), times.last().copied()))
        {
            let least = *least.0;
            self.0.remove(&least);
        }
    }
}

fn is_recent(times: &[Timestamp], now: Timestamp) -> bool {
    times.last().is_some_and(|last| now < last.plus_seconds(WINDOW_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp(1_700_000_000_000).plus_seconds(seconds)
    }

    #[test]
    fn the_fifth_failure_in_a_quarter_of_an_hour_locks_for_a_quarter_of_an_hour() {
        let mut lockouts = Lockouts::default();
        for seconds in [0, 1, 2, 3] {
            lockouts.fail(7, at(seconds));
            assert!(!lockouts.is_locked(7, at(seconds)));
        }
        lockouts.fail(7, at(899));
        assert!(lockouts.is_locked(7, at(899)) && lockouts.is_locked(7, at(899 + 899)));
        assert!(!lockouts.is_locked(7, at(899 + 900)));
        assert!(!lockouts.is_locked(8, at(899)), "another name");
        lockouts.fail(7, at(899 + 900));
        assert!(!lockouts.is_locked(7, at(899 + 900)), "a lock that is over begins a new count");
    }

    #[test]
    fn failures_that_lie_apart_never_add_up() {
        let mut lockouts = Lockouts::default();
        for round in 0..100 {
            lockouts.fail(7, at(round * 226));
            assert!(!lockouts.is_locked(7, at(round * 226)), "{round}");
        }
        let mut lockouts = Lockouts::default();
        for round in 0..5 {
            lockouts.fail(7, at(round * 224));
        }
        assert!(lockouts.is_locked(7, at(4 * 224)));
    }

    #[test]
    fn a_success_forgets_what_came_before() {
        let mut lockouts = Lockouts::default();
        for round in 0..20 {
            lockouts.fail(7, at(round));
            if round % 4 == 3 {
                lockouts.succeed(7);
            }
        }
        assert!(!lockouts.is_locked(7, at(20)));
    }

    #[test]
    fn a_flood_of_names_neither_grows_the_table_nor_frees_a_locked_name() {
        let mut lockouts = Lockouts::default();
        for _ in 0..FAILURES {
            lockouts.fail(u64::MAX, at(0));
        }
        for name in 0..MAX_NAMES as u64 + 20 {
            lockouts.fail(name, at(1));
        }
        assert_eq!(lockouts.0.len(), MAX_NAMES);
        assert!(lockouts.is_locked(u64::MAX, at(1)));
        lockouts.fail(u64::MAX - 1, at(2000));
        assert_eq!(lockouts.0.len(), 1, "what is over goes first");
    }
}
