"""Chapter 13 of FORMAT.md: sealed openings."""

import cbor
from common import FormatError, Reader, number, raw, refuses, same, xaes_open, xaes_seal
from leaf import required


def decode(data):
    reader = cbor.CborReader(data)
    count = reader.head("openings", cbor.MAP)
    if count > 2:
        raise FormatError("openings", 0, "Invalid")
    due = "openings salt"
    walk = reader.keys("openings", lambda: reader.uint(due), count)
    required(reader, walk, 0, due)
    salt, values = reader.fixed("openings salt", 32), {}
    if count == 2:
        due = "openings values"
        required(reader, walk, 1, due)
        values = reader.named("openings values", lambda: reader.bytes("openings value", 65536))
    reader.end("openings")
    return salt, values


def associated_data(header, vector):
    return b"coffer/v1/openings\0" + header + raw(vector, "environment") + number(vector["leaf_id"], 8)


def open_sealed(vector):
    sealed, key = raw(vector, "sealed", "key")
    if len(sealed) < 18:
        raise FormatError("openings header", 0, "Truncated")
    reader = Reader(sealed)
    reader.one_of("openings version", "UnknownVersion", [1])
    reader.one_of("openings algorithm", "UnknownAlgorithm", [1])
    reader.take(16, "key id")
    nonce = reader.take(24, "openings nonce")
    if len(reader.rest()) < 16:
        raise FormatError("openings tag", reader.at, "Truncated")
    plain = xaes_open(key, nonce, associated_data(sealed[:18], vector), reader.rest())
    if plain is None:
        raise FormatError("openings", 42, "NotAuthentic")
    return decode(plain)


def check(vector):
    if "error" in vector:
        refuses(vector, lambda: open_sealed(vector))
        return
    salt, values = open_sealed(vector)
    same(salt, vector["salt"], "salt")
    same({name: value.hex() for name, value in values.items()}, vector["values"], "values")
    key, key_id, nonce = raw(vector, "key", "key_id", "nonce")
    plain = cbor.encode({0: salt, 1: values} if values else {0: salt})
    header = b"\x01\x01" + key_id
    same(header + nonce + xaes_seal(key, nonce, associated_data(header, vector), plain), vector["sealed"], "sealed")
