"""Exports hold nothing that grows with the number of runs. Counted in bytes that Python allocates."""

import gc
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from consist_es.exports.export import FORMATS, export
from tests.support.exported import crate_options, multiplied

FEW, MANY = 50, 1050


def peak(views: Path, folder: Path, format: str, steps: int) -> int:
    """The most bytes that are held at once while the views with so many more steps are exported."""
    about: dict[str, Any] = {}
    place = folder / f"{steps}.{format}"
    if format == "ro-crate":
        about = crate_options(folder)
    conn = multiplied(views, folder / f"{steps}.db", steps)
    try:
        gc.collect()
        tracemalloc.start()
        done = export(conn, format, place, ["edited"], about=about)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        conn.close()
        assert done.runs == steps + 4
        assert place.exists()


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "parquet"])
def test_a_thousand_more_steps_take_no_more_memory(format: str, record: Path, tmp_path: Path) -> None:
    peak(record / "provenance.db", tmp_path, format, 1)  # whatever is loaded at the first time
    few, many = (peak(record / "provenance.db", tmp_path, format, steps) for steps in (FEW, MANY))
    assert many - few < 100 * (MANY - FEW), f"{few} bytes, and {many} with {MANY - FEW} steps more"


def test_rows_of_tables_are_written_in_groups(record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr("consist_es.exports.parquet.ROWS", 100)
    conn = multiplied(record / "provenance.db", tmp_path / "more.db", 250)
    export(conn, "parquet", tmp_path / "tables")
    conn.close()
    file = pq.ParquetFile(tmp_path / "tables" / "steps.parquet")
    assert [file.metadata.row_group(number).num_rows for number in range(3)] == [100, 100, 72]


def test_an_export_is_of_one_moment_however_the_record_grows_meanwhile(record: Path, tmp_path: Path) -> None:
    conn = multiplied(record / "provenance.db", tmp_path / "views.db", 20)
    conn.execute("PRAGMA query_only = OFF")
    conn.execute("PRAGMA journal_mode = WAL")
    written = []

    def grow(done: int, total: int) -> None:
        if done == 3:
            written.append(conn.execute("UPDATE runs SET iteration = 7777 WHERE key LIKE 'more-%'").rowcount)

    export(conn, "prov", tmp_path / "prov.json", progress=grow)
    assert written == [20]
    assert b"7777" not in (tmp_path / "prov.json").read_bytes()
    conn.close()
