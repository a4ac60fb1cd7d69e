"""Resolves the tree of a HOCON file to the values that a program reads: objects merged, substitutions filled in.

By the specification (HOCON.md in github.com/lightbend/config): a substitution gives the final value of its path, looked
up from the root, else the environment variable of that name; ``${?path}`` without either is as if it were not there; a
path that refers to itself looks back at what was set before.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from consist_es.adapters.hocon_tree import Joined, Object, Path, Substitution
from consist_es.errors import ConfigFileError

_NOTHING: Any = object()
_MAX_DEPTH = 60


class Resolved:
    """The values of a tree. `environment`: variables that stand for paths which the files do not set."""

    def __init__(self, root: Object, environment: Mapping[str, str]) -> None:
        self._root = root
        self._environment = environment
        self._depth = 0
        self.variables: dict[str, str] = {}
        """Environment variables that were used."""

    def data(self) -> dict[str, Any]:
        """All values.

        Raises:
            ConfigFileError: a substitution has no value, stands for itself, or does not fit what is beside it.
        """
        found = self._merged([self._root], ())
        return found if isinstance(found, dict) else {}

    def shadowed(self) -> dict[str, Any]:
        """Values that a later one replaces, in their places; of literal values only."""
        return _shadowed(self._root)

    # ------------------------------------------------------------ values

    def _merged(self, values: Sequence[Any], at: Path) -> Any:
        """The value of a path from all that is set there, in order."""
        found: Any = _NOTHING
        for index, value in enumerate(values):
            now = self._value(value, at, values[:index])
            if now is _NOTHING:
                continue
            found = _under(found, now) if isinstance(found, dict) and isinstance(now, dict) else now
        return found

    def _value(self, value: Any, at: Path, before: Sequence[Any]) -> Any:
        if isinstance(value, Object):
            fields = ((key, self._merged(values, (*at, key))) for key, values in value.fields.items())
            return {key: item for key, item in fields if item is not _NOTHING}
        if isinstance(value, list):
            items = [self._value(item, (), ()) for item in value]
            return [item for item in items if item is not _NOTHING]
        if isinstance(value, Substitution):
            return self._substituted(value, at, before)
        if isinstance(value, Joined):
            return self._joined(value, at, before)
        return value

    def _substituted(self, value: Substitution, at: Path, before: Sequence[Any]) -> Any:
        if at and value.path == at:
            found = self._merged(before, at)
        else:
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                raise ConfigFileError(value.file, value.line, f"{_text_of(value)} stands for itself")
            found = self._looked_up(value.path)
            self._depth -= 1
        if found is _NOTHING and (outside := self._environment.get(".".join(value.path))) is not None:
            self.variables[".".join(value.path)] = outside
            return outside
        if found is _NOTHING and not value.optional:
            problem = f"{_text_of(value)} has no value: no file sets it, and no environment variable has that name"
            raise ConfigFileError(value.file, value.line, problem)
        return found

    def _looked_up(self, path: Path) -> Any:
        """The final value of a path from the root."""
        places: list[Any] = [self._root]
        for depth, key in enumerate(path):
            values: list[Any] = []
            for place in places:
                if isinstance(place, Object):
                    values.extend(place.fields.get(key, []))
                else:  # a substitution that stands for an object
                    inner = self._value(place, path[:depth], ())
                    if isinstance(inner, dict) and key in inner:
                        values.append(_Ready(inner[key]))
            if not values:
                return _NOTHING
            places = values
        return self._merged([place.value if isinstance(place, _Ready) else place for place in places], path)

    def _joined(self, value: Joined, at: Path, before: Sequence[Any]) -> Any:
        parts = [self._value(part, at, before) for part in value.parts]
        there = [part for part in parts if part is not _NOTHING]
        if not there:
            return _NOTHING
        solid = [part for part in there if not (isinstance(part, str) and not part.strip())]
        if solid and all(isinstance(part, dict) for part in solid):
            found: dict[str, Any] = {}
            for part in solid:
                found = _under(found, part)
            return found
        if solid and all(isinstance(part, list) for part in solid):
            return [item for part in solid for item in part]
        if any(isinstance(part, dict | list) for part in there):
            first = next(part for part in value.parts if isinstance(part, Substitution))
            raise ConfigFileError(first.file, first.line, f"{_text_of(first)} stands beside a value of another kind")
        return there[0] if len(parts) == 1 else "".join(map(_text, there))


def _shadowed(place: Object) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, values in place.fields.items():
        literal = [value for value in values if isinstance(value, str | int | float | bool | None)]
        if len(literal) == len(values) > 1:
            found[key] = literal[0] if len(literal) == 2 else literal[:-1]
        elif inner := [part for value in values if isinstance(value, Object) if (part := _shadowed(value))]:
            found[key] = inner[0] if len(inner) == 1 else inner
    return found


class _Ready:
    def __init__(self, value: Any) -> None:
        self.value = value


def _under(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """The first object with the second one's values on top."""
    found = dict(low)
    for key, value in high.items():
        old = found.get(key)
        found[key] = _under(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return found


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return str(value[1])
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _text_of(value: Substitution) -> str:
    return f"${{{'?' if value.optional else ''}{'.'.join(value.path)}}}"
