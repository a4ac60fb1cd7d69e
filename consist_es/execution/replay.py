"""Replays what a reused run changed on objects that outlive it; later steps inherit what it had read for that."""

from __future__ import annotations

from consist_es.cache.lookup import NOT_PUT_BACK, Hit, Miss
from consist_es.execution.put_back import Obstacle
from consist_es.execution.settings import Scope, Settings
from consist_es.identity.live import left_behind
from consist_es.steps.step import Step


def replay(hit: Hit, step: Step, settings: Settings, scope: Scope) -> Miss | None:
    """Make the changes of a hit; if one cannot be made, none is, and the result says why the hit is a miss."""
    running = left_behind.Running()
    running.begin()
    try:
        changes = settings.put_back(step, hit.effects)
        changes.apply()
    except Obstacle as problem:
        return Miss(NOT_PUT_BACK, hit.source, [str(problem)])
    finally:
        running.end()
    if settings.observer is not None:
        inputs = {str(item.path): item.digest for item in step.inputs}
        settings.observer.hand_on(hit.reads, inputs, changes.functions, scope.defaults)
    return None
