"""The artifact of a logging call with ``enabled=False``: its path, and no record."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consist_es.artifacts.artifact import ArtifactLike


@dataclass(slots=True)
class NoopArtifact(os.PathLike[str]):
    """Stands for a file that nobody recorded; usable wherever a path is."""

    key: str
    path: Path
    container_uri: str = ""
    """The path as it was given."""
    meta: dict[str, Any] = field(default_factory=dict)
    driver: str = "file"
    run_id: str | None = None
    id: str | None = None
    table_path: str | None = None
    array_path: str | None = None

    def __post_init__(self) -> None:
        self.path = Path(self.path)
        self.container_uri = self.container_uri or str(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def uri(self) -> str:
        """The same as `container_uri`."""
        return self.container_uri

    @property
    def abs_path(self) -> str:
        """`path`, absolute, as text."""
        return os.path.abspath(self.path)

    @property
    def hash(self) -> None:
        """Always None: nothing was read."""
        return

    def as_path(self, tracker: object = None) -> Path:
        """The same as `path`."""
        return self.path


def placeholder(path: Any, key: str | None, meta: Mapping[str, Any] | None = None) -> NoopArtifact:
    """The placeholder of a path or artifact; its key is that of the artifact, else the name of the file."""
    uri, driver = "", "file"
    if isinstance(path, ArtifactLike):
        uri, driver = path.container_uri, str(getattr(path, "driver", driver))
        key = key or getattr(path, "key", None)
        path = path.path
    place = Path(os.fspath(path))
    return NoopArtifact(key or place.stem, place, uri, dict(meta or {}), driver)
