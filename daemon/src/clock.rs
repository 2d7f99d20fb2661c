//! The daemon's clock and generator.
use coffer_types::{Clock, Entropy, EntropyError, Timestamp};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Time that never goes backwards and never stands still: the wall clock's where that is ahead, and its own where that
/// was set back. So what has expired stays expired, and nothing lives longer than it was given.
pub(crate) struct SystemClock {
    begun: Instant,
    /// Milliseconds from 1970 to `begun`, by the latest time that the wall clock ever claimed.
    origin: AtomicU64,
}

/// The wall clock is behind the newest entry of the log.
pub(crate) struct Behind {
    /// What the wall clock says.
    pub(crate) wall: Timestamp,
    /// When the newest entry was recorded.
    pub(crate) recorded: Timestamp,
}

/// As far behind as a clock is that was set right, in milliseconds: time goes on from the log's.
const TOLERATED: u64 = 5 * 60 * 1000;

impl SystemClock {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), origin: AtomicU64::new(0) }
    }

    /// Goes on from what was recorded before this start.
    ///
    /// # Errors
    /// Where the wall clock is minutes behind: what has expired since would be valid again.
    pub(crate) fn go_on_from(&self, recorded: Timestamp) -> Result<(), Behind> {
        let wall = self.now();
        if wall.0.saturating_add(TOLERATED) < recorded.0 {
            return Err(Behind { wall, recorded });
        }
        self.reaches(recorded.0);
        Ok(())
    }

    /// The time since 1970, once it is known that `wall` was reached.
    fn reaches(&self, wall: u64) -> u64 {
        let since = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let origin = wall.saturating_sub(since);
        self.origin.fetch_max(origin, Ordering::Relaxed).max(origin).saturating_add(since)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(self.reaches(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// The operating system's generator.
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(bytes).map_err(|_| EntropyError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_goes_on_from_the_latest_time_it_knew() {
        let clock = SystemClock::new();
        let before = clock.now().0;
        let day = 24 * 3600 * 1000;
        assert!(clock.reaches(before + day) >= before + day);
        // Set back: the day stays, and time goes on at its pace.
        let kept = clock.now().0;
        assert!(kept >= before + day);
        let begun = Instant::now();
        while begun.elapsed().as_millis() < 20 {
            std::hint::spin_loop();
        }
        let later = clock.now().0 - kept;
        assert!((19..5_000).contains(&later), "{later} ms went by in 20");
    }

    #[test]
    fn a_start_goes_on_from_the_log_and_refuses_to_go_far_back() {
        let clock = SystemClock::new();
        let wall = clock.now().0;
        assert!(clock.go_on_from(Timestamp(wall - 1000)).is_ok());
        assert!(clock.go_on_from(Timestamp(wall + 60_000)).is_ok());
        assert!(clock.now().0 >= wall + 60_000);
        let refused = SystemClock::new().go_on_from(Timestamp(wall + 3_600_000)).err().unwrap();
        assert!(refused.recorded.0 - refused.wall.0 > 3_500_000);
    }
}
