"""Merges other logs into a log: their records are appended, each once, in their order, with where they come from.

A record keeps its id, writer, type, subject and payload, byte for byte; position, time and chain are the target's, and
the envelope's ``of`` has the log, the position and the time of its first recording. Each block is one batch that ends
with a `log_merged` for each source: it is there with its marks or not at all, so a merge that was killed goes on.
See docs/decisions/0027-merge-by-marks.md.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from consist_es.errors import LogWriteError, MergeError
from consist_es.events import Cursor, Draft, LogClosed, LogMerged, Origin
from consist_es.log.engine import EventLog, Progress
from consist_es.log.record import BLOB_START, Prepared, decode_event, merged, prepare
from consist_es.log.segment import Line

BLOCK = 5000
"""Records from which on a block ends; it ends with a batch of a source."""
BYTES = 8 << 20
"""Bytes from which on it ends."""
LOCAL = frozenset({"segment_sealed", "log_repaired", "log_closed"})
"""Types of events that are about one log in one place, and say nothing in another."""
_TRIES = 1000


class Merged(NamedTuple):
    """What a merge did with one source."""

    place: str
    log: str
    events: int
    """Records that were appended."""
    skipped: int
    forked_at: int | None
    """Last position that source and target share, if one is a copy of the other."""


class _Batch(NamedTuple):
    at: str
    number: int
    """Of the source."""
    lines: list[Line]


class _Marks:
    """What a log has of others, by its `log_merged` events: those that it made, and those that it took over."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.cursor = Cursor()
        self.last: dict[str, tuple[int, str]] = {}
        """Log -> position up to which all of it is here, and the chain value there."""

    def update(self) -> None:
        """Take in what was appended since."""
        end = self._log.head()
        if end.seq == self.cursor.seq:
            return
        for line in self._log.lines(self.cursor if self.cursor.seq else None):
            if (mark := _mark(line)) is not None:
                self.see(mark)
            if line.head.seq == end.seq:
                break
        self.cursor = end

    def grew(self, to: int, marks: Iterable[LogMerged]) -> None:
        """Take in what this process appended itself, up to a position."""
        end = self._log.head(fresh=False)
        if end.seq == to:
            self.cursor = end
            for mark in marks:
                self.see(mark)
        else:
            self.update()

    def see(self, mark: LogMerged) -> None:
        """Take in one."""
        if mark.upto > self.last.get(mark.log, (0, ""))[0]:
            self.last[mark.log] = mark.upto, mark.chain

    def upto(self, log: str) -> int:
        """Position up to which all of this log is here."""
        return self.last.get(log, (0, ""))[0]


class _Source:
    """A log to be merged."""

    def __init__(self, log: EventLog, target: EventLog) -> None:
        self.log = log
        self.events = self.skipped = 0
        self.forked_at: int | None = None
        self.key = log.project_id or ""
        if self.key and self.key == target.project_id:
            self._find_fork(target)

    def _find_fork(self, target: EventLog) -> None:
        """Note where a copy of the target was first written on by itself. Its records from there on get a name of
        their own: an equal position of the target is another event."""
        ours, theirs = iter(target.lines(None)), iter(self.log.lines(None))
        shared = 0
        for line in theirs:
            mine = next(ours, None)
            if mine is None:
                problem = f"it is the same log, and goes on after position {shared}, where the target ends"
                raise self.refusal(target, problem, "The target is an older copy: go on with the other one.")
            if mine.chain != line.chain:
                self.key = branch(self.key, shared, line.chain)
                break
            shared = line.head.seq
        self.forked_at = shared

    def refusal(self, target: EventLog, problem: str, remedy: str) -> MergeError:
        """The error for this source."""
        return MergeError(self.log.place, target.place, problem, remedy)

    def batches(self, number: int, after: int, chain: str, target: EventLog) -> Iterator[_Batch]:
        """Its batches after a position, which must still be what it was when it was merged."""
        start, batch = max(after, self.forked_at or 0), list[Line]()
        if self.log.head().seq < start:
            raise self._was_rewritten(target, start, f"it ends at position {self.log.head().seq} now")
        for line in self.log.lines(self._place(target, start, chain) if start else None):
            batch.append(line)
            if line.head.end:
                yield _Batch(batch[0].head.at, number, batch)
                batch = []

    def _place(self, target: EventLog, position: int, chain: str) -> Cursor:
        event = self.log.at(position, (0, position - 1))
        if chain and event.chain != chain:
            raise self._was_rewritten(target, position, "that is another event now")
        return self.log.cursor_after(event)

    def _was_rewritten(self, target: EventLog, position: int, problem: str) -> MergeError:
        return self.refusal(
            target,
            f"it was merged up to position {position} before, and {problem}: it was cut, rewritten, or is another copy",
            "Merge the log that was merged before; a copy that was written on by itself goes into the log that it is "
            "a copy of.",
        )


def branch(project: str, shared: int, chain: bytes) -> str:
    """Name of a copy of a log that was written on by itself, by its first own record: there may be several."""
    return f"{project}@{shared}-{chain.decode()[:12]}"


def _mark(line: Line) -> LogMerged | None:
    if line.head.type != LogMerged.TYPE:
        return None
    event = decode_event(line.head.type, line.head.v, line.data)
    return event if isinstance(event, LogMerged) else None


class _Known:
    """Tells whether a record that counts as merged before is the same one: two copies of a log that were written on
    have other events at equal positions."""

    def __init__(self, target: EventLog) -> None:
        self._target = target
        self._end = Cursor()
        self._seqs: dict[str, list[int]] = {}
        self._ids: dict[str, list[str]] = {}

    def has(self, of: Origin, id: str) -> bool:
        """True if the target has the record with this origin and id."""
        if of.seq > max(self._seqs.get(of.log, [0])[-1:], default=0):
            self._update()
        seqs = self._seqs.get(of.log, [])
        index = bisect_left(seqs, of.seq)
        return index < len(seqs) and seqs[index] == of.seq and self._ids[of.log][index] == id

    def _update(self) -> None:
        end = self._target.head()
        if end.seq == self._end.seq:
            return
        for line in self._target.lines(self._end if self._end.seq else None):
            if (found := line.head.of) is not None:
                self._seqs.setdefault(found.log, []).append(found.seq)
                self._ids.setdefault(found.log, []).append(line.head.id)
            if line.head.seq == end.seq:
                break
        self._end = end


class _Block:
    """What is to be appended as one batch."""

    def __init__(self) -> None:
        self.items: list[Prepared] = []
        self.ends: dict[int, Line] = {}
        """Source -> the last line of it."""
        self.counts: dict[int, tuple[int, int]] = {}
        """Source -> records, and those left out."""
        self.upto: dict[str, int] = {}
        """Log -> position up to which all of it is in the block, or was before."""
        self.ids: dict[tuple[str, int], str] = {}
        """Origin -> id of the record."""
        self.marks: list[LogMerged] = []
        """Marks that are taken over or made."""

    def count(self, number: int, item: Prepared | None, of: Origin) -> None:
        """Take in a record of a source, or None for one that is left out."""
        events, skipped = self.counts.get(number, (0, 0))
        self.counts[number] = (events, skipped + 1) if item is None else (events + 1, skipped)
        if item is not None:
            self.items.append(item)
            self.ids[of.log, of.seq] = item.id


def merge_logs(sources: Sequence[EventLog], target: EventLog, progress: Progress | None = None) -> list[Merged]:
    """Append what the sources have and the target has not: batches in the order of their times, those of one source in
    its order. May be interrupted anywhere, and run again, also by several processes at once.

    Raises:
        MergeError: a source is empty or the target itself, it was cut or rewritten since it was merged, or the target
            is an older copy of it. LogError: one of the logs cannot be read, or the target not written.
    """
    merge = _Merge([_Source(log, target) for log in sources], target, progress)
    merge.run()
    return [Merged(each.log.place, each.key, each.events, each.skipped, each.forked_at) for each in merge.sources]


class _Merge:
    def __init__(self, sources: list[_Source], target: EventLog, progress: Progress | None) -> None:
        self.sources, self._target, self._progress = sources, target, progress
        self._marks = _Marks(target)
        self._known = _Known(target)
        self._ours: dict[str, bool] = {}
        self._done = 0
        keys = [source.key for source in sources]
        for source in sources:
            if not source.key:
                raise source.refusal(target, "there is no event in it", "Give a log with events.")
            if keys.count(source.key) > 1 and source.key != target.project_id:
                raise source.refusal(target, "it is named twice, or a copy of it is", "Name each log once.")

    def run(self) -> None:
        """Merge all of them."""
        self._marks.update()
        streams = [
            source.batches(number, *self._marks.last.get(source.key, (0, "")), self._target)
            for number, source in enumerate(self.sources)
        ]
        self._total = sum(
            max(source.log.head().seq - max(self._marks.upto(source.key), source.forked_at or 0), 0)
            for source in self.sources
        )
        block, size = list[_Batch](), (0, 0)
        for batch in heapq.merge(*streams, key=lambda found: found[:2]):
            block.append(batch)
            size = size[0] + len(batch.lines), size[1] + sum(len(line.data) for line in batch.lines)
            if size[0] >= BLOCK or size[1] >= BYTES:
                self._append(block)
                block, size = [], (0, 0)
        if block:
            self._append(block)

    def _append(self, batches: list[_Batch]) -> None:
        """Append a block with its marks, unless another merge was first."""
        for _ in range(_TRIES):
            block = self._block(batches)
            if not block.items:
                break
            if to := self._target.graft(block.items, self._marks.cursor.seq):
                for number, (events, skipped) in block.counts.items():
                    self.sources[number].events += events
                    self.sources[number].skipped += skipped
                self._marks.grew(to, block.marks)
                break
            self._marks.update()
        else:
            raise LogWriteError(self._target.place, "others wrote all the time", hint="Run it again when they rest.")
        self._done += sum(len(batch.lines) for batch in batches)
        if self._progress is not None:
            self._progress(self._done, max(self._total, self._done))

    def _block(self, batches: list[_Batch]) -> _Block:
        """The records to append and their marks; nothing of a source that another merge, or a third log, brought."""
        block = _Block()
        for batch in batches:
            source = self.sources[batch.number]
            for line in batch.lines:
                of = line.head.of or Origin(source.key, line.head.seq, line.head.at)
                if line.head.seq <= self._marks.upto(source.key):
                    if line.head.of is None and line.head.type not in LOCAL:
                        self._require_same(source, of, line.head.id, block)
                    continue
                block.ends[batch.number] = line
                block.count(batch.number, self._item(source, line, of, block), of)
                block.upto[source.key] = max(line.head.seq, block.upto.get(source.key, 0))
        for number, line in block.ends.items():
            source, (events, skipped) = self.sources[number], block.counts[number]
            mark = LogMerged(
                log=source.key,
                upto=line.head.seq,
                chain=line.chain.decode(),
                events=events,
                skipped=skipped,
                forked_at=source.forked_at,
            )
            block.marks.append(mark)
            block.items.append(prepare(Draft(mark), f"merged-{self._target.writer}-{source.key}-{line.head.seq}"))
        return block

    def _item(self, source: _Source, line: Line, of: Origin, block: _Block) -> Prepared | None:
        """The record of a line; None if it is not to be appended."""
        if (mark := _mark(line)) is not None:
            self._check_mark(source, mark)
            block.marks.append(mark)
            block.upto[mark.log] = max(mark.upto, block.upto.get(mark.log, 0))
        if line.head.type in LOCAL or (line.head.of is not None and self._is_ours(of.log)):
            return None
        if of.seq <= max(self._marks.upto(of.log), block.upto.get(of.log, 0)):
            self._require_same(source, of, line.head.id, block)
            return None
        return merged(line.head, source.log.payload(line.data) if line.data.startswith(BLOB_START) else line.data, of)

    def _require_same(self, source: _Source, of: Origin, id: str, block: _Block) -> None:
        """Refuse a record that is left out as merged before, where another one was merged."""
        if block.ids.get((of.log, of.seq)) != id and not self._known.has(of, id):
            raise self._two_copies(source, of.log)

    def _is_ours(self, log: str) -> bool:
        """True if a record with this origin was first recorded in the target."""
        if log not in self._ours:
            project, _, place = log.partition("@")
            ours = project == self._target.project_id
            if ours and place:
                shared, _, chain = place.partition("-")
                following = int(shared) + 1
                ours = following <= self._target.head().seq
                ours = ours and self._target.at(following, (0, following - 1)).chain.startswith(chain)
            self._ours[log] = ours
        return self._ours[log]

    def _check_mark(self, source: _Source, mark: LogMerged) -> None:
        """Refuse records that were taken from another copy of the target than the target itself."""
        if not self._is_ours(mark.log):
            return
        here = mark.upto <= self._target.head().seq
        if not here or self._target.at(mark.upto, (0, mark.upto - 1)).chain != mark.chain:
            raise self._two_copies(source, mark.log)

    def _two_copies(self, source: _Source, log: str) -> MergeError:
        return source.refusal(
            self._target,
            f"it holds records of a copy of log {log} that was written on by itself, and another copy is here",
            f"Merge the copies of {log} with each other first, and start from a log that has neither.",
        )


def close_log(log: EventLog, to: str, after: int) -> int:
    """End a log that was copied up to a position: from now on it says where it went. 0 if it has grown since."""
    return log.graft([prepare(Draft(LogClosed(to=to)), f"closed-{log.writer}")], after)
