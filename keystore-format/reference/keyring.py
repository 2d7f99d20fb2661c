"""Chapter 5: the keyring."""

import record
from common import FormatError, Reader, kdf, make_tail, number, raw, read_tail, refuses, same

STABLE = [("name key", 64), ("token key", 32), ("commitment key", 32), ("child KEK", 32), ("log seed", 32)]


def decode(plaintext):
    reader = Reader(plaintext)
    reader.version()
    generation = reader.number(8, "generation")
    count = reader.number(2, "epoch count")
    start = reader.at
    epochs = [
        {
            "number": reader.number(4, "epoch number"),
            "state": reader.one_of("epoch state", "Invalid", {1, 2}),
            "created": reader.number(8, "epoch creation time"),
            "data_key": reader.take(32, "epoch data key").hex(),
            "encryptions": reader.number(8, "epoch encryptions"),
        }
        for _ in range(count)
    ]
    if not epochs:
        raise FormatError("epoch count", start - 2, "Invalid")
    last = 0
    for index, epoch in enumerate(epochs):
        if epoch["number"] <= last:
            raise FormatError("epoch number", start + 53 * index, "NotCanonical")
        last = epoch["number"]
        if (epoch["state"] == 1) != (index == count - 1):
            raise FormatError("epoch state", start + 53 * index + 4, "Invalid")
    stable = [
        {"version": reader.number(4, field + " version"), "key": reader.take(length, field).hex()}
        for field, length in STABLE
    ]
    count = reader.number(2, "escrow count")
    start = reader.at
    escrow = [
        {"wrap": reader.take(16, "escrow wrap id").hex(), "kek": reader.take(32, "escrow KEK").hex()}
        for _ in range(count)
    ]
    for index in range(1, count):
        if escrow[index - 1]["wrap"] >= escrow[index]["wrap"]:
            raise FormatError("escrow wrap id", start + 48 * index, "NotCanonical")
    return {
        "generation": str(generation),
        "epochs": epochs,
        "stable_keys": stable,
        "escrow": escrow,
        "tail": read_tail(reader),
    }


def encode(keyring):
    parts = [number(1, 1), number(keyring["generation"], 8), number(len(keyring["epochs"]), 2)]
    for epoch in keyring["epochs"]:
        parts += [number(epoch["number"], 4), number(epoch["state"], 1), number(epoch["created"], 8)]
        parts += [raw(epoch, "data_key"), number(epoch["encryptions"], 8)]
    for stable in keyring["stable_keys"]:
        parts += [number(stable["version"], 4), raw(stable, "key")]
    parts.append(number(len(keyring["escrow"]), 2))
    for escrowed in keyring["escrow"]:
        parts += raw(escrowed, "wrap", "kek")
    return b"".join(parts) + make_tail(keyring["tail"])


def store_key(environment, slot):
    return b"\x01" + environment + b"\x03" + number(slot, 1)


def open_keyring(root_key, store, environment, slot, sealed):
    kind, epoch, rev, *_ = record.parse(sealed)
    if kind != 1:
        raise FormatError("kind", 2, "Invalid")
    if epoch != 0:
        raise FormatError("epoch", 4, "Invalid")
    ctx = store + environment
    key = kdf(root_key, "keyring", ctx)
    keyring = decode(record.open_record(key, ctx, store_key(environment, slot), sealed))
    if keyring["generation"] != str(rev):
        raise FormatError("generation", 1, "Invalid")
    return keyring


def check(vector):
    if "root_key" not in vector:
        refuses(vector, lambda: decode(raw(vector, "plaintext")))
        return
    root_key, store, environment, sealed = raw(vector, "root_key", "store", "environment", "record")
    slot = vector["slot"]
    if "error" in vector:
        refuses(vector, lambda: open_keyring(root_key, store, environment, slot, sealed))
        return
    same(slot, int(vector["generation"]) % 2, "slot")
    opened = open_keyring(root_key, store, environment, slot, sealed)
    for field, value in opened.items():
        same(value, vector[field], field)
    same(encode(vector), vector["plaintext"], "plaintext")
    ctx = store + environment
    made = record.seal(
        kdf(root_key, "keyring", ctx),
        1,
        0,
        vector["generation"],
        ctx,
        store_key(environment, slot),
        raw(vector, "nonce"),
        encode(vector),
    )
    same(made, vector["record"], "record")
