"""Chapter 6.6: names of wraps."""

import re

from common import FormatError, Reader, number, raw, refuses, same


def decode(data):
    reader, names = Reader(data), []
    while reader.rest():
        at = reader.at
        wrap = reader.take(16, "wrap id").hex()
        if names and names[-1]["wrap"] >= wrap:
            raise FormatError("wrap id", at, "NotCanonical")
        length = reader.number(1, "wrap name length")
        at = reader.at
        name = reader.take(length, "wrap name").decode("latin-1")
        if not re.fullmatch("[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?", name):
            raise FormatError("wrap name", at, "Invalid")
        if any(earlier["is"] == name for earlier in names):
            raise FormatError("wrap name", at, "NotCanonical")
        names.append({"wrap": wrap, "is": name})
    return names


def check(vector):
    if "error" in vector:
        refuses(vector, lambda: decode(raw(vector, "wrap_names")))
        return
    same(decode(raw(vector, "wrap_names")), vector["names"], "names")
    made = (raw(entry, "wrap") + number(len(entry["is"]), 1) + entry["is"].encode() for entry in vector["names"])
    same(b"".join(made), vector["wrap_names"], "bytes")
