"""A progress bar that appears only for long operations."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

PATIENCE = 1.0
"""Seconds before the bar appears."""


class Bar:
    """Call it with (done, total). Appears on stderr after a second, if that is a terminal.

    It has a label, the amount, the rate and the time left.

    `unit`: ``bytes``, or "" for what is counted. May be called by several threads.
    """

    def __init__(self, label: str, unit: str = "") -> None:
        self._label, self._unit = label, unit
        self._began = time.monotonic()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._lock = threading.Lock()

    def __call__(self, done: int, total: int) -> None:
        if self._progress is None and time.monotonic() - self._began >= PATIENCE and sys.stderr.isatty():
            with self._lock:
                if self._progress is None:
                    self._start()
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=total)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), *self._amounts(), TimeRemainingColumn())
        console = Console(file=sys.stderr, markup=False, emoji=False, highlight=False)
        progress = Progress(*columns, console=console, transient=True)
        progress.start()
        self._task = progress.add_task(self._label, total=None)
        self._progress = progress

    def _amounts(self) -> tuple[ProgressColumn, ...]:
        from rich.progress import DownloadColumn, MofNCompleteColumn, ProgressColumn, Task, TransferSpeedColumn
        from rich.text import Text

        class Rate(ProgressColumn):
            def render(self, task: Task) -> Text:
                return Text("" if task.speed is None else f"{task.speed:,.0f}/s")

        return (DownloadColumn(), TransferSpeedColumn()) if self._unit == "bytes" else (MofNCompleteColumn(), Rate())

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()


Meter = Callable[[str, str], Bar]
"""Makes a bar of a label and a unit."""
