"""The digest cache: quick where it is sure, silent where it is broken, and never wrong."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from consist_es.identity import digest as digest_module
from consist_es.identity import digest_cache as cache_module
from consist_es.identity.digest import digest_path
from consist_es.identity.digest_cache import DigestCache

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
        "from consist_es.identity.digest_cache import DigestCache\n"
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
