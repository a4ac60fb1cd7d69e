"""Compares the work that a worker would do with the work that it was asked for."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from consist_es.errors import WorkerDiffersError
from consist_es.events import FingerprintInfo
from consist_es.identity.live.left_behind import LEFT
from consist_es.identity.live.modules import file_label, file_of
from consist_es.identity.text.source import load_source
from consist_es.steps.step import Step
from consist_es.sweeps.parcel import home_of

_SET_UP = ("set-up ", "statement ")
_MOST = 5
"""Differences named in an error."""


class Asked(msgspec.Struct, frozen=True):
    """The work of one row, as the process that asks for it knows it."""

    info: FingerprintInfo
    script: str
    """Label of that process's script, and of all code in it."""
    module: str
    """Module of the function; "" if it is the script's."""
    source: str
    """Digest of that module's file; "" if it has none."""


def asked_for(fn: Callable[..., Any], info: FingerprintInfo, named_from: Path) -> Asked:
    """The work of a function. `named_from`: folder that names of code files are relative to."""
    module, source = "", ""
    home = home_of(fn)
    if home not in ("__main__", "__mp_main__"):
        module, source = home, _digest_of(home)
    script = file_of(sys.modules.get("__main__"))
    return Asked(info, "<interactive>" if script is None else file_label(script, named_from), module, source)


def _digest_of(module: str) -> str:
    filename = file_of(sys.modules.get(module))
    source = None if filename is None or not Path(filename).is_file() else load_source(filename)
    return "" if source is None else source.digest


def agreed(step: Step, asked: Asked, *, by_value: bool, where: str) -> Step:
    """The step to run in this worker: with the identity that was asked for.

    Code that came by value has other names here, and is the code that was asked for. All other code must be the same,
    part by part.

    Raises:
        WorkerDiffersError: names what differs.
    """
    here, there = step.fingerprint, asked.info
    if here.digest == there.digest and here.code == there.code:
        return step
    require_same(here, asked, step.name, by_value=by_value, where=where)
    code = msgspec.structs.replace(step.code, digest=there.code, parts=there.code_parts, unstable=there.unstable)
    info = msgspec.structs.replace(there, packages=here.packages)  # what it really runs with
    return msgspec.structs.replace(step, fingerprint=info, code=code)


def require_same(here: FingerprintInfo, asked: Asked, name: str, *, by_value: bool, where: str) -> None:
    """Raise unless the identity in this worker is the one that was asked for, besides names of code that came by value.

    Raises:
        WorkerDiffersError: names what differs.
    """
    there = asked.info
    if by_value:
        found = _differing_besides_values(here, asked)
    else:
        differing = _differing(here.code_parts, there.code_parts)
        if (others := set(differing) - {"callable"}) and all(map(_is_of_caches, others)):
            found = _other_differences(here, there)
        else:
            found = differing or _other_differences(here, there)
            found = found or (["its identity"] if (here.code, here.digest) != (there.code, there.digest) else [])
    if found:
        raise WorkerDiffersError(name, where, _said(found), _remedy(found))


def _differing(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    return [name for name in sorted(here.keys() | there.keys()) if here.get(name) != there.get(name)]


def _is_of_caches(part: str) -> bool:
    """True for what the script had put into caches: the worker fills its own, and what it reads for that counts."""
    return part.startswith(LEFT)


def _other_differences(here: FingerprintInfo, there: FingerprintInfo) -> list[str]:
    parts = ("config", "inputs", "labels", "identity_inputs", "adapter")
    return [f"its {name.replace('_', ' ')}" for name in parts if getattr(here, name) != getattr(there, name)]


def _differing_besides_values(here: FingerprintInfo, asked: Asked) -> list[str]:
    """What differs of all that did not come by value."""
    there = asked.info
    own = re.compile(rf"(?:^|.* ){re.escape(asked.script)}(?::.*|$)")
    found = [part for part in there.code_parts if part.startswith(_SET_UP) and own.match(part)]
    if asked.module and _digest_of(asked.module) != asked.source:  # of a closure
        found.append(f"module {asked.module}")
    for name, digest in there.code_parts.items():
        counts = name != "callable" and not own.match(name) and not _is_of_caches(name)
        if counts and here.code_parts.get(name) != digest:
            found.append(name)
    return [*found, *_other_differences(here, there)]


def _said(differing: list[str]) -> str:
    told = [name for name in differing if name != "callable"]  # its digest has those of all other parts in it
    differing = sorted(told or ["the function"], key=lambda name: " " in name)  # files and functions first
    more = f" and {len(differing) - _MOST} more" if len(differing) > _MOST else ""
    verb = "differs" if len(differing) == 1 else "differ"
    return f"{', '.join(differing[:_MOST])}{more} {verb} there from where it was asked for"


def _remedy(differing: list[str]) -> str:
    if all(name.startswith(_SET_UP) for name in differing):
        return "What the script sets up is not set up there: do it in the step's function, or in a module it imports."
    if all(name.startswith("its ") for name in differing):
        return "See that its files are the same there."
    return "Install the same code there, and start workers anew after an edit."
