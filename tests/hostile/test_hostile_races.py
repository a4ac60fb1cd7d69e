"""Somebody swaps folders for links while files are written: nothing ever lands outside (S4, CWE-59 and CWE-367)."""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from consist_es.artifacts import materialize
from consist_es.artifacts.copies import copy_path, held
from consist_es.artifacts.describe import Digester, artifact_of_event, describe
from consist_es.artifacts.materialize import Copier
from consist_es.artifacts.uris import UriMap
from consist_es.errors import ArtifactMissingError, MaterializeError, PathError
from consist_es.events import ArtifactLogged
from tests.support.hostile import everything, exchange, swapping

DIGESTER = Digester("full", None)
ATTEMPTS = 2000
"""The night form is row S4 of tools/torture."""


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    for name in ("runs/in/sub", "runs/in/other", "outside/sub"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "runs" / "source.txt").write_text("bytes")
    (tmp_path / "runs" / "in" / "link").symlink_to(tmp_path / "outside" / "sub")
    return tmp_path / "runs"


def attempts(run_dir: Path, number: int) -> dict[str, int]:
    """Copy into a folder that is swapped for a link all the time, and count what comes of it."""
    copier = Copier(UriMap(run_dir=str(run_dir)), DIGESTER)
    event: ArtifactLogged = describe(
        run_dir / "source.txt", key="k", direction="output", uris=copier.uris, digester=DIGESTER
    )
    artifact = artifact_of_event(event, copier.uris, run_id=None)
    outcome = {"copied": 0, "refused": 0}
    with swapping(run_dir / "in" / "sub", run_dir / "in" / "link"):
        for index in range(number):
            try:
                copier.copy(artifact, run_dir / "in" / "sub" / f"deep{index % 7}" / f"{index}.txt", reason="test")
                outcome["copied"] += 1
            except (PathError, MaterializeError):
                outcome["refused"] += 1
    return outcome


def test_a_copy_never_lands_outside_however_folders_and_links_are_swapped(run_dir: Path) -> None:
    outcome = Counter(attempts(run_dir, ATTEMPTS))
    while not (outcome["copied"] and outcome["refused"]) and outcome.total() < 20 * ATTEMPTS:
        outcome.update(attempts(run_dir, ATTEMPTS))  # on a busy machine the swapper may get no turn
    assert everything(run_dir.parent / "outside") == {"sub": "folder"}
    assert outcome["copied"] > 0
    assert outcome["refused"] > 0


@contextmanager
def by_path(folder: Path, _roots: Sequence[str]) -> Iterator[Path]:
    """What `held` is there to replace: the path that was checked, used again."""
    folder.mkdir(parents=True, exist_ok=True)
    yield folder


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "by the path"])
def test_a_swap_at_the_worst_moment_leads_only_an_unguarded_copy_outside(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    check = Copier.check_place

    def checked_and_swapped(self: Copier, target: Path) -> None:
        check(self, target)
        exchange(run_dir / "in" / "sub", run_dir / "in" / "link")

    monkeypatch.setattr(Copier, "check_place", checked_and_swapped)
    if not guarded:
        monkeypatch.setattr(materialize, "held", by_path)
    copier = Copier(UriMap(run_dir=str(run_dir)), DIGESTER)
    event = describe(run_dir / "source.txt", key="k", direction="output", uris=copier.uris, digester=DIGESTER)
    with suppress(PathError):
        copier.copy(artifact_of_event(event, copier.uris, run_id=None), run_dir / "in" / "sub" / "x", reason="test")
    escaped = everything(run_dir.parent / "outside") != {"sub": "folder"}
    assert escaped is not guarded


def test_a_folder_that_is_held_stays_the_one_that_was_checked(run_dir: Path) -> None:
    with held(run_dir / "in" / "sub", [str(run_dir)]) as folder:
        (run_dir / "in" / "sub").rename(run_dir / "in" / "moved")
        (run_dir / "in" / "sub").symlink_to(run_dir.parent / "outside")
        (folder / "x").write_text("x")
    assert (run_dir / "in" / "moved" / "x").read_text() == "x"
    assert everything(run_dir.parent / "outside") == {"sub": "folder"}


def test_a_folder_outside_its_roots_is_not_held_and_not_made(run_dir: Path) -> None:
    outside = run_dir.parent / "outside"
    for folder in (outside / "new", run_dir / "in" / "link" / "new", run_dir / ".." / "outside" / "new"):
        with pytest.raises(PathError, match="lies outside"), held(folder, [str(run_dir)]):
            pass
    assert everything(outside) == {"sub": "folder"}


def test_links_that_stay_inside_are_followed_as_before(run_dir: Path) -> None:
    (run_dir / "in" / "short").symlink_to(run_dir / "in" / "other")
    with held(run_dir / "in" / "short" / "new", [str(run_dir)]) as folder:
        (folder / "x").write_text("x")
    assert (run_dir / "in" / "other" / "new" / "x").read_text() == "x"


def test_a_link_at_the_target_itself_is_not_followed(run_dir: Path) -> None:
    outside = run_dir.parent / "outside" / "victim.txt"
    outside.write_text("mine")
    (run_dir / "in" / "x.txt").symlink_to(outside)
    copier = Copier(UriMap(run_dir=str(run_dir)), DIGESTER)
    event = describe(run_dir / "source.txt", key="k", direction="output", uris=copier.uris, digester=DIGESTER)
    artifact = artifact_of_event(event, copier.uris, run_id=None)
    with pytest.raises(PathError):
        copier.copy(artifact, run_dir / "in" / "x.txt", reason="test", replace=True)
    assert outside.read_text() == "mine"


# ---------------------------------------------------------------- what a copy takes with it


def test_a_copy_does_not_run_with_its_owners_rights(tmp_path: Path) -> None:
    source = tmp_path / "tool"
    source.write_text("#!/bin/sh\n")
    source.chmod(0o6755)
    before = os.umask(0o027)
    try:
        copy_path(source, tmp_path / "copy")
        (tmp_path / "folder").mkdir()
        source.rename(tmp_path / "folder" / "tool")
        copy_path(tmp_path / "folder", tmp_path / "copies")
    finally:
        os.umask(before)
    for copy in (tmp_path / "copy", tmp_path / "copies" / "tool"):
        assert stat.S_IMODE(copy.stat().st_mode) == 0o750


def test_links_in_a_folder_are_copied_as_links(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "folder" / "below").mkdir(parents=True)
    (tmp_path / "folder" / "below" / "x").write_text("x")
    (tmp_path / "folder" / "link").symlink_to("below/x")
    (tmp_path / "folder" / "nowhere").symlink_to("gone")
    copy_path(tmp_path / "folder", tmp_path / "copy")
    assert everything(tmp_path / "copy") == everything(tmp_path / "folder")
    (tmp_path / "folder" / "out").symlink_to(tmp_path / "secret")
    copy_path(tmp_path / "folder", tmp_path / "other copy")
    assert (tmp_path / "other copy" / "out").read_text() == "secret"  # it counts by what it leads to
    assert not (tmp_path / "other copy" / "out").is_symlink()


def test_a_source_that_became_a_fifo_is_an_error_and_no_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        copy_path(tmp_path / "pipe", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_what_the_system_refuses_is_an_error_that_names_key_and_target(run_dir: Path) -> None:
    copier = Copier(UriMap(run_dir=str(run_dir)), DIGESTER)
    event = describe(run_dir / "source.txt", key="k", direction="output", uris=copier.uris, digester=DIGESTER)
    artifact = artifact_of_event(event, copier.uris, run_id=None)
    with pytest.raises(PathError, match="a name in it has 256 bytes") as caught:
        copier.copy(artifact, run_dir / ("n" * 256), reason="test")
    assert "/proc/" not in str(caught.value)
    (run_dir / "source.txt").unlink()
    with pytest.raises(ArtifactMissingError):
        copier.copy(artifact, run_dir / "copy", reason="test")
