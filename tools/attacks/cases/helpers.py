"""Edits in other modules, packages, native code and data files that a step reaches."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

from attacks.case import Group

GROUP = Group("edits elsewhere in the project")
ONE, TWO = "def rate():\n    return 1\n", "def rate():\n    return 2\n"


def helper(name: str, verdict: str, model: str, one: str = ONE, other: str = TWO, **more: str) -> None:
    """The file ``helper.py`` edited between two processes."""
    GROUP.edits(name, verdict, one, other, file="helper.py", model=model, **more)


USES = "import helper\ndef step():\n    ran(helper.rate())\n"
helper("helper_module_edited", "miss", USES)
helper("helper_function_imported_by_name_edited", "miss", "from helper import rate\ndef step():\n    ran(rate())\n")
helper("helper_function_under_another_name_edited", "miss",
       "from helper import rate as r\ndef step():\n    ran(r())\n")  # fmt: skip
helper("helper_of_a_star_import_edited", "miss", "from helper import *\ndef step():\n    ran(rate())\n")
helper("helper_imported_inside_the_step_edited", "miss",
       "def step():\n    import helper\n    ran(helper.rate())\n")  # fmt: skip
helper("helper_imported_by_importlib_edited", "miss",
       "import importlib\ndef step():\n    ran(importlib.import_module('helper').rate())\n")  # fmt: skip
helper("helper_imported_by_dunder_import_edited", "miss",
       "def step():\n    ran(__import__('helper').rate())\n")  # fmt: skip
helper("helper_imported_by_a_computed_name_edited", "miss",
       "import importlib\ndef step():\n    ran(importlib.import_module('help' + 'er').rate())\n")  # fmt: skip
helper("helper_run_by_runpy_edited", "miss",
       "import runpy\ndef step():\n    ran(runpy.run_path('helper.py')['rate']())\n")  # fmt: skip
helper("helper_reached_through_a_function_in_the_file_edited", "miss",
       "import helper\ndef f():\n    return helper.rate()\ndef step():\n    ran(f())\n")  # fmt: skip
helper("module_two_imports_away_edited", "miss", "import near\ndef step():\n    ran(near.f())\n",
       near="import helper\ndef f():\n    return helper.rate()\n")  # fmt: skip
helper("module_three_imports_away_edited", "miss", "import a\ndef step():\n    ran(a.f())\n",
       a="import b\ndef f():\n    return b.f()\n", b="import helper\ndef f():\n    return helper.rate()\n")  # fmt: skip
helper("module_in_a_circle_of_imports_edited", "miss", USES,
       "import model\ndef rate():\n    return 1\n", "import model\ndef rate():\n    return 2\n")  # fmt: skip
helper("constant_of_a_helper_edited", "miss", "import helper\ndef step():\n    ran(helper.R)\n", "R = 1\n", "R = 2\n")
helper("class_attribute_of_a_helper_edited", "miss", "import helper\ndef step():\n    ran(helper.C.r)\n",
       "class C:\n    r = 1\n", "class C:\n    r = 2\n")  # fmt: skip
helper("base_class_in_a_helper_edited", "miss",
       "import helper\nclass B(helper.A):\n    pass\ndef step():\n    ran(B().f())\n",
       "class A:\n    def f(self): return 1\n", "class A:\n    def f(self): return 2\n")  # fmt: skip
helper("decorator_in_a_helper_edited", "miss", "from helper import deco\n@deco\ndef step():\n    ran()\n",
       "def deco(f):\n    def inner():\n        return f(), 1\n    return inner\n",
       "def deco(f):\n    def inner():\n        return f(), 2\n    return inner\n")  # fmt: skip
helper("comment_in_a_helper_edited", "hit", USES, ONE, "# one\n" + ONE)
helper("formatting_of_a_helper_edited", "hit", USES, ONE, ONE.replace("    return", "\n    return").replace("1", "(1)"))
helper("module_that_the_step_never_reaches_edited", "hit", "def step():\n    ran()\n")
helper("module_imported_by_the_script_only_edited", "hit", "import helper\ndef step():\n    ran()\n")

PACKAGE = {"area/__init__.py": "SCALE = 1\n", "area/zones.py": "def rate():\n    return 1\n"}
IN_PACKAGE = {**PACKAGE, "model.py": "from area.zones import rate\ndef step():\n    ran(rate())\n"}
GROUP.add(
    "package_init_edited",
    "miss",
    files=IN_PACKAGE | {"area/zones.py": "import area\ndef rate():\n    return area.SCALE\n"},
    change={"area/__init__.py": "SCALE = 2\n"},
)
GROUP.add("module_of_a_package_edited", "miss", files=IN_PACKAGE, change={"area/zones.py": TWO})
GROUP.add(
    "relative_import_in_a_package_edited",
    "miss",
    files=IN_PACKAGE | {"area/zones.py": "from .rules import rate\n", "area/rules.py": ONE},
    change={"area/rules.py": TWO},
)
GROUP.add(
    "submodule_found_through_the_package_edited",
    "miss",
    files=IN_PACKAGE | {"model.py": "import area.zones\ndef step():\n    ran(area.zones.rate())\n"},
    change={"area/zones.py": TWO},
)
GROUP.add("unused_module_of_a_package_edited", "hit",
          files=IN_PACKAGE | {"area/other.py": "X = 1\n"}, change={"area/other.py": "X = 2\n"})  # fmt: skip
GROUP.add(
    "module_replaced_by_a_package_of_its_name",
    "miss",
    files={"model.py": USES, "helper.py": ONE},
    change={"helper/__init__.py": TWO},
)
GROUP.add(
    "another_folder_first_on_the_path",
    "miss",
    "import sys\nsys.path.insert(0, 'one')\nfrom model import step\ncall(step)\n",
    again="import sys\nsys.path.insert(0, 'two')\nfrom model import step\ncall(step)\n",
    files={"model.py": USES, "one/helper.py": ONE, "two/helper.py": TWO},
    change={},
    needs="runtime",
)
GROUP.add(
    "helper_edited_and_set_back",
    "hit",
    files={"model.py": USES, "helper.py": ONE},
    change=lambda root: [(root / "helper.py").write_text(text) for text in (TWO, ONE)],
)
GROUP.add(
    "helper_edited_within_one_process",
    "miss",
    """
    import importlib, pathlib
    import helper, model
    call(model.step)
    pathlib.Path("helper.py").write_text("def rate():\\n    return 22\\n")
    importlib.reload(helper)
    call(model.step)
    """,
    files={"model.py": USES, "helper.py": ONE},
    needs="runtime",
)

# data beside the code
READS = "import pathlib\nRATES = pathlib.Path('rates.txt').read_text()\ndef step():\n    ran(RATES)\n"
TABLE = {"rates.txt": "1"}
GROUP.add("data_read_at_import_edited", "miss", files={"model.py": READS, **TABLE}, change={"rates.txt": "2"},
          needs="runtime")  # fmt: skip
GROUP.add(
    "data_read_at_import_of_a_helper_edited",
    "miss",
    files={"model.py": USES, "rates.json": '{"car": 1}', "helper.py": """
    import json
    RATES = json.load(open("rates.json"))
    def rate():
        return RATES["car"]
    """},
    change={"rates.json": '{"car": 2}'},
    needs="runtime",
)  # fmt: skip
DECLARED = "from model import step\ncall(step, depends=['rates.txt'])\n"
OPENS = "def step():\n    with open('rates.txt') as file:\n        ran(file.read())\n"
for name, verdict, change in (
    ("declared_data_file_edited", "miss", {"rates.txt": "2"}),
    ("declared_data_file_written_again_as_it_was", "hit", {"rates.txt": "1"}),
):
    GROUP.add(name, verdict, DECLARED, files={"model.py": OPENS, **TABLE}, change=change, needs="depends")
GROUP.add(
    "declared_folder_of_data_with_a_new_file",
    "miss",
    "from model import step\ncall(step, depends=['rates'])\n",
    files={"model.py": "import os\ndef step():\n    ran(os.listdir('rates'))\n", "rates/a.txt": "1"},
    change={"rates/b.txt": "1"},
    needs="depends",
)

GROUP.add(
    "declared_file_that_is_read_and_executed_edited",
    "miss",
    "from model import step\ncall(step, depends=['helper.py'])\n",
    files={"model.py": "def step():\n    exec(open('helper.py').read())\n    ran()\n", "helper.py": ONE},
    change={"helper.py": TWO},
    needs="depends",
)

# native code
C_MODULE = """
#include <Python.h>
static PyObject *rate(PyObject *self, PyObject *args) { return PyLong_FromLong(RATE); }
static PyMethodDef methods[] = {{"rate", rate, METH_NOARGS, ""}, {0, 0, 0, 0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", "", -1, methods};
PyMODINIT_FUNC PyInit_native(void) { return PyModule_Create(&module); }
"""
BUILD = """
import subprocess, sysconfig
def build(rate):
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-DRATE=" + rate, "-I" + sysconfig.get_paths()["include"], "native.c",
         "-o", "native.so"], check=True)
"""
if shutil.which("gcc") and Path(sysconfig.get_paths()["include"], "Python.h").exists():
    GROUP.add(
        "native_module_built_anew",
        "miss",
        "from build import build\nbuild('1')\nfrom model import step\ncall(step)\n",
        again="from build import build\nbuild('2')\nfrom model import step\ncall(step)\n",
        files={
            "model.py": "import native\ndef step():\n    ran(native.rate())\n",
            "native.c": C_MODULE,
            "build.py": BUILD,
        },
        change={},
    )


def rebuild(root: Path) -> None:
    """Compile a plain shared library with another constant."""
    compile_library(root, "int rate(void) { return 2; }")


def compile_library(root: Path, text: str) -> None:
    """Build ``librate.so``; without a compiler, a file that stands for it."""
    library = root / "librate.so"
    if not shutil.which("gcc"):
        library.write_text(text)
        return
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)], input=text, text=True, check=True)


GROUP.add(
    "declared_library_of_another_language_replaced",
    "miss",
    "from model import step\ncall(step, depends=['librate.so'])\n",
    files={"model.py": "def step():\n    ran(open('librate.so', 'rb').read())\n", "librate.so": b"\x7fELF"},
    change=rebuild,
    needs="depends",
)


def at_import(name: str, text: str) -> None:
    """A module that makes something of ``rate.txt`` when it is imported; the file is edited between two processes."""
    GROUP.edits(f"{name}_made_at_import", "miss", "1\n", "2\n", file="rate.txt", model=USES, helper=text)


READS = "int(open('rate.txt').read())"
at_import("closure_of_a_decorated_helper",
          "def scaled(r):\n    def deco(f):\n        def inner():\n            return f() * r\n        return inner\n"
          f"    return deco\n@scaled({READS})\ndef rate():\n    return 1\n")  # fmt: skip
at_import("value_bound_by_for", "for R in open('rate.txt'):\n    pass\ndef rate():\n    return R\n")
at_import("value_bound_by_a_walrus", f"if (R := {READS}) > 5:\n    pass\ndef rate():\n    return R\n")
at_import("value_bound_by_a_pattern", f"match [{READS}]:\n    case [R]:\n        pass\ndef rate():\n    return R\n")
at_import("value_bound_where_another_failed",
          f"try:\n    import none\nexcept ImportError:\n    R = {READS}\ndef rate():\n    return R\n")  # fmt: skip
at_import("function_chosen_by_a_condition",
          f"if {READS} > 1:\n    def rate():\n        return 2\nelse:\n    def rate(): return 1\n")  # fmt: skip
at_import("class_value_under_a_condition",
          f"class C:\n    if True:\n        r = {READS}\ndef rate():\n    return C.r\n")  # fmt: skip
