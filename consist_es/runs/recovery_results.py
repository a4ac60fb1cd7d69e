"""What archiving and hydrating give: one line per output, by key."""

from __future__ import annotations

from collections import Counter
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from consist_es.artifacts.artifact import Artifact

HYDRATED = "materialized_from_filesystem"
PRESERVED = "preserved_existing"
MISSING = "missing_source"
FAILED = "failed"
REGISTERED = "registered"
_HYDRATIONS = (HYDRATED, PRESERVED, MISSING, FAILED)
_REGISTRATIONS = (REGISTERED, "missing_copy", "hash_mismatch", "symlink_destination", "unverifiable_hash", FAILED)


class ArchivedOutputs(dict[str, Path]):
    """Key -> place of the copy; the artifacts, which know their copies, are in `outputs`."""

    def __init__(self, paths: Mapping[str, Path], outputs: Mapping[str, Artifact]) -> None:
        super().__init__(paths)
        self.outputs = dict(outputs)

    @property
    def paths(self) -> dict[str, Path]:
        """The same as a plain dict."""
        return dict(self)


class HydratedRunOutput(msgspec.Struct, frozen=True):
    """One output that was to be put somewhere."""

    key: str
    artifact: Artifact
    """The artifact; if it was put there, at `path`."""
    path: Path | None
    """The place that has its bytes now, or is still empty; None if other bytes lie there."""
    status: str
    """``materialized_from_filesystem``, ``preserved_existing`` (its bytes were there), ``missing_source`` (no place has
    them) or ``failed``."""
    message: str | None = None
    """What is wrong, and what to do."""
    resolvable: bool = False
    """True if `path` has its bytes."""

    @property
    def reason(self) -> str | None:
        """The same as `message`."""
        return self.message


class MaterializedArtifact(msgspec.Struct, frozen=True):
    """As `HydratedRunOutput`, for one artifact, with the place that its bytes came from."""

    artifact: Artifact
    key: str
    path: Path | None
    source_path: Path | None
    target_path: Path
    status: str
    message: str | None = None
    resolvable: bool = False


class ArtifactRecoveryCopyRegistration(msgspec.Struct, frozen=True):
    """One copy that was to be registered."""

    artifact: Artifact
    key: str
    artifact_id: str
    recovery_root: Path
    expected_path: Path | None
    """Where the copy has to lie."""
    status: str
    """``registered``, ``missing_copy``, ``hash_mismatch``, ``symlink_destination``, ``unverifiable_hash`` (only sizes
    and times were recorded) or ``failed``."""
    message: str | None = None
    metadata_updated: bool = False
    verification_succeeded: bool = False
    """True if the bytes were digested and are the recorded ones."""


class _Row(Protocol):
    @property
    def status(self) -> str: ...


_T = TypeVar("_T", bound=_Row)


class _ByKey(Generic[_T]):
    """Rows by key, usable as a mapping."""

    _ORDER: tuple[str, ...] = ()

    def __init__(self, outputs: Mapping[str, _T]) -> None:
        self.outputs = dict(outputs)

    def __getitem__(self, key: str) -> _T:
        return self.outputs[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)

    def __contains__(self, key: object) -> bool:
        return key in self.outputs

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary}>"

    def get(self, key: str, default: _T | None = None) -> _T | None:
        return self.outputs.get(key, default)

    def keys(self) -> KeysView[str]:
        return self.outputs.keys()

    def values(self) -> ValuesView[_T]:
        return self.outputs.values()

    def items(self) -> ItemsView[str, _T]:
        return self.outputs.items()

    @property
    def summary(self) -> str:
        """Numbers by status: ``registered=2 missing_copy=0 …``."""
        counts = Counter(row.status for row in self.outputs.values())
        return " ".join(f"{status}={counts[status]}" for status in self._ORDER)


class HydratedRunOutputsResult(_ByKey[HydratedRunOutput]):
    """The outputs of a run that were to be put somewhere, by key."""

    _ORDER = _HYDRATIONS

    def __init__(self, outputs: Mapping[str, HydratedRunOutput], source_run_id: str | None = None) -> None:
        super().__init__(outputs)
        self.source_run_id = source_run_id

    @property
    def paths(self) -> dict[str, Path]:
        """Key -> place, of those that are in place."""
        return {key: item.path for key, item in self.items() if item.resolvable and item.path is not None}

    @property
    def resolvable(self) -> dict[str, HydratedRunOutput]:
        """Those that are in place."""
        return {key: item for key, item in self.items() if item.resolvable}

    @property
    def failed_keys(self) -> list[str]:
        """Keys of those that are not."""
        return [key for key, item in self.items() if not item.resolvable]

    @property
    def complete(self) -> bool:
        """True if all are in place."""
        return not self.failed_keys


class RunOutputRecoveryCopiesRegistration(_ByKey[ArtifactRecoveryCopyRegistration]):
    """The copies of a run's outputs that were to be registered, by key."""

    _ORDER = _REGISTRATIONS

    @property
    def registered(self) -> dict[str, ArtifactRecoveryCopyRegistration]:
        """Those that count from now on."""
        return {key: item for key, item in self.items() if item.status == REGISTERED}

    @property
    def blocked(self) -> dict[str, ArtifactRecoveryCopyRegistration]:
        """Those that do not."""
        return {key: item for key, item in self.items() if item.status != REGISTERED}

    @property
    def complete(self) -> bool:
        """True if all were registered."""
        return not self.blocked


class MaterializationResult(msgspec.Struct, frozen=True):
    """`HydratedRunOutputsResult` in lists by status."""

    materialized_from_filesystem: dict[str, str] = {}
    """Key -> path."""
    materialized_from_db: dict[str, str] = {}
    """Always empty: data is kept in files."""
    skipped_existing: list[str] = []
    skipped_unmapped: list[str] = []
    """Always empty: an output outside the run directory and the mounts is put under its file's name."""
    skipped_missing_source: list[str] = []
    failed: list[tuple[str, str]] = []
    """(key, reason)."""

    @property
    def materialized(self) -> dict[str, str]:
        """Key -> path of all that were copied."""
        return dict(self.materialized_from_filesystem)

    @property
    def has_failures(self) -> bool:
        """True if some could not be put in place though their bytes are somewhere."""
        return bool(self.failed)

    @property
    def complete(self) -> bool:
        """True if all are in place."""
        return not self.failed and not self.skipped_missing_source

    @property
    def summary(self) -> str:
        """Numbers by status."""
        counts = {
            "materialized_fs": self.materialized_from_filesystem,
            "materialized_db": self.materialized_from_db,
            "skipped_existing": self.skipped_existing,
            "skipped_unmapped": self.skipped_unmapped,
            "skipped_missing_source": self.skipped_missing_source,
            "failed": self.failed,
        }
        return " ".join(f"{name}={len(items)}" for name, items in counts.items())


def in_lists(found: HydratedRunOutputsResult) -> MaterializationResult:
    """The same result by status."""
    rows = found.items()
    return MaterializationResult(
        materialized_from_filesystem={key: str(row.path) for key, row in rows if row.status == HYDRATED},
        materialized_from_db={},
        skipped_existing=[key for key, row in rows if row.status == PRESERVED],
        skipped_unmapped=[],
        skipped_missing_source=[key for key, row in rows if row.status == MISSING],
        failed=[(key, row.message or "") for key, row in rows if row.status == FAILED],
    )
