"""One task of the array that `map(script=…)` wrote: ``python -m consist_es.api.sweep_task FILE TASKS TASK``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from consist_es.api.handles import attach
from consist_es.api.tracker import Tracker
from consist_es.errors import UsageError, WorkerDiffersError
from consist_es.steps.step import Step
from consist_es.sweeps.agree import agreed
from consist_es.sweeps.perform import here, in_words, told_of
from consist_es.sweeps.script import WrittenRow, WrittenSweep, arguments_of, function_of, read, share
from consist_es.text import shown


def main(words: Sequence[str]) -> int:
    """Run the rows of a task; 1 if one has no result.

    Raises:
        UsageError: the words are not those of a script.
    """
    if len(words) != 3 or not words[1].isdecimal() or not words[2].isdecimal():
        raise UsageError(
            "This is for scripts that map(script=…) writes: FILE, number of tasks, task. Submit the script."
        )
    sweep = read(Path(words[0]))
    rows = share(sweep.rows, int(words[2]), int(words[1]))
    failed = 0
    for row in rows:
        told = told_of(lambda row=row: _perform(sweep, row), lambda text: text)  # type: ignore[misc]
        failed += told.error is not None
        print(shown(f"row {row.row}: {told.status}{f': {told.error}' if told.error else ''}"), flush=True)
    return 1 if failed else 0


def _perform(sweep: WrittenSweep, row: WrittenRow) -> bool:
    sc = attach(Tracker, sweep.handle, sweep.sweep)
    engine = sc._engine
    try:
        fn = function_of(sweep)
    except Exception as error:
        said = f"its code cannot be loaded there ({in_words(error)})"
        raise WorkerDiffersError(sweep.name, here(), said, "Install the same code there.") from error

    def check(step: Step) -> Step:
        return agreed(step, asked, by_value=False, where=here())

    args, asked = arguments_of(sweep, row, fn, lambda name: _artifact(sc, name))
    scope = msgspec.structs.replace(sc._scope("map()"), sweep=sweep.sweep, row=row.row)
    return engine.run(args, scope, check=check).cache_hit


def _artifact(sc: Any, name: str) -> Any:
    return sc.tracker.get_artifact(name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
