"""Queries of the run table at the start of a run: its readable id, and the other running steps."""

import sqlite3
from typing import NamedTuple

from consist_es.projections.plumbing import from_text
from consist_es.projections.run_table import NUMBERED
from consist_es.views.file import query


class Beginning(NamedTuple):
    """The views' facts for a run about to be recorded."""

    seq: int
    """Checkpoint of the views."""
    id: str
    """Its readable id, if nothing else is recorded before it."""
    going_on: list[str]
    """Keys of the running steps and traces."""


_BEGINNING = """
SELECT (SELECT seq FROM checkpoint), (SELECT max(attempt) FROM runs WHERE run_id = ?),
    (SELECT json_group_array(key) FROM runs WHERE status = 'running' AND kind <> 'scenario')
"""


def beginning(conn: sqlite3.Connection, run_id: str) -> Beginning:
    """The views' facts for the next run of this run id."""
    ((seq, last, keys),) = query(conn, _BEGINNING, (run_id,))
    is_first = last is None and not NUMBERED.search(run_id)
    return Beginning(seq, run_id if is_first else f"{run_id}#{(last or 0) + 1}", from_text(keys, []))


def going_on(conn: sqlite3.Connection) -> list[str]:
    """Keys of the running steps and traces."""
    found = query(conn, "SELECT key FROM runs WHERE status = 'running' AND kind <> 'scenario'")
    return [key for (key,) in found]
