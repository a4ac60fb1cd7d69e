"""All printing of the command line: data to stdout, notes to stderr.

The content of a log is untrusted. So every text is escaped before it reaches a terminal, and none is read as markup.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from consist_es.text import shown

__all__ = ["console_of", "emit", "emit_json", "entry", "note", "shown", "table", "to_json"]

_NARROW = 30
"""Width of text below which the terminal itself breaks the lines."""


# ---------------------------------------------------------------- text


def to_json(value: Any) -> str:
    """One line of JSON in ASCII only: as safe on a terminal as `shown`, and the same value to a program."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


# ---------------------------------------------------------------- printing


def emit(text: str = "", style: str = "") -> None:
    """Print one line of data."""
    entry((), text, style)


def emit_json(value: Any) -> None:
    """Print one JSON value on a line of its own."""
    sys.stdout.write(to_json(value) + "\n")


def note(text: str, style: str = "") -> None:
    """Print a message for the user to stderr."""
    entry((), text, style, to=sys.stderr)


def entry(columns: Sequence[str], text: str, style: str = "", *, to: TextIO | None = None) -> None:
    """Print columns and a text after them; on a terminal the text is wrapped between words, below its beginning.

    In a pipe or file it is one line, for programs to read.
    """
    stream = to or sys.stdout
    head, body = "".join(f"{shown(column)}  " for column in columns), shown(text)
    console = console_of(stream)
    if not stream.isatty():
        _write(console, stream, Text.assemble(head, (body, style)))
        return
    indent = " " * (len(body) - len(body.lstrip(" ")))
    below = " " * (cell_len(head) if head else len(indent) + 2 if indent else 0)
    room = console.width - max(cell_len(head + indent), len(below))
    whole = Text(body[len(indent) :], style)
    lines = whole.wrap(console, room) if room >= _NARROW else [whole]
    starts = [Text(head + indent, "dim" if style else ""), *(Text(below) for _ in lines[1:])]
    for start, line in zip(starts, lines or [whole], strict=True):
        _write(console, stream, Text.assemble(start, line))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, to: TextIO | None = None) -> None:
    """Print rows below headings, by default to stdout.

    Empty columns are left out; numbers are aligned to the right. The last column may be long.
    """
    cells = [["" if cell is None else shown(cell) for cell in row] for row in rows]
    kept = [place for place in range(len(headings)) if any(row[place] for row in cells)] or list(range(len(headings)))
    lines = [[line[place] for place in kept] for line in ([*headings], *cells)]
    columns = [_aligned(list(column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(zip(*columns, strict=True)):
        entry(line[:-1], line[-1].rstrip(), "" if number else "bold", to=to)


def _aligned(column: list[str]) -> list[str]:
    """A heading and its cells, padded to one width."""
    width = max(map(cell_len, column))
    numbers = all(re.fullmatch(r"-?\d*\.?\d*", cell) for cell in column[1:])
    return [(" " * pad + cell if numbers else cell + " " * pad) for cell in column for pad in [width - cell_len(cell)]]


def console_of(stream: TextIO) -> Console:
    """A console that prints texts as they are: no markup, emoji or highlighting."""
    return Console(file=stream, markup=False, emoji=False, highlight=False)


def print_text(text: Text) -> None:
    """Print a line in several styles to stdout; in a pipe whole. The caller has escaped its parts."""
    console = console_of(sys.stdout)
    for piece in text.wrap(console, console.width) if sys.stdout.isatty() else [text]:
        _write(console, sys.stdout, piece)


def write_line(text: Text) -> None:
    """Print a line as it is, which fits already."""
    _write(console_of(sys.stdout), sys.stdout, text)


def _write(console: Console, stream: TextIO, line: Text) -> None:
    """Write one line; without styles in a pipe, unless the variable FORCE_COLOR is set and NO_COLOR is not."""
    line.rstrip()
    if not stream.isatty() and (not os.environ.get("FORCE_COLOR") or os.environ.get("NO_COLOR")):
        stream.write(line.plain + "\n")
        return
    with console.capture() as captured:
        console.print(line, soft_wrap=True)
    stream.write(captured.get())
