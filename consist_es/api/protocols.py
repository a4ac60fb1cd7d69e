"""What code that works with and without tracking needs: bases for protocols and annotations of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from consist_es.artifacts.artifact import ArtifactLike
from consist_es.runs.run import RunResultLike


@runtime_checkable
class ArtifactRecordLike(ArtifactLike, Protocol):
    """An artifact that knows its format."""

    @property
    def driver(self) -> str: ...


@runtime_checkable
class RunIdentifiedResultLike(RunResultLike, Protocol):
    """A result that knows its run."""

    @property
    def run(self) -> Any: ...


@runtime_checkable
class ScenarioLike(Protocol):
    """Anything that runs steps in a scenario, tracked or not."""

    def run(self, *args: Any, **kwargs: Any) -> Any: ...

    def trace(self, *args: Any, **kwargs: Any) -> Any: ...


@runtime_checkable
class TrackerLike(Protocol):
    """Anything that opens scenarios and logs files, tracked or not."""

    def scenario(self, name: str, **kwargs: Any) -> Any: ...

    def log_artifacts(self, outputs: Mapping[str, Any], **kwargs: Any) -> Mapping[str, Any]: ...

    def log_input(self, path: Any, key: str | None = None, **kwargs: Any) -> Any: ...

    def log_output(self, path: Any, key: str | None = None, **kwargs: Any) -> Any: ...


@runtime_checkable
class HasConsistFacet(Protocol):
    """A config that says which of its values runs are found by."""

    def to_consist_facet(self) -> Any: ...


@runtime_checkable
class HasFacetSchemaVersion(Protocol):
    """A config that names the version of the names in its facet."""

    @property
    def facet_schema_version(self) -> str | int | None: ...
