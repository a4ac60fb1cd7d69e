"""The coupler of every scenario: the artifact of each name, and the declared names."""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from consist_es.events import CouplerSet, OutputsDeclared, Recorded
from consist_es.projections.plumbing import scenario_of
from consist_es.views.file import query
from consist_es.views.projector import Statement
from consist_es.views.tables import Database, create_index, create_table

name = "coupler_state"
version = 2
tables: tuple[str, ...] = ("coupler", "declared_outputs")


class CouplerRow(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a name in a scenario's coupler: an artifact, or the URI of something unrecorded."""

    key: str
    artifact_id: str | None
    value: str | None
    set_by: str | None
    """Key of the last run that set it."""
    seq: int
    """Position of the last set."""


class DeclaredRow(msgspec.Struct, frozen=True, kw_only=True):
    """A coupler name that a scenario is expected to set."""

    key: str
    required: bool
    description: str | None
    warn_undefined: bool
    """True on all rows of a scenario that wants warnings for undeclared names."""


def create(db: Database) -> None:
    """Make the tables."""
    what: dict[str, type] = {"scenario_key": str, "key": str, "artifact_id": str, "value": str, "set_by": str}
    create_table(db, "coupler", {**what, "seq": int, "first_seq": int}, pk=("scenario_key", "key"))
    declared = {"scenario_key": str, "key": str, "required": int, "description": str, "warn_undefined": int}
    create_table(db, "declared_outputs", {**declared, "seq": int, "position": int}, pk=("scenario_key", "key"))


def index(db: Database) -> None:
    """Make the indexes by artifact and by key."""
    create_index(db, "coupler", ["artifact_id"], "coupler_by_artifact")
    create_index(db, "coupler", ["key", "seq"], "coupler_by_key")


_SET = """
INSERT INTO coupler (scenario_key, key, artifact_id, value, set_by, seq, first_seq) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (scenario_key, key) DO UPDATE SET artifact_id = excluded.artifact_id, value = excluded.value,
    set_by = excluded.set_by, seq = excluded.seq
"""
_DECLARE = """
INSERT INTO declared_outputs (scenario_key, key, required, description, warn_undefined, seq, position)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (scenario_key, key) DO UPDATE SET required = max(required, excluded.required),
    description = coalesce(excluded.description, description),
    warn_undefined = max(warn_undefined, excluded.warn_undefined)
"""


def fold(recorded: Recorded) -> Iterable[Statement]:
    """See `consist_es.views.folding.Projection`."""
    handler = _FOLDS.get(type(recorded.event))
    return handler(recorded, recorded.event) if handler else ()


def _set(recorded: Recorded, event: CouplerSet) -> list[Statement]:
    what = (event.key, event.artifact, event.value, recorded.run, recorded.seq, recorded.seq)
    return [(_SET, (scenario_of(recorded), *what))]


def _declared(recorded: Recorded, event: OutputsDeclared) -> list[Statement]:
    scenario = scenario_of(recorded)
    return [
        (_DECLARE, (scenario, key, required, event.descriptions.get(key), event.warn_undefined, recorded.seq, position))
        for position, (key, required) in enumerate(event.required.items())
    ]


_FOLDS: dict[type, Callable[[Recorded, Any], list[Statement]]] = {CouplerSet: _set, OutputsDeclared: _declared}
TAKES = frozenset(_FOLDS)


def state(conn: sqlite3.Connection, scenario_key: str) -> dict[str, CouplerRow]:
    """The coupler of a scenario, in the order of each name's first set."""
    sql = """
        SELECT key, artifact_id, value, set_by, seq FROM coupler WHERE scenario_key = ? ORDER BY first_seq
    """
    rows = query(conn, sql, (scenario_key,))
    return {
        key: CouplerRow(key=key, artifact_id=artifact, value=value, set_by=run, seq=seq)
        for key, artifact, value, run, seq in rows
    }


def latest(conn: sqlite3.Connection, key: str) -> str | None:
    """Id of the artifact that any scenario set last under a name; None if there is none."""
    sql = "SELECT artifact_id FROM coupler WHERE key = ? AND artifact_id IS NOT NULL ORDER BY seq DESC LIMIT 1"
    return next((artifact for (artifact,) in query(conn, sql, (key,))), None)


def declared(conn: sqlite3.Connection, scenario_key: str) -> dict[str, DeclaredRow]:
    """The declared names of a scenario, in the order of their declaration."""
    sql = """
        SELECT key, required, description, max(warn_undefined) OVER () FROM declared_outputs
        WHERE scenario_key = ? ORDER BY seq, position
    """
    rows = query(conn, sql, (scenario_key,))
    return {
        key: DeclaredRow(key=key, required=bool(required), description=text, warn_undefined=bool(warn))
        for key, required, text, warn in rows
    }
