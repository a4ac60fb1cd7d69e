"""The logging calls for model code, shared by `RunContext` and `Tracker`."""

from __future__ import annotations

import inspect
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Concatenate, ParamSpec, TypeVar

from consist_es.artifacts.artifact import Artifact, ArtifactLike
from consist_es.artifacts.describe import ArtifactNotes
from consist_es.artifacts.frames import frame_driver, write_frame
from consist_es.checks import check_key
from consist_es.errors import UsageError, UsageTypeError
from consist_es.execution.active import ActiveRun, OutputCapture
from consist_es.text import nearest

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


class LogCalls(ABC):
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
        facet: object = None,
        facet_schema_version: str | int | None = None,
        facet_index: bool = False,
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
            schema, content_hash: kept as metadata; bytes are digested in any case.
            meta: metadata by name, of any name.
            metadata: all other keywords are metadata too. Values need a plain form.

        Raises:
            UsageError: a path without a key. KeyNameError: a bad key. OptionError: no such direction.
            UsageTypeError: a keyword close to a parameter's name, or one of LBNL's consist that does nothing here.
            InputError: the file is there and cannot be read. ConfigTypeError: metadata without a plain form.
            NoActiveRunError, ClosedError: no step is executing, or this one has ended.
        """
        active = self._logging("log_artifact()")
        notes = notes_of(
            schema,
            driver=driver,
            table_path=table_path,
            array_path=array_path,
            content_hash=content_hash,
            facet=facet,
            facet_schema_version=facet_schema_version,
            meta=meta,
            **metadata,
        )
        return active.log(path, key, direction, notes)

    def log_input(
        self,
        /,
        path: Loggable,
        key: str | None = None,
        *,
        schema: object = None,
        driver: str | None = None,
        table_path: str | None = None,
        array_path: str | None = None,
        content_hash: str | None = None,
        facet: object = None,
        facet_schema_version: str | int | None = None,
        facet_index: bool = False,
        meta: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> Artifact:
        """`log_artifact` with direction ``input``. A later hit requires that the file is unchanged."""
        active = self._logging("log_input()")
        notes = notes_of(
            schema,
            driver=driver,
            table_path=table_path,
            array_path=array_path,
            content_hash=content_hash,
            facet=facet,
            facet_schema_version=facet_schema_version,
            meta=meta,
            **metadata,
        )
        return active.log(path, key, "input", notes)

    @same_as(log_input)
    def log_output(self, /, path: Loggable, key: str | None = None, **options: Any) -> Artifact:
        """`log_artifact` with direction ``output``; takes what `log_input` takes."""
        return self._logging("log_output()").log(path, key, "output", notes_of(**options))

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
        active = self._logging("log_artifacts()")
        texts, facets, versions = metadata_by_key or {}, facets_by_key or {}, facet_schema_versions_by_key or {}
        if not isinstance(outputs, Mapping):
            raise UsageTypeError(f"log_artifacts() takes a mapping of key to path, not {type(outputs).__name__}.")
        _check_metadata(metadata)
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
        **to_file_options: Any,
    ) -> Artifact:
        """Write a DataFrame to `path`, or into the run's folder, and record it.

        The format is `driver`, else that of the path's suffix, else Parquet.
        Keywords go to the DataFrame's method for the format, for example ``to_parquet`` or ``to_csv``.

        Raises:
            OptionError: another driver. UsageTypeError: not a DataFrame.
            UsageError: an unknown suffix, or content or a keyword that the format's method does not take.
        """
        active = self._logging("log_dataframe()")
        if foreign := sorted(_ELSEWHERE & to_file_options.keys()):
            _check_metadata({foreign[0]: None})
        check_key(key, "artifact key")
        target = None if path is None else active.journal.uris.resolve_given(path)
        form = frame_driver(target, driver)
        target = active.output_path(key, form) if target is None else target
        write_frame(df, target, form, to_file_options)
        return active.log(target, key, direction, notes_of(schema, driver=driver, meta=meta))

    def log_meta(self, /, **kwargs: Any) -> None:
        """Merge metadata into the record of the run; later values win key by key."""
        self._logging("log_meta()").log_meta(kwargs)

    def capture_outputs(
        self, directory: Place, pattern: str = "*", recursive: bool = False
    ) -> AbstractContextManager[OutputCapture]:
        """Record the files that appear in `directory` while the block runs; they are in `.artifacts` after it."""
        return self._logging("capture_outputs()").capture_outputs(directory, pattern, recursive=recursive)


def notes_of(
    schema: Any = None,
    *,
    driver: str | None = None,
    table_path: str | None = None,
    array_path: str | None = None,
    content_hash: str | None = None,
    facet: Any = None,
    facet_schema_version: str | int | None = None,
    facet_index: bool = False,
    **more: Any,
) -> ArtifactNotes:
    """Notes from the keywords of the logging calls; all other keywords are metadata, and so is `meta`.

    Bytes are always digested; the caller's `content_hash` is kept as metadata beside the digest.

    Raises:
        UsageTypeError: a keyword close to one of these, or one of LBNL's consist that does nothing here.
    """
    meta = more.pop("meta", None)
    if not isinstance(meta or {}, Mapping):
        raise UsageTypeError(f"meta takes a mapping of name to value, not {type(meta).__name__}: {meta!r}.")
    _check_metadata(more)
    meta = {**more, **(meta or {})}
    if content_hash is not None:
        meta["content_hash"] = content_hash
    if schema is not None:
        meta["schema_name"] = getattr(schema, "__name__", str(schema))
    return ArtifactNotes(
        driver=driver,
        table_path=table_path,
        array_path=array_path,
        facet=facet,
        facet_schema_version=facet_schema_version,
        meta=meta,
    )


_PARAMETERS = (
    "path",
    "key",
    "direction",
    "schema",
    "driver",
    "table_path",
    "array_path",
    "content_hash",
    "facet",
    "facet_schema_version",
    "facet_index",
    "meta",
)
_ELSEWHERE = frozenset(
    {
        "enabled",
        "file_schema_sample_rows",
        "force_hash_override",
        "parent_artifact_id",
        "profile_file_schema",
        "recovery_roots",
        "reuse_if_unchanged",
        "reuse_scope",
        "strict_schema",
        "validate_content_hash",
    }
)
"""Keywords that have a meaning in LBNL's consist and none here."""


def _check_metadata(given: Mapping[str, Any]) -> None:
    """Refuse keywords that are hardly meant as metadata: they would silently do nothing."""
    for name in given:
        if name in _ELSEWHERE:
            problem = f"Keyword {name!r} does nothing here, though LBNL's consist has it: leave it out"
        elif (near := nearest(name, _PARAMETERS)) is not None:
            problem = f"Keyword {name!r} is not known. Is {near!r} meant? Correct it"
        else:
            continue
        raise UsageTypeError(f"{problem}, or give it as metadata: meta={{{name!r}: …}}.")
