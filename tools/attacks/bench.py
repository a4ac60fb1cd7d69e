"""Runs cases against one tool and scores them."""

import contextlib
import json
import os
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from attacks.case import ELSEWHERE, Case, write

HERE = Path(__file__).resolve().parent
RIGHT, WRONG, NEEDLESS = "right", "wrong hit", "needless miss"
REFUSED, INEXPRESSIBLE, SKIPPED, BROKEN = "refused", "not expressible", "skipped", "broken"
SCORES = (RIGHT, WRONG, NEEDLESS, REFUSED, INEXPRESSIBLE, SKIPPED, BROKEN)


@dataclass(frozen=True)
class Tool:
    """A caching tool: its adapter, the interpreter that it is installed in, and where that finds more modules."""

    adapter: str
    python: Path
    search: str = ""


@dataclass(frozen=True)
class Result:
    """What a tool made of a case."""

    case: Case
    score: str
    note: str = ""


class Driver:
    """One interpreter with the tool loaded, in which scripts are run."""

    def __init__(self, tool: Tool) -> None:
        path = os.pathsep.join([str(tool.python.parent), os.environ.get("PATH", "")])
        env = {**os.environ, "PATH": path, "PYTHONPATH": tool.search, "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            [tool.python, HERE / "driver.py", tool.adapter],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
        )  # fmt: skip
        hello = self._answer()
        self.can, self.packages = frozenset(hello["can"]), frozenset(hello["packages"])
        self.version = str(hello["version"])

    def run(self, folder: Path, script: str, records: Path, log: Path) -> int:
        """Exit code of a script of a project, run in a fresh process; negative for a signal."""
        assert self._process.stdin is not None
        order = {"folder": str(folder), "name": script, "records": str(records), "log": str(log)}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._answer()["code"])

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            said = self._process.communicate()[1]
            raise RuntimeError(f"the driver ended: {said.strip()[-2000:]}")
        return json.loads(line)

    def __enter__(self) -> "Driver":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ValueError):
            self._process.communicate()


def attack_all(tool: Tool, cases: Iterable[Case], work: Path, workers: int = 2) -> tuple[str, list[Result]]:
    """Version of the tool, and the results in the order of the cases; `workers` interpreters share the work."""
    drivers = threading.local()
    with contextlib.ExitStack() as stack:
        opened: list[Driver] = []

        def one(case: Case) -> Result:
            if not hasattr(drivers, "own"):
                drivers.own = stack.enter_context(Driver(tool))
                opened.append(drivers.own)
            return attack(case, drivers.own, work / case.name)

        with ThreadPoolExecutor(workers) as pool:
            results = list(pool.map(one, cases))
        return opened[0].version, results


def attack(case: Case, driver: Driver, work: Path) -> Result:
    """Run one case in an empty folder and score it."""
    if missing := case.needs - driver.can:
        return Result(case, INEXPRESSIBLE, f"it has no notion of {', '.join(sorted(missing))}")
    if absent := case.packages - driver.packages:
        return Result(case, SKIPPED, f"{', '.join(sorted(absent))} is not installed")
    project, records, log = work / "project", work / "records", work / "log.txt"
    shutil.rmtree(work, ignore_errors=True)
    scripts = {"main.py": case.main} | ({} if case.again is None else {"again.py": case.again})
    write(project, {**case.files, **scripts})
    codes = [driver.run(project, "main.py", records, log)]
    first = len(lines(records))
    if early := unable(case, list(map(json.loads, lines(records)))):
        return early
    if case.change is not None:
        try:
            case.change(project)
        except OSError as error:
            return Result(case, BROKEN, f"{error}; see {log}")
        if case.moved:
            project = work / ELSEWHERE
        codes.append(driver.run(project, [*scripts][-1], records, log))
    calls = list(map(json.loads, lines(records)))
    if case.change is not None and len(calls) == first and codes[-1] == 0:
        return Result(case, BROKEN, "the second process made no call")
    return scored(case, calls, codes[-1])


def lines(path: Path) -> list[str]:
    """The lines of a file, none if it is not there."""
    return path.read_text().splitlines() if path.exists() else []


def scored(case: Case, calls: list[dict[str, Any]], code: int) -> Result:
    """The score for what the calls did; the last call is the one that counts."""
    if no := unable(case, calls):
        return no
    if code != 0 or not calls:
        return Result(case, BROKEN, f"the script ended with {code}")
    if not case.first_fails and (len(calls) < 2 or not calls[0]["ran"] or "error" in calls[0]):
        return Result(case, BROKEN, f"the first call did not run: {calls[0]}")
    return judged(case, calls[-1])


def unable(case: Case, calls: list[dict[str, Any]]) -> Result | None:
    """The result where the tool could not say the case, or refused a call: an error before the step was entered."""
    for call in calls:
        if "not_expressible" in call:
            return Result(case, INEXPRESSIBLE, call["not_expressible"])
        if "error" in call and not call["ran"]:
            return Result(case, REFUSED, call["error"])
    return None


def judged(case: Case, last: dict[str, Any]) -> Result:
    """The score of the last call. A hit must also hold what it should."""
    if "error" in last:
        return Result(case, BROKEN, last["error"])
    hit = not last["ran"]
    if case.good is not None and last["value"] != case.good:
        return Result(case, WRONG if hit else BROKEN, f"the output holds {last['value']!r}, not {case.good!r}")
    if hit == (case.verdict == "hit") or (hit and case.good is not None):
        return Result(case, RIGHT, "hit" if hit else "ran again")
    return Result(case, WRONG if hit else NEEDLESS)


def counted(results: Iterable[Result]) -> Counter[str]:
    """How often each score was given."""
    return Counter(result.score for result in results)
