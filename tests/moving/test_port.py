"""`python -m consist_es.port` lists what is not provided, with file and line."""

import json
from pathlib import Path

import pytest

from consist_es.port import look_at, main

CODE = """\
import consist
import consist.core.tracker as theirs
from consist import Tracker, map_runs
from consist.core.persistence import DatabaseManager
from consist.core import step_context
import consist.integrations.dlt_loader


def step(tracker, thing):
    tracker.db, thing.db
    getattr(tracker, "suspend_cache_options", None)
    consist.single_step_scenario
    consist.log_output("x", reuse_if_unchanged=True, strict_schema=False)
    Tracker("runs", openlineage_enabled=False)
    step_context.StepContext, step_context.nothing, theirs.Tracker
    consist.log_output("x", enabled=False)
"""
EXPECTED = [
    (3, "consist.map_runs"),
    (4, "consist.core.persistence.DatabaseManager"),
    (6, "consist.integrations.dlt_loader"),
    (10, ".db"),
    (11, ".suspend_cache_options"),
    (12, "consist.single_step_scenario"),
    (13, "log_output(reuse_if_unchanged=…)"),
    (14, "Tracker(openlineage_enabled=…)"),
    (15, "consist.core.step_context.nothing"),
]


def test_each_use_is_told_with_its_line_and_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a.py").write_text(CODE)
    (tmp_path / "model" / "other.py").write_text("import json\njson.db\n")
    (tmp_path / "model" / "old.py").write_text("print 'python 2'\n")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "b.py").write_text(CODE)
    assert main([str(tmp_path)]) == 1
    shown = capsys.readouterr()
    *lines, last = shown.out.splitlines()
    found = look_at(tmp_path).findings
    assert [(item.line, item.name) for item in found] == EXPECTED
    assert lines == [f"{tmp_path}/model/a.py:{item.line}: {item.name}: {item.instead}" for item in found]
    assert all(item.instead for item in found)
    assert last == "18 uses in 1 file; 9 of what is not provided (9 names)."
    assert shown.err == f"{tmp_path}/model/old.py: not read: it is no Python that this interpreter parses\n"


def test_notebooks_are_read_and_all_may_be_provided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["consist.map_runs"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "import consist\n", "consist.scenario"]},
    ]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells}))
    assert main([str(tmp_path / "n.ipynb")]) == 0
    said = (
        "2 uses in 1 file; all of it is provided. Call consist_es.install_as('consist') before the code is imported.\n"
    )
    assert capsys.readouterr().out == said
    cells[1]["source"].append("\nconsist.map_runs")  # type: ignore[attr-defined]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells}))
    assert [item.line for item in look_at(tmp_path).findings] == [4]


def test_another_name_and_a_path_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text("import provenance\nprovenance.map_runs\n")
    assert main([str(tmp_path), "--name", "provenance"]) == 1
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path / "none")]) == 2
    assert "does not exist: give a file or a folder" in capsys.readouterr().err
