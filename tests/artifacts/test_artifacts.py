"""Artifacts: portable URIs and back, keys, equality, metadata, and what their formats load as."""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

import consist_es as consist
from consist_es import Artifact, Tracker, errors
from consist_es.artifacts.formats import driver_of
from consist_es.artifacts.uris import UriMap, quote, unquote
from consist_es.checks import check_key, key_from_path, safe_name
from consist_es.text import readable
from tests.support.api import PATHS, made

# ---------------------------------------------------------------- URIs

PLACES = [
    ("/data/runs/outputs/o.csv", "./outputs/o.csv"),
    ("/data/inputs/x/y.csv", "in://x/y.csv"),
    ("/data/inputs/deep/z.csv", "deep://z.csv"),
    ("/data/inputsish/x.csv", "/data/inputsish/x.csv"),
    ("/data/runs_2/x.csv", "/data/runs_2/x.csv"),
    ("/elsewhere/50%.csv", "/elsewhere/50%25.csv"),
    ("/data/runs/\udcff.csv", "./%FF.csv"),
    ("/data/runs", "./."),
    ("/data/inputs/with space/ü.csv", "in://with space/ü.csv"),
]


@pytest.fixture
def uris() -> UriMap:
    return UriMap.of(Path("/data/runs"), {"in": "/data/inputs", "deep": "/data/inputs/deep"})


@pytest.mark.parametrize(("path", "uri"), PLACES)
def test_a_path_has_one_uri_and_the_uri_leads_back(uris: UriMap, path: str, uri: str) -> None:
    assert uris.uri(path) == uri
    assert uris.resolve(uri) == Path(path)
    uri.encode()


NAMES = st.binary(min_size=1, max_size=12).filter(lambda raw: b"/" not in raw and b"\0" not in raw)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_every_name_a_file_system_takes_survives_the_way_through_a_uri(parts: list[bytes]) -> None:
    uris = UriMap.of(Path("/data/runs"), {"in": "/data/inputs"})
    for root in (b"/data/runs", b"/data/inputs", b"/elsewhere"):
        path = os.path.normpath(os.fsdecode(b"/".join([root, *parts])))
        uri = uris.uri(path)
        uri.encode()
        if ".." not in Path(path).parts:
            assert os.fspath(uris.resolve(uri)) == path


@given(st.text(st.characters(exclude_categories=[])))
def test_quoting_is_undone_by_unquoting(text: str) -> None:
    plain = "".join(char for char in text if not "\ud800" <= char <= "\udc7f" and not "\udd00" <= char <= "\udfff")
    assert unquote(quote(plain)) == plain
    quote(plain).encode()
    readable(text).encode()


@pytest.mark.parametrize("uri", ["in://../x", "./../x", "in://a/../../x", "in:///x", "./a\0b", "./%2e%2e/x"])
def test_a_uri_never_leads_out_of_its_root(uris: UriMap, uri: str) -> None:
    with pytest.raises(errors.PathError, match=r"leaves|cannot be a path here"):
        uris.resolve(uri)


def test_an_unknown_scheme_is_named_with_those_that_are_known(uris: UriMap) -> None:
    with pytest.raises(errors.PathError, match=r"'other' is not mounted.*deep, in"):
        uris.resolve("other://x")
    assert uris.resolve("file:///a/b%25.csv") == Path("/a/b%.csv")


def test_a_link_into_a_mount_is_recorded_as_the_file_in_the_mount(here: Path) -> None:
    (here / "data").mkdir()
    (here / "data" / "x.csv").write_text("a\n")
    (here / "link.csv").symlink_to(here / "data" / "x.csv")
    assert UriMap.of(here / "runs", {"in": here / "data"}).uri(here / "link.csv") == "in://x.csv"


def test_a_project_follows_its_mounts_to_another_machine(here: Path) -> None:
    def copy(x: Path) -> Path:
        return made(text=x.read_text())

    for root in ("disk1", "disk2"):
        (here / root).mkdir()
        (here / root / "x.txt").write_text("x")
    with Tracker(run_dir="runs", db_path="p.db", mounts={"in": here / "disk1"}) as tracker:
        first = tracker.run(copy, inputs={"x": "in://x.txt"})
        assert tracker.get_run_inputs("copy")["x"].container_uri == "in://x.txt"
        assert (tracker.mounts, tracker.resolve_uri("in://x.txt")) == (
            {"in": f"{here}/disk1"},
            here / "disk1" / "x.txt",
        )
    (here / "disk1" / "x.txt").unlink()
    with Tracker(run_dir="runs", db_path="p.db", mounts={"in": here / "disk2"}) as tracker:
        again = tracker.run(copy, inputs={"x": "in://x.txt"})
        assert (again.cache_hit, again.output) == (True, first.output)
        assert tracker.get_run_inputs("copy")["x"].path == here / "disk2" / "x.txt"


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize("key", ["a", "1a", "_x", "a/b/c.d:e-f", "a/", "x" * 256])
def test_keys_that_are_taken(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    "key", ["", ".a", "-a", "/a", "a b", "a@b", "a+b", "a\\b", "ä", "a\n", "a..b", "a//b", "x" * 257]
)
def test_keys_that_are_not(key: str) -> None:
    with pytest.raises(errors.KeyNameError, match="not a valid artifact key"):
        check_key(key)


def test_a_key_is_a_str() -> None:
    with pytest.raises(errors.UsageTypeError, match="must be a str, not int"):
        check_key(3)


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1).filter(
        lambda text: text not in "..."
    )
)
def test_every_file_name_gives_a_valid_key_and_folder_name(name: str) -> None:
    check_key(key_from_path(Path(name))[:256])
    assert safe_name(name) not in ("", ".", "..")
    assert "/" not in safe_name(name)


def test_keys_from_paths_are_unlike_those_taken() -> None:
    assert [key_from_path(Path("a/x.csv"), taken) for taken in ([], ["x"], ["x", "x_2"])] == ["x", "x_2", "x_3"]


# ---------------------------------------------------------------- the record


def test_an_artifact_is_a_path_and_a_value(tracker: Tracker) -> None:
    artifact = tracker.run(lambda: made(text="abc"), name="m", outputs=["o"]).outputs["o"]
    assert Path(artifact) == artifact.path == Path(artifact.abs_path) == artifact.as_path()
    with open(artifact) as file:  # noqa: PTH123  an artifact is an os.PathLike
        assert file.read() == "abc"
    assert (artifact.key, artifact.driver, artifact.size, artifact.kind, artifact.run_id) == (
        "o",
        "txt",
        3,
        "file",
        "m",
    )
    assert (artifact.digest, artifact.uri) == (artifact.hash, artifact.container_uri)
    assert artifact.hash is not None
    assert artifact.hash.startswith("b3:")
    assert (artifact.is_tabular, artifact.is_matrix) == (False, False)
    assert artifact == tracker.get_run_outputs("m")["o"]
    assert len({artifact, tracker.get_run_outputs("m")["o"]}) == 1
    with pytest.raises(AttributeError):
        artifact.key = "other"  # type: ignore[misc]


def test_the_same_bytes_logged_twice_are_two_records_of_one_digest(tracker: Tracker) -> None:
    one = tracker.run(lambda: made(), name="one", outputs=["o"]).outputs["o"]
    two = tracker.run(lambda: made(), name="two", outputs=["o"]).outputs["o"]
    assert one != two
    assert one.hash == two.hash


def test_metadata_comes_back_as_it_was_given(tracker: Tracker) -> None:
    import datetime

    given_meta: dict[str, Any] = {"when": datetime.date(2030, 1, 2), "pair": (1, 2.5), "text": "ü", "none": None}

    def logs() -> None:
        consist.log_output(made(), "o", driver="mine", facet={"zone": 3}, **given_meta)

    artifact = tracker.run(logs).outputs["o"]
    stored = tracker.get_run_outputs("logs")["o"]
    assert dict(stored.meta) == dict(artifact.meta) == given_meta
    assert (stored.driver, stored.facet) == ("mine", {"zone": 3})
    assert stored.get_meta("text") == "ü"
    assert stored.get_meta("nope", 5) == 5
    assert stored.created_at_iso is not None


# ---------------------------------------------------------------- formats


@pytest.mark.parametrize(
    ("name", "driver"),
    [
        ("a.parquet", "parquet"),
        ("A.CSV", "csv"),
        ("a.csv.gz", "csv"),
        ("a.json", "json"),
        ("a.arrow", "arrow"),
        ("a.feather", "feather"),
        ("a.txt", "txt"),
        ("a", "unknown"),
        (".hidden", "unknown"),
        ("a.tar.gz", "gz"),
    ],
)
def test_a_format_goes_by_its_name(name: str, driver: str) -> None:
    assert driver_of(Path(name)) == driver


TABLE = pa.table({"zone": [1, 2], "trips": [1.5, None], "name": ["a", "b"]})


def write_all(folder: Path) -> dict[str, Path]:
    pyarrow.parquet.write_table(TABLE, folder / "t.parquet")
    pyarrow.csv.write_csv(TABLE, folder / "t.csv")
    pyarrow.feather.write_feather(TABLE, str(folder / "t.arrow"))
    (folder / "t.json").write_text(json.dumps(TABLE.to_pylist()))
    return {driver: folder / f"t.{driver}" for driver in ("parquet", "csv", "arrow", "json")}


@pytest.mark.parametrize("driver", ["parquet", "csv", "arrow", "json"])
def test_a_table_is_loaded_from_every_format(tracker: Tracker, here: Path, driver: str) -> None:
    pandas = pytest.importorskip("pandas")
    seen: list[Any] = []

    def step(x: Artifact) -> None:
        seen.append(x)

    tracker.run(step, inputs={"x": write_all(here)[driver]})
    (artifact,) = seen
    for frame in (consist.load(artifact), consist.load_df(artifact), artifact.as_df(), tracker.load(artifact)):
        assert isinstance(frame, pandas.DataFrame)
        assert frame["zone"].tolist() == [1, 2]
        assert frame["trips"].tolist()[0] == 1.5
        assert frame["name"].tolist() == ["a", "b"]
    if driver != "json":
        assert list(artifact.schema or {}) == ["zone", "trips", "name"]
        assert artifact.rows == 2


def test_json_that_is_no_table_is_parsed_json(tracker: Tracker, here: Path) -> None:
    (here / "x.json").write_text('{"a": 1, "b": {"c": 2}}')
    artifact = tracker.run(lambda: Path("x.json"), name="m", outputs=["o"]).outputs["o"]
    assert consist.load(artifact) == {"a": 1, "b": {"c": 2}}


def test_loading_what_is_gone_unreadable_or_unknown_says_so(tracker: Tracker, here: Path) -> None:
    (here / "bad.parquet").write_text("no parquet")
    (here / "x.txt").write_text("x")
    (here / "gone.csv").write_text("a\n1\n")
    outputs = tracker.run(
        lambda: {"bad": Path("bad.parquet"), "text": Path("x.txt"), "gone": Path("gone.csv")}, name="m", outputs=["bad"]
    ).outputs
    (here / "gone.csv").unlink()
    with pytest.raises(errors.LoadError, match="Cannot load 'bad' as parquet"):
        consist.load(outputs["bad"])
    with pytest.raises(errors.LoadError, match="No driver loads 'txt'"):
        consist.load(outputs["text"])
    with pytest.raises(errors.ArtifactMissingError, match="Run the step that made it"):
        consist.load(outputs["gone"])
    with pytest.raises(errors.UsageTypeError, match="not str"):
        consist.load("gone.csv")  # type: ignore[arg-type]
    with pytest.raises(errors.LoadError, match="'txt'"):
        consist.load_df(outputs["text"])


def test_a_file_that_lies_about_its_format_is_recorded_all_the_same(tracker: Tracker, here: Path) -> None:
    (here / "t.parquet").write_text("text\n")

    def reads(x: Path) -> Path:
        return made(text=x.read_text())

    assert tracker.run(reads, inputs={"x": "t.parquet"}, execution_options=PATHS).output is not None
