//! Looking for the moment in which something is half done, to kill a daemon there.
use std::time::{Duration, Instant};

/// Moments between one that was too early and one that was too late, closer with each try; all over again where the two
/// have met, as no two runs take the same time.
pub struct Moments {
    longest: Duration,
    early: Duration,
    late: Duration,
}

impl Moments {
    /// From none to `longest` after the beginning.
    #[must_use]
    pub fn up_to(longest: Duration) -> Self {
        Self { longest, early: Duration::ZERO, late: longest }
    }

    /// The next moment to try.
    #[must_use]
    pub fn next(&self) -> Duration {
        (self.early + self.late) / 2
    }

    /// Nothing had been done at this moment.
    pub fn was_early(&mut self, moment: Duration) {
        self.early = moment;
        self.again();
    }

    /// All had been done at this moment.
    pub fn was_late(&mut self, moment: Duration) {
        self.late = moment;
        self.again();
    }

    fn again(&mut self) {
        if self.late.saturating_sub(self.early) < Duration::from_micros(200) {
            (self.early, self.late) = (Duration::ZERO, (self.late * 2).min(self.longest));
        }
    }

    /// Waits until `moment` after `begun`, more exactly than a timer would.
    pub fn wait(begun: Instant, moment: Duration) {
        while begun.elapsed() < moment {
            std::hint::spin_loop();
        }
    }
}
