"""Values outside of the step's own code: set-ups, what is replaced at run time, files, folders, links, installs, state."""

# One row for each source, however wide.
# ruff: noqa: E501
# fmt: off
import gzip
import io
import sqlite3
import tempfile
import zipfile
from functools import partial
from pathlib import Path

from attacks.fresh.grammar import Content, plain, source

SITE = "env/lib/site-packages/"
ONE = "def rate():\n    return $v\n"

# ---------------------------------------------------------------- I: set-up and imports for effect

SMALL = tuple(map(str, range(2, 12)))


def setup(name: str, statements: str, expr: str, imports: str = "", *, needs: str = "", values: tuple[str, ...] = SMALL) -> None:
    """Statements that set something up: in the step's module, in the script, in a module imported for effect."""
    source("I", f"{name}, own module", expr, statements, imports, values=values, spreads=True, needs=needs)
    source("I", f"{name}, script", expr, "", imports, main=f"{imports}\n{statements}", values=values, spreads=True, needs=needs)
    body = f"{imports}\n{statements}\n"
    source("I", f"{name}, imported for effect", expr, "import effect$n", imports, files={"effect$n.py": body}, values=values, spreads=True, needs=needs)


NP, PD = "import numpy as np", "import pandas as pd"
setup("getcontext by name", "getcontext().prec = $v", "str(Decimal(1) / 3)", "from decimal import Decimal, getcontext")
setup("setcontext", "decimal.setcontext(decimal.Context(prec=$v))", "str(decimal.Decimal(1) / 3)", "import decimal")
setup("numpy's print options", "np.set_printoptions(precision=$v)", "str(np.array([1 / 3]))", NP)
setup("numpy's error state", "np.seterr(divide='$v')", "np.geterr()['divide']", NP, values=("ignore", "warn", "raise"))
setup("pandas option", 'pd.set_option("display.precision", $v)', 'repr(pd.DataFrame({"x": [1 / 3]}))', PD)
setup("pandas option by attribute", "pd.options.display.precision = $v", 'repr(pd.DataFrame({"x": [1 / 3]}))', PD)
setup("recursion limit", "sys.setrecursionlimit(3000 + $v)", "sys.getrecursionlimit()", "import sys")
setup("csv dialect", 'csv.register_dialect("own$n", delimiter=";", quotechar=chr(64 + $v))', 'csv.get_dialect("own$n").quotechar', "import csv")
setup("level name", 'logging.addLevelName(100 + $n, "LEVEL$v")', "logging.getLevelName(100 + $n)", "import logging")
setup("first weekday", "calendar.setfirstweekday($v % 7)", "calendar.firstweekday()", "import calendar")
setup("mime type", 'mimetypes.add_type("a/b$v", ".own$n")', 'mimetypes.guess_type("x.own$n")', "import mimetypes")
setup("socket timeout", "socket.setdefaulttimeout($v)", "socket.getdefaulttimeout()", "import socket")
setup("builtins", "builtins.RATE$n = $v", "RATE$n", "import builtins")
setup("variable for children", 'os.environ["OWN$n"] = "$v"', 'os.environ["OWN$n"]', "import os")
setup("variable if unset", 'os.environ.setdefault("OWN$n", "$v")', 'os.environ.get("OWN$n")', "import os")
setup("numba's switch", 'numba.config.OWN$n = $v', "numba.config.OWN$n", "import numba", needs="numba")
setup("jax's switch", 'jax.config.update("jax_enable_x64", $v)', "str(jnp.ones(1).dtype)", "import jax\nimport jax.numpy as jnp", needs="jax", values=("True", "False"))
setup("seed", "random.seed($v)", "random.random()", "import random")
setup("seed of numpy", "np.random.seed($v)", "float(np.random.random())", NP)
setup("seed from a dict", 'settings$n = {"seed": $v}\nnp.random.seed(settings$n["seed"])', "float(np.random.random())", NP)
setup("seed from a namespace", "args$n = argparse.Namespace(seed=$v)\nrandom.seed(args$n.seed)", "random.random()", "import argparse\nimport random")
setup("seed from json", "np.random.seed(json.loads('{\"seed\": $v}')[\"seed\"])", "int(np.random.randint(10**6))", "import json\n" + NP)
setup("seed in a loop", "for given$n in [1, $v]:\n    random.seed(given$n)", "random.random()", "import random")
source("I", "seed from the command line", "random.random()", "", "import random", main='import random, sys\nsys.argv = ["main.py", "$v"]\nrandom.seed(int(sys.argv[1]))', spreads=True)
source("I", "generator of a module", "float(rng$n.random())", "rng$n = np.random.default_rng($v)", NP)

ACCESSOR = """
@pd.api.extensions.register_dataframe_accessor("land$n")
class Land$n:
    def __init__(self, frame):
        self.frame = frame
    def value(self):
        return int(self.frame["x"].sum()) * $v
"""
setup("accessor", ACCESSOR, 'pd.DataFrame({"x": [1, 2]}).land$n.value()', PD)
setup("series accessor", ACCESSOR.replace("dataframe", "series").replace('self.frame["x"]', "self.frame"), "pd.Series([1, 2]).land$n.value()", PD)
MINIREG = {SITE + "minireg.py": "STEPS = {}\ndef step(fn):\n    STEPS[fn.__name__] = fn\n    return fn\ndef named(name, **options):\n    def keep(fn):\n        STEPS[name] = (fn, options)\n        return fn\n    return keep\ndef run(names):\n    return [STEPS[name]() for name in names]\n"}
source("I", "installed registry", 'minireg.run(["homes$n"])', "@minireg.step\ndef homes$n():\n    return $v", "import minireg", files=MINIREG, spreads=True)
source("I", "installed registry, script", 'minireg.run(["homes$n"])', "", "import minireg", main="import minireg\n@minireg.step\ndef homes$n():\n    return $v", files=MINIREG, spreads=True)
source("I", "installed registry, helper of the function", 'minireg.run(["homes$n"])', "", "import minireg", main="import minireg\ndef by$n():\n    return $v\n@minireg.step\ndef homes$n():\n    return by$n()", files=MINIREG, spreads=True)
source("I", "installed registry, options", 'minireg.STEPS["homes$n"][1]', "", "import minireg", main='import minireg\n@minireg.named("homes$n", rate=$v)\ndef homes$n():\n    return 1', files=MINIREG, spreads=True)
source("I", "installed registry, imported for effect", 'minireg.run(["homes$n"])', "import effect$n", "import minireg", files={**MINIREG, "effect$n.py": "import minireg\n@minireg.step\ndef homes$n():\n    return $v\n"}, spreads=True)
REGISTRY = {"reg$n.py": "TABLE = {}\ndef register(name):\n    def keep(fn):\n        TABLE[name] = fn\n        return fn\n    return keep\n"}
PLUGIN = 'from reg$n import register\n@register("a")\ndef a():\n    return $v\n'
source("I", "own registry", 'reg$n.TABLE["a"]()', "", "import reg$n", brings="import plug$n", files={**REGISTRY, "plug$n.py": PLUGIN}, spreads=True)
source("I", "own registry in a loop", 'reg$n.TABLE["a"]', "", "import reg$n", main='import reg$n\nfor key$n in ("a", "b"):\n    reg$n.TABLE[key$n] = $v', files=REGISTRY, spreads=True)
source("I", "own registry in a with", 'reg$n.TABLE["a"]', "", "import reg$n", main='import contextlib\nimport reg$n\nwith contextlib.nullcontext($v) as given$n:\n    reg$n.TABLE["a"] = given$n', files=REGISTRY, spreads=True)
source("I", "dispatch registered elsewhere", "disp$n.rate(1)", "", "import disp$n", brings="import more$n", files={"disp$n.py": "import functools\n@functools.singledispatch\ndef rate(x):\n    return 0\n", "more$n.py": "import disp$n\n@disp$n.rate.register\ndef _(x: int):\n    return $v\n"}, spreads=True)

# ---------------------------------------------------------------- J: replaced at run time in another module


def replaced(name: str, helper: str, statements: str, expr: str, brings: str = "", **rest: object) -> None:
    """The script, or a function of it, replaces something of a helper module."""
    every = {"part$n.py": helper, **rest.pop("files", {})}  # type: ignore[dict-item]
    source("J", name, expr, "", "import part$n", main=statements, live=statements, brings=f"import part$n\n{brings}", files=every, spreads=True, **rest)  # type: ignore[arg-type]


FN = "def rate():\n    return 0\n"
CLASS = "class Model:\n    size = 0\n    def rate(self):\n        return 0\n    @staticmethod\n    def fixed():\n        return 0\n    @property\n    def given(self):\n        return 0\nmodel = Model()\n"
replaced("function", FN, "part$n.rate = lambda: $v", "part$n.rate()")
replaced("cached function", "import functools\n@functools.lru_cache\n" + FN, "part$n.rate = lambda: $v", "part$n.rate()")
replaced("decorated function", "import functools\ndef loud(fn):\n    @functools.wraps(fn)\n    def inner():\n        return fn()\n    return inner\n@loud\n" + FN, "part$n.rate = lambda: $v", "part$n.rate()")
replaced("by a partial", FN, "part$n.rate = functools.partial(by$n, $v)", "part$n.rate()", "import functools\nfrom given$n import by as by$n", files={"given$n.py": "def by(k):\n    return k\n"})
replaced("by a closure", FN, "part$n.rate = make$n($v)", "part$n.rate()", "from given$n import make as make$n", files={"given$n.py": "def make(k):\n    def inner():\n        return k\n    return inner\n"})
replaced("by a callable object", FN, "part$n.rate = Const$n($v)", "part$n.rate()", "from given$n import Const as Const$n", files={"given$n.py": "class Const:\n    def __init__(self, k):\n        self.k = k\n    def __call__(self):\n        return self.k\n"})
replaced("static method", CLASS, "part$n.Model.fixed = staticmethod(lambda: $v)", "part$n.Model.fixed()")
replaced("method", CLASS, "part$n.Model.rate = lambda self: $v", "part$n.Model().rate()")
replaced("property", CLASS, "part$n.Model.given = property(lambda self: $v)", "part$n.Model().given")
replaced("class attribute", CLASS, "part$n.Model.size = $v", "part$n.Model.size")
replaced("new class attribute", CLASS, "part$n.Model._own = $v", 'getattr(part$n.Model, "_own", 0)')
replaced("__getattr__ added", CLASS, "part$n.Model.__getattr__ = lambda self, name: $v", "part$n.Model().missing")
replaced("__call__ added", CLASS, "part$n.Model.__call__ = lambda self: $v", "part$n.model()")
replaced("attribute of an object", CLASS, "part$n.model.size = $v", "part$n.model.size")
replaced("method of an object", CLASS, "part$n.model.rate = lambda: $v", "part$n.model.rate()")
replaced("attribute of a function", "def rate():\n    return rate.value\nrate.value = 1\n", "part$n.rate.value = $v", "part$n.rate()")
replaced("defaults of a function", "def rate(x=0):\n    return x\n", "part$n.rate.__defaults__ = ($v,)", "part$n.rate()")
replaced("keyword defaults", "def rate(*, x=0):\n    return x\n", 'part$n.rate.__kwdefaults__ = {"x": $v}', "part$n.rate()")
replaced("code of a function", FN, "part$n.rate.__code__ = (lambda: $v).__code__", "part$n.rate()")
replaced("by setattr", FN, 'setattr(part$n, "ra" + "te", lambda: $v)', "part$n.rate()")
replaced("by a patch", FN, 'mock.patch.object(part$n, "rate", lambda: $v).start()', "part$n.rate()", "from unittest import mock")
replaced("constant", "RATE = 0\n", "part$n.RATE = $v", "part$n.RATE")
replaced("constant by a function", "RATE = 0\ndef use(k):\n    global RATE\n    RATE = k\n", "part$n.use($v)", "part$n.RATE")
replaced("entry of a table", 'TABLE = {"a": 0}\n', 'part$n.TABLE["a"] = $v', 'part$n.TABLE["a"]')
replaced("function in a table", 'TABLE = {"a": len}\n', 'part$n.TABLE["a"] = lambda: $v', 'part$n.TABLE["a"]()')
replaced("list", "SEEN = []\n", "part$n.SEEN[:] = [$v]", "part$n.SEEN")
replaced("new name", "X = 0\n", "part$n.added = $v", 'getattr(part$n, "added", 0)')
replaced("class", CLASS, 'part$n.Model = type("Model", (), {"size": $v})', "part$n.Model.size")
replaced("base", "class A:\n    size = 0\nclass Model(A):\n    pass\n", 'part$n.Model.__bases__ = (type("B", (part$n.A,), {"size": $v}),)', "part$n.Model().size")
replaced("enum's value", "import enum\nclass Mode(enum.Enum):\n    CAR = 0\n", "part$n.Mode.CAR._value_ = $v", "part$n.Mode.CAR.value")
replaced("function of a package", "import keyword\ndef rate():\n    return keyword.iskeyword('if')\n", "part$n.keyword.iskeyword = lambda x: $v", "part$n.rate()")
replaced("closure's cell", "def make():\n    k = 0\n    def rate():\n        return k\n    return rate\nrate = make()\n", "part$n.rate.__closure__[0].cell_contents = $v", "part$n.rate()")
source("J", "helper of the replacement", "part$n.rate()", "", "import part$n", main="import part$n\nimport patches$n\npart$n.rate = patches$n.rate", files={"part$n.py": FN, "patches$n.py": "def value():\n    return $v\ndef rate():\n    return value()\n"}, spreads=True)
source("J", "set by a base at import", "part$n.P._rate", "", "import part$n", files={"part$n.py": 'from pathlib import Path\nclass Base:\n    def __init_subclass__(cls):\n        cls._rate = Path("rate$n.txt").read_text()\nclass P(Base):\n    pass\n', "rate$n.txt": plain})

# ---------------------------------------------------------------- G: links in folders

NET = {"outside$n/net.csv": "$v"}
PATH = "from pathlib import Path"
source("G", "link to a file", "(i$n / 'net.csv').read_text()", inputs="data$n", files={**NET, "data$n/own.csv": "1"}, links={"data$n/net.csv": "../outside$n/net.csv"})
source("G", "link to a folder", "(i$n / 'nets' / 'net.csv').read_text()", inputs="data$n", files={**NET, "data$n/own.csv": "1"}, links={"data$n/nets": "../outside$n"})
source("G", "link to a link", "(i$n / 'net.csv').read_text()", inputs="data$n", files={**NET, "data$n/own.csv": "1"}, links={"hop$n.csv": "outside$n/net.csv", "data$n/net.csv": "../hop$n.csv"})
source("G", "link inside", "(i$n / 'net.csv').read_text()", inputs="data$n", files={"data$n/deep/own.csv": "$v"}, links={"data$n/net.csv": "deep/own.csv"})
source("G", "input is a link", "i$n.read_text()", inputs="net$n.csv", files=NET, links={"net$n.csv": "outside$n/net.csv"})
source("G", "input is a linked folder", "(i$n / 'net.csv').read_text()", inputs="data$n", files=NET, links={"data$n": "outside$n"})
source("G", "undeclared folder with a link", 'Path("data$n/net.csv").read_text()', "", PATH, files={**NET, "data$n/own.csv": "1"}, links={"data$n/net.csv": "../outside$n/net.csv"})

# ---------------------------------------------------------------- N: where code lies


def zipped(v: str, n: str) -> bytes:
    """A zip file with a module."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"zipped{n}.py"), f"def rate():\n    return {v}\n")
    return out.getvalue()


INFO = SITE + "own_$n-1.0.dist-info/"
OWN = {INFO + "METADATA": "Metadata-Version: 2.1\nName: own-$n\nVersion: 1.0\n", INFO + "RECORD": "own_$n/__init__.py,,\nown_$n-1.0.dist-info/METADATA,,\n"}
source("N", "package linked into site-packages", "own_$n.rate()", "", "import own_$n", files={"src$n/own_$n/__init__.py": ONE, SITE + "README": ""}, links={SITE + "own_$n": "../../../src$n/own_$n"})
source("N", "module linked into site-packages", "own_$n.rate()", "", "import own_$n", files={"src$n/own_$n.py": ONE, SITE + "README": ""}, links={SITE + "own_$n.py": "../../../src$n/own_$n.py"})
source("N", "linked package loaded late", "f$n()", "def f$n():\n    import own_$n\n    return own_$n.rate()", files={"src$n/own_$n/__init__.py": ONE, SITE + "README": ""}, links={SITE + "own_$n": "../../../src$n/own_$n"})
source("N", "zip on sys.path", "zipped$n.rate()", "", 'import sys\nif "lib$n.zip" not in sys.path: sys.path.insert(0, "lib$n.zip")\nimport zipped$n', files={"lib$n.zip": zipped})
source("N", "zip loaded late", "f$n()", 'def f$n():\n    if "lib$n.zip" not in sys.path: sys.path.insert(0, "lib$n.zip")\n    import zipped$n\n    return zipped$n.rate()', "import sys", files={"lib$n.zip": zipped})
source("N", "zip by a path file", "zipped$n.rate()", "", "import zipped$n", files={SITE + "own.pth": "../../../lib$n.zip", "lib$n.zip": zipped})
source("N", "path file", "own_$n.rate()", "", "import own_$n", files={SITE + "own_$n.pth": "../../../src$n", "src$n/own_$n.py": ONE})
source("N", "installed from a folder", "own_$n.rate()", "", "import own_$n", files={**OWN, SITE + "own_$n/__init__.py": ONE, INFO + "direct_url.json": '{"url": "file:///somewhere/own", "dir_info": {}}'})
source("N", "installed from a repository", "own_$n.rate()", "", "import own_$n", files={**OWN, SITE + "own_$n/__init__.py": ONE, INFO + "direct_url.json": '{"url": "https://example.org/own.git", "vcs_info": {"vcs": "git", "commit_id": "1"}}'})
source("N", "linked module", "own_$n.rate()", "", "import own_$n", files={"src$n/code.py": ONE}, links={"own_$n.py": "src$n/code.py"})
source("N", "linked folder of modules", "own_$n.code.rate()", "", "import own_$n.code", files={"src$n/code.py": ONE, "src$n/__init__.py": ""}, links={"own_$n": "src$n"})
source("N", "namespace package", "own_$n.code.rate()", "", "import own_$n.code", files={"own_$n/code.py": ONE})
source("N", "package that extends its path", "own_$n.code.rate()", "", "import own_$n.code", files={"own_$n/__init__.py": 'import os\n__path__.append(os.path.abspath("src$n"))\n', "src$n/code.py": ONE})

# ---------------------------------------------------------------- R: files that nobody declared


def table(value: str, n: str, *, suffix: str) -> bytes:
    """A small table or array that holds the value."""
    import numpy as np
    import pandas as pd

    out = io.BytesIO()
    if suffix == "npy":
        np.save(out, np.array([int(value)]))
    elif suffix == "npz":
        np.savez(out, a=np.array([int(value)]))
    elif suffix == "gz":
        return gzip.compress(value.encode(), mtime=0)
    elif suffix == "zip":
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr(zipfile.ZipInfo("a.txt"), value)
    elif suffix == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            with sqlite3.connect(Path(folder, "a.sqlite")) as connection:
                connection.execute("create table a (x)")
                connection.execute("insert into a values (?)", (int(value),))
            connection.close()
            return Path(folder, "a.sqlite").read_bytes()
    else:
        getattr(pd.DataFrame({"x": [int(value)]}), f"to_{suffix}")(out, index=None)
    return out.getvalue()


def read(name: str, expr: str, imports: str = PATH, defs: str = "", suffix: str = "txt", **rest: object) -> None:
    """A file that the step reads; ``$f`` is its path."""
    path = f"rates$n.{suffix}"
    binary = suffix in ("npy", "npz", "gz", "zip", "sqlite", "parquet", "feather")
    files: dict[str, Content] = {path: partial(table, suffix=suffix) if binary else "x\n$v\n" if suffix == "csv" else plain}
    live = "" if binary or suffix == "csv" else f'Path("{path}").write_text("$v")'
    source("R", name, expr.replace("$f", path), defs.replace("$f", path), imports, files=files, live=live, brings=PATH, **rest)  # type: ignore[arg-type]


read("open", 'open("$f").read()')
read("open in a with", "f$n()", defs='def f$n():\n    with open("$f") as file:\n        return file.read()')
read("read_text", 'Path("$f").read_text()')
read("read_bytes", 'Path("$f").read_bytes()')
read("path from a config", "Path(c$n).read_text()", config='"rates$n.txt"')
read("path beside the module", '(Path(__file__).resolve().parents[__name__.count(".")] / "$f").read_text()')
read("linecache", 'linecache.getlines("$f")', "import linecache")
read("fileinput", 'list(fileinput.input("$f"))', "import fileinput")
read("os.open", "f$n()", "import os", 'def f$n():\n    file = os.open("$f", os.O_RDONLY)\n    try:\n        return os.read(file, 10)\n    finally:\n        os.close(file)')
read("mmap", "f$n()", "import mmap", 'def f$n():\n    with open("$f", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as found:\n        return found[:]')
read("json", 'json.loads(Path("$f").read_text())', "import json\n" + PATH)
read("pd.read_csv", 'pd.read_csv("$f").x.tolist()', PD, suffix="csv")
read("pd.read_csv by pyarrow", 'pd.read_csv("$f", engine="pyarrow").x.tolist()', PD, suffix="csv", needs="pyarrow")
read("csv.reader", "f$n()", "import csv", 'def f$n():\n    with open("$f", newline="") as file:\n        return list(csv.reader(file))', suffix="csv")
read("pd.read_parquet", 'pd.read_parquet("$f").x.tolist()', PD, suffix="parquet", needs="pyarrow")
read("pyarrow", 'pq.read_table("$f").to_pydict()', "import pyarrow.parquet as pq", suffix="parquet", needs="pyarrow")
read("duckdb", 'duckdb.sql("select x from read_csv_auto(\'$f\')").fetchall()', "import duckdb", suffix="csv")
read("np.load", 'np.load("$f").tolist()', NP, suffix="npy")
read("npz", 'np.load("$f")["a"].tolist()', NP, suffix="npz")
read("np.loadtxt", 'float(np.loadtxt("$f"))', NP)
read("np.memmap", 'bytes(np.memmap("$f", mode="r"))', NP)
read("sqlite", "f$n()", "import sqlite3", 'def f$n():\n    connection = sqlite3.connect("$f")\n    try:\n        return connection.execute("select x from a").fetchall()\n    finally:\n        connection.close()', suffix="sqlite")
read("pd.read_sql", "f$n()", "import sqlite3\n" + PD, 'def f$n():\n    connection = sqlite3.connect("$f")\n    try:\n        return pd.read_sql("select x from a", connection).x.tolist()\n    finally:\n        connection.close()', suffix="sqlite")
read("gzip", 'gzip.open("$f").read()', "import gzip", suffix="gz")
read("zip member", 'zipfile.ZipFile("$f").read("a.txt")', "import zipfile", suffix="zip")
read("configparser", "f$n()", "import configparser", 'def f$n():\n    found = configparser.ConfigParser()\n    found.read_string("[a]\\nx=" + open("$f").read())\n    return found["a"]["x"]')
read("in a thread", "f$n()", "from concurrent.futures import ThreadPoolExecutor\n" + PATH, 'def f$n():\n    with ThreadPoolExecutor(1) as pool:\n        return pool.submit(Path("$f").read_text).result()')
read("in a forked pool", "f$n()", "import multiprocessing\n" + PATH, 'def f$n():\n    with multiprocessing.get_context("fork").Pool(1) as pool:\n        return pool.map(Path.read_text, [Path("$f")])')
read("in a child program", 'subprocess.run(["cat", "$f"], capture_output=True, text=True).stdout', "import subprocess")
read("in a shell", 'subprocess.run("cat $f", shell=True, capture_output=True, text=True).stdout', "import subprocess")
read("in a Python program", "f$n()", "import subprocess\nimport sys", 'def f$n():\n    code = "print(open(\'$f\').read())"\n    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout')
read("after chdir", "f$n()", "import os\n" + PATH, 'def f$n():\n    before = os.getcwd()\n    os.chdir("..")\n    try:\n        return Path(os.path.basename(before), "$f").read_text()\n    finally:\n        os.chdir(before)')
read("rewritten name", "f$n()", "import glob\n" + PATH, 'def f$n():\n    return [Path(name).read_text() for name in glob.glob("rates$n.*")]')
read("size", 'os.path.getsize("$f")', "import os", values=("1", "22", "333", "4444"))
read("module-level object", "data$n.get()", PATH, 'class Data$n:\n    def get(self):\n        return Path("$f").read_text()\ndata$n = Data$n()')
source("R", "program of the project", "f$n()", 'def f$n():\n    return subprocess.run([sys.executable, "tool$n.py"], capture_output=True, text=True).stdout', "import subprocess\nimport sys", files={"tool$n.py": "print($v)\n"})
source("R", "listing", 'sorted(os.listdir("folder$n"))', "", "import os", files={"folder$n/a.txt": "a", "folder$n/b$v.txt": "b"})
source("R", "glob", 'sorted(p.name for p in Path("folder$n").glob("*.txt"))', "", PATH, files={"folder$n/a.txt": "a", "folder$n/b$v.txt": "b"})
source("R", "walk", 'sorted(map(str, os.walk("folder$n")))', "", "import os", files={"folder$n/a.txt": "a", "folder$n/deep/b$v.txt": "b"})
source("R", "exists", 'os.path.exists("maybe$n/7.txt")', "", "import os", files={"maybe$n/$v.txt": "a"}, values=("7", "8", "9"))
source("R", "is_file", 'Path("maybe$n/7.txt").is_file()', "", PATH, files={"maybe$n/$v.txt": "a"}, values=("7", "8", "9"))
source("R", "absent file", "f$n()", 'def f$n():\n    try:\n        return Path("maybe$n/7.txt").read_text()\n    except OSError:\n        return "none"', PATH, files={"maybe$n/$v.txt": "a"}, values=("8", "7", "9"))

# ---------------------------------------------------------------- S: state between steps

MEMO = {"memo$n.txt": plain}
source("S", "reader with lru_cache", "read$n()", '@functools.lru_cache\ndef read$n():\n    return Path("memo$n.txt").read_text()', "import functools\n" + PATH, files=MEMO, shared=True)
source("S", "reader with a dict", 'read$n("memo$n.txt")', "known$n = {}\ndef read$n(name):\n    if name not in known$n:\n        known$n[name] = Path(name).read_text()\n    return known$n[name]", PATH, files=MEMO, shared=True)
source("S", "reader with a global", "read$n()", 'kept$n = None\ndef read$n():\n    global kept$n\n    if kept$n is None:\n        kept$n = Path("memo$n.txt").read_text()\n    return kept$n', PATH, files=MEMO, shared=True)
for kept, text in (
    ("cache", "import functools\nfrom pathlib import Path\n@functools.cache\ndef read():\n    return Path(\"memo$n.txt\").read_text()\n"),
    ("dict", "from pathlib import Path\nknown = {}\ndef read(name=\"memo$n.txt\"):\n    if name not in known:\n        known[name] = Path(name).read_text()\n    return known[name]\n"),
    ("global", "from pathlib import Path\nknown = None\ndef read():\n    global known\n    if known is None:\n        known = Path(\"memo$n.txt\").read_text()\n    return known\n"),
    ("object", "from pathlib import Path\nclass Data:\n    def __init__(self):\n        self.text = None\n    def get(self):\n        if self.text is None:\n            self.text = Path(\"memo$n.txt\").read_text()\n        return self.text\ndata = Data()\ndef read():\n    return data.get()\n"),
    ("closure", "from pathlib import Path\ndef memo(f):\n    kept = {}\n    def inner(*args):\n        if args not in kept:\n            kept[args] = f(*args)\n        return kept[args]\n    return inner\n@memo\ndef read():\n    return Path(\"memo$n.txt\").read_text()\n"),
):  # fmt: skip
    part: dict[str, Content] = {**MEMO, "part$n.py": text}
    source("S", f"{kept} of another module", "part$n.read()", "", "import part$n", files=part, shared=True)
    source("S", f"{kept} of another module, filled before", "part$n.read()", "", "import part$n", files=part, main="import part$n\npart$n.read()", shared=True)
source("S", "cached property of an object", "data$n.text", 'class Data$n:\n    @functools.cached_property\n    def text(self):\n        return Path("memo$n.txt").read_text()\ndata$n = Data$n()', "import functools\n" + PATH, files=MEMO, shared=True)
source("S", "lazy attribute of an object", "data$n.get()", 'class Data$n:\n    def __init__(self):\n        self.text = None\n    def get(self):\n        if self.text is None:\n            self.text = Path("memo$n.txt").read_text()\n        return self.text\ndata$n = Data$n()', PATH, files=MEMO, shared=True)
source("S", "lazy attribute of a class", "Data$n.get()", 'class Data$n:\n    text = None\n    @classmethod\n    def get(cls):\n        if cls.text is None:\n            cls.text = Path("memo$n.txt").read_text()\n        return cls.text', PATH, files=MEMO, shared=True)
source("S", "memo of a variable", "read$n()", '@functools.lru_cache\ndef read$n():\n    return os.environ["MEMO$n"]', "import functools\nimport os", env="MEMO$n", shared=True)
source("S", "seed at the top", "random.random()", "", "import random", main="import random\nrandom.seed($v)", spreads=True, shared=True)
source("S", "seed of numpy at the top", "np.random.random(3).tolist()", "", NP, main="import numpy as np\nnp.random.seed($v)", spreads=True, shared=True)
source("S", "generator that steps share", "float(rng$n.random())", "rng$n = np.random.default_rng($v)", NP, shared=True)
source("S", "counter of a module", "count$n()", "seen$n = [$v]\ndef count$n():\n    seen$n[0] += 1\n    return seen$n[0]", shared=True)
