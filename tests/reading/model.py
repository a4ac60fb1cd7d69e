"""A model of five steps in three years, with edits that are known: what the tests of the reading room ask about."""

import importlib.util
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import consist_es as consist
from consist_es.projections.run_rows import RunRow
from consist_es.reading import select
from tests.support.api import PATHS

STEPS = ("land", "supply", "demand", "assign", "report")
YEARS = (2025, 2030, 2035)
_HEAD = "from tests.support.api import made\n"
_STEP = """

def helps_{name}():
    return "helped{helper}"


def {name}(before=None, table=None, a=0, b=0):
    given = [path.read_text() for path in (before, table) if path is not None]
    texts = ["{name}", helps_{name}(), *given, f"{{a}} {{b}}"]
    return made("out", "\\n".join(texts){edit})
"""


class Edit(NamedTuple):
    """A change of one step."""

    step: str
    kind: str
    """``config``, ``code`` (of the step), ``helper`` (code that it calls), ``input`` (a file) or ``label``."""
    key: str
    """The key of the config; "" for others."""

    @property
    def cause(self) -> str:
        """How its cause begins."""
        return {
            "config": f"config {self.key}: 0 → 1",
            "code": f"code model_steps.py:{self.step}",
            "helper": f"code model_steps.py:helps_{self.step}",
            "label": "stage: 'draft' → 'final'",
            "input": "input table",
        }[self.kind]


class Model:
    """Each step reads what the one before made, and `land` what `report` made the year before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tracker = consist.Tracker(run_dir=folder / "runs", db_path=folder / "p.db", project_root=folder)

    @property
    def conn(self) -> Any:
        """The views, caught up."""
        return self.tracker.project.connection()

    def play(self, scenario: str, *edits: Edit, skip: str = "") -> RunRow:
        """Run all steps but one, with these edits."""
        code = self._code(edits)
        for step in STEPS:
            changed = Edit(step, "input", "") in edits
            (self.folder / f"{step}.csv").write_text(f"{step} {changed}\n")
        with self.tracker.scenario(scenario) as sc:
            last: Any = None
            for year in YEARS:
                for step in (step for step in STEPS if step != skip):
                    keys = {edit.key for edit in edits if edit.kind == "config" and edit.step == step}
                    before: dict[Any, Any] = {} if last is None else {"before": consist.ref(last)}
                    last = sc.run(
                        getattr(code, step), year=year, iteration=0, config={key: int(key in keys) for key in "ab"},
                        inputs={**before, "table": self.folder / f"{step}.csv"}, outputs=["out"],
                        stage="final" if Edit(step, "label", "") in edits else "draft", execution_options=PATHS,
                    )  # fmt: skip
        return select.scenario(self.conn, scenario)

    def _code(self, edits: Iterable[Edit]) -> ModuleType:
        edited = {(edit.step, edit.kind) for edit in edits}
        file = self.folder / "model_steps.py"
        steps = [
            _STEP.format(
                name=name,
                edit=" + '!'" if (name, "code") in edited else "",
                helper="!" if (name, "helper") in edited else "",
            )
            for name in STEPS
        ]
        file.write_text(_HEAD + "".join(steps))
        spec = importlib.util.spec_from_file_location("model_steps", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["model_steps"] = module
        spec.loader.exec_module(module)
        return module


def some_edits(seed: int, count: int) -> list[Edit]:
    """Different edits, the same for the same seed."""
    draw = random.Random(seed)
    kinds = [("config", "a"), ("config", "b"), ("code", ""), ("helper", ""), ("input", ""), ("label", "")]
    return draw.sample([Edit(step, *kind) for step in STEPS for kind in kinds], count)


def seeds(few: int, many: int) -> list[Any]:
    """A few seeds for every day, and the rest of many for the night."""
    return [*range(few), *(pytest.param(seed, marks=pytest.mark.night) for seed in range(few, many))]
