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
