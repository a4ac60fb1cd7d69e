"""Objects as they are when a step runs: classes of values, wrappers that hold something, and what was replaced.

Each case has a twin, ``..._again``, in which nothing changes and which has to hit.
"""

from collections.abc import Mapping

from attacks.case import MAIN, Group, dedented

GROUP = Group("live objects", "runtime")
DISTRIBUTION = {
    "site/site-packages/lib-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: lib\nVersion: 1\n",
    "site/site-packages/lib-1.dist-info/RECORD": "lib.py,,\nlib-1.dist-info/METADATA,,\nlib-1.dist-info/RECORD,,\n",
}
"""What makes ``lib.py`` an installed package: what lies beside it without a distribution is one's own."""


def edited(
    name: str, file: str, old: str, new: str, files: Mapping[str, str], main: str = MAIN, packages: str = ""
) -> None:
    """One file edited between two processes; ``lib.py`` is an installed package."""
    files = {path: str(dedented(text)) for path, text in files.items()}
    if "lib.py" in files:
        files["site/site-packages/lib.py"] = files.pop("lib.py")
        files |= DISTRIBUTION
        main = f"import sys\nsys.path.insert(0, 'site/site-packages')\n{main}"
    assert old in {**files, "main.py": main}[file], name
    if file == "main.py":
        GROUP.add(name, "miss", main, files=files, change={}, again=main.replace(old, new), packages=packages)
    else:
        GROUP.add(name, "miss", main, files=files, change={file: files[file].replace(old, new)}, packages=packages)
    GROUP.add(f"{name}_again", "hit", main, files=files, change={}, packages=packages)


def replaced(name: str, helper: str, change: str, body: str, before: str = "", packages: str = "") -> None:
    """A module changed while Python runs; `body` is what the step looks at."""
    model = f"import helper\ndef step():\n    ran({body})\n"
    files = {"model.py": model, "helper.py": helper}
    start = f"import helper\nfrom model import step\n{before}"
    GROUP.add(name, "miss", f"{start}\ncall(step)\n{change}\ncall(step)\n", files=files, packages=packages)
    GROUP.add(f"{name}_again", "hit", f"{start}\ncall(step)\ncall(step)\n", files=files, packages=packages)


# ---------------------------------------------------------------- classes of values

STEP = "def step(config):\n    v = config['v']\n    ran({})\n"
VALUE = "from model import step\nfrom kinds import *\ncall(step, config={{'v': {}}})\n"


def kind(name: str, classes: str, value: str, use: str, edit: str = "* 2 -> * 3", packages: str = "") -> None:
    """A class of a config value is edited, in a module that the step does not import."""
    old, new = edit.split(" -> ")
    files = {"kinds.py": classes, "model.py": STEP.format(use)}
    edited(name, "kinds.py", old, new, files, VALUE.format(value), packages)


LIST = "class L(list):\n    def total(self): return sum(self) * 2\n"
RATE = "class Rate(float):\n    def twice(self): return self * 2\n"
TEXT = "class K(str):\n    def code(self): return self * 2\n"
kind("class_of_a_list_in_a_config", LIST, "L([1])", "v.total()")
kind("class_of_a_list_deep_in_a_config", LIST, "[{'a': (L([1]),)}]", "v[0]['a'][0].total()")
kind("class_of_an_integer", "class N(int):\n    @property\n    def half(self): return self * 2\n", "N(2)", "v.half")
kind("class_of_a_text", TEXT, "K('x')", "v.code()")
kind("class_of_a_tuple", "class P(tuple):\n    def first(self): return self[0] * 2\n", "P((1, 2))", "v.first()")
kind("class_of_a_key", TEXT, "{K('x'): 1}", "next(iter(v)).code()")
kind("class_of_a_set_item", TEXT, "{K('x')}", "next(iter(v)).code()")
kind("class_of_an_item_of_a_queue", f"from collections import deque\n{RATE}", "deque([Rate(1)])", "v[0].twice()")
kind("base_of_a_class_of_a_value", f"{RATE}class Fee(Rate):\n    pass\n", "Fee(1)", "v.twice()")
kind(
    "class_of_the_value_of_an_enum_member",
    f"import enum\n{RATE}class E(enum.Enum):\n    A = Rate(1.0)\n",
    "E.A",
    "v.value.twice()",
)
kind(
    "class_of_a_field_of_a_named_tuple",
    f"import typing\n{RATE}class P(typing.NamedTuple):\n    r: Rate\n",
    "P(Rate(1.0))",
    "v.r.twice()",
)
kind(
    "class_of_a_field_of_a_dataclass",
    f"import dataclasses\n{RATE}@dataclasses.dataclass\nclass P:\n    r: dict\n",
    "P({'a': Rate(1.0)})",
    "v.r['a'].twice()",
)
kind(
    "class_of_a_field_of_an_attrs_object",
    f"import attr\n{RATE}@attr.s(auto_attribs=True)\nclass P:\n    r: list\n",
    "P([Rate(1.0)])",
    "v.r[0].twice()",
    packages="attrs",
)
kind(
    "class_of_a_field_of_a_model",
    f"import pydantic\n{RATE}class P(pydantic.BaseModel):\n    r: object\n",
    "P(r=Rate(1.0))",
    "v.r.twice()",
    packages="pydantic",
)
kind(
    "class_of_a_field_of_a_struct",
    f"import msgspec\n{RATE}class P(msgspec.Struct):\n    r: object\n",
    "P(Rate(1.0))",
    "v.r.twice()",
)
kind(
    "class_of_an_element_of_an_array",
    f"import numpy as np\n{RATE}def made():\n    v = np.empty(1, dtype=object)\n    v[0] = Rate(1.0)\n    return v\n",
    "made()",
    "v[0].twice()",
    packages="numpy",
)
kind(
    "class_of_a_cell_of_a_frame",
    f"import pandas as pd\n{RATE}",
    "pd.DataFrame({'a': pd.Series([Rate(1.0), 'x'], dtype=object)})",
    "v['a'][0].twice()",
    packages="pandas",
)
kind(
    "class_of_an_attribute_of_a_dict",
    f"{RATE}class D(dict):\n    def __init__(self): self.r = Rate(1.0)\n",
    "D()",
    "v.r.twice()",
)
MAPPING = """
from collections.abc import Mapping
class Settings(Mapping):
    def __init__(self, data, scale): self.data, self.scale = data, scale
    def __getitem__(self, key): return self.data[key]
    def __iter__(self): return iter(self.data)
    def __len__(self): return len(self.data)
    def scaled(self, key): return self[key] * 2
"""
kind("class_of_a_mapping", MAPPING, "Settings({'a': 1}, 1)", "v.scaled('a')")
edited(
    "attribute_of_a_mapping",
    "main.py",
    "}, 1)",
    "}, 2)",
    {"kinds.py": MAPPING, "model.py": STEP.format("v.scale")},
    VALUE.format("Settings({'a': 1}, 1)"),
)
edited(
    "class_of_a_captured_value",
    "kinds.py",
    "* 2",
    "* 3",
    {"kinds.py": RATE, "model.py": "def make(v):\n    def step():\n        ran(v[0].twice())\n    return step\n"},
    "from model import make\nfrom kinds import Rate\ncall(make([Rate(1)]))\n",
)

# ---------------------------------------------------------------- wrappers that hold something

LIB = """
import functools
def make_scaler(factor):
    def scaler(x): return x * factor
    return scaler
def make_by_default(factor):
    def scaler(x, *, k=factor): return x * k
    return scaler
def scaled(factor):
    def around(fn):
        @functools.wraps(fn)
        def inner(*args): return fn(*args) * factor
        return inner
    return around
def tagged(factor):
    def around(fn):
        def inner(*args): return fn(*args) * inner.factor
        inner.factor = factor
        return functools.wraps(fn)(inner)
    return around
class Scaler:
    __slots__ = ("factor", "__weakref__")
    def __init__(self, factor): self.factor = factor
    def __call__(self, x): return x * self.factor
class Model:
    def __init__(self, **rates): self.rates, self.lock = rates, __import__("threading").Lock()
    def __getstate__(self): return {"rates": self.rates}
    def rate(self, name): return self.rates[name]
def make_class(factor):
    class Rates:
        rate = factor
        def get(self): return factor
    return Rates
def make_partial(fn, *args): return functools.partial(lambda *a: fn(*a), *args)
"""


def held(name: str, setting: str, use: str, packages: str = "", *, elsewhere: bool = True) -> None:
    """A 2 becomes a 3 in a setting of the step's own file; and in a module beside it, which reads it from a file."""
    lib = {"lib.py": LIB} if "import lib" in setting else {}
    edited(name, "model.py", "2", "3", {"model.py": f"{setting}\ndef step():\n    ran({use})\n", **lib}, MAIN, packages)
    if elsewhere:
        text = f"from pathlib import Path\nK = int(Path('k.txt').read_text())\n{setting.replace('2', 'K')}\ndel K\n"
        files = {"helper.py": f"{text}def rate():\n    return {use}\n", "k.txt": "2", **lib}
        files["model.py"] = "import helper\ndef step():\n    ran(helper.rate())\n"
        edited(f"{name}_elsewhere", "k.txt", "2", "3", files, MAIN, packages)


held("closure_of_an_installed_function", "import lib\nf = lib.make_scaler(2)", "f(10)")
held("default_in_an_installed_function", "import lib\nf = lib.make_by_default(2)", "f(10)")
held("argument_of_an_installed_decorator", "import lib\n@lib.scaled(2)\ndef f(x): return x", "f(10)")
held("attribute_of_an_installed_wrapper", "import lib\n@lib.tagged(2)\ndef f(x): return x", "f(10)")
held("slot_of_an_installed_callable", "import lib\nf = lib.Scaler(2)", "f(10)")
held("state_of_an_installed_object", "import lib\nm = lib.Model(car=2)", "m.rate('car')")
held("class_made_by_an_installed_function", "import lib\nC = lib.make_class(2)", "C().get()")
held("attribute_of_a_class_made_by_a_function", "import lib\nC = lib.make_class(2)", "C.rate")
held("partial_of_an_installed_function", "import lib\nf = lib.make_partial(max, 2)", "f(1)")
held("method_of_an_installed_object", "import lib\nf = lib.Model(car=2).rate", "f('car')")
held("object_below_an_installed_class", "import lib\nclass M(lib.Model): pass\nm = M(car=2)", "m.rate('car')")
held("getter_of_an_item", "import operator\nf = operator.itemgetter(2)", "f('abcd')")
held("caller_of_a_method", "import operator\nf = operator.methodcaller('count', 2)", "f([1, 2, 3, 3])")
held("struct_of_a_format", "import struct\nf = struct.Struct('i' * 2)", "f.size")
held(
    "options_of_a_cached_function",
    "import functools\n@functools.lru_cache(maxsize=2)\ndef f(): return 1",
    "f.cache_parameters()",
)
held(
    "key_of_a_comparison",
    "import functools\ndef c(a, b, k=2): return (a - b) * (2 * k - 5)\nf = functools.cmp_to_key(c)",
    "sorted([1, 2], key=f)",
    elsewhere=False,
)
held(
    "argument_of_a_partial_method",
    "import functools\nclass C:\n    def _m(self, k): return k\n    m = functools.partialmethod(_m, 2)",
    "C().m()",
)
held("context_of_decimals", "import decimal\nC = decimal.Context(prec=2)", "C.divide(1, 3)")
held("text_template", "import string\nT = string.Template('a' * 2 + '$k')", "T.substitute(k=1)")
held("read_only_mapping", "import types\nM = types.MappingProxyType({'a': (len, 2)})", "M['a'][1]")
held("chain_of_mappings", "import collections\nM = collections.ChainMap({'a': 2}, {'f': len})", "M['a']")
held("queue_of_functions", "import collections\nM = collections.deque([len, 2])", "M[1]")
held("text_that_was_written_to", "import io\nM = io.StringIO('a' * 2)", "M.getvalue()")
held("started_hash", "import hashlib\nM = hashlib.md5(b'a' * 2)", "M.hexdigest()")
held("alias_of_a_type", "import typing\nclass C:\n    k = 2\nM = typing.Dict[str, C]", "M.__args__[1].k")
held("vectorized_function", "import numpy as np\nf = np.vectorize(lambda x: x * 2)", "f([1])", "numpy", elsewhere=False)
held(
    "excluded_argument_of_a_vectorized_function",
    "import numpy as np\nf = np.vectorize(lambda x, y, z: np.size(y), excluded={2 - 1}, otypes=[int])",
    "f([1, 1], [1, 1], [1, 1])",
    "numpy",
)
held(
    "ufunc_from_a_function",
    "import numpy as np\ndef g(x): return x * 2\nf = np.frompyfunc(g, 1, 1)",
    "f(3)",
    "numpy",
    elsewhere=False,
)
held(
    "ufunc_of_a_partial",
    "import functools, numpy as np\nf = np.frompyfunc(functools.partial(max, 2), 1, 1)",
    "f(1)",
    "numpy",
)
held("polynomial", "import numpy as np\nf = np.poly1d([2, 1])", "f(3)", "numpy")
held("masked_array", "import numpy as np\nm = np.ma.array([2, 1], mask=[0, 1])", "m.sum()", "numpy")
held("slice_of_an_index", "import pandas as pd\ni = pd.IndexSlice[2:]", "list(range(5))[i]", "pandas")
held(
    "interpolation",
    "from scipy.interpolate import interp1d\nf = interp1d([0, 1], [0, 2])",
    "float(f(0.5))",
    "scipy",
)
held("sparse_matrix", "from scipy.sparse import csr_array\nm = csr_array([[2, 0]])", "m.sum()", "scipy")
held("distribution", "from scipy.stats import norm\nd = norm(loc=2)", "d.mean()", "scipy")
G = "import jax\ndef g(x, y): return x * x + 10 * y\n"
held("gradient_by_an_argument", f"{G}f = jax.grad(g, argnums=2 - 1 - 1)", "float(f(1.0, 1.0))", "jax")
held("static_argument_of_a_compiled_function", f"{G}f = jax.jit(g, static_argnums=2 - 1 - 1)", "float(f(1, 2))", "jax")
held("compiled_gradient", f"{G}f = jax.jit(jax.grad(g, argnums=2 - 1 - 1))", "float(f(1.0, 1.0))", "jax")
held(
    "mapped_axis",
    "import jax\nimport numpy as np\nf = jax.vmap(lambda x: x[0], in_axes=2 - 1 - 1)",
    "f(np.eye(2) + np.arange(2)).tolist()",
    "jax",
)
held("array_of_jax", "import jax.numpy as jnp\nm = jnp.asarray([2, 1])", "int(m.sum())", "jax")
held(
    "options_of_a_numba_function",
    "import numba\ndef g(x): return x\nf = numba.njit(fastmath=bool(2 - 1 - 1))(g)",
    "f.targetoptions.get('fastmath')",
    "numba",
)
held(
    "body_of_a_numba_ufunc", "import numba\n@numba.vectorize\ndef f(x): return x * 2", "f(3)", "numba", elsewhere=False
)

# ---------------------------------------------------------------- replaced while Python runs

FUNCTION = "def rate(x=1): return x\ndef other(x=5): return x\n"
replaced("function_replaced_by_its_neighbour", FUNCTION, "helper.rate = helper.other", "helper.rate()")
replaced("function_replaced_by_a_builtin", FUNCTION, "helper.rate = int", "helper.rate()")
replaced("default_of_a_function_replaced", FUNCTION, "helper.rate.__defaults__ = (2,)", "helper.rate()")
replaced(
    "default_of_a_keyword_replaced",
    "def rate(*, x=1): return x\n",
    "helper.rate.__kwdefaults__ = {'x': 2}",
    "helper.rate()",
)
replaced("code_of_a_function_replaced", FUNCTION, "helper.rate.__code__ = (lambda x: 7).__code__", "helper.rate()")
replaced(
    "function_with_other_globals",
    "K = 1\ndef rate(): return K\n",
    "import types\nhelper.rate = types.FunctionType(helper.rate.__code__, {'K': 2})",
    "helper.rate()",
)
CACHED = "import functools\n@functools.cache\ndef rate(): return 1\n"
replaced("cached_function_replaced", CACHED, "helper.rate = lambda: 2", "helper.rate()")
replaced(
    "cached_function_wrapped_once_more", CACHED, "old = helper.rate\nhelper.rate = lambda: old() + 1", "helper.rate()"
)
replaced("cached_function_that_was_used", CACHED, "helper.rate = lambda: 2", "helper.rate()", "helper.rate()")
replaced(
    "name_of_an_imported_module_rebound",
    "import math\ndef rate(): return math.floor(2.5)\n",
    "import types\nhelper.math = types.SimpleNamespace(floor=lambda x: 7)",
    "helper.rate()",
)
replaced(
    "name_of_an_imported_function_rebound",
    "from math import floor\ndef rate(): return floor(2.5)\n",
    "import math\nhelper.floor = math.ceil",
    "helper.rate()",
)
replaced(
    "attribute_of_an_imported_module",
    "import string\ndef rate(): return string.capwords('a b')\n",
    "import string\ndef capwords(text): return text\nstring.capwords = capwords",
    "helper.rate()",
)
replaced(
    "method_of_an_installed_class",
    "import textwrap\ndef rate(): return textwrap.TextWrapper().fill('a')\n",
    "import textwrap\ntextwrap.TextWrapper.fill = lambda self, text: 'b'",
    "helper.rate()",
)
replaced("version_of_a_module_set", "__version__ = '1'\n", "helper.__version__ = '2'", "helper.__version__")
replaced("lookup_of_a_module_added", "A = 1\n", "helper.__getattr__ = lambda name: 5", "getattr(helper, 'B', None)")
CLASS = """
class Base:
    def rate(self): return 0
class Other:
    def rate(self): return 5
class Model(Base):
    _fee, __toll = 1, 1
    def __init__(self): self.x = 1
    @property
    def size(self): return 1
    @classmethod
    def make(cls): return 1
    @staticmethod
    def fixed(): return 1
    def toll(self): return self.__toll
    def _hidden(self): return 1
    def shown(self): return self._hidden()
    class Inner:
        k = 1
    def __call__(self): return 1
"""


def member(name: str, change: str, body: str) -> None:
    """Something of a class of another module."""
    replaced(name, CLASS, change, body)


member("property_replaced", "helper.Model.size = property(lambda self: 2)", "helper.Model().size")
member("property_replaced_by_a_value", "helper.Model.size = 2", "helper.Model().size")
member("class_method_replaced", "helper.Model.make = classmethod(lambda cls: 2)", "helper.Model.make()")
member("static_method_replaced", "helper.Model.fixed = staticmethod(lambda: 2)", "helper.Model.fixed()")
member("hidden_method_replaced", "helper.Model._hidden = lambda self: 2", "helper.Model().shown()")
member("hidden_variable_of_a_class_set", "helper.Model._fee = 2", "helper.Model._fee")
member("private_variable_of_a_class_set", "helper.Model._Model__toll = 2", "helper.Model().toll()")
member("call_of_a_class_replaced", "helper.Model.__call__ = lambda self: 2", "helper.Model()()")
member(
    "way_of_making_objects_added", "helper.Model.__new__ = staticmethod(lambda cls: 2)", "str(helper.Model())[0] == '2'"
)
member("comparison_added", "helper.Model.__eq__ = lambda self, other: True", "helper.Model() == 1")
member("base_of_a_class_replaced", "helper.Model.__bases__ = (helper.Other,)", "helper.Model().rate()")
member("class_replaced", "helper.Model = type('Model', (helper.Model,), {'make': lambda: 2})", "helper.Model.make()")
member("class_inside_replaced", "helper.Model.Inner = type('Inner', (), {'k': 2})", "helper.Model.Inner.k")
member("variable_of_a_class_inside_set", "helper.Model.Inner.k = 2", "helper.Model.Inner.k")
ENUM = "import enum\nclass Mode(enum.Enum):\n    CAR = 1\n    BUS = 2\n    def fee(self): return self.value\n"
replaced("value_of_an_enum_member_set", ENUM, "helper.Mode.CAR._value_ = 9", "helper.Mode.CAR.value")
replaced("attribute_of_an_enum_member_set", ENUM, "helper.Mode.CAR.fare = 9", "getattr(helper.Mode.CAR, 'fare', 0)")
replaced("method_of_an_enum_replaced", ENUM, "helper.Mode.fee = lambda self: 9", "helper.Mode.CAR.fee()")
FRAMES = "VALUES = {{'a': {}}}\n"
replaced("one_becomes_true", FRAMES.format(1), "helper.VALUES['a'] = True", "repr(helper.VALUES)")
replaced("one_becomes_a_float", FRAMES.format(1), "helper.VALUES['a'] = 1.0", "repr(helper.VALUES)")
replaced("zero_becomes_negative", FRAMES.format("[0.0]"), "helper.VALUES['a'] = [-0.0]", "repr(helper.VALUES)")
replaced(
    "text_becomes_another_kind_of_text",
    FRAMES.format("'x'"),
    "helper.VALUES['a'] = type('T', (str,), {'upper': lambda self: 'y'})('x')",
    "helper.VALUES['a'].upper()",
)
FEATURE = "def rate():\n    return rate.value\nrate.value = 1\n"
replaced("attribute_of_a_function_set", FEATURE, "helper.rate.value = 2", "helper.rate()")
edited(
    "hidden_variable_by_a_base_that_reads_a_file",
    "k.txt",
    "2",
    "3",
    {
        "model.py": "import helper\ndef step():\n    ran(helper.P._rate)\n",
        "helper.py": "from pathlib import Path\nclass Base:\n    def __init_subclass__(cls):\n"
        "        cls._rate = float(Path('k.txt').read_text())\nclass P(Base): pass\n",
        "k.txt": "2",
    },
)
edited(
    "default_that_reads_a_file",
    "k.txt",
    "2",
    "3",
    {
        "model.py": "import helper\ndef step():\n    ran(helper.rate())\n",
        "helper.py": "from pathlib import Path\ndef rate(x=int(Path('k.txt').read_text())): return x\n",
        "k.txt": "2",
    },
)
edited(
    "enum_member_that_reads_a_file",
    "k.txt",
    "2",
    "3",
    {
        "model.py": "import helper\ndef step():\n    ran(helper.Mode.CAR.value)\n",
        "helper.py": "import enum\nfrom pathlib import Path\nclass Mode(enum.Enum):\n"
        "    CAR = int(Path('k.txt').read_text())\n",
        "k.txt": "2",
    },
)
edited(
    "patch_that_calls_a_function_that_is_edited",
    "patches.py",
    "return 2",
    "return 3",
    {
        "model.py": "import helper\ndef step():\n    ran(helper.rate())\n",
        "helper.py": "def rate(): return 0\n",
        "patches.py": "def value(): return 2\ndef rate(): return value()\n",
    },
    f"import helper, patches\nhelper.rate = patches.rate\n{MAIN}",
)

# ---------------------------------------------------------------- what goes on by itself and is no input


def unmoved(name: str, helper: str, change: str, body: str = "helper.rate()", packages: str = "") -> None:
    """What happens between two calls is nothing that the step can tell."""
    model = f"import helper\ndef step():\n    ran({body})\n"
    files = {"model.py": model, "helper.py": helper}
    main = f"import helper\nfrom model import step\ncall(step)\n{change}\ncall(step)\n"
    GROUP.add(name, "hit", main, files=files, packages=packages)


unmoved(
    "cached_function_called_meanwhile",
    "import functools\n@functools.cache\ndef rate(x=1): return x\n",
    "helper.rate(5)",
)
unmoved(
    "function_counts_its_calls", "def rate():\n    rate.calls += 1\n    return 1\nrate.calls = 0\n", "helper.rate()"
)
COUNTING = """
import functools
def counted(fn):
    calls = [0]
    @functools.wraps(fn)
    def inner(*args):
        calls[0] += 1
        return fn(*args)
    return inner
@counted
def rate(): return 1
"""
unmoved("decorated_function_counts_its_calls", COUNTING, "helper.rate()")
unmoved(
    "compiled_function_called_meanwhile",
    "import numba\n@numba.njit\ndef rate(x=1): return x\n",
    "helper.rate(2.5)",
    packages="numba",
)
unmoved(
    "compiled_jax_function_called_meanwhile",
    "import jax\n@jax.jit\ndef add(x): return x + 1\ndef rate(): return float(add(1))\n",
    "helper.add(2.5)",
    packages="jax",
)
unmoved(
    "dispatching_function_called_meanwhile",
    "import functools\n@functools.singledispatch\ndef rate(x=1): return 1\n@rate.register\ndef _(x: str): return 2\n",
    "helper.rate('x'); helper.rate(1.5)",
    "helper.rate(1)",
)
unmoved(
    "handle_that_is_opened_when_it_is_needed",
    "import sqlite3\nclass Pool:\n    def __init__(self): self.c = None\n    def get(self):\n"
    "        if self.c is None: self.c = sqlite3.connect(':memory:')\n        return self.c\n"
    "pool = Pool()\ndef rate(): return pool.get().execute('select 1').fetchone()\n",
    "helper.rate()",
)
unmoved(
    "module_imported_meanwhile", "def rate():\n    import string\n    return string.digits\n", "import json, string"
)

# ---------------------------------------------------------------- installed objects that a step changes

FITTED = """
class Model:
    def __init__(self): self.found = None
    def fit(self, x): self.found = x
"""


def fitting(name: str, files: Mapping[str, str], use: str) -> None:
    """A step that leaves something in an object: a hit would not, and what comes after would find nothing in it."""
    site = {**DISTRIBUTION, "site/site-packages/lib.py": FITTED}
    main = "import sys\nsys.path.insert(0, 'site/site-packages')\nfrom model import fit\ncall(fit)\n"
    model = f"{use}\ndef fit():\n    ran()\n    M.fit(3)\n"
    GROUP.add(name, "miss", main, files={"model.py": model, **files, **site}, change={})


fitting("object_that_a_step_fits", {}, "import lib\nM = lib.Model()")
fitting("object_that_a_step_fits_elsewhere", {"helper.py": "import lib\nM = lib.Model()\n"}, "from helper import M")
