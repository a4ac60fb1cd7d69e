"""A trace block whose calls change objects for later steps is never reused; what its own text changes is in sight."""

import textwrap
from pathlib import Path

import pytest

from consist_es import ConsistWarning, Tracker
from tests.execution.test_effects import process

HEAD = """
from pathlib import Path
import lib
def trace(number=0): return tracker.trace("t", config={"n": number}, outputs=["o"])
def end(t, value):
    path = consist.output_path("o", "txt")
    path.write_text(repr(value))
    t.log_output(path, "o")
"""
LIB = """
seen, total, table, LOCK = [0], 0, None, None
def count():
    seen[0] += 1
    return seen[0]
def counted(): return seen[0]
def add():
    global total
    total += 1
    return total
def added(): return total
def twice(value): return value * 2
def fill(rows): rows.append(len(rows))
def look():
    global table
    if table is None:
        table = [1, 2, 3]
    return table
class Model:
    made = 0
    def __init__(self): self.pop, self.rows, self.rate = 1, [], 1
    def keep(self):
        self.pop += 1
        return self.pop
    def note(self): self.rows.append(1)
    def register(self): type(self).made += 1
    def read(self): return self.pop, self.rows, self.made, self.rate
class Engine:
    def __init__(self, model): self.model = model
    def go(self): self.model.keep()
    def __iadd__(self, other):
        self.model.keep()
        return self
    @property
    def now(self): return self.model.keep()
model = Model()
"""


def hits_of(folder: Path, text: str, *, warns: bool) -> tuple[list[str], list[list[str]]]:
    """What two processes print, and whether their traces hit; the text says ``hits.append`` itself."""
    folder.mkdir(exist_ok=True)
    (folder / "lib.py").write_text(LIB, encoding="utf-8")
    runs = [process(folder, HEAD + textwrap.dedent(text), warns=warns) for _ in range(2)]
    return [out for out, _ in runs], [hits for _, hits in runs]


BLOCK = """
{before}
with trace() as t:
    hits.append("hit" if t.is_cached else "miss")
    if not t.is_cached:
        {body}
        end(t, 1)
print({after})
"""
CHANGED = {
    "item of a list in a module": ("", "lib.count()", "lib.counted()"),
    "variable of a module": ("", "lib.add()", "lib.added()"),
    "function of a name": ("from lib import count", "count()", "lib.counted()"),
    "function under a name": ("from lib import count\nf = count", "f()", "lib.counted()"),
    "function in a list": ("todo = [lib.count]", "for f in todo: f()", "lib.counted()"),
    "function imported in the block": ("", "from lib import count; count()", "lib.counted()"),
    "function of a lambda in the block": ("", "[(lambda: lib.count())() for _ in range(2)]", "lib.counted()"),
    "attribute by a method": ("m = lib.Model()", "m.keep()", "m.read()"),
    "attribute by a bound method": ("m = lib.Model()\nkeep = m.keep", "keep()", "m.read()"),
    "attribute of an object in a module": ("", "lib.model.keep()", "lib.model.read()"),
    "list in an attribute": ("m = lib.Model()", "m.note()", "m.read()"),
    "attribute of a class": ("m = lib.Model()", "m.register()", "lib.Model.made"),
    "class that the block makes an object of": ("", "lib.Model().register()", "lib.Model.made"),
    "object in an object": ("m = lib.Model(); e = lib.Engine(m)", "e.go()", "m.read()"),
    "object in a dict": ("m = {'a': lib.Model()}", "m['a'].keep()", "m['a'].read()"),
    "property": ("m = lib.Model(); e = lib.Engine(m)", "e.now", "m.read()"),
    "attribute that the text may set": ("m = lib.Model()", "m.rate = 7", "m.read()"),
    "variable of the script": ("n = 0\ndef up():\n    global n\n    n += 1", "up()", "n"),
    "variable that the text binds too": ("n = 0\ndef up():\n    global n\n    n += 1", "n = 5; up()", "n"),
    "list that a function fills too": (
        "rows = []\ndef note(): rows.append(len(rows))\ndef read(): return rows[0]",
        "rows.append(0); note()",
        "rows",
    ),
    "closure": (
        "def maker():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n        return n\n    return up\n"
        "up = maker()",
        "up()",
        "up()",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGED)
def test_what_a_called_function_changes_is_there_in_the_second_process_too(tmp_path: Path, kind: str) -> None:
    before, body, after = CHANGED[kind]
    printed, hits = hits_of(tmp_path / "p", BLOCK.format(before=before, body=body, after=after), warns=True)
    assert hits == [["miss"], ["miss"]]
    assert printed[0] == printed[1]


PANDAS = "import pandas as pd\nfrom pandas import set_option\n"
PRECISION = "pd.get_option('display.precision')"
SETTINGS = {
    "option": (PANDAS, "pd.set_option('display.precision', 3)", PRECISION),
    "option by its name": (PANDAS, "set_option('display.precision', 3)", PRECISION),
    "option in a function": (PANDAS + "def set_up(): pd.set_option('display.precision', 3)", "set_up()", PRECISION),
    "option in a function of a function": (
        PANDAS + "def inner(): pd.set_option('display.precision', 3)\ndef set_up(): return inner()",
        "n = set_up()",
        PRECISION,
    ),
    "option in a method": (
        PANDAS + "class Setting:\n    def apply(self): pd.set_option('display.precision', 3)\ns = Setting()",
        "s.apply()",
        PRECISION,
    ),
    "attribute of a package": (PANDAS, "pd.options.display.precision = 3", PRECISION),
    "item of a package": ("import os", "os.environ['LEVEL'] = '3'", "os.environ.get('LEVEL')"),
    "seed": ("import numpy as np", "np.random.seed(3)", "np.random.get_state()[1][0] == 3"),
    "error state": ("import numpy as np", "np.seterr(divide='raise')", "np.geterr()['divide']"),
    "warnings": ("import warnings", "warnings.simplefilter('ignore')", "warnings.filters[0][0]"),
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_setting_that_a_hit_would_skip_is_made_in_the_second_process_too(tmp_path: Path, kind: str) -> None:
    before, body, after = SETTINGS[kind]
    printed, hits = hits_of(tmp_path / "p", BLOCK.format(before=before, body=body, after=after), warns=True)
    assert hits == [["miss"], ["miss"]]
    assert printed[0] == printed[1]


def test_a_setting_that_is_made_whatever_happens_does_not_count(tmp_path: Path) -> None:
    text = f"""
    import pandas as pd
    with trace() as t:
        pd.set_option("display.precision", 3)
        hits.append("hit" if t.is_cached else "miss")
        if not t.is_cached: end(t, 1)
    print({PRECISION})
    """
    printed, hits = hits_of(tmp_path / "p", text, warns=False)
    assert hits == [["miss"], ["hit"]]
    assert printed[0] == printed[1]


def test_a_setting_behind_a_way_out_counts(tmp_path: Path) -> None:
    text = f"""
    import pandas as pd
    def block():
        with trace() as t:
            hits.append("hit" if t.is_cached else "miss")
            if t.is_cached: return
            end(t, 1)
            pd.set_option("display.precision", 3)
    block()
    print({PRECISION})
    """
    printed, hits = hits_of(tmp_path / "p", text, warns=True)
    assert hits == [["miss"], ["miss"]]
    assert printed[0] == printed[1]


IN_SIGHT = {
    "nothing": ("", "lib.twice(2)"),
    "only read": ("m = lib.Model()", "m.read(); lib.counted()"),
    "variable": ("n = 0", "n = lib.twice(3)"),
    "variable that a function reads": ("n = 0\ndef read(): return n", "n = 3; read()"),
    "list of the script": ("rows = []", "rows.append(1)"),
    "list that a function reads": ("rows = []\ndef read(): return len(rows), rows[0]", "rows.append(1); read()"),
    "dict and set": ("d, s = {}, set()", "d['a'] = 1; s.add(2)"),
    "list that is handed on": ("rows = []", "lib.fill(rows)"),
    "loop variable": ("", "for n in range(3): lib.twice(n)"),
    "object that the block makes": ("", "m = lib.Model(); m.keep(); m.note()"),
    "cache that is filled when it is asked": ("", "lib.look()"),
    "tables of an installed package": (
        "import pandas as pd",
        "d = pd.DataFrame({'a': [1], 'b': [2]}).set_index('a'); d.columns = ['c']; d['x'] = 1; d.to_csv('d.csv')",
    ),
    "a generator of its own": ("import numpy as np", "g = np.random.default_rng(3); g.normal()"),
    "a setting for a while": (
        "import pandas as pd",
        "with pd.option_context('display.precision', 3): str(pd.Series([1.5]))",
    ),
}


@pytest.mark.parametrize("kind", IN_SIGHT)
def test_what_the_text_of_the_block_changes_does_not_count(tmp_path: Path, kind: str) -> None:
    before, body = IN_SIGHT[kind]
    _, hits = hits_of(tmp_path / "p", BLOCK.format(before=before, body=body, after="1"), warns=False)
    assert hits == [["miss"], ["hit"]]


def test_an_attribute_that_the_block_sets_whatever_happens_does_not_count(tmp_path: Path) -> None:
    text = """
    m = lib.Model()
    with trace() as t:
        m.rate = 7
        hits.append("hit" if t.is_cached else "miss")
        if not t.is_cached: end(t, 1)
    print(m.read())
    """
    printed, hits = hits_of(tmp_path / "p", text, warns=False)
    assert hits == [["miss"], ["hit"]]
    assert printed[0] == printed[1]


def test_an_attribute_that_a_method_may_set_after_the_block_did_counts(tmp_path: Path) -> None:
    text = """
    m = lib.Model()
    with trace() as t:
        m.pop = 7
        hits.append("hit" if t.is_cached else "miss")
        if not t.is_cached:
            m.keep()
            end(t, 1)
    print(m.read())
    """
    printed, hits = hits_of(tmp_path / "p", text, warns=True)
    assert hits == [["miss"], ["miss"]]
    assert printed[0] == printed[1]


def test_an_attribute_that_is_set_behind_a_way_out_counts(tmp_path: Path) -> None:
    text = """
    m = lib.Model()
    for _ in range(1):
        with trace() as t:
            hits.append("hit" if t.is_cached else "miss")
            if t.is_cached: continue
            end(t, 1)
            m.rate = 7
    print(m.read())
    """
    printed, hits = hits_of(tmp_path / "p", text, warns=True)
    assert hits == [["miss"], ["miss"]]
    assert printed[0] == printed[1]


PLACES = {
    "function": """
    def main():
        rows = []
        with trace() as t:
            note(t)
            if not t.is_cached:
                rows.append(lib.{call}())
                end(t, 1)
    main()
    """,
    "nested function": """
    def main():
        rows = []
        def inner():
            nonlocal rows
            with trace() as t:
                note(t)
                if not t.is_cached:
                    rows = [*rows, lib.{call}()]
                    end(t, len(rows))
        def read(): return rows
        inner(); read()
    main()
    """,
    "loop": """
    for year in (1, 2):
        with trace(year) as t:
            note(t)
            if not t.is_cached:
                value = lib.{call}()
                end(t, year)
    """,
    "method": """
    class Run:
        def go(self):
            with trace() as t:
                note(t)
                if t.is_cached: return
                lib.{call}()
                end(t, 1)
    Run().go()
    """,
    "context manager": """
    from contextlib import contextmanager
    @contextmanager
    def traced():
        with trace() as t:
            note(t)
            yield t
    with traced() as t:
        if not t.is_cached:
            lib.{call}()
            end(t, 1)
    """,
    "scenario": """
    with tracker.scenario("s") as sc:
        with sc.trace("t", outputs=["o"]) as t:
            note(t)
            if not t.is_cached:
                lib.{call}()
                end(t, 1)
    """,
    "code without a file": """
    exec(compile(chr(10).join([
        "with trace() as t:", "    note(t)", "    if not t.is_cached:", "        lib.{call}()", "        end(t, 1)"
    ]), "<cell>", "exec"))
    """,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("call", ["count", "counted"])
def test_a_block_anywhere_is_compared(tmp_path: Path, place: str, call: str) -> None:
    note = 'def note(t): hits.append("hit" if t.is_cached else "miss")\n'
    text = note + textwrap.dedent(PLACES[place]).format(call=call) + "print(lib.counted())\n"
    printed, hits = hits_of(tmp_path / "p", text, warns=call == "count")
    again = "hit" if call == "counted" else "miss"
    assert hits == [["miss"] * len(hits[0]), [again] * len(hits[0])]
    assert printed[0] == printed[1]


class Kept:
    """Keeps something."""

    def __init__(self) -> None:
        self.total = 0

    def up(self) -> None:
        self.total += 1


def test_the_warning_and_the_reason_say_what_to_do(tracker: Tracker) -> None:
    def block() -> None:
        kept = Kept()
        with tracker.trace("t") as t:
            assert not t.is_cached
            kept.up()

    with pytest.warns(ConsistWarning) as told:
        block()
    assert [str(item.message) for item in told] == [
        "Step 't' will be computed every time, because it keeps kept.total (int) for later: log it as an output "
        "instead, or keep it out of the block."
    ]
    block()  # it was said
    latest = tracker.get_run("t#2")
    assert latest is not None
    explained = latest.meta["cache_miss_explanation"]
    assert explained["reason"] == "prior_run_not_reusable"
    assert "it changed kept.total (int), which nothing does on a hit: log it" in str(latest.why())


def test_the_run_is_recorded_without_anything_to_put_back(tracker: Tracker) -> None:
    kept = Kept()
    with pytest.warns(ConsistWarning, match="keeps kept.total"), tracker.trace("t"):
        kept.up()
    run = tracker.get_run("t")
    assert run is not None
    assert run.why().put_back == []


def test_a_block_under_readonly_is_not_compared(tracker: Tracker) -> None:
    kept = Kept()
    with tracker.trace("t", cache_mode="readonly"):
        kept.up()  # no warning: nobody will reuse it
    assert kept.total == 1


LATER = """
{before}
with tracker.trace("t", outputs=["o"]) as t:
    hits.append("hit" if t.is_cached else "miss")
    if not t.is_cached:
        {body}
        end(t, 1)
def report():
    path = consist.output_path("r", "txt")
    path.write_text({reads})
    return path
hits.append("hit" if tracker.run(report, outputs=["r"]).cache_hit else "miss")
"""


def later(folder: Path, *bodies: str, before: str, reads: str) -> list[list[str]]:
    """Hits of a block and of a step behind it, for one text of the block after the other."""
    folder.mkdir(exist_ok=True)
    (folder / "lib.py").write_text(LIB, encoding="utf-8")
    texts = [HEAD + LATER.format(before=before, body=body, reads=reads) for body in bodies]
    return [process(folder, text, warns=True)[1] for text in texts]


def test_a_step_behind_a_block_depends_on_calls_of_packages_that_it_makes_for_their_effect(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    bodies = [f"matplotlib.use({name!r})" for name in ("agg", "svg")]
    hits = later(tmp_path / "p", *bodies, before="import matplotlib", reads="matplotlib.get_backend()")
    assert hits == [["miss", "miss"], ["miss", "miss"]]


def test_a_step_behind_a_block_does_not_depend_on_what_the_block_computes(tmp_path: Path) -> None:
    before = "import pandas as pd\ndef total(n): return pd.Series([n]).astype(float).sum()"
    bodies = ["n = total(1)", "n = total(1)", "n = total(2)", "n = total(2)"]
    hits = later(tmp_path / "p", *bodies, before=before, reads="'r'")
    assert hits == [["miss", "miss"], ["hit", "hit"], ["miss", "hit"], ["hit", "hit"]]
