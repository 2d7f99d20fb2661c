"""Chapters 11 and 12 of FORMAT.md: the audit leaf, commitments, pseudonyms, digests."""

import datetime
import hashlib
import hmac

import cbor
from common import FormatError, kdf, number, raw, refuses, same

REQUIRED = ("version", "type", "id", "time", "route", "operation", "status")
STATE = ("generation", "root before", "root after")


def leaf_hash(leaf):
    return hashlib.sha256(b"\0" + leaf).digest()


def field_salt(salt, field):
    return kdf(salt, "leaf", field.encode())


def commitment(salt, field, value):
    name = field.encode()
    return hmac.digest(salt, number(len(name), 2) + name + value, "sha256")


def required(reader, walk, expected, field):
    """The next key of the map must be there and be this one."""
    start, key = next(walk, (None, None))
    if key != expected:
        raise FormatError(field, reader.at if start is None else start, "Invalid")


def decode(data):
    if len(data) > 8192:
        raise FormatError("leaf", 0, "TooLong")
    reader = cbor.CborReader(data)
    current = ""
    walk = walk_of(reader, lambda: current)
    leaf = {}
    for key, name in enumerate(REQUIRED):
        current = "leaf " + name
        required(reader, walk, key, current)
        start = reader.at
        if name in ("route", "operation"):
            leaf[name] = reader.text(current, 128)
        else:
            leaf[name] = reader.uint(current, 65535 if name == "status" else 2**64 - 1)
        if name == "version" and leaf[name] != 1:
            raise FormatError(current, start, "UnknownVersion")
        if name == "type" and leaf[name] not in range(1, 8):
            raise FormatError(current, start, "UnknownAlgorithm")
    current = "leaf key"
    for start, key in walk:
        if key == 7:
            leaf["intent"] = reader.uint("leaf intent")
        elif key == 8:
            leaf["actor"] = reader.fixed("leaf actor", 16)
        elif key == 9:
            leaf["caller environment"] = reader.fixed("leaf caller environment", 16)
        elif key == 10:
            leaf["mount"] = reader.fixed("leaf mount", 16)
        elif key == 11:
            leaf["commitments"] = reader.named("leaf commitments", lambda: reader.fixed("leaf commitment", 32))
        elif key == 12:
            leaf["request digest"] = reader.fixed("leaf request digest", 32)
        elif key == 13:
            leaf["state"] = state(reader)
        elif key == 14:
            leaf["plain"] = reader.named("leaf plain", lambda: plain(reader))
        else:
            raise FormatError("leaf key", start, "Invalid")
    reader.end("leaf")
    return leaf


def walk_of(reader, field):
    """As CborReader.keys, but a fault of a key names the field that is due there; the map's own is "leaf"."""
    last = b""
    for _ in range(reader.head("leaf", cbor.MAP)):
        start = reader.at
        key = reader.uint(field())
        encoded = reader.data[start : reader.at]
        if encoded <= last:
            raise FormatError(field(), start, "NotCanonical")
        last = encoded
        yield start, key


def state(reader):
    start = reader.at
    count = reader.head("leaf state", cbor.MAP)
    if count != 3:
        raise FormatError("leaf state", start, "Invalid")
    walk = reader.keys("leaf state", lambda: reader.uint("leaf state"), count)
    required(reader, walk, 0, "leaf state")
    found = [reader.uint("leaf state generation")]
    for key, name in ((1, "root before"), (2, "root after")):
        required(reader, walk, key, "leaf state")
        found.append(reader.fixed("leaf state " + name, 32))
    return found


def plain(reader):
    return reader.uint("leaf plain") if reader.next_is_uint() else reader.text("leaf plain", 2048)


def encode(leaf):
    """From the JSON of a vector."""
    numbers = [1, *(int(leaf[name]) for name in ("type", "id", "time"))]
    item = dict(enumerate([*numbers, leaf["route"], leaf["operation"], leaf["status"]]))
    if "intent" in leaf:
        item[7] = int(leaf["intent"])
    for key, name in ((8, "actor"), (9, "caller environment"), (10, "mount"), (12, "request digest")):
        if name in leaf:
            item[key] = bytes.fromhex(leaf[name])
    if "commitments" in leaf:
        item[11] = {name: bytes.fromhex(value) for name, value in leaf["commitments"].items()}
    if "state" in leaf:
        generation, before, after = leaf["state"]
        item[13] = {0: int(generation), 1: bytes.fromhex(before), 2: bytes.fromhex(after)}
    if "plain" in leaf:
        item[14] = leaf["plain"]
    return cbor.encode(item)


def plain_json(value):
    """A decoded leaf, as the vectors write it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: plain_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [str(value[0]), *(inner.hex() for inner in value[1:])]
    return value


def check_leaf(vector):
    data = raw(vector, "leaf")
    decoded = {key: plain_json(value) for key, value in decode(data).items() if key != "version"}
    for field in ("id", "time", "intent"):
        if field in decoded:
            decoded[field] = str(decoded[field])
    same(decoded, vector["fields"], "fields")
    same(encode(vector["fields"]), data, "leaf")
    same(leaf_hash(data), vector["hash"], "hash")


def month_of(milliseconds):
    day = datetime.date(1970, 1, 1) + datetime.timedelta(days=milliseconds // 86_400_000)
    return day.year * 100 + day.month


def request_digest(vector):
    nonce, body = raw(vector, "nonce", "body")
    parts = [b"coffer/v1/request", nonce, vector["method"].encode(), vector["path"].encode()]
    parts.append(hashlib.sha256(body).digest())
    return hashlib.sha256(b"".join(number(len(part), 4) + part for part in parts)).digest()


def check(vector):
    if "error" in vector:
        refuses(vector, lambda: decode(raw(vector, "leaf")))
    elif "fields" in vector:
        check_leaf(vector)
    elif "commitment" in vector:
        salt, value = raw(vector, "salt", "value")
        own = field_salt(salt, vector["field"])
        same(own, vector["field_salt"], "field salt")
        same(commitment(own, vector["field"], value), vector["commitment"], "commitment")
    elif "pseudonym" in vector:
        key, subject = raw(vector, "commitment_key", "subject")
        same(month_of(vector["time"]), vector["month"], "month")
        message = b"coffer/v1/actor\0" + number(vector["month"], 4) + subject
        same(hmac.digest(key, message, "sha256")[:16], vector["pseudonym"], "pseudonym")
    else:
        same(request_digest(vector), vector["digest"], "digest")
