"""Copies a whole log to another place, byte for byte: from files to a server, back, or between servers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from consist_es.errors import CopyError
from consist_es.events import Cursor
from consist_es.log.blobs import write_blob
from consist_es.log.engine import EventLog
from consist_es.log.files import create_segment
from consist_es.log.local import LocalLog
from consist_es.log.merging import close_log
from consist_es.log.postgres.copying import Target
from consist_es.log.postgres.log import PostgresLog
from consist_es.log.record import BLOB_START, genesis, line_of
from consist_es.log.segment import FORMAT, SEALED, VERSION, Header, Line
from consist_es.log.watermark import Watermark, write_watermark
from consist_es.values.masking import keep_key, key_file
from consist_es.version import __version__

Progress = Callable[[int, int], None]
_EVERY = 2000
"""Events between two calls of `progress`."""


class Copied(NamedTuple):
    """What a copy did."""

    events: int
    """Events that were copied."""
    there: int
    """Events that were there already, from a copy that was interrupted or is older."""


def copy_log(source: EventLog, target: EventLog, progress: Progress | None = None) -> Copied:
    """Copy every event to a log that is empty, or holds the beginning of the same log: then the rest is added.

    The lines, the chain and the project's identity stay as they are, and so does the key that masks secrets. A copy
    into files is there as a whole or not at all; one to a server that was interrupted goes on where it ended.

    Raises:
        CopyError: the source is empty, or the target has other events. LogError: either cannot be read or written.
    """
    project = source.project_id
    if project is None:
        raise CopyError(source.place, target.place, "there is no event in it")
    if isinstance(target, PostgresLog):
        return _to_server(source, target, project, progress)
    if isinstance(target, LocalLog):
        return _to_files(source, target, project, progress)
    raise CopyError(source.place, target.place, "logs of that kind cannot be copied to")


def move_log(source: EventLog, target: EventLog, progress: Progress | None = None) -> Copied:
    """Copy as `copy_log`, and close the source: who tries to record there is told where it went.

    Raises:
        CopyError: as `copy_log`; or the source was written to all the time, and the copy is not used yet.
    """
    done, tries = copy_log(source, target, progress), 10 if isinstance(target, PostgresLog) else 1
    for _ in range(tries):
        if close_log(source, target.place, target.head().seq):
            return done
        if tries > 1:
            done = Copied(done.events + copy_log(source, target).events, done.there)
    problem = f"it was written to meanwhile, so it is not closed; the copy holds it up to position {target.head().seq}"
    raise CopyError(source.place, target.place, f"{problem}. Remove that copy, and move when nobody writes")


def _told(lines: Iterable[Line], end: int, progress: Progress | None) -> Iterator[Line]:
    for line in lines:
        if progress is not None and line.head.seq % _EVERY == 0:
            progress(line.head.seq, max(end, line.head.seq))
        yield line


# ---------------------------------------------------------------- to a server


def _to_server(source: EventLog, target: PostgresLog, project: str, progress: Progress | None) -> Copied:
    head = target.head()
    if head.seq and target.project_id != project:
        raise CopyError(source.place, target.place, "another project is there")
    place = _place_of(source, target, head) if head.seq else None
    receiver = Target(target, project, source.mask_key())
    copied = receiver.take(_told(source.lines(place), source.head().seq, progress), source.payload)
    return Copied(copied, head.seq)


def _place_of(source: EventLog, target: EventLog, head: Cursor) -> Cursor:
    """The cursor of the target's last event in the source."""
    event = source.at(head.seq, (0, head.seq - 1)) if head.seq <= source.head().seq else None
    if event is None or event.chain != head.chain:
        raise CopyError(
            source.place,
            target.place,
            f"its event at position {head.seq} is not that of the source: one was written on",
        )
    return source.cursor_after(event)


# ---------------------------------------------------------------- to files


def _to_files(source: EventLog, target: LocalLog, project: str, progress: Progress | None) -> Copied:
    storage, folder = target.storage, target.folder
    if folder.exists():
        raise CopyError(source.place, target.place, "that folder exists")
    part = folder.with_name(f"{folder.name}.part-{storage.token(4).hex()}")
    part.mkdir(parents=True)
    try:
        lines = _told(source.lines(None), source.head().seq, progress)
        end = _Segments(target, part, project).write(_with_blobs(lines, source, target, part))
        write_watermark(storage, part, end)
        keep_key(key_file(folder), source.mask_key())
        storage.rename_new(part, folder)
        storage.sync_folder(folder.parent)
    except BaseException:
        _remove(part)
        raise
    return Copied(end.seq, 0)


def _with_blobs(lines: Iterable[Line], source: EventLog, target: LocalLog, folder: Path) -> Iterator[Line]:
    for line in lines:
        if line.data.startswith(BLOB_START):
            write_blob(target.storage, folder, source.payload(line.data))
        yield line


class _Segments:
    """Writes lines into segments, which end where those of the source did."""

    def __init__(self, target: LocalLog, folder: Path, project: str) -> None:
        self._target, self._folder, self._project = target, folder, project
        self._chain, self._seq, self._at = genesis(project), 0, ""
        self._size = 0

    def write(self, lines: Iterator[Line]) -> Watermark:
        """Write all of them; returns the last place."""
        number, first = 0, next(lines, None)
        while first is not None:
            number += 1
            header = Header(
                format=FORMAT,
                version=VERSION,
                project=self._project,
                segment=number,
                first=self._seq + 1,
                at=self._at or first.head.at,
                hash="blake3",
                library=__version__,
            )
            self._size = 0
            storage = self._target.storage
            fd, opened = create_segment(storage, self._folder, header, self._chain, self._one(first, lines))
            storage.close(fd)
            end = opened.start.offset + self._size
            first = next(lines, None)
        return Watermark(segment=number, offset=end, seq=self._seq, chain=self._chain.decode())

    def _one(self, first: Line, lines: Iterator[Line]) -> Iterator[bytes]:
        """The lines of one segment."""
        line: Line | None = first
        while line is not None:
            data = line_of(line.covered, line.data, line.chain)
            self._chain, self._seq, self._at = line.chain, line.head.seq, line.head.at
            self._size += len(data)
            yield data
            line = None if line.head.type == SEALED else next(lines, None)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
