"""Which of the things that modules hold are state of their own functions, and which are read as settings.

A cache that one function fills and reads is state: counting it would make a step miss for what ran before it. What
functions are handed and keep for others to read is a setting, and counts.
"""

import ast
from collections.abc import Iterable, Iterator

from consist_es.identity.usage import ATTRIBUTE, CLEAR, FILL, NAME, OWN, READ, SET, WRITES, Unit, Usage, usage


class Readers:
    """All code that was reached, asked for who reads a thing."""

    def __init__(self) -> None:
        self.functions: set[str] = set()
        """Names of functions that were reached as objects."""
        self.names: set[str] = set()
        """Names that code without source mentions."""
        self._waiting: list[tuple[ast.AST, ...]] = []
        self._found: dict[int, Usage] = {}

    def add(self, *nodes: ast.AST) -> None:
        """Take in code that was reached."""
        self._waiting.append(nodes)

    @property
    def _code(self) -> dict[int, Usage]:
        """Looked at no sooner than something is asked: most modules hold what their source says."""
        while self._waiting:
            found = usage(*self._waiting.pop())
            self._found[id(found)] = found
        return self._found

    def mentions(self, name: str) -> bool:
        """Whether any of the code mentions a name."""
        return name in self.names or any(name in item.mentions for item in self._code.values())

    def reads(self, kind: str, name: str, own: Iterable[Usage]) -> bool:
        """Whether any code reads a variable (or attribute) of the files that `own` is of."""
        return any(map(self._reads_in, _units(own, kind, name))) or self._reads_elsewhere(kind, name, own)

    def is_state(self, kind: str, name: str, own: Iterable[Usage], *, instance: bool = False) -> bool:
        """Whether functions of its own file write to it, and nothing but what fills it itself reads it.

        Of an `instance`, what its methods bind anew counts as written, too.
        """
        units = list(_units(own, kind, name, instance=instance))
        if not any(_flags(uses) & WRITES and not unit.makes for unit, uses in units):
            return False
        if self._reads_elsewhere(kind, name, own):
            return False
        reading = [item for item in units if self._reads_in(item)]
        return not reading or (all(map(_fills_itself, units)) and all(map(_reads_what_it_fills, reading)))

    def _reads_in(self, item: tuple[Unit, dict[str, int]]) -> bool:
        unit, uses = item
        reached = not unit.plain or unit.name in self.functions or self.mentions(unit.name or "")
        return reached and bool(_flags(uses) & READ)

    def _reads_elsewhere(self, kind: str, name: str, own: Iterable[Usage]) -> bool:
        mine = {id(item) for item in own}
        others = [item for key, item in self._code.items() if key not in mine]
        if name in self.names or (kind == NAME and any(name in item.imported for item in self._code.values())):
            return True
        stars = [item for item in others if kind == NAME and "*" in item.imported]
        units = [*_units(others, ATTRIBUTE, name), *_units(stars, NAME, name)]
        return any(map(self._reads_in, units))


def writes_to(kind: str, name: str, own: Iterable[Usage], *, instance: bool = False) -> bool:
    """Whether any function of some files writes to a thing but to make it."""
    units = _units(own, kind, name, instance=instance)
    return any(_flags(uses) & WRITES and not unit.makes for unit, uses in units)


def _units(
    code: Iterable[Usage], kind: str, name: str, *, instance: bool = False
) -> Iterator[tuple[Unit, dict[str, int]]]:
    """The functions that use a thing, and how."""
    keys = [(kind, name), *([(OWN, name)] if instance else [])]
    for item in code:
        found = {id(unit): unit for key in keys for unit in item.units.get(key, ())}
        for unit in found.values():
            uses: dict[str, int] = {}
            for key in keys:
                for receiver, how in unit.uses.get(key, {}).items():
                    uses[receiver] = uses.get(receiver, 0) | how
            yield unit, uses


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
    return all(how & (FILL | CLEAR) for how in item[1].values() if how & READ)


def keeps(function: ast.AST, name: str) -> bool:
    """Whether what a function captured under a name is state of its own, such as the cache of a memoising wrapper."""
    units = list(_units([usage(function)], NAME, name))
    return any(_flags(uses) & FILL for _, uses in units) and all(map(_fills_itself, units))
