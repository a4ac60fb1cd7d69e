"""Writes a plain batch script for rows that are to be run later, and the file with the rows beside it.

The file is JSON and holds no code: the function by its name, configs in plain form, inputs by the ids of their
artifacts. A task of the array loads the function as any program would, and compares it with what was asked for.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import spawn
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.errors import UsageError, UsageTypeError
from consist_es.identity.config import config_digest
from consist_es.identity.live.modules import file_of
from consist_es.runs.run import RunResultLike, select_output
from consist_es.steps.options import (
    BindingResult,
    CacheOptions,
    ExecutionOptions,
    OutputArtifactSpec,
    OutputPolicyOptions,
    StepArguments,
)
from consist_es.sweeps.agree import Asked
from consist_es.values.masking import Masker
from consist_es.values.plain import from_plain, to_plain

MOST = 1000
"""Most tasks of an array; with more rows, a task takes several."""
_MARK = "# Rows of a sweep, written by consist-es."
_GROUPS = {
    kind.__name__: kind
    for kind in (BindingResult, CacheOptions, ExecutionOptions, OutputArtifactSpec, OutputPolicyOptions)
}
_PATH, _ARTIFACT, _GROUP = "$path", "$artifact", "$group"


class WrittenRow(msgspec.Struct, frozen=True):
    """A row in the file."""

    row: str
    arguments: dict[str, Any]
    """The step's arguments that differ from their defaults, without function and config."""
    config: Any
    """In plain form."""
    asked: Asked
    """Without the parts of its code."""
    code: int
    """Which of `WrittenSweep.codes` has them."""


class WrittenSweep(msgspec.Struct, frozen=True):
    """The file beside a script."""

    handle: str
    sweep: str
    name: str
    module: str
    """Of the function; "" for that of the script at `script`."""
    script: str
    function: str
    """Qualified name in the module."""
    path: list[str]
    """Folders that modules were imported from."""
    rows: list[WrittenRow]
    codes: list[dict[str, str]]
    format: int = 1


class Writer:
    """Makes the rows of a file from steps; one function for all of them."""

    def __init__(self, path: Path, handle: str, sweep: str, name: str, masker: Masker) -> None:
        self._path = Path(os.path.abspath(path))
        self._about = (handle, sweep, name)
        self._masker = masker
        self._codes: dict[bytes, int] = {}

    def row(self, row: str, args: StepArguments, asked: Asked) -> WrittenRow:
        """A row for the file.

        Raises:
            UsageTypeError: it has something that JSON has not. UsageError: it has a secret.
        """
        what = f"Row {row!r}"
        plain = to_plain(args.config, "config")
        if self._masker.plain(plain) != plain:
            raise UsageError(
                f"{what} holds a secret, which a script would store: let the step read it from its environment."
            )
        if config_digest(from_plain(plain)) != asked.info.config:
            raise UsageTypeError(f"{what} has a value in its config that a script cannot keep: give numbers and texts.")
        given = {
            field.name: _encoded(getattr(args, field.name), f"{what}: {field.name}")
            for field in dataclasses.fields(args)
            if field.name not in ("fn", "config") and _is_given(field, getattr(args, field.name))
        }
        parts = asked.info.code_parts
        code = self._codes.setdefault(msgspec.json.encode(parts), len(self._codes))
        bare = msgspec.structs.replace(asked, info=msgspec.structs.replace(asked.info, code_parts={}))
        return WrittenRow(row, given, plain, bare, code)

    def write(self, fn: Callable[..., Any], rows: Sequence[WrittenRow]) -> None:
        """Write both files; nothing if there are no rows.

        Raises:
            UsageTypeError: the function has no name to find it by. UsageError: there is another file.
        """
        module, script, function = named(fn)
        before = self._path.read_text("utf-8") if self._path.exists() else ""
        if before and _MARK not in before:
            raise UsageError(f"{self._path} is not a script that map() wrote: give another path, or remove it.")
        if not rows:
            return
        handle, sweep, name = self._about
        folders = [os.path.abspath(place) for place in sys.path if Path(place or ".").is_dir()]
        codes = [msgspec.json.decode(parts) for parts in self._codes]
        found = WrittenSweep(handle, sweep, name, module, script, function, folders, list(rows), codes)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _replace(self._rows_path, msgspec.json.encode(found))
        _replace(self._path, self._text(len(rows), before).encode())

    @property
    def _rows_path(self) -> Path:
        return self._path.with_name(f"{self._path.name}.json")

    def _text(self, rows: int, before: str) -> str:
        """The script. Options that a user added to an earlier one stay."""
        tasks = min(rows, MOST)
        kept = [line for line in before.splitlines() if line.startswith("#SBATCH") and "--array" not in line]
        options = kept or [f"#SBATCH --job-name={shlex.quote(self._about[2])}", "#SBATCH --output=%x-%A_%a.out"]
        run = shlex.join([sys.executable, "-m", "consist_es.api.sweep_task", str(self._rows_path), str(tasks)])
        return "\n".join(
            [
                "#!/bin/bash",
                f"#SBATCH --array=0-{tasks - 1}",
                *options,
                f"{_MARK} Add options of your cluster above, and submit it: sbatch {shlex.quote(self._path.name)}",
                "# Then run the same map() again: it takes the results, and writes the rows that are still missing.",
                f"cd {shlex.quote(str(Path.cwd()))} || exit 1",
                f'exec {run} "$SLURM_ARRAY_TASK_ID"',
                "",
            ]
        )


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def named(fn: Callable[..., Any]) -> tuple[str, str, str]:
    """Module, script and qualified name of a function.

    Raises:
        UsageTypeError: it cannot be found by name.
    """
    module, name = getattr(fn, "__module__", None), getattr(fn, "__qualname__", "")
    script = ""
    if module == "__main__":
        module, script = "", os.path.abspath(file_of(sys.modules.get("__main__")) or "")
    if module is not None and (module or Path(script).is_file()) and _found(module or "__main__", name) is fn:
        return module, script, name
    raise UsageTypeError(
        f"map(script=…) takes a function at the top of a module or of the script, not {fn!r}: tasks find it by name."
    )


def _found(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


# ---------------------------------------------------------------- reading it back


def read(path: Path) -> WrittenSweep:
    """The file beside a script.

    Raises:
        UsageError: it is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=WrittenSweep)
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(
            f"{path} does not have the rows of a sweep ({error}): run the map() again that wrote it."
        ) from error


def function_of(sweep: WrittenSweep) -> Callable[..., Any]:
    """The function, imported. Raises what the import does.

    Raises:
        AttributeError: its module does not have it.
    """
    sys.path.extend(place for place in sweep.path if place not in sys.path)
    if not sweep.module:
        spawn.prepare({"init_main_from_path": sweep.script})  # as the workers of a pool load a script: not as __main__
    found: Any = importlib.import_module(sweep.module or "__main__")
    for part in sweep.function.split("."):
        found = getattr(found, part)
    checked: Callable[..., Any] = found
    return checked


def arguments_of(
    sweep: WrittenSweep, row: WrittenRow, fn: Callable[..., Any], artifact: Callable[[str], Artifact]
) -> tuple[StepArguments, Asked]:
    """The arguments of a row's step, and its work. `artifact` gives one by its id."""
    given = {name: _decoded(value, artifact) for name, value in row.arguments.items()}
    info = msgspec.structs.replace(row.asked.info, code_parts=sweep.codes[row.code])
    asked = msgspec.structs.replace(row.asked, info=info)
    return StepArguments(**{**given, "fn": fn, "config": from_plain(row.config)}), asked


# ---------------------------------------------------------------- values


def _is_given(field: dataclasses.Field[Any], value: Any) -> bool:
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return bool(value is not default and value != default)


def _encoded(value: Any, what: str) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, os.PathLike):
        return {_PATH: os.path.abspath(os.fspath(value))}
    if isinstance(value, RunResultLike):
        value = select_output(value)
    if isinstance(value, Artifact):
        return {_ARTIFACT: str(value.id)}
    if type(value).__name__ in _GROUPS and dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {_GROUP: type(value).__name__, "fields": _encoded(fields, what)}
    if isinstance(value, Mapping) and all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: _encoded(item, what) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encoded(item, what) for item in value]
    raise UsageTypeError(
        f"{what} is {type(value).__name__}, which a script cannot keep: give texts, numbers, paths and artifacts."
    )


def _decoded(value: Any, artifact: Callable[[str], Artifact]) -> Any:
    if isinstance(value, list):
        return [_decoded(item, artifact) for item in value]
    if not isinstance(value, dict):
        return value
    if _PATH in value:
        return Path(value[_PATH])
    if _ARTIFACT in value:
        return artifact(value[_ARTIFACT])
    if _GROUP in value:
        return _GROUPS[value[_GROUP]](**_decoded(value["fields"], artifact))
    return {key: _decoded(item, artifact) for key, item in value.items()}


def share(rows: Sequence[WrittenRow], task: int, tasks: int) -> Sequence[WrittenRow]:
    """The rows of one task of an array.

    Raises:
        UsageError: there is no such task.
    """
    if not 0 <= task < tasks:
        raise UsageError(f"There are tasks 0 to {tasks - 1}, and none {task}: submit the script as it was written.")
    return rows[task::tasks]
