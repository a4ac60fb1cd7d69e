"""The built-in adapter: a folder, or a list, of configuration files."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from consist_es.adapters.formats import FORMATS, SUFFIXES, read_data
from consist_es.adapters.protocol import AdapterResult, Reference
from consist_es.artifacts.bundles import digest_whole
from consist_es.checks import check_option
from consist_es.errors import InputError, UsageError, UsageTypeError
from consist_es.values.digests import digest_of

_ORDER = "(order)"

Patterns = str | Sequence[str]
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class FolderAdapter:
    """Configuration files of which only the data count, not comments, layout or the order of keys.

    `paths`: a folder, a file, or a list of these, relative to the working directory; the order of a list counts,
    because later files often override earlier ones. `include`, `exclude`: patterns as for `fnmatch`, case-sensitive;
    one matches a file by its name, its path below the folder, or the name of a folder on the way. They apply to
    folders, not to files listed one by one. `formats`: pattern -> ``yaml``, ``json``, ``toml``, ``ini``, ``hocon`` or
    ``bytes``, for files with another suffix; the first match counts.
    """

    name = "folder"
    version = "1"

    def __init__(
        self,
        paths: Paths,
        *,
        include: Patterns = "*",
        exclude: Patterns = (".*", "*~"),
        formats: Mapping[str, str] | None = None,
    ) -> None:
        given = [paths] if isinstance(paths, str | os.PathLike) else paths
        if not isinstance(given, Sequence) or not all(isinstance(path, str | os.PathLike) for path in given):
            raise UsageTypeError(f"FolderAdapter takes a path or a list of paths, not {paths!r}.")
        if not given:
            raise UsageError("FolderAdapter needs at least one path.")
        self.paths = tuple(Path(path) for path in given)
        self.include = patterns_of(include, "include")
        self.exclude = patterns_of(exclude, "exclude")
        self.formats = dict(formats or {})
        for pattern, kind in self.formats.items():
            check_option(f"formats[{pattern!r}]", kind, FORMATS)

    def canonicalize(self, root: Path) -> AdapterResult:
        """Read every file; see `Adapter.canonicalize`.

        Raises:
            InputError: a file or folder is missing or cannot be read. ConfigFileError: a file is not valid.
            UsageError: no file matches, or two have the same name. MissingExtraError: YAML without PyYAML.
        """
        data: dict[str, Any] = {}
        references: list[Reference] = []
        for label, path in self._files(root):
            if label in data:
                raise UsageError(f"FolderAdapter: two files are called {label!r}: name each file once.")
            data[label] = self._read(path, label, references)
        if not data:
            looked = ", ".join(map(str, self.paths))
            raise UsageError(f"FolderAdapter: no file in {looked} matches include={list(self.include)}.")
        if len(self.paths) > 1:
            data[_ORDER] = [label_of(path, root) for path in self.paths]
        return AdapterResult(data, references)

    # ------------------------------------------------------------ which files

    def _files(self, root: Path) -> Iterator[tuple[str, Path]]:
        """(name in the data, path) of every file, sorted within a folder."""
        for path in self.paths:
            if not path.exists():
                raise InputError(f"FolderAdapter: {path} does not exist (looked at {path.absolute()}).")
            if not path.is_dir():
                yield clean(path.name if len(self.paths) == 1 else label_of(path, root)), path
                continue
            for below in sorted(walk(path)):
                if self._fits(below):
                    shown = below if len(self.paths) == 1 else f"{label_of(path, root)}/{below}"
                    yield clean(shown), path / below

    def _fits(self, below: str) -> bool:
        return fits_any(below, self.include) and not fits_any(below, self.exclude)

    # ------------------------------------------------------------ what is in them

    def _read(self, path: Path, label: str, references: list[Reference]) -> Any:
        kind = self._format(path, label)
        if kind == "bytes":
            digest = digest_whole(path).value
            references.append(Reference(str(path), label, digest))
            return ("bytes", digest)

        def read_bytes(file: Path) -> bytes:
            content = content_of(file)
            references.append(Reference(str(file), label, digest_of(content)))
            return content

        return read_data(path, kind, read_bytes)

    def _format(self, path: Path, label: str) -> str:
        for pattern, kind in self.formats.items():
            if fits_any(label, (pattern,)):
                return kind
        return SUFFIXES.get(path.suffix.lower(), "bytes")


def patterns_of(given: Patterns, what: str) -> tuple[str, ...]:
    """Patterns for files, checked."""
    found = (given,) if isinstance(given, str) else tuple(given)
    if not all(isinstance(pattern, str) for pattern in found):
        raise UsageTypeError(f"Config adapter: {what} takes patterns such as '*.yaml', not {given!r}.")
    return found


def fits_any(below: str, patterns: Sequence[str]) -> bool:
    """True if a path, its name or a folder on the way fits a pattern."""
    names = (below, *below.split("/"))
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def walk(folder: Path) -> Iterator[str]:
    """Paths of all files below a folder, links followed."""
    waiting: list[tuple[str, tuple[str, ...]]] = [("", (os.path.realpath(folder),))]
    while waiting:
        below, inside = waiting.pop()
        place = folder / below
        try:
            entries = list(os.scandir(place))
        except OSError as error:
            raise _unreadable(place, error) from error
        for entry in entries:
            name = f"{below}/{entry.name}" if below else entry.name
            if not entry.is_dir():
                yield name
                continue
            real = os.path.realpath(entry.path)
            if real in inside:
                raise InputError(f"Config folder {folder}: {name} is a link to a folder that it lies in. Remove it.")
            waiting.append((name, (*inside, real)))


def content_of(path: Path) -> bytes:
    """The bytes of a regular file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"Config file {path} is not a regular file.")
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"Config file {path} cannot be read: {error.strerror or error}. Check the path and permissions.")


def label_of(path: Path, root: Path) -> str:
    """Name of a path in the data: below the project's root, or its own name outside it."""
    absolute = Path(os.path.abspath(path))
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else absolute.name


def clean(label: str) -> str:
    """The label, if records can hold it."""
    if not label.isprintable():
        raise InputError(
            f"Config file {label!a}: its name has characters that cannot be recorded. Rename it, or exclude it."
        )
    return label
