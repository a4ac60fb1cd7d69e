"""Of R13: fixed configs, folders and functions, whose keys every interpreter must find as they were first written down.

``tests/golden/identity.json`` has them. It grows and is never changed: a key that changes makes every result of the
past a miss, and needs a new domain in the identity and a line in the changelog.
"""

from __future__ import annotations

import json
import math
import random
import tempfile
from pathlib import Path
from typing import Any

from consist_es.artifacts.digest import digest_path
from consist_es.identity.code.modes import code_identity
from consist_es.identity.config import config_digest
from torture.sources import loaded, modules_of_our_own
from torture.trees import Tree, made

GOLDEN = Path(__file__).resolve().parent.parent.parent / "tests" / "golden" / "identity.json"

CONFIGS: dict[str, Any] = {
    "nothing": {},
    "numbers": {"a": 1, "b": 1.0, "c": True, "d": -0.0, "e": 0.1, "f": 10**30, "g": 5e-324, "h": -1},
    "not numbers": [math.nan, math.inf, -math.inf],
    "text": {"nfc": "\u00e9", "nfd": "e\u0301", "": "", "\U0001f600": "\0\x7f\u2028", "quote": '"\\/'},
    "shapes": [[], (), {}, [1, [2, [3]]], (1, 2), {"b": {"a": None}, "a": {"b": None}}, frozenset({"x", "y"})],
    "bytes and paths": [b"", b"\xff\0", Path("a/b"), Path("a")],
    "tags of ours": {"$float": "nan", "$tuple": [1], "$": {"$bytes": ""}},
}

FOLDERS: dict[str, Tree] = {
    "empty": {},
    "a file": {"a": "x"},
    "names": {"\u00e9": "1", "e\u0301": "2", ".hidden": "", " ": "3", "A": "", "a": ""},
    "deep": {"d": None, "d/e": None, "d/e/f": "x", "d/empty": None, "d.txt": "y"},
    "links": {"a": "x", "b": "-> a", "c": "-> nowhere", "d": None},
}

PART = "FAR = 2\ndef far(x):\n    return [x, FAR]\n"
MODULES: dict[str, str] = {
    "plain": "def step(x, d=1, *, e='k'):\n    '''Doc.'''\n    y = x + d  # add\n    return y, e, f'{y!r:>4}'\n",
    "globals and helpers": (
        "K = {'a': (1, 1.0, True)}\ndef h(x):\n    return K['a'], x\ndef step(x):\n    return h(x)\n"
    ),
    "closure": (
        "def made(c):\n    def step(x):\n        return [x + c for _ in range(2)]\n    return step\nstep = made(3)\n"
    ),
    "class": "class B:\n    w = 2\n    def get(self):\n        return self.w\ndef step(x):\n    return B().get() * x\n",
    "another module": "from part import far\ndef step(x):\n    return far(x)\n",
    "statements": (
        "def step(x):\n    global G\n    try:\n        with open(x) as f, open(x):\n            for line in f:\n"
        "                while True:\n                    break\n    except* OSError as e:\n"
        "        raise ValueError from e\n"
        "    match x:\n        case [1, *rest]:\n            return rest\n        case _:\n            pass\n"
        "    return lambda a, /, b, *c, d=1, **e: (yield)\n"
    ),
}  # fmt: skip


def keys() -> dict[str, dict[str, str]]:
    """The key of everything above, as this interpreter finds it."""
    chance = random.Random(1)
    found: dict[str, dict[str, str]] = {"configs": {name: config_digest(value) for name, value in CONFIGS.items()}}
    with tempfile.TemporaryDirectory() as name, modules_of_our_own():
        folder = Path(name)
        found["folders"] = {
            name: digest_path(made(folder / str(number), tree, chance)).value
            for number, (name, tree) in enumerate(FOLDERS.items())
        }
        found["functions"] = {}
        for number, (name, text) in enumerate(MODULES.items()):
            place = folder / f"m{number}"
            step = loaded(place, {"model.py": text, "part.py": PART})
            found["functions"][name] = code_identity(step, project_root=place).digest
    return found


def written_down() -> dict[str, dict[str, str]]:
    """The keys as they have always been."""
    found: dict[str, dict[str, str]] = json.loads(GOLDEN.read_text("utf-8"))
    return found
