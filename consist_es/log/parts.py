"""Checks the segments of a large log in several processes.

A segment's header has the chain value that its first line builds on, so each can be checked alone. A child passes what
is right: a `Part` ends before the first line that is not, and the caller goes on there.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, Queue

import msgspec

from consist_es.events import PayloadRedacted, RecordLost, WriterAttached
from consist_es.log.quick import Checked, Quick, is_ordinary
from consist_es.log.record import Head
from consist_es.log.segment import Line, Place, segment_name
from consist_es.log.unended import OpenRuns
from consist_es.system.child import Child, answer, processors, questions
from consist_es.system.storage import LocalStorage, Storage
from consist_es.system.with_block import WithBlock

SAYING = frozenset({RecordLost.TYPE, PayloadRedacted.TYPE, WriterAttached.TYPE})
"""Types of events whose payload says something about the log."""
LEAST = 128 << 20
"""Bytes of a log from which on children pay."""


class Question(msgspec.Struct, tag=True):
    """A segment to check."""

    folder: str
    place: Place


class Some(msgspec.Struct, tag=True):
    """Bytes that were checked since the last message."""

    count: int


class Part(msgspec.Struct, tag=True):
    """The checked lines of a segment."""

    place: Place
    """After the last whole batch that is right."""
    ended: bool
    """True if the segment ended there."""
    events: int
    open: dict[str, tuple[int, str]]
    """Runs that began in it and did not end, see `OpenRuns`."""
    closed: list[str]
    """Runs that ended in it."""
    special: list[tuple[Head, bytes, bytes, int, int]]
    """The lines with more to look into: all of `Line` but the input of the chain value."""

    def lines(self) -> list[Line]:
        """The lines with more to look into."""
        return [Line(*values, b"") for values in self.special]


class Parts(WithBlock["Parts"]):
    """Children that check segments in the order given; within the block their answers can be taken in that order."""

    def __init__(
        self, storage: Storage, folder: Path, starts: Sequence[Place], size: int, progress: Callable[[int], None]
    ) -> None:
        self._progress = progress
        self._todo: Queue[bytes] = Queue()
        self._said: Queue[Part | Some | None] = Queue()
        """Answers; None from a child that has ended."""
        self._parts: dict[int, Part] = {}
        self._working = 0
        self._children: list[Child] = []
        self._threads: list[threading.Thread] = []
        count = min(processors(), len(starts)) if type(storage) is LocalStorage and size >= LEAST else 1
        if count > 1:
            self._working = count
            for place in starts:
                self._todo.put(msgspec.msgpack.encode(Question(str(folder), place)))

    def _begin(self) -> "Parts":
        for _ in range(self._working):
            thread = threading.Thread(target=self._ask, name="consist-es-verify", daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def _end(self, error: BaseException | None) -> None:
        with self._todo.mutex:
            self._todo.queue.clear()
        for child in list(self._children):
            child.stop()
        for thread in self._threads:
            thread.join()

    def take(self, number: int) -> Part | None:
        """The answer for a segment; None if there is none, for whatever reason: then it has to be checked here."""
        while self._working and number not in self._parts:
            said = self._said.get()
            if said is None:
                self._working -= 1
            elif isinstance(said, Some):
                self._progress(said.count)
            else:
                self._parts[said.place.segment] = said
        return self._parts.pop(number, None)

    def _ask(self) -> None:
        """Hand out segments to one child."""
        try:
            with Child(__name__, "check") as child:
                self._children.append(child)
                messages = child.messages()
                while True:
                    child.send(self._todo.get_nowait())
                    for message in messages:
                        said = _ANSWERS.decode(message)
                        self._said.put(said)
                        if isinstance(said, Part):
                            break
                    else:
                        return
        except (OSError, Empty, msgspec.MsgspecError):
            pass  # what is missing is checked without a child, which finds out what is wrong
        finally:
            self._said.put(None)


_QUESTIONS = msgspec.msgpack.Decoder(Question)
_ANSWERS: msgspec.msgpack.Decoder[Part | Some] = msgspec.msgpack.Decoder(Part | Some)


def check() -> None:
    """Answer questions in a child."""
    storage = LocalStorage()
    for message in questions():
        question = _QUESTIONS.decode(message)
        fd = storage.open(Path(question.folder) / segment_name(question.place.segment), 0)
        try:
            answer(msgspec.msgpack.encode(_checked(storage, fd, question.place)))
        finally:
            storage.close(fd)


def _checked(storage: Storage, fd: int, start: Place) -> Part:
    quick, runs = Quick(storage, fd, start), OpenRuns()
    part = Part(start, False, 0, {}, [], [])
    closed: dict[str, None] = {}
    for found in quick.checked():
        part.events += len(found.lines)
        for head in found.heads:
            if (ended := runs.see_head(head)) is not None:
                closed[ended] = None
        part.special += [line[:-1] for line in special(found)]
        answer(msgspec.msgpack.encode(Some(found.place.offset - found.start)))
    part.place, part.ended, part.open, part.closed = quick.place, quick.ended, runs.open, list(closed)
    return part


def special(found: Checked) -> list[Line]:
    """The lines with more to look into than that they are whole."""
    lines = zip(found.heads, found.lines, found.cuts, strict=True)
    return [
        found.line(index)
        for index, (head, line, cut) in enumerate(lines)
        if head.type in SAYING or not is_ordinary(line, cut)
    ]
