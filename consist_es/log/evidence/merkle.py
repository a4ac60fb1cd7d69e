"""The Merkle tree of RFC 6962, section 2.1: SHA-256, leaves prefixed with 0x00 and inner nodes with 0x01.

A tree of n leaves is split after the largest power of two below n, so it consists of perfect subtrees that never change
once they are full. To grow it, only their roots, the peaks, are needed.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

HASH_SIZE = 32
EMPTY_ROOT = sha256().digest()

Node = tuple[int, int]
"""(level, index): the perfect subtree over the leaves from index * 2**level up to (index + 1) * 2**level."""
Span = tuple[int, int]
"""A subtree by its leaves: the first one, and the one after its last."""


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree that keeps only its peaks and the inner nodes in `wanted`.

    Args:
        size, peaks: State to go on from: the number of leaves, and the peaks, the largest one first.
        wanted: Nodes to keep in `found` as they are made; nodes that are already full are not.
    """

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = (), wanted: frozenset[Node] = frozenset()) -> None:
        self.size = size
        self.peaks = list(peaks)
        self.found: dict[Node, bytes] = {}
        self._wanted = wanted

    def add(self, leaf: bytes) -> None:
        """Add the hash of a leaf."""
        index, level, node = self.size, 0, leaf
        self._keep(level, index, node)
        while index & 1:
            node = node_hash(self.peaks.pop(), node)
            index, level = index >> 1, level + 1
            self._keep(level, index, node)
        self.peaks.append(node)
        self.size += 1

    def _keep(self, level: int, index: int, node: bytes) -> None:
        if (level, index) in self._wanted:
            self.found[level, index] = node

    def root(self) -> bytes:
        return fold(self.peaks)

    def hash_of(self, span: Span) -> bytes:
        """Root of a subtree; all its `pieces` must have been wanted."""
        return fold([self.found[node] for node in pieces(span)])


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over perfect subtrees of falling size, left to right."""
    if not hashes:
        return EMPTY_ROOT
    *rest, right = hashes
    for left in reversed(rest):
        right = node_hash(left, right)
    return right


def pieces(span: Span) -> Iterator[Node]:
    """The perfect subtrees of a span, left to right."""
    start, stop = span
    while start < stop:
        level = (stop - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def peak_count(size: int) -> int:
    """The number of peaks of a tree of that size."""
    return size.bit_count()


# ---------------------------------------------------------------- proofs


def inclusion_path(index: int, size: int) -> list[Span]:
    """The subtrees of a proof of leaf `index`, the smallest one first (RFC 6962, section 2.1.1)."""
    start, stop = 0, size
    spans = []
    while stop - start > 1:
        middle = _middle(start, stop)
        if index < middle:
            spans.append((middle, stop))
            stop = middle
        else:
            spans.append((start, middle))
            start = middle
    return spans[::-1]


def consistency_path(old: int, size: int) -> list[Span]:
    """The subtrees of a proof that a tree extends an older one (RFC 6962, section 2.1.2)."""
    start, stop = 0, size
    spans = []
    while old < stop:
        middle = _middle(start, stop)
        if old <= middle:
            spans.append((middle, stop))
            stop = middle
        else:
            spans.append((start, middle))
            start = middle
    if start > 0:  # else it is the old tree itself, and its root is known
        spans.append((start, stop))
    return spans[::-1]


def _middle(start: int, stop: int) -> int:
    """Split point of a subtree: after the largest power of two below its size."""
    return start + (1 << (stop - start - 1).bit_length() - 1)


# ---------------------------------------------------------------- checking proofs


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """True if the path proves that a leaf hash is in the tree (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    climbed = _climb(index, size - 1, leaf, path)
    return climbed is not None and climbed[1] == root


def extends(old: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """True if the path proves that a tree extends an older one of at least one leaf (RFC 9162, section 2.1.4.2)."""
    if not 0 < old <= size:
        return False
    if old == size:
        return not path and old_root == root
    index, last = old - 1, size - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    if index:
        if not path:
            return False
        begin, *path = path
    else:
        begin = old_root  # the old tree is perfect, and so a part of the new one
    return _climb(index, last, begin, path) == (old_root, root)


def _climb(index: int, last: int, begin: bytes, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Follow a path upwards from a node. Returns the root of the node with everything to its left, and the root of
    everything; None if the path has the wrong length."""
    old = new = begin
    for sibling in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        index, last = index >> 1, last >> 1
    return (old, new) if last == 0 else None
