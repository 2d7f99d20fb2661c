//! The two spellings of a policy, HCL1 (the part of it that policies use) and JSON, read into one tree.
//!
//! Own and small because what is at hand reads HCL2, which refuses policies that Vault takes, and prints the source in its
//! errors. Not here, on purpose: heredocs, interpolation, octal and hexadecimal numbers.
use zeroize::Zeroizing;

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// Byte offset in the source.
    pub(crate) at: usize,
}

/// A value of either spelling. No `Debug`: request parameters are read with this too.
#[derive(Clone)]
pub(crate) enum Value {
    Text(Zeroizing<String>),
    Number(Zeroizing<String>),
    Bool(bool),
    Null,
    List(Vec<Node>),
    Object(Vec<Member>),
}

/// `name = value`, `"name": value`, or a block `name "label" { … }`, which is the object `{ label = { … } }`.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) name: Zeroizing<String>,
    pub(crate) at: usize,
    pub(crate) node: Node,
}

/// What is wrong, and at which byte.
pub(crate) struct SyntaxError {
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

/// Containers in containers in a policy: `path` → name → `allowed_parameters` → name → list, and some room for values.
const POLICY_DEPTH: usize = 16;
/// What the scanner of request bodies lets through.
const JSON_DEPTH: usize = 128;

/// Reads a whole policy: JSON where it begins with `{`, HCL otherwise.
pub(crate) fn document(text: &str) -> Result<Vec<Member>, SyntaxError> {
    let is_json = text.trim_start().starts_with('{');
    let mut reader = Reader { text, at: 0, is_json, depth_left: POLICY_DEPTH };
    if is_json {
        let node = reader.whole()?;
        return match node.value {
            Value::Object(members) => Ok(members),
            _ => Err(SyntaxError { at: node.at, what: "a policy in JSON must be an object" }),
        };
    }
    reader.skip()?;
    reader.members(None)
}

/// Reads one JSON value that has passed a scan before.
pub(crate) fn json(text: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(text).ok()?;
    let mut reader = Reader { text, at: 0, is_json: true, depth_left: JSON_DEPTH };
    reader.whole().ok().map(|node| node.value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    is_json: bool,
    depth_left: usize,
}

impl<'a> Reader<'a> {
    fn whole(&mut self) -> Result<Node, SyntaxError> {
        self.skip()?;
        let node = self.value()?;
        self.skip()?;
        if self.peek().is_some() { Err(self.error("nothing may follow the closing brace")) } else { Ok(node) }
    }

    /// Members up to `close`, which is consumed; up to the end of the text where there is none.
    fn members(&mut self, close: Option<char>) -> Result<Vec<Member>, SyntaxError> {
        let mut members = Vec::new();
        loop {
            if self.peek() == close {
                self.next();
                return Ok(members);
            }
            let (name, at) = self.name()?;
            self.skip()?;
            let node = self.member_value()?;
            members.push(Member { name, at, node });
            self.skip()?;
            let has_comma = self.eat(',')?;
            if self.is_json && has_comma == (self.peek() == close) {
                return Err(self.error("members must be separated by commas, with none behind the last"));
            }
        }
    }

    fn member_value(&mut self) -> Result<Node, SyntaxError> {
        match (self.peek(), self.is_json) {
            (Some(':'), true) | (Some('='), false) => {
                self.next();
                self.skip()?;
                self.value()
            }
            (_, true) => Err(self.error("a colon must follow a name")),
            (Some('{'), false) => self.value(),
            (Some('"' | 'a'..='z' | 'A'..='Z' | '_'), false) => self.labelled(),
            _ => Err(self.error("an equals sign or a block must follow a name")),
        }
    }

    /// The rest of a block behind its first name: a label, then the block itself.
    fn labelled(&mut self) -> Result<Node, SyntaxError> {
        let (name, at) = self.name()?;
        self.skip()?;
        if self.peek() != Some('{') {
            return Err(self.error("a block must have one label and an opening brace"));
        }
        let node = self.value()?;
        Ok(Node { value: Value::Object(vec![Member { name, at, node }]), at })
    }

    fn name(&mut self) -> Result<(Zeroizing<String>, usize), SyntaxError> {
        let at = self.at;
        match self.peek() {
            Some('"') => Ok((self.quoted()?, at)),
            Some(c) if !self.is_json && is_word_start(c) => Ok((Zeroizing::new(self.word().to_owned()), at)),
            None => Err(self.error("a closing brace is missing")),
            _ => Err(self.error("a name must stand here")),
        }
    }

    fn value(&mut self) -> Result<Node, SyntaxError> {
        let at = self.at;
        let value = match self.peek() {
            Some('"') => Value::Text(self.quoted()?),
            Some('{') => Value::Object(self.nested(|reader| reader.members(Some('}')))?),
            Some('[') => Value::List(self.nested(Self::elements)?),
            Some('-' | '0'..='9') => Value::Number(self.number()?),
            Some('<') => return Err(self.error("heredocs are not supported; write a quoted text")),
            Some(c) if is_word_start(c) => match self.word() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" if self.is_json => Value::Null,
                _ => return Err(SyntaxError { at, what: "a text must be quoted" }),
            },
            None => return Err(self.error("a value is missing")),
            _ => return Err(self.error("a value must stand here")),
        };
        Ok(Node { value, at })
    }

    /// What stands behind an opening bracket or brace, read by `inside`, which takes the closing one too.
    fn nested<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, SyntaxError>,
    ) -> Result<T, SyntaxError> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or(self.error("nested too deeply"))?;
        self.next();
        self.skip()?;
        let read = inside(self)?;
        self.depth_left += 1;
        Ok(read)
    }

    fn elements(&mut self) -> Result<Vec<Node>, SyntaxError> {
        let mut elements = Vec::new();
        loop {
            match self.peek() {
                Some(']') => {
                    self.next();
                    return Ok(elements);
                }
                None => return Err(self.error("a closing bracket is missing")),
                _ => elements.push(self.value()?),
            }
            self.skip()?;
            let has_comma = self.eat(',')?;
            let is_end = self.peek() == Some(']');
            if (!has_comma && !is_end) || (self.is_json && has_comma && is_end) {
                return Err(self.error("elements must be separated by commas"));
            }
        }
    }

    fn word(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')))
            .unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// RFC 8259's numbers; HCL's decimal ones are among them.
    fn number(&mut self) -> Result<Zeroizing<String>, SyntaxError> {
        let start = self.at;
        while matches!(self.peek(), Some('-' | '+' | '.' | 'e' | 'E' | '0'..='9')) {
            self.next();
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let is_number = text.parse::<f64>().is_ok_and(f64::is_finite) && !text.starts_with('+');
        let is_followed_by_word = self.peek().is_some_and(is_word_start);
        if !is_number || is_followed_by_word {
            return Err(SyntaxError { at: start, what: "this is not a decimal number" });
        }
        Ok(Zeroizing::new(text.to_owned()))
    }

    fn quoted(&mut self) -> Result<Zeroizing<String>, SyntaxError> {
        let start = self.at;
        self.next();
        // Decoded text is never longer than its escapes.
        let rest = self.text.get(self.at..).unwrap_or_default();
        let capacity = rest.find('"').unwrap_or(0);
        let mut out = Zeroizing::new(String::with_capacity(capacity));
        loop {
            match self.next() {
                Some('"') => return Ok(out),
                Some('\\') => out.push(self.escape()?),
                None | Some('\n') => {
                    return Err(SyntaxError { at: start, what: "a closing quote is missing" });
                }
                Some(c) if c.is_control() && c != '\t' => {
                    return Err(SyntaxError {
                        at: start,
                        what: "a text must not contain control characters",
                    });
                }
                Some(c) => out.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let error = SyntaxError { at: self.at.saturating_sub(1), what: "this escape is not known" };
        Ok(match self.next() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => {
                let high = self.hex(4).ok_or(SyntaxError { ..error })?;
                let code = if (0xd800..0xdc00).contains(&high) {
                    let is_pair = self.next() == Some('\\') && self.next() == Some('u');
                    let low = self.hex(4).filter(|low| is_pair && (0xdc00..0xe000).contains(low));
                    0x1_0000 + ((high - 0xd800) << 10) + (low.ok_or(SyntaxError { ..error })? - 0xdc00)
                } else {
                    high
                };
                char::from_u32(code).ok_or(error)?
            }
            Some('U') if !self.is_json => self.hex(8).and_then(char::from_u32).ok_or(error)?,
            _ => return Err(error),
        })
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        (0..digits).try_fold(0u32, |code, _| code.checked_mul(16)?.checked_add(self.next()?.to_digit(16)?))
    }

    /// Space, and in HCL comments.
    fn skip(&mut self) -> Result<(), SyntaxError> {
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            self.at += rest.len() - trimmed.len();
            if self.is_json {
                return Ok(());
            }
            let comment = if trimmed.starts_with('#') || trimmed.starts_with("//") {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else if let Some(inner) = trimmed.strip_prefix("/*") {
                inner.find("*/").ok_or(self.error("a comment is not closed"))? + 4
            } else {
                return Ok(());
            };
            self.at += comment;
        }
    }

    fn eat(&mut self, wanted: char) -> Result<bool, SyntaxError> {
        let is_there = self.peek() == Some(wanted);
        if is_there {
            self.next();
            self.skip()?;
        }
        Ok(is_there)
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn error(&self, what: &'static str) -> SyntaxError {
        SyntaxError { at: self.at, what }
    }
}

fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}
