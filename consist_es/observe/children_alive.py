"""Checks for children of this process during a run: only then can opens by other processes belong to the run."""

from __future__ import annotations

import os
import sys

_TASKS = "/proc/self/task"


class Children:
    """State of the children when a run began."""

    def __init__(self) -> None:
        self._dead = _work_of_the_dead()

    def had_any(self) -> bool:
        """True if a child is alive, or one has worked and ended since."""
        return _work_of_the_dead() != self._dead or bool(_living())


def _work_of_the_dead() -> tuple[float, ...]:
    if os.name != "posix":
        return ()
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime, used.ru_stime, used.ru_minflt, used.ru_nvcsw


def _living() -> set[int]:
    """Ids of live children, except the helper that multiprocessing never ends."""
    found: set[int] = set()
    try:
        for task in os.listdir(_TASKS):
            with open(f"{_TASKS}/{task}/children", "rb", buffering=0) as file:
                found.update(map(int, file.read().split()))
    except OSError:  # no such list on this system: use Python's own
        processes = sys.modules.get("multiprocessing.process")
        found.update(id(child) for child in getattr(processes, "_children", ()))
    tracker = getattr(sys.modules.get("multiprocessing.resource_tracker"), "_resource_tracker", None)
    return found - {getattr(tracker, "_pid", None)}
