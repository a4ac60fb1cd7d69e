"""Captured values that do not count for a step: those it exempts, and in explicit modes those of objects.

Code counts in any case: functions and classes, and the class of an object that does not count.
"""

import enum
import functools
import types
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, NamedTuple

from consist_es.errors import UsageError
from consist_es.identity.live.objects import content_of

ATTRIBUTE = "__consist_identity_exempt__"
"""Attribute of a function: names of captured variables that do not count."""
_PLAIN = (bool, int, float, complex, str, bytes, type(None), enum.Enum, PurePath, range)
_CODE = (
    types.FunctionType, types.MethodType, types.BuiltinFunctionType, types.ModuleType, type, functools.partial,
    staticmethod, classmethod,
)  # fmt: skip


class LeftOut(NamedTuple):
    """What of captured values does not count."""

    cells: frozenset[int] = frozenset()
    """Ids of the cells of exempted variables."""
    objects: bool = False
    """True: values of captured objects do not count."""

    def leaves(self, cell: types.CellType) -> str | None:
        """``exempt`` or ``captured`` if the value in a cell does not count."""
        if id(cell) in self.cells:
            return "exempt"
        return "captured" if self.objects and is_object(content_of(cell)) else None


NONE = LeftOut()


def left_out_of(fn: Any, *, objects: bool = False) -> LeftOut:
    """What a step's function leaves out; with `objects`, also the values of captured objects.

    Raises:
        UsageError: it exempts a name that it does not capture, or a function or class.
    """
    names = exempted(fn)
    cells: dict[str, list[types.CellType]] = {}
    captured: set[str] = set()
    for name, cell in _captures(fn):
        captured.add(name)
        if name in names:
            cells.setdefault(name, []).append(cell)
    for name in names:
        if name not in cells:
            known = ", ".join(sorted(captured)) or "none"
            raise UsageError(f"identity_exempt({name!r}): the step captures no such variable. It captures: {known}.")
        if any(isinstance(content_of(cell), _CODE) for cell in cells[name]):
            raise UsageError(
                f"identity_exempt({name!r}) names code, which always counts: exempt the data that it uses."
            )
    return LeftOut(frozenset(id(cell) for found in cells.values() for cell in found), objects)


def exempted(fn: Any) -> tuple[str, ...]:
    """Names of the captured variables that a function exempts."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    found: tuple[str, ...] = getattr(fn, ATTRIBUTE, ())
    return found


def is_object(value: Any) -> bool:
    """True for a value that may change: an object or a container; false for plain values and for code."""
    if isinstance(value, tuple | frozenset):
        return any(map(is_object, value))
    return not isinstance(value, (*_PLAIN, *_CODE))


def _captures(fn: Any) -> Iterator[tuple[str, types.CellType]]:
    """Variables that a function captures, and the functions that it captures or wraps, with their cells."""
    waiting, seen = [fn], set[int]()
    while waiting:
        item = waiting.pop()
        item = item.func if isinstance(item, functools.partial) else getattr(item, "__func__", item)
        if not isinstance(item, types.FunctionType) or id(item) in seen:
            continue
        seen.add(id(item))
        waiting.append(vars(item).get("__wrapped__"))
        for name, cell in zip(item.__code__.co_freevars, item.__closure__ or (), strict=True):
            yield name, cell
            waiting.append(content_of(cell))
