"""Identity of a `with sc.trace(...)` block, taken from where it is entered."""

import importlib
import sys
import textwrap
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from consist_es.errors import CodeIdentityUnavailableError
from consist_es.identity.code import CodeIdentity, trace_identity

HEAD = """
import sys
from probe import trace
"""
BASE = """
OUT = 1
for year in YEARS:
    with trace("sim", year=year) as ctx:
        value = OUT + helper(year)
        print(value)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("script", None)


def run(root: Path, text: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[CodeIdentity]:
    """Run a script; the identity of every block that it entered."""
    found: list[CodeIdentity] = []

    @contextmanager
    def trace(*_: object, **__: object) -> Iterator[None]:
        frame = sys._getframe(2)
        found.append(trace_identity(frame, project_root=root, **options))
        yield

    probe = types.ModuleType("probe")
    probe.__dict__["trace"] = trace
    trace.__module__ = "consist_es.probe"
    monkeypatch.setitem(sys.modules, "probe", probe)
    (root / "script.py").write_text(HEAD + textwrap.dedent(text))
    sys.modules.pop("script", None)
    importlib.invalidate_caches()
    importlib.import_module("script")
    return found


def script(body: str = BASE, *, helper: str = "return y", years: str = "(1,)", tail: str = "") -> str:
    return f"YEARS = {years}\ndef helper(y):\n    {helper}\n{body}{tail}"


def digests(found: list[CodeIdentity]) -> list[str]:
    assert all(item.unstable == [] for item in found)
    return [item.digest for item in found]


def test_a_block_is_the_same_in_every_run_of_the_script(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = digests(run(root, script(years="(1, 2)"), monkeypatch))
    assert digests(run(root, script(years="(1, 2)"), monkeypatch)) == first


@pytest.mark.parametrize(
    "changed",
    [
        script(BASE.replace("OUT + helper", "OUT - helper")),
        script(BASE.replace("OUT = 1", "OUT = 2")),
        script(helper="return y + 1"),
        script(years="(2,)"),
    ],
)
def test_what_the_block_says_and_reads_counts(root: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    first = digests(run(root, script(), monkeypatch))
    assert digests(run(root, changed, monkeypatch)) != first


@pytest.mark.parametrize(
    "changed",
    [
        script(tail="\nother = 5\n"),
        "# more\n\n" + script(),
        script(BASE.replace("print(value)", "print(value)  # why")),
        script(BASE.replace('"sim"', '"renamed"')),
        script("unrelated = 3\n" + BASE),
    ],
)
def test_the_rest_of_the_script_does_not_count(root: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    first = digests(run(root, script(), monkeypatch))
    assert digests(run(root, changed, monkeypatch)) == first


def test_what_the_block_bound_in_an_earlier_round_does_not_count(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = BASE.replace("OUT + helper(year)", "OUT")
    first, second, third = digests(run(root, script(body, years="(1, 2, 3)"), monkeypatch))
    assert first == second == third


def test_what_the_block_carries_over_from_an_earlier_round_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "total = 0\n" + BASE.replace("value = OUT", "total = total + 1\n        value = OUT")
    assert len(set(digests(run(root, script(body, years="(1, 1)"), monkeypatch)))) == 2


def test_a_block_in_a_function_counts_the_local_variables_it_reads(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "def main(growth, unused):\n    with trace('x'):\n        print(growth, [growth for _ in 'a'])\n"
    text += "main(1, 1)\nmain(1, 2)\nmain(2, 1)\n"
    first, same, other = digests(run(root, text, monkeypatch))
    assert first == same != other


def test_a_block_in_a_closure_counts_what_is_captured(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "def make(n):\n    def main():\n        with trace('x'):\n            print(n)\n    return main\n"
    first, same, other = digests(run(root, text + "make(1)()\nmake(1)()\nmake(2)()\n", monkeypatch))
    assert first == same != other


def test_an_import_in_the_block_is_followed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()
    for value in ("1", "2"):
        (root / "late.py").write_text(f"K = {value}\n")
        sys.modules.pop("late", None)
        found |= set(digests(run(root, "with trace('x'):\n    import late\n    print(late.K)\n", monkeypatch)))
    sys.modules.pop("late", None)
    assert len(found) == 2


def test_a_local_without_canonical_form_is_unstable_and_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import random\nrng = random.Random(1)\nwith trace('x'):\n    print(rng.random())\n"
    (found,) = run(root, text, monkeypatch)
    assert found.unstable[0].startswith("variable 'rng' of block in script.py:<module>: random.Random has no canonical")


def test_a_block_without_source_counts_all_the_code_around_it(root: Path) -> None:
    def made(text: str) -> str:
        namespace: dict[str, Any] = {"sys": sys, "__name__": "made"}
        exec(text, namespace)
        return trace_identity(namespace["frame"], project_root=root).digest

    assert made("frame = sys._getframe()") == made("frame = sys._getframe()")
    assert made("frame = sys._getframe()") != made("frame = sys._getframe()\nx = 1")


def test_modes_apply_to_blocks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(root, script(), monkeypatch, mode="callable_module")
    assert first[0].mode == "callable_module"
    changed = run(root, script(tail="\nother = 5\n"), monkeypatch, mode="callable_module")
    assert first[0].digest != changed[0].digest
    assert run(root, script(), monkeypatch, mode="repo_git")[0].mode == "imports"


def test_a_module_mode_without_a_file_is_refused(root: Path) -> None:
    namespace: dict[str, Any] = {"sys": sys}
    exec("frame = sys._getframe()", namespace)
    with pytest.raises(CodeIdentityUnavailableError, match="no source file"):
        trace_identity(namespace["frame"], mode="callable_module", project_root=root)
