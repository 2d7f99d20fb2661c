"""Chapter 21 of FORMAT.md: the backup file."""

import hashlib

from common import FormatError, Reader, kdf, number, raw, refuses, same
from envelope import literal
from stream import open_stream, seal

FIELDS = (
    ("store", 16),
    ("environment", 16),
    ("root id", 32),
    ("created", 8),
    ("generation", 8),
    ("incarnation", 16),
    ("records", 8),
    ("nonce", 32),
)
LABEL = b"coffer/v1/snapshot\0"


def parse(file):
    reader = Reader(file)
    literal(reader, b"CofSnap\n", "snapshot magic", "Invalid")
    literal(reader, b"\x01", "snapshot version", "UnknownVersion")
    literal(reader, b"\x01", "snapshot algorithm", "UnknownAlgorithm")
    header = {name: reader.take(length, "snapshot " + name).hex() for name, length in FIELDS}
    start = reader.at
    length = reader.number(4, "snapshot seal")
    if length > 65536:
        raise FormatError("snapshot seal", start, "TooLong")
    header["seal"] = reader.take(length, "snapshot seal").hex()
    return header, reader.at


def make_header(header):
    fields = b"".join(bytes.fromhex(header[name]) for name, _ in FIELDS)
    return b"CofSnap\n\x01\x01" + fields + number(len(header["seal"]) // 2, 4) + bytes.fromhex(header["seal"])


def file_key(header, root_key):
    return kdf(root_key, "snapshot", b"".join(bytes.fromhex(header[name]) for name in ("store", "environment", "nonce")))


def read_body(body, expected):
    at, records = 0, []

    def fault(field, kind):
        return FormatError(field, at, kind)

    while at < len(body):
        if body[at] == 0:
            if len(body) < at + 41:
                raise fault("snapshot body", "Truncated")
            count, digest = int.from_bytes(body[at + 1 : at + 9], "big"), body[at + 9 : at + 41]
            if not count == len(records) == expected:
                raise fault("snapshot records", "Invalid")
            if digest != hashlib.sha256(body[:at]).digest():
                raise fault("snapshot digest", "NotAuthentic")
            at += 41
            if at < len(body):
                raise fault("snapshot body", "TrailingBytes")
            return records
        if body[at] != 1:
            raise fault("snapshot record", "Invalid")
        head = body[at + 1 : at + 7]
        if len(head) < 6:
            break
        key, value = int.from_bytes(head[:2], "big"), int.from_bytes(head[2:], "big")
        if value > 64 << 20:
            raise fault("snapshot record value", "TooLong")
        end = at + 7 + key + value
        if end > len(body):
            break
        records.append([body[at + 7 : at + 7 + key].hex(), body[at + 7 + key : end].hex()])
        at = end
    raise fault("snapshot body", "Truncated")


def open_file(vector):
    file, root_key = raw(vector, "file", "root_key")
    header, length = parse(file)
    body = open_stream(file_key(header, root_key), LABEL + file[:length], file[length:], length)
    return header, read_body(body, int(header["records"], 16))


def check(vector):
    if "error" in vector:
        refuses(vector, lambda: open_file(vector))
        return
    header, records = open_file(vector)
    same(header, vector["header"], "header")
    same(records, vector["records"], "records")
    pairs = [(bytes.fromhex(key), bytes.fromhex(value)) for key, value in vector["records"]]
    body = b"".join(b"\x01" + number(len(k), 2) + number(len(v), 4) + k + v for k, v in pairs)
    end = b"\0" + number(len(pairs), 8) + hashlib.sha256(body).digest()
    clear = make_header(vector["header"])
    root_key, salt = raw(vector, "root_key", "salt")
    same(clear + seal(file_key(header, root_key), salt, LABEL + clear, body + end), vector["file"], "file")
