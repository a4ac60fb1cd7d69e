"""Decides which paths count as a step's reads."""
# Paths are strings here, because the hooks get them by the thousand; pathlib takes ten times as long.

from __future__ import annotations

import copy
import fnmatch
import functools
import os
import re
import site
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable

from consist_es.identity.installed.packages import spot_of
from consist_es.identity.installed.places import is_first_party
from consist_es.observe.reads import Places
from consist_es.system.keyfile import key_place

_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/run", "/lib", "/lib64", "/bin", "/sbin", "/var/cache")
_TEMPORARY = ("/tmp", "/var/tmp", "/private/tmp", "/private/var/folders")  # noqa: S108 - these are never read, only left out
_OF_HOME = (
    ".cache",
    ".fonts",
    ".local/share/fonts",
    "Library/Fonts",
    ".ipython",
    ".jupyter",
    ".nv",
    ".local/share/jupyter",
    "Library/Caches",
    "AppData/Local/Temp",
)
"""Folders that tools fill by themselves."""
_PARTS = frozenset(
    {"site-packages", "dist-packages", "__pycache__", ".git", ".hg", ".svn", ".venv", ".ipynb_checkpoints"}
    | {".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".tox", ".nox", "node_modules", "htmlcov"}
)
_ENDINGS = (".dist-info", ".egg-info", ".pyc", ".pth")
PREFIX = "consist-es-observe-"
"""Prefix of the folders through which processes report their reads."""
_BEGINNINGS = (".coverage", PREFIX)
SIDE_FILES = ("-wal", "-shm", "-journal")
"""Endings of SQLite's files beside a database."""

_NEVER, _ROOT, _LEFT_OUT, _ELSEWHERE = range(4)


class Scope:
    """The rule of `Places`, asked for each opened path.

    The longest folder around a path decides, and of equals the first: skipped or declared, root, folder of Python or
    the system. A path in none of them counts. Links are followed up to the folder.
    """

    def __init__(
        self, places: Places, *, temporary: bool = False, is_own: Callable[[str], bool] = is_first_party
    ) -> None:
        """With `temporary`, temporary files and caches count (another process decides about them). `is_own` takes a
        path in a folder of packages; True for models of one's own, which count as well."""
        self._places, self._is_own = places, is_own
        found: dict[str, str] = {}
        self.roots = both_ways(places.roots, found)
        self._below_roots = tuple(root if root.endswith(os.sep) else root + os.sep for root in self.roots)
        skipped = both_ways(places.skipped, found)
        skipped += [*(path + ending for path in skipped for ending in SIDE_FILES), *both_ways(_of_ours(), found)]
        self._rules = dict.fromkeys(left_out(temporary=temporary), _LEFT_OUT)
        self._rules |= dict.fromkeys(self.roots, _ROOT)
        self._rules |= dict.fromkeys(skipped, _NEVER)
        self._undeclared = self._rules
        self._rules = self._rules | dict.fromkeys(both_ways(places.declared, found), _NEVER)
        self._ignored = re.compile(
            "|".join(fnmatch.translate(text) for glob in places.ignored for text in (glob, f"{glob.rstrip('/')}/*"))
        )
        self._ignores = bool(places.ignored)
        self._folders: dict[str, bool | None] = {}
        """Folder -> True if paths in it count; None: if they are one's own."""

    def input_at(self, path: str) -> str | None:
        """The own place of what is read there, if it is a declared input or a file in one."""
        for read, own in self._places.inputs:
            if is_below(path, read):
                return own + path[len(read) :]
        return None

    def counts(self, path: str) -> bool:
        """True if reading this absolute path makes the run depend on it."""
        if path in self._rules:
            return self._rules[path] == _ROOT
        folder, _, name = path.rpartition(os.sep)
        inside = self._inside(folder or os.sep)
        if inside is False or name in _PARTS or name.endswith(_ENDINGS) or name.startswith(_BEGINNINGS):
            return False
        if inside is None and not self._is_own(path):
            return False
        return not (self._ignores and self._is_ignored(path))

    @functools.cached_property
    def of_names(self) -> Scope:
        """The rule for names in a listed folder. Declared inputs count there: a later check compares the names before
        it knows where the inputs of the earlier run were."""
        if not self._places.declared:
            return self
        scope = copy.copy(self)
        scope._rules, scope._folders = self._undeclared, {}
        return scope

    def lists(self, folder: str) -> bool:
        """True if listing this folder makes the run depend on the names in it."""
        return self._inside(folder) is not False and self.counts(folder)

    def _inside(self, folder: str) -> bool | None:
        if folder not in self._folders:
            counts: bool | None = self._folder_counts(folder)
            if not counts and self._rule_of(folder) == _LEFT_OUT and _holds_packages(folder):
                counts = None
            self._folders[folder] = counts
        return self._folders[folder]

    def is_watched(self, path: str) -> bool:
        """True if a path lies in one of the roots."""
        return path.startswith(self._below_roots) or path in self.roots

    def watched(self, paths: Iterable[str]) -> set[str]:
        """Those of these paths that lie in the roots and count."""
        return {path for path in paths if self.is_watched(path) and self.counts(path)}

    def _folder_counts(self, folder: str) -> bool:
        if f"{os.sep}{PREFIX}" in folder:
            return False
        rule = self._rule_of(folder)
        if rule not in (_ROOT, _ELSEWHERE):
            return False
        real = os.path.realpath(folder)
        if rule == _ROOT:  # a link in a root may lead anywhere except to places that never count
            return real == folder or self._rule_of(real) != _NEVER
        return real == folder or self._rule_of(real) in (_ELSEWHERE, _ROOT)

    def _rule_of(self, folder: str) -> int:
        below: list[str] = []
        while folder not in self._rules:
            folder, name = os.path.split(folder)
            below.append(name)
            if not name:
                break
        rule = self._rules.get(folder, _ELSEWHERE)
        by_name = any(part in _PARTS or part.endswith(_ENDINGS) for part in below)
        return _LEFT_OUT if by_name and rule != _NEVER else rule

    def _is_ignored(self, path: str) -> bool:
        shorter = [path[len(root) :].lstrip(os.sep) for root in self.roots if is_below(path, root)]
        names = [path, os.path.basename(path), *shorter]
        return any(self._ignored.match(name.replace(os.sep, "/")) for name in names)


def _holds_packages(folder: str) -> bool:
    """True for a folder of installed packages, or part of such a package."""
    spot = spot_of(f"{folder}/")
    return spot is not None and not any(part in _PARTS or part.endswith(_ENDINGS) for part in spot[1].split("/"))


def is_below(path: str, folder: str) -> bool:
    """True if `path` is `folder` or lies in it."""
    return path == folder or path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


def both_ways(paths: Iterable[str], found: dict[str, str] | None = None) -> list[str]:
    """Absolute paths, as written and with links followed. `found` has real paths of folders, and is added to: most
    paths of a step share the folders above them, which are looked at once."""
    written = [os.path.abspath(path) for path in paths]
    known = {} if found is None else found
    return list(dict.fromkeys([*written, *(_real(path, known) for path in written)]))


def _real(path: str, found: dict[str, str]) -> str:
    folder, name = os.path.split(path)
    if not name:
        return os.path.realpath(path)
    if folder not in found:
        found[folder] = os.path.realpath(folder)
    real = os.path.join(found[folder], name)
    return os.path.realpath(real) if os.path.islink(real) else real


def left_out(*, temporary: bool = False) -> tuple[str, ...]:
    """Folders of Python and of the system; without `temporary`, also of caches and temporary files."""
    home = os.path.expanduser("~")
    caches = os.environ.get("XDG_CACHE_HOME", "")
    found = _of_python()
    if not temporary:
        found += _of_tools(home, caches, tempfile.gettempdir())
    return found


@functools.cache
def _of_python() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    found = [sys.prefix, sys.base_prefix, sys.exec_prefix, site.getusersitepackages()]
    found += [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    found += [os.environ[name] for name in ("SYSTEMROOT", "PROGRAMFILES") if name in os.environ]
    return _small(found + list(_SYSTEM if os.name == "posix" else ()))


@functools.cache
def _of_tools(home: str, caches: str, temporary: str) -> tuple[str, ...]:
    found = [*(os.path.join(home, name) for name in _OF_HOME), *filter(None, [caches]), temporary]
    return _small(found + list(_TEMPORARY if os.name == "posix" else ()))


def _of_ours() -> list[str]:
    """The folder of our caches for this user, which never counts, even if caches do."""
    place = key_place()
    return [] if place is None else [os.fspath(place.parent)]


def _small(folders: list[str]) -> tuple[str, ...]:
    """Both forms of each path, without the root of a disk."""
    return tuple(path for path in both_ways(folders) if path != os.path.dirname(path))
