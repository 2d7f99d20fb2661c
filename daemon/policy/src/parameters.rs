//! Conditions on a request's parameters, as Vault checks them.
//!
//! One step stricter than Vault where it denies: handlers read `1` and `"1"`, `true` and `"t"`, `["a"]` and `"a,b"` alike,
//! so a denied value is looked for in every one of these spellings.
use crate::permit::Refusal;
use crate::rule::Conditions;
use crate::syntax::{Value, json};
use coffer_types::Operation;
use coffer_wire::Params;

impl Conditions {
    /// Checks what a request carries. For LIST and SCAN gives the page size that must be kept, if there is one.
    pub(crate) fn check(
        &self,
        operation: Operation,
        params: &Params,
        wrap_seconds: Option<u64>,
    ) -> Result<Option<u64>, Refusal> {
        self.check_wrapping(wrap_seconds)?;
        match operation {
            Operation::Read | Operation::Write | Operation::Patch => {
                self.check_parameters(params).map(|()| None)
            }
            Operation::List | Operation::Scan => self.page(params),
            Operation::Delete => Ok(None),
        }
    }

    fn check_wrapping(&self, wrap_seconds: Option<u64>) -> Result<(), Refusal> {
        let (min, max) = (self.min_wrapping_seconds, self.max_wrapping_seconds);
        if min.is_none() && max.is_none() {
            return Ok(());
        }
        match wrap_seconds {
            Some(wrap) if min.is_none_or(|min| wrap >= min) && max.is_none_or(|max| wrap <= max) => Ok(()),
            _ => Err(Refusal::Wrapping),
        }
    }

    fn check_parameters(&self, params: &Params) -> Result<(), Refusal> {
        if !self.required.iter().all(|name| params.has(name)) {
            return Err(Refusal::Parameter);
        }
        if params.names().next().is_none() {
            return Ok(());
        }
        if self.denied.contains_key("*") {
            return Err(Refusal::Parameter);
        }
        let is_any_allowed = self.allowed.is_empty() || self.allowed.contains_key("*");
        for name in params.names() {
            let folded = name.to_lowercase();
            let (denied, allowed) = (self.denied.get(&folded), self.allowed.get(&folded));
            if denied.is_none() && allowed.is_none() {
                if is_any_allowed {
                    continue;
                }
                return Err(Refusal::Parameter);
            }
            let given = params.raw(name).and_then(json).ok_or(Refusal::Parameter)?;
            if denied
                .is_some_and(|values| values.is_empty() || values.iter().any(|value| may_mean(&given, value)))
            {
                return Err(Refusal::Parameter);
            }
            match allowed {
                Some(values) if !values.is_empty() && !values.iter().any(|value| equals(&given, value)) => {
                    return Err(Refusal::Parameter);
                }
                None if !is_any_allowed => return Err(Refusal::Parameter),
                _ => {}
            }
        }
        Ok(())
    }

    /// The page size to keep: what is asked for where it is within the limit, the limit where nothing or `max` is asked for.
    fn page(&self, params: &Params) -> Result<Option<u64>, Refusal> {
        let Some(limit) = self.page_limit else { return Ok(None) };
        let Some(asked) = params.string("limit").map_err(|_| Refusal::PageLimit)? else {
            let is_required = self.required.iter().any(|name| name == "limit");
            return if is_required { Err(Refusal::PageLimit) } else { Ok(Some(limit)) };
        };
        match asked.trim() {
            "" | "0" | "max" => Ok(Some(limit)),
            number => match number.parse::<u64>() {
                Ok(0) => Ok(Some(limit)),
                Ok(asked) if asked <= limit => Ok(Some(asked)),
                _ => Err(Refusal::PageLimit),
            },
        }
    }
}

/// Whether a given value is the one of a stanza: texts by glob, everything else by value. A number or truth value is
/// the same as its text, because handlers take either.
fn equals(given: &Value, wanted: &Value) -> bool {
    match (given, wanted) {
        (Value::Null, Value::Null) => true,
        (Value::List(given), Value::List(wanted)) => {
            given.len() == wanted.len()
                && given.iter().zip(wanted).all(|(given, wanted)| equals(&given.value, &wanted.value))
        }
        (Value::Object(given), Value::Object(wanted)) => {
            given.len() == wanted.len()
                && wanted.iter().all(|wanted| {
                    let same = given.iter().find(|given| *given.name == *wanted.name);
                    same.is_some_and(|given| equals(&given.node.value, &wanted.node.value))
                })
        }
        _ => match (scalar(given), scalar(wanted)) {
            (Some(given), Some(wanted)) => glob(wanted, given),
            _ => false,
        },
    }
}

/// Whether a handler could read the denied value out of what is given.
fn may_mean(given: &Value, denied: &Value) -> bool {
    if equals(given, denied) {
        return true;
    }
    match (given, scalar(given), scalar(denied)) {
        (Value::List(elements), _, _) => elements.iter().any(|element| may_mean(&element.value, denied)),
        (_, Some(given), Some(denied)) => {
            given.split(',').any(|part| glob(denied, part.trim()))
                || truth(denied).is_some_and(|denied| truth(given) == Some(denied))
        }
        _ => false,
    }
}

fn scalar(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) | Value::Number(text) => Some(text),
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        Value::Null | Value::List(_) | Value::Object(_) => None,
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.trim() {
        "1" | "t" | "T" => Some(true),
        "0" | "f" | "F" => Some(false),
        word if word.eq_ignore_ascii_case("true") => Some(true),
        word if word.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// `*` at the beginning, at the end or at both, as in Vault; elsewhere it is a character.
fn glob(pattern: &str, text: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(rest), Some(_)) => rest.strip_suffix('*').is_some_and(|middle| text.contains(middle)),
        (Some(end), None) => text.ends_with(end),
        (None, Some(start)) => text.starts_with(start),
        (None, None) => text == pattern,
    }
}
