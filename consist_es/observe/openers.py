"""Stand-ins for functions and classes of other packages that open files past Python, for systems without kernel events.

Only loaded packages are touched, only while a run is open, and classes stay the same objects: only their `__init__` is
replaced. Not seen: functions imported by name before the run, and files named in SQL.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

from consist_es.observe import hook
from consist_es.observe.notes import absolute

_INIT = "__init__"
_OPENERS: tuple[tuple[str, str, str, str], ...] = (
    ("pyarrow.parquet", "ParquetFile", _INIT, "source"),
    ("pyarrow.parquet", "ParquetDataset", _INIT, "path_or_paths"),
    ("pyarrow.parquet", "", "read_metadata", "where"),
    ("pyarrow.parquet", "", "read_schema", "where"),
    ("pyarrow.dataset", "", "dataset", "source"),
    ("pyarrow.csv", "", "read_csv", "input_file"),
    ("pyarrow.json", "", "read_json", "input_file"),
    ("pyarrow.feather", "", "read_table", "source"),
    ("pyarrow", "", "memory_map", "path"),
    ("h5py", "File", _INIT, "name"),
    ("tables", "File", _INIT, "filename"),
    ("netCDF4", "Dataset", _INIT, "filename"),
    ("pyogrio.raw", "", "read", "path_or_buffer"),
    ("pyogrio.raw", "", "open_arrow", "path_or_buffer"),
    *(
        ("polars", "", f"{verb}_{kind}", "source")
        for verb in ("read", "scan")
        for kind in ("csv", "parquet", "ipc", "ndjson")
    ),
    *(("duckdb", "", f"read_{kind}", "path_or_buffer") for kind in ("csv", "json")),
    ("duckdb", "", "read_parquet", "file_glob"),
)
"""Module, class or "", function, and the name of its first argument."""
_WRITING = frozenset("wx")
_put: list[tuple[Any, str, Any, Any]] = []
"""Owner, attribute, original and stand-in."""
_of: set[tuple[str, str, str, str]] = set()


@functools.lru_cache(maxsize=256)
def _standing_in(plain: Callable[..., Any], keyword: str, is_method: bool) -> Callable[..., Any]:
    place = int(is_method)

    @functools.wraps(plain)
    def opening(*args: Any, **options: Any) -> Any:
        source = args[place] if len(args) > place else options.get(keyword)
        mode = args[place + 1] if len(args) > place + 1 else options.get("mode")
        _note(source, mode if isinstance(mode, str) else "r")
        return plain(*args, **options)

    return opening


def _note(source: Any, mode: str) -> None:
    if not hook.current():
        return
    for each in source if isinstance(source, (list, tuple)) else (source,):
        if not isinstance(each, (str, bytes, os.PathLike)) or "://" in os.fsdecode(each):
            continue
        hook.tell_opened(absolute(each), to_write=mode[:1] in _WRITING)


def put_in() -> None:
    """Put stand-ins in place, for loaded packages without them."""
    for opener in _OPENERS:
        module = sys.modules.get(opener[0])
        if module is None or opener in _of:
            continue
        owner = getattr(module, opener[1], None) if opener[1] else module
        plain = getattr(owner, opener[2], None)
        if plain is None:
            continue
        stand_in = _standing_in(plain, opener[3], bool(opener[1]))
        try:
            setattr(owner, opener[2], stand_in)
        except (AttributeError, TypeError):  # a class that cannot be changed
            continue
        _of.add(opener)
        _put.append((owner, opener[2], plain, stand_in))


def take_out() -> None:
    """Put the originals back, unless other code has replaced them meanwhile."""
    for owner, attribute, plain, stand_in in _put:
        if getattr(owner, attribute) is stand_in:
            setattr(owner, attribute, plain)
    _put.clear()
    _of.clear()
