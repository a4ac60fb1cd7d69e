"""What the tests of the views share."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from consist_es.events import Draft
from tests.support.views import make_log, make_views


@pytest.fixture
def fold(tmp_path: Path) -> Any:
    """Append events in one batch each call, and give the views that follow from all of them."""
    log = make_log(tmp_path)
    with make_views(tmp_path, log) as views:

        def append(*drafts: Draft) -> sqlite3.Connection:
            log.append(drafts)
            return views.catch_up()

        yield append
    log.close()
