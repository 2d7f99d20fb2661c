//! Patterns of names.

/// Whether `text` is what `pattern` describes: `*` stands for any run of characters, also an empty one, dots included;
/// everything else for itself, case and all. Linear in both lengths but for the last run that is tried again.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let (middle, end) = rest.rsplit_once('*').map_or(("", rest), |(middle, end)| (middle, end));
    let Some(mut left) = text.strip_prefix(start).and_then(|text| text.strip_suffix(end)) else {
        return false;
    };
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        let Some((_, behind)) = left.split_once(part) else { return false };
        left = behind;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_run_of_characters() {
        for (pattern, text, is_match) in [
            ("web", "web", true),
            ("web", "Web", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*.prod", "a.b.prod", true),
            ("*.prod", "prod", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("spiffe://acme/*/web", "spiffe://acme/prod/web", true),
            ("spiffe://acme/*/web", "spiffe://acme/web", false),
            ("a*b*c", "axbxc", true),
            ("a*b*c", "acb", false),
            ("*a*a*", "a", false),
            ("**", "x", true),
            ("é*é", "é", false),
        ] {
            assert_eq!(matches(pattern, text), is_match, "{pattern} {text}");
        }
    }
}
