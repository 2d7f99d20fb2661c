//! One item or many (`batch_input`): the same work, two shapes. In a batch each item succeeds or fails by itself.
use super::text::Sentence;
use coffer_room::{Answer, Fault};
use coffer_wire::{Array, FieldError, Object, Params};
use zeroize::Zeroizing;

/// Items of one request. More than this many are refused: one request should not hold a processor for minutes.
const MAX_ITEMS: usize = 20_000;

/// What is to be done to each item.
pub(super) struct Batch<T> {
    items: Vec<Item<T>>,
    /// Whether it came as `batch_input`.
    is_batch: bool,
    /// Status of a batch in which some items succeed and some fail.
    partial_status: Option<u16>,
}

struct Item<T> {
    /// The caller's own name for it, given back with the result.
    reference: Zeroizing<String>,
    /// Read, or why it can't be.
    input: Result<T, Sentence>,
}

/// What a batch with failures answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Failures {
    /// 400, or the status that the caller asked for where others succeeded: encrypt and decrypt.
    Refuse,
    /// 200: the rest of the API.
    Tell,
}

impl<T> Batch<T> {
    /// Reads the items by `read`: those of `batch_input`, or the request itself.
    pub(super) fn read(
        params: &Params,
        read: impl Fn(&Params) -> Result<T, Sentence>,
    ) -> Result<Self, Fault> {
        if !params.has("batch_input") {
            let only = Item { reference: Zeroizing::default(), input: Ok(read(params).map_err(Fault::bad)?) };
            return Ok(Self { items: vec![only], is_batch: false, partial_status: None });
        }
        let given = params.each("batch_input")?.unwrap_or_default();
        if given.is_empty() {
            return Err(Fault::bad("'batch_input' must have at least one item"));
        }
        if given.len() > MAX_ITEMS {
            return Err(Fault::bad(format!("'batch_input' must have at most {MAX_ITEMS} items")));
        }
        let item = |params: Params| match params.string("reference") {
            Ok(reference) => Item { reference: reference.unwrap_or_default(), input: read(&params) },
            Err(error) => Item { reference: Zeroizing::default(), input: Err(sentence(error)) },
        };
        let partial_status = match params.number("partial_failure_response_code")? {
            None => None,
            Some(status @ 200..=599) => u16::try_from(status).ok(),
            Some(_) => {
                return Err(Fault::bad("'partial_failure_response_code' must be a status from 200 to 599"));
            }
        };
        Ok(Self { items: given.into_iter().map(item).collect(), is_batch: true, partial_status })
    }

    /// One item that was made here.
    pub(super) fn of(input: T) -> Self {
        let only = Item { reference: Zeroizing::default(), input: Ok(input) };
        Self { items: vec![only], is_batch: false, partial_status: None }
    }

    /// The items that could be read.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &T> {
        self.items.iter().filter_map(|item| item.input.as_ref().ok())
    }

    /// Does it to each, and answers.
    pub(super) fn answer(
        &self,
        failures: Failures,
        mut act: impl FnMut(&T) -> Result<Object, Sentence>,
    ) -> Result<Answer, Fault> {
        let mut act = |item: &Item<T>| act(item.input.as_ref().map_err(Sentence::clone)?);
        if let (false, [only]) = (self.is_batch, &*self.items) {
            return act(only).map(Answer::data).map_err(Fault::bad);
        }
        let (mut results, mut failed) = (Array::new(), 0);
        for item in &self.items {
            let result = act(item).unwrap_or_else(|why| {
                failed += 1;
                Object::new().string("error", &why)
            });
            results = results.object(result.string("reference", &item.reference));
        }
        let mut answer = Answer::data(Object::new().array("batch_results", results));
        if failed > 0 && failures == Failures::Refuse {
            let some = failed < self.items.len();
            answer.status = Some(self.partial_status.filter(|_| some).unwrap_or(400));
        }
        Ok(answer)
    }
}

/// A field's error as a sentence.
pub(super) fn sentence(error: FieldError) -> Sentence {
    format!("'{}' {}", error.field, error.must).into()
}

/// A key version that a caller names; 0 for the newest.
pub(super) fn key_version(params: &Params) -> Result<u32, Sentence> {
    let version = params.number("key_version").map_err(sentence)?.unwrap_or(0);
    u32::try_from(version).map_err(|_| "'key_version' is too large".into())
}

/// Refuses what would be unsafe or is not there, rather than to ignore it: a caller would rely on it.
pub(super) fn refuse_foreign(params: &Params) -> Result<(), Sentence> {
    if is_given(params, "nonce") {
        return Err("'nonce' must not be given: nonces are chosen by the daemon".into());
    }
    if is_given(params, "context") {
        return Err(
            "'context' needs a derived key, and derived keys are not supported; use 'associated_data'".into(),
        );
    }
    Ok(())
}

fn is_given(params: &Params, name: &str) -> bool {
    params.has(name) && params.raw(name) != Some(b"\"\"")
}
