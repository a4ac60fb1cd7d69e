"""`install_as` gives the library another name, submodules included."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, runtime_checkable
from unittest import mock

import pytest

import consist_es
from consist_es import NoopTracker, errors
from tests.support.api import run_script

SUBMODULES = [
    "protocols",
    "types",
    "utils",
    "models",
    "models.run",
    "models.artifact",
    "models.artifact_kv",
    "models.artifact_schema",
    "models.beam",
    "core.step_context",
    "core.maintenance",
    "core.persistence",
    "core.views",
    "core.tracker",
    "core.directory_artifacts",
    "core.identity",
    "core.output_sets",
    "core.noop",
    "integrations.containers",
    "integrations.beam",
    "integrations.activitysim",
]
STEP = """
import sys
import consist_es
consist_es.install_as("consist")
from model import main
print(main())
"""
MODEL = """
import consist
from consist.core.tracker import Tracker
from consist.types import CacheOptions


def make() -> None:
    consist.output_path("o", "txt").write_text(str({value}))
    consist.log_output(consist.output_path("o", "txt"), "o")


def main() -> bool:
    with Tracker("runs") as tracker:
        return tracker.run(make, cache_options=CacheOptions(cache_epoch=1)).cache_hit
"""


@pytest.fixture
def consist() -> Iterator[Any]:
    """The library under another name, for one test."""
    before = {name for name in sys.modules if name.partition(".")[0] == "consist"}
    assert not before, "another consist is installed and loaded"
    yield consist_es.install_as("consist")
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "name", None) != "consist"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "consist"]:
        del sys.modules[name]


def test_the_name_is_the_library(consist: ModuleType) -> None:
    assert importlib.import_module("consist") is consist_es is consist
    assert consist_es.install_as("consist") is consist_es
    assert [getattr(finder, "name", None) for finder in sys.meta_path].count("consist") == 1


@pytest.mark.parametrize("name", SUBMODULES)
def test_a_submodule_that_clients_import_is_one_of_ours(consist: ModuleType, name: str) -> None:
    found = importlib.import_module(f"consist.{name}")
    assert found is sys.modules[f"consist_es.lbnl.{name}"]
    assert found.__name__ == f"consist_es.lbnl.{name}"
    assert found.__spec__ is not None
    assert found.__spec__.name == found.__name__


def test_a_name_is_patched_by_its_text(consist: ModuleType) -> None:
    with mock.patch("consist.integrations.containers.run_container") as patched:
        importlib.import_module("consist.integrations.containers").run_container(image="x")
    assert patched.called
    definition = importlib.import_module("consist.integrations.containers").ContainerDefinition
    said = r"^consist\.integrations\.containers\.ContainerDefinition is a name of LBNL's .* Instead: a step with"
    with pytest.raises(errors.NotProvidedError, match=said) as caught:
        definition(image="x")
    assert isinstance(caught.value, NotImplementedError)


def test_modules_that_are_not_provided_say_what_is(consist: ModuleType) -> None:
    with pytest.raises(
        ModuleNotFoundError, match=r"no module 'consist\.core\.materialize'\. Instead: cache_hydration="
    ):
        importlib.import_module("consist.core.materialize")
    with pytest.raises(ModuleNotFoundError, match=r"no module 'consist\.artifacts'\. .*consist_es\.port"):
        importlib.import_module("consist.artifacts")  # ours, and none of theirs
    with pytest.raises(AttributeError, match="no attribute 'trakcer'"):
        consist.trakcer  # noqa: B018


@pytest.mark.parametrize("name", ["", "a b", "consist.core", "consist_es", 3])
def test_other_names_are_refused(name: Any) -> None:
    with pytest.raises(errors.UsageError, match="install_as"):
        consist_es.install_as(name)


def test_a_module_that_is_loaded_keeps_its_name() -> None:
    with pytest.raises(errors.UsageError, match=r"json.* is loaded under that name"):
        consist_es.install_as("json")


def test_code_under_the_other_name_counts_and_hits_in_the_next_process(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(STEP)
    found = []
    for value in (1, 1, 2):
        (tmp_path / "model.py").write_text(MODEL.format(value=value))
        found.append(run_script(tmp_path / "main.py").stdout.strip())
    assert found == ["False", "True", "False"]


def test_the_protocols_are_bases_and_are_told_apart(tmp_path: Path) -> None:
    @runtime_checkable
    class Own(consist_es.ArtifactLike, Protocol):
        @property
        def table_path(self) -> str | None: ...

    class Tracking(consist_es.TrackerLike, Protocol): ...

    class Identified(consist_es.RunIdentifiedResultLike, consist_es.RunResultLike, Protocol): ...

    artifact = consist_es.Artifact(key="k", container_uri="./k.csv")
    assert isinstance(artifact, Own)
    assert isinstance(artifact, consist_es.ArtifactRecordLike)
    with NoopTracker(tmp_path) as tracker, tracker.scenario("s") as scenario:
        assert isinstance(tracker, consist_es.TrackerLike)
        assert isinstance(scenario, consist_es.ScenarioLike)
    assert not isinstance(artifact, consist_es.TrackerLike)
    assert not isinstance(tracker, Own)
