"""Writes DataFrames to files, in the format of the suffix or of the caller."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from consist_es.artifacts.formats import driver_of
from consist_es.errors import OptionError, UsageError, UsageTypeError

_METHODS = {
    "parquet": "to_parquet",
    "csv": "to_csv",
    "json": "to_json",
    "arrow": "to_feather",
    "feather": "to_feather",
}
FORMATS = tuple(_METHODS)
SUFFIXES = (".parquet", ".csv", ".csv.gz", ".json", ".json.gz", ".arrow", ".feather")


def frame_driver(path: Path | None, driver: str | None) -> str:
    """The format to write: the given one, else that of the path's suffix, else Parquet.

    Raises:
        OptionError: no such format. UsageError: the suffix is not of a format that can be written.
    """
    if driver is not None:
        if driver not in FORMATS:
            raise OptionError("driver", driver, FORMATS)
        return driver
    if path is None:
        return FORMATS[0]
    found = driver_of(path)
    if found not in FORMATS or path.name.lower().endswith(".parquet.gz"):
        raise UsageError(
            f"log_dataframe() cannot tell how to write {path.name!r}: use one of the suffixes {', '.join(SUFFIXES)}, "
            f"or name the format, driver={FORMATS[0]!r} for example."
        )
    return found


def write_frame(frame: Any, path: Path, driver: str, options: Mapping[str, Any]) -> None:
    """Write a DataFrame by its own method for the format; the method gets the options.

    Raises:
        UsageTypeError: it has no such method. UsageError: the format cannot hold its content, or an option is unknown.
    """
    method = getattr(frame, _METHODS[driver], None)
    if method is None:
        raise UsageTypeError(f"log_dataframe() takes a pandas DataFrame, not {type(frame).__name__}.")
    import pyarrow as pa

    given = {"orient": "records", **options} if driver == "json" else dict(options)
    try:
        method(path, **given)
    except (TypeError, ValueError, NotImplementedError, pa.ArrowException) as error:
        raise UsageError(
            f"log_dataframe(): this {type(frame).__name__} cannot be written as {driver} with "
            f"{', '.join(given) or 'no options'}: {error}. Keywords beside those of log_dataframe() go to "
            f"{_METHODS[driver]}()."
        ) from error
