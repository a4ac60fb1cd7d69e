"""Trees of steps: what something was made from, or what was made from it."""

from __future__ import annotations

import sqlite3
from collections import deque

import msgspec

from consist_es.projections import lineage, run_table
from consist_es.projections.artifact_rows import ArtifactRow
from consist_es.projections.run_rows import RunRow
from consist_es.reading.listing import users
from consist_es.reading.outputs import outputs_of


class Relative(msgspec.Struct):
    """A step in a tree, or a file that no step made."""

    name: str
    """The role of the file between it and the step above it; "" at the root."""
    run: RunRow | None = None
    artifact: ArtifactRow | None = None
    repeated: bool = False
    """True if it was opened before, in the order in which the tree is printed."""
    more: int = 0
    """How many relatives are left out because they are too far."""
    below: list[Relative] = []


def of_step(conn: sqlite3.Connection, row: RunRow, *, down: bool = False, depth: int = 4) -> Relative:
    """Tree of a step, `depth` steps far."""
    return _grown(conn, Relative("", run=row), down, depth)


def of_artifact(conn: sqlite3.Connection, row: ArtifactRow, *, down: bool = False, depth: int = 4) -> Relative:
    """Tree of an artifact: of the step that made it, or of all that used it or the same bytes."""
    root = Relative("", artifact=row)
    found = _users(conn, row, row.key) if down else _maker(conn, row, row.key)
    root.below = [_grown(conn, item, down, depth - 1) if item.run is not None else item for item in found]
    return root


def _grown(conn: sqlite3.Connection, root: Relative, down: bool, depth: int) -> Relative:
    """Open each step once, where the printed tree comes to it first."""
    opened: set[str] = set()
    waiting = deque([(root, depth)])
    while waiting:
        node, left = waiting.pop()  # depth first, as the tree is printed
        if node.run is None:
            continue
        node.repeated = node.run.key in opened
        if node.repeated:
            continue
        opened.add(node.run.key)
        found = _down(conn, node.run) if down else _up(conn, node.run)
        if not left:
            node.more = sum(item.run is not None for item in found)
            continue
        node.below = found
        waiting.extend((item, left - 1) for item in reversed(found))
    return root


def _up(conn: sqlite3.Connection, run: RunRow) -> list[Relative]:
    return [item for name, row in lineage.inputs(conn, run.key).items() for item in _maker(conn, row, name)]


def _maker(conn: sqlite3.Connection, row: ArtifactRow, name: str) -> list[Relative]:
    made = None if row.producer_key is None else run_table.by_key(conn, row.producer_key)
    return [Relative(name, run=made, artifact=row)]


def _down(conn: sqlite3.Connection, run: RunRow) -> list[Relative]:
    """Steps that used an output; of a hit, those of its own scenario, for its files are those of the run before it."""
    outputs = outputs_of(conn, [run.key]).get(run.key, {})
    return [
        item
        for name, row in outputs.items()
        for item in _users(conn, row, name)
        if item.run is not None and item.run.scenario_key == run.scenario_key
    ]


def _users(conn: sqlite3.Connection, row: ArtifactRow, name: str) -> list[Relative]:
    found = [run_table.by_key(conn, key) for key in users(conn, row)]
    return [Relative(name, run=run, artifact=row) for run in found if run is not None]
