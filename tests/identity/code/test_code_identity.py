"""What counts as code: every edit that can change a result must give another identity, and no other edit may."""
# A case is one program before an edit, and one after.
# ruff: noqa: E501

import functools
import importlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consist_es.errors import CodeIdentityUnavailableError, InputError, OptionError, UsageTypeError
from consist_es.identity.code.modes import CodeIdentity, code_identity
from consist_es.identity.live.modules import Modules, label_root
from consist_es.identity.text.readers import Readers

Files = dict[str, str]


class Code:
    """A folder of modules that are written, imported afresh and identified."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, files: Files) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))

    def load(self, name: str = "model") -> Any:
        for known in [known for known, module in sys.modules.items() if self._is_mine(module)]:
            del sys.modules[known]
        importlib.invalidate_caches()
        return importlib.import_module(name)

    def _is_mine(self, module: Any) -> bool:
        return str(getattr(module, "__file__", None) or "").startswith(str(self.root))

    def identity(self, files: Files | None = None, **options: Any) -> CodeIdentity:
        self.write(files or {})
        return code_identity(self.load().step, project_root=self.root, **options)


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Code]:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Code(tmp_path)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


M = "model.py"
CHANGES: dict[str, tuple[Files, Files]] = {
    "body": ({M: "def step(): return 1\n"}, {M: "def step(): return 2\n"}),
    "type of a constant": ({M: "def step(): return 1\n"}, {M: "def step(): return 1.0\n"}),
    "sign of zero": ({M: "def step(): return 0.0\n"}, {M: "def step(): return -0.0\n"}),
    "true for one": ({M: "def step(): return 1\n"}, {M: "def step(): return True\n"}),
    "default": ({M: "def step(a=1): return a\n"}, {M: "def step(a=2): return a\n"}),
    "computed default": ({M: "K=[1]\ndef step(a=K[0]): return a\n"}, {M: "K=[2]\ndef step(a=K[0]): return a\n"}),
    "keyword default": ({M: "def step(*, a=1): return a\n"}, {M: "def step(*, a='1'): return a\n"}),
    "constant": ({M: "K = 1\ndef step(): return K\n"}, {M: "K = 2\ndef step(): return K\n"}),
    "a field of a named tuple": (
        {M: "from collections import namedtuple\nP = namedtuple('P', 'a b')\ndef step(): return P(1, 2).b\n"},
        {M: "from collections import namedtuple\nP = namedtuple('P', 'b a')\ndef step(): return P(1, 2).b\n"},
    ),
    "a field of a named tuple that was swapped": (
        {M: "from typing import NamedTuple\nclass P(NamedTuple):\n a: int\n b: int\ndef step(): return P(1, 2).b\n"},
        {M: "from typing import NamedTuple\nclass P(NamedTuple):\n a: int\n b: int\nP.b = P.a\ndef step(): return P(1, 2).b\n"},
    ),
    "a method of a named tuple": (
        {M: "from typing import NamedTuple\nclass P(NamedTuple):\n a: int\n def f(self): return 1\ndef step(): return P(1).f()\n"},
        {M: "from typing import NamedTuple\nclass P(NamedTuple):\n a: int\n def f(self): return 2\ndef step(): return P(1).f()\n"},
    ),
    "what a defaultdict makes": (
        {M: "from collections import defaultdict as d\nK = d(int)\ndef step(): return K['x']\n"},
        {M: "from collections import defaultdict as d\nK = d(list)\ndef step(): return K['x']\n"},
    ),
    "what a defaultdict holds": (
        {M: "from collections import defaultdict as d\nK = d(int, a=1)\ndef step(): return K['a']\n"},
        {M: "from collections import defaultdict as d\nK = d(int, a=2)\ndef step(): return K['a']\n"},
    ),
    "time zone": (
        {M: "import datetime as d\nK = d.timezone.utc\ndef step(): return d.datetime.now(K)\n"},
        {M: "import datetime as d\nK = d.timezone(d.timedelta(hours=1))\ndef step(): return d.datetime.now(K)\n"},
    ),
    "named time zone": (
        {M: "import zoneinfo\nK = zoneinfo.ZoneInfo('Europe/Zurich')\ndef step(): return K\n"},
        {M: "import zoneinfo\nK = zoneinfo.ZoneInfo('Europe/Lisbon')\ndef step(): return K\n"},
    ),
    "slice": ({M: "K = slice(1, 2)\ndef step(): return K\n"}, {M: "K = slice(1, 3)\ndef step(): return K\n"}),
    "what is dispatched to": (
        {M: "import functools\nclass C:\n @functools.singledispatchmethod\n def f(self, x): return 0\n @f.register\n def _(self, x: int): return 1\ndef step(): return C().f(1)\n"},
        {M: "import functools\nclass C:\n @functools.singledispatchmethod\n def f(self, x): return 0\n @f.register\n def _(self, x: int): return 2\ndef step(): return C().f(1)\n"},
    ),
    "what a partial method is given": (
        {M: "import functools\ndef g(s, n): return n\nclass C: pass\nC.f = functools.partialmethod(g, 1)\ndef step(): return C().f()\n"},
        {M: "import functools\ndef g(s, n): return n\nclass C: pass\nC.f = functools.partialmethod(g, 2)\ndef step(): return C().f()\n"},
    ),
    "computed constant": ({M: "K = sum([1])\ndef step(): return K\n"}, {M: "K = sum([2])\ndef step(): return K\n"}),
    "constant in a nested function": (
        {M: "K = 1\ndef step(): return [(lambda: K)() for _ in 'a']\n"},
        {M: "K = 2\ndef step(): return [(lambda: K)() for _ in 'a']\n"},
    ),
    "mutated constant": ({M: "K = {}\ndef step(): return K\n"}, {M: "K = {}\nK['a'] = 1\ndef step(): return K\n"}),
    "closure": (
        {M: "def make(n):\n def inner(): return n\n return inner\nstep = make(1)\n"},
        {M: "def make(n):\n def inner(): return n\n return inner\nstep = make(2)\n"},
    ),
    "closure over a function": (
        {M: "def make(f):\n def inner(): return f()\n return inner\nstep = make(lambda: 1)\n"},
        {M: "def make(f):\n def inner(): return f()\n return inner\nstep = make(lambda: 2)\n"},
    ),
    "partial argument": (
        {M: "import functools\ndef f(n): return n\nstep = functools.partial(f, 1)\n"},
        {M: "import functools\ndef f(n): return n\nstep = functools.partial(f, True)\n"},
    ),
    "function in a partial": (
        {M: "import functools\ndef f(n): return n\nstep = functools.partial(f, 1)\n"},
        {M: "import functools\ndef f(n): return n + 1\nstep = functools.partial(f, 1)\n"},
    ),
    "state of a bound method's object": (
        {M: "class A:\n def __init__(s, n): s.n = n\n def run(s): return s.n\nstep = A(1).run\n"},
        {M: "class A:\n def __init__(s, n): s.n = n\n def run(s): return s.n\nstep = A(2).run\n"},
    ),
    "another method that a method calls": (
        {M: "class A:\n def run(s): return s.b()\n def b(s): return 1\nstep = A().run\n"},
        {M: "class A:\n def run(s): return s.b()\n def b(s): return 2\nstep = A().run\n"},
    ),
    "base class": (
        {M: "class B:\n def b(s): return 1\nclass A(B):\n def run(s): return s.b()\nstep = A().run\n"},
        {M: "class B:\n def b(s): return 2\nclass A(B):\n def run(s): return s.b()\nstep = A().run\n"},
    ),
    "global that a method reads": (
        {M: "K = 1\nclass A:\n def run(s): return K\nstep = A().run\n"},
        {M: "K = 2\nclass A:\n def run(s): return K\nstep = A().run\n"},
    ),
    "callable object": (
        {M: "class A:\n def __init__(s, n): s.n = n\n def __call__(s): return s.n\nstep = A(1)\n"},
        {M: "class A:\n def __init__(s, n): s.n = n\n def __call__(s): return s.n\nstep = A(2)\n"},
    ),
    "class attribute": (
        {M: "class A:\n k = 1\ndef step(): return A.k\n"},
        {M: "class A:\n k = 2\ndef step(): return A.k\n"},
    ),
    "class attribute set later": (
        {M: "class A:\n k = 1\nA.k = 2\ndef step(): return A.k\n"},
        {M: "class A:\n k = 1\nA.k = 3\ndef step(): return A.k\n"},
    ),
    "property of a class": (
        {M: "K = 1\nclass A:\n @property\n def k(s): return K\ndef step(): return A().k\n"},
        {M: "K = 2\nclass A:\n @property\n def k(s): return K\ndef step(): return A().k\n"},
    ),
    "enum value": (
        {M: "import enum\nclass E(enum.Enum):\n A = 1\ndef step(): return E.A.value\n"},
        {M: "import enum\nclass E(enum.Enum):\n A = 2\ndef step(): return E.A.value\n"},
    ),
    "decorator without wraps": (
        {M: "def twice(f):\n def g(): return f() * 2\n return g\n@twice\ndef step(): return 1\n"},
        {M: "def twice(f):\n def g(): return f() * 3\n return g\n@twice\ndef step(): return 1\n"},
    ),
    "function below a decorator": (
        {M: "def twice(f):\n def g(): return f() * 2\n return g\n@twice\ndef step(): return 1\n"},
        {M: "def twice(f):\n def g(): return f() * 2\n return g\n@twice\ndef step(): return 2\n"},
    ),
    "wrapper with wraps": (
        {M: "import functools\ndef d(f):\n @functools.wraps(f)\n def g(): return f() + 1\n return g\n@d\ndef step(): return 1\n"},
        {M: "import functools\ndef d(f):\n @functools.wraps(f)\n def g(): return f() + 2\n return g\n@d\ndef step(): return 1\n"},
    ),
    "cached function": (
        {M: "import functools\n@functools.lru_cache\ndef f(): return 1\ndef step(): return f()\n"},
        {M: "import functools\n@functools.lru_cache\ndef f(): return 2\ndef step(): return f()\n"},
    ),
    "context manager": (
        {M: "import contextlib\n@contextlib.contextmanager\ndef f(): yield 1\ndef step():\n with f() as x: return x\n"},
        {M: "import contextlib\n@contextlib.contextmanager\ndef f(): yield 2\ndef step():\n with f() as x: return x\n"},
    ),
    "single dispatch": (
        {M: "import functools\n@functools.singledispatch\ndef f(x): return 0\n@f.register\ndef _(x: int): return 1\ndef step(): return f(1)\n"},
        {M: "import functools\n@functools.singledispatch\ndef f(x): return 0\n@f.register\ndef _(x: int): return 2\ndef step(): return f(1)\n"},
    ),
    "dispatch table": (
        {M: "def a(): return 1\nT = {'a': a}\ndef step(): return T['a']()\n"},
        {M: "def a(): return 2\nT = {'a': a}\ndef step(): return T['a']()\n"},
    ),
    "function two calls away": (
        {M: "def a(): return 1\ndef b(): return a()\ndef step(): return b()\n"},
        {M: "def a(): return 2\ndef b(): return a()\ndef step(): return b()\n"},
    ),
    "swapped functions": (
        {M: "def a(): return 1\ndef b(): return 2\nf, g = a, b\ndef step(): return f()\n"},
        {M: "def a(): return 1\ndef b(): return 2\nf, g = b, a\ndef step(): return f()\n"},
    ),
    "seed of a used module": (
        {M: "import random\nrandom.seed(1)\ndef step(): return random.random()\n"},
        {M: "import random\nrandom.seed(2)\ndef step(): return random.random()\n"},
    ),
    "seed by a constant": (
        {M: "import random\nS = 1\nrandom.seed(S)\ndef step(): return random.random()\n"},
        {M: "import random\nS = 2\nrandom.seed(S)\ndef step(): return random.random()\n"},
    ),
    "option of a used module": (
        {M: "import decimal\ndecimal.x = 1\ndef step(): return decimal.x\n"},
        {M: "import decimal\ndecimal.x = 2\ndef step(): return decimal.x\n"},
    ),
    "dynamic access to globals": (
        {M: "K = 1\ndef step(): return globals()['K']\n"},
        {M: "K = 2\ndef step(): return globals()['K']\n"},
    ),
    "eval": ({M: "K = 1\ndef step(): return eval('K')\n"}, {M: "K = 2\ndef step(): return eval('K')\n"}),
    "helper module": (
        {M: "import helper\ndef step(): return helper.f()\n", "helper.py": "def f(): return 1\n"},
        {"helper.py": "def f(): return 2\n"},
    ),
    "name from a helper": (
        {M: "from helper import f\ndef step(): return f()\n", "helper.py": "def f(): return g()\ndef g(): return 1\n"},
        {"helper.py": "def f(): return g()\ndef g(): return 2\n"},
    ),
    "constant of a helper": (
        {M: "import helper\ndef step(): return helper.K\n", "helper.py": "K = 1\n"},
        {"helper.py": "K = 2\n"},
    ),
    "two imports away": (
        {M: "import a\ndef step(): return a.f()\n", "a.py": "import b\ndef f(): return b.K\n", "b.py": "K = 1\n"},
        {"b.py": "K = 2\n"},
    ),
    "package init": (
        {M: "from p.q import f\ndef step(): return f()\n", "p/__init__.py": "X = 1\n", "p/q.py": "def f(): return 1\n"},
        {"p/__init__.py": "X = 2\n"},
    ),
    "relative import": (
        {M: "from p.q import f\ndef step(): return f()\n", "p/__init__.py": "", "p/q.py": "from .r import g\ndef f(): return g()\n", "p/r.py": "def g(): return 1\n"},
        {"p/r.py": "def g(): return 2\n"},
    ),
    "submodule by from": (
        {M: "from p import q\ndef step(): return q.f()\n", "p/__init__.py": "", "p/q.py": "def f(): return 1\n"},
        {"p/q.py": "def f(): return 2\n"},
    ),
    "re-exported name": (
        {M: "from p import f\ndef step(): return f()\n", "p/__init__.py": "from p.q import f\n", "p/q.py": "def f(): return 1\n"},
        {"p/q.py": "def f(): return 2\n"},
    ),
    "module that only sets another one up": (
        {M: "from facade import f\ndef step(): return f()\n", "facade.py": "import impl\nfrom impl import f\nimpl.T.append(1)\n", "impl.py": "T = []\ndef f(): return T\n"},
        {"facade.py": "import impl\nfrom impl import f\nimpl.T.append(2)\n"},
    ),
    "import inside the function": (
        {M: "def step():\n import helper\n return helper.K\n", "helper.py": "K = 1\n"},
        {"helper.py": "K = 2\n"},
    ),
    "import_module": (
        {M: "import importlib\ndef step(): return importlib.import_module('helper').K\n", "helper.py": "K = 1\n"},
        {"helper.py": "K = 2\n"},
    ),
    "star import": (
        {M: "from helper import *\ndef step(): return f()\n", "helper.py": "def f(): return g()\ndef g(): return 1\n"},
        {"helper.py": "def f(): return g()\ndef g(): return 2\n"},
    ),
    "class of a helper": (
        {M: "from helper import A\ndef step(): return A().f()\n", "helper.py": "class A:\n def f(s): return 1\n"},
        {"helper.py": "class A:\n def f(s): return 2\n"},
    ),
    "object of a helper's class": (
        {M: "from helper import a\ndef step(): return a.f()\n", "helper.py": "class A:\n def f(s): return 1\na = A()\n"},
        {"helper.py": "class A:\n def f(s): return 2\na = A()\n"},
    ),
    "dataclass value with a property": (
        {M: "from helper import c\ndef step(): return c.k\n", "helper.py": "import dataclasses\n@dataclasses.dataclass\nclass C:\n n: int\n @property\n def k(s): return s.n\nc = C(1)\n"},
        {"helper.py": "import dataclasses\n@dataclasses.dataclass\nclass C:\n n: int\n @property\n def k(s): return s.n + 1\nc = C(1)\n"},
    ),
    "native extension": (
        {M: "import importlib\ndef step():\n import fastpart\n", f"fastpart{importlib.machinery.EXTENSION_SUFFIXES[0]}": "one"},
        {f"fastpart{importlib.machinery.EXTENSION_SUFFIXES[0]}": "two"},
    ),
    "own copy of a standard module's name": (
        {M: "def step():\n import fractional\n", "fractional.py": "K = 1\n"},
        {"fractional.py": "K = 2\n"},
    ),
}  # fmt: skip
BASE = "import helper\nK = 1\ndef step(a, b=2):\n    return a + b + K + helper.f()\n"
STAYS: dict[str, tuple[Files, Files]] = {
    "comment": ({M: BASE}, {M: BASE.replace("return", "# why\n    return")}),
    "blank lines and a moved function": ({M: BASE}, {M: BASE.replace("def step", "\n\n\ndef step")}),
    "formatting": ({M: BASE}, {M: BASE.replace("a + b + K", "(a  +\n  b + K)")}),
    "docstring": ({M: BASE}, {M: BASE.replace("    return", '    """What it does."""\n    return')}),
    "quotes": ({M: "def step(): return 'a'\n"}, {M: 'def step(): return "a"\n'}),
    "spelling of a number": ({M: "def step(): return 1000\n"}, {M: "def step(): return 1_000\n"}),
    "comment in a helper": ({M: BASE}, {"helper.py": "# more\ndef f(): return 1\n"}),
    "unrelated function": ({M: BASE}, {M: BASE + "def other(): return 5\n"}),
    "unrelated constant": ({M: BASE}, {M: BASE + "OTHER = 5\n"}),
    "workflow part": ({M: BASE}, {M: BASE + "if __name__ == '__main__':\n    print(step(K))\n"}),
    "workflow part that names constants": ({M: BASE}, {M: BASE + "result = [K, K + 1]\nfor k in (K, 2):\n    pass\n"}),
    "local of a constant's name": (
        {M: "def step():\n    K = 1\n    return K\n"},
        {M: "K = 5\ndef step():\n    K = 1\n    return K\n"},
    ),
    "another spelling of a constant": (
        {M: "K = 2\ndef step(): return K\n"},
        {M: "K = 1 + 1\ndef step(): return K\n"},
    ),
    "unrelated module": ({M: BASE}, {"other.py": "X = 1\n"}),
    "logger": (
        {M: "import logging\nlog = logging.getLogger(__name__)\ndef step(): log.info('x')\n"},
        {M: "import logging\nlog = logging.getLogger('x')\ndef step(): log.info('x')\n"},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_edit_that_can_change_the_result_changes_the_identity(code: Code, name: str) -> None:
    before, after = CHANGES[name]
    first = code.identity(before)
    assert first.unstable == []
    assert code.identity(after).digest != first.digest


@pytest.mark.parametrize("name", CHANGES)
def test_loading_the_same_code_again_keeps_the_identity(code: Code, name: str) -> None:
    before, after = CHANGES[name]
    assert code.identity(before) == code.identity()
    code.identity(after)
    assert code.identity(before).digest == code.identity().digest


@pytest.mark.parametrize("name", STAYS)
def test_an_edit_without_effect_keeps_the_identity(code: Code, name: str) -> None:
    before, after = STAYS[name]
    first = code.identity({"helper.py": "def f(): return 1\n", **before})
    second = code.identity(after)
    assert second.parts == first.parts
    assert second.digest == first.digest


def test_two_lambdas_on_one_line_differ(code: Code) -> None:
    code.write({M: "fs = [lambda: 1, lambda: 2, lambda: (lambda: 1)]\n"})
    digests = {code_identity(fn, project_root=code.root).digest for fn in code.load().fs}
    assert len(digests) == 3


def test_functions_of_one_name_differ(code: Code) -> None:
    code.write(
        {M: "def a():\n def f(): return 1\n return f\ndef b():\n def f(): return 2\n return f\nx, y = a(), b()\n"}
    )
    model = code.load()
    model.y.__qualname__ = model.x.__qualname__
    assert identity_of(model.x, code) != identity_of(model.y, code)


def identity_of(fn: Callable[..., Any], code: Code) -> str:
    return code_identity(fn, project_root=code.root).digest


def test_a_counter_that_the_step_only_writes_to_does_not_count(code: Code) -> None:
    code.write({M: "calls, n, seen = [], 0, {}\ndef step():\n global n\n n += 1\n seen['x'] = 1\n calls.append(1)\n"})
    step = code.load().step
    first = identity_of(step, code)
    step()
    assert identity_of(step, code) == first


def test_a_counter_that_the_step_reads_counts(code: Code) -> None:
    code.write({M: "calls = []\ndef step():\n calls.append(len(calls))\n"})
    step = code.load().step
    first = identity_of(step, code)
    step()
    assert identity_of(step, code) != first


def test_a_closure_counter_that_is_only_written_to_does_not_count(code: Code) -> None:
    def make() -> Callable[[], int]:
        calls: list[int] = []

        def step() -> int:
            calls.append(1)
            return 1

        return step

    step = make()
    first = identity_of(step, code)
    step()
    assert identity_of(step, code) == first


def test_a_value_from_the_environment_counts_by_its_present_value(code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {M: "import os, helper\nA = os.environ['A_OF_TEST']\ndef step(): return A, helper.B\n"}
    files["helper.py"] = "import os\nB = os.environ['B_OF_TEST']\n"
    found = set()
    for a, b in [("1", "1"), ("2", "1"), ("1", "2")]:
        monkeypatch.setenv("A_OF_TEST", a)
        monkeypatch.setenv("B_OF_TEST", b)
        found.add(code.identity(files).digest)
    assert len(found) == 3


def test_a_function_replaced_at_run_time_counts(code: Code) -> None:
    code.write({M: "import helper\ndef step(): return helper.f()\n", "helper.py": "def f(): return 1\nK = 1\n"})
    model = code.load()
    first = identity_of(model.step, code)
    model.helper.f = lambda: 2
    replaced = identity_of(model.step, code)
    model.helper.K = 5
    assert len({first, replaced, identity_of(model.step, code)}) == 3


def test_a_module_edited_after_import_is_never_reused(code: Code) -> None:
    code.write({M: "import helper\ndef step(): return helper.T\n", "helper.py": "T = [1]\n"})
    model = code.load()
    first = code_identity(model.step, project_root=code.root)
    code.write({"helper.py": "T = [1, 2]\n"})
    stale = code_identity(model.step, project_root=code.root)
    importlib.reload(model.helper)
    fresh = code_identity(model.step, project_root=code.root)
    assert first.unstable == fresh.unstable == []
    assert "helper.py was edited after it was imported" in stale.unstable[0]
    assert fresh.digest != first.digest


def test_a_function_edited_after_import_is_identified_by_what_is_loaded(code: Code) -> None:
    code.write({M: "def step(): return 1\n"})
    old = code.load().step
    code.write({M: "def step(): return 2\n"})
    edited = identity_of(old, code)
    assert edited != identity_of(code.load().step, code)


def test_a_value_without_a_canonical_form_is_unstable_and_named(code: Code) -> None:
    found = code.identity({M: "import random\nrng = random.Random(1)\ndef step(): return rng.random()\n"})
    assert len(found.unstable) == 1
    assert found.unstable[0].startswith("variable 'rng' of model.py:step: random.Random has no canonical form")


def test_a_captured_open_file_is_unstable_and_named(code: Code) -> None:
    with (code.root / "x").open("w") as handle:
        found = code_identity(functools.partial(print, file=handle), project_root=code.root)
    assert "TextIOWrapper has no canonical form" in found.unstable[0]


def test_a_computed_import_is_unstable_until_the_file_is_declared(code: Code) -> None:
    files = {M: "import importlib\ndef step(name): return importlib.import_module(name)\n", "helper.py": "K = 1\n"}
    assert "whose name is computed" in code.identity(files).unstable[0]
    assert code.identity(extra_deps=["helper.py"]).unstable == []


def test_a_function_without_source_is_identified_by_its_instructions(code: Code) -> None:
    def made(text: str) -> str:
        namespace: dict[str, Any] = {"K": 1, "__name__": "made"}
        exec(text, namespace)
        return identity_of(namespace["step"], code)

    assert made("def step(): return 1") == made("\n\ndef step(): return 1")
    assert made("def step(): return 1") != made("def step(): return 2")
    assert made("def step(): return 1") != made("def step(): return True")


def test_a_builtin_is_identified_by_its_name(code: Code) -> None:
    assert identity_of(len, code) == identity_of(len, code) != identity_of(sum, code)


def test_the_object_of_a_builtin_method_counts(code: Code) -> None:
    assert identity_of([1].count, code) != identity_of([2].count, code)


def test_moving_the_project_keeps_the_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    text = "from pathlib import Path\nHERE = Path(__file__).parent / 'data'\ndef step(): return HERE\n"
    found = set()
    for place in ("a", "b/c"):
        root = tmp_path / place
        with monkeypatch.context() as context:
            context.syspath_prepend(str(root))
            mine = Code(root)
            found.add(mine.identity({M: text}).digest)
            sys.modules.pop("model")
    assert len(found) == 1


def test_the_class_of_a_config_object_counts(code: Code) -> None:
    text = "class C:\n    n = 1\n\n    def k(self):\n        return 1\n"
    files = {
        M: "def step(config): return config.k()\n",
        "conf.py": f"import dataclasses\n@dataclasses.dataclass\n{text}",
    }
    code.write(files)
    found = set()
    for body in ("return 1", "return 2"):
        code.write({"conf.py": files["conf.py"].replace("return 1", body)})
        step = code.load().step
        uses = {"nested": [importlib.import_module("conf").C()]}
        found.add(code_identity(step, project_root=code.root, uses=uses).digest)
    assert len(found) == 2


@pytest.mark.parametrize(
    "text", ["import sys\ndef step(): return sys.argv[1]\n", "from sys import argv\ndef step(): return argv[1:]\n"]
)
def test_the_arguments_of_the_program_count_where_a_step_reads_them(
    code: Code, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    found = set()
    for argument in ("2030", "2040", "2030"):
        monkeypatch.setattr(sys, "argv", ["model.py", argument])
        found.add(code.identity({M: text}).digest)
    assert len(found) == 2


def test_the_arguments_that_a_main_function_reads_do_not_count(code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import sys\ndef step(): return 1\ndef main(): return sys.argv\n"
    found = set()
    for argument in ("2030", "2040"):
        monkeypatch.setattr(sys, "argv", ["model.py", argument])
        found.add(code.identity({M: text}).digest)
    assert len(found) == 1


def test_the_present_code_of_this_library_does_not_count(code: Code) -> None:
    found = code.identity({M: "from consist_es.events import Draft\ndef step(): return Draft\n"})
    assert found.unstable == []
    assert not [part for part in found.parts if "events" in part]


# ---------------------------------------------------------------- modes and dependencies


def git(root: Path, *arguments: str) -> None:
    names = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(["git", *names, *arguments], cwd=root, check=True, capture_output=True, env=clean)


def test_repo_git_counts_commit_change_and_untracked_python(code: Code) -> None:
    code.write({M: "def step(): return 1\n", "data.txt": "1"})
    git(code.root, "init", "-q")
    git(code.root, "add", ".")
    git(code.root, "commit", "-qm", "one")
    found = [code.identity(mode="repo_git")]
    code.write({"data.txt": "2"})
    found.append(code.identity(mode="repo_git"))
    code.write({"new.py": "1"})
    found.append(code.identity(mode="repo_git"))
    code.write({"new.py": "2"})
    found.append(code.identity(mode="repo_git"))
    git(code.root, "add", ".")
    git(code.root, "commit", "-qm", "two")
    found.append(code.identity(mode="repo_git"))
    assert {item.mode for item in found} == {"repo_git"}
    assert len({item.digest for item in found}) == 5
    assert code.identity(mode="repo_git") == found[-1]


def test_repo_git_outside_a_repository_falls_back_and_says_so(code: Code) -> None:
    found = code.identity({M: "def step(): return 1\n"}, mode="repo_git")
    assert found == code.identity(mode="imports")
    assert found.mode == "imports"


@pytest.mark.parametrize("mode", ["repo_git", "callable_module", "callable_source", None])
def test_without_a_callable_and_repository_there_is_no_identity(code: Code, mode: str | None) -> None:
    with pytest.raises(CodeIdentityUnavailableError, match="there is no function"):
        code_identity(None, mode=mode, project_root=code.root)


def test_callable_module_counts_the_file_and_callable_source_the_function(code: Code) -> None:
    before = {M: "def step(): return other()\ndef other(): return 1\n"}
    after = {M: "def step(): return other()\ndef other(): return 2\n"}
    for mode, same in [("callable_module", False), ("callable_source", True)]:
        first = code.identity(before, mode=mode).digest
        assert (code.identity(after, mode=mode).digest == first) is same


@pytest.mark.parametrize("mode", ["repo_git", "callable_module", "callable_source"])
def test_every_mode_counts_function_defaults_closure_and_partial(code: Code, mode: str) -> None:
    text = "import functools\ndef f(n, k=1): return n\ndef g(n, k=1): return n\nX = [f, g, functools.partial(f, 1)]\n"
    text += "X += [functools.partial(f, 2)]\ndef make(n):\n    return lambda: n\nX += [make(1), make(2)]\n"
    code.write({M: text})
    model = code.load()
    found = {code_identity(fn, mode=mode, project_root=code.root).digest for fn in model.X}
    model.f.__defaults__ = (2,)
    found.add(code_identity(model.f, mode=mode, project_root=code.root).digest)
    assert len(found) == 7


def test_callable_module_without_a_file_is_refused(code: Code) -> None:
    with pytest.raises(CodeIdentityUnavailableError, match="no source file"):
        code_identity(len, mode="callable_module", project_root=code.root)


def test_an_unknown_mode_is_refused_with_the_allowed_ones(code: Code) -> None:
    with pytest.raises(OptionError, match="'repo_git'"):
        code_identity(len, mode="git", project_root=code.root)


@pytest.mark.parametrize("deps", ["helper.py", [1], [Path("helper.py")], {"a": 1}])
def test_dependencies_of_a_wrong_type_are_refused(code: Code, deps: Any) -> None:
    with pytest.raises(UsageTypeError, match="code_identity_extra_deps"):
        code_identity(len, extra_deps=deps, project_root=code.root)


@pytest.mark.parametrize("mode", ["imports", "callable_module", "callable_source"])
def test_dependencies_count_by_content_in_every_mode(code: Code, mode: str) -> None:
    code.write({M: "def step(): return 1\n"})
    found = [code.identity(mode=mode).digest, code.identity(mode=mode, extra_deps=["t.csv", "d"]).digest]
    code.write({"t.csv": "1", "d/x": "1"})
    found.append(code.identity(mode=mode, extra_deps=["t.csv", "d"]).digest)
    code.write({"t.csv": "2"})
    found.append(code.identity(mode=mode, extra_deps=["t.csv", "d"]).digest)
    code.write({"d/x": "2"})
    found.append(code.identity(mode=mode, extra_deps=["t.csv", "d"]).digest)
    assert len(set(found)) == 5


def test_a_dependency_that_cannot_be_hashed_is_an_error(code: Code) -> None:
    os.mkfifo(code.root / "pipe")
    with pytest.raises(InputError, match=r"code_identity_extra_deps.*FIFO"):
        code_identity(len, extra_deps=["pipe"], project_root=code.root)


def test_a_long_chain_of_calls_is_followed_to_its_end(code: Code) -> None:
    chain = "".join(f"def f{i}(): return f{i + 1}()\n" for i in range(500))
    first = code.identity({M: f"{chain}def f500(): return 1\ndef step(): return f0()\n"})
    second = code.identity({M: f"{chain}def f500(): return 2\ndef step(): return f0()\n"})
    assert first.digest != second.digest


@pytest.mark.parametrize(
    "value",
    [
        "deep = []\nfor _ in range(500): deep = [deep]\n",
        "class E:\n def __getattr__(s, n): raise RuntimeError(n)\ndeep = E()\n",
        "class E:\n def __reduce__(s): raise RuntimeError\ndeep = E()\n",
        "deep = (i for i in ())\n",
        "deep = [print]\ndeep.append(deep)\n",
    ],
)
def test_an_odd_captured_value_is_no_error(code: Code, value: str) -> None:
    first = code.identity({M: f"{value}def step(): return deep\n"})
    assert first == code.identity()


def test_a_script_and_the_same_file_imported_are_one(code: Code) -> None:
    text = "K = 1\ndef helper(): return K\ndef step(a=2): return helper() + a\n"
    main = (
        "if __name__ == '__main__':\n    import sys\n    from pathlib import Path\n"
        "    from consist_es.identity.code.modes import code_identity\n"
        "    print(code_identity(step, project_root=Path(sys.argv[1])).digest)\n"
    )
    found = code.identity({M: text + main})
    command = [sys.executable, str(code.root / M), str(code.root)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONHASHSEED": "3"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == found.digest


SCRIPT = """
from pathlib import Path
import consist_es
HERE = Path(__file__).resolve().parent
T = consist_es.Tracker(run_dir=HERE / {runs}, db_path=HERE / {log})
def step():
    path = consist_es.output_path("o", "txt")
    path.write_text((HERE / "rate.txt").read_text() + Path(__file__).name)
    return path
result = T.run(step, outputs=["o"])
print(result.cache_hit, result.output.path.read_text())
"""


def started(script: Path, folder: Path) -> str:
    """What a script prints that is started from a folder, by the shortest way to it."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, os.path.relpath(script, folder)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True, env=environment
    ).stdout.strip()


@pytest.mark.parametrize("log", ["'p.db'", "'runs/p.db'"])
def test_a_script_started_from_another_folder_or_moved_is_the_same(tmp_path: Path, log: str) -> None:
    script = tmp_path / "here" / "project" / "m.py"
    script.parent.mkdir(parents=True)
    script.write_text(SCRIPT.format(runs="'runs'", log=log))
    (script.parent / "rate.txt").write_text("1")
    found = [started(script, folder) for folder in (script.parent, tmp_path, script.parent.parent, script.parent)]
    assert found == ["False 1m.py", "True 1m.py", "True 1m.py", "True 1m.py"]
    script.parent.rename(tmp_path / "moved")
    assert started(tmp_path / "moved" / "m.py", tmp_path) == "True 1m.py"


def test_the_same_script_in_two_folders_of_one_log_is_two(tmp_path: Path) -> None:
    found = []
    for name in "ab":
        script = tmp_path / name / "m.py"
        script.parent.mkdir()
        script.write_text(SCRIPT.format(runs="'../runs'", log="'../runs/p.db'"))
        (script.parent / "rate.txt").write_text(name)
        found.append(started(script, script.parent))
    assert found == ["False am.py", "False bm.py"]


def test_a_project_root_that_is_given_is_where_names_of_files_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(tmp_path / "a" / "m.py"), raising=False)
    monkeypatch.chdir("/")
    assert label_root(tmp_path / "b", tmp_path / "a") == tmp_path / "b"
    assert label_root(".", tmp_path / "a") == tmp_path / "a"
    assert label_root(".", tmp_path / "runs") == tmp_path
    assert label_root(".", tmp_path / "far" / "runs") == Path("/")
    assert label_root(".", Path("/")) == Path("/")


def test_two_files_that_are_named_alike_both_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "project"
    found = []
    for text in ("K = 1\n", "K = 2\n"):
        modules = Modules(root, Readers())
        for name in "ab":
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "rates.py").write_text("K = 5\n" if name == "b" else text)
            modules.follow_loaded(f"rates_{name}", str(tmp_path / name / "rates.py"))
        found.append(modules.parts)
    assert [sorted(parts) for parts in found] == [["rates.py", "rates.py #2"]] * 2
    assert found[0] != found[1]
