"""Chapter 14 of FORMAT.md: frames of the journal."""

import hashlib

from common import FormatError, number, raw, refuses, same


def parse(data):
    if not b"CoJf".startswith(data[:4]):
        raise FormatError("frame magic", 0, "Invalid")
    if len(data) < 39:
        raise FormatError("frame header", 0, "Truncated")
    if data[35:39] != hashlib.sha256(data[:35]).digest()[:4]:
        raise FormatError("frame header", 0, "NotAuthentic")
    if data[4] != 1:
        raise FormatError("frame version", 4, "UnknownVersion")
    leaf, openings = int.from_bytes(data[29:31], "big"), int.from_bytes(data[31:35], "big")
    if leaf > 8192:
        raise FormatError("frame leaf", 29, "TooLong")
    if openings > 65536:
        raise FormatError("frame openings", 31, "TooLong")
    end = 39 + leaf + openings
    if len(data) < end + 16:
        raise FormatError("frame body", 39, "Truncated")
    if data[end : end + 16] != hashlib.sha256(data[:end]).digest()[:16]:
        raise FormatError("frame body", 39, "NotAuthentic")
    return {
        "environment": data[5:21].hex(),
        "leaf_id": int.from_bytes(data[21:29], "big"),
        "leaf": data[39 : 39 + leaf].hex(),
        "openings": data[39 + leaf : end].hex(),
        "consumed": end + 16,
    }


def encode(vector):
    environment, leaf, openings = raw(vector, "environment", "leaf", "openings")
    header = b"CoJf\x01" + environment + number(vector["leaf_id"], 8) + number(len(leaf), 2) + number(len(openings), 4)
    body = header + hashlib.sha256(header).digest()[:4] + leaf + openings
    return body + hashlib.sha256(body).digest()[:16]


def check(vector):
    journal = raw(vector, "journal")
    if "error" in vector:
        refuses(vector, lambda: parse(journal))
        return
    for field, value in parse(journal).items():
        same(value, vector[field], field)
    same(encode(vector), journal[: vector["consumed"]], "frame")
