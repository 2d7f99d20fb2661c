"""Groups the samples of `perf script -F ip,sym` by the part of a request they belong to.

A sample belongs to the innermost frame whose crate says what it is for; frames of general use (core, alloc, sha2, libc)
belong to whoever called them. Inlined frames count as frames. Work of the kernel is told apart by what it is about."""
import collections
import re
import sys

# The first part whose pattern matches the beginning of a symbol's path.
PARTS = [
    ("audit", r"coffer_audit|keystore_format::(leaf|frame|openings|merkle|cbor|tile|checkpoint|note|mac)"),
    ("token, certificate", r"coffer_auth|keystore_format::token"),
    ("policy", r"coffer_policy"),
    ("crypto of records and names", r"coffer_barrier|keystore_format|aes|aes_gcm|aes_siv|xaes_256_gcm|ghash|polyval|cmac"),
    ("store", r"coffer_store|redb"),
    ("TLS", r"rustls|tokio_rustls|coffer_gateway::(tls|listener)"),
    ("HTTP, JSON, paths", r"hyper|hyper_util|h2|http|http_body|http_body_util|httparse|httpdate|coffer_wire|coffer_types|coffer_gateway::(received|reply)"),
    ("pipeline, mounts, engine", r"coffer_\w+|cofferd"),
    ("runtime", r"tokio|mio|parking_lot|parking_lot_core|tracing|tracing_core"),
]
# By any of their frames, since the frames between them and us are the C library's, which has no frame pointers.
KERNEL = [
    ("kernel: sockets", r"\b(tcp_|sock_|inet_|do_epoll|__x64_sys_epoll|__sys_recvfrom)"),
    ("kernel: files (audit log, store)", r"ext4_|jbd2_|xfs_|btrfs_|vfs_write|vfs_open|do_filp_open|fsync|folio|submit_bio"),
    ("kernel: random numbers", r"getrandom|get_random|crng_|chacha"),
]
# What is left without a caller, by the innermost frame.
FALLBACK = [
    ("TLS", r"aws_lc_|aes_gcm_|aead_aes|\w*iv_len_12_init_IV|gcm_"),
    ("allocation (of any part)", r"_int_|malloc|cfree|free|calloc|realloc|unlink_chunk|_mid_memalign|sysmalloc"),
]


def compiled(table):
    return [(part, re.compile(pattern)) for part, pattern in table]


PARTS = compiled((part, rf"(?:{pattern})(?::|\b)") for part, pattern in PARTS)
KERNEL, FALLBACK = compiled(KERNEL), compiled(FALLBACK)


def first(table, text):
    return next((part for part, pattern in table if pattern.match(text)), None)


def path(symbol):
    """What a symbol begins with, without `<`, `&mut` and the like; generics behind it do not count."""
    return re.sub(r"^[<&*\s]*(?:mut |dyn |const )*", "", symbol)


def part_of(addresses, symbols):
    part = next(filter(None, (first(PARTS, path(symbol)) for symbol in symbols)), None)
    if addresses[0] >> 63:
        inside = " ".join(symbol for address, symbol in zip(addresses, symbols) if address >> 63)
        about = next((kind for kind, pattern in KERNEL if pattern.search(inside)), None)
        return about or part or "kernel: other"
    return part or first(FALLBACK, symbols[0]) or "not told apart"


def main():
    count = collections.Counter()
    for sample in sys.stdin.read().split("\n\n"):
        frames = [line.split(None, 1) for line in sample.splitlines()]
        frames = [(int(frame[0], 16), frame[1]) for frame in frames if len(frame) == 2]
        if frames:
            count[part_of(*zip(*frames))] += 1
    total = sum(count.values())
    if not total:
        sys.exit("no samples")
    for part, samples in count.most_common():
        print(f"{part:<34} {100 * samples / total:5.1f} %")
    print(f"{'samples':<34} {total:5}")


main()
