"""Inputs that count by what is in them, not by their bytes: ``CacheOptions(input_identity={"skims": "content"})``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from consist_es.adapters.array_contents import contents
from consist_es.artifacts.describe import Digester
from consist_es.errors import InputError, UsageError
from consist_es.text import readable
from consist_es.values.digests import digest_of, method_of
from consist_es.values.plain import frame

if TYPE_CHECKING:
    from consist_es.steps.inputs import BoundInput

VERSION = 1
"""Of what counts; another one makes each such step compute once anew."""
MOST = 5000
"""Items of a file that are recorded one by one; of more, only one digest over all."""
_WHOLE = "(all)"


def with_contents(
    found: Sequence[BoundInput], wanted: Mapping[str, str] | None, digester: Digester
) -> list[BoundInput]:
    """The inputs, with the contents of those that count by them.

    Raises:
        UsageError: no such input. ConfigFileError, InputError: it cannot be read as arrays. MissingExtraError: it needs
            a package that is not installed.
    """
    roles = {role for role, kind in (wanted or {}).items() if kind == "content"}
    if unknown := sorted(set(wanted or {}) - {item.role for item in found}):
        known = ", ".join(repr(item.role) for item in found) or "none"
        raise UsageError(f"input_identity names {unknown}, which are not inputs of this step. Inputs: {known}.")
    return [_counted(item, digester) if item.role in roles else item for item in found]


def _counted(item: BoundInput, digester: Digester) -> BoundInput:
    items = _contents(item.path, item.digest, digester)
    return msgspec.structs.replace(item, contents=items, counted=_identity_of(items))


def _identity_of(items: Mapping[str, str]) -> str:
    """The digest over the contents of an input."""
    return f"content{VERSION}:{digest_of(frame(dict(items))).partition(':')[2]}"


def _contents(path: Path, digest: str, digester: Digester) -> dict[str, str]:
    """Item -> digest. `digest` is that of the bytes: they determine the contents, so these are kept by it."""
    cache, key, state = digester.cache, _key(path), f"content {VERSION} of {digest}"
    if cache is not None and (known := _decoded(cache.folder(key, state))) is not None:
        return known
    found: dict[str, str] = {}
    for name, what in contents(path).items():
        item = readable(name)  # another name may read the same
        found[item] = digest_of(json.dumps([found.get(item), name, what]).encode(), 8)
    if digester.digest(path, method=method_of(digest)).value != digest:
        raise InputError(f"{path} changed while it was read. Run the step again once nobody writes to it.")
    if len(found) > MOST:
        found = {_WHOLE: digest_of(frame(dict(found)), 16)}
    if cache is not None:
        cache.record_folder(key, state, json.dumps(found), changed=0, began=_LONG_AFTER)
    return found


_LONG_AFTER = 1 << 62
"""The state has the digest of the bytes, whose own entry is left out for a young file: the contents need no age."""


def _key(path: Path) -> bytes:
    """The key in the cache of digests; no path has a NUL."""
    return str(path).encode("utf-8", "surrogateescape") + b"\0contents"


def _decoded(text: str | None) -> dict[str, str] | None:
    if text is None:
        return None
    found: Any = json.loads(text)
    return found if isinstance(found, dict) else None
