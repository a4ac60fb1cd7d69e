"""Outputs of many runs at once."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping

from consist_es.projections.artifact_rows import ArtifactRow, artifact_row
from consist_es.projections.plumbing import to_text
from consist_es.views.file import query

_OUTPUTS = """
SELECT l.run_key, l.name, a.* FROM links l JOIN artifacts a ON a.artifact_id = l.artifact_id
WHERE l.run_key IN (SELECT value FROM json_each(?)) AND l.direction = 'output' ORDER BY l.seq, l.position
"""


def outputs_of(conn: sqlite3.Connection, runs: Iterable[str]) -> Mapping[str, dict[str, ArtifactRow]]:
    """Key of a run -> its outputs by key; {} for one without any."""
    found: defaultdict[str, dict[str, ArtifactRow]] = defaultdict(dict)
    for run, name, *row in query(conn, _OUTPUTS, (to_text(list(runs)),)):
        found[run][name] = artifact_row(row)
    return found
