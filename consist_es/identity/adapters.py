"""Hashes a config adapter's record, and explains how two records differ, file by file and key by key."""

from collections.abc import Iterator, Mapping
from typing import Any

from consist_es.text import shortened
from consist_es.values.digests import CONTENT, digest_of
from consist_es.values.plain import frame, is_masked

FOR_PEOPLE = frozenset({"files", "values", "references", "aside", "tree"})
"""Parts of an adapter's record that explain it, and are not hashed."""
_SHOWN = 60
_SHORT_LENGTH = len(CONTENT) + 16


def counted(adapter: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The hashed part of an adapter's record: everything but `FOR_PEOPLE`."""
    return None if adapter is None else {key: value for key, value in adapter.items() if key not in FOR_PEOPLE}


def short_digest(value: Any) -> str:
    """Digest that replaces a value if a record has no room for all values."""
    return digest_of(frame(value), 8)


def explain_adapters(new: Mapping[str, Any] | None, old: Mapping[str, Any] | None) -> list[str]:
    """Differences of two records, as ``settings.yaml: demand.growth: 1.0 -> 1.1``; [] if hashed parts agree."""
    if counted(new) == counted(old):
        return []
    if new is None or old is None or _title(new) != _title(old):
        return [f"adapter: {_title(old)} -> {_title(new)}"]
    lines = [*_files(new, old), *_values(new, old)]
    for file, digest in _of(new, "files").items():
        if _of(old, "files").get(file, digest) != digest and not any(line.startswith(f"{file}: ") for line in lines):
            lines.append(f"{file}: content differs")
    return lines or _references(new, old) or [f"adapter {new.get('name')!r}: what it reads differs"]


def drift(new: Mapping[str, Any] | None, old: Mapping[str, Any] | None) -> list[str]:
    """Differences of what two records say beside what counts: ``settings.yaml (run-only): num_processes: 1 -> 4``."""
    if new is None or old is None or new.get("tree") == old.get("tree") or new.get("aside") == old.get("aside"):
        return []
    now, then = _shown(new, "aside"), _shown(old, "aside")
    none = {"": None}  # so that one side may be empty
    lines = [*_values({"values": now or none}, {"values": then or none})]
    said = [line.replace(": (all): ", ": ", 1) for line in lines if not line.startswith(": ")]
    return said or ["something in its files"]


def _title(adapter: Mapping[str, Any] | None) -> str:
    return "(none)" if adapter is None else f"{adapter.get('name')} {adapter.get('version') or ''}".rstrip()


def _of(adapter: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    found = adapter.get(part)
    return found if isinstance(found, Mapping) else {}


def _shown(adapter: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    from consist_es.values.packed import unpacked  # seldom

    return unpacked(_of(adapter, part))


def _files(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    now, then = _of(new, "files"), _of(old, "files")
    return [f"{file}: removed" for file in then if file not in now] + [
        f"{file}: added" for file in now if file not in then
    ]


def _values(new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[str]:
    now, then = _shown(new, "values"), _shown(old, "values")
    if not now or not then:
        return
    one_sided = _of(new, "files").keys() ^ _of(old, "files").keys()
    for key in [*then, *(key for key in now if key not in then)]:
        if any(key.startswith(f"{file}: ") for file in one_sided):
            continue
        if key not in now:
            yield f"{key}: {_show(then[key])} -> (missing)"
        elif key not in then:
            yield f"{key}: (missing) -> {_show(now[key])}"
        elif not _same(now[key], then[key]):
            yield f"{key}: {_change(now[key], then[key])}"


def _same(new: Any, old: Any) -> bool:
    """True if two values are equal, even if one of them is kept as a digest."""
    if frame(new) == frame(old):
        return True
    return _is_digest(new) != _is_digest(old) and (short_digest(new) == old or short_digest(old) == new)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(CONTENT) and len(value) == _SHORT_LENGTH


def _change(new: Any, old: Any) -> str:
    if _is_digest(new) or _is_digest(old):
        return "changed"
    if isinstance(new, list) and isinstance(old, list) and max(len(new), len(old)) > 1:
        gone = [item for item in old if item not in new]
        come = [item for item in new if item not in old]
        if gone or come:
            return ", ".join([*(f"without {_show(item)}" for item in gone), *(f"with {_show(item)}" for item in come)])
    changed = " (changed)" if is_masked(new) and is_masked(old) else ""
    return f"{_show(old)} -> {_show(new)}{changed}"


def _show(value: Any) -> str:
    if is_masked(value):
        return "masked"
    if _is_digest(value):
        return "(a value)"
    return shortened(repr(value), _SHOWN)


def _references(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    """Files whose bytes differ, for adapters that do not name the file of each value."""
    now, then = ({item["path"]: item["digest"] for item in side.get("references") or ()} for side in (new, old))
    changed = [path for path in {**then, **now} if then.get(path) != now.get(path)]
    return [f"{path}: {'content differs' if path in now and path in then else _side(path, now)}" for path in changed]


def _side(path: str, now: Mapping[str, Any]) -> str:
    return "added" if path in now else "removed"
