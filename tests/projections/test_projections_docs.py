"""docs/views.md names every table, view and column of the view file, and its query runs."""

import re
from pathlib import Path

from consist_es.projections import BUILTIN
from consist_es.views.projector import Projector
from tests.support.views import MemoryLog, one_of_each, rows

PAGE = (Path(__file__).parents[2] / "docs" / "views.md").read_text(encoding="utf-8")


def documented() -> dict[str, list[tuple[str, str]]]:
    """Table -> (column, type) in the order of the page."""
    parts = re.split(r"^###? `(\w+)`$", PAGE, flags=re.MULTILINE)
    return {
        name: re.findall(r"^\| `(\w+)` \| (\w+) \|", text, flags=re.MULTILINE)
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_the_page_and_the_file_name_the_same_tables_and_columns(tmp_path: Path) -> None:
    with Projector(tmp_path / "p.db", MemoryLog(one_of_each()), BUILTIN) as views:
        conn = views.catch_up()
        names = rows(
            conn, "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
        )
        sql = "SELECT name, type FROM pragma_table_info(?) ORDER BY cid"
        found, page = {name: rows(conn, sql, name) for (name,) in names}, documented()
    assert found.keys() == page.keys()
    for name, columns in found.items():  # SQLite says no type for what a view computes
        said = [(column, kind if there else "") for (column, kind), (_, there) in zip(page[name], columns, strict=True)]
        assert said == columns, name


def test_the_query_on_the_page_runs(tmp_path: Path) -> None:
    (query,) = re.findall(r"```sql\n(.*?)```", PAGE, flags=re.DOTALL)
    with Projector(tmp_path / "p.db", MemoryLog(one_of_each()), BUILTIN) as views:
        found = rows(views.catch_up(), query.replace("baseline", "base"))
    assert found == [("C", "no such zone", None, None)]
