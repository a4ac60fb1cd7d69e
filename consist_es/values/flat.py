"""Nested mappings as flat ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys; dots inside keys are escaped as ``\\\\.``."""
    if not isinstance(value, Mapping):
        return {prefix: value} if prefix else {}
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = str(key).replace(".", "\\.")
        found |= flat(item, f"{prefix}.{name}" if prefix else name)
    return found
