"""Bech32m (BIP-350), as chapter 7 orders its faults."""

from common import FormatError, raw, refuses, same

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
BECH32M = 0x2BC830A3


def checksum(prefix, values):
    state = 1
    for value in [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + list(values):
        top, state = state >> 25, (state & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            state ^= generator if top >> bit & 1 else 0
    return state


def encode(prefix, data, constant=BECH32M):
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    values = [int(bits[at : at + 5], 2) for at in range(0, len(bits), 5)]
    state = checksum(prefix, values + [0] * 6) ^ constant
    values += [state >> shift & 31 for shift in (25, 20, 15, 10, 5, 0)]
    return prefix + "1" + "".join(ALPHABET[value] for value in values)


def decode(prefix, text, constant=BECH32M):
    if len(text) > 90:
        raise FormatError("text", 90, "TooLong")
    for at, c in enumerate(text):
        if not 33 <= ord(c) <= 126:
            raise FormatError("character", at, "Invalid")
    upper = next((at for at, c in enumerate(text) if "A" <= c <= "Z"), None)
    lower = next((at for at, c in enumerate(text) if "a" <= c <= "z"), None)
    if upper is not None and lower is not None:
        raise FormatError("case", max(upper, lower), "NotCanonical")
    found, separator, symbols = text.lower().rpartition("1")
    if not separator or not found:
        raise FormatError("prefix", 0, "Invalid")
    if len(symbols) < 6:
        raise FormatError("checksum", len(text), "Truncated")
    for at, c in enumerate(symbols):
        if c not in ALPHABET:
            raise FormatError("character", len(found) + 1 + at, "Invalid")
    values = [ALPHABET.index(c) for c in symbols]
    if checksum(found, values) != constant:
        raise FormatError("checksum", len(text) - 6, "NotAuthentic")
    if found != prefix:
        raise FormatError("prefix", 0, "Invalid")
    bits = "".join(f"{value:05b}" for value in values[:-6])
    spare = len(bits) % 8
    if spare > 4 or "1" in bits[len(bits) - spare :]:
        raise FormatError("padding", len(text) - 7, "NotCanonical")
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) - spare, 8))


def check(vector):
    if "error" in vector:
        refuses(vector, lambda: decode(vector["prefix"], vector["text"]))
        return
    same(decode(vector["prefix"], vector["text"]), vector["bytes"])
    same(encode(vector["prefix"], raw(vector, "bytes")), vector["text"].lower(), "text")
