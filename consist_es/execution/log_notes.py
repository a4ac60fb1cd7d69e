"""What the keywords of the logging calls say about an artifact."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import ArtifactNotes
from consist_es.checks import folders
from consist_es.errors import UsageTypeError
from consist_es.text import nearest

PARAMETERS = (
    "path",
    "key",
    "direction",
    "schema",
    "driver",
    "table_path",
    "array_path",
    "content_hash",
    "force_hash_override",
    "validate_content_hash",
    "facet",
    "facet_schema_version",
    "facet_index",
    "profile_file_schema",
    "parent_artifact_id",
    "recovery_roots",
    "enabled",
    "meta",
)
ALWAYS: dict[str, tuple[Any, ...]] = {
    "artifact_kind": ("file", "directory", None),
    "file_schema_sample_rows": (None,),
    "reuse_if_unchanged": (False, None),
    "reuse_scope": ("same_uri", "any_uri", None),
    "strict_schema": (False, None),
}
"""Keywords with a meaning in LBNL's consist and none here -> values that ask for nothing else than what is done."""
NOT_FOR_FRAMES = frozenset(
    {
        *ALWAYS,
        "content_hash",
        "force_hash_override",
        "parent_artifact_id",
        "profile_file_schema",
        "validate_content_hash",
    }
)
"""Keywords of the other logging calls, which no DataFrame's method takes."""


def notes_of(
    schema: Any = None,
    *,
    driver: str | None = None,
    table_path: str | None = None,
    array_path: str | None = None,
    content_hash: str | None = None,
    force_hash_override: bool = False,
    validate_content_hash: bool = False,
    facet: Any = None,
    facet_schema_version: str | int | None = None,
    facet_index: bool = False,
    profile_file_schema: Any = None,
    parent_artifact_id: Any = None,
    recovery_roots: Any = None,
    known: Mapping[str, Any] | None = None,
    **more: Any,
) -> ArtifactNotes:
    """Notes from the keywords of the logging calls; all other keywords are metadata, and so is `meta`.

    `known` are the schemas that the tracker was given, by name: a name among them says its columns. Columns of the file
    are recorded in any case, so `profile_file_schema` asks for nothing more.

    Raises:
        UsageTypeError: a keyword close to one of these, or one of LBNL's consist that does nothing here.
    """
    meta = more.pop("meta", None)
    if not isinstance(meta or {}, Mapping):
        raise UsageTypeError(f"meta takes a mapping of name to value, not {type(meta).__name__}: {meta!r}.")
    rest = without_defaults(more)
    check_metadata(rest)
    claim = None
    if content_hash is not None or force_hash_override or validate_content_hash:
        from consist_es.artifacts.claims import Claim  # few calls claim anything

        claim = Claim.of(content_hash, forced=force_hash_override, checked=validate_content_hash)
    return ArtifactNotes(
        driver=driver,
        table_path=table_path,
        array_path=array_path,
        parent=None if parent_artifact_id is None else str(parent_artifact_id),
        facet=facet,
        facet_schema_version=facet_schema_version,
        meta={**rest, **(meta or {}), **schema_facts(schema, known or {})},
        claim=claim,
        recovery_roots=folders(recovery_roots, "recovery_roots"),
    )


def unlogged(path: Any, key: str | None, meta: Mapping[str, Any] | None, more: Mapping[str, Any]) -> Artifact:
    """What a call with ``enabled=False`` returns."""
    from consist_es.artifacts.placeholder import placeholder  # most calls are not disabled

    found: Any = placeholder(path, key, {**more, **(meta or {})})
    return cast("Artifact", found)  # it is used like one


def without_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords without those of LBNL's consist that ask for what is done anyway."""
    return {
        name: value
        for name, value in given.items()
        if not any(value is plain or (type(value) is type(plain) and value == plain) for plain in ALWAYS.get(name, ()))
    }


def check_metadata(given: Mapping[str, Any]) -> None:
    """Refuse keywords that are hardly meant as metadata: they would silently do nothing."""
    for name in given:
        if name in ALWAYS or name in NOT_FOR_FRAMES:
            problem = f"Keyword {name!r} does nothing here, though LBNL's consist has it: leave it out"
        elif (near := nearest(name, (*PARAMETERS, *ALWAYS))) is not None:
            problem = f"Keyword {name!r} is not known. Is {near!r} meant? Correct it"
        else:
            continue
        raise UsageTypeError(f"{problem}, or give it as metadata: meta={{{name!r}: …}}.")


def schema_facts(schema: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of a schema, given as a class or by name: its name, and of a class its table and columns."""
    if schema is None:
        return {}
    found = known.get(schema, schema) if isinstance(schema, str) else schema
    name = getattr(found, "__name__", str(found))
    columns = columns_of(found)
    if not columns:
        return {"schema_name": name}
    return {"schema_name": name, "schema_table": table_of(found), "schema_columns": columns}


def schemas_by_name(schemas: Iterable[Any] | None) -> dict[str, Any]:
    """Classes that describe tables, by their names and by those of their tables.

    Raises:
        UsageTypeError: not a list of classes with annotated fields.
    """
    if isinstance(schemas, str | Mapping) or not isinstance(schemas if schemas is not None else (), Iterable):
        raise UsageTypeError(f"schemas takes a list of classes, not {type(schemas).__name__}: {schemas!r}.")
    found: dict[str, Any] = {}
    for schema in schemas or ():
        if not isinstance(schema, type) or not columns_of(schema):
            raise UsageTypeError(f"schemas takes classes with annotated fields, not {schema!r}.")
        found |= {table_of(schema): schema, schema.__name__: schema}
    return found


def table_of(schema: Any) -> str:
    """Name of the table that a schema describes: its ``__tablename__``, else the name of the class."""
    table = getattr(schema, "__tablename__", None)
    return table if isinstance(table, str) else str(getattr(schema, "__name__", schema))


def columns_of(schema: Any) -> dict[str, str]:
    """Columns of a class with annotated fields (SQLModel, pydantic, dataclass, msgspec) -> type, as text."""
    if not isinstance(schema, type):
        return {}
    fields = getattr(schema, "model_fields", None)
    if isinstance(fields, Mapping):
        return {str(name): type_text(getattr(field, "annotation", None)) for name, field in fields.items()}
    if dataclasses.is_dataclass(schema):
        return {field.name: type_text(field.type) for field in dataclasses.fields(schema)}
    if issubclass(schema, msgspec.Struct):
        return {field.name: type_text(field.type) for field in msgspec.structs.fields(schema)}
    return {name: type_text(kind) for name, kind in vars(schema).get("__annotations__", {}).items() if name[:1] != "_"}


def type_text(kind: Any) -> str:
    """A type as it is written: ``int``, ``str | None``."""
    return kind if isinstance(kind, str) else kind.__name__ if isinstance(kind, type) else str(kind)
