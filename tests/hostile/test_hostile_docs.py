"""docs/security.md claims nothing that no test shows."""

import ast
import re

from consist_es.artifacts import tables, uris
from consist_es.checks import MAX_NAME
from consist_es.log import record, segment
from tests.support.api import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def all_tests() -> set[str]:
    return {
        node.name
        for path in (ROOT / "tests").glob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 30
    assert named - all_tests() == set()


def test_every_row_of_the_threats_names_a_test_or_the_page_that_does() -> None:
    table = PAGE.split("## What it cannot do")[1].split("## Limits")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 16
    assert [row for row in rows if "`test_" not in row.split("|")[3] and ".md)" not in row.split("|")[3]] == []


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    mib = 1 << 20
    assert (16 * mib, mib, 16 * mib) == (record.EVENT_CAP, record.DATA_CAP, segment.LINE_CAP)
    assert (256, 10_000, 1_000_000, 256 * mib) == (MAX_NAME, tables.MAX_COLUMNS, tables.MAX_NAMES, tables.MAX_CSV_SCAN)
    assert (uris._NAME_MAX, uris._PATH_MAX) == (255, 4096)
