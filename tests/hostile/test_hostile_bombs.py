"""Files, configs and names that are small and would cost a lot: there is a limit, and a clear error beyond it (S11)."""

import gzip
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

import consist_es as consist
from consist_es import EnumCapture, FilenamePattern, IntCapture, Tracker
from consist_es.adapters.folder import FolderAdapter
from consist_es.artifacts import containers, tables
from consist_es.artifacts.tables import MAX_COLUMNS, TableInfo, describe_table
from consist_es.artifacts.uris import require_path
from consist_es.errors import (
    ConfigFileError,
    ConfigValueError,
    ConsistError,
    InvalidNameError,
    KeyNameError,
    LimitError,
    PathError,
    UsageTypeError,
)
from consist_es.events import MetaLogged, StepAbandoned
from consist_es.log.local import LocalLog
from consist_es.log.record import DATA_CAP, EVENT_CAP, decode_event, encode_data
from consist_es.values.plain import MAX_DEPTH, MAX_KEY, MAX_KEYS, MAX_TEXT, to_plain
from tests.support.api import NONE, made
from tests.support.cli import append
from tests.support.hostile import within

# ---------------------------------------------------------------- files that unpack to more


def test_a_packed_table_is_described_without_unpacking_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_CSV_SCAN", 1 << 20)
    (tmp_path / "small.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 1000))
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 5_000_000))
    assert (tmp_path / "bomb.csv.gz").stat().st_size < 1 << 20
    assert describe_table(tmp_path / "small.csv.gz", "csv").rows == 1000
    assert describe_table(tmp_path / "bomb.csv.gz", "csv") == TableInfo({"a": "int64", "b": "int64"}, None)


def test_the_rows_of_packed_arrow_batches_are_counted_without_unpacking_them(tmp_path: Path) -> None:
    table = pa.table({"a": pa.array([0] * 1_000_000, pa.int64())})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(tmp_path / "bomb.arrow", table.schema, options=options) as writer:
        for _ in range(50):
            writer.write_table(table)
    del table
    assert (tmp_path / "bomb.arrow").stat().st_size < 1 << 20
    before = pa.total_allocated_bytes()
    peaks: list[int] = []
    found = describe_table(tmp_path / "bomb.arrow", "arrow")
    peaks.append(pa.default_memory_pool().max_memory() or 0)
    assert found == TableInfo({"a": "int64"}, 50_000_000)
    assert pa.total_allocated_bytes() - before < 1 << 20
    # a batch unpacks to 8 MB; all at once, as a reader that keeps them would have it, to 400
    assert peaks[0] - before < 300 << 20


def test_packed_json_is_not_opened_when_it_is_recorded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: Any, **__: Any) -> None:
        raise AssertionError("unpacked")

    monkeypatch.setattr(gzip, "decompress", opened)
    with Tracker("runs", "project.db") as tracker:
        artifact = tracker.run(lambda: made("o", "no gzip at all", "json.gz"), outputs=["o"], name="s",
                               execution_options=NONE).output  # fmt: skip
        assert artifact is not None
        assert artifact.driver == "json"
        with pytest.raises(AssertionError, match="unpacked"):
            consist.load(artifact)


@pytest.mark.parametrize("columns", [MAX_COLUMNS, MAX_COLUMNS + 1])
def test_a_table_of_too_many_columns_is_recorded_without_its_schema(tmp_path: Path, columns: int) -> None:
    (tmp_path / "wide.csv").write_text(",".join(f"c{number}" for number in range(columns)) + "\n")
    found = describe_table(tmp_path / "wide.csv", "csv")
    assert len(found.schema or {}) == (columns if columns <= MAX_COLUMNS else 0)


def test_a_table_of_too_long_names_is_recorded_without_its_schema(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pa.table({"x" * 2_000_000: [1]}), tmp_path / "long.parquet")
    assert describe_table(tmp_path / "long.parquet", "parquet") == TableInfo(None, 1)


def test_a_geopackage_whose_table_is_an_endless_query_is_recorded_without_its_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "_MAX_STEPS", 100_000)
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
    for what in ("gpkg_contents", "layer"):
        path = tmp_path / f"{what}.gpkg"
        with closing(sqlite3.connect(path)) as conn, conn:
            conn.execute(f"CREATE VIEW layer AS {endless}")
            if what == "layer":
                conn.execute("CREATE TABLE gpkg_contents (table_name, data_type)")
                conn.execute("INSERT INTO gpkg_contents VALUES ('layer', 'features')")
            else:
                conn.execute(
                    f"CREATE VIEW gpkg_contents AS SELECT x AS table_name, 'features' AS data_type FROM ({endless})"
                )
        with within(60, what):
            assert describe_table(path, "geopackage") == TableInfo()


@pytest.mark.parametrize("make", ["endless", "huge", "deep", "a pipe"])
def test_the_metadata_of_a_store_that_is_none_is_not_read(tmp_path: Path, make: str) -> None:
    store = tmp_path / "x.zarr"
    store.mkdir()
    place = store / ".zarray"
    if make == "endless":
        place.symlink_to("/dev/zero")
    elif make == "huge":
        with place.open("wb") as file:
            file.truncate(1 << 40)
    elif make == "deep":
        place.write_text("[" * 1_000_000)
    else:
        (tmp_path / "pipe").mkdir()
        os.mkfifo(tmp_path / "pipe" / "p")
        place.symlink_to(tmp_path / "pipe" / "p")
    with within(30, make):
        assert describe_table(store, "zarr") == TableInfo()


# ---------------------------------------------------------------- configs

LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 30))
CONFIGS = {
    "laughs.yaml": LAUGHS,
    "itself.yaml": "a: &a [*a]\n",
    "deep.yaml": "[" * 20_000 + "]" * 20_000,
    "deep.json": "[" * 200_000 + "]" * 200_000,
    "deep.toml": "a = " + "[" * 20_000 + "]" * 20_000,
    "deep.conf": "a = " + "[" * 20_000 + "]" * 20_000,
    "dotted.conf": "a" + ".a" * 20_000 + " = 1",
    "many.conf": "".join(f"a{n} = ${{?b{n}}}\n" for n in range(1001)),
    "outside.conf": 'include "/etc/passwd"\n',
    "endless.conf": 'include "/dev/zero"\n',
    "binary.yaml": "\x00\x01",
    "control.yaml": "a: \x1b]0;x\x07",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_would_cost_a_lot_is_refused_with_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(CONFIGS[name])
    with within(60, name), pytest.raises(ConfigFileError) as caught:
        FolderAdapter(tmp_path).canonicalize(tmp_path)
    assert name in str(caught.value)
    assert str(caught.value).isprintable()


def test_what_a_config_says_is_not_done(tmp_path: Path) -> None:
    texts = [
        "!!python/object/apply:os.mkdir ['bang']",
        "!!python/name:os.system",
        "!!python/object/new:os.mkdir [bang]",
    ]
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.yaml").write_text(f"a: {text}\n")
    os.chdir(tmp_path)
    FolderAdapter(tmp_path).canonicalize(tmp_path)
    assert not (tmp_path / "bang").exists()


@pytest.mark.parametrize("make", ["fifo", "device", "huge"])
def test_a_config_that_is_no_file_of_a_sensible_size_is_refused(tmp_path: Path, make: str) -> None:
    place = tmp_path / "x.yaml"
    if make == "fifo":
        os.mkfifo(place)
    elif make == "device":
        place.symlink_to("/dev/zero")
    else:
        with place.open("wb") as file:
            file.truncate(17 << 20)
    with within(30, make), pytest.raises(ConsistError, match=r"x\.yaml"):
        FolderAdapter(tmp_path).canonicalize(tmp_path)


# ---------------------------------------------------------------- names


def test_a_name_that_nearly_fits_a_pattern_in_many_ways_takes_no_time() -> None:
    pattern = FilenamePattern("_".join(f"{{p{number}}}" for number in range(12)) + ".csv")
    with within(20, "a pattern"):
        assert pattern.match("_" * 250) is None
        assert pattern.match("a_" * 60 + "b.txt") is None
        assert pattern.match("a_" * 60 + "b.csv") is not None


LETTERS = st.text("ab1_/.", max_size=12)


@given(
    template=st.lists(st.sampled_from(["{x}", "{y}", "{n}", "{m}", "{e}", "_", "a", ".", "1"]), max_size=6),
    name=LETTERS,
)
def test_a_pattern_matches_as_the_regular_expression_that_it_stands_for(template: list[str], name: str) -> None:
    text = "".join(
        part for index, part in enumerate(template) if not part.startswith("{") or part not in template[:index]
    )
    captures: dict[str, IntCapture | EnumCapture] = {
        "n": IntCapture(),
        "m": IntCapture(2),
        "e": EnumCapture(["a", "ab", "b_"]),
    }
    used = {key: capture for key, capture in captures.items() if f"{{{key}}}" in text}
    regex = re.escape(text)
    for key in "xynme":
        inner = used[key].regex if key in used else "[^/]+"
        regex = regex.replace(re.escape(f"{{{key}}}"), f"(?P<{key}>{inner})")
    expected = re.fullmatch(regex, name)
    found = FilenamePattern(text, used).match(name)
    assert (found is None) == (expected is None)
    if expected is not None:
        assert found == {
            key: used[key].value(part) if key in used else part for key, part in expected.groupdict().items()
        }


# ---------------------------------------------------------------- at, under and over each limit


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


_FRAME = len(encode_data(StepAbandoned(reason="x" * 100))) - 100
LIMITS: dict[str, tuple[int, Callable[[int], Any], type[Exception], str]] = {
    "nesting of a config": (MAX_DEPTH, lambda n: to_plain(nested(n), "config"), ConfigValueError, r"deep\. Flatten"),
    "keys of a config": (
        MAX_KEYS, lambda n: to_plain(dict.fromkeys(map(str, range(n))), "config"), ConfigValueError,
        r"100001 keys; at most 100000 are allowed",
    ),
    "a key of a config": (MAX_KEY, lambda n: to_plain({"k" * n: 1}, "config"), ConfigValueError, "at most 256"),
    "a text in a config": (MAX_TEXT, lambda n: to_plain("x" * n, "config"), ConfigValueError, "at most 1000000"),
    "bytes in a config": (MAX_TEXT, lambda n: to_plain(b"x" * n, "config"), ConfigValueError, "at most 1000000"),
    "an event": (
        EVENT_CAP, lambda n: encode_data(StepAbandoned(reason="x" * (n - _FRAME))), LimitError,
        "16,777,217 bytes; the limit is 16,777,216",
    ),
    "nesting of an event": (
        201, lambda n: decode_event("meta_logged", 1, b'{"values":{"x":' + b"[" * (n - 2) + b"]" * (n - 2) + b"}}"),
        Exception, "nested more than 200 deep",
    ),
    "a name in a path": (255, lambda n: require_path("n" * n, "a path"), PathError, "256 bytes; at most 255"),
    "a path": (4095, lambda n: require_path("n/" * (n // 2) + "n" * (n % 2), "a path"), PathError, "at most 4,095"),
}  # fmt: skip


@pytest.mark.parametrize("what", LIMITS)
def test_at_a_limit_all_is_well_and_beyond_it_the_error_names_it(what: str) -> None:
    limit, make, error, words = LIMITS[what]
    make(limit - 1)
    make(limit)
    with pytest.raises(error, match=words):
        make(limit + 1)


def test_over_a_limit_nothing_is_recorded_and_the_tracker_goes_on(here: Path) -> None:
    with Tracker("runs", "project.db") as tracker:
        tracker.run(made, name="first", execution_options=NONE)
        head = tracker.project.log.head()
        cases: list[tuple[dict[str, Any], type[Exception]]] = [
            ({"name": "n" * 257}, InvalidNameError),
            ({"run_id": "n" * 257}, InvalidNameError),
            ({"model": "n" * 257}, InvalidNameError),
            ({"tags": ["n" * 257]}, InvalidNameError),
            ({"outputs": ["k" * 257]}, KeyNameError),
            ({"config": {"a": nested(101)}}, ConfigValueError),
            ({"config": {"a": "x" * (MAX_TEXT + 1)}}, ConfigValueError),
            ({"config": {"a": dict.fromkeys(map(str, range(MAX_KEYS + 1)))}}, ConfigValueError),
            ({"facet": {"a": nested(101)}}, ConfigValueError),
            ({"config": {"a": {1, 2}, "b": object()}}, UsageTypeError),
        ]
        for arguments, error in cases:
            with pytest.raises(error) as caught:
                tracker.run(made, **{"name": "s", "execution_options": NONE, **arguments})
            assert len(str(caught.value)) < 1000
            assert tracker.project.log.head() == head
        tracker.run(made, name="n" * 256, run_id="r" * 256, tags=["t" * 256], execution_options=NONE)


def test_a_payload_too_large_for_a_line_lies_beside_it(tmp_path: Path) -> None:
    log = LocalLog(tmp_path / "x.events", sync="os")
    for size in (DATA_CAP - 1000, DATA_CAP + 1000):
        append(log.folder, MetaLogged(values={"x": "y" * size}))
    assert [event.type for event in log.read()].count("meta_logged") == 2
    assert len(list((log.folder / "blobs").iterdir())) == 1
