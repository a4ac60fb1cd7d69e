"""The matrices of OMX files: their names and shapes, and reading one of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact, is_like_artifact
from consist_es.artifacts.drivers.driver import need_for
from consist_es.errors import LoadError, MissingKeyError, UsageTypeError


class Matrix(msgspec.Struct, frozen=True):
    """One matrix of a file, described without reading its values."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    attributes: dict[str, Any]


class MatrixFile(msgspec.Struct, frozen=True):
    """The matrices of one artifact, and the run that made it."""

    matrices: list[Matrix]
    run_id: str | None = None
    year: int | None = None
    iteration: int | None = None


class OpenMatrixMetadata:
    """What is in OMX files: the result of `Tracker.openmatrix_metadata`. `matrices` lists all, file by file."""

    def __init__(self, files: Iterable[MatrixFile]) -> None:
        self._files = list(files)

    @property
    def matrices(self) -> list[Matrix]:
        """All matrices, in the order of their files and names."""
        return [matrix for file in self._files for matrix in file.matrices]

    def get_matrix_names(self, key: str | None = None) -> list[str]:
        """The names, sorted. `key` is accepted for compatibility: the files are chosen already."""
        return sorted({matrix.name for matrix in self.matrices})

    def get_zone_counts(self, key: str | None = None) -> dict[str | None, int]:
        """Id of the run -> rows of the first matrix of its file."""
        return {file.run_id: file.matrices[0].shape[0] for file in self._files if file.matrices}

    def get_matrices(
        self,
        key: str | None = None,
        run_ids: Sequence[str] | None = None,
        year: int | None = None,
        min_rows: int | None = None,
        max_rows: int | None = None,
    ) -> Any:
        """A DataFrame with a row for each matrix: matrix_name, shape, dtype, n_rows, n_cols, attributes (JSON), and
        run_id, year and iteration of the run that made the file. None does not filter.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        pandas = need_for("pandas", "omx", "get_matrices()")
        rows = [
            (m.name, list(m.shape), m.dtype, *_two(m.shape), json.dumps(m.attributes), f.run_id, f.year, f.iteration)
            for f in self._files
            for m in f.matrices
            if (not run_ids or f.run_id in run_ids)
            and (year is None or f.year == year)
            and (min_rows is None or m.shape[0] >= min_rows)
            and (max_rows is None or m.shape[0] <= max_rows)
        ]
        names = ["matrix_name", "shape", "dtype", "n_rows", "n_cols", "attributes", "run_id", "year", "iteration"]
        return pandas.DataFrame(rows, columns=names)


def _two(shape: tuple[int, ...]) -> tuple[int | None, int | None]:
    return (*shape, None, None)[0], (*shape, None, None)[1]


def matrices_of(source: Artifact | Path) -> list[Matrix]:
    """The matrices of a file, by name: the arrays below ``/data``, else all arrays of two dimensions at the top.

    Raises:
        MissingExtraError: h5py is not installed. LoadError: the file is missing, or not HDF5.
    """
    with _opened(source, "openmatrix_metadata()") as found:
        return [
            Matrix(name, tuple(node.shape), node.dtype.name, {key: _plain(value) for key, value in node.attrs.items()})
            for name, node in sorted(found.items())
        ]


def load_matrix(source: str | os.PathLike[str] | Artifact, name: str | None = None) -> Any:
    """One matrix of an OMX file, an artifact or a path, as a NumPy array.

    Args:
        name: the matrix; may be left out if the file has one only.

    Raises:
        MissingExtraError: h5py is not installed.
        LoadError: the file is missing or not HDF5, or has several matrices and no name is given.
        MissingKeyError: it has no such matrix; lists those in it.
    """
    given = source if is_like_artifact(source) else _path(source)
    with _opened(given, "load_matrix()") as found:
        if name is None and len(found) == 1:
            (name,) = found
        if name is None:
            raise LoadError(f"load_matrix(): the file has {len(found)} matrices. Name one: {', '.join(sorted(found))}.")
        if name not in found:
            raise MissingKeyError("matrix", name, found)
        return found[name][()]


def _path(source: Any) -> Path:
    if not isinstance(source, str | os.PathLike):
        raise UsageTypeError(f"load_matrix() takes an Artifact or a path, not {type(source).__name__}.")
    return Path(source)


@contextmanager
def _opened(source: Any, call: str) -> Iterator[dict[str, Any]]:
    """The matrices of an open file by name; it is closed afterwards."""
    path = source.path if is_like_artifact(source) else source
    h5py = need_for("h5py", "omx", call)
    try:
        file = h5py.File(os.fspath(path), "r")
    except OSError as error:
        raise LoadError(f"{call}: {path} cannot be read as HDF5: {error}. Correct the path, or the file.") from error
    with file:
        top = file.get("data")
        top = top if isinstance(top, h5py.Group) else file
        local = (name for name in top if isinstance(top.get(name, getlink=True), h5py.HardLink))
        arrays = {name: top[name] for name in local}
        yield {name: node for name, node in arrays.items() if isinstance(node, h5py.Dataset) and len(node.shape) == 2}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.tolist() if hasattr(value, "tolist") else str(value) if not isinstance(value, str) else value
