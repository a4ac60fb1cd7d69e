"""Plain forms of points in time and of time zones."""

import datetime as dt
import re
import zoneinfo
from collections.abc import Callable
from typing import Any

from consist_es.errors import ConfigTypeError
from consist_es.values.encoding import type_name

Plain = Callable[[Any, str], Any]
_BY_NAME = frozenset({"pytz", "dateutil"})
"""Packages with zones that name themselves in their text."""


def moment(value: dt.datetime | dt.time, where: str, plain: Plain) -> Any:
    """ISO text; with the fold and the zone's own name, if ISO text leaves them out."""
    more = zone_form(value.tzinfo, where, plain)
    if more or value.fold:
        return [value.isoformat(), value.fold, *more]
    return value.isoformat()


def zone_form(zone: dt.tzinfo | None, where: str, plain: Plain) -> list[Any]:
    """Details of a zone beyond its offset: its type, its name, and its other state.

    Raises:
        ConfigTypeError: it was read from a file, or does not identify itself.
    """
    if zone is None:
        return []
    kind = type(zone)
    if kind is dt.timezone:
        named = zone.__getinitargs__()[1:]  # type: ignore[attr-defined]
        return [type_name(kind), *named] if named else []
    if kind is zoneinfo.ZoneInfo:
        _require_key(zone, where)
        return [type_name(kind), str(zone)]
    if kind.__module__.partition(".")[0] in _BY_NAME and "..." not in str(zone):
        return [type_name(kind), str(zone)]
    key = [str(zone)] if isinstance(zone, zoneinfo.ZoneInfo) else []
    return [type_name(kind), *key, plain(object.__getstate__(zone), f"{where}.tzinfo")]


def bare_zone(zone: dt.tzinfo, where: str) -> dict[str, Any] | None:
    """Form of a zone on its own; None for zones from outside the standard library."""
    if type(zone) is dt.timezone:
        return {"$zone": repr(zone)}
    if type(zone) is zoneinfo.ZoneInfo:
        _require_key(zone, where)
        return {"$zone": repr(zone)}
    return None


def _require_key(zone: Any, where: str) -> None:
    """Refuse a zone that its key does not lead to: it was read from a file, and does not show the file's content."""
    try:
        known = zone.key is not None and zoneinfo.ZoneInfo(zone.key) is zone
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        known = False
    if not known:
        raise ConfigTypeError(
            f"{where}: a time zone that was read from a file is not supported. Use zoneinfo.ZoneInfo with a key."
        )


_UNIT = re.compile(r"[<>=|](M8|m8)(?:\[(\d*)(\w+)\])?")
_NOT_A_TIME = -(2**63)
_SECONDS = {"W": 604_800, "D": 86_400, "h": 3_600, "m": 60, "s": 1}
_PARTS = {"ms": 10**3, "us": 10**6, "ns": 10**9, "ps": 10**12, "fs": 10**15, "as": 10**18}
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  numpy's times have no zone


def moments_back(dtype: Any, value: Any) -> Any:
    """Values of a numpy type as Python's; numpy's times and durations are stored as counts of a unit."""
    found = _UNIT.fullmatch(dtype) if isinstance(dtype, str) else None
    if found is None:
        return value
    if isinstance(value, list):
        return [moments_back(dtype, item) for item in value]
    kind, count, unit = found[1], int(found[2] or 1), found[3]
    if value == _NOT_A_TIME or unit is None:
        return None if value == _NOT_A_TIME else value
    if unit in ("Y", "M"):
        months = value * count * (12 if unit == "Y" else 1)
        return dt.date(1970 + months // 12, months % 12 + 1, 1) if kind == "M8" else value
    span = _span(value * count, unit)
    if kind == "m8":
        return span
    return (_EPOCH + span).date() if unit in ("W", "D") else _EPOCH + span


def _span(value: int, unit: str) -> dt.timedelta:
    """A duration, rounded down to microseconds."""
    if unit in _SECONDS:
        return dt.timedelta(seconds=value * _SECONDS[unit])
    return dt.timedelta(microseconds=value * 10**6 // _PARTS[unit])


def timestamp_back(name: str, iso: str, unit: str, zone: str, fold: int) -> Any:
    """The datetime that a pandas Timestamp without a zone stands for; nothing else of pandas is restored."""
    if name != "Timestamp" or zone != "None" or unit not in ("s", "ms", "us"):
        raise ValueError(name)
    return dt.datetime.fromisoformat(iso).replace(fold=fold)
