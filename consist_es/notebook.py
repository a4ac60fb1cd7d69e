"""HTML that notebooks show of runs, artifacts and sets: small tables of escaped text, without scripts.

Every text comes from a log, which anybody may have written: it goes through `cell`, and nothing else does. Colours are
the page's own, for notebooks may be dark.
"""

import html
from collections.abc import Iterable, Sequence

from consist_es.text import shortened, shown

ROWS = 30
"""Most rows of a table."""
LONGEST = 100
"""Most characters of a cell."""
MAX_BYTES = 16_000
"""Size beyond which no row is added."""

_LEFT = "text-align:left;vertical-align:top"  # notebooks put cells to the right
_QUIET = ' style="opacity:.7"'


def cell(value: object) -> str:
    """A value as text that no page takes for markup; "" for None."""
    return html.escape("" if value is None else shown(shortened(str(value), LONGEST)))


def box(
    title: object,
    about: object = "",
    rows: Iterable[Sequence[object]] = (),
    *,
    headings: Sequence[str] = (),
    total: int | None = None,
) -> str:
    """A title, a few words about it, and a table. `total`: number of rows if `rows` may be the first of more.

    Without `headings` the first cell of a row is its heading.
    """
    lines, size, number = [], 0, 0
    for number, row in enumerate(rows, 1):
        line = _row(row, heading=not headings)
        size += len(line.encode())
        if number > ROWS or size > MAX_BYTES:
            number -= 1
            break
        lines.append(line)
    more = 0 if total is None else total - number
    head = "".join(f'<th scope="col" style="{_LEFT}">{cell(name)}</th>' for name in headings)
    table = "".join([f"<thead><tr>{head}</tr></thead>" if head else "", *lines])
    parts = [f"<div><strong>{cell(title)}</strong>"]
    parts += [f" <span{_QUIET}>{cell(about)}</span>"] if about else []
    parts += [f"<table>{table}</table>"] if lines else []
    parts += [f"<span{_QUIET}>and {more:,} more</span>"] if more > 0 else []
    return "".join([*parts, "</div>"])


def _row(cells: Sequence[object], *, heading: bool) -> str:
    found = [f'<td style="{_LEFT}">{cell(value)}</td>' for value in cells]
    if heading and cells:
        found[0] = f'<th scope="row" style="{_LEFT};font-weight:normal;opacity:.7">{cell(cells[0])}</th>'
    return f"<tr>{''.join(found)}</tr>"
