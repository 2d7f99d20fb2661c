//! The seal of a new namespace as `bao` sends it: `seal "shamir" { shares = 5 threshold = 3 }`, in HCL.
use coffer_room::Fault;

/// How many shares, and how many open it.
pub(super) fn shares(text: &str) -> Result<(u64, u64), Fault> {
    read(text).ok_or_else(|| {
        Fault::bad(
            "'seal' must be seal \"shamir\" { shares = 5 threshold = 3 }; name configured seals in 'seals'",
        )
    })
}

fn read(text: &str) -> Option<(u64, u64)> {
    let text = text.trim().strip_prefix("seal")?.trim_start().strip_prefix("\"shamir\"")?;
    let body = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let (mut shares, mut threshold) = (None, None);
    let words = body.replace('=', " = ");
    let mut words = words.split_whitespace();
    while let Some(name) = words.next() {
        let value = match (words.next(), words.next().map(|value| value.trim_matches('"').parse())) {
            (Some("="), Some(Ok(value))) => value,
            _ => return None,
        };
        let place = match name {
            "shares" => &mut shares,
            "threshold" => &mut threshold,
            _ => return None,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    Some((shares?, threshold?))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn what_bao_sends_is_read_and_what_it_does_not_send_is_refused() {
        assert_eq!(read("seal \"shamir\" {\n    shares = 3\n    threshold = 2\n}"), Some((3, 2)));
        assert_eq!(read("seal \"shamir\"{threshold=2 shares=\"3\"}\n"), Some((3, 2)));
        for wrong in [
            "",
            "seal",
            "seal \"pkcs11\" { shares = 3 threshold = 2 }",
            "seal \"shamir\" { shares = 3 }",
            "seal \"shamir\" { shares = 3 threshold = 2",
            "seal \"shamir\" { shares = 3 threshold = 2 more = 1 }",
            "seal \"shamir\" { shares = 3 shares = 3 threshold = 2 }",
            "seal \"shamir\" { shares = -3 threshold = 2 }",
            "seal \"shamir\" { shares 3 threshold 2 }",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
