"""Segments that are checked by child processes: the same report, whatever becomes of the children."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from bench.biglog import write

from consist_es.log import parts
from consist_es.log.quick import Checked, Quick
from consist_es.log.report import VerifyReport
from consist_es.log.verify import verify
from tests.log.test_log_quick import SEGMENTS, damaged
from tests.log.test_log_quick import whole as whole

Check = Callable[[Path], VerifyReport]


@pytest.fixture
def told() -> list[tuple[int, int]]:
    """What the progress was told."""
    return []


@pytest.fixture
def by_children(monkeypatch: pytest.MonkeyPatch, told: list[tuple[int, int]]) -> Check:
    """Verify with two children, whatever the size of the log."""
    monkeypatch.setattr(parts, "LEAST", 0)
    monkeypatch.setattr(parts, "processors", lambda: 2)
    return lambda folder: verify(folder, progress=lambda *at: told.append(at))


def no_children_are_left() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


def test_children_find_a_log_whole_and_leave_nothing_to_check_here(
    whole: Path, by_children: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = verify(whole)
    by_children(whole)  # imports what a child needs, before the count begins
    here: list[int] = []
    real = Quick.checked

    def counted(quick: Quick) -> Iterator[Checked]:
        for found in real(quick):
            here.append(len(found.lines))
            yield found

    monkeypatch.setattr(Quick, "checked", counted)
    assert by_children(whole) == expected
    assert (expected.ok, expected.redacted, here) == (True, [4], [])
    assert [item.run for item in expected.unended] == ["r0", "r3", "r6", "last"]
    assert no_children_are_left()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (SEGMENTS[0], ("flip", 3000, 1)),
        (SEGMENTS[1], ("swap", 2, 0)),
        (SEGMENTS[3], ("cut", 700, 0)),
        (SEGMENTS[2], ("flip", 40, 1)),
    ],
    ids=["a flipped bit", "two lines swapped", "the end cut", "a damaged header"],
)
def test_damage_is_the_same_with_children(
    whole: Path, tmp_path: Path, by_children: Check, name: str, damage: tuple[str, int, int]
) -> None:
    folder = tmp_path / "x"
    shutil.copytree(whole, folder)
    (folder / name).write_bytes(damaged((folder / name).read_bytes(), damage))
    found = by_children(folder)
    assert found == verify(folder)
    assert not found.ok


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere/python"])
def test_children_that_die_or_cannot_be_started_are_not_needed(
    whole: Path, by_children: Check, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    expected = verify(whole)
    monkeypatch.setattr(sys, "executable", program)
    assert by_children(whole) == expected
    assert no_children_are_left()


def test_progress_comes_from_the_children_and_an_interrupt_ends_them(
    tmp_path: Path, by_children: Check, told: list[tuple[int, int]]
) -> None:
    folder = tmp_path / "x"
    write(folder, 5000, segment_size=1 << 20)
    size = sum(path.stat().st_size for path in folder.glob("*.jsonl"))
    assert by_children(folder).ok
    assert len(told) == size >> 20
    assert [at for at, _ in told] == sorted(at for at, _ in told)
    assert {total for _, total in told} == {size}

    def stop(_at: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(folder, progress=stop)
    assert no_children_are_left()
