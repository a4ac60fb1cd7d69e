"""Pages of docs/performance, made from figures: ``python -m tools.bench publish --cache FOLDER --against COMMIT``.

What was measured is kept in docs/performance/figures.json with its machine, date and command, so that the pages can be
made again without measuring: ``publish --pages``. ``--only`` measures a part and keeps the rest.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import contest, counts, growth, instructions
from bench import plots as drawing
from bench.counting import EXPLAINED
from bench.machine import machine
from bench.places import ROOT, Missing, Places, output

FOLDER = ROOT / "docs" / "performance"
FIGURES = "figures.json"
PLOTTED = ("miss, same name", "miss, new name", "hit", "hit, ")
"""Rows of the plot of growth; the last one's name goes on with a number."""
MADE = "<!-- made by `python -m tools.bench publish`: change tools/bench/pages.py -->"

CONTEST = """\
Each library runs the same steps, of one input file and one number, which write one small file; then all of them again,
answered from the cache by a fresh object. The contestants take turns, each in a process of its own. A ratio is the
median over the rounds of the ratio within a round; times are the least of all rounds. The mean is of the steps after
the first, and has closing in it, for which work may have been put off; "first" is the first step with the opening of
the library, but not its import; a tenth of the steps took p10 or less. All are CPU time but "wall", which waits for the
disk and for whatever else the machine does.

They do not do the same work. joblib and diskcache record nothing and do not look at the output of a hit; joblib does
not look at the input's content unless it is hashed first. The bare script has one row for a run, with a sync. redun
keeps calls and files. We check code, input and output, append each run to a chained log, with a sync but for the rows
"no sync", and make views from it.
"""
GROWTH = """\
Steps and queries on logs of so many runs, which `tools/bench/biglog.py` makes: all have one step name and inputs that
earlier runs made. The row "hit, … earlier runs of its fingerprint" asks for work that was done that often before.
"""
COUNTS = """\
What a step, an opened project and a query do, exactly: the same on any machine, whatever else it does. A test holds
these numbers ([tests/golden/counts.json](../../tests/golden/counts.json)): one that changes by more than 3 %, up or
down, fails until `python -m tools.bench counts --write` puts it on record. An empty cell is a number that depends on
the machine: the watch for what a step reads is also told of files that other programs open.
"""


def measured(asked: argparse.Namespace, before: dict[str, Any]) -> dict[str, Any]:
    """Figures with what was asked for measured anew."""
    places = Places(asked.cache)
    lengths = sorted(asked.runs)
    work: dict[str, Callable[[], dict[str, Any]]] = {
        "contest": lambda: contest.compete(asked.rounds, asked.steps, asked.against, places, asked.folder),
        "growth": lambda: {"lengths": lengths, "rows": growth.grow(lengths, asked.repeated, asked.folder)},
        "instructions": lambda: exact(asked.against, places),
    }
    figures = dict(before)
    for name in asked.only or work:
        load = os.getloadavg()[0]
        figures[name] = work[name]() | {
            "machine": machine(asked.folder or Path(tempfile.gettempdir())),
            "commit": commit(),
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "load": f"{load:.1f} to {os.getloadavg()[0]:.1f}",
            "command": command(asked, name),
        }
    return figures


def commit() -> str:
    """The state of this checkout, in words; empty if git does not know it."""
    try:
        return f" at {output('git', 'describe', '--always', '--dirty').strip()}"
    except Missing:
        return ""


def command(asked: argparse.Namespace, part: str) -> str:
    """Command that measures this part in the same way, without anybody's paths."""
    words = ["--only", part]
    if part != "growth":
        words += ["--cache", "FOLDER"] if asked.cache else []
        words += ["--against", asked.against] if asked.against else []
    if part == "contest":
        words += ["--rounds", str(asked.rounds), "--steps", str(asked.steps)]
    if part == "growth":
        words += [word for runs in sorted(asked.runs) for word in ("--runs", str(runs))]
    return shlex.join(["python", "-m", "tools.bench", "publish", *(["--smoke"] if asked.smoke else words)])


def exact(against: str, places: Places) -> dict[str, Any]:
    """Instructions and system calls of ourselves now, and at the commit."""
    rows = {contest.NOW: instructions.measure()}
    if against and places.cache is not None:
        rows[f"{contest.NOW} at {against}"] = instructions.measure(places.tree(against))
    return {"rows": rows}


def conditions(figures: dict[str, Any]) -> str:
    """On what, when and how it was measured."""
    return f"{figures['machine']}{figures['commit']}, load {figures['load']}; {figures['date']}; `{figures['command']}`"


def pages(figures: dict[str, Any]) -> dict[str, str]:
    """File name -> text of the pages that can be made of these figures."""
    made: dict[str, list[str]] = {}
    if "contest" in figures:
        found = figures["contest"]
        picture = "![CPU time of a computed step and of a cache hit, by library](contest.svg)"
        made["side-by-side.md"] = [
            "# Side by side", "", CONTEST, picture, "", *contest.table(found), "",
            f"{found['rounds']} rounds. {conditions(found)}", *(f"\n{note}" for note in found.get("notes", ())),
        ]  # fmt: skip
    if "growth" in figures:
        found = figures["growth"]
        picture = "![CPU time of steps by the number of earlier runs](growth.svg)"
        made["growth.md"] = [
            "# How cost grows", "", GROWTH, picture, "", *growth.table_of(found["lengths"], found["rows"]), "",
            conditions(found),
        ]  # fmt: skip
    made["counts.md"] = ["# Exact counts", "", COUNTS, *counts.table(counts.recorded()), ""]
    made["counts.md"] += [f"- **{kind}**: {what}" for kind, what in EXPLAINED.items()]
    if figures.get("instructions", {}).get("rows"):
        made["counts.md"] += ["", "## Instructions and system calls", "", *_exact_table(figures["instructions"])]
    return {name: "\n".join([MADE, "", *lines]).rstrip() + "\n" for name, lines in made.items()}


def _exact_table(found: dict[str, Any]) -> list[str]:
    lines = [
        "Per step, of valgrind's callgrind (the program's instructions, not the kernel's) and of strace:", "",
        "| | instructions, miss | hit | system calls, miss | hit |", "|---|---:|---:|---:|---:|",
    ]  # fmt: skip
    for name, row in found["rows"].items():
        cells = [f"{row[what][kind]:,.0f}" if what in row else "" for what in ("instructions", "system calls")
                 for kind in ("miss", "hit")]  # fmt: skip
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, "", conditions(found), *(f"\n{note}" for note in found.get("notes", ()))]


def write(figures: dict[str, Any], folder: Path = FOLDER, *, plots: bool = True) -> None:
    """Figures, pages and, if matplotlib is there, plots."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FIGURES).write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for name, text in pages(figures).items():
        (folder / name).write_text(text, encoding="utf-8")
    if plots:
        _draw(figures, folder)


def _draw(figures: dict[str, Any], folder: Path) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        print("no plots: pip install '.[bench]' has what draws them", file=sys.stderr)
        return
    if "contest" in figures:
        drawing.contest(figures["contest"], contest.NOW, folder / "contest.svg")
    if "growth" in figures:
        rows = figures["growth"]["rows"]
        shown = {name: took for name, took in rows.items() if name in PLOTTED or name.startswith(PLOTTED[-1])}
        drawing.growth(figures["growth"]["lengths"], shown, folder / "growth.svg")


def recorded(folder: Path = FOLDER) -> dict[str, Any]:
    """Figures measured before."""
    path = folder / FIGURES
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return figures


def parsed(arguments: list[str]) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench publish", description=__doc__)
    contest.options(parser)
    growth.options(parser)
    parser.add_argument("--runs", type=int, action="append", help="length of a log, may be repeated")
    parser.add_argument("--only", action="append", choices=("contest", "growth", "instructions"))
    parser.add_argument("--pages", action="store_true", help="measure nothing; make the pages from what was measured")
    parser.add_argument("--smoke", action="store_true", help="a little of everything: does it run?")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the pages")
    asked = parser.parse_args(arguments)
    asked.runs = asked.runs or list(growth.LENGTHS)
    if asked.smoke:
        asked.rounds, asked.steps, asked.runs, asked.repeated = 1, 5, [50, 100], 3
        asked.only = asked.only or ["contest", "growth"]
    return asked


def main(arguments: list[str]) -> int:
    """Measure, and write the pages."""
    asked = parsed(arguments)
    if asked.pages:
        write(recorded(asked.out), asked.out)
    elif asked.smoke and asked.out == FOLDER:
        with tempfile.TemporaryDirectory(prefix="smoke-") as name:
            write(measured(asked, {}), Path(name))
    else:
        write(measured(asked, recorded(asked.out)), asked.out)
    return 0
