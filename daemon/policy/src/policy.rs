//! A policy: its text, read once into stanzas that mean exactly what they say, or refused.
//!
//! What can't be honoured is refused with its reason rather than left out: a stanza that is silently weaker than its
//! author thinks is worse than none.
use crate::capabilities::Capabilities;
use crate::pattern::Pattern;
use crate::rule::{Conditions, Parameters, Rule};
use crate::syntax::{self, Member, Node, SyntaxError, Value};
use coffer_types::EnvironmentPath;
use std::fmt;

/// The longest text of a policy, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// The most stanzas of a policy.
const MAX_STANZAS: usize = 10_000;

/// A policy that was read without error.
pub struct Policy {
    pub(crate) stanzas: Vec<Stanza>,
    pub(crate) is_root: bool,
}

/// One `path` of a policy.
pub(crate) struct Stanza {
    pub(crate) rule: Rule,
    /// The environments it acts in; none named: the policy's own.
    pub(crate) environments: Vec<EnvironmentPath>,
}

/// Why a policy is refused, and where. Never carries its text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PolicyError {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What is wrong or what would be right.
    pub what: &'static str,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.what)
    }
}

impl std::error::Error for PolicyError {}

impl Policy {
    /// Reads a policy in HCL1 or, where it begins with `{`, in JSON.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > MAX_BYTES {
            return Err(PolicyError { line: 1, column: 1, what: "a policy has at most 1 MiB" });
        }
        let stanzas = syntax::document(text)
            .and_then(|members| stanzas(&members))
            .map_err(|error| placed(text, &error))?;
        Ok(Self { stanzas, is_root: false })
    }

    /// The policy that allows everything in its environment and below. No text can say this: it is made here only.
    #[must_use]
    pub fn root() -> Self {
        Self { stanzas: Vec::new(), is_root: true }
    }
}

fn placed(text: &str, error: &SyntaxError) -> PolicyError {
    let before = text.get(..error.at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    PolicyError { line: before.matches('\n').count() + 1, column, what: error.what }
}

fn stanzas(members: &[Member]) -> Result<Vec<Stanza>, SyntaxError> {
    let mut stanzas = Vec::new();
    for member in members {
        match member.name.as_str() {
            // Vault knows a policy by the name it is written under and ignores this one.
            "name" => {}
            "path" => {
                for named in objects(&member.node)? {
                    for stanza in named {
                        for body in objects(&stanza.node)? {
                            stanzas.push(read_stanza(stanza, body)?);
                        }
                    }
                }
            }
            _ => return Err(SyntaxError { at: member.at, what: "only 'path' and 'name' may stand here" }),
        }
        if stanzas.len() > MAX_STANZAS {
            return Err(SyntaxError { at: member.at, what: "a policy has at most 10,000 paths" });
        }
    }
    Ok(stanzas)
}

/// An object, or a list of them: in JSON, blocks of the same name are one list.
fn objects<'n>(node: &'n Node) -> Result<Vec<&'n [Member]>, SyntaxError> {
    let members = |node: &'n Node| match &node.value {
        Value::Object(members) => Ok(members.as_slice()),
        _ => Err(SyntaxError { at: node.at, what: "a block or an object must stand here" }),
    };
    match &node.value {
        Value::List(list) => list.iter().map(members).collect(),
        _ => Ok(vec![members(node)?]),
    }
}

fn read_stanza(stanza: &Member, body: &[Member]) -> Result<Stanza, SyntaxError> {
    let pattern = Pattern::parse(&stanza.name).map_err(|what| SyntaxError { at: stanza.at, what })?;
    let mut capabilities = Capabilities::NONE;
    let mut conditions = Conditions::default();
    let mut environments = Vec::new();
    for (index, member) in body.iter().enumerate() {
        let refused = |what| Err(SyntaxError { at: member.at, what });
        let is_repeated = body.iter().take(index).any(|earlier| earlier.name == member.name);
        if is_repeated && !matches!(member.name.as_str(), "allowed_parameters" | "denied_parameters") {
            return refused("this stands twice");
        }
        let node = &member.node;
        match member.name.as_str() {
            "comment" => {}
            "capabilities" => {
                for (name, at) in texts(node)? {
                    let known = Capabilities::named(name).ok_or(SyntaxError {
                        at,
                        what: "a capability is one of create, read, update, patch, delete, list, scan, sudo, deny",
                    });
                    capabilities = capabilities.and(known?);
                }
            }
            "policy" => {
                let legacy = text(node).ok().and_then(Capabilities::legacy);
                let legacy = legacy.ok_or(SyntaxError {
                    at: node.at,
                    what: "must be \"deny\", \"read\", \"write\" or \"sudo\"",
                });
                capabilities = capabilities.and(legacy?);
            }
            "allowed_parameters" => parameters(&mut conditions.allowed, node)?,
            "denied_parameters" => parameters(&mut conditions.denied, node)?,
            "required_parameters" => {
                conditions.required = texts(node)?.into_iter().map(|(name, _)| name.to_lowercase()).collect();
            }
            "min_wrapping_ttl" => conditions.min_wrapping_seconds = seconds(node)?,
            "max_wrapping_ttl" => conditions.max_wrapping_seconds = seconds(node)?,
            "pagination_limit" => conditions.page_limit = page_limit(node)?,
            "environments" => {
                for (name, at) in texts(node)? {
                    let what = "must name environments below this one, such as \"acme/prod\"";
                    let path = EnvironmentPath::parse(name).ok().filter(|path| !path.is_root());
                    environments.push(path.ok_or(SyntaxError { at, what })?);
                }
                if environments.is_empty() {
                    return refused("must name at least one environment");
                }
            }
            "control_group" => {
                return refused("control groups are not supported; a path that needs one can't be granted");
            }
            "mfa_methods" => {
                return refused("MFA methods are not supported; a path that needs one can't be granted");
            }
            "expiration" => {
                return refused("a stanza that expires is not supported; give the token a time to live");
            }
            "list_scan_response_keys_filter_path" => return refused("filtered listings are not supported"),
            _ => return refused("this attribute is not known"),
        }
    }
    if let (Some(min), Some(max)) = (conditions.min_wrapping_seconds, conditions.max_wrapping_seconds)
        && max < min
    {
        return Err(SyntaxError {
            at: stanza.at,
            what: "max_wrapping_ttl must not be less than min_wrapping_ttl",
        });
    }
    let conditions = (!conditions.is_empty() && !capabilities.is_denial()).then(|| Box::new(conditions));
    Ok(Stanza { rule: Rule { pattern, capabilities, conditions }, environments })
}

fn parameters(into: &mut Parameters, node: &Node) -> Result<(), SyntaxError> {
    for members in objects(node)? {
        for member in members {
            let values = match &member.node.value {
                Value::List(list) => list.iter().map(|element| element.value.clone()).collect(),
                single => vec![single.clone()],
            };
            if into.insert(member.name.to_lowercase(), values).is_some() {
                return Err(SyntaxError { at: member.at, what: "this parameter stands twice" });
            }
        }
    }
    Ok(())
}

fn text(node: &Node) -> Result<&str, SyntaxError> {
    match &node.value {
        Value::Text(text) => Ok(text),
        _ => Err(SyntaxError { at: node.at, what: "must be a text" }),
    }
}

/// A list of texts with their places.
fn texts(node: &Node) -> Result<Vec<(&str, usize)>, SyntaxError> {
    match &node.value {
        Value::List(list) => list.iter().map(|element| Ok((text(element)?, element.at))).collect(),
        _ => Err(SyntaxError { at: node.at, what: "must be a list of texts" }),
    }
}

/// A duration; zero is none.
fn seconds(node: &Node) -> Result<Option<u64>, SyntaxError> {
    let seconds = match &node.value {
        Value::Text(text) | Value::Number(text) => coffer_wire::parse_seconds(text),
        _ => None,
    };
    let what = "must be a number of seconds or a duration such as \"1h30m\"";
    Ok(Some(seconds.ok_or(SyntaxError { at: node.at, what })?).filter(|seconds| *seconds > 0))
}

fn page_limit(node: &Node) -> Result<Option<u64>, SyntaxError> {
    let limit = match &node.value {
        Value::Number(text) => text.parse().ok(),
        _ => None,
    };
    Ok(Some(limit.ok_or(SyntaxError { at: node.at, what: "must be a whole number" })?)
        .filter(|limit| *limit > 0))
}
