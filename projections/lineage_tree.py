"""Lineage as trees: an artifact's origins, and its uses."""

import sqlite3
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from consist_es.projections import run_table
from consist_es.projections.artifact_rows import ArtifactRow, artifact_row
from consist_es.projections.run_rows import RunRow
from consist_es.views.file import query


class ArtifactNode(msgspec.Struct, kw_only=True):
    """An artifact in a tree: `runs` holds the run that made it (upstream) or those that used it (downstream)."""

    artifact: ArtifactRow
    name: str
    """Its role (upstream) or output key (downstream) in the run above it; its own key at the root."""
    depth: int
    """Number of runs between it and the root."""
    repeated: bool = False
    """True if the same artifact is elsewhere in the tree, at least as near to the root, with its `runs`."""
    runs: "list[RunNode]" = []


class RunNode(msgspec.Struct, kw_only=True):
    """A run in a tree, with its inputs (upstream) or outputs (downstream)."""

    run: RunRow
    repeated: bool = False
    artifacts: list[ArtifactNode] = []


_USERS = """
SELECT DISTINCT l.run_key FROM artifacts a JOIN links l ON l.artifact_id = a.artifact_id AND l.direction = 'input'
JOIN runs r ON r.key = l.run_key
WHERE r.kind <> 'scenario' AND (a.artifact_id = ?1
    OR (a.digest = ?2 AND (a.uri = ?3 OR (a.producer_key IS NULL AND ?4 IS NULL))))
ORDER BY r.started_seq
"""
_INPUTS = """
SELECT l.name, a.* FROM links l JOIN artifacts a ON a.artifact_id = l.artifact_id
WHERE l.run_key = ? AND l.direction = 'input' ORDER BY l.seq, l.position
"""
_MADE = """
SELECT l.name, a.* FROM links l JOIN artifacts a ON a.artifact_id = l.artifact_id
WHERE l.run_key = ? AND l.direction = 'output' ORDER BY l.seq, l.position
"""


def users(conn: sqlite3.Connection, row: ArtifactRow) -> list[str]:
    """Keys of all steps that used an artifact, or another record of it: a file from outside gets one in each scenario.

    Equal bytes that another step made are another artifact.
    """
    return [key for (key,) in query(conn, _USERS, (row.artifact_id, row.digest, row.uri, row.producer_key))]


def _makers(conn: sqlite3.Connection, row: ArtifactRow) -> list[str]:
    return [] if row.producer_key is None else [row.producer_key]


def upstream(conn: sqlite3.Connection, artifact_id: str, max_depth: int | None = None) -> ArtifactNode | None:
    """Artifact -> the run that made it -> its inputs -> …, `max_depth` runs deep; None for an unknown id."""
    return _tree(conn, artifact_id, max_depth, _makers, _INPUTS)


def downstream(conn: sqlite3.Connection, artifact_id: str, max_depth: int | None = None) -> ArtifactNode | None:
    """Artifact -> the steps that used it (see `users`) -> their outputs -> …, `max_depth` runs deep; None for an
    unknown id."""
    return _tree(conn, artifact_id, max_depth, users, _MADE)


def _tree(
    conn: sqlite3.Connection,
    artifact_id: str,
    max_depth: int | None,
    runs_of: Callable[[sqlite3.Connection, ArtifactRow], list[str]],
    artifacts_of: str,
) -> ArtifactNode | None:
    """Build the tree breadth first, opening every artifact and run once: its size is that of the graph, not of its
    paths."""
    found = query(conn, "SELECT * FROM artifacts WHERE artifact_id = ?", (artifact_id,))
    if not found:
        return None
    start = artifact_row(found[0])
    root = ArtifactNode(artifact=start, name=start.key, depth=0)
    waiting, seen = deque([root]), {artifact_id}
    opened: set[str] = set()
    while waiting:
        node = waiting.popleft()
        if max_depth is not None and node.depth >= max_depth:
            continue
        for run_key in runs_of(conn, node.artifact):
            run = run_table.by_key(conn, run_key)
            if run is None:
                continue
            below = RunNode(run=run, repeated=run_key in opened)
            node.runs.append(below)
            if not below.repeated:
                opened.add(run_key)
                below.artifacts = list(_children(conn, artifacts_of, run_key, node.depth + 1, seen))
                waiting.extend(child for child in below.artifacts if not child.repeated)
    return root


def _children(
    conn: sqlite3.Connection, artifacts_of: str, run_key: str, depth: int, seen: set[str]
) -> Iterator[ArtifactNode]:
    for name, *values in query(conn, artifacts_of, (run_key,)):
        row = artifact_row(values)
        yield ArtifactNode(artifact=row, name=name, depth=depth, repeated=row.artifact_id in seen)
        seen.add(row.artifact_id)
