"""Which files many steps used and made, with one question for all of them."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from consist_es.projections.plumbing import to_text
from consist_es.views.file import query


class Link(NamedTuple):
    """A file that a step used or made."""

    name: str
    """Role of an input, key of an output."""
    artifact: str
    """Artifact id."""


class Links(NamedTuple):
    """The files of a step, in their order."""

    inputs: list[Link]
    outputs: list[Link]


_LINKS = """
SELECT l.run_key, l.direction, l.name, l.artifact_id FROM links l
WHERE l.run_key IN (SELECT value FROM json_each(?)) ORDER BY l.seq, l.position
"""


def links_of(conn: sqlite3.Connection, runs: Iterable[str]) -> Mapping[str, Links]:
    """Key of a run -> the files that it used and made; empty for one without any."""
    found: defaultdict[str, Links] = defaultdict(lambda: Links([], []))
    for run, direction, name, artifact in query(conn, _LINKS, (to_text(list(runs)),)):
        links = found[run]
        (links.inputs if direction == "input" else links.outputs).append(Link(name, artifact))
    return found
