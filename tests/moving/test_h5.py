"""HDF5 files with their tables as artifacts, and the matrices of OMX files."""

import importlib
import shutil
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import Artifact, NoopArtifact, Tracker, errors
from consist_es.steps.h5 import H5ChildSpec

h5py = pytest.importorskip("h5py")


def write(path: Path, **more: Any) -> Path:
    """An HDF5 file as models write them: tables of records, arrays, text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    numpy = importlib.import_module("numpy")
    with h5py.File(path, "w") as file:
        records = numpy.array([(1, 2.5, b"a"), (2, 3.5, b"b")], dtype=[("id", "i8"), ("size", "f8"), ("kind", "S1")])
        file["2020/households"] = records
        file["2020/persons"] = numpy.arange(3)
        file["2030/households"] = records[:1]
        file["names"] = ["x", "y"]
        for name, values in more.items():
            file[name] = values
    return path


def write_omx(path: Path, size: int = 2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    numpy = importlib.import_module("numpy")
    with h5py.File(path, "w") as file:
        file.attrs["OMX_VERSION"] = b"0.2"
        file.attrs["SHAPE"] = [size, size]
        file["data/TIME"] = numpy.arange(size * size, dtype="f4").reshape(size, size)
        file["data/DIST"] = numpy.ones((size, size))
        file["data/TIME"].attrs["unit"] = b"min"
        file["lookup/zone"] = numpy.arange(size)
    return path


@pytest.fixture
def tracker(tmp_path: Path) -> Tracker:
    return Tracker(tmp_path / "runs", project_root=tmp_path)


def only(**keys: str) -> dict[str, Any]:
    specs = {f"2020/{table}": H5ChildSpec(key=key) for table, key in keys.items()}
    return {"child_specs": specs, "child_selection": "include_only"}


# ---------------------------------------------------------------- containers


def test_a_container_has_a_child_for_each_table(tracker: Tracker, tmp_path: Path) -> None:
    path = write(tmp_path / "store.h5")
    with tracker.trace("make") as t:
        container, children = t.log_h5_container(path)
    assert (container.key, container.driver, container.run_id) == ("store", "h5", children[0].run_id)
    assert (container.meta["is_container"], container.meta["table_count"]) == (True, 4)
    assert [(child.key, child.table_path, child.rows) for child in children] == [
        ("store_2020_households", "/2020/households", 2),
        ("store_2020_persons", "/2020/persons", 3),
        ("store_2030_households", "/2030/households", 1),
        ("store_names", "/names", 2),
    ]
    assert {child.driver for child in children} == {"h5_table"}
    assert {child.parent_artifact_id for child in children} == {container.id}
    assert {(child.path, child.hash, child.size) for child in children} == {(path, container.hash, container.size)}
    assert children[0].schema == {"id": "int64", "size": "float64", "kind": "bytes8"}
    assert children[1].schema == {"persons": "int64"}
    # as the log has them
    assert tracker.get_child_artifacts(container) == children
    assert tracker.get_parent_artifact(children[2]) == container
    assert tracker.get_parent_artifact(container) is None
    kept = tracker.get_run_outputs(str(container.run_id))
    assert [kept[child.key].table_path for child in children] == [child.table_path for child in children]


def test_filters_and_specs_choose_and_name_children(tracker: Tracker, tmp_path: Path) -> None:
    path = write(tmp_path / "store.h5")
    spec = H5ChildSpec(
        key="households_2020", description="Those of 2020", facet={"year": 2020}, metadata={"group": "population"}
    )
    with tracker.trace("make") as t:
        _, by_function = t.log_h5_container(path, "a", table_filter=lambda name: name.endswith("households"))
        _, by_list = t.log_h5_container(path, "b", table_filter=["2020/persons", "/names"])
        _, mixed = t.log_h5_container(path, "c", child_specs={"2020/households": spec})
        chosen, some = t.log_h5_container(
            path, "d", child_specs={"/2020/households": H5ChildSpec(key="h2")}, child_selection="include_only"
        )
    assert [child.table_path for child in by_function] == ["/2020/households", "/2030/households"]
    assert [child.key for child in by_list] == ["b_2020_persons", "b_names"]
    assert [child.key for child in mixed] == ["households_2020", "c_2020_persons", "c_2030_households", "c_names"]
    assert (mixed[0].facet, mixed[0].meta["description"]) == ({"year": 2020}, "Those of 2020")
    assert mixed[0].meta["group"] == "population"
    assert "description" not in mixed[1].meta
    assert [child.key for child in some] == ["h2"]
    assert chosen.meta["table_count"] == 1


def test_keys_of_children_are_valid_and_differ(tracker: Tracker, tmp_path: Path) -> None:
    path = write(tmp_path / "my store.h5", **{"2020_persons": [1], "odd name (x)": [1], "a..b": [1], "é": [1]})
    with tracker.trace("make") as t:
        container, children = t.log_h5_container(path)
    assert container.key == "my_store"
    keys = [child.key for child in children]
    assert len(set(keys)) == len(keys) == 8
    assert {"my_store_2020_persons", "my_store_2020_persons_2", "my_store_odd_name_x", "my_store_a_b"} <= set(keys)


def test_what_clients_pass_is_kept(tracker: Tracker, tmp_path: Path) -> None:
    path = write(tmp_path / "store.h5")
    with tracker.trace("make") as t:
        container, _ = t.log_h5_container(
            str(path),
            key="usim",
            direction="output",
            hash_tables="if_unchanged",
            table_hash_chunk_rows=1000,
            container_recovery_unit="parent_file",
            child_recovery_policy="descriptive_only",
            representation_policy={"tabular_parquet": {"role": "none"}},
            profile_file_schema=True,
            description="The datastore",
            facet={"year": 2020},
            h5_table_count=2,
        )
    assert container.facet == {"year": 2020}
    assert {name: container.meta[name] for name in ("container_recovery_unit", "child_recovery_policy")} == {
        "container_recovery_unit": "parent_file",
        "child_recovery_policy": "descriptive_only",
    }
    assert container.meta["representation_policy"] == {"tabular_parquet": {"role": "none"}}
    assert (container.meta["description"], container.meta["h5_table_count"]) == ("The datastore", 2)


def test_without_discovery_nothing_is_read(tracker: Tracker, tmp_path: Path) -> None:
    path = tmp_path / "no.h5"
    path.write_text("no HDF5")
    with tracker.trace("make") as t:
        container, children = t.log_h5_container(path, discover_tables=False)
        with pytest.raises(errors.InputError, match=r"no\.h5 cannot be read as HDF5"):
            t.log_h5_container(path, "other")
    assert (container.driver, children) == ("h5", [])
    assert list(tracker.get_run_outputs(str(container.run_id))) == ["no"]


@pytest.mark.parametrize(
    ("keywords", "error", "said"),
    [
        ({"hash_tables": "always"}, errors.UsageError, "hash_tables='always' is not provided"),
        ({"hash_tables": "sometimes"}, errors.OptionError, "hash_tables"),
        ({"child_selection": "some"}, errors.OptionError, "child_selection"),
        ({"child_recovery_policy": "independent"}, errors.UsageError, "restored with its file"),
        ({"container_recovery_unit": "derived_children"}, errors.UsageError, "restored with its file"),
        ({"table_filter": "names"}, errors.UsageTypeError, "table_filter takes"),
        ({"table_filter": 3}, errors.UsageTypeError, "table_filter takes"),
        ({"child_specs": {"names": "x"}}, errors.UsageTypeError, "child_specs takes"),
        (only(households="x", persons="x"), errors.UsageError, "'x' is that of /2020/households and of /2020/persons"),
        (only(households="store"), errors.UsageError, "'store' is that of the file itself"),
        (only(households="a..b"), errors.KeyNameError, "key of an H5ChildSpec"),
        ({"direction": "up"}, errors.OptionError, "direction"),
        ({"tabel_path": "x"}, errors.UsageTypeError, "Is 'table_path' meant"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_recorded(
    tracker: Tracker, tmp_path: Path, keywords: dict[str, Any], error: type[Exception], said: str
) -> None:
    path = write(tmp_path / "store.h5")
    with tracker.trace("make") as t, pytest.raises(error, match=said):
        t.log_h5_container(path, **keywords)
    assert tracker.find_artifacts(limit=None) == []


def test_a_spec_without_a_table_is_told_of(tracker: Tracker, tmp_path: Path) -> None:
    path = write(tmp_path / "store.h5")
    with tracker.trace("make") as t, pytest.warns(consist.ConsistWarning, match=r"names /2020/homes, which .* lacks"):
        _, children = t.log_h5_container(path, **only(homes="x", persons="y"))
    assert [child.key for child in children] == ["y"]


def test_tables_of_pandas_are_one_child_each(tracker: Tracker, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    frame = pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": [3, 4]})
    path = tmp_path / "store.h5"
    frame.to_hdf(path, key="year/fixed", mode="w")
    frame.to_hdf(path, key="table", format="table")
    with tracker.trace("make") as t:
        _, (fixed, table) = t.log_h5_container(path)[0:2]
    assert (fixed.table_path, table.table_path) == ("/table", "/year/fixed")
    assert (fixed.rows, table.rows) == (2, 2)
    assert table.schema == {"a": "int64", "c": "int64", "b": "float64"}
    for child in (fixed, table):
        assert consist.load_df(child).equals(frame)


def test_children_load_as_tables(tracker: Tracker, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    path = write(tmp_path / "store.h5", cube=[[[1]]], grid=[[1, 2], [3, 4]])
    with tracker.trace("make") as t:
        _, children = t.log_h5_container(path)
    found = {child.table_path: child for child in children}
    households = consist.load_df(found["/2020/households"])
    assert households.to_dict("list") == {"id": [1, 2], "size": [2.5, 3.5], "kind": ["a", "b"]}
    assert consist.load_df(found["/2020/persons"]).to_dict("list") == {"persons": [0, 1, 2]}
    assert consist.load_df(found["/names"]).to_dict("list") == {"names": ["x", "y"]}
    assert consist.load_df(found["/grid"]).to_numpy().tolist() == [[1, 2], [3, 4]]
    with pytest.raises(errors.LoadError, match="array of shape"):
        consist.load_df(found["/cube"])


# ---------------------------------------------------------------- hits and files that change


def make(store_out: Path) -> None:
    """The step of the tests below."""
    write(store_out)
    consist.log_h5_container(store_out, "store", **only(households="homes", persons="people"))


def test_a_hit_gives_container_and_children_again(tracker: Tracker, tmp_path: Path) -> None:
    place = tracker.run_dir / "store.h5"
    first = tracker.run(make, "make", config={"at": 1}, runtime_kwargs={"store_out": place})
    again = tracker.run(make, "make", config={"at": 1}, runtime_kwargs={"store_out": place})
    assert (first.cache_hit, again.cache_hit) == (False, True)
    assert list(again.outputs) == ["store", "homes", "people"]
    assert [again.outputs[key].table_path for key in ("homes", "people")] == ["/2020/households", "/2020/persons"]
    assert {again.outputs[key].parent_artifact_id for key in ("homes", "people")} == {again.outputs["store"].id}
    with h5py.File(place, "a") as file:
        file["more"] = [1]
    assert not tracker.run(make, "make", config={"at": 1}, runtime_kwargs={"store_out": place}).cache_hit


@pytest.mark.parametrize("declared", [None, ["store"]])
def test_a_block_that_hits_gets_them_again_without_the_file_written(
    tracker: Tracker, declared: list[str] | None
) -> None:
    place = tracker.run_dir / "store.h5"

    def block() -> tuple[bool, Artifact, list[Artifact], Artifact]:
        with tracker.trace("make", outputs=declared) as t:
            if not (hit := t.is_cached):
                write(place)
            container, children = t.log_h5_container(place, "store", table_filter=["names"])
            return hit, container, children, t.log_h5_table(place, "one", "2020/persons", parent=container)

    first, again = block(), block()
    assert (first[0], again[0]) == (False, True)
    assert first[1:] == again[1:]
    assert [child.table_path for child in again[2]] == ["/names"]


def test_a_copy_of_the_file_brings_back_its_tables(tracker: Tracker, tmp_path: Path) -> None:
    place = tracker.run_dir / "store.h5"
    first = tracker.run(make, "make", runtime_kwargs={"store_out": place})
    archived = tracker.archive_run_outputs(first.run, tmp_path / "archive", keys=["store"])
    assert archived
    place.unlink()
    again = tracker.run(make, "make", runtime_kwargs={"store_out": place})
    assert again.cache_hit
    with h5py.File(again.outputs["homes"].path) as file:
        assert len(file[again.outputs["homes"].table_path]) == 2
    hydrated = tracker.hydrate_run_outputs(again.run, target_root=tracker.run_dir / "there")
    assert {item.path for item in hydrated.values()} == {tracker.run_dir / "there/store.h5"}
    statuses = {key: item.status for key, item in hydrated.items()}  # the file is there once it is copied for the first
    assert statuses == {
        "store": "materialized_from_filesystem",
        "homes": "preserved_existing",
        "people": "preserved_existing",
    }


def test_all_outputs_are_moved_to_the_archive_once(tracker: Tracker, tmp_path: Path) -> None:
    place = tracker.run_dir / "store.h5"
    first = tracker.run(make, "make", runtime_kwargs={"store_out": place})
    tracker.archive_run_outputs(first.run, tmp_path / "archive", mode="move")
    assert not place.exists()
    assert len([path for path in (tmp_path / "archive").rglob("*") if path.is_file()]) == 1
    assert tracker.run(make, "make", runtime_kwargs={"store_out": place}).cache_hit


def test_a_file_that_grows_after_it_was_logged_keeps_its_tables(tracker: Tracker) -> None:
    place = tracker.run_dir / "store.h5"
    with tracker.trace("make") as t:
        write(place)
        before, _ = t.log_h5_container(place, "store", **only(households="homes"))
        with h5py.File(place, "a") as file:
            file["2020/more"] = [1]
    found = tracker.get_run_outputs(str(before.run_id))
    container, child = found["store"], found["homes"]
    assert container.hash != before.hash
    assert (child.hash, child.table_path, child.driver) == (container.hash, "/2020/households", "h5_table")
    assert (child.parent_artifact_id, child.meta["parent_id"]) == (container.id, str(container.id))
    assert child.schema == {"id": "int64", "size": "float64", "kind": "bytes8"}


def test_an_input_container_has_the_tables_that_its_run_recorded(tracker: Tracker, tmp_path: Path) -> None:
    place = tracker.run_dir / "store.h5"
    made = tracker.run(make, "make", runtime_kwargs={"store_out": place}).outputs
    outside = write(tmp_path / "outside.h5")
    with tracker.trace("use") as t:
        container, children = t.log_h5_container(made["store"], direction="input", **only(households="used"))
        other, parts = t.log_h5_container(outside, direction="input", table_filter=["names"])
    assert (container, children) == (made["store"], [made["homes"]])
    assert (other.run_id, parts[0].run_id, parts[0].parent_artifact_id) == (None, None, other.id)
    inputs = tracker.get_run_inputs(str(tracker.find_latest_run(name="use").id))
    assert list(inputs) == ["store", "used", "outside", "outside_names"]


# ---------------------------------------------------------------- one table


def test_one_table_is_recorded_with_its_parent(tracker: Tracker, tmp_path: Path) -> None:
    path = write(tmp_path / "store.h5")
    with tracker.trace("make") as t:
        container, _ = t.log_h5_container(path, discover_tables=False)
        table = t.log_h5_table(
            path, table_path="2030/households", parent=container, facet={"year": 2030}, description="d", hash_table=True
        )
        alone = consist.log_h5_table(path, key="people", table_path="/2020/persons", direction="input")
        attempts: list[tuple[dict[str, Any], type[Exception], str]] = [
            ({"table_path": "/2040"}, errors.InputError, "has no table '/2040'.*/2020/households"),
            ({"table_path": "/2020"}, errors.InputError, "has no table"),
            ({}, errors.UsageError, "needs table_path="),
            ({"table_path": "names", "parent": "store"}, errors.UsageTypeError, "parent takes"),
        ]
        for wrong, error, said in attempts:
            with pytest.raises(error, match=said):
                t.log_h5_table(path, "x", **wrong)
        with pytest.raises(errors.UsageError, match="parent 'store' is at"):
            t.log_h5_table(write(tmp_path / "b.h5"), "x", "names", parent=container)
    assert (table.key, table.table_path, table.driver) == ("store_2030_households", "/2030/households", "h5_table")
    assert (table.parent_artifact_id, table.meta["parent_id"]) == (container.id, str(container.id))
    assert (table.facet, table.meta["description"], table.rows) == ({"year": 2030}, "d", 1)
    assert (alone.key, alone.parent_artifact_id) == ("people", None)
    assert tracker.get_child_artifacts(container) == [table]


def test_off_nothing_is_recorded_or_needed(tmp_path: Path) -> None:
    container, children = consist.log_h5_container(tmp_path / "no.h5", enabled=False)
    table = consist.log_h5_table(tmp_path / "no.h5", key="t", table_path="x", enabled=False)
    assert isinstance(container, NoopArtifact)
    assert (container.key, children, table.key) == ("no", [], "t")
    with pytest.raises(errors.NoActiveRunError):
        consist.log_h5_container(tmp_path / "no.h5")


def test_without_h5py_one_error_says_what_to_install(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "store.h5")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with tracker.trace("make") as t:
        for call in (
            lambda: t.log_h5_container(path),
            lambda: t.log_h5_table(path, "x", "names"),
            lambda: t.load_matrix(path, "TIME"),
        ):
            with pytest.raises(errors.MissingExtraError, match=r"needs h5py: pip install 'consist-es\[(hdf5|omx)\]'"):
                call()
        assert t.log_h5_container(path, discover_tables=False)[0].key == "store"


# ---------------------------------------------------------------- matrices


def test_matrices_are_listed_and_loaded(tracker: Tracker, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    for year, size in ((2020, 2), (2030, 3)):
        with tracker.trace("skims", year=year, iteration=1) as t:
            artifact = t.log_output(write_omx(tmp_path / f"{year}.omx", size), key="skims")
    assert [(m.name, m.shape, m.dtype) for m in tracker.openmatrix_metadata(artifact).matrices] == [
        ("DIST", (3, 3), "float64"),
        ("TIME", (3, 3), "float32"),
    ]
    view = tracker.openmatrix_metadata("skims")
    assert view.get_matrix_names("skims") == ["DIST", "TIME"]
    assert sorted(view.get_zone_counts("skims").values()) == [2, 3]
    table = view.get_matrices("skims", year=2030)
    assert table["matrix_name"].tolist() == ["DIST", "TIME"]
    assert table["attributes"].tolist() == ["{}", '{"unit": "min"}']
    assert {(row.n_rows, row.n_cols, row.run_id, row.year, row.iteration) for row in table.itertuples()} == {
        (3, 3, artifact.run_id, 2030, 1)
    }
    assert len(view.get_matrices("skims", run_ids=[str(artifact.run_id)])) == 2
    assert len(view.get_matrices(min_rows=3)) == len(view.get_matrices(max_rows=2)) == 2
    for source in (artifact, artifact.path, str(artifact.path)):
        assert tracker.load_matrix(source, "TIME").tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert consist.load_matrix(artifact, "DIST").shape == (3, 3)


def test_matrices_that_are_not_there_are_named(tracker: Tracker, tmp_path: Path) -> None:
    path = write_omx(tmp_path / "skims.omx")
    with pytest.raises(errors.MissingKeyError, match=r"No matrix 'COST'\. Available: 'DIST', 'TIME'"):
        consist.load_matrix(path, "COST")
    with pytest.raises(errors.LoadError, match=r"has 2 matrices\. Name one: DIST, TIME"):
        consist.load_matrix(path)
    with pytest.raises(errors.LoadError, match="cannot be read as HDF5"):
        consist.load_matrix(tmp_path / "no.omx", "TIME")
    with pytest.raises(errors.UsageTypeError, match="takes an Artifact or a path"):
        consist.load_matrix(3)  # type: ignore[arg-type]
    with pytest.raises(errors.MissingKeyError, match="No OMX artifact 'skims'"):
        tracker.openmatrix_metadata("skims")
    with pytest.raises(errors.UsageTypeError, match="takes an Artifact or a key"):
        tracker.openmatrix_metadata(path)  # type: ignore[arg-type]
    with pytest.raises(errors.UsageTypeError, match="An Artifact is needed here"):
        tracker.get_child_artifacts("skims")  # type: ignore[arg-type]


def test_an_omx_file_is_a_container_too(tracker: Tracker, tmp_path: Path) -> None:
    path = write_omx(tmp_path / "skims.omx")
    with tracker.trace("skims") as t:
        container, children = t.log_h5_container(path)
    assert container.driver == "openmatrix"
    assert [child.table_path for child in children] == ["/data/DIST", "/data/TIME", "/lookup/zone"]
    shutil.rmtree(tmp_path / "runs")
