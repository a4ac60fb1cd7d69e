"""The ways to workers: executors of `concurrent.futures` and what looks like them, arrays of jobs, and this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

from consist_es.errors import UsageTypeError
from consist_es.sweeps.perform import Told, in_words
from consist_es.sweeps.rows import LOST

_ARRAY = 1000
"""Most jobs of one array: SLURM takes 1001 unless its administrator says otherwise."""
_POLL = 0.1, 5.0
"""Shortest and longest pause between two looks at jobs, in seconds."""

Work = Callable[[Any], Told]
"""Runs one row, and tells how it went. It and its argument are what an executor takes to its workers."""


class Lane(Protocol):
    """Takes rows, and gives back how they went, in any order."""

    def send(self, row: str, work: Work, task: Any) -> None:
        """Have ``work(task)`` called for the row with this id. Never raises: what cannot be handed over is lost."""

    def ended(self, *, block: bool) -> list[tuple[str, Told]]:
        """Ids of rows that ended since the last call. `block`: wait for one, or return none if none is under way."""

    def cancel(self) -> None:
        """Start no more of them."""

    @property
    def under_way(self) -> int: ...


def name_of(executor: Any) -> str:
    """Class of an executor, for the record; "" for none."""
    return "" if executor is None else type(executor).__name__


def shares_memory(executor: Any) -> bool:
    """True for an executor of threads of this process."""
    return isinstance(executor, ThreadPoolExecutor)


def lane(executor: Any) -> Lane:
    """The way to an executor's workers.

    Raises:
        UsageTypeError: it is no executor.
    """
    if hasattr(executor, "map_array"):
        return JobLane(executor)
    if not hasattr(executor, "submit") and not hasattr(executor, "get_executor"):
        raise UsageTypeError(
            f"executor takes an executor with submit(), a Dask Client, or a submitit executor, not "
            f"{type(executor).__name__}: {executor!r}."
        )
    if hasattr(executor, "get_executor"):  # a Dask client; its own submit() gives no futures of the standard library
        executor = executor.get_executor()
    # Dask takes two equal calls for one, and gives a failed one's result again
    options = {"pure": False} if type(executor).__module__.startswith("distributed") else {}
    return FutureLane(executor, options)


class FutureLane:
    """To an executor that gives a future for each task."""

    def __init__(self, executor: Any, options: dict[str, Any]) -> None:
        self._executor, self._options = executor, options
        self._pending: dict[Future[Told], str] = {}
        self._refused: list[tuple[str, Told]] = []

    @property
    def under_way(self) -> int:
        """The number of rows without a result."""
        return len(self._pending)

    def send(self, row: str, work: Work, task: Any) -> None:
        """See `Lane`."""
        try:
            self._pending[self._executor.submit(work, task, **self._options)] = row
        except Exception as error:  # noqa: BLE001  an executor that is broken or shut down may raise anything
            self._refused.append((row, lost(error)))

    def ended(self, *, block: bool) -> list[tuple[str, Told]]:
        """See `Lane`."""
        found, self._refused = self._refused, []
        if self._pending and not found:
            done = wait(self._pending, timeout=None if block else 0, return_when=FIRST_COMPLETED).done
            found = [(self._pending.pop(future), _told(future)) for future in done]
        return found

    def cancel(self) -> None:
        """See `Lane`."""
        for future in self._pending:
            future.cancel()


class JobLane:
    """To a batch system, through an executor with `map_array` (submitit): all tasks in one call, then asked about."""

    def __init__(self, executor: Any) -> None:
        self._executor = executor
        self._held: list[tuple[str, Any]] = []
        self._work: Work | None = None
        self._jobs: dict[Any, str] = {}
        self._refused: list[tuple[str, Told]] = []
        self._pause = _POLL[0]

    @property
    def under_way(self) -> int:
        """The number of jobs without a result; those not handed over yet wait for nobody."""
        return 0

    def send(self, row: str, work: Work, task: Any) -> None:
        """Keep it until results are asked for."""
        self._work = work
        self._held.append((row, task))

    def ended(self, *, block: bool) -> list[tuple[str, Told]]:
        """See `Lane`."""
        if not block:
            return []
        self._hand_over()
        found, self._refused = self._refused, []
        while self._jobs and not found:
            found = [(self._jobs.pop(job), _told(job)) for job in list(self._jobs) if job.done()]
            if not found:
                time.sleep(self._pause)
                self._pause = min(self._pause * 1.5, _POLL[1])
        self._pause = _POLL[0]
        return found

    def _hand_over(self) -> None:
        held, self._held = self._held, []
        for start in range(0, len(held), _ARRAY):
            some = held[start : start + _ARRAY]
            try:
                jobs = self._executor.map_array(self._work, [task for _, task in some])
            except Exception as error:  # noqa: BLE001  whatever the batch system says
                self._refused += [(row, lost(error)) for row, _ in some]
            else:
                self._jobs.update(zip(jobs, (row for row, _ in some), strict=True))

    def cancel(self) -> None:
        """See `Lane`."""
        for job in self._jobs:
            job.cancel()


def lost(error: BaseException) -> Told:
    """How a row went whose worker gave no result."""
    return Told(LOST, f"worker lost: {in_words(error)}", 0.0, "")


def _told(future: Any) -> Told:
    # what a row raises is told as text, so any exception here is the executor's
    try:
        return Told(*future.result())
    except Exception as error:  # noqa: BLE001  every executor has its own
        return lost(error)
    except BaseException as error:
        if type(error).__name__ != "CancelledError":
            raise
        return lost(error)


def results(way: Lane) -> Iterable[tuple[str, Told]]:
    """Everything that is still to end."""
    while found := way.ended(block=True):
        yield from found
