"""Chapter 6.3: parameters and blobs of devices."""

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap, aes_key_wrap_with_padding

from common import FormatError, Reader, number, raw, refuses, same

WRAPPED_LENGTHS = {1: (48, 48), 2: (40, 40), 3: (40, 40), 4: (256, 2048)}


def read_pkcs11_parameters(data):
    reader = Reader(data)
    reader.version()
    mechanism = reader.one_of("mechanism", "UnknownAlgorithm", WRAPPED_LENGTHS)
    if mechanism == 4:
        hash_number = reader.one_of("hash", "UnknownAlgorithm", range(1, 5))
    else:
        hash_number = reader.one_of("hash", "Invalid", {0})
    key_id = reader.take(reader.number(1, "key id length"), "key id")
    reader.end("wrap parameters")
    return {"mechanism": mechanism, "hash": hash_number, "key_id": key_id.hex()}


def read_pkcs11_blob(mechanism, data):
    reader = Reader(data)
    reader.version()
    iv = reader.take(12 if mechanism == 1 else 0, "iv")
    shortest, longest = WRAPPED_LENGTHS[mechanism]
    length = len(reader.rest())
    if mechanism == 4 and length > longest:
        raise FormatError("wrapped root key", reader.at, "TooLong")
    wrapped = reader.take(min(max(length, shortest), longest), "wrapped root key")
    reader.end("wrap blob")
    return {"iv": iv.hex(), "wrapped": wrapped.hex()}


def open_as_the_token(vector):
    """What the module does with its key, where it is one that this package has too."""
    key, iv, wrapped, root_key = raw(vector, "token_key", "iv", "wrapped", "root_key")
    place = b"\x01" + b"".join(raw(vector, "store", "environment", "wrap", "root_id"))
    if vector["mechanism"] == 1:
        same(AESGCM(key).encrypt(iv, root_key, place), wrapped, "by the token")
    elif vector["mechanism"] == 2:
        same(aes_key_wrap_with_padding(key, root_key), wrapped, "by the token")
    else:
        same(aes_key_wrap(key, root_key), wrapped, "by the token")


def check_pkcs11_parameters(vector):
    parameters = raw(vector, "pkcs11_parameters")
    if "error" in vector:
        refuses(vector, lambda: read_pkcs11_parameters(parameters))
        return
    for field, value in read_pkcs11_parameters(parameters).items():
        same(value, vector[field], field)
    key_id = raw(vector, "key_id")
    made = [b"\x01", number(vector["mechanism"], 1), number(vector["hash"], 1), number(len(key_id), 1), key_id]
    same(b"".join(made), parameters, "parameters")


def check_pkcs11_blob(vector):
    blob = raw(vector, "pkcs11_blob")
    if "error" in vector:
        refuses(vector, lambda: read_pkcs11_blob(vector["mechanism"], blob))
        return
    for field, value in read_pkcs11_blob(vector["mechanism"], blob).items():
        same(value, vector[field], field)
    same(b"\x01" + b"".join(raw(vector, "iv", "wrapped")), blob, "blob")
    if "token_key" in vector:
        open_as_the_token(vector)


def check(vector):
    if "pkcs11_parameters" in vector:
        check_pkcs11_parameters(vector)
    else:
        check_pkcs11_blob(vector)
