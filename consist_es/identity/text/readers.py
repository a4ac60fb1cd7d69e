"""Decides which values in modules are state of their own functions, and which are read as settings.

A cache that one function fills and reads is state: counting it would cause a miss because of what ran before. A value
that functions are passed and keep for others to read is a setting, and counts.
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
    """All code reached so far; tells whether it reads a variable or attribute."""

    def __init__(self) -> None:
        self.functions: set[str] = set()
        """Names of functions reached as objects."""
        self.names: set[str] = set()
        """Names in code without source."""
        self._code: dict[Source | tuple[ast.AST, ...], None] = {}
        self._reached: tuple[int, Reached] | None = None

    def add(self, *nodes: ast.AST) -> None:
        """Add reached code."""
        self._code[nodes] = None

    def add_file(self, source: Source) -> None:
        """Add a whole file."""
        self._code[source] = None

    def reads(self, kind: str, name: str, own: tuple[Usage, ...]) -> bool:
        """True if any code reads a variable (or attribute) of the files in `own`."""
        return self.now().reads(kind, name, own)

    def is_state(self, kind: str, name: str, own: tuple[Usage, ...], *, instance: bool = False) -> bool:
        """True if functions of its own file write to it, and only code that fills it itself reads it.

        For an `instance`, attributes that its methods bind anew count as written, too.
        """
        return self.now().is_state(kind, name, own, instance)

    def is_filled_and_read(self, kind: str, name: str, own: tuple[Usage, ...], *, instance: bool = False) -> bool:
        """True if it is state that some code reads: a cache, not a log or the time of day."""
        now = self.now()
        return (
            now.is_state(kind, name, own, instance)
            and not now.is_clock(kind, name, own, instance)
            and (now.reads(kind, name, own))
        )

    def mentions(self, name: str) -> bool:
        """True if any code that can run names it, or looks things up by computed names."""
        return self.now().mentions(name)

    @property
    def computes(self) -> bool:
        """True if any code looks things up by computed names."""
        return self.now().computes

    def once(self, thing: T, find: Callable[[T], dict[str, str]]) -> dict[str, str]:
        """Result of `find`, cached for all steps that reach the same code."""
        known = self.now().found
        if thing not in known:
            known[thing] = find(thing)
        return known[thing]

    def now(self) -> "Reached":
        """The code reached so far."""
        size = len(self._code) + len(self.functions) + len(self.names)  # each of them only grows
        if self._reached is None or self._reached[0] != size:
            found = _reached(tuple(self._code), frozenset(self.functions), frozenset(self.names))
            self._reached = (size, found)
        return self._reached[1]


# cached: every run of a step asks about the same code again
@functools.lru_cache(maxsize=128)
def _reached(
    code: tuple[Source | tuple[ast.AST, ...], ...], functions: frozenset[str], names: frozenset[str]
) -> "Reached":
    found = [file_usage(item) if isinstance(item, Source) else usage(*item) for item in code]
    return Reached(found, functions, names)


class Reached:
    """A fixed set of reached code, with cached answers about it."""

    def __init__(self, code: list[Usage], functions: frozenset[str], names: frozenset[str]) -> None:
        self._names = names
        self._named, self.computes = _named({*names, *functions}, [unit for item in code for unit in item.units])
        self._imported = frozenset().union(*(item.imported for item in code))
        self._stars = [item for item in code if "*" in item.imported]
        self._using: dict[str, list[Usage]] = {}
        """"kind name" -> the code that uses it: of hundreds of files, few use the same."""
        for item in code:
            for key in item.found:
                self._using.setdefault(key, []).append(item)
        self._reads: dict[Any, bool] = {}
        self._state: dict[Any, bool] = {}
        self.found: dict[Any, dict[str, str]] = {}

    def mentions(self, name: str) -> bool:
        return self.computes or name in self._named

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

    def is_clock(self, kind: str, name: str, own: tuple[Usage, ...], instance: bool) -> bool:
        return _is_clock(_ways_to_write(_units(own, kind, name, instance=instance)))

    def _find_state(self, kind: str, name: str, own: tuple[Usage, ...], instance: bool) -> bool:
        units = list(_units(own, kind, name, instance=instance))
        writes = _ways_to_write(units)
        if not writes:
            return False
        if _is_clock(writes):
            return True  # a clock's time differs each time: nothing reproducible depends on it
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
        others = [item for item in self._using.get(f"{ATTRIBUTE} {name}", ()) if item not in own]
        stars = [item for item in self._stars if kind == NAME and item not in own]
        units = [*_units(others, ATTRIBUTE, name), *_units(stars, NAME, name)]
        return any(map(self._reads_in, units))


def _named(names: set[str], units: list[Unit]) -> tuple[set[str], bool]:
    """Names used by code that can run. A function counts only once code that can run names it.

    The second value is True if that code looks names up by computed names; then any may be meant.
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


def _ways_to_write(units: Iterable[tuple[Unit, dict[str, int]]]) -> list[int]:
    return [_flags(uses) & WRITES for unit, uses in units if _writes(unit, uses)]


def _is_clock(writes: list[int]) -> bool:
    return any(how & CLOCK for how in writes) and not any(how & ~(CLOCK | CLEAR) for how in writes)


@functools.lru_cache(maxsize=8192)
def may_be_state(source: Source, *, instance: bool = False) -> tuple[frozenset[str], frozenset[str]]:
    """Variables and attributes that functions of a file write to, other than to make them; with `instance`, also those
    that methods bind in their objects."""
    found: dict[str, set[str]] = {NAME: set(), ATTRIBUTE: set()}
    own = file_usage(source)
    for key in own.found:
        kind, _, name = key.partition(" ")
        here = found.get(ATTRIBUTE if kind == OWN and instance else kind)
        if here is not None and name not in here and any(_writes(*item) for item in own.uses(kind, name)):
            here.add(name)
    return frozenset(found[NAME]), frozenset(found[ATTRIBUTE])


def writes_to(kind: str, name: str, own: Iterable[Usage], *, instance: bool = False) -> bool:
    """True if any function of some files writes to a variable or attribute, other than to make it."""
    return any(_writes(unit, uses) for unit, uses in _units(own, kind, name, instance=instance))


def handed(name: str, own: Iterable[Usage]) -> bool:
    """True if any method of some files sets an attribute to something that it is passed."""
    return any(_flags(uses) & SET for _, uses in _units(own, ATTRIBUTE, name, instance=True))


def _units(
    code: Iterable[Usage], kind: str, name: str, *, instance: bool = False
) -> Iterator[tuple[Unit, dict[str, int]]]:
    """The functions that use a variable or attribute, and how."""
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
    """True if a function writes there, other than while making an object."""
    how = _flags(uses) & WRITES
    return bool(how & CLOCK or (how and not unit.makes))


def _flags(uses: dict[str, int]) -> int:
    found = 0
    for how in uses.values():
        found |= how
    return found


def _fills_itself(item: tuple[Unit, dict[str, int]]) -> bool:
    """True if a function that writes there reads there first; otherwise the value is a setting for other functions."""
    unit, uses = item
    how = _flags(uses)
    if how & SET:
        return False
    return not how & FILL or bool(how & READ) or unit.makes


def _reads_what_it_fills(item: tuple[Unit, dict[str, int]]) -> bool:
    return all(how & (FILL | CLEAR | CLOCK) for how in item[1].values() if how & READ)


def keeps(function: ast.AST, name: str) -> bool:
    """True if the captured variable is the function's own state, such as the cache of a memoising wrapper, or a counter
    that it only writes to."""
    units = list(_units([usage(function)], NAME, name))
    flags = [_flags(uses) for _, uses in units]
    if any(how & FILL for how in flags) and not any(how & (READ | SET) for how in flags):
        return True
    return any(how & FILL for how in flags) and all(map(_fills_itself, units))
