"""One record for all tests of exports, with every kind of run in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consist_es import Tracker
from tests.support import exported


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a record that nobody changes; one of its scenarios runs."""
    with exported.recorded(tmp_path_factory.mktemp("exports") / "project") as folder:
        yield folder


@pytest.fixture(scope="session")
def tracker(record: Path) -> Iterator[Tracker]:
    """A tracker that only reads it."""
    mounts = {"inputs": record / "inputs"}
    with Tracker(record / "runs", record / "provenance.db", mounts, access_mode="analysis") as opened:
        yield opened
