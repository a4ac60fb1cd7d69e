"""redun: the function as a task, files as `File` and `Dir` values. It keys by the task's source and arguments."""

import importlib
import importlib.metadata
from pathlib import Path
from typing import Any

from attacks.request import Request

redun: Any = importlib.import_module("redun")
configuration: Any = importlib.import_module("redun.config")
CAN = {"inputs", "outputs", "depends", "runtime"}


def version() -> str:
    """Of redun."""
    return importlib.metadata.version("redun")


def made(path: Any) -> Any:
    """The file as redun follows it."""
    return redun.File(str(path))


def value(path: str) -> Any:
    """A file or folder as an argument."""
    return redun.Dir(path) if Path(path).is_dir() else redun.File(path)


def call(request: Request) -> Path | None:
    """Run the task in a scheduler of this project's database."""
    more = {"hash_includes": [value(path).hash for path in request.depends]} if request.depends else {}
    task = redun.task(name=request.name, namespace="attacks", **more)(request.fn)
    arguments = {**request.arguments, **{role: value(path) for role, path in request.inputs.items()}}
    if request.output is not None:
        arguments["out"] = request.output
    scheduler = redun.Scheduler(config=configuration.Config({"backend": {"db_uri": "sqlite:///redun.db"}}))
    scheduler.load()
    scheduler.run(task(**arguments))
    return None if request.output is None else Path(request.output)
