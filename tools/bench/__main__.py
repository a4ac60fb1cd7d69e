"""Measure and print. ``python -m tools.bench [--quick] [--events N]``, from the root of a checkout.

Other measurements are commands: ``python -m tools.bench counts``; each has a ``--help``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS.parent), str(TOOLS)]

from bench import contest, counts, growth, instructions, pages  # noqa: E402
from bench.machine import machine  # noqa: E402
from bench.measure import Figure, appends, big, steps  # noqa: E402


def shown(figure: Figure) -> str:
    """One line of the table."""
    digits = 0 if abs(figure.value) >= 100 else 2
    return f"{figure.name:52} {figure.value:14,.{digits}f} {figure.unit}".rstrip()


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "contest": contest.main,
    "counts": counts.main,
    "growth": growth.main,
    "instructions": instructions.main,
    "publish": pages.main,
}


def main(arguments: list[str]) -> int:
    """Run a command, or measure log and views."""
    if arguments and (command := COMMANDS.get(arguments[0])) is not None:
        return command(arguments[1:])
    speeds(arguments)
    return 0


def speeds(arguments: list[str]) -> None:
    """Everything in a folder that is removed afterwards."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench", description=__doc__, epilog=f"commands: {', '.join(COMMANDS)}"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of everything: does it run at all?")
    parser.add_argument(
        "--events", type=int, default=1_000_000, help="length of the big log (1 KB each, views included 2)"
    )
    parser.add_argument(
        "--folder", type=Path, help="where to work, on the disk to measure; default: a temporary folder"
    )
    asked = parser.parse_args(arguments)
    scale = 10 if asked.quick else 1
    with tempfile.TemporaryDirectory(prefix="bench-", dir=asked.folder) as name:
        folder = Path(name)
        print(f"{machine(folder)}; {datetime.now(UTC):%Y-%m-%d}; load {os.getloadavg()[0]:.1f}", flush=True)
        for figures in (
            appends(folder / "appends", 5000 // scale),
            steps(folder / "steps", 200 // scale),
            big(folder, asked.events // scale),
        ):
            for figure in figures:
                print(shown(figure), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
