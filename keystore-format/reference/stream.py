"""Chapter 19 of FORMAT.md: the chunked stream."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from common import FormatError, raw, refuses, same

CHUNK, TAG, PREFIX = 16384, 16, 56


def derive(key, salt, context):
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" + salt + context
    # The input key is shorter than SHA-512's output; HMAC pads it with zeroes either way.
    derived = HKDFExpand(hashes.SHA512(), 76, info).derive(key)
    return AESGCM(derived[:32]), int.from_bytes(derived[32:44], "big"), derived[44:]


def nonce(base, number):
    return (base ^ number).to_bytes(12, "big")


def seal(key, salt, context, plain):
    cipher, base, commitment = derive(key, salt, context)
    chunks = [plain[at : at + CHUNK] for at in range(0, len(plain) + 1, CHUNK)]
    sealed = [cipher.encrypt(nonce(base, number), chunk, None) for number, chunk in enumerate(chunks)]
    return salt + commitment + b"".join(sealed)


def open_stream(key, context, sealed, base_offset=0):
    if len(sealed) < PREFIX:
        raise FormatError("stream commitment", base_offset + len(sealed), "Truncated")
    cipher, base, commitment = derive(key, sealed[:24], context)
    if commitment != sealed[24:PREFIX]:
        raise FormatError("stream commitment", base_offset + 24, "NotAuthentic")
    plain, at, number = b"", PREFIX, 0
    while True:
        chunk = sealed[at : at + CHUNK + TAG]
        if len(chunk) < TAG:
            raise FormatError("stream final chunk", base_offset + at, "Truncated")
        try:
            plain += cipher.decrypt(nonce(base, number), chunk, None)
        except InvalidTag:
            raise FormatError("stream chunk", base_offset + at, "NotAuthentic") from None
        if len(chunk) < CHUNK + TAG:
            return plain
        at, number = at + len(chunk), number + 1


def pattern(length):
    return bytes(at % 251 for at in range(length))


def message(vector):
    """Long messages and streams are written as what makes them."""
    return pattern(vector["plain_length"]) if "plain_length" in vector else raw(vector, "plain")


def check(vector):
    key, context = raw(vector, "key", "context")
    if "error" in vector:
        if "chunks" in vector:
            whole = seal(key, raw(vector, "salt"), context, message(vector))
            size = CHUNK + TAG
            sealed = whole[:PREFIX] + b"".join(whole[PREFIX:][at * size : (at + 1) * size] for at in vector["chunks"])
        else:
            sealed = raw(vector, "sealed")
        refuses(vector, lambda: open_stream(key, context, sealed))
        return
    sealed = seal(key, raw(vector, "salt"), context, message(vector))
    if "sealed" in vector:
        same(sealed, vector["sealed"], "sealed")
    else:
        digest = hashes.Hash(hashes.SHA256())
        digest.update(sealed)
        same(digest.finalize(), vector["sealed_sha256"], "sealed")
    same(open_stream(key, context, sealed), message(vector), "plain")
