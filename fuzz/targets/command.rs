//! What is typed behind `coffer`: `key=value`, versions and times, and where a secret is by what the daemon says.
#![no_main]
use coffer_fuzz::texts;
use libfuzzer_sys::fuzz_target;
use pairs::Source;
use serde_json::Value;
use words::Failure;
use zeroize::Zeroizing;

// Modules of the command's binary, taken in here as they stand.
#[allow(dead_code)]
#[path = "../../cli/src/pairs.rs"]
mod pairs;
#[allow(dead_code)]
#[path = "../../cli/src/kv/place.rs"]
mod place;
#[allow(dead_code)]
#[path = "../../cli/src/shapes.rs"]
mod shapes;
#[allow(dead_code, unused_imports)]
#[path = "../../cli/src/words/mod.rs"]
mod words;

/// A word of the kept corpus that stands where secrets stand: no failure may repeat it.
const SECRET: &str = "hunter2";

fuzz_target!(|data: &[u8]| {
    let [arguments, answer] = texts(data).map(|text| core::str::from_utf8(text).unwrap_or_default());
    let arguments: Vec<String> = arguments.lines().map(str::to_owned).collect();
    for argument in &arguments {
        match Source::parse(argument) {
            // A key is a name, and may be said; what is behind it may not.
            Ok(source) => assert_eq!(spelt(&source, argument), *argument),
            Err(failure) => silent(&failure),
        }
        if let Ok(number) = pairs::version(argument) {
            assert!(number > 0 && pairs::version(&number.to_string()) == Ok(number));
        }
        if let Ok(time) = pairs::period(argument) {
            assert!(time == *argument && coffer_wire::parse_seconds(&time).is_some());
        }
    }
    if let Ok(found) = pairs::texts(&arguments) {
        assert!(
            found.len() == arguments.len()
                && found.iter().all(|(key, value)| {
                    let own = format!("{key}={}", value.as_str().expect("a text"));
                    arguments.contains(&own)
                })
        );
    }

    let text = pairs::without_newline(Zeroizing::new(answer.to_owned()));
    assert!(answer.strip_prefix(text.as_str()).is_some_and(|cut| matches!(cut, "" | "\n" | "\r\n")));

    let mut found = serde_json::Map::new();
    match pairs::extend(&mut found, answer, "standard input") {
        Ok(()) => assert_eq!(serde_json::from_str::<Value>(answer).ok(), Some(Value::Object(found.clone()))),
        Err(Failure::RepeatedKey(_)) => unreachable!("it was empty"),
        Err(failure) => silent(&failure),
    }
    let Some(full) = arguments.first().map(|path| path.trim_matches('/')) else { return };
    let Ok(place) = place::Place::of(full, &Value::Object(found)) else { return };
    let (data, shown) = (place.api("data"), place.shown());
    assert!(
        !data.ends_with('/')
            && shown.starts_with(&place.mount)
            && data.starts_with(place.mount.trim_end_matches('/'))
    );
    let rest = shown.strip_prefix(&place.mount).unwrap_or_default();
    assert!(full.ends_with(rest) && data.ends_with(rest), "{full:?} is not {shown:?}");
    assert_eq!(place.secret().is_ok(), !rest.is_empty());
});

/// The argument that a source was read from.
fn spelt(source: &Source<'_>, argument: &str) -> String {
    match source {
        Source::Literal(key, value) if argument.len() == key.len() + value.len() + 1 => {
            format!("{key}={value}")
        }
        Source::Literal(key, value) => format!("{key}=\\{value}"),
        Source::File(key, path) => format!("{key}=@{path}"),
        Source::Asked(key) => format!("{key}=-"),
        Source::ObjectFile(path) => format!("@{path}"),
        Source::ObjectInput => "-".to_owned(),
    }
}

/// A failure says what was wrong, in one line, and nothing of what was typed.
fn silent(failure: &Failure) {
    let words = failure.what() + &failure.next();
    assert!(!words.is_empty() && !words.contains('\n') && !words.contains(SECRET), "{words}");
}
