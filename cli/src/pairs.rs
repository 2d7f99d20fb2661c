//! `key=value` as a text: which value it is, or where one lies. Nothing is read here but what stands in the argument.
use crate::words::Failure;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// One pair, or a whole object.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Source<'a> {
    /// `key=value`; `key=\@value` and `key=\-` where the value itself begins so.
    Literal(&'a str, &'a str),
    /// `key=@file`: the file's text, to the last byte.
    File(&'a str, &'a str),
    /// `key=-`: typed without echo, or all of standard input but for one newline at its end.
    Asked(&'a str),
    /// `@file`: a JSON object.
    ObjectFile(&'a str),
    /// `-`: a JSON object from standard input.
    ObjectInput,
}

impl<'a> Source<'a> {
    pub(crate) fn parse(argument: &'a str) -> Result<Self, Failure> {
        if argument == "-" {
            return Ok(Self::ObjectInput);
        }
        if let Some(path) = argument.strip_prefix('@').filter(|_| !argument.contains('=')) {
            return Ok(Self::ObjectFile(path));
        }
        match argument.split_once('=') {
            None | Some(("", _)) => Err(Failure::NoPair),
            Some((key, "-")) => Ok(Self::Asked(key)),
            Some((key, value)) => Ok(match (value.strip_prefix('@'), value.strip_prefix('\\')) {
                (Some(path), _) => Self::File(key, path),
                (_, Some(rest)) if rest == "-" || rest.starts_with('@') => Self::Literal(key, rest),
                _ => Self::Literal(key, value),
            }),
        }
    }
}

/// `key=value` pairs of plain text, such as metadata.
pub(crate) fn texts(arguments: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut found = Map::new();
    for argument in arguments {
        match argument.split_once('=') {
            Some((key, value)) if !key.is_empty() => add(&mut found, key, value.into())?,
            _ => return Err(Failure::NoPair),
        }
    }
    Ok(found)
}

/// `echo` and editors add one newline that nobody means to be a part of a password.
pub(crate) fn without_newline(mut text: Zeroizing<String>) -> Zeroizing<String> {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

pub(crate) fn add(found: &mut Map<String, Value>, key: &str, value: Value) -> Result<(), Failure> {
    match found.insert(key.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(Failure::RepeatedKey(key.to_owned())),
    }
}

pub(crate) fn extend(found: &mut Map<String, Value>, text: &str, source: &str) -> Result<(), Failure> {
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => {
            members.into_iter().try_for_each(|(key, value)| add(found, &key, value))
        }
        Ok(_) => Err(Failure::NotAnObject(source.to_owned())),
        // serde's own sentence may quote the value.
        Err(error) => {
            Err(Failure::NotJson { source: source.to_owned(), line: error.line(), column: error.column() })
        }
    }
}

/// A parser for `1,2,3`.
pub(crate) fn version(text: &str) -> Result<u64, &'static str> {
    match text.trim().parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("versions are whole numbers from 1 on, with commas between them"),
    }
}

/// A parser for times such as `90s`, `1h30m`, `7d`: the text as it was, once it is known to be one.
pub(crate) fn period(text: &str) -> Result<String, &'static str> {
    match coffer_wire::parse_seconds(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("a time is written as 90s, 1h30m or 7d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(argument: &str) -> Source<'_> {
        Source::parse(argument).ok().unwrap()
    }

    #[test]
    fn a_pair_is_literal_or_names_its_source() {
        assert_eq!(source("k=v"), Source::Literal("k", "v"));
        assert_eq!(source("k="), Source::Literal("k", ""));
        assert_eq!(source("k=a=b@c"), Source::Literal("k", "a=b@c"));
        assert_eq!(source("k=@/etc/x"), Source::File("k", "/etc/x"));
        assert_eq!(source("k=-"), Source::Asked("k"));
        assert_eq!(source("k=-1"), Source::Literal("k", "-1"));
        assert_eq!(source("-"), Source::ObjectInput);
        assert_eq!(source("@all.json"), Source::ObjectFile("all.json"));
        assert_eq!(source("@k=v"), Source::Literal("@k", "v"));
    }

    #[test]
    fn a_value_that_looks_like_a_source_can_be_escaped() {
        assert_eq!(source(r"k=\@home"), Source::Literal("k", "@home"));
        assert_eq!(source(r"k=\-"), Source::Literal("k", "-"));
        assert_eq!(source(r"k=\n"), Source::Literal("k", r"\n"));
        assert_eq!(source(r"k=\-x"), Source::Literal("k", r"\-x"));
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        assert!(matches!(Source::parse("hunter2"), Err(Failure::NoPair)));
        assert!(matches!(Source::parse("=x"), Err(Failure::NoPair)));
    }

    #[test]
    fn one_newline_at_the_end_of_standard_input_is_nobodys_password() {
        for (input, value) in [("pw\n", "pw"), ("pw\r\n", "pw"), ("pw\n\n", "pw\n"), ("pw", "pw"), ("\n", "")]
        {
            assert_eq!(*without_newline(Zeroizing::new(input.to_owned())), value);
        }
    }
}
