"""The measurement of what the tests reach finds what they do not, and its list is whole."""

import ast
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from torture.coverage import ROOT, Missed, measure
from torture.mutants_and_leaks import _Mutant, mutants
from torture.tests_of import WITNESSES

MODULE = """\
def sign(number):
    if number < 0:
        return "negative"
    if number > 0:
        word = "positive"
    return word if number else "zero"
"""

TEST = """\
import os
from sign import sign

def test_signs():
    assert sign(1) == "positive"
    child = os.fork()
    if child == 0:
        {in_child}
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


def measured(folder: Path, in_child: str) -> list[Missed]:
    """What a test leaves out of a module, of which it tries a part in a child."""
    (folder / "tests").mkdir(parents=True)
    (folder / "found").mkdir()
    (folder / "sign.py").write_text(MODULE)
    (folder / "unused.py").write_text("x = 1\n")
    (folder / "tests" / "test_sign.py").write_text(TEST.format(in_child=in_child))
    (folder / "tests" / "conftest.py").write_text(f"import sys\nsys.path.insert(0, {str(folder)!r})\n")
    return measure(folder / "found", ["unused.py", "sign.py"], ["sign"], root=folder)


def test_a_branch_that_no_test_takes_is_found_and_so_is_a_module_that_none_imports(tmp_path: Path) -> None:
    missed, unused = measured(tmp_path, "sign(0)")
    assert missed == Missed("sign.py", [3], [(2, 3)])
    assert str(missed) == "sign.py: lines [3], branches 2 -> 3"
    assert unused.module == "unused.py"


def test_what_a_child_reaches_counts(tmp_path: Path) -> None:
    assert [missed.module for missed in measured(tmp_path, "sign(0), sign(-1)")] == ["unused.py"]


def test_where_a_test_fails_nothing_is_measured(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="1 failed"):
        measured(tmp_path, "sign('x')")


def test_every_module_and_every_test_of_the_list_is_there_and_the_log_is_whole() -> None:
    for module, tests in WITNESSES.items():
        assert (ROOT / module).is_file(), module
        assert tests, module
        assert len(set(tests)) == len(tests), module
        for name in tests:
            assert any((ROOT / "tests").rglob(f"test_{name}.py")), name
    log = {path.relative_to(ROOT).as_posix() for path in (ROOT / "consist_es" / "log").rglob("[!_]*.py")}
    assert log <= set(WITNESSES), "tools/torture/tests_of.py lists every module of the log with its tests"


def test_every_mutant_is_another_program_and_what_no_test_could_notice_is_not_changed() -> None:
    text = (
        "if TYPE_CHECKING:\n    import x\n"
        "if windows:  # pragma: no cover - elsewhere\n    y = 1 + 1\n"
        "def f(a):\n"
        "    if a < 1:\n        raise ValueError(f'{a + 1}')\n"
        "    conn.execute('PRAGMA cache_size = 1')\n"
        "    g(a)\n"
        "    return a == 2 or a - 1\n"
    )
    plain = ast.unparse(ast.parse(text))
    seen = []
    for at in range(20):
        mutant = _Mutant(at, text)
        changed = ast.unparse(mutant.visit(ast.parse(text)))
        if mutant.what:
            assert changed != plain
            seen.append(mutant.what)
    assert len(seen) == 6, seen
    assert {place[0] for place in mutants(["consist_es/views/folding.py"])} == {"consist_es/views/folding.py"}
