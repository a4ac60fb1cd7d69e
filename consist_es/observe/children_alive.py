"""Whether this process had children during a run: only then may what other processes opened be the run's."""

from __future__ import annotations

import os
import sys

_TASKS = "/proc/self/task"


class Children:
    """What was known of children when a run began."""

    def __init__(self) -> None:
        self._dead = _work_of_the_dead()

    def had_any(self) -> bool:
        """True if a child lives, or one did something and ended since."""
        return _work_of_the_dead() != self._dead or bool(_living())


def _work_of_the_dead() -> tuple[float, ...]:
    if os.name != "posix":
        return ()
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime, used.ru_stime, used.ru_minflt, used.ru_nvcsw


def _living() -> set[int]:
    """Children that are there now, but for the helper that multiprocessing never ends."""
    found: set[int] = set()
    try:
        for task in os.listdir(_TASKS):
            with open(f"{_TASKS}/{task}/children", "rb", buffering=0) as file:
                found.update(map(int, file.read().split()))
    except OSError:  # not told on this system: those that Python itself knows of
        processes = sys.modules.get("multiprocessing.process")
        found.update(id(child) for child in getattr(processes, "_children", ()))
    tracker = getattr(sys.modules.get("multiprocessing.resource_tracker"), "_resource_tracker", None)
    return found - {getattr(tracker, "_pid", None)}
