"""Data files of a model of one's own that is installed as a copy count where a step reads them."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consist_es import Tracker
from tests.support.installed import FOLDER, install

pytestmark = pytest.mark.filterwarnings("ignore::consist_es.errors.ConsistWarning")
CODE = """
import importlib.resources, os, pkgutil
from pathlib import Path
import consist_es as consist

DATA = Path(__file__).parent / "data"

def write(text):
    out = consist.output_path("out", ext="txt")
    out.write_text(str(text))
    return out

def by_open():
    with open(DATA / "rates.csv") as file:
        return write(file.read())

def by_resources():
    return write((importlib.resources.files("ownmodel") / "data" / "rates.csv").read_text())

def by_loader():
    return write(pkgutil.get_data("ownmodel", "data/rates.csv"))

def by_listing():
    return write(sorted(os.listdir(DATA)))

def by_look():
    return write((DATA / "more.csv").exists())
"""
WAYS = ["by_open", "by_resources", "by_loader", "by_listing", "by_look"]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    project, site = tmp_path / "project", tmp_path / "env" / "site-packages"
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    site.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(site))
    yield site
    sys.modules.pop("ownmodel", None)


def put(site: Path, *, url: str | None, rate: str = "1", **more: str) -> None:
    files = {"ownmodel/__init__.py": CODE, "ownmodel/data/rates.csv": rate}
    install(site, "ownmodel", "1.0", {**files, **{f"ownmodel/data/{name}.csv": text for name, text in more.items()}},
            url=url)  # fmt: skip
    importlib.invalidate_caches()


def hits(name: str, **given: Any) -> bool:
    def step() -> Path:
        import ownmodel  # type: ignore[import-not-found]

        made: Path = getattr(ownmodel, name)()
        return made

    with Tracker(run_dir="runs", db_path="provenance.db", sync="os", **given) as tracker:
        return tracker.run(step, outputs=["out"]).cache_hit


@pytest.mark.parametrize("way", WAYS)
def test_data_of_an_installed_model_counts_where_it_is_read(site: Path, way: str) -> None:
    put(site, url=FOLDER)
    assert (hits(way), hits(way)) == (False, True)
    put(site, url=FOLDER, rate="1", more="2") if way in ("by_listing", "by_look") else put(site, url=FOLDER, rate="2")
    assert (hits(way), hits(way)) == (False, True)


def test_data_that_a_step_does_not_read_does_not_count(site: Path) -> None:
    put(site, url=FOLDER, more="1")
    assert (hits("by_open"), hits("by_open")) == (False, True)
    put(site, url=FOLDER, more="2")
    assert hits("by_open")


@pytest.mark.parametrize("way", WAYS)
def test_data_of_other_peoples_packages_does_not_count(site: Path, way: str) -> None:
    put(site, url=None)
    assert (hits(way), hits(way)) == (False, True)
    put(site, url=None, rate="2", more="2")
    assert hits(way)


def test_data_of_a_package_that_is_ignored_does_not_count(site: Path) -> None:
    put(site, url=FOLDER)
    assert not hits("by_open", ignore_packages=["ownmodel"])
    put(site, url=FOLDER, rate="2")
    assert hits("by_open", ignore_packages=["ownmodel"])


def test_data_counts_if_the_function_itself_is_from_the_package(site: Path) -> None:
    put(site, url=None)
    ownmodel = importlib.import_module("ownmodel")
    with Tracker(run_dir="runs", db_path="provenance.db", sync="os") as tracker:
        assert not tracker.run(ownmodel.by_open, outputs=["out"]).cache_hit
        assert tracker.run(ownmodel.by_open, outputs=["out"]).cache_hit
        put(site, url=None, rate="2")
        missed = tracker.run(ownmodel.by_open, outputs=["out"])
        assert (missed.cache_hit, missed.run.why().reason) == (False, "reads_changed")


def test_reads_of_a_package_below_the_projects_folder_are_told_apart(site: Path) -> None:
    inside = Path.cwd() / ".venv" / "lib" / "site-packages"
    put(inside, url=FOLDER)
    sys.path.insert(0, str(inside))
    try:
        assert (hits("by_open"), hits("by_open")) == (False, True)
        put(inside, url=FOLDER, rate="2")
        assert not hits("by_open")
    finally:
        sys.path.remove(str(inside))
