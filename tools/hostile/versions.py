"""Try the library with the oldest, or the newest, versions of its dependencies that pyproject.toml allows.

::

    python tools/hostile/versions.py oldest
    python tools/hostile/versions.py newest

Makes a virtual environment in a temporary folder, installs the dependencies of the library itself (extras left out) and
the checkout into it with pip, prints the versions, and runs a small project and every look at it with warnings as
errors. The exit code is 0 where all is well.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

SMOKE = """
import sys
from pathlib import Path
import pyarrow, pyarrow.parquet
import consist_es as consist
from consist_es import ExecutionOptions, Tracker

NONE = ExecutionOptions(input_binding="none")

def table():
    path = consist.output_path("t", "parquet")
    pyarrow.parquet.write_table(pyarrow.table({"a": [1, 2]}), path)
    return path

def use(t: Path):
    path = consist.output_path("n", "csv")
    path.write_text(f"rows\\n{pyarrow.parquet.read_table(t).num_rows}\\n")
    return path

def feather():
    import pyarrow.feather
    path = consist.output_path("f", "feather")
    pyarrow.feather.write_feather(pyarrow.table({"a": [1, 2, 3]}), str(path))
    return path

for attempt in range(2):
    with Tracker("runs", "provenance.db") as tracker, tracker.scenario("s", config={"a": 1}) as sc:
        made = sc.run(table, outputs=["t"], execution_options=NONE)
        used = sc.run(use, inputs={"t": made.output}, outputs=["n"], config={"factor": 1.5})
        fed = sc.run(feather, outputs=["f"], execution_options=NONE)
        assert [done.cache_hit for done in (made, used, fed)] == [attempt == 1] * 3, attempt
        assert (made.output.rows, fed.output.rows, used.output.rows) == (2, 3, 1), fed.output
        assert used.output.path.read_text() == "rows\\n2\\n"
"""
COMMANDS = (
    ["--version"],
    ["runs"],
    ["scenarios"],
    ["log"],
    ["audit", "s"],
    ["why", "s_use"],
    ["verify"],
    ["replay"],
    ["replay", "--check"],
    ["doctor"],
)


def requirements(which: str) -> list[str]:
    """What pip is asked for: the lower bounds themselves, or anything that the bounds allow."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted: list[str] = project["dependencies"]
    return [re.sub(r">=([\w.]+)(,.*)?$", r"==\1", text) for text in wanted] if which == "oldest" else wanted


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a command; its failure is ours."""
    print("$", *command, flush=True)
    subprocess.run([str(word) for word in command], cwd=cwd, check=True, stdin=subprocess.DEVNULL)


def main() -> None:
    """Do it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("which", choices=("oldest", "newest"))
    which = parser.parse_args().which
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        quiet = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        run(python, *quiet, *requirements(which))
        run(python, *quiet, "--no-deps", ROOT)
        run(python, "-m", "pip", "--disable-pip-version-check", "list")
        (folder / "smoke.py").write_text(SMOKE)
        run(python, "-W", "error", "smoke.py", cwd=folder)
        for command in COMMANDS:
            run(python, "-W", "error", "-m", "consist_es", *command, cwd=folder)
    print(f"The {which} versions that are allowed work on Python {sys.version.split()[0]}.")


if __name__ == "__main__":
    main()
