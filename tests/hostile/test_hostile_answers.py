"""What bad input gets: one kind of error for each kind of it, with where and what to do, and the state afterwards."""

import errno
import math
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pytest

import consist_es as consist
from consist_es import CacheOptions, Tracker, errors
from consist_es.errors import ConsistWarning
from consist_es.events import REGISTRY, MetaLogged, UnknownEvent
from consist_es.log.local import LocalLog
from consist_es.system.storage import LocalStorage
from tests.support.api import NONE, made
from tests.support.cli import append, run

LOG = "project.events"


@pytest.fixture
def project(here: Path) -> Iterator[Tracker]:
    """A project with one step in it, which must be usable when the test is over."""
    with Tracker("runs", "project.db", sync="os") as tracker:
        tracker.run(made, name="first", outputs=["o"], execution_options=NONE)
        yield tracker
        result = tracker.run(made, name="still works", execution_options=NONE)
        assert result.output is not None


def head() -> int:
    return LocalLog(Path(LOG)).head().seq


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    ("config", "error", "words"),
    [
        ({"a": [1, 2, 3, object()]}, errors.ConfigTypeError, r"config\['a'\]\[3\]: object is not supported"),
        ({"a": lambda: 1}, errors.ConfigTypeError, r"config\['a'\]: function is not supported.*Use numbers"),
        (CIRCLE, errors.ConfigValueError, "contains itself"),
        ({"a": CIRCLE}, errors.ConfigValueError, r"config\['a'\]\[0\]: the value contains itself"),
    ],
)
def test_a_config_without_a_form_is_refused_with_the_path_to_it(
    project: Tracker, config: Any, error: type[Exception], words: str
) -> None:
    before = head()
    with pytest.raises(error, match=words):
        project.run(made, name="s", config=config, execution_options=NONE)
    assert head() == before


def test_odd_numbers_are_taken_and_are_identities_of_their_own(project: Tracker) -> None:
    odd = [math.nan, math.inf, -math.inf, -0.0, 0.0, 0, False, 10**30]
    for expected in (False, True):
        hits = [
            project.run(made, name="s", outputs=["o"], config={"x": value}, execution_options=NONE).cache_hit
            for value in odd
        ]
        assert hits == [expected] * len(odd)


@pytest.mark.parametrize("name", ["x\ud800", "nul\0", "\x1b[2J", "line\nfeed", "\u202eevil", " ", "n" * 257])
@pytest.mark.parametrize("argument", ["name", "run_id", "model", "tags"])
def test_an_odd_name_is_refused(project: Tracker, argument: str, name: str) -> None:
    before = head()
    given: dict[str, Any] = {"name": "s", argument: [name] if argument == "tags" else name}
    with pytest.raises(errors.UsageError, match=argument.rstrip("s")) as caught:
        project.run(made, **given, execution_options=NONE)
    assert str(caught.value).isprintable()
    assert head() == before


def test_an_odd_value_is_kept_exactly_and_escaped_when_it_is_shown(project: Tracker) -> None:
    odd = {"a": "x\ud800\0\x1b[2J\u202e\n", "\udcff": os.fsdecode(b"caf\xe9")}
    project.run(made, name="s", config=odd, execution_options=NONE)
    assert project.get_run_config("s") is not None
    kept = project.get_run("s")
    assert kept is not None
    assert kept.config is not None
    told = run("log", "--project", LOG).stdout
    assert all(line.isprintable() for line in told.splitlines())
    again = project.run(made, name="s", config=odd, execution_options=NONE)
    other = project.run(made, name="s", config={**odd, "a": "x"}, execution_options=NONE)
    assert (again.cache_hit, other.cache_hit) == (True, False)


def test_a_run_id_that_was_used_before_is_a_new_attempt(project: Tracker) -> None:
    for number in (1, 2, 3):
        project.run(made, name="s", run_id="mine", config={"n": number}, execution_options=NONE)
    assert [project.get_run_config(f"mine#{number}") for number in (1, 2, 3)] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert project.get_run_config("mine") == {"n": 3}


def test_a_path_that_leaves_its_place_is_refused_and_nothing_is_read_or_written(project: Tracker, here: Path) -> None:
    before = sorted(path for path in here.rglob("*") if LOG not in path.parts)
    with pytest.raises(errors.PathError, match=r"leaves .*relative path without '\.\.'"):
        project.run(made, name="s", output_paths={"o": "../../x"}, execution_options=NONE)
    assert sorted(path for path in here.rglob("*") if LOG not in path.parts) == before


def test_a_table_is_not_written_through_a_link(here: Path) -> None:
    (here / "victim").write_text("mine")

    def step() -> pa.Table:
        consist.output_path("o", "parquet").symlink_to(here / "victim")
        return pa.table({"a": [1]})

    with Tracker("runs", "project.db") as tracker, pytest.raises(errors.PathError, match=r"o\.parquet is a link"):
        tracker.run(step, outputs=["o"], execution_options=NONE)
    assert (here / "victim").read_text() == "mine"


def break_missing(path: Path) -> None:
    path.unlink()


def break_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def break_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


@pytest.mark.parametrize("spoil", [break_missing, break_fifo, break_loop])
def test_an_input_that_cannot_be_read_gives_no_key_and_no_run(project: Tracker, spoil: Callable[[Path], None]) -> None:
    path = Path("raw.csv")
    path.write_text("x")
    spoil(path)
    before = head()
    with pytest.raises(errors.InputError, match=r"raw\.csv"):
        project.run(lambda raw: None, name="s", inputs={"raw": path}, execution_options=NONE)
    assert head() == before


class Broken(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "error", [ValueError("\ud800\x1b"), Broken(), KeyboardInterrupt(), SystemExit(3), GeneratorExit()]
)
def test_what_a_step_raises_is_recorded_and_comes_back_as_it_was(project: Tracker, error: BaseException) -> None:
    def step() -> NoReturn:
        raise error

    with pytest.raises(type(error)) as caught:
        project.run(step, name="s", execution_options=NONE)
    assert caught.value is error
    found = project.get_run("s")
    assert found is not None
    assert found.status == ("failed" if isinstance(error, Exception) else "interrupted")


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, errors.LogFullError), (errno.EDQUOT, errors.LogFullError), (errno.EIO, errors.LogWriteError)],
)
def test_an_append_that_fails_says_so_and_the_next_one_works(
    here: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    def refuse(*_: Any) -> NoReturn:
        raise OSError(number, os.strerror(number))

    with Tracker("runs", "project.db") as tracker:
        tracker.run(made, name="first", execution_options=NONE)
        before = head()
        with monkeypatch.context() as patched:
            patched.setattr(LocalStorage, "write_at", refuse)
            with pytest.raises(error, match=r"Not recorded: .*Outputs already on disk are kept"):
                tracker.run(made, name="second", execution_options=NONE)
        assert head() == before
        tracker.run(made, name="third", execution_options=NONE)
    assert run("verify", "--project", LOG)


def test_a_torn_tail_is_passed_over_and_told_and_moved_aside_by_the_next_writer(project: Tracker) -> None:
    before = head()
    project.close()
    with (Path(LOG) / "00000001.jsonl").open("ab") as file:
        file.write(b'{"seq":99')
    assert head() == before
    assert "incomplete last record, 9 bytes" in run("verify", "--project", LOG, code=1).stdout
    append(Path(LOG), MetaLogged(values={}))
    assert [event.type for event in LocalLog(Path(LOG)).read()].count("log_repaired") == 1
    assert len(list((Path(LOG) / "quarantine").iterdir())) == 1


def test_damage_before_good_records_is_named_and_nothing_is_written(here: Path) -> None:
    with Tracker("runs", "project.db") as tracker:
        tracker.run(made, name="first", execution_options=NONE)
    segment = Path(LOG) / "00000001.jsonl"
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    (Path(LOG) / "head").unlink()
    with pytest.raises(errors.LogCorruptError, match=r"00000001\.jsonl, byte \d+: .*Run `consist-es verify`"):
        append(Path(LOG), MetaLogged(values={}))
    assert segment.read_bytes() == data
    assert run("verify", "--project", LOG, code=1)


def test_damage_before_the_watermark_is_found_by_whoever_reads_it_and_takes_nothing_with_it(here: Path) -> None:
    with Tracker("runs", "project.db") as tracker:
        for n in range(4):
            tracker.run(made, name="first", config={"n": n}, execution_options=NONE)
    segment = Path(LOG) / "00000001.jsonl"
    good = segment.read_bytes()
    place = good.index(b'"step_started"')
    segment.write_bytes(good[:place] + b"X" + good[place + 1 :])
    with Tracker("runs", "project.db") as tracker:  # it goes on from the watermark, and reads nothing before it
        assert tracker.run(made, name="second", execution_options=NONE).run.status == "completed"
    assert "DAMAGED" in run("verify", "--project", LOG, code=1).stdout
    assert run("replay", "--project", LOG, code=2).stderr.startswith("Error: The log is damaged: 00000001.jsonl, byte")
    later = segment.read_bytes()
    segment.write_bytes(good + later[len(good) :])
    assert run("verify", "--project", LOG)
    with Tracker("runs", "project.db") as tracker:
        assert len(tracker.find_runs()) == 5


def test_a_newer_format_is_refused_and_an_unknown_event_is_kept(project: Tracker, here: Path) -> None:
    class Unheard(MetaLogged, frozen=True, kw_only=True):
        pass

    del REGISTRY[Unheard.TYPE, Unheard.V]  # no other test shall know it
    Unheard.TYPE = "unheard_of"
    append(Path(LOG), Unheard(values={"x": 1}))
    last = list(LocalLog(Path(LOG)).read())[-1].event
    assert isinstance(last, UnknownEvent)
    assert "unheard_of" in run("log", "--project", LOG).stdout
    shutil.copytree(LOG, "newer.events")
    segment = Path("newer.events/00000001.jsonl")
    newer = segment.read_bytes().replace(b'"version":1', b'"version":2', 1)
    segment.write_bytes(newer)
    with pytest.raises(errors.LogFormatError, match=r"version 2; this library knows 1.*Nothing was changed"):
        append(Path("newer.events"), MetaLogged(values={}))
    assert segment.read_bytes() == newer


@pytest.mark.parametrize("what", ["missing", "old", "damaged"])
def test_views_that_cannot_be_used_are_made_again_and_no_data_are_lost(here: Path, what: str) -> None:
    with Tracker("runs", "project.db") as tracker:
        tracker.run(made, name="first", execution_options=NONE)
    data = Path("project.db").read_bytes()
    if what == "missing":
        Path("project.db").unlink()
    elif what == "damaged":
        Path("project.db").write_bytes(data[:100] + b"\xff" * (len(data) - 100))
    else:
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect("project.db")) as conn, conn:
            conn.execute("UPDATE meta SET value = '0' WHERE key LIKE 'view%'")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ConsistWarning)
        with Tracker("runs", "project.db") as tracker:
            assert [found.name for found in tracker.find_runs()] == ["first"]
    assert len(said) == (what == "damaged")


@pytest.mark.parametrize("validation", ["lazy", "strict"])
@pytest.mark.parametrize("change", ["edited", "truncated", "gone"])
def test_a_reused_output_that_changed_is_never_served(project: Tracker, change: str, validation: str) -> None:
    options = CacheOptions(validate_cached_outputs=validation)
    first = project.run(made, name="s", outputs=["o"], execution_options=NONE)
    assert first.output is not None
    path = first.output.path
    path.write_text({"edited": "y\n", "truncated": ""}.get(change, ""))
    if change == "gone":
        path.unlink()
    again = project.run(made, name="s", outputs=["o"], execution_options=NONE, cache_options=options)
    assert again.cache_hit is False
    assert again.output is not None
    assert again.output.path.read_text() == "x\n"
    assert "candidate_outputs_invalid" in run("log", "--project", LOG, "--json").stdout


def test_a_place_without_locks_is_an_error_that_names_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(LocalStorage, "flock", refuse)
    with pytest.raises(errors.LogLockError, match=r"Cannot lock .*x\.events/lock: .*Put the project on a local disk"):
        append(here / "x.events", MetaLogged(values={}))


def test_a_store_that_may_only_be_read_answers_and_refuses_to_record_at_once(project: Tracker) -> None:
    with Tracker("runs", "project.db", access_mode="read_only") as reader:
        assert [found.name for found in reader.find_runs()] == ["first"]
        with pytest.raises(errors.AccessModeError, match="access_mode='read_only'"):
            reader.run(made, name="s", execution_options=NONE)
    with pytest.raises(errors.LogReadOnlyError, match="read-only here: it can be queried, but nothing can be recorded"):
        LocalLog(Path(LOG), read_only=True).append([])
