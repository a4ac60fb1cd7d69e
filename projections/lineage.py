"""Lineage: every artifact, the run that made it, and the runs that used it, with roles."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from consist_es.errors import OptionError
from consist_es.projections import copies, for_people, rarest
from consist_es.projections.artifact_rows import COLUMNS, ArtifactRow, artifact_row
from consist_es.projections.lineage_fold import TAKES as TAKES
from consist_es.projections.lineage_fold import fold as fold
from consist_es.projections.lineage_fold import fold_group as fold_group
from consist_es.projections.lineage_fold import row_of as row_of
from consist_es.projections.lineage_tree import ArtifactNode, RunNode, downstream, upstream
from consist_es.projections.plumbing import first, to_text
from consist_es.projections.rarest import Condition, condition, newest
from consist_es.views.file import query
from consist_es.views.tables import Database, create_index, create_table, create_view

__all__ = [
    "COLUMNS",
    "ArtifactNode",
    "ArtifactRow",
    "RunNode",
    "artifact",
    "by_ids",
    "by_uri",
    "create",
    "downstream",
    "find_artifacts",
    "fold",
    "fold_group",
    "how_many",
    "index",
    "inputs",
    "latest_by_key",
    "logged_inputs",
    "name",
    "outputs",
    "places_since",
    "results",
    "row_of",
    "same_content",
    "scenario_inputs",
    "scenario_outputs",
    "tables",
    "upstream",
    "version",
]

name = "lineage"
version = 5
tables: tuple[str, ...] = ("artifacts", "links", "materializations", *copies.TABLES)

# ---------------------------------------------------------------- tables

_RUN_INPUTS = """
SELECT r.id AS run, l.name AS role, a.key, a.uri, a.digest, a.kind, p.id AS producer, l.via, l.run_key, l.artifact_id
FROM links l JOIN runs r ON r.key = l.run_key LEFT JOIN artifacts a ON a.artifact_id = l.artifact_id
    LEFT JOIN runs p ON p.key = a.producer_key
WHERE l.direction = 'input' ORDER BY r.started_seq, l.seq, l.position
"""
_RUN_OUTPUTS = """
SELECT r.id AS run, l.name AS key, a.uri, a.digest, a.kind, a.size, p.id AS producer, l.via, l.run_key, l.artifact_id
FROM links l JOIN runs r ON r.key = l.run_key LEFT JOIN artifacts a ON a.artifact_id = l.artifact_id
    LEFT JOIN runs p ON p.key = a.producer_key
WHERE l.direction = 'output' ORDER BY r.started_seq, l.seq, l.position
"""
_LINEAGE_EDGES = """
SELECT p.id AS producer, a.key AS artifact, l.name AS role, r.id AS consumer, a.producer_key, l.artifact_id,
    l.run_key AS consumer_key
FROM links l JOIN artifacts a ON a.artifact_id = l.artifact_id JOIN runs r ON r.key = l.run_key
    LEFT JOIN runs p ON p.key = a.producer_key
WHERE l.direction = 'input' ORDER BY r.started_seq, l.seq, l.position
"""


def create(db: Database) -> None:
    """Make the tables."""
    of_artifact = {"producer_key": ("runs", "key"), "parent_id": ("artifacts", "artifact_id")}
    create_table(db, "artifacts", COLUMNS, pk="artifact_id", references=of_artifact)
    link: dict[str, type] = {"run_key": str, "direction": str, "name": str, "artifact_id": str, "position": int}
    of_link = ("run_key", "direction", "name", "artifact_id")
    both = {"run_key": ("runs", "key"), "artifact_id": ("artifacts", "artifact_id")}
    create_table(db, "links", {**link, "via": str, "result": int, "seq": int}, pk=of_link, references=both)
    copy: dict[str, type] = {"seq": int, "artifact_id": str, "key": str, "uri": str, "source_uri": str, "digest": str}
    more = {"reason": str, "run_key": str, "at": str}
    create_table(db, "materializations", {**copy, **more}, pk="seq", references=both)
    copies.create(db)


def index(db: Database) -> None:
    """Make the indexes that only queries need, and the SQL views."""
    create_index(db, "artifacts", ["key", "created_seq"], "artifacts_by_key")
    create_index(db, "artifacts", ["uri", "created_seq"], "artifacts_by_uri")
    create_index(db, "artifacts", ["digest"], "artifacts_by_digest")
    create_index(db, "artifacts", ["producer_key"], "artifacts_by_producer")
    create_index(db, "artifacts", ["parent_id"], "artifacts_by_parent")
    create_index(db, "artifacts", ["driver"], "artifacts_by_driver")
    create_index(db, "artifacts", ["kind"], "artifacts_by_kind")
    create_index(db, "links", ["artifact_id", "direction"], "links_by_artifact")
    create_index(db, "materializations", ["artifact_id"], "materializations_by_artifact")
    copies.index(db)
    create_view(db, "run_inputs", _RUN_INPUTS)
    create_view(db, "run_outputs", _RUN_OUTPUTS)
    create_view(db, "lineage_edges", _LINEAGE_EDGES)
    create_view(db, "files", for_people.FILES)


# ---------------------------------------------------------------- queries


def _artifacts(conn: sqlite3.Connection, sql: str, values: Iterable[Any]) -> list[ArtifactRow]:
    return [artifact_row(row) for row in query(conn, sql, tuple(values))]


def artifact(conn: sqlite3.Connection, artifact_id: str) -> ArtifactRow | None:
    """The artifact with this id, or None."""
    return first(_artifacts(conn, "SELECT * FROM artifacts WHERE artifact_id = ?", (artifact_id,)))


def by_ids(conn: sqlite3.Connection, artifact_ids: Iterable[str]) -> dict[str, ArtifactRow]:
    """Id -> artifact, in the order given, without unknown ids."""
    wanted = list(dict.fromkeys(artifact_ids))
    sql = "SELECT * FROM artifacts WHERE artifact_id IN (SELECT value FROM json_each(?))"
    found = {row.artifact_id: row for row in _artifacts(conn, sql, (to_text(wanted),))}
    return {artifact_id: found[artifact_id] for artifact_id in wanted if artifact_id in found}


def latest_by_key(conn: sqlite3.Connection, key: str, run_key: str | None = None) -> ArtifactRow | None:
    """The newest artifact of that key; with `run_key`, the last one that the run linked under that name."""
    if run_key is None:
        sql = "SELECT * FROM artifacts WHERE key = ? ORDER BY created_seq DESC LIMIT 1"
        return first(_artifacts(conn, sql, (key,)))
    return first(_artifacts(conn, _LATEST_OF_RUN, (run_key, key, key)))


_LATEST_OF_RUN = """
SELECT a.* FROM links l JOIN artifacts a ON a.artifact_id = l.artifact_id
WHERE l.run_key = ? AND (l.name = ? OR a.key = ?)
ORDER BY l.direction = 'output' DESC, l.seq DESC, l.position DESC LIMIT 1
"""


def by_uri(conn: sqlite3.Connection, uri: str) -> list[ArtifactRow]:
    """Artifacts recorded at this URI, newest first."""
    return _artifacts(conn, "SELECT * FROM artifacts WHERE uri = ? ORDER BY created_seq DESC", (uri,))


_LOGGED_SINCE = """
SELECT rowid, created_seq, producer_key, uri, root, driver FROM artifacts WHERE rowid < ? ORDER BY rowid DESC LIMIT 200
"""
_COPIED_SINCE = """
SELECT m.run_key, m.uri, r.run_dir, '' FROM materializations m JOIN runs r ON r.key = m.run_key WHERE m.seq > ?
"""


def places_since(conn: sqlite3.Connection, seq: int) -> list[tuple[str, str, str, str]]:
    """Run, URI, run directory and driver of every output recorded, or copied to a place, after a position."""
    found = query(conn, _COPIED_SINCE, (seq,))
    last = 1 << 62
    while rows := query(conn, _LOGGED_SINCE, (last,)):  # rows are in log order
        found += [(run, *rest) for _, at, run, *rest in rows if run is not None and at > seq]
        last = rows[-1][0]
        if rows[-1][1] <= seq:
            break
    return found


def same_content(conn: sqlite3.Connection, digest: str) -> list[ArtifactRow]:
    """Artifacts with this digest, newest first."""
    return _artifacts(conn, "SELECT * FROM artifacts WHERE digest = ? ORDER BY rowid DESC", (digest,))


def _named(conn: sqlite3.Connection, sql: str, values: Iterable[Any]) -> dict[str, ArtifactRow]:
    """Name -> artifact in row order; of several with one name, the last."""
    return {name: artifact_row(row) for name, *row in query(conn, sql, tuple(values))}


_LINKED = """
SELECT l.name, a.* FROM links l JOIN artifacts a ON a.artifact_id = l.artifact_id
WHERE l.run_key = ? AND l.direction = ? ORDER BY l.seq, l.position
"""
_LINKED_VIA = """
SELECT l.name, a.* FROM links l JOIN artifacts a ON a.artifact_id = l.artifact_id
WHERE l.run_key = ? AND l.direction = ? AND l.via = ? ORDER BY l.seq, l.position
"""
_RESULTS = """
SELECT l.name, a.* FROM links l JOIN artifacts a ON a.artifact_id = l.artifact_id
WHERE l.run_key = ? AND l.result IS NOT NULL ORDER BY l.result
"""
_SCENARIO_OUTPUTS = """
SELECT l.name, a.* FROM runs r JOIN links l ON l.run_key = r.key JOIN artifacts a ON a.artifact_id = l.artifact_id
WHERE r.scenario_key = ? AND l.direction = 'output' ORDER BY l.seq, l.position
"""
_SCENARIO_INPUTS = """
SELECT CASE WHEN r.kind = 'scenario' THEN l.name ELSE a.key END, a.*
FROM runs r JOIN links l ON l.run_key = r.key JOIN artifacts a ON a.artifact_id = l.artifact_id
WHERE r.scenario_key = ? AND l.direction = 'input' AND l.artifact_id NOT IN (
    SELECT o.artifact_id FROM runs s JOIN links o ON o.run_key = s.key
    WHERE s.scenario_key = r.scenario_key AND o.direction = 'output')
ORDER BY l.seq, l.position
"""


def outputs(conn: sqlite3.Connection, run_key: str) -> dict[str, ArtifactRow]:
    """All logged outputs of a run, by key, in order; of several with one key, the last."""
    return _named(conn, _LINKED, (run_key, "output"))


def results(conn: sqlite3.Connection, run_key: str) -> dict[str, ArtifactRow]:
    """The results of a run for its caller, by key, in order."""
    return _named(conn, _RESULTS, (run_key,))


def inputs(conn: sqlite3.Connection, run_key: str, via: str | None = None) -> dict[str, ArtifactRow]:
    """The inputs of a run by role, in order; with `via`, only those bound that way.

    `via` is the binding (``inputs``, ``input_keys``, ``depends_on`` …), or ``logged`` for inputs that the run itself
    logged.
    """
    if via is None:
        return _named(conn, _LINKED, (run_key, "input"))
    return _named(conn, _LINKED_VIA, (run_key, "input", via))


def logged_inputs(conn: sqlite3.Connection, run_key: str) -> list[tuple[str, ArtifactRow]]:
    """Role and artifact of the inputs that a run itself logged; two workers may have given two files one role."""
    found = query(conn, _LINKED_VIA, (run_key, "input", "logged"))
    return [(role, artifact_row(row)) for role, *row in found]


def scenario_outputs(conn: sqlite3.Connection, scenario_key: str) -> dict[str, ArtifactRow]:
    """The outputs of all runs of a scenario by key; of several with one key, the last."""
    return _named(conn, _SCENARIO_OUTPUTS, (scenario_key,))


def scenario_inputs(conn: sqlite3.Connection, scenario_key: str) -> dict[str, ArtifactRow]:
    """The external inputs of a scenario by key: inputs that none of its runs made."""
    return _named(conn, _SCENARIO_INPUTS, (scenario_key,))


_SOURCES = {
    "key": ("FROM artifacts a INDEXED BY artifacts_by_key WHERE a.key = ?", "a.created_seq"),
    "digest": ("FROM artifacts a INDEXED BY artifacts_by_digest WHERE a.digest = ?", "a.rowid"),
    "uri": ("FROM artifacts a INDEXED BY artifacts_by_uri WHERE a.uri = ?", "a.created_seq"),
    "driver": ("FROM artifacts a INDEXED BY artifacts_by_driver WHERE a.driver = ?", "a.rowid"),
    "kind": ("FROM artifacts a INDEXED BY artifacts_by_kind WHERE a.kind = ?", "a.rowid"),
    "parent": ("FROM artifacts a INDEXED BY artifacts_by_parent WHERE a.parent_id = ?", "a.rowid"),
    "creator": ("FROM artifacts a INDEXED BY artifacts_by_producer WHERE a.producer_key = ?", "a.rowid"),
    "consumer": (
        """FROM artifacts a INDEXED BY sqlite_autoindex_artifacts_1 WHERE a.artifact_id IN
        (SELECT artifact_id FROM links WHERE run_key = ? AND direction = 'input')""",
        "a.created_seq",
    ),
    "run": (
        """FROM artifacts a INDEXED BY sqlite_autoindex_artifacts_1 WHERE a.artifact_id IN
        (SELECT artifact_id FROM links WHERE run_key = ?)""",
        "a.created_seq",
    ),
}
"""Filter -> where the artifacts come from, by its index, and their order: rows are in the order of `created_seq`."""


def find_artifacts(conn: sqlite3.Connection, *, limit: int | None = 100, **equal: str | None) -> list[ArtifactRow]:
    """Artifacts that meet all conditions, newest first.

    `key`, `digest`, `uri`, `driver`, `kind` and `parent` (artifact id) compare a column; `creator`, `consumer` and
    `run` (either of the two, or a hit's outputs) are keys of runs. None does not filter; `limit` None gives all.

    Raises:
        OptionError: an unknown filter.
    """
    return [artifact_row(row) for row in newest(conn, "a.*", _EVERYTHING, _met(equal), limit)]


def how_many(conn: sqlite3.Connection, **equal: str | None) -> int:
    """The number of artifacts that `find_artifacts` gives without a limit."""
    return rarest.how_many(conn, _EVERYTHING, _met(equal))


def _met(equal: Mapping[str, str | None]) -> list[Condition]:
    if unknown := equal.keys() - _SOURCES.keys():
        raise OptionError("filter", min(unknown), (*_SOURCES, "limit"))
    return [condition(*_SOURCES[name], (value,)) for name, value in equal.items() if value is not None]


_EVERYTHING = ("FROM artifacts a WHERE 1", "a.rowid")
