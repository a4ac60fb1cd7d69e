"""The audit hook, and the choice of the runs that an event belongs to.

A hook cannot be removed, so it is installed with the first watched run, and first checks whether any run is open. It
never raises: an exception here would make the user's `open` fail.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import FrameType
from typing import Any
from urllib.parse import unquote

from consist_es.identity.installed.places import is_first_party
from consist_es.identity.installed.started import origins
from consist_es.observe.earlier import drains
from consist_es.observe.notes import WRITES, RawPath, Sink
from consist_es.observe.stack import IMPORT, OURS, PLAIN, asks_first_party, is_import, kind_of, outside_sources
from consist_es.system.seam import WATCHERS
from consist_es.system.with_block import WithBlock

Sinks = tuple[Sink, ...]
_open: Sinks = ()
"""The open runs of this process, and the reporter to the parent process if that has runs."""
_reporters: Sinks = ()
_mine: ContextVar[Sink | None] = ContextVar("consist_es_observed", default=None)


class _Busy(threading.local):
    """State of one thread."""

    on = False
    """True while it notes something: files opened for that are not noted."""
    quiet = False
    """True while it reads for us."""


busy = _Busy()
_installed = False
_first_party: Callable[[str], bool] = is_first_party
_TICKS = 1000
_ticks = _TICKS
_drains = drains
"""Called once in so many events, so that the kernel's queue does not overflow."""

covered: list[Callable[[str], bool]] = []
"""Functions that take a folder; True if the kernel reports opens in it."""


def current() -> Sinks:
    """The runs that a present event belongs to: this thread's or task's own; without one, all open ones."""
    if not _open or busy.on:
        return ()
    mine = _mine.get()
    return mine.group if mine is not None and mine.open else _open


def is_open() -> bool:
    """True if anything is to be noted."""
    return bool(_open)


WATCHERS.append(is_open)


def first_party() -> Callable[[str], bool]:
    """The last run's test for code of the project."""
    return _first_party


def add(sink: Sink) -> None:
    """Begin a run in this thread or task."""
    global _open, _first_party
    install()
    _first_party = sink.is_first_party
    sink.open, sink.group = True, (sink, *_reporters)
    _open = (*(each for each in _open if each is not sink), sink)
    _mine.set(sink)


def take_away(sink: Sink) -> None:
    """End a run, in any thread or task."""
    global _open
    sink.open = False
    _open = tuple(each for each in _open if each is not sink)
    if _mine.get() is sink:
        _mine.set(None)


def report_to(reporter: Sink | None) -> None:
    """Leave the runs to the parent process from now on; `reporter`, if any, reports events here to it."""
    global _open, _reporters
    for sink in _open:
        sink.open = False
    _reporters = _open = () if reporter is None else (reporter,)
    if reporter is not None:
        reporter.open, reporter.group = True, _reporters
        install()


def install() -> None:
    """Install the hook, once per process."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_hook)


def drain_with(drain: Callable[[], None]) -> None:
    """Call `drain` now and then while events come in."""
    _drains[:] = [drain]


def tell_opened(path: str, *, to_write: bool) -> None:
    """Note that a function without an audit event is about to open a file or folder."""
    if sinks := current():
        guarded(sinks, "open", _told, path, to_write, sys._getframe(2))


def _told(sinks: Sinks, path: str, to_write: bool, frame: FrameType) -> None:
    told_by_kernel = any(covers(path) for covers in covered)  # and more exactly
    for sink in sinks:
        if not to_write:
            sink.read_under(path, frame)
        if to_write and not told_by_kernel:
            sink.wrote(path)
        elif not told_by_kernel:
            sink.read_now(path)


class quiet(WithBlock[None]):  # noqa: N801 - used like a function
    """Block in which this thread reads for us: nothing is noted.

    `paths` are those that compiled code opens within: the kernel cannot tell its reads from the step's.
    """

    def __init__(self, *paths: RawPath) -> None:
        self._paths = paths
        self._before = False

    def _begin(self) -> None:
        self._before = busy.quiet
        busy.quiet = True
        for path in self._paths:
            _leave_out(path)

    def _end(self, error: BaseException | None) -> None:
        busy.quiet = self._before


def _leave_out(raw: RawPath) -> None:
    """Leave out a path that we open within a run. Earlier reads of it still count, and so do reads of other runs."""
    mine = _mine.get()
    if mine is not None and mine.open:
        for drain in _drains:
            drain()
        mine.uncounted(raw)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _open:
        return
    handler = _handler(event)
    if handler is None:
        return
    global _ticks
    _ticks -= 1
    mine = _mine_of()
    sinks = mine.group if mine is not None and mine.open else _open
    again = handler is _opened and args[0] in sinks[0].settled and not (args[2] or 0) & WRITES and len(sinks) == 1
    if (again and _ticks > 0) or busy.on:
        return  # a repeated read shows nothing new
    if _ticks <= 0:
        _ticks = _TICKS
        for drain in _drains:
            drain()
    if not again:
        guarded(sinks, event, handler, sys._getframe(1), args)


def guarded(sinks: Sinks, event: str, note: Callable[..., None], *args: Any) -> None:
    """Call `note` safely: files that it opens are not noted, and an error in it does not reach the user."""
    busy.on = True
    try:
        note(sinks, *args)
    except Exception as problem:  # noqa: BLE001 - whatever it is, it is no reason for the user's call to fail
        for sink in sinks:
            sink.doubt(f"an event ({event}) could not be noted: {problem!r}")
    finally:
        busy.on = False


# ---------------------------------------------------------------- one function per kind of event


def _opened(sinks: Sinks, frame: FrameType, args: tuple[Any, ...]) -> None:
    raw, _, flags = args
    kind = _kind(frame)
    if isinstance(raw, int):  # a descriptor: its file was noted when it was opened
        return
    if kind != PLAIN:
        if _passes_by(sinks, kind, raw, frame):
            return
    elif _is_no_read(sinks, raw, frame):
        return
    for sink in sinks:
        sink.opened(raw, flags or 0, frame)


def _kind(frame: FrameType) -> int:
    return OURS if busy.quiet else kind_of(frame)


def _passes_by(sinks: Sinks, kind: int, raw: RawPath, frame: FrameType) -> bool:
    if kind == OURS:
        _leave_out(raw)
        return True
    if kind == IMPORT:
        if not is_import(frame):
            return False
        file = source_of(os.path.abspath(os.fsdecode(raw)))
        for sink in sinks:
            sink.uncounted(file)
            if file.endswith(".py"):
                sink.imported(file)
    elif asks_first_party(outside_sources(frame), _first_party):  # for its lines, as of any file
        return False
    for sink in sinks:
        sink.uncounted(raw)
    return True


_SOURCE: dict[type, Any] = {str: ".py", bytes: b".py"}


def _is_no_read(sinks: Sinks, raw: Any, frame: FrameType) -> bool:
    """True if plain code opens a path for other reasons than to read data."""
    if raw.endswith(_SOURCE[type(raw)]) and _is_foreign_loader(sinks, raw, frame):
        return True
    # names relative to a descriptor, which events do not show
    return frame.f_globals.get("__name__") == "shutil" and frame.f_code.co_name.startswith("_rmtree")


def _is_foreign_loader(sinks: Sinks, raw: RawPath, frame: FrameType) -> bool:
    """Note source that another package reads: its loader may load a module, or its compiler wants the text."""
    if asks_first_party(frame, _first_party):
        return False
    path = os.path.abspath(os.fsdecode(raw))
    if not _first_party(path):
        return False
    known = any(getattr(module, "__file__", None) == path for module in list(sys.modules.values()))
    for sink in sinks:
        if not known:  # else it is shown or recompiled: loaded modules count by their own rules
            sink.imported(path)
        sink.uncounted(path)
    return True


def source_of(path: str) -> str:
    """The source file of a cached module, else the path itself."""
    folder, name = os.path.split(path)
    if name.endswith(".pyc") and os.path.basename(folder) == "__pycache__":
        return os.path.join(os.path.dirname(folder), name.partition(".")[0] + ".py")
    return path


def _listed(sinks: Sinks, frame: FrameType, args: tuple[Any, ...]) -> None:
    raw = args[0] if args[0] is not None else os.curdir
    if isinstance(raw, int):
        try:
            raw = os.readlink(f"/proc/self/fd/{raw}")
        except OSError:
            return
    kind = _kind(frame)
    if kind == OURS:
        _leave_out(raw)
        return
    for sink in sinks:
        if kind == PLAIN:
            sink.listed(raw)
        else:
            sink.uncounted(raw)


def _connected(sinks: Sinks, frame: FrameType, args: tuple[Any, ...]) -> None:
    path = os.fsdecode(args[0]) if isinstance(args[0], (str, bytes, os.PathLike)) else ""
    flags = os.O_RDWR | os.O_CREAT
    if path.startswith("file:"):
        path, _, options = path.removeprefix("file:").partition("?")
        path = unquote("/" + path.lstrip("/") if path.startswith("/") else path)
        if "mode=memory" in options:
            return
        if "mode=ro" in options:
            flags = os.O_RDONLY
    if path and path != ":memory:":
        if _kind(frame) == OURS:
            _leave_out(path)
            return
        for sink in sinks:
            sink.opened(path, flags, frame)


def _moved(sinks: Sinks, frame: FrameType, args: tuple[Any, ...]) -> None:
    if _kind(frame) != OURS:
        for sink in sinks:
            sink.opened(args[0], os.O_RDONLY, frame)  # the content lives on under the other name
            sink.removed(args[0])
            sink.wrote(args[1])


def _made(place: int) -> Callable[[Sinks, FrameType, tuple[Any, ...]], None]:
    def note(sinks: Sinks, frame: FrameType, args: tuple[Any, ...]) -> None:
        if isinstance(args[place], (str, bytes, os.PathLike)) and _kind(frame) != OURS:
            for sink in sinks:
                sink.wrote(args[place])

    return note


def _removed(sinks: Sinks, frame: FrameType, args: tuple[Any, ...]) -> None:
    if args[-1] in (-1, None) and _kind(frame) != OURS:  # not relative to a descriptor
        for sink in sinks:
            sink.removed(args[0])


def _linked(sinks: Sinks, frame: FrameType, args: tuple[Any, ...]) -> None:
    if _kind(frame) != OURS:
        for sink in sinks:
            sink.opened(args[0], os.O_RDONLY, frame)
            sink.wrote(args[1])


def _started(sinks: Sinks, frame: FrameType, args: tuple[Any, ...]) -> None:
    path = os.fsdecode(args[0]) if args[0] else ""
    words = [os.fsdecode(word) for word in args[1]] if isinstance(args[1], (list, tuple)) else [os.fsdecode(args[1])]
    folder = os.fsdecode(args[2]) if len(args) > 3 and args[2] else None
    given = args[-1] if isinstance(args[-1], Mapping) else {}
    search = given.get("PATH") or given.get(b"PATH")
    _tell_started(sinks, path or words[0], words, folder, None if search is None else os.fsdecode(search))


def _tell_started(
    sinks: Sinks, path: str, words: list[str], folder: str | None = None, search: str | None = None
) -> None:
    found = origins(path, words, folder or "", search)
    for sink in sinks:
        sink.started(path, words, folder, found)


def _started_shell(sinks: Sinks, frame: FrameType, args: tuple[Any, ...]) -> None:
    _tell_started(sinks, "sh", ["sh", "-c", os.fsdecode(args[0])])


def _replaced_itself(sinks: Sinks, frame: FrameType, args: tuple[Any, ...]) -> None:
    path, words, environment = args[:3]
    _started(sinks, frame, (path, words, None, environment))


def _forked(sinks: Sinks, frame: FrameType, args: tuple[Any, ...]) -> None:
    for sink in sinks:
        sink.had_child()


def _unpickled(sinks: Sinks, frame: FrameType, args: tuple[Any, ...]) -> None:
    module, name = sys.modules.get(args[0]), args[1]
    file = getattr(module, "__file__", None)
    if isinstance(file, str) and isinstance(name, str) and _kind(frame) != OURS:
        for sink in sinks:
            sink.unpickled(os.path.abspath(file), name)


def _changed_folder(sinks: Sinks, frame: FrameType, args: tuple[Any, ...]) -> None:
    for sink in _open:  # the current folder belongs to the whole process
        sink.moved_on()


_HANDLERS: dict[str, Callable[[Sinks, FrameType, tuple[Any, ...]], None]] = {
    "open": _opened,
    "sqlite3.connect": _connected,
    "os.listdir": _listed,
    "os.scandir": _listed,
    "os.rename": _moved,
    "os.mkdir": _made(0),
    "os.symlink": _made(1),
    "os.link": _linked,
    "os.remove": _removed,
    "os.rmdir": _removed,
    "subprocess.Popen": _started,
    "os.exec": _replaced_itself,
    "os.posix_spawn": _replaced_itself,
    "os.system": _started_shell,
    "os.fork": _forked,
    "os.forkpty": _forked,
    "os.chdir": _changed_folder,
    "pickle.find_class": _unpickled,
}
# The hook is called for every audit event of the process, so it looks up as little as it can.
_handler, _mine_of = _HANDLERS.get, _mine.get
