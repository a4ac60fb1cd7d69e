"""Reads the log from its end."""

from collections.abc import Iterator
from pathlib import Path

from consist_es.errors import LogCorruptError, LogError
from consist_es.log.record import TAIL_END, TAIL_START, BadRecord, Head, decode_head, split_line
from consist_es.log.segment import header_of, lines_back, open_segment, segment_name
from consist_es.system.storage import Storage


def heads_back(storage: Storage, folder: Path, segment: int) -> Iterator[Head]:
    """The events that count, latest first. Superseded lines are skipped, and may be damaged or missing."""
    before: bytes | None = None
    fault: LogError | None = None
    while segment >= 1:
        found = header_of(storage, folder, segment)
        if isinstance(found, LogError):
            segment, fault = segment - 1, fault or found
            continue
        fd, opened = open_segment(storage, folder, segment)
        try:
            for start, line in lines_back(storage, fd, storage.size(fd)):
                if before is not None and not line.endswith(TAIL_START + before + TAIL_END):
                    continue
                before, fault = None, None
                if start > 0:
                    yield _head_of(line, segment, start)
        finally:
            storage.close(fd)
        # if it was not found, the whole segment is superseded
        segment, before = segment - 1, opened.start.chain if before is None else before
        if opened.start.seq == 0 and before == opened.start.chain:
            return  # everything was seen
    raise fault or LogCorruptError(segment_name(1), 0, "the record that a later segment goes on from is missing")


def _head_of(line: bytes, segment: int, offset: int) -> Head:
    try:
        return decode_head(split_line(line)[0])
    except BadRecord as error:
        raise LogCorruptError(segment_name(segment), offset, str(error)) from error
