//! Parameters by name and type: what is taken, what is refused, and that a refusal never says the value.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
use coffer_wire::{FieldError, Limits, Params, ScanError};
use proptest::prelude::*;
use std::fmt::Write as _;
use zeroize::Zeroizing;

fn parse(body: &str) -> Result<Params, ScanError> {
    Params::parse(Zeroizing::new(body.as_bytes().to_vec()), Limits::REQUEST)
}

fn params(body: &str) -> Params {
    parse(body).unwrap_or_else(|error| panic!("{error:?}: {body}"))
}

fn refusal<T>(result: Result<T, FieldError>) -> &'static str {
    result.err().unwrap().must
}

#[test]
fn no_body_is_no_parameters() {
    for body in ["", " \n", "null", "{}"] {
        let params = params(body);
        assert_eq!((params.body(), params.names().count()), (b"{}".as_slice(), 0), "{body:?}");
    }
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    for body in ["[]", "1", "\"a\"", "true", " [{}]"] {
        assert_eq!(parse(body).err(), Some(ScanError::NotAnObject), "{body}");
    }
}

#[test]
fn a_name_that_stands_twice_is_refused_at_any_depth_and_in_any_spelling() {
    for body in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"x":{"a":1,"b":[{"c":1,"c":1}]}}"#,
        r#"{"é":1,"\u00e9":1}"#,
    ] {
        assert_eq!(parse(body).err(), Some(ScanError::DuplicateName), "{body}");
    }
    params(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}],"A":1}"#);
}

#[test]
fn a_million_names_are_too_many_and_two_alike_are_found_among_them() {
    let mut body = String::from("{");
    for at in 0..1_000_000 {
        write!(body, "\"{at}\":0,").unwrap();
    }
    assert_eq!(parse(&format!("{body}\"x\":0}}")).err(), Some(ScanError::TooMany));
    let roomy = Limits { depth: 4, values: 3_000_000 };
    let parse =
        |last: &str| Params::parse(Zeroizing::new(format!("{body}\"{last}\":0}}").into_bytes()), roomy);
    assert_eq!(parse("x").unwrap().names().count(), 1_000_001);
    assert_eq!(parse("\\u0037").err(), Some(ScanError::DuplicateName));
}

#[test]
fn names_come_in_the_order_given_and_null_counts_as_not_given() {
    let params = params(r#" {"b" : null , "\u0061\"" : [1, {"x":"}"}] , "c":""} "#);
    assert_eq!(params.names().collect::<Vec<_>>(), ["b", "a\"", "c"]);
    assert_eq!(
        (params.has("b"), params.has("a\""), params.has("c"), params.has("d")),
        (false, true, true, false)
    );
    assert_eq!(params.raw("a\""), Some(br#"[1, {"x":"}"}]"#.as_slice()));
    assert_eq!(params.raw("b"), Some(b"null".as_slice()));
    assert!(params.string("b").unwrap().is_none());
}

#[test]
fn text_is_decoded_and_numbers_and_truth_values_are_taken_as_their_text() {
    let params = params(r#"{"t":"a\n\"\\\/\u00e9\ud83d\ude00\u0000","n":1e400,"b":true,"o":{},"l":[]}"#);
    assert_eq!(params.string("t").unwrap().unwrap().as_str(), "a\n\"\\/é😀\0");
    assert_eq!(params.string("n").unwrap().unwrap().as_str(), "1e400");
    assert_eq!(params.string("b").unwrap().unwrap().as_str(), "true");
    assert_eq!(refusal(params.string("o")), "must be text");
    assert_eq!(refusal(params.string("l")), "must be text");
    assert_eq!(refusal(params.required("absent")), "must be given");
}

#[test]
fn whole_numbers_are_taken_as_numbers_or_text() {
    let params = params(
        r#"{"n":18446744073709551615,"t":"7","e":"","big":18446744073709551616,"neg":-1,"f":1.5,"x":"1e3"}"#,
    );
    assert_eq!(params.number("n"), Ok(Some(u64::MAX)));
    assert_eq!(params.number("t"), Ok(Some(7)));
    assert_eq!(params.number("e"), Ok(None));
    for name in ["big", "neg", "f", "x"] {
        assert_eq!(params.number(name), Err(FieldError { field: name, must: "must be a whole number" }));
    }
}

#[test]
fn truth_values_are_taken_as_such_as_text_or_as_a_digit() {
    let params = params(r#"{"a":true,"b":"False","c":1,"d":"0","e":"","x":2,"y":"yes","z":[]}"#);
    let read = ["a", "b", "c", "d", "e"].map(|name| params.boolean(name).unwrap());
    assert_eq!(read, [Some(true), Some(false), Some(true), Some(false), None]);
    for name in ["x", "y", "z"] {
        refusal(params.boolean(name));
    }
}

#[test]
fn durations_are_seconds() {
    let params = params(r#"{"a":90,"b":"90","c":"1h30m","d":"","x":"soon","y":-1,"z":1.5}"#);
    let read = ["a", "b", "c", "d"].map(|name| params.seconds(name).unwrap());
    assert_eq!(read, [Some(90), Some(90), Some(5400), None]);
    for name in ["x", "y", "z"] {
        refusal(params.seconds(name));
    }
}

#[test]
fn base64_is_standard_and_padded() {
    let params = params(
        r#"{"a":"aGVsbG8=","b":"aGVs\nbG8=\n","c":"","d":"\/\/\/\/","x":"aGVsbG8","y":"_-_-","z":"aGVsbG9=","n":1234}"#,
    );
    let read = ["a", "b", "c", "d"].map(|name| params.base64(name).unwrap().unwrap().to_vec());
    assert_eq!(read, [b"hello".to_vec(), b"hello".to_vec(), Vec::new(), vec![255; 3]]);
    for name in ["x", "y", "z", "n"] {
        assert_eq!(refusal(params.base64(name)), "must be base64");
    }
}

#[test]
fn lists_are_arrays_or_text_with_commas() {
    let params = params(
        r#"{"a":["x","y,z",1],"b":" x, y,,z ","c":[],"d":"","n":[1,"2"],"m":"3,4","bad":["x",{}],"badn":["x"]}"#,
    );
    assert_eq!(params.list("a").unwrap().unwrap(), ["x", "y,z", "1"]);
    assert_eq!(params.list("b").unwrap().unwrap(), ["x", "y", "z"]);
    assert_eq!(params.list("c").unwrap().unwrap(), [""; 0]);
    assert_eq!(params.list("d").unwrap().unwrap(), [""; 0]);
    assert_eq!(params.numbers("n").unwrap().unwrap(), [1, 2]);
    assert_eq!(params.numbers("m").unwrap().unwrap(), [3, 4]);
    assert_eq!(params.numbers("absent").unwrap(), None);
    refusal(params.list("bad"));
    assert_eq!(refusal(params.numbers("badn")), "must be a list of whole numbers");
}

#[test]
fn maps_are_objects_or_pairs() {
    let params =
        params(r#"{"a":{"x":"1","y":2},"b":["x=1","y = 2=3"],"c":"x=1","d":"","bad":["x"],"bado":{"x":[]}}"#);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(params.map("a").unwrap().unwrap(), [pair("x", "1"), pair("y", "2")]);
    assert_eq!(params.map("b").unwrap().unwrap(), [pair("x", "1"), pair("y", "2=3")]);
    assert_eq!(params.map("c").unwrap().unwrap(), [pair("x", "1")]);
    assert_eq!(params.map("d").unwrap().unwrap(), []);
    refusal(params.map("bad"));
    refusal(params.map("bado"));
}

#[test]
fn nested_objects_have_parameters_of_their_own() {
    let params = params(
        r#"{"options":{"cas":3},"batch_input":[{"plaintext":"YQ=="}, {"n":{"m":[1,[2]]}}],"x":[{},1],"y":"{}"}"#,
    );
    let options = params.nested("options").unwrap().unwrap();
    assert_eq!((options.number("cas"), options.body()), (Ok(Some(3)), br#"{"cas":3}"#.as_slice()));
    let batch = params.each("batch_input").unwrap().unwrap();
    assert_eq!(batch[0].base64("plaintext").unwrap().unwrap().as_slice(), b"a");
    assert_eq!(batch[1].nested("n").unwrap().unwrap().raw("m"), Some(b"[1,[2]]".as_slice()));
    assert_eq!(batch.len(), 2);
    refusal(params.each("x"));
    refusal(params.nested("y"));
    refusal(params.nested("batch_input"));
}

#[test]
fn a_query_adds_text_and_leaves_the_body_as_it_came() {
    let mut params = params(r#"{"a":1}"#);
    params.add_query("list=true&after=x%2Fy+z%22%0A&&empty&version=3").unwrap();
    assert_eq!(params.boolean("list"), Ok(Some(true)));
    assert_eq!(params.string("after").unwrap().unwrap().as_str(), "x/y z\"\n");
    assert_eq!(params.string("empty").unwrap().unwrap().as_str(), "");
    assert_eq!(params.number("version"), Ok(Some(3)));
    assert_eq!(params.body(), br#"{"a":1}"#);
}

#[test]
fn a_query_that_says_a_name_again_or_is_badly_encoded_is_refused() {
    for (query, why) in [
        ("a=2", ScanError::DuplicateName),
        ("%61=2", ScanError::DuplicateName),
        ("b=1&b=2", ScanError::DuplicateName),
        ("x=1&b=%", ScanError::Malformed { offset: 4 }),
        ("b=%2", ScanError::Malformed { offset: 0 }),
        ("b=%+1", ScanError::Malformed { offset: 0 }),
        ("b=%ff", ScanError::Malformed { offset: 0 }),
    ] {
        assert_eq!(params(r#"{"a":1}"#).add_query(query), Err(why), "{query}");
    }
    let many: String = (0..257).map(|at| format!("{at}=&")).collect();
    assert_eq!(Params::none().add_query(&many), Err(ScanError::TooMany));
}

#[test]
fn a_value_of_the_wrong_type_is_never_said() {
    let secret = "hunter2";
    let params = params(&format!(
        r#"{{"number":"{secret}","boolean":"{secret}","seconds":"{secret}","base64":"{secret}!","string":["{secret}"],
            "list":[["{secret}"]],"numbers":"{secret}","map":"{secret}","nested":"{secret}","each":["{secret}"]}}"#
    ));
    let errors = [
        params.number("number").err(),
        params.boolean("boolean").err(),
        params.seconds("seconds").err(),
        params.base64("base64").err(),
        params.string("string").err(),
        params.list("list").err(),
        params.numbers("numbers").err(),
        params.map("map").err(),
        params.nested("nested").err(),
        params.each("each").err(),
    ];
    for error in errors {
        let error = error.unwrap();
        assert!(!format!("{error:?} {error}").contains(secret), "{}", error.field);
    }
    for body in [
        format!(r#"{{"a":{secret}}}"#),
        format!(r#"{{"{secret}":1,"{secret}":2}}"#),
        format!("[\"{secret}\"]"),
    ] {
        let error = parse(&body).err().unwrap();
        assert!(!format!("{error:?} {error}").contains(secret));
    }
}

proptest! {
    #[test]
    fn arbitrary_text_comes_back_through_object_and_params(text: String, name: String) {
        let body = coffer_wire::Object::new().string("known", &text).string(&format!("_{name}"), "x").finish();
        let params = Params::parse(body, Limits::REQUEST).unwrap();
        let read = params.string("known").unwrap().unwrap();
        prop_assert_eq!(read.as_str(), &text);
        prop_assert_eq!(params.names().nth(1).unwrap(), format!("_{name}"));
    }

    #[test]
    fn arbitrary_bytes_and_queries_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), query: String) {
        let mut params = Params::parse(Zeroizing::new(bytes), Limits::REQUEST).unwrap_or_else(|_| Params::none());
        let _ = params.add_query(&query);
    }
}
