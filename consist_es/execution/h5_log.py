"""Records HDF5 files and their tables: what `log_h5_container` and `log_h5_table` do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact, is_like_artifact
from consist_es.artifacts.describe import ArtifactNotes
from consist_es.artifacts.digest import Digest
from consist_es.artifacts.h5_tables import H5Table, normal, table_at, tables_in
from consist_es.artifacts.snapshot import state_of
from consist_es.checks import check_key, check_option, free_name
from consist_es.errors import UsageError, UsageTypeError, warn
from consist_es.execution.active import ActiveRun
from consist_es.execution.log_notes import notes_of
from consist_es.projections import lineage
from consist_es.runs.artifacts import artifact_of_row
from consist_es.steps.h5 import H5ChildSpec
from consist_es.values.digests import method_of

CHILD = "h5_table"
"""Driver of a table in an HDF5 file."""
_HASHING = ("if_unchanged", "never")
_OWN_CHILDREN = {"container_recovery_unit": "derived_children", "child_recovery_policy": "independent"}
"""Policies that would have tables kept apart from their file."""
_SHOWN = 10


class Wanted(msgspec.Struct, frozen=True):
    """Which tables to record, and what of them."""

    discover: bool
    accepts: Callable[[str], bool]
    specs: Mapping[str, H5ChildSpec]
    """By path with a leading slash."""
    only_specs: bool

    @classmethod
    def of(cls, discover: bool, table_filter: Any, specs: Any, selection: str) -> Wanted:
        """From the keywords, checked.

        Raises:
            UsageTypeError, OptionError: they are not as they should be.
        """
        check_option("child_selection", selection, ("all", "include_only"), optional=False)
        if not isinstance(specs or {}, Mapping) or not all(isinstance(s, H5ChildSpec) for s in (specs or {}).values()):
            raise UsageTypeError(f"child_specs takes a mapping of table path to H5ChildSpec, not {specs!r}.")
        named = {normal(name): spec for name, spec in (specs or {}).items()}
        return cls(discover, _filter(table_filter), named, selection == "include_only")

    def tables(self, path: Path) -> list[H5Table]:
        """Those in a file; warns of specs without a table."""
        if not self.discover:
            return []
        found = tables_in(path, "log_h5_container()")
        there = {table.path for table in found}
        if lacking := sorted(self.specs.keys() - there):
            names = ", ".join(sorted(there)[:_SHOWN]) or "none"
            warn(f"child_specs names {', '.join(lacking)}, which {path} lacks. Tables in it: {names}.")
        return [table for table in found if self.takes(table.path)]

    def takes(self, table_path: str) -> bool:
        """True if the table is to be recorded."""
        chosen = not self.only_specs or table_path in self.specs
        return self.discover and chosen and self.accepts(table_path)

    def keyed(self, tables: Iterable[H5Table], key: str) -> dict[str, H5Table]:
        """The tables by the keys of their artifacts; `key` is the container's.

        Raises:
            UsageError: two specs with one key, or that of the container.
        """
        tables = list(tables)
        found: dict[str, H5Table] = {}
        for table in (each for each in tables if self._key(each)):
            name = check_key(self._key(table), "key of an H5ChildSpec")
            if name == key or name in found:
                other = found[name].path if name in found else "the file itself"
                raise UsageError(f"Key {name!r} is that of {other} and of {table.path}: give one of them another.")
            found[name] = table
        for table in (each for each in tables if not self._key(each)):
            found[free_name(f"{key}_{_word(table.path)}", (key, *found))] = table
        return dict(sorted(found.items(), key=lambda item: item[1].path))

    def _key(self, table: H5Table) -> str | None:
        return self.specs[table.path].key if table.path in self.specs else None


def _filter(given: Any) -> Callable[[str], bool]:
    if given is None:
        return lambda _: True
    if callable(given):
        return lambda path: bool(given(path))
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise UsageTypeError(f"table_filter takes a function of a table's path, or a list of paths, not {given!r}.")
    names = {normal(name) for name in given}
    return names.__contains__


def check_options(hash_tables: str, policies: Mapping[str, Any]) -> None:
    """Refuse what is not done: digests of single tables, and tables that are kept apart from their file.

    Raises:
        OptionError, UsageError.
    """
    if hash_tables == "always":
        raise UsageError(
            "hash_tables='always' is not provided: tables count by the digest of their file, which is always taken. "
            "Leave it out."
        )
    check_option("hash_tables", hash_tables, _HASHING, optional=False)
    for name, refused in _OWN_CHILDREN.items():
        if policies[name] == refused:
            raise UsageError(
                f"{name}={refused!r} is not provided: a table is restored with its file. Leave it out, or write the "
                "table into a file of its own."
            )


def given(policies: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are not None."""
    return {name: value for name, value in policies.items() if value is not None}


def log_container(
    active: ActiveRun, value: Any, key: str | None, direction: str, wanted: Wanted, metadata: Mapping[str, Any]
) -> tuple[Artifact, list[Artifact]]:
    """Record the file, then its tables. Whatever is wrong is found before anything is recorded."""
    path, key = _place(active, value), _key(value, key)
    before = state_of(path)
    cached = active.cached.get(key) if direction == "output" else None
    tables = wanted.keyed(wanted.tables(path) if path.exists() else (), key)
    notes = notes_of(known=active.schemas, **metadata)
    facts = {"is_container": True, "table_count": len(tables)}
    notes = msgspec.structs.replace(notes, meta={**notes.meta, **facts})
    container = active.log(value, key, direction, notes)
    if cached is not None and container.id == cached.id:
        own = _children(active, container, made=True)
        return container, [child for path, child in own.items() if wanted.takes(path)]
    earlier = _children(active, container) if isinstance(value, Artifact) and value.id == container.id else {}
    children = []
    for name, table in tables.items():
        spec = wanted.specs.get(table.path, H5ChildSpec())
        child = _notes_of_child(spec, table.path, container)
        if before is not None and state_of(path) == before:  # else it was written meanwhile, and is digested again
            child = msgspec.structs.replace(child, digest=_digest_of(container))
        children.append(active.log(earlier.get(table.path, path), name, direction, child))
    return container, children


def log_table(
    active: ActiveRun,
    value: Any,
    key: str | None,
    direction: str,
    table_path: str | None,
    parent: Artifact | None,
    metadata: Mapping[str, Any],
) -> Artifact:
    """Record one table of a file."""
    if not isinstance(table_path, str) or not table_path.strip("/"):
        raise UsageError(f"log_h5_table() needs table_path=, the table's path in the file, not {table_path!r}.")
    if parent is not None and not isinstance(parent, Artifact):
        raise UsageTypeError(f"parent takes the Artifact of the file, not {type(parent).__name__}.")
    path, table_path = _place(active, value), normal(table_path)
    if parent is None and isinstance(value, Artifact) and value.driver != CHILD:
        parent = value
    if parent is not None and parent.path != path:
        raise UsageError(f"log_h5_table(): parent {parent.key!r} is at {parent.path}, and not {path}. Give that of it.")
    name = key or f"{_word(path.stem)}_{_word(table_path)}"
    if path.exists():
        table_at(path, table_path, "log_h5_table()")
    if direction == "output" and parent is not None and parent in active.cached.values() and name not in active.cached:
        earlier = _children(active, parent, made=True).get(table_path)  # declared outputs are not all of a run's
        if earlier is not None and earlier.key == name:
            return earlier
    own: dict[str, Any] = {"driver": CHILD, "table_path": table_path}
    if parent is not None:
        own |= {"parent_artifact_id": parent.id}
        metadata = {**metadata, "parent_id": str(parent.id)}
    return active.log(path, name, direction, notes_of(known=active.schemas, **{**metadata, **own}))


def _place(active: ActiveRun, value: Any) -> Path:
    return value.path if is_like_artifact(value) else active.journal.uris.resolve_given(value)


def _key(value: Any, key: str | None) -> str:
    if key is None:
        key = str(getattr(value, "key", "")) if is_like_artifact(value) else _word(Path(value).stem)
    return check_key(key, "artifact key")


def _word(text: str) -> str:
    """A part of a key: every run of other characters is one underscore."""
    return re.sub(r"[^A-Za-z0-9_.\-]+|\.\.+", "_", text.strip("/")).strip("_.-") or "table"


def _notes_of_child(spec: H5ChildSpec, table_path: str, container: Artifact) -> ArtifactNotes:
    meta = {**(spec.metadata or {}), "parent_id": str(container.id), "table_path": table_path}
    if spec.description is not None:
        meta["description"] = spec.description
    return ArtifactNotes(
        driver=CHILD,
        table_path=table_path,
        parent=str(container.id),
        facet=spec.facet,
        facet_schema_version=spec.facet_schema_version,
        meta=meta,
    )


def _digest_of(container: Artifact) -> Digest | None:
    if container.hash is None or container.size is None or container.mtime_ns is None:
        return None
    method = method_of(container.hash)
    return Digest(container.hash, container.kind, method, container.size, container.mtime_ns, files=1)


def _children(active: ActiveRun, container: Artifact, *, made: bool = False) -> dict[str, Artifact]:
    """The tables of a file as they were first recorded, by path; `made`: by the run that made the file."""
    rows = lineage.find_artifacts(active.journal.project.connection(), parent=str(container.id), limit=None)
    uris = active.journal.uris
    return {
        row.table_path: artifact_of_row(row, uris, run_id=container.run_id)
        for row in sorted(rows, key=lambda row: (row.table_path or "", -row.created_seq))
        if row.table_path and (not made or row.producer_key == container.producer)
    }
