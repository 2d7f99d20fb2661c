"""Chapters 1 and 2 of FORMAT.md: reading, errors, tails, derivation, XAES-256-GCM."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand


class FormatError(Exception):
    """A field, an offset and a fault, as chapter 1.1 names them."""

    def __init__(self, field, offset, fault):
        super().__init__(f"{field} at {offset}: {fault}")
        self.what = {"field": field, "offset": offset, "fault": fault}


class Reader:
    """Takes fields from bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length, field):
        if length > len(self.data) - self.at:
            raise FormatError(field, self.at, "Truncated")
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self, length, field):
        return int.from_bytes(self.take(length, field), "big")

    def rest(self):
        return self.data[self.at :]

    def version(self):
        if self.number(1, "version") != 1:
            raise FormatError("version", 0, "UnknownVersion")

    def one_of(self, field, fault, allowed):
        at = self.at
        value = self.number(1, field)
        if value not in allowed:
            raise FormatError(field, at, fault)
        return value

    def end(self, field):
        if self.rest():
            raise FormatError(field, self.at, "TrailingBytes")


def number(value, length):
    return int(value).to_bytes(length, "big")


def read_tail(reader, known=()):
    entries = []
    while reader.rest():
        at = reader.at
        tag = reader.number(2, "tail tag")
        if entries and entries[-1]["tag"] >= tag:
            raise FormatError("tail tag", at, "NotCanonical")
        if tag < 0x8000 and tag not in known:
            raise FormatError("tail tag", at, "UnknownTag")
        value = reader.take(reader.number(4, "tail length"), "tail value")
        entries.append({"tag": tag, "value": value.hex()})
    return entries


def make_tail(entries):
    parts = [(entry["tag"], bytes.fromhex(entry["value"])) for entry in entries]
    return b"".join(number(tag, 2) + number(len(value), 4) + value for tag, value in parts)


def kdf(key, label, info, length=32):
    expand = HKDFExpand(hashes.SHA256(), length, b"coffer/v1/" + label.encode() + b"\0" + info)
    return expand.derive(key)


def _xaes_key(key, nonce):
    ecb = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    zero = int.from_bytes(ecb.update(bytes(16)), "big")
    k1 = (zero << 1) & (2**128 - 1) ^ (0x87 if zero >> 127 else 0)
    blocks = [bytes([0, counter]) + b"X\0" + nonce[:12] for counter in (1, 2)]
    return b"".join(ecb.update((int.from_bytes(block, "big") ^ k1).to_bytes(16, "big")) for block in blocks)


def xaes_seal(key, nonce, data, plaintext):
    return AESGCM(_xaes_key(key, nonce)).encrypt(nonce[12:], plaintext, data)


def xaes_open(key, nonce, data, sealed):
    """None where it is not authentic."""
    try:
        return AESGCM(_xaes_key(key, nonce)).decrypt(nonce[12:], sealed, data)
    except InvalidTag:
        return None


def raw(vector, *fields):
    """Fields of a vector, out of hex."""
    values = [bytes.fromhex(vector[field]) for field in fields]
    return values[0] if len(values) == 1 else values


def same(found, wanted, what="bytes"):
    found = found.hex() if isinstance(found, bytes) else found
    wanted = wanted.hex() if isinstance(wanted, bytes) else wanted
    if found != wanted:
        raise ValueError(f"{what}: {found} and not {wanted}")


def refuses(vector, read):
    """The reader must refuse with the vector's error."""
    try:
        read()
    except FormatError as error:
        same(error.what, vector["error"], "error")
    else:
        raise ValueError("was not refused")
