//! The same decisions by the shortest code that can be read off Vault's documentation, compared on random policies.
use super::path;
use crate::{Acl, Policy};
use coffer_types::Operation;
use proptest::prelude::*;
use std::cmp::Reverse;
use std::sync::Arc;

const CAPABILITIES: [&str; 9] =
    ["create", "read", "update", "delete", "list", "sudo", "patch", "scan", "deny"];

type Stanza = (String, Vec<&'static str>);

fn policy() -> impl Strategy<Value = Vec<Stanza>> {
    let segment = prop::sample::select(vec!["a", "b", "ab", "+"]);
    let pattern = (prop::collection::vec(segment, 1..4), prop::sample::select(vec!["", "", "*", "/*", "/"]))
        .prop_map(|(segments, end)| segments.join("/") + end)
        .prop_filter("forbidden", |text| !text.contains("+*"));
    let granted = prop::sample::subsequence(CAPABILITIES.to_vec(), 0..4);
    prop::collection::vec((pattern, granted), 1..6)
}

fn text_of(stanzas: &[Stanza]) -> String {
    stanzas
        .iter()
        .map(|(pattern, granted)| format!("path \"{pattern}\" {{ capabilities = {granted:?} }}\n"))
        .collect()
}

fn matches(pattern: &str, at: &str) -> bool {
    match pattern.as_bytes() {
        [] => at.is_empty(),
        b"*" => true,
        [b'+', ..] => matches(&pattern[1..], at.find('/').map_or("", |slash| &at[slash..])),
        [c, ..] => at.as_bytes().first() == Some(c) && matches(&pattern[1..], &at[1..]),
    }
}

/// Greater decides. A pattern without wildcards stands above all others.
fn rank(pattern: &str) -> (bool, usize, bool, Reverse<usize>, usize, String) {
    let literal = pattern.trim_end_matches('*');
    let first = pattern.find(['+', '*']);
    let plus = pattern.matches('+').count();
    (
        first.is_none(),
        first.unwrap_or(0),
        literal == pattern,
        Reverse(plus),
        literal.len(),
        literal.to_owned(),
    )
}

/// What is granted on `at`, by union of what stands on the winning pattern.
fn naive(stanzas: &[Stanza], at: &str, is_listing: bool) -> Vec<&'static str> {
    let below = format!("{at}/");
    let patterns = || stanzas.iter().map(|(pattern, _)| &**pattern);
    let granted = |wanted: &str| {
        let same = stanzas.iter().filter(|(pattern, _)| pattern == wanted);
        let granted: Vec<_> = same.flat_map(|(_, granted)| granted.iter().copied()).collect();
        if granted.contains(&"deny") { None } else { Some(granted) }
    };
    let best = |spelling: &str| {
        patterns().filter(|pattern| matches(pattern, spelling)).max_by_key(|pattern| rank(pattern))
    };
    // Without wildcards the spelling with the slash goes first.
    let exact = patterns()
        .find(|pattern| is_listing && *pattern == below)
        .or(patterns().find(|pattern| *pattern == at));
    let winner = match (exact, best(at), is_listing.then(|| best(&below)).flatten()) {
        (Some(exact), ..) => exact,
        (_, _, Some(below)) if granted(below).is_none() => return Vec::new(),
        (_, bare, below) => match bare.into_iter().chain(below).max_by_key(|pattern| rank(pattern)) {
            Some(winner) => winner,
            None => return Vec::new(),
        },
    };
    // A denial of the spelling without the slash holds for both.
    let bare = winner.strip_suffix('/').unwrap_or(winner);
    if granted(bare).is_none() { Vec::new() } else { granted(winner).unwrap_or_default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn the_compiled_decision_is_the_documented_one(
        policies in prop::collection::vec(policy(), 1..4),
        at in prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "abc"]), 1..5),
    ) {
        let at = at.join("/");
        let compiled: Vec<_> = policies.iter().map(|stanzas| Arc::new(Policy::parse(&text_of(stanzas)).unwrap())).collect();
        let acl = Acl::new(&compiled);
        let all: Vec<Stanza> = policies.concat();
        for (operation, capability) in [(Operation::Read, "read"), (Operation::Delete, "delete"), (Operation::Patch, "patch"), (Operation::List, "list"), (Operation::Scan, "scan")] {
            let is_listing = matches!(operation, Operation::List | Operation::Scan);
            let wanted = naive(&all, &at, is_listing).contains(&capability);
            prop_assert_eq!(super::allows(&acl, operation, &at), wanted, "{} {} under\n{}", operation.name(), at, text_of(&all));
            prop_assert_eq!(acl.capabilities(&path(&at)).contains(&capability), wanted);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// A child's policies are a subset of its parent's. In Vault's rules leaving out a policy can leave out a restriction,
    /// so a child may do at a path what another of the parent's own stanzas hid; it never does what none of them grants.
    #[test]
    fn a_child_has_no_capability_that_none_of_its_parents_stanzas_grants(
        parent in prop::collection::vec(policy(), 1..5),
        kept in any::<u8>(),
        at in prop::collection::vec(prop::sample::select(vec!["a", "b", "ab"]), 1..4),
    ) {
        let at = at.join("/");
        let child: Vec<_> = parent.iter().enumerate().filter(|(index, _)| kept >> index & 1 == 1).map(|(_, stanzas)| Arc::new(Policy::parse(&text_of(stanzas)).unwrap())).collect();
        let acl = Acl::new(&child);
        for capability in acl.capabilities(&path(&at)).into_iter().filter(|name| *name != "deny") {
            let grants = |(pattern, granted): &Stanza| granted.contains(&capability) && (matches(pattern, &at) || matches(pattern, &format!("{at}/")));
            prop_assert!(parent.concat().iter().any(grants), "{} on {}", capability, at);
        }
    }
}
