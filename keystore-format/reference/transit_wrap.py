"""Chapter 6.5: parameters and blob of a wrap by a transit key."""

import re

from common import FormatError, Reader, number, raw, refuses, same

CIPHERTEXT = re.compile(rb"vault:v([1-9][0-9]*):[A-Za-z0-9+/=]+")


def read_parameters(data):
    reader = Reader(data)
    reader.version()
    associated_data = reader.one_of("associated data", "Invalid", {0, 1})
    at = reader.at
    length = reader.number(1, "key name length")
    if length == 0:
        raise FormatError("key name length", at, "Invalid")
    at = reader.at
    key = reader.take(length, "key name")
    try:
        key = key.decode("utf-8")
    except UnicodeDecodeError:
        raise FormatError("key name", at, "Invalid") from None
    if any(sign == "/" or ord(sign) < 0x20 or 0x7F <= ord(sign) <= 0x9F for sign in key):
        raise FormatError("key name", at, "Invalid")
    reader.end("wrap parameters")
    return {"associated_data": associated_data == 1, "key": key}


def write_parameters(vector):
    key = vector["key"].encode("utf-8")
    return b"\x01" + number(vector["associated_data"], 1) + number(len(key), 1) + key


def read_blob(data):
    reader = Reader(data)
    reader.version()
    ciphertext = reader.rest()
    if len(ciphertext) > 4096:
        raise FormatError("ciphertext", reader.at, "TooLong")
    form = CIPHERTEXT.fullmatch(ciphertext)
    if not form or int(form[1]) > 0xFFFFFFFF:
        raise FormatError("ciphertext", reader.at, "Invalid")
    return {"ciphertext": ciphertext.decode("ascii"), "key_version": int(form[1])}


def write_blob(vector):
    return b"\x01" + vector["ciphertext"].encode("ascii")


def check(vector):
    field = "parameters" if "parameters" in vector else "blob"
    read, write = (read_parameters, write_parameters) if field == "parameters" else (read_blob, write_blob)
    if "error" in vector:
        refuses(vector, lambda: read(raw(vector, field)))
        return
    for name, value in read(raw(vector, field)).items():
        same(value, vector[name], name)
    same(write(vector), vector[field], field)
