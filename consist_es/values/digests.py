"""How digests are written: what they were taken of, then hexadecimal digits."""

from blake3 import blake3

CONTENT = "b3:"
"""Of content: BLAKE3."""
TIMES = "fast:"
"""Of sizes and modification times alone."""
METHODS = ("full", "fast")
"""How files can be digested: the former gives the former kind, the latter the latter."""


def written(hasher: blake3, length: int = 32, kind: str = CONTENT) -> str:
    """The digest that a hasher has come to, of `length` bytes."""
    return f"{kind}{hasher.hexdigest(length)}"


def digest_of(data: bytes, length: int = 32) -> str:
    """The digest of bytes."""
    return written(blake3(data), length)


def method_of(digest: str) -> str:
    """The method by which a file has to be digested to be compared with this digest."""
    return "fast" if digest.startswith(TIMES) else "full"
