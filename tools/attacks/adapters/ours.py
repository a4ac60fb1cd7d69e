"""This library."""

import functools
import tempfile
from pathlib import Path
from typing import Any

from attacks.request import Request
from consist_es import CacheOptions, ExecutionOptions, Tracker, __version__, output_path

CAN = {"inputs", "outputs", "declared", "depends", "loaded", "keys", "runtime", "fast", "blocks"}

with tempfile.TemporaryDirectory() as folder, Tracker(folder) as warm:
    warm.run(lambda: None, name="warm")  # everything is imported before the forks, which then start at once


def version() -> str:
    """Of the library."""
    return __version__


class Out:
    """The path of the step's output in its run's own folder, asked for when the step needs it."""

    def __init__(self, name: str) -> None:
        self.key, self.ext = name.split(".")

    def __fspath__(self) -> str:
        return str(output_path(self.key, self.ext))


def made(path: Any) -> Any:
    """The path itself, made out while the step runs."""
    return Path(path)


@functools.cache
def tracker(fast: bool) -> Tracker:
    """One per process. Power cuts are no part of the attacks, so nothing waits for the disk."""
    return Tracker(run_dir="runs", db_path="provenance.db", sync="os", hashing_strategy="fast" if fast else "full")


def call(request: Request) -> Path | None:
    """Run the step; the path of its output."""
    out = None if request.output is None else Out(request.output)
    said: dict[str, Any] = {
        "name": request.name,
        "config": request.config,
        "outputs": None if out is None else [out.key],
        "cache_options": CacheOptions(code_identity_extra_deps=list(request.depends) or None),
        "execution_options": ExecutionOptions(
            input_binding=("loaded" if request.loaded else "paths") if request.inputs else None,
            runtime_kwargs=None if out is None else {"out": out},
        ),
    }
    own = tracker(request.fast)
    if request.by_key:
        with own.scenario("attack") as scenario:
            for role, path in request.inputs.items():
                scenario.coupler[role] = Path(path)
            result = scenario.run(request.fn, input_keys=list(request.inputs), **said)
    else:
        result = own.run(request.fn, inputs=dict(request.inputs) or None, **said)
    return None if out is None else result.outputs[out.key].path


def block() -> Any:
    """A block of code as a step, to be entered by ``with``; what that gives has ``is_cached``."""
    return tracker(fast=False).trace("block")
