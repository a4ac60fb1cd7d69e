"""Ways to code and values besides names: texts that say where something lies, pickles, caches, and what a thread holds."""

from attacks.case import Group

# ruff: noqa: E501 - programs on one line each

GROUP = Group("ways: texts, pickles, caches and threads", "runtime")
READ = "import functools, threading, collections\nfrom pathlib import Path\n"
STEP = "def step():\n    ran({})\n"


def state(name: str, verdict: str, text: str, *, main: str = "", then: str = "2", packages: str = "") -> None:
    """Something was read from rates.txt before the step; `then` is in the file in the second process."""
    script = main or "from model import step\ncall(step)\n"
    files = {"model.py": READ + text, "rates.txt": "1"}
    GROUP.add(name, verdict, script, files=files, change={"rates.txt": then, "other.txt": "2"}, packages=packages)


LOAD = "def load(): return Path('rates.txt').read_text()\n"
for name, text in (
    ("cache", f"@functools.cache\n{LOAD}load()\ndef step(): ran(load())\n"),
    ("cache_with_a_limit", f"@functools.lru_cache(maxsize=3)\n{LOAD}load()\ndef step(): ran(load())\n"),
    ("cache_of_a_list", "@functools.cache\ndef load(): return [Path('rates.txt').read_text()]\nload()\ndef step(): ran(load())\n"),
    ("cache_with_a_limit_of_a_mapping", "@functools.lru_cache\ndef load(): return {'rate': Path('rates.txt').read_text()}\nload()\ndef step(): ran(load()['rate'])\n"),
    ("cache_with_a_limit_of_mappings", "@functools.lru_cache\ndef load(n): return {'rate': Path('rates.txt').read_text(), 'n': n}\nload(1)\nload(2)\ndef step(): ran(load(2)['rate'])\n"),
    ("cache_of_a_mapping", "@functools.cache\ndef load(): return {'rate': Path('rates.txt').read_text()}\nload()\ndef step(): ran(load()['rate'])\n"),
    ("cache_by_arguments", "@functools.lru_cache\ndef load(name, *, times=1): return Path(name).read_text() * times\nload('rates.txt', times=2)\ndef step(): ran(load('rates.txt', times=2))\n"),
    ("cache_of_a_method", "class A:\n    @functools.lru_cache\n    def load(self): return Path('rates.txt').read_text()\na = A()\na.load()\ndef step(): ran(a.load())\n"),
    ("cached_property", "class A:\n    @functools.cached_property\n    def load(self): return Path('rates.txt').read_text()\na = A()\na.load\ndef step(): ran(a.load)\n"),
    ("cache_with_an_object", "class Rates:\n    def __init__(self): self.text = Path('rates.txt').read_text()\n@functools.cache\ndef load(): return Rates()\nload()\ndef step(): ran(load().text)\n"),
    ("dictionary", "kept = {}\ndef load():\n    if 'a' not in kept: kept['a'] = Path('rates.txt').read_text()\n    return kept['a']\nload()\ndef step(): ran(load())\n"),
    ("attribute_of_a_function", "def load():\n    if not hasattr(load, 'kept'): load.kept = Path('rates.txt').read_text()\n    return load.kept\nload()\ndef step(): ran(load())\n"),
    ("class_that_is_made_once", "class S:\n    made = None\n    def __new__(cls):\n        if cls.made is None:\n            cls.made = super().__new__(cls)\n            cls.made.text = Path('rates.txt').read_text()\n        return cls.made\nS()\ndef step(): ran(S().text)\n"),
    ("thread", "box = []\nt = threading.Thread(target=lambda: box.append(Path('rates.txt').read_text()))\nt.start()\nt.join()\ndef step(): ran(box[0])\n"),
    ("threads_own", "here = threading.local()\nhere.text = Path('rates.txt').read_text()\ndef step(): ran(here.text)\n"),
):  # fmt: skip
    state(f"read_before_by_{name}", "miss", text)
    state(f"read_before_by_{name}_and_unchanged", "hit", text, then="1")
state(
    "read_before_by_the_cache_of_another_module",
    "miss",
    "import text\ndef step(): ran(text.load())\n",
    main="import text, model\ntext.load()\ncall(model.step)\n",
)
GROUP.cases[-1].files["text.py"] = f"import functools\nfrom pathlib import Path\n@functools.cache\n{LOAD}"  # type: ignore[index]
TWO = f"@functools.lru_cache\n{LOAD}def first(): ran(load())\ndef step(): ran(load())\n"
for between in ("", "model.load()\n"):
    state(
        f"cache_filled_by_an_earlier_step{'_and_used_between' if between else ''}", "hit", TWO, then="1",
        main=f"import model\nfor _ in range(2):\n    call(model.first)\n    {between or 'pass'}\n    call(model.step)\n",
    )  # fmt: skip
state(
    "cache_filled_by_an_earlier_step_from_a_file_that_changed",
    "miss",
    TWO,
    main="import model\ncall(model.first)\ncall(model.step)\n",
)
state(
    "cache_used_in_another_order", "hit", "@functools.lru_cache(maxsize=9)\ndef load(n): return n * 2\ndef step(): ran(load(1) + load(2))\n",
    main="import model\nfrom pathlib import Path\nfor n in (1, 2) if Path('rates.txt').read_text() == '1' else (2, 1): model.load(n)\ncall(model.step)\n",
)  # fmt: skip
state(
    "cache_of_what_has_no_form",
    "hit",
    "import sqlite3\n@functools.cache\ndef load(): return sqlite3.connect(':memory:')\nload()\ndef step(): ran(load().execute('select 1').fetchone()[0])\n",
)
state(
    "connection_in_a_threads_own",
    "hit",
    "import sqlite3\nhere = threading.local()\nhere.db = sqlite3.connect(':memory:')\ndef step(): ran(here.db.execute('select 1').fetchone()[0])\n",
)

# ---------------------------------------------------------------- texts that say where something lies
NETS = "import csv\nclass Net:\n    def go(self): return 1\ndef go(): return 1\n"


def named(
    name: str,
    verdict: str,
    model: str,
    *,
    call: str = "step",
    main: str = "import nets\n",
    nets: str = NETS,
    **more: str,
) -> None:
    """nets.py, which was loaded before, is edited."""
    files = {"model.py": model, "nets.py": nets, **{f"{key}.py": text for key, text in more.items()}}
    GROUP.add(
        name,
        verdict,
        f"{main}from model import step\ncall({call})\n",
        files=files,
        change={"nets.py": nets.replace("return 1", "return 2")},
    )


FIND = "import pkgutil, pydoc, sys, inspect\n"
for name, text in (
    ("resolve_name", "pkgutil.resolve_name('nets:Net')().go()"),
    ("resolve_name_with_dots", "pkgutil.resolve_name('nets.go')()"),
    ("locate", "pydoc.locate('nets.Net')().go()"),
    ("loaded_modules", "sys.modules['nets'].go()"),
    ("variable", "pkgutil.resolve_name(PLACE)()"),
    ("table", "pkgutil.resolve_name(TABLE['car'])()"),
    ("loaded_modules_by_a_variable", "sys.modules[MODULE].go()"),
):
    named(
        f"place_in_a_text_for_{name}",
        "miss",
        f"{FIND}PLACE = 'nets:go'\nTABLE = {{'car': 'nets.go'}}\nMODULE = 'nets'\n{STEP.format(text)}",
    )
CONFIG = "def step(config):\n    ran(pkgutil.resolve_name(config['net'])())\n"
named("place_in_the_config", "miss", FIND + CONFIG, call="step, config={'net': 'nets:go'}")
named(
    "place_deep_in_the_config",
    "miss",
    f"{FIND}def step(config):\n    ran(pkgutil.resolve_name(config['a'][0]['net'])())\n",
    call="step, config={'a': [{'net': 'nets.go'}]}",
)
named(
    "place_in_a_text_of_a_helper",
    "miss",
    f"import helper\n{STEP.format('helper.go()')}",
    helper=f"{FIND}def go(): return pkgutil.resolve_name('nets:go')()\n",
)
named("name_of_a_file_like_a_place", "hit", STEP.format("open('nets.csv', 'a').tell()"))
named("text_with_the_name_of_a_module", "hit", STEP.format("len('nets') + len('see nets.Net there')"))
named("place_in_a_docstring", "hit", "def step():\n    '''Not nets.Net.'''\n    ran()\n")
named("place_in_a_message", "hit", "def step():\n    print('nets.Net')\n    ran()\n")
OWN = "import gc, inspect, pkgutil, sys\nRATE = 1\n"
for name, text in (
    ("get_module", "inspect.getmodule(step).RATE"),
    ("attribute_by_name", "getattr(step, '__globals__')['RATE']"),
    ("builtins", "vars(__import__('builtins'))['globals']()['RATE']"),
    ("collector", "[o for o in gc.get_objects() if type(o) is dict and o.get('__name__') == 'model'][0]['RATE']"),
    ("resolve_name", "pkgutil.resolve_name('model:RATE')"),
    ("frame", "sys._getframe().f_globals['RATE']"),
):
    GROUP.add(
        f"own_constant_by_{name}",
        "miss",
        files={"model.py": OWN + STEP.format(text)},
        change={"model.py": OWN.replace("RATE = 1", "RATE = 2") + STEP.format(text)},
    )

# ---------------------------------------------------------------- pickles
DUMP = "import nets, pickle\nopen('n.pkl', 'wb').write(pickle.dumps({}))\n"
for name, what, text in (
    ("object", "nets.Net()", "pickle.load(open('n.pkl', 'rb')).go()"),
    ("class", "nets.Net", "pickle.load(open('n.pkl', 'rb'))().go()"),
    ("function", "nets.go", "pickle.load(open('n.pkl', 'rb'))()"),
    ("object_in_a_list", "[1, [nets.Net()]]", "pickle.load(open('n.pkl', 'rb'))[1][0].go()"),
):
    named(
        f"pickle_of_an_{name}" if name[0] in "aeiou" else f"pickle_of_a_{name}",
        "miss",
        f"import pickle\n{STEP.format(text)}",
        main=DUMP.format(what),
    )
named(
    "pickle_of_an_object_with_a_helper", "miss", "import pickle\n" + STEP.format("pickle.load(open('n.pkl', 'rb')).go()"),
    main="import outer, pickle\nopen('n.pkl', 'wb').write(pickle.dumps(outer.Net()))\n", outer="import nets\nclass Net:\n    def go(self): return nets.go()\n",
)  # fmt: skip
named(
    "pickle_of_a_number_beside_an_edit",
    "hit",
    "import pickle\n" + STEP.format("pickle.load(open('n.pkl', 'rb'))"),
    main=DUMP.format("5"),
)
PICKLED = "import pickle\nclass Zone:\n    def go(self): return 1\ndef unused(): return 1\ndef step():\n    ran(pickle.loads(pickle.dumps(Zone())).go())\n"
GROUP.add(
    "pickle_of_an_own_class",
    "miss",
    files={"model.py": PICKLED},
    change={"model.py": PICKLED.replace("self): return 1", "self): return 2")},
)
GROUP.add(
    "pickle_of_an_own_class_beside_an_edit",
    "hit",
    files={"model.py": PICKLED},
    change={"model.py": PICKLED.replace("unused(): return 1", "unused(): return 2")},
)

# the order of a mapping that a module holds: code goes through it
MAPPINGS = (
    ("texts", "{'b': 2, 'a': 1}", "{'a': 1, 'b': 2}"),
    ("texts_the_other_way", "{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
    ("numbers", "{2: 'b', 1: 'a'}", "{1: 'a', 2: 'b'}"),
    ("pairs", "{(2, 0): 'b', (1, 0): 'a'}", "{(1, 0): 'a', (2, 0): 'b'}"),
    ("many_texts", "{str(n): n for n in range(200)}", "{str(n): n for n in range(199, -1, -1)}"),
    ("many_numbers", "{n: n for n in range(200)}", "{n: n for n in range(199, -1, -1)}"),
    ("counts", "collections.Counter('ba')", "collections.Counter('ab')"),
    ("lists_by_default", "collections.defaultdict(list, b=[], a=[])", "collections.defaultdict(list, a=[], b=[])"),
    ("functions", "{'b': len, 'a': max}", "{'a': max, 'b': len}"),
)
PLACES = (
    ("set", "kept = None\n", "text.kept = {}", "list(text.kept)"),
    ("set_over_a_literal", "kept = {'a': 1, 'b': 2}\n", "text.kept = {}", "list(text.kept)"),
    ("in_a_list", "kept = []\n", "text.kept = [{}]", "list(text.kept[0])"),
    ("of_an_object", "class K: pass\nkept = K()\n", "text.kept.by = {}", "list(text.kept.by)"),
)
for name, first, second in MAPPINGS:
    for place, written, put, read in PLACES:
        setting = put.format("eval(Path('rates.txt').read_text())")
        script = f"import collections, text, model\nfrom pathlib import Path\n{setting}\ncall(model.step)\n"
        files = {"text.py": written, "model.py": f"import text\ndef step(): ran({read})\n", "rates.txt": first}
        for verdict, then in (("miss", second), ("hit", f"{first} ")):
            title = f"order_of_{name}_{place}{'_again' if verdict == 'hit' else ''}"
            GROUP.add(title, verdict, script, files=files, change={"rates.txt": then})

# results that a cached function computed from a value that was set afterwards
COMPUTES = "import functools\nRATE = 2\n@functools.{}\ndef rate(n): return n * RATE\ndef step(): ran(rate(1))\n"
SETS = "import model\nfrom pathlib import Path\ndef rates(): return [int(n) for n in Path('rates.txt').read_text().split()]\n"
for cache in ("cache", "lru_cache", "lru_cache(maxsize=4)"):
    for name, verdict, script in (
        ("filled_by_a_step_with_another_value", "miss", "for model.RATE in rates():\n    call(model.step)\n"),
        (
            "filled_before_with_another_value",
            "miss",
            "for model.RATE in rates()[:-1]: model.rate(1)\nmodel.RATE = 3\ncall(model.step)\n",
        ),
    ):
        files = {"model.py": COMPUTES.format(cache), "rates.txt": "2 3"}
        GROUP.add(
            f"{cache.replace('(', '_').replace(')', '').replace('=', '_')}_{name}",
            verdict,
            SETS + script,
            files=files,
            change={"rates.txt": "3"},
        )
    GROUP.add(
        f"{cache.replace('(', '_').replace(')', '').replace('=', '_')}_filled_before_with_the_same_value",
        "hit",
        "import model\nmodel.rate(5)\nfrom pathlib import Path\nif Path('other.txt').exists(): model.rate(7)\ncall(model.step)\n",
        files={"model.py": COMPUTES.format(cache)},
        change={"other.txt": "2"},
    )

# lines that `linecache` keeps
for name, text in (
    ("in_the_step", "import linecache\ndef step(): ran(linecache.getlines('rates.txt'))\n"),
    ("before_the_step", "import linecache\nlinecache.getline('rates.txt', 1)\ndef step(): ran(linecache.getline('rates.txt', 1))\n"),
    ("by_tokenize", "import tokenize\ndef step():\n    with tokenize.open('rates.txt') as file: ran(file.read())\n"),
):  # fmt: skip
    state(f"lines_read_{name}", "miss", text)
    state(f"lines_read_{name}_and_unchanged", "hit", text, then="1")
state(
    "lines_read_by_an_earlier_step",
    "miss",
    "import linecache\ndef first(): ran(linecache.getlines('rates.txt'))\ndef step(): ran(linecache.getlines('rates.txt'))\n",
    main="import model\ncall(model.first)\ncall(model.step)\n",
)

# what functions of another module keep, filled before the step, between two, by another step, and in a block
KEEPS = {
    "dictionary": "kept = {}\ndef load(name='rates.txt'):\n    if name not in kept: kept[name] = Path(name).read_text()\n    return kept[name]\n",
    "variable": "kept = None\ndef load():\n    global kept\n    if kept is None: kept = Path('rates.txt').read_text()\n    return kept\n",
    "list": "kept = []\ndef load():\n    if not kept: kept.extend(Path('rates.txt').read_text().split())\n    return kept[0]\n",
    "object": "class Rates:\n    def __init__(self): self.text = None\n    def load(self):\n        if self.text is None: self.text = Path('rates.txt').read_text()\n        return self.text\nrates = Rates()\ndef load(): return rates.load()\n",
    "class": "class Rates:\n    kept = {}\n    @classmethod\n    def load(cls, name):\n        if name not in cls.kept: cls.kept[name] = Path(name).read_text()\n        return cls.kept[name]\ndef load(): return Rates.load('rates.txt')\n",
    "object_made_late": "class Rates:\n    def __init__(self): self.text = Path('rates.txt').read_text()\nkept = None\ndef load():\n    global kept\n    if kept is None: kept = Rates()\n    return kept.text\n",
    "attribute_of_a_function": "def load():\n    if not hasattr(load, 'kept'): load.kept = Path('rates.txt').read_text()\n    return load.kept\n",
    "closure": "def memo(f):\n    kept = {}\n    def inner(*args):\n        if args not in kept: kept[args] = f(*args)\n        return kept[args]\n    return inner\n@memo\ndef load(): return Path('rates.txt').read_text()\n",
    "cached_property": "class Rates:\n    @functools.cached_property\n    def text(self): return Path('rates.txt').read_text()\nrates = Rates()\ndef load(): return rates.text\n",
    "table": "import pandas as pd\nkept = None\ndef load():\n    global kept\n    if kept is None: kept = pd.read_csv('rates.txt', header=None)\n    return int(kept.iloc[0, 0])\n",
    "generator": "def lines():\n    text = Path('rates.txt').read_text()\n    while True: yield text\nkept = lines()\ndef load(): return next(kept)\n",
    "default": "def load(kept=[]):\n    if not kept: kept.append(Path('rates.txt').read_text())\n    return kept[0]\n",
    "namespace": "import types\nkept = types.SimpleNamespace(text=None)\ndef load():\n    if kept.text is None: kept.text = Path('rates.txt').read_text()\n    return kept.text\n",
    "object_in_an_object": "class Inner:\n    def __init__(self): self.text = None\n    def load(self):\n        if self.text is None: self.text = Path('rates.txt').read_text()\n        return self.text\nclass Outer:\n    def __init__(self): self.inner = Inner()\nkept = Outer()\ndef load(): return kept.inner.load()\n",
    "metaclass": "class Once(type):\n    made = {}\n    def __call__(cls):\n        if cls not in Once.made: Once.made[cls] = super().__call__()\n        return Once.made[cls]\nclass Rates(metaclass=Once):\n    def __init__(self): self.text = Path('rates.txt').read_text()\ndef load(): return Rates().text\n",
    "listing": "import os\nkept = {}\ndef load(folder='rates'):\n    if folder not in kept: kept[folder] = sorted(os.listdir(folder))\n    return kept[folder]\n",
    "look": "kept = {}\ndef load(name='more.txt'):\n    if name not in kept: kept[name] = Path(name).exists()\n    return kept[name]\n",
    "variable_of_the_environment": "import os\nkept = {}\ndef load(name='RA' + 'TE'):\n    if name not in kept: kept[name] = os.environ.get(name, '')\n    return kept[name]\n",
}  # fmt: skip
ORDERS = {
    "before_the_step": "text.load()\ncall(model.step)\n",
    "between_two_steps": "call(model.first)\ntext.load()\ncall(model.step)\n",
    "by_an_earlier_step": "call(model.other)\ncall(model.step)\n",
}
FIRSTS = "import text\ndef first(): ran(1)\ndef other(): ran(text.load())\ndef step(): ran(text.load())\n"
for keeper, text in KEEPS.items():
    files = {"text.py": READ + text, "model.py": FIRSTS, "rates.txt": "1", "rates/a.txt": "1"}
    environment = "import os\nfrom pathlib import Path\nif Path('more.txt').exists(): os.environ['RATE'] = '2'\nimport text, model\n"
    change = {"rates.txt": "2", "rates/b.txt": "2", "more.txt": "2"}
    for order, script in ORDERS.items():
        title = f"kept_by_a_{keeper}_and_filled_{order}"
        GROUP.add(title, "miss", environment + script, files=files, change=change)
        if (
            title != "kept_by_a_default_and_filled_by_an_earlier_step"
        ):  # a hit does not put defaults back: runs once more
            GROUP.add(f"{title}_unchanged", "hit", environment + script, files=files, change={"elsewhere.txt": "2"})
