"""LBNL's consist: ``Tracker.run``, in a git repository of the project, as its default code identity wants it."""

import functools
import importlib
import importlib.metadata
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from attacks.request import Request

consist: Any = importlib.import_module("consist")
types: Any = importlib.import_module("consist.types")
CAN = {"inputs", "outputs", "declared", "depends", "loaded", "keys", "runtime", "fast"}


def version() -> str:
    """Of consist."""
    return importlib.metadata.version("consist")


class Out:
    """The path of the step's output in its run's own folder, asked for when the step needs it."""

    def __init__(self, name: str) -> None:
        self.key, self.ext = name.split(".")

    def __fspath__(self) -> str:
        path = Path(consist.output_path(self.key, ext=self.ext))
        path.parent.mkdir(parents=True, exist_ok=True)
        return str(path)


def made(path: Any) -> Path:
    """The path itself, made out while the step runs."""
    return Path(path)


@functools.cache
def tracker(fast: bool) -> Any:
    """One per process; the first one commits the project as it then is."""
    if not Path(".git").exists():
        Path(".gitignore").write_text("runs/\nprovenance.duckdb*\nprovenance.db*\n__pycache__/\n")
        git = ["git", "-c", "user.name=attacks", "-c", "user.email=attacks@localhost"]
        for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "project"]):
            subprocess.run([*git, *arguments], check=True)
    return consist.Tracker(
        run_dir="runs",
        db_path="provenance.duckdb",
        mounts={"project": str(Path.cwd())},
        hashing_strategy="fast" if fast else "full",
    )


def call(request: Request) -> Path | None:
    """Run the step; the path of its output. A list of dependencies takes the mode that knows one."""
    out = None if request.output is None else Out(request.output)
    code = {"code_identity": "callable_module", "code_identity_extra_deps": list(request.depends)}
    runtime = None if out is None else {"out": out}
    said: dict[str, Any] = {
        "name": request.name,
        "config": request.config,
        "outputs": None if out is None else [out.key],
        "cache_options": types.CacheOptions(**(code if request.depends else {})),
        "execution_options": types.ExecutionOptions(
            input_binding=("loaded" if request.loaded else "paths") if request.inputs else None,
            runtime_kwargs=runtime,
        ),
    }
    own = tracker(request.fast)
    if request.by_key:
        with own.scenario("attack") as scenario:
            with scenario.trace("files"):
                found = {role: own.log_artifact(p, key=role, direction="input") for role, p in request.inputs.items()}
            scenario.coupler.update(found)
            result = scenario.run(fn=request.fn, inputs={role: role for role in request.inputs}, **said)
    else:
        result = own.run(fn=request.fn, inputs=dict(request.inputs) or None, **said)
    return None if out is None else Path(result.outputs[out.key].path)


with tempfile.TemporaryDirectory() as folder:
    consist.Tracker(run_dir=folder, db_path=f"{folder}/warm.duckdb")
