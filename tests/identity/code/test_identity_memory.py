"""What a process remembers of code gives the identity that a process without a past gives, whatever was changed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HELPER = """
import enum, functools, os
import memory_dist, memory_other
from memory_other import LIMIT, Base, doubled

RATE = 1.5
TABLE = {"a": [1, 2]}
SETTING = os.environ.get("MEMORY_SETTING", "none")

class Colour(enum.Enum):
    RED = 1

class Model(Base):
    share = 0.5
    def size(self, by=2): return self.share * by

class Error(ValueError):
    pass

class Entry:
    def __init__(self, fn): self.fn = fn

@Entry
def entered(): return 1

@doubled
def twice(): return RATE

def plain(a=1, *, b=2): return a + b

def everything():
    import memory_late
    return LIMIT, RATE, TABLE, SETTING, Colour, Model, Error, entered, twice, plain, memory_other, memory_late.X, \
        os.environ.get("MEMORY_NOW")
"""
OTHER = """
LIMIT = 3
class Base: pass
class Second: pass
def doubled(fn):
    def inner(): return [fn()] * 2
    return inner
"""
STEP = "import memory_helper\ndef step(): return memory_helper.everything()\n"
LOOK = """
import importlib, json, os, pathlib, sys
sys.path[:0] = ["first", "second", "site-packages"]
change = pathlib.Path("change.txt").read_text()
when = sys.argv[1]
place = pathlib.Path(".").resolve()

def write(name, old, new):
    path = place / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))

if when == "before" and change.startswith("# files"):
    exec(change)
import json as installed
import memory_step, memory_helper as m, memory_other as o
from consist_es.identity.code.modes import code_identity
from consist_es.identity.installed import packages

def look():
    found = code_identity(memory_step.step, project_root=place)
    return [found.digest, found.parts, sorted(found.unstable), packages.versions(found.installed)]

if when == "before":
    if not change.startswith("# files"):
        exec(change)
    print(json.dumps([look()]))
else:
    first, again = look(), look()
    exec(change)
    for name in ("memory_other", "memory_helper", "memory_step") if change.startswith("# files") else ():
        importlib.invalidate_caches()
        if name + ".py" in change:
            del sys.modules[name]
            for other in ("memory_other", "memory_helper", "memory_step"):
                sys.modules.pop(other, None)
            import memory_step, memory_helper as m, memory_other as o
    print(json.dumps([first, again, look(), look()]))
"""
"""Looks at the step in a process that sees the change at once, or only after it has looked twice."""
CHANGES = {
    "nothing": "",
    "a file is edited and loaded again": "# files\nwrite('second/memory_helper.py', 'share = 0.5', 'share = 0.75')",
    "a file, to another text of the same length": "# files\nwrite('second/memory_other.py', 'LIMIT = 3', 'LIMIT = 4')",
    "a file that is not loaded yet": "# files\nwrite('second/memory_late.py', 'X = 1', 'X = 2')",
    "a module that shadows one that is not loaded yet": "# files\n(place / 'first/memory_late.py').write_text('X = 7')",
    "a package that shadows one": (
        "# files\n(place / 'first/memory_late').mkdir()\n(place / 'first/memory_late/__init__.py').write_text('X = 7')"
    ),
    "a module that is gone": "# files\n(place / 'second/memory_late.py').unlink()",
    "a variable of the environment": "os.environ['MEMORY_NOW'] = 'new'",
    "a number": "m.RATE = 2.5",
    "a number in a dict": "m.TABLE['a'].append(3)",
    "a function": "m.plain = lambda a=1, *, b=2: 7",
    "a function's code": "m.plain.__code__ = (lambda a=1, *, b=2: 7).__code__",
    "a default": "m.plain.__defaults__ = (8,)",
    "a default by keyword": "m.plain.__kwdefaults__['b'] = 8",
    "an attribute of a function": "m.plain.unit = 'km'",
    "a method's default": "m.Model.size.__defaults__ = (9,)",
    "a method": "m.Model.size = lambda self, by=2: 0",
    "the bases of a class": "m.Model.__bases__ = (o.Second,)",
    "what a base class is called there": "o.Base = o.Second; m.Base = o.Second",
    "a class by another of its name": "m.Model = type('Model', (o.Base,), {'share': 0.5})",
    "the name of a class": "m.Model.__qualname__ = 'Another'",
    "a value of an enum": "m.Colour.RED._value_ = 5",
    "an attribute of an enum's member": "m.Colour.RED.hue = 5",
    "the function in what stands in its place": "m.entered.fn = m.plain",
    "what a wrapper holds": "m.twice.__closure__[0].cell_contents = m.plain",
    "a module that stands for another": "m.memory_other = o.Base",
    "a builtin that a class is based on": (
        "import builtins; m.__builtins__ = {**vars(builtins), 'ValueError': KeyError}"
    ),
    "an upgrade of an installed package": (
        "s = place / 'site-packages'; (s / 'memory_dist-1.0.dist-info').rename(s / 'memory_dist-2.0.dist-info')\n"
        "write('site-packages/memory_dist-2.0.dist-info/METADATA', '1.0', '2.0')"
    ),
    "a function of an installed module": "import enum; enum.unique = m.plain",
    "a method of an installed class": "import enum; enum.Flag.__len__ = m.plain",
}


def looks(folder: Path, when: str) -> list[list[object]]:
    done = subprocess.run(
        [sys.executable, "-c", "import look", when], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[list[object]] = json.loads(done.stdout)
    return found


def write(folder: Path, change: str) -> Path:
    for name, text in (("helper", HELPER), ("other", OTHER), ("step", STEP), ("late", "X = 1\n")):
        (folder / "second").mkdir(parents=True, exist_ok=True)
        (folder / "second" / f"memory_{name}.py").write_text(text)
    (folder / "first").mkdir()
    record = folder / "site-packages" / "memory_dist-1.0.dist-info"
    record.mkdir(parents=True)
    (folder / "site-packages" / "memory_dist.py").write_text("Y = 1\n")
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: memory-dist\nVersion: 1.0\n")
    (record / "RECORD").write_text("memory_dist.py,,\n")
    (folder / "look.py").write_text(LOOK)
    (folder / "change.txt").write_text(change)
    return folder


@pytest.mark.parametrize("what", CHANGES)
def test_a_look_after_a_change_is_that_of_a_process_without_a_past(what: str, tmp_path: Path) -> None:
    folders = [write(tmp_path / when / "project", CHANGES[what]) for when in ("after", "before")]
    first, again, *after = looks(folders[0], "after")
    (fresh,) = looks(folders[1], "before")
    assert first == again
    assert after == [fresh, fresh]
    if what != "nothing":
        assert first != fresh, "the change is not seen at all"
