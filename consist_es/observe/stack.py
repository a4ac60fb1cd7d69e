"""Finds the code that reads: classifies the modules of frames on the stack.

Modules are recognised by their globals. Reading a frame's code is itself an audit event, and so is getting the frame:
both cost more than all the rest, so they are used only if nothing else works.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable
from types import CodeType, FrameType

import msgspec

PLAIN, OURS, IMPORT, SOURCES = range(4)
"""Any code; this library's own; the import system's and its helpers'; code that shows source text."""

_STDLIB = sysconfig.get_paths()["stdlib"]
_OURS = "consist_es"
_STAND_INS = frozenset(f"{_OURS}.observe.{name}" for name in ("lookups", "imports", "openers", "variables"))
"""Modules of stand-ins, which lie between the user's code and the functions it calls."""
_TRANSPARENT = frozenset(
    {
        "os",
        "posixpath",
        "ntpath",
        "genericpath",
        "_collections_abc",
        "collections.abc",
        "collections",
        "pathlib",
        "string",
    }
    | {"configparser", "functools", "contextlib"}
)
"""Modules of helpers that read on behalf of their caller."""
_SETTINGS = frozenset(
    {"pydantic_settings", "pydantic", "environs", "decouple", "dynaconf", "dotenv", "environ", "everett", "omegaconf"}
)
"""Packages that read variables on behalf of their caller."""
_IMPORTING = frozenset(
    {"importlib", "importlib.util", "importlib._bootstrap", "importlib._bootstrap_external", "importlib.machinery"}
    | {"_frozen_importlib", "_frozen_importlib_external", "zipimport", "runpy", "pkgutil", "importlib.readers"}
)
_MOST = 30


class _Module(msgspec.Struct, frozen=True):
    """Facts about the module of some code."""

    kind: int
    passes: bool
    """True if it reads on behalf of its caller: it is a helper, or has no file."""
    settings: bool
    """True if it reads variables on behalf of its caller."""
    file: str


_MODULES: dict[tuple[object, object], _Module] = {}


def _module_of(frame: FrameType) -> _Module:
    named = frame.f_globals
    key = named.get("__name__"), named.get("__file__")
    found = _MODULES.get(key)
    if found is None:
        found = _MODULES[key] = _judge(str(key[0] or ""), key[1])
    return found


def _judge(name: str, file: object) -> _Module:
    path = file if isinstance(file, str) else ""
    standard = not path or (path.startswith(_STDLIB + os.sep) and "site-packages" not in path)
    kind = PLAIN
    if name.partition(".")[0] == _OURS:
        kind = PLAIN if name in _STAND_INS else OURS
    elif (standard and (name in _IMPORTING or name.startswith("importlib.metadata"))) or name == "pkg_resources":
        kind = IMPORT
    elif standard and name in ("linecache", "tokenize"):
        kind = SOURCES
    passes = (standard and name in _TRANSPARENT) or name in _STAND_INS or not path
    return _Module(kind, passes and kind == PLAIN, name.partition(".")[0] in _SETTINGS, path)


def kind_of(frame: FrameType) -> int:
    """The kind of the code in a frame."""
    return _module_of(frame).kind


def is_import(frame: FrameType) -> bool:
    """True if an open in this frame loads a module. `pkgutil.get_data` and the like use the same loaders for data."""
    outer = frame.f_back
    return outer is not None and kind_of(outer) == IMPORT and outer.f_code.co_name != "get_data"


def outside_sources(frame: FrameType | None) -> FrameType | None:
    """The innermost frame of code outside the modules that read sources, mostly for a traceback."""
    while frame is not None and kind_of(frame) == SOURCES:
        frame = frame.f_back
    return frame


def outside_helpers(frame: FrameType | None) -> FrameType | None:
    """The innermost frame of code that is not a helper; None if there is none: a console, or `python -c`."""
    while frame is not None and _module_of(frame).passes:
        frame = frame.f_back
    return frame


def outside_settings(frame: FrameType | None) -> tuple[FrameType | None, bool]:
    """The innermost frame of code that does not read variables for its caller, and True if such code lies within."""
    within = False
    while frame is not None and ((module := _module_of(frame)).passes or module.settings):
        within = within or module.settings
        frame = frame.f_back
    return frame, within


def asks_first_party(frame: FrameType | None, is_first_party: Callable[[str], bool]) -> bool:
    """True if the innermost code, besides helpers, is the project's own."""
    frame = outside_helpers(frame)
    return frame is None or is_first_party(_module_of(frame).file)


def helpers_of(frame: FrameType | None) -> set[str]:
    """Names of the innermost helpers on the stack."""
    names = set()
    while frame is not None and _module_of(frame).passes and _module_of(frame).file:
        names.add(frame.f_code.co_name)
        frame = frame.f_back
    return names


def outside_frame() -> FrameType | None:
    """The innermost frame outside this library."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == _OURS:
        frame = frame.f_back
    return frame


def first_party_codes(frame: FrameType | None, is_first_party: Callable[[str], bool]) -> tuple[CodeType, ...]:
    """The project's code on the stack, innermost first, up to our own."""
    codes = []
    for _ in range(_MOST):
        if frame is None:
            break
        module = _module_of(frame)
        if module.kind == OURS:
            break
        if not module.file or is_first_party(module.file):
            codes.append(frame.f_code)
        frame = frame.f_back
    return tuple(codes)
