"""Queries of the tables `writers` and `environments`: a run's process and software."""

import sqlite3

from consist_es.events import EnvironmentRecorded
from consist_es.projections.plumbing import from_text
from consist_es.projections.run_rows import WriterRow
from consist_es.views.file import query


def writer_details(conn: sqlite3.Connection, writer: str) -> WriterRow | None:
    """The process of a writer id, or None."""
    found = query(conn, "SELECT * FROM writers WHERE writer = ?", (writer,))
    return WriterRow(**dict(zip(WriterRow.__struct_fields__, found[0], strict=True))) if found else None


def environment_known(conn: sqlite3.Connection, digest: str) -> bool:
    """True if an environment with this digest was recorded."""
    return bool(query(conn, "SELECT 1 FROM environments WHERE digest = ?", (digest,)))


def environment(conn: sqlite3.Connection, digest: str) -> EnvironmentRecorded | None:
    """The environment with this digest, or None."""
    sql = "SELECT python, platform, packages, git_commit, git_dirty, variables FROM environments WHERE digest = ?"
    for python, platform, packages, commit, dirty, variables in query(conn, sql, (digest,)):
        said = (digest, python, platform, from_text(packages, {}), commit, dirty, from_text(variables, {}))
        return EnvironmentRecorded(**dict(zip(EnvironmentRecorded.__struct_fields__, said, strict=True)))
    return None
