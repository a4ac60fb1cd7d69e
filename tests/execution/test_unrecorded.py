"""Where the end of a step cannot be recorded, the error says where its outputs are, and they are there."""

import errno
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import consist_es as consist
from consist_es import Tracker
from consist_es.errors import LogFullError, LogWriteError
from consist_es.system.storage import LocalStorage
from tests.support.api import NONE, PATHS, made

Broken = Callable[[int], None]


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broken]:
    """From the call on, writes to the log fail with this error; 0 mends it."""
    number = 0
    real = LocalStorage.write_at

    def write(self: LocalStorage, fd: int, data: bytes, offset: int) -> int:
        if number:
            raise OSError(number, os.strerror(number))
        return real(self, fd, data, offset)

    def set_to(value: int) -> None:
        nonlocal number
        number = value

    monkeypatch.setattr(LocalStorage, "write_at", write)
    yield set_to
    set_to(0)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, LogFullError), (errno.EDQUOT, LogFullError), (errno.EIO, LogWriteError)],
    ids=["ENOSPC", "EDQUOT", "EIO"],
)
def test_an_end_that_is_not_recorded_names_where_the_outputs_are(
    tracker: Tracker, breaks: Broken, number: int, kind: type[LogWriteError]
) -> None:
    def step() -> Path:
        path = made("o", "kept\n")
        breaks(number)
        return path

    with pytest.raises(kind, match=r"Not recorded: .*Outputs of 's\w*' are kept at .*called again, the step") as caught:
        tracker.run(step, name="s", outputs=["o"], execution_options=NONE)
    (place,) = caught.value.kept
    assert place in str(caught.value)
    assert (Path(place) / "o.txt").read_text() == "kept\n"
    assert str(caught.value).count("call again") == (kind is LogFullError)
    (first, second) = caught.value.__notes__
    assert first.startswith("consist-es could not record this failure: Not recorded: ")
    assert second == (
        f"Once this process has ended, the next one renames the run's folder to {Path(place).name}.abandoned."
    )
    breaks(0)

    def again() -> Path:
        return made("o", "kept\n")

    found = tracker.run(again, name="s", outputs=["o"], execution_options=NONE)
    assert not found.cache_hit
    assert (Path(place) / "o.txt").read_text() == "kept\n"


def test_outputs_outside_the_runs_folder_are_named_one_by_one(tracker: Tracker, here: Path, breaks: Broken) -> None:
    def step() -> dict[str, Path]:
        for name in "abc":
            (here / f"{name}.txt").write_text(name)
        breaks(errno.ENOSPC)
        return {"a": here / "a.txt", "b": here / "b.txt"}

    with pytest.raises(LogFullError) as caught:
        tracker.run(step, name="s", outputs=["a", "b"], output_paths={"c": here / "c.txt"}, execution_options=NONE)
    assert sorted(caught.value.kept) == [str(here / f"{name}.txt") for name in "abc"]


def test_a_trace_and_what_a_step_logs_itself_are_named_as_well(tracker: Tracker, here: Path, breaks: Broken) -> None:
    (here / "x.txt").write_text("x")

    def traced() -> None:
        with tracker.trace("t"):
            breaks(errno.ENOSPC)
            consist.log_output(here / "x.txt", key="x")

    with pytest.raises(LogFullError) as caught:
        traced()
    assert caught.value.kept == (str(here / "x.txt"),)


def test_where_nothing_was_made_no_place_is_named(tracker: Tracker, breaks: Broken) -> None:
    def step() -> None:
        breaks(errno.ENOSPC)

    with pytest.raises(LogFullError, match="Outputs already on disk are kept") as caught:
        tracker.run(step, name="s", execution_options=NONE)
    assert caught.value.kept == ()
    with pytest.raises(LogFullError, match="Outputs already on disk are kept"):
        tracker.run(step, name="t", execution_options=PATHS)  # not even its start


def test_a_failure_that_is_recorded_after_all_keeps_the_runs_folder(tracker: Tracker, breaks: Broken) -> None:
    def step() -> Path:
        path = made("o", "kept\n")
        breaks(errno.ENOSPC)
        return path

    real = type(tracker.project).record

    def mending(self: object, *args: object, **kwargs: object) -> object:
        try:
            return real(self, *args, **kwargs)  # type: ignore[arg-type]
        finally:
            breaks(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(tracker.project), "record", mending)
        with pytest.raises(LogFullError) as caught:
            tracker.run(step, name="s", outputs=["o"], execution_options=NONE)
    assert tracker.find_runs()[0].status == "failed"
    assert not hasattr(caught.value, "__notes__")
    assert [Path(place, "o.txt").read_text() for place in caught.value.kept] == ["kept\n"]


def test_a_file_size_limit_is_a_disk_that_is_really_full(here: Path) -> None:
    """In a child, for the limit holds for all its files."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = "nothing was raised"
        try:
            with Tracker("runs", "project.db", sync="os") as tracker:

                def step() -> Path:
                    path = made("o", "kept\n")
                    size = sum(file.stat().st_size for file in (here / "project.events").glob("0*.jsonl"))
                    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, resource.RLIM_INFINITY))
                    return path

                tracker.run(step, name="s", outputs=["o"], execution_options=NONE)
        except LogFullError as error:
            said = "\n".join((*error.kept, str(error)))
        except BaseException as error:  # noqa: BLE001  it is told to the parent
            said = f"{type(error).__name__}: {error}"
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        place, text = told.read().split("\n", 1)
    os.waitpid(child, 0)
    assert f"kept at {place};" in text
    assert "File too large" in text
    assert (Path(place) / "o.txt").read_text() == "kept\n"
    with Tracker("runs", "project.db", sync="os") as tracker:
        assert tracker.run(made, name="s", execution_options=NONE).run.status == "completed"
    assert Path(f"{place}.abandoned", "o.txt").read_text() == "kept\n"
