"""Records large values of run starts once, for all runs that share them, and refers to them by digest.

A config of 150 kB is in the log once, not in the start of each of 200 steps. Small values stay in the start, so that
the event can be read by itself.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from consist_es.events import Draft, FingerprintInfo, ScenarioStarted, StepStarted, ValuesRecorded
from consist_es.identity.adapters import FOR_PEOPLE
from consist_es.values.digests import digest_of

LARGE = 4 << 10
"""Size of a part, in bytes of JSON, from which on it is recorded separately."""
CONFIG, ADAPTER, CODE_PARTS, CONTENTS = "config", "adapter", "code_parts", "contents"


def apart(drafts: Iterable[Draft], known: Callable[[str], bool]) -> list[Draft]:
    """The drafts with large values moved out of run starts. Values that are not `known` by their digest get an event of
    their own before the first start that refers to them."""
    found: list[Draft] = []
    fresh: set[str] = set()
    for draft in drafts:
        event, parts = _parted(draft.event)
        for digest, values in parts.items():
            if digest not in fresh and not known(digest):
                fresh.add(digest)
                said = ValuesRecorded(digest=digest, values=values)
                found.append(Draft(said, scenario=draft.scenario, run=draft.run))
        found.append(draft if event is None else msgspec.structs.replace(draft, event=event))
    return found


def _parted(event: object) -> tuple[ScenarioStarted | StepStarted | None, dict[str, Any]]:
    """The start of a run without its large values, and these by digest; None if it has none, or is not a start."""
    if not isinstance(event, ScenarioStarted | StepStarted):
        return None, {}
    shared: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name, value in _candidates(event).items():
        if value and len(data := _encoded(value)) >= LARGE:
            shared[name] = digest_of(data)
            values[shared[name]] = value
    if not shared:
        return None, {}
    changes: dict[str, Any] = {"shared": shared}
    if CONFIG in shared:
        changes["config"] = None
    if isinstance(event, StepStarted):
        changes["fingerprint"] = _without(event.fingerprint, shared)
    return msgspec.structs.replace(event, **changes), values


def _encoded(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError):
        return b""  # left in place: the log reports the error


def says(event: StepStarted, info: FingerprintInfo | None) -> bool:
    """True if a fingerprint with its large values filled in is that of the start: each value matches the digest in the
    start, or is missing."""
    if info is None or not event.shared:
        return info == event.fingerprint
    parts = {ADAPTER: _for_people(info), CODE_PARTS: info.code_parts, CONTENTS: info.contents}
    for name, digest in event.shared.items():
        if parts.get(name) and digest_of(_encoded(parts[name])) != digest:
            return False
    return _without(info, event.shared) == event.fingerprint


def _candidates(event: ScenarioStarted | StepStarted) -> dict[str, Any]:
    """Part -> value, for all parts that may be large and often repeat."""
    found = {CONFIG: event.config}
    if isinstance(event, StepStarted):
        found[ADAPTER] = _for_people(event.fingerprint)
        found[CODE_PARTS] = event.fingerprint.code_parts
        found[CONTENTS] = event.fingerprint.contents
    return found


def _for_people(info: FingerprintInfo) -> dict[str, Any]:
    return {name: value for name, value in (info.adapter or {}).items() if name in FOR_PEOPLE}


def _without(info: FingerprintInfo, shared: Mapping[str, str]) -> FingerprintInfo:
    changes: dict[str, Any] = {}
    if ADAPTER in shared:
        adapter = info.adapter or {}
        changes[ADAPTER] = {name: value for name, value in adapter.items() if name not in FOR_PEOPLE}
    if CODE_PARTS in shared:
        changes[CODE_PARTS] = {}
    if CONTENTS in shared:
        changes[CONTENTS] = {}
    return msgspec.structs.replace(info, **changes)
