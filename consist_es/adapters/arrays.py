"""The config adapter for files of arrays: what is in OMX, HDF5, NetCDF and Zarr, not how and when it was written."""

import os
from pathlib import Path
from typing import Any

from consist_es.adapters.array_contents import NOISE, contents
from consist_es.adapters.protocol import AdapterResult, Reference
from consist_es.errors import InputError, UsageTypeError


class ContentAdapter:
    """Files of arrays that count by what is in them, see `consist_es.adapters.array_contents`, without the attributes
    `noise`."""

    name = "content"
    version = "2"

    def __init__(self, *paths: str | os.PathLike[str], noise: frozenset[str] | set[str] = NOISE) -> None:
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
        data: dict[str, Any] = {"(noise)": sorted(self.noise)} if self.noise != NOISE else {}
        references: list[Reference] = []
        for path in self.paths:
            if not path.exists():
                raise InputError(f"ContentAdapter: {path} does not exist (looked at {path.absolute()}).")
            if path.name in data:
                raise InputError(f"ContentAdapter: two files are called {path.name}. Rename one.")
            data[path.name] = contents(path, self.noise)
            references.append(Reference(str(path), path.name))
        return AdapterResult(data, references)
