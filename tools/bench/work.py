"""A project and the step that is counted and timed in it, with one input file, one number and one output file."""

from __future__ import annotations

import importlib
import inspect
import os
import shutil
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

TOOLS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOOLS))
sys.path.append(str(TOOLS.parent))  # last: another checkout's library may be asked for

import consist_es  # noqa: E402

AGE = 3.3
"""Seconds after which a file is old enough for its digest to be kept in the cache of digests."""


class Kind(NamedTuple):
    """A way to run the step."""

    name: str
    cache: dict[str, Any]
    """Arguments of `CacheOptions`."""
    execution: dict[str, Any] = {}  # noqa: RUF012 (nobody changes it)
    """Arguments of `ExecutionOptions`."""


PLAIN = Kind("plain", {"code_identity": "callable_source"})
"""The function's own text is its code."""
DEFAULT = Kind("default", {})
"""Its code is all that it reaches, as users get it unless told otherwise."""
UNWATCHED = Kind("unwatched", PLAIN.cache, {"observe": "off"})
"""Nobody looks for what the step reads."""


def can(kind: Kind) -> bool:
    """True if the library, which may be an older one, knows these options."""
    return set(kind.execution) <= set(inspect.signature(consist_es.ExecutionOptions).parameters)


def make_input(folder: Path) -> Path:
    """Input of all steps: a thousand lines, written some time ago."""
    raw = folder / "raw.csv"
    raw.write_text("a,b\n" + "\n".join(f"{i},{i * i}" for i in range(1000)))
    long_ago = time.time() - 1000
    os.utime(raw, (long_ago, long_ago))
    return raw


class Model:
    """A project in a folder, and the step in it."""

    def __init__(self, folder: Path, *, sync: str | None = None) -> None:
        raw = folder / "raw.csv"
        self._raw = raw if raw.exists() else make_input(folder)
        self.tracker = open_tracker(folder, sync)
        # A script of its own, as small as one can be: what it costs to look at code depends on nothing else.
        shutil.copy(Path(__file__).with_name("one_step.py"), folder)
        sys.path.insert(0, str(folder))
        self._step = importlib.import_module("one_step").step

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.tracker.close()

    def scenario(self, name: str) -> AbstractContextManager[Any]:
        """Scenario for the steps."""
        return cast("AbstractContextManager[Any]", self.tracker.scenario(name))

    def run(self, scenario: Any, k: int, kind: Kind = PLAIN) -> bool:
        """Run the step with this number; True if it was a hit."""
        result = scenario.run(
            fn=self._step,
            name=f"step_{kind.name}",
            inputs={"raw": self._raw},
            config={"k": k},
            outputs=["out"],
            execution_options=consist_es.ExecutionOptions(
                input_binding="paths", runtime_kwargs={"k": k}, **kind.execution
            ),
            cache_options=consist_es.CacheOptions(**kind.cache),
        )
        return bool(result.cache_hit)


def open_tracker(folder: Path, sync: str | None = None) -> Any:
    """Tracker of the folder's project, with the durability that users get unless told otherwise."""
    options: dict[str, Any] = {"sync": sync} if sync else {}
    return consist_es.Tracker(run_dir=folder / "runs", db_path=folder / "provenance.db", **options)
