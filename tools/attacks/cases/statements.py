"""What the statements of a file name: bodies of classes, names in texts, and set-up in scripts and modules."""

from attacks.case import Group

# ruff: noqa: E501 - programs on one line each

GROUP = Group("statements: classes, texts and set-up", "runtime")


def case(
    name: str, verdict: str, model: str, change: tuple[str, str], *, packages: str = "", main: str = "", **more: str
) -> None:
    """An edit of one place, in whichever file has it; `main` is what the script does before it calls the step."""
    files = {"model.py": model, **{f"{key}.py": text for key, text in more.items()}}
    script = f"{main}from model import step\ncall(step)\n" if "call(" not in main else main
    old, new = change
    touched = {file: text.replace(old, new) for file, text in {**files, "main.py": script}.items() if old in text}
    assert touched, name
    GROUP.add(name, verdict, script, files=files, change=touched, packages=packages)


RATE = ("RATE = 1\n", "RATE = 2\n")
ATTRS = "import attrs\n"
DATA = "from dataclasses import dataclass, field\n"
PYDANTIC = "from pydantic import BaseModel, Field, field_validator, AfterValidator\nfrom typing import Annotated\n"
STEP = "def step():\n    ran(P())\n"

# ---------------------------------------------------------------- classes
for name, packages, text in (
    ("attrs_default", "attrs", f"{ATTRS}RATE = 1\n@attrs.define\nclass P:\n    r: int = RATE\n"),
    ("attrs_field_default", "attrs", f"{ATTRS}RATE = 1\n@attrs.frozen\nclass P:\n    r: int = attrs.field(default=RATE)\n"),
    ("attrs_factory", "attrs", f"{ATTRS}RATE = 1\n@attrs.define\nclass P:\n    r: list = attrs.Factory(lambda: [RATE])\n"),
    ("attrs_factory_function", "attrs", f"{ATTRS}RATE = 1\ndef make(): return RATE\n@attrs.define\nclass P:\n    r: int = attrs.field(factory=make)\n"),
    ("attrs_converter", "attrs", f"{ATTRS}RATE = 1\ndef scaled(x): return x * RATE\n@attrs.define\nclass P:\n    r: int = attrs.field(default=1, converter=scaled)\n"),
    ("attrs_validator", "attrs", f"{ATTRS}RATE = 1\ndef check(s, a, x):\n    if x > RATE: raise ValueError\n@attrs.define\nclass P:\n    r: int = attrs.field(default=1, validator=[check])\n"),
    ("attrs_metadata", "attrs", f"{ATTRS}RATE = 1\n@attrs.define\nclass P:\n    r: int = attrs.field(default=1, metadata={{'unit': RATE}})\n"),
    ("attrs_old_style", "attrs", "import attr\nRATE = 1\n@attr.s(slots=True)\nclass P:\n    r = attr.ib(default=RATE)\n"),
    ("attrs_made_class", "attrs", f"{ATTRS}RATE = 1\nP = attrs.make_class('P', {{'r': attrs.field(default=RATE)}})\n"),
    ("attrs_base_default", "attrs", f"{ATTRS}RATE = 1\n@attrs.define\nclass B:\n    r: int = RATE\n@attrs.define\nclass P(B):\n    q: int = 0\n"),
    ("dataclass_slots", "", f"{DATA}RATE = 1\n@dataclass(slots=True)\nclass P:\n    r: int = RATE\n"),
    ("dataclass_factory", "", f"{DATA}RATE = 1\n@dataclass\nclass P:\n    r: list = field(default_factory=lambda: [RATE])\n"),
    ("dataclass_factory_two_calls_away", "", f"{DATA}RATE = 1\ndef one(): return RATE\ndef two(): return one()\n@dataclass\nclass P:\n    r: list = field(default_factory=two)\n"),
    ("dataclass_metadata", "", f"{DATA}RATE = 1\n@dataclass\nclass P:\n    r: int = field(default=1, metadata={{'unit': RATE}})\n"),
    ("dataclass_made", "", "import dataclasses\nRATE = 1\nP = dataclasses.make_dataclass('P', [('r', int, dataclasses.field(default=RATE))], slots=True)\n"),
    ("pydantic_default", "pydantic", f"{PYDANTIC}RATE = 1\nclass P(BaseModel):\n    r: int = RATE\n"),
    ("pydantic_field_default", "pydantic", f"{PYDANTIC}RATE = 1\nclass P(BaseModel):\n    r: int = Field(default=RATE)\n"),
    ("pydantic_limit", "pydantic", f"{PYDANTIC}RATE = 1\nclass P(BaseModel):\n    r: int = Field(default=0, le=RATE)\n"),
    ("pydantic_factory", "pydantic", f"{PYDANTIC}RATE = 1\nclass P(BaseModel):\n    r: list = Field(default_factory=lambda: [RATE])\n"),
    ("pydantic_annotated_validator", "pydantic", f"{PYDANTIC}RATE = 1\ndef check(x): return x * RATE\nclass P(BaseModel):\n    r: Annotated[int, AfterValidator(check)] = 1\n"),
    ("pydantic_annotation_as_text", "pydantic", f"from __future__ import annotations\n{PYDANTIC}RATE = 1\nclass P(BaseModel):\n    r: Annotated[int, Field(le=RATE)] = 0\n"),
    ("pydantic_validator_method", "pydantic", f"{PYDANTIC}RATE = 1\nclass P(BaseModel):\n    r: int = 1\n    @field_validator('r')\n    @classmethod\n    def check(cls, x): return x * RATE\n"),
    ("pydantic_alias_of_a_type", "pydantic", f"{PYDANTIC}RATE = 1\nShare = Annotated[int, Field(le=RATE)]\nclass P(BaseModel):\n    r: Share = 0\n"),
    ("pydantic_created_model", "pydantic", "from pydantic import create_model\nRATE = 1\nP = create_model('P', r=(int, RATE))\n"),
    ("named_tuple_default", "", "from typing import NamedTuple\nRATE = 1\nclass P(NamedTuple):\n    r: int = RATE\n"),
    ("named_tuple_defaults", "", "from collections import namedtuple\nRATE = 1\nP = namedtuple('P', 'r', defaults=[RATE])\n"),
    ("class_keyword", "", "RATE = 1\nclass B:\n    def __init_subclass__(cls, rate, **more): cls.__rate = rate\nclass P(B, rate=RATE):\n    pass\n"),
    ("metaclass_keyword", "", "RATE = 1\nclass M(type):\n    def __new__(m, n, b, d, rate=0): return super().__new__(m, n, b, d | {'__rate__': rate})\n    def __init__(c, n, b, d, rate=0): pass\nclass P(metaclass=M, rate=RATE):\n    pass\n"),
    ("class_decorator_argument", "", "RATE = 1\nKEPT = {}\ndef deco(rate):\n    def inner(cls):\n        setattr(cls, '__rate__', rate)\n        return cls\n    return inner\n@deco(RATE)\nclass P:\n    pass\n"),
    ("function_in_a_class_body", "", "RATE = 1\ndef make(): return {'r': RATE}\nclass P:\n    __slots__ = make()\n"),
    ("nested_class_default", "", f"{DATA}RATE = 1\nclass O:\n    @dataclass(slots=True)\n    class P:\n        r: int = RATE\nP = O.P\n"),
    ("base_class_computed", "", "RATE = 1\ndef base(r):\n    class B:\n        __slots__ = ()\n        def f(self): return r\n    return B\nclass P(base(RATE)):\n    pass\n"),
    ("property_made_by_a_call", "", "import operator\nRATE = 1\nclass P:\n    r = property(lambda self: RATE)\n"),
    ("descriptor_with_a_constant", "", "RATE = 1\nclass D:\n    __slots__ = ('v',)\n    def __init__(self, v): self.v = v\n    def __get__(self, o, t): return self.v\nclass P:\n    r = D(RATE)\n"),
):  # fmt: skip
    case(f"class_{name}", "miss", f"{text}{STEP}", RATE, packages=packages)
    case(
        f"class_{name}_beside_an_edit", "hit", f"{text}{STEP}OTHER = 1\n", ("OTHER = 1", "OTHER = 2"), packages=packages
    )

FROM_FILE = {
    "dataclass_slots": ("", f"{DATA}from pathlib import Path\n@dataclass(slots=True)\nclass P:\n    r: int = int(Path('rate.txt').read_text())\n"),
    "attrs": ("attrs", f"{ATTRS}from pathlib import Path\n@attrs.define\nclass P:\n    r: int = int(Path('rate.txt').read_text())\n"),
    "pydantic": ("pydantic", f"{PYDANTIC}from pathlib import Path\nclass P(BaseModel):\n    r: int = int(Path('rate.txt').read_text())\n"),
    "pydantic_limit": ("pydantic", f"{PYDANTIC}from pathlib import Path\nclass P(BaseModel):\n    r: int = Field(default=0, le=int(Path('rate.txt').read_text()))\n"),
    "attrs_metadata": ("attrs", f"{ATTRS}from pathlib import Path\n@attrs.define\nclass P:\n    r: int = attrs.field(default=1, metadata={{'x': Path('rate.txt').read_text()}})\n"),
}  # fmt: skip
for name, (packages, text) in FROM_FILE.items():
    for place, model, more in (
        ("", text + STEP, {}),
        ("_of_a_helper", "import helper\ndef step():\n    ran(helper.P())\n", {"helper": text}),
    ):
        for end, verdict, rate in (("", "miss", "2"), ("_unchanged", "hit", "1")):
            GROUP.add(
                f"class_{name}{place}_default_read_from_a_file{end}",
                verdict,
                files={"model.py": model, "rate.txt": "1", **{f"{key}.py": value for key, value in more.items()}},
                change={"rate.txt": rate},
                packages=packages,
            )
case("class_method_of_another_class_edited", "hit",
     f"{DATA}@dataclass(slots=True)\nclass P:\n    r: int = 1\nclass Q:\n    def f(self): return 1\n{STEP}",
     ("return 1", "return 2"))  # fmt: skip
case("class_local_of_a_method_with_the_name_of_a_function", "hit",
     "def rate(): return 1\nclass P:\n    def f(self):\n        rate = 3\n        return rate\n" + STEP,
     ("return 1", "return 2"))  # fmt: skip
case("class_of_a_config_with_a_factory", "miss",
     f"{DATA}RATE = 1\n@dataclass\nclass P:\n    r: list = field(default_factory=lambda: [RATE])\ndef step(p):\n    ran(type(p)())\n",
     RATE, main="from model import step, P\ncall(step, config={'p': P(r=[5])})\n")  # fmt: skip

# ---------------------------------------------------------------- texts
FRAME = "import pandas as pd\n"
DUCK = "import duckdb, pandas as pd\n"
for name, packages, text in (
    ("query", "pandas", f"{FRAME}RATE = 1\ndef step():\n    ran(len(pd.DataFrame({{'x': [1, 2]}}).query('x > @RATE')))\n"),
    ("query_with_a_call", "pandas", f"{FRAME}RATE = 1\ndef f(x): return x * RATE\ndef step():\n    ran(len(pd.DataFrame({{'x': [1, 2]}}).query('@f(x) > 1')))\n"),
    ("query_in_an_f_string", "pandas", f"{FRAME}RATE = 1\ndef step(c='x'):\n    ran(len(pd.DataFrame({{'x': [1, 2]}}).query(f'{{c}} > @RATE')))\n"),
    ("query_in_a_constant", "pandas", f"{FRAME}RATE = 1\nQ = 'x > @RATE'\ndef step():\n    ran(len(pd.DataFrame({{'x': [1, 2]}}).query(Q)))\n"),
    ("query_in_a_table_of_constants", "pandas", f"{FRAME}RATE = 1\nQ = {{'a': ['x > @RATE']}}\ndef step():\n    ran(len(pd.DataFrame({{'x': [1, 2]}}).query(Q['a'][0])))\n"),
    ("query_put_together", "pandas", f"{FRAME}RATE = 1\ndef step():\n    q = 'x > ' + '@RATE'\n    ran(len(pd.DataFrame({{'x': [1, 2]}}).query(q)))\n"),
    ("eval_of_a_frame", "pandas", f"{FRAME}RATE = 1\ndef step():\n    ran(pd.DataFrame({{'x': [1, 2]}}).eval('y = x * @RATE'))\n"),
    ("eval_of_pandas", "pandas", f"{FRAME}RATE = 1\ndef step():\n    ran(pd.eval('RATE + 1'))\n"),
    ("eval", "", "RATE = 1\ndef step():\n    ran(eval('RATE + 1'))\n"),
    ("eval_of_a_constant", "", "RATE = 1\nE = 'RATE + 1'\ndef step():\n    ran(eval(E))\n"),
    ("exec", "", "RATE = 1\ndef step():\n    d = {}\n    exec('x = RATE', globals(), d)\n    ran(d['x'])\n"),
    ("globals_item", "", "RATE = 1\ndef step():\n    ran(globals()['RATE'])\n"),
    ("globals_get", "", "RATE = 1\ndef step():\n    ran(globals().get('RATE'))\n"),
    ("globals_by_a_name", "", "RATE = 1\ndef step():\n    space = globals()\n    ran(space['RATE'])\n"),
    ("format_with_globals", "", "RATE = 1\ndef step():\n    ran('{RATE}'.format(**globals()))\n"),
    ("own_module_by_name", "", "import sys\nRATE = 1\ndef step():\n    ran(getattr(sys.modules[__name__], 'RATE'))\n"),
    ("query_in_a_method", "pandas", f"{FRAME}RATE = 1\nclass C:\n    q = 'x > @RATE'\n    def f(self): return pd.DataFrame({{'x': [1, 2]}}).query(self.q)\ndef step():\n    ran(C().f())\n"),
    ("query_in_a_helper_function", "pandas", f"{FRAME}RATE = 1\ndef f(d): return d.query('x > @RATE')\ndef step():\n    ran(f(pd.DataFrame({{'x': [1, 2]}})))\n"),
    ("query_in_a_default", "pandas", f"{FRAME}RATE = 1\ndef step(q='x > @RATE'):\n    ran(pd.DataFrame({{'x': [1, 2]}}).query(q))\n"),
    ("query_of_an_attribute", "pandas", f"{FRAME}RATE = 1\nclass S:\n    r = RATE\ndef step():\n    ran(pd.DataFrame({{'x': [1, 2]}}).query('x > @S.r'))\n"),
):  # fmt: skip
    case(f"text_{name}", "miss", text, RATE, packages=packages)
    unread = text.replace("RATE = 1\n", "RATE = 1\nOTHER = 1\n", 1)
    if "globals" not in name and name not in (
        "eval",
        "eval_of_a_constant",
        "exec",
        "format_with_globals",
        "own_module_by_name",
    ):
        case(f"text_{name}_beside_an_edit", "hit", unread, ("OTHER = 1", "OTHER = 2"), packages=packages)
for name, read in (("globals_item", "globals()['RATE']"), ("eval", "eval('RATE + 1')"),
                   ("globals_get", "globals().get('RATE')"), ("own_module", "sys.modules[__name__].RATE")):  # fmt: skip
    GROUP.add(f"text_{name}_set_at_run_time", "miss",
              "import model\ncall(model.step)\nmodel.RATE = 2\ncall(model.step)\n",
              files={"model.py": f"import sys\nRATE = 1\ndef step():\n    ran({read})\n"})  # fmt: skip
GROUP.add("text_query_of_a_helper_set_at_run_time", "miss",
          "import helper, model\nhelper.set(1)\ncall(model.step)\nhelper.set(2)\ncall(model.step)\n", packages="pandas",
          files={"model.py": "import helper\ndef step():\n    ran(helper.f())\n",
                 "helper.py": f"{FRAME}RATE = 0\ndef set(r):\n    global RATE\n    RATE = r\n"
                 "def f(): return pd.DataFrame({'x': [1, 2]}).query('x > @RATE')\n"})  # fmt: skip
GROUP.add("text_in_the_config", "miss", "from model import step\ncall(step, config={'q': 'x > @RATE'})\n",
          files={"model.py": f"{FRAME}RATE = 1\ndef step(q):\n    ran(pd.DataFrame({{'x': [1, 2]}}).query(q))\n"},
          change={"model.py": f"{FRAME}RATE = 2\ndef step(q):\n    ran(pd.DataFrame({{'x': [1, 2]}}).query(q))\n"},
          packages="pandas")  # fmt: skip
ZONES = ("[1, 2]", "[1, 5]")
for name, text in (
    ("sql", "duckdb.sql('select sum(x) from ZONES').fetchall()"),
    ("sql_with_a_join", "duckdb.sql('select * from OTHER join ZONES using (x)').fetchall()"),
    ("sql_of_two_tables", "duckdb.execute('''\n        with t as (select * from OTHER, ZONES z) select * from t''')"),
    ("sql_in_an_f_string", "duckdb.sql(f'select sum({1}) from ZONES')"),
    ("sql_of_a_connection", "duckdb.connect().execute('from ZONES select sum(x)')"),
    ("sql_with_a_name_of_a_table", "duckdb.sql(f'select sum(x) from {TABLE}')"),
    ("sql_in_a_constant", "duckdb.sql(SQL)"),
    ("sql_in_quotes", "duckdb.sql('select sum(x) from \"ZONES\"')"),
    ("sql_put_together", "duckdb.sql('select sum(x) ' + 'from ZONES')"),
    ("sql_of_a_helper_function", "ask('ZONES')"),
):
    model = (
        "import duckdb, pandas as pd\nZONES = pd.DataFrame({'x': [1, 2]})\nOTHER = pd.DataFrame({'x': [3]})\nTABLE = 'ZONES'\n"
        "SQL = 'select sum(x) from ZONES'\n"
        "def ask(t): return duckdb.sql(f'select sum(x) from {t}')\n"
        f"def step():\n    ran({text})\n"
    )
    case(f"text_{name}", "miss", model, ZONES, packages="duckdb pandas")
case("text_formula", "miss", "def scaled(x): return x * 1\ndef step():\n    ols = print\n    ran(ols('y ~ scaled(x)'))\n",
     ("x * 1", "x * 2"))  # fmt: skip
case(
    "text_numexpr",
    "miss",
    "class numexpr:\n    evaluate = str\nRATE = 1\ndef step():\n    ran(numexpr.evaluate('RATE * 2'))\n",
    RATE,
)
for name, use in (
    ("docstring", '"""Reads @demand, select x from demand."""'),
    ("message", "print('@demand: select x from demand')"),
    ("log", "import logging; logging.getLogger('x').info('select x from demand')"),
    ("key", "{'demand': 1}['demand']"),
    ("column", "d = {}; d['demand'] = 1"),
    ("file_name", "str('demand.csv')"),
    ("error", "\n    if 0: raise ValueError('@demand')"),
    (
        "table_of_a_database",
        "\n    import sqlite3\n    sqlite3.connect(':memory:').execute('select 1 where 1 in (select 2)')",
    ),
    ("column_of_a_query", "list(map(str, ['demand > 1']))"),
):
    case(f"text_of_no_code_{name}", "hit", f"def demand():\n    return 1\ndef step():\n    {use}\n    ran()\n",
         ("return 1", "return 2"))  # fmt: skip
case("text_of_a_column_named_like_a_step", "hit",
     f"{FRAME}def demand():\n    return 1\ndef step():\n    ran(pd.DataFrame({{'demand': [1]}}).query('demand > 0').eval('demand * 2'))\n",
     ("return 1", "return 2"), packages="pandas")  # fmt: skip

# ---------------------------------------------------------------- set-up
USES = "def step():\n    ran()\n"
SET_UPS = {
    "numpy_seed": ("numpy", "import numpy as np\nnp.random.seed(1)\n", ("seed(1)", "seed(2)")),
    "numpy_seed_by_name": ("numpy", "from numpy.random import seed\nseed(1)\n", ("seed(1)", "seed(2)")),
    "seed_of_a_dict": ("", "import random\ncfg = {'seed': 1, 'level': 1}\nrandom.seed(cfg['seed'])\n", ("'seed': 1", "'seed': 2")),
    "seed_of_a_nested_dict": ("", "import random\ncfg = {'run': {'seed': 1}, 'level': 1}\nrandom.seed(cfg['run']['seed'])\n", ("'seed': 1", "'seed': 2")),
    "seed_of_a_namespace": ("", "import random, argparse\nargs = argparse.Namespace(seed=1, level=1)\nrandom.seed(args.seed)\n", ("seed=1", "seed=2")),
    "seed_of_a_parser": ("", "import random, argparse\np = argparse.ArgumentParser()\np.add_argument('--seed', type=int, default=1)\nargs = p.parse_args()\nrandom.seed(args.seed)\n", ("default=1", "default=2")),
    "seed_of_json": ("", "import random, json\ncfg = json.loads('{\"seed\": 1}')\nrandom.seed(cfg['seed'])\n", ('"seed": 1', '"seed": 2')),
    "seed_in_a_function": ("", "import random\ndef prepare(): random.seed(1)\nprepare()\n", ("seed(1)", "seed(2)")),
    "seed_two_functions_away": ("", "import random\ndef one(): random.seed(1)\ndef two(): one()\ntwo()\n", ("seed(1)", "seed(2)")),
    "seed_by_a_method": ("", "import random\nclass C:\n    def go(self): random.seed(1)\nC().go()\nc = C()\nc.go()\n", ("seed(1)", "seed(2)")),
    "seed_in_a_loop": ("", "import random\nfor s in [1]:\n    random.seed(s)\n", ("in [1]", "in [2]")),
    "seed_under_a_condition": ("", "import random\nif True:\n    random.seed(1)\n", ("seed(1)", "seed(2)")),
    "seed_where_a_condition_chooses": ("", "import random\nFAST = 1\nif FAST == 1:\n    random.seed(1)\nelse:\n    random.seed(3)\n", ("FAST = 1", "FAST = 2")),
    "seed_with_its_result_kept": ("", "import random\n_ = random.seed(1)\n", ("seed(1)", "seed(2)")),
    "option_of_pandas": ("pandas", "import pandas as pd\npd.options.mode.copy_on_write = True\n", ("= True", "= False")),
    "option_of_pandas_by_call": ("pandas", "import pandas as pd\npd.set_option('display.precision', 3)\n", ("3)", "4)")),
    "option_of_pandas_by_name": ("pandas", "from pandas import options\noptions.display.precision = 3\n", ("= 3", "= 4")),
    "option_of_pandas_by_setattr": ("pandas", "import pandas as pd\nsetattr(pd.options.display, 'precision', 3)\n", ("3)", "4)")),
    "numpy_print_options": ("numpy", "import numpy as np\nnp.set_printoptions(precision=3)\n", ("=3", "=4")),
    "numpy_errors_kept": ("numpy", "import numpy as np\nold = np.seterr(all='warn')\n", ("'warn'", "'raise'")),
    "decimal_precision": ("", "import decimal\ndecimal.getcontext().prec = 5\n", ("= 5", "= 6")),
    "decimal_precision_by_name": ("", "from decimal import getcontext\ngetcontext().prec = 5\n", ("= 5", "= 6")),
    "decimal_context_kept": ("", "import decimal\nctx = decimal.getcontext()\nctx.prec = 5\n", ("= 5", "= 6")),
    "decimal_context_set": ("", "import decimal\ndecimal.setcontext(decimal.Context(prec=5))\n", ("prec=5", "prec=6")),
    "locale": ("", "import locale\nlocale.setlocale(locale.LC_ALL, 'C')\n", ("'C'", "'POSIX'")),
    "recursion_limit": ("", "import sys\nsys.setrecursionlimit(5000)\n", ("5000", "6000")),
    "variable_of_a_library": ("", "import os\nos.environ['OMP_NUM_THREADS'] = '1'\n", ("'1'", "'2'")),
    "style_of_plots": ("", "import types, sys\nmatplotlib = types.ModuleType('matplotlib')\nmatplotlib.rcParams = {}\nsys.modules['matplotlib'] = matplotlib\n", ("'matplotlib')\nmatplotlib.rcParams = {}", "'matplotlib')\nmatplotlib.rcParams = {1: 2}")),
    "copyreg": ("", "import copyreg\ndef reduce(c): return str, ('1',)\ncopyreg.pickle(complex, reduce)\n", ("'1'", "'2'")),
    "patched_module": ("", "import math\nmath.rate = lambda: 1\n", ("lambda: 1", "lambda: 2")),
    "patched_function_of_a_package": ("", "import colorsys\ndef f(x): return '1'\ncolorsys.rgb_to_hsv = f\n", ("'1'", "'2'")),
    "codec_registered": ("", "import codecs\ndef find(name): return None\ncodecs.register(find)\n", ("return None", "return [][:0] or None")),
    "sqlite_adapter": ("", "import sqlite3\nsqlite3.register_adapter(complex, lambda c: 1)\n", ("lambda c: 1", "lambda c: 2")),
    "module_replaced": ("", "import sys, types\nm = types.ModuleType('m')\nm.rate = 1\nsys.modules['m'] = m\n", ("m.rate = 1", "m.rate = 2")),
}  # fmt: skip
for name, (packages, text, change) in SET_UPS.items():
    if name != "style_of_plots":
        case(f"set_up_{name}_in_the_script", "miss", USES, change, packages=packages, main=text)
    if name not in ("style_of_plots", "module_replaced"):
        case(f"set_up_{name}_in_the_file", "miss", text + USES, change, packages=packages)
        if name.startswith(("seed", "decimal")):
            case(f"set_up_{name}_in_a_module_of_the_script", "miss", USES, change, packages=packages,
                 main="import first\n", first=text)  # fmt: skip
        case(f"set_up_{name}_in_main", "miss", USES, change, packages=packages,
             main="from model import step\n" + "".join(
                 line for line in text.splitlines(True) if line.startswith(("import", "from", "def", "class", "    def")))
             + "def main():\n" + "".join(
                 f"    {line}" for line in text.splitlines(True)
                 if not line.startswith(("import", "from", "def", "class", "    def")))
             + "    call(step)\nif __name__ == '__main__':\n    main()\n")  # fmt: skip
OPTIONS = "import decimal\nOPTIONS = {'prec': 5, 'Emax': 99}\nfor name, value in OPTIONS.items():\n    setattr(decimal.getcontext(), name, value)\n"
case("set_up_by_a_loop_over_options", "miss", USES, ("'prec': 5", "'prec': 6"), main=OPTIONS)
case("set_up_by_a_loop_over_options_in_main", "miss", USES, ("'prec': 5", "'prec': 6"),
     main="from model import step\ndef main():\n    " + OPTIONS.replace("\n", "\n    ") + "call(step)\nmain()\n")  # fmt: skip
case("set_up_in_the_other_branch", "miss", USES, ("FAST = 1", "FAST = 0"),
     main="import random\nFAST = 1\nif FAST:\n    pass\nelse:\n    random.seed(3)\n")  # fmt: skip
for name, packages, text, verdict in (
    ("decimal_context", "", "import decimal\nwith decimal.localcontext() as ctx:\n    ctx.prec = 1\n    {}\n", "miss"),
    (
        "option_context",
        "pandas",
        "import pandas as pd\nwith pd.option_context('display.precision', 1):\n    {}\n",
        "miss",
    ),
    (
        "numpy_errors",
        "numpy",
        "import numpy as np\nwith np.errstate(under='ignore', bufsize=1) if 0 else np.printoptions(precision=1):\n    {}\n",
        "miss",
    ),
    (
        "own_manager",
        "",
        "import contextlib, decimal\n@contextlib.contextmanager\ndef exact():\n    decimal.getcontext().prec = 1\n    yield\nwith exact():\n    {}\n",
        "miss",
    ),
    (
        "option_context_that_ended",
        "pandas",
        "import pandas as pd\nwith pd.option_context('display.precision', 1):\n    pass\n{}\n",
        "hit",
    ),
    ("warnings", "", "import warnings\nwith warnings.catch_warnings(record=1):\n    {}\n", "hit"),
    ("file", "", "with open(__file__ + '.txt', 'w', buffering=-1):\n    {}\n", "hit"),
    ("pool", "", "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(1):\n    {}\n", "hit"),
):
    change = {
        "file": ("buffering=-1", "buffering=-0-1"),
        "warnings": ("record=1", "record=2"),
        "pool": ("Executor(1)", "Executor(2)"),
    }.get(
        name,
        ("precision', 1", "precision', 2")
        if "option" in name
        else ("prec = 1", "prec = 2")
        if "prec =" in text
        else ("precision=1", "precision=2"),
    )
    case(
        f"context_of_{name}_around_the_call",
        verdict,
        USES,
        change,
        packages=packages,
        main="from model import step\n" + text.format("call(step)"),
    )
case("set_up_in_a_module_imported_by_name", "miss", USES, ("seed(1)", "seed(2)"),
     main="import importlib\nimportlib.import_module('first')\n", first="import random\nrandom.seed(1)\n")  # fmt: skip
case("set_up_in_a_module_imported_by_a_computed_name", "miss", USES, ("seed(1)", "seed(2)"),
     main="import importlib\nfor name in ('first',):\n    importlib.import_module(name)\n", first="import random\nrandom.seed(1)\n")  # fmt: skip
case("module_imported_by_name_without_set_up", "hit", USES, ("return 1", "return 2"),
     main="import importlib\nimportlib.import_module('first')\n", first="def f(): return 1\n")  # fmt: skip
GROUP.add("set_up_in_a_plugin_of_a_package", "miss", "import plugins\nfrom model import step\ncall(step)\n",
          files={"model.py": USES, "plugins/__init__.py": "import importlib, pkgutil\nfor m in pkgutil.iter_modules(__path__):\n    importlib.import_module('plugins.' + m.name)\n",
                 "plugins/a.py": "import random\nrandom.seed(1)\n"}, change={"plugins/a.py": "import random\nrandom.seed(2)\n"})  # fmt: skip
CLASS = "from dataclasses import dataclass\nfrom model import step\n@dataclass\nclass C:\n    x: int = 1\n    def f(self): return self.x * 2\n"
for name, verdict, change in (("edited", "miss", ("* 2", "* 3")), ("beside_a_print", "hit", ("print(1)", "print(2)")),
                              ("beside_a_function", "hit", ("return 7", "return 8"))):  # fmt: skip
    case(f"class_of_the_script_in_a_config_{name}", verdict, "def step(c):\n    ran(c.f())\n", change,
         main=CLASS + "def other(): return 7\nprint(1)\ncall(step, config={'c': C()})\n")  # fmt: skip
for name, text, verdict in (
    (
        "list_of_results",
        "found = []\nfor s in (step, other):\n    found.append(call(s))\n    print(len(found))\n",
        "hit",
    ),
    (
        "dict_of_results_handed_to_a_package",
        "import reprlib\nfound = {}\nfor s in (step, other):\n    found[s.__name__] = call(s)\n    reprlib.repr(found)\n",
        "hit",
    ),
):
    case(f"neutral_{name}", verdict, "def step():\n    ran(1)\ndef other():\n    ran(2)\n", ("ran(1)", "ran(11)"),
         main=f"from model import step, other\n{text}")  # fmt: skip
REG = {
    "lib/site-packages/reg-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: reg\nVersion: 1.0\n",
    "lib/site-packages/reg-1.0.dist-info/RECORD": "reg.py,,\nreg-1.0.dist-info/METADATA,,\nreg-1.0.dist-info/RECORD,,\n",
    "lib/site-packages/reg.py": "R = {}\n"
    "def step(f=None):\n    def put(f):\n        R[f.__name__] = f\n        return f\n    return put(f) if f else put\n"
    "def add(f): R[f.__name__] = f\ndef run(n): return R[n]()\n"
    "class Base:\n    def __init_subclass__(cls, **k): R[cls.__name__] = cls\n"
    "class Steps:\n    def __init__(self): self.r = {}\n    def step(self, f):\n        R[f.__name__] = f\n        return f\n",
}
PATH = "import sys\nsys.path.insert(0, 'lib/site-packages')\n"
for name, text in (
    ("decorator", "@reg.step\ndef f(): return 1\n"),
    ("decorator_that_is_called", "@reg.step()\ndef f(): return 1\n"),
    ("decorator_of_a_partial", "import functools\n@functools.partial(reg.step)\ndef f(): return 1\n"),
    ("decorator_by_name", "from reg import step as enter\n@enter()\ndef f(): return 1\n"),
    ("decorator_of_an_object", "steps = reg.Steps()\n@steps.step\ndef f(): return 1\n"),
    ("decorator_around_a_helper", "def g(): return 1\n@reg.step\ndef f(): return g()\n"),
    ("decorator_with_a_constant", "K = '1'\nk = {'return 1': 1}\n@reg.step\ndef f(): return k\n"),
    ("call", "def f(): return 1\nreg.add(f)\n"),
    ("call_in_a_loop", "def f(): return 1\nfor g in [f]:\n    reg.add(g)\n"),
    ("call_in_a_comprehension", "def f(): return 1\n[reg.add(g) for g in [f]]\n"),
    ("call_of_a_function_of_the_file", "def f(): return 1\ndef enter(g): reg.add(g)\nenter(f)\n"),
    ("decorator_of_the_file", "def mine(g):\n    reg.add(g)\n    return g\n@mine\ndef f(): return 1\n"),
    ("decorator_of_the_file_that_is_called", "def mine(n):\n    def inner(g):\n        reg.add(g)\n        return g\n    return inner\n@mine(3)\ndef f(): return 1\n"),
    ("item", "def f(): return 1\nreg.R['f'] = f\n"),
    ("item_by_name", "from reg import R\ndef f(): return 1\nR['f'] = f\n"),
    ("update", "from reg import R\ndef f(): return 1\nR.update(f=f)\n"),
    ("subclass", "class f(reg.Base):\n    def __new__(cls): return 1\n    x = 'return 1'\n"),
):  # fmt: skip
    for where, script, model, more in (
        ("script", f"{PATH}import reg\n{text}", "import reg\ndef simulate(): ran(reg.run('f'))\n", {}),
        ("file", PATH, f"import reg\n{text}def simulate(): ran(reg.run('f'))\n", {}),
        ("plugin", f"{PATH}import plug\n", "import reg\ndef simulate(): ran(reg.run('f'))\n", {"plug.py": f"import reg\n{text}"}),
    ):  # fmt: skip
        main = f"{script}from model import simulate\ncall(simulate)\n"
        files = {"model.py": model, **more}
        touched = {file: body.replace("return 1", "return 2") for file, body in {**files, "main.py": main}.items()
                   if "return 1" in body}  # fmt: skip
        GROUP.add(f"registered_by_{name}_in_the_{where}", "miss", main, files=files | REG, change=touched)
        beside = {file: body + "def unrelated(): return 3\nprint('more')\n" for file, body in files.items()}
        GROUP.add(f"registered_by_{name}_in_the_{where}_beside_an_edit", "hit", main, files=files | REG, change=beside)

NEUTRAL = {
    "print": ("print('a', 1)", "print('b', 1)"),
    "print_of_a_result": ("import random\nprint(random.random() * 0)", "import random\nprint(random.random() * 1)"),
    "log_level": ("import logging\nlogging.basicConfig(level=10)", "import logging\nlogging.basicConfig(level=20)"),
    "logger": ("import logging\nlogging.getLogger('x').setLevel(10)", "import logging\nlogging.getLogger('x').setLevel(20)"),
    "warnings": ("import warnings\nwarnings.simplefilter('ignore')", "import warnings\nwarnings.simplefilter('default')"),
    "arguments": ("import argparse\np = argparse.ArgumentParser('a')\np.add_argument('--x', help='a')\np.parse_args()",
                  "import argparse\np = argparse.ArgumentParser('b')\np.add_argument('--x', help='b')\np.parse_args()"),
    "path": ("import sys\nsys.path.insert(0, 'a')", "import sys\nsys.path.insert(0, 'b')"),
    "folder": ("import os\nos.makedirs('a', exist_ok=True)", "import os\nos.makedirs('b', exist_ok=True)"),
    "folder_of_pathlib": ("from pathlib import Path\nPath('a').mkdir(exist_ok=True)", "from pathlib import Path\nPath('b').mkdir(exist_ok=True)"),
    "file_that_is_written": ("from pathlib import Path\nPath('a').write_text('1')", "from pathlib import Path\nPath('a').write_text('2')"),
    "optional_import": ("try:\n    import nothing\nexcept ImportError:\n    nothing = None", "try:\n    import nothing\nexcept ImportError:\n    nothing = 1"),
    "types": ("import typing\nif typing.TYPE_CHECKING:\n    import nothing", "import typing\nif typing.TYPE_CHECKING:\n    import never"),
    "docstring": ("'one'", "'two'"),
    "profiler": ("import cProfile\np = cProfile.Profile()", "import cProfile\np = cProfile.Profile()\np.enable()\np.disable()"),
    "sleep": ("import time\ntime.sleep(0)", "import time\ntime.sleep(0.001)"),
    "constant": ("K = [1]", "K = [2]"),
    "own_list": ("K = [1]\nK.append(2)", "K = [1]\nK.append(3)"),
    "own_object": ("class C: pass\nc = C()\nc.x = 1", "class C: pass\nc = C()\nc.x = 2"),
    "function": ("def other(): return 1", "def other(): return 2"),
    "function_that_only_prints": ("def say(): print(1)\nsay()", "def say(): print(2)\nsay()"),
    "function_with_a_cache": ("import functools\n@functools.lru_cache\ndef other(): return 1", "import functools\n@functools.lru_cache\ndef other(): return 2"),
    "function_of_a_decorator": ("def deco(f):\n    def inner(): return f()\n    return inner\n@deco\ndef other(): return 1",
                                "def deco(f):\n    def inner(): return f()\n    return inner\n@deco\ndef other(): return 2"),
    "dataclass": ("from dataclasses import dataclass\n@dataclass\nclass C:\n    x: int = 1", "from dataclasses import dataclass\n@dataclass\nclass C:\n    x: int = 2"),
    "unused_import": ("import csv", "import json"),
    "variable_of_ones_own": ("import os\nos.environ['MY_LEVEL'] = '1'", "import os\nos.environ['MY_LEVEL'] = '2'"),
    "exit_hook": ("import atexit\natexit.register(print, 1)", "import atexit\natexit.register(print, 2)"),
    "numbers": ("import math\nx = math.sqrt(4)", "import math\nx = math.sqrt(9)"),
    "loop": ("x = 0\nfor i in range(3):\n    x += i", "x = 0\nfor i in range(4):\n    x += i"),
    "level_in_settings": ("import random\ncfg = {'seed': 1, 'level': 1}\nrandom.seed(cfg['seed'])", "import random\ncfg = {'seed': 1, 'level': 2}\nrandom.seed(cfg['seed'])"),
    "frame": ("import pandas as pd\nd = pd.DataFrame({'x': [1]})\nd['y'] = 1\nd.sort_values('x', inplace=True)", "import pandas as pd\nd = pd.DataFrame({'x': [1]})\nd['y'] = 2\nd.sort_values('y', inplace=True)"),
    "time_of_day": ("import os, time\nos.environ['MY_RUN'] = str(time.time())", "import os, time\nos.environ['MY_RUN'] = str(time.time())"),
    "temporary_folder": ("import os, tempfile\nd = tempfile.mkdtemp(dir='.')\nos.environ['TMPDIR'] = d", "import os, tempfile\nd = tempfile.mkdtemp(dir='.')\nos.environ['TMPDIR'] = d"),
}  # fmt: skip
for name, (one, other) in NEUTRAL.items():
    packages = "pandas" if "pandas" in one else ""
    case(f"neutral_{name}_in_the_script", "hit", USES, (one, other), main=one + "\n", packages=packages)
    case(f"neutral_{name}_in_the_file", "hit", one + "\n" + USES, (one, other), packages=packages)
    case(f"neutral_{name}_in_main", "hit", USES, (one.replace("\n", "\n    "), other.replace("\n", "\n    ")), packages=packages,
         main="from model import step\ndef main():\n    " + one.replace("\n", "\n    ")
         + "\n    call(step)\nif __name__ == '__main__':\n    main()\n")  # fmt: skip
for name, between, verdict in (
    ("set_up_between_two_calls", "import random\nrandom.seed(2)", "miss"),
    ("set_up_in_a_function_between_two_calls", "import random\ndef go(): random.seed(2)\ngo()", "miss"),
    ("print_between_two_calls", "print(2)", "hit"),
    (
        "several_lines_of_no_set_up_between_two_calls",
        "import os, time\nos.makedirs('a')\ntime.sleep(0)\nx = [1]\nx.append(2)",
        "hit",
    ),
    ("set_up_again_between_two_calls", "import random\nrandom.seed(1)\nrandom.seed(2)\nrandom.seed(1)", "miss"),
    ("result_plotted_between_two_calls", "import statistics\nstatistics.mean([len(str(first))])", "hit"),
):
    GROUP.add(
        name, verdict, f"from model import step\nfirst = call(step)\n{between}\ncall(step)\n", files={"model.py": USES}
    )
    GROUP.add(
        f"{name}_in_main", verdict,
        "from model import step\ndef main():\n    first = call(step)\n    " + between.replace("\n", "\n    ")
        + "\n    call(step)\nmain()\n",
        files={"model.py": USES},
    )  # fmt: skip
for name, verdict, after in (("set_up", "miss", "import random\nrandom.seed({})"), ("print", "hit", "print({})")):
    one, other = after.format(1), after.format(2)
    case(
        f"{name}_in_a_module_of_the_script_edited", verdict, USES, (one, other), main="import first\n", first=one + "\n"
    )
    case(
        f"{name}_after_the_step_edited", "hit", USES, (one, other), main=f"from model import step\ncall(step)\n{one}\n"
    )
GROUP.add("set_up_in_a_loop_of_calls", "miss",
          "import random\nfrom model import step\nfor seed in (1, 2):\n    random.seed(seed)\n    call(step)\n",
          files={"model.py": USES})  # fmt: skip
GROUP.add("set_up_in_a_loop_of_calls_with_one_value", "hit",
          "import random\nfrom model import step\nfor seed in (1, 1):\n    random.seed(seed)\n    call(step)\n",
          files={"model.py": USES})  # fmt: skip

# ---------------------------------------------------------------- star imports, and names that are spelt out
OTHER = "def rate(): return 0\n"
STAR = "from model import *\nimport other\nfrom unittest import mock\nmock.patch.object(other, 'rate', lambda: {}).start()\ncall(step)\n"
PATCHED = "import other\nLEVEL = 1\n__UNDER = 1\ndef unused(): return 1\ndef step():\n    ran(other.rate())\n"
for name, verdict, shown, change in (
    ("function_beside_it", "hit", "3", ("unused(): return 1", "unused(): return 2")),
    ("constant_beside_it", "hit", "3", ("LEVEL = 1", "LEVEL = 2")),
    ("module_variable_that_is_not_given", "hit", "__name__", ("LEVEL = 1", "LEVEL = 2")),
    ("name_that_it_gives", "miss", "LEVEL", ("LEVEL = 1", "LEVEL = 2")),
    ("name_that_it_gives_in_an_inner_lambda", "miss", "(lambda: LEVEL)()", ("LEVEL = 1", "LEVEL = 2")),
    ("name_that_it_gives_in_a_text", "miss", "eval('LEVEL')", ("LEVEL = 1", "LEVEL = 2")),
    ("builtin_that_it_begins_to_hide", "miss", "len('abc')", ("LEVEL = 1", "LEVEL = 1\ndef len(x): return 7")),
):
    case(f"star_import_in_a_patch_{name}", verdict, PATCHED, change, main=STAR.format(shown), other=OTHER)
case(
    "star_import_with_a_list_of_hidden_names", "miss", "import other\n__all__ = ['_level', 'step']\n_level = 1\ndef step():\n    ran(other.rate())\n",
    ("_level = 1", "_level = 2"), main=STAR.format("_level"), other=OTHER,
)  # fmt: skip
case(
    "star_import_through_a_star_import", "miss", PATCHED + "from deep import *\n",
    ("DEEP = 1", "DEEP = 2"), main=STAR.format("DEEP"), other=OTHER, deep="DEEP = 1\n",
)  # fmt: skip
SPELT = "RATE = 1\ndef car(): return RATE\nUNUSED = 1\ndef kind(): return 'ca'\ndef step():\n    ran({}())\n"
for name, text in (
    ("item", "globals()['car']"),
    ("pieces", "globals()['c' + 'ar']"),
    ("get", "globals().get('car')"),
    ("get_with_a_default", "globals().get('car', print)"),
    ("lambda", "(lambda: globals()['car'])()"),
    ("globals_of_a_frame", "__import__('sys')._getframe().f_globals['car']"),
    ("dict_of_its_own_globals", "step.__globals__['car']"),
):
    case(f"globals_by_a_spelt_name_in_{name}", "miss", SPELT.format(text), ("RATE = 1", "RATE = 2"))
    if "__import__" not in text:  # which may reach anything
        case(
            f"globals_by_a_spelt_name_in_{name}_beside_an_edit", "hit", SPELT.format(text), ("UNUSED = 1", "UNUSED = 2")
        )
for name, text in (
    ("computed_item", "globals()[kind() + 'r']"),
    ("formatted_item", "globals()[f'{kind()}r']"),
    ("filled_item", "globals()['%sr' % kind()]"),
    ("variable", "(lambda space: space[kind() + 'r'])(globals())"),
    ("function_under_another_name", "(lambda of: of()[kind() + 'r'])(globals)"),
    ("computed_item_of_its_own_globals", "step.__globals__[kind() + 'r']"),
    ("computed_item_of_a_frame", "sys._getframe().f_globals[kind() + 'r']"),
    ("both_ways", "[globals()['kind'], globals()[kind() + 'r']][1]"),
    ("update", "(globals().update(car=globals()['car']) or globals()[kind() + 'r'])"),
):
    case(f"globals_by_a_{name}", "miss", "import sys\n" + SPELT.format(text), ("RATE = 1", "RATE = 2"))
case(
    "neutral_folder_beside_a_step_that_uses_its_module", "hit",
    "import os\nos.makedirs('a', exist_ok=True)\ndef step():\n    ran(os.environ.get('X'))\n",
    ("os.makedirs('a', exist_ok=True)\n", "os.makedirs('b', exist_ok=True)\nos.makedirs('c', exist_ok=True)\n"),
)  # fmt: skip
case(
    "folder_of_a_function_with_effects_beside_a_step", "miss",
    "import os, random\ndef place():\n    random.seed(1)\n    return 'a'\nos.makedirs(place(), exist_ok=True)\ndef step():\n    ran([os.sep, random.random()])\n",
    ("seed(1)", "seed(2)"),
)  # fmt: skip
for name, made, given in (
    ("itemgetter", "operator.itemgetter(0)", "[5]"),
    ("attrgetter", "operator.attrgetter('real')", "5"),
):
    case(
        f"neutral_{name}_that_a_helper_calls", "hit", USES, ("x = 1\n", "x = get()\n"),
        main="from helper import get\nfrom model import step\nx = 1\ncall(step)\n",
        helper=f"import operator\nfirst = {made}\ndef get(): return first({given})\n",
    )  # fmt: skip
