"""The ten questions that a modeller asks, one command each, as a terminal of 80 and of 120 columns shows the answers.

Run this file as a module to write the files in tests/golden/questions anew: python -m tests.cli.test_cli_questions
"""

import csv
import functools
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.support.cli import in_terminals, run, start
from tests.support.questions import record_questions

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "questions"
STYLE = re.compile(r"\x1b\[[0-9;]*m")
QUESTIONS: dict[str, list[str]] = {
    "What scenarios are there?": ["scenarios"],
    "What happened in this one?": ["show", "baseline"],
    "What failed, and why?": ["runs", "--outcome", "failed"],
    "Why did that step run?": ["why", "baseline/report@2040"],
    "How do these two differ?": ["diff", "baseline#1", "baseline"],
    "Where does this table come from?": ["lineage", "baseline/report@2030"],
    "What depends on this file?": ["lineage", "zones.csv", "--down", "--depth", "1"],
    "Where did the time go, and what did the cache save?": ["stats"],
    "What would run now?": ["forecast", "python", "run.py", "pricing", "1.01", "3"],
    "Can I trust this record?": ["verify"],
}
WIDTHS = (80, 120)


@functools.cache
def answers(folder: Path, columns: int) -> list[str]:
    """What the terminal shows of each command, without styles."""
    calls = [[sys.executable if word == "python" else word for word in call] for call in QUESTIONS.values()]
    found = in_terminals(calls, cwd=folder, columns=columns)
    assert [code for code, _ in found] == [int(call[0] == "diff") for call in QUESTIONS.values()]
    return [re.sub(r"(?m)^n\n", "", STYLE.sub("", text)) for _, text in found]  # the n is what the server types


def transcript(folder: Path, columns: int) -> str:
    """All of it, with what is another each time made equal and as long as before."""
    parts = []
    for (question, call), answer in zip(QUESTIONS.items(), answers(folder, columns), strict=True):
        parts.append(f"# {question}\n$ consist-es {' '.join(call)}\n{answer}")
    text = "\n".join(parts).replace(str(folder), "/model")
    text = re.sub(r"-[0-9a-f]{12}\b", "-" + "0" * 12, text)
    text = re.sub(r"\d+ (bytes|events)", r"N \1", text)
    text = re.sub(r"(position) \d+", r"\1 N", text)
    return re.sub(r"process \d+", "process 4711", text)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with a path of one length, for lines are broken where they are full."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="questions-") as name, pytest.MonkeyPatch.context() as patch:
        place = Path(name).resolve()
        record_questions(place)
        patch.chdir(place)
        run("runs")  # the views are there then
        yield place


@pytest.mark.parametrize("columns", WIDTHS)
def test_each_question_has_its_answer(folder: Path, columns: int) -> None:
    expected = (GOLDEN / f"{columns}.txt").read_text(encoding="utf-8")
    assert transcript(folder, columns) == expected, "python -m tests.cli.test_cli_questions writes it anew"


@pytest.mark.parametrize("columns", WIDTHS)
def test_no_line_is_longer_than_the_terminal_and_no_word_is_broken(folder: Path, columns: int) -> None:
    wide = answers(folder, 400)
    for narrow, whole in zip(answers(folder, columns), wide, strict=True):
        assert [line for line in narrow.splitlines() if cell_len(line) > columns] == []
        words = set(whole.split())
        strangers = [word for word in narrow.split() if word not in words]
        assert [word for word in strangers if "…" not in word and word not in ("│", "├──")] == []


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


# ---------------------------------------------------------------- forms

LISTS = (
    ["scenarios"], ["runs"], ["runs", "--outcome", "failed"], ["runs", "--year", "2030", "--sort", "-seconds"],
    ["artifacts"], ["stats"],
)  # fmt: skip


@pytest.mark.parametrize("call", LISTS, ids=" ".join)
def test_all_forms_of_a_list_have_the_same_rows_and_nothing_is_cut(folder: Path, call: list[str]) -> None:
    rows = json.loads(run(*call, "--json").stdout)
    assert rows
    assert [json.loads(line) for line in run(*call, "--nl").stdout.splitlines()] == rows
    names = list(csv.DictReader(io.StringIO(run(*call, "--csv").stdout)).fieldnames or ())
    assert names
    texts = [["" if row[name] is None else str(row[name]) for name in names] for row in rows]
    for form, delimiter in (("--csv", ","), ("--tsv", "\t")):
        (heading, *lines) = csv.reader(io.StringIO(run(*call, form).stdout), delimiter=delimiter)
        assert (heading, lines) == (names, texts)
    piped = [line.split("\t") for line in run(*call).stdout.splitlines()]
    assert piped[0] == names
    assert len(piped) == len(rows) + 1
    plain = [place for place, name in enumerate(names) if name in ("step", "scenario", "run", "key", "computed", "uri")]
    assert [[line[place] for place in plain] for line in piped[1:]] == [[line[p] for p in plain] for line in texts]
    assert not any("\x1b" in run(*call, form).stdout for form in ("--md", "--table", "--csv"))


# ---------------------------------------------------------------- colours and encodings


def shown(folder: Path, *arguments: str, **environment: str) -> str:
    ((_, text),) = in_terminals([list(arguments)], cwd=folder, columns=80, **environment)
    return text


def test_no_color_and_a_dumb_terminal_get_no_styles(folder: Path) -> None:
    assert STYLE.search(shown(folder, "runs"))
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        text = shown(folder, "runs", **environment)
        assert not re.search(r"\x1b\[[0-9;]*3\dm", text)  # no colour; NO_COLOR leaves bold
        assert "computed" in text


def test_force_color_gives_styles_to_a_pipe(folder: Path) -> None:
    for value, styled in (("1", True), ("", False)):
        assert bool(STYLE.search(run("show", "baseline", FORCE_COLOR=value).stdout)) == styled
    assert not STYLE.search(run("show", "baseline", FORCE_COLOR="1", NO_COLOR="1").stdout)
    for form in ("--json", "--csv", "--nl"):
        assert "\x1b" not in run("runs", form, FORCE_COLOR="1").stdout


@pytest.mark.parametrize(
    ("encoding", "call", "words"),
    [
        ("ascii", ["runs"], ["H hit", "C computed", "F failed"]),
        ("ascii", ["diff", "baseline#1", "baseline"], ["! differs itself"]),
        ("cp1252", ["show", "baseline"], ["HCHC"]),
    ],
)
def test_another_encoding_is_no_error_and_outcomes_are_words(
    folder: Path, encoding: str, call: list[str], words: list[str]
) -> None:
    with start(*call, cwd=folder, environment={"PYTHONIOENCODING": encoding}) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        text = process.stdout.read().decode(encoding)
        assert process.stderr.read() == b""
    assert all(word in text for word in words)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="questions-") as name:
        there = Path(name).resolve()
        record_questions(there)
        os.chdir(there)
        run("runs")
        for width in WIDTHS:
            (GOLDEN / f"{width}.txt").write_text(transcript(there, width), encoding="utf-8")
