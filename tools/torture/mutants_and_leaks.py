"""Q1 and Q2: how much of the code the tests and the rows reach, and whether a long life leaks."""

from __future__ import annotations

import ast
import gc
import os
import random
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from consist_es.log.local import LocalLog
from torture import operations
from torture.invariants import batch
from torture.tests_of import WITNESSES, test_file
from torture.trial import Trial, require

ROOT = Path(__file__).resolve().parent.parent.parent
WITNESS_ROWS = "R4,R5,R6,R7,R20,R21,R22"
"""Rows in memory that may notice a mutant of the log where its tests do not."""


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def leaks(trial: Trial) -> None:
    """Q2: `count` logs opened, written, read and closed, and a twentieth as many trackers."""
    folder = trial.folder / "x.events"
    operations.prepare(trial.folder / "p")
    with trial.case("opens", "projects"), operations.inside(trial.folder / "p"):
        for warm in (True, False):
            if not warm:
                gc.collect()
                before = _descriptors(), _resident()
            for number in trial.cases(min(200, trial.count) if warm else trial.count):
                log = LocalLog(folder, sync="os", segment_size=200_000)
                if number % 10 == 0:
                    log.append(batch(f"{warm}{number}", 1))
                log.head()
                log.close()
                if number % 20 == 0:
                    with operations.opened(sync="os") as tracker:
                        tracker.run(operations.step, outputs=["o"], config={"n": number % 40})
                trial.tell("opens")
        gc.collect()
        after = _descriptors(), _resident()
        grown = after[1] - before[1]
        trial.notes |= {"descriptors": f"{before[0]} -> {after[0]}", "memory grown by, MB": round(grown / 1e6, 1)}
        # one more where the garbage collector has not been to some object of the test runner's yet
        require(after[0] <= before[0] + 2, f"open files grew from {before[0]} to {after[0]}")
        require(grown < 50e6, f"memory grew by {grown / 1e6:.0f} MB")


# ---------------------------------------------------------------- Q1


class _Mutant(ast.NodeTransformer):
    """Changes the `at`-th thing that can be changed.

    Comparisons, `and` and `or`, plus and minus, conditions, and calls that stand alone. Not changed is what no test
    could notice: what only type checkers or another operating system see, arithmetic in the text of an error, and
    settings that only make SQLite quicker.
    """

    def __init__(self, at: int, text: str) -> None:
        self.at, self.seen, self.what = at, 0, ""
        self._elsewhere = {n for n, line in enumerate(text.splitlines(), 1) if "pragma: no " in line}

    def visit(self, node: ast.AST) -> ast.AST:
        if getattr(node, "lineno", 0) in self._elsewhere and isinstance(node, ast.stmt):
            return node
        changed: ast.AST = super().visit(node)
        return changed

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return node

    def _turn(self, node: ast.AST) -> bool:
        self.seen += 1
        if self.seen - 1 != self.at:
            return False
        self.what = f"line {getattr(node, 'lineno', 0)}: {ast.unparse(node)[:80]}"
        return True

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        swaps = {ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE}
        swaps |= {ast.GtE: ast.Gt, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In}
        if self._turn(node):
            node.ops = [swaps[type(node.ops[0])](), *node.ops[1:]]
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        if self._turn(node):
            node.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Add | ast.Sub) and self._turn(node):
            node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.value, ast.Call) or _QUICKER.search(ast.unparse(node)):
            return node
        return ast.Pass() if self._turn(node) else node

    def visit_If(self, node: ast.If) -> ast.AST:
        if ast.unparse(node.test) == "TYPE_CHECKING":
            return node
        self.generic_visit(node)
        if self._turn(node):
            node.test = ast.UnaryOp(ast.Not(), node.test)
        return node


_QUICKER = re.compile("PRAGMA (cache_size|locking_mode|synchronous)")


def mutants(modules: Iterable[str] = WITNESSES) -> Iterator[tuple[str, int]]:
    """Every module with every place that can be changed."""
    for module in modules:
        text = (ROOT / module).read_text("utf-8")
        counter = _Mutant(-1, text)
        counter.visit(ast.parse(text))
        for at in range(counter.seen):
            yield module, at


def mutation(trial: Trial) -> None:
    """Q1: `count` mutants of the modules in `torture.tests_of`; nine of ten are noticed by the module's tests, or,
    where it is one of the log, by the rows in memory."""
    if trial.count == 0:
        trial.notes["mutants"] = "none in this form"
        return
    copy = trial.folder / "copy"
    ignored = shutil.ignore_patterns(".*", "build", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT, copy, symlinks=False, ignore=ignored)
    everything = list(mutants())
    chosen = random.Random(trial.seed).sample(everything, min(trial.count, len(everything)))
    tests = dict.fromkeys(name for module, _ in chosen for name in WITNESSES[module])
    require(not _fails(copy, _pytest(tests), 1800), "the tests fail on what is no mutant")
    survivors = []
    for number in trial.cases(len(chosen)):
        module, at = chosen[number]
        path = copy / module
        original = path.read_text("utf-8")
        mutant = _Mutant(at, original)
        path.write_text(ast.unparse(mutant.visit(ast.parse(original))), "utf-8")
        noticed = _noticed(copy, module)
        path.write_text(original, "utf-8")
        trial.tell("mutants")
        trial.tell("mutants noticed", int(noticed))
        if not noticed:
            survivors.append(f"{module}, {mutant.what}")
    trial.notes |= {"places": len(everything), "survivors": survivors}
    with trial.case("enough of them", "verdicts"):
        tried = trial.tried["mutants"]
        require(10 * len(survivors) <= tried, f"{len(survivors)} of {tried} were not noticed: {survivors}")


def _noticed(copy: Path, module: str) -> bool:
    """By the module's own tests, or else, of the log, by the rows in memory."""
    if _fails(copy, _pytest(WITNESSES[module]), 600):
        return True
    rows = ["torture", "--tiny", "--only", WITNESS_ROWS]
    return module.startswith("consist_es/log/") and _fails(copy, rows, 300)


def _pytest(tests: Iterable[str]) -> list[str]:
    files = [test_file(name) for name in tests]
    return ["pytest", "-x", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", *files]


def _fails(copy: Path, module: list[str], seconds: float) -> bool:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(copy), str(copy / "tools")])}
    command = [sys.executable, "-W", "ignore", "-m", *module]
    try:
        done = subprocess.run(command, env=environment, cwd=copy, capture_output=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0
