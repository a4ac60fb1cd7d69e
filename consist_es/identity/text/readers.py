"""Which of the things that modules hold are state of their own functions, and which are read as settings.

A cache that one function fills and reads is state: counting it would make a step miss for what ran before it. What
functions are handed and keep for others to read is a setting, and counts.
"""

import ast
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from consist_es.identity.text.source import Source
from consist_es.identity.text.usage import (
    ATTRIBUTE,
    CLEAR,
    CLOCK,
    FILL,
    NAME,
    OWN,
    READ,
    SET,
    WRITES,
    Unit,
    Usage,
    Uses,
    file_usage,
    usage,
)

T = TypeVar("T")


class Readers:
    """All code that was reached, asked for who reads a thing."""

    def __init__(self) -> None:
        self.functions: set[str] = set()
        """Names of functions that were reached as objects."""
        self.names: set[str] = set()
        """Names that code without source mentions."""
        self._code: dict[Source | tuple[ast.AST, ...], None] = {}
        self._reached: tuple[tuple[int, int, int], Reached] | None = None

    def add(self, *nodes: ast.AST) -> None:
        """Take in code that was reached."""
        self._code[nodes] = None

    def add_file(self, source: Source) -> None:
        """Take in a whole file."""
        self._code[source] = None

    def reads(self, kind: str, name: str, own: tuple[Usage, ...]) -> bool:
        """Whether any code reads a variable (or attribute) of the files that `own` is of."""
        return self._now().reads(kind, name, own)

    def is_state(self, kind: str, name: str, own: tuple[Usage, ...], *, instance: bool = False) -> bool:
        """Whether functions of its own file write to it, and nothing but what fills it itself reads it.

        Of an `instance`, what its methods bind anew counts as written, too.
        """
        return self._now().is_state(kind, name, own, instance)

    @property
    def computes(self) -> bool:
        """Whether any code looks things up by computed names."""
        return self._now().computes

    def once(self, thing: T, find: Callable[[T], dict[str, str]]) -> dict[str, str]:
        """What is found out of a thing by what was reached: once for the same code, in every step that reaches it."""
        known = self._now().found
        if thing not in known:
            known[thing] = find(thing)
        return known[thing]

    def _now(self) -> "Reached":
        sizes = (len(self._code), len(self.functions), len(self.names))
        if self._reached is None or self._reached[0] != sizes:
            found = _reached(tuple(self._code), frozenset(self.functions), frozenset(self.names))
            self._reached = (sizes, found)
        return self._reached[1]


@functools.lru_cache(maxsize=128)
def _reached(
    code: tuple[Source | tuple[ast.AST, ...], ...], functions: frozenset[str], names: frozenset[str]
) -> "Reached":
    """Kept, since every run of a step asks about the same code again."""
    found = [file_usage(item) if isinstance(item, Source) else usage(*item) for item in code]
    return Reached(found, functions, names)


class Reached:
    """What was reached at some point, with the answers that were given about it."""

    def __init__(self, code: list[Usage], functions: frozenset[str], names: frozenset[str]) -> None:
        self._code, self._names = code, names
        self._named, self.computes = _named({*names, *functions}, [unit for item in code for unit in item.units])
        self._imported = frozenset().union(*(item.imported for item in code))
        self._reads: dict[Any, bool] = {}
        self._state: dict[Any, bool] = {}
        self.found: dict[Any, dict[str, str]] = {}

    def reads(self, kind: str, name: str, own: tuple[Usage, ...]) -> bool:
        key = (kind, name, own)
        if key not in self._reads:
            here = any(map(self._reads_in, _units(own, kind, name)))
            self._reads[key] = here or self._reads_elsewhere(kind, name, own)
        return self._reads[key]

    def is_state(self, kind: str, name: str, own: tuple[Usage, ...], instance: bool) -> bool:
        key = (kind, name, own, instance)
        if key not in self._state:
            self._state[key] = self._find_state(kind, name, own, instance)
        return self._state[key]

    def _find_state(self, kind: str, name: str, own: tuple[Usage, ...], instance: bool) -> bool:
        units = list(_units(own, kind, name, instance=instance))
        writes = [_flags(uses) & WRITES for unit, uses in units if _writes(unit, uses)]
        if not writes:
            return False
        if any(how & CLOCK for how in writes) and not any(how & ~(CLOCK | CLEAR) for how in writes):
            return True  # a time that was taken differs each time: nothing reproducible depends on it
        if self._reads_elsewhere(kind, name, own) or (self.computes and any(how & SET for how in writes)):
            return False
        reading = [item for item in units if self._reads_in(item)]
        return not reading or (all(map(_fills_itself, units)) and all(map(_reads_what_it_fills, reading)))

    def _reads_in(self, item: tuple[Unit, dict[str, int]]) -> bool:
        unit, uses = item
        return bool(_flags(uses) & READ) and (not unit.plain or self.computes or unit.name in self._named)

    def _reads_elsewhere(self, kind: str, name: str, own: tuple[Usage, ...]) -> bool:
        if name in self._names or (kind == NAME and name in self._imported):
            return True
        others = [item for item in self._code if item not in own]
        stars = [item for item in others if kind == NAME and "*" in item.imported]
        units = [*_units(others, ATTRIBUTE, name), *_units(stars, NAME, name)]
        return any(map(self._reads_in, units))


def _named(names: set[str], units: list[Unit]) -> tuple[set[str], bool]:
    """All names in code that may run: what only runs where something names it has to be named by such code.

    Where such code looks things up by computed names, which the second value says, any may be meant.
    """
    asleep: dict[str | None, list[Unit]] = {}
    awake = []
    for unit in units:
        if unit.plain and unit.name not in names:
            asleep.setdefault(unit.name, []).append(unit)
        else:
            awake.append(unit)
    computes = False
    while awake:
        unit = awake.pop()
        computes |= unit.computes
        mentions = unit.mentions.split()
        names.update(mentions)
        for name in asleep.keys() & mentions:
            awake += asleep.pop(name)
    return names, computes


def writes_to(kind: str, name: str, own: Iterable[Usage], *, instance: bool = False) -> bool:
    """Whether any function of some files writes to a thing but to make it."""
    return any(_writes(unit, uses) for unit, uses in _units(own, kind, name, instance=instance))


def handed(name: str, own: Iterable[Usage]) -> bool:
    """Whether any method of some files sets an attribute to something that it is given."""
    return any(_flags(uses) & SET for _, uses in _units(own, ATTRIBUTE, name, instance=True))


def _units(
    code: Iterable[Usage], kind: str, name: str, *, instance: bool = False
) -> Iterator[tuple[Unit, dict[str, int]]]:
    """The functions that use a thing, and how."""
    keys = [(kind, name), *([(OWN, name)] if instance else [])]
    for item in code:
        found: dict[Unit, Uses] = {}
        for key in keys:
            for unit, uses in item.uses(*key):
                merged = found.setdefault(unit, {})
                for receiver, how in uses.items():
                    merged[receiver] = merged.get(receiver, 0) | how
        yield from found.items()


def _writes(unit: Unit, uses: dict[str, int]) -> bool:
    """Whether a function writes something there, other than what an object is made with."""
    how = _flags(uses) & WRITES
    return bool(how & CLOCK or (how and not unit.makes))


def _flags(uses: dict[str, int]) -> int:
    found = 0
    for how in uses.values():
        found |= how
    return found


def _fills_itself(item: tuple[Unit, dict[str, int]]) -> bool:
    """Whether a function, if it writes anything there, looks there first: for others it would be a setting."""
    unit, uses = item
    how = _flags(uses)
    if how & SET:
        return False
    return not how & FILL or bool(how & READ) or unit.makes


def _reads_what_it_fills(item: tuple[Unit, dict[str, int]]) -> bool:
    return all(how & (FILL | CLEAR | CLOCK) for how in item[1].values() if how & READ)


def keeps(function: ast.AST, name: str) -> bool:
    """Whether what a function captured under a name is state of its own, such as the cache of a memoising wrapper, or
    a counter that it only writes to."""
    units = list(_units([usage(function)], NAME, name))
    flags = [_flags(uses) for _, uses in units]
    if any(how & FILL for how in flags) and not any(how & (READ | SET) for how in flags):
        return True
    return any(how & FILL for how in flags) and all(map(_fills_itself, units))
