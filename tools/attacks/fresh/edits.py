"""Edits of a program: of the value behind a source, or of no account."""

import ast
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatch

from attacks.fresh.programs import HOMES, MAIN, Program
from attacks.fresh.rendering import Project, State, path_of, rendered, turned

OWN = ("main.py", "steps.py", "lib.py", "model/*.py", "part*.py", "params*.py", "effect*.py", "late_*.py")
"""Modules whose text is edited; other files of code are read as data by some sources."""


@dataclass(frozen=True)
class Edit:
    """One edit: the state after it, and what it may change."""

    name: str
    after: State
    chain: int | None = None
    """The chain whose value changed; None for an edit of no account."""
    excused: frozenset[int] = frozenset()
    """Steps that the edit is one of: they may run again."""


def project(program: Program, state: State) -> Project:
    """The program's files in a state, with its remarks."""
    made = rendered(program, state)
    for kind, seed, file in state.remarks:
        REMARKS[kind](made, random.Random(seed), file)
    return made


def planned(program: Program) -> list[Edit]:
    """The edits that a program goes through, one after the other."""
    chance = random.Random(f"edits {program.label}")
    state = State(tuple(0 for _ in program.chains))
    if program.within:
        change = Edit("value set by the script", replace(state, live=0), 0)
        return [Edit("called again", replace(state, live=-1)), change]
    found: list[Edit] = []
    for chain in (0, chance.randrange(len(program.chains))):
        found.append(of_no_account(program, state, chance))
        state = found[-1].after
        count = len(program.chains[chain].values)
        state = turned(state, chain, (state.values[chain] + chance.randint(1, count - 1)) % count)
        found.append(Edit("value", state, chain))
    return [*found, of_no_account(program, state, chance)]


def of_no_account(program: Program, state: State, chance: random.Random) -> Edit:
    """An edit after which every step must hit, but for those that are excused."""
    kind = chance.choice(("rerun", "level", "extra step", "print in a step", *REMARKS))
    step = chance.choice(program.steps)
    home = chance.choice((MAIN, step.home))
    if kind == "rerun":
        return Edit(kind, state)
    if kind == "level":
        return Edit("log level", replace(state, level=chance.choice(("DEBUG", "WARNING", "ERROR"))))
    if kind == "extra step":
        return Edit(kind, replace(state, extra=(*state.extra, home)), excused=others(program, home))
    if kind == "print in a step":
        spoken = replace(state, spoken=state.spoken ^ {step.number})
        every = {one.number for one in program.steps if program.model}  # they are methods of the class that is edited
        return Edit(kind, spoken, excused=frozenset({step.number, *every}) | others(program, step.home))
    kinds = [kind, chance.choice([*REMARKS])] if chance.random() < 0.5 else [kind]
    more = tuple((one, chance.randrange(10**9), path_of(HOMES[home]) if one in GROWTH else "") for one in kinds)
    excused = others(program, home) if any(one in GROWTH for one in kinds) else frozenset()
    return Edit(", ".join(kinds), replace(state, remarks=(*state.remarks, *more)), excused=excused)


def others(program: Program, home: int) -> frozenset[int]:
    """Steps of other modules than this one, if that is no script: modules that a step imports count as a whole."""
    return frozenset(step.number for step in program.steps if step.home != home != MAIN)


# ---------------------------------------------------------------- edits of the text

Remark = Callable[[Project, random.Random, str], None]
"""What an edit does: the project, chance, and the file, if that counts."""
REMARKS: dict[str, Remark] = {}
GROWTH = frozenset({"unrelated function", "unrelated constant", "unrelated class", "print in a module"})
"""Edits that add a statement to a module."""


def remark(name: str) -> Callable[[Remark], Remark]:
    """Enter an edit of no account."""

    def keep(fn: Remark) -> Remark:
        REMARKS[name] = fn
        return fn

    return keep


def chosen(made: Project, chance: random.Random) -> tuple[str, str]:
    """One of the program's modules: name and text."""
    every = sorted(name for name in made.files if any(fnmatch(name, kind) for kind in OWN) and made.files[name])
    name = chance.choice(every)
    return name, made.files[name].decode()


def inserted(text: str, new: str, chance: random.Random) -> str:
    """The text with a statement or comment between two of its top-level statements."""
    body = ast.parse(text).body
    starts = [min([one.lineno, *(d.lineno for d in getattr(one, "decorator_list", []))]) for one in body]
    lines = text.splitlines()
    place = chance.choice([*starts[1:], len(lines) + 1])
    return "\n".join([*lines[: place - 1], new, *lines[place - 1 :]]) + "\n"


def everywhere(new: Callable[[random.Random], str]) -> Remark:
    """An insertion into one of the modules."""

    def change(made: Project, chance: random.Random, file: str) -> None:
        name, text = (file, made.files[file].decode()) if file else chosen(made, chance)
        made.files[name] = inserted(text, new(chance), chance).encode()

    return change


remark("comment")(everywhere(lambda chance: f"# {chance.random()}"))
remark("blank lines")(everywhere(lambda chance: "\n" * chance.randint(1, 4)))
remark("unrelated function")(
    everywhere(lambda chance: f"def nobody_{chance.randrange(10**6)}():\n    return {chance.random()}")
)
remark("unrelated constant")(everywhere(lambda chance: f"NOBODY_{chance.randrange(10**6)} = {chance.random()}"))
remark("unrelated class")(
    everywhere(lambda chance: f"class Nobody{chance.randrange(10**6)}:\n    x = {chance.random()}")
)
remark("print in a module")(everywhere(lambda chance: f"print('loaded {chance.random()}')"))


@remark("print in the script")
def _print(made: Project, chance: random.Random, file: str) -> None:
    text = made.files["main.py"].decode()
    made.files["main.py"] = inserted(text, f"print('hello {chance.random()}')", chance).encode()


@remark("neutral statement")
def _neutral(made: Project, chance: random.Random, file: str) -> None:
    text = made.files["main.py"].decode()
    new = chance.choice(
        (
            'import os\nos.makedirs("plots", exist_ok=True)',
            'import sys\nsys.path.append("elsewhere")',
            'import warnings\nwarnings.filterwarnings("ignore", message="old")',
            'import logging\nlogging.getLogger("matplotlib").setLevel(logging.ERROR)',
        )
    )
    made.files["main.py"] = inserted(text, new, chance).encode()


@remark("module docstring")
def _module_doc(made: Project, chance: random.Random, file: str) -> None:
    name, text = chosen(made, chance)
    made.files[name] = f'"""Of no account: {chance.random()}."""\n{text}'.encode()


@remark("docstring")
def _doc(made: Project, chance: random.Random, file: str) -> None:
    name, text = chosen(made, chance)
    tree = ast.parse(text)
    places = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    places = [node for node in places if node.body[0].lineno > node.lineno and not decorated(node.body[0])]
    if not places:
        return
    node = chance.choice(places)
    first, lines = node.body[0], text.splitlines()
    doc = " " * first.col_offset + f'"""Of no account: {chance.random()}."""'
    old = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    rest = lines[(first.end_lineno or 0) :] if old else lines[first.lineno - 1 :]
    made.files[name] = ("\n".join([*lines[: first.lineno - 1], doc, *rest]) + "\n").encode()


def decorated(node: ast.stmt) -> bool:
    """Whether the line of a statement is not its first."""
    return bool(getattr(node, "decorator_list", []))


@remark("reformatted")
def _reformatted(made: Project, chance: random.Random, file: str) -> None:
    name, text = chosen(made, chance)
    made.files[name] = (ast.unparse(ast.parse(text)) + "\n").encode()


@remark("unrelated module")
def _module(made: Project, chance: random.Random, file: str) -> None:
    made.files["unused.py"] = f"RATE = {chance.random()}\ndef step_1():\n    return RATE\n".encode()


@remark("unrelated file")
def _file(made: Project, chance: random.Random, file: str) -> None:
    made.files[chance.choice(("notes.txt", "figures/map.svg", "README.md"))] = f"{chance.random()}\n".encode()


@remark("unrelated variable")
def _variable(made: Project, chance: random.Random, file: str) -> None:
    made.env["NOBODY_READS"] = str(chance.random())


@remark("touch")
def _touch(made: Project, chance: random.Random, file: str) -> None:
    made.touched = chance.choice(sorted(made.files))
