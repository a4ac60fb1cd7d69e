"""Replays an earlier run's changes to objects on a hit: all of them or none."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from consist_es.events import Effect
from consist_es.execution.effects import ABSENT, Mask, digest
from consist_es.identity.live.owners import Owner, Reach
from consist_es.values.plain import frame
from consist_es.values.whole import restored, whole

_NOTHING: Any = object()
Action = tuple[Callable[[], object], Callable[[], object]]
"""(make the change, undo it)"""


class Obstacle(Exception):
    """A change cannot be replayed; the text says why."""


class PutBack:
    """The changes that a hit makes. Nothing is changed before `apply`."""

    def __init__(self, effects: Sequence[Effect], fn: Any, given: Mapping[str, Any], mask: Mask) -> None:
        self.problems: list[str] = []
        """Changes that cannot be replayed, with the reasons."""
        self.paths: list[str] = []
        """Paths that `apply` changes, without those that are as they should be."""
        self.changed: list[tuple[Any, str]] = []
        """(object, name of the attribute or variable) of these changes."""
        self.functions: list[Any] = []
        """The project's functions that the step reaches."""
        self._actions: list[Action] = []
        reach = Reach(fn, given) if any(effect.kind in _KINDS for effect in effects) else None
        self.functions = [] if reach is None else reach.functions
        for effect in effects:
            try:
                action = _KINDS[effect.kind](effect, reach, mask) if effect.kind in _KINDS else _unknown(effect)
            except (AttributeError, TypeError, ValueError, LookupError):  # a class that is gone
                self.problems.append(f"{effect.path}, which the step changed, cannot be made again")
                continue
            except Obstacle as problem:
                self.problems.append(f"{effect.path}, which the step changed, {problem}")
                continue
            if action is not None:
                self._actions.append(action)
                self.paths.append(effect.path)
                if reach is not None and effect.owner in reach.owners:
                    self.changed.append((reach.owners[effect.owner].value, effect.name))

    def apply(self) -> None:
        """Make the changes. If one fails, undo those before it and raise `Obstacle`."""
        undo: list[Callable[[], object]] = []
        try:
            for do, back in self._actions:
                undo.append(back)
                do()
        except (AttributeError, TypeError, ValueError, LookupError) as error:
            for back in reversed(undo):
                back()
            raise Obstacle(f"the changes of the step cannot be put back: {type(error).__name__}: {error}") from error


def _unknown(effect: Effect) -> Action | None:
    raise Obstacle(f"was recorded by a later version of this library ({effect.kind})")


def _owner(effect: Effect, reach: Reach | None) -> Owner:
    owner = None if reach is None else reach.owners.get(effect.owner)
    if owner is None:
        raise Obstacle("cannot be found")
    return owner


def _binding(effect: Effect, reach: Reach | None, mask: Mask) -> Action | None:
    """Replay of an attribute or variable."""
    owner, name = _owner(effect, reach), effect.name
    now = owner.slots().get(name, _NOTHING)
    if _is_so(now, effect.value) or _is_other(effect, now, mask):
        return None
    if not owner.takes(name):
        raise Obstacle("cannot be set")
    value = _NOTHING if effect.value is None else restored(effect.value)
    return (lambda: _bind(owner, name, value)), (lambda: _bind(owner, name, now))


def _bind(owner: Owner, name: str, value: Any) -> None:
    if value is _NOTHING:
        owner.drop(name)
    else:
        owner.put(name, value)


def _content(effect: Effect, reach: Reach | None, mask: Mask) -> Action | None:
    """Replay of the content of a container or array."""
    owner = _owner(effect, reach)
    thing = owner.slots().get(effect.name) if effect.name else owner.value
    if _is_so(thing, effect.value) or _is_other(effect, thing, mask):
        return None
    value = restored(effect.value)
    if type(thing) is not type(value) or getattr(thing, "dtype", None) != getattr(value, "dtype", None):
        raise Obstacle("is of another type now")
    if getattr(thing, "shape", None) != getattr(value, "shape", None) or getattr(thing, "maxlen", None) != getattr(
        value, "maxlen", None
    ):
        raise Obstacle("has another size now")
    before = copy.copy(thing)
    return (lambda: _fill(thing, value)), (lambda: _fill(thing, before))


def _item(effect: Effect, reach: Reach | None, _mask: Mask) -> Action | None:
    """Replay of one item of a dict."""
    thing = _owner(effect, reach).value
    key, value = restored(effect.value)
    if not isinstance(thing, dict):
        raise Obstacle("is of another type now")
    before = copy.copy(thing)
    if key in thing and _is_so((key, thing[key]), effect.value):
        return None
    return (lambda: thing.update({key: value})), (lambda: _fill(thing, before))


def _fill(thing: Any, value: Any) -> None:
    """Replace the content of a container or array in place."""
    if hasattr(thing, "shape"):
        thing[...] = value
        return
    thing.clear()
    if isinstance(thing, dict | set):
        thing.update(value)
    else:
        thing.extend(value)


def _is_so(now: Any, value: Any) -> bool:
    if now is _NOTHING or value is None:
        return now is _NOTHING and value is None
    return frame(whole(now)) == frame(value)


def _is_other(effect: Effect, now: Any, mask: Mask) -> bool:
    """True if the present value is not the one that the step found. Raises `Obstacle` if it must be."""
    other = effect.before is not None and effect.before != (ABSENT if now is _NOTHING else digest(now, mask))
    if other and effect.required:
        raise Obstacle("has changed since")
    return other


_KINDS: dict[str, Callable[[Effect, Reach | None, Mask], Action | None]] = {
    "attribute": _binding,
    "variable": _binding,
    "content": _content,
    "item": _item,
}
