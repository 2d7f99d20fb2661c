"""Chapter 20 of FORMAT.md: the client's envelope."""

from common import FormatError, Reader, number, raw, refuses, same
from stream import open_stream, seal

TEXTS = (("environment", 1024), ("mount", 1024), ("key", 1024), ("wrapped key", 4096))


def literal(reader, expected, field, fault):
    if not expected.startswith(reader.rest()[: len(expected)]):
        raise FormatError(field, reader.at, fault)
    reader.take(len(expected), field)


def parse(message):
    reader = Reader(message)
    literal(reader, b"CoEv", "envelope magic", "Invalid")
    literal(reader, b"\x01", "envelope version", "UnknownVersion")
    literal(reader, b"\x01", "envelope algorithm", "UnknownAlgorithm")
    texts = []
    for name, limit in TEXTS:
        field, start = "envelope " + name, reader.at
        length = reader.number(2, field)
        if length > limit:
            raise FormatError(field, start, "TooLong")
        try:
            texts.append(reader.take(length, field).decode())
        except UnicodeDecodeError:
            raise FormatError(field, start, "Invalid") from None
    return texts, reader.at


def open_envelope(vector):
    message, key, associated = raw(vector, "message", "data_key", "associated")
    texts, length = parse(message)
    context = b"coffer/v1/envelope\0" + message[:length] + associated
    return texts, open_stream(key, context, message[length:], length)


def check(vector):
    if "error" in vector:
        refuses(vector, lambda: open_envelope(vector))
        return
    texts, plain = open_envelope(vector)
    same(texts, vector["header"], "header")
    same(plain, vector["plain"], "plain")
    parts = [number(len(text.encode()), 2) + text.encode() for text in vector["header"]]
    header = b"CoEv\x01\x01" + b"".join(parts)
    key, salt, associated = raw(vector, "data_key", "salt", "associated")
    sealed = seal(key, salt, b"coffer/v1/envelope\0" + header + associated, plain)
    same(header + sealed, vector["message"], "message")
