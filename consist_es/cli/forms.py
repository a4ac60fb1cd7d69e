"""Forms of lists: a table for people; JSON, CSV, TSV or Markdown with the same rows for programs."""

import csv
import io
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import click
from rich.cells import cell_len, set_cell_size
from rich.text import Text

from consist_es.cli.output import emit_json, shown, write_line
from consist_es.errors import OptionError

_Command = TypeVar("_Command", bound=Callable[..., Any])
FORMS = ("json", "nl", "csv", "tsv", "md", "table")
_HELP = {
    "json": "Print one JSON document.",
    "nl": "Print JSON, one object to a line.",
    "csv": "Print CSV; text that begins like a formula gets an apostrophe before it.",
    "tsv": "Print values separated by tabs, otherwise like --csv.",
    "md": "Print a Markdown table.",
    "table": "Print a table, also into a pipe.",
}
_FORMULA = ("=", "+", "-", "@")
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")
_FLEXIBLE_AT_LEAST = 16
_GAP = 2


class Column(NamedTuple):
    """A column of a list."""

    name: str
    text: Callable[[Any], str] = lambda value: "" if value is None else str(value)
    """Text for people."""
    style: Callable[[Any], str] = lambda _value: ""
    right: bool = False
    flexible: bool = False
    """True if it gives way first when the terminal is narrow."""


def forms_option(command: _Command) -> _Command:
    """``--json``, ``--nl``, ``--csv``, ``--tsv``, ``--md`` and ``--table``; `form` is the one given, or None."""
    for name in reversed(FORMS):
        flags = ["--table", "-t"] if name == "table" else [f"--{name}"]
        option = click.option(*flags, "form", flag_value=name, help=_HELP[name])
        command = option(command)
    return command


def chosen(columns: Sequence[Column], default: Iterable[str], wanted: str | None) -> list[Column]:
    """The columns that `wanted` names, separated by commas; ``all`` for all of them, None for the default.

    Raises:
        OptionError: there is no such column.
    """
    known = {column.name: column for column in columns}
    names = list(known) if wanted == "all" else list(default) if wanted is None else wanted.split(",")
    for name in names:
        if name not in known:
            raise OptionError("columns", name, ("all", *known))
    return [known[name] for name in names]


def print_rows(
    columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], form: str | None, *, every: Sequence[str] = ()
) -> None:
    """Print rows in a form; None is a table on a terminal, else lines of texts separated by tabs.

    JSON has the keys in `every`, or those of the columns.
    """
    names = list(every) or [column.name for column in columns]
    if form in ("json", "nl"):
        plain = [{name: row.get(name) for name in names} for row in rows]
        for value in plain if form == "nl" else [plain]:
            emit_json(value)
    elif form in ("csv", "tsv"):
        _separated(columns, [[_raw(row.get(column.name)) for column in columns] for row in rows], form)
    elif form == "md":
        _markdown(columns, _texts(columns, rows))
    elif form == "table" or sys.stdout.isatty():
        _table(columns, rows)
    else:
        for line in ([column.name for column in columns], *_texts(columns, rows)):
            sys.stdout.write("\t".join(line) + "\n")


# ---------------------------------------------------------------- for programs


def _raw(value: Any) -> str:
    return "" if value is None else str(value)


def _separated(columns: Sequence[Column], rows: Iterable[Sequence[str]], form: str) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter="\t" if form == "tsv" else ",", lineterminator="\n")
    writer.writerow([column.name for column in columns])
    writer.writerows(map(_for_a_sheet, row) for row in rows)
    sys.stdout.write(stream.getvalue())


def _for_a_sheet(cell: str) -> str:
    """A cell as text; a spreadsheet would run one that begins like a formula, so an apostrophe goes before it."""
    text = shown(cell)
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def _markdown(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    lines = [[column.name for column in columns], ["---:" if column.right else "---" for column in columns]]
    lines += [[cell.replace("|", "\\|") for cell in row] for row in rows]
    for line in lines:
        sys.stdout.write(f"| {' | '.join(line)} |\n")


# ---------------------------------------------------------------- for people


def _texts(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    return [[shown(column.text(row.get(column.name))) for column in columns] for row in rows]


def _table(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
    room = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 1 << 20
    for line in table_lines(columns, rows, room):
        write_line(line)


def table_lines(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], room: int) -> Iterator[Text]:
    """Headings and rows in `room` characters: flexible columns give way, then columns are left out from the right."""
    cells = _texts(columns, rows)
    kept = [place for place in range(len(columns)) if not rows or any(line[place] for line in cells)]
    widths = {place: max(cell_len(text) for text in _column(columns, cells, place)) for place in kept}
    long = [place for place in kept if widths[place] > room // 2 and not columns[place].flexible]
    if long and _least(columns, widths, kept) > room:  # very long names leave room for the other columns
        widths |= dict.fromkeys(long, 0)
        widths |= dict.fromkeys(long, max((room - _least(columns, widths, kept)) // len(long), _FLEXIBLE_AT_LEAST))
    while len(kept) > 1 and _least(columns, widths, kept) > room:
        kept.pop()
    spare = room - sum(widths[place] for place in kept) - _GAP * (len(kept) - 1)
    for place in reversed(kept):
        if columns[place].flexible and spare < 0:
            narrow = max(widths[place] + spare, min(widths[place], _FLEXIBLE_AT_LEAST))
            spare += widths[place] - narrow
            widths[place] = narrow
    for number in range(-1, len(cells)):
        line = Text()
        for place in kept:
            column = columns[place]
            text = column.name if number < 0 else cells[number][place]
            style = "bold" if number < 0 else column.style(rows[number].get(column.name))
            end = "" if column.flexible else text[-widths[place] :]  # attempts and years are at the end of names
            line.append(_fitted(text, widths[place], end, right=column.right, last=place == kept[-1]), style)
            line.append(" " * _GAP if place != kept[-1] else "")
        line.rstrip()
        line.truncate(room)
        yield line


def _column(columns: Sequence[Column], cells: Sequence[Sequence[str]], place: int) -> list[str]:
    return [columns[place].name, *(line[place] for line in cells)]


def _least(columns: Sequence[Column], widths: Mapping[int, int], kept: Sequence[int]) -> int:
    """Width of the table with flexible columns as narrow as they may be."""
    least = [min(widths[place], _FLEXIBLE_AT_LEAST) if columns[place].flexible else widths[place] for place in kept]
    return sum(least) + _GAP * (len(kept) - 1)


def _fitted(text: str, width: int, end: str, *, right: bool, last: bool) -> str:
    """A cell of this width; of a text that is too long its beginning, and of `end` as much as there is room for."""
    if cell_len(text) > width:
        while cell_len(end) > width // 3:
            end = end[1:]
        return f"{set_cell_size(text, width - 1 - cell_len(end))}…{end}"
    padding = " " * (width - cell_len(text))
    return padding + text if right else text if last else text + padding
