"""Ways from a value to a step: functions, classes, decorators, tables, closures and so on."""

from attacks.fresh.grammar import carrier

carrier("function", "f$n()", "def f$n():\n    return $e")
carrier("function with a docstring", "f$n()", 'def f$n():\n    """Of no account."""\n    value = $e\n    return value')
carrier("lambda", "g$n()", "g$n = lambda: $e")
carrier("typed function", "f$n()", "def f$n() -> Any:\n    found: Any = $e\n    return found", "from typing import Any")
carrier("partial", "p$n()[1]", "def f$n(k):\n    return [k, $e]\np$n = functools.partial(f$n, 3)", "import functools")
carrier("closure", "c$n_()", "def make$n(k):\n    def inner():\n        return $e\n    return inner\nc$n_ = make$n(2)")
carrier("default argument", "d$n()", "def f$n():\n    return $e\ndef d$n(of=f$n):\n    return of()")
carrier("static method", "Box$n.rate()", "class Box$n:\n    @staticmethod\n    def rate():\n        return $e")
carrier("class method", "Box$n.rate()", "class Box$n:\n    @classmethod\n    def rate(cls):\n        return $e")
carrier("property", "Box$n().rate", "class Box$n:\n    @property\n    def rate(self):\n        return $e")
carrier(
    "cached property",
    "Box$n().rate",
    "class Box$n:\n    @functools.cached_property\n    def rate(self):\n        return $e",
    "import functools",
)
carrier("method", "Box$n(1).rate()", """
    class Box$n:
        def __init__(self, size):
            self.size = size
        def rate(self):
            return $e
    """)  # fmt: skip
carrier("set by __init__", "Box$n().rate", "class Box$n:\n    def __init__(self):\n        self.rate = $e")
carrier("callable object", "box$n()", "class Box$n:\n    def __call__(self):\n        return $e\nbox$n = Box$n()")
carrier("__getitem__", "Box$n()['a']", "class Box$n:\n    def __getitem__(self, key):\n        return $e")
carrier("__getattr__", "Box$n().rate", "class Box$n:\n    def __getattr__(self, name):\n        return $e")
carrier("inherited method", "Box$n().rate()", """
    class Base$n:
        def rate(self):
            return $e
    class Box$n(Base$n):
        pass
    """)  # fmt: skip
carrier("hook of a base class", "Box$n().rate()", """
    class Base$n:
        def rate(self):
            return self.hook()
    class Box$n(Base$n):
        def hook(self):
            return $e
    """)  # fmt: skip
carrier("super", "Box$n().rate()", """
    class Base$n:
        def rate(self):
            return $e
    class Box$n(Base$n):
        def rate(self):
            return super().rate()
    """)  # fmt: skip
carrier("abstract class", "Box$n().rate()", """
    class Base$n(abc.ABC):
        @abc.abstractmethod
        def rate(self):
            ...
    class Box$n(Base$n):
        def rate(self):
            return $e
    """, "import abc")  # fmt: skip
carrier("dataclass method", "Box$n(1).rate()", """
    @dataclasses.dataclass
    class Box$n:
        size: int
        def rate(self):
            return $e
    """, "import dataclasses")  # fmt: skip
carrier("decorated function", "f$n()", """
    def loud$n(fn):
        @functools.wraps(fn)
        def inner():
            return fn()
        return inner
    @loud$n
    def f$n():
        return $e
    """, "import functools")  # fmt: skip
carrier("decorator that reads", "f$n()", """
    def with$n(fn):
        def inner():
            return fn($e)
        return inner
    @with$n
    def f$n(given):
        return given
    """)  # fmt: skip
carrier("table of functions", 'table$n["car"]()', 'def f$n():\n    return $e\ntable$n = {"car": f$n, "walk": len}')
carrier("list of functions", "[f() for f in all$n][0]", "def f$n():\n    return $e\nall$n = [f$n]")
carrier("registry", 'known$n["car"]()', """
    known$n = {}
    def register$n(name):
        def keep(fn):
            known$n[name] = fn
            return fn
        return keep
    @register$n("car")
    def f$n():
        return $e
    """)  # fmt: skip
carrier("generator", "next(f$n())", "def f$n():\n    yield $e")
carrier("context manager", "f$n()", """
    @contextlib.contextmanager
    def given$n():
        yield $e
    def f$n():
        with given$n() as value:
            return value
    """, "import contextlib")  # fmt: skip
carrier("coroutine", "run$n(f$n())", """
    async def f$n():
        return $e
    def run$n(awaited):
        try:
            awaited.send(None)
        except StopIteration as end:
            return end.value
    """)  # fmt: skip
carrier("match", "f$n(1)", """
    def f$n(kind):
        match kind:
            case 1:
                return $e
            case _:
                return None
    """)  # fmt: skip
carrier("try", "f$n()", "def f$n():\n    try:\n        return $e\n    finally:\n        pass")
carrier("nested function", "f$n()", "def f$n():\n    def inner():\n        return $e\n    return inner()")
carrier("two helpers", "f$n()", "def g$n():\n    return $e\ndef f$n():\n    return g$n()")
carrier("single dispatch", "f$n(1)", """
    @functools.singledispatch
    def f$n(x):
        return None
    @f$n.register
    def _(x: int):
        return $e
    """, "import functools")  # fmt: skip
carrier("lru_cache", "f$n()", "@functools.lru_cache\ndef f$n():\n    return $e", "import functools")
carrier("named tuple of functions", "ways$n.car()", """
    class Ways$n(NamedTuple):
        car: object
    ways$n = Ways$n(lambda: $e)
    """, "from typing import NamedTuple")  # fmt: skip
carrier("object in a module", "model$n.rate()", """
    class Model$n:
        def __init__(self, by):
            self.by = by
        def rate(self):
            return $e
    model$n = Model$n(2)
    """)  # fmt: skip
carrier("method by name", 'getattr(Box$n(), "ra" + "te")()', "class Box$n:\n    def rate(self):\n        return $e")
carrier("thread", "f$n()", """
    def f$n():
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: $e).result()
    """, "from concurrent.futures import ThreadPoolExecutor")  # fmt: skip
carrier(
    "key of a sort",
    "f$n()",
    "def f$n():\n    found = []\n    sorted([1], key=lambda x: found.append($e) or x)\n    return found[0]",
)
carrier("pandas map", "f$n()", """
    def f$n():
        found = []
        pd.Series([1]).map(lambda x: found.append($e))
        return found[0]
    """, "import pandas as pd")  # fmt: skip

carrier("as it is", "$e", passes=True)
carrier("argument of a function", "f$n($e)", "def f$n(x):\n    return x", passes=True)
carrier(
    "argument of a method", "Box$n().same($e)", "class Box$n:\n    def same(self, x):\n        return x", passes=True
)
carrier("comprehension", "[x for x in [$e]][0]", passes=True)
carrier("tuple", "(1, $e)[1]", passes=True)
carrier("conditional", "($e if len('a') else None)", passes=True)
carrier("lambda in place", "(lambda: $e)()", passes=True)
