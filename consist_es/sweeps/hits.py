"""Records the rows that the cache answers: many in one append."""

from __future__ import annotations

from consist_es.cache.lookup import Hit
from consist_es.cache.reads import random_states
from consist_es.events import Draft
from consist_es.execution.attempt import Attempt
from consist_es.execution.attempt_events import hit_outputs
from consist_es.execution.engine import Engine
from consist_es.execution.hit_warnings import tell_of_hit
from consist_es.steps.step import Step
from consist_es.sweeps.rows import HIT, SweepRow


def is_plain(step: Step, hit: Hit) -> bool:
    """True if the hit does nothing but give its outputs: no copies, no changes to objects, no random state."""
    copies = step.hydration != "metadata" or step.staging or step.args.capture_dir is not None
    return not copies and not hit.recovered and not hit.effects and not random_states(hit.reads)


class Hits:
    """Hits to be recorded together."""

    def __init__(self, engine: Engine, drafts: list[Draft], environment: str) -> None:
        """`drafts`: the event of the software environment, if it is not recorded yet."""
        self._engine, self._drafts, self._environment = engine, drafts, environment
        self._rows: list[tuple[SweepRow, Attempt, Hit]] = []

    def add(self, row: SweepRow, attempt: Attempt, hit: Hit) -> None:
        """Take a row that the cache answers."""
        drafts = attempt.opening(self._environment, (), None, True)
        row.key = drafts[0].run
        self._drafts += drafts
        self._rows.append((row, attempt, hit))

    def record(self) -> list[SweepRow]:
        """Record them as one batch, safe on disk, and return the rows."""
        engine, rows = self._engine, self._rows
        if not rows:
            return []
        engine.project.record(self._drafts, commit=True)
        self._drafts, self._rows = [], []
        hooks = engine.hooks
        for row, attempt, hit in rows:
            row.ended(HIT)
            row.outputs = hit_outputs(attempt.step, hit)
            tell_of_hit(attempt.step, hit)
            if hooks.on_start or hooks.on_complete:
                run = row.run
                hooks.started(run)
                hooks.completed(run, row.outputs)
        return [row for row, _, _ in rows]
