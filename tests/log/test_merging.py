"""Logs merged into one: each record once and in order, whatever is killed, and forks found."""

import os
import random
import shutil
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import consist_es as consist
from consist_es.errors import LogClosedError, MergeError, UsageError
from consist_es.events import Draft, LogMerged, MetaLogged, Recorded
from consist_es.log import merging
from consist_es.log.copying import move_log
from consist_es.log.engine import EventLog
from consist_es.log.local import LocalLog
from consist_es.log.merging import merge_logs
from tests.log.test_engine_conformance import ENGINES, batch, ids, require_whole
from tests.support import cli
from tests.support.children import fork, status_of

Target = Callable[[], EventLog]


@pytest.fixture(params=ENGINES)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    return lambda: ENGINES[request.param](tmp_path, "target")


@pytest.fixture(autouse=True)
def _short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "BLOCK", 7)


def local(place: Path) -> LocalLog:
    return LocalLog(place, sync="os", segment_size=2000)


def written(place: Path, name: str, sizes: Iterable[int]) -> LocalLog:
    log = local(place)
    for count, size in enumerate(sizes):
        log.append(batch(f"{name}{count}", size))
    return log


def copied(log: LocalLog, place: Path) -> LocalLog:
    shutil.copytree(log.folder, place)
    return local(place)


def contents(events: Iterable[Recorded]) -> list[tuple[object, ...]]:
    return [(e.id, e.by, e.type, e.scenario, e.run, e.event) for e in events if e.type not in merging.LOCAL]


def require_good(log: EventLog) -> None:
    require_whole(list(log.read()))
    assert log.verify(full=True).ok


def test_every_record_is_there_once_in_order_with_its_origin(tmp_path: Path, target: Target) -> None:
    a, b = written(tmp_path / "a.events", "a", [1, 3, 2, 9, 1]), written(tmp_path / "b.events", "b", [2, 2, 30])
    log = target()
    log.append(batch("own"))
    done = merge_logs([a, b], log)
    require_good(log)
    for source in (a, b):
        mine = [e for e in log.read() if e.of is not None and e.of.log == source.project_id]
        assert contents(mine) == contents(source.read())
        there = {e.seq: e.at for e in source.read()}
        assert [e.time for e in mine] == [there[e.of.seq] for e in mine if e.of is not None]
        assert [e.of.seq for e in mine if e.of is not None] == sorted(e.of.seq for e in mine if e.of is not None)
    assert [found.forked_at for found in done] == [None, None]
    assert sum(found.events for found in done) == len([e for e in log.read() if e.of is not None])


def test_merging_again_adds_nothing_and_then_what_is_new(tmp_path: Path, target: Target) -> None:
    a = written(tmp_path / "a.events", "a", [1, 20])
    merge_logs([a], target())
    head = target().head()
    assert merge_logs([a], target())[0].events == 0
    assert target().head() == head
    a.append(batch("later", 3))
    assert merge_logs([a], target())[0].events == 3
    assert ids(target()) == ids(a)
    require_good(target())


def test_a_large_payload_comes_along(tmp_path: Path, target: Target) -> None:
    a = local(tmp_path / "a.events")
    a.append([Draft(MetaLogged(values={"x": "y" * (2 << 20)}), "s", "r")])
    merge_logs([a], target())
    assert contents(target().read())[-2] == contents(a.read())[-1]
    require_good(target())


def test_a_redacted_payload_stays_redacted_and_accounted_for(tmp_path: Path, target: Target) -> None:
    a = written(tmp_path / "a.events", "a", [1, 1])
    target().append(batch("own", 2))
    a.redact([2], "private", "anna")
    merge_logs([a], target())
    require_good(target())
    assert ids(target()).count("a0:0:1") == 1


@pytest.mark.parametrize("seed", range(3))
def test_killed_merges_in_any_order_leave_every_event_once(tmp_path: Path, target: Target, seed: int) -> None:
    rng = random.Random(seed)
    sources = [
        written(tmp_path / f"{n}.events", f"n{n}-", [rng.randint(1, 6) for _ in range(rng.randint(1, 25))])
        for n in range(3)
    ]
    target().append(batch("own"))
    for _ in range(6):
        chosen = rng.sample(sources, rng.randint(1, 3))
        left = rng.randint(0, 4)

        def work(chosen: list[LocalLog] = chosen, left: int = left) -> None:
            log, grafts = target(), [left]
            graft = log.graft

            def counted(*args: object) -> int:
                done = graft(*args)  # type: ignore[arg-type]
                grafts[0] -= 1
                if grafts[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return done

            log.graft = counted  # type: ignore[method-assign, assignment]
            merge_logs(chosen, log)

        assert status_of(fork(work)) in (0, -signal.SIGKILL)
        rng.choice(sources).append(batch(f"more{rng.random()}", 2))
    merge_logs(sources, target())
    require_good(target())
    for source in sources:
        mine = [e for e in target().read() if e.of is not None and e.of.log == source.project_id]
        assert contents(mine) == contents(source.read())


def test_two_merges_at_once_do_not_double(tmp_path: Path, target: Target) -> None:
    a, b = written(tmp_path / "a.events", "a", [3] * 30), written(tmp_path / "b.events", "b", [2] * 30)
    target().append(batch("own"))
    works: list[Callable[[], object]] = [
        lambda: merge_logs([a, b], target()),
        lambda: merge_logs([b, a], target()),
    ]
    assert [status_of(pid) for pid in [fork(lambda work=work: work()) for work in works]] == [0, 0]  # type: ignore[misc]
    require_good(target())
    assert sorted(ids(target())) == sorted(["own:0:1", *ids(a), *ids(b)])


def test_what_comes_by_two_ways_is_there_once(tmp_path: Path, target: Target) -> None:
    a, b = written(tmp_path / "a.events", "a", [2] * 9), written(tmp_path / "b.events", "b", [1] * 4)
    merge_logs([a], target())
    a.append(batch("a-later", 4))
    merge_logs([a], b)
    b.append(batch("b-later"))
    merge_logs([b, a], target())
    merge_logs([a, b], target())
    require_good(target())
    assert sorted(ids(target())) == sorted(ids(b))
    origins = {e.of.log for e in target().read() if e.of is not None and e.id in ids(a)}
    assert origins == {a.project_id}
    merge_logs([target()], a)
    assert sorted(ids(a)) == sorted(ids(b)), "what was its own did not come back"
    require_good(a)


def test_a_source_that_was_cut_or_rewritten_is_refused(tmp_path: Path, target: Target) -> None:
    a = written(tmp_path / "a.events", "a", [1, 2])
    older = copied(a, tmp_path / "older.events")
    a.append(batch("more", 5))
    merge_logs([a], target())
    head = target().head()
    with pytest.raises(MergeError, match=r"merged up to position 9 before, and it ends at position 4 now"):
        merge_logs([older], target())
    older.append(batch("other", 9))
    with pytest.raises(MergeError, match="that is another event now"):
        merge_logs([older], target())
    assert target().head() == head


def test_a_copy_that_was_written_on_gives_its_own_part(tmp_path: Path) -> None:
    a = written(tmp_path / "a.events", "a", [1, 2])
    shared = a.head().seq
    copy, other = copied(a, tmp_path / "copy.events"), copied(a, tmp_path / "other.events")
    for log in (a, copy, other):
        log.append(batch(log.folder.name, 3))
    assert [merge_logs([each], a)[0].forked_at for each in (copy, other)] == [shared, shared]
    copy.append(batch("more"))
    assert merge_logs([copy, other], a)[0].events == 1
    assert sorted(ids(a)) == sorted({*ids(copy), *ids(other), *[f"a.events:{n}:3" for n in range(3)]})
    marks = [e.event for e in a.read() if isinstance(e.event, LogMerged)]
    assert {mark.forked_at for mark in marks} == {shared}
    assert len({mark.log for mark in marks}) == 2
    merge_logs([a], copy)  # and back: its own part is not doubled
    assert sorted(ids(a)) == sorted(ids(copy))
    require_good(a)
    require_good(copy)


def test_an_older_copy_does_not_take_in_the_newer_one(tmp_path: Path) -> None:
    a = written(tmp_path / "a.events", "a", [1, 2])
    copy = copied(a, tmp_path / "copy.events")
    assert merge_logs([copy], a)[0].events == 0
    a.append(batch("more"))
    with pytest.raises(MergeError, match="The target is an older copy: go on with the other one"):
        merge_logs([a], copy)


@pytest.mark.parametrize("together", [True, False])
def test_two_copies_of_a_third_log_are_not_taken_for_one(tmp_path: Path, target: Target, together: bool) -> None:
    a = written(tmp_path / "a.events", "a", [1, 2])
    copy, b = copied(a, tmp_path / "copy.events"), written(tmp_path / "b.events", "b", [1])
    a.append(batch("of-a", 6))
    copy.append(batch("of-copy", 2))
    merge_logs([copy], b)
    if not together:
        merge_logs([a], target())
    with pytest.raises(MergeError, match=r"holds records of a copy of log [0-9a-f]+ that was written on by itself"):
        merge_logs([a, b] if together else [b], target())
    with pytest.raises(MergeError, match="was written on by itself"):
        merge_logs([b], a)
    assert not [name for name in ids(target()) if "of-copy" in name]


def test_an_empty_source_and_one_named_twice_are_refused(tmp_path: Path) -> None:
    a, into = written(tmp_path / "a.events", "a", [1]), written(tmp_path / "into.events", "i", [1])
    with pytest.raises(MergeError, match="there is no event in it"):
        merge_logs([local(tmp_path / "none.events")], into)
    with pytest.raises(MergeError, match="it is named twice"):
        merge_logs([a, local(a.folder)], into)


# ---------------------------------------------------------------- moved


def test_a_moved_log_refuses_and_says_where_it_went(tmp_path: Path, target: Target) -> None:
    a = written(tmp_path / "a.events", "a", [1, 2])
    before = list(a.read())
    into = target()
    assert move_log(a, into).events == len(before)
    for log in (a, local(a.folder)):
        with pytest.raises(LogClosedError) as refused:
            log.append(batch("late"))
        assert f"was moved to {into.place}, and is closed" in str(refused.value)
        with pytest.raises(LogClosedError):
            log.redact([2], "late")
    assert ids(a) == ids(into)
    into.append(batch("there"))
    require_good(into)
    require_good(local(a.folder))


def test_a_log_on_a_server_that_was_moved_refuses(tmp_path: Path) -> None:
    log, into = ENGINES["server"](tmp_path), local(tmp_path / "b.events")
    log.append(batch("a", 2))
    move_log(log, into)
    for each in (log, ENGINES["server"](tmp_path)):
        with pytest.raises(LogClosedError, match=r"was moved to .*b\.events, and is closed"):
            each.append(batch("late"))
    assert ids(log) == ids(into)


def test_a_source_that_is_closed_can_be_merged_and_does_not_close_the_target(tmp_path: Path, target: Target) -> None:
    a = written(tmp_path / "a.events", "a", [1])
    move_log(a, local(tmp_path / "b.events"))
    merge_logs([a], target())
    target().append(batch("later"))
    assert ids(target())[-1] == "later:0:1"


# ---------------------------------------------------------------- views and commands


def test_runs_of_merged_logs_hit_and_keep_their_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = cli.record()
    with consist.Tracker(run_dir="runs", db_path="all.db") as tracker, tracker.scenario("own"):
        pass
    (done,) = cli.run_json("merge", str(folder), "--project", "all.events")
    assert done["forked_at"] is None
    rows = {
        name: [{k: v for k, v in row.items() if k != "attempt"} for row in cli.run_json("runs", "--project", name)]
        for name in ("provenance.events", "all.events")
    }
    assert rows["provenance.events"]
    assert [row for row in rows["all.events"] if row["scenario"] != "own"] == rows["provenance.events"]
    assert cli.run("replay", "--check", "--project", "all.events").exit_code == 0
    assert cli.run("verify", "--project", "all.events").exit_code == 0
    with consist.Tracker(run_dir="runs", db_path="all.db") as tracker:
        cli.play(tracker, "baseline", 1.5)
    again = [row for row in cli.run_json("runs", "--project", "all.events") if row["scenario"] == "baseline#3"]
    assert [row["outcome"] for row in again] == ["hit", "hit"], again


def test_merge_and_move_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "a.events", "a", [1])
    written(tmp_path / "b.events", "b", [1])
    done = cli.run("merge", "a.events", "--project", "b.events")
    assert (done.exit_code, "Merged 2 events of" in done.output) == (0, True), done.output
    cli.run("merge", "missing.events", "--project", "b.events", code=2)
    cli.run("merge", "a.events", "b.events", "--project", "new.events")
    assert sorted(ids(local(tmp_path / "new.events"))) == ["a0:0:1", "b0:0:1"]
    done = cli.run("copy", "a.events", "c.events", "--move")
    assert (done.exit_code, "Moved 2 events" in done.output) == (0, True), done.output
    done = cli.run("merge", "b.events", "--project", "a.events", code=2)
    assert (done.exit_code, "is closed" in done.output) == (2, True), done.output


def test_a_closed_log_is_an_error_of_the_library() -> None:
    assert not issubclass(LogClosedError, UsageError)
