"""What to record of the tables inside an HDF5 file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class H5ChildSpec:
    """One table of an HDF5 file: the key of its artifact, and what to record about it."""

    key: str | None = None
    description: str | None = None
    facet: Any = None
    facet_schema_version: str | int | None = None
    facet_index: bool = False
    metadata: Mapping[str, Any] | None = None
