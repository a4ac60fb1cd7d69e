"""Programs that a step starts: of an installed package, of the project, and what they write."""

from attacks.case import Group
from attacks.cases.installed import FOLDER, SITE, Files, installed

GROUP = Group("programs that a step starts")

PRINTS = "import os\nprint(1)\n"
BY_PYTHON = f"""
import os, subprocess, sys
os.environ["PYTHONPATH"] = os.path.abspath({SITE!r})
def step():
    ran(subprocess.run([sys.executable, "-m", "area"], capture_output=True, text=True, check=True).stdout)
"""
BY_SHELL = f"""
import os, sys
os.environ["PYTHONPATH"] = os.path.abspath({SITE!r})
def step():
    os.system(f"{{sys.executable}} -m area > /dev/null && true")
    ran()
"""
DATA = """
import importlib.resources, os, sys
import area
def step():
    ran((importlib.resources.files("area") / "data" / "rates.csv").read_text())
"""
PATH = f"import os, sys\nsys.path.insert(0, os.path.abspath({SITE!r}))\nfrom model import step\ncall(step)\n"


def area(version: str, url: str | None = None, text: str = PRINTS, rate: str = "1") -> Files:
    """The distribution `area`, which runs as a program and has data; its metadata in a folder named by the version."""
    modules = {"area/__init__.py": "", "area/__main__.py": text, "area/data/rates.csv": rate}
    return installed("area", version, modules, url)


def upgrade(name: str, verdict: str, model: str, before: Files, after: Files) -> None:
    """A distribution that is installed anew between two processes."""
    GROUP.add(name, verdict, PATH if model == DATA else "from model import step\ncall(step)\n",
              files={"model.py": model, **before}, change=after)  # fmt: skip


for way, model in (("by_python", BY_PYTHON), ("by_a_shell", BY_SHELL)):
    upgrade(f"package_started_{way}_upgraded", "miss", model, area("1"), area("2"))
    upgrade(f"package_started_{way}_as_it_was", "hit", model, area("1"), area("1"))
    upgrade(f"own_package_started_{way}_edited", "miss", model, area("1", FOLDER), area("1", FOLDER, "print(2)\n"))
upgrade("data_of_an_own_package_edited", "miss", DATA, area("1", FOLDER), area("1", FOLDER, rate="2"))
upgrade("data_of_an_own_package_as_it_was", "hit", DATA, area("1", FOLDER), area("1", FOLDER))

TOOL = "#!/bin/sh\necho {}\n"
RUNS = """
import subprocess
def step():
    ran(subprocess.run(["sh", "tool.sh"], capture_output=True, text=True, check=True).stdout)
"""
GROUP.add("script_of_the_project_that_a_shell_runs_edited", "miss",
          files={"model.py": RUNS, "tool.sh": TOOL.format(1)}, change={"tool.sh": TOOL.format(2)})  # fmt: skip
GROUP.add("script_of_the_project_that_is_not_run_edited", "hit",
          files={"model.py": RUNS, "tool.sh": TOOL.format(1), "other.sh": TOOL.format(1)},
          change={"other.sh": TOOL.format(2)})  # fmt: skip

WRITES = """
import subprocess, time
def step():
    subprocess.run({command!r}, shell=True, check=True)
    ran(open("log.txt").read())
"""
for what, verdict, command in (
    ("adds_to", "miss", "echo new >> log.txt"),
    ("adds_to_by_another_program", "miss", "echo new | tee -a log.txt > /dev/null"),
    ("writes_anew", "hit", "echo new > log.txt"),
    ("removes_and_makes", "hit", "rm log.txt; echo new > log.txt"),
):
    GROUP.add(f"file_that_a_program_{what}_and_the_step_reads", verdict,
              files={"model.py": WRITES.format(command=command), "log.txt": "an old line\n"},
              change={"log.txt": "another old line\n"})  # fmt: skip
