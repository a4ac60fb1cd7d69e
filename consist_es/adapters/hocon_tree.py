"""Keeps the tree of a HOCON file: the values set at each path, with substitutions unresolved.

A substitution stays as written, because its value is set at another path and counts there; if no path of the file sets
it, the digest of the environment variable with its name counts. So two trees are equal only if every program reads the
same from them. That needs a proof if one path is set several times:

- A substitution gives the *final* value of its path, unless it looks back at earlier values of a path that it is
  part of itself. `circular` finds substitutions that look back, and the parser refuses them; allowed is only a path
  that refers to itself (``a = ${a} [1]``).
- So at one path, nothing can see the values before one without substitutions, and objects in direct succession are
  one object. `Object.put` merges the objects, `_settle` drops the unseen values; the rest is kept in order.
"""

import os
from collections.abc import Iterator
from typing import Any

import msgspec

from consist_es.values.digests import digest_of

Path = tuple[str, ...]


class Substitution(msgspec.Struct, frozen=True):
    """``${path}`` or ``${?path}``, as written at a position in a file."""

    path: Path
    optional: bool
    file: str = ""
    line: int = 0


class Joined(msgspec.Struct, frozen=True):
    """Values in a row, at least one of them a substitution."""

    parts: tuple[Any, ...]


class Object(msgspec.Struct):
    """Key -> the values set there, in order."""

    fields: dict[str, list[Any]] = msgspec.field(default_factory=dict)

    def put(self, path: Path, value: Any) -> None:
        """Set a value at a path below this object."""
        *above, last = path
        place = self
        for key in above:
            values = place.fields.setdefault(key, [])
            if not (values and isinstance(values[-1], Object)):
                values.append(Object())
            place = values[-1]
        values = place.fields.setdefault(last, [])
        if isinstance(value, Object) and values and isinstance(values[-1], Object):
            values[-1].absorb(value)
        else:
            values.append(value)

    def absorb(self, other: "Object") -> None:
        """Set everything that another object sets."""
        for key, values in other.fields.items():
            for value in values:
                self.put((key,), value)


def canonical(root: Object) -> dict[str, Any]:
    """The tree as data that can be compared; see `consist_es.adapters.protocol.LITERALS` for its tuples."""
    return _Canonical(root).of_object(root)


class _Canonical:
    def __init__(self, root: Object) -> None:
        self.root = root

    def of_object(self, value: Object) -> dict[str, Any]:
        return {key: self._of_field(values) for key, values in value.fields.items()}

    def _of_field(self, values: list[Any]) -> Any:
        settled = [self._of(value) for value in _settle(values)]
        if len(settled) == 1:
            return settled[0]
        return ("layers", " then ".join(map(_text, settled)), settled)

    def _of(self, value: Any) -> Any:
        if isinstance(value, Object):
            return self.of_object(value)
        if isinstance(value, list):
            return [self._of(item) for item in value]
        if isinstance(value, Joined):
            parts = [self._of(part) for part in value.parts]
            return ("concat", "".join(map(_text, parts)), parts)
        if isinstance(value, Substitution):
            return self._of_substitution(value)
        return value

    def _of_substitution(self, value: Substitution) -> tuple[Any, ...]:
        text = f"${{{'?' if value.optional else ''}{'.'.join(value.path)}}}"
        outside = None if _is_set(self.root, value.path) else os.environ.get(".".join(value.path))
        if outside is None:
            return ("substitution", text, list(value.path))
        digest = digest_of(os.fsencode(outside))
        return ("substitution", f"{text} (environment variable, {digest[:11]}…)", list(value.path), digest)


def _settle(values: list[Any]) -> list[Any]:
    """The values of one path that may still be visible; at least the last."""
    kept: list[Any] = []
    for value in values:
        if _is_literal(value) or (isinstance(value, Object) and kept and _is_literal(kept[-1])):
            kept.clear()
        kept.append(value)
    return kept


def _is_literal(value: Any) -> bool:
    """True if a value is not an object and contains no substitution."""
    return not isinstance(value, Object) and next(substitutions(value), None) is None


def _text(value: Any) -> str:
    return str(value[1]) if isinstance(value, tuple) else str(value)


def _is_set(place: Object, path: Path) -> bool:
    """True if a path surely has a value."""
    for key in path[:-1]:
        inner = [value for value in place.fields.get(key, []) if isinstance(value, Object)]
        if len(inner) != 1 or len(place.fields[key]) != 1:
            return False
        place = inner[0]
    return any(isinstance(value, Object) or _is_literal(value) for value in place.fields.get(path[-1], []))


# ---------------------------------------------------------------- circles


def substitutions(value: Any, at: Path = ()) -> Iterator[tuple[Path, Substitution]]:
    """Every substitution below a value, with the path that it is part of."""
    if isinstance(value, Substitution):
        yield at, value
    elif isinstance(value, Object):
        for key, values in value.fields.items():
            for item in values:
                yield from substitutions(item, (*at, key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from substitutions(item, at)
    elif isinstance(value, Joined):
        yield from substitutions(value.parts, at)


def circular(root: Object) -> Substitution | None:
    """A substitution that depends on itself other than by its own path, or None."""
    found = list(substitutions(root))
    needs = {
        index: [other for other, (place, _) in enumerate(found) if _related(value.path, place)]
        for index, (at, value) in enumerate(found)
        if value.path != at
    }
    while True:  # drop those that need nothing, until only circles are left
        free = [index for index, others in needs.items() if not any(other in needs for other in others)]
        if not free:
            return found[min(needs)][1] if needs else None
        for index in free:
            del needs[index]


def _related(one: Path, other: Path) -> bool:
    return all(a == b for a, b in zip(one, other, strict=False))
