//! Members of the wrong type, or beyond every bound.
use super::endpoints::{Endpoint, Takes, endpoints};
use super::furniture::{furnished, is_one_sentence, is_unchanged, state};
use super::send;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Values that are of no member's type, or beyond every bound, by name.
fn wrong_values(canary: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("object", json!({ canary: { canary: [canary] } })),
        ("lists", json!([[canary]])),
        ("objects", json!([{ canary: 1 }])),
        ("negative", json!(-1)),
        ("fraction", json!(1.5e300)),
        ("nul", json!("\u{0}")),
        ("control", json!(format!("{canary}\u{0}\n"))),
        ("dots", json!(format!("../{canary}"))),
        ("long", json!(canary.repeat(3000))),
        ("many", (0..2000).map(|at| format!("{canary}{at}")).collect()),
    ]
}

/// A number where text is wanted is its text: clients of this API send it.
const NUMBERS: &[&str] = &["negative", "fraction"];
/// Text that nothing reads but people, or that is only compared.
const TEXTS: &[&str] = &["negative", "fraction", "nul", "control", "dots"];
/// As many and as long as may be: it is only looked for.
const ANY_TEXTS: &[&str] = &["negative", "fraction", "nul", "control", "dots", "long"];

/// What is no fault of the type: routes (a `*` is any ending) and their members that end so, wrong values, the status.
const TAKEN: &[(&str, &str, &[&str], u16)] = &[
    ("sys/mounts*", "/description", TEXTS, 204),
    ("sys/auth*", "/description", TEXTS, 204),
    // What nobody knows means nothing.
    ("sys/mounts*", "/options", &["object"], 204),
    ("sys/mounts*", "/config", &["object"], 204),
    ("sys/auth*", "/config", &["object"], 204),
    ("sys/capabilities*", "/paths", NUMBERS, 200),
    ("sys/capabilities*", "/path", NUMBERS, 200),
    ("sys/namespaces*", "/custom_metadata/a", &["negative", "fraction", "dots"], 200),
    ("sys/audit/disclose/:index", "/field", ANY_TEXTS, 404),
    ("token/create*", "/display_name", TEXTS, 200),
    ("token/create*", "/meta/a", TEXTS, 200),
    ("token/create", "/policies", NUMBERS, 200),
    ("token/create-orphan", "/policies", NUMBERS, 200),
    ("token/lookup", "/token", ANY_TEXTS, 403),
    // A token that is not there is revoked.
    ("token/revoke", "/token", ANY_TEXTS, 204),
    ("token/*", "/accessor", ANY_TEXTS, 404),
    ("token/roles", "policies", NUMBERS, 204),
    ("token/roles", "policies_glob", TEXTS, 204),
    ("token/roles", "/path_suffix", NUMBERS, 204),
    ("cert/certs", "_names", TEXTS, 204),
    ("cert/certs", "_sans", TEXTS, 204),
    ("cert/certs", "_units", TEXTS, 204),
    ("cert/certs", "_metadata_extensions", TEXTS, 204),
    ("cert/certs", "/display_name", TEXTS, 204),
    ("cert/certs", "/token_policies", NUMBERS, 204),
    // No role of that name is the certificate's.
    ("cert/login", "/name", ANY_TEXTS, 403),
    ("userpass/users*", "/password", TEXTS, 204),
    ("userpass/users*", "policies", NUMBERS, 204),
    ("kv2/data", "/data", &["object"], 200),
    ("kv2/data", "/options", &["object"], 200),
    ("kv2/metadata", "/custom_metadata/a", &["negative", "fraction", "dots"], 204),
    // Each item of a batch fails by itself.
    ("transit/encrypt", "/batch_input", &["objects"], 400),
    ("transit/decrypt", "/batch_input", &["objects"], 400),
    ("transit/sign", "/batch_input", &["objects"], 200),
];

/// The members of a body and of the objects in it, as JSON pointers.
fn members(body: &Value, above: &str, all: &mut Vec<String>) {
    for (name, value) in body.as_object().into_iter().flatten() {
        let at = format!("{above}/{name}");
        members(value, &at, all);
        all.push(at);
    }
}

/// A request with one member that is wrong.
struct Wrong {
    what: String,
    endpoint: Endpoint,
    body: Value,
    /// The row of [`TAKEN`] that it falls under.
    taken: Option<usize>,
}

fn all_wrong(endpoints: &[Endpoint], canary: &str) -> Vec<Wrong> {
    let mut all = Vec::new();
    for endpoint in endpoints {
        let mut names = Vec::new();
        members(&endpoint.good(), "", &mut names);
        for (member, (name, value)) in
            names.iter().flat_map(|member| wrong_values(canary).into_iter().map(move |wrong| (member, wrong)))
        {
            let mut body = endpoint.good();
            *body.pointer_mut(member).unwrap() = value;
            let taken = TAKEN.iter().position(|(route, end, values, _)| {
                let is_route = match route.strip_suffix('*') {
                    Some(begin) => endpoint.route.starts_with(begin),
                    None => endpoint.route == *route,
                };
                is_route && member.ends_with(end) && values.contains(&name)
            });
            let what = format!("{} {} {member}={name}", endpoint.method, endpoint.path);
            all.push(Wrong { what, endpoint: endpoint.clone(), body, taken });
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_the_wrong_type_is_refused_by_every_endpoint_and_changes_nothing() {
    let (house, of) = furnished().await;
    let root = house.root();
    let before = state(&root, &of).await;
    let canary = house.canaries.plant("member");
    let all = all_wrong(&endpoints(&of), &canary);
    let mut wire = house.wire();
    let mut ask = |wrong: &Wrong, endpoint: &Endpoint| {
        send(&house, &mut wire, endpoint, &serde_json::to_vec(&wrong.body).unwrap())
    };
    let mut unlike = Vec::new();
    for wrong in all.iter().filter(|wrong| wrong.taken.is_none()) {
        let reply = ask(wrong, &wrong.endpoint);
        if reply.status == 400 && reply.json()["errors"].is_array() {
            is_one_sentence(&house, &wrong.what, &reply);
        } else {
            unlike.push(format!("{}: {} {:.200}", wrong.what, reply.status, reply.text()));
        }
    }
    assert!(unlike.is_empty(), "not refused:\n{}", unlike.join("\n"));
    is_unchanged(&before, &state(&root, &of).await);

    // And the exceptions are what they are said to be.
    let mut seen = BTreeSet::new();
    for (at, wrong) in all.iter().enumerate() {
        let Some(row) = wrong.taken else { continue };
        // What was made under this name is in the way of the next.
        let path = wrong.endpoint.path.replace("/new", &format!("/new{at}"));
        let endpoint =
            Endpoint { path: path.replace("/fresh", &format!("/fresh{at}")), ..wrong.endpoint.clone() };
        let reply = ask(wrong, &endpoint);
        if reply.status != TAKEN[row].3 {
            unlike.push(format!("{}: {} {:.200}", wrong.what, reply.status, reply.text()));
        } else if reply.json()["errors"].is_array() {
            is_one_sentence(&house, &wrong.what, &reply);
        }
        seen.insert(row);
    }
    assert!(unlike.is_empty(), "not as the exceptions say:\n{}", unlike.join("\n"));
    let stale: Vec<_> = (0..TAKEN.len()).filter(|row| !seen.contains(row)).map(|row| TAKEN[row]).collect();
    assert!(stale.is_empty(), "exceptions of nothing: {stale:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bodies_that_are_made_bad_are_good() {
    let (house, of) = furnished().await;
    let mut wire = house.wire();
    let mut refused = Vec::new();
    for endpoint in endpoints(&of) {
        let Takes::Members(body) = &endpoint.takes else { continue };
        let reply = send(&house, &mut wire, &endpoint, &serde_json::to_vec(body).unwrap());
        if reply.status >= 300 {
            refused.push(format!("{} {}: {} {}", endpoint.method, endpoint.path, reply.status, reply.text()));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
