"""`Tracker.compare`: what it takes, and how it looks at a prompt, in a notebook and as a table."""

import sys
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

import consist_es as consist
from consist_es import Comparison
from consist_es.errors import MissingKeyError, UsageError, UsageTypeError
from tests.reading.model import Edit, Model

pytestmark = pytest.mark.filterwarnings("ignore::consist_es.ConsistWarning")
EDIT = Edit("demand", "config", "a")


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[consist.Tracker]:
    """`base` twice, and `edited`, which has another config of `demand`."""
    model = Model(tmp_path_factory.mktemp("model"))
    for name, *edits in (("base",), ("base",), ("edited", EDIT)):
        model.play(name, *edits)
    yield model.tracker
    model.tracker.close()
    sys.modules.pop("model_steps", None)


def test_two_scenarios_are_compared_by_what_selects_them(tracker: consist.Tracker) -> None:
    found = tracker.compare("base", "edited")
    assert isinstance(found, Comparison)
    assert found.first is not None
    assert (found.first.step, found.first.words) == ("demand 2025·0", "config a: 0 → 1")
    assert found.counts == {"same": 2, "differs itself": 3, "by its inputs": 10}
    assert repr(found) == (
        "<Comparison of base#2 and edited: part at demand 2025·0; 2 same, 3 differs itself, 10 by its inputs>"
    )
    same = tracker.compare("base#1", "base#2")
    assert same.first is None
    assert repr(same) == "<Comparison of base and base#2: every step is the same work (15 steps)>"


def test_runs_and_steps_are_compared_too(tracker: consist.Tracker) -> None:
    one, other = tracker.find_run("base#1"), tracker.find_run("edited")
    assert tracker.compare(one, other).counts == tracker.compare("base#1", "edited").counts
    (pair,) = tracker.compare("base#1/demand@2025", "edited/demand@2025.0").pairs
    assert pair.words == "config a: 0 → 1"


@pytest.mark.parametrize(
    ("sides", "error", "said"),
    [
        (("base", "edted"), MissingKeyError, "Did you mean 'edited'"),
        (("base", "edited/report"), UsageError, "are not both scenarios or both steps"),
        ((None, "base"), UsageTypeError, "takes runs, or texts that select them such as 'base', not None"),
        (("base", "table"), UsageError, "'table' is an artifact: only scenarios and steps are compared"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    tracker: consist.Tracker, sides: tuple[Any, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        tracker.compare(*sides)


def test_a_notebook_gets_a_small_escaped_table_without_scripts(tracker: consist.Tracker) -> None:
    page = tracker.compare("base", "edited")._repr_html_()
    assert page.count("<tr>") == 1 + 13
    assert "part at demand 2025·0" in page
    assert ">config a: 0 → 1</td>" in page
    found = tracker.compare("base", "edited")
    evil = [pair.__class__("<script>&\u202e", pair.a, pair.b, pair.verdict, pair.differences) for pair in found.pairs]
    page = Comparison(found.a, found.b, [], evil * 100)._repr_html_()
    assert page.count("<tr>") == 1 + 30
    assert "and 1,270 more" in page
    assert "<script" not in page
    assert "\u202e" not in page
    assert len(page.encode()) < 20_000


def test_other_libraries_read_it_as_a_table(tracker: consist.Tracker) -> None:
    found = tracker.compare("base", "edited")
    table = pa.table(found)
    assert table.equals(found.to_table())
    assert table.num_rows == 15
    assert table.schema == pa.table(tracker.compare("base#1", "base#2")).schema
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(found)
    row = frame.filter(pl.col("verdict") == "differs itself").row(0, named=True)
    assert (row["step"], row["a_outcome"], row["b_outcome"], row["differs"]) == (
        "demand 2025·0", "hit", "computed", "config a: 0 → 1",
    )  # fmt: skip
    assert row["same_bytes"] is False
