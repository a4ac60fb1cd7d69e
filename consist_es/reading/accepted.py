"""Changes that were accepted as harmless."""

import sqlite3

from consist_es.views.file import query

_ACCEPTED = """
SELECT (SELECT count(*) FROM acceptances WHERE revoked_seq IS NULL)
    + (SELECT count(*) FROM package_acceptances WHERE revoked_seq IS NULL)
"""


def accepted(conn: sqlite3.Connection) -> int:
    """How many are in force."""
    (row,) = query(conn, _ACCEPTED)
    return int(row[0])
