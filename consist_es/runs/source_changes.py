"""Shows which lines of the code changed between two runs, from the recorded source texts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import msgspec

from consist_es.identity.pairing import pair
from consist_es.projections import source_texts
from consist_es.projections.run_rows import RunRow
from consist_es.text import shortened

_AROUND = 2
"""Unchanged lines shown before and after a change."""
_LINES = 40
"""Most lines shown of one part."""
_PARTS = 10
_LONGEST = 300
"""Characters shown of a line."""


class SourceChange(msgspec.Struct, frozen=True):
    """The changed lines of one part of the code."""

    part: str
    """Function, class, statement or file: ``model.py:assign``."""
    lines: list[str]
    """In the form of a unified diff, without file names: ``@@ -1,2 +1,2 @@``, then lines that begin with ``-``, ``+``
    or a space."""
    more: int = 0
    """How many further lines there are."""


def source_changes(
    conn: sqlite3.Connection, new: RunRow, old: RunRow | None, mask: Callable[[str], str] = str
) -> list[SourceChange]:
    """The changed lines of each part of the code that both runs have and whose texts are recorded. `mask` hides what
    was recorded before it was secret."""
    if old is None or new.fingerprint_info is None or old.fingerprint_info is None:
        return []
    now, then = new.fingerprint_info.code_parts, old.fingerprint_info.code_parts
    changed = pair(now, then).changed if now != then else []
    inner = {after.rpartition(".")[0] for _, after in changed}
    changed = [names for names in changed if names[1] not in inner]  # a class, if one of its methods says more
    if not changed:
        return []
    texts = source_texts.texts(conn, {digest for names in changed for digest in (then[names[0]], now[names[1]])})
    found: dict[str, SourceChange] = {}
    edits: dict[str, list[str]] = {}
    for before, after in changed:
        one, other = texts.get(then[before]), texts.get(now[after])
        if one is not None and other is not None and (lines := _changed(mask(one), mask(other))):
            edits[after] = [line for line in lines if line[0] in "+-"]
            found[after] = SourceChange(after, [*map(_fit, lines[:_LINES])], max(0, len(lines) - _LINES))
    for part in list(found):
        file = part.partition(":")[0]
        if part != file and edits[part] == edits.get(file):
            found.pop(file, None)  # the function or class says more
    return list(found.values())[:_PARTS]


def _changed(before: str, after: str) -> list[str]:
    import difflib  # few processes ask why

    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=_AROUND)
    return list(lines)[2:]  # without the names of the two files


def _fit(line: str) -> str:
    """A line without tabs, which a terminal shows as escapes; of a very long one the beginning."""
    return shortened(line[0] + line[1:].expandtabs(4), _LONGEST)


def in_lines(changes: list[SourceChange]) -> list[str]:
    """Changes as lines for people."""
    found = []
    for change in changes:
        found += [f"{change.part}:", *(f"  {line}" for line in change.lines)]
        found += [f"  … and {change.more} more lines"] if change.more else []
    return found
