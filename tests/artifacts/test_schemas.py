"""Schema and rows of recorded tables: no column is lost, whatever it is called and whatever comes late."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

import consist_es as consist
from consist_es import Artifact, Tracker
from consist_es.artifacts import tables

LINES = "".join(f"{number},{number / 2},2020-01-01,true\n" for number in range(200_000))


def logged(tracker: Tracker, path: Path) -> Artifact:
    def step() -> None:
        consist.log_output(path, "table")

    return tracker.run(step, name=path.name, config={"file": path.name}).outputs["table"]


def of_csv(tracker: Tracker, text: str) -> tuple[Any, int | None]:
    path = Path("table.csv").absolute()
    path.write_text(text)
    found = logged(tracker, path)
    return found.schema, found.rows


def test_columns_of_one_name_are_all_there(tracker: Tracker) -> None:
    schema = {"alt": "int64", "": "string", ".1": "int64", ".2": "int64"}
    assert of_csv(tracker, "alt,,,\n1,a,2,3\n") == (schema, 1)


def test_a_number_never_takes_the_name_of_another_column(tracker: Tracker) -> None:
    assert of_csv(tracker, "a,a,a.1\n1,2.5,x\n")[0] == {"a": "int64", "a.2": "double", "a.1": "string"}


def test_an_input_is_described_like_an_output(tracker: Tracker) -> None:
    Path("in.csv").write_text("a,a\n1,2.5\n")

    def step(table: Path) -> None:
        """Nothing."""

    run = tracker.run(step, inputs={"table": "in.csv"}).run
    assert tracker.get_run_inputs(run.id)["table"].schema == {"a": "int64", "a.1": "double"}


def test_a_parquet_file_with_columns_of_one_name(tracker: Tracker) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array(["a"]), pa.array([2.5])], names=["x", "x", "x"])
    pa.parquet.write_table(table, "table.parquet")
    found = logged(tracker, Path("table.parquet").absolute())
    assert (found.schema, found.rows) == ({"x": "int64", "x.1": "string", "x.2": "double"}, 1)


@given(st.lists(st.sampled_from(["", "a", "a.1", "a.2", ".1", "b", "a.1.1"]), max_size=9))
def test_there_is_one_entry_for_each_column_and_real_names_stay(names: list[str]) -> None:
    found = tables.by_name((name, str(place)) for place, name in enumerate(names))
    assert list(found.values()) == [str(place) for place in range(len(names))]
    assert set(names) <= set(found)
    firsts = {name: str(names.index(name)) for name in names}
    assert {name: found[name] for name in firsts} == firsts


@pytest.mark.parametrize(
    ("late", "kinds"),
    [
        ("1,1.5,2020-01-01,false\n", ["int64", "double", "date32[day]", "bool"]),
        ("n/a,1.5,2020-01-01,false\n", ["int64", "double", "date32[day]", "bool"]),
        ("late,1.5,2020-01-01,false\n", ["string", "double", "date32[day]", "bool"]),
        ("7.5,1.5,soon,false\n", ["string", "double", "string", "bool"]),
        ("x,y,z,w\n", ["string"] * 4),
    ],
)
def test_late_values_of_another_type_keep_names_and_rows(tracker: Tracker, late: str, kinds: list[str]) -> None:
    schema, rows = of_csv(tracker, "id,x,day,is\n" + LINES + late)
    assert (list(schema.items()), rows) == (list(zip(("id", "x", "day", "is"), kinds, strict=True)), 200_001)


@pytest.mark.parametrize("late", ["1,2\n", "1,2,3,4,5\n"])
def test_rows_that_cannot_be_counted_keep_the_names(tracker: Tracker, late: str) -> None:
    schema, rows = of_csv(tracker, "id,x,day,is\n" + LINES + late)
    assert (list(schema), rows) == (["id", "x", "day", "is"], None)


def test_late_values_in_one_of_two_columns_of_a_name(tracker: Tracker) -> None:
    schema, rows = of_csv(tracker, "a,a\n" + "1,2.5\n" * 300_000 + "1,late\n")
    assert (list(schema), rows) == (["a", "a.1"], 300_001)
    assert schema["a.1"] == "string"
