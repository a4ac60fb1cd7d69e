"""Finds installed distributions: which one a file is from, its version, and whether it is a model of one's own.

Reads only the folders that packages are installed into, never the packages. Caches a folder until it changes, which
every installation does: it adds or removes the folder with the package's metadata.
"""

import functools
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from blake3 import blake3

from consist_es.identity.installed.metadata import header
from consist_es.values.digests import written

FOLDERS = frozenset({"site-packages", "dist-packages"})
"""Names of the folders that packages are installed into."""
PYTHON = "python"
"""Name of Python itself among the packages."""
NOT_INSTALLED = "not installed"
"""Stands for the version of a package that is not installed."""
FOLLOWED = 4_000_000
"""Bytes of Python up to which a distribution is followed, about 100,000 lines."""
_METADATA = (".dist-info", ".egg-info")
_CHANGES: list[str] = []
"""Folders found changed; the length is the `generation`."""
_SITES: dict[str, tuple[int, "Site"]] = {}
"""Folder -> its modification time when it was read, and its distributions."""


def normalised(name: str) -> str:
    """The canonical spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Distribution:
    """One installed distribution."""

    def __init__(self, place: Path) -> None:
        self.place, self.folder = place, place.parent
        self.name = normalised(place.name.removesuffix(place.suffix).partition("-")[0])

    @functools.cached_property
    def version(self) -> str:
        """The version in its metadata, "unknown" without one."""
        try:
            return header(str(self.place))[1] or "unknown"
        except KeyError:  # half removed: the folder exists, its content does not
            return "unknown"

    @functools.cached_property
    def own(self) -> bool:
        """True if it was installed from a folder, an archive or a repository (PEP 610), editable or not.

        Conda builds each of its packages from a folder, and some still record that; they do not count.
        """
        installer = (self._text("INSTALLER") or "").strip().lower()
        return installer != "conda" and bool(self._direct_url)

    @functools.cached_property
    def _direct_url(self) -> dict[str, Any]:
        try:
            found = json.loads(self._text("direct_url.json") or "null")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @functools.cached_property
    def _sizes(self) -> dict[str, int]:
        """Recorded files, relative to its folder -> size in bytes (0 if not recorded)."""
        import csv

        rows = [row for row in csv.reader((self._text("RECORD") or "").splitlines()) if row and row[0]]
        return {row[0].replace("\\", "/"): int(row[2]) if row[2:] and row[2].isdecimal() else 0 for row in rows}

    @functools.cached_property
    def files(self) -> frozenset[str]:
        """Recorded files, relative to its folder."""
        return frozenset(self._sizes)

    @functools.cached_property
    def programs(self) -> frozenset[str]:
        """Its files outside of the folder of packages, absolute."""
        return frozenset(os.path.normpath(self.folder / name) for name in self.files if name.startswith("../"))

    @functools.cached_property
    def scripts(self) -> frozenset[str]:
        """Names of the programs that it installs, as far as its metadata names them."""
        import importlib.metadata  # heavy

        points = importlib.metadata.Distribution.at(self.place).entry_points
        return frozenset(point.name for point in points if point.group in ("console_scripts", "gui_scripts"))

    @functools.cached_property
    def is_large(self) -> bool:
        """True if it is too large to be followed function by function; then it counts as a whole."""
        code = [size for name, size in self._sizes.items() if name.endswith(".py") and "/tests/" not in f"/{name}"]
        return sum(code) > FOLLOWED

    @functools.cached_property
    def modules(self) -> frozenset[str]:
        """Names of its top-level modules."""
        tops = {name.partition("/")[0] for name in self.files if not name.startswith((".", "/"))}
        named = (self._text("top_level.txt") or "").split()
        known = {top.partition(".")[0] for top in (*tops, *named) if not top.endswith(_METADATA)}
        return frozenset(known or {self.name.replace("-", "_")}) - {"__pycache__"}

    def _text(self, name: str) -> str | None:
        """Content of a file of its metadata; None if there is none that can be read."""
        try:
            return (self.place / name).read_text("utf-8")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError):
            return None

    @property
    def state(self) -> str:
        """The version; for a model of one's own also a digest over its files."""
        return f"{self.version} {self.content}" if self.own else self.version

    @property
    def content(self) -> str:
        """Digest over its files; if it is large, over the digests that the installer recorded (RECORD)."""
        code = [("RECORD", self.place / "RECORD")] if self.is_large else self._code()
        return written(_digest(code), 8)

    def _code(self) -> Iterator[tuple[str, Path]]:
        """Name and path of each file that can make a difference."""
        source = str(self._direct_url.get("url", ""))
        editable = (self._direct_url.get("dir_info") or {}).get("editable") and source.startswith("file://")
        if editable:
            from urllib.parse import urlsplit
            from urllib.request import url2pathname

            root = Path(url2pathname(urlsplit(source).path))
            yield from ((str(path.relative_to(root)), path) for path in sorted(_python_files(root)))
        for name in sorted(self.files):
            if not name.endswith(".pyc") and ".dist-info/" not in name:
                yield name, self.folder / name


class Site:
    """The distributions with metadata in one folder."""

    def __init__(self, folder: Path) -> None:
        found = sorted(metadata_in(folder))
        self.distributions = {item.name: item for item in map(Distribution, found)}

    def with_module(self, name: str) -> Distribution | None:
        """The distribution of a module, given by its full name; for an editable one, the likely one."""
        path, top = name.replace(".", "/"), name.partition(".")[0]
        exact = (self.owner(f"{path}{end}") for end in ("/__main__.py", ".py", "/__init__.py"))
        likely = (*self._by_module.get(top, ()), self.distributions.get(normalised(top)))
        return next((item for item in (*exact, *likely) if item is not None), None)

    def owner(self, relative: str) -> Distribution | None:
        """The distribution of a file, given relative to the folder."""
        top = relative.partition("/")[0].partition(".")[0]
        likely = self.distributions.get(normalised(top))
        if likely is not None and relative in likely.files:
            return likely  # avoids reading the file lists of all the others
        candidates = self._by_module.get(top, ())
        whole = f"{top}/__init__.py"  # else it is a namespace, shared by several distributions
        return next((item for item in candidates if relative in item.files), None) or next(
            (item for item in candidates if not item.files or whole in item.files), None
        )

    @functools.cached_property
    def _by_module(self) -> dict[str, list[Distribution]]:
        found: dict[str, list[Distribution]] = {}
        for item in self.distributions.values():
            for name in item.modules:
                found.setdefault(name, []).append(item)
        return found


def refresh() -> None:
    """Forget the folders that have changed since they were read."""
    for folder in [folder for folder, (stamp, _) in _SITES.items() if _stamp(folder) != stamp]:
        del _SITES[folder]
        _CHANGES.append(folder)
        distribution_of_file.cache_clear()


def generation() -> int:
    """How often a change was noticed; cached findings about files hold for one generation only."""
    return len(_CHANGES)


def site_of(folder: str) -> Site:
    """The distributions installed in a folder (cached)."""
    if folder not in _SITES:
        _SITES[folder] = (_stamp(folder), Site(Path(folder)))
    return _SITES[folder][1]


@functools.lru_cache(maxsize=65536)
def spot_of(filename: str) -> tuple[str, str] | None:
    """The folder of packages around a file, and the file's path from there; None if there is none."""
    parts = filename.replace(os.sep, "/").split("/")
    for count in range(len(parts) - 2, -1, -1):
        if parts[count] in FOLDERS:
            count += 1
            while count < len(parts) - 1 and parts[count].endswith(".egg"):  # a folder with one package in it
                count += 1
            return "/".join(parts[:count]), "/".join(parts[count:])
    return None


@functools.lru_cache(maxsize=4096)
def distribution_of_file(filename: str) -> Distribution | None:
    """The distribution of a file in a folder of packages."""
    spot = spot_of(filename)
    return None if spot is None else site_of(spot[0]).owner(spot[1])


def installed(name: str) -> Distribution | None:
    """The distribution of this name that an import would find."""
    wanted = normalised(name)
    for folder in dict.fromkeys(sys.path):
        found = site_of(os.path.abspath(folder)).distributions.get(wanted)
        if found is not None:
            return found
    return None


def version_of(name: str) -> str:
    """`Distribution.state` of the distribution with this name, or Python's minor version."""
    if name == PYTHON:
        return ".".join(map(str, sys.version_info[:2]))
    found = installed(name)
    return NOT_INSTALLED if found is None else found.state


def versions(files: Iterable[str], named: Iterable[str] = (), ignored: Iterable[str] = ()) -> dict[str, str]:
    """Name -> version of the distributions that `files` are from, of those `named`, and of Python.

    Leaves out those `ignored`, and models of one's own that are not `named`: these count by content.
    """
    items = [item for item in map(distribution_of_file, sorted(files)) if item is not None and not item.own]
    found = {item.name: item.version for item in items} | {name: version_of(name) for name in (PYTHON, *named)}
    return {name: found[name] for name in sorted(found.keys() - set(ignored))}


# ---------------------------------------------------------------- folders and files


def metadata_in(folder: Path) -> Iterator[Path]:
    """The metadata of installers in a folder of packages, one folder or file for each distribution."""
    try:
        with os.scandir(folder) as found:
            yield from (Path(item.path) for item in found if item.name.endswith(_METADATA))
    except (OSError, ValueError):
        return


def _stamp(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116
    except (OSError, ValueError):
        return 0


def _python_files(root: Path) -> Iterator[Path]:
    """The Python and compiled files below a source folder, without environments and hidden folders."""
    for where, folders, names in os.walk(root):
        if "pyvenv.cfg" in names:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith((".", "__pycache__"))]
        yield from (Path(where, name) for name in names if name.endswith((".py", ".so", ".pyd")))


def _digest(files: Iterable[tuple[str, Path]]) -> Any:
    found = blake3()
    for name, path in files:
        try:
            content = path.read_bytes()
        except OSError:
            content = b"not there"
        for part in (name.encode("utf-8", "surrogateescape"), content):
            found.update(len(part).to_bytes(8, "big") + part)
    return found
