//! Parameters in the query: of listings, and of what else is read.
use super::endpoints::rows;
use super::furniture::{Furniture, furnished, is_one_sentence, is_unchanged, state};
use std::collections::BTreeSet;

/// What a parameter must be.
#[derive(Clone, Copy)]
enum Kind {
    /// A whole number, or seconds.
    Number,
    /// The same, but zero and less ask for everything: `limit`.
    Page,
    /// Any text: `after`.
    Text,
}
use Kind::{Number, Page, Text};

const PAGED: &[(&str, Kind)] = &[("limit", Page), ("after", Text)];
const LISTED: &[(&str, Kind)] = &[("limit", Number), ("after", Text)];

/// Route, method, path, parameters, and what is asked besides.
type Question = (&'static str, &'static str, &'static str, &'static [(&'static str, Kind)], &'static str);

/// What takes parameters in its query.
const ASKED: &[Question] = &[
    (
        "sys/audit/consistency",
        "GET",
        "sys/audit/consistency",
        &[("old", Number), ("new", Number)],
        "old=1&new=2",
    ),
    ("sys/storage/raft/snapshot", "GET", "sys/storage/raft/snapshot", &[("keep", Number)], ""),
    ("cert/certs (all)", "LIST", "auth/cert/certs", LISTED, ""),
    ("cert/crls (all)", "LIST", "auth/cert/crls", LISTED, ""),
    ("userpass/users (all)", "LIST", "auth/userpass/users", LISTED, ""),
    ("kv1/secret", "LIST", "kv1/deep", PAGED, ""),
    ("kv1/secret", "SCAN", "kv1/deep", PAGED, ""),
    ("kv1 (all)", "LIST", "kv1", PAGED, ""),
    ("kv1 (all)", "SCAN", "kv1", PAGED, ""),
    ("kv2/data", "GET", "secret/data/kept", &[("version", Number)], ""),
    ("kv2/subkeys", "GET", "secret/subkeys/kept", &[("version", Number), ("depth", Number)], ""),
    ("kv2/metadata", "LIST", "secret/metadata/deep", PAGED, ""),
    ("kv2/metadata", "SCAN", "secret/metadata/deep", PAGED, ""),
    ("kv2/metadata (all)", "LIST", "secret/metadata", PAGED, ""),
    ("kv2/metadata (all)", "SCAN", "secret/metadata", PAGED, ""),
    ("kv2/detailed-metadata", "LIST", "secret/detailed-metadata", PAGED, ""),
    ("kv2/detailed-metadata", "SCAN", "secret/detailed-metadata", PAGED, ""),
    ("transit/keys", "LIST", "transit/keys", PAGED, ""),
];

/// Listings that come whole, whatever is asked.
const WHOLE: &[&str] =
    &["sys/policies/acl", "sys/policy", "sys/namespaces", "token/accessors", "token/roles (all)"];

/// Texts that no whole number is.
fn wrong_texts(canary: &str) -> Vec<String> {
    let texts = ["%00", "NaN", "1.5", "0x10", "1e3", "-1", "%7b%22a%22%3a1%7d"].map(str::to_owned);
    let long = [
        canary.to_owned(),
        format!("..%2f{canary}"),
        format!("{canary}%00%0a"),
        canary.repeat(200),
        "9".repeat(60),
    ];
    texts.into_iter().chain(long).collect()
}

#[test]
fn every_listing_of_the_matrix_is_asked_with_bad_queries() {
    let asked: BTreeSet<_> = ASKED.iter().map(|(route, ..)| *route).chain(WHOLE.iter().copied()).collect();
    let all = rows();
    let missing: Vec<_> = all
        .iter()
        .filter(|(route, operation)| matches!(*operation, "list" | "scan") && !asked.contains(route))
        .collect();
    assert!(missing.is_empty(), "in neither list: {missing:?}");
    let known: BTreeSet<_> = all.iter().map(|(route, _)| *route).collect();
    assert!(asked.is_subset(&known), "not in the matrix: {:?}", asked.difference(&known));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_query_is_refused_and_changes_nothing() {
    let (house, of): (_, Furniture) = furnished().await;
    let root = house.root();
    let before = state(&root, &of).await;
    let canary = house.canaries.plant("query");
    let mut wire = house.wire();
    let mut ask = |method: &str, path: &str, query: &str| {
        wire.ask(method, &format!("/v1/{path}?{query}"), &[("x-vault-token", &house.root_token)], b"")
            .unwrap()
    };
    for (_, method, path, params, besides) in ASKED {
        for (param, kind) in *params {
            let others: Vec<_> = besides.split('&').filter(|pair| !pair.starts_with(param)).collect();
            let query = |value: &str| format!("{param}={value}&{}", others.join("&"));
            for text in wrong_texts(&canary) {
                let reply = ask(method, path, &query(&text));
                let what = format!("{method} {path}?{param}={text:.40}");
                let is_taken = matches!((kind, &*text), (Text, _) | (Page, "-1"));
                if is_taken {
                    assert!(matches!(reply.status, 200 | 404), "{what}: {} {}", reply.status, reply.text());
                } else {
                    assert_eq!(reply.status, 400, "{what}: {}", reply.text());
                    is_one_sentence(&house, &what, &reply);
                }
            }
            // Said twice, no text at all, or too much of it.
            let many = (0..2000).map(|at| format!("a{at}=1")).collect::<Vec<_>>().join("&");
            for bad in
                ["1&{}=1".replace("{}", param), "%ff".into(), "%zz".into(), "%".into(), format!("1&{many}")]
            {
                let reply = ask(method, path, &query(&bad));
                let what = format!("{method} {path}?{param}={bad:.40}");
                assert!(reply.status == 400, "{what}: {} {}", reply.status, reply.text());
                is_one_sentence(&house, &what, &reply);
            }
        }
    }
    is_unchanged(&before, &state(&root, &of).await);
}
