"""Names in texts that are code, and cells of notebooks that were run."""

import ast
import linecache
import random
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consist_es.identity.code.modes import code_identity
from consist_es.identity.code.setup import set_ups
from consist_es.identity.code.text_names import loose_names, names_in_texts, names_in_value

WORD = st.from_regex(r"[a-z][a-z_]{2,8}", fullmatch=True)


def named(text: str, **namespace: Any) -> set[str]:
    """The names that the texts in some code stand for."""
    found = names_in_texts(ast.parse(text))
    loose = loose_names(ast.parse(text), code=found.code, query=found.query)
    return found.with_(loose).bound_in(namespace)


@pytest.mark.parametrize(
    "text",
    [
        "df.query('x > @zones')", "df.query('x > @ zones')", "df.query(f'{c} > @zones')", "df.query('x > ' '@zones')",
        "q = 'x > ' + '@zones'", "df.query('%s > @zones' % c)", "pd.eval('zones + 1')", "ne.evaluate('zones * 2')",
        "eval('zones')", "exec('x = zones')", "globals()['zones']", "globals().get('zones')", "locals()['zones']",
        "me.__dict__['zones']", "duckdb.sql('select * from zones')",
        "duckdb.sql('SELECT x FROM a JOIN zones USING (x)')",
        "duckdb.sql('from a, zones b select 1')", "db.execute('select 1 from (select * from \"zones\")')",
        "x = 'with t as (select * from zones) select * from t'", "ols('y ~ x + zones', d)", "dmatrix('x + zones', d)",
        "import sys\nsys.modules[__name__].zones", "import sys\ngetattr(sys.modules[__name__], 'zones')",
        "x = globals()\nx['zones']", "x = 'zones'\ndb.sql(f'select * from {x}')", "x = 'zones + 1'\neval(x)",
        "duckdb.sql(dedent('''\n select *\n from zones'''))",
    ],
)  # fmt: skip
def test_a_text_that_is_run_names_what_it_looks_up(text: str) -> None:
    assert named(text, zones=[1], other=[2]) == {"zones"}


@pytest.mark.parametrize(
    "text",
    [
        "'select * from zones @zones'", "def f():\n '''eval(zones) @zones'''", "print('select x from zones', '@zones')",
        "log.info('select x from zones')", "raise ValueError('@zones')", "x = {'zones': 1}", "x['zones']",
        "df.groupby('zones')", "df.merge(other, on='zones')", "sc.run(f, inputs=['zones'])", "open('zones.csv')",
        "df.query('zones > 1')", "df.eval('zones * 2')", "x = 'a@zones.org'", "x = 'read from zones'",
        "vars(thing)['zone']", "pd.read_csv('~/zones')", "db.sql('select 1', 'zones')", "re.compile('zones')",
    ],
)  # fmt: skip
def test_a_text_that_is_not_run_names_nothing(text: str) -> None:
    assert named(text, zones=[1]) == set()


def test_in_queries_and_formulas_a_bare_name_never_means_a_function() -> None:
    assert named("duckdb.sql('select * from zones')", zones=lambda: 1) == set()
    assert named("ols('zones ~ rate(x)', d)", zones=lambda: 1, rate=lambda x: x) == {"rate"}


@given(WORD, WORD)
def test_a_query_in_a_value_names_its_variable_however_deep_it_lies(column: str, name: str) -> None:
    value = {"a": [{"q": (f"{column} >= @{name} * 2",)}], name: name}
    nothing = names_in_texts(ast.parse("df.query(x)"))
    assert name in names_in_value(value, nothing).bound_in({name: 1})
    assert names_in_value({name: [column]}, names_in_texts(ast.parse("f(x)"))).bound_in({name: 1, column: 1}) == set()


# ---------------------------------------------------------------- cells


@pytest.fixture
def cells() -> Iterator["Notebook"]:
    notebook = Notebook()
    yield notebook
    for name in notebook.names:
        linecache.cache.pop(name, None)


class Notebook:
    """Runs cells in one namespace, as IPython does if it keeps a history."""

    def __init__(self, *, history: bool = True) -> None:
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.names: list[str] = []
        if history:
            self.namespace["In"] = [""]

    def run(self, text: str) -> None:
        name = f"<ipython-input-{len(self.names) + 1}-{random.getrandbits(48):012x}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        self.names.append(name)
        self.namespace.setdefault("In", []).append(text) if "In" in self.namespace else None
        exec(compile(text, name, "exec"), self.namespace)

    def digest(self) -> str:
        found = code_identity(self.namespace["step"], project_root=Path.cwd())
        assert found.unstable == []
        return found.digest


STEP = "import random\ndef step():\n    return random.random()\n"


def test_of_a_cell_that_was_run_again_the_last_time_counts(cells: Notebook) -> None:
    cells.run("import random\nrandom.seed(1)\n")
    cells.run(STEP)
    one = cells.digest()
    cells.run("random.seed(2)\n")
    two = cells.digest()
    cells.run("print('a look at it')\n'done'\n")
    assert cells.digest() == two != one
    cells.run("random.seed(1)\n")
    assert cells.digest() == one


def test_without_a_history_the_cells_of_the_namespace_count() -> None:
    notebook = Notebook(history=False)
    notebook.run("import random\nrandom.seed(1)\n")
    notebook.run(STEP)
    one = notebook.digest()
    notebook.run("x = 5\nprint(x)\n")
    assert notebook.digest() == one
    notebook.run("random.seed(2)\n")
    assert notebook.digest() != one


def test_a_file_that_is_nowhere_sets_nothing_up() -> None:
    assert [found.title for found in set_ups("<string>", vars(types.ModuleType("m")), frozenset())] == []
