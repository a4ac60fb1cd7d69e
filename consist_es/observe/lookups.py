"""Stand-ins for `os.stat`, `os.lstat` and `os.access` while a run is open: checks for existence fire no audit event.

Only looks by the project's own code count. Code that imported the functions by name before is not seen.
"""

from __future__ import annotations

import functools
import genericpath
import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from consist_es.observe import hook
from consist_es.observe.stack import asks_first_party, helpers_of

_EXISTENCE = frozenset(
    {"exists", "lexists", "isfile", "isdir", "islink", "ismount", "isjunction"}
    | {"is_file", "is_dir", "is_symlink", "is_mount", "is_junction"}
)
"""Functions of the standard library that only check whether something exists, and of what kind."""
_MEANS_NOTHING = frozenset(
    {"makedirs", "mkdir", "realpath", "_joinrealpath", "resolve", "samefile", "touch"}
    | {"walk", "_walk", "fwalk", "glob", "iglob", "rglob", "_select_from", "_iterate_directories"}
)
"""Functions that look for another purpose, which is noted itself if it is a read."""


def _standing_in(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(plain)
    def look(path: Any, *args: Any, **options: Any) -> Any:
        sinks = hook.current()
        if not sinks or isinstance(path, int) or options.get("dir_fd") is not None:
            return plain(path, *args, **options)
        frame = sys._getframe(1)
        if len(sinks) == 1 and sinks[0].knows_of(path) and _is_existence(frame):
            return plain(path, *args, **options)
        try:
            found = plain(path, *args, **options)
        except OSError:
            hook.guarded(sinks, name, _note, name, path, None, frame)
            raise
        hook.guarded(sinks, name, _note, name, path, found, frame)
        return found

    look.__module__ = "os"  # pickled by name, and `os.stat` is its path
    return look


_existence_lines: set[int] = set()
"""Lines of `genericpath` that only check for existence."""
_OF_GENERICPATH = vars(genericpath)


def _is_existence(frame: FrameType) -> bool:
    """True for a call from `os.path.exists` or the like; known only after its first call."""
    return frame.f_globals is _OF_GENERICPATH and frame.f_lineno in _existence_lines


def _note(sinks: hook.Sinks, name: str, path: Any, found: Any, frame: FrameType) -> None:
    for sink in sinks:
        if asks_first_party(frame, sink.is_first_party):
            helpers = helpers_of(frame)
            if name == "access":
                found = _found(path)
            if frame.f_globals is _OF_GENERICPATH and frame.f_code.co_name in _EXISTENCE:
                _existence_lines.add(frame.f_lineno)
            if not helpers & _MEANS_NOTHING:
                sink.looked(path, found, content=name == "stat" and not helpers & _EXISTENCE)


def _found(path: Any) -> os.stat_result | None:
    try:
        return _PLAIN["stat"](path)  # type: ignore[no-any-return]
    except (OSError, ValueError):
        return None


_PLAIN: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in ("stat", "lstat", "access")}
_STAND_INS = {name: _standing_in(name, plain) for name, plain in _PLAIN.items()}


def put_in() -> None:
    """Put the stand-ins in place."""
    for known in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks, os.supports_effective_ids):
        # these sets hold functions of `os`; a stand-in outside them would seem to lack options
        known.update(stand_in for name, stand_in in _STAND_INS.items() if _PLAIN[name] in known)
    for name, stand_in in _STAND_INS.items():
        if getattr(os, name) is _PLAIN[name]:
            setattr(os, name, stand_in)


def take_out() -> None:
    """Put the originals back, unless other code has replaced them meanwhile."""
    for name, stand_in in _STAND_INS.items():
        if getattr(os, name) is stand_in:
            setattr(os, name, _PLAIN[name])
