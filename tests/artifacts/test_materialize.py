"""Verified copies of artifacts."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from consist_es import Artifact, CacheOptions, ExecutionOptions, Tracker
from consist_es.artifacts.describe import Digester, artifact_of_event, describe
from consist_es.artifacts.materialize import Copier
from consist_es.artifacts.uris import UriMap
from consist_es.errors import ArtifactMissingError, MaterializeError, PathError

DIGESTER = Digester("full", None)


def artifact(path: Path, uris: UriMap) -> Artifact:
    event = describe(path, key="a", direction="output", uris=uris, digester=DIGESTER)
    return artifact_of_event(event, uris, run_id=None)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def copier(run_dir: Path) -> Copier:
    return Copier(UriMap(run_dir=str(run_dir)), DIGESTER)


def make_file(path: Path) -> None:
    path.write_text("bytes")


def make_folder(path: Path) -> None:
    (path / "sub").mkdir(parents=True)
    (path / "sub" / "x").write_text("x")
    (path / "link").symlink_to("sub/x")


def make_shapefile(path: Path) -> None:
    for suffix in (".shp", ".SHX", ".dbf", ".prj"):
        path.with_suffix(suffix).write_text(suffix)


@pytest.mark.parametrize(
    ("name", "target", "make", "names"),
    [
        ("a.txt", "b.txt", make_file, {"b.txt"}),
        ("d", "e", make_folder, {"e"}),
        ("zones.shp", "other.shp", make_shapefile, {"other.shp", "other.shx", "other.dbf", "other.prj"}),
    ],
)
def test_a_copy_has_the_recorded_bytes_and_nothing_else_is_left(
    run_dir: Path, copier: Copier, name: str, target: str, make: Callable[[Path], None], names: set[str]
) -> None:
    make(run_dir / name)
    recorded = artifact(run_dir / name, copier.uris)
    event = copier.copy(recorded, run_dir / "copies" / target, reason="test")
    assert DIGESTER.digest(run_dir / "copies" / target).value == recorded.hash == event.digest
    assert {path.name for path in (run_dir / "copies").iterdir()} == names
    assert event.uri == f"./copies/{target}"


def test_the_same_bytes_at_the_target_are_left_alone(run_dir: Path, copier: Copier) -> None:
    for name in ("a", "b"):
        make_file(run_dir / name)
    before = (run_dir / "b").stat().st_ino
    copier.copy(artifact(run_dir / "a", copier.uris), run_dir / "b", reason="test")
    assert (run_dir / "b").stat().st_ino == before


def test_other_bytes_at_the_target_are_refused_and_kept(run_dir: Path, copier: Copier) -> None:
    make_file(run_dir / "a")
    (run_dir / "b").write_text("mine")
    with pytest.raises(MaterializeError, match="another file is there already"):
        copier.copy(artifact(run_dir / "a", copier.uris), run_dir / "b", reason="test")
    assert (run_dir / "b").read_text() == "mine"


def test_what_a_copy_replaces_is_set_aside(run_dir: Path, copier: Copier) -> None:
    make_file(run_dir / "a")
    (run_dir / "b").write_text("mine")
    copier.copy(artifact(run_dir / "a", copier.uris), run_dir / "b", reason="test", replace=True)
    assert (run_dir / "b").read_text() == "bytes"
    assert [path.read_text() for path in run_dir.glob("b.replaced-*")] == ["mine"]


@pytest.mark.parametrize("how", ["direct", "parent link", "dots"])
def test_nothing_is_written_outside_the_run_directory(run_dir: Path, copier: Copier, how: str, tmp_path: Path) -> None:
    make_file(run_dir / "a")
    outside = tmp_path / "outside"
    outside.mkdir()
    (run_dir / "link").symlink_to(outside)
    target = {"direct": outside / "x", "parent link": run_dir / "link" / "x", "dots": run_dir / ".." / "outside" / "x"}
    with pytest.raises(PathError, match="allow_external_paths"):
        copier.copy(artifact(run_dir / "a", copier.uris), target[how], reason="test")
    assert list(outside.iterdir()) == []


def test_outside_is_written_with_consent(run_dir: Path, tmp_path: Path) -> None:
    make_file(run_dir / "a")
    copier = Copier(UriMap(run_dir=str(run_dir)), DIGESTER, allow_external=True)
    copier.copy(artifact(run_dir / "a", copier.uris), tmp_path / "x", reason="test")
    assert (tmp_path / "x").read_text() == "bytes"


@pytest.mark.parametrize("change", ["edited", "gone"])
def test_bytes_that_are_not_the_recorded_ones_are_never_copied(run_dir: Path, copier: Copier, change: str) -> None:
    make_file(run_dir / "a")
    recorded = artifact(run_dir / "a", copier.uris)
    (run_dir / "a").unlink()
    if change == "edited":
        (run_dir / "a").write_text("other")
    with pytest.raises(ArtifactMissingError, match="was not found"):
        copier.copy(recorded, run_dir / "b", reason="test")
    assert not os.path.lexists(run_dir / "b")


def upper(raw: Path) -> str:
    assert raw.name == "staged.txt"
    return raw.read_text().upper()


def test_an_input_is_staged_where_it_was_asked_for_also_on_a_hit(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path / "runs")
    (tmp_path / "raw.txt").write_text("raw")
    staged = tmp_path / "runs" / "work" / "staged.txt"
    options = ExecutionOptions(input_binding="paths", input_materialization="requested", input_paths={"raw": staged})

    def run(extra: str) -> bool:
        def step(raw: Path) -> Path:
            import consist_es

            out = consist_es.output_path("o", "txt")
            out.write_text(upper(raw))
            return out

        result = tracker.run(
            step, inputs={"raw": tmp_path / "raw.txt"}, outputs=["o"], config={"e": extra}, execution_options=options
        )
        return result.cache_hit

    assert run("1") is False
    staged.unlink()
    assert run("1") is True
    assert staged.read_text() == "raw"


def test_an_input_path_that_names_no_input_is_refused(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path / "runs")
    options = ExecutionOptions(input_materialization="requested", input_paths={"typo": tmp_path / "x"})
    with pytest.raises(ValueError, match="'typo'"):
        tracker.run(lambda: None, name="s", execution_options=options, cache_options=CacheOptions())
