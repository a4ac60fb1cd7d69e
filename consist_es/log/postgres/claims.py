"""Claims and the heartbeat: leases that a thread renews while this process lives."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from consist_es.errors import LogError
from consist_es.events import WriterAttached
from consist_es.log.presence import introduction, shares_numbers, still_runs
from consist_es.system.storage import on_fork
from consist_es.text import shown

if TYPE_CHECKING:
    from consist_es.log.postgres.log import PostgresLog

HELD = 30.0
"""Seconds after which a claim that nobody renews is free."""
ALIVE = 600.0
"""Seconds after which a writer on another machine that nobody hears of counts as dead."""
BEAT = 10.0
"""Seconds between two heartbeats."""
_PAUSE = 0.25

_TAKE = "SELECT token, who, marks FROM consist_es.take_claim(%s, %s, %s, %s, %s, %s)"
_END = "SELECT consist_es.end_claim(%s, %s, %s)"
_HOLDER = "SELECT who, marks FROM consist_es.claim WHERE project = %s AND work = %s AND until > clock_timestamp()"
_BEAT = "SELECT consist_es.beat(%s, %s, %s, %s::text[], %s)"
_SEEN = "SELECT until > clock_timestamp() FROM consist_es.writer WHERE project = %s AND name = %s"

_log = logging.getLogger("consist_es")


class ServerClaim:
    """The right to do one piece of work. A holder that falls silent loses it after `HELD` seconds: then two may compute
    the same, and neither is wrong."""

    def __init__(self, log: PostgresLog, work: str, who: str, step: str, is_dead: Callable[[str], bool]) -> None:
        self._log, self._work, self._who, self._step, self._is_dead = log, work, who, step, is_dead
        self._token = log.storage.token(16).hex()
        self._told = False

    def _is_taken(self) -> bool:
        storage, number = self._log.storage, self._log.number_made()
        marks = msgspec.json.encode(introduction(storage, self._log.writer, "")).decode()
        values = (number, self._work, self._token, self._who, marks, HELD)
        ((token, who, process),) = self._log.server.ask(_TAKE, values, writes=True) or ((None, "", ""),)
        if token == self._token:
            self._log.heart.hold(token)
            return True
        if token is not None and (_is_gone(self._log, process) or self._is_dead(who)):
            self._log.server.ask(_END, (number, self._work, token), writes=True)
        elif token is not None and not self._told:
            self._told = True
            _log.warning("step %r is being computed by %s: waiting", self._step, shown(who))
        return False

    def take(self) -> None:
        """Wait until it is free, and take it."""
        while not self._is_taken():
            time.sleep(_PAUSE)

    async def atake(self) -> None:
        """As `take`, without blocking other tasks."""
        while not self._is_taken():
            await asyncio.sleep(_PAUSE)

    def end(self) -> None:
        """Give it back; may be called again."""
        if self._log.heart.let_go(self._token):
            with suppress(LogError):  # then it runs out by itself
                self._log.server.ask(_END, (self._log.number_made(), self._work, self._token), writes=True)


class Heart:
    """Renews this process's claims, and the time until which its writer counts as alive."""

    def __init__(self, log: PostgresLog) -> None:
        self._log = log
        self._tokens: set[str] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        on_fork(self)

    def hold(self, token: str) -> None:
        """Renew this claim from now on."""
        self._tokens.add(token)
        self.start()

    def let_go(self, token: str) -> bool:
        """Renew it no longer; False if it was not held."""
        if token not in self._tokens:
            return False
        self._tokens.discard(token)
        return True

    def start(self) -> None:
        """Begin, unless it beats already. The first beat is told before this returns."""
        if self._thread is None:
            self._stop = threading.Event()
            self.beat()
            # It holds no log: one that nobody uses any more shall be closed.
            again = (weakref.ref(self), self._stop)
            self._thread = threading.Thread(target=_go_on, args=again, name="consist-es", daemon=True)
            self._thread.start()

    def beat(self) -> None:
        """Tell the server that this process lives."""
        values = (self._log.number_made(), self._log.writer, ALIVE, sorted(self._tokens), HELD)
        self._log.server.ask(_BEAT, values, writes=True)

    def stop(self) -> None:
        """Stop; claims that are held run out."""
        self._stop.set()
        self._thread = None

    def after_fork(self) -> None:
        """The thread is not in the child, and its claims are the parent's."""
        self._thread, self._tokens = None, set()


def _go_on(heart: weakref.ref[Heart], stop: threading.Event) -> None:
    while not stop.wait(BEAT):
        if (alive := heart()) is None:
            return
        with suppress(LogError):  # the next one may get through
            alive.beat()
        del alive


def holder(log: PostgresLog, work: str) -> str | None:
    """The `who` of the claim on `work` that is held now, or None."""
    number = log.number()
    rows = [] if number is None else log.server.ask(_HOLDER, (number, work))
    return rows[0][0] if rows and not _is_gone(log, rows[0][1]) else None


def _is_gone(log: PostgresLog, marks: str) -> bool:
    """True if the process with these marks was on this machine, and is not there any more."""
    try:
        process = msgspec.json.decode(marks, type=WriterAttached)
    except msgspec.DecodeError:
        return False
    return shares_numbers(log.storage, process) and not still_runs(log.storage, process)


def is_heard_of(log: PostgresLog, writer: str) -> bool | None:
    """True if a writer's heartbeat is recent, False if it fell silent; None if it never had one."""
    number = log.number()
    rows = [] if number is None else log.server.ask(_SEEN, (number, writer))
    return rows[0][0] if rows else None
