"""One state of the views for several queries."""

import sqlite3

from consist_es.system.with_block import WithBlock


class Snapshot(WithBlock[None]):
    """Queries in the block see one state of the file, whatever other processes write meanwhile. It holds up nobody."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def _begin(self) -> None:
        self._conn.execute("BEGIN")

    def _end(self, error: BaseException | None) -> None:
        if self._conn.in_transaction:
            self._conn.execute("ROLLBACK")
