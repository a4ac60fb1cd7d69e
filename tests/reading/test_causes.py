"""First causes and comparisons, on a recorded model with edits that are known."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consist_es.projections import run_table
from consist_es.reading.account import first_causes, of_scenario, of_step
from consist_es.reading.causes import NEW, Causes, differences
from consist_es.reading.compare import BY_INPUTS, ITSELF, ONLY_A, ONLY_B, SAME, compare
from consist_es.reading.labels import label, outcome
from consist_es.reading.sums import sums, total
from tests.reading.model import STEPS, YEARS, Edit, Model, seeds, some_edits

pytestmark = pytest.mark.filterwarnings("ignore::consist_es.ConsistWarning")


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Model]:
    yield Model(tmp_path)
    sys.modules.pop("model_steps", None)


def place(edit: Edit) -> int:
    """How early a step comes."""
    return STEPS.index(edit.step)


def reaches(edit: Edit, number: int) -> bool:
    """True if the step with this number, counted over all years, runs because of an edit.

    A label changes no file: what follows finds the same inputs.
    """
    return number % len(STEPS) == place(edit) if edit.kind == "label" else number >= place(edit)


@pytest.mark.parametrize("seed", seeds(12, 50))
def test_every_miss_has_the_edit_as_its_first_cause_and_the_step_where_it_came_in(model: Model, seed: int) -> None:
    (edit,) = some_edits(seed, 1)
    model.play("base")
    header = model.play("edited", edit)
    rows = run_table.steps(model.conn, header.key)
    causes = Causes(model.conn, rows)
    for number, row in enumerate(rows):
        found = causes.of(row)
        if not reaches(edit, number):
            assert (outcome(row), found) == ("hit", [])
            continue
        assert [cause.what.startswith(edit.cause) for cause in found] == [True]
        (first,) = first_causes(model.conn, row)
        if edit.kind == "label":  # nothing of it comes in from before
            assert (first.first.key, first.later) == (row.key, 0)
            continue
        assert label(first.first) == f"{edit.step} {YEARS[0]}·0"
        times = len([year for year in range(len(YEARS)) if year * len(STEPS) + place(edit) <= number])
        assert first.later == times - 1


@pytest.mark.parametrize("seed", seeds(4, 50))
def test_two_edits_at_once_are_both_first_causes(model: Model, seed: int) -> None:
    edits = some_edits(seed, 2)
    model.play("base")
    header = model.play("edited", *edits)
    rows = run_table.steps(model.conn, header.key)
    causes = Causes(model.conn, rows)
    for number, row in enumerate(rows):
        expected = {edit.cause for edit in edits if reaches(edit, number)}
        found = {cause.what for cause in causes.of(row)}
        assert expected <= found, label(row)
        # a step with a new label and new code made other files: whether the label did that, nobody can tell
        assert found - expected <= {edit.cause for edit in edits if edit.kind == "label"}, label(row)


@pytest.mark.parametrize("seed", seeds(12, 50))
def test_two_scenarios_part_at_the_first_edit_and_only_edited_steps_differ_by_themselves(
    model: Model, seed: int
) -> None:
    edits = some_edits(seed, 2)
    a, b = model.play("base"), model.play("edited", *edits)
    found = compare(model.conn, a, b)
    edited = {edit.step for edit in edits}
    first = min(edits, key=place)
    assert found.first is not None
    assert found.first.step == f"{first.step} {YEARS[0]}·0"
    begins = [edit.cause for edit in edits if edit.step == first.step]
    assert all(any(words.startswith(cause) for words in found.first.words.split("; ")) for cause in begins)
    for number, pair in enumerate(found.pairs):
        step = pair.step.split()[0]
        same = not any(reaches(edit, number) for edit in edits)
        assert pair.verdict == (SAME if same else ITSELF if step in edited else BY_INPUTS), pair.step
    assert sum(found.counts.values()) == len(STEPS) * len(YEARS)


def test_an_all_hit_repeat_parts_nowhere(model: Model) -> None:
    a, b = model.play("base"), model.play("base")
    found = compare(model.conn, a, b)
    assert (found.first, found.counts) == (None, {SAME: 15})
    assert all(item.same_bytes for pair in found.pairs for item in pair.outputs)


def test_steps_that_only_one_side_has_are_said(model: Model) -> None:
    a, b = model.play("base"), model.play("without", skip="report")
    assert compare(model.conn, a, b).counts[ONLY_A] == len(YEARS)
    assert compare(model.conn, b, a).counts[ONLY_B] == len(YEARS)


@pytest.mark.parametrize("seed", seeds(4, 20))
def test_against_another_scenario_every_change_of_a_package_is_named(model: Model, seed: int) -> None:
    """The nearest run already has the first half of them."""
    edits = [Edit("land", "config", "a"), Edit("land", "config", "b"), *some_edits(seed, 2)]
    base = model.play("base")
    model.play("half", edits[0])
    header = model.play("all", *edits)
    row = run_table.steps(model.conn, header.key)[0]
    then = run_table.steps(model.conn, base.key)[0]
    nearest = {item.key for item in differences(model.conn, row) if item.kind == "config"}
    assert nearest == {"b"}
    against = {item.key for item in of_step(model.conn, row, then).differences if item.kind == "config"}
    assert against == {"a", "b"}


def test_nothing_like_it_ran_before(model: Model) -> None:
    header = model.play("base")
    account = of_scenario(model.conn, header)
    assert account.causes == [(NEW, 15), ("first run of 2030·0", 10), ("first run of 2035·0", 5)]
    assert account.outcomes == {"computed": 15}


def test_sums_add_up(model: Model) -> None:
    header = model.play("base")
    model.play("base")
    found = sums(model.conn)
    assert {item.step: (item.computed, item.hits) for item in found} == dict.fromkeys(STEPS, (3, 3))
    (first, *_), whole = sums(model.conn, header.key), total(found)
    assert (first.computed, first.hits) == (3, 0)
    assert (whole.computed, whole.hits, whole.failed) == (15, 15, 0)
    assert whole.saved_seconds > 0


def test_a_long_chain_of_steps_is_followed_without_recursion(model: Model) -> None:
    """Ten times as many years as Python may call functions in each other."""
    limit = sys.getrecursionlimit()
    model.play("base")
    header = model.play("edited", Edit("land", "config", "a"))
    rows = run_table.steps(model.conn, header.key)
    depth = len([1 for frame in iter_frames()])
    sys.setrecursionlimit(depth + 60)
    try:
        assert Causes(model.conn).of(rows[-1])
    finally:
        sys.setrecursionlimit(limit)


def iter_frames() -> Iterator[object]:
    frame = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back  # type: ignore[assignment]
