"""`ScenarioContext.map` and `Tracker.map_scenarios`: a function over many rows."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import msgspec

from consist_es.api.surface import StepKeywords, _arguments
from consist_es.checks import check_key, check_option, checked_year
from consist_es.errors import AccessModeError, SweepError, UsageError, UsageTypeError
from consist_es.execution.engine import Engine, Scope
from consist_es.identity.config import as_mapping
from consist_es.steps.options import StepArguments

if TYPE_CHECKING:
    from consist_es.api.scenario import ScenarioContext
    from consist_es.api.tracker import Tracker
    from consist_es.execution.dry_run import Rehearsal
    from consist_es.sweeps.rows import SweepResult, SweepRow
    from consist_es.sweeps.script import Writer
    from consist_es.sweeps.sweep import Kind, Plan

ON_ERROR = ("raise", "keep")
Row = Mapping[str, Any]


class Maps:
    """Base of a scenario: steps over many rows, and what makes a scenario travel."""

    _engine: Engine

    def map(
        self,
        fn: Callable[..., object] | None,
        rows: Iterable[Row],
        *,
        executor: Any = None,
        name: str | None = None,
        row_id: Callable[[Row], object] | None = None,
        window: int | None = None,
        on_error: str = "raise",
        script: str | os.PathLike[str] | None = None,
        **step: Unpack[StepKeywords],
    ) -> SweepResult:
        """Run a function as a step for every row, on an executor; rows that the cache answers are not sent to it.

        Takes the keywords of `run`, except `run_id`. The outputs go into the coupler in the order of the rows, as
        ``key/row``. See docs/howto/sweeps.md.

        Args:
            fn: the function of the steps; None if each is a container, see `ExecutionOptions`.
            rows: mappings; each is the config of its step, over `config`.
            executor: anything with ``submit`` (`concurrent.futures`, loky, executorlib, Parsl, mpi4py), a Dask Client,
                or a submitit executor. None: the rows run here, one by one.
            name: of the steps; by default the function's.
            row_id: gives the id of a row; by default its number, from 0.
            window: the most rows that are with workers at a time.
            on_error: ``raise`` `SweepError` once all rows have ended, or ``keep`` what failed in the result.
            script: path of a batch script to write for the rows without an answer, instead of running them.

        Raises:
            SweepError: rows failed or were lost; it has all rows. UsageError, UsageTypeError: nothing is recorded.
        """
        from consist_es.sweeps.steps import StepRows  # most models map nothing

        if "run_id" in step:
            raise UsageTypeError("map() makes the run ids from the ids of rows: give row_id=, not run_id=.")
        sc: Any = self
        config = as_mapping(step.pop("config", None))
        listed = rows_of(rows, row_id, "map()")
        scope: Scope = sc._scope("map()")
        called = _called(fn, name)

        def arguments_of(row: SweepRow) -> StepArguments:
            args = _arguments("map()", fn, name, step)
            args.config = {**config, **row.values}
            args.run_id = f"{scope.defaults.run_id_prefix}{called}.{row.id}"
            return args

        if (dry := sc._rehearsal()) is not None:
            return _rehearsed(sc, dry, called, listed, arguments_of)
        _check(self._engine, executor, window, on_error, script)
        executor = _usable(self._engine, executor)
        plan = _plan(self._engine, called, sc._key, listed, executor, window)
        writer = None
        if script is not None:
            writer, write = _writer(sc, Path(script), plan, fn)
            plan = msgspec.structs.replace(plan, write=write)
        within = msgspec.structs.replace(scope, sweep=plan.key)
        kind = StepRows(self._engine, within, called, sc.handle if self._engine.use_cache else "", arguments_of, writer)
        if listed:
            kind.check(listed[0])
        result = _run(self._engine, sc.tracker, plan, kind)
        collected = {f"{key}/{row.id}": artifact for row in result for key, artifact in row.outputs.items()}
        if collected:
            sc.coupler.update(collected)
        return _judged(result, on_error)

    @property
    def handle(self) -> str:
        """This scenario as text, for processes of any launcher: they get it in ``CONSIST_ES_CONTEXT``, and call
        `consist_es.attached`. It holds settings of the tracker and the scenario's key, and no secrets."""
        from consist_es.api.handles import handle_of

        return handle_of(self)

    def __reduce__(self) -> tuple[Any, ...]:
        from consist_es.api.handles import attach

        sc: Any = self
        return attach, (type(sc.tracker), sc.handle)


def map_scenarios(
    tracker: Tracker,
    fn: Callable[..., object],
    rows: Iterable[Row],
    *,
    executor: Any,
    name: str | None,
    row_id: Callable[[Row], object] | None,
    window: int | None,
    on_error: str,
) -> SweepResult:
    """See `Tracker.map_scenarios`."""
    from consist_es.api.row_scenarios import ScenarioRows

    if not callable(fn):
        raise UsageTypeError(f"map_scenarios() takes a callable, not {type(fn).__name__}: {fn!r}.")
    listed = rows_of(rows, row_id, "map_scenarios()")
    called = _called(fn, name)
    engine = tracker._engine
    _check(engine, executor, window, on_error, None)
    executor = _usable(engine, executor)
    if tracker._rehearsal() is not None:
        return _rehearsed_scenarios(tracker, fn, called, listed)
    with tracker.scenario(called) as header:
        plan = _plan(engine, called, header._key, listed, executor, window)
        result = _run(engine, tracker, plan, ScenarioRows(tracker, header, plan, fn))
        return _judged(result, on_error)


def _called(fn: Callable[..., object] | None, name: str | None) -> str:
    """Name of a sweep: the one given, else the function's."""
    return name or str(getattr(inspect.unwrap(fn) if callable(fn) else fn, "__name__", "map"))


def rows_of(rows: Iterable[Row], row_id: Callable[[Row], object] | None, call: str) -> list[SweepRow]:
    """The rows with their ids, checked.

    Raises:
        UsageTypeError: a row is no mapping, an id no text or number. UsageError: two rows have one id.
    """
    from consist_es.sweeps.rows import SweepRow

    found: dict[str, SweepRow] = {}
    if isinstance(rows, str | Mapping) or not isinstance(rows, Iterable):
        raise UsageTypeError(f"{call} takes an iterable of rows, each a mapping, not {type(rows).__name__}.")
    for number, values in enumerate(rows):
        if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
            raise UsageTypeError(
                f"{call}: row {number} is {type(values).__name__}, not a mapping with names: {values!r}. Give "
                "{'parameter': value}."
            )
        given = number if row_id is None else row_id(values)
        if isinstance(given, bool) or not isinstance(given, str | int | float):
            raise UsageTypeError(f"{call}: row_id gives a str or a number, not {type(given).__name__}: {given!r}.")
        name = check_key(f"x/{given}", "row id")[2:]
        if name in found:
            raise UsageError(f"{call}: two rows have the id {name!r}. Let row_id give each its own.")
        found[name] = SweepRow(name, dict(values))
    return list(found.values())


def _check(engine: Engine, executor: Any, window: int | None, on_error: str, script: Any) -> None:
    check_option("on_error", on_error, ON_ERROR, optional=False)
    if window is not None and (checked_year("window", window) or 0) < 1:
        raise UsageError(f"window={window} lets no row start: give how many may be with workers at a time.")
    if script is not None and executor is not None:
        raise UsageError("script= writes a script instead of running rows: leave executor= out.")
    if engine.access_mode != "standard":
        raise AccessModeError(engine.access_mode, "map()")


def _usable(engine: Engine, executor: Any) -> Any:
    """The executor; None if nothing is tracked, for workers would track."""
    from consist_es.sweeps.lanes import lane, shares_memory

    if executor is not None:
        lane(executor)  # refuses what is none
    return executor if engine.use_cache or shares_memory(executor) else None


def _plan(engine: Engine, name: str, scenario: str, rows: list[SweepRow], executor: Any, window: int | None) -> Plan:
    from consist_es.api.handles import work
    from consist_es.sweeps.sweep import Plan, key_of

    return Plan(
        key=key_of(engine, name),
        name=name,
        scenario=scenario,
        rows=rows,
        executor=executor,
        window=window,
        work=partial(work, type(engine.owner)),
    )


def _run(engine: Engine, tracker: Any, plan: Plan, kind: Kind) -> SweepResult:
    from consist_es.sweeps.sweep import Sweep

    progress = tracker._progress
    told = progress is not None and progress.on_stderr
    return Sweep(engine, msgspec.structs.replace(plan, on_stderr=told), kind).run()


def _judged(result: SweepResult, on_error: str) -> SweepResult:
    bad = [row for row in result if row.status in ("failed", "lost")]
    if bad and on_error == "raise":
        raise SweepError(result.name, result, bad)
    return result


def _writer(sc: Any, path: Path, plan: Plan, fn: Callable[..., object] | None) -> tuple[Writer, Callable[..., None]]:
    """What writes a script, and its call with the rows."""
    from consist_es.sweeps.script import Writer, named

    if fn is None:
        raise UsageError("map(script=…) takes a function: a script of containers is not written. Use executor=.")
    named(fn)  # refuses a function that no task could find
    writer = Writer(path, sc.handle, plan.key, plan.name, sc._engine.project.masker)
    return writer, partial(writer.write, fn)


def _rehearsed_scenarios(tracker: Tracker, fn: Callable[..., object], name: str, rows: list[SweepRow]) -> SweepResult:
    """Forecast the scenarios of rows; nothing is recorded."""
    from consist_es.sweeps.rows import SweepResult

    for row in rows:
        with tracker.scenario(f"{name}_{row.id}", config=row.values, dry_run=True) as sc:
            fn(sc, dict(row.values))
    return SweepResult(name, rows)


def _rehearsed(
    sc: ScenarioContext,
    dry: Rehearsal,
    name: str,
    rows: list[SweepRow],
    arguments_of: Callable[[SweepRow], StepArguments],
) -> SweepResult:
    """Forecast the rows; nothing is recorded."""
    from consist_es.sweeps.rows import SweepResult

    for row in rows:

        def absorb(outputs: Mapping[str, Any], row: SweepRow = row) -> None:
            sc._absorb({f"{key}/{row.id}": value for key, value in outputs.items()})

        dry.run(arguments_of(row), sc._scope("map()"), absorb)
    return SweepResult(name, rows)
