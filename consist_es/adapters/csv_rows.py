"""Reads CSV tables into rows by name, so that a change can be told by row: cells are texts, as the file has them."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from consist_es.values.digests import digest_of

_CELLS = 3
"""Most columns for which changed cells are named; of wider tables, changed rows are shown as text."""
_MOST_ROWS = 20_000


def csv_rows(text: str, *, comments: bool) -> dict[str, Any] | None:
    """Row by its first cell, the order of rows included; None if the text is no table of that kind.

    `comments`: the program leaves out lines that begin with ``#``.
    """
    lines = text.split("\n")
    if comments:
        lines = [line for line in lines if not line.startswith("#")]
    try:
        rows = [row for row in csv.reader(io.StringIO("\n".join(lines), newline=""), strict=True) if row]
    except csv.Error:
        return None
    if len(rows) < 2 or len(rows) > _MOST_ROWS or len(rows[0]) < 2:
        return None
    if any("\n" in cell for row in rows for cell in row):  # then a line in it may only look like a comment
        return None
    header, *body = rows
    found: dict[str, Any] = {"(columns)": ",".join(header)}
    names = list(_names(row[0] for row in body))
    if max(map(len, names)) > 200 or len({*names}) < len(names):  # keys of records are short
        return None
    cells = 2 <= len(header) <= _CELLS and len({*header}) == len(header)
    for name, row in zip(names, body, strict=True):
        small = cells and len(row) == len(header)
        found[name] = dict(zip(header[1:], row[1:], strict=True)) if small else _text(row[1:])
    found["(order)"] = ("bytes", digest_of("\n".join(names).encode()))
    return found


def _text(cells: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


def _names(cells: Iterable[str]) -> Iterable[str]:
    """A name for each row: its first cell, numbered if another row has the same."""
    seen: dict[str, int] = {}
    for cell in cells:
        text = f"({cell}" if cell.startswith("(") else cell
        seen[text] = number = seen.get(text, 0) + 1
        yield text if number == 1 else f"{text} (({number}))"
