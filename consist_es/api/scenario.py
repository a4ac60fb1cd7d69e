"""A scenario: steps grouped under a header run, which pass artifacts through a coupler."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from consist_es.api.coupler import Coupler, Declares, Required, Stored, values_of
from consist_es.api.header import Header
from consist_es.api.lbnl_names import SaysInstead
from consist_es.api.maps import Maps
from consist_es.api.surface import Steps
from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import artifact_of_event, describe
from consist_es.artifacts.uris import quote
from consist_es.checks import check_key, safe_name
from consist_es.errors import AccessModeError, ClosedError, ConsistError, InputError, RequiredOutputsError
from consist_es.events import ScenarioExited, ScenarioStarted
from consist_es.execution.attempt_events import error_info
from consist_es.execution.current import Frame, pop, push, top
from consist_es.execution.engine import Engine, Scope
from consist_es.execution.forecast import Foresight
from consist_es.execution.journal import Journal
from consist_es.execution.log_notes import notes_of
from consist_es.execution.observed import Surroundings, digest_now, observations, paths_behind
from consist_es.projections import run_table
from consist_es.runs.copies import claimed
from consist_es.runs.run import Run
from consist_es.steps.step import StepDefaults
from consist_es.system.with_block import WithBlock
from consist_es.text import noted

if TYPE_CHECKING:
    from consist_es.execution.dry_run import DryRun


class ScenarioContext(WithBlock["ScenarioContext"], Steps[Any], Maps, Declares, SaysInstead):
    """A group of steps with one header run and one coupler; a context manager.

    ``with tracker.scenario("baseline") as sc:`` then ``sc.run(...)`` for steps that may be skipped and
    ``sc.trace(...)`` for blocks that always run. Entering it again begins a new attempt (``baseline#2``).
    """

    def __init__(
        self, engine: Engine, header: Header, defaults: StepDefaults, *, coupler: Coupler | None = None
    ) -> None:
        self._engine = engine
        self._header = header
        self._defaults = defaults
        self._own_coupler = coupler is None
        self.coupler = coupler if coupler is not None else Coupler()
        """The scenario's names -> the latest artifact set under each."""
        self._run: Run | None = None
        self._journal: Journal | None = None
        self._frame: Frame | None = None
        """The frame that makes it the current scenario while it is open."""
        self._inputs: dict[str, Artifact] = {}
        self._began = 0.0
        self._row: tuple[str, str] | None = None
        """Key of the sweep that it is a row of, and the id of that row."""
        self._foresight = Foresight(engine)

    # ------------------------------------------------------------ what it is

    def __repr__(self) -> str:
        from consist_es.runs.labels import brief

        state = "open" if self._frame is not None else "not entered" if self._run is None else "closed"
        return f"<ScenarioContext {brief(self.run_id)}: {state}>"

    def _repr_html_(self) -> str:
        """Its steps so far, for a notebook."""
        from consist_es.runs.sets import RunSet

        if self._run is None:
            return RunSet((), self.run_id)._repr_html_()
        queries = self._engine.queries
        conn = queries.conn
        steps = run_table.find(conn, limit=None, scenario=self._key)
        return RunSet(tuple(queries.run(conn, row) for row in steps), self.run_id)._repr_html_()

    @property
    def run_id(self) -> str:
        """Id of the header run; before the scenario is first entered, the requested id."""
        self._read("run_id")
        return self._header.run_id if self._run is None else self._run.id

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self._header.name

    @property
    def model(self) -> str:
        """Model name of the header run."""
        return self._header.model

    @property
    def tags(self) -> list[str]:
        """Tags of the header run."""
        return list(self._header.tags)

    @property
    def tracker(self) -> Any:
        """The tracker that made this scenario."""
        return self._engine.owner

    @property
    def config(self) -> Mapping[str, Any]:
        """Read-only view of the scenario's configuration."""
        self._read("config")
        return MappingProxyType(self._header.config)

    @property
    def inputs(self) -> Mapping[str, Artifact]:
        """Read-only view of the external inputs added with `add_input`, by key."""
        self._read("inputs")
        return MappingProxyType(self._inputs)

    @property
    def dry_run(self) -> DryRun | None:
        """Of a dry run that has ended: the steps, what a real run would do with each, and the time it may take."""
        return None

    # ------------------------------------------------------------ with

    def _check_entry(self) -> None:
        if self._frame is not None:
            raise ClosedError(f"Scenario {self.run_id!r} is open already: leave its block before entering it again.")
        if self._engine.access_mode != "standard":
            raise AccessModeError(self._engine.access_mode, f"Scenario {self._header.name!r}")

    def _begin(self) -> ScenarioContext:
        engine, header = self._engine, self._header
        key = f"{safe_name(header.run_id, 80)}-{engine.project.storage.token(6).hex()}"
        if self._run is not None and self._own_coupler:
            self.coupler = Coupler()
        self._inputs = {}
        self._foresight = Foresight(engine)
        journal = Journal(engine.project, engine.uris, key, key)
        environment, drafts = engine.project.environment(self._defaults.project_root)
        drafts += journal.drafts(self._started(environment))
        self._began = time.monotonic()
        self._frame = Frame(engine.owner, None, key)  # from here on every ending is recorded
        engine.project.record(drafts)
        self._run, self._journal = engine.queries.run_by_key(key), journal
        push(self._frame)
        self.coupler.attach(journal)
        if header.require_outputs:
            self.coupler.require_outputs(*header.require_outputs)
        for role, path in header.inputs.items():
            self._log_input(path, role, {})
        engine.hooks.started(self._header_run())
        return self

    def _started(self, environment: str) -> ScenarioStarted:
        header, frame = self._header, top()
        enclosing = None if frame is None else (frame.run.key if frame.run is not None else frame.scenario)
        return ScenarioStarted(
            run_id=header.run_id,
            name=header.name,
            model=header.model,
            description=header.description,
            config=header.config_plain,
            tags=header.tags,
            facet=header.facet,
            meta=header.meta,
            year=header.year,
            iteration=header.iteration,
            phase=header.phase,
            stage=header.stage,
            parent=enclosing,
            run_dir=self._engine.uris.root,
            mounts={scheme: quote(root) for scheme, root in self._engine.uris.mounts.items()},
            environment=environment,
            sweep=None if self._row is None else self._row[0],
            row=None if self._row is None else self._row[1],
        )

    def _end(self, error: BaseException | None) -> None:
        missing = self.coupler.missing_declared_outputs() if error is None else []
        lacking = RequiredOutputsError(self.name, missing) if missing else None
        self._close(error or lacking, missing)
        if lacking is not None:
            raise lacking

    def _close(self, error: BaseException | None, missing: list[str]) -> None:
        """Record the end. An error of the recording never replaces an exception of the block."""
        frame, engine = self._frame, self._engine
        if frame is None or frame.scenario is None:
            return
        try:
            recorded = self._record_exit(frame.scenario, error, missing)
        except (ConsistError, OSError) as unrecorded:
            self._forget(frame)
            if error is None:
                raise
            noted(error, f"consist-es could not record the end of scenario {self.name!r}: {unrecorded}")
            return
        self._forget(frame)
        if not recorded:
            return
        hooks, queries = engine.hooks, engine.queries  # nothing is read for nobody: there may be thousands of steps
        if error is None and hooks.on_complete:
            hooks.completed(queries.run_by_key(frame.scenario), queries.outputs(frame.scenario))
        elif error is not None and hooks.on_failed:
            hooks.failed(queries.run_by_key(frame.scenario), error)

    def _forget(self, frame: Frame) -> None:
        pop(frame)
        self.coupler.attach(None)
        self._frame = None

    def _record_exit(self, key: str, error: BaseException | None, missing: list[str]) -> bool:
        """Record the end if the scenario is open; False if it is not."""
        engine = self._engine  # ask the log: an interrupt may strike just after an append
        if not engine.queries.is_open(key):
            return False
        last = run_table.last_step(engine.project.connection(), key)
        status = "completed" if error is None else "failed" if isinstance(error, Exception) else "interrupted"
        bad = last if last is not None and last.status in ("failed", "interrupted") else None
        event = ScenarioExited(
            status=status,
            seconds=time.monotonic() - self._began,
            error=None if error is None else error_info(error, engine.project.masker.error),
            failed_step=bad.name if bad is not None and error is not None else None,
            missing_outputs=missing,
        )
        Journal(engine.project, engine.uris, key, key).record(event, commit=True)
        engine.project.connection()  # for other programs, which read the views and not the log
        return True

    @property
    def _key(self) -> str:
        if self._journal is None or self._journal.run is None:
            raise ClosedError(f"Scenario {self.name!r} was never entered. Use it inside `with ….scenario(...) as sc:`.")
        return self._journal.run

    def _header_run(self) -> Run:
        return self._engine.queries.run_by_key(self._key)

    def _check_open(self, call: str) -> None:
        if self._frame is None:
            raise ClosedError(
                f"{call}: scenario {self.name!r} is not active. Use it inside `with ….scenario(...) as sc:`."
            )

    # ------------------------------------------------------------ inputs and outputs

    def add_input(self, path: Stored, key: str, **kwargs: Any) -> Artifact:
        """Record an external file or an Artifact as an input of the scenario, before its first step.

        Adding the same file under the same key again has no effect. Keywords go to `log_artifact`.

        Raises:
            InputError: the file is not there. ClosedError (RuntimeError): not active, or a step has started.
        """
        self._check_open("add_input()")
        if self._has_steps():
            raise ClosedError(
                f"add_input({key!r}): a step of scenario {self.name!r} has started already (run or trace). "
                "Add the scenario's inputs before its first step."
            )
        return self._log_input(path, key, kwargs)

    def _has_steps(self) -> bool:
        return run_table.last_step(self._engine.project.connection(), self._key) is not None

    def _log_input(self, value: Any, key: str, options: Mapping[str, Any]) -> Artifact:
        engine = self._engine
        self._check_open("add_input()")
        check_key(key, "input key")
        path = value.path if isinstance(value, Artifact) else engine.uris.resolve_given(value)
        notes = notes_of(**options)
        event = describe(
            path,
            key=key,
            direction="input",
            uris=engine.uris,
            digester=engine.digester,
            role=key,
            notes=notes,
        )
        if event.kind == "missing":
            raise InputError(f"add_input({key!r}): {path} does not exist. Make it first, or correct the path.")
        if isinstance(value, Artifact) and value.hash == event.digest:
            event = msgspec.structs.replace(event, artifact=str(value.id), producer=value.producer)
        before = self._inputs.get(key)
        if before is not None and before.hash == event.digest and before.path == path:
            return before
        artifact = artifact_of_event(event, engine.uris, run_id=None)
        if self._journal is not None:
            self._journal.record(event, *claimed(artifact, notes.recovery_roots, engine.uris))
        self._inputs[key] = artifact
        return artifact

    def _declare(
        self, names: Sequence[str], required: Required, warn_undefined: bool, description: Mapping[str, str] | None
    ) -> None:
        self.coupler._declare(names, required, warn_undefined, description)

    def collect_by_keys(self, artifacts: Mapping[str, Artifact], *keys: str, prefix: str = "") -> dict[str, Artifact]:
        """Put artifacts into the coupler by key; see `Coupler.collect_by_keys`."""
        return self.coupler.collect_by_keys(artifacts, *keys, prefix=prefix)

    # ------------------------------------------------------------ steps

    def _absorb(self, outputs: Mapping[str, Artifact]) -> None:
        self.coupler.absorb(outputs)

    def _scope(self, call: str | None) -> Scope:
        key = None if self._journal is None else self._journal.run
        if call is not None:
            self._check_open(call)
        defaults = self._defaults
        if self._run is not None:
            defaults = msgspec.structs.replace(defaults, scenario_id=self._run.id)
        now = self._then if call is None else self._now
        return Scope(defaults, key, self.coupler, Surroundings(self, self.coupler, now, self._paths))

    def _read(self, what: str) -> None:
        """Note the read: a step that reads this while it runs depends on the value."""
        for run in observations():
            run.scenario(self, what)

    def _paths(self, name: str) -> list[str]:
        """See `Surroundings.paths`."""
        return paths_behind(name, self._inputs, values_of(self.coupler))

    def _now(self, name: str) -> str:
        """See `Surroundings.now`."""
        return self._digest(name, values_of(self.coupler))

    def _then(self, name: str) -> str:
        """The same for a forecast: with what the steps forecast so far will have set in the coupler."""
        return self._digest(name, self._foresight.coupler_then(name))

    def _digest(self, name: str, coupler: Mapping[str, Any]) -> str:
        engine, header = self._engine, self._header
        config = engine.project.masker.plain(header.config_plain)
        return digest_now(name, header.run_id, config, self._inputs, coupler, engine.digester)
