"""Chapter 10 of FORMAT.md: deterministic CBOR."""

import unicodedata

from common import FormatError

UINT, BYTES, TEXT, ARRAY, MAP = 0, 2, 3, 4, 5


def head(major, value):
    major <<= 5
    if value < 24:
        return bytes([major | value])
    for width, code in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if value < 1 << 8 * width:
            return bytes([major | code]) + value.to_bytes(width, "big")
    raise ValueError("beyond 64 bits")


def encode(item):
    """ints, bytes, strings and dicts; dicts come out in canonical order."""
    if isinstance(item, int):
        return head(UINT, item)
    if isinstance(item, bytes):
        return head(BYTES, len(item)) + item
    if isinstance(item, str):
        return head(TEXT, len(item.encode())) + item.encode()
    pairs = sorted((encode(key), encode(value)) for key, value in item.items())
    return head(MAP, len(pairs)) + b"".join(key + value for key, value in pairs)


class CborReader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def _take(self, length, field):
        if length > len(self.data) - self.at:
            raise FormatError(field, self.at, "Truncated")
        self.at += length
        return self.data[self.at - length : self.at]

    def head(self, field, major):
        start = self.at
        first = self._take(1, field)[0]
        if first >> 5 != major:
            raise FormatError(field, start, "Invalid")
        small = first & 31
        if small < 24:
            return small
        if small > 27:
            raise FormatError(field, start, "NotCanonical")
        value = int.from_bytes(self._take(1 << small - 24, field), "big")
        if len(head(major, value)) != self.at - start:
            raise FormatError(field, start, "NotCanonical")
        return value

    def next_is_uint(self):
        return self.at < len(self.data) and self.data[self.at] >> 5 == UINT

    def uint(self, field, most=2**64 - 1):
        start = self.at
        value = self.head(field, UINT)
        if value > most:
            raise FormatError(field, start, "TooLong")
        return value

    def bytes(self, field, limit, major=BYTES):
        start = self.at
        length = self.head(field, major)
        if length > limit:
            raise FormatError(field, start, "TooLong")
        return self._take(length, field)

    def fixed(self, field, length):
        start = self.at
        value = self.bytes(field, length)
        if len(value) != length:
            raise FormatError(field, start, "Invalid")
        return value

    def text(self, field, limit):
        start = self.at
        try:
            return self.bytes(field, limit, TEXT).decode()
        except UnicodeDecodeError:
            raise FormatError(field, start, "Invalid") from None

    def keys(self, field, read_key, count=None):
        """Yields (offset, key); whoever iterates reads each value in between."""
        last = b""
        for _ in range(self.head(field, MAP) if count is None else count):
            start = self.at
            key = read_key()
            encoded = self.data[start : self.at]
            if encoded <= last:
                raise FormatError(field, start, "NotCanonical")
            last = encoded
            yield start, key

    def named(self, field, read_value):
        """A map by field name, not empty."""
        start = self.at
        found = {}
        for at, name in self.keys(field, lambda: self.text(field, 64)):
            if not name or any(unicodedata.category(character) == "Cc" for character in name):
                raise FormatError(field, at, "Invalid")
            found[name] = read_value()
        if not found:
            raise FormatError(field, start, "NotCanonical")
        return found

    def end(self, field):
        if self.at != len(self.data):
            raise FormatError(field, self.at, "TrailingBytes")
