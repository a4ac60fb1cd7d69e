"""One step, from its arguments to its result: prepare, look up, execute or reuse, record.

Arguments are checked before anything is recorded. From the first event on, every ending is recorded too.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass

from consist_es.cache.lookup import Miss
from consist_es.checks import safe_name
from consist_es.errors import AccessModeError, RunActiveError, UsageTypeError
from consist_es.events import Cursor
from consist_es.execution.attempt import Attempt
from consist_es.execution.current import Frame, Pushed, starts_steps, top
from consist_es.execution.settings import Scope, Settings
from consist_es.identity.code.block import Entry
from consist_es.runs.run import RunResult
from consist_es.steps.code_of import CodeOf
from consist_es.steps.inputs import Sources, restores
from consist_es.steps.options import StepArguments
from consist_es.steps.step import Step, prepare

__all__ = ["Engine", "Scope"]

Check = Callable[[Step], Step]
_NOT_YET = (Miss("not_looked_up"), Cursor())


@dataclass(slots=True)
class Engine(Settings):
    """Runs functions as steps, sync or async; for blocks see `consist_es.execution.trace`."""

    def run(self, args: StepArguments, scope: Scope, *, check: Check | None = None) -> RunResult:
        """Call the step's function, or reuse an earlier run of it. `check`: see `begin`."""
        with self.begin(args, scope, check=check) as attempt:
            if not _loop_is_running() and (turn := attempt.turn_to_wait_for()) is not None:
                turn.take()
                attempt.look_again()
            elif check is not None:
                attempt.look_again()
            if (result := attempt.start()) is not None:
                return result
            arguments = attempt.arguments()
            with Pushed(Frame(self.owner, attempt.active, scope.scenario)):
                attempt.watch()
                fn = args.fn if attempt.step.inside is None else self._program(attempt)
                value = fn(**arguments)
                if inspect.iscoroutine(value):
                    value.close()
                    raise UsageTypeError(f"Step {attempt.step.name!r} returned a coroutine: use `await ….arun(...)`.")
            return attempt.collected(value)

    async def arun(self, args: StepArguments, scope: Scope) -> RunResult:
        """As `run`; awaits the returned value if it is awaitable."""
        with self.begin(args, scope, is_async=True) as attempt:
            if (turn := attempt.turn_to_wait_for()) is not None:
                await turn.atake()
                attempt.look_again()
            if (result := attempt.start()) is not None:
                return result
            arguments = attempt.arguments()
            with Pushed(Frame(self.owner, attempt.active, scope.scenario)):
                attempt.watch()
                fn = args.fn if attempt.step.inside is None else self._program(attempt)
                value = fn(**arguments)
                if inspect.isawaitable(value):
                    value = await value
            return attempt.collected(value)

    def _program(self, attempt: Attempt) -> Callable[..., None]:
        """What runs in place of a function: a program in a container."""
        from consist_es.execution.container import program_of  # most steps have none

        return program_of(attempt.step, attempt.active, self.project)

    def begin(
        self,
        args: StepArguments,
        scope: Scope,
        *,
        frame: Entry | None = None,
        is_async: bool = False,
        code: CodeOf | None = None,
        check: Check | None = None,
    ) -> Attempt:
        """Prepare the step and look it up. Nothing is recorded yet.

        `code` gives the identity of the step's code. `check` gets the prepared step, and returns the one to look up
        later: another process has done so just before.
        """
        if self.access_mode != "standard":
            raise AccessModeError(self.access_mode, "Running a step")
        current = top()
        if current is not None and current.run is not None:
            raise RunActiveError(current.run.id)
        starts_steps()
        sources = Sources(self.uris, self.digester, self.queries.artifact_with, scope.coupler, restores(args))
        step = prepare(args, scope.defaults, sources, frame=frame, is_async=is_async, code_of=code)
        step = step if check is None else check(step)
        parent = self.queries.key_of(args.parent_run_id) if args.parent_run_id is not None else scope.scenario
        key = f"{safe_name(step.run_id, 80)}-{self.project.storage.token(6).hex()}"
        return Attempt(self, scope, step, key, parent, None if check is None else _NOT_YET)


def _loop_is_running() -> bool:
    """True inside an event loop: waiting would block it, and the awaited run may be one of its tasks."""
    # No loop runs before somebody has imported asyncio, which takes 30 ms.
    running = getattr(sys.modules.get("asyncio"), "get_running_loop", None)
    try:
        return running is not None and running() is not None
    except RuntimeError:
        return False
