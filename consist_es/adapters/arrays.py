"""The config adapter for files of arrays: what is in OMX, HDF5, NetCDF and Zarr, not how and when it was written."""

import importlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from blake3 import blake3

from consist_es.adapters.folder import content_of, walk
from consist_es.adapters.protocol import AdapterResult, Reference
from consist_es.errors import ConfigFileError, InputError, MissingExtraError, UsageTypeError

_REMEDY = "Correct the file, or let it count by its bytes, as an input."
_NOISE = frozenset({
    "history", "date_created", "date_modified", "created", "creation_date", "NCO", "_NCProperties", "pandas_version",
})  # fmt: skip
"""Attributes in which programs note when and with what they wrote a file."""
_CHUNK = 1 << 22
"""Elements of an array that are read at once."""


class ContentAdapter:
    """Files of arrays that count by what is in them: names, types, shapes, values and attributes of all arrays, but not
    the compression, chunks, unused space, order and times in the file, nor the attributes `noise`."""

    name = "content"
    version = "1"

    def __init__(self, *paths: str | os.PathLike[str], noise: frozenset[str] | set[str] = _NOISE) -> None:
        if not paths or not all(isinstance(path, str | os.PathLike) for path in paths):
            raise UsageTypeError(f"ContentAdapter takes paths of files, not {paths!r}.")
        self.paths = tuple(Path(path) for path in paths)
        self.noise = frozenset(noise)

    def canonicalize(self, root: Path) -> AdapterResult:
        """Read the files; see `Adapter.canonicalize`.

        Raises:
            InputError: a file is missing, or two have one name. ConfigFileError: it is no such file.
            MissingExtraError: it needs a package that is not installed.
        """
        data: dict[str, Any] = {"(noise)": sorted(self.noise)} if self.noise != _NOISE else {}
        references: list[Reference] = []
        for path in self.paths:
            if not path.exists():
                raise InputError(f"ContentAdapter: {path} does not exist (looked at {path.absolute()}).")
            if path.name in data:
                raise InputError(f"ContentAdapter: two files are called {path.name}. Rename one.")
            data[path.name] = dict(_zarr(path, self.noise) if path.is_dir() else self._hdf5(path))
            references.append(Reference(str(path), path.name))
        return AdapterResult(data, references)

    def _hdf5(self, path: Path) -> dict[str, Any]:
        try:
            h5py: Any = importlib.import_module("h5py")
        except ImportError as error:
            raise MissingExtraError(f"Reading {path}", "h5py", "omx") from error
        try:
            with h5py.File(path, "r") as file:
                return _Contents(h5py, file, self.noise).found
        except (OSError, KeyError, RuntimeError) as error:
            raise ConfigFileError(path, None, f"not an HDF5 file that can be read: {error}", _REMEDY) from error


class _Contents:
    """What is in an HDF5 file, by path."""

    def __init__(self, h5py: Any, file: Any, noise: frozenset[str]) -> None:
        self.h5py, self.file, self.noise = h5py, file, noise
        self.found: dict[str, Any] = {}
        self._names: dict[Any, str] = {}
        self._item("", file)

    def _item(self, name: str, item: Any) -> None:
        place = self.h5py.h5o.get_info(item.id).addr
        if place in self._names:  # one item under two names
            self.found[name] = ["same as", self._names[place]]
            return
        self._names[place] = name
        is_array = isinstance(item, self.h5py.Dataset)
        attributes = {key: self._text(item.attrs[key]) for key in sorted(item.attrs) if key not in self.noise}
        self.found[name or "/"] = [*(self._array(item) if is_array else ["group"]), json.dumps(attributes)]
        for key in sorted(item) if isinstance(item, self.h5py.Group) else ():
            link = item.get(key, getlink=True)
            if isinstance(link, self.h5py.ExternalLink):
                raise ConfigFileError(self.file.filename, None, f"{name}/{key} is in another file", _REMEDY)
            if isinstance(link, self.h5py.SoftLink):
                self.found[f"{name}/{key}"] = ["link", link.path]
            else:
                self._item(f"{name}/{key}", item[key])

    def _array(self, item: Any) -> list[str]:
        """Type, shape and digest of the values of a dataset."""
        kind = f"{item.dtype} {dict(item.dtype.metadata or {})}".removesuffix(" {}")
        if item.shape is None:
            return [kind, "empty"]
        hasher = blake3()
        for part in _parts(item.shape):
            values = item[part]
            objects = item.dtype.hasobject
            hasher.update(json.dumps(self._text(values)).encode() if objects else memoryview(values.tobytes()))
        return [kind, str(tuple(item.shape)), f"b3:{hasher.hexdigest(16)}"]

    def _text(self, value: Any) -> Any:
        """An attribute, or an array of objects, in a form for JSON; references count by what they refer to."""
        if isinstance(value, self.h5py.Reference):
            return ["to", self.file[value].name if value else None]
        plain: Callable[[], Any] | None = getattr(value, "tolist", None)
        value = plain() if plain is not None else value
        if isinstance(value, list | tuple):
            return [self._text(item) for item in value]
        if isinstance(value, bytes):
            return value.decode("utf-8", "backslashreplace")
        return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _parts(shape: tuple[int, ...]) -> Iterator[Any]:
    """Selections of rows of an array, that together are all of it, in order."""
    if not shape:
        yield ()
        return
    width = 1
    for size in shape[1:]:
        width *= size
    step = max(1, _CHUNK // max(1, width))
    for begin in range(0, shape[0], step):
        yield slice(begin, begin + step)


def _zarr(path: Path, noise: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Files of a Zarr store by their bytes; its metadata as JSON, without the copy of all that some writers keep."""
    for name in sorted(walk(path)):
        content = content_of(path / name)
        last = name.rpartition("/")[2]
        if last == ".zmetadata":
            continue
        if last in (".zarray", ".zgroup", ".zattrs", "zarr.json"):
            try:
                found = json.loads(content)
            except ValueError as error:
                raise ConfigFileError(path / name, None, f"not valid JSON: {error}", _REMEDY) from error
            if isinstance(found, dict):
                found.pop("consolidated_metadata", None)
                for attributes in (found.get("attributes"), found if last == ".zattrs" else None):
                    if isinstance(attributes, dict):
                        for name_of_noise in noise:
                            attributes.pop(name_of_noise, None)
            yield name, json.dumps(found, sort_keys=True)
        else:
            yield name, f"b3:{blake3(content).hexdigest(16)}"
