"""The Tab key: names of a project, in the shells that are there; silence where there is no project."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import get_completion_class

from consist_es.cli import program
from consist_es.cli.complete import Bash
from consist_es.events import ScenarioStarted
from tests.support.api import ROOT
from tests.support.cli import CODE, append, record, run

LINES = {
    "consist-es why baseline/": {"baseline/prepare", "baseline/scale@2030"},
    "consist-es why baseline#1/sc": {"baseline#1/scale@2030"},
    "consist-es why baseline_s": {"baseline_scale"},
    "consist-es audit s": {"steep"},
    "consist-es audit baseline#": {"baseline#1", "baseline#2"},
    "consist-es diff steep base": {"baseline", "baseline_prepare", "baseline_scale"},
    "consist-es show ra": {"raw"},
    "consist-es lineage steep/sca": {"steep/scale@2030"},
    "consist-es watch ": {"baseline", "steep"},
    "consist-es runs --scenario b": {"baseline"},
    "consist-es runs --scenario=b": {"baseline"},
    "consist-es runs --name p": {"prepare"},
    "consist-es runs --columns step,se": {"step,seconds"},
    "consist-es runs --sort sec": {"seconds"},
    "consist-es artifacts --key sc": {"scaled"},
    "consist-es artifacts --run steep/": {"steep/prepare", "steep/scale@2030", "steep/break_down"},
    "consist-es log --type scenario_s": {"scenario_started"},
    "consist-es comp": {"completion"},
    "consist-es audit nothing": set(),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        record()
        run("runs")  # the views have everything then
    return place


def offered(line: str) -> set[str]:
    """What the program offers for a line that is being typed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMP_WORDS", line)
        completion = Bash(program, {}, "consist-es", "_CONSIST_ES_COMPLETE")
        return {item.value for item in completion.get_completions(*completion.get_completion_args())}


@pytest.mark.parametrize("line", LINES)
def test_names_are_completed(project: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(project)
    assert offered(line) == LINES[line]


def test_the_project_is_the_one_that_the_command_would_take(project: Path, here: Path) -> None:
    assert offered("consist-es audit ") == set()
    assert offered(f"consist-es audit --project {project} s") == {"steep"}


@pytest.mark.parametrize("what", ["nothing", "text", "empty", "cut", "other"])
def test_a_broken_or_absent_project_says_nothing(
    here: Path, project: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    Path("p.events").mkdir()
    views = Path("p.db")
    if what == "text":
        views.write_text("zone,people\n")
    elif what == "empty":
        views.touch()
    elif what == "cut":
        views.write_bytes((project / "provenance.db").read_bytes()[:5000])
    elif what == "other":
        import sqlite3

        other = sqlite3.connect(views)
        other.execute("PRAGMA application_id = 0x636F6E73")
        other.execute("CREATE TABLE runs (x)")
        other.close()
    before = {path: path.stat().st_mtime_ns for path in Path.cwd().iterdir()}
    for line in LINES:
        if "columns" not in line and "sort" not in line and "type" not in line and "comp" not in line:
            assert offered(line) == set(), line
    assert capfd.readouterr() == ("", "")
    assert {path: path.stat().st_mtime_ns for path in Path.cwd().iterdir()} == before


def test_names_that_a_shell_or_terminal_may_obey_are_quoted_or_left_out(here: Path) -> None:
    names = ("low demand", "$(touch owned)", "x\x1b]0;owned\x07", "-rf", "l'or")
    for number, name in enumerate(names):
        append(here / "p.events", ScenarioStarted(run_id=name, name=name), scenario=f"#{number}", run=f"#{number}")
    run("scenarios")
    assert offered("consist-es audit ") == {"low demand", "$(touch owned)", "l'or"}
    assert in_shell("bash", here, "consist-es audit ") == {"low\\ demand", "\\$\\(touch\\ owned\\)", "l\\'or"}
    assert not Path("owned").exists()


# ---------------------------------------------------------------- shells

ASKED = {
    "bash": """
        eval "$(_CONSIST_ES_COMPLETE=bash_source consist-es)"
        COMP_LINE="$LINE" COMP_POINT=${#LINE}
        _consist_es_completion consist-es; printf '%s\\n' "${COMPREPLY[@]}"
    """,
    "fish": "_CONSIST_ES_COMPLETE=fish_source consist-es | source; complete -C $LINE",
}


def in_shell(shell: str, where: Path, line: str) -> set[str]:
    """What a shell offers; for bash that which goes behind the last character at which readline breaks words."""
    there = where / "bin"
    there.mkdir(exist_ok=True)
    program = there / "consist-es"
    program.write_text(f"#!{sys.executable}\n{CODE}\n")
    program.chmod(0o755)
    done = subprocess.run(
        [shell, "-c", ASKED[shell]],
        cwd=where,
        env={**os.environ, "PATH": f"{there}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "LINE": line},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return {found.split("\t")[0] for found in done.stdout.splitlines() if found}


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_a_shell_offers_the_same(project: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    whole = shell == "fish"
    assert in_shell(shell, project, "consist-es why baseline/scale@20") == {"baseline/scale@2030" if whole else "2030"}
    assert in_shell(shell, project, "consist-es runs --columns step,se") == {"step,seconds"}


def test_the_line_to_add_is_printed_for_the_shell_in_use() -> None:
    for shell in ("bash", "zsh", "fish"):
        result = run("completion", SHELL=f"/usr/bin/{shell}")
        assert f"_CONSIST_ES_COMPLETE={shell}_source consist-es" in result.stdout
        assert result.stdout == run("completion", shell).stdout
        assert "Add this line to ~/" in result.stderr
        assert get_completion_class(shell) is not None
    assert "SHELL is ksh: name one of bash, zsh, fish." in run("completion", code=2, SHELL="/bin/ksh").stderr
