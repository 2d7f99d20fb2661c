"""Chapter 8: the head."""

from common import FormatError, Reader, make_tail, number, raw, read_tail, refuses, same


def decode(head):
    reader = Reader(head)
    reader.version()
    numbers = [reader.number(8, "generation"), reader.number(8, "rev high-water")]
    index_root = reader.take(32, "index root").hex()
    fields = ("record count", "keyring generation", "seal generation", "audit size")
    numbers += [reader.number(8, field) for field in fields]
    audit_root = reader.take(32, "audit root").hex()
    incarnation = reader.take(16, "incarnation").hex()
    numbers.append(reader.number(8, "TPM counter"))
    tail = read_tail(reader, known=(1,))
    index = [bytes.fromhex(entry["value"]) for entry in tail if entry["tag"] == 1]
    if index and len(index[0]) != 9:
        raise FormatError("index version", 143, "Invalid")
    if index and index[0][0] != 1:
        raise FormatError("index version", 143, "UnknownVersion")
    if index and index_root == "00" * 32:
        raise FormatError("index root", 17, "Invalid")
    return {
        "numbers": [str(value) for value in numbers],
        "index_root": index_root,
        "audit_root": audit_root,
        "incarnation": incarnation,
        "tail": tail,
    }


def encode(head):
    numbers = [number(value, 8) for value in head["numbers"]]
    index_root, audit_root, incarnation = raw(head, "index_root", "audit_root", "incarnation")
    parts = [b"\x01", *numbers[:2], index_root, *numbers[2:6], audit_root, incarnation, numbers[6]]
    return b"".join(parts) + make_tail(head["tail"])


def check(vector):
    if "error" in vector:
        refuses(vector, lambda: decode(raw(vector, "head")))
        return
    for field, value in decode(raw(vector, "head")).items():
        same(value, vector[field], field)
    same(encode(vector), vector["head"], "head")
