"""Values that objects hold: installed wrappers, equal values, plain forms, environment variables."""

# One row for each source, however wide.
# ruff: noqa: E501
# fmt: off
from attacks.fresh.grammar import source

SITE = "env/lib/site-packages/"

# ---------------------------------------------------------------- F: installed wrappers that hold a value

SCALELIB = {
    SITE + "scalelib/__init__.py": """
        import functools
        def make_scaler(factor):
            def scaler(x):
                return x * factor
            return scaler
        def multiply(factor, x):
            return factor * x
        def scaled(by=1):
            def wrap(fn):
                @functools.wraps(fn)
                def inner(*args):
                    return fn(*args) * by
                return inner
            return wrap
        def marked(by):
            def wrap(fn):
                def inner(x):
                    return fn(x) * inner.by
                inner.by = by
                return inner
            return wrap
        def with_default(factor):
            def scaler(x, by=factor):
                return x * by
            return scaler
        class Scaler:
            def __init__(self, factor):
                self.factor = factor
            def __call__(self, x):
                return x * self.factor
            def scale(self, x):
                return x * self.factor
        class Slotted:
            __slots__ = ("factor",)
            def __init__(self, factor):
                self.factor = factor
            def __call__(self, x):
                return x * self.factor
        class Wrapped:
            def __init__(self, fn, by):
                self.fn, self.by = fn, by
            def __call__(self, x):
                return self.fn(x) * self.by
        class Base:
            factor = 1
            def __init_subclass__(cls, factor=1):
                cls.factor = factor
            def scale(self, x):
                return x * self.factor
        """,
}


def wrapper(name: str, expr: str, defs: str, imports: str = "import scalelib", **rest: object) -> None:
    """Something of an installed package that holds a value."""
    files = SCALELIB if "scalelib" in imports else {}
    source("F", name, expr, defs, imports, files=files, **rest)  # type: ignore[arg-type]


TWICE = "def twice$n(x):\n    return x + x\n"
FLAGS = ("True", "False")
wrapper("closure", "scale$n(10)", "scale$n = scalelib.make_scaler($v)")
wrapper("closure of a constant", "scale$n(10)", "BY$n = $v\nscale$n = scalelib.make_scaler(BY$n)")
wrapper("default", "scale$n(10)", "scale$n = scalelib.with_default($v)")
wrapper("callable object", "scale$n(10)", "scale$n = scalelib.Scaler($v)")
wrapper("slotted object", "scale$n(10)", "scale$n = scalelib.Slotted($v)")
wrapper("bound method", "scale$n(10)", "scale$n = scalelib.Scaler($v).scale")
wrapper("decorator with an argument", "f$n(3)", "@scalelib.scaled(by=$v)\ndef f$n(x):\n    return x")
wrapper("decorator with a constant", "f$n(3)", "BY$n = $v\n@scalelib.scaled(by=BY$n)\ndef f$n(x):\n    return x")
wrapper("attribute of a wrapper", "f$n(3)", "@scalelib.marked($v)\ndef f$n(x):\n    return x")
wrapper("wrapper of a function", "f$n(3)", TWICE + "f$n = scalelib.Wrapped(twice$n, $v)")
wrapper("wrapper of an edited function", "f$n(3)", "def by$n(x):\n    return x * $v\nf$n = scalelib.Wrapped(by$n, 2)")
wrapper("partial of an installed function", "f$n(3)", "f$n = functools.partial(scalelib.multiply, $v)", "import functools\nimport scalelib")
wrapper("keyword of an installed base", "Zone$n().scale(3)", "class Zone$n(scalelib.Base, factor=$v):\n    pass")
wrapper("wrapper in a table", 'table$n["a"](3)', 'table$n = {"a": scalelib.make_scaler($v)}')
source("F", "wrapper in another module", "part$n.scale(3)", "", "import part$n", files={**SCALELIB, "part$n.py": "import scalelib\nscale = scalelib.make_scaler($v)\n"})
wrapper("partial", "f$n(3)", "def by$n(k, x):\n    return k * x\nf$n = functools.partial(by$n, $v)", "import functools")
wrapper("partialmethod", "Zone$n().f()", "class Zone$n:\n    def by(self, k):\n        return k\n    f = functools.partialmethod(by, $v)", "import functools")
wrapper("method type", "f$n()", "def by$n(k):\n    return k\nf$n = types.MethodType(by$n, $v)", "import types")
wrapper("itemgetter", "f$n(range(100))", "f$n = operator.itemgetter($v)", "import operator")
wrapper("methodcaller", "f$n(3)", 'f$n = operator.methodcaller("__add__", $v)', "import operator")
wrapper("compiled pattern", "f$n.pattern", 'f$n = re.compile("a{$v}")', "import re")
wrapper("struct", "f$n.size", 'f$n = struct.Struct("$vs")', "import struct")
wrapper("encoder", 'f$n.encode({"a": 1})', "f$n = json.JSONEncoder(indent=$v)", "import json")
wrapper("decimal context", "str(f$n.divide(1, 3))", "f$n = decimal.Context(prec=$v)", "import decimal")
wrapper("text wrapper", 'f$n.wrap("a " * 60)', "f$n = textwrap.TextWrapper(width=$v)", "import textwrap")
wrapper("nullcontext", "f$n.enter_result", "f$n = contextlib.nullcontext($v)", "import contextlib")
wrapper("string template", "f$n.substitute()", 'f$n = string.Template("a$v")', "import string")
wrapper("polynomial", "float(f$n(3))", "f$n = np.poly1d([$v, 1])", "import numpy as np")
wrapper("np.vectorize", "f$n([1, 2]).tolist()", "def by$n(x):\n    return x * $v\nf$n = np.vectorize(by$n)", "import numpy as np")
wrapper("np.vectorize by type", "str(f$n([1, 2]).dtype)", TWICE + 'f$n = np.vectorize(twice$n, otypes=["$v"])', "import numpy as np", values=("f4", "f8", "i8"))
wrapper("np.frompyfunc", "f$n(3)", "def by$n(x):\n    return x * $v\nf$n = np.frompyfunc(by$n, 1, 1)", "import numpy as np")
wrapper("cmp_to_key", "sorted([1, 2], key=f$n)", "def by$n(a, b):\n    return (a - b) * $v\nf$n = functools.cmp_to_key(by$n)", "import functools", values=("1", "-1"))
wrapper("pandas offset", 'str(pd.Timestamp("2020") + f$n)', "f$n = pd.offsets.Day($v)", "import pandas as pd")
wrapper("interpolator", "float(f$n(0.5))", "f$n = scipy.interpolate.interp1d([0, 1], [0, $v])", "import scipy.interpolate", needs="scipy")
wrapper("numba options", "f$n.targetoptions.get('fastmath')", "FAST$n = $v\n" + TWICE + "f$n = numba.njit(fastmath=FAST$n)(twice$n)", "import numba", values=FLAGS, needs="numba")
wrapper("numba closure", "f$n(3)", "def make$n(k):\n    @numba.njit\n    def inner(x):\n        return x * k\n    return inner\nf$n = make$n($v)", "import numba", needs="numba")
wrapper("jax.grad", "float(f$n(1.0, 2.0))", "def by$n(x, y):\n    return x * x + 10 * y\nf$n = jax.grad(by$n, argnums=$v)", "import jax", values=("0", "1"), needs="jax")
wrapper("jax.jit", "float(f$n(3.0))", "def by$n(x):\n    return x * $v\nf$n = jax.jit(by$n)", "import jax", needs="jax")

# ---------------------------------------------------------------- K: values that compare equal and are not the same

EQUAL = ("1", "True", "1.0", "decimal.Decimal(1)", "fractions.Fraction(1)", "np.int64(1)", "np.float32(1)", "(1+0j)", "np.bool_(True)")
ZEROS = ("0", "0.0", "-0.0", "False", "decimal.Decimal('0.00')", "decimal.Decimal('0')", "decimal.Decimal('-0')", "0j", "-0j")
TEXTS = ("'1'", "b'1'", "np.str_('1')", "bytearray(b'1')", "1", "[1]", "(1,)", "{1}", "frozenset({1})", "{1: 0}", "range(1, 2)", "np.array([1])", "np.array([True])")
TYPES = "import decimal\nimport fractions\nimport numpy as np"
for name, values in (("equal to one", EQUAL), ("equal to zero", ZEROS), ("alike", TEXTS)):
    source("K", f"constant {name}", "repr(RATE$n)", "RATE$n = $v", TYPES, live="$MRATE$n = $v", values=values, brings=TYPES)
    source("K", f"constant of another module {name}", "repr(part$n.RATE)", "", "import part$n", files={"part$n.py": TYPES + "\nRATE = $v\n"}, brings=TYPES, live="import part$n\npart$n.RATE = $v", values=values)
    source("K", f"table of another module {name}", "repr(part$n.TABLE)", "", "import part$n", files={"part$n.py": "TABLE = {'a': 1, 'b': 2}\n"}, brings=TYPES, main="import part$n\npart$n.TABLE['a'] = $v", live="part$n.TABLE['a'] = $v", values=values, spreads=True)
    source("K", f"config {name}", "repr(c$n)", config="$v", brings=TYPES, values=values)
    source("K", f"config in a table {name}", "repr(c$n)", config='{"a": [($v, 2)]}', brings=TYPES, values=values)
    source("K", f"default {name}", "repr(f$n())", "def f$n(x=$v):\n    return x", TYPES, values=values)
    source("K", f"closure {name}", "repr(f$n())", "def make$n(x):\n    def f():\n        return x\n    return f\nf$n = make$n($v)", TYPES, values=values)
    source("K", f"attribute {name}", "repr(Zone$n.rate)", "class Zone$n:\n    rate = 1", TYPES, main="$MZone$n.rate = $v", live="$MZone$n.rate = $v", brings=TYPES, values=values, spreads=True)
    source("K", f"partial argument {name}", "repr(f$n())", "def by$n(x):\n    return x\nf$n = functools.partial(by$n, $v)", "import functools\n" + TYPES, values=values)

# ---------------------------------------------------------------- L: environment variables


def variable(name: str, expr: str, imports: str = "import os", defs: str = "", **rest: object) -> None:
    """A way to read an environment variable."""
    source("L", name, expr, defs, imports, env="RATE$n", live='import os\nos.environ["RATE$n"] = "$v"', **rest)  # type: ignore[arg-type]


ENV = {"part$n.py": "import os\ndef env(name):\n    return os.environ[name]\nsettings = os.environ\n"}
variable("environ", 'os.environ["RATE$n"]')
variable("getenv", 'os.getenv("RATE$n")')
variable("alias in a function", "f$n()", defs='def f$n():\n    env = os.environ\n    return env["RATE$n"]')
variable("alias in a module", 'env$n["RATE$n"]', defs="env$n = os.environ")
variable("from os import", 'env$n["RATE$n"]', "from os import environ as env$n")
variable("getenv by name", 'get$n("RATE$n")', "from os import getenv as get$n")
variable("helper's parameter", 'part$n.env("RATE$n")', "import part$n", files=ENV)
variable("alias of another module", 'part$n.settings.get("RATE$n")', "import part$n", files=ENV)
variable("own function", 'f$n("RATE$n")', defs="def f$n(name, default='0'):\n    return os.environ.get(name, default)")
variable("computed name", 'os.environ["RA" + "TE$n"]')
variable("name in a table", 'os.environ[NAMES$n["rate"]]', defs='NAMES$n = {"rate": "RATE$n"}')
variable("expandvars", 'os.path.expandvars("x${RATE$n}")')
variable("copy", '{**os.environ}["RATE$n"]')
variable("dict", 'dict(os.environ)["RATE$n"]')
variable("copy()", 'os.environ.copy()["RATE$n"]')
variable("format_map", '"{RATE$n}".format_map(os.environ)')
variable("environb", 'os.environb[b"RATE$n"].decode()')
variable("getattr", 'getattr(os, "environ")["RATE$n"]')
variable("by prefix", "f$n()", defs="def f$n():\n    return sorted(v for k, v in os.environ.items() if k.startswith('RATE$n'))")
variable("in a class", "Zone$n().rate", defs='class Zone$n:\n    @property\n    def rate(self):\n        return os.environ.get("RATE$n")')
variable("default factory", "Zone$n().rate", "import dataclasses\nimport os", 'def rate$n():\n    return os.environ["RATE$n"]\n@dataclasses.dataclass\nclass Zone$n:\n    rate: str = dataclasses.field(default_factory=rate$n)')
source("L", "read at import", "RATE$n", 'RATE$n = os.environ.get("RATE$n")', "import os", env="RATE$n")
source("L", "read at import by an alias", "RATE$n", 'RATE$n = env$n.get("RATE$n")', "from os import environ as env$n", env="RATE$n")
source("L", "there or not", 'os.environ.get("RATE$n")', "", "import os", main='import os\nos.environ.pop("RATE$n", None)\nif $v: os.environ["RATE$n"] = ""', values=FLAGS, spreads=True)

# ---------------------------------------------------------------- O: plain forms


def form(name: str, expr: str, values: tuple[str, ...], imports: str = "", *, config: bool = True) -> None:
    """Values that differ in one thing, as a config, a constant that the script sets, and a constant of the file."""
    if config:
        source("O", f"{name}, config", expr.replace("$x", "c$n"), config="$v", brings=imports, values=values)
    source("O", f"{name}, set", expr.replace("$x", "part$n.X"), "", "import part$n", files={"part$n.py": "X = None\n"}, brings=imports, main="import part$n\npart$n.X = $v", live="part$n.X = $v", values=values, spreads=True)
    source("O", f"{name}, constant", expr.replace("$x", "X$n"), "X$n = $v", imports, values=values)


NP, PD, DT = "import numpy as np", "import pandas as pd", "import datetime\nimport zoneinfo"
form("defaultdict", '$x["missing"]', ("collections.defaultdict(list, a=[1])", "collections.defaultdict(int, a=[1])", "collections.defaultdict(dict, a=[1])"), "import collections")
form("ZoneInfo", "str($x)", ('zoneinfo.ZoneInfo("Europe/Berlin")', 'zoneinfo.ZoneInfo("Europe/Paris")', 'zoneinfo.ZoneInfo("UTC")'), DT)
form("time with ZoneInfo", "str($x.tzinfo)", ('datetime.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))', 'datetime.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Paris"))'), DT)
form("timezone with a name", "$x.tzname(None)", ('datetime.timezone(datetime.timedelta(hours=1), "CET")', 'datetime.timezone(datetime.timedelta(hours=1), "BST")', "datetime.timezone(datetime.timedelta(hours=1))"), DT)
form("fold", "$x.fold", ("datetime.datetime(2020, 10, 25, 2, fold=0)", "datetime.datetime(2020, 10, 25, 2, fold=1)"), DT)
form("dtype metadata", "str($x.metadata)", ('np.dtype("f8", metadata={"unit": "m"})', 'np.dtype("f8", metadata={"unit": "km"})', 'np.dtype("f8")'), NP)
form("sub-array dtype", "str($x)", ('np.dtype(("f8", (2,)))', 'np.dtype(("f4", (4,)))', 'np.dtype("V16")'), NP)
form("structured dtype", "str($x)", ('np.dtype([("a", "i4")])', 'np.dtype([("b", "i4")])', 'np.dtype({"names": ["a"], "formats": ["i4"], "itemsize": 8})'), NP)
form("array layout", 'bool($x.flags["F_CONTIGUOUS"])', ("np.ones((2, 2))", "np.ones((2, 2), order='F')"), NP)
form("array writeable", "bool($x.flags.writeable)", ("np.ones(2)", "np.broadcast_to(np.float64(1), 2)"), NP)
form("array type", "str($x.dtype)", ('np.array([1, 2], "i4")', 'np.array([1, 2], "i8")', 'np.array([1, 2], ">i8")', 'np.array([1, 2], "f8")', 'np.array([1, 2], "O")'), NP)
form("array subclass", "type($x).__name__", ("np.ones((1, 2))", "np.asmatrix(np.ones((1, 2)))", "np.ma.array([[1.0, 1.0]])"), NP)
form("datetime64 unit", "str($x.dtype)", ('np.datetime64("2020-01-01")', 'np.datetime64("2020-01-01T00:00:00")', 'np.datetime64("2020-01-01", "ns")'), NP)
form("mask", "str($x.tolist())", ("np.ma.array([1, 2], mask=[0, 1])", "np.ma.array([1, 2], mask=[1, 0])", "np.ma.array([1, 2])"), NP)
form("index", "type($x.index).__name__", ('pd.DataFrame({"a": [1, 2]})', 'pd.DataFrame({"a": [1, 2]}, index=[0, 1])'), PD)
form("frame attrs", "str($x.attrs)", ('pd.DataFrame({"a": [1]})', '(lambda f: f.attrs.update(unit="m") or f)(pd.DataFrame({"a": [1]}))', '(lambda f: f.attrs.update(unit="km") or f)(pd.DataFrame({"a": [1]}))'), PD)
form("frame flags", "$x.flags.allows_duplicate_labels", ('pd.DataFrame({"a": [1]})', 'pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False)'), PD)
form("frame dtype", "str($x.dtypes.tolist())", ('pd.DataFrame({"a": ["x"]}, dtype=object)', 'pd.DataFrame({"a": ["x"]}, dtype="category")', 'pd.DataFrame({"a": ["x"]}, dtype="string")'), PD)
form("series name", "$x.name", ('pd.Series([1], name="a")', "pd.Series([1])", "pd.Series([1], name=0)"), PD)
form("ordered categories", "$x.cat.ordered", ('pd.Series(["a"], dtype=pd.CategoricalDtype(["a", "b"]))', 'pd.Series(["a"], dtype=pd.CategoricalDtype(["a", "b"], ordered=True))'), PD)
form("index name", "$x.index.name", ('pd.Series([1], index=pd.Index([1], name="a"))', 'pd.Series([1], index=pd.Index([1], name="b"))'), PD)
form("missing value", "repr($x)", ("None", "float('nan')", "pd.NA", "pd.NaT"), PD)
form("timestamp", "repr($x)", ('pd.Timestamp("2020-01-01")', 'pd.Timestamp("2020-01-01", tz="UTC")', 'pd.Timestamp("2020-01-01").as_unit("s")', "datetime.datetime(2020, 1, 1)"), PD + "\n" + DT)
form("interval", "repr($x)", ("pd.Interval(0, 1)", "pd.Interval(0, 1, closed='left')", "pd.Interval(0.0, 1.0)"), PD)
form("period", "repr($x)", ('pd.Period("2020-01", "M")', 'pd.Period("2020-01-01", "D")'), PD)
form("deque", "$x.maxlen", ("collections.deque([1], 3)", "collections.deque([1], 4)", "collections.deque([1])"), "import collections")
form("mapping", "type($x).__name__", ("{'a': 1}", "collections.OrderedDict(a=1)", "collections.Counter(a=1)", "types.MappingProxyType({'a': 1})", "collections.ChainMap({'a': 1})"), "import collections\nimport types")
form("order of a dict", "str(list($x))", ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"), config=False)  # documented: of a config it does not count
form("sequence", "type($x).__name__", ("[1, 2]", "(1, 2)", "range(1, 3)", "array.array('i', [1, 2])", "array.array('l', [1, 2])", "b'12'", "bytearray(b'12')"), "import array")
form("array typecode", "$x.typecode", ("array.array('i', [1])", "array.array('l', [1])", "array.array('h', [1])"), "import array")
form("set", "type($x).__name__", ("{1}", "frozenset({1})"))
form("number", "repr($x)", ("1", "1.0", "decimal.Decimal('1.0')", "decimal.Decimal('1.00')", "fractions.Fraction(1)", "complex(1, 0.0)", "complex(1, -0.0)"), "import decimal\nimport fractions")
form("numpy number", "type($x).__name__", ("np.int32(1)", "np.int64(1)", "np.uint8(1)", "np.float64(1)", "1"), NP)
form("pattern", "$x.flags", ("re.compile('a')", "re.compile('a', re.I)", "re.compile('a', re.X)"), "import re")
form("path", "type($x).__name__", ("'a/b'", "pathlib.PurePosixPath('a/b')", "pathlib.PureWindowsPath('a/b')", "pathlib.Path('a/b')"), "import pathlib")
form("named tuple", "type($x).__name__", ("collections.namedtuple('A', 'x')(1)", "collections.namedtuple('B', 'x')(1)", "(1,)"), "import collections")
form("date", "repr($x)", ("datetime.date(2020, 1, 1)", "datetime.datetime(2020, 1, 1)", "'2020-01-01'"), DT)
form("duration", "repr($x)", ("datetime.timedelta(seconds=1)", "datetime.timedelta(milliseconds=1)", "1.0"), DT)
form("slice", "repr($x)", ("slice(1)", "slice(0, 1)", "slice(None, 1, None)", "slice(1, None)"))
form("namespace", "repr($x)", ("types.SimpleNamespace(a=1)", "types.SimpleNamespace(a=1.0)", "types.SimpleNamespace(b=1)"), "import types")
form("address", "repr($x)", ("ipaddress.ip_address('1.1.1.1')", "'1.1.1.1'", "ipaddress.ip_network('1.1.1.1')"), "import ipaddress")
form("uuid", "repr($x)", ("uuid.UUID(int=1)", "uuid.UUID(int=2)", "str(uuid.UUID(int=1))"), "import uuid")
form("function of a package", "$x.__name__", ("np.sum", "np.mean", "np.max"), NP)
form("exact number", "repr($x)", ("0.1", "0.1 + 2e-17", "0.30000000000000004", "0.3"))
form("text", "ascii($x)", ("'é'", "'e\\u0301'", "'\\ud800'", "'e'"))
form("long", "repr($x)[-9:]", ("list(range(2000))", "[*range(1999), 1998]"))
