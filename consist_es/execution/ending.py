"""The end of an attempt: whatever leaves its block is in the log, and then the run is closed."""

from __future__ import annotations

from consist_es.errors import ConsistError, LogWriteError
from consist_es.execution.attempt import Attempt
from consist_es.execution.hooks import Hooks
from consist_es.runs.queries import Queries
from consist_es.system.with_block import WithBlock
from consist_es.text import shown


class Ending(WithBlock[None]):
    """The block of an attempt: a failure in it is recorded."""

    def __init__(self, attempt: Attempt, queries: Queries, hooks: Hooks) -> None:
        self._attempt, self._queries, self._hooks = attempt, queries, hooks

    def _begin(self) -> None:
        """The attempt is made already."""

    def _end(self, error: BaseException | None) -> None:
        self.end(error)

    def end(self, error: BaseException | None) -> None:
        """Record `error`, if there is one and the attempt had no end yet, and close the run."""
        try:
            if error is not None:
                self._failed(error)
        finally:
            self._attempt.close()

    def _failed(self, error: BaseException) -> None:
        attempt = self._attempt
        if attempt.ended:
            return
        if isinstance(error, LogWriteError):
            error.keep(attempt.step.run_id, attempt.kept())
        try:
            recorded = self._record_failure(error)
        except (ConsistError, OSError) as unrecorded:
            attempt.ended = True  # as far as this process can tell
            error.add_note(f"consist-es could not record this failure: {unrecorded}")
            if isinstance(error, LogWriteError) and str(attempt.directory) in error.kept:  # see `Project.attach`
                renamed = f"{attempt.directory.name}.abandoned"
                error.add_note(
                    shown(f"Once this process has ended, the next one renames the run's folder to {renamed}.")
                )
            return
        if recorded:
            self._hooks.failed(self._queries.run_by_key(attempt.key), error)

    def _record_failure(self, error: BaseException) -> bool:
        """Whether the run had begun and not ended. The log knows: an interrupt may strike just after an append."""
        attempt = self._attempt
        attempt.ended = not self._queries.is_open(attempt.key)
        if attempt.ended:
            return False
        attempt.journal.record(attempt.failed_event(error), commit=True)
        attempt.ended = True
        return True
