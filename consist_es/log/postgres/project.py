"""A project's row on the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consist_es.errors import LogMismatchError, LogRightError
from consist_es.log.postgres.server import Server
from consist_es.log.record import genesis
from consist_es.system.storage import Storage

if TYPE_CHECKING:
    import psycopg

_FIND = "SELECT no, id, genesis FROM consist_es.project WHERE name = %s"
MAKE = "SELECT consist_es.make_project(%s, %s, %s, %s)"


class ServerProject:
    """The project of an address: found, or made with the first append."""

    def __init__(self, server: Server, storage: Storage) -> None:
        self._server, self._storage = server, storage
        self.number: int | None = None
        """Its short number in the database; None while it is not known to exist."""
        self.id: str | None = None

    def found(self, conn: psycopg.Connection[Any]) -> int | None:
        """Its number, or None if there is no such project, or none that this role may see."""
        if self.number is None:
            rows = self._server.rows(conn, _FIND, (self._server.address.name,))
            for number, key, first in rows:
                if first.encode() != genesis(key):
                    raise LogMismatchError(self._server.address.shown, "its first chain value is not of its identity")
                self.number, self.id = number, key
        return self.number

    def made(self, conn: psycopg.Connection[Any]) -> int:
        """Its number; makes it if there is none."""
        if (found := self.found(conn)) is None:
            key, name = self._storage.token(16).hex(), self._server.address.name
            self._server.rows(conn, MAKE, (key, name, genesis(key).decode(), self._storage.now()))
            found = self.found(conn)
        if found is None:  # there already, and not to be seen
            raise LogRightError(self._server.address.shown, f"the project {self._server.address.name!r} is of others")
        return found
