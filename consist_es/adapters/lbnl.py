"""Runs adapters written for the relative of this library: `discover` and `canonicalize` instead of paths and data.

They keep working if their result is an identity: its hash, name and version count here, its files and values are kept
for people. Anything else that such an adapter would store (artifacts in the run, tables, bundles, facets) is not
stored: log it in the step. `options`, `strict` and `tracker` keep their defaults.
"""

import inspect
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from consist_es.adapters.protocol import Reference
from consist_es.artifacts.bundles import digest_whole
from consist_es.errors import AdapterError, AdapterTypeError
from consist_es.values.plain import to_plain


class RelativeResult(msgspec.Struct, frozen=True):
    """Result of such an adapter."""

    version: str | None
    identity_hash: str
    shown: dict[str, Any]
    """Values by key, for people."""
    references: list[Reference]


class IdentityHelp:
    """Passed to such an adapter as `identity`: the digests that it builds its hash from."""

    def digest_path(self, path: str | os.PathLike[str], **_options: Any) -> str:
        """Digest of the content of a file or folder."""
        return digest_whole(Path(path)).value

    def canonical_json_sha256(self, value: Any) -> str:
        """SHA-256 over the JSON form of a value with sorted keys."""
        import hashlib  # loads OpenSSL

        text = json.dumps(self.normalize_json(value), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def normalize_json(self, value: Any) -> Any:
        """The JSON form of a value."""
        return to_plain(value, "adapter data")


def is_relative(adapter: Any) -> bool:
    """True for an adapter of that kind."""
    return callable(getattr(adapter, "discover", None)) and callable(getattr(adapter, "canonicalize", None))


def canonicalize_relative(adapter: Any, name: str) -> RelativeResult:
    """Let such an adapter find and canonicalise its files, as before a run.

    Raises:
        AdapterError, AdapterTypeError: it names no folders, or returns no identity. Whatever it raises itself.
    """
    roots = _roots(adapter, name)
    config = _call(adapter.discover, roots, identity=IdentityHelp(), strict=False)
    result = _call(adapter.canonicalize, config, run=None, tracker=None, strict=False, plan_only=True)
    identity = getattr(result, "identity", None)
    digest = getattr(identity, "identity_hash", None)
    if not isinstance(digest, str) or not digest:
        problem = "canonicalize() returned no identity with an identity_hash"
        raise AdapterError(name, problem, "Return an object with .identity.identity_hash, a str that is not empty.")
    if getattr(identity, "adapter_name", None) != name:
        problem = f"its identity is that of {getattr(identity, 'adapter_name', None)!r}"
        raise AdapterError(name, problem, "Let identity.adapter_name be the adapter's model_name.")
    version = getattr(identity, "adapter_version", None) or getattr(adapter, "adapter_version", None)
    return RelativeResult(None if version is None else str(version), digest, _shown(identity), _references(result))


def _roots(adapter: Any, name: str) -> list[Path]:
    for attribute in ("root_dirs", "config_dirs"):
        given = getattr(adapter, attribute, None)
        if given is None:
            continue
        listed = [given] if isinstance(given, str | os.PathLike) else given
        if not isinstance(listed, Iterable):
            raise AdapterTypeError(
                f"Config adapter {name!r}: {attribute} must be a path or a list of paths, not {given!r}."
            )
        return [Path(os.path.abspath(path)) for path in listed]
    primary = getattr(adapter, "primary_config", None)
    if primary is None:
        raise AdapterError(name, "it does not say where its files are", "Set root_dirs, config_dirs or primary_config.")
    return [Path(os.path.abspath(primary)).parent]


def _call(method: Any, *args: Any, **keywords: Any) -> Any:
    """Call with only those keywords that the method takes."""
    parameters = inspect.signature(method).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return method(*args, **keywords)
    return method(*args, **{key: value for key, value in keywords.items() if key in parameters})


def _shown(identity: Any) -> dict[str, Any]:
    """Values and references of an identity, if it lists them."""
    scalars = getattr(identity, "scalars", None)
    found = dict(scalars) if isinstance(scalars, Mapping) else {}
    for reference in getattr(identity, "references", None) or ():
        key = getattr(reference, "config_key", None) or getattr(reference, "raw_value", None)
        if key is not None:
            found[f"reference {key}"] = [getattr(reference, "canonical_value", None), getattr(reference, "hash", None)]
    return found


def _references(result: Any) -> list[Reference]:
    """The files of the result's artifacts."""
    specs = getattr(result, "artifacts", None) or ()
    return [Reference(os.fspath(spec.path), str(getattr(spec, "key", ""))) for spec in specs]
