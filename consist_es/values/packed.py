"""Keeps many values in little room, for records that explain an identity."""

from collections.abc import Callable, Mapping
from typing import Any

PACKED = "(packed)"
"""The key of values that are kept compressed: as JSON, by zlib, in base 85."""
_MOST = 64 << 20
"""Most bytes of packed values to read."""


def packed(values: Mapping[str, Any], encode: Callable[[Any], bytes]) -> dict[str, Any]:
    """The values compressed; `encode` gives their JSON."""
    import base64
    import zlib

    return {PACKED: base64.b85encode(zlib.compress(encode(values), 6)).decode("ascii")}


def unpacked(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values, however they were kept; {} if they cannot be read."""
    text = values.get(PACKED)
    if len(values) != 1 or not isinstance(text, str):
        return values
    import base64
    import json
    import zlib

    try:
        found = json.loads(zlib.decompressobj().decompress(base64.b85decode(text), _MOST))
    except (ValueError, zlib.error, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
