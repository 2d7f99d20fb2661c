//! `key=value` as it is typed: literal, out of a file, from standard input, or asked for without echo.
use crate::pairs::{Source, add, extend, without_newline};
use crate::words::Failure;
use crate::{ask, files};
use serde_json::{Map, Value};
use std::path::Path;
use zeroize::Zeroizing;

/// Reads all arguments into one object.
pub(crate) async fn object(arguments: &[String], takes_json: bool) -> Result<Map<String, Value>, Failure> {
    let mut found = Map::new();
    let mut sources =
        arguments.iter().map(|argument| Source::parse(argument)).collect::<Result<Vec<_>, _>>()?;
    if takes_json {
        sources.push(Source::ObjectInput);
    }
    let takes_input = |source: &&Source<'_>| matches!(source, Source::ObjectInput | Source::Asked(_));
    if !ask::is_terminal() && sources.iter().filter(takes_input).count() > 1 {
        return Err(Failure::InputTwice);
    }
    for source in sources {
        match source {
            Source::Literal(key, value) => add(&mut found, key, value.into())?,
            Source::File(key, path) => add(&mut found, key, files::text(Path::new(path))?.as_str().into())?,
            Source::Asked(key) => {
                let value = asked(key).await?;
                add(&mut found, key, value.as_str().into())?;
            }
            Source::ObjectFile(path) => extend(&mut found, &files::text(Path::new(path))?, path)?,
            Source::ObjectInput => extend(&mut found, &input()?, "standard input")?,
        }
    }
    if found.is_empty() { Err(Failure::NoPair) } else { Ok(found) }
}

async fn asked(key: &str) -> Result<Zeroizing<String>, Failure> {
    if ask::is_terminal() {
        ask::required(&format!("{key} (not shown): ")).await
    } else {
        input().map(without_newline)
    }
}

fn input() -> Result<Zeroizing<String>, Failure> {
    files::text(Path::new("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Map<String, Value>, Failure> {
        let arguments: Vec<_> = arguments.iter().map(|text| (*text).to_owned()).collect();
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(object(&arguments, false))
    }

    #[test]
    fn nothing_at_all_is_refused() {
        assert!(matches!(read(&[]), Err(Failure::NoPair)));
    }

    #[test]
    fn a_key_that_is_given_twice_is_refused_by_name() {
        assert!(matches!(read(&["a=1", "a=2"]), Err(Failure::RepeatedKey(key)) if key == "a"));
    }

    #[test]
    fn files_are_taken_to_the_last_byte_and_objects_with_their_types() {
        let folder = tempfile::tempdir().unwrap();
        let (pem, json) = (folder.path().join("pem"), folder.path().join("json"));
        std::fs::write(&pem, "line\nline\n").unwrap();
        std::fs::write(&json, r#"{"n":1,"deep":{"x":true}}"#).unwrap();
        let found =
            read(&[&format!("pem=@{}", pem.display()), &format!("@{}", json.display())]).ok().unwrap();
        assert_eq!(
            Value::Object(found),
            serde_json::json!({ "pem": "line\nline\n", "n": 1, "deep": { "x": true } })
        );
    }

    #[test]
    fn a_file_that_is_no_object_is_named_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("json");
        std::fs::write(&path, "{\"a\": hunter2}").unwrap();
        let failure = read(&[&format!("@{}", path.display())]).err().unwrap();
        assert!(
            failure.what().contains("line 1, column 7") && !failure.what().contains("hunter"),
            "{}",
            failure.what()
        );
        std::fs::write(&path, "[1]").unwrap();
        assert!(matches!(read(&[&format!("@{}", path.display())]), Err(Failure::NotAnObject(_))));
    }
}
