"""The config adapter for ActivitySim: what its own reader would take from ordered config folders, and what lies beside.

ActivitySim itself is not needed to read them. Without `ActivitySimAdapter.data`, only the configuration counts.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from consist_es.adapters import activitysim_run_only as run_only
from consist_es.adapters.activitysim_settings import Settings, check_folders, read_settings, text_of
from consist_es.adapters.config_tree import Tree
from consist_es.adapters.csv_rows import csv_rows
from consist_es.adapters.folder import Paths, Patterns, patterns_of
from consist_es.adapters.protocol import AdapterResult, Reference
from consist_es.adapters.yaml_values import Shape
from consist_es.errors import ConfigFileError, InputError, UsageError, UsageTypeError
from consist_es.identity.adapters import short_digest
from consist_es.values.digests import digest_of

_COMMENTED = frozenset({"SPEC", "SAMPLE_SPEC", "COEFFICIENTS", "COEFFICIENT_TEMPLATE"})
"""Settings that name a file in which ActivitySim skips lines that begin with ``#``."""
_REMEDY = "Correct it, or leave it out with ActivitySimAdapter(…, exclude=[…])."


class ActivitySimAdapter:
    """The configuration of an ActivitySim model.

    Args:
        configs: the config folders in the order in which ActivitySim gets them, nearest first.
        data: its data folders; their files count by their bytes, except `inputs`.
        extensions: its folders of extensions; Python files in them count by their bytes.
        inputs: names of files that the step gets as inputs.
        exclude: patterns of files that the model does not read.
        run_only: key of the settings file -> why it does not count, or None for one that counts although the table says
            otherwise; ``network_los.yaml: key`` for another file, ``logging.yaml`` for a whole one that is no settings
            file. What was given is recorded.
    """

    name = "activitysim"
    version = "1"

    def __init__(
        self,
        configs: Paths,
        data: Paths = (),
        *,
        extensions: Paths = (),
        settings_file: str = "settings.yaml",
        inputs: Sequence[str] = (),
        exclude: Patterns = (".*", "*~"),
        run_only: Mapping[str, str | None] | None = None,
    ) -> None:
        self.configs = _paths(configs, "configs")
        if not self.configs:
            raise UsageError("ActivitySimAdapter needs at least one config folder.")
        self.data = _paths(data, "data")
        self.extensions = _paths(extensions, "extensions")
        if not isinstance(settings_file, str) or not settings_file:
            raise UsageTypeError(f"ActivitySimAdapter: settings_file takes the name of a file, not {settings_file!r}.")
        self.settings_file = settings_file if settings_file.lower().endswith(".yaml") else f"{settings_file}.yaml"
        self.inputs = _names(inputs)
        self.exclude = patterns_of(exclude, "exclude")
        self.run_only = _reasons(run_only or {})

    def canonicalize(self, root: Path) -> AdapterResult:
        """Read the folders; see `Adapter.canonicalize`.

        Raises:
            InputError: a folder or file is missing or cannot be read. ConfigFileError: a settings file is not valid,
            a template, or files refer to each other in a circle. MissingExtraError: PyYAML is not installed.
        """
        return _Reading(self, root).result()

    def settings(self, name: str | None = None) -> dict[Any, Any]:
        """The settings of a file as ActivitySim reads them, without the model's defaults; of the settings file if no
        name is given.

        Raises:
            As `canonicalize`.
        """
        return _Reading(self, Path.cwd()).settings(name or self.settings_file).values

    def write_settings(self, path: str | os.PathLike[str]) -> Path:
        """Write the settings of all files, as ActivitySim reads them, into one YAML file, with the files that they come
        from. A step can return it as an artifact.

        Raises:
            As `canonicalize`.
        """
        import yaml  # an extra

        reading = _Reading(self, Path.cwd())
        found = {name: reading.settings(name) for name in reading.settings_names()}
        text = "".join(
            f"# {name}: {', '.join(reading.configs.label(source.path) for source in settings.sources)}\n"
            + yaml.safe_dump({name: settings.values}, sort_keys=False, allow_unicode=True)
            for name, settings in found.items()
        )
        written = Path(path)
        written.write_text(text, encoding="utf-8")
        return written

    def arguments(self) -> list[str]:
        """The folders as arguments of ``activitysim run``."""
        given = [("-c", self.configs), ("-d", self.data), ("-e", self.extensions)]
        words = [word for option, paths in given for path in paths for word in (option, str(path.absolute()))]
        return [*words, *(() if self.settings_file == "settings.yaml" else ("-s", self.settings_file))]


class _Reading:
    """One look at the folders."""

    def __init__(self, adapter: ActivitySimAdapter, root: Path) -> None:
        check_folders(adapter.configs, "config")
        check_folders(adapter.data, "data")
        check_folders(adapter.extensions, "extensions")
        self.adapter = adapter
        self.configs = Tree(adapter.configs, root, adapter.exclude)
        self.root = root
        self.data: dict[str, Any] = {}
        self.files: dict[str, Path] = {}
        self.aside: dict[str, Any] = {}
        self.references: list[Reference] = []
        self._texts: dict[Path, str] = {}
        self._known: dict[str, Settings] = {}
        self._settings_names: list[str] | None = None

    def result(self) -> AdapterResult:
        main = self.settings(self.adapter.settings_file)
        if not main.sources or self.adapter.settings_file not in self.settings_names():
            looked = ", ".join(map(str, self.adapter.configs))
            raise InputError(
                f"ActivitySimAdapter: no folder of {looked} has {self.adapter.settings_file}, or it is excluded."
            )
        sampled = bool(main.values.get("households_sample_size"))
        for name in self.settings_names():
            self._settings_file(name, sampled)
        named = {name for name in self.settings_names() for name in _named_tables(self.settings(name).values)}
        for name, (path, *others) in self.configs.names.items():
            if name not in self._known:
                self._other_file(name, path, comments=name in named)
                for other in others:
                    self.aside[f"{self.configs.label(other)} (shadowed)"] = short_digest(digest_of(self._bytes(other)))
                    self.references.append(Reference(str(other)))
        self._data_files()
        self._outside()
        changed = {key: why or "(counts)" for key, why in self.adapter.run_only.items()}
        self.aside["run-only settings"] = {"table": run_only.TABLE, **changed}
        return AdapterResult(self.data, self.references, self.files, self.aside)

    # ------------------------------------------------------------ settings

    def settings_names(self) -> list[str]:
        """Every file that ActivitySim can read as settings."""
        if self._settings_names is None:
            self._settings_names = [name for name in self.configs.names if self._is_settings(name)]
        return self._settings_names

    def _is_settings(self, name: str) -> bool:
        if not name.lower().endswith(".yaml") or " " in name or name.rpartition("/")[2] in run_only.FILES:
            return False
        if "/" not in name or name == self.adapter.settings_file:
            return True
        try:
            self.settings(name)
        except ConfigFileError:  # of a subfolder, where files lie that nobody reads
            self._known.pop(name, None)
            return False
        return True

    def settings(self, name: str) -> Settings:
        if name not in self._known:
            self._known[name] = read_settings(name, self.adapter.configs, self._text)
        return self._known[name]

    def _settings_file(self, name: str, sampled: bool) -> None:
        settings = self.settings(name)
        shape = Shape(name, _REMEDY)
        counted: dict[Any, Any] = {}
        beside: dict[Any, Any] = {}
        for key, value in settings.values.items():
            why = self._run_only(name, key, value, sampled)
            (counted if why is None else beside)[key] = value
        data = shape.of(counted)
        if shape.orders:
            data["(order)"] = ("bytes", digest_of(repr(shape.orders).encode()))
        self.data[name] = data
        if beside:
            self.aside[f"{name} (run-only)"] = Shape(name, _REMEDY).of(beside)
        read = [source.path for source in settings.sources]
        for source, values in settings.shadowed:
            self._shadowed(source.path, values)
        for path in self.configs.names[name]:
            if path not in read:
                self._unread(name, path)
        for path in dict.fromkeys([*read, *self.configs.names[name]]):
            self.references.append(Reference(str(path), name if path in read else "", digest_of(self._bytes(path))))

    def _unread(self, name: str, path: Path) -> None:
        """A file that a nearer one hides as a whole."""
        try:
            found = read_settings(name, [path.parents[name.count("/")]], self._text)
        except ConfigFileError:  # ActivitySim does not read it, so it may be anything
            self.aside[f"{self.configs.label(path)} (shadowed)"] = short_digest(digest_of(self._bytes(path)))
        else:
            self._shadowed(path, found.sources[0].values)

    def _shadowed(self, path: Path, values: dict[Any, Any]) -> None:
        if values:
            self.aside[f"{self.configs.label(path)} (shadowed)"] = Shape(str(path), _REMEDY).of(values)

    def _run_only(self, name: str, key: Any, value: Any, sampled: bool) -> str | None:
        main = name == self.adapter.settings_file
        for given in (f"{name}: {key}", *([str(key)] if main else [])):
            if given in self.adapter.run_only:
                return self.adapter.run_only[given]
        return run_only.reason(name, key, value, settings_file=self.adapter.settings_file, sampled=sampled)

    # ------------------------------------------------------------ other files

    def _other_file(self, name: str, path: Path, *, comments: bool) -> None:
        rows = None
        if self.adapter.run_only.get(name, run_only.FILES.get(name)) is not None:
            self.aside[f"{name} (run-only)"] = short_digest(digest_of(self._bytes(path)))
            self.references.append(Reference(str(path), "", digest_of(self._bytes(path))))
            return
        if name.lower().endswith(".csv"):
            try:
                rows = csv_rows(self._bytes(path).decode("utf-8"), comments=comments)
            except UnicodeDecodeError:
                rows = None
        if rows is None:
            self.files[name] = path
            return
        self.data[name] = rows
        self.references.append(Reference(str(path), name, digest_of(self._bytes(path))))

    def _data_files(self) -> None:
        for what, folders in (("data", self.adapter.data), ("extensions", self.adapter.extensions)):
            tree = Tree(folders, self.root, self.adapter.exclude)
            for name, paths in tree.names.items():
                if name not in self.adapter.inputs and (what == "data" or name.endswith(".py")):
                    self._put(f"{what}/{name}", paths[0])

    def _outside(self) -> None:
        """Files that settings name by a path out of the folders."""
        folders = (*self.adapter.configs, *self.adapter.data)
        inside = [os.path.realpath(folder) for folder in folders]
        for settings in self._known.values():
            for text in _texts(settings.values):
                if "/" not in text or len(text) > 1000 or "\0" in text:
                    continue
                found = next((path for path in (folder / text for folder in folders) if path.is_file()), None)
                real = None if found is None else os.path.realpath(found)
                if found is not None and not any(str(real).startswith(f"{folder}{os.sep}") for folder in inside):
                    self._put(f"outside/{text}", found)

    def _put(self, key: str, path: Path) -> None:
        """Let a file count; a config folder may have a file of that name too."""
        while key in self.data or self.files.get(key, path) != path:
            key += "'"
        self.files[key] = path

    # ------------------------------------------------------------ bytes

    def _bytes(self, path: Path) -> bytes:
        return self.configs.content(path)

    def _text(self, path: Path) -> str:
        if path not in self._texts:
            self._texts[path] = text_of(path, self._bytes(path))
        return self._texts[path]


def _named_tables(value: Any, key: str = "") -> Iterator[str]:
    """Names of files that ActivitySim reads as specifications and coefficients."""
    if isinstance(value, dict):
        for inner, item in value.items():
            yield from _named_tables(item, str(inner))
    elif isinstance(value, list):
        for item in value:
            yield from _named_tables(item, key)
    elif isinstance(value, str) and key in _COMMENTED:
        yield value
        yield f"{value}.csv"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _paths(given: Paths, what: str) -> tuple[Path, ...]:
    found: Iterable[Any] = [given] if isinstance(given, str | os.PathLike) else given
    if not isinstance(found, Sequence) or not all(isinstance(path, str | os.PathLike) for path in found):
        raise UsageTypeError(f"ActivitySimAdapter: {what} takes a folder or a list of folders, not {given!r}.")
    return tuple(Path(path) for path in found)


def _names(given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str) or not all(isinstance(name, str) for name in given):
        raise UsageTypeError(f"ActivitySimAdapter: inputs takes a list of names of data files, not {given!r}.")
    return tuple(given)


def _reasons(given: Mapping[str, str | None]) -> dict[str, str | None]:
    if not isinstance(given, Mapping):
        raise UsageTypeError(f"ActivitySimAdapter: run_only takes {{key: reason or None}}, not {given!r}.")
    for key, why in given.items():
        if not isinstance(key, str) or not (why is None or (isinstance(why, str) and why.strip())):
            raise UsageTypeError(f"ActivitySimAdapter: run_only[{key!r}] takes a reason, or None, not {why!r}.")
    return dict(given)
