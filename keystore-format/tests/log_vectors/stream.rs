use super::{bytes, changed, pattern, refused};
use hex::encode as hex;
use keystore_format::stream::{CHUNK, PREFIX, TAG, open, seal};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const CONTEXT: &[u8] = b"some context";

fn sealed(plain: &[u8], context: &[u8]) -> Vec<u8> {
    seal(&bytes(0x10), &bytes(0x30), context, plain).unwrap()
}

fn inputs(name: &str, context: &[u8]) -> Value {
    json!({
        "name": name, "key": hex(bytes::<32>(0x10)), "salt": hex(bytes::<24>(0x30)), "context": hex(context),
    })
}

fn short(name: &str, plain: &[u8], context: &[u8]) -> Value {
    let mut vector = inputs(name, context);
    vector["plain"] = json!(hex(plain));
    vector["sealed"] = json!(hex(sealed(plain, context)));
    vector
}

/// Plaintext is `at % 251`; what comes out is kept as its hash.
fn long(name: &str, length: usize) -> Value {
    let mut vector = inputs(name, CONTEXT);
    vector["plain_length"] = json!(length);
    vector["sealed_sha256"] = json!(hex(Sha256::digest(sealed(&pattern(length), CONTEXT))));
    vector
}

fn broken(name: &str, sealed: &[u8], field: &str, offset: usize, fault: &str) -> Value {
    let mut vector = inputs(name, CONTEXT);
    vector["sealed"] = json!(hex(sealed));
    vector["error"] = refused(open(&bytes(0x10), CONTEXT, sealed), field, offset, fault);
    vector
}

/// Four chunks of one stream, in another order.
fn reordered(name: &str, order: &[usize], field: &str, chunk: usize, fault: &str) -> Value {
    let whole = sealed(&pattern(3 * CHUNK + 5), CONTEXT);
    let (prefix, body) = whole.split_at(PREFIX);
    let chunks: Vec<_> = body.chunks(CHUNK + TAG).collect();
    let moved = [&[prefix][..], &order.iter().map(|at| chunks[*at]).collect::<Vec<_>>()].concat().concat();
    let mut vector = inputs(name, CONTEXT);
    vector["plain_length"] = json!(3 * CHUNK + 5);
    vector["chunks"] = json!(order);
    let offset = PREFIX + chunk * (CHUNK + TAG);
    vector["error"] = refused(open(&bytes(0x10), CONTEXT, &moved), field, offset, fault);
    vector
}

pub(crate) fn vectors() -> Vec<Value> {
    let good = sealed(b"plain", CONTEXT);
    vec![
        short("empty_message", b"", CONTEXT),
        short("short_message", b"plain", CONTEXT),
        short("short_message_without_context", b"plain", b""),
        long("message_one_byte_below_a_chunk", CHUNK - 1),
        long("message_of_one_chunk", CHUNK),
        long("message_one_byte_above_a_chunk", CHUNK + 1),
        long("message_of_five_chunks", 5 * CHUNK),
        long("message_of_257_chunks", 257 * CHUNK + 3),
        broken("stream_that_is_empty", &[], "stream commitment", 0, "Truncated"),
        broken("stream_cut_in_the_salt", &good[..23], "stream commitment", 23, "Truncated"),
        broken("stream_cut_in_the_commitment", &good[..55], "stream commitment", 55, "Truncated"),
        broken("stream_without_chunks", &good[..56], "stream final chunk", 56, "Truncated"),
        broken("stream_cut_in_a_tag", &good[..71], "stream final chunk", 56, "Truncated"),
        broken("stream_cut_in_the_final_chunk", &good[..76], "stream chunk", 56, "NotAuthentic"),
        broken(
            "stream_with_another_salt",
            &changed(&good, |s| s[0] ^= 1),
            "stream commitment",
            24,
            "NotAuthentic",
        ),
        broken(
            "stream_with_another_commitment",
            &changed(&good, |s| s[55] ^= 1),
            "stream commitment",
            24,
            "NotAuthentic",
        ),
        broken(
            "stream_of_another_context",
            &sealed(b"plain", b"other"),
            "stream commitment",
            24,
            "NotAuthentic",
        ),
        broken(
            "stream_with_a_flipped_bit",
            &changed(&good, |s| s[56] ^= 1),
            "stream chunk",
            56,
            "NotAuthentic",
        ),
        broken(
            "stream_with_a_byte_too_many",
            &changed(&good, |s| s.push(0)),
            "stream chunk",
            56,
            "NotAuthentic",
        ),
        reordered("stream_without_its_final_chunk", &[0, 1, 2], "stream final chunk", 3, "Truncated"),
        reordered("stream_with_a_chunk_left_out", &[0, 2, 3], "stream chunk", 1, "NotAuthentic"),
        reordered("stream_with_two_chunks_exchanged", &[1, 0, 2, 3], "stream chunk", 0, "NotAuthentic"),
        reordered("stream_with_a_chunk_repeated", &[0, 0, 1, 2, 3], "stream chunk", 1, "NotAuthentic"),
        reordered("stream_with_a_chunk_appended", &[0, 1, 2, 3, 3], "stream chunk", 3, "NotAuthentic"),
    ]
}
