"""Steps that print and fail in odd ways: the record says what happened, and the error is the step's own."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from consist_es import Tracker
from tests.support.api import made


class TakesNoNotes(Exception):
    def add_note(self, note: str) -> NoReturn:
        raise RuntimeError("no notes")


class NotesAreNoList(Exception):
    __notes__ = 5  # type: ignore[assignment]


def no_notes() -> None:
    print("before")
    raise TakesNoNotes("no zone 7")


def no_list() -> None:
    print("before")
    raise NotesAreNoList("no zone 7")


@pytest.mark.parametrize("step", [no_notes, no_list])
def test_an_error_that_takes_no_notes_stays_the_step_s_error(tracker: Tracker, step: Callable[[], None]) -> None:
    caught: BaseException | None = None
    try:  # `pytest.raises` reads the notes
        with tracker.scenario("base") as sc:
            sc.run(step)
    except (TakesNoNotes, NotesAreNoList) as error:
        caught = error
    assert str(caught) == "no zone 7"
    assert {(run.status, run.meta["error"]) for run in tracker.find_runs()} == {("failed", "no zone 7")}


def in_pieces() -> Path:
    text = "zone é → 日本 🚲\n".encode()
    for n in range(len(text)):
        sys.stdout.buffer.write(text[n : n + 1])
    sys.stdout.buffer.writelines([b"first\n", bytearray(b"second\n"), memoryview(b"third\n")])
    sys.stdout.buffer.write(b"caf\xe9\n")
    return made()


def test_bytes_are_kept_however_they_are_cut(tracker: Tracker, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    run = tracker.run(in_pieces, outputs=["o"]).run
    assert run is not None
    assert run.log is not None
    assert run.log.text() == "zone é → 日本 🚲\nfirst\nsecond\nthird\ncaf\N{REPLACEMENT CHARACTER}\n"
    assert tracker.run(in_pieces, outputs=["o"]).cache_hit


def prints_long_lines() -> None:
    print("n" * 5_000)
    print("x" * 10_000)
    raise ValueError("no zone 7")


def prints_one_long_line() -> None:
    print("x" * 50_000, end="the end")
    raise ValueError("no zone 7")


@pytest.mark.parametrize(
    ("step", "last"), [(prints_long_lines, "x" * 399 + "…"), (prints_one_long_line, "…" + "x" * 392 + "the end")]
)
def test_long_lines_are_cut_in_the_note_of_an_error(tracker: Tracker, step: Callable[[], None], last: str) -> None:
    with pytest.raises(ValueError, match="no zone 7") as caught:
        tracker.run(step)
    (note,) = caught.value.__notes__
    assert note.splitlines()[-1] == f"  {last}"
    assert len(note) < 2_000


class Strange(str):
    """A text whose methods cannot be used."""

    __slots__ = ()

    def rfind(self, *_args: object) -> NoReturn:
        raise RuntimeError("strange")

    __getitem__ = __contains__ = __add__ = __format__ = __len__ = rfind


def strange() -> Path:
    sys.stdout.write(Strange("a text of "))
    sys.stdout.write(Strange("another class\n"))
    sys.stdout.writelines([Strange("with lines\n")])
    return made()


def too_deep() -> Path:
    def down(n: int) -> None:
        print("depth", n)
        down(n + 1)

    try:
        down(0)
    except RecursionError:
        print("too deep")
    return made()


def with_commands() -> Path:
    print("\x1b]8;;http://zones\x1b\\a link\x1b]8;;\x07, \x1b[1;31mred\x1b[0m, \x1b]0;title\x07\x1b(Bplain\x1b7\x1b8")
    return made()


@pytest.mark.filterwarnings("error::consist_es.ConsistWarning")
def test_the_log_goes_on_whatever_a_step_does(tracker: Tracker, capsys: object) -> None:
    def text(step: Callable[[], Path]) -> list[str]:
        run = tracker.run(step, outputs=["o"]).run
        assert run.log is not None
        assert run.log.recorded is not None
        assert run.log.recorded.problem is None
        assert tracker.run(step, outputs=["o"]).cache_hit
        return run.log.text().splitlines()

    assert text(strange) == ["a text of another class", "with lines"]
    lines = text(too_deep)
    assert lines[-1].endswith("too deep")  # the print before it may have come to its first word
    assert lines[:-1] == [f"depth {n}" for n in range(len(lines) - 1)]
    assert text(with_commands) == ["a link, red, plain"]
