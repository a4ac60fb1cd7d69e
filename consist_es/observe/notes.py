"""What one run did so far with files, folders, variables and programs, in memory."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Protocol

from consist_es.identity.installed.started import Origin
from consist_es.observe.earlier import Earlier
from consist_es.observe.programs import find_program
from consist_es.observe.reads import THERE, Program
from consist_es.observe.scope import Scope, is_below
from consist_es.observe.stack import first_party_codes

Stamp = tuple[int, int, int, int]
"""Size, modification time, inode, device. Not the change time: a hard link to the file changes that."""
RawPath = str | bytes | os.PathLike[str]
_real_stat = os.stat  # the name in `os` is replaced while a run is open

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Sink(Protocol):
    """Where the hooks put what they see: the notes of a run, or the way to the process that has the run."""

    open: bool
    group: tuple[Sink, ...]
    """What is told of this run's events: it, and the parent process if that has runs."""
    is_first_party: Callable[[str], bool]
    settled: set[RawPath]
    """Paths as they were asked for, of which another read tells nothing new."""
    names_settled: set[object]
    """Names of variables that were noted, in the system's form."""

    def opened(self, raw: RawPath, flags: int, frame: FrameType | None) -> None: ...
    def read_now(self, path: str) -> None: ...
    def read_under(self, path: str, frame: FrameType) -> None: ...
    def looked(self, raw: RawPath, found: os.stat_result | None, *, content: bool) -> None: ...
    def knows_of(self, raw: RawPath) -> bool: ...
    def listed(self, raw: RawPath) -> None: ...
    def wrote(self, raw: RawPath, *, added: bool = False) -> None: ...
    def removed(self, raw: RawPath) -> None: ...
    def uncounted(self, raw: RawPath) -> None: ...
    def imported(self, file: str) -> None: ...
    def variable(self, name: str, value: str | None) -> None: ...
    def set_variable(self, name: str) -> None: ...
    def copied_variables(self, values: Callable[[], dict[str, str]], *, for_fields: bool) -> None: ...
    def started(self, path: str, arguments: list[str], folder: str | None, origins: list[Origin]) -> None: ...
    def had_child(self) -> None: ...
    def moved_on(self) -> None: ...
    def doubt(self, why: str) -> None: ...


def stamp_of(path: str) -> Stamp | None:
    """The stamp of a regular file, or None. Raises IsADirectoryError for anything else that is there."""
    try:
        found = _real_stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        raise IsADirectoryError(path)
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev


def absolute(raw: RawPath) -> str:
    """The path now: a later change of the current folder changes nothing."""
    if type(raw) is str and raw.startswith("/") and "/." not in raw and "//" not in raw:
        return raw
    return os.path.abspath(os.fsdecode(raw))


class Notes:
    """One run's notes. Every method may be called from any thread."""

    def __init__(self, scope: Scope, *, is_first_party: Callable[[str], bool], value_digest: ValueDigest) -> None:
        self.open = False
        self.group: tuple[Sink, ...] = (self,)
        self.scope, self.is_first_party, self._value_digest = scope, is_first_party, value_digest
        self.reads: dict[str, Stamp | None] = {}
        """Path -> stamp at the first read; None: absent then."""
        self.looks: dict[str, str | None] = {}
        """Path -> ``there:…`` at the first look; None: absent then."""
        self.made: dict[str, int] = {}
        """Path -> when the step first made it anew (monotonic, ns)."""
        self.grown: set[str] = set()
        """Files that were there and were written to without being emptied."""
        self.modified: set[str] = set()
        """Files that only the kernel saw written to: emptied or not cannot be told."""
        self.modified_by_programs: set[str] = set()
        """Those that another process wrote to."""
        self.earlier = Earlier()
        self.began = 0
        """When the run began, by the clock of file times."""
        self.replaced: set[str] = set()
        """Files that only the kernel saw, read and written: in which order cannot be told."""
        self.gone: set[str] = set()
        self.names: dict[str, list[str]] = {}
        """Folder -> names at the first listing."""
        self.skipped: set[str] = set()
        """Paths that were opened by imports, debuggers or us: the kernel's word on them does not count either."""
        self.variables: dict[str, str | None] = {}
        self.own_variables: set[str] = set()
        self.copies: dict[bool, dict[str, str]] = {}
        self.modules: dict[str, None] = {}
        self.programs: list[Program] = []
        self.arguments: dict[str, Stamp | None] = {}
        """Files and folders (None) that programs were given."""
        self.children = False
        self.relative = False
        """Whether a path that counts was asked for relative to the current folder, or may have been."""
        self.stacks: dict[tuple[int, ...], tuple[tuple[CodeType, ...], list[str]]] = {}
        """The project's code on the stack, and what was first read under it; by identity, for code hashes slowly."""
        self.unsure: dict[str, None] = {}
        self.unseen: dict[str, None] = {}
        self.settled: set[RawPath] = set()
        self.names_settled: set[object] = set()

    def opened(self, raw: RawPath, flags: int, frame: FrameType | None) -> None:
        """A file is about to be opened; whether that works is not known yet."""
        path = absolute(raw)
        if path in self.reads and not flags & WRITES:
            self.settled.add(raw)
            return
        if not self.scope.counts(path):
            self.settled.add(raw)
            return
        self._relate(raw)
        try:
            found = stamp_of(path)
        except IsADirectoryError:
            return
        if flags & WRITES:
            self._opened_to_write(path, found, flags)
        else:
            self.settled.add(raw)
            self._read(path, found, frame)

    def _relate(self, raw: RawPath) -> None:
        self.relative = self.relative or not os.path.isabs(raw)

    def _opened_to_write(self, path: str, found: Stamp | None, flags: int) -> None:
        if found is None and not flags & os.O_CREAT:
            self._read(path, None, None)
        elif flags & os.O_TRUNC or found is None or (found[0] == 0 and path not in self.reads):
            self._make(path, added=bool(flags & os.O_APPEND))
        elif flags & os.O_RDWR:  # it may only be read; if it is not, the stamps will show it
            self._read(path, found, None)
        elif path not in self.made:
            self.grown.add(path)

    def _read(self, path: str, found: Stamp | None, frame: FrameType | None) -> None:
        if path in self.made or path in self.reads:
            return
        self.reads[path] = found
        if frame is not None:
            self.read_under(path, frame)

    def read_under(self, path: str, frame: FrameType) -> None:
        """Remember who read a path."""
        codes = first_party_codes(frame, self.is_first_party)
        self.stacks.setdefault(tuple(map(id, codes)), (codes, []))[1].append(path)

    def _make(self, path: str, *, added: bool = False) -> None:
        if path in self.reads or path in self.looks or path not in self.made:
            self.made.setdefault(path, time.monotonic_ns())
            if added:  # a log that grows from run to run
                self.grown.add(path)

    def read_now(self, path: str) -> None:
        """A file was opened for reading, by somebody who is not in the stack."""
        if path not in self.reads and self.scope.counts(path):
            if path not in self.made and is_below(path, os.getcwd()):
                self.relative = True  # how it was asked for is not known
            try:
                self._read(path, stamp_of(path), None)
            except IsADirectoryError:
                self.arguments.setdefault(path, None)

    def looked(self, raw: RawPath, found: os.stat_result | None, *, content: bool) -> None:
        """It was asked whether a path is there; with `content` also how large or old it is."""
        path = absolute(raw)
        if path in self.looks or path in self.reads or path in self.made or not self.scope.counts(path):
            return
        self._relate(raw)
        if found is None:
            self.looks[path] = None
        elif content and stat.S_ISREG(found.st_mode):
            self.reads[path] = found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev
        else:
            self.looks[path] = THERE + ("folder" if stat.S_ISDIR(found.st_mode) else "file")

    def knows_of(self, raw: RawPath) -> bool:
        """True if another look whether a path is there tells nothing new."""
        return raw in self.looks or raw in self.reads or raw in self.made

    def look_now(self, path: str) -> None:
        """Another process asked whether a path is there."""
        try:
            found = _real_stat(path)
        except (OSError, ValueError):
            found = None
        self.looked(path, found, content=False)

    def listed(self, raw: RawPath) -> None:
        """A folder is listed."""
        path = absolute(raw)
        if path in self.names or not self.scope.lists(path):
            return
        self._relate(raw)
        try:
            self.names[path] = os.listdir(path)
        except (FileNotFoundError, NotADirectoryError):
            self._read(path, None, None)
        except OSError as problem:
            self.doubt(f"{path} could not be listed: {problem.strerror}")

    def wrote(self, raw: RawPath, *, added: bool = False) -> None:
        """A path was made, or replaced."""
        path = absolute(raw)
        if self.scope.counts(path):
            self._make(path, added=added)

    def removed(self, raw: RawPath) -> None:
        """A path was removed or moved away."""
        path = absolute(raw)
        if path not in self.made and self.scope.counts(path):
            self.gone.add(path)

    def uncounted(self, raw: RawPath) -> None:
        """A path is opened or listed by somebody whose reads do not count."""
        self.skipped.add(absolute(raw))

    def imported(self, file: str) -> None:
        """A module's file was loaded."""
        if file not in self.modules and self.is_first_party(file):
            self.modules[file] = None

    def variable(self, name: str, value: str | None) -> None:
        """An environment variable was read."""
        if name not in self.variables and name not in self.own_variables:
            self.variables[name] = self._value_digest(name, value)

    def set_variable(self, name: str) -> None:
        """The step sets a variable: what it reads of it later is its own."""
        self.own_variables.add(name)

    def copied_variables(self, values: Callable[[], dict[str, str]], *, for_fields: bool) -> None:
        """All variables were copied or gone through; in `for_fields` by what fills a settings class."""
        if for_fields not in self.copies:
            self.copies[for_fields] = values()

    def started(self, path: str, arguments: list[str], folder: str | None, origins: list[Origin]) -> None:
        """A program is started; `origins` are those behind the command."""
        self.children = True
        program = find_program(path, arguments, folder, origins, self.scope.counts)
        self.earlier.look(program.inputs, self.scope.counts, before=self.began)
        for given in program.inputs:
            try:
                self.arguments.setdefault(given, stamp_of(given))
            except IsADirectoryError:
                self.arguments.setdefault(given, None)
        if program not in self.programs:
            self.programs.append(program)

    def had_child(self) -> None:
        """A process was forked."""
        self.children = True

    def moved_on(self) -> None:
        """The current folder changed: relative paths mean something else now."""
        self.settled.clear()

    def doubt(self, why: str) -> None:
        """Never reuse this run."""
        self.unsure[why] = None


class ValueDigest(Protocol):
    """Digest of a variable's value, keyed or not; None if it is unset."""

    def __call__(self, name: str, value: str | None, /) -> str | None: ...
