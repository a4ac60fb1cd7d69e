"""What is in a file of arrays, item by item: HDF5 (so OMX and NetCDF-4 too) and Zarr.

Counted is what a reader is given: names, links, types, shapes and how far they may grow, values, fill values, and the
attributes with their types; the order of names only where the file keeps one. Not counted is how that is stored:
compression, chunks, unused space, times, and attributes in which programs note when and with what they wrote. Of a Zarr
store the chunks count by their bytes, and the metadata whole but for these attributes.
"""

import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from blake3 import blake3

from consist_es.adapters.folder import content_of, walk
from consist_es.errors import ConfigFileError, MissingExtraError

REMEDY = "Correct the file, or let it count by its bytes, as an input."
NOISE = frozenset({
    "history", "date_created", "date_modified", "created", "creation_date", "NCO", "_NCProperties", "pandas_version",
})  # fmt: skip
"""Attributes in which programs note when and with what they wrote a file."""
_CHUNK = 1 << 22
"""Elements of an array that are read at once."""
_METADATA = (".zarray", ".zgroup", ".zattrs", "zarr.json")


def contents(path: Path, noise: frozenset[str] = NOISE) -> dict[str, Any]:
    """Path in the file -> what is there, as plain values.

    Raises:
        ConfigFileError: it is no such file, or has parts in other files. InputError: it cannot be read.
        MissingExtraError: HDF5 without h5py.
    """
    if path.is_dir():
        return dict(_zarr(path, noise))
    try:
        h5py: Any = importlib.import_module("h5py")
    except ImportError as error:
        raise MissingExtraError(f"Reading {path}", "h5py", "omx") from error
    try:
        with h5py.File(path, "r") as file:
            return _Contents(h5py, file, noise).found
    except ConfigFileError:
        raise
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigFileError(path, None, f"not an HDF5 file that can be read: {error}", REMEDY) from error


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
        members = _names(item) if isinstance(item, self.h5py.Group) else []
        self.found[name or "/"] = [*self._kind(name, item, members), json.dumps(self._attributes(item))]
        for key in sorted(members):
            link = item.get(key, getlink=True)
            if isinstance(link, self.h5py.ExternalLink):
                raise self._elsewhere(f"{name}/{key}")
            if isinstance(link, self.h5py.SoftLink):
                self.found[f"{name}/{key}"] = ["link", link.path]
            else:
                self._item(f"{name}/{key}", item[key])

    def _elsewhere(self, name: str) -> ConfigFileError:
        return ConfigFileError(self.file.filename, None, f"{name} is in another file", REMEDY)

    def _attributes(self, item: Any) -> list[Any]:
        """Name, type, shape and value of each attribute that counts."""
        names, found = [key for key in _names(item.attrs) if key not in self.noise], list[Any]()
        for key in sorted(names):
            about = item.attrs.get_id(key)
            found.append([key, _type(about.dtype), list(about.shape or ()), self._text(item.attrs[key])])
        return [*found, *_order(names)]

    def _kind(self, name: str, item: Any, members: list[str]) -> list[Any]:
        if isinstance(item, self.h5py.Dataset):
            return self._array(name, item)
        return ["group", *_order(members)] if isinstance(item, self.h5py.Group) else ["type", _type(item.dtype)]

    def _array(self, name: str, item: Any) -> list[str]:
        """Type, shapes, fill value and digest of the values of a dataset."""
        if item.is_virtual or item.external:  # changes there would not be seen
            raise self._elsewhere(name)
        kind = _type(item.dtype)
        if item.shape is None:
            return [kind, "empty"]
        hasher = blake3()
        for part in _parts(item.shape):
            values = item[part]
            if item.dtype.hasobject:
                hasher.update(json.dumps(self._text(values)).encode())
            else:
                hasher.update(memoryview(values.tobytes()))
        shape = str(tuple(item.shape)) if item.maxshape == item.shape else f"{tuple(item.shape)} of {item.maxshape}"
        return [kind, shape, f"fill {json.dumps(self._text(item.fillvalue))}", f"b3:{hasher.hexdigest(16)}"]

    def _text(self, value: Any) -> Any:
        """An attribute, or an array of objects, in a form for JSON; references count by what they refer to."""
        if isinstance(value, self.h5py.RegionReference):
            raise ConfigFileError(self.file.filename, None, "a reference to a region is not read", REMEDY)
        if isinstance(value, self.h5py.Reference):
            return ["to", self.file[value].name if value else None]
        if isinstance(value, self.h5py.Empty):
            return ["empty", _type(value.dtype)]
        plain: Callable[[], Any] | None = getattr(value, "tolist", None)
        value = plain() if plain is not None else value
        if isinstance(value, list | tuple):
            return [self._text(item) for item in value]
        if isinstance(value, bytes):
            return ["bytes", value.hex()]
        return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _type(dtype: Any) -> str:
    """A type in words, with what numpy itself does not say of it."""
    fields = [[name, _type(dtype.fields[name][0])] for name in dtype.names or ()]
    said = f"{dtype} {dict(dtype.metadata or {})}".removesuffix(" {}")
    return f"{said} {fields}" if fields else said


def _names(item: Any) -> list[str]:
    names = list(item)
    if not all(isinstance(name, str) for name in names):
        raise ValueError("a name in it is not UTF-8")
    return names


def _order(names: list[str]) -> list[Any]:
    """The order of names, if the file keeps one; most have them sorted."""
    return [] if names == sorted(names) else [["in this order", names]]


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
    if not any((path / name).is_file() for name in _METADATA):
        raise ConfigFileError(path, None, "not a Zarr store: it has no metadata of one", REMEDY)
    for name in sorted(walk(path)):
        content = content_of(path / name)
        last = name.rpartition("/")[2]
        if last == ".zmetadata":
            continue
        if last in _METADATA:
            try:
                found = json.loads(content)
            except ValueError as error:
                raise ConfigFileError(path / name, None, f"not valid JSON: {error}", REMEDY) from error
            if isinstance(found, dict):
                found.pop("consolidated_metadata", None)
                for attributes in (found.get("attributes"), found if last == ".zattrs" else None):
                    if isinstance(attributes, dict):
                        for name_of_noise in noise:
                            attributes.pop(name_of_noise, None)
            yield name, json.dumps(found, sort_keys=True)
        else:
            yield name, f"b3:{blake3(content).hexdigest(16)}"
