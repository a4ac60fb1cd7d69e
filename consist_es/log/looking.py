"""Looks at the files of a log, whatever is wrong with them: faults are noted, never raised."""

import os
from pathlib import Path

from consist_es.errors import LogCorruptError, LogError
from consist_es.log.files import QUARANTINE
from consist_es.log.report import Problem
from consist_es.log.segment import Opened, open_segment, segment_name, segment_numbers
from consist_es.system.storage import Storage

MOST_PROBLEMS = 1000
"""Most problems in a report; one more line says that there are others."""


class Looking:
    """A look at a log, with the faults found so far."""

    def __init__(self, folder: Path, storage: Storage) -> None:
        self._folder, self._storage = folder, storage
        self._problems: list[Problem] = []
        self._unread = False

    def _unreadable(self, file: str, error: OSError) -> None:
        self._unread = True
        self._problem(file, 0, None, f"cannot be read: {error}")

    def _problem(self, file: str, offset: int, position: int | None, what: str) -> None:
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(Problem(file, offset, position, what))
        elif len(self._problems) == MOST_PROBLEMS:
            self._problems.append(Problem(file, offset, position, "and more, which are not listed"))

    def _read(self, path: Path, size: int, offset: int = 0) -> bytes:
        try:
            fd = self._storage.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return b""
        try:
            return self._storage.read_at(fd, size, offset)
        finally:
            self._storage.close(fd)

    def _numbers(self) -> list[int]:
        try:
            return segment_numbers(self._storage, self._folder)
        except OSError as error:
            self._unreadable("", error)
            return []

    def _size(self, number: int) -> int:
        try:
            fd = self._storage.open(self._folder / segment_name(number), os.O_RDONLY)
        except OSError:
            return 0
        try:
            return self._storage.size(fd)
        finally:
            self._storage.close(fd)

    def _open(self, number: int) -> Opened | str:
        """The segment's header, or why it cannot be read."""
        try:
            fd, opened = open_segment(self._storage, self._folder, number)
        except LogError as error:
            return error.problem if isinstance(error, LogCorruptError) else str(error)
        except OSError as error:
            self._unread = True
            return f"cannot be read: {error}"
        self._storage.close(fd)
        return opened

    def _quarantined(self) -> list[str]:
        try:
            return sorted(self._storage.listdir(self._folder / QUARANTINE))
        except OSError:
            return []
