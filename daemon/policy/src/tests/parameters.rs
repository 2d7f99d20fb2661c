use super::{acl, ask, params, path};
use crate::permit::{Refusal, decide};
use coffer_types::Operation;

#[test]
fn parameters_are_allowed_denied_and_required_by_name_and_value() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            r#"allowed_parameters = { "a" = ["1", "2"] }"#,
            &["{}", r#"{"a":"1"}"#, r#"{"a":1}"#, r#"{"A":"2"}"#],
            &[r#"{"a":"3"}"#, r#"{"z":"1"}"#, r#"{"a":["1"]}"#],
        ),
        (r#"allowed_parameters { "a" = [] "*" = [] }"#, &[r#"{"a":"x","z":{}}"#], &[]),
        (r#"allowed_parameters = { "a" = ["x"] "*" = [] }"#, &[r#"{"z":1}"#], &[r#"{"a":"y"}"#]),
        (
            r#"allowed_parameters = { "a" = ["pre*", "*end", "*mid*"] }"#,
            &[r#"{"a":"prefix"}"#, r#"{"a":"the end"}"#, r#"{"a":"amidst"}"#],
            &[r#"{"a":"ends pre"}"#],
        ),
        (
            r#"allowed_parameters = { "a" = [{ x = 1, y = [true] }] }"#,
            &[r#"{"a":{"y":[true],"x":1}}"#],
            &[r#"{"a":{"x":1}}"#, r#"{"a":{"x":1,"y":[false]}}"#],
        ),
        (r#"denied_parameters = { "b" = [] }"#, &["{}", r#"{"a":1}"#], &[r#"{"b":1}"#, r#"{"B":null}"#]),
        (r#"denied_parameters = { "*" = [] }"#, &["{}"], &[r#"{"a":1}"#]),
        (r#"required_parameters = ["C"]"#, &[r#"{"c":1}"#], &["{}", r#"{"a":1}"#, r#"{"c":null}"#]),
        (
            r#"allowed_parameters = { "a" = [] } denied_parameters = { "a" = ["x"] }"#,
            &[r#"{"a":"y"}"#],
            &[r#"{"a":"x"}"#],
        ),
    ];
    for (conditions, allowed, refused) in cases {
        let acl = acl(&[&format!("path \"p\" {{ capabilities = [\"create\", \"update\"] {conditions} }}")]);
        for body in *allowed {
            assert!(ask(&acl, Operation::Write, "p", body).is_ok(), "{conditions} {body}");
        }
        for body in *refused {
            assert_eq!(
                ask(&acl, Operation::Write, "p", body).err(),
                Some(Refusal::Parameter),
                "{conditions} {body}"
            );
        }
    }
}

#[test]
fn a_denied_value_is_found_in_every_spelling_that_a_handler_reads() {
    let acl = acl(&[
        r#"path "p" { capabilities = ["update"] denied_parameters = { "policies" = ["root"], "exportable" = [true], "n" = ["7"] } }"#,
    ]);
    for body in [
        r#"{"policies":"root"}"#,
        r#"{"policies":["default","root"]}"#,
        r#"{"policies":"default, root"}"#,
        r#"{"policies":"\u0072oot"}"#,
        r#"{"exportable":true}"#,
        r#"{"exportable":"true"}"#,
        r#"{"exportable":"T"}"#,
        r#"{"exportable":1}"#,
        r#"{"n":7}"#,
        r#"{"n":" 7"}"#,
    ] {
        assert_eq!(ask(&acl, Operation::Write, "p", body).err(), Some(Refusal::Parameter), "{body}");
    }
    assert!(ask(&acl, Operation::Write, "p", r#"{"policies":"default","exportable":false,"n":8}"#).is_ok());
}

#[test]
fn a_query_is_checked_as_a_body_is() {
    let acl = acl(&[r#"path "p" { capabilities = ["read"] denied_parameters = { "version" = ["1"] } }"#]);
    let mut asked = params("");
    asked.add_query("version=1").unwrap();
    assert!(decide(&acl, None, &path("p"), Operation::Read, false, &asked, None).is_err());
}

#[test]
fn two_policies_on_one_path_join_their_conditions() {
    let one = r#"path "p" { capabilities = ["update"] allowed_parameters = { "a" = ["1"] } }"#;
    let two = r#"path "p" { capabilities = ["read"] allowed_parameters = { "a" = ["2"], "b" = [] } required_parameters = ["b"] }"#;
    let acl = acl(&[one, two]);
    assert!(ask(&acl, Operation::Write, "p", r#"{"a":"1","b":1}"#).is_ok());
    assert!(ask(&acl, Operation::Write, "p", r#"{"a":"2","b":1}"#).is_ok());
    assert!(ask(&acl, Operation::Write, "p", r#"{"a":"1"}"#).is_err());
    assert!(ask(&acl, Operation::Write, "p", r#"{"c":"1","b":1}"#).is_err());
}

#[test]
fn a_wrapped_answer_is_demanded_within_its_limits() {
    let acl =
        acl(&[r#"path "p" { capabilities = ["read"] min_wrapping_ttl = "10s" max_wrapping_ttl = 60 }"#]);
    let ask = |wrap| decide(&acl, None, &path("p"), Operation::Read, false, &params(""), wrap).err();
    for (wrap, refusal) in
        [(None, true), (Some(9), true), (Some(10), false), (Some(60), false), (Some(61), true)]
    {
        assert_eq!(ask(wrap), refusal.then_some(Refusal::Wrapping), "{wrap:?}");
    }
}

#[test]
fn no_spelling_of_a_page_size_passes_the_limit() {
    let acl = acl(&[r#"path "p" { capabilities = ["list", "scan"] pagination_limit = 10 }"#]);
    let page = |json: &str| {
        let body = if json.is_empty() { "{}".to_owned() } else { format!("{{\"limit\":{json}}}") };
        ask(&acl, Operation::List, "p", &body).map(|grant| grant.page_limit)
    };
    for (given, limit) in [
        ("", 10),
        ("0", 10),
        ("\"\"", 10),
        ("\"max\"", 10),
        ("null", 10),
        ("3", 3),
        ("\"10\"", 10),
        ("\"00\"", 10),
    ] {
        assert_eq!(page(given).ok(), Some(Some(limit)), "{given}");
    }
    for given in [
        "11",
        "-1",
        "9223372036854775808",
        "99999999999999999999999",
        "\"NaN\"",
        "1.5",
        "1e1",
        "[]",
        "{}",
        "\"-0\"",
    ] {
        assert_eq!(page(given).err(), Some(Refusal::PageLimit), "{given}");
    }
}
