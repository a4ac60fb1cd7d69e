"""Runs that are begun and ended by calls: `start_run`, `begin_run` and `end_run`, as in LBNL's consist."""

from __future__ import annotations

import dataclasses
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from consist_es.artifacts.artifact import Artifact
from consist_es.checks import check_option
from consist_es.errors import StateError, UsageError, UsageTypeError
from consist_es.execution.active import ActiveRun
from consist_es.execution.engine import Engine, Scope
from consist_es.projections import lineage, run_table
from consist_es.runs.run import Run
from consist_es.steps.options import CacheOptions, OutputPolicyOptions, StepArguments
from consist_es.text import nearest

if TYPE_CHECKING:
    from consist_es.api.tracker import Tracker
    from consist_es.execution.begun import Begun
    from consist_es.execution.dry_run import Rehearsal

ENDS = ("completed", "failed")
_CACHE = tuple(each.name for each in dataclasses.fields(CacheOptions))
_POLICY = tuple(each.name for each in dataclasses.fields(OutputPolicyOptions))
_NOT_HERE = ("fn", "kind", "name", "run_id", "model", "binding", "execution_options", "cache_options", "output_policy")
_STEP = tuple(each.name for each in dataclasses.fields(StepArguments) if each.name not in _NOT_HERE)
_REFUSED = {
    "artifact_dir": "give the tracker run_subdir_fn=, which says where a run's folder is",
    "allow_external_paths": "give it to the tracker",
    "hash_inputs": "use identity_inputs=",
    "config_plan": "use adapter=",
}


@dataclass(slots=True)
class ConsistRecord:
    """A run with what it read and made."""

    run: Run
    inputs: list[Artifact] = field(default_factory=list)
    outputs: list[Artifact] = field(default_factory=list)
    is_cached: bool = False
    cached_run: Run | None = None
    """The run that a hit came from."""

    @property
    def config(self) -> Any:
        """The run's config."""
        return self.run.config

    @property
    def facet(self) -> Any:
        """The run's facet."""
        return self.run.facet


class Lifecycle(ABC):
    """Begins and ends runs by calls: part of `Tracker`."""

    _engine: Engine
    _begun: Begun | None = None
    """The run that `begin_run` began and `end_run` has not ended."""

    @abstractmethod
    def _scope(self, call: str | None) -> Scope: ...

    @abstractmethod
    def _rehearsal(self) -> Rehearsal | None: ...

    @abstractmethod
    def _active_or_none(self) -> ActiveRun | None: ...

    def start_run(self, run_id: str, model: str, **options: Any) -> AbstractContextManager[Tracker]:
        """Record a block of code as a run, as `trace` does; the step is named like the model.

        Takes the keywords of `trace`, with phase and stage; other keywords are metadata of the run. The block runs
        every time; on a hit `is_cached` is true in it.

        Raises:
            UsageTypeError: a keyword close to one of these, or of LBNL's consist with no meaning here.
        """
        args, more = _arguments("start_run()", run_id, model, options)
        if (dry := self._rehearsal()) is not None:
            from consist_es.execution.dry_block import DryBlock  # few scripts are ever rehearsed

            return DryBlock(dry, args, self._scope("start_run()"), _ignored)
        from consist_es.execution.begun import Started  # with all that judges a block's code

        return Started(self._engine, args, self._scope("start_run()"), more)

    def begin_run(self, run_id: str, model: str, config: object = None, inputs: Any = None, **options: Any) -> Run:
        """Begin a run that `end_run` ends; takes what `start_run` takes.

        The code that may follow is its code: the rest of the function that calls this, and of those that called it,
        with what they reach. Write ``with tracker.start_run(...)`` where you can: then only the block counts. A run
        that is not ended is abandoned once its process is gone.

        Raises:
            RunActiveError: another run is executing. UsageTypeError: as `start_run`.
        """
        args, more = _arguments("begin_run()", run_id, model, {"config": config, "inputs": inputs, **options})
        if (dry := self._rehearsal()) is not None:
            raise dry.stop("begin_run() would record something, and a dry run records nothing")
        from consist_es.execution.begun import Begun  # with all that judges a block's code

        begun = Begun(self._engine, args, self._scope("begin_run()"), sys._getframe(1))
        begun.begin(more)
        self._begun = begun
        return _active(begun).run

    def end_run(self, status: str = "completed", error: BaseException | None = None) -> Run:
        """End the run that `begin_run` began, and return its record.

        Args:
            status: ``completed`` or ``failed``; a failed run is never reused.
            error: what it failed with.

        Raises:
            StateError: no run was begun. OptionError: another status. OutputError: as at the end of a `trace`.
        """
        check_option("status", status, ENDS, optional=False)
        begun, self._begun = self._begun, None
        if begun is None:
            raise StateError("end_run() has no run to end: call begin_run() first, once for each end_run().")
        if error is None and status == "failed":
            error = RuntimeError("it was ended with status 'failed'")
        key = _active(begun).key
        begun.end(error)
        return self._engine.queries.run_by_key(key)

    @property
    def current_consist(self) -> ConsistRecord | None:
        """The executing run of this tracker, with its inputs and outputs so far; None outside of one."""
        active = self._active_or_none()
        if active is None:
            return None
        outputs = [item.artifact for item in active.outputs.values()] or list(active.cached.values())
        return self._record(active.run, list(active.inputs.values()), outputs)

    @property
    def last_run(self) -> ConsistRecord | None:
        """The run of this tracker that ended last, with its inputs and outputs; None before any did."""
        if self._engine.last is None:
            return None
        queries = self._engine.queries
        run, conn = queries.run_by_key(self._engine.last), queries.conn
        inputs = queries.artifacts(conn, lineage.inputs(conn, run.key))
        outputs = queries.artifacts(conn, lineage.outputs(conn, run.key))
        return self._record(run, list(inputs.values()), list(outputs.values()))

    def _record(self, run: Run, inputs: list[Artifact], outputs: list[Artifact]) -> ConsistRecord:
        queries, source = self._engine.queries, run.meta.get("cache_source")
        conn = queries.conn
        # without a number an id means the latest attempt
        first = source if not isinstance(source, str) or "#" in source else f"{source}#1"
        row = run_table.get(conn, first) if isinstance(first, str) else None
        found = None if row is None else queries.run(conn, row)
        return ConsistRecord(run, inputs, outputs, bool(run.meta.get("cache_hit")), found)


def _ignored(outputs: Mapping[str, Artifact]) -> None:
    """Takes outputs that go into no coupler."""


def _active(begun: Begun) -> ActiveRun:
    if begun.active is None:
        raise StateError("begin_run() did not begin its run.")
    return begun.active


def _arguments(call: str, run_id: str, model: str, options: Mapping[str, Any]) -> tuple[StepArguments, dict[str, Any]]:
    """The arguments of the step, and the keywords that are metadata of the run."""
    known = (*_STEP, *_CACHE, *_POLICY)
    more = {}
    for name, value in options.items():
        if name in known:
            continue
        if name in _REFUSED:
            if value is not None:
                raise UsageTypeError(f"{call} does not take {name!r}: {_REFUSED[name]}.")
        elif (near := nearest(name, known)) is not None:
            raise UsageTypeError(f"{call} does not take {name!r}. Is {near!r} meant? Correct it, or use log_meta().")
        else:
            more[name] = value
    if not isinstance(model, str):
        raise UsageError(f"{call}: model takes a str, not {type(model).__name__}: {model!r}.")
    policy = {"output_mismatch": "warn", "output_missing": "warn", **_taken(options, _POLICY)}
    args = StepArguments(
        kind="trace",
        name=model,
        run_id=run_id,
        model=model,
        cache_options=CacheOptions(**_taken(options, _CACHE)),
        output_policy=OutputPolicyOptions(**policy),
        **_taken(options, _STEP),
    )
    return args, more


def _taken(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: options[name] for name in names if options.get(name) is not None}
