"""Identity of a config: canonical bytes of any supported value, and its digest."""

from collections.abc import Mapping
from typing import Any

from consist_es.errors import ConfigTypeError
from consist_es.values.digests import digest_of
from consist_es.values.plain import frame, is_masked, object_fields, to_plain, type_name
from consist_es.values.secret import Masked

_DOMAIN = b"consist-es config 1\x00"


def canonical(value: Any, where: str = "config") -> bytes:
    """Bytes that are equal for two values exactly if a step cannot tell them apart.

    1, 1.0, True and "1" differ, as do 0.0 and -0.0, list and tuple, a number and its numpy scalar. The order of sets
    and dicts does not count, nor the spelling of a path object. NaN equals NaN. Raises what `to_plain` does.
    """
    return frame(to_plain(value, where))


def config_digest(value: Any) -> str:
    """Digest over `canonical(value)`."""
    return digest_of_plain(to_plain(value, "config"))


def digest_of_plain(plain: Any) -> str:
    """The same digest, from a plain form as stored in the log."""
    return digest_of(_DOMAIN + frame(plain))


_RECORDS = frozenset({"edited_from", "recorded_digest"})
"""Metadata that the library adds to an edited file: which record it replaces."""


def said_of(artifact: Any) -> dict[str, Any]:
    """Plain form of an artifact's description, besides place and content: key, facet and metadata.

    Leaves out what differs between records of the same file: ids, times, sizes, the producing run.
    """
    meta = {name: value for name, value in artifact.meta.items() if name not in _RECORDS}
    said = {"key": artifact.key, "facet": artifact.facet, "metadata": meta}
    return {name: to_plain(_marked(value), name) for name, value in said.items()}


def _marked(value: Any) -> Any:
    """Recorded values with each stand-in for a secret marked `Masked`, so that it is not taken for a user's mapping."""
    if isinstance(value, dict):
        if is_masked(value):
            return Masked(value["$masked"])
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_marked, value))
    return value


def as_mapping(config: Any) -> dict[str, Any]:
    """The config as a dict with str keys, to bind its entries to parameters; None gives an empty one.

    Accepts mappings, dataclasses, msgspec structs, pydantic models, attrs and named tuple instances, and leaves the
    values unchanged. Raises `ConfigTypeError` for anything else.
    """
    if config is None:
        return {}
    if isinstance(config, Mapping):
        for key in config:
            if not isinstance(key, str):
                raise ConfigTypeError(f"config: the key {key!r} is of type {type(key).__name__}; use str keys.")
        return dict(config)
    fields = object_fields(config)
    if fields is None:
        raise ConfigTypeError(
            f"config: {type_name(type(config)).removeprefix('builtins.')} is not supported; use a mapping with "
            "str keys, a dataclass, a msgspec struct or a pydantic model."
        )
    hidden = getattr(config, "__pydantic_private__", None) or {}
    return {name: value for name, value in fields.items() if name not in hidden}
