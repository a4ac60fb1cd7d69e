"""The digest cache: quick where it is sure, silent where it is broken, and never wrong."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from consist_es import RunResult, Tracker
from consist_es.artifacts import digest as digest_module
from consist_es.artifacts import digest_cache as cache_module
from consist_es.artifacts.digest import digest_path
from consist_es.artifacts.digest_cache import DigestCache, stamp_of
from consist_es.system import keyfile as digest_key
from tests.support.api import NONE, made

LATER = 10_000_000_000


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the reads that were really made."""
    sizes: list[int] = []
    real = os.readv

    def counting(descriptor: int, buffers: list[memoryview]) -> int:
        sizes.append(real(descriptor, buffers))
        return sizes[-1]

    monkeypatch.setattr(os, "readv", counting)
    return sizes


@pytest.fixture
def of_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds pass between every edit and every look."""
    real = cache_module.now_ns
    monkeypatch.setattr(digest_module, "now_ns", lambda: real() + LATER)


@pytest.fixture
def cache(tmp_path: Path) -> DigestCache:
    return DigestCache(tmp_path / "cache" / "digests.sqlite")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "f"
    path.write_bytes(b"1")
    return path


@pytest.mark.usefixtures("of_age")
def test_an_unchanged_file_is_not_read_again(cache: DigestCache, file: Path, read: list[int]) -> None:
    first = digest_path(file, cache=cache)
    read.clear()
    assert digest_path(file, cache=cache) == first
    assert digest_path(file, cache=DigestCache(cache.path)) == first
    assert read == []


def test_a_file_younger_than_three_seconds_is_read_again(cache: DigestCache, file: Path, read: list[int]) -> None:
    digest_path(file, cache=cache)
    read.clear()
    digest_path(file, cache=cache)
    assert read != []


@pytest.mark.usefixtures("of_age")
def test_an_edit_that_keeps_size_and_time_is_noticed(cache: DigestCache, file: Path) -> None:
    first = digest_path(file, cache=cache)
    found = file.stat()
    file.write_bytes(b"2")
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    second = digest_path(file, cache=cache)
    assert (second.size, second.mtime_ns) == (first.size, first.mtime_ns)
    assert second.value != first.value


@pytest.mark.usefixtures("of_age")
def test_a_file_replaced_by_another_with_the_same_times_is_noticed(cache: DigestCache, file: Path) -> None:
    os.utime(file, ns=(7, 7))
    first = digest_path(file, cache=cache)
    other = file.with_name("other")
    other.write_bytes(b"2")
    os.utime(other, ns=(7, 7))
    other.replace(file)
    assert digest_path(file, cache=cache).value != first.value


@pytest.mark.usefixtures("of_age")
def test_a_folder_reads_only_what_changed(cache: DigestCache, tmp_path: Path, read: list[int]) -> None:
    root = tmp_path / "d"
    root.mkdir()
    for index in range(1200):
        (root / str(index)).write_text(str(index))
    first = digest_path(root, cache=cache)
    read.clear()
    assert digest_path(root, cache=cache) == first
    assert read == []
    (root / "7").write_text("changed")
    assert digest_path(root, cache=cache).value == digest_path(root).value != first.value


BREAK: dict[str, Callable[[Path], object]] = {
    "deleted": lambda path: path.unlink(),
    "garbage": lambda path: path.write_bytes(b"no database at all" * 1000),
    "truncated": lambda path: os.truncate(path, 5000),
    "empty": lambda path: path.write_bytes(b""),
    "zeros in the middle": lambda path: path.write_bytes(path.read_bytes()[:4096] + bytes(4096)),
}


@pytest.mark.usefixtures("of_age")
@pytest.mark.parametrize("damage", BREAK)
@pytest.mark.parametrize("reopen", [False, True])
def test_a_damaged_cache_is_ignored_and_made_anew(
    cache: DigestCache, file: Path, read: list[int], damage: str, reopen: bool
) -> None:
    first = digest_path(file, cache=cache)
    if reopen:
        cache.close()
    BREAK[damage](cache.path)
    for _ in range(3):
        assert digest_path(file, cache=cache) == first
        cache.close()
    read.clear()
    assert digest_path(file, cache=cache) == first
    assert read == []


@pytest.mark.usefixtures("of_age")
def test_a_row_whose_bytes_changed_is_not_believed(cache: DigestCache, file: Path) -> None:
    first = digest_path(file, cache=cache)
    cache.close()
    with closing(sqlite3.connect(cache.path)) as connection, connection:
        connection.execute("UPDATE digests_1 SET digest = 'b3:00'")
    assert digest_path(file, cache=cache) == first


@pytest.mark.usefixtures("of_age")
def test_a_locked_cache_is_not_waited_for_long_and_no_error(cache: DigestCache, file: Path) -> None:
    digest_path(file, cache=cache)
    with closing(sqlite3.connect(cache.path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        assert digest_path(file, cache=cache) == digest_path(file)
    assert cache.path.exists()


@pytest.mark.usefixtures("of_age")
def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path, file: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a folder should be")
    assert digest_path(file, cache=DigestCache(tmp_path / "blocked" / "x.sqlite")) == digest_path(file)


def test_no_file_is_made_before_there_is_something_to_keep(cache: DigestCache, file: Path) -> None:
    digest_path(file, cache=cache)
    assert not cache.path.exists()


@pytest.mark.usefixtures("of_age")
def test_threads_share_a_cache(cache: DigestCache, tmp_path: Path) -> None:
    paths = [tmp_path / f"t{index}" for index in range(8)]
    for path in paths:
        path.write_text(path.name)
    found: dict[Path, str] = {}

    def work(path: Path) -> None:
        for _ in range(20):
            found[path] = digest_path(path, cache=cache).value

    threads = [threading.Thread(target=work, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {path: digest_path(path).value for path in paths}


@pytest.mark.usefixtures("of_age")
def test_processes_share_a_cache(cache: DigestCache, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from consist_es.identity import digest as d\n"
        "from consist_es.artifacts.digest_cache import DigestCache\n"
        f"real = d.now_ns; d.now_ns = lambda: real() + {LATER}\n"
        "cache = DigestCache(Path(sys.argv[1]))\n"
        "print([d.digest_path(p, cache=cache).value for p in sys.argv[2:]])\n"
    )
    paths = [tmp_path / f"p{index}" for index in range(20)]
    for path in paths:
        path.write_text(path.name)
    command = [sys.executable, "-c", program, str(cache.path), *map(str, paths)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    expected = str([digest_path(path).value for path in paths])
    assert [process.communicate()[0].strip() for process in running] == [expected] * 4


@pytest.mark.usefixtures("of_age")
def test_a_forked_child_opens_its_own_connection(cache: DigestCache, file: Path) -> None:
    first = digest_path(file, cache=cache)
    child = os.fork()
    if child == 0:
        os._exit(0 if digest_path(file, cache=cache) == first else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert digest_path(file, cache=cache) == first


def test_after_a_fork_the_lock_of_another_thread_does_not_bind_the_child(cache: DigestCache, file: Path) -> None:
    cache._guard.acquire()
    child = os.fork()
    if child == 0:
        os._exit(0 if digest_path(file, cache=cache).size == 1 else 1)
    cache._guard.release()
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.usefixtures("of_age")
@pytest.mark.parametrize(
    "planted",
    [
        "CREATE TABLE digests_1 (path, stamp, digest, mark)",
        "CREATE VIEW digests_1 AS SELECT 1 AS path, 2 AS stamp, 3 AS digest, 4 AS mark",
        f"{cache_module._TABLE}; CREATE TRIGGER t AFTER INSERT ON digests_1 BEGIN DELETE FROM digests_1; END",
    ],
)
def test_a_cache_that_holds_more_or_other_than_its_table_is_made_anew(
    cache: DigestCache, file: Path, read: list[int], planted: str
) -> None:
    cache.path.parent.mkdir()
    with closing(sqlite3.connect(cache.path)) as stranger:
        stranger.executescript(planted)
    digest_path(file, cache=cache)
    read.clear()
    assert digest_path(file, cache=cache).value == digest_path(file).value
    assert read == [1, 0]  # what the second of these read
    with closing(sqlite3.connect(cache.path)) as reader:
        assert reader.execute("SELECT sql FROM sqlite_master").fetchall() == [(cache_module._TABLE,)]


@pytest.mark.usefixtures("of_age")
def test_a_link_is_no_cache_and_what_it_leads_to_is_left_alone(cache: DigestCache, file: Path, tmp_path: Path) -> None:
    cache.path.parent.mkdir()
    cache.path.symlink_to(tmp_path / "victim")
    assert digest_path(file, cache=cache) == digest_path(file)
    assert not (tmp_path / "victim").exists()
    (tmp_path / "victim").write_text("mine")
    assert digest_path(file, cache=cache) == digest_path(file)
    assert (tmp_path / "victim").read_text() == "mine"


@pytest.mark.usefixtures("of_age")
def test_a_damaged_cache_that_cannot_be_removed_is_no_error(
    cache: DigestCache, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.path.parent.mkdir()
    cache.path.write_bytes(b"no database at all" * 1000)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    assert digest_path(file, cache=cache) == digest_path(file)
    assert cache.path.read_bytes() == b"no database at all" * 1000


@pytest.mark.usefixtures("of_age")
def test_a_lock_does_not_make_a_good_cache_vanish(cache: DigestCache, file: Path, read: list[int]) -> None:
    digest_path(file, cache=cache)
    with closing(sqlite3.connect(cache.path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        digest_path(file, cache=cache)
    read.clear()
    digest_path(file, cache=cache)
    assert read == []


@pytest.mark.parametrize(("age", "kept"), [(0, False), (-1, False), (1, True)])
@pytest.mark.parametrize("newest", ["mtime_ns", "ctime_ns"])
def test_an_entry_is_kept_once_both_times_are_three_seconds_old(
    cache: DigestCache, newest: str, age: int, kept: bool
) -> None:
    began = 10_000_000_000
    times = {"mtime_ns": 0, "ctime_ns": 0, newest: began - 3_000_000_000 - age + 1}
    stamp = cache_module.Stamp(size=1, inode=1, device=1, **times)
    cache.record({b"/f": (stamp, "b3:x", began)})
    assert cache.lookup({b"/f": stamp}) == ({b"/f": "b3:x"} if kept else {})


@pytest.mark.parametrize("field", ["size", "mtime_ns", "ctime_ns", "inode", "device"])
def test_every_part_of_a_stamp_counts(cache: DigestCache, field: str) -> None:
    stamp = cache_module.Stamp(size=1, mtime_ns=1, ctime_ns=1, inode=1, device=1)
    cache.record({b"/f": (stamp, "b3:x", LATER)})
    assert cache.lookup({b"/f": stamp}) == {b"/f": "b3:x"}
    assert cache.lookup({b"/f": msgspec.structs.replace(stamp, **{field: 2})}) == {}
    assert cache.lookup({b"/g": stamp}) == cache.lookup({}) == {}


def test_many_files_are_looked_up_at_once(cache: DigestCache) -> None:
    stamp = cache_module.Stamp(size=1, mtime_ns=1, ctime_ns=1, inode=1, device=1)
    names = [b"/%d" % number for number in range(1201)]
    cache.record({name: (stamp, f"b3:{name.decode()}", LATER) for name in names})
    assert cache.lookup(dict.fromkeys(names, stamp)) == {name: f"b3:{name.decode()}" for name in names}


@pytest.mark.usefixtures("of_age")
def test_a_cache_that_is_exchanged_for_another_is_opened_anew(cache: DigestCache, file: Path, tmp_path: Path) -> None:
    digest_path(file, cache=cache)
    first = cache._connection
    digest_path(file, cache=cache)
    assert cache._connection is first
    other = DigestCache(tmp_path / "other.sqlite")
    digest_path(file, cache=other)
    other.close()
    other.path.replace(cache.path)
    digest_path(file, cache=cache)
    assert cache._connection is not first


# ---------------------------------------------------------------- whose lines are believed


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this user's key will lie."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "consist-es"


@pytest.mark.usefixtures("of_age")
def test_a_key_of_the_users_own_is_made_once_and_lies_in_no_project(cache: DigestCache, file: Path, home: Path) -> None:
    assert cache.lookup({b"f": stamp_of(file.stat())}) == {}
    assert not home.exists()
    digest_path(file, cache=cache)
    key = home / "digests.key"
    assert [path.name for path in home.iterdir()] == ["digests.key"]
    assert (stat.S_IMODE(key.stat().st_mode), stat.S_IMODE(home.stat().st_mode)) == (0o600, 0o700)
    before = key.read_bytes()
    digest_path(file, cache=DigestCache(cache.path.with_name("another.sqlite")))
    assert key.read_bytes() == before
    assert not any(before[-32:] in path.read_bytes() for path in cache.path.parent.iterdir())


@pytest.mark.usefixtures("of_age")
def test_lines_that_somebody_with_another_key_wrote_are_not_believed(
    cache: DigestCache, file: Path, home: Path, read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "theirs"))
    theirs = DigestCache(cache.path)
    theirs.record({os.fsencode(file): (stamp_of(file.stat()), "b3:0", cache_module.now_ns() + LATER)})
    assert theirs.lookup({os.fsencode(file): stamp_of(file.stat())}) == {os.fsencode(file): "b3:0"}
    theirs.close()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home.parent))
    for _ in range(2):
        assert digest_path(file, cache=cache) == digest_path(file)
    read.clear()
    assert digest_path(file, cache=cache) == digest_path(file)
    assert len(read) == 2  # the one without a cache, to its end


@pytest.mark.usefixtures("of_age", "home")
@pytest.mark.parametrize("column", ["path", "stamp", "digest", "mark"])
@pytest.mark.parametrize("value", [b"\xff", 7, 1.5, "x", None])
def test_a_line_in_which_anything_was_changed_is_no_line(
    cache: DigestCache, file: Path, column: str, value: object
) -> None:
    first = digest_path(file, cache=cache)
    cache.close()
    with closing(sqlite3.connect(cache.path)) as connection, connection:
        if column == "path" and value is None:
            return  # no primary key is NULL here
        connection.execute(f"UPDATE digests_1 SET {column} = ?", (value,))
    assert cache.lookup({os.fsencode(file): stamp_of(file.stat())}) == {}
    assert digest_path(file, cache=cache) == first


@pytest.mark.usefixtures("of_age")
def test_a_true_line_is_not_true_of_another_file_or_stamp(cache: DigestCache, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"2")
    for path in (file, other):
        digest_path(path, cache=cache)
    cache.close()
    with closing(sqlite3.connect(cache.path)) as connection, connection:
        one, two = connection.execute("SELECT path, stamp, digest, mark FROM digests_1 ORDER BY path").fetchall()
        connection.execute("DELETE FROM digests_1")
        connection.execute("INSERT INTO digests_1 VALUES (?, ?, ?, ?)", (one[0], *two[1:]))
        connection.execute("INSERT INTO digests_1 VALUES (?, ?, ?, ?)", (two[0], two[1], *one[2:]))
    assert cache.lookup({os.fsencode(path): stamp_of(path.stat()) for path in (file, other)}) == {}


def _wide(key: Path) -> None:
    key.write_bytes(digest_key._KIND + bytes(32))
    key.chmod(0o640)


def _blocked(key: Path) -> None:
    key.parent.rmdir()
    key.parent.write_text("")


def _linked(key: Path) -> None:
    _wide(key.with_name("elsewhere"))
    key.with_name("elsewhere").chmod(0o600)
    key.symlink_to("elsewhere")


NOT_OURS: dict[str, Callable[[Path], object]] = {
    "readable by the group": _wide,
    "a link": _linked,
    "a folder": lambda key: key.mkdir(),
    "a FIFO": lambda key: os.mkfifo(key, 0o600),
    "a file in the place of its folder": _blocked,
}


@pytest.mark.usefixtures("of_age")
@pytest.mark.parametrize("kind", NOT_OURS)
def test_without_a_key_of_ones_own_nothing_is_kept_and_nothing_goes_wrong(
    cache: DigestCache, file: Path, home: Path, kind: str
) -> None:
    home.mkdir(parents=True)
    NOT_OURS[kind](home / "digests.key")
    for _ in range(2):
        assert digest_path(file, cache=cache) == digest_path(file)
    assert not cache.path.exists()


@pytest.mark.usefixtures("of_age")
@pytest.mark.parametrize(
    "text", [b"", b"consist-es digest key 1\n", b"x" * 56, b"consist-es digest key 1\n" + b"x" * 33]
)
def test_a_key_that_is_not_whole_is_made_anew(cache: DigestCache, file: Path, home: Path, text: bytes) -> None:
    home.mkdir(parents=True)
    (home / "digests.key").write_bytes(text)
    (home / "digests.key").chmod(0o600)
    first = digest_path(file, cache=cache)
    assert DigestCache(cache.path).lookup({os.fsencode(file): stamp_of(file.stat())}) == {
        os.fsencode(file): first.value
    }


@pytest.mark.usefixtures("of_age")
@pytest.mark.parametrize("place", ["relative/path", ""])
def test_a_place_for_caches_that_is_not_absolute_does_not_count(
    cache: DigestCache, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", place)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    digest_path(file, cache=cache)
    assert (tmp_path / "me" / ".cache" / "consist-es" / "digests.key").exists()
    monkeypatch.setenv("HOME", "nowhere")
    assert digest_key.own_key(make=True) is None


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can give a file away")
def test_a_key_of_somebody_else_is_not_used_and_none_is_put_into_their_home(home: Path) -> None:
    assert digest_key.own_key(make=True) is not None
    os.chown(home / "digests.key", 65534, 65534)
    assert digest_key.own_key(make=True) is None
    (home / "digests.key").unlink()
    os.chown(home, 65534, 65534)
    assert digest_key.own_key(make=True) is None
    assert list(home.iterdir()) == []


def test_processes_that_make_a_key_at_once_leave_one_whole_key(home: Path) -> None:
    program = "from consist_es.system.keyfile import own_key; print(own_key(make=True).hex())"
    running = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(6)]
    found = [process.communicate()[0].strip() for process in running]
    assert all(len(key) == 64 for key in found)
    key = digest_key.own_key(make=False)
    assert key is not None
    assert key.hex() in found
    assert [path.name for path in home.iterdir()] == ["digests.key"]


@pytest.mark.usefixtures("of_age")
@pytest.mark.parametrize("how", ["with a key of theirs", "without a key", "with a line of ours"])
def test_a_poisoned_cache_of_digests_in_a_shared_project_serves_nothing_wrong(
    tracker: Tracker, home: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A colleague edits an output and says in our own cache that its digest is still the recorded one."""

    def asked() -> RunResult:
        return tracker.run(made, name="make", outputs=["made"], execution_options=NONE)

    output = asked().outputs["made"]
    assert asked().cache_hit
    (place,) = (Path.cwd() / "project.events").glob("digests*")
    tracker.project.digests.close()
    output.path.write_text("y\n")
    path, stamp = os.fsencode(output.path), stamp_of(output.path.stat())
    with closing(sqlite3.connect(place)) as connection, connection:
        (mark,) = connection.execute("SELECT mark FROM digests_1 WHERE path = ?", (path,)).fetchone()
        if how == "without a key":
            mark = cache_module._mark(bytes(32), path, cache_module._text(stamp), str(output.hash))
        row = (path, cache_module._text(stamp), output.hash, mark)
        connection.execute("INSERT OR REPLACE INTO digests_1 VALUES (?, ?, ?, ?)", row)
    if how == "with a key of theirs":
        monkeypatch.setenv("XDG_CACHE_HOME", str(home / "theirs"))
        DigestCache(place).record({path: (stamp, str(output.hash), cache_module.now_ns() + LATER)})
        monkeypatch.setenv("XDG_CACHE_HOME", str(home.parent))
    found = asked()
    assert not found.cache_hit
    assert found.run.why().reason == "candidate_outputs_invalid"
    assert found.outputs["made"].path.read_text() == "x\n"


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o664), (0o022, 0o644), (0o077, 0o600)])
def test_a_cache_is_made_with_the_rights_that_the_umask_leaves(cache: DigestCache, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        stamp = cache_module.Stamp(size=1, mtime_ns=1, ctime_ns=1, inode=1, device=1)
        cache.record({b"/f": (stamp, "b3:x", LATER)})
    finally:
        os.umask(before)
    assert cache.path.stat().st_mode & 0o777 == mode
