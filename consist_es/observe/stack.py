"""Who reads: the kinds of files that code on the stack comes from."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Callable
from types import CodeType, FrameType

PLAIN, OURS, IMPORT, SOURCES = range(4)
"""Any code; this library's own; the import system's and its helpers'; what shows source text."""

_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGE = os.path.dirname(_HERE)
_STAND_INS = tuple(os.path.join(_HERE, name) for name in ("lookups.py", "imports.py", "openers.py", "variables.py"))
"""Modules of functions that stand between the user's code and what it calls."""
_STDLIB = sysconfig.get_paths()["stdlib"]
_TRANSPARENT = frozenset(
    {"os.py", "posixpath.py", "ntpath.py", "genericpath.py", "_collections_abc.py", "pathlib.py", "string.py"}
    | {"configparser.py", "functools.py", "contextlib.py"}
)
_MOST = 30
_KINDS: dict[str, int] = {}
_PASSED: dict[str, bool] = {}


def kind_of(file: str) -> int:
    """The kind of a code object's file name."""
    kind = _KINDS.get(file)
    if kind is None:
        kind = _KINDS[file] = _kind_of(file)
    return kind


def _kind_of(file: str) -> int:
    if file.startswith(_PACKAGE + os.sep):
        return PLAIN if file in _STAND_INS else OURS
    if file.startswith(("<frozen importlib", "<frozen zipimport", "<frozen runpy")):
        return IMPORT
    parts = file.replace(os.sep, "/").rsplit("/", 3)
    if "pkg_resources" in parts or ("importlib" in parts and "resources" not in parts):
        return IMPORT
    if file.startswith(_STDLIB) and parts[-1] in ("pkgutil.py", "zipimport.py"):
        return IMPORT
    if file.startswith(_STDLIB) and parts[-1] in ("linecache.py", "tokenize.py"):
        return SOURCES
    return PLAIN


def is_import(frame: FrameType) -> bool:
    """True if an open in this frame loads a module. `pkgutil.get_data` and the like use the same loaders for data."""
    outer = frame.f_back
    return outer is not None and outer.f_code.co_name != "get_data" and kind_of(outer.f_code.co_filename) == IMPORT


def asks_first_party(frame: FrameType | None, is_first_party: Callable[[str], bool]) -> bool:
    """True if the innermost code, besides helpers that ask for whoever calls them, is the project's own."""
    while frame is not None and _passes(frame.f_code.co_filename):
        frame = frame.f_back
    # nothing but code without a file: a console, or `python -c`
    return frame is None or is_first_party(frame.f_code.co_filename)


def helpers_of(frame: FrameType | None) -> set[str]:
    """Names of the helpers on the stack that ask for whoever calls them."""
    names = set()
    while frame is not None and _passes(frame.f_code.co_filename) and not frame.f_code.co_name.startswith("<"):
        names.add(frame.f_code.co_name)
        frame = frame.f_back
    return names


def _passes(file: str) -> bool:
    known = _PASSED.get(file)
    if known is None:
        name = os.path.basename(file)
        helper = name in _TRANSPARENT and os.path.dirname(file).startswith(_STDLIB)
        helper = helper or file == os.path.join(_STDLIB, "collections", "__init__.py")
        frozen = file.startswith("<") and not file.startswith("<frozen importlib")
        known = _PASSED[file] = helper or frozen or file in _STAND_INS
    return known


def first_party_codes(frame: FrameType | None, is_first_party: Callable[[str], bool]) -> tuple[CodeType, ...]:
    """The project's code on the stack, innermost first, up to our own."""
    codes = []
    for _ in range(_MOST):
        if frame is None:
            break
        code = frame.f_code
        if kind_of(code.co_filename) == OURS:
            break
        if is_first_party(code.co_filename):
            codes.append(code)
        frame = frame.f_back
    return tuple(codes)
