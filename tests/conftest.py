"""What every test needs: calm property tests, and a tracker in an empty working directory for those that want one."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from consist_es import Tracker

# No deadline: a slow machine is no failure. On CI the same examples every time, so that a red run can be repeated.
settings.register_profile("house", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.load_profile("house")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes a night, unless it is asked for."""
    if "night" in str(config.getoption("markexpr")):
        return
    for item in items:
        if item.get_closest_marker("night") is not None:
            item.add_marker(pytest.mark.skip(reason="by night: python3 tools/dev.py night counts"))


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is left in the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("caches")))
        yield


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tracker(here: Path) -> Iterator[Tracker]:
    """A tracker of a fresh project in the working directory."""
    with Tracker(run_dir="runs", db_path="project.db", sync="os") as opened:  # no power is cut here
        yield opened
