"""An artifact: one recorded file, folder or table, with its digest and URI."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeGuard, TypeVar, runtime_checkable
from uuid import UUID, uuid4

from consist_es.artifacts.formats import MATRIX_DRIVERS, TABULAR_DRIVERS, driver_of
from consist_es.artifacts.uris import UriMap, unquote
from consist_es.errors import PathError
from consist_es.text import counted, shortened, shown

T = TypeVar("T")

_LONGEST = 200
"""Most characters of a part of a `repr`."""


@runtime_checkable
class ArtifactLike(Protocol):
    """Anything that can stand for a file if tracking may be off."""

    @property
    def path(self) -> Path: ...

    @property
    def container_uri(self) -> str: ...


def is_like_artifact(value: object) -> TypeGuard[ArtifactLike]:
    """True if it can stand for a file. What `isinstance` says of the protocol, in a fraction of the time."""
    return isinstance(value, Artifact) or (hasattr(value, "container_uri") and hasattr(value, "path"))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Artifact(os.PathLike[str]):
    """One recorded file or folder.

    Usable wherever a path is: ``open(artifact)``, ``pandas.read_parquet(artifact)``. Two artifacts are equal if they
    are the same record (`id`); the same bytes logged twice are two records with one `hash`. An artifact made by hand
    needs `key` and `container_uri`.
    """

    key: str
    """The name it was first recorded under."""
    container_uri: str
    """Portable URI, see `consist_es.artifacts.uris`."""
    id: UUID = field(default_factory=uuid4)
    driver: str = ""
    """Name of the file format; by default that of the suffix."""
    hash: str | None = None
    """Digest of the content when it was recorded; None if there was nothing to digest."""
    kind: str = "file"
    """``file``, ``folder`` or ``missing``."""
    size: int | None = None
    """Bytes."""
    mtime_ns: int | None = None
    run_id: str | None = None
    """Id of the run that made it; None for an external file."""
    producer: str | None = None
    """Unique key of that run."""
    table_path: str | None = None
    array_path: str | None = None
    parent_artifact_id: UUID | None = None
    schema: Mapping[str, str] | None = None
    """Column name -> type, for tabular files with a readable schema."""
    rows: int | None = None
    facet: Any = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = field(default_factory=lambda: datetime.now(UTC))
    uris: UriMap | None = field(default=None, repr=False)
    """Resolves URIs on this machine."""
    root: str | None = field(default=None, repr=False)
    """The run directory that `container_uri` was made for."""

    def __post_init__(self) -> None:
        if not self.driver:
            object.__setattr__(self, "driver", driver_of(Path(self.container_uri), folder=False))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Artifact:
        """A copy, with other values for the fields in `update`; `deep` copies what the fields hold, too.

        Raises:
            TypeError: `update` names no field.
        """
        return replace(copy.deepcopy(self) if deep else self, **(update or {}))

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        words = [*self._words(), f"made by {self.run_id}" if self.run_id else "from outside", self.container_uri]
        return f"<Artifact {shown(shortened(self.key, _LONGEST))}: {shown(shortened(', '.join(words), _LONGEST))}>"

    def _repr_html_(self) -> str:
        """Where it lies, what made it and its columns, for a notebook."""
        from consist_es.notebook import box

        rows = [("where", self.container_uri), ("made by", self.run_id), ("digest", self.hash), ("id", self.id)]
        rows = [row for row in rows if row[1] is not None]
        rows += [(f"column {name}", kind) for name, kind in (self.schema or {}).items()]
        return box(self.key, ", ".join(self._words()), rows, total=len(rows))

    def _words(self) -> list[str]:
        """Format, rows and size."""
        rows = None if self.rows is None else counted(self.rows, "row")
        size = None if self.size is None else counted(self.size, "byte")
        return [word for word in (self.driver, rows, size) if word]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Artifact) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def path(self) -> Path:
        """Path of the bytes: its own place, or a recovery copy with the recorded bytes if nothing is there.

        What lies in its own place may have been changed since it was recorded.
        """
        own = self.own_path
        if self.uris is None or self.uris.elsewhere is None or own.exists():
            return own
        return self.uris.elsewhere.look(self).path or own

    @property
    def own_path(self) -> Path:
        """The first of `own_places` where something lies, else the first one."""
        places = self.own_places
        return next((place for place in places if place.exists()), places[0])

    @property
    def locations(self) -> tuple[Path, ...]:
        """Every place the bytes may lie, best first: `own_places`, then recovery copies, which nobody has looked at."""
        elsewhere = None if self.uris is None else self.uris.elsewhere
        more = () if elsewhere is None else elsewhere.places(self)
        return tuple(dict.fromkeys((*self.own_places, *more)))

    @property
    def recovery_roots(self) -> list[str]:
        """Folders that recovery copies of it were put below; see docs/recovery.md."""
        elsewhere = None if self.uris is None else self.uris.elsewhere
        return [] if elsewhere is None else list(elsewhere.roots(self))

    @property
    def own_places(self) -> tuple[Path, ...]:
        """Where it was recorded, best first: below today's roots, then below those of then."""
        uris = self.uris or UriMap(run_dir=unquote(self.root) if self.root else os.curdir)
        here = uris.resolve(self.container_uri)
        if not self.root or self.root == uris.root:
            return (here,)
        try:
            there = uris.resolve(self.container_uri, run_dir=self.root)
        except PathError:  # the root is from a log, which anybody may have written
            there = here
        return tuple(dict.fromkeys((here, there)))

    @property
    def abs_path(self) -> str:
        """`path` as text."""
        return str(self.path)

    @property
    def digest(self) -> str | None:
        """The same as `hash`."""
        return self.hash

    @property
    def uri(self) -> str:
        """The same as `container_uri`."""
        return self.container_uri

    @property
    def is_tabular(self) -> bool:
        """True if its format holds a table."""
        return self.driver in TABULAR_DRIVERS

    @property
    def is_matrix(self) -> bool:
        """True if its format holds arrays."""
        return self.driver in MATRIX_DRIVERS

    @property
    def created_at_iso(self) -> str | None:
        """`created_at` as RFC 3339 text."""
        return self.created_at.isoformat() if self.created_at else None

    def get_meta(self, key: str, default: T | None = None) -> Any | T | None:
        """One metadata value."""
        return self.meta.get(key, default)

    def as_path(self, tracker: object = None) -> Path:
        """The same as `path`; `tracker` is accepted for compatibility and not needed."""
        return self.path

    def as_df(self, tracker: Any = None, **options: Any) -> Any:
        """The table in it as a pandas DataFrame, see `consist_es.load_df`."""
        from consist_es.artifacts.drivers.loading import load_df

        return load_df(self, tracker=tracker, **options)
