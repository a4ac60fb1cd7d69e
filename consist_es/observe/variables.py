"""Notes environment variables that the project's code reads, by any access to `os.environ`.

Every lookup in `os.environ` and `os.environb`, also of a missing key, calls a function that the mapping holds; it is
replaced while a run is open. Lookups in a copy (`dict(os.environ)`, `{**os.environ}`) cannot be followed, so a run that
made one depends on those variables that the project's sources name: see `named_in`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from types import CodeType, FrameType
from typing import Any

from consist_es.observe import hook
from consist_es.observe.stack import asks_first_party, outside_settings

_SETTING = ("__setitem__", "__delitem__")
_NAME = re.compile(r"""['"]([A-Za-z_][A-Za-z0-9_]*)['"]""")
_BEGIN = re.compile(r"""startswith\(\s*\(?\s*['"]([A-Za-z_][A-Za-z0-9_]*)['"]""")
_FIELD = re.compile(r"""^\s+([A-Za-z_][A-Za-z0-9_]*)\s*:""", re.MULTILINE)
_UPPER = re.compile(r"[A-Z][A-Z0-9_]+")
_LONGEST = 64
_taking: dict[tuple[int, int], CodeType] = {}
"""Instructions that iterate over all names, by id of their code: their lookups are one copy."""


def _mappings() -> list[Any]:
    return [mapping for mapping in (os.environ, getattr(os, "environb", None)) if mapping is not None]


class _Noting:
    """A mapping's functions that convert names to and from the system's form, and the stand-ins for them.

    Functions, not methods, so that a copy of the mapping copies neither.
    """

    def __init__(self, mapping: Any) -> None:
        self.mapping = mapping
        self.plain = mapping.encodekey, mapping.decodekey
        encode, decode = self.plain

        def encodekey(key: Any) -> Any:
            raw = encode(key)
            if (sinks := hook.current()) and (raw not in sinks[0].names_settled or len(sinks) > 1):
                hook.guarded(sinks, "os.environ", _asked, mapping, raw, sys._getframe(1))
            return raw

        def decodekey(raw: Any) -> Any:
            name = decode(raw)
            if sinks := hook.current():
                hook.guarded(sinks, "os.environ", _given, sys._getframe(1))
            return name

        self.stand_ins = encodekey, decodekey


def _asked(sinks: hook.Sinks, mapping: Any, raw: Any, frame: FrameType) -> None:
    """Note a name that is looked up, or set."""
    if frame.f_code.co_name in _SETTING:
        for sink in sinks:
            sink.set_variable(os.fsdecode(raw))
        return
    (asking, _), taking = outside_settings(frame), _outside(frame)
    if taking is not None and _instruction(taking) in _taking:
        return
    value = mapping._data.get(raw)
    text = None if value is None else os.fsdecode(value)
    for sink in sinks:
        if asks_first_party(asking, sink.is_first_party):
            sink.names_settled.add(raw)
            sink.variable(os.fsdecode(raw), text)


def _given(sinks: hook.Sinks, frame: FrameType) -> None:
    """Note that one name of an iteration is returned."""
    outer = _outside(frame)
    if outer is not None:
        _taking[_instruction(outer)] = outer.f_code
    asking, by_settings = outside_settings(outer)
    for sink in sinks:
        if asks_first_party(asking, sink.is_first_party):
            sink.copied_variables(all_now, for_fields=by_settings)


def _instruction(frame: FrameType) -> tuple[int, int]:
    return id(frame.f_code), frame.f_lasti


def _outside(frame: FrameType | None) -> FrameType | None:
    """The frame of the code that uses the mapping."""
    while frame is not None and frame.f_globals.get("__name__") in ("os", "collections.abc"):
        frame = frame.f_back
    return frame


def all_now() -> dict[str, str]:
    """All variables."""
    data: Any = os.environ
    return {os.fsdecode(name): os.fsdecode(value) for name, value in dict(data._data).items()}


_NOTING = [_Noting(mapping) for mapping in _mappings()]


def put_in() -> None:
    """Put the stand-ins in place."""
    for noting in _NOTING:
        _exchange(noting.mapping, noting.plain, noting.stand_ins)


def take_out() -> None:
    """Put the originals back, unless other code has replaced them meanwhile."""
    for noting in _NOTING:
        _exchange(noting.mapping, noting.stand_ins, noting.plain)


def _exchange(mapping: Any, old: tuple[Any, Any], new: tuple[Any, Any]) -> None:
    if mapping.encodekey is old[0]:
        mapping.encodekey = new[0]
    if mapping.decodekey is old[1]:
        mapping.decodekey = new[1]


def named_in(texts: Sequence[str], values: dict[str, str], *, fields: bool) -> tuple[set[str], set[str]]:
    """Variables, and prefixes of variables, that source texts write as constants.

    A constant counts if a variable has that name now, or if it is in capitals, as names of variables are; one that ends
    in an underscore stands for all variables with that prefix. With `fields`, a class takes its fields from variables
    of the same name, whatever the case.
    """
    names = {name for text in texts for name in _NAME.findall(text)}
    if fields:
        written = names | {name for text in texts for name in _FIELD.findall(text)}
        names |= {name.upper() for name in written} | {
            name for name in values if name.upper() in map(str.upper, written)
        }
    begins = {name for text in texts for name in _BEGIN.findall(text) if _is_begin(name, values)}
    begins |= {name for name in names if name.endswith("_") and (_UPPER.fullmatch(name) or _is_begin(name, values))}
    return {name for name in names - begins if name in values or _is_written_so(name)}, begins


def _is_written_so(name: str) -> bool:
    return len(name) <= _LONGEST and _UPPER.fullmatch(name) is not None


def _is_begin(name: str, values: dict[str, str]) -> bool:
    return len(name) > 1 and any(other.startswith(name) for other in values)


def beginning_with(text: str, values: dict[str, str]) -> str | None:
    """All variables with this prefix, as one text; None if there are none."""
    found = [
        f"{len(name)}:{name}{len(value)}:{value}" for name, value in sorted(values.items()) if name.startswith(text)
    ]
    return "".join(found) or None
