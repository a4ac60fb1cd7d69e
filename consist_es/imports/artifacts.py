"""Artifacts of another record as events: where they lie, and whether their bytes are those that were recorded."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from consist_es.artifacts.describe import Digester
from consist_es.artifacts.digest import Digest
from consist_es.artifacts.uris import UriMap, quote
from consist_es.checks import key_from_path
from consist_es.errors import ConfigTypeError, ConfigValueError, InputError, PathError
from consist_es.events import ArtifactLogged
from consist_es.imports.store import Row, Store
from consist_es.text import readable, shortened
from consist_es.values.plain import to_plain

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+._-]*)://(.*)", re.DOTALL)
_BYTES = "raw_file_bytes"
"""What a hash is over, in the metadata of newer versions, if it is the SHA-256 of a file."""


def plain(value: Any, where: str, problems: list[str]) -> Any:
    """The recordable form of a value; None, and a problem, if it has none."""
    try:
        return to_plain(value, where)
    except (ConfigTypeError, ConfigValueError, RecursionError) as error:
        problems.append(f"{where} is not imported: {error}")
        return None


def text(value: Any) -> str | None:
    """A text column; what is no text is written as one."""
    return None if value is None else readable(value if isinstance(value, str) else str(value))


def mapping(value: Any) -> dict[str, Any]:
    """A JSON column that should hold an object; under a name of its own if it holds something else."""
    if isinstance(value, dict):
        return value
    return {} if value is None else {"value": value}


def artifact_id(recorded: Any) -> str:
    """The id here: the same, if it is a UUID."""
    try:
        return str(uuid.UUID(str(recorded)))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"consist:{readable(str(recorded))}"))


class Artifacts:
    """Makes the events of a store's artifacts."""

    def __init__(self, store: Store, keys: Mapping[str, str], roots: Mapping[str, Row], digester: Digester) -> None:
        """`keys`: run id -> key of the run here. `roots`: run id -> ``run_dir`` and ``mounts`` of that run."""
        self._problems, self._keys, self._roots, self._digester = store.problems, keys, roots, digester
        self._facets = {row["id"]: row for row in store.tables["artifact_facet"]}
        self._schemas = _schemas(store)
        self._compared: dict[Path, tuple[str, Digest] | None] = {}
        """File -> its SHA-256 and its digest by this library; None if it cannot be read."""
        self.verified = 0

    def event(self, row: Row, user: str | None) -> ArtifactLogged:
        """The event of an artifact. `user`: id of a run that has it, for files that no run made."""
        meta = mapping(row.get("meta"))
        maker = text(row.get("run_id"))
        roots = self._roots.get(maker or "") or self._roots.get(user or "") or {}
        where = f"artifact {shortened(str(row['id']), 60)}"
        if maker is not None and maker not in self._keys:
            self._problems.append(f"{where}: run {maker!r} made it, which is not in the record")
        uri, path = _place(row, meta, roots)
        digest = self._same_bytes(row, meta, path)
        facet = self._facets.get(str(meta.get("artifact_facet_id")), {})
        theirs = {
            "program": "consist",
            "id": text(row["id"]),
            "hash": text(row.get("hash")),
            "created_at": row.get("created_at"),
            **({} if uri == row.get("container_uri") else {"uri": text(row.get("container_uri"))}),
        }
        parent = row.get("parent_artifact_id")
        return ArtifactLogged(
            artifact=artifact_id(row["id"]),
            key=text(row.get("key")) or key_from_path(path or Path("file")),
            direction="input" if maker is None else "output",
            uri=uri,
            root=quote(str(roots.get("run_dir", ""))) if uri.startswith("./") else "",
            kind="folder" if _kind(meta) in ("directory", "folder") else "file",
            driver=text(row.get("driver")) or "unknown",
            digest=None if digest is None else digest.value,
            digest_method="full" if digest is None else digest.method,
            size=None if digest is None else digest.size,
            mtime_ns=None if digest is None else digest.mtime_ns,
            producer=self._keys.get(maker or ""),
            table_path=text(row.get("table_path")),
            array_path=text(row.get("array_path")),
            parent=None if parent in (None, "") else artifact_id(parent),
            schema=self._schemas.get(str(row["id"])),
            facet=plain(facet.get("json", facet.get("facet_json")), f"{where}: its facet", self._problems),
            facet_schema_version=text(facet.get("schema_version")),
            meta={**(plain(meta, f"{where}: its metadata", self._problems) or {}), "imported": theirs},
        )

    def _same_bytes(self, row: Row, meta: Row, path: Path | None) -> Digest | None:
        """Our digest of the file, if it still has the bytes that were recorded; None if that cannot be said."""
        recorded, semantics = str(row.get("hash")), mapping(meta.get("hash_semantics"))
        if path is None or not _SHA256.fullmatch(recorded) or semantics.get("digest_contract", _BYTES) != _BYTES:
            return None
        if path not in self._compared:
            self._compared[path] = self._hashed(path)
        found = self._compared[path]
        if found is None or found[0] != recorded:
            return None
        self.verified += 1
        return found[1]

    def _hashed(self, path: Path) -> tuple[str, Digest] | None:
        with suppress(InputError, OSError, ValueError):
            if path.is_file():
                before = self._digester.digest(path)
                with path.open("rb") as file:
                    theirs = hashlib.file_digest(file, "sha256").hexdigest()
                # another file may have been put there meanwhile
                return (theirs, before) if self._digester.digest(path).value == before.value else None
        return None


def _kind(meta: Row) -> str:
    return str(mapping(meta.get("hash_semantics")).get("kind", ""))


def _place(row: Row, meta: Row, roots: Row) -> tuple[str, Path | None]:
    """The URI here, and the path on this machine if it can be told."""
    recorded = text(row.get("container_uri")) or ""
    match = _SCHEME.fullmatch(recorded)
    mounts = {str(name): str(root) for name, root in mapping(roots.get("mounts")).items()}
    run_dir = str(roots.get("run_dir", ""))
    if match is None and not recorded.startswith(("./", os.sep)):
        recorded = f"./{recorded}"
    elif match is not None and match[1] == "workspace":
        recorded = f"./{match[2]}"
    elif match is not None and match[1] == meta.get("mount_scheme") and isinstance(meta.get("mount_root"), str):
        mounts[match[1]] = meta["mount_root"]
    uri = quote(recorded)
    with suppress(PathError, ValueError):
        if not recorded.startswith("./") or run_dir:
            return uri, UriMap(run_dir=run_dir, mounts=mounts).resolve(uri)
    return uri, None


def _schemas(store: Store) -> dict[str, dict[str, str]]:
    """Artifact -> names and types of its columns, as they were seen last."""
    fields: dict[str, list[Row]] = {}
    for row in store.tables["artifact_schema_field"]:
        fields.setdefault(str(row["schema_id"]), []).append(row)
    found: dict[str, dict[str, str]] = {}
    for row in sorted(store.tables["artifact_schema_observation"], key=lambda row: row.get("observed_at") or 0):
        columns = sorted(
            fields.get(str(row.get("schema_id")), ()), key=lambda field: field.get("ordinal_position") or 0
        )
        if columns:
            found[str(row["artifact_id"])] = {
                str(text(f.get("name"))): str(text(f.get("logical_type"))) for f in columns
            }
    return found
