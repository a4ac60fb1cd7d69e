"""The BEAM adapter: merged values, files that values name, what does not count, what is refused."""

from pathlib import Path
from typing import Any

import pytest

from consist_es import Tracker
from consist_es.adapters import FolderAdapter
from consist_es.adapters.beam import BeamAdapter
from consist_es.adapters.prepare import prepare_adapter
from consist_es.artifacts.digest import digest_path
from consist_es.errors import ConfigFileError, InputError, UsageTypeError
from consist_es.identity.adapters import drift
from tests.support.api import made

COMMON = """
beam.agentsim.lastIteration = 10
beam.agentsim { toll { file = ${beam.inputDirectory}"/toll.csv" }, modes = [walk] }
beam.agentsim.modes = ${beam.agentsim.modes} [bike, ${?beam.extraMode}]
"""
MAIN = """
include "common.conf"
beam.inputDirectory = ${PWD}"/input"
beam.agentsim.lastIteration = 2
beam.agentsim.name = "run "${beam.agentsim.lastIteration}
beam.outputs.baseOutputDirectory = ${PWD}"/output"
beam.routing.r5.directory = ${beam.inputDirectory}"/r5"
beam.copy = ${beam.agentsim.toll} { cost = 2 }
"a.b".c = 1
a.b.c = 2
"""


@pytest.fixture
def model(here: Path) -> BeamAdapter:
    (here / "input" / "r5").mkdir(parents=True)
    (here / "input" / "main.conf").write_text(MAIN)
    (here / "input" / "common.conf").write_text(COMMON)
    (here / "input" / "toll.csv").write_text("1\n")
    (here / "input" / "r5" / "feed.zip").write_text("1\n")
    return BeamAdapter(here / "input" / "main.conf", environment={"PWD": str(here)})


def info(adapter: Any) -> dict[str, Any]:
    return prepare_adapter(adapter, Path.cwd(), lambda path: digest_path(path).value).info


def edit(path: str, old: str, new: str) -> None:
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))


def model_run() -> Path:
    return made()


def test_the_values_are_merged_and_filled_in(model: BeamAdapter, here: Path) -> None:
    assert model.values() == {
        "beam.agentsim.lastIteration": 2,
        "beam.agentsim.toll.file": f"{here}/input/toll.csv",
        "beam.agentsim.modes": ["walk", "bike"],
        "beam.inputDirectory": f"{here}/input",
        "beam.agentsim.name": "run 2",
        "beam.outputs.baseOutputDirectory": f"{here}/output",
        "beam.routing.r5.directory": f"{here}/input/r5",
        "beam.copy.file": f"{here}/input/toll.csv",
        "beam.copy.cost": 2,
        '"a.b".c': 1,
        "a.b.c": 2,
    }


def test_edits_of_what_is_read_miss_and_of_the_rest_hit_with_a_note(model: BeamAdapter, here: Path) -> None:
    with Tracker(run_dir="runs", db_path="p.db") as tracker:

        def again() -> Any:
            return tracker.run(model_run, outputs=["out"], adapter=model)

        def told() -> list[str]:
            result = again()
            assert not result.cache_hit
            said: list[str] = result.run.meta["cache_miss_explanation"]["differs"]
            return said

        again()
        edit("input/main.conf", "lastIteration = 2", "lastIteration = 3")
        assert told() == [
            "main.conf: beam.agentsim.lastIteration: 2 -> 3",
            "main.conf: beam.agentsim.name: 'run 2' -> 'run 3'",
        ]
        edit("input/toll.csv", "1", "2")
        assert told() == ["file (root)/input/toll.csv: content differs"]
        edit("input/r5/feed.zip", "1", "2")
        assert told() == ["file (root)/input/r5/feed.zip: content differs"]
        edit("input/common.conf", "lastIteration = 10", "lastIteration = 11")
        edit("input/main.conf", '"/output"', '"/out"')
        hit = again()
        assert hit.cache_hit
        assert hit.run.why().notes == [
            "differs and does not count: run-only: beam.outputs.baseOutputDirectory: '(root)/output' -> '(root)/out'",
            "differs and does not count: shadowed: beam.agentsim.lastIteration: 10 -> 11",
        ]


def test_the_place_of_the_root_does_not_count(model: BeamAdapter, here: Path) -> None:
    before = info(model)
    (here / "input").rename(here / "elsewhere-input")
    (here / "moved").mkdir()
    (here / "elsewhere-input").rename(here / "moved" / "input")
    moved = BeamAdapter(here / "moved" / "input" / "main.conf", environment={"PWD": str(here / "moved")})
    found = prepare_adapter(moved, here / "moved", lambda path: digest_path(path).value).info
    assert found["digest"] == before["digest"]


def test_what_is_run_only_can_be_said(model: BeamAdapter) -> None:
    other = BeamAdapter(
        model.primary,
        environment=model.environment,
        run_only={"beam.agentsim.lastIteration": "a test", "beam.outputs.baseOutputDirectory": None},
        inputs=["beam.agentsim.toll.file", "beam.copy.file"],
    )
    before = info(other)
    assert before["aside"]["run-only settings: 'beam.agentsim.lastIteration'"] == "a test"
    edit("input/toll.csv", "1", "2")
    assert info(other)["digest"] == before["digest"]
    edit("input/main.conf", '"/output"', '"/out"')
    assert info(other)["digest"] != before["digest"]
    assert drift(info(other), before) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = ${b}", "has no value"),
        ("include \"main.conf\"", "includes itself"),
        ("include \"absent.conf\"", "cannot be read"),
        ("a = ${b}\nb = ${a}", "depends on itself"),
        ("a = {{ template }}", "line"),
        ("a = [1]\nb = ${a}{c = 1}", "kind"),
    ],
)  # fmt: skip
def test_bad_files_are_one_clear_error(model: BeamAdapter, here: Path, text: str, said: str) -> None:
    (here / "input" / "main.conf").write_text(text)
    with pytest.raises(ConfigFileError, match=said):
        info(model)


def test_a_missing_file_and_a_wrong_argument(here: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.conf"):
        info("beam:absent.conf")
    with pytest.raises(UsageTypeError, match="path of a"):
        BeamAdapter(5)  # type: ignore[arg-type]


# ---------------------------------------------------------------- which reading counts


def test_a_reading_can_be_chosen_where_programs_differ(here: Path) -> None:
    folder = here / "configs"
    folder.mkdir()
    cases = {
        "twice.yaml": ("pyyaml", "a: 1\na: 2\nb: {d: 1, c: 2}\n", "there twice"),
        "template.yaml": ("text", "zones: {{ zones }}\n", "itself a list or mapping"),
        "file.conf": ("hocon-files", 'include file("configs/other.conf")\n', "include"),
    }
    for name, (kind, text, said) in cases.items():
        (folder / "other.conf").write_text("x = 1")
        (folder / name).write_text(text)
        with pytest.raises(ConfigFileError, match=said):
            info(FolderAdapter(folder, include=name))
        chosen = FolderAdapter(folder, include=name, formats={name: kind})
        before = info(chosen)["digest"]
        edit(f"configs/{name}", text, text + "\n")
        assert (info(chosen)["digest"] == before) == (kind != "text")
        edit(f"configs/{name}", "}", "} ") if kind == "pyyaml" else None
        assert (info(chosen)["digest"] == before) == (kind != "text")
    (folder / "other.conf").write_text("x = 2")
    changed = info(FolderAdapter(folder, include="file.conf", formats={"*.conf": "hocon-files"}))
    assert changed["values"] == {"file.conf: x": 2}
    twice = info(FolderAdapter(folder, include="twice.yaml", formats={"*.yaml": "pyyaml"}))
    assert twice["values"]["twice.yaml: a"] == 2
    required = 'include required(file("configs/other.conf"))'
    (folder / "file.conf").write_text(required)
    assert (
        info(FolderAdapter(folder, include="file.conf", formats={"*.conf": "hocon-files"}))["values"]
        == changed["values"]
    )
