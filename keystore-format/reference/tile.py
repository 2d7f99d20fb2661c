"""Chapter 16 of FORMAT.md: paths of tiles."""

import re

from common import FormatError, refuses, same


def path(kind, index, width):
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    groups = ["x" + group for group in groups[:-1]] + groups[-1:]
    return f"tile/{kind}/{'/'.join(groups)}" + ("" if width == 256 else f".p/{width}")


def parse(text):
    match = re.fullmatch(r"tile/(entries|[0-9]+)/((?:x?[0-9]{3}/)*x?[0-9]{3})(?:\.p/([0-9]+))?", text, re.ASCII)
    if not match:
        raise FormatError("tile path", 0, "Invalid")
    kind, groups, width = match.groups()
    index = int(groups.replace("x", "").replace("/", ""))
    level = 0 if kind == "entries" else int(kind)
    width = 256 if width is None else int(width)
    if level > 63 or index >= 2**64 or (match[3] is not None and width not in range(1, 256)):
        raise FormatError("tile path", 0, "Invalid")
    kind = kind if kind == "entries" else str(level)
    if path(kind, index, width) != text:
        raise FormatError("tile path", 0, "NotCanonical")
    return {"kind": kind, "index": str(index), "width": width}


def check(vector):
    if "error" in vector:
        refuses(vector, lambda: parse(vector["path"]))
        return
    for field, value in parse(vector["path"]).items():
        same(value, vector[field], field)
    same(path(vector["kind"], int(vector["index"]), vector["width"]), vector["path"], "path")
