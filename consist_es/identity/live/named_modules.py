"""Finds modules of the project that texts name: ``nets.Net``, as configs and registries write what to load."""

import sys
import types
from collections.abc import Iterable, Iterator

from consist_es.identity.live.modules import file_of
from consist_es.identity.live.scope import MISSING, is_own
from consist_es.identity.text.places import is_place


def modules_named(texts: Iterable[str], *, alone: bool) -> Iterator[types.ModuleType]:
    """Loaded modules of the project that these texts name, each with something that it has: ``nets.Net``, ``nets:Net``;
    with `alone` also by its name only. A module's own imports do not count as something that it has, or the file name
    ``rates.csv`` would name the module `rates`, which imports `csv`."""
    for text in texts:
        if is_place(text) or (alone and text.isidentifier()):
            module = _named(text, alone)
            if module is not None:
                yield module


def _named(text: str, alone: bool) -> types.ModuleType | None:
    place, _, inside = text.partition(":")
    parts = place.split(".")
    for count in range(len(parts), 0, -1):
        module = sys.modules.get(".".join(parts[:count]))
        if module is None:
            continue
        if not isinstance(module, types.ModuleType) or not is_own(module) or not file_of(module):
            return None
        rest = [*parts[count:], *(inside.split(".") if inside else ())]
        value = vars(module).get(rest[0], MISSING) if rest else MISSING
        there = value is not MISSING and not isinstance(value, types.ModuleType)
        return module if there or (alone and not rest) else None
    return None
