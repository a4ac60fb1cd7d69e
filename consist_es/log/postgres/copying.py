"""Takes in the lines of another log as they are, to make a copy of it on a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from consist_es.errors import LogWriteError
from consist_es.log.blobs import blob_name
from consist_es.log.postgres.project import MAKE
from consist_es.log.postgres.writing import APPEND, KEEP_BLOB, LOCK, Head
from consist_es.log.record import BLOB_START, genesis, line_of
from consist_es.log.segment import Line

if TYPE_CHECKING:
    import psycopg

    from consist_es.log.postgres.log import PostgresLog

BLOCK = 2000
"""Lines of one transaction; a few more, up to the end of a batch."""
_KEY = "SELECT consist_es.mask_key(%s, %s)"


class Target:
    """A project on a server that takes in a copy; made with the identity of the source."""

    def __init__(self, log: PostgresLog, project: str, key: bytes) -> None:
        self._log, self._project, self._key = log, project, key

    def take(self, lines: Iterable[Line], payload: Callable[[bytes], bytes]) -> int:
        """Append the lines, block by block; returns their number."""
        count, block = 0, list[Line]()
        for line in lines:
            block.append(line)
            if len(block) >= BLOCK and line.head.end:
                self._send(block, payload)
                count, block = count + len(block), []
        if block:
            self._send(block, payload)
        self._log.server.ask("SELECT pg_logical_emit_message(true, 'consist_es', '')", writes=True)
        return count + len(block)

    def _send(self, block: list[Line], payload: Callable[[bytes], bytes]) -> None:
        server, before = self._log.server, block[0].head.seq - 1

        def act(conn: psycopg.Connection[Any]) -> None:
            number = self._number(conn, block[0])
            with conn.transaction():
                head = Head(*server.rows(conn, LOCK, (number,))[0])
                if (head.seq, head.chain) == (block[-1].head.seq, block[-1].chain.decode()):
                    return  # sent before the connection was lost
                for line in block:
                    if line.data.startswith(BLOB_START):
                        server.rows(conn, KEEP_BLOB, (number, blob_name(line.data), payload(line.data)))
                ((done, *_),) = server.rows(conn, APPEND, (number, before, head.chain, *_columns(block)))
                if not done:
                    raise LogWriteError(self._log.place, "another process writes to the copy")

        server.run(act, writes=True)

    def _number(self, conn: psycopg.Connection[Any], first: Line) -> int:
        found = self._log.project.found(conn)
        if found is None:
            made = (self._project, self._log.address.name, genesis(self._project).decode(), _moment(first))
            self._log.server.rows(conn, MAKE, made)
            found = self._log.project.made(conn)
            self._log.server.rows(conn, _KEY, (found, self._key))
        return found


def _columns(block: list[Line]) -> tuple[list[Any], ...]:
    lines = [line_of(line.covered, line.data, line.chain)[:-1].decode() for line in block]
    heads = [line.head for line in block]
    return (
        [head.id for head in heads],
        [head.type for head in heads],
        [head.scenario for head in heads],
        [head.run for head in heads],
        [_moment(line) for line in block],
        lines,
    )


def _moment(line: Line) -> datetime:
    return datetime.fromisoformat(line.head.at)
