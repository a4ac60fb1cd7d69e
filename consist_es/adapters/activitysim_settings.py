"""Reads ActivitySim's settings files as ActivitySim does: the values that count, and the file that each comes from.

The rules, as ActivitySim's documentation and behaviour have them:

- The first config folder that has a file of the name gives its values. Only with ``inherit_settings: true`` does the
  next folder add those keys that are not set yet, and so on. Keys count whole: mappings are not merged.
- ``inherit_settings: other.yaml`` goes on with that file, searched from the first folder.
- ``include_settings: other.yaml`` stands alone in its file, which is then another name for that one.
- A name may carry ``--SUFFIX proto_ --ROOTS persons tours``: values that are such a root get the suffix in front.

YAML is read as PyYAML does. A key that is twice in a mapping has its last value; a file that is included and does not
exist adds nothing.
"""

import argparse
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from consist_es.adapters.yaml_values import yaml_values
from consist_es.errors import ConfigFileError, InputError

ReadText = Callable[[Path], str]
SUFFIX = ".yaml"
INHERIT, INCLUDE = "inherit_settings", "include_settings"
_REMEDY = "ActivitySim refuses this too: correct it, or leave the file out with ActivitySimAdapter(…, exclude=[…])."


class Source(msgspec.Struct, frozen=True):
    """A settings file that was read."""

    path: Path
    values: dict[Any, Any]
    """Its own values, as written."""


class Settings(msgspec.Struct, frozen=True):
    """The settings of one name."""

    values: dict[Any, Any]
    sources: tuple[Source, ...]
    """The files they come from, nearest first."""

    @property
    def shadowed(self) -> list[tuple[Source, dict[Any, Any]]]:
        """For each file, those of its values that do not count because a nearer file sets their key."""
        found, seen = [], set[Any]()
        for source in self.sources:
            found.append((source, {key: value for key, value in source.values.items() if key in seen}))
            seen |= source.values.keys()
        return [(source, values) for source, values in found if values]


class _Chain:
    """One reading of a name, with the files read so far."""

    def __init__(self, folders: Sequence[Path], read: Callable[[Path], dict[Any, Any]]) -> None:
        self.folders = folders
        self.read = read
        self.sources: list[Source] = []

    def settings(self, name: str, asked_by: Path | None) -> dict[Any, Any]:
        file, suffix, roots = _parsed(name, asked_by)
        found: dict[Any, Any] = {}
        for folder in self.folders:
            path = folder / file
            if not path.exists():
                continue
            own = self._own(path, asked_by)
            found = {**own, **found}
            if include := own.get(INCLUDE):
                found = {**self._included(include, own, path), **found}
                break
            follow = own.get(INHERIT)
            if not follow:
                break
            if isinstance(follow, str):
                found = {**self.settings(follow, path), **found}
                break
        if suffix is not None:
            for root in roots:
                found = _replaced(found, root, suffix + root)
        return {key: value for key, value in found.items() if key not in (INHERIT, INCLUDE)}

    def _own(self, path: Path, asked_by: Path | None) -> dict[Any, Any]:
        if any(source.path == path for source in self.sources):
            _circle(asked_by or path, path, self.sources)
        own = self.read(path)
        self.sources.append(Source(path, own))
        return own

    def _included(self, include: Any, own: dict[Any, Any], path: Path) -> dict[Any, Any]:
        if len(own) > 1:
            others = ", ".join(sorted(str(key) for key in own if key != INCLUDE))
            raise ConfigFileError(path, None, f"{INCLUDE} must stand alone in its file; there is {others} too", _REMEDY)
        if not isinstance(include, str):
            raise ConfigFileError(path, None, f"{INCLUDE} is {include!r}; it takes the name of a file", _REMEDY)
        return self.settings(include, path)


def read_settings(name: str, folders: Sequence[Path], read: ReadText) -> Settings:
    """The settings of a name from ordered config folders; no values and no sources if no folder has such a file.

    Raises:
        ConfigFileError: a file is not a YAML mapping, files refer to each other in a circle, or a directive is wrong.
        Whatever `read` raises, which gives the text of a file.
    """
    chain = _Chain(folders, lambda path: _mapping(path, read))
    try:
        values = chain.settings(name, None)
    except RecursionError as error:
        raise ConfigFileError(name, None, "files refer to each other too deeply", _REMEDY) from error
    return Settings(values, tuple(chain.sources))


def _mapping(path: Path, read: ReadText) -> dict[Any, Any]:
    found = yaml_values(read(path), str(path), _REMEDY)
    if found is None:
        return {}
    if isinstance(found, dict):
        return found
    raise ConfigFileError(path, None, f"a {type(found).__name__} at the root; settings are a mapping", _REMEDY)


def _circle(path: Path, again: Path, sources: Iterable[Source]) -> NoReturn:
    way = " -> ".join([*(str(source.path) for source in sources), str(again)])
    raise ConfigFileError(path, None, f"settings files refer to each other in a circle: {way}", _REMEDY)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _parsed(name: str, asked_by: Path | None) -> tuple[str, str | None, list[str]]:
    """File, suffix and roots of a name."""
    parser = _Parser(add_help=False)
    parser.add_argument("file")
    parser.add_argument("-s", "--SUFFIX")
    parser.add_argument("-r", "--ROOTS", nargs="*", default=[])
    try:
        found = parser.parse_args(name.split())
    except ValueError as error:
        raise ConfigFileError(asked_by or name, None, f"{name!r} names no settings file: {error}", _REMEDY) from error
    if (found.SUFFIX is None) != (not found.ROOTS):
        problem = f"{name!r} has only one of --SUFFIX and --ROOTS; it takes both or none"
        raise ConfigFileError(asked_by or name, None, problem, _REMEDY)
    file: str = found.file
    return file if file.lower().endswith(SUFFIX) else file + SUFFIX, found.SUFFIX, found.ROOTS


def _replaced(value: Any, root: str, new: str) -> Any:
    """The value with texts that equal the root replaced: values of mappings at any depth, and items of their lists."""
    if isinstance(value, dict):
        return {key: _replaced(item, root, new) for key, item in value.items()}
    if isinstance(value, list):
        return [new if item == root else item for item in value]
    return new if value == root else value


def text_of(path: Path, content: bytes) -> str:
    """The text of a file as Python opens it, with line ends made equal.

    Raises:
        ConfigFileError: it is not UTF-8.
    """
    try:
        return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigFileError(path, line, "a byte that is not UTF-8", _REMEDY) from error


def check_folders(folders: Sequence[Path], what: str) -> None:
    """Refuse folders that are missing or listed twice.

    Raises:
        InputError: it says which.
    """
    seen = set[str]()
    for folder in folders:
        if not folder.is_dir():
            problem = "is not a folder" if folder.exists() else "does not exist"
            raise InputError(
                f"ActivitySimAdapter: the {what} folder {folder} {problem} (looked at {folder.absolute()})."
            )
        real = os.path.realpath(folder)
        if real in seen:
            raise InputError(f"ActivitySimAdapter: the {what} folder {folder} is listed twice. List each once.")
        seen.add(real)
