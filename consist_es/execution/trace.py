"""A block of code as a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from consist_es.artifacts.artifact import Artifact
from consist_es.errors import ClosedError
from consist_es.execution.attempt import Attempt
from consist_es.execution.block_effects import BlockComparison
from consist_es.execution.current import Frame, pop, push
from consist_es.execution.engine import Engine, Scope
from consist_es.identity.code.block import Entry, entering_frame
from consist_es.identity.code.modes import is_code_alone
from consist_es.identity.live.left_out_values import LeftOut
from consist_es.steps.options import StepArguments
from consist_es.system.with_block import WithBlock

Absorb = Callable[[Mapping[str, Artifact]], object]


class Trace(WithBlock[Any]):
    """Records the block, which runs every time. `absorb` gets its outputs: those of a hit before it, all after it."""

    def __init__(self, engine: Engine, args: StepArguments, scope: Scope, absorb: Absorb | None = None) -> None:
        self._engine, self._args, self._scope, self._absorb = engine, args, scope, absorb
        self._attempt: Attempt | None = None
        self._frame: Frame | None = None
        self._entry: Entry | None = None
        """Where the block is entered, if not by the caller of `__enter__`."""

    def _check_entry(self) -> None:
        if self._attempt is not None:
            raise ClosedError(
                f"The block of trace({self._args.name!r}) was entered already: call trace() again for each block."
            )

    def _begin(self) -> Any:
        engine, scope = self._engine, self._scope
        frame = self._entry or entering_frame()
        attempt = engine.begin(self._args, scope, frame=frame)
        self._attempt = attempt
        attempt.start()
        if self._absorb is not None:
            self._absorb(attempt.active.cached)
        if attempt.can_answer and attempt.hit is None:
            root = scope.defaults.project_root
            left_out = LeftOut(objects=is_code_alone(self._args.cache_options.code_identity))
            attempt.comparison = BlockComparison(frame, root, engine.project.masker.plain, left_out)
        self._frame = Frame(engine.owner, attempt.active, scope.scenario)
        push(self._frame)
        attempt.watch()
        return engine.owner

    def _end(self, error: BaseException | None) -> None:
        if self._attempt is not None:
            self._attempt.stop_watching()
        if self._frame is not None:
            pop(self._frame)
        if self._attempt is None:
            return
        if error is None:
            try:
                self._complete(self._attempt)
            except BaseException as own:
                self._attempt.end(own)
                raise
        self._attempt.end(error)

    def _complete(self, attempt: Attempt) -> None:
        result = attempt.collected(None)
        if self._absorb is not None:
            self._absorb(result.outputs)
