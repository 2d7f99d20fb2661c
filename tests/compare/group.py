"""Groups the samples of `perf script -F ip,sym` by the part of a request they belong to.

A sample belongs to the innermost frame whose crate says what it is for; frames of general use (core, alloc, sha2, libc)
belong to whoever called them. Inlined frames count as frames. Kernel time goes to the part that asked for it where that
part is the store or the audit log, and is the network's otherwise."""
import collections
import re
import sys

KERNEL = "kernel: sockets, wake-ups"
# The first part whose pattern matches the beginning of a symbol's path.
PARTS = [
    ("audit", r"coffer_audit|keystore_format::(leaf|frame|openings|merkle|cbor|tile|checkpoint|note|mac)\b"),
    ("token, certificate", r"coffer_auth|keystore_format::token\b"),
    ("policy", r"coffer_policy"),
    ("crypto of records and names", r"coffer_barrier|keystore_format|aes_gcm|aes_siv|aes|xaes_256_gcm|ghash|polyval|cmac|ctr\b"),
    ("store", r"coffer_store|redb"),
    ("TLS", r"rustls|tokio_rustls|coffer_gateway::(tls|listener)"),
    ("HTTP and JSON", r"hyper|hyper_util|h2|http|http_body|http_body_util|httparse|httpdate|coffer_wire|coffer_types|coffer_gateway::(received|reply)|serde_json"),
    ("pipeline, mounts, engine", r"coffer_\w+|cofferd"),
    ("runtime", r"tokio|mio|parking_lot|parking_lot_core|tracing|tracing_core"),
]
PATTERNS = [(part, re.compile(rf"(?:{pattern})(?:::|\b)")) for part, pattern in PARTS]


def part_of(symbol):
    path = re.sub(r"^[<&*\s]*(?:mut |dyn |const )*", "", symbol)
    for part, pattern in PATTERNS:
        if pattern.match(path):
            return part
    return None


def main():
    count = collections.Counter()
    for sample in sys.stdin.read().split("\n\n"):
        frames = [line.split(None, 1) for line in sample.splitlines() if line.strip()]
        frames = [(int(address, 16), symbol) for address, symbol in (frame for frame in frames if len(frame) == 2)]
        if not frames:
            continue
        in_kernel = frames[0][0] >> 63 == 1
        part = next(filter(None, (part_of(symbol) for _, symbol in frames)), None)
        if in_kernel and part not in ("store", "audit"):
            part = KERNEL
        elif in_kernel:
            part += ", in the kernel"
        count[part or "not told apart (libc, start of threads)"] += 1
    total = sum(count.values())
    if not total:
        sys.exit("no samples")
    for part, samples in count.most_common():
        print(f"{part:<42} {100 * samples / total:5.1f} %")
    print(f"{'samples':<42} {total:5}")


main()
