"""Turns the docstrings' sections into lists, and the pages that they name into links.

`Args:` and `Raises:` stand in docstrings as they are read in an editor: several names before a colon that share a
description, several errors in one line. Each becomes one item here.
"""

import re
from typing import Any

SECTIONS = {"Args:": "Arguments", "Raises:": "Errors"}
ITEM = re.compile(r"(?P<names>\*{0,2}\w+(?: \(\w+\))?(?:, \*{0,2}\w+)*): (?P<text>.*)")
ERRORS = re.compile(r"(?:^|(?<=[.;] ))(?=[A-Z]\w+(?: \(\w+\))?(?:, [A-Z]\w+)*: )")
PAGE = re.compile(r"`{0,2}docs/(?P<page>[a-z-]+)\.md`{0,2}")


def process(app: Any, kind: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Rewrite the lines of one docstring in place."""
    made: list[str] = []
    rest = [PAGE.sub(r":doc:`/\g<page>`", line) for line in lines]
    while rest:
        line = rest.pop(0)
        if line.strip() not in SECTIONS:
            made.append(line)
            continue
        body: list[str] = []
        while rest and (rest[0].startswith("    ") or not rest[0].strip()):
            body.append(rest.pop(0)[4:])
        made += section(line.strip(), body)
    lines[:] = made


def section(heading: str, body: list[str]) -> list[str]:
    """The section as a field of the entry."""
    found = [part for item in items(body) for part in (ERRORS.split(item) if heading == "Raises:" else [item]) if part]
    return ["", f":{SECTIONS[heading]}:", *(f"   * {shown(item)}" for item in found), ""]


def items(body: list[str]) -> list[str]:
    """The lines joined to items: one begins at the margin with names and a colon."""
    found: list[str] = []
    for line in (line for line in body if line.strip()):
        if ITEM.match(line) or not found:
            found.append(line.strip())
        else:
            found[-1] += f" {line.strip()}"
    return found


def shown(item: str) -> str:
    """An item with its names as code."""
    match = ITEM.fullmatch(item.strip())
    if match is None:
        return item.strip()
    names = ", ".join(f"``{name.strip()}``" for name in match["names"].split(","))
    return f"{names}: {match['text']}"
