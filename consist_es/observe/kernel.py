"""The kernel's watch of this process: chosen once, kept from run to run, read by all runs together."""

from __future__ import annotations

import contextlib
import os
import threading

from consist_es.observe import hook
from consist_es.observe.children_alive import Children
from consist_es.observe.earlier import ours
from consist_es.observe.fanotify import (
    ACCESS,
    CREATE,
    DELETE,
    FOLDER,
    MODIFY,
    MOVED_FROM,
    MOVED_TO,
    OPEN,
    Fanotify,
    Told,
    folders_below,
)
from consist_es.observe.inotify import Inotify
from consist_es.observe.notes import Notes
from consist_es.observe.scope import is_below
from consist_es.system.storage import on_fork

NONE = "wrappers"
_NOT_WALKED = frozenset({".git", ".hg", ".svn", ".venv", "node_modules", "site-packages", "dist-packages"})


class Pending:
    """Kernel events of one run that can only be judged at its end."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.children = Children()
        self.others: dict[tuple[str, bool], int] = {}
        """(path, True for a folder) -> mask of events by other processes."""


class Kernel:
    """The kernel's watch; one for each process."""

    def __init__(self) -> None:
        self._guard = threading.RLock()
        self._watch: Fanotify | Inotify | None = None
        self._chosen = False
        self.refused: dict[str, str] = {}
        """Root that cannot be watched -> why."""
        self._roots: list[str] = []
        self._skipped: set[str] = set()
        self._aliases: dict[str, str] = {}
        """Path of a file outside the roots -> link in a root that leads to it."""
        self.runs: list[Pending] = []
        on_fork(self)

    def after_fork(self) -> None:
        """Close the child's copy: the watch is the parent's, and its events must not be consumed."""
        watch = self._watch
        self.__init__()  # type: ignore[misc]
        if watch is not None:
            watch.close()

    @property
    def name(self) -> str:
        """Source of the events: ``fanotify``, ``inotify``, or ``wrappers`` alone."""
        return self._watch.name if self._watch is not None else NONE

    def covers(self, path: str) -> bool:
        """True if the kernel reports this process's events in this folder."""
        return self.name == Fanotify.name and any(is_below(path, root) for root in self._roots)

    def begin(self, notes: Notes, skipped: tuple[str, ...]) -> Pending:
        """Begin a run: watch its roots; earlier events do not belong to it."""
        with self._guard:
            self._choose()
            self._skipped.update(skipped)
            for root in notes.scope.roots:
                self._add_root(root)
            pending = Pending(notes)
            self.drain()
            self.runs.append(pending)
            return pending

    def end(self, pending: Pending) -> None:
        """End a run."""
        with self._guard:
            self.drain()
            self.runs = [each for each in self.runs if each is not pending]

    def _choose(self) -> None:
        if self._chosen:
            return
        self._chosen = True
        for kind in (Fanotify, Inotify):
            with contextlib.suppress(OSError):
                self._watch = kind()
                break
        hook.drain_with(self.drain)
        hook.covered[:] = [self.covers]

    def _add_root(self, root: str) -> None:
        if self._watch is None or root in self.refused or root in self._roots:
            return
        if any(is_below(root, known) for known in self._roots):
            return
        self._mark_below(root)
        if root not in self.refused:
            self._roots.append(root)

    def _mark_below(self, root: str) -> None:
        """Watch a folder and all below; notes those that cannot be watched."""
        watch = self._watch
        if watch is not None:
            self._drain(watch)
            self._mark_each(watch, root)
            self._drain(watch, walked=True)

    def _mark_each(self, watch: Fanotify | Inotify, root: str) -> None:
        for count, folder in enumerate(folders_below(root, self._is_walked, self._aliases)):
            if count == watch.most:
                self.refused[root] = f"only {count} folders below are watched"
                return
            try:
                watch.mark(folder)
            except FileNotFoundError:
                continue
            except OSError as problem:
                self.refused[folder] = problem.strerror or str(problem)
                if folder == root:
                    return

    def _is_walked(self, folder: str) -> bool:
        return os.path.basename(folder) not in _NOT_WALKED and folder not in self._skipped

    def drain(self) -> None:
        """Pass the events so far to every open run; the kernel does not know threads."""
        if self._watch is None or not self._guard.acquire(blocking=False):
            return
        busy, hook.busy.on = hook.busy.on, True
        try:
            self._drain(self._watch)
        finally:
            hook.busy.on = busy
            self._guard.release()

    def _drain(self, watch: Fanotify | Inotify, *, walked: bool = False) -> None:
        """`walked`: we listed folders ourselves, so those events are ignored."""
        lost, new = False, []
        for told in watch.events():
            if told is None:
                lost = True
            elif not (walked and told.own and told.mask & FOLDER and not told.mask & (CREATE | MOVED_TO)):
                self._hand_on(told)
                if told.mask & FOLDER and told.mask & (CREATE | MOVED_TO):
                    new.append(told.path)
        if lost:
            for pending in self.runs:
                pending.notes.doubt("so many files were opened that the system lost count")
            new = [] if walked else list(self._roots)  # new folders may be among the lost events
        for folder in filter(self._is_walked, new):
            self._mark_below(folder)

    def _hand_on(self, told: Told) -> None:
        is_folder, path = bool(told.mask & FOLDER), self._aliases.get(told.path, told.path)
        if told.own and path in ours and not told.mask & ~(OPEN | ACCESS | FOLDER):
            return
        for pending in self.runs:
            if told.own:
                take_in(pending.notes, path, told.mask, is_folder=is_folder, own=True)
            elif pending.notes.scope.counts(path) or os.path.basename(os.path.dirname(path)) == "__pycache__":
                pending.others[path, is_folder] = pending.others.get((path, is_folder), 0) | told.mask


def take_in(notes: Notes, path: str, mask: int, *, is_folder: bool, own: bool) -> None:
    """Add the events of one path to the notes of a run. The order of several events is unknown."""
    if (own and path in notes.skipped) or (path in notes.reads and not mask & ~(OPEN | ACCESS)):
        return
    if mask & (CREATE | MOVED_TO | DELETE | MOVED_FROM):
        _take_in_names(notes, path, mask)
    if is_folder:
        if mask & OPEN and mask & ACCESS and not mask & CREATE:
            notes.listed(path)
    elif mask & (CREATE | MOVED_TO) or path in notes.made or not notes.scope.counts(path):
        return
    elif mask & MODIFY:
        notes.modified.add(path)
        if not own:
            notes.modified_by_programs.add(path)
        if mask & ACCESS and path not in notes.reads:
            notes.replaced.add(path)
    elif mask & OPEN and os.path.lexists(path):  # else it never had a name, or is gone
        notes.read_now(path)


def _take_in_names(notes: Notes, path: str, mask: int) -> None:
    if mask & (CREATE | MOVED_TO):
        if mask & MOVED_TO and mask & ACCESS and path not in notes.made and path not in notes.reads:
            notes.replaced.add(path)
        notes.wrote(path)
    else:
        if mask & OPEN and not mask & FOLDER and path not in notes.made and notes.scope.counts(path):
            notes.doubt(f"{path} was read, and then removed by the step")
        notes.removed(path)


KERNEL = Kernel()
