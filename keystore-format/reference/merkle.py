"""Chapter 15 of FORMAT.md: the Merkle tree, by the recursive definitions of RFC 6962 §2.1."""

import hashlib

from common import FormatError, Reader, number, raw, refuses, same


def leaf_hash(leaf):
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def split(count):
    return 1 << (count - 1).bit_length() - 1


def root(leaves):
    if len(leaves) < 2:
        return leaf_hash(leaves[0]) if leaves else hashlib.sha256().digest()
    k = split(len(leaves))
    return node_hash(root(leaves[:k]), root(leaves[k:]))


def path(at, leaves):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if at < k:
        return [*path(at, leaves[:k]), root(leaves[k:])]
    return [*path(at - k, leaves[k:]), root(leaves[:k])]


def subproof(old, leaves, whole):
    if old == len(leaves):
        return [] if whole else [root(leaves)]
    k = split(len(leaves))
    if old <= k:
        return [*subproof(old, leaves[:k], whole), root(leaves[k:])]
    return [*subproof(old - k, leaves[k:], False), root(leaves[:k])]


def path_length(index, size):
    if size == 1:
        return 0
    k = split(size)
    return 1 + (path_length(index, k) if index < k else path_length(index - k, size - k))


def root_by_path(index, size, leaf, proof):
    """The recursion of §2.1.1, from the root down; the last hash of the proof belongs to the root."""
    if size == 1:
        return leaf
    k = split(size)
    if index < k:
        return node_hash(root_by_path(index, k, leaf, proof[:-1]), proof[-1])
    return node_hash(proof[-1], root_by_path(index - k, size - k, leaf, proof[:-1]))


def subproof_length(old, size, whole):
    if old == size:
        return 0 if whole else 1
    k = split(size)
    return 1 + (subproof_length(old, k, whole) if old <= k else subproof_length(old - k, size - k, False))


def roots_by_subproof(old, size, whole, proof, old_root):
    """(old root, new root) of §2.1.2, from the root down."""
    if old == size:
        return (old_root, old_root) if whole else (proof[-1], proof[-1])
    k = split(size)
    if old <= k:
        older, newer = roots_by_subproof(old, k, whole, proof[:-1], old_root)
        return older, node_hash(newer, proof[-1])
    older, newer = roots_by_subproof(old - k, size - k, False, proof[:-1], old_root)
    return node_hash(proof[-1], older), node_hash(proof[-1], newer)


def demand_length(field, proof, expected):
    if len(proof) < expected:
        raise FormatError(field, 32 * len(proof), "Truncated")
    if len(proof) > expected:
        raise FormatError(field, 32 * expected, "TrailingBytes")


def verify_inclusion(index, size, leaf, proof, expected):
    field = "inclusion proof"
    if index >= size:
        raise FormatError(field, 0, "Invalid")
    demand_length(field, proof, path_length(index, size))
    if root_by_path(index, size, leaf, proof) != expected:
        raise FormatError(field, 0, "NotAuthentic")


def verify_consistency(old, new, proof, old_root, new_root):
    field = "consistency proof"
    if old > new:
        raise FormatError(field, 0, "Invalid")
    if old in (0, new):
        demand_length(field, proof, 0)
        expected = (root([]), new_root) if old == 0 else (new_root, new_root)
    else:
        demand_length(field, proof, subproof_length(old, new, True))
        expected = roots_by_subproof(old, new, True, proof, old_root)
    if expected != (old_root, new_root):
        raise FormatError(field, 0, "NotAuthentic")


def frontier(leaves):
    hashes, begin = [], 0
    for bit in reversed(range(len(leaves).bit_length())):
        if len(leaves) >> bit & 1:
            hashes.append(root(leaves[begin : begin + (1 << bit)]))
            begin += 1 << bit
    return number(len(leaves), 8) + b"".join(hashes)


def read_frontier(data):
    size = Reader(data).number(8, "frontier size")
    hashes, expected = data[8:], 32 * size.bit_count()
    if len(hashes) < expected:
        raise FormatError("frontier hashes", 8, "Truncated")
    if len(hashes) > expected:
        raise FormatError("frontier hashes", 8 + expected, "TrailingBytes")


def check(vector):
    proof = [bytes.fromhex(one) for one in vector.get("proof", [])]
    leaves = [bytes.fromhex(leaf) for leaf in vector.get("leaves", [])]

    def verify():
        if "index" in vector:
            leaf, expected = raw(vector, "leaf_hash", "root")
            verify_inclusion(int(vector["index"]), int(vector["size"]), leaf, proof, expected)
        elif "old_size" in vector:
            old_root, new_root = raw(vector, "old_root", "new_root")
            verify_consistency(int(vector["old_size"]), int(vector["new_size"]), proof, old_root, new_root)
        else:
            read_frontier(raw(vector, "frontier"))

    if "error" in vector:
        refuses(vector, verify)
        return
    verify()
    if "index" in vector:
        at = int(vector["index"])
        same(leaf_hash(leaves[at]), vector["leaf_hash"], "leaf hash")
        same(root(leaves), vector["root"], "root")
        same([one.hex() for one in path(at, leaves)], vector["proof"], "proof")
    elif "old_size" in vector:
        old = int(vector["old_size"])
        same(root(leaves[:old]), vector["old_root"], "old root")
        same(root(leaves), vector["new_root"], "new root")
        made = subproof(old, leaves, True) if 0 < old else []
        same([one.hex() for one in made], vector["proof"], "proof")
    else:
        same(root(leaves), vector["root"], "root")
        same(frontier(leaves), vector["frontier"], "frontier")
