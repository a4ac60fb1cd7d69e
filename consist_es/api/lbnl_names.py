"""Names of LBNL's consist that have no counterpart here, and their replacements, for users who migrate.

`CHANGELOG.md` has the same table; a test compares them.
"""

import sys
from typing import TYPE_CHECKING, Any

INSTEAD = {
    "begin_run": "with tracker.trace(name, ...): its end is also recorded if the block fails",
    "containers": "a call of the container in the step's function",
    "current_consist": "consist.current_run()",
    "end_run": "with tracker.trace(name, ...): its end is also recorded if the block fails",
    "from_config": "Tracker(run_dir, db_path, ...) with the same arguments",
    "load_relation": "consist.load_df(artifact), or artifact.path with the reader of your choice",
    "map_runs": "a loop of sc.run(...), or processes that open a Tracker of the same project each",
    "RunIdentifiedResultLike": "RunResult, or RunResultLike",
    "ScenarioLike": "ScenarioContext; a scenario that is not tracked is one too",
    "single_step_scenario": "with tracker.scenario(name) as sc, sc.trace(step): ...",
    "start_run": "with tracker.trace(name, ...): its end is also recorded if the block fails",
    "to_config": "Tracker(run_dir, db_path, ...) with the same arguments",
    "to_df": "consist.load_df(artifact)",
    "trace": "tracker.trace(name, ...), or sc.trace(name, ...)",
    "TrackerConfig": "Tracker(run_dir, db_path, ...) with the same arguments",
    "TrackerLike": "Tracker; NoopTracker is one too",
}


def no_name(name: str, asking: str | None) -> Exception:
    """The error for a name that the package does not have. `asking`: name of the module that asks for it.

    ``from consist_es import map_runs`` hides the text of an AttributeError, so the import system gets an ImportError.
    """
    said = f"module 'consist_es' has no attribute {name!r}"
    if name not in INSTEAD:
        return AttributeError(said)
    said += _instead(name)
    importing = asking in ("importlib._bootstrap", "_frozen_importlib")
    return ImportError(said, name="consist_es") if importing else AttributeError(said)


def _instead(name: str) -> str:
    return f". This name of LBNL's consist has no counterpart here; instead: {INSTEAD[name]}."


class SaysInstead:
    """Base of the public classes: the error for a missing method of LBNL's consist names its replacement."""

    if not TYPE_CHECKING:  # else every name would be an attribute for the type checker

        def __getattr__(self, name: str) -> Any:
            if name in INSTEAD:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{_instead(name)}")
            return object.__getattribute__(self, name)  # also the error of a property that has one


def asking_module() -> str | None:
    """The module of the code that asks the package for a name: two calls up."""
    return sys._getframe(2).f_globals.get("__name__")
