"""Appending to the server: lines are made here, behind the head that is known, and checked and kept there."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from consist_es.errors import LogWriteError
from consist_es.events import Draft
from consist_es.log.blobs import reference_to
from consist_es.log.postgres.project import ServerProject
from consist_es.log.postgres.server import Lost, Server, is_lost
from consist_es.log.presence import introduction
from consist_es.log.record import DATA_CAP, Prepared, encode_line, prepare
from consist_es.system.storage import Storage, on_fork

if TYPE_CHECKING:
    import psycopg

APPEND = "SELECT * FROM consist_es.append(%s, %s, %s, %s, %s, %s, %s, %s, %s)"
LOCK = "SELECT * FROM consist_es.lock_head(%s)"
KEEP_BLOB = "SELECT consist_es.keep_blob(%s, %s, %s)"
_KNOWN = "SELECT id, max(seq) FROM consist_es.event WHERE project = %s AND id = ANY (%s::text[]) GROUP BY id"
_FLUSH = """
WITH set AS (SELECT set_config('synchronous_commit', 'on', true))
SELECT pg_logical_emit_message(true, 'consist_es', '') FROM set
"""
"""A synced commit of nothing: all that was committed before it is on the server's disk when it returns."""
HEAD = "SELECT * FROM consist_es.head(%s)"
_BUSY = 16
"""Appends that take the lock first, after another writer was in between."""


Also = Callable[["psycopg.Connection[Any]", int], None]
"""Further work of a transaction, with the connection and the project's number."""


class Head(NamedTuple):
    """The end of the log."""

    seq: int
    chain: str
    at: datetime


class Kept(NamedTuple):
    """Lines that this process appended, which need not be read back."""

    after: int
    chain: str
    lines: list[str]
    lost: int
    """`Server.lost` at that time: a server that went down may have lost them."""


class Writing:
    """Appends for this process."""

    def __init__(self, server: Server, project: ServerProject, storage: Storage) -> None:
        self._server, self._project, self._storage = server, project, storage
        self._name = ""
        self._introduced_at = -1
        """`Server.lost` when this writer was introduced; another count: the server may have lost that."""
        self.head: Head | None = None
        self.kept: deque[Kept] = deque(maxlen=16)
        self._busy = 0
        on_fork(self)

    @property
    def name(self) -> str:
        """The writer id: host, pid and a random part."""
        if not self._name:
            storage = self._storage
            self._name = f"{storage.host()[:64]}.{storage.pid()}.{storage.token(8).hex()}"
        return self._name

    def after_fork(self) -> None:
        """Make the child a writer of its own."""
        self._name, self._introduced_at, self.head = "", -1, None
        self.kept.clear()

    def append(self, items: list[Prepared], *, sync: bool, since: int | None, also: Also | None = None) -> list[int]:
        """Append the items the log does not have yet; return the position of every item. `also`: done in the same
        transaction, if any of them is fresh."""
        with self._server.mutex:
            start = since

            def act(conn: psycopg.Connection[Any]) -> list[int]:
                nonlocal start
                import psycopg

                known = self.head
                try:
                    return self._once(conn, items, start, also)
                except BaseException as error:
                    self.head = None
                    if start is None and known is not None:
                        start = known.seq  # it may have been committed: look for it before it is written again
                    if isinstance(error, psycopg.OperationalError) and is_lost(error):
                        start = start or 0
                        raise Lost from error
                    raise

            positions = self._server.run(act, writes=True)
            if sync:
                self._flush(items)
            return positions

    def graft(self, items: list[Prepared], after: int) -> int:
        """Append the items as one batch if the log ends at position `after`, safe on the server's disk, and return the
        last position; 0 if it does not, or if the connection was lost meanwhile: then look at what is there."""
        with self._server.mutex:
            before = self._server.lost

            def act(conn: psycopg.Connection[Any]) -> int:
                number = self._project.made(conn)
                head = self.head = Head(*self._server.rows(conn, HEAD, (number,))[0])
                if head.seq != after:
                    return 0
                self._keep_blobs(conn, number, items)
                own = [] if self._is_introduced() else [self._introduction()]
                if own and self._server.lost and self._server.rows(conn, _KNOWN, (number, [own[0].id])):
                    own = []
                made = _batch(own + items, head, self.name, self._storage)
                return head.seq + len(made.lines) if self._sent(conn, number, head, made) else 0

            done = self._server.run(act, writes=True)
            self._server.ask(_FLUSH, writes=True)
            return done if self._server.lost == before else 0

    def _flush(self, items: list[Prepared]) -> None:
        """Wait for the server's disk. If the server went down meanwhile, it may have lost what it had acknowledged:
        then that is appended again first."""
        before = self._server.lost

        def act(conn: psycopg.Connection[Any]) -> None:
            nonlocal before
            if self._server.lost != before:
                before = self._server.lost
                self.head = None
                self._once(conn, items, 0, None)
            self._server.rows(conn, _FLUSH)

        self._server.run(act, writes=True)

    def _once(
        self, conn: psycopg.Connection[Any], items: list[Prepared], since: int | None, also: Also | None
    ) -> list[int]:
        number = self._project.made(conn)
        own = [] if self._is_introduced() else [self._introduction()]
        is_sure = since is None and not (own and self._server.lost)
        if is_sure and not self._busy and (head := self.head) is not None and not any(map(_is_bulky, items)):
            made = _batch(own + items, head, self.name, self._storage)
            if self._sent(conn, number, head, made):
                return self._positions(items, {})
            self._busy = _BUSY
        self._busy = max(self._busy - 1, 0)
        known: dict[str, int] = {}
        with conn.transaction():
            head = self.head = Head(*self._server.rows(conn, LOCK, (number,))[0])
            if since is not None or (own and self._server.lost):
                found = dict(self._server.rows(conn, _KNOWN, (number, [item.id for item in (*own, *items)])))
                own = [item for item in own if item.id not in found]
                known = {key: seq for key, seq in found.items() if since is not None and seq > since}
            fresh = [item for item in items if item.id not in known]
            if fresh:
                self._write(conn, number, head, own + fresh)
            if fresh and also is not None:
                also(conn, number)
                self.kept.clear()
        return self._positions(items, known)

    def _write(self, conn: psycopg.Connection[Any], number: int, head: Head, items: list[Prepared]) -> None:
        """Append behind the head. The lock is held."""
        self._keep_blobs(conn, number, items)
        if not self._sent(conn, number, head, _batch(items, head, self.name, self._storage)):
            raise LogWriteError(self._server.address.shown, "the head moved under its lock")

    def _keep_blobs(self, conn: psycopg.Connection[Any], number: int, items: Iterable[Prepared]) -> None:
        for item in filter(_is_bulky, items):
            self._server.rows(conn, KEEP_BLOB, (number, digest_of(item), item.data))

    def _sent(self, conn: psycopg.Connection[Any], number: int, head: Head, made: Batch) -> bool:
        ((done, *found),) = self._server.rows(conn, APPEND, (number, head.seq, head.chain, *made))
        self.head = Head(*found)
        if done:
            self._introduced_at = self._server.lost
            self.kept.append(Kept(head.seq, head.chain, made.lines, self._server.lost))
        return bool(done)

    def _positions(self, items: list[Prepared], known: dict[str, int]) -> list[int]:
        fresh = sum(item.id not in known for item in items)
        end = self.head.seq if self.head is not None else 0
        numbers = itertools.count(end - fresh + 1)
        return [known[item.id] if item.id in known else next(numbers) for item in items]

    def _is_introduced(self) -> bool:
        return self._introduced_at == self._server.lost

    def _introduction(self) -> Prepared:
        return prepare(Draft(introduction(self._storage, self.name, "")), f"writer-{self.name}")


class Batch(NamedTuple):
    """A batch as columns, in the order of the function ``append``."""

    ids: list[str]
    types: list[str]
    scenarios: list[str | None]
    runs: list[str | None]
    times: list[datetime]
    lines: list[str]


def _batch(items: Sequence[Prepared], head: Head, writer: str, storage: Storage) -> Batch:
    moment = max(storage.now().astimezone(UTC), head.at.astimezone(UTC))
    at = moment.isoformat(timespec="microseconds")[:26] + "Z"
    chain, lines = head.chain.encode(), []
    for count, item in enumerate(items, 1):
        if _is_bulky(item):
            item = msgspec.structs.replace(item, data=reference_to(digest_of(item), len(item.data)))
        line, chain = encode_line(item, head.seq + count, count == len(items), at, writer, chain)
        lines.append(line[:-1].decode())
    return columns(items, [moment] * len(items), lines)


class _About(msgspec.Struct):
    scenario: str | None
    run: str | None


_ABOUT = msgspec.json.Decoder(_About)


def columns(items: Iterable[Prepared], times: list[datetime], lines: list[str]) -> Batch:
    """The batch of these items. Scenario and run are read from the encoded part: they say what the line says."""
    items = list(items)
    about = [_ABOUT.decode(b"{" + item.type_part[1:] + b"}") for item in items]
    return Batch(
        [item.id for item in items],
        [item.type for item in items],
        [found.scenario for found in about],
        [found.run for found in about],
        times,
        lines,
    )


def _is_bulky(item: Prepared) -> bool:
    return len(item.data) > DATA_CAP


def digest_of(item: Prepared) -> str:
    """The name of the blob for a payload, in hex."""
    from blake3 import blake3

    return blake3(item.data).hexdigest()
