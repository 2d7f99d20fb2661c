"""Chapters 17 and 18 of FORMAT.md: notes, verifier keys, checkpoints, log proofs and disclosures."""

import base64
import binascii
import hashlib
import unicodedata

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from common import FormatError, raw, refuses, same
from leaf import commitment, decode, leaf_hash
from merkle import verify_inclusion

MARK = "\u2014 "


def strict(text, field, at):
    """Base64 with padding and zero spare bits, and nothing else."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError(field, at, "Invalid") from None
    if base64.b64encode(data).decode() != text:
        raise FormatError(field, at, "Invalid")
    return data


def b64(data):
    return base64.b64encode(data).decode()


def key_id(name, public):
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def verifier_key(name, public):
    return "+".join([name, key_id(name, public).hex(), b64(b"\x01" + public)])


def check_name(field, at, name):
    if len(name.encode()) > 512:
        raise FormatError(field, at, "TooLong")
    if not name or any(c.isspace() or unicodedata.category(c) == "Cc" or c == "+" for c in name):
        raise FormatError(field, at, "Invalid")


def parse_note(data):
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise FormatError("note", error.start, "Invalid") from None
    for at, byte in enumerate(data):
        if byte < 0x20 and byte != 0x0A:
            raise FormatError("note", at, "Invalid")
    body, empty, lines = text.rpartition("\n\n")
    if not empty:
        raise FormatError("note signatures", len(data), "Truncated")
    if not lines.endswith("\n"):
        raise FormatError("note signature", len(data), "Truncated")
    at, signatures = len(body.encode()) + 2, []
    for line in lines[:-1].split("\n"):
        if len(signatures) == 16:
            raise FormatError("note signatures", at, "TooLong")
        name, space, encoded = line.removeprefix(MARK).partition(" ")
        if not line.startswith(MARK) or not space:
            raise FormatError("note signature", at, "Invalid")
        check_name("note signature", at, name)
        signature = strict(encoded, "note signature", at)
        if len(signature) < 5:
            raise FormatError("note signature", at, "Truncated")
        signatures.append((name, signature[:4], signature[4:]))
        at += len(line.encode()) + 1
    return body + "\n", signatures


def open_note(data, name, public):
    text, signatures = parse_note(data)
    ours = [signature for owner, key, signature in signatures if (owner, key) == (name, key_id(name, public))]
    try:
        for signature in ours:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, text.encode())
    except InvalidSignature:
        ours = []
    if not ours:
        raise FormatError("note signature", len(text.encode()) + 1, "NotAuthentic")
    return text


def sign(text, name, seed):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    identity = key_id(name, key.public_key().public_bytes_raw())
    return f"{text}\n{MARK}{name} {b64(identity + key.sign(text.encode()))}\n"


def line(text, at, field):
    first, newline, rest = text.partition("\n")
    if not newline:
        raise FormatError(field, at, "Truncated")
    return first, rest


def decimal(text, at, field):
    if not text or any(c not in "0123456789" for c in text):
        raise FormatError(field, at, "Invalid")
    if len(text) > 1 and text[0] == "0":
        raise FormatError(field, at, "NotCanonical")
    if int(text) >= 2**64:
        raise FormatError(field, at, "TooLong")
    return int(text)


def hash_of(text, at, field):
    data = strict(text, field, at)
    if len(data) != 32:
        raise FormatError(field, at, "Invalid")
    return data


def parse_checkpoint(text):
    origin, rest = line(text, 0, "checkpoint origin")
    size_at = len(origin.encode()) + 1
    size, rest = line(rest, size_at, "checkpoint size")
    root_at = size_at + len(size.encode()) + 1
    root, rest = line(rest, root_at, "checkpoint root")
    if not origin:
        raise FormatError("checkpoint origin", 0, "Invalid")
    size = decimal(size, size_at, "checkpoint size")
    root = hash_of(root, root_at, "checkpoint root")
    if rest:
        raise FormatError("checkpoint extension", root_at + 45, "TrailingBytes")
    return origin, size, root


def open_checkpoint(data, name, public):
    origin, size, root = parse_checkpoint(open_note(data, name, public))
    if origin != name:
        raise FormatError("checkpoint origin", 0, "NotAuthentic")
    return origin, size, root


def parse_proof(text, at):
    header, rest = line(text, at, "proof header")
    if header != "c2sp.org/tlog-proof@v1":
        raise FormatError("proof header", at, "UnknownVersion")
    at += len(header) + 1
    index, rest = line(rest, at, "proof index")
    if not index.startswith("index "):
        raise FormatError("proof index", at, "Invalid")
    number_at, at = at + 6, at + len(index.encode()) + 1
    index, hashes = decimal(index[6:], number_at, "proof index"), []
    while True:
        encoded, rest = line(rest, at, "proof hash")
        if not encoded:
            return index, hashes, rest
        if len(hashes) == 63:
            raise FormatError("proof hash", at, "TooLong")
        hashes.append(hash_of(encoded, at, "proof hash"))
        at += len(encoded.encode()) + 1


def open_disclosure(text, name, public):
    at, values, rest = 0, [], text
    header, rest = line(rest, 0, "disclosure header")
    if header != "coffer disclosure v1":
        raise FormatError("disclosure header", 0, "UnknownVersion")
    at = len(header) + 1
    for what in ("field", "value", "salt", "leaf"):
        entry, rest = line(rest, at, "disclosure " + what)
        if not entry.startswith(what + " "):
            raise FormatError("disclosure " + what, at, "Invalid")
        value = entry[len(what) + 1 :]
        values.append(value if what == "field" else strict(value, "disclosure " + what, at + len(what) + 1))
        at += len(entry.encode()) + 1
    empty, rest = line(rest, at, "disclosure proof")
    if empty:
        raise FormatError("disclosure proof", at, "Invalid")
    field, value, salt, leaf = values
    index, hashes, checkpoint = parse_proof(rest, at + 1)
    _, size, root = open_checkpoint(checkpoint.encode(), name, public)
    verify_inclusion(index, size, leaf_hash(leaf), hashes, root)
    committed = decode(leaf).get("commitments", {}).get(field)
    if committed is None:
        raise FormatError("disclosure field", 0, "Invalid")
    if committed != commitment(salt, field, value):
        raise FormatError("disclosure value", 0, "NotAuthentic")
    return field, value, size


def check(vector):
    name, public = vector["key_name"], raw(vector, "public_key")

    def read():
        if "disclosure" in vector:
            return open_disclosure(vector["disclosure"], name, public)
        if "origin" in vector:
            return open_checkpoint(vector["note"].encode(), name, public)
        return open_note(vector["note"].encode(), name, public)

    if "error" in vector:
        refuses(vector, read)
        return
    same(verifier_key(name, public), vector["verifier_key"], "verifier key")
    found = read()
    if "disclosure" in vector:
        field, value, size = found
        same([field, value.hex(), size], [vector["field"], vector["value"], vector["size"]], "disclosed")
        return
    if "origin" in vector:
        origin, size, root = found
        same([origin, str(size), root.hex()], [vector["origin"], vector["size"], vector["root"]], "checkpoint")
        found = f"{origin}\n{size}\n{b64(root)}\n"
    same(found, vector["text"], "text")
    if "seed" in vector:
        same(sign(vector["text"], name, raw(vector, "seed")), vector["note"], "note")
