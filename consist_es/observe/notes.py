"""Keeps one run's accesses to files, folders, variables and programs so far, in memory."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Protocol

from consist_es.identity.installed.started import Origin
from consist_es.observe.earlier import Earlier
from consist_es.observe.keeping import Stack
from consist_es.observe.programs import find_program
from consist_es.observe.reads import THERE, Program
from consist_es.observe.scope import Scope, is_below
from consist_es.observe.stack import first_party_codes, outside_frame

Stamp = tuple[int, int, int, int]
"""Size, modification time, inode, device. Not the change time: a hard link to the file changes that."""
RawPath = str | bytes | os.PathLike[str]
_real_stat = os.stat  # the name in `os` is replaced while a run is open

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Sink(Protocol):
    """Receiver of the hooks' findings: the notes of a run, or the reporter to the process with the run."""

    open: bool
    group: tuple[Sink, ...]
    """Receivers of this run's events: itself, and the parent process if that has runs."""
    is_first_party: Callable[[str], bool]
    settled: set[RawPath]
    """Paths, as written, for which another read shows nothing new."""
    names_settled: set[object]
    """Names of noted variables, in the system's form."""

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
    def unpickled(self, file: str, name: str) -> None: ...
    def variable(self, name: str, value: str | None) -> None: ...
    def set_variable(self, name: str) -> None: ...
    def copied_variables(self, values: Callable[[], dict[str, str]], *, for_fields: bool) -> None: ...
    def started(self, path: str, arguments: list[str], folder: str | None, origins: list[Origin]) -> None: ...
    def had_child(self) -> None: ...
    def moved_on(self) -> None: ...
    def doubt(self, why: str) -> None: ...


def stamp_of(path: str) -> Stamp | None:
    """The stamp of a regular file, None if it is absent. Raises IsADirectoryError for anything else that exists."""
    try:
        found = _real_stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        raise IsADirectoryError(path)
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev


def absolute(raw: RawPath) -> str:
    """The absolute path, fixed now: a later change of the current folder does not affect it."""
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
        """Existing files that were written to without being emptied."""
        self.modified: set[str] = set()
        """Files that only the kernel saw written to; whether they were emptied is unknown."""
        self.modified_by_programs: set[str] = set()
        """The ones that another process wrote to."""
        self.earlier = Earlier()
        self.began = 0
        """When the run began, by the clock of file times."""
        self.replaced: set[str] = set()
        """Files that only the kernel saw read and written; the order is unknown."""
        self.gone: set[str] = set()
        self.names: dict[str, list[str]] = {}
        """Folder -> names at the first listing."""
        self.skipped: set[str] = set()
        """Paths opened by imports, debuggers or us; kernel events on them do not count either."""
        self.variables: dict[str, str | None] = {}
        self.own_variables: set[str] = set()
        self.copies: dict[bool, dict[str, str]] = {}
        self.modules: dict[str, None] = {}
        self.unpickled_names: dict[tuple[str, str], None] = {}
        """File and name of each class and function of the project that a pickle named."""
        self.programs: list[Program] = []
        self.arguments: dict[str, Stamp | None] = {}
        """Files and folders (None) passed to programs."""
        self.children = False
        self.relative = False
        """True if a path that counts was relative to the current folder, or may have been."""
        self.stacks: dict[tuple[int, ...], Stack] = {}
        """Ids of codes (code hashes slowly) -> what was first read under them."""
        self.unsure: dict[str, None] = {}
        self.unseen: dict[str, None] = {}
        self.settled: set[RawPath] = set()
        self.names_settled: set[object] = set()

    def opened(self, raw: RawPath, flags: int, frame: FrameType | None) -> None:
        """Note a file that is about to be opened; the open may still fail."""
        path = absolute(raw)
        if path in self.reads and not flags & WRITES:
            self.settled.add(raw)
            return
        if not self.scope.counts(path):
            self.settled.add(raw)
            if frame is not None and not flags & WRITES and self.scope.input_at(path) is not None:
                self.read_under(path, frame)
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
        elif flags & os.O_RDWR:  # it may only be read; if not, the stamps will show it
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
        """Remember the code that read a path."""
        self._stack(first_party_codes(frame, self.is_first_party)).paths.append(path)

    def _stack(self, codes: tuple[CodeType, ...]) -> Stack:
        return self.stacks.setdefault(tuple(map(id, codes)), Stack(codes))

    def _here(self) -> Stack:
        """The stack of the caller's caller."""
        return self._stack(first_party_codes(outside_frame(), self.is_first_party))

    def _make(self, path: str, *, added: bool = False) -> None:
        if path in self.reads or path in self.looks or path not in self.made:
            self.made.setdefault(path, time.monotonic_ns())
            if added:  # a log that grows from run to run
                self.grown.add(path)

    def read_now(self, path: str) -> None:
        """Note a file opened for reading by code outside the stack."""
        if path not in self.reads and self.scope.counts(path):
            if path not in self.made and is_below(path, os.getcwd()):
                self.relative = True  # its written form is unknown
            try:
                self._read(path, stamp_of(path), None)
            except IsADirectoryError:
                self.arguments.setdefault(path, None)

    def looked(self, raw: RawPath, found: os.stat_result | None, *, content: bool) -> None:
        """Note a check whether a path exists; with `content` also for its size or age."""
        path = absolute(raw)
        if path in self.looks or path in self.reads or path in self.made or not self.scope.counts(path):
            return
        self._relate(raw)
        self._here().paths.append(path)
        if found is None:
            self.looks[path] = None
        elif content and stat.S_ISREG(found.st_mode):
            self.reads[path] = found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev
        else:
            self.looks[path] = THERE + ("folder" if stat.S_ISDIR(found.st_mode) else "file")

    def knows_of(self, raw: RawPath) -> bool:
        """True if another check whether a path exists shows nothing new."""
        return raw in self.looks or raw in self.reads or raw in self.made

    def look_now(self, path: str) -> None:
        """Note another process's check whether a path exists."""
        try:
            found = _real_stat(path)
        except (OSError, ValueError):
            found = None
        self.looked(path, found, content=False)

    def listed(self, raw: RawPath) -> None:
        """Note that a folder is being listed."""
        path = absolute(raw)
        if path in self.names or not self.scope.lists(path):
            return
        self._relate(raw)
        self._here().paths.append(path)
        try:
            self.names[path] = os.listdir(path)
        except (FileNotFoundError, NotADirectoryError):
            self._read(path, None, None)
        except OSError as problem:
            self.doubt(f"{path} could not be listed: {problem.strerror}")

    def wrote(self, raw: RawPath, *, added: bool = False) -> None:
        """Note a path that was made, or replaced."""
        path = absolute(raw)
        if self.scope.counts(path):
            self._make(path, added=added)

    def removed(self, raw: RawPath) -> None:
        """Note a path that was removed or moved away."""
        path = absolute(raw)
        if path not in self.made and self.scope.counts(path):
            self.gone.add(path)

    def uncounted(self, raw: RawPath) -> None:
        """Note a path opened or listed by code with reads that do not count."""
        self.skipped.add(absolute(raw))

    def imported(self, file: str) -> None:
        """Note the file of a loaded module."""
        if file not in self.modules and self.is_first_party(file):
            self.modules[file] = None

    def unpickled(self, file: str, name: str) -> None:
        """Note a class or function that a pickle named; its module may have been loaded before."""
        if self.is_first_party(file):
            self.unpickled_names[file, name] = None

    def variable(self, name: str, value: str | None) -> None:
        """Note an environment variable that was read."""
        if name not in self.variables and name not in self.own_variables:
            self.variables[name] = self._value_digest(name, value)
            self._here().variables.append(name)

    def set_variable(self, name: str) -> None:
        """Note a variable that the step sets: its later reads of it do not count."""
        self.own_variables.add(name)

    def copied_variables(self, values: Callable[[], dict[str, str]], *, for_fields: bool) -> None:
        """Note that all variables were copied or iterated; `for_fields` if a settings class does it."""
        if for_fields not in self.copies:
            self.copies[for_fields] = values()

    def started(self, path: str, arguments: list[str], folder: str | None, origins: list[Origin]) -> None:
        """Note a program that is being started; `origins` are the programs behind the command."""
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
        """Note a forked process."""
        self.children = True

    def moved_on(self) -> None:
        """Note a change of the current folder: relative paths lead elsewhere now."""
        self.settled.clear()

    def doubt(self, why: str) -> None:
        """Never reuse this run."""
        self.unsure[why] = None


class ValueDigest(Protocol):
    """Digest of a variable's value, keyed or not; None if it is unset."""

    def __call__(self, name: str, value: str | None, /) -> str | None: ...
