"""What a loaded module holds other than its source says, found once as long as nothing in it is replaced.

A step may reach hundreds of modules that nobody touches. What `consist_es.identity.live.loaded` and
`consist_es.identity.live.present` find in one follows from its source, from other sources and from live objects that a
`Witness` notes: so it is found again when one of them is another one, and only then.
"""

import enum
import functools
import logging
import sys
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from consist_es.identity.installed.places import is_first_party, standing
from consist_es.identity.live.cache_basis import WRAPPER
from consist_es.identity.live.loaded import Batch, Held, imported_from, loaded_parts, plain_or_none, resolved
from consist_es.identity.live.outline import Body, Expression, outline
from consist_es.identity.live.present import own_functions, present
from consist_es.identity.live.witness import FACTORIES, Noted, Witness
from consist_es.identity.text.names import BODY
from consist_es.identity.text.source import Source, load_source
from consist_es.values.encoding import is_same


class Compared:
    """What was found when a module was compared with its source."""

    def __init__(self, source: Source, module: types.ModuleType, label: str, root: Path, *, certain: bool) -> None:
        """Unless it is `certain` that the module is loaded, what its source computes is left out: of a module that may
        not be loaded yet, it would count in one run and not in the next."""
        self.source, self.module, self.label = source, module, label
        self.witness = _noted(source, module)
        self.others = tuple((name, load_source(name)) for name in self._files())
        """Other files of the project that functions in the module are from, with their sources."""
        self.parts, held = loaded_parts(source, vars(module), label, only_changed=not certain)
        self.held = self._to_judge(held, root)
        """Values to be judged: what counts of variables."""
        self.present = self._to_judge(present(label, source, module, certain), root)
        """What counts since version 2 of the fingerprint."""

    @functools.cached_property
    def caches(self) -> list[Any]:
        """Functions and methods of the module that keep results."""
        return [item for item in self.witness.noted.objects if type(item) is WRAPPER]

    def _files(self) -> list[str]:
        names = {fn.__code__.co_filename for fn in self.witness.functions} - {self.source.filename}
        return sorted(filter(is_first_party, names))

    def _to_judge(self, found: Iterable[Held], root: Path) -> list[Held | Batch]:
        """Values without those that are just what the source says; constants are judged together."""
        held: list[Held | Batch] = []
        constant: list[Held] = []
        for item in found:
            if type(item.value) is logging.Logger and item.literal is None and not is_first_party(logging.__file__):
                continue  # nothing depends on it
            if not self.witness.content(item.value, made=item.made):
                never = self.witness.content(item.value, made=item.made, atoms=FACTORIES)
                held.append(item._replace(never=never))
                continue
            plain = plain_or_none(item.value, root, item.where)
            if plain is None:
                held.append(item)
            elif item.literal is None or not is_same(plain, item.literal):
                constant.append(item)
        return [*held, Batch(constant)] if constant else held

    def holds(self) -> bool:
        """Whether it would be found again."""
        return self.others_hold() and self.witness.holds()

    def others_hold(self) -> bool:
        return not self.others or all(load_source(name) is source for name, source in self.others)


_COMPARED: dict[tuple[Any, ...], Compared] = {}
_MANY = [64]
"""From so many on, those of modules that are not loaded any more are looked for and dropped."""
_TOGETHER: dict[Compared, tuple[frozenset[Compared], Noted]] = {}
"""The first of those that one look compared -> all of them, and what their witnesses noted: many are looked at in much
less time together than one by one."""
_MOST_LOOKS = 16


class Comparing:
    """Compares the modules of one look at some code with their sources."""

    def __init__(self, root: Path) -> None:
        self._root, self._standing = root, standing()
        self._here: dict[tuple[str, bool], Compared] = {}
        """Label, and whether it is certain -> what this look found."""
        self._used: dict[Compared, None] = {}
        self._unchanged: frozenset[Compared] = frozenset()
        """Those that are known to hold."""

    def compared(self, source: Source, module: types.ModuleType, label: str, *, certain: bool) -> Compared:
        """A module as it is compared with its source now."""
        here = (label, certain)
        if (known := self._here.get(here)) is not None and known.source is source and known.module is module:
            return known
        key = (source.filename, label, self._root, certain, self._standing)
        known = _COMPARED.get(key)
        if known is None or known.source is not source or known.module is not module or not self._holds(known):
            _drop_unloaded()
            known = Compared(source, module, label, self._root, certain=certain)
            if known.holds():  # another thread may have replaced something meanwhile
                _forget(_COMPARED.get(key))
                _COMPARED[key] = known
        self._used[known] = None
        self._here[here] = known
        return known

    def _holds(self, known: Compared) -> bool:
        if known not in self._unchanged:
            if not known.holds():
                return False
            together, noted = _TOGETHER.get(known, (frozenset(), None))
            if noted is not None and noted.holds():
                self._unchanged |= together
        return known.others_hold()

    def finish(self) -> None:
        """Remember which modules were compared together."""
        if len(self._used) > 1:
            first = next(iter(self._used))
            together, noted = frozenset(self._used), Noted()
            if first not in _TOGETHER or _TOGETHER[first][0] != together:
                for known in together:
                    noted.add(known.witness.noted)
                if len(_TOGETHER) >= _MOST_LOOKS:
                    _TOGETHER.clear()
                _TOGETHER[first] = (together, noted)


def _drop_unloaded() -> None:
    """Forget modules that are not loaded any more, and what was found before packages changed, whenever there are twice
    as many as there were then."""
    if len(_COMPARED) < _MANY[-1]:
        return
    for key, item in list(_COMPARED.items()):
        if key[-1][1] != standing()[1] or sys.modules.get(item.module.__name__) is not item.module:
            _COMPARED.pop(key, None)
            _forget(item)
    _MANY[-1] = max(64, 2 * len(_COMPARED))


def _forget(known: Compared | None) -> None:
    """Let go of looks that one was used in: what is noted there is kept alive by it, large tables too."""
    for first, (together, _) in list(_TOGETHER.items()):
        if known in together:
            _TOGETHER.pop(first, None)


def _noted(source: Source, module: types.ModuleType) -> Witness:
    """A witness of all that the comparison looks at."""
    body, lines, namespace = BODY.of(source), outline(source), vars(module)
    witness = Witness(module, (item.name for item in body.definitions))
    for origin, name, _ in body.imports:
        witness.imports(resolved(origin, namespace))
        witness.origin(imported_from(origin, namespace), name)
    witness.imports(full for _, full in lines.imports)
    for expression in _bases(lines):
        _note_base(expression, module, witness)
    for cls in witness.classes:
        if issubclass(type(cls), enum.EnumMeta):
            for fn in [fn for value in vars(cls).values() for fn in own_functions(value)]:
                for name in ("__file__", "__name__"):  # whose function it is
                    witness.origin(fn.__globals__, name)
    return witness


def _bases(body: Body) -> Iterator[Expression]:
    """All base classes and metaclasses that are written in a file."""
    for item in [item for items in body.classes.values() for item in items]:
        yield from item.bases
        if item.metaclass is not None:
            yield item.metaclass
        yield from _bases(item.body)


def _note_base(expression: Expression, module: types.ModuleType, witness: Witness) -> None:
    """Note what a written base class is looked up in, step by step: `consist_es.identity.live.present` does so."""
    spaces: list[Any] = [module, vars(module).get("__builtins__")]
    for name in expression.names:
        inner: Any = None
        for space in spaces:
            names = space if isinstance(space, dict) else vars(space) if isinstance(space, _SPACES) else {}
            witness.origin(names, name)
            if inner is None:
                inner = names.get(name)
        spaces = [inner]


_SPACES = (types.ModuleType, type)
