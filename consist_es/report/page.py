"""One HTML file that holds everything: data, script, style, licences. It asks nothing of any network."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from consist_es.text import shown

GENERATOR = '<meta name="generator" content="consist-es report">'
"""Marks a file as a report of ours, which may be written again."""
PACKED = 2_000_000
"""Bytes of data above which they are packed."""
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width,initial-scale=1">
{generator}<meta name="color-scheme" content="light dark">
<title>{title}</title><link rel="icon" href="data:,">
<style>{style}</style></head>
<body><div id="app"><main><h1>{project}</h1>{state}<p id="why">This report shows more where scripts may run.</p>
{table}</main></div>
<script type="{kind}" id="data">{data}</script>
<script type="text/plain" id="licences">{licences}</script>
<script>{script}</script>
</body></html>
"""


def page(payload: Mapping[str, Any]) -> str:
    """The file's text."""
    script, style, licences = (built(name) for name in ("report.js", "report.css", "THIRD-PARTY.txt"))
    kind, data = _data(payload)
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    project = html.escape(payload["project"])
    steps = len(payload["steps"].get("id", ()))
    return _PAGE.format(
        policy=policy,
        generator=GENERATOR,
        title=f"{project}: {steps} steps",
        style=style,
        project=project,
        state=_state(payload["integrity"]),
        table=_table(payload),
        kind=kind,
        data=data,
        licences=licences.replace("<", "&lt;"),
        script=script,
    )


def built(name: str) -> str:
    """A file of the built page."""
    return files("consist_es.report").joinpath("built", name).read_text(encoding="utf-8")


def in_script(value: Any) -> str:
    """JSON that can stand in a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return "".join(_ESCAPES.get(character, character) for character in text) if _needs_escapes(text) else text


def _needs_escapes(text: str) -> bool:
    return any(character in text for character in _ESCAPES)


def _data(payload: Mapping[str, Any]) -> tuple[str, str]:
    """Type and text of the data's element: JSON, or if it is large, JSON in gzip in base64."""
    text = in_script(payload)
    plain = text.encode()
    if len(plain) <= PACKED:
        return "application/json", text
    return "application/gzip", base64.b64encode(gzip.compress(plain, 9, mtime=0)).decode()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _state(integrity: Mapping[str, Any]) -> str:
    """What is wrong with the record, as plain HTML; nothing if it is whole."""
    if integrity["ok"]:
        return ""
    found = "".join(f"<li>{html.escape(shown(problem))}</li>" for problem in integrity["problems"])
    return f"<p><b>The record is not whole:</b></p><ul>{found}</ul>\n"


def _table(payload: Mapping[str, Any]) -> str:
    """The scenarios as plain HTML: for mail programs, and browsers without scripts."""
    texts, steps, scenarios = payload["texts"], payload["steps"], payload["scenarios"]
    outcomes = payload["outcomes"]
    counts: Counter[tuple[int, str]] = Counter(
        (place, outcomes[outcome]) for place, outcome in zip(steps.get("s", ()), steps.get("o", ()), strict=True)
    )
    rows = []
    for place, number in enumerate(scenarios.get("id", ())):
        mine = {outcome: counts[place, outcome] for outcome in outcomes}
        bad = mine["failed"] + mine["interrupted"] + mine["abandoned"]
        cells = (
            texts[number], _text(texts, scenarios, "st", place), sum(mine.values()), mine["hit"], bad,
            "" if _at(scenarios, "d", place) is None else f"{scenarios['d'][place]:.2f}",
            _text(texts, scenarios, "ds", place),
        )  # fmt: skip
        rows.append(f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in cells)}</tr>")
    headings = ("scenario", "status", "steps", "reused", "bad", "seconds", "description")
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{chr(10).join(rows)}\n</tbody></table>"


def _at(columns: Mapping[str, Any], name: str, place: int) -> Any:
    return columns[name][place] if name in columns else None


def _text(texts: list[str], columns: Mapping[str, Any], name: str, place: int) -> str:
    number = _at(columns, name, place)
    return "" if number is None else texts[number]
