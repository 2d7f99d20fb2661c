//! An answer, before it has a shape on the wire.
use coffer_wire::Object;
use tokio::sync::mpsc::Receiver;
use zeroize::Zeroizing;

/// What is answered. The gateway gives it the API's envelope.
pub struct Answer {
    /// The body.
    pub body: Body,
    /// Lease of the answer, in seconds; 0 for none. KV v1 fills it from `ttl`.
    pub lease_seconds: u64,
    /// Warnings for a person.
    pub warnings: Vec<String>,
    /// Fields of the answer that are committed to in the audit leaf: name and value. Names are fixed words.
    pub committed: Vec<(&'static str, Zeroizing<Vec<u8>>)>,
    /// Status where it is not the body's own (200, or 204 without a body).
    pub status: Option<u16>,
}

/// The body of an answer.
pub enum Body {
    /// 204.
    Empty,
    /// `data` of the envelope.
    Data(Zeroizing<Vec<u8>>),
    /// `data` of the envelope, its members repeated at the top level: what `sys/` reads do.
    SystemData(Zeroizing<Vec<u8>>),
    /// `auth` of the envelope.
    Auth(Zeroizing<Vec<u8>>),
    /// A JSON text without envelope.
    Bare(Zeroizing<Vec<u8>>),
    /// Bytes with a content type.
    Bytes(&'static str, Zeroizing<Vec<u8>>),
    /// Bytes that are made while they are sent: a backup. Where the channel ends without the last piece, or gives an
    /// error, the connection is broken off, so that nobody takes a part for the whole.
    Pieces(Receiver<Piece>),
}

/// One piece of a body that is made while it is sent.
pub enum Piece {
    /// More follows.
    Bytes(Vec<u8>),
    /// All was sent.
    End,
}

impl Answer {
    fn new(body: Body) -> Self {
        Self { body, lease_seconds: 0, warnings: Vec::new(), committed: Vec::new(), status: None }
    }

    /// Done, with nothing to say: 204.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(Body::Empty)
    }

    /// `data` of the envelope.
    #[must_use]
    pub fn data(data: Object) -> Self {
        Self::new(Body::Data(data.finish()))
    }

    /// The names of a listing. An empty one is a 404 without errors, as the API has it.
    ///
    /// # Errors
    /// [`crate::Fault::NotFound`] where there are no names.
    pub fn keys<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, crate::Fault> {
        let mut names = names.into_iter().peekable();
        if names.peek().is_none() {
            return Err(crate::Fault::NotFound);
        }
        Ok(Self::data(Object::new().strings("keys", names)))
    }

    /// `data` of the envelope, repeated at the top level.
    #[must_use]
    pub fn system(data: Object) -> Self {
        Self::new(Body::SystemData(data.finish()))
    }

    /// `auth` of the envelope.
    #[must_use]
    pub fn auth(auth: Object) -> Self {
        Self::new(Body::Auth(auth.finish()))
    }

    /// A JSON text without envelope.
    #[must_use]
    pub fn bare(json: Object) -> Self {
        Self::new(Body::Bare(json.finish()))
    }

    /// Bytes with a content type.
    #[must_use]
    pub fn bytes(content_type: &'static str, bytes: Zeroizing<Vec<u8>>) -> Self {
        Self::new(Body::Bytes(content_type, bytes))
    }

    /// Bytes that are made while they are sent.
    #[must_use]
    pub fn pieces(pieces: Receiver<Piece>) -> Self {
        Self::new(Body::Pieces(pieces))
    }

    /// With a warning.
    #[must_use]
    pub fn warn(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }

    /// With a field that the audit leaf commits to.
    #[must_use]
    pub fn commit(mut self, field: &'static str, value: &[u8]) -> Self {
        self.committed.push((field, Zeroizing::new(value.to_vec())));
        self
    }
}
