"""Objects that a step changes: what it left on them for later steps must be there after a hit too."""

from attacks.case import Group

GROUP = Group("objects that a step changes")

TWO = """
class Model:
    pop = None
    def synth(self):
        self.pop = VALUE
        ran("made")
    def step(self):
        ran(READ)
"""
CALLS = """
from model import Model
m = Model()
call(m.synth)
call(m.step)
"""


def kept(name: str, value: str, read: str, *, head: str = "", calls: str = CALLS, packages: str = "") -> None:
    """A step keeps something for the next one, which hits in a second process only if it is there again."""
    model = head + TWO.replace("VALUE", value).replace("READ", read)
    GROUP.add(name, "hit", calls, files={"model.py": model}, change={}, packages=packages)


kept("number_kept_on_self", "2.5", "self.pop * 2")
kept("dict_kept_on_self", "{2: ['b'], 1: 'a'}", "list(self.pop)")
kept("negative_zero_kept_on_self", "-0.0", "str(self.pop)")
kept("member_of_an_enum_kept_on_self", "Mode.B", "self.pop is Mode.B",
     head="import enum\nclass Mode(enum.Enum):\n    A = 1\n    B = 2\n")  # fmt: skip
kept(
    "array_kept_on_self",
    "np.arange(3.0)",
    "str(self.pop.dtype)",
    head="import numpy as np\n",
    packages="numpy",
)
kept("table_kept_on_self", "pd.DataFrame({'x': [1, 2]})", "int(self.pop.x.sum())", head="import pandas as pd\n",
     packages="pandas")  # fmt: skip
GROUP.add(
    "variable_bound_by_global",
    "hit",
    "from model import synth, step\ncall(synth)\ncall(step)\n",
    files={"model.py": "POP = 1\ndef synth():\n    global POP\n    POP = 7\n    ran()\ndef step():\n    ran(POP)\n"},
    change={},
)
GROUP.add(
    "attribute_of_an_object_in_a_helper",
    "hit",
    "from model import synth, step\ncall(synth)\ncall(step)\n",
    files={
        "state.py": "class State:\n    pop = 1\nSTATE = State()\n",
        "model.py": "import state\ndef synth():\n    state.STATE.pop = 7\n    ran()\n"
        "def step():\n    ran(state.STATE.pop)\n",
    },
    change={},
)
GROUP.add(
    "item_of_a_dict_that_one_step_sets",
    "hit",
    "from model import synth, step\ncall(synth)\ncall(step)\n",
    files={"model.py": "S = {}\ndef synth():\n    S['pop'] = 7\n    ran()\ndef step():\n    ran(S['pop'])\n"},
    change={},
)

ONE = """
class Model:
    def __init__(self): self.rate, self.x = 2, 0
    def step(self):
        BODY
        ran(self.rate)
"""
AGAIN = "from model import Model\nm = Model()\ncall(m.step)\nm.x = 5\ncall(m.step)\n"


def written(name: str, verdict: str, body: str) -> None:
    """An attribute that is another one at the second call."""
    GROUP.add(name, verdict, AGAIN, files={"model.py": ONE.replace("BODY", body)}, needs="runtime")


written("attribute_that_is_only_written", "hit", "self.x = self.rate")
written("attribute_that_is_written_before_it_is_read", "hit", "self.x = self.rate; y = self.x")
written("attribute_that_is_read_before_it_is_written", "miss", "y = self.x; self.x = self.rate")
written("attribute_that_is_counted_up", "miss", "self.x += 1")
written("attribute_that_is_read_by_a_computed_name", "miss", "y = getattr(self, 'X'.lower()); self.x = 1")
written(
    "attribute_that_is_written_in_one_branch",
    "miss",
    "if self.rate > 3: self.x = 1\n        ran(self.x)\n        return",
)

STATE = """
seen, total = [0], 0
def count():
    seen[0] += 1
def add():
    global total
    total += 1
class Model:
    pop = None
    known = 0
    def __init__(self): self.rows = []
    def keep(self): self.pop = 2
    def note(self): self.rows.append(1)
    def register(self): type(self).known += 1
m = Model()
def step(): ran(seen, total, m.pop, m.rows, Model.known)
"""
BLOCK = """
import state
from state import count, m
with block() as b:
    if not b.is_cached:
        BODY
call(state.step)
"""


def in_block(name: str, body: str) -> None:
    """A block, whose work a hit skips, changes something for the next step, which hits only if it is there again."""
    GROUP.add(f"{name}_in_a_block", "hit", BLOCK.replace("BODY", body), files={"state.py": STATE}, change={},
              needs="blocks")  # fmt: skip


in_block("item_of_a_list_that_a_function_counts_up", "state.count()")
in_block("function_under_its_own_name_that_counts", "count()")
in_block("function_in_a_loop_that_counts", "for _ in range(3): count()")
in_block("function_imported_there_that_counts", "from state import count as c; c()")
in_block("variable_that_a_function_counts_up", "state.add()")
in_block("attribute_that_a_method_keeps", "m.keep()")
in_block("list_that_a_method_fills", "state.m.note()")
in_block("attribute_of_a_class_that_a_method_counts_up", "m.register()")
in_block("attribute_that_its_text_sets", "m.pop = 2")
