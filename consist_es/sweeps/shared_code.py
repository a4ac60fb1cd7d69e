"""Works out the identity of a step's code once for rows that differ in numbers only."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from consist_es.identity.code.modes import CodeIdentity
from consist_es.identity.live.written import NOTHING, Written
from consist_es.steps.options import StepArguments

_NUMBERS = (bool, int, float, type(None))


class SharedCode:
    """Remembers code identities of one function, until `forget`.

    A config takes part in the identity of code with the classes of its values, and with its texts, which code may run.
    Numbers do neither.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, CodeIdentity] = {}

    def __call__(self, args: StepArguments, unread: Written, work_out: Callable[[], CodeIdentity]) -> CodeIdentity:
        shape = _shape(args.config)
        if shape is None or unread is not NOTHING:
            return work_out()
        if shape not in self._known:
            self._known[shape] = work_out()
        return self._known[shape]

    def forget(self) -> None:
        """Work them out anew from now on: steps that ran may have changed what code reaches."""
        self._known.clear()


def _shape(value: Any) -> Hashable:
    """What of a value may take part in the identity of code; None if that is not known."""
    kind = type(value)
    if kind in _NUMBERS:
        return "number"
    if kind is str:
        return ("text", value)
    if kind in (list, tuple):
        return _whole(kind.__name__, map(_shape, value))
    if kind is dict and all(type(key) is str for key in value):
        return _whole("dict", (*map(_shape, value), *map(_shape, value.values())))
    return None


def _whole(kind: str, parts: Any) -> Hashable:
    found = tuple(parts)
    return None if None in found else (kind, found)


def merged(config: Mapping[str, Any] | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a row: its values over those that all rows have."""
    return {**(config or {}), **values}
