"""Which steps of a script run again after an edit: a script of twelve steps, written in four ways."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

STEPS = [f"s{number:02}" for number in range(1, 13)]
HEAD = '''
"""A model of twelve steps."""
import argparse
import logging
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import consist_es as consist
from consist_es import Tracker
from helper import scale

logging.basicConfig(level=logging.INFO)
log = logging.getLogger("model")
warnings.simplefilter("ignore")
np.random.seed(3)
pd.set_option("display.precision", 4)
os.makedirs("scratch", exist_ok=True)
LIMIT = 5
RATE = 1.5


def halved(x):
    return x / 2


def timed(fn):
    def inner(*args, **kwargs):
        log.info("begin")
        return fn(*args, **kwargs)

    return inner


class Params:
    rate: float = RATE

    def value(self):
        return halved(self.rate)
'''
BODIES = {
    "s02": "    log.info('two of %s', LIMIT)\n",
    "s03": "    value = value + scale(2)\n",
    "s04": "    value = len(pd.DataFrame({'x': [1, 9]}).query('x > @LIMIT'))\n",
    "s05": "    value = Params().value()\n",
    "s06": "    value = halved(value)\n",
    "s07": "    print('seven')\n",
}
PARSER = """
parser = argparse.ArgumentParser(description="Twelve steps.")
parser.add_argument("--verbose", action="store_true", help="say more")
args = parser.parse_args([])
if args.verbose:
    log.setLevel("DEBUG")
"""


def definition(name: str) -> str:
    decorated = "@timed\n" if name in ("s08", "s09") else ""
    return (
        f"\n\n{decorated}def {name}():\n"
        f"    value = {int(name[1:])}\n{BODIES.get(name, '')}"
        "    path = consist.output_path('out', ext='txt')\n"
        f"    path.write_text(str(value))\n    return path\n"
    )


DEFINITIONS = "".join(map(definition, STEPS))
TRACKER = 'tracker = Tracker("runs", db_path="p.db")\n'
RUN = 'result = sc.run({name}, name="{name}", outputs=["out"])\nprint("{name}", result.cache_hit)\n'
AFTER = 'print("done", len(report))\nPath("report.txt").write_text(str(report))\n'


def flat() -> list[str]:
    runs = "".join(RUN.format(name=name) + f'report["{name}"] = result.cache_hit\n' for name in STEPS)
    block = f'report = {{}}\nwith tracker.scenario("base") as sc:\n{textwrap.indent(runs, "    ")}'
    return [HEAD + DEFINITIONS + PARSER + TRACKER + block + AFTER + SAID]


def in_main() -> list[str]:
    runs = "".join(RUN.format(name=name) + f'report["{name}"] = result.cache_hit\n' for name in STEPS)
    block = f'{TRACKER}report = {{}}\nwith tracker.scenario("base") as sc:\n{textwrap.indent(runs, "    ")}'
    body = textwrap.indent(PARSER + block + AFTER + SAID, "    ")
    return [f'{HEAD}{DEFINITIONS}\n\ndef main():\n{body}\n\nif __name__ == "__main__":\n    main()\n']


def in_a_loop() -> list[str]:
    names = ", ".join(STEPS)
    loop = (
        f"report = {{}}\nwith tracker.scenario('base') as sc:\n    for step in ({names}):\n"
        "        result = sc.run(step, outputs=['out'])\n"
        "        name = [n for n, v in globals().items() if v is step and n != 'step'][0]\n"
        "        report[name] = result.cache_hit\n"
    )
    return [HEAD + DEFINITIONS + PARSER + TRACKER + loop + AFTER + SAID]


def in_cells() -> list[str]:
    begin = "sc = tracker.scenario('base')\nsc.__enter__()\nreport = {}\n"
    runs = [
        f'result = sc.run({name}, name="{name}", outputs=["out"])\nreport["{name}"] = result.cache_hit\n'
        for name in STEPS
    ]
    return [
        HEAD,
        *map(definition, STEPS),
        PARSER,
        TRACKER + begin,
        *runs,
        AFTER,
        SAID + "sc.__exit__(None, None, None)\n",
    ]


SAID = '\nimport json\nprint("@@" + json.dumps(report))\n'
FORMS: dict[str, Callable[[], list[str]]] = {
    "flat": flat, "main": in_main, "loop": in_a_loop, "cells": in_cells,
}  # fmt: skip
EDITS: dict[str, tuple[str, str, set[str]]] = {
    "nothing": ("", "", set()),
    "another step": ("    value = 10\n", "    value = 1010\n", {"s10"}),
    "a decorated step": ("    value = 8\n", "    value = 88\n", {"s08"}),
    "a print in a step": ("print('seven')", "print('heptad')", {"s07"}),
    "a print": ('print("done"', 'print("all done"', set()),
    "a docstring": ("A model of twelve steps.", "Twelve steps of a model.", set()),
    "a log level": ("logging.INFO", "logging.DEBUG", set()),
    "another log level": ('log.setLevel("DEBUG")', 'log.setLevel("WARNING")', set()),
    "a comment": ("RATE = 1.5\n", "RATE = 1.5  # per year\n", set()),
    "help of an argument": ("say more", "say much more", set()),
    "a new function": ("def halved(x)", "def thirds(x):\n    return x / 3\n\n\ndef halved(x)", set()),
    "a new import": ("import argparse\n", "import argparse\nimport csv\n", set()),
    "a new constant": ("LIMIT = 5\n", "LIMIT = 5\nOTHER = [LIMIT]\n", set()),
    "a folder that is made": ('"scratch"', '"scratch2"', set()),
    "a report": ('Path("report.txt")', 'Path("report2.txt")', set()),
    "a name in a query": ("LIMIT = 5\n", "LIMIT = 50\n", {"s02", "s04"}),
    "a default of a class": ("RATE = 1.5\n", "RATE = 2.5\n", {"s05"}),
    "a helper of two steps": ("return x / 2", "return x / 4", {"s05", "s06"}),
    "a decorator": ('log.info("begin")', 'log.info("beginning")', {"s08", "s09"}),
    "a seed": ("np.random.seed(3)", "np.random.seed(4)", set(STEPS)),
    "an option": ('"display.precision", 4', '"display.precision", 5', set(STEPS)),
}
DRIVER = """
import json, linecache, os, runpy, sys, types
sys.path.insert(0, os.getcwd())
import numpy, pandas, consist_es
from consist_es import Tracker
def cells(texts):
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    history = vars(module)["In"] = [""]
    for number, text in enumerate(texts):
        name = f"<ipython-input-{number + 1}-{abs(hash(text)) % 16**12:012x}>"
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        history.append(text)
        exec(compile(text, name, "exec"), vars(module))
for order in json.load(sys.stdin):
    child = os.fork()
    if child == 0:
        if order["history"] is None:
            with open("script.py", "w") as file:
                file.write(order["texts"][0])
            sys.argv = ["script.py"]
            runpy.run_path("script.py", run_name="__main__")
        else:
            cells(order["texts"])
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.parametrize("form", FORMS)
def test_an_edit_of_a_script_reruns_the_steps_that_can_tell(form: str, tmp_path: Path) -> None:
    texts = FORMS[form]()
    orders = []
    for old, new, _ in EDITS.values():
        assert not old or sum(text.count(old) for text in texts) == 1, old
        edited = [text.replace(old, new) if old else text for text in texts]
        orders.append({"texts": edited, "history": True if form == "cells" else None})
    (tmp_path / "helper.py").write_text("def scale(x):\n    return x * 10\n")
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps([orders[0], *orders]),
        cwd=tmp_path, capture_output=True, text=True, check=False, env=dict(os.environ),
    )  # fmt: skip
    reports = [json.loads(line[2:]) for line in done.stdout.splitlines() if line.startswith("@@")]
    assert len(reports) == len(orders) + 1, done.stderr[-3000:]
    ran = {
        edit: {name for name, hit in report.items() if not hit} for edit, report in zip(EDITS, reports[1:], strict=True)
    }
    assert ran == {edit: expected for edit, (_, _, expected) in EDITS.items()}
