"""Pairs the named parts of two identities, so that only real changes are reported: a project that was moved, or started
from another folder, has the same parts under other names."""

import re
from collections.abc import Callable, Mapping

import msgspec

_FOLDERS = re.compile(r"[^\s:]*/")


class Paired(msgspec.Struct, frozen=True):
    """Common and differing parts of two mappings of name to digest."""

    renamed: list[tuple[str, str]]
    """(old name, new name) with the same content."""
    changed: list[tuple[str, str]]
    """(old name, new name) of most likely the same part with other content."""
    removed: list[str]
    added: list[str]


def pair(new: Mapping[str, str], old: Mapping[str, str]) -> Paired:
    """Pair by name and digest, then by digest, then by name, then by name without its folders."""
    now = {name: digest for name, digest in new.items() if old.get(name) != digest}
    then = {name: digest for name, digest in old.items() if new.get(name) != digest}
    renamed = _matched(now, then, lambda _name, digest: digest, several=True)
    changed = _matched(now, then, lambda name, _digest: name)
    changed += _matched(now, then, lambda name, _digest: without_folders(name))
    order = list(old)
    return Paired(renamed, sorted(changed, key=lambda names: order.index(names[0])), list(then), list(now))


def without_folders(name: str) -> str:
    """``variable rates of src/model.py:step`` -> ``variable rates of model.py:step``."""
    return _FOLDERS.sub("", name)


def _matched(
    now: dict[str, str], then: dict[str, str], key: Callable[[str, str], str], *, several: bool = False
) -> list[tuple[str, str]]:
    """Remove the pairs with the same key from both. If `several` share a key, pair those with the most similar names;
    otherwise leave them, since no pairing is sure."""
    places: dict[str, tuple[list[str], list[str]]] = {}
    for side, parts in enumerate((then, now)):
        for name, digest in parts.items():
            places.setdefault(key(name, digest), ([], []))[side].append(name)
    found = []
    for before, after in places.values():
        if not before or not after or (not several and len(before) + len(after) > 2):
            continue
        for name in before:
            wanted = without_folders(name)
            best = next((other for other in after if without_folders(other) == wanted), None)
            if best is None and after:
                best = after[0]
            if best is not None:
                after.remove(best)
                found.append((name, best))
    for name, other in found:
        del then[name], now[other]
    return found
