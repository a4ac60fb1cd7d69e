"""What a function is beside its text: what it captured, what it is bound to, what it reads when it runs."""

from attacks.case import Group

GROUP = Group("functions and what they hold", "runtime")


def pair(name: str, verdict: str, model: str, one: str, other: str) -> None:
    """Two calls of two callables, given as expressions over the names of a module."""
    GROUP.add(name, verdict, f"from model import *\ncall({one})\ncall({other})\n", files={"model.py": model})


def between(name: str, verdict: str, model: str, change: str, helper: str = "") -> None:
    """Two calls of ``step`` with statements in between; `helper` is a module beside it."""
    main = f"import model\ncall(model.step)\n{change}\ncall(model.step)\n"
    GROUP.add(name, verdict, main, files={"model.py": model, **({"helper.py": helper} if helper else {})})


CLOSURE = """
def make(n):
    def step():
        ran(n)
    return step
"""
pair("closure_value", "miss", CLOSURE, "make(1)", "make(2)")
pair("closure_value_of_other_type", "miss", CLOSURE, "make(1)", "make(1.0)")
pair("closure_again", "hit", CLOSURE, "make(1)", "make(1)")
pair("closure_over_another_function", "miss", CLOSURE, "make(lambda: 1)", "make(lambda: 2)")
pair(
    "closure_two_levels_up",
    "miss",
    "def outer(n):\n    def middle():\n        return lambda: ran(n)\n    return middle()\n",
    "outer(1)",
    "outer(2)",
)
GROUP.add(
    "closure_over_a_list_that_grew",
    "miss",
    "from model import make\nseen = [1]\nstep = make(seen)\ncall(step)\nseen.append(2)\ncall(step)\n",
    files={"model.py": CLOSURE},
)
DEFAULT = "def make(n):\n    def step({}):\n        ran(k)\n    return step\n"
pair("default_value", "miss", DEFAULT.format("k=n"), "make(1)", "make(2)")
pair("default_of_a_keyword", "miss", DEFAULT.format("*, k=n"), "make(1)", "make(2)")
between(
    "default_list_that_grew",
    "miss",
    "def step(k=[1]):\n    ran(k)\n",
    "model.step.__defaults__[0].append(2)",
)

PARTIAL = "from functools import partial\ndef step(a=0, b=0):\n    ran(a, b)\n"
pair("partial_argument", "miss", PARTIAL, "partial(step, 1)", "partial(step, 2)")
pair("partial_keyword", "miss", PARTIAL, "partial(step, b=1)", "partial(step, b=2)")
pair("partial_arguments_swapped", "miss", PARTIAL, "partial(step, a=1, b=2)", "partial(step, a=2, b=1)")
pair("partial_again", "hit", PARTIAL, "partial(step, b=1)", "partial(step, b=1)")
pair("partial_of_a_partial", "miss", PARTIAL, "partial(partial(step, 1), b=1)", "partial(partial(step, 1), b=2)")
pair("partial_over_a_function", "miss", PARTIAL, "partial(step, min)", "partial(step, max)")

METHODS = """
class Model:
    def __init__(self, n): self.n = n
    def step(self): ran(self.n)
    def __call__(self): ran(self.n)
    @classmethod
    def of(cls): ran(cls.factor)
    factor = 1
class Child(Model):
    factor = 2
class Other:
    def __init__(self, n): self.n = n
    def step(self): ran(-self.n)
class Slots:
    __slots__ = ("n",)
    def __init__(self, n): self.n = n
    def step(self): ran(self.n)
"""
pair("method_of_an_object_in_another_state", "miss", METHODS, "Model(1).step", "Model(2).step")
pair("method_of_an_object_in_the_same_state", "hit", METHODS, "Model(1).step", "Model(1).step")
pair("method_of_an_object_with_slots", "miss", METHODS, "Slots(1).step", "Slots(2).step")
pair("methods_alike_of_two_classes", "miss", METHODS, "Model(1).step", "Other(1).step")
pair("class_method_of_a_subclass", "miss", METHODS, "Model.of", "Child.of")
pair("callable_object_in_another_state", "miss", METHODS, "Model(1)", "Model(2)")
pair("callable_object_in_the_same_state", "hit", METHODS, "Model(1)", "Model(1)")
between(
    "class_attribute_changed",
    "miss",
    "class Rules:\n    rate = 1\ndef step():\n    ran(Rules.rate)\n",
    "model.Rules.rate = 2",
)
between(
    "method_replaced",
    "miss",
    "class Rules:\n    def rate(self): return 1\ndef step():\n    ran(Rules().rate())\n",
    "model.Rules.rate = lambda self: 2",
)

pair("lambdas_on_one_line", "miss", "both = [lambda: ran(1), lambda: ran(2)]\n", "both[0]", "both[1]")
pair("lambda_again", "hit", "def make(): return lambda: ran(1)\n", "make()", "make()")
pair(
    "functions_of_one_name_in_one_file",
    "miss",
    "def step():\n    ran(1)\nfirst = step\ndef step():\n    ran(2)\n",
    "first",
    "step",
)
pair(
    "functions_of_one_name_under_a_condition",
    "miss",
    """
    def make(big):
        if big:
            def step(): ran(1)
        else:
            def step(): ran(2)
        return step
    """,
    "make(True)",
    "make(False)",
)
GROUP.add(
    "functions_of_one_name_in_two_files",
    "miss",
    "import one, two\ncall(one.step)\ncall(two.step)\n",
    files={"one.py": "RATE = 1\ndef step(): ran(RATE)\n", "two.py": "RATE = 2\ndef step(): ran(RATE)\n"},
)
pair(
    "functions_made_from_text",
    "miss",
    "def make(text):\n    space = {}\n    exec(text, space)\n    return space['step']\n",
    "make('def step(): ran(1)')",
    "make('def step(): ran(2)')",
)

DECORATOR = """
import functools
def times(n):
    def wrap(fn):
        @functools.wraps(fn)
        def inner():
            return [fn() for _ in range(n)]
        return inner
    return wrap
def step():
    ran()
"""
pair("decorator_argument", "miss", DECORATOR, "times(1)(step)", "times(2)(step)")
pair("decorated_or_not", "miss", DECORATOR, "step", "times(2)(step)")
pair("decorated_again", "hit", DECORATOR, "times(2)(step)", "times(2)(step)")

RATE = "RATE = 1\ndef step():\n    ran(RATE)\n"
between("module_constant_changed", "miss", RATE, "model.RATE = 2")
between("module_constant_set_to_what_it_was", "hit", RATE, "model.RATE = 1")
between("unused_module_constant_changed", "hit", RATE + "OTHER = 1\n", "model.OTHER = 2")
between("module_table_changed", "miss", "T = {'a': 1}\ndef step():\n    ran(T['a'])\n", "model.T['a'] = 2")
between(
    "function_in_a_table_replaced",
    "miss",
    "def one(): return 1\ndef two(): return 2\nT = {'a': one}\ndef step():\n    ran(T['a']())\n",
    "model.T['a'] = model.two",
)
between(
    "helper_function_replaced",
    "miss",
    "def helper(): return 1\ndef step():\n    ran(helper())\n",
    "model.helper = lambda: 2",
)
between(
    "step_defined_again",
    "miss",
    "def step():\n    ran(1)\n",
    "exec('def step():\\n    ran(2)\\n', model.__dict__)",
)
between(
    "function_of_another_module_replaced",
    "miss",
    "import helper\ndef step():\n    ran(helper.rate())\n",
    "import helper\nhelper.rate = lambda: 2",
    "def rate():\n    return 1\n",
)
between(
    "constant_of_another_module_changed",
    "miss",
    "import helper\ndef step():\n    ran(helper.RATE)\n",
    "import helper\nhelper.RATE = 2",
    "RATE = 1\n",
)
between(
    "table_of_another_module_changed",
    "miss",
    "import helper\ndef step():\n    ran(helper.rate())\n",
    "import helper\nhelper.RATES['car'] = 2",
    "RATES = {'car': 1}\ndef rate():\n    return RATES['car']\n",
)
between(
    "class_attribute_of_another_module_changed",
    "miss",
    "import helper\ndef step():\n    ran(helper.rate())\n",
    "import helper\nhelper.Rules.rate = 2",
    "class Rules:\n    rate = 1\ndef rate():\n    return Rules.rate\n",
)
between(
    "counter_that_the_step_only_writes",
    "hit",
    "CALLS = []\ndef step():\n    ran()\n    CALLS.append(1)\n",
    "",
)
between(
    "logger_and_lock_beside_the_step",
    "hit",
    "import logging, threading\nlog = logging.getLogger('m')\nlock = threading.Lock()\n"
    "def step():\n    with lock:\n        log.info('x')\n        ran()\n",
    "",
)
between(
    "cache_of_a_helper_filled_by_another_step",
    "hit",
    "import helper\ndef step():\n    ran(helper.rate('car'))\n",
    "model.helper.rate('bus')",
    "CACHE = {}\ndef rate(mode):\n    if mode not in CACHE:\n        CACHE[mode] = len(mode)\n    return CACHE[mode]\n",
)
between(
    "cache_in_a_class_of_a_helper_filled_by_another_step",
    "hit",
    "import helper\ndef step():\n    ran(helper.Rules().rate('car'))\n",
    "model.helper.Rules().rate('bus')",
    "class Rules:\n    cache = {}\n    def rate(self, mode):\n        return self.cache.setdefault(mode, len(mode))\n",
)
between(
    "method_of_another_module_replaced",
    "miss",
    "import helper\ndef step():\n    ran(helper.rate())\n",
    "import helper\nhelper.Rules.rate = lambda self: 2",
    "class Rules:\n    def rate(self): return 1\ndef rate():\n    return Rules().rate()\n",
)
between(
    "cached_helper_that_was_used",
    "hit",
    "import functools\n@functools.lru_cache\ndef helper(): return 1\ndef step():\n    ran(helper())\n",
    "",
)
between(
    "random_generator_moved_on_between_calls",
    "miss",
    "import random\nR = random.Random(1)\ndef step():\n    ran(R.random())\n",
    "",
)
