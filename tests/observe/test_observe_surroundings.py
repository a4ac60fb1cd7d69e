"""Environment variables, modules, random generators and programs of a watched run."""

from __future__ import annotations

import importlib
import operator
import os
import random
import string
import subprocess
import sys
import tempfile
import time
import types
from collections import ChainMap
from collections.abc import Callable, Iterator
from functools import partial
from os import environ as surroundings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consist_es.errors import UsageError
from consist_es.observe import now
from consist_es.observe.generators import restore_random
from consist_es.observe.reads import Reads
from tests.support.observe import content, value_digest, watched

RATE = "OBSERVED_RATE"


@pytest.fixture(autouse=True)
def one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RATE, "3")
    monkeypatch.delenv("OBSERVED_NONE", raising=False)


# ---------------------------------------------------------------- variables


def by_helper(environment: dict[str, str]) -> str:
    return environment[RATE]


ONE: dict[str, Callable[[], object]] = {
    "environ": lambda: os.environ[RATE],
    "imported by name": lambda: surroundings[RATE],
    "get": lambda: os.environ.get(RATE, "1"),
    "getenv": lambda: os.getenv(RATE),
    "in": lambda: RATE in os.environ,
    "bytes": lambda: os.environb[RATE.encode()],
    "getenvb": lambda: os.getenvb(RATE.encode()),
    "expandvars": lambda: os.path.expandvars("a/$OBSERVED_RATE/b"),
    "setdefault": lambda: os.environ.setdefault(RATE, "4"),
    "helper": lambda: by_helper(os.environ),  # type: ignore[arg-type]
    "template": lambda: string.Template("$OBSERVED_RATE").substitute(os.environ),
    "format_map": lambda: "{OBSERVED_RATE}".format_map(os.environ),
    "percent": lambda: operator.mod("%(OBSERVED_RATE)s", os.environ),
    "map": lambda: list(map(os.environ.get, [RATE])),
    "comprehension": lambda: {name: os.environ[name] for name in os.environ if name == "OBSERVED" + "_RATE"},
}


@pytest.mark.parametrize("way", ONE)
def test_a_variable_that_the_projects_code_reads_counts(way: str, tmp_path: Path) -> None:
    reads = watched(tmp_path, ONE[way])
    expected = value_digest(RATE, "3")
    assert reads.variables[RATE] == expected
    if way != "comprehension":
        assert reads.variables == {RATE: expected}
    assert now.variable_now(RATE, value_digest) == expected
    os.environ[RATE] = "4"
    assert now.variable_now(RATE, value_digest) != expected


@pytest.mark.parametrize("look", [lambda: os.environ.get("OBSERVED_NONE"), lambda: "OBSERVED_NONE" in os.environ])
def test_a_variable_that_is_not_set_counts(look: Callable[[], object], tmp_path: Path) -> None:
    assert watched(tmp_path, look).variables == {"OBSERVED_NONE": None}


def test_what_libraries_read_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)

    def run() -> None:
        tempfile.gettempdir()
        subprocess.run(["true"], check=True, env=os.environ)

    assert watched(tmp_path, run).variables == {}


def test_what_the_step_set_itself_is_no_input(tmp_path: Path) -> None:
    def run() -> str:
        os.environ["OBSERVED_NONE"] = "x"
        return os.environ["OBSERVED_NONE"]

    assert watched(tmp_path, run).variables == {}


COPIES: dict[str, Callable[[], dict[str, str]]] = {
    "dict": lambda: dict(os.environ),
    "stars": lambda: {**os.environ},
    "copy": lambda: os.environ.copy(),
    "items": lambda: {name: value for name, value in os.environ.items() if name.startswith("OBSERVED_P")},
    "or": lambda: os.environ | {},
}


@pytest.mark.parametrize("way", COPIES)
def test_of_a_copy_count_the_variables_that_the_projects_sources_name(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNNAMED" + "_VARIABLE", "1")
    monkeypatch.setenv("OBSERVED_PART" + "_ONE", "1")
    first = watched(tmp_path, COPIES[way]).variables
    assert first[RATE] == value_digest(RATE, "3")
    assert first["OBSERVED_NONE"] is None
    assert "UNNAMED_" + "VARIABLE" not in first
    assert now.variable_now("OBSERVED_P*", value_digest) == first["OBSERVED_P*"]
    monkeypatch.setenv("OBSERVED_PART" + "_TWO", "1")
    assert now.variable_now("OBSERVED_P*", value_digest) != first["OBSERVED_P*"]


def test_values_are_nowhere_in_what_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RATE, "hush-hush")
    reads = watched(tmp_path, lambda: (os.environ[RATE], dict(os.environ)))
    assert "hush-hush" not in repr(reads)


SETTINGS = """
from {package} import {names}
import os
{body}
"""


@pytest.mark.parametrize(
    ("package", "names", "body", "variable"),
    [
        ("environs", "Env", "def step(): return Env().float('OBSERVED_RATE')", RATE),
        ("decouple", "config", "def step(): return config('OBSERVED_RATE')", RATE),
        (
            "pydantic_settings",
            "BaseSettings",
            "class Settings(BaseSettings):\n    observed_rate: float = 1\n    observed_none: int = 2\n"
            "def step(): return Settings()",
            RATE,
        ),
        (
            "pydantic_settings",
            "BaseSettings, SettingsConfigDict",
            "class Settings(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix='OBSERVED_')\n"
            "    rate: float = 1\n"
            "def step(): return Settings()",
            "OBSERVED_*",
        ),
    ],
)
def test_variables_that_a_settings_package_reads_for_the_project_count(
    package: str, names: str, body: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(package)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "observed_settings.py").write_text(SETTINGS.format(package=package, names=names, body=body))
    module = importlib.import_module("observed_settings")
    found = watched(tmp_path, module.step).variables
    sys.modules.pop("observed_settings")
    assert found[variable] is not None
    if "observed_none" in body:
        assert found["OBSERVED_NONE"] is None


def test_a_map_over_the_environment_is_followed(tmp_path: Path) -> None:
    assert RATE in watched(tmp_path, lambda: ChainMap({}, os.environ)[RATE]).variables


# ---------------------------------------------------------------- modules


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "src" / "observed_part"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "rates.py").write_text("from observed_part import deeper\nRATE = deeper.RATE\n")
    (folder / "deeper.py").write_text("RATE = 1\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    yield folder
    for name in [name for name in sys.modules if name.startswith("observed_part")]:
        del sys.modules[name]


def relative(reads: Reads, folder: Path) -> list[str]:
    return sorted(os.path.relpath(path, folder) for path in reads.modules)


def test_modules_that_are_loaded_within_count_by_their_source(package: Path, tmp_path: Path) -> None:
    reads = watched(tmp_path, lambda: importlib.import_module("observed_part.rates"))
    assert relative(reads, package) == ["__init__.py", "deeper.py", "rates.py"]
    assert (reads.files, reads.folders, reads.unsure) == ({}, {}, [])
    path = package / "rates.py"
    assert now.module_now(str(path)) == reads.modules[str(path)]
    path.write_text("# a comment\n" + path.read_text())
    assert now.module_now(str(path)) == reads.modules[str(path)]
    path.write_text("RATE = 2\n")
    assert now.module_now(str(path)) != reads.modules[str(path)]


def test_a_module_that_an_earlier_step_had_loaded_counts_when_it_is_imported_again(
    package: Path, tmp_path: Path
) -> None:
    def step() -> object:
        from observed_part import rates  # type: ignore[import-not-found]

        return rates

    first = watched(tmp_path, step)
    assert relative(first, package) == ["__init__.py", "deeper.py", "rates.py"]
    assert watched(tmp_path, step).modules == first.modules
    assert watched(tmp_path, lambda: None).modules == {}


def test_a_module_that_was_loaded_before_every_run_is_left_to_the_sources(package: Path, tmp_path: Path) -> None:
    importlib.import_module("observed_part.rates")
    assert watched(tmp_path, lambda: importlib.import_module("observed_part.rates")).modules == {}


def test_modules_from_an_archive_count_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zipfile

    archive = tmp_path / "parts.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("observed_zipped.py", "RATE = 1\n")
    monkeypatch.syspath_prepend(str(archive))
    reads = watched(tmp_path, lambda: importlib.import_module("observed_zipped"))
    assert list(reads.modules.values()) == [content(archive)]
    sys.modules.pop("observed_zipped")


def test_a_module_that_is_loaded_by_its_file_counts(tmp_path: Path) -> None:
    path = tmp_path / "loose.py"
    path.write_text("RATE = 1\n")

    def run() -> types.ModuleType:
        spec = importlib.util.spec_from_file_location("loose", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    assert list(watched(tmp_path, run).modules) == [str(path)]


def test_data_in_a_package_counts_as_a_file(package: Path, tmp_path: Path) -> None:
    import pkgutil

    (package / "rates.csv").write_text("1")
    importlib.import_module("observed_part")
    reads = watched(tmp_path, lambda: pkgutil.get_data("observed_part", "rates.csv"))
    assert reads.files == {str(package / "rates.csv"): content(package / "rates.csv")}


def test_a_module_that_the_step_wrote_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))

    def run() -> object:
        (tmp_path / "observed_made.py").write_text("RATE = 1\n")
        importlib.invalidate_caches()
        return importlib.import_module("observed_made")

    assert watched(tmp_path, run).modules == {}
    sys.modules.pop("observed_made")


def test_an_import_that_fails_fails_as_ever(tmp_path: Path) -> None:
    def run() -> None:
        import observed_absent  # type: ignore[import-not-found]  # noqa: F401

    with pytest.raises(ModuleNotFoundError) as caught:
        watched(tmp_path, run)
    assert [entry.frame.code.path for entry in caught.traceback if "imports.py" in str(entry.frame.code.path)] == []


# ---------------------------------------------------------------- random generators

DRAWS: dict[str, tuple[Callable[[], object], Callable[[int], object]]] = {
    "random": (lambda: random.gauss(0, 1), lambda seed: random.seed(seed)),
    "numpy": (lambda: np.random.normal(), lambda seed: np.random.seed(seed)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_seeded_generator_counts_and_can_be_put_back(name: str, tmp_path: Path) -> None:
    draw, seed = DRAWS[name]
    seed(1)
    before = now.random_now(name)
    draws: list[object] = []
    move = watched(tmp_path, lambda: draws.append(draw())).random[name]
    assert (move.before, move.seeded, move.seeded_within) == (before, True, False)
    assert move.after is not None
    assert len(move.after) < 3200
    then = draw()
    seed(2)
    assert now.random_now(name) != before
    restore_random({name: move.after})
    assert draw() == then


@pytest.mark.parametrize("name", DRAWS)
def test_a_generator_that_did_not_move_leaves_nothing(name: str, tmp_path: Path) -> None:
    DRAWS[name][1](1)
    assert watched(tmp_path, lambda: np.random.default_rng(1).random()).random == {}


@pytest.mark.parametrize("name", DRAWS)
def test_a_step_that_seeds_first_does_not_depend_on_the_state_before(name: str, tmp_path: Path) -> None:
    draw, seed = DRAWS[name]
    assert watched(tmp_path, lambda: (seed(3), draw())).random[name].seeded_within
    assert not watched(tmp_path, lambda: (draw(), seed(3))).random[name].seeded_within


def test_a_damaged_state_is_refused() -> None:
    for text in ("", "x", "abc 1 ", "abc 1 x 2"):
        with pytest.raises(UsageError, match="damaged"):
            restore_random({"random": text})


@settings(max_examples=20, deadline=None)
@given(st.integers(), st.integers(0, 1300), st.booleans())
def test_any_state_comes_back_as_it_was(seed: int, draws: int, half: bool) -> None:
    random.seed(seed)
    for _ in range(draws):
        random.random()
    if half:
        random.gauss(0, 1)
    from consist_es.observe.generators import State, state_of

    state, expected = state_of("random"), random.getstate()
    assert state is not None
    random.seed(0)
    restore_random({"random": state.text()})
    assert random.getstate() == expected
    assert State.from_text(state.text()).digest() == state.digest()


# ---------------------------------------------------------------- programs


def test_a_program_is_noted_with_its_arguments_and_the_files_among_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.csv").write_text("1")
    (tmp_path / "d").mkdir()
    monkeypatch.chdir(tmp_path)

    def run() -> None:
        subprocess.run(["cat", "in.csv", "--also=d"], check=False, capture_output=True)
        subprocess.run("cat in.csv | wc -c", shell=True, check=True, capture_output=True)
        os.system("cat d/../in.csv >/dev/null")
        os.waitpid(
            os.posix_spawn(
                "/bin/cat", ["cat", "in.csv"], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
            ),
            0,
        )

    reads = watched(tmp_path, run)
    assert [program.path for program in reads.programs] == ["cat", "/bin/sh", "sh", "/bin/cat"]
    assert reads.programs[0].inputs == [str(tmp_path / "in.csv"), str(tmp_path / "d")]
    assert all(str(tmp_path / "in.csv") in program.inputs for program in reads.programs)
    assert reads.files[str(tmp_path / "in.csv")] == content(tmp_path / "in.csv")


def test_what_a_program_writes_and_the_step_reads_then_is_its_own(tmp_path: Path) -> None:
    path = tmp_path / "out"

    def run(text: str) -> None:
        subprocess.run(f"echo {text} > {path}", shell=True, check=True)
        path.read_text()

    for text in ("one", "other"):  # made, and overwritten
        reads = watched(tmp_path, partial(run, text))
        assert (reads.files, reads.unsure) == ({}, [])
        time.sleep(0.05)  # the times of files lag behind the clock
    reads = watched(tmp_path, lambda: run("other"))
    assert (list(reads.files), reads.unsure) == ([str(path)], [])  # for all that is known, it was only added to
