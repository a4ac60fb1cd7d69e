"""Texts that somebody wants taken for a path, in every argument and every recorded place (S3, CWE-22)."""

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import consist_es as consist
from consist_es import ExecutionOptions, OutputSet, Tracker
from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import Digester, artifact_of_event, describe
from consist_es.artifacts.materialize import Copier, layout
from consist_es.artifacts.snapshot import Snapshot
from consist_es.artifacts.uris import UriMap, below, inside
from consist_es.errors import ConsistError, PathError
from consist_es.execution.collect import log_set
from consist_es.execution.current import top
from consist_es.steps.options import OutputArtifactSpec
from consist_es.steps.outputs import declared_path
from tests.support.api import NONE, made
from tests.support.hostile import LONG, TRAVERSALS

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)
PATHLIKE = st.lists(
    st.sampled_from(["..", ".", "/", "\\", "%2e", "%2F", "\0", "a", "~", "://", "data", "file", "./", "%00", "\ud800"]),
    max_size=12,
).map("".join)
TEXTS = st.one_of(ANYTHING, PATHLIKE)
_ID = uuid.UUID(int=0)
ROOT = "/srv/project/runs"
URIS = UriMap(run_dir=ROOT, mounts={"data": "/srv/data", "file2": "/srv/other"})


@pytest.fixture
def kept(here: Path) -> Iterator[Path]:
    """The run directory of a tracker in the folder ``a/b/c``; whatever else appears or changes is an escape."""
    run_dir = here / "a" / "b" / "c" / "runs"
    run_dir.mkdir(parents=True)
    (here / "victim").mkdir()
    (here / "victim" / "x").write_text("mine")
    os.chdir(run_dir.parent)
    before = set(here.rglob("*"))
    yield run_dir
    new = {path for path in here.rglob("*") if run_dir not in path.parents} - before
    assert {
        path for path in new if path.parts[-1].split(".")[0] != "project" and "project.events" not in path.parts
    } == set()
    assert (here / "victim" / "x").read_text() == "mine"
    assert [name for name in ("/tmp/hostile-x", "/etc/hostile-x") if os.path.lexists(name)] == []


def tried(call: Callable[[str], Any], text: str) -> Any:
    """What a call gives; None where it refuses in our own words. Anything else that is raised fails the test."""
    with contextlib.suppress(ConsistError):
        return call(text)
    return None


# ---------------------------------------------------------------- arguments


def test_no_text_leads_out_of_the_folder_of_a_run(kept: Path) -> None:
    def step() -> None:
        context = consist.current_run()
        folder = consist.output_dir()
        calls: list[Callable[[str], Any]] = [
            consist.output_dir,
            consist.output_path,
            lambda text: consist.output_path(text, "txt"),
            lambda text: consist.output_path("x", text),
        ]
        for call in calls:
            for text in TRAVERSALS:
                found = tried(call, text)
                assert found is None or found == folder or folder in Path(os.path.realpath(found)).parents, text
        assert context is not None

    with Tracker(kept, kept.parent / "project.db") as tracker:
        tracker.run(step, execution_options=NONE)


def test_no_name_of_a_subfolder_leads_out_of_the_outputs(kept: Path) -> None:
    names = iter(TRAVERSALS)
    with Tracker(kept, kept.parent / "project.db", run_subdir_fn=lambda _run: next(names)) as tracker:
        for index, _ in enumerate(TRAVERSALS):
            tried(lambda i: tracker.run(made, name="s", config={"i": i}, execution_options=NONE), str(index))


def test_declared_outputs_are_inside_or_where_the_user_says_in_full() -> None:
    folder = Path(ROOT) / "outputs"
    roots = [str(folder), *URIS.mounts.values()]
    for text in TRAVERSALS:
        found = tried(lambda given: declared_path("k", OutputArtifactSpec(given), folder, URIS, None), text)
        if found is not None and not text.startswith(("/", "file://")):
            assert any(below(os.path.normpath(found), root) is not None for root in roots), text


def test_no_target_of_a_copy_leads_out(kept: Path) -> None:
    source = kept / "source.txt"
    source.write_text("bytes")
    uris, digester = UriMap.of(kept, {"data": kept / "data"}), Digester("full", None)
    event = describe(source, key="k", direction="output", uris=uris, digester=digester)
    artifact = artifact_of_event(event, uris, run_id=None)
    copier = Copier(uris, digester)

    def staged(text: str) -> None:
        copier.copy(artifact, uris.resolve_given(text), reason="test")

    def beside(text: str) -> None:
        copier.copy(artifact, kept / text, reason="test")

    for text in TRAVERSALS:
        tried(staged, text)
        tried(beside, text)


def test_no_pattern_captures_outside_the_folder(kept: Path) -> None:
    for number, text in enumerate(TRAVERSALS):
        snapshot = tried(lambda pattern: Snapshot.take(kept, pattern, recursive=True), text)
        if snapshot is not None:
            (kept / f"{number}").write_text("x")
            assert all(kept in path.parents for path in snapshot.appeared()), text


def test_no_root_or_pattern_of_an_output_set_leads_out(kept: Path) -> None:
    def step() -> None:
        frame = top()
        assert frame is not None
        run = frame.run
        assert run is not None
        for number, text in enumerate(TRAVERSALS):
            specs = [OutputSet(".", text, recursive=True)]
            specs += [] if text.startswith("/") else [OutputSet(text, "*")]
            for spec in specs:
                with contextlib.suppress(ConsistError):
                    log_set(run, f"k{number}", spec, None)
        assert [item.path for item in run.outputs.values() if kept not in item.path.parents] == []

    with Tracker(kept, kept.parent / "project.db") as tracker:
        tracker.run(step, execution_options=NONE)


@pytest.mark.parametrize("argument", ["run_dir", "db_path", "mounts"])
def test_every_text_is_a_place_for_a_project_or_refused(kept: Path, argument: str) -> None:
    """These three are the user's own choice of a place; they are refused, or taken as they are, but never crash."""
    here = [text for text in TRAVERSALS if not text.startswith(("/", "~")) and ".." not in text and text.strip("./ ")]
    for number, text in enumerate(here):
        (kept / str(number)).mkdir()
        os.chdir(kept / str(number))
        given: dict[str, Any] = {"run_dir": "runs-here", "db_path": "project-here.db"}
        given[argument] = {"m": text} if argument == "mounts" else text
        with contextlib.suppress(ConsistError), Tracker(**given) as tracker:
            tracker.run(made, execution_options=NONE)


@pytest.mark.parametrize("argument", ["inputs", "depends_on", "identity_inputs"])
def test_an_input_that_is_no_path_is_refused_with_nothing_recorded(kept: Path, argument: str) -> None:
    with Tracker(kept, kept.parent / "project.db") as tracker:
        for text in TRAVERSALS:
            if os.path.lexists(os.path.abspath(text)):
                continue  # ``a/..`` is a folder like any other
            given: dict[str, Any] = {argument: {"raw": text} if argument == "inputs" else [text]}
            with pytest.raises(ConsistError):
                tracker.run(lambda: None, name="s", execution_options=NONE, **given)
        assert tracker.project.log.head().seq == 0


def test_staging_refuses_every_place_outside(kept: Path, here: Path) -> None:
    raw = kept / "raw.txt"
    raw.write_text("raw")
    with Tracker(kept, kept.parent / "project.db") as tracker:
        for text in (
            "../x",
            str(here / "victim" / "x"),
            "/etc/hostile-x",
            "file:///etc/hostile-x",
            "../\0",
            f"../{LONG}",
        ):
            options = ExecutionOptions(
                input_binding="paths", input_materialization="requested", input_paths={"raw": text}
            )
            with pytest.raises(ConsistError):
                tracker.run(lambda raw: None, name="s", inputs={"raw": raw}, execution_options=options)


# ---------------------------------------------------------------- recorded places


@pytest.mark.parametrize("prefix", ["", "./", "data://", "file://"])
def test_a_recorded_place_is_below_its_root_or_refused(prefix: str) -> None:
    for text in TRAVERSALS:
        if (found := tried(URIS.resolve, prefix + text)) is not None:
            assert_sound(prefix + text, found)


def assert_sound(uri: str, found: Path) -> None:
    """A resolved URI names one place: absolute, without a way back, and below the root that it speaks of."""
    assert found.is_absolute()
    assert "\0" not in str(found)
    assert ".." not in found.parts
    scheme, colon, _ = uri.partition("://")
    if uri.startswith("./"):
        assert below(str(found), ROOT) is not None
    elif colon and scheme in URIS.mounts:
        assert below(str(found), URIS.mounts[scheme]) is not None


@settings(max_examples=400)
@given(st.sampled_from(["", "./", "data://", "file2://", "file://", "other://"]), TEXTS)
@example("./", "%2e%2e/x")
@example("", "..")
def test_fuzzed_places_are_below_their_root_or_refused(prefix: str, text: str) -> None:
    try:
        found = URIS.resolve(prefix + text)
    except PathError:
        return
    assert_sound(prefix + text, found)


@settings(max_examples=400)
@given(TEXTS)
def test_fuzzed_names_are_inside_or_refused(text: str) -> None:
    try:
        found = inside("/srv/root", text, text)
    except PathError:
        return
    assert below(os.path.normpath(found), "/srv/root") is not None


@settings(max_examples=200)
@given(root=TEXTS, rel=TEXTS)
def test_a_recorded_root_that_is_no_root_is_not_used(root: str, rel: str) -> None:
    artifact = Artifact(id=_ID, key="k", container_uri="./x", driver="csv", uris=URIS, root=root)
    here, *there = artifact.locations
    assert here == Path(ROOT, "x")
    assert all(place.is_absolute() and ".." not in place.parts for place in there)


@settings(max_examples=200)
@given(key=TEXTS)
def test_a_recorded_key_names_no_place_outside(key: str) -> None:
    folder = Path("/srv/new")
    one, two = (
        Artifact(id=_ID, key="k", container_uri=uri, driver="csv", uris=URIS) for uri in ("./a/x.csv", "data://x.csv")
    )
    try:
        places = layout([("plain", one), (key, two), (f"{key}/", two)], Path("/elsewhere"), folder)
    except PathError:
        return
    assert all(below(os.path.normpath(place), str(folder)) is not None for place in places.values())
