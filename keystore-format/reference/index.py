"""Chapter 23: the replay index."""

import hashlib

from common import FormatError, Reader, number, raw, refuses, same

LEAF_ENTRIES = 32
EMPTY = bytes([1, 0, 0])


def node_hash(node):
    return hashlib.sha256(b"coffer/v1/index\0" + node).digest()


def steps(key):
    return key.hex()


def parse(path, node):
    reader = Reader(node)
    reader.version()
    if reader.one_of("node type", "UnknownAlgorithm", (0, 1)) == 0:
        parse_leaf(path, reader)
    else:
        parse_branch(path, reader)
    reader.end("node")


def parse_leaf(path, reader):
    count = reader.number(1, "entry count")
    if count > LEAF_ENTRIES:
        raise FormatError("entry count", 2, "TooLong")
    if count == 0:
        raise FormatError("entry count", 2, "Invalid")
    last = b""
    for _ in range(count):
        at = reader.at
        key = reader.take(56, "entry")[:32]
        if key <= last:
            raise FormatError("entry key", at, "NotCanonical")
        if not steps(key).startswith(path):
            raise FormatError("entry key", at, "Invalid")
        last = key


def parse_branch(path, reader):
    children = reader.number(2, "children")
    if children == 0 or len(path) == 64:
        raise FormatError("children", 2, "Invalid")
    total = 0
    for _ in range(children.bit_count()):
        at = reader.at
        count = int.from_bytes(reader.take(40, "child")[:8], "big")
        if count == 0:
            raise FormatError("child count", at, "Invalid")
        total += count
        if total >= 2**64:
            raise FormatError("child count", at, "TooLong")
    if total <= LEAF_ENTRIES:
        raise FormatError("children", 2, "NotCanonical")


def parse_store_key(key):
    reader = Reader(key)
    if reader.number(1, "table") != 4:
        raise FormatError("table", 0, "Invalid")
    reader.take(16, "environment")
    half = reader.number(1, "half depth")
    path = reader.rest()
    for at, step in enumerate(path):
        if step > 15:
            raise FormatError("path", 18 + at, "Invalid")
        if at == 64:
            raise FormatError("path", 18 + at, "TooLong")
    if half != len(path) // 2:
        raise FormatError("half depth", 17, "Invalid")


def store_key(environment, path):
    return bytes([4]) + environment + bytes([len(path) // 2]) + bytes(int(step, 16) for step in path)


def build(path, entries, nodes):
    """The canonical nodes of these entries, and what their parent says of them: count and hash."""
    if len(entries) <= LEAF_ENTRIES:
        node = bytes([1, 0, len(entries)]) + b"".join(entries)
    else:
        children = {}
        for step in "0123456789abcdef":
            below = [entry for entry in entries if steps(entry[:32])[len(path)] == step]
            if below:
                children[int(step, 16)] = build(path + step, below, nodes)
        bits = sum(1 << step for step in children)
        parts = [number(count, 8) + found for _, (count, found) in sorted(children.items())]
        node = bytes([1, 1]) + number(bits, 2) + b"".join(parts)
    nodes[path] = node
    return len(entries), node_hash(node)


def check(vector):
    if "directory" in vector:
        record, directory = raw(vector, "record", "directory")
        same(hashlib.sha256(record).digest(), vector["record_hash"], "record hash")
        found = hashlib.sha256(b"coffer/v1/directory\0" + directory).digest()
        same(found, vector["directory_hash"], "directory hash")
        return
    if "bytes" in vector:
        refuses(vector, lambda: parse(vector["path"], raw(vector, "bytes")))
        return
    if "error" in vector:
        refuses(vector, lambda: parse_store_key(raw(vector, "store_key")))
        return
    entries = [raw(entry, "key") + number(entry["rev"], 8) + raw(entry, "tag") for entry in vector["entries"]]
    nodes = {}
    count, root = build("", sorted(entries), nodes)
    if not entries:
        same(nodes.pop(""), EMPTY, "the leaf of none")
    same(root, vector["root"], "root")
    same(count, vector["count"], "count")
    kept = {node["path"]: node for node in vector["nodes"]}
    same(sorted(kept), sorted(nodes), "paths")
    for path, node in nodes.items():
        parse(path, node)
        same(node, kept[path]["node"], f"node {path}")
        key = store_key(raw(vector, "environment"), path)
        parse_store_key(key)
        same(key, kept[path]["store_key"], f"key {path}")
