"""Killed at any change of a file or write to the log, an eviction loses no fact and tells no lie; repeated, it ends."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import consist_es
from consist_es import Tracker
from consist_es.doctor.finding import ERROR, WARNING
from consist_es.doctor.outputs import Roots, check_outputs
from consist_es.events import ArtifactEvicted
from consist_es.projections import keeping
from tests.execution.test_recovery_kills import in_child
from tests.keeping.model import PATHS, chain, facts, files, hits, opened
from tests.support.children import fork, status_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")


def store() -> Path:
    out = consist_es.output_path("store", ext="zarr")
    out.mkdir()
    for number in range(3):
        (out / str(number)).write_bytes(b"x" * 500)
    return out


def everything(tracker: Tracker) -> None:
    """A chain, a folder, and a step that hits afterwards."""
    chain(tracker)
    tracker.run(store, outputs=["store"], execution_options=PATHS)


def recorded(folder: Path) -> None:
    with opened(folder) as tracker:
        everything(tracker)


def evict(folder: Path) -> None:
    with opened(folder) as tracker:
        tracker.evict(keep_last=0, dry_run=False)


def evict_some(folder: Path) -> None:
    """Only until 15 kB are freed, which two of the runs have."""
    with opened(folder) as tracker:
        tracker.evict(keep_last=0, free=15_000, dry_run=False)


def evict_to_archive(folder: Path) -> None:
    with opened(folder) as tracker:
        tracker.evict(keep_last=0, archive_root=folder / "archive", dry_run=False)


def alarms(tracker: Tracker) -> list[str]:
    conn = tracker.project.connection()
    found = check_outputs(conn, tracker.project.digests, Roots(conn, tracker.project.folder.parent), deep=True)
    return [str(finding) for finding in found if finding.level in (WARNING, ERROR)]


@pytest.mark.parametrize("work", [evict, evict_some, evict_to_archive])
def test_killed_at_every_call(tmp_path: Path, work: Callable[[Path], None]) -> None:
    folder, saved = tmp_path / "work", tmp_path / "saved"
    folder.mkdir()
    assert status_of(fork(lambda: recorded(folder))) == 0  # in a process that is gone when it is evicted
    with opened(folder) as tracker:
        known, before = facts(tracker), files(folder)
        ids = {str(item.id): item for item in tracker.find_artifacts(limit=None)}
    folder.rename(saved)
    shutil.copytree(saved, folder)
    status, calls = in_child(work, folder, kill_at=0)
    assert status == 0
    assert calls > 10
    whole = files(folder)
    for kill_at in range(1, calls + 1):
        shutil.rmtree(folder)
        shutil.copytree(saved, folder)
        status, _ = in_child(work, folder, kill_at)
        assert status == signal.SIGKILL
        with opened(folder) as tracker:
            pending = _is_true(tracker, folder, before, known if work is not evict_to_archive else None, ids)
        whole_already = not pending and _freed(before, files(folder)) > 0
        work(folder)
        after = files(folder)
        # A call that was killed after all that it had to do had nothing to complete: this one is a new one.
        assert len(after) == len(whole) or (work is evict_some and whole_already), kill_at
        assert work is evict_some or after == whole, kill_at
        assert not [*folder.rglob("*.part")], kill_at
        with opened(folder) as tracker:
            assert alarms(tracker) == []
            named = [event.event for event in tracker.project.log.read() if isinstance(event.event, ArtifactEvicted)]
            assert len({event.artifact for event in named}) == len(named), "each is evicted once"
    with opened(folder) as tracker:
        again = hits(chain(tracker))
        assert all(again.values()) == (work is evict_to_archive)
        tracker.run(store, outputs=["store"])
    assert sorted(files(folder).values()) == sorted(before.values())


def _is_true(
    tracker: Tracker,
    folder: Path,
    before: dict[str, bytes],
    known: object,
    ids: dict[str, consist_es.Artifact],
) -> bool:
    """What is recorded is so: no fact is lost, and what is gone was evicted. True if a file is still to be deleted."""
    assert known is None or facts(tracker) == known
    assert alarms(tracker) == []
    now = files(folder)
    assert {name: data for name, data in now.items() if ".part" not in name}.items() <= before.items()
    evicted = keeping.evicted(tracker.project.connection(), ids)
    for artifact, item in ids.items():
        there = item.own_path.exists()
        assert there or artifact in evicted, f"{item.key} is gone, and nothing says why"
    return any(ids[artifact].own_path.exists() for artifact in evicted)


def _freed(before: dict[str, bytes], after: dict[str, bytes]) -> int:
    return sum(map(len, before.values())) - sum(map(len, after.values()))
