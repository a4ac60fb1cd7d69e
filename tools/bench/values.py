"""What values in reach of a step cost: ``python -m tools.bench.values``, from the root of a checkout.

Each has 400,000 cells, or 80,000 items. Times are of this process's CPU, the smallest of several rounds; beside them
stands how many times that of the array of floats it is, which a busy machine changes less.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOOLS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS.parent), str(TOOLS)]

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pyarrow as pa  # noqa: E402

from bench.observing import fastest  # noqa: E402
from consist_es.identity.config import config_digest  # noqa: E402

CELLS, ITEMS = 400_000, 80_000
FLOATS = "an array of floats"


def columns(made: Callable[[int], Any], cells: int) -> pd.DataFrame:
    """Four columns that are made alike."""
    return pd.DataFrame({name: made(cells // 4) for name in "abcd"})


def texts(count: int) -> Any:
    """Texts of zones, as Python objects."""
    return pd.Series([f"zone {number}" for number in range(count)], dtype=object)


def values(cells: int, items: int) -> dict[str, Any]:
    """What is measured, by name."""
    numbers = np.random.default_rng(0)
    whole: Any = np.arange(cells // 4)
    return {
        FLOATS: numbers.random(cells),
        "a frame of floats": pd.DataFrame(numbers.random((cells // 4, 4))),
        "a frame of floats with 1,000 columns": pd.DataFrame(numbers.random((max(cells // 1000, 1), 1000))),
        "a frame of integers, floats and truths": pd.DataFrame(
            {"a": np.arange(cells // 3), "b": numbers.random(cells // 3), "c": numbers.random(cells // 3) > 0.5}
        ),
        "a frame of moments": columns(lambda n: pd.date_range("2026", periods=n, freq="min"), cells),
        "a frame of moments in a zone": columns(
            lambda n: pd.date_range("2026", periods=n, freq="min", tz="Europe/Berlin"), cells
        ),
        "a frame of categories": columns(lambda n: pd.Categorical(np.array(["x", "y"])[np.arange(n) % 2]), cells),
        "a frame of integers that may be missing": columns(lambda _: pd.array(whole, dtype="Int64"), cells),
        "a frame of Arrow integers": columns(lambda _: pd.array(whole, dtype="int64[pyarrow]"), cells),
        "an Arrow table": pa.table({name: numbers.random(cells // 4) for name in "abcd"}),
        "a series with two levels": pd.Series(
            numbers.random(cells), index=pd.MultiIndex.from_product([range(cells // 100), range(100)])
        ),
        "a frame of Arrow texts": columns(lambda n: texts(n).astype("string[pyarrow]"), cells),
        "a frame of Python's texts": columns(texts, cells),
        "a frame of Python's texts, some missing": columns(lambda n: texts(n).where(np.arange(n) % 3 > 0, None), cells),
        "a list of integers": list(range(items)),
        "a list of floats": [number / 7 for number in range(items)],
        "a list of texts": [f"zone {number}" for number in range(items)],
        "a list of pairs": [(number, number / 7) for number in range(items)],
        "a dict of floats by integer": {number: number / 7 for number in range(items)},
        "a dict of floats by text": {f"zone {number}": number / 7 for number in range(items)},
        "a dict of floats by pair": {(number, number + 1): number / 7 for number in range(items)},
    }


def main() -> None:
    """One line for each value."""
    unit = 0.0
    for name, value in values(CELLS, ITEMS).items():
        took = fastest(lambda value=value: config_digest(value), 1) / 1000  # type: ignore[misc]
        unit = unit or took
        print(f"{name:44}{took:10.2f} ms   x{took / unit:.1f}", flush=True)


if __name__ == "__main__":
    main()
