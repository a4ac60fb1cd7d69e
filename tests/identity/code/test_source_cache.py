"""Facts of sources that are kept on the disk: never others than those that the text gives."""

import ast
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consist_es.artifacts import digest_cache
from consist_es.artifacts.digest_cache import Stamp
from consist_es.identity.code import visitor as _all_facts  # noqa: F401
from consist_es.identity.code.modes import code_identity
from consist_es.identity.text import source, source_cache
from consist_es.identity.text.bytecode import code_digest
from consist_es.identity.text.source import Source, flush_facts, load_source

PIECES = [
    "import os, a.b as c\n",
    "from .near import *\n",
    "A = 1\n",
    "A = {'a': [1, True, 2.5, -0.0, None], 'b': (1, 10**30)}\n",
    "B = os.environ['B']\n",
    "NAME = 'C'\nC = os.getenv(NAME, '\\ud800')\n",
    "import sys\nARGS = sys.argv\n",
    "importlib.import_module(name)\nimport_module('\\udc80')\n",
    "def f(a, b=1, *, c=lambda x: x):\n    '''Doc.'''\n    cache[a] = self.x.y = time.time(); return cache.pop(b)\n",
    "@d\nclass C(f):\n    '''Doc.'''\n    x: int = 1\n    def get(self): self.x += 1; return [i for i in self.x]\n",
    "if A:\n    def f(): global A; A = getattr(B, 'c')\nelse:\n    class D: pass\n",
    "print(__doc__)\n",
    "with a as b:\n    b.c().append(1)\n    return_ = {**vars(b)['q']}\n",
    "x = (lambda: 1, lambda: 1)\n",
    "return 1\n",
    "\x0c\n# comment\n",
]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, and nothing known yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr(source, "_LOADED", {})


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were parsed."""
    texts: list[str] = []
    real = ast.parse

    def counting(text: str, *args: Any, **options: Any) -> Any:
        texts.append(text)
        return real(text, *args, **options)

    monkeypatch.setattr(ast, "parse", counting)
    return texts


def facts(of: Source) -> Any:
    """All facts, in a form that can be compared."""
    return {
        name: msgspec.to_builtins(fact.of(of), order="deterministic", enc_hook=msgspec.msgpack.decode)
        for name, fact in source._FACTS.items()
    }


def another_process() -> None:
    """Forget what only this process knows."""
    flush_facts()
    source._LOADED.clear()


def database() -> Path:
    cache = source_cache.source_cache()
    assert cache is not None
    return cache.path


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=6))
def test_facts_are_the_same_from_the_text_and_from_the_disk(pieces: list[str], tmp_path: Path) -> None:
    path, text = tmp_path / "m.py", "".join(pieces)
    path.write_text(text)
    expected = facts(Source("other.py", text))
    for _ in range(2):
        found = load_source(str(path))
        assert found is not None
        assert facts(found) == expected
        another_process()


def test_another_process_parses_nothing(tmp_path: Path, parses: list[str]) -> None:
    path = tmp_path / "m.py"
    path.write_text(PIECES[8])
    for times in (1, 1, 1):
        found = load_source(str(path))
        assert found is not None
        facts(found)
        assert len(parses) == times
        another_process()
    path.write_text(PIECES[9])
    assert load_source(str(path)) is not None
    assert len(parses) == 2


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_cache_gives_the_same_facts(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("".join(PIECES[:5]))
    expected = facts(Source("m.py", path.read_text()))
    load_source(str(path))
    another_process()
    content = bytearray(database().read_bytes())
    for spot in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=20)):
        content[spot] ^= data.draw(st.integers(1, 255))
    database().write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2, 100, 0]))])
    found = load_source(str(path))
    assert found is not None
    assert facts(found) == expected
    another_process()


@pytest.mark.parametrize(
    "change", ["SET facts = x'80'", "SET facts = 'text'", "SET mark = x'00'", "SET source = 'other'"]
)
def test_a_row_that_somebody_else_wrote_is_not_believed(change: str, tmp_path: Path, parses: list[str]) -> None:
    path = tmp_path / "m.py"
    path.write_text("A = 1\n")
    load_source(str(path))
    another_process()
    with closing(sqlite3.connect(database())) as connection, connection:
        connection.execute(f"UPDATE sources_1 {change}")
    assert load_source(str(path)) is not None
    assert len(parses) == 2


def test_a_row_of_one_source_is_not_believed_of_another(tmp_path: Path, parses: list[str]) -> None:
    one, other = tmp_path / "a.py", tmp_path / "b.py"
    one.write_text("A = 1\n")
    other.write_text("A = 2\n")
    digests = {str(path): source_of(path).digest for path in (one, other)}
    another_process()
    with closing(sqlite3.connect(database())) as connection, connection:
        rows = connection.execute("SELECT source, day, facts, mark FROM sources_1").fetchall()
        connection.executemany(
            "REPLACE INTO sources_1 VALUES (?, ?, ?, ?)", [(rows[i][0], *rows[1 - i][1:]) for i in range(2)]
        )
    assert {str(path): source_of(path).digest for path in (one, other)} == digests


def source_of(path: Path) -> Source:
    found = load_source(str(path))
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["hexversion", "implementation", "flags"])
def test_another_python_finds_its_own_facts(
    name: str, tmp_path: Path, parses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.py"
    path.write_text("A = 1\n")
    expected = facts(source_of(path))
    another_process()

    class Other:
        hexversion, implementation, flags = sys.hexversion, sys.implementation, sys.flags

    class Changed:
        cache_tag, optimize = "cpython-399", 2

    monkeypatch.setattr(Other, name, 0x30FF00F0 if name == "hexversion" else Changed)
    monkeypatch.setattr(source_cache, "sys", Other)
    source_cache._versions.cache_clear()
    assert facts(source_of(path)) == expected
    assert len(parses) == 2
    source_cache._versions.cache_clear()


def test_another_version_of_this_library_finds_its_own_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = source_cache._versions()
    copy = tmp_path / "consist_es" / "identity"
    copy.mkdir(parents=True)
    own = Path(source.__file__).parent
    for path in [*own.glob("*.py"), *own.parent.glob("plain*.py")]:
        (copy if path.parent.name == "identity" else copy.parent).joinpath(path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(source_cache, "__file__", str(copy / "source_cache.py"))
    source_cache._versions.cache_clear()
    assert source_cache._versions() == before
    with (copy / "usage.py").open("a") as file:
        file.write("# edited\n")
    source_cache._versions.cache_clear()
    assert source_cache._versions() != before
    monkeypatch.setattr(source_cache, "__file__", str(tmp_path / "nowhere" / "source_cache.py"))
    source_cache._versions.cache_clear()
    assert source_cache.source_cache() is None
    monkeypatch.undo()
    source_cache._versions.cache_clear()


def test_the_oldest_rows_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_cache, "_LARGEST", 100_000)
    for number in range(60):
        monkeypatch.setattr(source_cache, "_today", lambda number=number: number)
        path = tmp_path / "m.py"
        path.write_text(f"A = {number}\n" + PIECES[8] * 100)
        source_of(path)
        another_process()
    with closing(sqlite3.connect(database())) as connection:
        days = [day for (day,) in connection.execute("SELECT day FROM sources_1 ORDER BY day")]
    assert database().stat().st_size < 200_000
    assert days == list(range(days[0], 60))


def test_a_row_that_is_used_again_stays_young(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.py"
    path.write_text("A = 1\n")
    for today in (1, 2):
        monkeypatch.setattr(source_cache, "_today", lambda today=today: today)
        source_of(path)
        another_process()
    with closing(sqlite3.connect(database())) as connection:
        assert connection.execute("SELECT day FROM sources_1").fetchall() == [(2,)]


# ---------------------------------------------------------------- versions of a file


def test_an_edit_that_keeps_size_and_time_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = digest_cache.now_ns
    monkeypatch.setattr(source, "now_ns", lambda: real() + 10_000_000_000)  # the file is of age
    path = tmp_path / "m.py"
    path.write_text("A = 1\n")
    before = path.stat()
    first = source_of(path)
    assert source_of(path) is first
    path.write_text("A = 2\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert source_of(path).digest != first.digest


def test_an_edit_within_a_tick_of_the_clock_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = digest_cache.now_ns()
    monkeypatch.setattr(source, "stamp_of", lambda found: Stamp(6, now, now, 1, 1))  # all edits look alike
    path = tmp_path / "m.py"
    path.write_text("A = 1\n")
    first = source_of(path)
    assert source_of(path) is first  # read again, and not parsed again
    path.write_text("A = 2\n")
    assert source_of(path).digest != first.digest


def test_what_is_kept_in_a_process_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_MOST_FILES", 3)
    monkeypatch.setattr(source, "_MOST_TEXT", 20)
    monkeypatch.setattr(source, "_TREES", {})
    found = []
    for number in range(6):
        path = tmp_path / f"m{number}.py"
        path.write_text(f"A = {number}\n\n")
        found.append(source_of(path))
        assert len(found[-1].tree.body) == 1
    assert len(source._LOADED) == 3
    source.flush_facts()
    assert [item._tree is not None for item in found] == [False] * 4 + [True] * 2
    assert found[0].digest_of(found[0].tree) == found[0].digest


def test_code_that_is_nested_deep_is_the_same_from_a_deep_stack(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("A = " + " + ".join(["1"] * 400) + "\n")
    expected = Source("m.py", path.read_text()).digest

    def deep(levels: int) -> str:
        return deep(levels - 1) if levels else source_of(path).digest

    assert deep(sys.getrecursionlimit() - 250) == expected


EXPRESSIONS = [
    "1", "True", "1.0", "-0.0", "0.0", "0", "None", "...", "1j", "-0j", "'1'", "b'1'", "'\\ud800'", "(1, 2)",
    "(1, 2.0)",    "((1,), 2)", "(1, (2,))", "(1, 2j)", "x in {1, 2, 3}", "x in {1, 2, 3.0}",
    "x in {'a', 'b', (1, 'c')}", "x + y",
    "y + x", "lambda: 1", "lambda: True", "lambda a: 1", "lambda a=1: 1", "lambda *a: 1", "(lambda: 1, 2)",
    "(2, lambda: 1)",    "[x for x in y]", "(lambda: (1, 2j))", "(lambda: ('(1,', '2j)'))",
    "x.y", "x[y]", "f'{x}'", "x(y=1)", "x(y=True)",
]  # fmt: skip


def test_digests_of_code_are_equal_exactly_if_the_code_is() -> None:
    codes = [compile(text, name, "eval") for text in EXPRESSIONS for name in ("a.py", "b.py")]
    assert [[one == other for one in codes] for other in codes] == [
        [code_digest(one) == code_digest(other) for one in codes] for other in codes
    ]
    assert code_digest(codes[0]) != code_digest(compile("\n1", "a.py", "eval"))  # another line


def test_digests_of_code_are_the_same_in_every_process() -> None:
    script = (
        "from consist_es.identity.text.bytecode import code_digest\n"
        f"print([code_digest(compile(text, 'a.py', 'eval')).hex() for text in {EXPRESSIONS!r}])"
    )
    said = set()
    for seed in ("1", "2", "3"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        said.add(done.stdout)
    assert len(said) == 1


STEP = """
import sys
sys.path.insert(0, {folder!r})
import model
from consist_es.identity.code.modes import code_identity
from pathlib import Path
for part, digest in code_identity(model.step, project_root=Path({folder!r})).parts.items():
    print(part, digest)
"""


def test_the_identity_is_the_same_with_and_without_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "model": "import near, os\nfrom far import LIMIT\ndef step(): return near.f(LIMIT), os.environ['A']\n",
        "near": "import far\nCACHE = {}\ndef f(x):\n    CACHE[x] = far.MADE\n    return CACHE[x]\n",
        "far": "LIMIT = 3\nMADE = [i for i in range(LIMIT)]\nclass C:\n    def get(self): return MADE\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    said = []
    for place in ("one", "one", "two", ""):  # new, filled, new, none
        environment = {**os.environ, "A": "1", "XDG_CACHE_HOME": str(tmp_path / place) if place else "/proc/none"}
        script = STEP.format(folder=str(tmp_path))
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert "far.py" in said[0]
    assert said == [said[0]] * 4
    assert (tmp_path / "one" / "consist-es" / "sources.sqlite").exists()
    assert code_identity(source_of, project_root=tmp_path).parts
