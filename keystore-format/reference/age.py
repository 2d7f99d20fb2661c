"""Chapter 22: files of the age format, for one X25519 recipient."""

import base64

import bech32m
from common import FormatError, raw, refuses, same
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def hkdf(salt, key, info):
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def digits(data):
    return base64.b64encode(data).rstrip(b"=")


def recipient(text):
    key = bech32m.decode("age", text, 1)
    if text != text.lower():
        raise FormatError("recipient", 0, "NotCanonical")
    if len(key) != 32:
        raise FormatError("recipient", 0, "Truncated" if len(key) < 32 else "TrailingBytes")
    try:
        X25519PrivateKey.from_private_bytes(bytes([1]) * 32).exchange(X25519PublicKey.from_public_bytes(key))
    except ValueError:  # all zero
        raise FormatError("recipient", 0, "Invalid") from None
    return key


def encrypt(key, ephemeral, file_key, nonce, plaintext):
    own = X25519PrivateKey.from_private_bytes(ephemeral)
    share = own.public_key().public_bytes_raw()
    secret = own.exchange(X25519PublicKey.from_public_bytes(key))
    wrap = hkdf(share + key, secret, b"age-encryption.org/v1/X25519")
    body = ChaCha20Poly1305(wrap).encrypt(bytes(12), file_key, None)
    header = b"age-encryption.org/v1\n-> X25519 " + digits(share) + b"\n" + digits(body) + b"\n---"
    mac = hmac.HMAC(hkdf(b"", file_key, b"header"), hashes.SHA256())
    mac.update(header)
    payload = ChaCha20Poly1305(hkdf(nonce, file_key, b"payload")).encrypt(bytes(11) + b"\1", plaintext, None)
    return header + b" " + digits(mac.finalize()) + b"\n" + nonce + payload


def armor(file):
    text = base64.b64encode(file).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN AGE ENCRYPTED FILE-----", *lines, "-----END AGE ENCRYPTED FILE-----", ""])


def check(vector):
    if "error" in vector:
        refuses(vector, lambda: recipient(vector["recipient"]))
        return
    key = recipient(vector["recipient"])
    same(bech32m.encode("age", key, 1), vector["recipient"], "recipient")
    file = encrypt(key, *raw(vector, "ephemeral", "file_key", "nonce", "plaintext"))
    same(file, vector["file"], "file")
    same(armor(file), vector["armor"], "armor")
