"""Chapter 7: shares."""

import base64
import hashlib

import bech32m
from common import FormatError, Reader, number, raw, refuses, same

BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def read_payload(payload):
    reader = Reader(payload)
    reader.version()
    set_id = reader.take(8, "share set id")
    x = reader.one_of("share x", "Invalid", range(1, 256))
    k = reader.one_of("share k", "Invalid", range(1, 256))
    y = reader.take(32, "share y")
    reader.end("share")
    return set_id, x, k, y


def every(text, alphabet):
    for at, c in enumerate(text):
        if c not in alphabet:
            raise FormatError("share text", at, "Invalid")


def from_base64(text):
    digits = text.rstrip("=")
    every(digits, BASE64)
    data = base64.b64decode(digits + "=" * (-len(digits) % 4) if len(digits) % 4 != 1 else b"")
    if len(text) - len(digits) > 2 or base64.b64encode(data).decode() != text:
        raise FormatError("share text", len(digits), "NotCanonical")
    return data


def parse(text):
    text = text.strip(" \t\r\n\f")
    if len(text) == 86:
        every(text, "0123456789abcdefABCDEF")
        payload = bytes.fromhex(text)
    elif len(text) == 60:
        payload = from_base64(text)
    else:
        payload = bech32m.decode("coffer", text)
    read_payload(payload)
    return payload


def check(vector):
    if "error" in vector:
        refuses(vector, lambda: parse(vector["input"]))
        return
    if "input" in vector:
        same(parse(vector["input"]), vector["payload"])
        return
    set_id, y = raw(vector, "set_id", "y")
    payload = b"\x01" + set_id + number(vector["x"], 1) + number(vector["k"], 1) + y
    same(payload, vector["payload"], "payload")
    same(list(read_payload(payload)), [set_id, vector["x"], vector["k"], y], "fields")
    same(bech32m.encode("coffer", payload), vector["text"], "text")
    same(payload.hex(), vector["hex"], "hex")
    same(base64.b64encode(payload).decode(), vector["base64"], "base64")
    same(hashlib.sha256(payload).hexdigest(), vector["digest"], "digest")
