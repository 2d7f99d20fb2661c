//! Time as an argument.

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(pub u64);

/// What time it is. The daemon's clock never goes backwards while it runs; a test's is turned by hand.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

impl Timestamp {
    /// Whole seconds since 1970.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// This time and `seconds` more; stays at the end of time rather than wrapping.
    #[must_use]
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Seconds from this time to `later`, rounded up; 0 where it has passed.
    #[must_use]
    pub const fn seconds_until(self, later: Self) -> u64 {
        later.0.saturating_sub(self.0).div_ceil(1000)
    }

    /// The calendar month, `year * 12 + month - 1`: the period of audit opening keys and pseudonyms.
    #[must_use]
    pub const fn month(self) -> u32 {
        let (year, month, _) = civil(self.0 / 86_400_000);
        (year * 12 + month - 1) as u32
    }

    /// RFC 3339 in UTC with milliseconds, `2026-11-22T12:16:25.003Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let (year, month, day) = civil(self.0 / 86_400_000);
        let (seconds, millis) = ((self.0 / 1000) % 86_400, self.0 % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// Proleptic Gregorian date of a day counted from 1970-01-01: eras of 400 years that begin on 1 March.
const fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + (month <= 2) as u64, month, day)
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn known_instants_read_as_their_dates() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (4_102_444_800_001, "2100-01-01T00:00:00.001Z"),
        ] {
            assert_eq!(Timestamp(millis).rfc3339(), text);
        }
    }

    #[test]
    fn the_month_changes_with_the_calendar() {
        assert_eq!(Timestamp(1_709_251_199_999).month(), 2024 * 12 + 1);
        assert_eq!(Timestamp(1_709_251_200_000).month(), 2024 * 12 + 2);
    }

    #[test]
    fn a_time_to_live_at_the_end_of_time_does_not_wrap() {
        assert_eq!(Timestamp(5).plus_seconds(u64::MAX), Timestamp(u64::MAX));
        assert_eq!(Timestamp(5000).seconds_until(Timestamp(1000)), 0);
        assert_eq!(Timestamp(1000).seconds_until(Timestamp(1001)), 1);
    }
}
