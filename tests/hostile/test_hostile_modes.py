"""Rights of files, and several users of one folder: the umask and setgid are honoured, nothing is wider (S10)."""

import os
import shutil
import stat
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consist_es import CacheOptions, Tracker
from consist_es.artifacts.digest_cache import DigestCache, now_ns, stamp_of
from consist_es.errors import ConsistWarning, LogReadOnlyError
from consist_es.events import Draft, MetaLogged
from consist_es.log.local import LocalLog
from tests.support.api import NONE, made
from tests.support.children import NOBODY, as_nobody
from tests.support.cli import append, run

AS_ROOT = pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can become somebody else")


@contextmanager
def masked(umask: int) -> Iterator[None]:
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)


def everything_that_a_project_writes(folder: Path) -> None:
    """Log, head, lock, views, digests, blobs, quarantine, turns, outputs, copies and what is set aside."""
    events = folder / "project.events"
    with Tracker(folder / "runs", folder / "project.db") as tracker:
        tracker.run(made, name="make", outputs=["made"], execution_options=NONE)
        options = CacheOptions(cache_hydration="outputs-all")
        tracker.run(made, name="make", outputs=["made"], execution_options=NONE, cache_options=options)
        check(folder)  # while SQLite has its own files beside the database
    append(events, MetaLogged(values={"x": "y" * (2 << 20)}))
    with (events / "00000001.jsonl").open("ab") as file:
        file.write(b'{"seq":')
    append(events, MetaLogged(values={}))
    cache = DigestCache(events / "digests.sqlite")
    cache.record({b"f": (stamp_of(folder.stat()), "b3:0", now_ns() + 10_000_000_000)})
    cache.close()
    run("replay", "--project", events)
    run("replay", "--project", events, "--db", folder / "other.db")
    run("verify", "--project", events)


def check(folder: Path) -> None:
    """Every file and folder has the rights of a new one, and the group of a folder that hands it on."""
    umask = os.umask(0)
    os.umask(umask)
    top = folder.stat()
    hands_on = top.st_mode & stat.S_ISGID
    for path in folder.rglob("*"):
        found = path.stat()
        wanted = (0o777 & ~umask) | hands_on if path.is_dir() else 0o666 & ~umask
        assert oct(stat.S_IMODE(found.st_mode)) == oct(wanted), path
        if hands_on:
            assert found.st_gid == top.st_gid, path


@pytest.mark.parametrize("setgid", [False, True], ids=["plain", "setgid"])
@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o027, 0o077], ids=oct)
def test_every_file_has_the_rights_that_the_umask_allows_and_the_group_of_its_folder(
    here: Path, umask: int, setgid: bool
) -> None:
    folder = here / "shared"
    folder.mkdir()
    if setgid:
        if os.getuid() == 0:
            os.chown(folder, -1, 1)
        folder.chmod(0o2777)
    with masked(umask), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConsistWarning)
        everything_that_a_project_writes(folder)
        check(folder)
    names = {path.name for path in (folder / "project.events").iterdir()}
    assert names >= {"00000001.jsonl", "blobs", "database", "digests.sqlite", "head", "lock", "quarantine"}


def test_a_log_that_everybody_can_change_is_warned_about_by_every_process_that_writes_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "x.events"
    append(folder, MetaLogged(values={}))
    folder.chmod(0o777)
    with pytest.warns(ConsistWarning, match="Every user of this machine can change the log"):
        append(folder, MetaLogged(values={}))
    folder.chmod(0o755)
    append(folder, MetaLogged(values={}))


# ---------------------------------------------------------------- a second user


@pytest.fixture
def readable(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project that others may read and not write, in a folder that they can reach; views of theirs go elsewhere."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    with masked(0o022):
        everything_that_a_project_writes(folder)
        run("log", "--project", folder / "project.events")  # what it imports, nobody could not
        run("audit", "none", "--project", folder / "project.events", code=2)
    (folder / "theirs").mkdir()
    (folder / "theirs").chmod(0o777)
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "theirs"))
    yield folder
    shutil.rmtree(folder)


@AS_ROOT
def test_a_second_user_reads_verifies_and_replays_what_is_not_theirs(readable: Path) -> None:
    events = readable / "project.events"

    def act() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConsistWarning)
            assert len(list(LocalLog(events).read())) > 5
            for command in (["runs"], ["log"], ["verify"], ["scenarios"], ["replay", "--check"]):
                run(*command, "--project", events)
            run("replay", "--project", events, "--db", readable / "theirs" / "copy.db")
            with Tracker(readable / "runs", readable / "project.db", access_mode="read_only") as tracker:
                (first, *_) = tracker.find_runs()
                assert tracker.get_run(first.id) is not None

    before = {path: path.stat().st_mtime_ns for path in readable.rglob("*") if "theirs" not in path.parts}
    assert as_nobody(act) == ""
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (readable / "theirs" / "copy.db").stat().st_uid == NOBODY


@AS_ROOT
def test_a_second_user_without_rights_cannot_record_and_is_told_so_at_once(readable: Path) -> None:
    events = readable / "project.events"
    before = (events / "00000001.jsonl").read_bytes()

    def act() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConsistWarning)
            with pytest.raises(LogReadOnlyError, match="read-only here"):
                LocalLog(events).append([Draft(MetaLogged(values={}))])
            with Tracker(readable / "runs", readable / "project.db") as tracker:
                with pytest.raises(LogReadOnlyError):
                    tracker.run(made, name="new", execution_options=NONE)
                with pytest.raises(LogReadOnlyError, match="which a step needs even if it is reused"):
                    tracker.run(made, name="make", outputs=["made"], execution_options=NONE)

    assert as_nobody(act) == ""
    assert (events / "00000001.jsonl").read_bytes() == before


@AS_ROOT
def test_views_kept_elsewhere_are_for_their_owner_alone(readable: Path) -> None:
    def act() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConsistWarning)
            run("runs", "--project", readable / "project.events")

    assert as_nobody(act) == ""
    (folder,) = [path for path in (readable / "theirs").iterdir() if path.is_dir()]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.stat().st_uid == NOBODY
