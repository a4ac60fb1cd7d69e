"""Values in code: class bodies, classes of configs, names in text, modules imported late, plain code."""

# One row for each source, however wide.
# ruff: noqa: E501
# fmt: off
from attacks.fresh.grammar import plain, source


def odd(v: str, n: str) -> bytes:
    """Name of one of two modules."""
    return f"odd_{int(v) % 2}".encode()


# ---------------------------------------------------------------- C: class bodies

RATE = "RATE$n = $v\n"
source("C", "attrs default", "Zone$n().rate", RATE + "@attrs.define\nclass Zone$n:\n    rate: float = RATE$n", "import attrs")
source("C", "attrs factory", "Zone$n().rates", """
    @attrs.define
    class Zone$n:
        rates: list = attrs.field(factory=lambda: [$v])
    """, "import attrs")  # fmt: skip
source("C", "attrs default decorator", "Zone$n().rate", """
    @attrs.define
    class Zone$n:
        rate: int = attrs.field()
        @rate.default
        def _rate(self):
            return $v
    """, "import attrs")  # fmt: skip
source("C", "attrs converter", "Zone$n().rate", """
    def by$n(x):
        return x * $v
    @attrs.define
    class Zone$n:
        rate: int = attrs.field(default=2, converter=by$n)
    """, "import attrs")  # fmt: skip
source("C", "attrs validator", "Zone$n().seen", """
    def check$n(zone, field, value):
        object.__setattr__(zone, "seen", $v)
    @attrs.define(slots=False)
    class Zone$n:
        rate: int = attrs.field(default=2, validator=check$n)
    """, "import attrs")  # fmt: skip
source("C", "attrs metadata", 'attrs.fields(Zone$n).rate.metadata["unit"]', RATE + """\
@attrs.define
class Zone$n:
    rate: int = attrs.field(default=2, metadata={"unit": RATE$n})
""", "import attrs")  # fmt: skip
for slots in ("", "(slots=True)", "(frozen=True)"):
    source(
        "C", f"dataclass{slots} default", "Zone$n().rate",
        RATE + f"@dataclasses.dataclass{slots}\nclass Zone$n:\n    rate: float = RATE$n", "import dataclasses",
    )  # fmt: skip
source("C", "dataclass factory", "Zone$n().rates", RATE + """\
@dataclasses.dataclass
class Zone$n:
    rates: list = dataclasses.field(default_factory=lambda: [RATE$n])
""", "import dataclasses")  # fmt: skip
source("C", "dataclass named factory", "Zone$n().rates", """
    def rates$n():
        return [$v]
    @dataclasses.dataclass(slots=True)
    class Zone$n:
        rates: list = dataclasses.field(default_factory=rates$n)
    """, "import dataclasses")  # fmt: skip
source("C", "dataclass metadata", 'dataclasses.fields(Zone$n)[0].metadata["unit"]', RATE + """\
@dataclasses.dataclass
class Zone$n:
    rate: int = dataclasses.field(default=1, metadata={"unit": RATE$n})
""", "import dataclasses")  # fmt: skip
source("C", "dataclass __post_init__", "Zone$n().rate", RATE + """\
@dataclasses.dataclass
class Zone$n:
    rate: int = 1
    def __post_init__(self):
        self.rate = RATE$n
""", "import dataclasses")  # fmt: skip
source("C", "pydantic default", "Zone$n().rate", RATE + "class Zone$n(pydantic.BaseModel):\n    rate: int = RATE$n", "import pydantic")
source("C", "pydantic factory", "Zone$n().rate", RATE + """\
class Zone$n(pydantic.BaseModel):
    rate: int = pydantic.Field(default_factory=lambda: RATE$n)
""", "import pydantic")  # fmt: skip
source("C", "pydantic validator", "Zone$n(rate=1).rate", """
    class Zone$n(pydantic.BaseModel):
        rate: int
        @pydantic.field_validator("rate")
        @classmethod
        def grow(cls, value):
            return value + $v
    """, "import pydantic")  # fmt: skip
source("C", "pydantic constraint", "f$n()", RATE + """\
class Zone$n(pydantic.BaseModel):
    rate: int = pydantic.Field(le=RATE$n)
def f$n():
    return [x for x in range(60) if ok$n(x)][-1]
def ok$n(x):
    try:
        return bool(Zone$n(rate=x)) or True
    except pydantic.ValidationError:
        return False
""", "import pydantic")  # fmt: skip
source("C", "named tuple default", "Zone$n().rate", RATE + "class Zone$n(NamedTuple):\n    rate: int = RATE$n", "from typing import NamedTuple")
source("C", "namedtuple defaults", "Zone$n().rate", RATE + 'Zone$n = collections.namedtuple("Zone$n", "rate", defaults=[RATE$n])', "import collections")
source("C", "enum member", "Mode$n.CAR.value", RATE + "class Mode$n(enum.Enum):\n    CAR = RATE$n\n    WALK = 0", "import enum")
source("C", "class keyword", "Zone$n.rate", RATE + """\
class Base$n:
    def __init_subclass__(cls, rate=0):
        cls.rate = rate
class Zone$n(Base$n, rate=RATE$n):
    pass
""")  # fmt: skip
source("C", "class attribute", "Zone$n.rate", RATE + "class Zone$n:\n    rate = RATE$n")
source("C", "class attribute of a base", "Zone$n.rate", RATE + "class Base$n:\n    rate = RATE$n\nclass Zone$n(Base$n):\n    pass")
source("C", "comprehension in a class", "Zone$n.table", RATE + 'class Zone$n:\n    table = {k: RATE$n for k in ("a", "b")}')
source("C", "computed class attribute", "Zone$n.rate", "def rate$n():\n    return $v\nclass Zone$n:\n    rate = rate$n()")
source("C", "nested class", "Zone$n.Inner.rate", RATE + "class Zone$n:\n    class Inner:\n        rate = RATE$n")
source("C", "metaclass", "Zone$n.rate", """
    class Meta$n(type):
        def __new__(mcs, name, bases, space):
            return super().__new__(mcs, name, bases, {**space, "rate": $v})
    class Zone$n(metaclass=Meta$n):
        pass
    """)  # fmt: skip
source("C", "class decorator", "Zone$n.rate", RATE + """\
def rated$n(rate):
    def wrap(cls):
        cls.rate = rate
        return cls
    return wrap
@rated$n(RATE$n)
class Zone$n:
    pass
""")  # fmt: skip
source("C", "descriptor", "Zone$n().rate", RATE + """\
class Fixed$n:
    def __init__(self, value):
        self.value = value
    def __get__(self, owner, cls=None):
        return self.value
class Zone$n:
    rate = Fixed$n(RATE$n)
""")  # fmt: skip
source("C", "annotation", 'typing.get_type_hints(Zone$n, include_extras=True)["rate"].__metadata__[0]', RATE + """\
class Zone$n:
    rate: typing.Annotated[float, RATE$n]
""", "import typing")  # fmt: skip
source("C", "default of a closure", "Zone$n().value()", RATE + """\
def make$n(rate=RATE$n):
    class Zone:
        def value(self):
            return rate
    return Zone
Zone$n = make$n()
""")  # fmt: skip
source("C", "default of a method", "Zone$n().value()", RATE + "class Zone$n:\n    def value(self, rate=RATE$n):\n        return rate")
source("C", "type() with a dict", "Zone$n.rate", RATE + 'Zone$n = type("Zone$n", (), {"rate": RATE$n})')
source("C", "if in a class body", "Zone$n.rate", RATE + "class Zone$n:\n    if True:\n        rate = RATE$n")

# ---------------------------------------------------------------- D: classes of config values

BASES = {
    "dict": "r=1", "float": "1.5", "int": "3", "str": "'a'", "list": "[1]", "tuple": "(1,)", "frozenset": "[1]",
    "collections.UserDict": "r=1", "collections.OrderedDict": "r=1", "collections.Counter": "a=1", "bytes": "b'a'",
    "datetime.date": "2020, 1, 1", "decimal.Decimal": "'1'", "fractions.Fraction": "1, 2", "pathlib.PurePosixPath": "'a'",
    "collections.deque": "[1]", "complex": "1", "types.SimpleNamespace": "r=1", "datetime.timedelta": "1",
}  # fmt: skip
METHODS = {
    "method": ("c$n.rate()", "def rate(self):\n        return $v"),
    "property": ("c$n.rate", "@property\n    def rate(self):\n        return $v"),
    "class attribute": ("c$n.rate", "rate = $v"),
}
for number, (base, given) in enumerate(BASES.items()):
    kind = list(METHODS)[number % len(METHODS)]
    expr, body = METHODS[kind]
    source(
        "D", f"{kind} of a {base}", expr, config=f"Params$n({given})", brings="from params$n import Params$n",
        files={"params$n.py": f"import {base.partition('.')[0]}\nclass Params$n({base}):\n    {body}\n" if "." in base
               else f"class Params$n({base}):\n    {body}\n"},
    )  # fmt: skip


def config(name: str, expr: str, given: str, module: str, **rest: object) -> None:
    """A config value of a class in a module of its own."""
    source("D", name, expr, config=given, brings="from params$n import Params$n", files={"params$n.py": module}, **rest)  # type: ignore[arg-type]


config("Mapping", 'c$n["r"]', 'Params$n({"r": 1})', """
    from collections.abc import Mapping
    class Params$n(Mapping):
        def __init__(self, data):
            self.data = data
        def __getitem__(self, key):
            return self.data[key] * $v
        def __iter__(self):
            return iter(self.data)
        def __len__(self):
            return len(self.data)
    """)  # fmt: skip
config("dataclass", "c$n.rate()", "Params$n(1)", """
    import dataclasses
    @dataclasses.dataclass
    class Params$n:
        r: int
        def rate(self):
            return self.r * $v
    """)  # fmt: skip
config("frozen dataclass in a list", "c$n[0].rate()", "[Params$n(1)]", """
    import dataclasses
    @dataclasses.dataclass(frozen=True)
    class Params$n:
        r: int
        def rate(self):
            return self.r * $v
    """)  # fmt: skip
config("attrs class", "c$n.rate()", "Params$n(1)", """
    import attrs
    @attrs.define
    class Params$n:
        r: int
        def rate(self):
            return self.r * $v
    """)  # fmt: skip
config("pydantic model", "c$n.rate()", "Params$n(r=1)", """
    import pydantic
    class Params$n(pydantic.BaseModel):
        r: int
        def rate(self):
            return self.r * $v
    """)  # fmt: skip
config("enum", "c$n.rate()", "Params$n.CAR", """
    import enum
    class Params$n(enum.Enum):
        CAR = 1
        def rate(self):
            return self.value * $v
    """)  # fmt: skip
config("named tuple", "c$n.rate()", "Params$n(1)", """
    from typing import NamedTuple
    class Params$n(NamedTuple):
        r: int
        def rate(self):
            return self.r * $v
    """)  # fmt: skip
config("dict subclass in a dict", 'c$n["a"].rate()', '{"a": Params$n(r=1)}', """
    class Params$n(dict):
        def rate(self):
            return self["r"] * $v
    """)  # fmt: skip
config("__missing__", 'c$n["other"]', "Params$n(r=1)", "class Params$n(dict):\n    def __missing__(self, key):\n        return $v\n")
config("__getattr__", "c$n.other", "Params$n(r=1)", "class Params$n(dict):\n    def __getattr__(self, name):\n        if name != 'other':\n            raise AttributeError(name)\n        return $v\n")
config("__str__", "str(c$n)", "Params$n('a')", "class Params$n(str):\n    def __str__(self):\n        return 'a' * $v\n")
config("helper of the class", "c$n.rate()", "Params$n(r=1)", "def by$n():\n    return $v\nclass Params$n(dict):\n    def rate(self):\n        return by$n()\n")
config("base of the class", "c$n.rate()", "Params$n(r=1)", "class Base$n(dict):\n    def rate(self):\n        return $v\nclass Params$n(Base$n):\n    pass\n")

# ---------------------------------------------------------------- E: names in text

LIVE = "$MRATE$n = $v"
FRAME = "RATE$n = $v"


def text(name: str, expr: str, imports: str = "", defs: str = FRAME, live: str = LIVE, **rest: object) -> None:
    """A constant that is named in text, and can be set by the script."""
    source("E", name, expr, defs, imports, live=live, **rest)  # type: ignore[arg-type]


PANDAS = "import pandas as pd"
text("query", 'len(pd.DataFrame({"x": range(100)}).query("x > @RATE$n"))', PANDAS)
text("query in a variable", "f$n()", PANDAS, FRAME + '\ndef f$n():\n    wanted = "x > @RATE$n"\n    return len(pd.DataFrame({"x": range(100)}).query(wanted))')
text("query in a constant", 'len(pd.DataFrame({"x": range(100)}).query(WANTED$n))', PANDAS, FRAME + '\nWANTED$n = "x > @RATE$n"')
text("query of a function", 'len(pd.DataFrame({"x": range(100)}).query("x > @f$n()"))', PANDAS, "def f$n():\n    return $v", "")
text("frame.eval", 'pd.DataFrame({"x": [1]}).eval("x * @RATE$n").tolist()', PANDAS)
text("pd.eval", 'pd.eval("RATE$n * 2")', PANDAS)
text("globals", 'globals()["RATE$n"]')
text("globals by get", 'globals().get("RATE$n", 0)')
text("globals by computed name", 'globals()["RA" + "TE$n"]')
text("function by name", 'globals()["mode_" + "car$n"]()', "", "def mode_car$n():\n    return $v", "")
text("eval", 'eval("RATE$n + 1")')
text("exec", "f$n()", "", FRAME + '\ndef f$n():\n    space = {}\n    exec("x = RATE$n", globals(), space)\n    return space["x"]')
text("vars of the module", 'vars(sys.modules[__name__])["RATE$n"]', "import sys")
text("getattr of the module", 'getattr(sys.modules[__name__], "RATE$n")', "import sys")
text("attrgetter", 'operator.attrgetter("RATE$n")(sys.modules[__name__])', "import operator\nimport sys")
text("format_map", '"{RATE$n}".format_map(globals())')
text("percent", '"%(RATE$n)s" % globals()')
text("method by computed name", 'getattr(Zone$n, "rate_" + "a")()', "", "class Zone$n:\n    @staticmethod\n    def rate_a():\n        return $v", "")
text("methodcaller", 'operator.methodcaller("rate")(Zone$n())', "import operator", "class Zone$n:\n    def rate(self):\n        return $v", "")
text("numexpr", 'numexpr.evaluate("RATE$n * 2").tolist()', "import numexpr")
text("duckdb", 'duckdb.sql("select sum(x) from ZONES$n").fetchall()[0][0]', "import duckdb\n" + PANDAS, 'ZONES$n = pd.DataFrame({"x": [$v]})', '$MZONES$n = pd.DataFrame({"x": [$v]})', brings=PANDAS)
text("import by text", 'importlib.import_module("text$n").RATE$n', "import importlib", "", "import text$n\ntext$n.RATE$n = $v", files={"text$n.py": "RATE$n = $v\n"})
text("resolve_name", 'pkgutil.resolve_name("text$n:RATE$n")', "import pkgutil", "", "import text$n\ntext$n.RATE$n = $v", files={"text$n.py": "RATE$n = $v\n"})

# ---------------------------------------------------------------- H: modules imported inside a step

SITE = "env/lib/site-packages/"
FINDER = """
    import sys
    from importlib.machinery import PathFinder
    from importlib.util import spec_from_file_location
    from pathlib import Path
    MAPPING = {"flat$n": str(Path(__file__).resolve().parents[3] / "elsewhere$n" / "flat$n")}
    class Finder:
        @classmethod
        def find_spec(cls, fullname, path=None, target=None):
            if fullname in MAPPING:
                return spec_from_file_location(fullname, MAPPING[fullname] + "/__init__.py",
                                               submodule_search_locations=[MAPPING[fullname]])
    def install():
        sys.meta_path.append(Finder)
    """
EDITABLE = {
    SITE + "__editable__.flat$n.pth": "import __editable___flat$n_finder; __editable___flat$n_finder.install()",
    SITE + "__editable___flat$n_finder.py": FINDER,
}


def late(name: str, body: str, imports: str = "", **rest: object) -> None:
    """A function that imports inside; `body` gives the value."""
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    source("H", name, "late$n()", f"def late$n():\n{lines}", imports, **rest)  # type: ignore[arg-type]


ONE = "def rate():\n    return $v\n"
late("editable finder", "import flat$n\nreturn flat$n.rate()", files={**EDITABLE, "elsewhere$n/flat$n/__init__.py": ONE})
late("submodule of an editable finder", "from flat$n.deep import rate\nreturn rate()", files={**EDITABLE, "elsewhere$n/flat$n/__init__.py": "", "elsewhere$n/flat$n/deep.py": ONE})
late("editable path", "import src_$n\nreturn src_$n.rate()", files={SITE + "__editable__.src_$n.pth": "../../../elsewhere$n/src", "elsewhere$n/src/src_$n/__init__.py": ONE})
late("module", "import late_$n\nreturn late_$n.rate()", files={"late_$n.py": ONE})
late("module by its helper", "import late_$n\nreturn late_$n.rate()", files={"late_$n.py": "import deeper_$n\ndef rate():\n    return deeper_$n.rate()\n", "deeper_$n.py": ONE})
late("import_module", 'return importlib.import_module("late_$n").rate()', "import importlib", files={"late_$n.py": ONE})
late("computed name", 'return importlib.import_module("late" + "_$n").rate()', "import importlib", files={"late_$n.py": ONE})
late("name from a file", 'return importlib.import_module(Path("name$n.txt").read_text()).rate()', "import importlib\nfrom pathlib import Path", files={"name$n.txt": odd, "odd_0.py": "def rate():\n    return 0\n", "odd_1.py": "def rate():\n    return 1\n"})
late("__import__", 'return __import__("late_$n").rate()', files={"late_$n.py": ONE})
late("plug-in by path", """\
spec = importlib.util.spec_from_file_location("plug$n", "plugins$n/plug.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
return module.rate()""", "import importlib.util", files={"plugins$n/plug.py": ONE})  # fmt: skip
late("plug-ins of a folder", """\
found = []
for item in pkgutil.iter_modules([str(Path("plugins$n"))]):
    spec = importlib.util.spec_from_file_location(item.name, f"plugins$n/{item.name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found.append(module.rate())
return found""", "import importlib.util\nimport pkgutil\nfrom pathlib import Path", files={"plugins$n/plug.py": ONE})  # fmt: skip
late("folder put on sys.path", 'sys.path.insert(0, "more$n")\nimport late_$n\nreturn late_$n.rate()', "import sys", files={"more$n/late_$n.py": ONE})
late("exec of a file", 'space = {}\nexec(Path("code$n.py").read_text(), space)\nreturn space["rate"]()', "from pathlib import Path", files={"code$n.py": ONE})
late("runpy", 'return runpy.run_path("code$n.py")["rate"]()', "import runpy", files={"code$n.py": ONE})
late("package that loads late", "import lazy$n\nreturn lazy$n.deep.rate()", files={"lazy$n/__init__.py": "import importlib\ndef __getattr__(name):\n    if name == 'deep':\n        return importlib.import_module('lazy$n.deep')\n    raise AttributeError(name)\n", "lazy$n/deep.py": ONE})
late("finder of the script", "import found$n\nreturn found$n.rate()", brings="import models$n", files={"models$n.py": """
    import importlib.util
    import sys
    class Finder:
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            if name == "found$n":
                return importlib.util.spec_from_file_location(name, "models/found$n.py")
    sys.meta_path.append(Finder)
    """, "models/found$n.py": ONE})  # fmt: skip
late(
    "generated module", "import made$n\nreturn made$n.rate()", spreads=True,
    main='from pathlib import Path\nPath("made$n.py").write_text("def rate():\\n    return $v\\n")\nimport importlib\nimportlib.invalidate_caches()',
)  # fmt: skip

# ---------------------------------------------------------------- Z: what any tool of this kind sees

source("Z", "constant", "RATE$n", "RATE$n = $v", live=LIVE)
source("Z", "literal", "f$n()", "def f$n():\n    return $v")
source("Z", "table", 'TABLE$n["car"]', 'TABLE$n = {"car": $v, "walk": 0}', live='$MTABLE$n["car"] = $v')
source("Z", "constant of another module", "part$n.RATE", "", "import part$n", files={"part$n.py": "RATE = $v\n"}, live="import part$n\npart$n.RATE = $v")
source("Z", "computed constant", "RATE$n", "def of$n(x):\n    return x + 1\nRATE$n = of$n($v)")
source("Z", "file read by a module", "RATE$n", 'RATE$n = Path("rate$n.txt").read_text()', "from pathlib import Path", files={"rate$n.txt": plain})
source("Z", "config number", "c$n", config="$v")
source("Z", "config dict", 'c$n["rate"]', config='{"rate": $v}')
source("Z", "config list", "c$n", config="[1, $v]")
source("Z", "input file", "i$n.read_text()", inputs="given$n.txt", files={"given$n.txt": plain}, live='Path("given$n.txt").write_text("$v")', brings="from pathlib import Path")
source("Z", "input folder", "(i$n / 'a.txt').read_text()", inputs="given$n", files={"given$n/a.txt": plain})
