"""The files of a crate: where they lie or, in a crate with data, copies of those whose bytes are the recorded ones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote as quote_bytes

from consist_es.artifacts.copies import copy_path
from consist_es.artifacts.digest import digest_path
from consist_es.artifacts.uris import UriMap, unquote
from consist_es.errors import ConsistError
from consist_es.exports.crate_plan import Plan, refs
from consist_es.exports.naming import address, local, project_uri
from consist_es.exports.scratch import Scratch
from consist_es.projections.artifact_rows import ArtifactRow
from consist_es.projections.run_rows import RunRow
from consist_es.reading.walk import Walk
from consist_es.text import counted
from consist_es.values.digests import method_of

_MEDIA = {
    "parquet": "application/vnd.apache.parquet", "csv": "text/csv", "json": "application/json", "text": "text/plain",
    "txt": "text/plain", "yaml": "application/yaml", "hdf5": "application/x-hdf5", "netcdf": "application/x-netcdf",
}  # fmt: skip
"""Format -> media type."""
_BYTES = "application/octet-stream"
_SHOWN = 5


class Files:
    """The files of a scenario, by the names they have in its crate."""

    def __init__(self, walk: Walk, header: RunRow, folder: Path | None) -> None:
        """`folder`: where to copy them; None to leave them where they are."""
        self._walk, self._header, self._copied = walk, header, Scratch()
        self._base = f"{project_uri(walk.project)}:file:"
        self.notices: list[str] = []
        if folder is not None:
            self._copy(folder)

    def __enter__(self) -> Files:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._copied.__exit__(kind, error, trace)

    def name(self, row: ArtifactRow) -> str:
        """What identifies a file: its path in the crate, or a name for what lies elsewhere."""
        return self._copied.get(row.artifact_id) or f"{self._base}{local(row.artifact_id)}"

    def names(self) -> Iterator[str]:
        """The name of each file."""
        yield from map(self.name, self._walk.files_of(self._header))

    def made(self) -> Iterator[str]:
        """The name of each file that steps made."""
        yield from map(self.name, self._walk.made_by(self._header))

    def entities(self, plan: Plan) -> Iterator[dict[str, Any]]:
        """An entity for each file, with the parameters that it fills."""
        for row in self._walk.files_of(self._header):
            name = self.name(row)
            uses = list(self._walk.uses(row.artifact_id, self._header))
            fills = [plan.file(use.step, use.direction, use.name) for use in uses]
            fills += [plan.file("", "output", use.name) for use in uses if use.direction == "output"]
            if all(use.direction == "input" for use in uses):
                fills.append(plan.file("", "input", row.key))
            about = {
                "@id": name,
                "@type": "Dataset" if row.kind == "folder" else "File",
                "name": row.key,
                "identifier": row.digest,
                "contentSize": None if row.size is None else str(row.size),
                "encodingFormat": _MEDIA.get(row.driver, _BYTES) if row.kind != "folder" else None,
                "contentUrl": None if name.startswith("data/") else address(row),
                "exampleOfWork": refs(fills),
            }
            yield {key: value for key, value in about.items() if value not in (None, "")}

    def _copy(self, folder: Path) -> None:
        """Copy every file whose bytes are still the recorded ones."""
        mounts = {scheme: unquote(root) for scheme, root in self._header.mounts.items()}
        uris = UriMap(run_dir=unquote(self._header.run_dir), mounts=mounts)
        left: list[str] = []
        for row in self._walk.files_of(self._header):
            name = _copied(row, uris, folder)
            if name is None:
                left.append(row.key)
            else:
                self._copied.put([(row.artifact_id, 0, name)])
        if left:
            more = "" if len(left) <= _SHOWN else f" and {len(left) - _SHOWN} more"
            self.notices.append(
                f"{counted(len(left), 'file')} not in the crate, because bytes are gone, changed, or part of another "
                f"file: {', '.join(left[:_SHOWN])}{more}. The crate says where they were."
            )


def _copied(row: ArtifactRow, uris: UriMap, folder: Path) -> str | None:
    """The path in the crate of a copy of a file; None if there is none with the recorded bytes."""
    if row.digest is None or row.digest_method == "given" or row.table_path or row.array_path:
        return None
    try:
        source = uris.resolve(row.uri, run_dir=row.root or None)
        place = folder / "data" / str(row.created_seq) / source.name
        place.parent.mkdir(parents=True)
        copy_path(source, place)
        if digest_path(place, method=method_of(row.digest)).value == row.digest:
            end = "/" if place.is_dir() else ""
            return f"data/{row.created_seq}/{quote_bytes(os.fsencode(source.name))}{end}"
    except (ConsistError, OSError):
        pass
    shutil.rmtree(folder / "data" / str(row.created_seq), ignore_errors=True)
    return None
