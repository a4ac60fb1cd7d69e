"""Generated programs with random edits (`tools/attacks/fresh`): a short run is clean, a planted fault is found."""

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from attacks.fresh import command, report  # noqa: E402
from attacks.fresh.edits import GROWTH, REMARKS, planned, project  # noqa: E402
from attacks.fresh.grammar import CARRIERS, KINDS, SOURCES  # noqa: E402
from attacks.fresh.play import Call, play  # noqa: E402
from attacks.fresh.programs import Program, lead, program  # noqa: E402
from attacks.fresh.rendering import initial, rendered, turned  # noqa: E402
from attacks.fresh.trial import Player, without_package  # noqa: E402

from consist_es.identity import fingerprint  # noqa: E402

SEED = 1
SHORT = 100


def about(label: str) -> Program:
    """A program with this source alone, which is edited between processes that are forked."""
    numbers = (k for k in range(9 * len(SOURCES)) if lead(SEED, k).label == label)
    made = next(one for one in (program(SEED, k) for k in numbers) if not (one.within or one.cold or one.model))
    made.chains = made.chains[:1]
    return made


@pytest.mark.timeout(1200)
def test_a_short_run_finds_no_wrong_hit_and_few_needless_misses(tmp_path: Path) -> None:
    words = ["--fresh", str(SHORT), "--seed", str(SEED), "--jobs", "2", "--keep", str(tmp_path / "kept")]
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "attacks" / "run.py"), *words],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert float(done.stdout.rsplit("(", 1)[1].partition(" %")[0]) < 2, done.stdout[-5000:]


@pytest.mark.parametrize(
    ("part", "source"),
    [("code", "Z literal"), ("config", "Z config number"), ("inputs", "Z input file")],
)
def test_a_part_of_the_identity_that_does_not_count_is_a_wrong_hit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, source: str
) -> None:
    whole = fingerprint._digest

    def without(domain: str, plain: Any) -> str:
        return whole(domain, {**plain, part: ""} if domain == "fingerprint" else plain)

    monkeypatch.setattr(fingerprint, "_digest", without)
    trial = command.attempt(about(source), tmp_path)
    assert trial.failure.startswith(f"WRONG HIT {source}: after 'value'")
    kept = Path(trial.kept)
    assert trial.failure in (kept / "verdict.txt").read_text()
    assert f"--seed {SEED} --only {trial.number}" in (kept / "verdict.txt").read_text()
    assert (kept / "edit.diff").read_text().strip()
    assert (kept / "first" / "main.py").exists()
    assert report.totals([trial])["wrong hit"] >= 1


def test_an_identity_that_never_is_the_same_makes_needless_misses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fingerprint._digest

    def other(domain: str, plain: Any) -> str:
        return whole(domain, {**plain, "chance": os.urandom(8).hex()} if domain == "fingerprint" else plain)

    monkeypatch.setattr(fingerprint, "_digest", other)
    trial = command.attempt(about("Z literal"), tmp_path)
    assert not trial.failure
    assert report.totals([trial])["needless miss"] >= 1


def test_what_any_tool_sees_is_right(tmp_path: Path) -> None:
    trial = command.attempt(about("Z config dict"), tmp_path)
    assert [v for v in trial.verdicts if v.sources == ("Z config dict",) and v.score in ("wrong hit", "broken")] == []


# ---------------------------------------------------------------- the judge


def score(edit_number: int, hit: bool | None, text: str, *, right: str = "new", last: str = "old") -> str:
    """The score of a call of the first step of a program, after one of its edits."""
    made = about("Z literal")
    edit = planned(made)[edit_number]
    tester = Player(made, Path())
    calls = [Call("step_1", one, said, "") for one, said in ((hit, text), (False, right), (False, last))]
    return tester._score(edit, calls[0], calls[1], calls[2], edit.chain is not None)


@pytest.mark.parametrize(
    ("edit", "hit", "text", "truth", "expected"),
    [
        (1, True, "old", "new", "wrong hit"),
        (1, False, "old", "new", "wrong hit"),  # it ran, on what an earlier hit had left out
        (1, None, "builtins.KeyError: x", "new", "wrong hit"),
        (1, None, "consist_es.errors.InputError: x", "new", "refused"),
        (1, False, "new", "new", "right"),
        (1, True, "old", "old", "result equal"),
        (1, False, "old", "old", "result equal"),
    ],
)
def test_a_call_after_a_relevant_edit_is_judged_by_the_truth(
    edit: int, hit: bool | None, text: str, truth: str, expected: str
) -> None:
    assert score(edit, hit, text, right=truth) == expected


def test_a_step_that_runs_after_an_edit_of_no_account_is_a_needless_miss() -> None:
    made = about("Z literal")
    place = next(n for n, edit in enumerate(planned(made)) if edit.chain is None and not edit.excused)
    assert score(place, False, "old", right="old") == "needless miss"
    assert score(place, True, "old", right="old") == "right"
    assert score(place, True, "older", right="old") == "wrong hit"


# ---------------------------------------------------------------- the programs


def test_a_program_is_made_again_by_its_seed_and_number() -> None:
    one, other = (project(program(5, 3), planned(program(5, 3))[-1].after) for _ in range(2))
    assert one.files == other.files
    assert project(program(6, 3), initial(program(6, 3))).files != one.files


@pytest.mark.parametrize("number", range(0, len(SOURCES), 7))
def test_every_file_of_code_can_be_parsed_in_every_state(number: int) -> None:
    made = program(SEED, number)
    for edit in planned(made):
        for name, content in project(made, edit.after).files.items():
            if name.endswith(".py"):
                assert not {mark for mark in ("$n", "$v", "$e", "$M") if mark in content.decode()}, name
                ast.parse(content)


def test_all_sources_take_turns() -> None:
    assert {lead(SEED, k).label for k in range(len(SOURCES))} == {source.label for source in SOURCES}
    assert {source.kind for source in SOURCES} == set(KINDS)
    assert len({source.label for source in SOURCES}) == len(SOURCES)
    assert len({carrier.name for carrier in CARRIERS}) == len(CARRIERS)


def test_an_edit_of_a_value_changes_a_file_or_a_variable() -> None:
    for number in range(len(SOURCES)):
        made = program(SEED, number)
        values = range(len(made.chains[0].values))
        old, *new = (rendered(made, turned(initial(made), 0, value)) for value in values)  # some tell odd from even
        assert any((old.files, old.env) != (each.files, each.env) for each in new), made.chains[0].source.label


@pytest.mark.parametrize("kind", [*REMARKS])
def test_an_edit_of_no_account_leaves_the_result_as_it_is(tmp_path: Path, kind: str) -> None:
    """Of a program without a tracker: the text of its modules is run as it is."""
    made = about("Z literal")
    state = initial(made)
    edited = type(state)(state.values, remarks=((kind, 3, "main.py" if kind in GROWTH else ""),))
    for name, content in project(made, edited).files.items():
        if name.endswith(".py"):
            ast.parse(content)
    assert project(made, edited) != project(made, state)


def test_a_script_that_crashes_is_no_verdict(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "main.py").write_text('import os\nprint(\'@@["step_1", true, "x", ""]\', flush=True)\nos.abort()\n')
    for cold in (False, True):
        played = play(root, {}, tmp_path / "log.txt", cold=cold)
        assert played.code != 0
        assert played.calls == (Call("step_1", True, "x", ""),)


def test_a_program_that_needs_a_package_which_is_not_installed_is_not_judged() -> None:
    made = about("Z literal")
    trial = without_package(made, "ModuleNotFoundError: No module named 'nothing_like_it'")
    assert trial is not None
    assert (trial.failure, report.totals([trial])["wrong hit"]) == ("", 0)
    assert without_package(made, "ModuleNotFoundError: No module named 'json'") is None, "it is broken by itself"
    assert without_package(made, "NameError: name 'x'") is None
