"""The logging calls for model code, shared by `RunContext` and `Tracker`."""

from __future__ import annotations

import inspect
import os
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

from consist_es.artifacts.artifact import Artifact, ArtifactLike
from consist_es.artifacts.frames import frame_driver, write_frame
from consist_es.checks import check_key
from consist_es.errors import NoActiveRunError, UsageError, UsageTypeError
from consist_es.execution.active import ActiveRun, OutputCapture
from consist_es.execution.h5_calls import H5Calls
from consist_es.execution.log_notes import NOT_FOR_FRAMES, check_metadata, notes_of, unlogged, without_defaults

Place = str | os.PathLike[str]
Loggable = str | os.PathLike[str] | ArtifactLike
P = ParamSpec("P")
T = TypeVar("T")


def same_as(method: Callable[P, T]) -> Callable[[Callable[..., T]], Callable[P, T]]:
    """Decorator: gives a forwarding method the signature of `method`, also for type checkers."""

    def signed(fn: Callable[..., T]) -> Callable[P, T]:
        fn.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]
        return fn

    return signed


def as_function(method: Callable[Concatenate[Any, P], T]) -> Callable[[Callable[..., T]], Callable[P, T]]:
    """As `same_as`, for a function: without `self`."""

    def signed(fn: Callable[..., T]) -> Callable[P, T]:
        signature = inspect.signature(method)
        fn.__signature__ = signature.replace(parameters=[*signature.parameters.values()][1:])  # type: ignore[attr-defined]
        return fn

    return signed


class LogCalls(H5Calls):
    """Records files, tables and metadata of a run: base of `RunContext`, and of `Tracker` for the executing run."""

    @abstractmethod
    def _logging(self, call: str) -> ActiveRun:
        """The run that this call is for.

        Raises:
            NoActiveRunError: there is none.
        """

    def log_artifact(
        self,
        /,
        path: Loggable,
        key: str | None = None,
        direction: str = "output",
        schema: object = None,
        *,
        driver: str | None = None,
        table_path: str | None = None,
        array_path: str | None = None,
        content_hash: str | None = None,
        force_hash_override: bool = False,
        validate_content_hash: bool = False,
        facet: object = None,
        facet_schema_version: str | int | None = None,
        facet_index: bool = False,
        profile_file_schema: bool | str | None = None,
        parent_artifact_id: UUID | str | None = None,
        enabled: bool = True,
        recovery_roots: Place | Sequence[Place] | None = None,
        meta: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> Artifact:
        """Record a file or folder, or an Artifact again, as an output or input of the run.

        Args:
            path: where it is, for example a path from `consist_es.output_path`.
            key: its name; an Artifact has one already.
            direction: ``output`` or ``input``. A later hit requires that an input is unchanged.
            driver: its format, if the suffix does not tell.
            table_path, array_path: the table or array inside the file that is meant.
            facet, facet_schema_version: values to find it by.
            schema: a class, or a name; its table and columns are kept as metadata.
            content_hash: a digest that the bytes are said to have; see docs/moving.md.
            force_hash_override: record a claim that is not that of the bytes, instead of refusing it.
            validate_content_hash: refuse a claim that cannot be checked.
            profile_file_schema: for compatibility; columns of a table are always recorded.
            parent_artifact_id: id of the artifact that this one is part of.
            enabled: False records nothing and returns a `NoopArtifact`, also outside of a step.
            recovery_roots: folders below which copies of it are to be looked for, see docs/recovery.md.
            meta: metadata by name, of any name.
            metadata: all other keywords are metadata too. Values need a plain form.

        Raises:
            UsageError: a path without a key. KeyNameError: a bad key. OptionError: no such direction.
            UsageTypeError: a keyword close to a parameter's name, or one of LBNL's consist that does nothing here.
            InputError: the file is there and cannot be read. ContentHashError: it is not what `content_hash` says.
            ConfigTypeError: metadata without a plain form.
            NoActiveRunError, ClosedError: no step is executing, or this one has ended.
        """
        if not enabled:
            return unlogged(path, key, meta, metadata)
        active = self._logging("log_artifact()")
        notes = notes_of(
            schema,
            driver=driver,
            table_path=table_path,
            array_path=array_path,
            content_hash=content_hash,
            force_hash_override=force_hash_override,
            validate_content_hash=validate_content_hash,
            facet=facet,
            facet_schema_version=facet_schema_version,
            parent_artifact_id=parent_artifact_id,
            known=active.schemas,
            recovery_roots=recovery_roots,
            meta=meta,
            **metadata,
        )
        return active.log(path, key, direction, notes)

    def log_input(
        self,
        /,
        path: Loggable,
        key: str | None = None,
        schema: object = None,
        *,
        driver: str | None = None,
        table_path: str | None = None,
        array_path: str | None = None,
        content_hash: str | None = None,
        force_hash_override: bool = False,
        validate_content_hash: bool = False,
        facet: object = None,
        facet_schema_version: str | int | None = None,
        facet_index: bool = False,
        profile_file_schema: bool | str | None = None,
        parent_artifact_id: UUID | str | None = None,
        enabled: bool = True,
        recovery_roots: Place | Sequence[Place] | None = None,
        meta: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> Artifact:
        """`log_artifact` with direction ``input``. A later hit requires that the file is unchanged."""
        if not enabled:
            return unlogged(path, key, meta, metadata)
        active = self._logging("log_input()")
        notes = notes_of(
            schema,
            driver=driver,
            table_path=table_path,
            array_path=array_path,
            content_hash=content_hash,
            force_hash_override=force_hash_override,
            validate_content_hash=validate_content_hash,
            facet=facet,
            facet_schema_version=facet_schema_version,
            parent_artifact_id=parent_artifact_id,
            known=active.schemas,
            recovery_roots=recovery_roots,
            meta=meta,
            **metadata,
        )
        return active.log(path, key, "input", notes)

    @same_as(log_input)
    def log_output(
        self, /, path: Loggable, key: str | None = None, schema: object = None, *, enabled: bool = True, **options: Any
    ) -> Artifact:
        """`log_artifact` with direction ``output``; takes what `log_input` takes."""
        if not enabled:
            return unlogged(path, key, options.get("meta"), {})
        active = self._logging("log_output()")
        return active.log(path, key, "output", notes_of(schema, known=active.schemas, **options))

    def log_artifacts(
        self,
        /,
        outputs: Mapping[str, Loggable],
        direction: str = "output",
        driver: str | None = None,
        metadata_by_key: Mapping[str, Mapping[str, Any]] | None = None,
        facets_by_key: Mapping[str, object] | None = None,
        facet_schema_versions_by_key: Mapping[str, str | int] | None = None,
        facet_index: bool = False,
        *,
        enabled: bool = True,
        recovery_roots: Place | Sequence[Place] | None = None,
        meta: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> dict[str, Artifact]:
        """`log_artifact` for each key and path, in the order of the mapping; all arguments are checked first.

        Args:
            outputs: key -> path. All get the same `direction`, `driver` and metadata.
            metadata_by_key, facets_by_key, facet_schema_versions_by_key: more for some of them, by key.

        Raises:
            UsageTypeError: not a mapping of str. UsageError: a value is None, or a per-key map names another key.
        """
        texts, facets, versions = metadata_by_key or {}, facets_by_key or {}, facet_schema_versions_by_key or {}
        if not isinstance(outputs, Mapping):
            raise UsageTypeError(f"log_artifacts() takes a mapping of key to path, not {type(outputs).__name__}.")
        if not enabled:
            return {key: unlogged(path, key, meta, metadata) for key, path in outputs.items()}
        active = self._logging("log_artifacts()")
        metadata = without_defaults(metadata)
        check_metadata(metadata)
        for key, path in outputs.items():
            check_key(key, "artifact key")
            if path is None:
                raise UsageError(f"log_artifacts(): {key!r} is None; leave it out, or give its path.")
        per_key: dict[str, Mapping[str, Any]] = {
            "metadata_by_key": texts,
            "facets_by_key": facets,
            "facet_schema_versions_by_key": versions,
        }
        for name, mapping in per_key.items():
            if extra := sorted(set(mapping) - set(outputs)):
                raise UsageError(f"log_artifacts(): {name} names {extra}, which are not among the outputs.")
        logged = {}
        for key, path in outputs.items():
            own = texts.get(key, {})
            notes = notes_of(
                driver=driver,
                facet=facets.get(key),
                facet_schema_version=versions.get(key),
                recovery_roots=recovery_roots,
                meta={**(meta or {}), **own},
                **{name: value for name, value in metadata.items() if name not in own},
            )
            logged[key] = active.log(path, key, direction, notes)
        return logged

    def log_dataframe(
        self,
        /,
        df: object,
        key: str,
        schema: object = None,
        direction: str = "output",
        path: Place | None = None,
        driver: str | None = None,
        meta: Mapping[str, Any] | None = None,
        enabled: bool = True,
        recovery_roots: Place | Sequence[Place] | None = None,
        **to_file_options: Any,
    ) -> Artifact:
        """Write a DataFrame to `path`, or into the run's folder, and record it.

        The format is `driver`, else that of the path's suffix, else Parquet.
        Keywords go to the DataFrame's method for the format, for example ``to_parquet`` or ``to_csv``.

        Raises:
            OptionError: another driver. UsageTypeError: not a DataFrame.
            UsageError: an unknown suffix, or content or a keyword that the format's method does not take.
        """
        if not enabled:
            return unlogged(f"{key}.parquet" if path is None else path, key, meta, {})
        active = self._logging("log_dataframe()")
        to_file_options = without_defaults(to_file_options)
        check_metadata({name: None for name in to_file_options if name in NOT_FOR_FRAMES})
        check_key(key, "artifact key")
        target = None if path is None else active.journal.uris.resolve_given(path)
        form = frame_driver(target, driver)
        target = active.output_path(key, form) if target is None else target
        write_frame(df, target, form, to_file_options)
        notes = notes_of(schema, driver=driver, meta=meta, recovery_roots=recovery_roots, known=active.schemas)
        return active.log(target, key, direction, notes)

    def log_meta(self, /, **kwargs: Any) -> None:
        """Merge metadata into the record of the run; later values win key by key."""
        self._logging("log_meta()").log_meta(kwargs)

    def capture_outputs(
        self, directory: Place, pattern: str = "*", recursive: bool = False
    ) -> AbstractContextManager[OutputCapture]:
        """Record the files that appear in `directory` while the block runs; they are in `.artifacts` after it."""
        return self._logging("capture_outputs()").capture_outputs(directory, pattern, recursive=recursive)


class Unlogged(LogCalls):
    """The logging calls outside of any run: they work with ``enabled=False`` alone."""

    def _logging(self, call: str) -> ActiveRun:
        raise NoActiveRunError(call)
