"""Writes digests: a prefix for the kind, then hexadecimal digits."""

from blake3 import blake3

CONTENT = "b3:"
"""Prefix of digests of content (BLAKE3)."""
TIMES = "fast:"
"""Prefix of digests of sizes and modification times alone."""
METHODS = ("full", "fast")
"""How files can be digested: "full" gives `CONTENT` digests, "fast" gives `TIMES` digests."""


def written(hasher: blake3, length: int = 32, kind: str = CONTENT) -> str:
    """The hasher's digest as text, from `length` bytes."""
    return f"{kind}{hasher.hexdigest(length)}"


def digest_of(data: bytes, length: int = 32) -> str:
    """The digest of bytes."""
    return written(blake3(data), length)


def method_of(digest: str) -> str:
    """The method by which to digest a file for comparison with this digest."""
    return "fast" if digest.startswith(TIMES) else "full"
