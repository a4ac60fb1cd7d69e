"""The logging calls for HDF5 files and their tables, a base of `LogCalls`."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from consist_es.artifacts.artifact import Artifact, ArtifactLike

if TYPE_CHECKING:
    from consist_es.execution.active import ActiveRun
    from consist_es.steps.h5 import H5ChildSpec


class H5Calls(ABC):
    """Records an HDF5 file as one artifact, and each of its tables as another."""

    @abstractmethod
    def _logging(self, call: str) -> ActiveRun: ...

    def log_h5_container(
        self,
        /,
        path: str | os.PathLike[str] | ArtifactLike,
        key: str | None = None,
        direction: str = "output",
        discover_tables: bool = True,
        table_filter: Callable[[str], bool] | Iterable[str] | None = None,
        hash_tables: str = "if_unchanged",
        table_hash_chunk_rows: int | None = None,
        child_specs: Mapping[str, H5ChildSpec] | None = None,
        child_selection: str = "all",
        container_recovery_unit: str | None = None,
        child_recovery_policy: str | None = None,
        representation_policy: object = None,
        *,
        enabled: bool = True,
        **metadata: Any,
    ) -> tuple[Artifact, list[Artifact]]:
        """Record an HDF5 file, and each table in it as a part of it: ``(container, [children])``.

        A child has the container's path and digest, its `table_path` and `parent_artifact_id`: it is there whenever the
        file is, and a recovery copy of the file brings it back.

        Args:
            path: where it is; or an Artifact.
            key: its name; by default that of the file. Children are called ``<key>_<path in the file>``.
            direction: ``output`` or ``input``.
            discover_tables: False records the file alone, and does not look into it.
            table_filter: which tables to record: a function of their path, ``/households``, or a list of paths.
            hash_tables, table_hash_chunk_rows: for compatibility; tables count by the digest of their file, which is
                always taken.
            child_specs: path -> key, description, facet and metadata of a child.
            child_selection: ``all`` tables, or ``include_only`` those in `child_specs`.
            container_recovery_unit, child_recovery_policy, representation_policy: kept as metadata. The file is what
                is copied and restored; ``derived_children`` and ``independent`` ask for something else, and are
                refused.
            enabled: False records nothing, see `log_artifact`.
            metadata: for the container, as of `log_artifact`.

        Raises:
            MissingExtraError: h5py is not installed. InputError: the file is not HDF5.
            OptionError: an unknown word. UsageTypeError: specs or a filter of another form.
            UsageError: two children of one key; and as `log_artifact`.
        """
        if not enabled:
            from consist_es.execution.log_notes import unlogged

            return unlogged(path, key, None, metadata), []
        active = self._logging("log_h5_container()")
        from consist_es.execution import h5_log  # few steps log HDF5

        wanted = h5_log.Wanted.of(discover_tables, table_filter, child_specs, child_selection)
        policies = {
            "container_recovery_unit": container_recovery_unit,
            "child_recovery_policy": child_recovery_policy,
            "representation_policy": representation_policy,
        }
        h5_log.check_options(hash_tables, policies)
        return h5_log.log_container(active, path, key, direction, wanted, {**metadata, **h5_log.given(policies)})

    def log_h5_table(
        self,
        /,
        path: str | os.PathLike[str] | ArtifactLike,
        key: str | None = None,
        table_path: str | None = None,
        direction: str = "output",
        *,
        parent: Artifact | None = None,
        hash_table: bool = True,
        table_hash_chunk_rows: int | None = None,
        file_schema_sample_rows: int | None = None,
        enabled: bool = True,
        **metadata: Any,
    ) -> Artifact:
        """Record one table of an HDF5 file, without looking for others.

        Args:
            path: the file; or an Artifact of it.
            key: by default ``<name of the file>_<path in it>``.
            table_path: its path in the file, ``/households``.
            direction: ``output`` or ``input``.
            parent: the artifact of the file, as `log_h5_container` gives it.
            hash_table, table_hash_chunk_rows, file_schema_sample_rows: for compatibility; a table counts by the digest
                of its file, and its columns are recorded.
            enabled: False records nothing.
            metadata: description, facet and all else that `log_artifact` takes.

        Raises:
            MissingExtraError: h5py is not installed. InputError: the file is not HDF5, or has no such table.
            UsageError: no `table_path`; and as `log_artifact`.
        """
        if not enabled:
            from consist_es.execution.log_notes import unlogged

            return unlogged(path, key, None, metadata)
        active = self._logging("log_h5_table()")
        from consist_es.execution import h5_log  # few steps log HDF5

        return h5_log.log_table(active, path, key, direction, table_path, parent, metadata)
