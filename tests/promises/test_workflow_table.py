"""docs/workflow-api.md is whole: its tests exist, and every public keyword and method has a row."""

import ast
import inspect
import re
from functools import cache
from typing import Any

import pytest

from consist_es import (
    CacheOptions,
    Coupler,
    ExecutionOptions,
    OutputPolicyOptions,
    RunContext,
    ScenarioContext,
    Tracker,
)
from tests.support.api import ROOT

PAGE = ROOT / "docs" / "workflow-api.md"
ELSEWHERE = {
    "compute_once": "beyond the page: test_compute_once",
    "forecast": "beyond the page",
    "observe": "beyond the page: test_reads",
    "ignore_reads": "beyond the page: test_reads",
    "materialize_cached_outputs_source_root": "refused: test_options",
    "input_materialization_mode": "only 'copy': test_options",
    "tracker": "the tracker itself",
    "coupler": "the coupler itself",
    "name": "a label",
    "model": "a label",
    "tags": "a label",
}


def rows() -> list[tuple[str, str, str]]:
    """(what, behaviour, test) of every row."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [tuple(line[2:-2].split(" | ")) for line in lines]
    return [row for row in cells if row[0] not in ("what", "---")]  # type: ignore[misc]


def words() -> set[str]:
    """Every name in backticks in a first column."""
    marked = " ".join(text for what, _, _ in rows() for text in re.findall(r"`([^`]+)`", what))
    return set(re.findall(r"\w+", marked))


@cache
def names_in(name: str) -> frozenset[str]:
    (path,) = (ROOT / "tests").rglob(f"{name}.py")
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_row_has_three_cells_and_says_something() -> None:
    assert len(rows()) > 150
    assert [row for row in rows() if len(row) != 3 or not all(row)] == []


@pytest.mark.parametrize("target", sorted({row[2] for row in rows()}))
def test_the_test_of_a_row_exists(target: str) -> None:
    file, _, name = target.partition("::")
    assert name.startswith("test_")
    assert name in names_in(file)


def public(kind: type) -> list[str]:
    return [name for name in vars(kind) if not name.startswith("_")]


@pytest.mark.parametrize(
    "names",
    [
        inspect.signature(ScenarioContext.run).parameters.keys() - {"self"},
        inspect.signature(ScenarioContext.trace).parameters.keys() - {"self"},
        inspect.signature(Tracker.scenario).parameters.keys() - {"self", "kwargs"},
        CacheOptions.__dataclass_fields__.keys(),
        OutputPolicyOptions.__dataclass_fields__.keys(),
        ExecutionOptions.__dataclass_fields__.keys(),
        public(ScenarioContext),
        public(RunContext),
        public(Coupler),
    ],
    ids=["run", "trace", "scenario", "cache", "policy", "execution", "ScenarioContext", "RunContext", "Coupler"],
)
def test_every_keyword_and_method_has_a_row(names: Any) -> None:
    assert sorted(set(names) - words() - ELSEWHERE.keys()) == []


def test_declared_outputs_is_a_copy() -> None:
    coupler = Coupler()
    coupler.declare_outputs("a", required=True, description={"a": "first"})
    coupler.declared_outputs.clear()
    assert {key: (spec.required, spec.description) for key, spec in coupler.declared_outputs.items()} == {
        "a": (True, "first")
    }
