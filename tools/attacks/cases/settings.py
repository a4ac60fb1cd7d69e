"""Settings that another module holds, plugins that register themselves there, and caches that it keeps for itself."""

from attacks.case import Group

GROUP = Group("settings and plugins in other modules", "runtime")
READ = "import settings\ndef step():\n    ran(settings.{})\n"


def between(name: str, verdict: str, settings: str, model: str, change: str, first: str = "", **more: str) -> None:
    """Two calls of ``step`` of one process; `first` and `change` run before each, inside a function."""
    main = f"""
import model, settings
def main():
    {first or "pass"}
    call(model.step)
    {change or "pass"}
    call(model.step)
main()
"""
    files = {"settings.py": settings, "model.py": model, **{f"{key}.py": text for key, text in more.items()}}
    GROUP.add(name, verdict, main, files=files)


def setting(name: str, settings: str, read: str, change: str) -> None:
    """A setting that is 1 for the first call and 2 for the second; set to 1 again it is a hit."""
    for end, verdict, value in (("", "miss", "2"), ("_to_what_it_was", "hit", "1")):
        between(name + end, verdict, settings, READ.format(read), change.format(value), change.format("1"))


setting("dict_updated_by_a_function", "P = {'rate': 0}\ndef configure(**more): P.update(more)\n",
        "P['rate']", "settings.configure(rate={})")  # fmt: skip
setting("dict_item_set_by_a_function", "P = {}\ndef configure(rate): P['rate'] = rate\n",
        "P['rate']", "settings.configure({})")  # fmt: skip
setting("global_set_by_a_function", "P = None\ndef configure(rate):\n    global P\n    P = rate\n",
        "P", "settings.configure({})")  # fmt: skip
setting("global_set_by_one_function_and_read_by_another",
        "P = None\ndef configure(rate):\n    global P\n    P = rate\ndef get():\n    return P\n",
        "get()", "settings.configure({})")  # fmt: skip
setting("dict_with_a_function_that_sets_and_gets",
        "P = {}\ndef rate(new=None):\n    if new is not None:\n        P['rate'] = new\n    return P['rate']\n",
        "rate()", "settings.rate({})")  # fmt: skip
setting("dict_with_a_default_that_its_getter_fills_in",
        "P = {}\ndef configure(rate): P['rate'] = float(rate)\ndef get():\n    return P.setdefault('rate', 1.0)\n",
        "get()", "settings.configure({})")  # fmt: skip
CONFIG = "class Config:\n    def set(self, rate): self.rate = rate\nC = Config()\n"
setting("object_set_by_its_method", CONFIG, "C.rate", "settings.C.set({})")
setting("object_set_from_outside", CONFIG, "C.rate", "settings.C.rate = {}")
setting("object_with_a_dict_behind_methods",
        "class S:\n    def __init__(self): self.d = {}\n    def set(self, k, v): self.d[k] = v\n"
        "    def get(self, k): return self.d[k]\nC = S()\n", "C.get('rate')", "settings.C.set('rate', {})")  # fmt: skip
setting("object_replaced_by_another",
        "class S:\n    def __init__(self, rate): self.rate = rate\nC = S(0)\n",
        "C.rate", "settings.C = settings.S({})")  # fmt: skip
setting("attribute_of_a_namespace_set", "import types\nC = types.SimpleNamespace(rate=0)\n",
        "C.rate", "settings.C.rate = {}")  # fmt: skip
setting("attribute_of_a_class_set_by_a_class_method",
        "class C:\n    rate = 0\n    @classmethod\n    def set(cls, rate): cls.rate = rate\n",
        "C.rate", "settings.C.set({})")  # fmt: skip
setting("attribute_of_a_class_that_it_did_not_have",
        "class C:\n    @classmethod\n    def set(cls, rate): cls.rate = rate\n",
        "C.rate", "settings.C.set({})")  # fmt: skip
setting("context_variable_set", "import contextvars\nC = contextvars.ContextVar('C')\n",
        "C.get()", "settings.C.set({})")  # fmt: skip
setting("variable_that_the_module_did_not_have", "", "rate", "settings.rate = {}")
setting("function_that_the_module_did_not_have", "", "rate()", "settings.rate = lambda: {}")
between("object_set_and_read_by_a_step_that_imports_inside", "miss", CONFIG,
        "def step():\n    import settings\n    ran(settings.C.rate)\n",
        "settings.C.set(2)", "settings.C.set(1)")  # fmt: skip
between("variable_set_and_read_two_modules_away", "miss", "P = {}\ndef configure(rate): P['rate'] = rate\n",
        "import near\ndef step():\n    ran(near.rate())\n", "settings.configure(2)", "settings.configure(1)",
        near="from settings import P\ndef rate():\n    return P['rate']\n")  # fmt: skip
between("variable_set_and_read_by_its_name_as_text", "miss", "P = 0\ndef set(rate):\n    global P\n    P = rate\n",
        "import settings\ndef step():\n    ran(getattr(settings, 'P'))\n",
        "settings.set(2)", "settings.set(1)")  # fmt: skip

NAMED = "def step():\n    import settings\n    name = 'rate'\n    ran(getattr(settings, name))\n"
between("variable_set_and_read_by_a_computed_name", "miss",
        "rate = 0\ndef set(new):\n    global rate\n    rate = new\n",
        "import settings\n" + NAMED, "settings.set(2)", "settings.set(1)")  # fmt: skip
between("variable_added_and_read_by_a_computed_name", "miss", "", "import settings\n" + NAMED,
        "settings.rate = 2", "settings.rate = 1")  # fmt: skip
BY_NAME = """
class Model:
    def __init__(self): self.rates = {}
    def configure(self, rate): self.rates['car'] = rate
    def do_car(self): return self.rates['car']
    def do(self, what): return getattr(self, 'do_' + what)()
M = Model()
"""
setting("object_whose_methods_are_called_by_computed_names", BY_NAME, "M.do('car')", "settings.M.configure({})")

# read from files and the command line when the project starts
LOADED = "import json\nP = None\ndef load():\n    global P\n    P = json.load(open('rate.json'))\nload()\n"
MAKES = "import json\nclass C:\n    def __init__(self): self.rate = json.load(open('rate.json'))\nC = C()\n"
for name, settings, read in (("global_loaded_from_a_file_by_a_function", LOADED, "P"),
                             ("object_made_from_a_file", MAKES, "C.rate")):  # fmt: skip
    GROUP.add(name, "miss", files={"settings.py": settings, "model.py": READ.format(read), "rate.json": "1"},
              change={"rate.json": "2"})  # fmt: skip
    GROUP.add(f"{name}_as_it_was", "hit", change={"rate.json": "1"},
              files={"settings.py": settings, "model.py": READ.format(read), "rate.json": "1"})  # fmt: skip
ARGUMENTS = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--rate')\n"
GROUP.add(
    "argument_of_the_command_line",
    "miss",
    "import sys\nsys.argv[1:] = ['--rate', '1']\nfrom model import step\ncall(step)\n",
    again="import sys\nsys.argv[1:] = ['--rate', '2']\nfrom model import step\ncall(step)\n",
    files={"settings.py": ARGUMENTS + "args = parser.parse_args()\n", "model.py": READ.format("args.rate")},
    change={},
)

# plugins
PLUGIN = "import reg\n@reg.register\ndef f():\n    return 1\n"


def plugin(name: str, reg: str, use: str, plug: str = PLUGIN, verdict: str = "miss", **more: str) -> None:
    """``plug.py``, which only the script imports, is edited."""
    model = f"import reg\ndef step():\n    ran({use})\n"
    files = {"reg.py": reg, "plug.py": plug, "model.py": model, **{f"{key}.py": text for key, text in more.items()}}
    GROUP.add(name, verdict, "import plug\nfrom model import step\ncall(step)\n", files=files,
              change={"plug.py": plug.replace("return 1", "return 2")})  # fmt: skip


REGISTRY = "R = {}\ndef register(f):\n    R[f.__name__] = f\n    return f\n"
plugin("plugin_in_a_dict", REGISTRY, "reg.R['f']()")
plugin("plugin_in_a_dict_behind_a_function", REGISTRY + "def get(name):\n    return R[name]\n", "reg.get('f')()")
plugin("plugin_in_a_list", "R = []\ndef register(f):\n    R.append(f)\n    return f\n", "[f() for f in reg.R]")
plugin("plugin_in_an_object",
       "class Registry:\n    def __init__(self): self.all = {}\n"
       "    def add(self, f):\n        self.all[f.__name__] = f\n        return f\n"
       "    def get(self, name): return self.all[name]\nR = Registry()\nregister = R.add\n",
       "reg.R.get('f')()")  # fmt: skip
plugin("plugin_in_a_class_of_dicts",
       "class Registry(dict):\n    def add(self, f):\n        self[f.__name__] = f\n        return f\n"
       "R = Registry()\nregister = R.add\n", "reg.R['f']()")  # fmt: skip
plugin("plugin_as_a_hook", "hook = None\ndef register(f):\n    global hook\n    hook = f\n    return f\n", "reg.hook()")
plugin("plugin_for_a_type", "import functools\n@functools.singledispatch\ndef f(x):\n    return 0\n", "reg.f(3)",
       "import reg\n@reg.f.register\ndef _(x: int):\n    return 1\n")  # fmt: skip
BASED = "import reg\nclass A(reg.Base):\n    def f(self): return 1\n"
plugin("plugin_as_a_subclass_that_is_noted",
       "class Base:\n    known = []\n    def __init_subclass__(cls, **more):\n        Base.known.append(cls)\n",
       "[c().f() for c in reg.Base.known]", BASED)  # fmt: skip
plugin("plugin_as_a_subclass_that_is_asked_for", "class Base:\n    pass\n",
       "[c().f() for c in reg.Base.__subclasses__()]", BASED)  # fmt: skip
plugin("subclass_that_nothing_asks_for", "class Base:\n    pass\n", "reg.Base()", BASED, "hit")
plugin("registry_that_the_step_does_not_use", REGISTRY + "def rate():\n    return 1\n", "reg.rate()", verdict="hit")
for name, init in (("package", {"pk/__init__.py": ""}), ("folder_without_init", {})):
    GROUP.add(
        f"module_of_a_{name}_that_only_the_script_imports",
        "miss",
        "import pk.a\nfrom model import step\ncall(step)\n",
        files={
            **init,
            "pk/a.py": "def g():\n    return 1\n",
            "model.py": "import pk\ndef step():\n    ran(pk.a.g())\n",
        },
        change={"pk/a.py": "def g():\n    return 2\n"},
    )


# what modules keep for themselves
def kept(name: str, settings: str) -> None:
    """A step calls ``settings.rate('car')``; another caller asked for ``'bus'`` meanwhile."""
    model = "import settings\ndef step():\n    ran(settings.rate('car'))\n"
    between(name, "hit", settings, model, "settings.rate('bus')")


kept("cache_with_a_function_that_empties_it", """
K = {}
def rate(mode):
    if mode not in K:
        K[mode] = len(mode)
    return K[mode]
def reset(): K.clear()
""")  # fmt: skip
kept("cache_in_an_object", """
class Rates:
    def __init__(self): self.k = {}
    def rate(self, mode):
        if mode not in self.k:
            self.k[mode] = len(mode)
        return self.k[mode]
R = Rates()
def rate(mode): return R.rate(mode)
""")  # fmt: skip
kept("cache_of_a_memoising_decorator", """
def memo(f):
    kept = {}
    def inner(mode):
        if mode not in kept:
            kept[mode] = f(mode)
        return kept[mode]
    return inner
@memo
def one(mode): return len(mode)
RATES = [one]
def rate(mode): return [f(mode) for f in RATES]
""")  # fmt: skip
kept("cache_of_the_standard_library", "import functools\n@functools.lru_cache\ndef rate(mode): return len(mode)\n")
kept("table_loaded_when_first_asked_for", """
T = None
def rate(mode):
    global T
    if T is None:
        T = dict(car=1, bus=2)
    return T[mode]
""")  # fmt: skip
kept("attribute_loaded_when_first_asked_for", """
class R:
    def __init__(self): self.t = None
    def rate(self, mode):
        if self.t is None:
            self.t = dict(car=1, bus=2)
        return self.t[mode]
r = R()
def rate(mode): return r.rate(mode)
""")  # fmt: skip
kept("property_that_is_cached", """
import functools
class R:
    @functools.cached_property
    def t(self): return dict(car=1, bus=2)
r = R()
def rate(mode): return r.t[mode]
""")  # fmt: skip
kept("counters_and_times", """
import time
N, TIMES = 0, {}
def rate(mode):
    global N
    N += 1
    TIMES[mode] = time.time()
    return 1
def report(): print(N, TIMES)
""")  # fmt: skip
kept("locks_loggers_and_open_files", """
import logging, sys, threading
log, lock, out, local = logging.getLogger("x"), threading.Lock(), sys.stdout, threading.local()
class Pool:
    def __init__(self): self.lock, self.open = lock, None
    def use(self): self.open = object()
    def get(self): return self.open
pool = Pool()
def rate(mode):
    with lock:
        pool.use()
        log.info("%s", pool.get())
    return 1
""")  # fmt: skip
kept("clocks_and_messages_in_objects", """
import time
class Clock:
    def __init__(self): self.made, self.begun, self.spent = time.time(), {}, {}
    def start(self, name): self.begun[name] = time.perf_counter()
    def stop(self, name): self.spent[name] = time.perf_counter() - self.begun[name]
    def report(self): print(self.spent, time.time() - self.made)
class Log:
    def __init__(self): self.messages = []
    def say(self, text): self.messages.append(text)
    def dump(self): print(self.messages)
clock, log = Clock(), Log()
def rate(mode):
    clock.start(mode)
    log.say(mode)
    clock.stop(mode)
    return 1
def main():
    clock.report()
    log.dump()
""")  # fmt: skip
plugin("plugin_whose_name_is_computed", REGISTRY, "[f() for f in vars(reg)['R'].values()]")
GROUP.add(
    "object_with_the_time_it_was_made",
    "hit",
    files={"model.py": READ.format("C.rate") + "    settings.C.age()\n", "settings.py": """
    import time
    class C:
        def __init__(self): self.made, self.rate = time.time(), 1
        def age(self): return time.time() - self.made
    C = C()
    """},
    change={},
)  # fmt: skip
