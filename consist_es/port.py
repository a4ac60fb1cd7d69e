"""Lists what a code base uses of LBNL's consist that is not provided here: ``python -m consist_es.port PATH``.

Reads the text of ``*.py`` files and notebooks; nothing in them is run.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from consist_es.api.lbnl_names import METHODS, MODULES, instead_of
from consist_es.text import counted, shown

_ROOM = "consist_es.lbnl"
_SEE = "docs/moving.md says what is provided"
_SKIPPED = {".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".tox", "site-packages"}
_OF_TRACKERS = ("tracker", "tr", "t", "scenario", "sc", "self")
"""Last names of receivers on which a common word is taken for a method of LBNL's consist."""
_KEYWORDS = {
    "archive_mounts": ("Tracker", "mounts={name: folder}, and copies that are registered for a run"),
    "builtin_schemas": ("Tracker", "schemas=[…], with classes of your own"),
    "db_skip_schema_init": ("Tracker", "leave it out: views are made when they are needed"),
    "openlineage_enabled": ("Tracker", "consist-es export openlineage, see docs/exports.md"),
    "openlineage_namespace": ("Tracker", "consist-es export openlineage, see docs/exports.md"),
    "artifact_dir": ("begin_run start_run", "Tracker(run_subdir_fn=…), which says where a run's folder is"),
    "config_plan": ("run trace define_step start_run begin_run", "adapter="),
    "hash_inputs": ("run trace define_step start_run begin_run", "identity_inputs="),
    "container": ("ExecutionOptions", "consist.call([...]) in the step's function"),
    "materialize_cached_outputs_source_root": ("CacheOptions", "a Tracker with the moved folder as run_dir"),
    "reuse_if_unchanged": ("log_artifact log_artifacts log_output", "leave it out: equal bytes have equal digests"),
    "strict_schema": (
        "log_artifact log_artifacts log_output log_input",
        "a check of your own before the file is logged",
    ),
}
"""Keyword -> the calls that refuse it, and what to do instead."""


class Finding(NamedTuple):
    """One use of something that is not provided."""

    path: str
    line: int
    name: str
    instead: str

    def __str__(self) -> str:
        return f"{shown(self.path)}:{self.line}: {shown(self.name)}: {self.instead}"


class Report(NamedTuple):
    """What was found in a code base."""

    findings: list[Finding]
    uses: int
    """Number of uses of consist, provided or not."""
    files: int
    """Number of files that use it."""
    unread: list[str]
    """Files that are no Python that this interpreter can parse."""


def look_at(path: Path, name: str = "consist") -> Report:
    """Look at a file, or all files below a folder; `name` is that of the package that they import."""
    findings: list[Finding] = []
    unread: list[str] = []
    uses = files = 0
    for file in _files(path):
        try:
            tree = ast.parse(_text(file), str(file))
        except (SyntaxError, ValueError, OSError, RecursionError):
            unread.append(str(file))
            continue
        found = _Uses(str(file), name)
        found.visit(tree)
        findings += sorted(found.findings, key=lambda item: item.line)
        uses, files = uses + found.count, files + bool(found.count)
    return Report(findings, uses, files, unread)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(each for each in folders if each not in _SKIPPED)
        yield from (Path(folder, each) for each in sorted(names) if each.endswith((".py", ".ipynb")))


def _text(file: Path) -> str:
    if file.suffix != ".ipynb":
        return file.read_bytes().decode("utf-8", "replace").lstrip("\ufeff")
    cells = json.loads(file.read_bytes()).get("cells", [])
    code = ["".join(cell.get("source", ())) for cell in cells if cell.get("cell_type") == "code"]
    lines = [line for text in code for line in (*text.splitlines(), "")]
    return "\n".join("" if line.lstrip()[:1] in ("%", "!", "?") else line for line in lines)


class _Uses(ast.NodeVisitor):
    """The uses of consist in one file."""

    def __init__(self, path: str, package: str) -> None:
        self.findings: list[Finding] = []
        self.count = 0
        self._path, self._package = path, package
        self._modules: dict[str, str] = {}
        """Name in the file -> dotted path below consist, "" for consist itself."""

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            head, _, below = alias.name.partition(".")
            if head == self._package:
                self._modules[alias.asname or head] = below if alias.asname else ""
                self._module(node, below)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        head, _, below = (node.module or "").partition(".")
        if node.level or head != self._package:
            return
        if self._module(node, below):
            for alias in node.names:
                self._name(node, below, alias.name, alias.asname or alias.name)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.value.id in self._modules:
            self._name(node, self._modules[node.value.id], node.attr, None)
        else:
            self._method(node, node.value, node.attr)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for keyword in node.keywords:
            calls, instead = _KEYWORDS.get(keyword.arg or "", ("", ""))
            if called in calls.split() and (called == "Tracker" or not _is_none(keyword.value)):
                self._add(node, f"{called}({keyword.arg}=…)", instead)
        if called in ("getattr", "hasattr") and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
            self._asked(node, node.args[0], node.args[1].value)
        self.generic_visit(node)

    def _asked(self, node: ast.Call, holder: ast.expr, name: object) -> None:
        if isinstance(holder, ast.Name) and holder.id in self._modules and isinstance(name, str):
            self._name(node, self._modules[holder.id], name, None)
        elif isinstance(name, str):
            self._method(node, holder, name)

    def _module(self, node: ast.stmt, below: str) -> bool:
        """Note an imported module; False if it is not provided."""
        self.count += 1
        if _module_of(below) is not None:
            return True
        self._add(node, f"{self._package}.{below}", MODULES.get(below) or instead_of(f"consist.{below}") or _SEE)
        return False

    def _name(self, node: ast.stmt | ast.expr, below: str, name: str, bound: str | None) -> None:
        """Note a name of a module."""
        self.count += 1
        inner = f"{below}.{name}" if below else name
        if _module_of(inner) is not None:
            if bound is not None:
                self._modules[bound] = inner
            return
        if name != "*" and not _is_provided(below, name):
            instead = MODULES.get(inner) or instead_of(f"consist.{inner}") or METHODS.get(name) or _SEE
            self._add(node, f"{self._package}.{inner}", instead)

    def _method(self, node: ast.expr, holder: ast.expr, name: str) -> None:
        """Note a method of trackers and scenarios that is not provided."""
        if name not in METHODS:
            return
        said = str(getattr(holder, "attr", None) or getattr(holder, "id", ""))
        if "_" not in name and not (said.lower() in _OF_TRACKERS or "tracker" in said.lower()):
            return
        from consist_es import ScenarioContext, Tracker  # loads the library

        self.count += 1
        if name not in dir(Tracker) and name not in dir(ScenarioContext):
            self._add(node, f".{name}", METHODS[name])

    def _add(self, node: ast.stmt | ast.expr, name: str, instead: str) -> None:
        self.findings.append(Finding(self._path, node.lineno, name, instead))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in (None, False)


def _module_of(below: str) -> str | None:
    """The module of ours for a submodule of consist, "" being consist itself; None if there is none."""
    if not below:
        return "consist_es"
    try:
        return f"{_ROOM}.{below}" if importlib.util.find_spec(f"{_ROOM}.{below}") is not None else None
    except ModuleNotFoundError:
        return None


def _is_provided(below: str, name: str) -> bool:
    """True if a name is there, and more than a stand-in."""
    from consist_es.api.stand_ins import is_stand_in

    held = getattr(importlib.import_module(_module_of(below) or "consist_es"), name, None)
    return held is not None and not is_stand_in(held)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the findings; 1 if there are any, 2 if there is nothing to read."""
    parser = argparse.ArgumentParser(prog="python -m consist_es.port", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", nargs="+", metavar="PATH", type=Path, help="a file, or a folder to look through")
    parser.add_argument("--name", default="consist", help="the package that the code imports (default: consist)")
    given = parser.parse_args(arguments)
    reports = []
    for path in given.paths:
        if not path.exists():
            print(f"error: {shown(str(path))} does not exist: give a file or a folder of Python code.", file=sys.stderr)
            return 2
        reports.append(look_at(path, given.name))
    return _tell(reports)


def _tell(reports: Iterable[Report]) -> int:
    reports = list(reports)
    findings = [item for report in reports for item in report.findings]
    for item in findings:
        print(item)
    for path in (each for report in reports for each in report.unread):
        print(f"{shown(path)}: not read: it is no Python that this interpreter parses", file=sys.stderr)
    uses, files = sum(report.uses for report in reports), sum(report.files for report in reports)
    said = f"{counted(uses, 'use')} in {counted(files, 'file')}"
    if findings:
        print(f"{said}; {len(findings)} of what is not provided ({len({item.name for item in findings})} names).")
        return 1
    print(f"{said}; all of it is provided. Call consist_es.install_as('consist') before the code is imported.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
