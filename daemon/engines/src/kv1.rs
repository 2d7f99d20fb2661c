//! KV version 1: what is written is what is read, byte for byte.
use crate::kv2;
use crate::may_write;
use crate::paging::{Page, shown};
use coffer_barrier::{BarrierError, Tx};
use coffer_room::{Answer, Body, Fault, Outcome, Request, Room};
use coffer_types::{CanonicalPath, Kind, Operation};
use coffer_wire::Params;
use zeroize::Zeroizing;

/// The one route of this engine.
pub const ROUTE: &str = "kv1/secret";

/// What clients are told where the value says nothing of its own: the system's 768 hours.
const DEFAULT_LEASE_SECONDS: u64 = 768 * 3600;

const VERSION: u8 = 1;
/// Version, and the lease in seconds.
const HEADER_BYTES: usize = 1 + 8;

/// Answers a request below a mount.
///
/// # Errors
/// What the request got wrong; see [`Fault`].
pub async fn handle(room: &Room, request: Request) -> Result<Outcome, Fault> {
    let Request { operation, path, params, .. } = &request;
    match operation {
        Operation::Read => read(room, path).await,
        Operation::Write => write(room, &request),
        Operation::Delete => delete(room, path),
        Operation::List => {
            let page = Page::read(params)?;
            let names = shown(room.view.list(Kind::KvV1, path).await?);
            Ok(Outcome::Answer(Answer::keys(page.cut(names)?)?))
        }
        Operation::Scan => {
            let page = Page::read(params)?;
            let names = room.view.scan(Kind::KvV1, path, page.after(), page.wanted()).await?;
            Ok(Outcome::Answer(Answer::keys(page.cut(names)?)?))
        }
        Operation::Patch => Err(Fault::UnsupportedOperation),
    }
}

async fn read(room: &Room, path: &CanonicalPath) -> Result<Outcome, Fault> {
    if path.as_str().is_empty() {
        return Err(Fault::NotFound);
    }
    let plain = room.view.get(Kind::KvV1, path, None).await?.ok_or(Fault::NotFound)?;
    let (lease_seconds, value) = decode(plain.bytes)?;
    Ok(Outcome::Answer(Answer { body: Body::Data(value), lease_seconds, ..Answer::empty() }))
}

fn write(room: &Room, request: &Request) -> Result<Outcome, Fault> {
    let (path, mode) = (request.path.clone(), request.write_mode);
    if path.as_str().is_empty() {
        return Err(Fault::bad("missing path"));
    }
    if is_empty_object(request.params.body()) {
        return Err(Fault::bad("missing data fields"));
    }
    let record = encode(&request.params);
    Ok(room.change(move |tx| {
        refuse_upgraded(tx)?;
        let exists = tx.get(Kind::KvV1, &path, None)?.is_some();
        may_write(mode, exists)?;
        tx.put(Kind::KvV1, &path, None, &record)?;
        Ok(Answer::empty())
    }))
}

fn delete(room: &Room, path: &CanonicalPath) -> Result<Outcome, Fault> {
    let path = path.clone();
    if path.as_str().is_empty() {
        return Err(Fault::bad("missing path"));
    }
    Ok(room.change(move |tx| {
        refuse_upgraded(tx)?;
        tx.delete(Kind::KvV1, &path, None)?;
        Ok(Answer::empty())
    }))
}

/// A change that was under way when the mount became one of version 2 comes too late: nobody would read it.
fn refuse_upgraded(tx: &mut Tx<'_, '_>) -> Result<(), Fault> {
    match kv2::was_upgraded(tx)? {
        true => Err(Fault::Unavailable("this mount was just upgraded to version 2; try again".into())),
        false => Ok(()),
    }
}

/// Version, lease, and the body as it came.
fn encode(params: &Params) -> Zeroizing<Vec<u8>> {
    let body = params.body().trim_ascii();
    let mut record = Zeroizing::new(Vec::with_capacity(HEADER_BYTES + body.len()));
    record.push(VERSION);
    record.extend_from_slice(&lease_seconds(params).to_be_bytes());
    record.extend_from_slice(body);
    record
}

/// Lease and value of a record.
pub(crate) fn decode(mut record: Zeroizing<Vec<u8>>) -> Result<(u64, Zeroizing<Vec<u8>>), BarrierError> {
    let (Some(&VERSION), Some(lease)) = (record.first(), record.get(1..).and_then(|rest| rest.first_chunk()))
    else {
        return Err(BarrierError::Damaged(Kind::KvV1));
    };
    let lease = u64::from_be_bytes(*lease);
    record.drain(..HEADER_BYTES);
    Ok((lease, record))
}

/// A value's own word for how long clients may keep it: `ttl`, or `lease` of old. What can't be read is the value's affair.
fn lease_seconds(params: &Params) -> u64 {
    let said = |field| params.seconds(field).ok().flatten();
    said("ttl").or_else(|| said("lease")).unwrap_or(DEFAULT_LEASE_SECONDS)
}

fn is_empty_object(body: &[u8]) -> bool {
    let inner = body.trim_ascii().strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}"));
    inner.is_some_and(|inner| inner.trim_ascii().is_empty())
}

/// Reads `bytes` as a record of this engine. For the fuzzer.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    if let Ok((_, value)) = decode(Zeroizing::new(bytes.to_vec())) {
        assert!(bytes.ends_with(&value));
    }
}
