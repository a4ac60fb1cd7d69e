"""The config adapter for BEAM: the merged values of its HOCON files, the files they name, and what lies beside."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from consist_es.adapters.folder import content_of, walk
from consist_es.adapters.formats import source_of
from consist_es.adapters.hocon import read_tree
from consist_es.adapters.hocon_resolved import Resolved
from consist_es.adapters.protocol import AdapterResult, Reference
from consist_es.errors import ConfigFileError, UsageTypeError
from consist_es.values.digests import digest_of

TABLE = "2026-11"
"""Version of `RUN_ONLY`; recorded with every run."""
_PLAIN = re.compile(r"[\w-]+")
"""Keys that need no quotes in a path."""

_PLACE = "where outputs are written"
_LOGS = "what is logged or measured"

RUN_ONLY: dict[str, str] = {
    "beam.outputs.baseOutputDirectory": _PLACE,
    "beam.outputs.addTimestampToOutputDirectory": _PLACE,
    "beam.outputs.displayPerformanceTimings": _LOGS,
    "beam.logger.keepConsoleAppenderOn": _LOGS,
    "beam.metrics.level": _LOGS,
    "beam.debug.memoryConsumptionDisplayTimeoutInSec": _LOGS,
    "matsim.modules.controler.outputDirectory": _PLACE,
    "matsim.modules.controler.overwriteFiles": _PLACE,
}
"""Path of a value -> why it changes how BEAM runs and not what it computes. Read from BEAM's reference of parameters;
threads are not in it, since BEAM's results depend on them."""


class BeamAdapter:
    """The configuration of a BEAM model.

    Args:
        primary: the .conf file that BEAM is started with.
        environment: variables for its substitutions, asked before those of the process.
        root: the folder that relative paths in values start from (default: the variable ``PWD`` if it is given, else
            the working directory). Where it lies does not count.
        run_only: path of a value -> why it does not count, or None for one that counts although the table says
            otherwise.
        inputs: paths of values that name a file which the step gets as an input.
        files: True reads ``include file("…")``, relative to the working directory; else it is an error.
    """

    name = "beam"
    version = "1"

    def __init__(
        self,
        primary: str | os.PathLike[str],
        *,
        environment: Mapping[str, str] | None = None,
        root: str | os.PathLike[str] | None = None,
        run_only: Mapping[str, str | None] | None = None,
        inputs: str | Sequence[str] = (),
        files: bool = False,
    ) -> None:
        if not isinstance(primary, str | os.PathLike):
            raise UsageTypeError(f"BeamAdapter takes the path of a .conf file, not {primary!r}.")
        self.primary = Path(primary)
        self.environment = dict(environment or {})
        self.root = None if root is None else Path(root)
        self.run_only: dict[str, str | None] = {**RUN_ONLY, **(run_only or {})}
        self.changed = dict(run_only or {})
        self.inputs = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        self.files = files

    def canonicalize(self, root: Path) -> AdapterResult:
        """Read the files; see `Adapter.canonicalize`.

        Raises:
            InputError: a file is missing or cannot be read. ConfigFileError: one is not valid, includes itself, or a
            substitution has no value.
        """
        references: list[Reference] = []

        def read(path: Path) -> bytes:
            content = content_of(path)
            references.append(
                Reference(str(path), self.primary.name if path == self.primary else "", digest_of(content))
            )
            return content

        try:
            text = read(self.primary).decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise ConfigFileError(self.primary, None, "a byte that is not UTF-8") from error
        resolved = self._resolved(text, read)
        counted: dict[str, Any] = {}
        beside: dict[str, Any] = {}
        named: dict[str, Path] = {}
        for keys, value in _leaves(resolved.data()):
            path = _path(keys)
            why = self.run_only.get(path)
            _put(counted if why is None else beside, keys, self._portable(value))
            if why is None and path not in self.inputs:
                for text in _texts(value):
                    named |= self._files(text)
        parts = {"run-only": beside, "shadowed": resolved.shadowed()}
        said = {"table": TABLE, **{key: why or "(counts)" for key, why in self.changed.items()}}
        aside = {**{part: values for part, values in parts.items() if values}, "run-only settings": said}
        files = {f"file {name}": path for name, path in named.items()}
        return AdapterResult({self.primary.name: counted}, references, files, aside)

    def values(self) -> dict[str, Any]:
        """The merged values by path, as BEAM reads them.

        Raises:
            As `canonicalize`.
        """
        text = content_of(self.primary).decode("utf-8").removeprefix("\ufeff")
        return {_path(keys): value for keys, value in _leaves(self._resolved(text, content_of).data())}

    def _resolved(self, text: str, read: Any) -> Resolved:
        tree = read_tree(source_of(self.primary, text, read, files=self.files))
        return Resolved(tree, {**os.environ, **self.environment})

    # ------------------------------------------------------------ paths

    @property
    def _root(self) -> Path:
        given = self.root if self.root is not None else self.environment.get("PWD")
        return Path(os.path.abspath(Path.cwd() if given is None else given))

    def _portable(self, value: Any) -> Any:
        """The value with paths below the root relative to it."""
        if isinstance(value, list):
            return [self._portable(item) for item in value]
        if isinstance(value, dict):
            return {key: self._portable(item) for key, item in value.items()}
        if isinstance(value, str) and value.startswith(f"{self._root}{os.sep}"):
            return f"(root)/{value.removeprefix(f'{self._root}{os.sep}')}"
        return value

    def _files(self, text: str) -> dict[str, Path]:
        """Name -> file, of the file that a value names, or of all in the folder that it names by a path; but not of one
        that the configuration itself is in, which other values begin with."""
        if not text or len(text) > 1000 or "\0" in text or "\n" in text:
            return {}
        shown = str(self._portable(text))
        for path in (self._root / text, self.primary.parent / text):
            if path.is_file():
                return {shown: path}
            if (
                "/" in text
                and path.is_dir()
                and not Path(os.path.realpath(self.primary)).is_relative_to(os.path.realpath(path))
            ):
                return {f"{shown}/{below}": path / below for below in sorted(walk(path))}
        return {}


def _leaves(value: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and (value or not keys):
        for key, item in value.items():
            yield from _leaves(item, (*keys, key))
    else:
        yield keys, value


def _path(keys: tuple[str, ...]) -> str:
    return ".".join(key if _PLAIN.fullmatch(key) else json.dumps(key) for key in keys)


def _put(place: dict[str, Any], keys: tuple[str, ...], value: Any) -> None:
    for key in keys[:-1]:
        place = place.setdefault(key, {})
    place[keys[-1]] = value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
