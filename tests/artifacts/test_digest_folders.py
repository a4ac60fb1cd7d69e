"""Large folders that did not change are looked at once, and whatever changes in one is noticed."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from blake3 import blake3

from consist_es.artifacts import digest as digest_module
from consist_es.artifacts import digest_cache as cache_module
from consist_es.artifacts.digest import CHUNK, LONG, digest_path
from consist_es.artifacts.digest_cache import DigestCache
from consist_es.errors import InputError

LATER = 10_000_000_000
FILES = 20


@pytest.fixture(autouse=True)
def of_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds pass between every edit and every look."""
    real = cache_module.now_ns
    monkeypatch.setattr(digest_module, "now_ns", lambda: real() + LATER)


@pytest.fixture
def cache(tmp_path: Path) -> DigestCache:
    return DigestCache(tmp_path / "cache" / "digests.sqlite")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty files in two folders, an empty folder, and links: one inside, one to a file outside, one to nowhere."""
    root = tmp_path / "in"
    for number in range(FILES):
        path = root / f"part{number % 2}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content {number}")
    (root / "empty").mkdir()
    (tmp_path / "outside").write_text("outside")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "within").symlink_to("part0/f0")
    (root / "nowhere").symlink_to("missing")
    return root


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Paths that were asked for their state one by one: the second look at a folder's entries."""
    paths: list[object] = []
    real = os.stat

    def noting(path: str | bytes, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
        if not follow_symlinks and isinstance(path, bytes):  # the others are not of the folder
            paths.append(path)
        return real(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "stat", noting)
    return paths


def test_an_unchanged_folder_is_looked_at_once_or_twice_for_what_is_recorded(
    cache: DigestCache, folder: Path, looks: list[object]
) -> None:
    first = digest_path(folder, cache=cache, at_once=False)
    assert len(looks) > FILES, "it was read, which takes time"
    looks.clear()
    assert digest_path(folder, cache=cache, at_once=False) == first == digest_path(folder)
    looks.clear()
    assert digest_path(folder, cache=DigestCache(cache.path), at_once=False) == first
    assert looks == []
    assert digest_path(folder, cache=cache) == first
    assert len(looks) > FILES


def edit(folder: Path) -> None:
    (folder / "part0/f2").write_text("c0ntent 2")


def edit_and_hide(folder: Path) -> None:
    path = folder / "part0/f2"
    before = path.stat()
    path.write_text("c0ntent 2")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def add(folder: Path) -> None:
    (folder / "part1/new").write_text("")


def remove(folder: Path) -> None:
    (folder / "part1/f1").unlink()


def rename(folder: Path) -> None:
    (folder / "part1/f1").rename(folder / "part1/g1")


def add_folder(folder: Path) -> None:
    (folder / "other").mkdir()


def turn_link(folder: Path) -> None:
    (folder / "within").unlink()
    (folder / "within").symlink_to("part1/f1")


def turn_loose_link(folder: Path) -> None:
    (folder / "nowhere").unlink()
    (folder / "nowhere").symlink_to("missed")


def edit_outside(folder: Path) -> None:
    (folder.parent / "outside").write_text("0utside")


def swap(folder: Path) -> None:
    first, second = folder / "part0/f0", folder / "part0/f2"
    first.rename(folder / "x")
    second.rename(first)
    (folder / "x").rename(second)


CHANGES = [edit, edit_and_hide, add, remove, rename, add_folder, turn_link, turn_loose_link, edit_outside, swap]


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_known_folder_is_noticed(
    cache: DigestCache, folder: Path, change: Callable[[Path], None]
) -> None:
    before = digest_path(folder, cache=cache, at_once=False).value
    change(folder)
    found = digest_path(folder, cache=cache, at_once=False)
    assert found == digest_path(folder)
    assert found.value != before


def test_a_folder_with_a_young_file_is_read_again(
    cache: DigestCache, folder: Path, monkeypatch: pytest.MonkeyPatch, looks: list[object]
) -> None:
    monkeypatch.setattr(digest_module, "now_ns", cache_module.now_ns)
    digest_path(folder, cache=cache, at_once=False)
    looks.clear()
    digest_path(folder, cache=cache, at_once=False)
    assert len(looks) > FILES


def test_a_folder_is_no_other_one_with_its_name_or_state(cache: DigestCache, folder: Path, tmp_path: Path) -> None:
    digest_path(folder, cache=cache)
    with closing(sqlite3.connect(cache.path)) as conn, conn:
        conn.execute("UPDATE digests_1 SET digest = ? WHERE path = ?", ("b3:wrong", os.fsencode(folder) + b"/"))
    assert digest_path(folder, cache=cache, at_once=False) == digest_path(folder)
    shutil.copytree(folder, tmp_path / "copy", symlinks=True)
    assert digest_path(tmp_path / "copy", cache=cache, at_once=False) == digest_path(tmp_path / "copy")


# ---------------------------------------------------------------- long files


@pytest.mark.parametrize("size", [LONG - 1, LONG, LONG + 1, LONG + CHUNK + 7])
def test_a_long_file_has_the_digest_of_its_bytes(tmp_path: Path, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    (tmp_path / "f").write_bytes(data[:size])
    assert digest_path(tmp_path / "f").value == f"b3:{blake3(data[:size]).hexdigest()}"


def test_an_error_of_the_disk_in_a_long_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "f").open("wb") as file:
        file.truncate(LONG)

    def failing(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        if offset:
            raise OSError(5, "Input/output error")
        return os.readv(descriptor, buffers)

    monkeypatch.setattr(os, "preadv", failing)
    with pytest.raises(InputError, match="Input/output error"):
        digest_path(tmp_path / "f")


def test_a_long_file_that_shrinks_meanwhile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    with path.open("wb") as file:
        file.truncate(LONG)
    real = os.preadv

    def shrinking(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        if not offset:
            os.truncate(path, LONG // 2)
        return real(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", shrinking)
    with pytest.raises(InputError, match="changed while it was read"):
        digest_path(path)
