"""Digests of files and folders: every change counts, and what cannot be hashed is an error, never a key."""

import os
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from consist_es.artifacts.digest import digest_path, stat_matches
from consist_es.errors import InputError, OptionError


def make_tree(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return root


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (16 << 20) + 1])
def test_a_file_is_identified_by_blake3_over_its_bytes(tmp_path: Path, size: int) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * size)
    found = digest_path(path)
    assert found.value == f"b3:{blake3(b'x' * size).hexdigest()}"
    assert (found.kind, found.method, found.size, found.files) == ("file", "full", size, 1)
    assert stat_matches(path, found.size, found.mtime_ns)


BASE = {"1.txt": b"AB", "2.txt": b"C", "sub/3.txt": b""}
TREES: dict[str, dict[str, bytes]] = {
    "base": BASE,
    "renamed file": {"x.txt": b"AB", "2.txt": b"C", "sub/3.txt": b""},
    "byte moved between files": {"1.txt": b"A", "2.txt": b"BC", "sub/3.txt": b""},
    "swapped files": {"1.txt": b"C", "2.txt": b"AB", "sub/3.txt": b""},
    "empty folder": {**BASE, "empty/": b""},
    "dotfile": {**BASE, ".hidden": b""},
    "file in a dot folder": {**BASE, ".git/x": b""},
    "folder for a file": {"1.txt": b"AB", "2.txt": b"C", "sub/3.txt/": b""},
    "file moved up": {"1.txt": b"AB", "2.txt": b"C", "3.txt": b"", "sub/": b""},
    "renamed folder": {"1.txt": b"AB", "2.txt": b"C", "bus/3.txt": b""},
    "no file": {},
    "one empty folder": {"a/": b""},
    "nested empty folders": {"a/b/": b""},
}


def test_every_difference_between_folders_counts(tmp_path: Path) -> None:
    found = {}
    for name, tree in TREES.items():
        (tmp_path / name).mkdir()
        found[name] = digest_path(make_tree(tmp_path / name, tree))
    assert len({item.value for item in found.values()}) == len(TREES)


def test_a_link_in_a_folder_counts_by_its_target_text(tmp_path: Path) -> None:
    found = set()
    for name, target in [("a", "x"), ("b", "y"), ("c", None)]:
        root = make_tree(tmp_path / name, {"x": b"1", "y": b"1"})
        if target is None:
            (root / "link").write_bytes(b"1")
        else:
            (root / "link").symlink_to(target)
        found.add(digest_path(root).value)
    assert len(found) == 3


def test_a_link_to_nowhere_and_to_its_own_folder_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "self").symlink_to(".")
    assert digest_path(tmp_path).files == 0


def test_a_path_that_is_a_link_stands_for_its_target(tmp_path: Path) -> None:
    make_tree(tmp_path, {"d/x": b"1"})
    (tmp_path / "link").symlink_to("d")
    (tmp_path / "file").symlink_to("d/x")
    assert digest_path(tmp_path / "link") == digest_path(tmp_path / "d")
    assert digest_path(tmp_path / "file") == digest_path(tmp_path / "d/x")


def test_a_moved_folder_keeps_its_digest(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "a", BASE)
    first = digest_path(root)
    shutil.copytree(root, tmp_path / "b" / "c")
    assert digest_path(tmp_path / "b" / "c").value == first.value


def test_file_names_need_not_be_text(tmp_path: Path) -> None:
    found = set()
    for index, name in enumerate([b"a\xff", b"a\xfe", b"a\n", "é".encode(), "e\u0301".encode()]):
        root = tmp_path / str(index)
        root.mkdir()
        (Path(os.fsdecode(os.fsencode(root) + b"/" + name))).write_bytes(b"1")
        found.add(digest_path(root).value)
    assert len(found) == 5


def test_a_folder_never_equals_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    (tmp_path / "d").mkdir()
    assert digest_path(tmp_path / "f").value != digest_path(tmp_path / "d").value


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["a", "b", "ab", "c"]), st.binary(max_size=2), max_size=3),
        min_size=2,
        max_size=2,
    )
)
def test_folders_are_equal_exactly_where_their_files_are(
    tmp_path_factory: pytest.TempPathFactory, trees: list[dict[str, bytes]]
) -> None:
    digests = []
    for tree in trees:
        root = tmp_path_factory.mktemp("tree")
        digests.append(digest_path(make_tree(root, tree)).value)
    assert (digests[0] == digests[1]) == (trees[0] == trees[1])


def test_fast_digests_count_size_and_time_and_differ_from_full_ones(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "d", {"x": b"1"})
    os.utime(root / "x", ns=(1, 1))
    for path in (root, root / "x"):
        first = digest_path(path, method="fast")
        assert first.value.startswith("fast:")
        os.utime(root / "x", ns=(2, 2))
        assert digest_path(path, method="fast").value != first.value
        os.utime(root / "x", ns=(1, 1))
        assert digest_path(path, method="fast").value == first.value


def test_an_unknown_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="'full', 'fast'"):
        digest_path(tmp_path, method="md5")


# ---------------------------------------------------------------- what cannot be hashed


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(path.parent)
        try:
            server.bind(path.name)
        finally:
            os.chdir(here)


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.symlink_to("nowhere"), "No such file"),
        (lambda path: path.symlink_to(path.name), "symbolic links"),
        (os.mkfifo, "a FIFO"),
        (make_socket, "a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
    ],
)
def test_what_is_no_file_or_folder_is_refused_by_name_and_cause(
    tmp_path: Path, make: Callable[[Path], object], cause: str
) -> None:
    path = tmp_path / "input"
    make(path)
    with pytest.raises(InputError, match=rf"{path}.*{cause}"):
        digest_path(path)


@pytest.mark.parametrize("make", [os.mkfifo, make_socket])
def test_a_folder_that_holds_one_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "x")
    with pytest.raises(InputError, match=str(tmp_path / "x")):
        digest_path(tmp_path)


def test_a_name_with_nul_is_refused() -> None:
    with pytest.raises(InputError, match="null"):
        digest_path("a\0b")


def test_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(b"1")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputError, match=r"Cannot hash .*f: Permission denied"):
        digest_path(tmp_path / "f")


def test_a_read_error_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(b"1")

    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "readv", fail)
    with pytest.raises(InputError, match="Input/output error"):
        digest_path(tmp_path)


EDITS: dict[str, Callable[[Path], object]] = {
    "appended": lambda path: path.write_bytes(b"12345"),
    "truncated": lambda path: os.truncate(path, 0),
    "same size": lambda path: path.write_bytes(b"9"),
    "same size and time": lambda path: edit_keeping_time(path, b"9"),
    "in a folder that was replaced": lambda path: replace_folder(path.parent),
    "removed": lambda path: path.unlink(),
    "replaced": lambda path: (path.with_name("new").write_bytes(b"9"), path.with_name("new").replace(path)),
}


def replace_folder(folder: Path) -> None:
    folder.rename(folder.with_name("old"))
    make_tree(folder, {"f": b"9", "g": b"2"})


def edit_keeping_time(path: Path, content: bytes) -> None:
    found = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("folder", [False, True])
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: str, folder: bool
) -> None:
    path = tmp_path / "d" / "f"
    make_tree(tmp_path / "d", {"f": b"1", "g": b"2"})
    os.utime(path, ns=(7, 7))
    real, done = os.readv, threading.Event()

    def read_and_edit(descriptor: int, buffers: list[memoryview]) -> int:
        count = real(descriptor, buffers)
        if not done.is_set():
            done.set()
            EDITS[edit](path)
        return count

    monkeypatch.setattr(os, "readv", read_and_edit)
    with pytest.raises(InputError, match=r"changed while it was read|No such file"):
        digest_path(path.parent if folder else path)


def test_a_file_swapped_for_a_device_before_it_is_opened_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"1")
    real = os.open
    monkeypatch.setattr(os, "open", lambda _path, flags: real("/dev/zero", flags))
    monkeypatch.setattr(os, "readv", lambda *_: pytest.fail("an endless file was read"))
    with pytest.raises(InputError, match="changed while it was read"):
        digest_path(path)


def test_a_file_that_appears_while_its_folder_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tree(tmp_path, {"f": b"1"})
    real = os.readv

    def read_and_add(descriptor: int, buffers: list[memoryview]) -> int:
        (tmp_path / "new").touch()
        return real(descriptor, buffers)

    monkeypatch.setattr(os, "readv", read_and_add)
    with pytest.raises(InputError, match="changed while it was read"):
        digest_path(tmp_path)


def test_the_quick_check_tells_size_time_and_absence(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"1")
    found = path.stat()
    assert stat_matches(path, 1, found.st_mtime_ns)
    assert not stat_matches(path, 2, found.st_mtime_ns)
    assert not stat_matches(path, 1, found.st_mtime_ns + 1)
    assert not stat_matches(tmp_path / "gone", 1, 1)
    assert not stat_matches(tmp_path, tmp_path.stat().st_size, tmp_path.stat().st_mtime_ns)


def test_files_hashed_side_by_side_have_the_same_digests_and_the_same_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        (tmp_path / f"{number}").write_bytes(bytes([number]) * number * 1000)
    one_by_one = digest_path(tmp_path)
    monkeypatch.setattr("consist_es.artifacts.digest._MANY", 0)
    assert digest_path(tmp_path) == one_by_one
    (tmp_path / "7").unlink()
    (tmp_path / "7").mkdir()
    assert digest_path(tmp_path) != one_by_one
    os.mkfifo(tmp_path / "8x")
    with pytest.raises(InputError, match="8x"):
        digest_path(tmp_path)


def test_a_file_that_gives_fewer_bytes_than_it_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(b"12")
    monkeypatch.setattr(os, "readv", lambda *_: 0)  # its stamp stays, as on a file system that reports late
    with pytest.raises(InputError, match="changed while it was read"):
        digest_path(tmp_path / "f")


@pytest.mark.parametrize("call", ["scandir", "readlink"])
def test_a_folder_that_cannot_be_listed_and_a_link_that_cannot_be_read_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "link").symlink_to("x")

    def refuse(*_: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(InputError, match=r"Cannot hash .*/d.*: Permission denied\. Check the path"):
        digest_path(tmp_path / "d")


def test_size_time_and_number_of_files_are_told(tmp_path: Path) -> None:
    make_tree(tmp_path / "d", {"a": b"12", "sub/b": b"345"})
    for name, time in (("a", 7), ("sub/b", 9), ("sub", 11), (".", 5)):
        os.utime(tmp_path / "d" / name, ns=(time, time))
    found = digest_path(tmp_path / "d")
    assert (found.kind, found.size, found.mtime_ns, found.files) == ("folder", 5, 11, 2)
    os.utime(tmp_path / "d", ns=(13, 13))
    assert digest_path(tmp_path / "d").mtime_ns == 13
    found = digest_path(tmp_path / "d" / "a", method="fast")
    assert (found.kind, found.method, found.size, found.mtime_ns, found.files) == ("file", "fast", 2, 7, 1)
