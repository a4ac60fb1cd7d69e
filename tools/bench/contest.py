"""Steps of several libraries in turn: ``python -m tools.bench contest --cache FOLDER --against COMMIT``.

Each round runs every contestant once, each in a process and an environment of its own, every other round backwards.
Compared are ratios within a round, of which the median is shown: on a busy machine they are what can be trusted. Times
are of the CPU, but for the wall's. Opening the library and the first step stand apart; the mean is of all other steps
and has closing in it, for which work may have been put off. A tenth of the steps took p10 or less.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.places import ROOT, Missing, Places, dependencies

PEERS = Path(__file__).with_name("peers")
TIMEOUT = 900
"""Seconds for one contestant in one round."""
BASES = ("bare sqlite3", "joblib")
"""What all are compared with."""
NOW = "consist-es"


class Contestant(NamedTuple):
    """A library that takes part."""

    name: str
    script: str
    packages: tuple[str, ...] = ()
    """To install. Without any, the standard library is enough."""
    steps: float = 1.0
    """Part of the steps that it does: slow ones would take the rest of the day."""
    arguments: tuple[str, ...] = ()
    tree: str = ""
    """The commit of this repository that is measured; empty: the checkout as it is."""


def contestants(against: str) -> Iterator[Contestant]:
    """Everybody; ourselves also as of the commit `against`."""
    yield Contestant("the work alone", "bare_work.py")
    yield Contestant("bare sqlite3", "bare_sqlite.py")
    yield Contestant("diskcache", "with_diskcache.py", ("diskcache==5.6.3",))
    yield Contestant("joblib", "with_joblib.py", ("joblib==1.6.0",))
    yield Contestant("joblib, input hashed", "with_joblib_hashed.py", ("joblib==1.6.0",))
    ours = tuple(dependencies())
    for name, commit in ((NOW, ""), *([(f"{NOW} at {against}", against)] if against else [])):
        yield Contestant(name, "ours.py", ours, 1.0, ("consist_es", "commit"), commit)
        yield Contestant(f"{name}, no sync", "ours.py", ours, 1.0, ("consist_es", "os"), commit)
    yield Contestant("redun", "with_redun.py", ("redun==0.44.1", "setuptools<81"), 0.2)
    yield Contestant("LBNL consist", "ours.py", ("consist==0.3.5",), 0.07, ("consist",))


class Ready(NamedTuple):
    """A contestant that can run."""

    python: Path
    environment: dict[str, str]


def prepared(contestant: Contestant, places: Places) -> Ready:
    """Have what it needs. Raises Missing."""
    path = [str(PEERS.parents[1])]
    if contestant.arguments[:1] == ("consist_es",):
        path.append(str(places.tree(contestant.tree) if contestant.tree else ROOT))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": os.pathsep.join(path), "PYTHONHASHSEED": "0", "LIBRARY": path[-1]}
    if not contestant.packages:
        return Ready(Path(sys.executable), environment)
    if places.cache is None and not _importable(contestant.packages):
        raise Missing("not installed, and no folder was named to install it into (--cache)")
    python = Path(sys.executable) if places.cache is None else places.python(*contestant.packages)
    return Ready(python, environment)


def _importable(packages: tuple[str, ...]) -> bool:
    names = {package.partition("==")[0].partition(">=")[0].replace("-", "_") for package in packages}
    code = "import sys, importlib.util as u; sys.exit(any(u.find_spec(n) is None for n in sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", code, *names], check=False).returncode == 0


def run(contestant: Contestant, ready: Ready, count: int, folder: Path | None) -> dict[str, Any]:
    """One turn. Raises Missing if it fails."""
    steps = max(5, round(count * contestant.steps))
    with tempfile.TemporaryDirectory(prefix="contest-", dir=folder) as work:
        # Script and project in one folder, as users have them: the watch for reads looks through what holds both.
        script = shutil.copy(PEERS / contestant.script, work)
        command: list[str | Path] = [ready.python, script, str(steps), work, *contestant.arguments]
        environment = ready.environment | {"XDG_CACHE_HOME": f"{work}.cache", "HOME": work}
        with tempfile.TemporaryDirectory(prefix="caches-", dir=folder) as caches:
            environment["XDG_CACHE_HOME"] = caches
            try:
                done = subprocess.run(
                    command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
                    timeout=TIMEOUT,
                )  # fmt: skip
            except subprocess.TimeoutExpired as late:
                raise Missing(f"took longer than {TIMEOUT} s") from late
    if done.returncode:
        raise Missing((done.stderr.strip().splitlines() or ["it failed without a message"])[-1])
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if row["miss"]["hits"] or row["hit"]["hits"] != (0 if contestant.script == "bare_work.py" else steps):
        raise Missing(f"hits where there should be none, or the reverse: {row['miss']['hits']}, {row['hit']['hits']}")
    return {"version": row["version"], "steps": steps, **{kind: _summed_up(row[kind]) for kind in ("miss", "hit")}}


def _summed_up(row: dict[str, Any]) -> dict[str, float]:
    """Microseconds a step."""
    cpu = row["cpu"]
    return {
        "mean": (sum(cpu[1:]) + row["closing"]) / (len(cpu) - 1),
        "p10": sorted(cpu)[len(cpu) // 10],
        "first": row["opening"] + cpu[0],
        "wall": row["wall"],
    }


def compete(rounds: int, count: int, against: str, places: Places, folder: Path | None = None) -> dict[str, Any]:
    """All rounds; what is missing says why."""
    everybody = list(contestants(against))
    ready: dict[str, Ready] = {}
    missing: dict[str, str] = {}
    for contestant in everybody:
        try:
            ready[contestant.name] = prepared(contestant, places)
        except Missing as why:
            missing[contestant.name] = str(why)
    turns: dict[str, list[dict[str, Any]]] = {contestant.name: [] for contestant in everybody}
    for number in range(rounds):
        for contestant in everybody if number % 2 == 0 else reversed(everybody):
            if contestant.name in missing:
                continue
            try:
                turns[contestant.name].append(run(contestant, ready[contestant.name], count, folder))
            except Missing as why:
                missing[contestant.name] = str(why)
        print(f"round {number + 1} of {rounds}, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    whole = {name: rows for name, rows in turns.items() if name not in missing}
    return {
        "rounds": rounds,
        "missing": missing,
        "contestants": {name: result(rows, whole) for name, rows in whole.items()},
    }


def result(rows: list[dict[str, Any]], everybody: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The least times of a contestant, and medians of its ratios to the ones in `BASES`, and to ourselves."""
    found: dict[str, Any] = {"version": rows[0]["version"], "steps": rows[0]["steps"]}
    for kind in ("miss", "hit"):
        found[kind] = {name: round(min(row[kind][name] for row in rows), 1) for name in rows[0][kind]}
        found[kind]["ratios"] = {
            base: round(
                statistics.median(
                    row[kind]["mean"] / other[kind]["mean"] for row, other in zip(rows, everybody[base], strict=True)
                ),
                3,
            )
            for base in (*BASES, NOW)
            if base in everybody
        }
    return found


def table(results: dict[str, Any]) -> list[str]:
    """Lines of a Markdown table."""
    bases = [base for base in (*BASES, NOW) if base in results["contestants"]]
    heads = ["", "steps", "mean", "p10", "first", "wall", *(f"× {base}" for base in bases)]
    lines = []
    for kind, title in (("miss", "A computed step"), ("hit", "A cache hit")):
        lines += [f"| {title}, µs | " + " | ".join(heads[1:]) + " |", "|---|" + "---:|" * (len(heads) - 1)]
        for name, row in results["contestants"].items():
            times = row[kind]
            cells = [f"{row['steps']:,}", *(f"{times[key]:,.0f}" for key in ("mean", "p10", "first", "wall"))]
            cells += [f"{times['ratios'][base]:,.2f}" for base in bases]
            label = f"{name} {row['version']}" if not name.startswith(NOW) else name
            lines.append(f"| {label.strip()} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += [f"- {name} did not take part: {why}" for name, why in results["missing"].items()]
    return lines


def main(arguments: list[str]) -> int:
    """Compete and print."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench contest", description=__doc__)
    options(parser)
    asked = parser.parse_args(arguments)
    results = compete(asked.rounds, asked.steps, asked.against, Places(asked.cache), asked.folder)
    print("\n".join(table(results)))
    return 0 if NOW in results["contestants"] else 1


def options(parser: argparse.ArgumentParser) -> None:
    """Options of the contest."""
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=300, help="of fast libraries; slow ones do fewer")
    parser.add_argument("--against", default="", metavar="COMMIT", help="ourselves at this commit take part too")
    parser.add_argument("--cache", type=Path, help="folder to install the libraries into, kept for the next time")
    parser.add_argument("--folder", type=Path, help="where to work, on the disk to measure")
