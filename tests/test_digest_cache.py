"""The digest cache: quick where it is sure, silent where it is broken, and never wrong."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

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
