"""A dry run says what a real run does, calls no step, and writes nothing."""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.test_docs import script
from tests.support.api import ROOT

Verdicts = list[tuple[str, int | None, str]]


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder, but for the views and the cache of digests, which follow the log and the files."""
    left_out = re.compile(r"(provenance\.db|p\.db|digests-).*|__pycache__|.*\.pyc")
    found = {path for path in folder.rglob("*") if not any(left_out.fullmatch(part) for part in path.parts)}
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in found}


def run_in(folder: Path, *arguments: str, dry: bool, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "CONSIST_ES_DRY_RUN"}
    environment |= {"CONSIST_ES_DRY_RUN": "1"} if dry else {}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={
            **environment,
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            **({"CONSIST_ES_DRY_RUN": "1"} if dry else {}),
        },
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


# ---------------------------------------------------------------- what is said is what a real run does

MODEL = """
import json, sys
from pathlib import Path
import consist_es as consist

K = 1
called = []
tracker = consist.Tracker(run_dir="runs", db_path="p.db")


def start(k: int, raw: Path) -> Path:
    called.append("start")
    out = consist.output_path("a", ext="txt")
    out.write_text(f"{k} {raw.read_text()}")
    return out


def rounds(a: Path) -> Path:
    called.append("rounds")
    out = consist.output_path("b", ext="txt")
    out.write_text(str(len(a.read_text()) // 3))  # the same for many inputs: what follows is reused
    return out


def scaled(raw: Path, scale: float) -> Path:
    called.append("scaled")
    out = consist.output_path("c", ext="txt")
    out.write_text(f"{raw.read_text()} {scale}")
    return out


def unnamed(year: int):
    called.append("unnamed")
    out = consist.output_path("d", ext="txt")
    out.write_text(f"{year}")
    return {"d": out, f"extra_{year}": out}


def reads_coupler() -> Path:
    called.append("reads_coupler")
    out = consist.output_path("e", ext="txt")
    out.write_text(scenario.coupler.path("b").read_text())
    return out


with tracker.scenario("base", config={"k": K}) as scenario:
    scale = 1.0
    for year in (2025, 2030):
        first = scenario.run(start, config={"k": K}, inputs={"raw": "raw.txt"}, year=year, outputs=["a"])
        scenario.run(rounds, inputs={"a": consist.ref(first)}, year=year, outputs=["b"])
        with scenario.trace("report", input_keys=["b"], year=year, outputs=["r"]) as t:
            if not t.is_cached:
                out = consist.output_path("r", ext="txt")
                out.write_text(scenario.coupler["b"].path.read_text())
                t.log_output(out, "r")
        scenario.run(unnamed, year=year)
        scenario.run(reads_coupler, year=year, outputs=["e"])
        with scenario.trace("calibrate", input_keys=["b"], year=year):
            scale = 1.0 + int(scenario.coupler["b"].path.read_text())
        scenario.run(scaled, inputs={"raw": "raw.txt"}, config={"scale": scale}, year=year, outputs=["c"])
        scenario.collect_by_keys(scenario.coupler, "b", "r", prefix=f"{year}/")

if scenario.dry_run is None:
    runs = tracker.find_runs(scenario=scenario.run_id, limit=None)
    said = [[run.name, run.year, "hit" if run.meta.get("cache_hit") else "miss"] for run in runs]
else:
    said = [[step.name, step.year, step.verdict] for step in scenario.dry_run.steps]
print(json.dumps([said, called]))
"""

EDITS = {
    "nothing": ("K = 1", "K = 1"),
    "parameter": ("K = 1", "K = 22"),
    "parameter of one length": ("K = 1", "K = 2"),
    "code of the first step": ('f"{k} {raw.read_text()}"', 'f"{k}  {raw.read_text()}"'),
    "code of the second step": ("// 3", "// 2"),
    "text of a block": ("path.read_text())\n                t.log", "path.read_text() + '!')\n                t.log"),
    "what a block sets": ("1.0 + int", "2.0 + int"),
    "code of a step without outputs": ('f"{year}")\n', 'f"{year}."\n)\n'),
    "only one year": ('config={"k": K}, inputs', 'config={"k": K + (year == 2030)}, inputs'),
}


def said(done: subprocess.CompletedProcess[str]) -> tuple[Verdicts, list[str]]:
    verdicts, called = json.loads(done.stdout.splitlines()[-1])
    return sorted((name, year, verdict) for name, year, verdict in verdicts), called


def agree(forecast: Verdicts, real: Verdicts) -> None:
    """Every step that a dry run lists is in the real run, and does there what is said, unless that is left open."""
    done = {(name, year): verdict for name, year, verdict in real}
    assert {step[:2] for step in forecast} == set(done)
    wrong = [step for step in forecast if step[2] not in ("open", done[step[:2]])]
    assert wrong == [], f"{forecast} but {real}"


@pytest.mark.parametrize("edit", EDITS)
def test_each_verdict_is_what_the_real_run_does(tmp_path: Path, edit: str) -> None:
    model = tmp_path / "model.py"
    (tmp_path / "raw.txt").write_text("5")
    model.write_text(MODEL)
    run_in(tmp_path, "model.py", dry=False)
    old, new = EDITS[edit]
    assert old in MODEL
    model.write_text(MODEL.replace(old, new))
    before = tree(tmp_path)
    dry = run_in(tmp_path, "model.py", dry=True)
    assert tree(tmp_path) == before
    forecast, called = said(dry)
    assert called == []
    agree(forecast, said(run_in(tmp_path, "model.py", dry=False))[0])
    assert len(forecast) == 14
    if edit == "nothing":
        assert {verdict for *_, verdict in forecast} == {"hit"} or {
            step[0] for step in forecast if step[2] != "hit"
        } <= {"calibrate"}


def test_chains_of_random_edits_agree_too(tmp_path: Path) -> None:
    chosen, model = random.Random(7), tmp_path / "model.py"
    for number in range(3):
        text = MODEL
        for old, new in map(EDITS.__getitem__, chosen.sample(sorted(EDITS), number)):
            text = text.replace(old, new)
        model.write_text(text)
        (tmp_path / "raw.txt").write_text(str(chosen.randrange(3)))
        before = tree(tmp_path)
        forecast, called = said(run_in(tmp_path, "model.py", dry=True))
        assert (called, tree(tmp_path)) == ([], before)
        agree(forecast, said(run_in(tmp_path, "model.py", dry=False))[0])


# ---------------------------------------------------------------- the tutorial


def test_the_tutorial_in_a_dry_run_is_listed_and_leaves_no_trace(tmp_path: Path) -> None:
    page = script((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    text = page[: page.index("def model")] + page[page.index("def model") : page.index("again = ")]
    model = tmp_path / "tutorial.py"
    model.write_text(text)
    fresh = run_in(tmp_path, "tutorial.py", dry=True, code=1)
    assert (
        "Dry run of base: 3 of 3 steps will run, for an unknown time, because of no_similar_prior_run (1)"
        in fresh.stderr
    )
    assert "DryRunStop: The dry run stops here: output 'total' of step 'total' is not there before" in fresh.stderr
    assert sorted(tree(tmp_path)) == ["trips.csv", "tutorial.py"]
    run_in(tmp_path, "tutorial.py", dry=False)
    before = tree(tmp_path)
    assert "none of 3 steps will run" in run_in(tmp_path, "tutorial.py", dry=True).stderr
    assert tree(tmp_path) == before
    model.write_text(text.replace('model("base", 1.0).output.path.read_text() == "180.0"', 'model("base", 2.0)'))
    before = tree(tmp_path)
    lines = run_in(tmp_path, "tutorial.py", dry=True).stderr.splitlines()
    assert tree(tmp_path) == before
    assert lines[1].startswith("Dry run of base: 2 of 3 steps will run, less than 1 s, because of config_changed (1)")
    assert [line.split(":")[0] for line in lines[2:]] == ["  reused   read", "  runs     grow", "  may run  total"]
    assert "config.growth: 1.0 -> 2.0" in lines[3]
    assert "if its inputs change, after grow" in lines[4]
