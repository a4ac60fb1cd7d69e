"""What the formats call a project, a run and a file."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from consist_es.projections.artifact_rows import ArtifactRow
from consist_es.values.plain import is_tagged, users_key
from consist_es.values.written import written
from consist_es.version import __version__

PRODUCER = f"urn:consist-es:library:{__version__}"
"""This library, for formats that want a URI: it has no home on the web that an address could be of."""
_EVERYTHING = 1 << 20
"""Characters of a value of a config."""


def project_uri(project: str) -> str:
    """A URI for a project: namespace of its runs."""
    return f"urn:consist-es:{project}"


def run_uuid(project: str, key: str) -> str:
    """The UUID of a run: the same in every export."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{project_uri(project)}:run:{key}"))


def address(row: ArtifactRow) -> str:
    """Where a file lies, as an absolute URI; with the part of it that a table or array is."""
    inside = row.table_path or row.array_path
    part = "" if inside is None else f"#{quote(inside)}"
    if "://" in row.uri:
        return f"{safe(row.uri)}{part}"
    path = _joined(row)
    return f"{'file://' if path.startswith('/') else 'file:///'}{safe(path)}{part}"


def dataset(row: ArtifactRow) -> tuple[str, str]:
    """Namespace and name of a file as OpenLineage has them: ``file`` and a path, or a mount and the place in it."""
    inside = row.table_path or row.array_path
    part = "" if inside is None else f"#{inside}"
    scheme, mounted, rest = row.uri.partition("://")
    return (f"{scheme}://", f"{rest}{part}") if mounted else ("file", f"{_joined(row)}{part}")


def _joined(row: ArtifactRow) -> str:
    if row.uri.startswith("./") and row.root:
        return f"{row.root.rstrip('/')}/{row.uri[2:]}"
    return row.uri


def safe(uri: str) -> str:
    """A recorded URI with every character quoted that a URI may not have; what is quoted already stays."""
    return quote(uri, safe="%/:?=&+,;@!$'()*~-._")


def local(text: str) -> str:
    """A text as a part of an identifier."""
    return quote(text, safe="-._~")


def settings(config: Any) -> Iterator[tuple[str, Any]]:
    """Name and plain value of each setting of a config; nothing of one that is no mapping of names."""
    if isinstance(config, Mapping) and not is_tagged(config):
        yield from ((users_key(key), value) for key, value in config.items())


def as_text(plain: Any) -> str:
    """A value of a config, as people write it; ``masked`` for a secret."""
    return plain if isinstance(plain, str) else written(plain, _EVERYTHING)
