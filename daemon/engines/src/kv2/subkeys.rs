//! `subkeys/`: the names in a value, without what they stand for.
use crate::kv2::data::fetch;
use coffer_room::{Answer, Fault, Outcome, Room};
use coffer_types::CanonicalPath;
use coffer_wire::{Limits, Object, Params};
use zeroize::Zeroizing;

pub(super) async fn read(room: &Room, path: &CanonicalPath, params: &Params) -> Result<Outcome, Fault> {
    let depth = match params.number("depth")? {
        None | Some(0) => usize::MAX,
        Some(depth) => usize::try_from(depth).unwrap_or(usize::MAX),
    };
    let found = fetch(room, path, params, "subkeys").await?;
    let data = Object::new().object("metadata", found.metadata);
    let data = match found.value.first() {
        Some(b'{') => data.object("subkeys", names_of(&found.value, depth)?),
        _ => data.null("subkeys"),
    };
    Ok(Outcome::Answer(Answer::data(data).commit("version", found.number.to_string().as_bytes())))
}

/// Every member of `object` as null, or as its own names where it has some and `depth` goes that far. As deep as a
/// value may be, which was limited when it came.
fn names_of(object: &[u8], depth: usize) -> Result<Object, Fault> {
    let limits = Limits { values: usize::MAX, ..Limits::REQUEST };
    let members = Params::parse(Zeroizing::new(object.to_vec()), limits)
        .map_err(|_| Fault::Internal("a stored value is no JSON"))?;
    let mut out = Object::new();
    for name in members.names() {
        let value = members.raw(name).unwrap_or_default();
        let inner = if depth > 1 && value.first() == Some(&b'{') {
            Some(names_of(value, depth - 1)?.finish())
        } else {
            None
        };
        out = match inner {
            Some(inner) if **inner != *b"{}" => out.raw(name, &inner),
            _ => out.null(name),
        };
    }
    Ok(out)
}
