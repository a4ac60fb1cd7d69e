"""Computes the fingerprint (cache key) of a run, part by part."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from consist_es.events import FingerprintInfo
from consist_es.identity.adapters import counted
from consist_es.identity.code.modes import CodeIdentity
from consist_es.identity.config import config_digest, digest_of_plain
from consist_es.values.digests import digest_of
from consist_es.values.plain import frame, to_plain

FINGERPRINT_VERSION = 2
"""Version 1 counted less of the code, see docs/decisions/0010-what-a-step-read.md."""
_BEFORE = 1


class InputPart(msgspec.Struct, frozen=True):
    """The parts of an input that count."""

    role: str
    """The binding name, or ``#0``, ``#1`` … for unnamed inputs."""
    digest: str
    driver: str
    name: str | None = None
    """File name if the function sees it; None if the input is passed loaded."""
    table_path: str | None = None
    array_path: str | None = None
    via: str = "inputs"
    said: Any = None
    """Plain form of its key, facet and metadata if the function sees them; else None."""

    def row(self) -> list[Any]:
        """Plain form of all fields."""
        row = list(msgspec.structs.astuple(self))
        return row if self.said is not None else row[:-1]


def fingerprint(
    *,
    code: CodeIdentity,
    config: Any,
    inputs: Sequence[InputPart],
    labels: Mapping[str, Any],
    identity_inputs: Mapping[str, str] | None = None,
    adapter: Mapping[str, Any] | None = None,
    config_plain: Any = None,
    packages: Mapping[str, str] | None = None,
) -> FingerprintInfo:
    """Identity of a run. Its `digest` is None if the code has unstable parts: such a run is never reused.

    Every part is typed and framed under its own name, so nothing can move from one part to another. The order of
    `inputs` does not count, their roles do; labels that are None are left out. `config_plain` replaces the config: its
    plain form, without secrets. `packages` are recorded but not hashed. Raises what `to_plain` raises for the config
    and labels.
    """
    label_values = {name: to_plain(value, name) for name, value in labels.items() if value is not None}
    extra = {} if identity_inputs is None else dict(identity_inputs)
    plain_adapter = None if adapter is None else to_plain(dict(adapter), "adapter")
    rows = sorted((part.row() for part in inputs), key=frame)
    parts: dict[str, Any] = {
        "code": code.digest,
        "config": config_digest(config) if config_plain is None else digest_of_plain(config_plain),
        "inputs": _digest("inputs", rows),
        "labels": _digest("labels", label_values),
    }
    whole = {**parts, "identity_inputs": extra, "adapter": counted(plain_adapter)}
    before = {**whole, "code": code.before, "version": _BEFORE}
    return FingerprintInfo(
        version=FINGERPRINT_VERSION,
        digest=None if code.unstable else _digest("fingerprint", {**whole, "version": FINGERPRINT_VERSION}),
        before=None if code.unstable else _digest("fingerprint", before),
        **parts,
        label_values=label_values,
        code_mode=code.mode,
        code_parts=code.parts,
        identity_inputs=extra,
        adapter=plain_adapter,
        unstable=list(code.unstable),
        packages=dict(packages or {}),
    )


def _digest(domain: str, plain: Any) -> str:
    return digest_of(frame([f"consist-es {domain} 1", plain]))
