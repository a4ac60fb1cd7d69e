"""Builds a log's Merkle tree in one walk. Memory does not grow with the log."""

from collections.abc import Callable, Iterable
from pathlib import Path

from consist_es.events import Cursor
from consist_es.log.evidence.merkle import Node, Tree, leaf_hash
from consist_es.log.reader import read_head, read_lines
from consist_es.log.segment import Line
from consist_es.system.storage import Storage

Progress = Callable[[int, int], None]
"""Called with (events seen, events in all)."""

_STRIDE = 4096
"""Events between two calls of a progress function."""


class Survey:
    """The tree of a log up to the place read, and the items asked for.

    The leaf of an event is the input of its chain value: `consist_es.log.record.covered`.

    Args:
        sizes: Tree sizes to note the root at.
        nodes: Inner nodes of the tree to keep.
        positions: Events to keep the lines of.
    """

    def __init__(
        self,
        storage: Storage,
        folder: Path,
        *,
        sizes: Iterable[int] = (),
        nodes: frozenset[Node] = frozenset(),
        positions: Iterable[int] = (),
    ) -> None:
        self.tree = Tree(wanted=nodes)
        self.roots: dict[int, bytes] = {}
        self.lines: dict[int, tuple[int, Line]] = {}
        """Position -> segment and line."""
        self._storage, self._folder = storage, folder
        self.start = Cursor()
        """Start of the walk."""
        self._last: tuple[int, Line] | None = None
        self._sizes, self._positions = frozenset(sizes), frozenset(positions)

    def start_from(self, place: Cursor, peaks: Iterable[bytes]) -> None:
        """Go on from an earlier walk."""
        self.tree, self.start = Tree(place.seq, peaks), place

    @property
    def place(self) -> Cursor:
        """Cursor behind the last event of the tree."""
        if self._last is None:
            return self.start
        segment, line = self._last
        return Cursor(self.tree.size, segment, line.offset + line.size, line.chain.decode())

    def run(self, *, stop: int | None = None, progress: Progress | None = None) -> None:
        """Walk to the event at position `stop`, which lies ahead, or to the end. After an error, the tree holds the
        events before it.

        Raises:
            LogCorruptError, LogFormatError, LogReadError: see `LocalLog.read`.
            LogMismatchError: the place to go on from is not in the log.
        """
        total = stop or read_head(self._storage, self._folder).cursor.seq if progress else 0
        tree = self.tree
        for found in read_lines(self._storage, self._folder, self.place):
            self._last = found
            tree.add(leaf_hash(found[1].covered))
            size = tree.size
            if size in self._sizes:
                self.roots[size] = tree.root()
            if size in self._positions:
                self.lines[size] = found
            if size == stop:
                return  # the rest need not be whole
            if progress is not None and size % _STRIDE == 0:
                progress(size, total)
