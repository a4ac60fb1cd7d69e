"""Inputs that count by what is in their arrays: written anew they hit, changed they miss by the item's name."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest

import consist_es as consist
from consist_es import CacheOptions, RunResult, Tracker, errors
from consist_es.adapters import array_contents
from consist_es.runs.why import Why
from consist_es.steps import contents as of_inputs
from tests.support.api import PATHS

BY_CONTENT = CacheOptions(input_identity={"skims": "content"})


def skims(path: Path, **changes: Any) -> Path:
    """A file of matrices as OMX has them; every call writes it anew."""
    path.unlink(missing_ok=True)
    with h5py.File(path, "w", track_order=changes.get("tracked", False)) as file:
        for name in changes.get("names", ("DIST", "TIME")):
            values = np.full((4, 4), changes.get(name, 1.0), dtype=changes.get("dtype", "f8"))
            options = {
                name: changes[name] for name in ("compression", "chunks", "fillvalue", "maxshape") if name in changes
            }
            file.create_dataset(f"data/{name}", data=values, track_times=changes.get("times", False), **options)
        file["lookup/zones"] = np.arange(changes.get("zones", 4))
        file["labels"] = np.array(["a", "é"], dtype=h5py.string_dtype())
        file.attrs["history"] = changes.get("history", "made")
        file.attrs["unit"] = changes.get("unit", "km")
        file.attrs["n"] = np.array(changes.get("n", 1), dtype=changes.get("n_type", "i8"))
    return path


def assign(skims: Path) -> Path:
    path = consist.output_path("total", ext="txt")
    with h5py.File(skims) as file:
        path.write_text(str(file["data/DIST"][()].sum()))
    return path


def why(tracker: Tracker, result: RunResult) -> Why:
    found = tracker.get_run(result.run.id)
    assert found is not None
    return found.why()


def run(tracker: Tracker, path: Path, options: CacheOptions = BY_CONTENT, **more: Any) -> RunResult:
    given: dict[str, Any] = {"inputs": {"skims": path}, "cache_options": options, "execution_options": PATHS}
    return tracker.run(assign, **{**given, **more})


@pytest.fixture
def tracker(here: Path) -> Any:
    with Tracker("runs", "p.db", project_root=".") as opened:
        yield opened


NOISE: dict[str, dict[str, Any]] = {
    "written again": {},
    "times in the file": {"times": True},
    "compression": {"compression": "gzip"},
    "chunks": {"chunks": (2, 2)},
    "history": {"history": "made again"},
    "the order of writing": {"names": ("TIME", "DIST")},
}
CHANGED: dict[str, tuple[dict[str, Any], str]] = {
    "value": ({"DIST": 2.0}, "/data/DIST differs"),
    "type": ({"dtype": "f4"}, "/data/DIST differs"),
    "byte order": ({"dtype": ">f8"}, "/data/DIST differs"),
    "minus zero": ({"DIST": -0.0, "TIME": 0.0}, "/data/DIST differs"),
    "fewer": ({"names": ("DIST",)}, "/data/TIME removed"),
    "more": ({"names": ("DIST", "TIME", "COST")}, "/data/COST added"),
    "dimension": ({"zones": 5}, "/lookup/zones differs"),
    "attribute": ({"unit": "mi"}, "/ differs"),
    "type of an attribute": ({"n_type": "i4"}, "/ differs"),
    "fill value": ({"fillvalue": 7.0, "chunks": (2, 2)}, "/data/DIST differs"),
    "how far it may grow": ({"maxshape": (None, 4)}, "/data/DIST differs"),
    "an order that is kept": ({"tracked": True, "names": ("TIME", "DIST")}, "/ differs"),
}


@pytest.mark.parametrize("what", NOISE)
def test_the_same_arrays_written_in_another_way_are_a_hit_that_says_so(tracker: Tracker, here: Path, what: str) -> None:
    first = run(tracker, skims(here / "skims.omx", history="first"))
    again = run(tracker, skims(here / "skims.omx", **NOISE[what]))
    assert not first.cache_hit
    assert again.cache_hit
    assert "input 'skims': other bytes, with the same content" in str(why(tracker, again))
    then, now = (tracker.get_artifacts_for_run(run_id).inputs["skims"].hash for run_id in ("assign#1", "assign#2"))
    assert then != now  # the bytes are recorded all the same


@pytest.mark.parametrize("what", CHANGED)
def test_what_a_reader_could_see_is_a_miss_named_at_the_item(tracker: Tracker, here: Path, what: str) -> None:
    run(tracker, skims(here / "skims.omx"))
    changes, said = CHANGED[what]
    again = run(tracker, skims(here / "skims.omx", **changes))
    assert not again.cache_hit
    found = why(tracker, again)
    assert found.reason == "inputs_changed"
    assert f"input 'skims': {said}" in found.differs


def test_bytes_count_unless_content_was_asked_for(tracker: Tracker, here: Path) -> None:
    for options in (CacheOptions(), CacheOptions(input_identity={"skims": "bytes"})):
        run(tracker, skims(here / "skims.omx", history=str(options)), options)
        assert not run(tracker, skims(here / "skims.omx", history=f"again {options}"), options).cache_hit
        assert run(tracker, here / "skims.omx", options).cache_hit


def test_a_run_by_bytes_and_one_by_content_do_not_answer_for_each_other(tracker: Tracker, here: Path) -> None:
    path = skims(here / "skims.omx")
    run(tracker, path, CacheOptions())
    assert not run(tracker, path).cache_hit
    assert run(tracker, path).cache_hit
    assert run(tracker, path, CacheOptions()).cache_hit


def test_the_rest_of_a_difference_is_told_without_bytes_that_do_not_count(tracker: Tracker, here: Path) -> None:
    run(tracker, skims(here / "skims.omx"), config={"growth": 1})
    again = run(tracker, skims(here / "skims.omx", history="x"), config={"growth": 2})
    assert why(tracker, again).differs == ["config.growth: 1 -> 2"]


def test_an_artifact_of_a_step_counts_by_content_as_well(tracker: Tracker, here: Path) -> None:
    def make(stamp: str) -> Path:
        return skims(consist.output_path("skims", ext="omx"), history=stamp)

    hits = []
    for stamp in ("a", "b"):
        options = consist.ExecutionOptions(runtime_kwargs={"stamp": stamp})
        made = tracker.run(make, config={"stamp": stamp}, execution_options=options)
        hits.append(run(tracker, made.outputs["make"].path, inputs={"skims": consist.ref(made)}).cache_hit)
    assert hits == [False, True]


def test_the_second_look_reads_no_arrays(tracker: Tracker, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = skims(here / "skims.omx")
    run(tracker, path)
    looks: list[Path] = []

    def look(path: Path) -> dict[str, Any]:
        looks.append(path)
        return array_contents.contents(path)

    monkeypatch.setattr(of_inputs, "contents", look)
    assert run(tracker, path).cache_hit
    assert looks == []
    run(tracker, skims(path, history="other bytes"))
    assert len(looks) == 1


def test_a_file_that_changes_while_it_is_read_is_no_input(
    tracker: Tracker, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = skims(here / "skims.omx")

    def late(path: Path) -> dict[str, Any]:
        return array_contents.contents(skims(path, DIST=9.0))

    monkeypatch.setattr(of_inputs, "contents", late)
    with pytest.raises(errors.InputError, match="changed while it was read"):
        run(tracker, path)
    monkeypatch.undo()
    skims(path)
    assert not run(tracker, path).cache_hit
    assert not run(tracker, skims(path, DIST=9.0)).cache_hit


def test_long_attributes_are_taken_and_names_that_are_no_text_refused(tracker: Tracker, here: Path) -> None:
    path = here / "odd.h5"
    hits = []
    for first in (0, 0, 1):
        with h5py.File(path, "w") as file:
            file["data/DIST"] = [1.0]
            file.create_group("g", track_order=True).attrs.create("long", np.arange(first, first + 300_000))
        hits.append(run(tracker, path).cache_hit)
    assert hits == [False, True, False]
    with h5py.File(path, "a") as file:
        file[b"a\xff"] = 1
    with pytest.raises(errors.ConfigFileError, match="a name in it is not UTF-8"):
        run(tracker, path)


def test_the_order_of_arrays_counts_where_the_file_keeps_one(tracker: Tracker, here: Path) -> None:
    path = here / "ordered.nc"
    hits = []
    for names in (("TIME", "DIST"), ("TIME", "DIST"), ("DIST", "TIME")):
        with h5py.File(path, "w") as file:
            group = file.create_group("data", track_order=True)
            for name in names:
                group[name] = [1.0]
        hits.append(run(tracker, path).cache_hit)
    assert hits == [False, True, False]


def test_many_arrays_are_recorded_once_for_all_runs(tracker: Tracker, here: Path) -> None:
    path = skims(here / "skims.omx", names=[f"M{number:04}" for number in range(300)] + ["DIST"])
    for growth in (1, 2):
        run(tracker, path, config={"growth": growth})
    assert run(tracker, path, config={"growth": 2}).cache_hit
    again = run(tracker, skims(path, names=[f"M{number:04}" for number in range(300)] + ["DIST"], M0007=2.0))
    assert "input 'skims': /data/M0007 differs" in why(tracker, again).differs
    with closing(sqlite3.connect("p.db")) as views:
        counts = views.execute("SELECT count(DISTINCT digest) FROM shared_parts WHERE part = 'contents'").fetchall()
        infos = views.execute("SELECT fingerprint_info FROM runs").fetchall()
    assert counts == [(2,)]
    assert all(len(json.loads(info)["contents"]["skims"]) > 300 for (info,) in infos)


def store(path: Path, value: float, **attributes: Any) -> Path:
    zarr: Any = pytest.importorskip("zarr")
    group = zarr.open_group(str(path), mode="w")
    array = group.create_array("DIST", shape=(2, 2), chunks=(2, 2), dtype="f8")
    array[:] = value
    group.attrs.update(attributes)
    return path


def read_nothing(skims: Path) -> Path:
    path = consist.output_path("nothing", ext="txt")
    path.write_text("1")
    return path


def test_a_zarr_store_counts_without_its_notes(tracker: Tracker, here: Path) -> None:
    given: dict[str, Any] = {"cache_options": BY_CONTENT, "execution_options": PATHS}
    hits = [
        tracker.run(
            read_nothing, inputs={"skims": store(here / "skims.zarr", value, history=history)}, **given
        ).cache_hit
        for value, history in ((1.0, "a"), (1.0, "b"), (2.0, "b"))
    ]
    assert hits == [False, True, False]


def test_what_cannot_be_read_as_arrays_is_one_clear_error_and_records_nothing(tracker: Tracker, here: Path) -> None:
    (here / "text.csv").write_text("zone\n1\n")
    (here / "folder").mkdir()
    with h5py.File(here / "outside.h5", "w") as file:
        file["x"] = h5py.ExternalLink("other.h5", "/x")
    with h5py.File(here / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout(shape=(4,), dtype="i8")
        layout[:] = h5py.VirtualSource("other.h5", "x", shape=(4,))
        file.create_virtual_dataset("x", layout)
    with h5py.File(here / "raw.h5", "w") as file:
        file.create_dataset("x", (4,), "i8", external=[("raw.bin", 0, 32)])
    for name, said in {
        "text.csv": "not an HDF5 file that can be read",
        "folder": "not a Zarr store",
        "outside.h5": "/x is in another file",
        "virtual.h5": "/x is in another file",
        "raw.h5": "/x is in another file",
    }.items():
        with pytest.raises(errors.ConfigFileError, match=said) as caught:
            run(tracker, here / name)
        assert name in str(caught.value)
    wrong: list[tuple[Any, type[Exception], str]] = [
        ({"skim": "content"}, errors.UsageError, r"input_identity names \['skim'\], which are not inputs"),
        ({"skims": "contents"}, errors.OptionError, "input_identity"),
        ("content", errors.UsageTypeError, "takes a mapping of input to 'bytes' or 'content'"),
    ]
    for given, kind, said in wrong:
        with pytest.raises(kind, match=said):
            run(tracker, skims(here / "skims.omx"), CacheOptions(input_identity=given))
    assert tracker.find_runs() == []
