"""Runs rows, one after the other, and says what each of them tried and what came of it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from torture.rows import ROWS, TINY
from torture.trial import Row, Trial

FORMS = ("short", "night", "release")
ROOT = Path(__file__).resolve().parent.parent.parent


LIMITS = {"short": 3_600.0, "night": 7_200.0, "release": 172_800.0}
"""Seconds that a row may take, where nothing else is asked for: more than it needs."""


def run_row(row: Row, count: int, seed: int, where: Path, seconds: float, *, thorough: bool = False) -> Trial:
    """One row in a folder of its own, which is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=f"torture-{row.id}-", dir=where))
    trial = Trial(count, folder, seed, seconds, thorough=thorough)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            row.run(trial)
    except Exception:  # noqa: BLE001  a row that breaks is a failure of that row
        trial.fail(traceback.format_exc()[-1500:])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return trial


def result_of(row: Row, count: int, trial: Trial) -> dict[str, Any]:
    """What the documentation needs."""
    return {
        "id": row.id,
        "promise": row.promise,
        "count": count,
        "seed": trial.seed,
        "tried": trial.tried,
        "failed": trial.failed,
        "failures": trial.failures,
        "stopped": trial.stopped,
        "lacking": trial.lacking,
        "notes": trial.notes,
        "seconds": round(trial.seconds, 1),
    }


def show(result: dict[str, Any]) -> None:
    """One line, and what failed."""
    tried = ", ".join(f"{number:,} {what}" for what, number in result["tried"].items())
    unfinished = result["stopped"] + result["lacking"]
    verdict = f"{result['failed']} FAILED" if result["failed"] else "INCOMPLETE" if unfinished else "ok"
    print(f"{result['id']:4} {result['promise']}: {tried}: {verdict} ({result['seconds']} s)", flush=True)
    for why in unfinished:
        print(f"     ? {why}", flush=True)
    for name, note in result["notes"].items():
        print(f"       {name}: {note}", flush=True)
    for failure in result["failures"]:
        print(f"     ! {failure}", flush=True)


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.torture", description=__doc__)
    form = parser.add_mutually_exclusive_group()
    for name in FORMS:
        form.add_argument(f"--{name}", dest="form", action="store_const", const=name, help=f"the {name} counts")
    parser.add_argument("--tiny", action="store_true", help="rows in memory only, for planted faults")
    parser.add_argument("--only", default="", help="ids of rows, like R1,R5, in the order to run them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="rows at a time, each in a process of its own")
    parser.add_argument("--seconds", type=float, help="at most so long per row")
    parser.add_argument("--where", type=Path, default=Path(tempfile.gettempdir()), help="folder for what is made")
    parser.add_argument("--json", type=Path, help="file for the results")
    return parser.parse_args(given)


def main(given: list[str]) -> int:
    """Exit code 1 where a promise was broken, or where a row did not do what it was asked.

    For the short form, which runs everywhere, a tool that a machine has not got is no reason to fail.
    """
    options = arguments(given)
    form = options.form or "short"
    options.seconds = options.seconds or LIMITS[form]
    known = {row.id: row for row in ROWS}
    wanted = [*filter(None, options.only.split(","))] or [*known]
    if unknown := [name for name in wanted if name not in known]:
        print(f"no row is called {', '.join(unknown)}; there are {', '.join(known)}")
        return 2
    rows = [known[name] for name in wanted if not options.tiny or name in TINY]
    print(
        f"form {'tiny' if options.tiny else form}, seed {options.seed}, Python {platform.python_version()}", flush=True
    )
    results = []
    for result in in_order(rows, form, options) if options.jobs == 1 else side_by_side(rows, form, options):
        show(result)
        results.append(result)
        if options.tiny and result["failed"]:
            break
        if options.json:
            write(options.json, form, results)
    failed = [result["id"] for result in results if result["failed"]]
    short_of = [result["id"] for result in results if result["stopped"] + result["lacking"]]
    wanting = [result["id"] for result in results if result["stopped"] or (form != "short" and result["lacking"])]
    for word, ids in (("FAILED", failed), ("INCOMPLETE", short_of)):
        if ids:
            print(f"{word}: {', '.join(ids)}")
    if not failed + short_of:
        print(f"all {len(results)} rows ok")
    return 1 if failed + wanting else 0


def in_order(rows: list[Row], form: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Row after row, in this process."""
    for row in rows:
        count = TINY[row.id] if options.tiny else getattr(row, form)
        thorough = form != "short" and not options.tiny
        trial = run_row(row, count, options.seed, options.where, options.seconds, thorough=thorough)
        yield result_of(row, count, trial)


def side_by_side(rows: list[Row], form: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Every row in a process of its own, some at a time, as they end; first those that take times."""
    for row in rows:
        if row.alone:
            yield apart(row, form, options)
    with ThreadPoolExecutor(options.jobs) as pool:
        waiting = [pool.submit(apart, row, form, options) for row in rows if not row.alone]
        for future in as_completed(waiting):
            yield future.result()


def apart(row: Row, form: str, options: argparse.Namespace) -> dict[str, Any]:
    """One row in a process of its own."""
    with tempfile.TemporaryDirectory(dir=options.where) as folder:
        found = Path(folder) / "result.json"
        how = [f"--{form}", *(["--tiny"] if options.tiny else []), "--seed", f"{options.seed}"]
        command = [sys.executable, "-m", "torture", *how, "--only", row.id, "--json", f"{found}"]
        limits = ["--seconds", f"{options.seconds}", "--where", f"{options.where}"]
        path = os.pathsep.join([f"{ROOT}", f"{ROOT / 'tools'}"])
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run([*command, *limits], capture_output=True, text=True, check=False, env=environment)
        if found.exists():
            return dict(json.loads(found.read_text())["rows"][0])
    trial = Trial(getattr(row, form), options.where, options.seed)
    trial.fail(f"exit {done.returncode}: {(done.stdout + done.stderr)[-1500:]}")
    return result_of(row, trial.count, trial)


def write(path: Path, form: str, results: list[dict[str, Any]]) -> None:
    """After every row, so that a run that is cut short has left what it found."""
    about = {"form": form, "python": sys.version.split()[0], "when": time.strftime("%Y-%m-%d"), "rows": results}
    path.write_text(json.dumps(about, indent=1) + "\n")
