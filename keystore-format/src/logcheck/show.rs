//! A leaf as a line of JSON, safe to print on a terminal.
use super::{LogId, hex};
use crate::ids::EnvironmentId;
use crate::leaf::{Leaf, LeafKind, Plain};
use alloc::{format, string::String};

/// One line of JSON (RFC 8259) without its newline: commitments in hex, ids and 64-bit numbers that can exceed 2⁵³ as
/// strings, and every control character escaped.
#[must_use]
pub fn json_line(log: LogId, index: u64, leaf: &Leaf) -> String {
    let mut out = Members(String::from("{"));
    out.text("environment", &format!("{}", log.0));
    out.text("incarnation", &format!("{}", EnvironmentId(log.1)));
    out.raw("index", &format!("{index}"));
    out.text("type", kind_name(leaf.kind));
    out.text("id", &format!("{}", leaf.id));
    out.raw("time_ms", &format!("{}", leaf.time_ms));
    out.text("route", &leaf.route);
    out.text("operation", &leaf.operation);
    out.raw("status", &format!("{}", leaf.status));
    if let Some(intent) = leaf.intent {
        out.text("intent", &format!("{intent}"));
    }
    if let Some(actor) = &leaf.actor {
        out.text("actor", &hex(actor));
    }
    if let Some(environment) = leaf.caller_environment {
        out.text("caller_environment", &format!("{environment}"));
    }
    if let Some(mount) = leaf.mount {
        out.text("mount", &format!("{mount}"));
    }
    if !leaf.commitments.is_empty() {
        let mut inner = Members(String::from("{"));
        leaf.commitments.iter().for_each(|(field, value)| inner.text(field, &hex(value)));
        out.raw("commitments", &inner.end());
    }
    if let Some(digest) = &leaf.request_digest {
        out.text("request_digest", &hex(digest));
    }
    if let Some(state) = &leaf.state {
        let mut inner = Members(String::from("{"));
        inner.text("generation", &format!("{}", state.generation));
        inner.text("root_before", &hex(&state.root_before));
        inner.text("root_after", &hex(&state.root_after));
        out.raw("state", &inner.end());
    }
    if !leaf.plain.is_empty() {
        let mut inner = Members(String::from("{"));
        for (field, value) in &leaf.plain {
            match value {
                Plain::Text(text) => inner.text(field, text),
                Plain::Uint(value) => inner.text(field, &format!("{value}")),
            }
        }
        out.raw("plain", &inner.end());
    }
    out.end()
}

const fn kind_name(kind: LeafKind) -> &'static str {
    match kind {
        LeafKind::Request => "request",
        LeafKind::Intent => "intent",
        LeafKind::Result => "result",
        LeafKind::State => "state",
        LeafKind::Fork => "fork",
        LeafKind::CheckpointRef => "round",
        LeafKind::NodeEvent => "node_event",
    }
}

struct Members(String);

impl Members {
    fn text(&mut self, name: &str, value: &str) {
        let mut quoted = String::new();
        quote(&mut quoted, value);
        self.raw(name, &quoted);
    }

    fn raw(&mut self, name: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        quote(&mut self.0, name);
        self.0.push(':');
        self.0.push_str(value);
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Escapes what JSON must have escaped, and what a terminal would obey: C0, DEL, C1, and the marks that turn text around.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{2028}'
            | '\u{2029}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                out.push_str(&format!("\\u{:04x}", character as u32));
            }
            control if control.is_control() => out.push_str(&format!("\\u{:04x}", control as u32)),
            other => out.push(other),
        }
    }
    out.push('"');
}
