"""Links in folders count by what they lead to, and a copy of a folder holds that and has the same digest."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consist_es.artifacts import digest
from consist_es.artifacts.copies import copy_path
from consist_es.artifacts.digest import digest_path
from consist_es.artifacts.digest_cache import DigestCache
from consist_es.errors import InputError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder, and beside it ``shared`` with a file, a folder and a link within."""
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "own").write_text("own")
    (tmp_path / "shared" / "deep").mkdir(parents=True)
    (tmp_path / "shared" / "net").write_text("1")
    (tmp_path / "shared" / "deep" / "more").write_text("2")
    (tmp_path / "shared" / "alias").symlink_to("net")
    return tmp_path / "data"


def point(link: Path, target: Path | str) -> Path:
    """Make a link, in the place of one that is there."""
    link.unlink(missing_ok=True)
    link.symlink_to(target)
    return link


def links(root: Path) -> dict[str, Callable[[], object]]:
    shared = root.parent / "shared"
    return {
        "file": lambda: (root / "link").symlink_to(shared / "net"),
        "file by a relative path": lambda: (root / "sub" / "link").symlink_to("../../shared/net"),
        "folder": lambda: (root / "link").symlink_to(shared),
        "link to a file": lambda: (root / "link").symlink_to(shared / "alias"),
        "file by a link within": lambda: (point(root / "a", "b"), point(root / "b", shared / "net")),
        "file by another folder's link": lambda: (point(root / "a", shared), point(root / "b", "a/net")),
    }


LINKS = ["file", "file by a relative path", "folder", "link to a file", "file by a link within",
         "file by another folder's link"]  # fmt: skip


@pytest.mark.parametrize("kind", LINKS)
@pytest.mark.parametrize("method", ["full", "fast"])
def test_an_edit_beyond_a_link_that_leads_out_changes_the_digest(root: Path, kind: str, method: str) -> None:
    links(root)[kind]()
    before = digest_path(root, method=method)
    assert digest_path(root, method=method) == before
    (root.parent / "shared" / "net").write_text("22")
    assert digest_path(root, method=method).value != before.value
    assert before.notes == ()


def test_what_lies_beyond_a_link_to_a_folder_counts_as_if_it_lay_there(root: Path) -> None:
    shared = root.parent / "shared"
    (root / "link").symlink_to(shared)
    seen = {digest_path(root).value}
    changes: list[Callable[[], object]] = [
        lambda: (shared / "deep" / "more").write_text("3"),
        lambda: (shared / "deep" / "more").rename(shared / "deep" / "other"),
        lambda: (shared / "new").touch(),
        lambda: (shared / "empty").mkdir(),
        lambda: point(shared / "alias", "new"),
        lambda: (root.parent / "far").write_text("far"),
        lambda: (shared / "far").symlink_to("../far"),
        lambda: (root.parent / "far").write_text("away"),
    ]
    for number, change in enumerate(changes):
        change()
        seen.add(digest_path(root).value)
        assert len(seen) == number + 2 - (number > 4), number  # the file that nothing leads to yet does not count
    plain = root.parent / "plain"
    shutil.copytree(root, plain, symlinks=True)
    (plain / "link").unlink()
    shutil.copytree(shared, plain / "link", symlinks=True)
    (plain / "link" / "far").unlink()
    shutil.copy(root.parent / "far", plain / "link" / "far")
    assert digest_path(plain).value == digest_path(root).value


def test_a_link_that_is_led_to_the_same_content_elsewhere_keeps_the_digest(root: Path) -> None:
    (root / "link").symlink_to(root.parent / "shared")
    before = digest_path(root).value
    (root.parent / "shared").rename(root.parent / "renamed")
    assert digest_path(root).value != before
    (root / "link").unlink()
    (root / "link").symlink_to(root.parent / "renamed")
    assert digest_path(root).value == before


def test_a_link_within_counts_by_where_in_the_folder_it_leads_however_it_is_spelt(root: Path) -> None:
    found = set()
    for text in ("../own", str(root / "own"), "../../data/own", str(root.parent / "again" / "own")):
        if not (root.parent / "again").exists():
            (root.parent / "again").symlink_to(root)
        (root / "sub" / "link").unlink(missing_ok=True)
        (root / "sub" / "link").symlink_to(text)
        found.add(digest_path(root).value)
    assert len(found) == 1
    (root / "sub" / "link").unlink()
    (root / "sub" / "link").symlink_to("../sub")
    assert digest_path(root).value not in found


def test_a_link_to_nowhere_counts_by_its_text_and_a_note_names_it(root: Path) -> None:
    (root / "link").symlink_to("nowhere")
    (root / "sub" / "out").symlink_to(root.parent / "later")
    (root / "below").symlink_to("own/file")
    before = digest_path(root)
    assert [note.partition(" leads nowhere")[0] for note in before.notes] == [
        str(root / name) for name in ("below", "link", "sub/out")
    ]
    assert str(root.parent / "later") in before.notes[2]
    (root.parent / "later").write_text("there")
    after = digest_path(root)
    assert after.value != before.value
    assert len(after.notes) == 2


@pytest.mark.parametrize(
    ("link", "target"),
    [("data/link", ".."), ("data/link", "../../"), ("data/a", "b"), ("shared/back", "../data"), ("shared/up", "..")],
)
def test_a_link_that_leads_in_a_circle_is_refused_by_its_name(root: Path, link: str, target: str) -> None:
    (root / "b").symlink_to("a" if link == "data/a" else "own")
    (root / "shared").symlink_to("../shared")
    (root.parent / link).symlink_to(target)
    with pytest.raises(InputError, match=rf"{Path(link).name}: the link leads in a circle"):
        digest_path(root)


def test_two_folders_that_lead_to_each_others_files_are_no_circle(root: Path) -> None:
    (root / "link").symlink_to("../shared")
    (root.parent / "shared" / "back").symlink_to("../data/own")
    before = digest_path(root).value
    (root / "own").write_text("new")
    assert digest_path(root).value != before


def test_what_cannot_be_read_beyond_a_link_is_refused(root: Path) -> None:
    os.mkfifo(root.parent / "fifo")
    (root / "link").symlink_to(root.parent / "fifo")
    with pytest.raises(InputError, match="fifo: it is a FIFO"):
        digest_path(root)


def test_a_link_to_the_null_device_counts_by_its_text(root: Path) -> None:
    before = digest_path(root).value
    (root / "link").symlink_to(os.devnull)
    assert digest_path(root).value != before


def test_a_link_that_is_turned_while_its_folder_is_read_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "link").symlink_to("../shared/net")
    real = os.readv

    def turn(descriptor: int, buffers: list[memoryview]) -> int:
        if (root / "link").readlink() != Path("own"):
            (root / "link").unlink()
            (root / "link").symlink_to("own")
            os.utime(root, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        return real(descriptor, buffers)

    stamp = root.stat()
    monkeypatch.setattr(os, "readv", turn)
    monkeypatch.setattr(digest, "stamp_of", lambda found: (found.st_ino, found.st_size))
    with pytest.raises(InputError, match="link: it changed while it was read"):
        digest_path(root)


def test_one_file_that_many_links_lead_to_is_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        (root / f"link{number}").symlink_to("../shared/net")
    real, read = os.open, set[bytes]()
    times = 0

    def counted(path: bytes, flags: int) -> int:
        nonlocal times
        times += 1
        read.add(path)
        return real(path, flags)

    monkeypatch.setattr(os, "open", counted)
    assert digest_path(root).files == 6
    assert times == len(read) == 2


def test_the_cache_knows_what_lies_beyond_a_link(root: Path, tmp_path: Path) -> None:
    (root / "link").symlink_to("../shared")
    cache = DigestCache(tmp_path / "cache.db")
    before = digest_path(root, cache=cache)
    assert digest_path(root, cache=cache) == before == digest_path(root)
    (root.parent / "shared" / "net").write_text("x")
    assert digest_path(root, cache=cache).value == digest_path(root).value != before.value


# ---------------------------------------------------------------- copies

NAMES = ["a", "b", "c"]
PLACES = [f"{folder}/{name}" for folder in ("data", "data/d", "ext", "ext/e", "far") for name in NAMES]
TEXTS = [
    "a", "b", "../b", "d/a", "../ext/a", "../../ext/a", "../ext", "../ext/e", "../../far", "../far/b", "../data/a", ".",
    "../../data/d", "nowhere", "e/c", "../e", "c/a",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(PLACES), st.sampled_from([*TEXTS, None, None])), st.booleans())
def test_a_copy_has_the_digest_of_the_folder_and_what_is_read_from_it_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, str | None], absolute: bool
) -> None:
    top = tmp_path_factory.mktemp("tree")
    for folder in ("data/d", "ext/e", "far"):
        (top / folder).mkdir(parents=True)
    for place, text in tree.items():
        if text is None:
            (top / place).write_text(place)
        else:
            (top / place).symlink_to((top / place).parent / text if absolute else text)
    try:
        before = digest_path(top / "data")
    except InputError:
        return
    copy = top / "elsewhere" / "copy"
    copy.parent.mkdir()
    copy_path(top / "data", copy)
    for place in NAMES + [f"d/{name}" for name in NAMES]:
        if (top / "data" / place).is_file():
            assert (copy / place).read_bytes() == (top / "data" / place).read_bytes()
    if not before.notes:  # a link to nowhere may lead somewhere from another place
        assert digest_path(copy).value == before.value
        assert not any(not os.path.realpath(path).startswith(str(copy)) for path in copy.rglob("*"))
    for place in tree:
        if (top / place).is_file() and not (top / place).is_symlink():
            (top / place).write_text("edited")
    edited = {place for place in tree if (top / place).is_file()}
    reached = {os.path.realpath(path) for path in _files(top / "data", 0)}
    assert (digest_path(top / "data").value != before.value) == bool(
        reached & {os.path.realpath(top / place) for place in edited}
    )


def _files(folder: Path, depth: int) -> list[Path]:
    """Every file that can be reached from a folder, by whichever links."""
    found: list[Path] = []
    for path in folder.iterdir():
        if path.is_file():
            found.append(path)
        elif path.is_dir() and depth < 12 and not (path.is_symlink() and folder.is_relative_to(path.resolve())):
            found += _files(path, depth + 1)
    return found


def test_a_sparse_file_stays_sparse_and_keeps_its_bytes(tmp_path: Path) -> None:
    for name, parts in {"hole": {}, "end": {9 << 20: b"x"}, "parts": {0: b"a", 3 << 20: b"b" * 10_000}}.items():
        with (tmp_path / name).open("wb") as file:
            for offset, data in parts.items():
                file.seek(offset)
                file.write(data)
            file.truncate(max(10 << 20, file.tell()))
        copy_path(tmp_path / name, tmp_path / f"{name} copy")
        assert (tmp_path / f"{name} copy").read_bytes() == (tmp_path / name).read_bytes()
        assert (tmp_path / f"{name} copy").stat().st_blocks <= (tmp_path / name).stat().st_blocks + 64


@pytest.mark.parametrize("how", ["refused", "unknown"])
def test_a_sparse_file_is_copied_whole_if_the_system_does_not_tell_its_holes(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"x")
        file.truncate(3 << 20)
    if how == "unknown":
        monkeypatch.delattr(os, "SEEK_DATA")
    else:

        def refused(*_: object) -> int:
            raise OSError(22, "Invalid argument")

        monkeypatch.setattr(os, "lseek", refused)
    copy_path(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()
