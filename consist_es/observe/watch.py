"""Watches one run, from its begin to its end."""

from __future__ import annotations

import linecache
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from consist_es.errors import InputError
from consist_es.observe import (
    children,
    generators,
    hook,
    imports,
    keeping,
    lookups,
    openers,
    settle,
    variables,
)
from consist_es.observe.fanotify import CREATE, FOLDER, MODIFY, OPEN, Fanotify
from consist_es.observe.handles import has_moved, open_handles
from consist_es.observe.inotify import Inotify
from consist_es.observe.kernel import KERNEL, take_in
from consist_es.observe.notes import Notes, ValueDigest
from consist_es.observe.reads import Hasher, Limits, Places, Reads, plain_hasher
from consist_es.observe.scope import Scope, is_below
from consist_es.system.storage import on_fork

_STAND_INS = (lookups, variables, imports, generators, openers)
_CLOCK_TICK = 20_000_000
"""Nanoseconds by which a file's time may lag behind the clock."""

_NAMED = 5
"""Most files that a warning names."""


class _Replacing:
    """Puts the stand-ins in place when the first run opens, and takes them out after the last."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._watches: set[int] = set()
        on_fork(self)

    def after_fork(self) -> None:
        """Keep the stand-ins, since the child reports its reads to the parent, but not the parent's runs."""
        self._guard = threading.Lock()
        self._watches = set()

    def begin(self, watch: Watch) -> None:
        with self._guard:
            self._watches.add(id(watch))
            for each in _STAND_INS:
                each.put_in()
            imports.after_import(_look_for_packages)

    def end(self, watch: Watch) -> None:
        with self._guard:
            self._watches.discard(id(watch))
            if not self._watches:
                for each in _STAND_INS:
                    each.take_out()


def _look_for_packages() -> None:
    openers.put_in()
    generators.put_in()


_replacing = _Replacing()


def _forget_lines() -> None:
    """Make `linecache` open data files again: lines that it kept from an earlier read would be read unseen."""
    cache = linecache.cache
    for name in [name for name, kept in list(cache.items()) if len(kept) > 1 and kept[1] is not None]:
        if not name.endswith(".py"):  # tracebacks show sources as they were loaded
            cache.pop(name, None)


class Watch:
    """Notes the reads of one run. `begin` and `end` may be repeated, and `end` may follow half a `begin`."""

    def __init__(
        self,
        places: Places,
        *,
        is_first_party: Callable[[str], bool],
        value_digest: ValueDigest,
        hasher: Hasher = plain_hasher,
        limits: Limits | None = None,
    ) -> None:
        self._places, self._hasher, self._limits = places, hasher, limits or Limits()
        self._value_digest = value_digest
        self._notes = Notes(
            Scope(places, is_own=is_first_party), is_first_party=is_first_party, value_digest=value_digest
        )
        self._whole = self._stopped = False
        self._result: Reads | None = None

    def begin(self) -> None:
        """Start to note the reads of this thread or task, and of threads without a run of their own."""
        notes = self._notes
        if notes.open or self._result is not None:
            return
        self._stopped = False
        self._clock, self._began = time.monotonic(), time.time_ns() - _CLOCK_TICK
        notes.began = self._began
        before, opened = [*self._places.beside()], open_handles(notes.scope)
        beside = {*before, *self._places.beside()}  # runs begin and end meanwhile
        self._handles = [each for each in opened if not any(is_below(each.path, folder) for folder in beside)]
        self._modules = len(sys.modules)
        _forget_lines()
        self._random = generators.Began()
        self._channel = children.channel()
        self._position = self._channel.begin(self)
        _replacing.begin(self)
        generators.listen(self._random)
        self._pending = KERNEL.begin(notes, self._places.skipped)
        hook.add(notes)
        self._whole = True

    def stop(self) -> None:
        """Stop noting; `end` gives the reads later."""
        self._stop()

    def end(self, outputs: Iterable[str] = ()) -> Reads:
        """Stop noting, and return the reads; `outputs` are paths that the run has recorded as its own."""
        self._stop()
        if self._result is None:
            if self._whole:
                with hook.quiet():
                    self._result = self._settle({os.path.abspath(path) for path in outputs})
            else:
                self._result = Reads(unsure=["the watch was interrupted before it began"])
        return self._result

    def _stop(self) -> None:
        if self._stopped:
            return
        hook.take_away(self._notes)
        try:
            if hasattr(self, "_pending"):
                KERNEL.end(self._pending)
        finally:
            _replacing.end(self)
            if hasattr(self, "_random"):
                generators.forget(self._random)
            if hasattr(self, "_channel"):
                self._channel.end(self)
        self._stopped = True

    def _settle(self, outputs: set[str]) -> Reads:
        notes, seconds = self._notes, time.monotonic() - self._clock
        children.take_in(notes, self._channel.entries(self._position))
        self._take_in_others()
        self._take_in_arguments()
        self._take_in_handles()
        settle.look_at_programs(notes)
        modules = self._loaded()
        settling = settle.Settling(notes, began=self._began, outputs=outputs, hasher=self._hasher)
        read = settling.read(self._places.declared)
        listings = settling.listings()
        files = settle.digest_reads(
            read, notes, listed=listings, limits=self._limits, seconds=seconds, hasher=self._hasher
        )
        files |= settling.looks(files)
        settle.settle_copies(notes, self._value_digest)
        notes.copies.clear()
        folders = settle.not_in_stores(listings, files)
        kept = keeping.Kept(files, folders, notes.variables)
        keeping.keep(notes.stacks.values(), kept, self._declared)
        imports.loaded_late(list(modules))
        return Reads(
            files=files,
            made=settling.made,
            folders=folders,
            variables=notes.variables,
            modules=settle.module_digests(modules, notes),
            unpickled=list(notes.unpickled_names),
            programs=notes.programs,
            random=self._random.moved(self._sources),
            relative=notes.relative,
            unsure=list(notes.unsure),
            unseen=list(notes.unseen),
            watched_by=KERNEL.name,
        )

    def _declared(self, path: str) -> tuple[str, str] | None:
        """Own place and digest of a file that was declared: another step may inherit the read without declaring it."""
        own = self._notes.scope.input_at(path)
        try:
            return (own, self._hasher(path, "full")) if own is not None and os.path.isfile(path) else None
        except (OSError, InputError):
            return None  # gone meanwhile

    def _take_in_others(self) -> None:
        """Add kernel events of processes that may be children of this one."""
        notes, others = self._notes, self._pending.others
        is_exact = KERNEL.name == Fanotify.name
        children_ran = notes.children or ((others or not is_exact) and self._pending.children.had_any())
        if is_exact:
            imported_from = {os.path.abspath(folder) for folder in [os.curdir, *sys.path]} if others else set()
            for (path, is_folder), mask in others.items() if children_ran else ():
                # Python children list folders to find modules: not the step's listings
                if not (is_folder and path in imported_from) and not self._is_module_of_child(path, mask):
                    take_in(notes, path, mask, is_folder=is_folder, own=False)
        elif KERNEL.name == Inotify.name:
            self._warn_of(
                path
                for (path, is_folder), mask in others.items()
                if mask & OPEN and not is_folder and not mask & ~(OPEN | FOLDER)
            )
        if children_ran and not is_exact:
            started = ", ".join(dict.fromkeys(os.path.basename(each.path) for each in notes.programs))
            notes.unseen[
                f"what other processes read ({started or 'workers'}) cannot be seen on this system: "
                "declare the files that they read as inputs"
            ] = None
        for root, why in KERNEL.refused.items():
            if notes.scope.is_watched(root):
                notes.unseen[f"{root}: what compiled code reads there is not seen ({why}): declare it as an input"] = (
                    None
                )

    def _is_module_of_child(self, path: str, mask: int) -> bool:
        """True for a module that a child imported; notes it, since its source counts without comments."""
        file = hook.source_of(path)
        if not file.endswith(".py") or mask & (CREATE | MODIFY) or not mask & OPEN:
            return file != path
        if os.path.isfile(file):
            self._notes.imported(file)
        return file != path or file in self._notes.modules

    def _warn_of(self, paths: Iterable[str]) -> None:
        notes = self._notes
        names = [p for p in paths if p not in notes.reads and p not in notes.made and p not in notes.skipped]
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            notes.unseen[
                f"{', '.join(sorted(names)[:_NAMED])}{more}: opened while the step ran, by it or by another program; "
                "declare those that the step reads as inputs"
            ] = None

    def _take_in_arguments(self) -> None:
        """Settle files passed to programs, if the kernel does not report their use."""
        notes = self._notes
        for path, stamp in list(notes.arguments.items()):
            if KERNEL.covers(path) or any(is_below(made, path) for made in notes.made):
                del notes.arguments[path]
            elif stamp is not None:
                del notes.arguments[path]
                if settle.stamp_or_none(path) == stamp:
                    notes.reads.setdefault(path, stamp)
                else:
                    notes.unseen[f"{path} was given to a program and changed: declare it as an input or output"] = None

    def _take_in_handles(self) -> None:
        notes = self._notes
        for handle in self._handles:
            if has_moved(handle):
                notes.doubt(f"{handle.path} was open before the step began, and may have been read further")
            elif handle.path not in notes.made and handle.path not in notes.grown | notes.modified:
                notes.reads.setdefault(handle.path, handle.stamp)

    def _loaded(self) -> dict[str, None]:
        """Files of the project's modules loaded within, except those that the step made."""
        notes = self._notes
        new = len(sys.modules) - self._modules
        modules = list(sys.modules.values()) if new > 0 else []
        for module in modules[-new:]:  # the most recently added
            file = imports.file_of(module)
            if file is None or not notes.is_first_party(file):
                continue
            # a loaded file may get another name, as the main module does in pools
            if all(imports.file_of(old) != file for old in modules[:-new]):
                notes.imported(os.path.abspath(file))
        return {file: None for file in notes.modules if file not in notes.made}

    def _sources(self) -> Sequence[str]:
        return settle.first_party_texts(self._notes)
