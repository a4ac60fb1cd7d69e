"""Finds runs by typed names, and suggests similar ones."""

import sqlite3

from consist_es.errors import MissingKeyError
from consist_es.projections import run_table
from consist_es.projections.run_rows import RunRow
from consist_es.views.file import query

_LISTED = 10
_IDS = """
SELECT DISTINCT run_id FROM (SELECT run_id FROM runs WHERE ? IN (kind, '') ORDER BY started_seq DESC LIMIT 20000)
"""


def run_named(conn: sqlite3.Connection, ref: str) -> RunRow:
    """The run that `ref` names, see `run_table.get`.

    Raises:
        MissingKeyError: there is none; lists the runs with the nearest names, else the newest ones.
    """
    row = run_table.get(conn, ref)
    if row is None:
        raise no_run(conn, "run", ref)
    return row


def no_run(conn: sqlite3.Connection, what: str, ref: str, kind: str | None = None) -> MissingKeyError:
    """The error for a name that no run, or none of that kind, has."""
    import difflib  # only for this error

    ids = [run_id for (run_id,) in query(conn, _IDS, (kind or "",))]
    if near := difflib.get_close_matches(ref, ids, n=_LISTED):
        return MissingKeyError(what, ref, near, "These are the nearest names.")
    newest = [run.id for run in run_table.find(conn, kind=kind, limit=_LISTED)]
    return MissingKeyError(what, ref, newest, "These are the newest ones.")
