"""Counts how much of LBNL's consist is provided: ``python -m tools.moving [--checkout FOLDER]``.

Fetches the source distribution of consist from the package registry, and compares names, methods and keywords; nothing
of it is run or kept. The distribution has no tests. With a checkout of its repository, its tests and notebooks are run
too, under its name (`install_as`); those need what they import, such as sqlmodel.
"""

import argparse
import ast
import importlib
import importlib.util
import inspect
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import consist_es
from consist_es.api.stand_ins import is_stand_in

VERSION = "0.3.5"
CALLS = ("run", "trace", "scenario", "log_artifact", "log_artifacts", "log_dataframe", "log_input", "log_output")
NOTEBOOKS = ("00", "01", "03", "04")
CONFTEST = "import consist_es\nconsist_es.install_as('consist')\n"


def fetch(folder: Path) -> Path:
    """Download and unpack the source distribution; gives the folder of the package."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "consist", "--dest"]
    subprocess.run([*pip, str(folder), f"consist=={VERSION}"], check=True)
    with tarfile.open(folder / f"consist-{VERSION}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / f"consist-{VERSION}" / "src" / "consist"


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def listed(tree: ast.Module) -> list[str]:
    """The names in ``__all__``, else the public functions and classes."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in node.targets):
            return [str(item.value) for item in ast.walk(node.value) if isinstance(item, ast.Constant)]
    kinds = (ast.ClassDef, ast.FunctionDef)
    return [node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]


def verdict(holder: Any, name: str) -> str:
    held = getattr(holder, name, None)
    return "missing" if held is None else "stands in" if is_stand_in(held) else "provided"


def submodules() -> Iterator[tuple[str, Any]]:
    """Dotted path below consist, and the module of ours."""
    root = Path(consist_es.__file__ or "").parent / "lbnl"
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        path = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if path:
            yield path, importlib.import_module(f"consist_es.lbnl.{path}")


def names(package: Path) -> None:
    """Print how many names each module shares with ours."""
    modules = [("", consist_es), *submodules()]
    for path, ours in modules:
        base = package.joinpath(*path.split(".")) if path else package
        file = base.with_suffix(".py") if base.with_suffix(".py").exists() else base / "__init__.py"
        if not file.exists():
            print(f"consist.{path}: not in {VERSION}")
            continue
        found = {name: verdict(ours, name) for name in listed(parsed(file))}
        count = {word: list(found.values()).count(word) for word in ("provided", "stands in", "missing")}
        print(
            f"{f'consist.{path}'.rstrip('.'):36}{count['provided']:4} of {len(found):3}, {count['stands in']} stand in"
        )


def methods(package: Path) -> None:
    """Print which methods of the tracker are there, and which keywords of calls are not taken."""
    tree = parsed(package / "core" / "tracker.py")
    (theirs,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Tracker")
    public = {node.name: node for node in theirs.body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"}
    missing = sorted(name for name in public if name not in dir(consist_es.Tracker))
    print(f"{'methods of Tracker':36}{len(public) - len(missing):4} of {len(public):3}")
    print(f"  missing: {', '.join(missing)}")
    for name in CALLS:
        arguments = public[name].args
        given = {item.arg for item in (*arguments.args, *arguments.kwonlyargs)} - {"self"}
        ours = inspect.signature(getattr(consist_es.Tracker, name)).parameters
        print(
            f"{f'keywords of {name}':36}{len(given & ours.keys()):4} of {len(given):3}  {sorted(given - ours.keys())}"
        )


def tests(checkout: Path) -> int:
    """Run the tests of a checkout under the other name; gives how many passed."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "as_consist.py").write_text(CONFTEST)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "as_consist", "--continue-on-collection-errors", "tests"]
        done = subprocess.run(
            command,
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": f"{folder}:{Path.cwd()}"},
            capture_output=True,
            text=True,
        )
    print("\n".join(done.stdout.splitlines()[-3:]))
    return done.returncode


def notebooks(checkout: Path) -> None:
    """Run the code cells of the notebooks; a cell that fails does not stop those after it."""
    consist_es.install_as("consist")
    for file in sorted(checkout.rglob("*.ipynb")):
        if not file.name.startswith(NOTEBOOKS):
            continue
        cells = [cell for cell in json.loads(file.read_text())["cells"] if cell["cell_type"] == "code"]
        space: dict[str, Any] = {"__name__": "__main__"}
        passed = 0
        for cell in cells:
            code = "".join(line for line in cell["source"] if line.lstrip()[:1] not in ("%", "!"))
            try:
                exec(compile(code, file.name, "exec"), space)
                passed += 1
            except Exception as error:  # noqa: BLE001  code of the notebook
                print(f"  {file.name}: {type(error).__name__}: {str(error)[:100]}")
        print(f"{file.name:36}{passed:4} of {len(cells):3} cells")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.moving", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkout", type=Path, help="a checkout of the repository of consist, with its tests")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        package = fetch(Path(folder))
        names(package)
        methods(package)
    if given.checkout is not None:
        notebooks(given.checkout)
        return tests(given.checkout)
    print("Its tests and notebooks are not in the distribution: give --checkout to run them.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
