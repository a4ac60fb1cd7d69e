"""Exact counts of steps and queries, compared with the ones on record: ``python -m tools.bench counts [--write]``.

They are the same on a busy machine and on an idle one, so a test holds them (tests/house/test_counts.py). Who makes a
step cheaper or dearer says so with ``--write``, which puts today's numbers on record.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from bench.counting import EXPLAINED, KINDS

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "tests" / "golden" / "counts.json"
COMMAND = "python -m tools.bench counts --write"
SLACK = 0.03
"""Part by which a count may differ. Between Python 3.11 and 3.13, and between folders, it differs by up to one percent;
a small number, such as that of syncs, may not differ at all."""
AT_LEAST = {"stats": 2}
"""Kind -> how many more or less are always allowed: `pathlib` of Python 3.13 looks at files in another way."""
UNSURE = {"watching": "*", "stats": "miss", "resolved": "miss", "opens": "miss", "reads": "miss", "listings": "miss",
          "locks": "miss"}  # fmt: skip
"""Kind -> the rows in which it is not held. A watched step is told of the files that its process or another opens, and
which files these are depends on the machine; the row "miss, not watched" holds what is left out here."""

Counts = dict[str, dict[str, int]]


def measure(tree: Path = ROOT) -> Counts:
    """Counts of the library in this checkout, in a process of its own."""
    left_out = ("CONSIST_ES_OBSERVE", "PYTHONSTARTUP", "COVERAGE_PROCESS_START")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", Path(__file__).with_name("counting.py")],
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, check=True,
        env=environment | {"PYTHONPATH": str(tree), "PYTHONHASHSEED": "0"},
    )  # fmt: skip
    told = json.loads(done.stdout)
    check_library(told["library"], tree)
    counts: Counts = told["rows"]
    return counts


def check_library(file: str, tree: Path) -> None:
    """Exit if a child has measured the library of another checkout."""
    if not Path(file).resolve().is_relative_to(tree.resolve()):
        raise SystemExit(f"error: {file} was measured, which is not in {tree}")


def held(counts: Counts) -> Counts:
    """The counts that do not depend on the machine."""
    return {
        row: {kind: number for kind, number in numbers.items() if not _is_unsure(row, kind)}
        for row, numbers in counts.items()
    }


def _is_unsure(row: str, kind: str) -> bool:
    rows = UNSURE.get(kind)
    return rows == "*" or (rows is not None and row.startswith(rows) and not row.endswith("not watched"))


def recorded(path: Path = RECORD) -> Counts:
    """The counts on record."""
    counts: Counts = json.loads(path.read_text(encoding="utf-8"))
    return counts


def write(counts: Counts, path: Path = RECORD) -> None:
    """Put counts on record, a row a line."""
    rows = [f" {json.dumps(row)}: {json.dumps(numbers)}" for row, numbers in held(counts).items()]
    path.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


def changes(before: Counts, after: Counts) -> list[str]:
    """Lines with each number that differs by more than `SLACK`, up or down, and rows that came or went."""
    lines = []
    for row in sorted({*before, *after}):
        if row not in before or row not in after:
            lines.append(f"{row}: {'new' if row in after else 'gone'}")
            continue
        for kind in sorted({*before[row], *after[row]}):
            old, new = before[row].get(kind, 0), after[row].get(kind, 0)
            if abs(new - old) > max(SLACK * old, AT_LEAST.get(kind, 0)):
                percent = f" ({(new - old) / old:+.0%})" if old else ""
                lines.append(f"{row}: {kind} {old:,} -> {new:,}{percent}")
    return lines


def table(counts: Counts) -> list[str]:
    """Lines of a Markdown table."""
    lines = ["| | " + " | ".join(KINDS) + " |", "|---|" + "---:|" * len(KINDS)]
    for row, numbers in counts.items():
        cells = [f"{numbers[kind]:,}" if kind in numbers else "" for kind in KINDS]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return lines


def main(arguments: list[str]) -> int:
    """Count, print, and compare or write."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench counts", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put today's numbers on record")
    parser.add_argument("--tree", type=Path, default=ROOT, help="count another checkout's library; never written")
    asked = parser.parse_args(arguments)
    counts = measure(asked.tree)
    print("\n".join(table(counts)))
    for kind, what in EXPLAINED.items():
        print(f"{kind}: {what}")
    found = changes(recorded() if RECORD.exists() else {}, held(counts))
    print("\n".join(["", *found]) if found else f"\nas on record, within {SLACK:.0%}")
    if asked.tree != ROOT:
        return 0
    if asked.write:
        write(counts)
        from bench import pages  # its page shows them

        pages.write(pages.recorded(), plots=False)
        return 0
    return 1 if found else 0
