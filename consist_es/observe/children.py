"""Reports the reads of child processes to the process with the runs.

The first process makes a private folder with one file, and names it in an environment variable. Forked children write
to it at once, others after they imported this library. The file begins with the number of the current watch, zero if no
run is open, so that a worker that outlives a step reports anew for each step; framed entries follow, each appended by
one write.
"""

from __future__ import annotations

import atexit
import mmap
import os
import shutil
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import msgspec

from consist_es.identity.installed.started import Origin
from consist_es.observe import hook
from consist_es.observe.notes import WRITES, Notes, RawPath, Sink, Stamp, absolute, stamp_of
from consist_es.observe.reads import Places
from consist_es.observe.scope import PREFIX, Scope
from consist_es.system.storage import on_fork

VARIABLE = "CONSIST_ES_OBSERVE"
_HEAD = struct.Struct("<Q")
_LENGTH = struct.Struct("<I")
_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_READ, _MADE, _ADDED, _LISTED, _GONE = b"r", b"m", b"a", b"l", b"g"
_LOOKED, _VARIABLE, _MODULE, _SET, _PROGRAM, _DOUBT = b"x", b"v", b"i", b"s", b"p", b"u"


class Channel:
    """The file that children write to; belongs to the process with the runs."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix=PREFIX)
        self.path = os.path.join(self.folder, "reads")
        self._number = 0
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | _FLAGS, 0o600)
        os.write(self._fd, _HEAD.pack(0))
        self._map = mmap.mmap(self._fd, _HEAD.size)
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._watches: set[int] = set()
        os.environ[VARIABLE] = self.path
        atexit.register(self.close)

    def begin(self, watch: object) -> int:
        """Begin a run; returns the position where its entries begin."""
        with self._mutex:
            self._watches.add(id(watch))
            self._number += 1
            _HEAD.pack_into(self._map, 0, self._number)
            return os.fstat(self._fd).st_size

    def end(self, watch: object) -> None:
        """End a run; after the last one, children report nothing."""
        with self._mutex:
            self._watches.discard(id(watch))
            if not self._watches:
                _HEAD.pack_into(self._map, 0, 0)

    def entries(self, begin: int) -> Iterator[tuple[bytes, list[bytes]]]:
        """Kind and fields of each whole entry from position `begin`."""
        data = b""
        if os.fstat(self._fd).st_size > begin:
            with open(self.path, "rb") as file:
                file.seek(begin)
                data = file.read()
        at = 0
        while at + _LENGTH.size <= len(data):
            (length,) = _LENGTH.unpack_from(data, at)
            entry = data[at + _LENGTH.size : at + _LENGTH.size + length]
            at += _LENGTH.size + length
            if len(entry) == length:
                yield entry[:1], entry[1:].split(b"\0")

    def close(self) -> None:
        """Remove the folder, at the end of the process that made it."""
        if os.getpid() == self._pid:
            _HEAD.pack_into(self._map, 0, 0)
            shutil.rmtree(self.folder, ignore_errors=True)


class Reporter:
    """Sends a child process's reads to the process with the runs."""

    def __init__(self, path: str, scope: Scope, is_first_party: Callable[[str], bool]) -> None:
        """Raises OSError if the file is gone."""
        self.open = True
        self.group: tuple[Sink, ...] = (self,)
        self.scope, self.is_first_party = scope, is_first_party
        self.settled: set[RawPath] = set()
        self.names_settled: set[object] = set()
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | _FLAGS | getattr(os, "O_NOFOLLOW", 0))
        self._map = mmap.mmap(self._fd, _HEAD.size, access=mmap.ACCESS_READ)
        self._number = 0
        self._told: set[tuple[bytes, str | bytes]] = set()
        self._made: set[str] = set()

    def _tell(self, kind: bytes, what: str, *more: bytes, counts: bool = True) -> None:
        (number,) = _HEAD.unpack_from(self._map)
        if number != self._number:
            self._number, self._told, self._made = number, set(), set()
        if number == 0 or (kind, what) in self._told or (counts and not self.scope.counts(what)):
            return
        self._told.add((kind, what))
        entry = b"\0".join([kind + os.fsencode(what), b"%d" % time.monotonic_ns(), *more])
        os.write(self._fd, _LENGTH.pack(len(entry)) + entry)

    def opened(self, raw: RawPath, flags: int, frame: FrameType | None) -> None:
        path = absolute(raw)
        try:
            found = stamp_of(path)
        except IsADirectoryError:
            return
        if flags & WRITES and (flags & os.O_TRUNC or (found is None and flags & os.O_CREAT)):
            self._tell(_MADE, path)
        elif flags & os.O_WRONLY:
            self._tell(_ADDED, path)
        else:
            self._tell(_READ, path, b" ".join(b"%d" % part for part in found or ()))

    def read_now(self, path: str) -> None:
        self.opened(path, 0, None)

    def read_under(self, path: str, frame: FrameType) -> None: ...

    def looked(self, raw: RawPath, found: os.stat_result | None, *, content: bool) -> None:
        if content and found is not None:
            self.opened(raw, 0, None)
        else:
            self._tell(_LOOKED, absolute(raw))

    def knows_of(self, raw: RawPath) -> bool:
        return False

    def listed(self, raw: RawPath) -> None:
        self._tell(_LISTED, absolute(raw))

    def wrote(self, raw: RawPath, *, added: bool = False) -> None:
        self._tell(_MADE, absolute(raw))

    def removed(self, raw: RawPath) -> None:
        self._tell(_GONE, absolute(raw))

    def uncounted(self, raw: RawPath) -> None: ...

    def unpickled(self, file: str, name: str) -> None:
        self.imported(file)

    def imported(self, file: str) -> None:
        if self.is_first_party(file):
            self._tell(_MODULE, file, counts=False)

    def variable(self, name: str, value: str | None) -> None:
        self._tell(_VARIABLE, name, counts=False)

    def set_variable(self, name: str) -> None:
        self._told.add((_VARIABLE, name))

    def copied_variables(self, values: Callable[[], dict[str, str]], *, for_fields: bool) -> None: ...

    def started(self, path: str, arguments: list[str], folder: str | None, origins: list[Origin]) -> None:
        words = [os.fsencode(word) for word in arguments]
        more = (os.fsencode(folder or os.getcwd()), msgspec.json.encode(origins), *words)
        if (key := (_PROGRAM, b"\0".join([os.fsencode(path), *more]))) not in self._told:
            self._told.discard((_PROGRAM, path))  # the same program with other arguments
            self._tell(_PROGRAM, path, *more, counts=False)
            self._told.add(key)

    def had_child(self) -> None: ...

    def moved_on(self) -> None: ...

    def doubt(self, why: str) -> None:
        self._tell(_DOUBT, why, counts=False)


def take_in(notes: Notes, entries: Iterator[tuple[bytes, list[bytes]]]) -> None:
    """Add the entries of children to the notes of a run."""
    for kind, (first, at, *more) in entries:
        what, moment = os.fsdecode(first), int(at)
        if kind == _VARIABLE:
            notes.variable(what, os.environ.get(what))
        elif kind == _MODULE:
            notes.imported(what)
        elif kind == _PROGRAM:
            found = msgspec.json.decode(more[1], type=list[Origin])
            notes.started(what, [os.fsdecode(word) for word in more[2:]], os.fsdecode(more[0]), found)
        elif kind == _DOUBT:
            notes.doubt(what)
        elif notes.scope.counts(what):
            _take_in_path(notes, kind, what, moment, more)


def _take_in_path(notes: Notes, kind: bytes, path: str, moment: int, more: list[bytes]) -> None:
    if kind == _READ and notes.made.get(path, moment) >= moment:
        notes.reads.setdefault(path, _stamp(more[0]))
    elif kind == _MADE:
        notes.made.setdefault(path, moment)
    elif kind == _ADDED:
        notes.grown.add(path)
    elif kind == _LISTED:
        notes.listed(path)
    elif kind == _GONE:
        notes.removed(path)
    elif kind == _LOOKED:
        notes.look_now(path)


def _stamp(text: bytes) -> Stamp | None:
    parts = [int(part) for part in text.split()]
    return (parts[0], parts[1], parts[2], parts[3]) if parts else None


class _Process:
    def __init__(self) -> None:
        self.channel: Channel | None = None
        self.mutex = threading.Lock()
        on_fork(self)

    def after_fork(self) -> None:
        """Report this child's reads to the parent's runs; here, no run is open."""
        channel, self.channel, self.mutex = self.channel, None, threading.Lock()
        hook.report_to(None if channel is None else _reporter(channel.path))


def _reporter(path: str) -> Reporter | None:
    try:
        is_own = hook.first_party()
        return Reporter(path, Scope(Places(), temporary=True, is_own=is_own), is_own)
    except OSError:  # the process that asked is gone
        return None


_process = _Process()


def channel() -> Channel:
    """The channel of this process, made when it is first needed."""
    if (found := _process.channel) is None:
        with _process.mutex:  # threads may open their first runs at once; a second channel would get no entries
            found = _process.channel = _process.channel or Channel()
    return found


def attach() -> None:
    """Report reads here to the process that started this one, if it asked for that by the environment variable."""
    path = os.environ.get(VARIABLE)
    if path and _process.channel is None and not hook.is_open():
        hook.report_to(_reporter(path))
