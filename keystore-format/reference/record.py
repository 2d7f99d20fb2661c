"""Chapter 4: records."""

from common import FormatError, Reader, kdf, number, raw, refuses, same, xaes_open, xaes_seal


def record_key(data_key, ctx, kind, epoch):
    return kdf(data_key, "rec", ctx + number(kind, 2) + number(epoch, 4))


def seal(key, kind, epoch, rev, ctx, store_key, nonce, plaintext):
    header = b"\x01\x01" + number(kind, 2) + number(epoch, 4) + number(rev, 8)
    return header + nonce + xaes_seal(key, nonce, header + ctx + store_key, plaintext)


def parse(record):
    """Kind, epoch, rev, nonce, and ciphertext with tag."""
    reader = Reader(record)
    reader.version()
    reader.one_of("algorithm", "UnknownAlgorithm", {1})
    kind, epoch, rev = reader.number(2, "kind"), reader.number(4, "epoch"), reader.number(8, "rev")
    nonce = reader.take(24, "nonce")
    if len(reader.rest()) < 16:
        raise FormatError("tag", 40, "Truncated")
    if len(reader.rest()) - 16 > 64 << 20:
        raise FormatError("ciphertext", 40, "TooLong")
    return kind, epoch, rev, nonce, reader.rest()


def open_record(key, ctx, store_key, record):
    *_, nonce, sealed = parse(record)
    plaintext = xaes_open(key, nonce, record[:16] + ctx + store_key, sealed)
    if plaintext is None:
        raise FormatError("record", 0, "NotAuthentic")
    return plaintext


def check(vector):
    data_key, store, environment, store_key, record = raw(
        vector, "data_key", "store", "environment", "store_key", "record"
    )
    ctx = store + environment

    def opened():
        kind, epoch, *_ = parse(record)
        return open_record(record_key(data_key, ctx, kind, epoch), ctx, store_key, record)

    if "error" in vector:
        refuses(vector, opened)
        return
    same(opened(), vector["plaintext"], "plaintext")
    kind, epoch, nonce, plaintext = vector["kind"], vector["epoch"], *raw(vector, "nonce", "plaintext")
    key = record_key(data_key, ctx, kind, epoch)
    same(seal(key, kind, epoch, vector["rev"], ctx, store_key, nonce, plaintext), vector["record"], "record")
