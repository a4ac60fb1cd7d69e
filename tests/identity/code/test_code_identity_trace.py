"""Identity of a `with sc.trace(...)` block, taken from where it is entered."""

import ast
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
from consist_es.identity.code.block import entering_frame
from consist_es.identity.code.modes import CodeIdentity, trace_identity
from consist_es.identity.text.source import Source

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
        found.append(trace_identity(entering_frame(), project_root=root, **options))
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


def test_a_block_without_source_counts_all_the_code_around_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(body: str, before: str = "", value: int = 1) -> str:
        text = f"def f(v):\n    {before or 'pass'}\n    with trace('x'):\n        {body}\nf({value})\n"
        return digests(run(root, f"exec({text!r}, {{'trace': trace}})", monkeypatch))[0]

    assert made("print(v)") == made("print(v)")
    assert len({made("print(v)"), made("print(v + 1)"), made("print(v)", "v + 2"), made("print(v)", value=2)}) == 4
    assert made("print(1)", value=1) == made("print(1)", value=2)


MANAGED = """
from contextlib import ExitStack, contextmanager
VALUE = 1
@contextmanager
def timed(name):
    with trace(name) as t:
        yield t
def traced(name):
    return trace(name)
"""


def entered(how: str, body: str = "print(VALUE)") -> str:
    return f"{MANAGED}def main(v):\n    with {how} as t:\n        {body}\nmain(1)\n"


@pytest.mark.parametrize("how", ["timed('x')", "traced('x')", "[traced('x')][0]", "(yield from ()) or trace('x')"])
def test_a_block_that_a_helper_enters_is_the_one_around_which_it_stands(
    root: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def made(body: str, text: str = MANAGED) -> str:
        script = entered(how, body).replace(MANAGED, text).replace("main(1)", "list(main(1) or ())")
        (found,) = digests(run(root, script, monkeypatch))
        return found

    first = made("print(VALUE, v)")
    assert first == made("print(VALUE, v)  # why")
    assert first == made("print(VALUE, v)", MANAGED + "other = 5\n")
    changed = [made("print(VALUE)"), made("print(VALUE, v)", MANAGED.replace("VALUE = 1", "VALUE = 2"))]
    assert len({first, *changed}) == 3


def test_two_blocks_that_one_helper_enters_are_two(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = MANAGED + "".join(f"with {name}('x'):\n    print({n})\n" for name in ("timed", "traced") for n in (1, 2))
    assert len(set(digests(run(root, text, monkeypatch)))) == 4


def test_the_block_of_a_manager_counts_as_well(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nested = "@contextmanager\ndef twice(n):\n    with timed('x') as t:\n        print(n)\n        yield t\n"
    texts = [entered("timed('x')"), entered("timed('x')").replace("yield t", "print(name)\n        yield t")]
    texts += [entered(f"twice({n})").replace("def main", f"{nested}def main") for n in (1, 2)]
    texts += [texts[1].replace("timed('x')", "timed('y')")]
    found = [digests(run(root, text, monkeypatch))[0] for text in texts]
    assert len(set(found)) == len(texts)


def test_the_block_of_a_manager_elsewhere_counts_with_what_it_reads(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(value: str, tail: str = "") -> str:
        (root / "managers.py").write_text(
            f"from contextlib import contextmanager\nfrom probe import trace\nK = {value}\ndef note():\n    return K\n"
            "@contextmanager\ndef timed(name):\n    with trace(name) as t:\n        note()\n        yield t\n"
        )
        sys.modules.pop("managers", None)
        script = f"from managers import timed\nwith timed('x'):\n    print(1)\n{tail}"
        (found,) = digests(run(root, script, monkeypatch))
        return found

    assert made("1") == made("1", "other = 1\n") != made("2")
    sys.modules.pop("managers", None)


@pytest.mark.parametrize(
    "changed",
    [
        ("make(1) as v, trace('x'):", "make(2) as v, trace('x'):"),
        ("trace('x') as t, make(1) as w:", "trace('x') as t, make(2) as w:"),
        ("trace('x') as t, make(1) as w, make(1):", "trace('x') as t, make(1) as w, make(2):"),
        ("trace('x') as kept[0]:", "trace('x') as kept[0], make(1):"),
    ],
)
def test_in_a_statement_with_several_items_what_the_block_reads_and_runs_counts(
    root: Path, monkeypatch: pytest.MonkeyPatch, changed: tuple[str, str]
) -> None:
    head = "from contextlib import nullcontext as make\ndef main(v, kept):\n    with "
    found = []
    for items in changed:
        text = f"{head}{items}\n        print(v)\nmain(0, [1])\n"
        found += digests(run(root, text, monkeypatch)) + digests(run(root, text, monkeypatch))
    assert found[0] == found[1] != found[2] == found[3]


def test_what_an_earlier_item_is_made_from_does_not_count_where_the_block_does_not_read_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "import contextlib\nwith (\n    contextlib.nullcontext(1) as a,\n    trace('x') as b,\n):\n    print(2)\n"
    assert digests(run(root, text, monkeypatch)) == digests(run(root, text.replace("(1)", "(2)"), monkeypatch))


def test_a_block_in_a_finally_clause_is_found(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
from contextlib import nullcontext
def main(fails, n):
    try:
        print(1 // fails)
    finally:
        with nullcontext(n) as a, trace('x') as b, nullcontext(n) as c:
            print(a)
main(1, 1)
try:
    main(0, 1)
except ZeroDivisionError:
    pass
main(1, 2)
"""
    first, same, other = digests(run(root, text, monkeypatch))
    assert first == same != other


STACK = "with ExitStack() as stack:\n    t = stack.enter_context(trace('x'))\n    print(1)\n"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (STACK, "without a `with` statement"),
        ("with ExitStack() as stack: stack.enter_context(trace('x'))\n", "without a `with` statement"),
        ("with ExitStack() as stack:\n    stack.enter_context(timed('x'))\n", "without a `with` statement"),
        ("cm = trace('x')\ncm.__enter__()\nprint(1)\ncm.__exit__(None, None, None)\n", "without a `with` statement"),
        ("with ExitStack() as stack: cm = trace('x'); cm.__enter__()\n", "without a `with` statement"),
        ("def f():\n    with trace('x'):\n        yield\nfor _ in f():\n    print(1)\n", "yields to code"),
        ("def f():\n    with trace('x'), (yield):\n        pass\nnext(f())\n", "yields to code"),
        ("for _ in timed('x').gen:\n    print(1)\n", "yields to code"),
        ("exec('trace(1).__enter__()', {'trace': trace})\n", "without a `with` statement"),
        (
            "exec('def f():\\n  with trace(1): yield\\nfor _ in f(): pass', {'trace': trace})\n",
            "yields to code",
        ),
    ],
)
def test_a_block_that_cannot_be_seen_is_unstable_and_says_why(
    root: Path, monkeypatch: pytest.MonkeyPatch, how: str, said: str
) -> None:
    (found,) = run(root, MANAGED + how, monkeypatch)
    assert len(found.unstable) == 1
    assert said in found.unstable[0]


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


def test_a_block_is_known_by_its_statements_also_where_pytest_rewrote_the_function_around_it() -> None:
    found: list[CodeIdentity] = []

    @contextmanager
    def probe() -> Iterator[None]:
        found.append(trace_identity(entering_frame(), project_root=Path(__file__).parent))
        yield

    total = []
    with probe():
        total = [number for number in range(3) if number]
        if total:
            total.append(3)
    assert total == [1, 2, 3]  # what pytest rewrites
    with probe():
        assert total  # and here within the block, which is then known by what is loaded
    plain, asserted = (next(key for key in item.parts if key.startswith("block in")) for item in found)
    assert plain == asserted
    statements = Source(__file__, Path(__file__).read_text())
    written = {
        statements.digest_of(*node.body)
        for node in ast.walk(statements.tree)
        if isinstance(node, ast.With) and ast.unparse(node).startswith("with probe():")
    }
    assert (found[0].parts[plain] in written, found[1].parts[asserted] in written) == (True, False)
    assert found[0].unstable == found[1].unstable == []


WIDE = """
import attrs
import random
import pandas as pd
LIMIT, RATE, UNREAD = 1, 2, 3
@attrs.define
class P:
    rate: int = RATE
def demand():
    return 1
random.seed(4)
print("begin")
with trace("sim"):
    class Q:
        rate: int = attrs.field(default=LIMIT)
    value = len(pd.DataFrame({"demand": [1, 2]}).query("demand > @LIMIT")) + P().rate
random.seed(6)
"""


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("LIMIT, RATE, UNREAD = 1", "LIMIT, RATE, UNREAD = 7", True),
        ("= 1, 2", "= 1, 7", True),
        ("random.seed(4)", "random.seed(5)", True),
        ("2, 3", "2, 7", False),
        ("return 1", "return 7", False),
        ('"begin"', '"start"', False),
        ("random.seed(6)", "random.seed(7)", False),
    ],
)
def test_what_a_block_reaches_by_classes_texts_and_set_up_counts(
    root: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, counts: bool
) -> None:
    for name in ("attrs", "pandas"):
        pytest.importorskip(name)
    assert old in WIDE
    first = digests(run(root, WIDE, monkeypatch))
    assert (digests(run(root, WIDE.replace(old, new), monkeypatch)) != first) is counts
