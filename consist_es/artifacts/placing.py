"""Puts a verified copy in a place in two moves: made and checked beside it, then renamed.

Whatever kills the process, the place has its old bytes or all of the new ones. What a killed process left beside it is
removed by the next one on this machine.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from blake3 import blake3

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.copies import copy_path, held
from consist_es.artifacts.describe import SET_DRIVER, Digester
from consist_es.artifacts.formats import bundle_members, member_suffix
from consist_es.artifacts.uris import inside
from consist_es.errors import InputError, MaterializeError, PathError
from consist_es.system.storage import LocalStorage

_ROOM = re.compile(r"^\.consist-([0-9a-f]{8})-([0-9]+)-[0-9]+\.part$")
"""A folder with a copy that is not checked yet: machine, process, number."""
_LINK = "it is a link, and a link is not replaced. Remove it, or put back what it leads to"
_DONE = "in it"
"""Name of the folder with the copy, inside the room."""


class Placing:
    """One copy on its way to its place. `roots`: the folders that it must lie below, also by way of links."""

    def __init__(
        self, artifact: Artifact, source: Path, target: Path, roots: Sequence[str], digester: Digester
    ) -> None:
        self.artifact, self.source, self.target = artifact, source, target
        self._roots, self._digester = tuple(roots), digester
        self._room = ""
        self._names: list[str] = []
        """Names of the files, or the folder, of the copy; that of the target last."""

    def prepare(self, *, link: bool = False, content: str | None = None) -> None:
        """Make the copy beside the target, by hard links if `link`, and check it. `content`: the digest of its content,
        if the artifact's is over sizes and times.

        Raises:
            MaterializeError: it cannot be made, or the source is not what was recorded. Nothing is left behind.
            PathError: the target lies outside the roots.
        """
        if self.target.is_symlink():
            raise MaterializeError(self.artifact.key, self.target, _LINK)
        try:
            with held(self.target.parent, self._roots) as folder:
                _sweep(self.target.parent, folder)
                self._room = _free_room(folder)
                room = folder / self._room
                try:
                    (room / _DONE).mkdir(mode=0o700, parents=True)
                    self._fill(room / _DONE, link=link)
                    self._check(room / _DONE, content)
                    _sync(self.target.parent / self._room / _DONE)
                except BaseException:
                    self._clear(folder)
                    raise
        except OSError as error:
            raise MaterializeError(self.artifact.key, self.target, _in_words(error)) from error

    def _fill(self, room: Path, *, link: bool) -> None:
        members = self.artifact.meta.get("members") if self.artifact.driver == SET_DRIVER else None
        put = _link_path if link else copy_path
        if members is not None:  # the folder has other files too
            for rel in members:
                place = inside(room / self.target.name, rel, rel)
                place.parent.mkdir(parents=True, exist_ok=True)
                put(inside(self.source, rel, rel), place)
            self._names = [self.target.name]
            return
        for member in bundle_members(self.source):
            put(member, room / self._renamed(member))
            self._names.insert(0, self._renamed(member))

    def _renamed(self, member: Path) -> str:
        """The name of one file of a bundle at the target."""
        if member == self.source:
            return self.target.name
        return self.target.stem + member_suffix(self.source, member)

    def _check(self, room: Path, content: str | None) -> None:
        made = room / self.target.name
        try:
            found = self._digester.digest_as(self.artifact, made, fresh=True).value
            now = None if content is None else self._digester.digest(made, method="full", fresh=True).value
        except (InputError, PathError) as error:
            raise MaterializeError(self.artifact.key, self.target, f"the copy cannot be read: {error}") from error
        if found != self.artifact.hash or now != content:
            problem = f"{self.source} has changed since it was recorded. Restore it, or run its step again"
            raise MaterializeError(self.artifact.key, self.target, problem)

    def place(self, *, replace: bool) -> None:
        """Rename the copy to its place. What is there is replaced, or with `replace` False refused.

        Raises:
            MaterializeError: it is taken, or the system refuses. PathError: the folder was swapped for a link.
        """
        try:
            with held(self.target.parent, self._roots) as folder:
                try:
                    self._rename(folder, replace=replace)
                finally:
                    self._clear(folder)
                LocalStorage().sync_folder(folder)
        except OSError as error:
            raise MaterializeError(self.artifact.key, self.target, _in_words(error)) from error

    def _rename(self, folder: Path, *, replace: bool) -> None:
        room, place = folder / self._room, folder / self.target.name
        if place.is_symlink():
            raise MaterializeError(self.artifact.key, self.target, _LINK)
        if os.path.lexists(place) and not replace:
            problem = "something was put there meanwhile, and was left alone. Try again"
            raise MaterializeError(self.artifact.key, self.target, problem)
        new = [room / _DONE / name for name in self._names]
        for number, old in enumerate(_there(place)):
            if old.name not in self._names or old.is_dir() or new[-1].is_dir():
                old.rename(room / f"old {number}")  # a folder cannot be replaced by a rename
        for path in new:
            if replace or path.is_dir():
                path.replace(folder / path.name)
            else:
                LocalStorage().rename_new(path, folder / path.name)

    def drop(self) -> None:
        """Give up a copy that was made and not placed."""
        with suppress(OSError, PathError), held(self.target.parent, self._roots) as folder:
            self._clear(folder)

    def _clear(self, folder: Path) -> None:
        if self._room:
            room = folder / self._room
            try:
                (room / _DONE).rmdir()
                room.rmdir()
            except OSError:  # something is left in it
                shutil.rmtree(room, ignore_errors=True)
        self._room, self._names = "", []


def _there(place: Path) -> list[Path]:
    return bundle_members(place) if os.path.lexists(place) else []


def _link_path(source: Path, target: Path) -> None:
    """Make hard links: of a file, or of all files of a folder. May raise OSError."""
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, copy_function=os.link)
    else:
        os.link(source, target)


def _sync(folder: Path) -> None:
    """Return once everything below the folder survives a power cut."""
    storage = LocalStorage()
    for path in _below(folder):
        if path.is_dir() and not path.is_symlink():
            storage.sync_folder(path)
        elif path.is_file() and not path.is_symlink():
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _below(folder: Path) -> Iterator[Path]:
    for top, _, files in os.walk(folder):
        yield from (Path(top, name) for name in files)
        yield Path(top)


def _in_words(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk or the quota is full. Free some room, and do it again: nothing was lost"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"its folder may not be written to ({error.strerror}). Change its rights, or give another folder"
    if error.errno == errno.EXDEV:
        return "hard links cannot lead to another file system. Use mode='copy'"
    return error.strerror or str(error)


# ---------------------------------------------------------------- what killed processes leave


def _machine() -> str:
    """Eight digits for this machine and its PID namespace: in another one a number means another process."""
    storage = LocalStorage()
    return blake3("\n".join((storage.host(), storage.machine(), storage.pid_namespace())).encode()).hexdigest(4)


def _free_room(folder: Path) -> str:
    number = 1
    while os.path.lexists(folder / (name := f".consist-{_machine()}-{os.getpid()}-{number}.part")):
        number += 1
    return name


def discard(paths: Sequence[Path], roots: Sequence[str]) -> None:
    """Delete files or folders of one folder, the first of them first, so that none is ever half there.

    They are renamed into a folder beside them, which `tidy` removes if the process is killed.

    Raises:
        PathError: they lie outside the roots. OSError: one cannot be renamed; the others may be gone.
    """
    paths[0].lstat()  # else the folder would be made for nothing
    with held(paths[0].parent, roots) as folder:
        name = _free_room(folder)
        (folder / name).mkdir(mode=0o700)
        try:
            for path in paths:
                (folder / path.name).rename(folder / name / path.name)
        finally:
            shutil.rmtree(folder / name, ignore_errors=True)


def is_left_behind(name: str) -> bool:
    """True for the name of a folder that a process of this machine made for a copy, if it is certainly gone."""
    match = _ROOM.match(name)
    return match is not None and match[1] == _machine() and not _lives(int(match[2]))


def tidy(folder: Path) -> bool:
    """Remove what killed processes left beside copies that are in place; True if there was anything."""
    with suppress(OSError):
        return _sweep(folder, folder)
    return False


def _sweep(path: Path, folder: Path) -> bool:
    """Remove what processes of this machine left that are gone; `folder` is the same folder, held."""
    machine = _machine()
    with os.scandir(path) as entries:  # by its own name: a step that archives does not read its archive
        rooms = [match for entry in entries if (match := _ROOM.match(entry.name))]
    left = [match[0] for match in rooms if match[1] == machine and not _lives(int(match[2]))]
    for name in left:
        shutil.rmtree(folder / name, ignore_errors=True)
    return bool(left)


def _lives(pid: int) -> bool:
    """True unless the process is certainly gone."""
    started = LocalStorage().pid_started(pid)
    if started or Path("/proc/self").exists():
        return started not in ("", "ended")
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    return True
