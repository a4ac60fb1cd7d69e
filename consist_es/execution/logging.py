"""The public logging calls, one implementation for context, tracker and module: each is given the run it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import ArtifactNotes
from consist_es.artifacts.frames import frame_driver, write_frame
from consist_es.checks import check_key
from consist_es.errors import UsageError, UsageTypeError
from consist_es.execution.active import ActiveRun
from consist_es.text import nearest


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
    """The keywords of the logging calls; what is none of them is metadata, and so is all of `meta`.

    Bytes are always digested; a `content_hash` of the caller's is kept as metadata beside the digest.

    Raises:
        UsageTypeError: a keyword that is nearly one of these, or that other libraries know and this one does not.
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
"""Keywords that ask LBNL's consist for something, and this library for nothing."""


def _check_metadata(given: Mapping[str, Any]) -> None:
    """Refuse keywords that are hardly meant as metadata: they would do nothing, and nobody would notice."""
    for name in given:
        if name in _ELSEWHERE:
            problem = f"Keyword {name!r} does nothing here, though LBNL's consist has it: leave it out"
        elif (near := nearest(name, _PARAMETERS)) is not None:
            problem = f"Keyword {name!r} is not known. Is {near!r} meant? Correct it"
        else:
            continue
        raise UsageTypeError(f"{problem}, or give it as metadata: meta={{{name!r}: …}}.")


def log_artifact(
    active: ActiveRun, path: Any, key: str | None = None, direction: str = "output", schema: Any = None, **options: Any
) -> Artifact:
    """Record a file or folder (or an Artifact again) as an output or input of the run.

    `key` is its name; an Artifact brings its own. Keywords: driver, table_path, array_path, facet,
    facet_schema_version, content_hash, meta (a mapping); all others are metadata, and need a plain form.

    Raises:
        UsageError: a path without a key. KeyNameError: a bad key. OptionError: no such direction.
        UsageTypeError: a keyword that is nearly a parameter, or one of LBNL's consist that does nothing here.
        InputError: the file is there and cannot be read. ConfigTypeError: metadata without a plain form.
    """
    return active.log(path, key, direction, notes_of(schema, **options))


def log_input(active: ActiveRun, path: Any, key: str | None = None, **options: Any) -> Artifact:
    """`log_artifact` with direction ``input``. A later hit requires that the file is unchanged."""
    return log_artifact(active, path, key, "input", **options)


def log_output(active: ActiveRun, path: Any, key: str | None = None, **options: Any) -> Artifact:
    """`log_artifact` with direction ``output``."""
    return log_artifact(active, path, key, "output", **options)


def log_artifacts(
    active: ActiveRun,
    outputs: Mapping[str, Any],
    direction: str = "output",
    driver: str | None = None,
    metadata_by_key: Mapping[str, Mapping[str, Any]] | None = None,
    facets_by_key: Mapping[str, Any] | None = None,
    facet_schema_versions_by_key: Mapping[str, str | int] | None = None,
    facet_index: bool = False,
    **shared_meta: Any,
) -> dict[str, Artifact]:
    """`log_artifact` for each key and path, in the order of the mapping; all arguments are checked first.

    Raises:
        UsageTypeError: not a mapping of str. UsageError: a value is None, or a per-key map names another key.
    """
    if not isinstance(outputs, Mapping):
        raise UsageTypeError(f"log_artifacts() takes a mapping of key to path, not {type(outputs).__name__}.")
    per_key = {
        "metadata_by_key": metadata_by_key or {},
        "facets_by_key": facets_by_key or {},
        "facet_schema_versions_by_key": facet_schema_versions_by_key or {},
    }
    meta = shared_meta.pop("meta", None)
    _check_metadata(shared_meta)
    for key, value in outputs.items():
        check_key(key, "artifact key")
        if value is None:
            raise UsageError(f"log_artifacts(): {key!r} is None; leave it out, or give its path.")
    for name, mapping in per_key.items():
        if extra := sorted(set(mapping) - set(outputs)):
            raise UsageError(f"log_artifacts(): {name} names {extra}, which are not among the outputs.")
    return {
        key: log_artifact(
            active,
            value,
            key,
            direction,
            driver=driver,
            facet=per_key["facets_by_key"].get(key),
            facet_schema_version=per_key["facet_schema_versions_by_key"].get(key),
            facet_index=facet_index,
            meta={**(meta or {}), **per_key["metadata_by_key"].get(key, {})},
            **{
                name: value
                for name, value in shared_meta.items()
                if name not in per_key["metadata_by_key"].get(key, {})
            },
        )
        for key, value in outputs.items()
    }


def log_dataframe(
    active: ActiveRun,
    df: Any,
    key: str,
    schema: Any = None,
    direction: str = "output",
    path: Any = None,
    driver: str | None = None,
    meta: Mapping[str, Any] | None = None,
    **to_file_options: Any,
) -> Artifact:
    """Write a DataFrame into the run's folder as Parquet, or as `driver` says, or to `path` as its suffix says.

    Keywords go to the method of the DataFrame that writes the format, ``to_parquet`` or ``to_csv`` for example.

    Raises:
        OptionError: another driver. UsageTypeError: not a DataFrame.
        UsageError: a suffix that says nothing, or what the format or its method does not take.
    """
    _check_keywords(to_file_options)
    check_key(key, "artifact key")
    target = None if path is None else active.journal.uris.resolve_given(path)
    form = frame_driver(target, driver)
    target = active.output_path(key, form) if target is None else target
    write_frame(df, target, form, to_file_options)
    return log_artifact(active, target, key, direction, schema, driver=driver, meta=meta)


def _check_keywords(given: Mapping[str, Any]) -> None:
    if foreign := sorted(_ELSEWHERE & set(given)):
        _check_metadata({foreign[0]: None})
