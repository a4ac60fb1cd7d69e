"""A small log and its views."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consist_es.log.local import LocalLog
from consist_es.views.projector import Projector
from tests.support.views import make_log, make_views, scenario


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LocalLog]:
    """A log with one scenario in it."""
    log = make_log(tmp_path)
    log.append([scenario("S")])
    yield log
    log.close()


@pytest.fixture
def views(tmp_path: Path, log: LocalLog) -> Iterator[Projector]:
    """The views of that log, not opened yet."""
    views = make_views(tmp_path, log)
    yield views
    views.close()
