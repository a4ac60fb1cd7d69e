"""Of R13: functions from a small grammar, in modules on disk, whose identities must tell what a model tells."""

from __future__ import annotations

import ast
import dis
import importlib
import random
import shutil
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from consist_es.identity.code.modes import code_identity
from torture.trial import Trial

CONSTANTS = ("0", "1", "1.0", "True", "False", "2", "'a'", "'1'", "-0.0", "0.0", "None", "()", "(1,)", "[1]", "{1:1}")
ARGUMENTS: tuple[Any, ...] = (0, 1, 2.5, "b")
GLOBALS, HELPERS = ("K0", "K1", "K2"), ("h0", "h1")


class Program(NamedTuple):
    """A module with a step; expressions and constants are Python text."""

    globals: tuple[str, ...]
    """Values of `GLOBALS`."""
    helpers: tuple[str, ...]
    """What `HELPERS` return; a helper calls only those after it."""
    weight: str
    """An attribute of a class that some expressions use."""
    far: str
    """A constant of another module, which some expressions reach by a function of it."""
    default: str
    keyword: str
    closure: str
    body: str


def _expression(chance: random.Random, names: tuple[str, ...], calls: tuple[str, ...], depth: int = 2) -> str:
    """An expression over these names and functions."""
    if not depth or chance.random() < 0.2:
        return chance.choice([*names, *names, chance.choice(CONSTANTS)])
    one, two = (_expression(chance, names, calls, depth - 1) for _ in range(2))
    forms = [
        f"({one} + {two})", f"({one} == {two})", f"[{one}, {two}]", f"({one} if {two} else 3)", f"str({one})",
        f"(lambda z: [z, {one}])({two})", f"[[q, {one}] for q in range(2)]", f"({one} and {two})", f"-{one}",
        *(f"{call}({one})" for call in calls * 2),
    ]  # fmt: skip
    return chance.choice(forms)


def some_program(chance: random.Random) -> Program:
    helpers = (
        _expression(chance, ("x", *GLOBALS), ("h1", "far", "Box")),
        _expression(chance, ("x", *GLOBALS), ("far",)),
    )
    body = _expression(chance, ("x", "d", "e", "c", *GLOBALS), ("h0", "h1", "far", "Box"), 3)
    weight, far, default, keyword, closure, *values = chance.choices(CONSTANTS, k=5 + len(GLOBALS))
    return Program(tuple(values), helpers, weight, far, default, keyword, closure, body)


def changed(program: Program, chance: random.Random) -> Program:
    """The same program with one thing changed, or now and then with none."""
    what = chance.choice([*Program._fields, "body", "body", "helpers"])
    if what == "globals" or what == "helpers":
        values = list(getattr(program, what))
        place = chance.randrange(len(values))
        values[place] = chance.choice(CONSTANTS) if what == "globals" else getattr(some_program(chance), what)[place]
        return Program(**{**program._asdict(), what: tuple(values)})
    if what == "body" and chance.random() < 0.7:  # one constant in it, or one operator
        there = [text for text in (*CONSTANTS, " + ", " == ", *GLOBALS) if text in program.body]
        old = chance.choice([*there, ""])
        new = chance.choice([" + ", " == "]) if old.startswith(" ") else chance.choice(CONSTANTS)
        body = program.body.replace(old, new, 1)
        try:
            compile(body, "", "eval")
        except SyntaxError:
            return program
        return program._replace(body=body)
    return Program(**{**program._asdict(), what: getattr(some_program(chance), what)})


def texts(program: Program, chance: random.Random) -> dict[str, str]:
    """The module's file and the other's. What `chance` decides is of no account: comments, docstrings, layout, order,
    what no one reaches."""

    def remark() -> str:
        return chance.choice(["", "", "\n", f"# {chance.random()}\n", "\n\n# x\n\n"])

    def doc(indent: str) -> str:
        return chance.choice(["", "", f'{indent}"""Of no account: {chance.random()}."""\n'])

    def spaced(text: str) -> str:
        return chance.choice([text, f"({text})", f"(\n        {text}\n    )"])

    functions = [
        f"def {name}(x):\n{doc('    ')}{chance.choice(['', '    # here'])}\n    return {spaced(text)}\n"
        for name, text in zip(HELPERS, program.helpers, strict=True)
    ]
    functions.append(
        f"class Box:\n    weight = {program.weight}\n    def __init__(self, x):\n        self.x = x\n"
        "    def __repr__(self):\n        return f'<{self.x!r} {self.weight!r}>'\n    __hash__ = None\n"
    )
    functions += chance.choice([[], [f"def nobody_calls_this():\n    return {chance.random()}\n"]])
    values = [f"{name} = {value}\n" for name, value in zip(GLOBALS, program.globals, strict=True)]
    chance.shuffle(functions)
    chance.shuffle(values)
    step = (
        f"def made(c):\n    def step(x, d={program.default}, *, e={program.keyword}):\n{doc('        ')}"
        f"        return {spaced(program.body)}\n    return step\nstep = made({program.closure})\n"
    )
    head = f"{doc('')}from part import far\n"
    return {
        "model.py": head + remark().join([*values, *functions, step]),
        "part.py": f"FAR = {program.far}\ndef far(x):\n    return [x, FAR]\n",
    }


def work(program: Program) -> str:
    """What counts: the step's own text, and of everything else what it reaches."""
    reached, todo = {"body": program.body}, [program.body]
    while todo:
        for name in _names(compile(todo.pop(), "", "eval")) - reached.keys():
            reached[name] = _part(program, name)
            todo.append(reached[name] if name in HELPERS else "0")
    captured = any(isinstance(node, ast.Name) and node.id == "c" for node in ast.walk(ast.parse(program.body)))
    return repr((sorted(reached.items()), program.default, program.keyword, program.closure if captured else ""))


def _names(code: types.CodeType) -> set[str]:
    """Names of the module that code reads; what the compiler leaves out, like ``if False``, does not."""
    inner = [_names(const) for const in code.co_consts if isinstance(const, types.CodeType)]
    own = {one.argval for one in dis.get_instructions(code) if one.opname in ("LOAD_NAME", "LOAD_GLOBAL")}
    return own.union(*inner) & {*GLOBALS, *HELPERS, "Box", "far"}


def _part(program: Program, name: str) -> str:
    if name in GLOBALS:
        return program.globals[GLOBALS.index(name)]
    if name in HELPERS:
        return program.helpers[HELPERS.index(name)]
    return program.weight if name == "Box" else program.far


@contextmanager
def modules_of_our_own() -> Iterator[None]:
    """Leave the interpreter's modules as they were."""
    before, bytecode = list(sys.path), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path[:], sys.dont_write_bytecode = before, bytecode
        for name in ("model", "part"):
            sys.modules.pop(name, None)


def loaded(place: Path, files: dict[str, str]) -> Callable[..., Any]:
    """The step of a module that is written and imported afresh."""
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name).write_text(text)
    for name in ("model", "part"):
        sys.modules.pop(name, None)
    sys.path[:] = [str(place), *(path for path in sys.path if not path.startswith(str(place.parent)))]
    importlib.invalidate_caches()
    step: Callable[..., Any] = importlib.import_module("model").step
    return step


def _results(step: Callable[..., Any]) -> str:
    found = []
    for argument in ARGUMENTS:
        try:
            found.append(repr(step(argument)))
        except Exception as error:  # noqa: BLE001  whatever a random program raises is its result
            found.append(repr(error))
    return "\n".join(found)


def code_pairs(trial: Trial, count: int) -> None:
    """`count` pairs of programs; the same identity exactly where the model says that the work is the same, and in any
    case another one where the results are others."""
    chance, folder = trial.random, trial.room("code")
    with modules_of_our_own():
        for number in trial.cases(count):
            one = some_program(chance)
            two = one if chance.random() < 0.3 else changed(one, chance)
            found = []
            for name, program in (("a", one), ("b", two)):
                files = texts(program, chance)
                step = loaded(folder / f"{number}{name}", files)
                identity = code_identity(step, project_root=folder / f"{number}{name}")
                found.append((identity.digest, _results(step), files["model.py"], identity.unstable))
                shutil.rmtree(folder / f"{number}{name}")
            _judge(trial, work(one) == work(two), *found)
    shutil.rmtree(folder)


def _judge(trial: Trial, same: bool, one: tuple[Any, ...], two: tuple[Any, ...]) -> None:
    trial.tell("pairs of functions")
    trial.tell("of them the same work", int(same))
    equal = one[0] == two[0]
    if one[3] or two[3]:
        trial.fail(f"no identity: {one[3]} {two[3]} of\n{one[2]}\n{two[2]}")
    if equal and one[1] != two[1]:
        trial.fail(f"one key, and other results:\n{one[2]}\n{two[2]}\n{one[1]}\n{two[1]}")
    elif equal != same:
        kind = "one key for other" if equal else "two keys for the same"
        trial.fail(f"{kind} work:\n{one[2]}\n{two[2]}")
