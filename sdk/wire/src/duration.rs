//! Durations as the field writes them: `1h30m`, `90s`, `2d`, or bare seconds.

/// Reads whole seconds, or a sum of numbers with units (`w`, `d`, `h`, `m`, `s`, `ms`, `us`, `µs`, `ns`; fractions allowed).
/// Parts of a second count as a whole one, so that a short time to live never becomes "none".
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let mut nanos: u128 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        nanos = nanos.checked_add(part(number, unit_nanos(unit)?)?)?;
        rest = tail;
    }
    u64::try_from(nanos.div_ceil(1_000_000_000)).ok()
}

fn unit_nanos(unit: &str) -> Option<u128> {
    Some(match unit {
        "w" => 604_800_000_000_000,
        "d" => 86_400_000_000_000,
        "h" => 3_600_000_000_000,
        "m" => 60_000_000_000,
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" | "µs" | "μs" => 1_000,
        "ns" => 1,
        _ => return None,
    })
}

fn part(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty()
        || whole.len() > 20
        || fraction.len() > 9
        || (number.contains('.') && fraction.is_empty())
    {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let parts: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let scale = 10u128.checked_pow(fraction.len().try_into().ok()?)?;
    whole.checked_mul(unit)?.checked_add((parts * unit).div_ceil(scale))
}

/// Seconds as clients of the Vault API expect to read them: `1h0m0s`, `5m0s`, `0s`.
#[must_use]
pub fn seconds_text(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, seconds_text};

    #[test]
    fn durations_are_read_as_the_field_writes_them() {
        for (text, seconds) in [
            ("0", 0),
            ("90", 90),
            ("90s", 90),
            ("1h30m", 5400),
            ("2d", 172_800),
            ("1w", 604_800),
            ("1.5h", 5400),
            ("500ms", 1),
            ("1ns", 1),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "s",
            "1",
            "1x",
            "-1s",
            "1h30",
            "1 h",
            ".",
            "1.s",
            ".5s",
            "1h-1m",
            "99999999999999999999w",
            "²s",
            "18446744073709551616",
        ] {
            assert_eq!(parse(text), if text == "1" { Some(1) } else { None }, "{text}");
        }
    }

    #[test]
    fn durations_are_written_in_hours_minutes_and_seconds() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m0s"), (3600, "1h0m0s"), (2_764_800, "768h0m0s")]
        {
            assert_eq!(seconds_text(seconds), text);
            assert_eq!(parse(text), Some(seconds));
        }
    }
}
