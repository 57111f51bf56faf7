"""The digest of a set of files that does not depend on the order in which they came."""

import hashlib

_MODULUS = 2**128


def mark_of_file(folder: bytes, name: bytes, size: int, mtime_ns: int, content: bytes | None) -> int:
    """128 bits of a file's path, size and time; of its content instead of its time where that is known, so that the
    same table written again is no news."""
    how = content if content is not None else b"%d" % mtime_ns
    path = folder + b"/" + name if folder else name
    digest = hashlib.blake2b(b"%b\0%d\0%b" % (path, size, how), digest_size=16, person=b"cxr watch")
    return int.from_bytes(digest.digest(), "big")


def add_mark(total: bytes, mark: int) -> bytes:
    """The sum modulo 2^128: addition is the same in every order, and what is added can be taken away."""
    return ((int.from_bytes(total, "big") + mark) % _MODULUS).to_bytes(16, "big")
