"""Chapter 3: store keys and sealed names."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from common import FormatError, Reader, number, raw, refuses, same


def is_sealed_length(length):
    return 48 <= length <= 16 + 1024 and (length - 16) % 32 == 0


def seal_segment(name_key, place, parent, segment):
    padded = segment + b"\x80"
    padded += bytes(-len(padded) % 32)
    sealed = AESSIV(name_key).encrypt(padded, [b"coffer/v1/name", place, parent])
    return parent + number(len(sealed), 2) + sealed


def open_segment(name_key, place, parent, sealed):
    def fault(fault):
        return FormatError("sealed segment", 0, fault)

    if len(sealed) < 16:
        raise fault("Truncated")
    if not is_sealed_length(len(sealed)):
        raise fault("Invalid")
    try:
        padded = AESSIV(name_key).decrypt(sealed, [b"coffer/v1/name", place, parent])
    except InvalidTag:
        raise fault("NotAuthentic") from None
    segment = padded.rstrip(b"\0")
    if segment[-1:] != b"\x80" or len(padded) - len(segment) > 31:
        raise fault("NotCanonical")
    try:
        text = segment[:-1].decode()
    except UnicodeDecodeError:
        raise fault("Invalid") from None
    if not text or "/" in text:
        raise fault("Invalid")
    return text


def next_segment(reader):
    at = reader.at
    length = reader.number(2, "segment length")
    if not is_sealed_length(length):
        raise FormatError("segment length", at, "Invalid")
    return reader.take(length, "sealed segment")


def parse_store_key(key):
    reader = Reader(key)
    head = (
        reader.number(1, "table"),
        reader.take(16, "environment"),
        reader.take(16, "mount"),
        reader.number(2, "kind"),
    )
    segments = []
    while len(reader.rest()) not in (0, 8):
        segments.append(next_segment(reader))
    version = int.from_bytes(reader.rest(), "big") if reader.rest() else None
    return head, segments, version


def check(vector):
    if "broken_store_key" in vector:
        refuses(vector, lambda: parse_store_key(raw(vector, "broken_store_key")))
        return
    name_key, environment, mount = raw(vector, "name_key", "environment", "mount")
    place = environment + mount
    if "error" in vector:
        parent, segment = raw(vector, "parent", "segment")
        refuses(vector, lambda: open_segment(name_key, place, parent, segment))
        return
    path = b""
    for segment in vector["path"].split("/") if vector["path"] else []:
        path = seal_segment(name_key, place, path, segment.encode())
    same(path, vector["sealed_path"], "sealed path")
    key = number(vector["table"], 1) + place + number(vector["kind"], 2) + path + number(vector["version"], 8)
    same(key, vector["store_key"], "store key")

    head, sealed, version = parse_store_key(raw(vector, "store_key"))
    same(list(head), [vector["table"], environment, mount, vector["kind"]], "head")
    same(version, vector["version"], "version")
    opened, parent = [], b""
    for segment in sealed:
        opened.append(open_segment(name_key, place, parent, segment))
        parent += number(len(segment), 2) + segment
    same("/".join(opened), vector["path"], "path")
