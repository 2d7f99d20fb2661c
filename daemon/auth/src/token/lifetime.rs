//! How long a token lives: pure arithmetic over its record and the clock.
//!
//! Three walls stand around every expiry: the token's own maximum (counted from its creation), its explicit maximum, and,
//! for a periodic token, the explicit maximum alone. A renewal moves the expiry within them and never past.
use crate::token::records::TokenRecord;
use coffer_types::Timestamp;

/// What a token gets, and at most gets, where nothing else is said: 768 hours.
pub const SYSTEM_MAX_SECONDS: u64 = 768 * 3600;

/// The mount's default and maximum, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TtlLimits {
    /// Where no ttl is asked for.
    pub default_seconds: u64,
    /// The most that a token may live, renewals included, unless it is periodic.
    pub max_seconds: u64,
}

impl Default for TtlLimits {
    fn default() -> Self {
        Self { default_seconds: SYSTEM_MAX_SECONDS, max_seconds: SYSTEM_MAX_SECONDS }
    }
}

impl TtlLimits {
    /// The narrower of both, wall by wall; 0 stands for "nothing said".
    #[must_use]
    pub fn within(self, default_seconds: u64, max_seconds: u64) -> Self {
        let max = if max_seconds == 0 { self.max_seconds } else { self.max_seconds.min(max_seconds) };
        let default = if default_seconds == 0 { self.default_seconds } else { default_seconds };
        Self { default_seconds: default.min(max), max_seconds: max }
    }
}

impl TokenRecord {
    /// Whether it has not expired at `now`. At the very instant of its expiry it has.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    /// Seconds left, rounded up; 0 for a token that does not expire.
    pub(crate) fn seconds_left(&self, now: Timestamp) -> u64 {
        self.expires.map_or(0, |expires| now.seconds_until(expires))
    }

    /// The last instant that this token may ever reach.
    pub(crate) fn wall(&self) -> Option<Timestamp> {
        let after = |seconds: u64| (seconds > 0).then(|| self.created.plus_seconds(seconds));
        let own = if self.period_seconds > 0 { None } else { after(self.max_seconds) };
        match (own, after(self.explicit_max_seconds)) {
            (Some(own), Some(explicit)) => Some(own.min(explicit)),
            (own, explicit) => own.or(explicit),
        }
    }

    /// The expiry after a wish for `seconds` more from `now` on.
    pub(crate) fn expiry_after(&self, now: Timestamp, seconds: u64) -> Timestamp {
        let seconds = if self.period_seconds > 0 { self.period_seconds } else { seconds };
        let wished = now.plus_seconds(seconds);
        self.wall().map_or(wished, |wall| wished.min(wall))
    }
}
