"""The checks that every path goes through before something is read or written there."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consist_es import Artifact
from consist_es.artifacts import copies
from consist_es.artifacts.copies import copy_path, held, root_of
from consist_es.artifacts.describe import Digester, artifact_of_event, describe
from consist_es.artifacts.materialize import Copier, layout
from consist_es.artifacts.uris import (
    UriMap,
    below,
    given_folder,
    given_path,
    inside,
    quote,
    real_path,
    require_path,
    unquote,
)
from consist_es.errors import ArtifactMissingError, InputError, MaterializeError, PathError, UsageTypeError
from consist_es.text import readable

FULL = Digester("full", None)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def copier(run_dir: Path) -> Copier:
    return Copier(UriMap(run_dir=str(run_dir)), FULL)


def recorded(path: Path, copier: Copier, method: str = "full") -> Artifact:
    event = describe(path, key="a", direction="output", uris=copier.uris, digester=Digester(method, None))
    return artifact_of_event(event, copier.uris, run_id=None)


# ---------------------------------------------------------------- what may be given


@pytest.mark.parametrize("given", [None, 1, b"x", ["x"], object])
def test_what_is_no_path_is_refused_by_its_type(tmp_path: Path, given: Any) -> None:
    with pytest.raises(UsageTypeError, match=f"the place takes a path, not {type(given).__name__}"):
        given_path(given, "the place")
    with pytest.raises(UsageTypeError, match=f"not {type(given).__name__}"):
        UriMap(run_dir=str(tmp_path)).resolve_given(given)


class BytesPath:
    def __fspath__(self) -> bytes:
        return b"x"


def test_a_path_object_that_speaks_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageTypeError, match="takes a path, not BytesPath"):
        given_path(BytesPath(), "the place")
    with pytest.raises(UsageTypeError, match="as str, not as bytes"):
        UriMap(run_dir=str(tmp_path)).resolve_given(BytesPath())


def test_a_relative_path_is_taken_from_the_working_directory_and_a_uri_from_its_mount(here: Path) -> None:
    uris = UriMap(run_dir=str(here / "runs"), mounts={"in": "/data"})
    assert given_path("a/../b", "x") == given_path(Path("b"), "x") == here / "b"
    assert uris.resolve_given("b") == uris.resolve_given(Path("b")) == here / "b"
    assert uris.resolve_given("in://b") == Path("/data/b")


@pytest.mark.parametrize("mounts", [["a"], "a", 3])
def test_mounts_that_are_no_mapping_are_refused(tmp_path: Path, mounts: Any) -> None:
    with pytest.raises(UsageTypeError, match=f"mounts takes a mapping .* not {type(mounts).__name__}"):
        UriMap.of(tmp_path, mounts)


@pytest.mark.parametrize("scheme", ["", "1a", "a b", "a/b", "file", "a:"])
def test_a_mount_needs_a_scheme_that_a_uri_can_have(tmp_path: Path, scheme: str) -> None:
    with pytest.raises(PathError, match="cannot be a scheme"):
        UriMap.of(tmp_path, {scheme: tmp_path})


def test_a_map_makes_its_folders_absolute(here: Path) -> None:
    assert UriMap.of(Path("runs"), {"a+b.c-1": "data"}) == UriMap(
        run_dir=str(here / "runs"), mounts={"a+b.c-1": str(here / "data")}
    )
    assert UriMap.of(here, None).mounts == {}


def test_a_folder_that_is_a_file_or_lies_below_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert given_folder(tmp_path / "not" / "there", "run_dir") == tmp_path / "not" / "there"
    with pytest.raises(PathError, match=f"run_dir: {tmp_path}/file is a file"):
        given_folder(tmp_path / "file", "run_dir")
    with pytest.raises(PathError, match=f"{tmp_path}/file/a/b lies below {tmp_path}/file, which is a file"):
        given_folder(tmp_path / "file" / "a" / "b", "run_dir")


def test_a_folder_out_of_reach_is_left_to_who_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refused)
    assert given_folder(tmp_path / "a", "run_dir") == tmp_path / "a"


# ---------------------------------------------------------------- what a system takes


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a\0b", "a NUL character or a lone surrogate"),
        ("\ud800", "a NUL character or a lone surrogate"),
        ("a/" + "n" * 256, "a name in it has 256 bytes; at most 255"),
        ("a/" + "\u00e9" * 128, "a name in it has 256 bytes; at most 255"),
        ("a/" * 2048, "it has 4,096 bytes; at most 4,095"),
    ],
)
def test_a_text_that_no_system_takes_for_a_path_is_refused_with_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(PathError, match=problem) as caught:
        require_path(text, "a place")
    assert str(caught.value).startswith("a place: '")
    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 350


@pytest.mark.parametrize("text", ["", "a", "n" * 255, "\u00e9" * 127, "a/" * 2047 + "a", "\udcff"])
def test_a_text_that_a_system_takes_is_given_back(text: str) -> None:
    assert require_path(text, "a place") == text


def test_a_long_text_is_cut_in_a_message_and_a_short_one_is_not() -> None:
    for length, shown in ((198, "'" + "x" * 198 + "'"), (199, "'" + "x" * 196 + "...")):
        with pytest.raises(PathError) as caught:
            inside("/r", "..", "x" * length)
        assert str(caught.value).startswith(f"{shown} leaves /r")


# ---------------------------------------------------------------- below a root, or not


@pytest.mark.parametrize(
    ("path", "root", "rel"),
    [
        ("/a", "/a", "."),
        ("/a/b/c", "/a", "b/c"),
        ("/a/b", "/a/", "b"),
        ("/ab", "/a", None),
        ("/a", "/a/b", None),
        ("/b", "/", "b"),
        ("/", "/", "."),
    ],
)
def test_what_lies_below_a_root_is_told_by_whole_names(path: str, root: str, rel: str | None) -> None:
    assert below(path, root) == rel


@pytest.mark.parametrize("rel", ["..", "a/..", "../a", "/", "/a", "//a", "a/../b"])
def test_no_relative_path_leaves_its_root(rel: str) -> None:
    with pytest.raises(PathError, match="leaves /base: use a relative path"):
        inside("/base", rel, rel)


def test_a_relative_path_stays_as_it_is_below_its_root() -> None:
    assert inside("/base", "a/./b..c/...", "x") == Path("/base/a/b..c/...")
    assert inside("/base", ".", "x") == inside("/base", "", "x") == Path("/base")


def test_the_innermost_mount_names_a_path() -> None:
    uris = UriMap(run_dir="/runs", mounts={"all": "/data", "in": "/data/in"})
    assert uris.uri("/data/in/x") == "in://x"
    assert uris.uri("/data/y") == "all://y"
    assert uris.uri("/runs/z") == "./z"
    assert uris.uri("/elsewhere/a%b") == "/elsewhere/a%25b"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("in://a%25b", "/data/a%b"),
        ("./a", "/runs/a"),
        ("/a/b", "/a/b"),
        ("file:///a/b", "/a/b"),
        ("file://a/b", "/a/b"),
    ],
)
def test_a_uri_stands_for_one_place(uri: str, path: str) -> None:
    assert UriMap(run_dir="/runs", mounts={"in": "/data"}).resolve(uri) == Path(path)


@pytest.mark.parametrize("uri", ["a", "../a", "", "/a/../b", "file:///a/../b", "file://..", "/a\0"])
def test_what_is_of_none_of_the_three_forms_is_no_place(uri: str) -> None:
    with pytest.raises(PathError, match=r"is not a place|cannot be a path here"):
        UriMap(run_dir="/runs").resolve(uri)


def test_a_scheme_that_is_not_mounted_is_refused_with_those_that_are() -> None:
    with pytest.raises(PathError, match=r"'x' is not mounted\. Mounted: a, b\."):
        UriMap(run_dir="/runs", mounts={"b": "/b", "a": "/a"}).resolve("x://y")
    with pytest.raises(PathError, match=r"Mounted: none\."):
        UriMap(run_dir="/runs").resolve("x://y")


def test_a_recorded_run_directory_takes_the_place_of_ones_own_and_must_be_a_place() -> None:
    uris = UriMap(run_dir="/runs")
    assert uris.resolve("./a", run_dir="/old%25") == Path("/old%/a")
    for root in ("old", "/old/..", "../x"):
        with pytest.raises(PathError, match="is not a place"):
            uris.resolve("./a", run_dir=root)


def test_quoting_keeps_a_percent_sign_from_being_taken_for_an_escape() -> None:
    assert quote("100%41") == "100%2541"
    assert unquote("100%2541") == "100%41"
    assert unquote("%7f%80%zz") == "\x7f\udc80%zz"


def test_bytes_that_are_no_text_are_shown_as_escapes() -> None:
    assert readable("a\udcff\u00e9") == "a\\udcff\u00e9"


def test_links_that_cannot_be_followed_are_kept(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    def vanished(_path: object) -> str:
        raise FileNotFoundError(errno.ENOENT, "gone")

    (here / "link").symlink_to("target")
    assert real_path("link") == str(here / "target")
    monkeypatch.setattr(os.path, "realpath", vanished)
    assert real_path("link") == str(here / "link")


# ---------------------------------------------------------------- folders that are held


def test_a_place_belongs_to_the_first_root_that_holds_it(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(run_dir)
    assert root_of(run_dir / "a", [str(tmp_path / "x"), str(tmp_path / "link"), str(tmp_path)]) == (str(run_dir), "a")
    assert root_of(tmp_path / "a", [str(run_dir)]) is None


def test_a_folder_that_is_swapped_for_a_link_or_a_file_is_not_entered(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (run_dir / "link").symlink_to(outside)
    (run_dir / "file").write_text("")
    monkeypatch.setattr(copies, "root_of", lambda folder, roots: (str(run_dir), folder.relative_to(run_dir).as_posix()))
    for name in ("link", "file"):
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        said = f"'{name}' in it is now a link, or not a folder"
        with pytest.raises(PathError, match=said), held(run_dir / name / "new", [str(run_dir)]):
            pass
        assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert list(outside.iterdir()) == []


def test_what_else_keeps_a_folder_from_being_opened_is_the_systems_own_error(run_dir: Path) -> None:
    (run_dir / "closed").mkdir()
    real = os.open

    def refused(path: Any, flags: int, *mode: int, dir_fd: int | None = None) -> int:
        if path == "closed":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *mode, dir_fd=dir_fd)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", refused)
        with pytest.raises(PermissionError), held(run_dir / "closed" / "new", [str(run_dir)]):
            pass
    assert list((run_dir / "closed").iterdir()) == []


def test_a_folder_that_another_process_makes_meanwhile_is_the_one_that_is_held(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.mkdir

    def quicker(name: str, dir_fd: int) -> None:
        real(name, dir_fd=dir_fd)
        real(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", quicker)
    with held(run_dir / "new", [str(run_dir)]) as folder:
        (folder / "x").write_text("x")
    assert (run_dir / "new" / "x").read_text() == "x"


def test_without_a_folder_of_open_files_the_path_itself_is_used(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_OPEN_FOLDERS", tmp_path / "nowhere")
    with held(run_dir / "a" / "b", [str(run_dir)]) as folder:
        assert folder == run_dir / "a" / "b"
        assert folder.is_dir()
    with pytest.raises(PathError, match="lies outside"), held(tmp_path / "c", [str(run_dir)]):
        pass


def test_a_root_that_is_not_there_is_made_when_a_folder_in_it_is_held(tmp_path: Path) -> None:
    with held(tmp_path / "runs" / "deep" / "a", [str(tmp_path / "runs" / "deep")]) as folder:
        (folder / "x").write_text("x")
    assert (tmp_path / "runs" / "deep" / "a" / "x").exists()


# ---------------------------------------------------------------- bytes that are copied


def test_a_folder_is_copied_with_its_files_times_and_empty_folders(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "empty").mkdir(parents=True)
    (source / "x").write_text("x")
    os.utime(source / "x", ns=(1_000_000_007, 2_000_000_009))
    copy_path(source, tmp_path / "copy")
    assert (tmp_path / "copy" / "empty").is_dir()
    assert (tmp_path / "copy" / "x").read_text() == "x"
    assert (tmp_path / "copy" / "x").stat().st_mtime_ns == 2_000_000_009
    with pytest.raises(FileExistsError):
        copy_path(source / "x", tmp_path / "copy" / "x")


def test_a_folder_that_cannot_be_listed_is_not_copied_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").mkdir()

    def refused(_path: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(OSError, match="Permission denied"):
        copy_path(tmp_path / "source", tmp_path / "copy")


def test_a_copied_file_is_on_the_disk_before_it_gets_its_name(
    run_dir: Path, copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run_dir / "a").write_text("bytes")
    synced: list[bool] = []
    real = os.fsync

    def noting(fd: int) -> None:
        synced.append((run_dir / "b").exists())
        real(fd)

    monkeypatch.setattr(os, "fsync", noting)
    copier.copy(recorded(run_dir / "a", copier), run_dir / "b", reason="test")
    assert synced == [False]


# ---------------------------------------------------------------- verified copies


def test_a_copy_says_what_it_copied_from_where_to_where(run_dir: Path, copier: Copier) -> None:
    (run_dir / "a").write_text("bytes")
    artifact = recorded(run_dir / "a", copier)
    event = copier.copy(artifact, run_dir / "sub" / "b", reason="asked")
    assert (event.uri, event.source_uri, event.root) == ("./sub/b", "./a", str(run_dir))
    assert (event.artifact, event.key, event.digest, event.reason) == (str(artifact.id), "a", artifact.hash, "asked")


def test_a_mount_may_be_written_and_what_lies_beside_it_may_not(tmp_path: Path, run_dir: Path) -> None:
    (run_dir / "a").write_text("bytes")
    (tmp_path / "mount").mkdir()
    copier = Copier(UriMap(run_dir=str(run_dir), mounts={"m": str(tmp_path / "mount")}), FULL)
    copier.copy(recorded(run_dir / "a", copier), tmp_path / "mount" / "b", reason="test")
    assert (tmp_path / "mount" / "b").read_text() == "bytes"
    with pytest.raises(PathError, match="allow_external_paths"):
        copier.check_place(tmp_path / "mountain")


def test_a_source_that_changes_while_it_is_copied_is_not_delivered(
    run_dir: Path, copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run_dir / "a").write_text("bytes")
    artifact = recorded(run_dir / "a", copier)
    real = copies.copy_file

    def edited(source: Path, target: Path, *, sync: bool = False) -> None:
        source.write_text("other")
        real(source, target, sync=sync)

    monkeypatch.setattr(copies, "copy_file", edited)
    with pytest.raises(MaterializeError, match="has changed since it was recorded"):
        copier.copy(artifact, run_dir / "b", reason="test")
    assert sorted(path.name for path in run_dir.iterdir()) == ["a"]


def test_a_disk_that_is_full_is_an_error_that_names_key_and_target(
    run_dir: Path, copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run_dir / "a").write_text("bytes")
    artifact = recorded(run_dir / "a", copier)
    for error, said in ((OSError(errno.ENOSPC, "No space left"), "No space left"), (OSError("odd"), "odd")):

        def refused(_fd: int, problem: OSError = error) -> None:
            raise problem

        monkeypatch.setattr(os, "fsync", refused)
        with pytest.raises(MaterializeError, match=said) as caught:
            copier.copy(artifact, run_dir / "b", reason="test")
        assert "'a'" in str(caught.value)
        assert str(run_dir / "b") in str(caught.value)
        assert sorted(path.name for path in run_dir.iterdir()) == ["a"]


def test_a_digest_over_size_and_time_is_compared_with_such_a_digest(run_dir: Path, copier: Copier) -> None:
    (run_dir / "a").write_text("bytes")
    artifact = recorded(run_dir / "a", copier, "fast")
    assert str(artifact.hash).startswith("fast:")
    assert str(recorded(run_dir / "a", copier).hash).startswith("b3:")
    copier.copy(artifact, run_dir / "b", reason="test")
    assert copier.source_of(artifact) == run_dir / "a"
    os.utime(run_dir / "a", ns=(0, 0))
    with pytest.raises(ArtifactMissingError, match="was not found"):
        copier.source_of(artifact)


def test_several_files_that_are_replaced_get_names_that_are_free(run_dir: Path, copier: Copier) -> None:
    (run_dir / "a").write_text("bytes")
    artifact = recorded(run_dir / "a", copier)
    for text in ("mine", "also mine"):
        (run_dir / "b").unlink(missing_ok=True)
        (run_dir / "b").write_text(text)
        copier.copy(artifact, run_dir / "b", reason="test", replace=True)
    names = sorted(path.name for path in run_dir.glob("b.replaced-*"))
    assert names == [f"b.replaced-{os.getpid()}-{number}" for number in (1, 2)]
    assert [(run_dir / name).read_text() for name in names] == ["mine", "also mine"]


# ---------------------------------------------------------------- what would keep a copy from being made


def _nothing(_target: Path) -> None:
    pass


def _same(target: Path) -> None:
    target.write_text("bytes")


def _other(target: Path) -> None:
    target.write_text("other")


def _pipe(target: Path) -> None:
    os.mkfifo(target)


@pytest.mark.parametrize(
    ("there", "placed", "said"),
    [
        (_nothing, None, None),
        (_same, None, None),
        (_other, None, "another file is there already"),
        (_pipe, None, "another file is there already"),
        (_nothing, "b3:other", "another file is there already"),
        (_same, "b3:other", "another file is there already"),
    ],
)
def test_an_obstacle_is_told_before_anything_is_copied(
    run_dir: Path, copier: Copier, there: Callable[[Path], None], placed: str | None, said: str | None
) -> None:
    (run_dir / "a").write_text("bytes")
    artifact = recorded(run_dir / "a", copier)
    there(run_dir / "b")
    found = copier.obstacle(artifact, run_dir / "b", placed)
    assert (found is None) if said is None else (said in (found or ""))


def test_what_will_lie_at_a_target_is_no_obstacle_where_it_is_the_same(run_dir: Path, copier: Copier) -> None:
    (run_dir / "a").write_text("bytes")
    artifact = recorded(run_dir / "a", copier)
    (run_dir / "b").write_text("other")
    assert copier.obstacle(artifact, run_dir / "b", artifact.hash) is None


def test_a_source_that_is_gone_is_an_obstacle(run_dir: Path, copier: Copier) -> None:
    (run_dir / "a").write_text("bytes")
    artifact = recorded(run_dir / "a", copier)
    (run_dir / "a").unlink()
    assert "was not found" in (copier.obstacle(artifact, run_dir / "b") or "")


def test_a_source_that_cannot_be_read_is_as_if_it_were_gone(
    run_dir: Path, copier: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run_dir / "a").write_text("bytes")
    artifact = recorded(run_dir / "a", copier)

    def unreadable(*_args: Any, **_kwargs: Any) -> Any:
        raise InputError("Permission denied")

    monkeypatch.setattr(Digester, "digest", unreadable)
    with pytest.raises(ArtifactMissingError):
        copier.source_of(artifact)


# ---------------------------------------------------------------- where a run's files go


def test_files_keep_their_place_in_the_folder_and_others_go_by_name(run_dir: Path, tmp_path: Path) -> None:
    copier = Copier(UriMap(run_dir=str(run_dir)), FULL)
    for path in (run_dir / "old" / "sub" / "x", tmp_path / "x", run_dir / "old" / "x"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(path))
    items = [
        (key, recorded(path, copier))
        for key, path in (("k", run_dir / "old" / "sub" / "x"), ("l", tmp_path / "x"), ("m", run_dir / "old" / "x"))
    ]
    new = run_dir / "new"
    assert layout(items, run_dir / "old", new) == {"k": new / "sub" / "x", "l": new / "x", "m": new / "m" / "x"}


def test_a_key_that_leads_out_of_the_folder_names_no_place(run_dir: Path, copier: Copier) -> None:
    (run_dir / "x").write_text("x")
    artifact = recorded(run_dir / "x", copier)
    with pytest.raises(PathError, match="leaves"):
        layout([("a", artifact), ("../b", artifact)], run_dir / "old", run_dir / "new")
