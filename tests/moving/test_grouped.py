"""Files of many runs as one table, by the name of LBNL's consist: nothing is copied, and only recorded bytes count."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import consist_es as consist
from consist_es import Tracker, errors

COLUMNS: dict[str, Any] = {"include_system_columns": False, "attach_facets": ["year", "by.mode"]}


def links(year: int, kind: str) -> None:
    table = pd.DataFrame({"link": [1, 2], "flow": [year, year + 1]})
    if year == 2040:
        table["speed"] = 50.5
    path = consist.output_path(f"links[{year}]", ext=kind)
    table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
    consist.log_output(path, key="links", facet={"year": year, "by": {"mode": "car"}})


def other() -> Path:
    path = consist.output_path("other", ext="csv")
    path.write_text("zone,jobs\n1,2\n")
    return path


@pytest.fixture
def tracker(here: Path) -> Iterator[Tracker]:
    with Tracker("runs", "p.db", project_root=".") as opened:
        for year, kind in ((2030, "parquet"), (2040, "parquet"), (2050, "csv")):
            options = consist.ExecutionOptions(runtime_kwargs={"year": year, "kind": kind})
            opened.run(links, model="beam", year=year, run_id=f"beam_{year}", execution_options=options)
        opened.run(other)
        yield opened


def test_files_of_many_runs_are_one_table_by_names_of_columns(tracker: Tracker) -> None:
    view = tracker.create_grouped_view("links", schema=["link", "flow"], attach_facets=["year"])
    table = view.df().sort_values(["facet_year", "link"]).reset_index(drop=True)
    assert table["flow"].tolist() == [2030, 2031, 2040, 2041, 2050, 2051]
    assert table["facet_year"].tolist() == [2030, 2030, 2040, 2040, 2050, 2050]
    assert table["consist_run_id"].tolist() == ["beam_2030"] * 2 + ["beam_2040"] * 2 + ["beam_2050"] * 2
    assert table["speed"].isna().tolist() == [True, True, False, False, True, True]
    with view.connect() as conn:
        assert conn.execute("SELECT sum(flow) FROM links WHERE facet_year < 2050").fetchall() == [(8142,)]
    assert view.missing == []


def test_params_drivers_and_runs_choose_the_files(tracker: Tracker) -> None:
    def years(**asked: Any) -> list[int]:
        found = tracker.create_grouped_view("v", schema=["flow"], **COLUMNS, **asked)
        return sorted(item.facet["year"] for item in found.artifacts)

    assert years() == [2030, 2040, 2050]
    assert years(params=["beam.year>=2040"]) == [2040, 2050]
    assert years(drivers=["csv"]) == [2050]
    assert years(year=2030, model="beam", status="completed") == [2030]
    assert years(model="asim") == []

    class Links:
        link: int
        speed: float

    assert [item.facet["year"] for item in tracker.create_grouped_view("v", schema=Links).artifacts] == [2040]


def test_a_file_with_other_bytes_is_left_out_unless_a_copy_has_them(tracker: Tracker, here: Path) -> None:
    artifact = tracker.get_artifacts_for_run("beam_2030").outputs["links"]
    pd.DataFrame({"link": [1], "flow": [-1]}).to_parquet(artifact.path)
    with pytest.warns(consist.ConsistWarning, match="1 of 3 files of view 'v' are gone or changed: links of beam_2030"):
        view = tracker.create_grouped_view("v", schema=["flow"])
    assert [item.run_id for item in view.missing] == ["beam_2030"]
    assert view.df()["flow"].min() == 2040
    with pytest.raises(errors.InputError, match="Restore them"):
        tracker.create_grouped_view("v", schema=["flow"], missing_files="error")
    view = tracker.create_grouped_view("v", schema=["flow"], missing_files="skip_silent")
    assert len(view.missing) == 1
    pd.DataFrame({"link": [1], "flow": [-1]}).to_parquet(view.artifacts[-1].path)
    with pytest.raises(errors.InputError, match="was changed since view 'v' was made"):
        view.df()


def test_a_recovery_copy_stands_for_a_file_that_is_gone(tracker: Tracker, here: Path) -> None:
    artifact = tracker.get_artifacts_for_run("beam_2030").outputs["links"]
    tracker.archive_artifact(artifact, here / "runs" / "archive")
    artifact.path.unlink()
    view = tracker.create_grouped_view("v", schema=["flow"], attach_facets=["year"], missing_files="error")
    assert view.df()["flow"].min() == 2030


def test_what_makes_no_view_is_refused(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    for asked, said in (
        ({"drivers": ["zarr"]}, "drivers"),
        ({"missing_files": "ignore"}, "missing_files"),
        ({"iterations": 1}, "filter"),
    ):
        with pytest.raises(errors.OptionError, match=said):
            tracker.create_grouped_view("v", **asked)
    with pytest.raises(errors.UsageError, match="view_name"):
        tracker.create_grouped_view('v"; DROP')
    with pytest.raises(errors.UsageError, match="has no file"):
        tracker.create_grouped_view("v", schema=["no such column"]).df()
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(errors.MissingExtraError, match=r"consist-es\[duckdb\]"):
        tracker.create_grouped_view("v").df()


def test_ingest_copies_nothing(tracker: Tracker) -> None:
    artifact = tracker.get_artifacts_for_run("beam_2030").outputs["links"]
    before = tracker.project.log.head().seq
    assert tracker.ingest(artifact) == artifact
    assert tracker.project.log.head().seq == before
