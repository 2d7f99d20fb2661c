//! Writing JSON: a single pass into one growing buffer that is cleared when it is dropped.
use crate::text::{escape, push};
use zeroize::Zeroizing;

/// A JSON object under construction. Names are written in the order given; the caller gives each once.
pub struct Object {
    text: Zeroizing<Vec<u8>>,
}

/// A JSON array under construction.
pub struct Array {
    text: Zeroizing<Vec<u8>>,
}

impl Default for Object {
    fn default() -> Self {
        Self::new()
    }
}

impl Object {
    /// `{}`.
    #[must_use]
    pub fn new() -> Self {
        Self { text: opened(b'{') }
    }
    /// A string member, escaped.
    #[must_use]
    pub fn string(self, name: &str, value: &str) -> Self {
        self.member(name, |text| escape(text, value))
    }
    /// A member with a non-negative number.
    #[must_use]
    pub fn number(self, name: &str, value: u64) -> Self {
        self.member(name, |text| push(text, value.to_string().as_bytes()))
    }
    /// `true` or `false`.
    #[must_use]
    pub fn boolean(self, name: &str, value: bool) -> Self {
        self.member(name, |text| push(text, if value { b"true" } else { b"false" }))
    }
    /// `null`.
    #[must_use]
    pub fn null(self, name: &str) -> Self {
        self.member(name, |text| push(text, b"null"))
    }
    /// A member whose value is JSON text already.
    #[must_use]
    pub fn raw(self, name: &str, json: &[u8]) -> Self {
        self.member(name, |text| push(text, json))
    }
    /// An array of strings.
    #[must_use]
    pub fn strings<S: AsRef<str>>(self, name: &str, values: impl IntoIterator<Item = S>) -> Self {
        let array = values.into_iter().fold(Array::new(), |array, value| array.string(value.as_ref()));
        self.array(name, array)
    }
    /// A nested object.
    #[must_use]
    pub fn object(self, name: &str, value: Object) -> Self {
        self.raw(name, &value.finish())
    }
    /// A nested array.
    #[must_use]
    pub fn array(self, name: &str, value: Array) -> Self {
        self.raw(name, &value.finish())
    }
    /// The finished text.
    #[must_use]
    pub fn finish(self) -> Zeroizing<Vec<u8>> {
        closed(self.text, b'}')
    }

    fn member(mut self, name: &str, value: impl FnOnce(&mut Zeroizing<Vec<u8>>)) -> Self {
        separate(&mut self.text);
        escape(&mut self.text, name);
        push(&mut self.text, b":");
        value(&mut self.text);
        self
    }
}

impl Default for Array {
    fn default() -> Self {
        Self::new()
    }
}

impl Array {
    /// `[]`.
    #[must_use]
    pub fn new() -> Self {
        Self { text: opened(b'[') }
    }
    /// An object element.
    #[must_use]
    pub fn object(self, value: Object) -> Self {
        self.raw(&value.finish())
    }
    /// A string element, escaped.
    #[must_use]
    pub fn string(mut self, value: &str) -> Self {
        separate(&mut self.text);
        escape(&mut self.text, value);
        self
    }
    /// A non-negative number element.
    #[must_use]
    pub fn number(self, value: u64) -> Self {
        self.raw(value.to_string().as_bytes())
    }
    /// A nested array element.
    #[must_use]
    pub fn array(self, value: Array) -> Self {
        self.raw(&value.finish())
    }
    /// An element that is JSON text already.
    #[must_use]
    pub fn raw(mut self, json: &[u8]) -> Self {
        separate(&mut self.text);
        push(&mut self.text, json);
        self
    }
    /// The finished text.
    #[must_use]
    pub fn finish(self) -> Zeroizing<Vec<u8>> {
        closed(self.text, b']')
    }
}

fn opened(bracket: u8) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(256));
    text.push(bracket);
    text
}

fn separate(text: &mut Zeroizing<Vec<u8>>) {
    if text.len() > 1 {
        push(text, b",");
    }
}

fn closed(mut text: Zeroizing<Vec<u8>>, bracket: u8) -> Zeroizing<Vec<u8>> {
    push(&mut text, &[bracket]);
    text
}
