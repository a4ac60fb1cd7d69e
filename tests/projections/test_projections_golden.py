"""The views of a fixed history, row for row: a change of a fold is a visible change of tests/golden/views.json, one of
a table or an index a change of tests/golden/views.sql.

Written anew by ``python -m tests.projections.test_projections_golden``; a changed fold or table also needs a higher
`version`.
"""

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from consist_es.projections import BUILTIN
from consist_es.views.projector import Projector
from tests.support.views import MemoryLog, one_of_each, state

GOLDEN = Path(__file__).parents[1] / "golden" / "views.json"
SCHEMA = GOLDEN.with_suffix(".sql")


def views_now() -> dict[str, Any]:
    """What the folds make of one event of each type, and the versions of the views."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "views.db"
        Projector(Path(folder) / "live.db", MemoryLog(one_of_each()), BUILTIN).rebuild(target=target)
        tables = state(target)
    versions = {view.name: view.version for view in BUILTIN}
    plain: dict[str, Any] = json.loads(json.dumps({"versions": versions, "tables": tables}))
    return plain


def test_the_views_of_a_fixed_history_are_as_they_were() -> None:
    assert views_now() == json.loads(GOLDEN.read_text(encoding="utf-8"))


def schema_now() -> str:
    """The SQL of all tables, indexes and views of a file, the projector's own included, by name."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "views.db"
        Projector(Path(folder) / "live.db", MemoryLog([]), BUILTIN).rebuild(target=target)
        with closing(sqlite3.connect(target)) as conn:
            made = conn.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC, name")
            return "".join(f"{sql.strip()};\n" for (sql,) in made)


def test_tables_columns_keys_and_indexes_are_as_they_were() -> None:
    assert schema_now() == SCHEMA.read_text(encoding="utf-8")


if __name__ == "__main__":
    lines = json.dumps(views_now(), ensure_ascii=False, indent=1)
    GOLDEN.write_text(lines + "\n", encoding="utf-8")
    SCHEMA.write_text(schema_now(), encoding="utf-8")
