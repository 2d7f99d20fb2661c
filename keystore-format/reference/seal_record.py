"""Chapter 6: seal record, wraps, parameters."""

import hashlib
import hmac

from common import (
    FormatError,
    Reader,
    kdf,
    make_tail,
    number,
    raw,
    read_tail,
    refuses,
    same,
    xaes_open,
    xaes_seal,
)


def mac(root_key, ctx, body):
    return hmac.digest(kdf(root_key, "seal-mac", ctx), body, hashlib.sha256)


def decode(data):
    Reader(data).version()
    if len(data) < 32:
        raise FormatError("MAC", 0, "Truncated")
    reader = Reader(data[:-32])
    reader.version()
    found = {
        "store": reader.take(16, "store id").hex(),
        "environment": reader.take(16, "environment id").hex(),
        "root_id": reader.take(32, "root id").hex(),
        "generation": str(reader.number(8, "generation")),
    }
    count = reader.number(1, "wrap count")
    wraps, places = [], []
    for _ in range(count):
        places.append(reader.at)
        wraps.append(
            {
                "id": reader.take(16, "wrap id").hex(),
                "type": reader.one_of("wrap type", "UnknownAlgorithm", range(1, 7)),
                "state": reader.one_of("wrap state", "Invalid", {1, 2}),
                "parameters": reader.take(
                    reader.number(2, "wrap parameters length"), "wrap parameters"
                ).hex(),
                "blob": reader.take(reader.number(2, "wrap blob length"), "wrap blob").hex(),
            }
        )
    if not wraps:
        raise FormatError("wrap count", 73, "Invalid")
    for index, wrap in enumerate(wraps):
        if any(earlier["id"] == wrap["id"] for earlier in wraps[:index]):
            raise FormatError("wrap id", places[index], "NotCanonical")
    found["wraps"] = wraps
    found["share_digests"] = [
        {"set_id": reader.take(8, "share set id").hex(), "digest": reader.take(32, "share digest").hex()}
        for _ in range(reader.number(2, "share digest count"))
    ]
    found["tail"] = read_tail(reader)
    return found


def open_record(root_key, data):
    found = decode(data)
    ctx = bytes.fromhex(found["store"] + found["environment"])
    if kdf(root_key, "root-id", ctx).hex() != found["root_id"]:
        raise FormatError("root id", 33, "NotAuthentic")
    if mac(root_key, ctx, data[:-32]) != data[-32:]:
        raise FormatError("MAC", len(data) - 32, "NotAuthentic")
    return found


def encode(vector):
    root_key, store, environment, root_id = raw(vector, "root_key", "store", "environment", "root_id")
    parts = [b"\x01", store, environment, root_id, number(vector["generation"], 8)]
    parts.append(number(len(vector["wraps"]), 1))
    for wrap in vector["wraps"]:
        wrap_id, parameters, blob = raw(wrap, "id", "parameters", "blob")
        parts += [wrap_id, number(wrap["type"], 1), number(wrap["state"], 1)]
        parts += [number(len(parameters), 2), parameters, number(len(blob), 2), blob]
    parts.append(number(len(vector["share_digests"]), 2))
    for share in vector["share_digests"]:
        parts += raw(share, "set_id", "digest")
    body = b"".join(parts) + make_tail(vector["tail"])
    return body + mac(root_key, store + environment, body)


def unwrap(kek, ctx, wrap, root_id, blob):
    reader = Reader(blob)
    reader.version()
    nonce, sealed = reader.take(24, "nonce"), reader.take(32, "wrapped root key") + reader.take(16, "tag")
    reader.end("wrap blob")
    root_key = xaes_open(kdf(kek, "wrap", ctx + wrap), nonce, b"\x01" + ctx + wrap + root_id, sealed)
    if root_key is None:
        raise FormatError("wrap blob", 0, "NotAuthentic")
    if kdf(root_key, "root-id", ctx) != root_id:
        raise FormatError("root id", 0, "NotAuthentic")
    return root_key


def read_parameters(data):
    reader = Reader(data)
    shares = reader.number(1, "share count")
    threshold = reader.one_of("threshold", "Invalid", range(1, shares + 1))
    set_id = reader.take(8, "share set id")
    reader.end("wrap parameters")
    return shares, threshold, set_id


def check_wrap(vector):
    kek, store, environment, wrap, root_id, blob = raw(
        vector, "kek", "store", "environment", "wrap", "root_id", "blob"
    )
    ctx = store + environment
    if "error" in vector:
        refuses(vector, lambda: unwrap(kek, ctx, wrap, root_id, blob))
        return
    same(unwrap(kek, ctx, wrap, root_id, blob), vector["root_key"], "root key")
    nonce, root_key = raw(vector, "nonce", "root_key")
    same(kdf(root_key, "root-id", ctx), vector["root_id"], "root id")
    sealed = xaes_seal(kdf(kek, "wrap", ctx + wrap), nonce, b"\x01" + ctx + wrap + root_id, root_key)
    same(b"\x01" + nonce + sealed, vector["blob"], "blob")


def check_parameters(vector):
    parameters = raw(vector, "parameters")
    if "error" in vector:
        refuses(vector, lambda: read_parameters(parameters))
        return
    shares, threshold, set_id = read_parameters(parameters)
    same([shares, threshold, set_id.hex()], [vector["shares"], vector["threshold"], vector["set_id"]])


def check(vector):
    if "kek" in vector:
        check_wrap(vector)
    elif "parameters" in vector:
        check_parameters(vector)
    elif "error" in vector:
        refuses(vector, lambda: open_record(*raw(vector, "root_key", "seal_record")))
    else:
        found = open_record(*raw(vector, "root_key", "seal_record"))
        for field, value in found.items():
            same(value, vector[field], field)
        same(encode(vector), vector["seal_record"], "seal record")
