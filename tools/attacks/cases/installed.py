"""Installed models, packages that are links, zip files, and modules that finders make."""

import io
import marshal
import zipfile
from collections.abc import Mapping
from importlib.util import MAGIC_NUMBER

from attacks.case import Group

GROUP = Group("installed models and other places of code")

SITE = "env/site-packages"
MAIN = f"""
import os, sys
sys.path.insert(0, os.path.abspath({SITE!r}))
from model import step
call(step)
"""
ONE, TWO = "def rate():\n    return 1\n", "def rate():\n    return 2\n"
USES = "import area\ndef step():\n    ran(area.rate())\n"
LATE = "def step():\n    from area import rate\n    ran(rate())\n"
FOLDER = '{"url": "file:///src/area", "dir_info": {}}'
ARCHIVE = '{"url": "file:///dist/area-1.0.tar.gz", "archive_info": {}}'
REPOSITORY = '{"url": "https://host.example/area", "vcs_info": {"vcs": "git", "commit_id": "00"}}'

Files = dict[str, str | bytes]


def installed(name: str, version: str, modules: Mapping[str, str], url: str | None = None) -> Files:
    """The files of a distribution: its modules by path, and its metadata."""
    meta = {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "INSTALLER": "pip\n"}
    meta |= {} if url is None else {"direct_url.json": url}
    found: Files = {**modules, **{f"{name}.dist-info/{file}": text for file, text in meta.items()}}
    found[f"{name}.dist-info/RECORD"] = "".join(f"{path},,\n" for path in found)
    return {f"{SITE}/{path}": text for path, text in found.items()}


def area(version: str, url: str | None = None, text: str = ONE, core: str | None = None) -> Files:
    """The distribution `area`: a package, with a module `core` if there is text for it."""
    modules = {"area/__init__.py": text, **({} if core is None else {"area/core.py": core})}
    return installed("area", version, modules, url)


def upgrade(name: str, verdict: str, before: Files, after: Files, model: str = USES) -> None:
    """A distribution that is installed anew between two processes."""
    GROUP.add(name, verdict, MAIN, files={"model.py": model, **before}, change=after)


for kind, url in (("a_folder", FOLDER), ("an_archive", ARCHIVE), ("a_repository", REPOSITORY)):
    upgrade(f"model_installed_from_{kind}_upgraded", "miss", area("1", url), area("2", url, TWO))
    upgrade(f"model_installed_from_{kind}_again_under_its_version", "miss", area("1", url), area("1", url, TWO), LATE)
upgrade(
    "model_installed_from_a_folder_with_another_comment", "hit", area("1", FOLDER), area("2", FOLDER, f"# 2\n{ONE}")
)
upgrade("module_that_an_installed_model_imports", "miss", area("1", FOLDER, "from area.core import rate\n", ONE),
        area("1", FOLDER, "from area.core import rate\n", TWO))  # fmt: skip
COMPUTED = """
import importlib
def rate(name="co" + "re"):
    return importlib.import_module(f"area.{name}").rate()
"""
upgrade("installed_model_that_computes_its_imports", "miss", area("1", FOLDER, COMPUTED, ONE),
        area("1", FOLDER, COMPUTED, TWO))  # fmt: skip
GROUP.add("installed_model_that_computes_its_imports_again", "hit", MAIN + "call(step)\n",
          files={"model.py": USES, **area("1", FOLDER, COMPUTED, ONE)})  # fmt: skip
upgrade("other_package_in_another_version", "hit", area("1"), area("2"))
upgrade(
    "package_that_the_step_never_reaches", "hit", area("1", FOLDER), area("2", FOLDER, TWO), "def step():\n    ran()\n"
)

STEP = "from area.core import rate\ndef step():\n    ran(rate())\n"
FROM_AREA = "from area import step\n"
upgrade("distribution_of_the_step_upgraded", "miss", area("1", None, STEP, ONE), area("2", None, STEP, TWO), FROM_AREA)
upgrade("distribution_of_the_step_in_another_version", "hit", area("1", None, STEP, ONE), area("2", None, STEP, ONE),
        FROM_AREA)  # fmt: skip
METHOD = "class Model:\n    def run(self):\n        ran(1)\n"
upgrade("distribution_of_a_method_upgraded", "miss", area("1", None, METHOD), area("2", None, METHOD.replace("1", "2")),
        "from area import Model\nstep = Model().run\n")  # fmt: skip
upgrade("distribution_of_a_partial_upgraded", "miss", area("1", None, STEP, ONE), area("2", None, STEP, TWO),
        "import area, functools\nstep = functools.wraps(area.step)(functools.partial(area.step))\n")  # fmt: skip
GROUP.add("setting_in_another_module_of_the_distribution_of_the_step", "miss", f"""
    import os, sys
    sys.path.insert(0, os.path.abspath({SITE!r}))
    import area.core
    area.core.RATE = int(open("rate.txt").read())
    call(area.step)
    """, files={**area("1", None, "from area import core\ndef step():\n    ran(core.RATE)\n", "RATE = 0\n"),
                "rate.txt": "1"}, change={"rate.txt": "2"})  # fmt: skip
SPACE = {**installed("space-area", "1", {"space/area/__init__.py": ONE}, FOLDER),
         **installed("space-other", "1", {"space/other/__init__.py": ONE})}  # fmt: skip
for late, model in (
    ("", "import space.area\ndef step():\n    ran(space.area.rate())\n"),
    ("_imported_inside_the_step", "def step():\n    from space import area\n    ran(area.rate())\n"),
):
    GROUP.add(f"namespace_that_two_distributions_share{late}", "miss", MAIN, files={"model.py": model, **SPACE},
              change={f"{SITE}/space/area/__init__.py": TWO})  # fmt: skip
GROUP.add("package_copied_by_hand", "miss", MAIN, files={"model.py": USES, f"{SITE}/area/__init__.py": ONE},
          change={f"{SITE}/area/__init__.py": TWO})  # fmt: skip

LINKED = f"""
import os, sys
os.makedirs({SITE!r}, exist_ok=True)
if not os.path.lexists({SITE!r} + "/NAME"):
    os.symlink(os.path.abspath("src/NAME"), {SITE!r} + "/NAME")
{MAIN.lstrip()}"""
for what, name, path in (("package", "area", "src/area/__init__.py"), ("module", "area.py", "src/area.py")):
    for late, model in (("", USES), ("_imported_inside_the_step", LATE)):
        meta = {key: text for key, text in area("1").items() if not key.endswith(".py")}
        GROUP.add(f"{what}_that_is_a_link_among_the_packages{late}", "miss", LINKED.replace("NAME", name),
                  files={"model.py": model, path: ONE, **meta}, change={path: TWO})  # fmt: skip


def zipped(**modules: str | bytes) -> bytes:
    """A zip file with modules, by name, with ``__`` for the dot before the ending."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in modules.items():
            archive.writestr(name.replace("__", "."), text)
    return content.getvalue()


def compiled(text: str) -> bytes:
    """What a file with compiled code holds, for an interpreter like this one."""
    return MAGIC_NUMBER + bytes(12) + marshal.dumps(compile(text, "area.py", "exec"))


ZIP = MAIN.replace(SITE, "lib.zip")
for late, model in (("", USES), ("_imported_inside_the_step", LATE)):
    GROUP.add(f"module_in_a_zip_file{late}", "miss", ZIP, files={"model.py": model, "lib.zip": zipped(area__py=ONE)},
              change={"lib.zip": zipped(area__py=TWO)})  # fmt: skip
    GROUP.add(f"compiled_module_in_a_zip_file{late}", "miss", ZIP,
              files={"model.py": model, "lib.zip": zipped(area__pyc=compiled(ONE))},
              change={"lib.zip": zipped(area__pyc=compiled(TWO))})  # fmt: skip
    GROUP.add(f"module_without_source{late}", "miss", MAIN,
              files={"model.py": model, f"{SITE}/area.pyc": compiled(ONE)},
              change={f"{SITE}/area.pyc": compiled(TWO)})  # fmt: skip
GROUP.add("module_in_a_zip_file_with_another_comment", "hit", ZIP,
          files={"model.py": USES, "lib.zip": zipped(area__py=ONE)},
          change={"lib.zip": zipped(area__py=f"# 2\n{ONE}")})  # fmt: skip
GROUP.add("step_in_a_zip_file", "miss", ZIP.replace("model", "area"),
          files={"lib.zip": zipped(area__py="def step():\n    ran(1)\n")},
          change={"lib.zip": zipped(area__py="def step():\n    ran(2)\n")})  # fmt: skip

FINDER = """
import importlib.abc, importlib.util, sys
class Loader(importlib.abc.InspectLoader):
    def get_source(self, name):
        return open("area.txt").read()
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "area":
            return HOW
sys.meta_path.append(Finder)
from model import step
call(step)
"""
FILE = 'importlib.util.spec_from_file_location(name, "elsewhere/area.py")'
MADE = "importlib.util.spec_from_loader(name, Loader())"
KEPT = 'importlib.util.spec_from_file_location(name, "/nowhere/area.py", loader=Loader())'
for late, model in (("", USES), ("_imported_inside_the_step", LATE)):
    GROUP.add(f"module_that_a_finder_knows{late}", "miss", FINDER.replace("HOW", FILE),
              files={"model.py": model, "elsewhere/area.py": ONE}, change={"elsewhere/area.py": TWO})  # fmt: skip
    GROUP.add(f"module_that_a_finder_makes{late}", "miss", FINDER.replace("HOW", MADE),
              files={"model.py": model, "area.txt": ONE}, change={"area.txt": TWO})  # fmt: skip
    GROUP.add(f"module_of_a_file_that_only_its_loader_knows{late}", "miss", FINDER.replace("HOW", KEPT),
              files={"model.py": model, "area.txt": ONE}, change={"area.txt": TWO})  # fmt: skip
    GROUP.add(f"module_of_a_file_that_only_its_loader_knows_again{late}", "hit",
              FINDER.replace("HOW", KEPT) + "call(step)\n", files={"model.py": model, "area.txt": ONE})  # fmt: skip
GROUP.add("module_made_by_hand", "miss", """
    import sys, types
    area = types.ModuleType("area")
    exec(open("area.txt").read(), vars(area))
    sys.modules["area"] = area
    from model import step
    call(step)
    """, files={"model.py": USES, "area.txt": ONE}, change={"area.txt": TWO})  # fmt: skip
GROUP.add("module_written_after_the_step_was_first_asked_for", "miss", """
    import importlib
    from pathlib import Path
    from model import step
    Path("area.py").unlink(missing_ok=True)
    call(step)
    Path("area.py").write_text(Path("area.txt").read_text())
    importlib.invalidate_caches()
    call(step)
    """, files={"area.txt": ONE, "model.py": """
        def step():
            try:
                import area
            except ImportError:
                return ran(0)
            ran(area.rate())
        """}, change={"area.txt": TWO})  # fmt: skip
for kind, body, folder in (
    ("", "import area; ran(area.rate())", ""),
    ("_by_name", "from area import rate; ran(rate())", ""),
    ("_by_a_relative_name", "from . import area; ran(area.rate())", "model/"),
):
    made = {f"{folder}__init__.py" if folder else "model.py": f'exec("def step(): {body}")\n'}
    GROUP.add(f"module_imported{kind}_inside_a_function_without_source", "miss",
              files={"model.py": "", **made, f"{folder}area.py": ONE}, change={f"{folder}area.py": TWO})  # fmt: skip
