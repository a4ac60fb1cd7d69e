"""The tracker: owns a run directory and a project; entry point for model code."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consist_es.api.coupler import Coupler
from consist_es.api.header import make_header
from consist_es.api.history import TrackerQueries
from consist_es.api.keeping import Keeping
from consist_es.api.lifecycle import Lifecycle
from consist_es.api.opening import make_folder, opened, places_of
from consist_es.api.recovery import Recovery
from consist_es.api.scenario import ScenarioContext
from consist_es.api.surface import Steps
from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import Digester
from consist_es.artifacts.uris import UriMap, given_folder
from consist_es.cache.packages import accept_packages, in_words, revoke_packages, warn_missing
from consist_es.cache.trust import Trust
from consist_es.checks import check_option, checked_year, names
from consist_es.errors import AccessModeError, ConsistError, UsageTypeError
from consist_es.execution import current as context
from consist_es.execution.active import ActiveRun
from consist_es.execution.engine import Engine, Scope
from consist_es.execution.forecast import Foresight
from consist_es.execution.hooks import Hook, Hooks
from consist_es.execution.log_calls import LogCalls
from consist_es.execution.log_notes import schemas_by_name
from consist_es.execution.observed import observations
from consist_es.execution.sources import SourceKeeper
from consist_es.execution.watch import Observer
from consist_es.execution.workers import active_run
from consist_es.identity.installed.package_options import PackageOptions
from consist_es.identity.live.modules import label_root
from consist_es.project.project import Project
from consist_es.projections import run_table
from consist_es.runs.copies import KnownCopies
from consist_es.runs.queries import Queries
from consist_es.runs.run import Run, RunResult
from consist_es.steps.definition import F, define_step
from consist_es.steps.options import ACCESS_MODES, HASHING, HYDRATIONS, OBSERVE
from consist_es.steps.step import StepDefaults
from consist_es.text import counted, shown
from consist_es.views.tables import reached

if TYPE_CHECKING:
    from consist_es.adapters.lbnl_configs import ConfigPlan
    from consist_es.api.handles import Handle
    from consist_es.execution.dry_run import Rehearsal
    from consist_es.execution.progress import Progress
    from consist_es.sweeps.rows import SweepResult


class Tracker(Steps["Tracker"], LogCalls, Lifecycle, TrackerQueries, Recovery, Keeping):
    """Runs steps and scenarios, and records them in one project.

    Args:
        run_dir: the folder that receives outputs.
        db_path: the SQLite file of the views, under any name, with the log beside it (``provenance.db`` and
            ``provenance.events/``); by default both are in `run_dir`.
        mounts: name -> folder, for files outside of `run_dir`: recorded as ``name://…``, and found again after a move.
        project_root: the folder of the model's code. Files in it count by content.
        hashing_strategy: ``full`` digests the content of files; ``fast`` compares sizes and times only.
        cache_epoch: counts for every step. Raise it, and everything is computed again.
        access_mode: ``standard``, or ``read_only`` and ``analysis``, which look things up and run nothing.
        run_subdir_fn: gives the folder of a run, relative to ``run_dir/outputs``.
        allow_external_paths: True lets copies of files go outside of `run_dir` and the mounts.
        sync: when appends are made durable against a power cut: ``commit`` (ends of runs and scenarios), ``always`` or
            ``os``.
        mask_keys: keys to mask the values of wherever they are recorded, besides ``password``, ``token`` and the like.
        record_env: the only environment variables to record. See docs/secrets-and-redaction.md.
        trusted_writers: names of users, ``anna`` or ``anna@host`` as in the log. Only their runs are reused, your own
            only if you are on the list. None: all runs. See docs/security.md.
        observe: undeclared reads of a step must be unchanged for a hit (``count``), only cause a warning (``warn``), or
            are not observed (``off``). See docs/observed-reads.md.
        ignore_reads: glob patterns of files that never count, such as ``cache/*``.
        carry_over: False recomputes runs recorded under an earlier version of the fingerprint.
        package_identity: ``own`` reuses results over other versions of installed packages, with a warning;
            ``imported`` does not. See docs/steps.md.
        model_packages: packages that count by version in either case, for every step.
        ignore_packages: packages that never count.
        progress: tell on stderr how each step ended and how long the rest may take; None asks the environment variable
            ``CONSIST_ES_PROGRESS``.
        capture_log: keep what each step prints in a file below `run_dir`; see docs/step-logs.md.
        log: a log on a server that processes of many machines share, ``postgresql://host/database#project``; the views
            stay on this machine, by default in the user's cache. None asks the environment variable
            ``CONSIST_ES_LOG``, without which the log is in files. See docs/postgresql.md.
        record_source: keep the source text of the project's code that steps ran, once per version of each function, so
            that `why` and `diff` show the changed lines; None keeps it unless `trusted_writers` or `log` is given. See
            docs/why.md.
        schemas: classes that describe tables (SQLModel, pydantic, dataclass, msgspec). A file that is logged with
            one of them, or with its name, gets the names of its table and columns as metadata.
    """

    _own_rehearsal: Rehearsal | None = None
    """In a dry run by the environment: that of the steps outside scenarios."""
    _progress: Progress | None = None
    """None while it tells nothing."""

    def __init__(
        self,
        run_dir: str | os.PathLike[str],
        db_path: str | os.PathLike[str] | None = None,
        mounts: Mapping[str, str | os.PathLike[str]] | None = None,
        *,
        project_root: str | os.PathLike[str] = ".",
        hashing_strategy: str = "full",
        cache_epoch: int = 1,
        access_mode: str = "standard",
        run_subdir_fn: Callable[[Run], str] | None = None,
        allow_external_paths: bool | None = None,
        sync: str = "commit",
        mask_keys: Iterable[str] | None = None,
        record_env: Iterable[str] | None = None,
        trusted_writers: Iterable[str] | None = None,
        observe: str = "count",
        ignore_reads: Iterable[str] | None = None,
        carry_over: bool = True,
        package_identity: str = "own",
        model_packages: Iterable[str] | None = None,
        ignore_packages: Iterable[str] | None = None,
        progress: bool | None = None,
        capture_log: bool = True,
        record_source: bool | None = None,
        schemas: Iterable[type] | None = None,
        log: str | None = None,
    ) -> None:
        _check_options(hashing_strategy=hashing_strategy, access_mode=access_mode, observe=observe)
        trust = Trust.of(trusted_writers)
        packages = PackageOptions.of(package_identity, model_packages, ignore_packages)
        epoch, tables = checked_year("cache_epoch", cache_epoch), schemas_by_name(schemas)
        self.run_dir, self.db_path = places_of(run_dir, db_path, log)
        uris, hidden = UriMap.of(self.run_dir, mounts), (names(mask_keys, "mask_keys"), names(record_env, "record_env"))
        self._project = opened(self.db_path, uris, sync, hidden, access_mode, bars=_tells(progress))
        self._is_dry = _is_set("CONSIST_ES_DRY_RUN")
        make_folder(self.run_dir, dry=self._is_dry)
        digester, globs = Digester(hashing_strategy, self._project.digests), names(ignore_reads, "ignore_reads")
        self._answers = Queries(self._project, uris := KnownCopies(self._project, digester, trust).at(uris))
        self._engine = Engine(
            project=self._project,
            queries=self._answers,
            uris=uris,
            digester=digester,
            hooks=Hooks(),
            owner=self,
            access_mode=access_mode,
            subdir_of=run_subdir_fn,
            allow_external_paths=_external(allow_external_paths),
            trust=trust,
            carry_over=bool(carry_over),
            observer=Observer(self._project, uris, digester, observe, globs),
            capture_log=bool(capture_log),
            sources=SourceKeeper.if_asked(record_source, by_default=trust is None and not self._is_shared()),
            schemas=tables,
        )
        self._defaults = self._defaults_in(project_root, epoch, packages)
        self._foresight, self._cut = Foresight(self._engine), set()
        self._follow(progress)

    def _is_shared(self) -> bool:
        """True if the log is on a server."""
        return self._project.log.folder is None

    def _defaults_in(
        self, project_root: str | os.PathLike[str], epoch: int | None, packages: PackageOptions
    ) -> StepDefaults:
        """What all steps share. The folder of the log, or else that of the outputs, tells where the model's code is."""
        warn_missing(packages)
        beside = self.run_dir if self._is_shared() else self.db_path.parent
        root, place = given_folder(project_root, "project_root"), label_root(project_root, beside)
        return StepDefaults(root, epoch, self._project.masker, place, packages=packages, run_dir=self.run_dir)

    def _follow(self, progress: bool | None) -> None:
        """Tell of steps from now on, if that is asked for or `logging` listens at INFO."""
        asked = _tells(progress)
        if self._progress is None and (asked or logging.getLogger("consist_es").isEnabledFor(logging.INFO)):
            from consist_es.execution.progress import Progress  # few trackers tell anything

            self._progress = Progress(self._project, on_stderr=asked)
            self._progress.follow(self._engine.hooks)

    def close(self) -> None:
        """Release files and locks; everything is in the log already."""
        self._project.close()

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Tracker of {shown(self.db_path)}{self._counts()}>"

    def _counts(self) -> str:
        """Numbers of events and scenarios; "" if the views cannot be read, and inside a step, where to print a tracker
        would be to read other runs."""
        if observations():
            return ""
        try:
            conn = self._project.connection()
            scenarios = counted(run_table.how_many(conn, kind="scenario"), "scenario")
            return f": {counted(reached(conn).seq, 'event')}, {scenarios}"
        except (ConsistError, OSError, sqlite3.Error):
            return ""

    @property
    def project(self) -> Project:
        """The log and its views."""
        return self._project

    @property
    def mounts(self) -> dict[str, str]:
        """Scheme -> absolute root."""
        return dict(self._engine.uris.mounts)

    @property
    def registered_schemas(self) -> dict[str, type]:
        """The classes given as `schemas`, by name."""
        return {kind.__name__: kind for kind in self._engine.schemas.values()}

    def resolve_uri(self, uri: str) -> Path:
        """The local path of a portable URI."""
        return self._engine.uris.resolve(uri)

    # ------------------------------------------------------------ steps and scenarios

    def _scope(self, call: str | None) -> Scope:
        return Scope(self._defaults)

    def scenario(
        self,
        name: str,
        config: object = None,
        tags: str | Iterable[str] | None = None,
        model: str = "scenario",
        step_tags: Iterable[str] | None = None,
        step_facet: Mapping[str, Any] | None = None,
        step_cache_hydration: str | None = None,
        name_template: str | None = None,
        cache_epoch: int | None = None,
        coupler: Coupler | None = None,
        require_outputs: str | Iterable[str] | None = None,
        dry_run: bool = False,
        **kwargs: Any,
    ) -> ScenarioContext:
        """A scenario, to be entered with ``with``; nothing is recorded before.

        Args:
            name: of the scenario, and the id of its first attempt.
            config: a mapping or record, read in ``sc.config``.
            tags, model: labels of the header run.
            step_tags, step_facet, step_cache_hydration, name_template, cache_epoch: defaults of every step.
            coupler: one to share with other scenarios.
            require_outputs: keys without which the scenario fails at its end.
            dry_run: forecast its steps instead of running them, record nothing, and print at its end what would run;
                see docs/dry-run.md. ``CONSIST_ES_DRY_RUN=1`` in the environment does it for all steps of all trackers.
            kwargs: run_id, description, year, iteration, phase, stage, facet, facet_from, inputs (key -> path, as
                `add_input`); everything else is metadata of the header run.
        """
        self._follow(progress=False)  # logging may be set up by now
        for refused in ("cache_mode", "output_sets"):
            if refused in kwargs:
                raise UsageTypeError(f"scenario({refused}=…): a scenario is never cached; give it to its steps.")
        check_option("step_cache_hydration", step_cache_hydration, HYDRATIONS)
        if coupler is not None and not isinstance(coupler, Coupler):
            raise UsageTypeError(f"coupler takes a Coupler, not {type(coupler).__name__}.")
        header = make_header(name, config, tags, model, require_outputs, kwargs)
        defaults = StepDefaults(
            project_root=self._defaults.project_root,
            cache_epoch=self._defaults.cache_epoch if cache_epoch is None else checked_year("cache_epoch", cache_epoch),
            masker=self._defaults.masker,
            label_root=self._defaults.label_root,
            run_id_prefix=f"{header.run_id}_",
            tags=names(step_tags, "step_tags") if not isinstance(step_tags, str) else _refuse_str("step_tags"),
            facet=dict(step_facet or {}),
            name_template=name_template,
            cache_hydration=step_cache_hydration,
            packages=self._defaults.packages,
            run_dir=self.run_dir,
        )
        if dry_run or self._rehearsal() is not None:
            from consist_es.api.dry_scenario import DryScenario  # few scripts are ever rehearsed

            return DryScenario(self._engine, header, defaults, coupler=coupler)
        return ScenarioContext(self._engine, header, defaults, coupler=coupler)

    def _rehearsal(self) -> Rehearsal | None:
        if (around := super()._rehearsal()) is not None or not self._is_dry:
            return around
        if self._own_rehearsal is None:
            from consist_es.execution.dry_run import Rehearsal

            self._own_rehearsal = Rehearsal(self._engine, None)
        return self._own_rehearsal

    def map_scenarios(
        self,
        fn: Callable[..., object],
        rows: Iterable[Mapping[str, Any]],
        *,
        executor: Any = None,
        name: str | None = None,
        row_id: Callable[[Mapping[str, Any]], object] | None = None,
        window: int | None = None,
        on_error: str = "raise",
    ) -> SweepResult:
        """Call ``fn(sc, row)`` for every row, each in a scenario of its own, on an executor; see docs/howto/sweeps.md.

        Args:
            fn: gets the row's scenario, which is entered, and the row. What it returns is not kept.
            rows: mappings; each is the config of its scenario.
            executor: as in `ScenarioContext.map`.
            name: of the header scenario that the others belong to, and of each; by default the function's.
            row_id: gives the id of a row; by default its number, from 0.
            window: the most rows that are with workers at a time.
            on_error: ``raise`` `SweepError` once all rows have ended, or ``keep`` what failed in the result.

        Raises:
            SweepError: rows failed or were lost; it has all rows.
        """
        from consist_es.api.maps import map_scenarios  # most models map nothing

        return map_scenarios(
            self, fn, rows, executor=executor, name=name, row_id=row_id, window=window, on_error=on_error
        )

    def _attached(self, handle: Handle, text: str) -> ScenarioContext:
        """The scenario of a handle; `text` is the handle as it came."""
        from consist_es.api.attached import AttachedScenario

        return AttachedScenario(self, handle, text)

    def __reduce__(self) -> tuple[Any, ...]:
        from consist_es.api.handles import reopen, settings_of

        return reopen, (type(self), settings_of(self))

    # ------------------------------------------------------------ accepted changes

    def accept(self, run: str, as_run: str, reason: str) -> None:
        """Accept a harmless change: from now on `as_run` answers for the same work as `run`, and hits report it.

        Raises:
            MissingKeyError: no such run. AcceptanceError (ValueError): it cannot be accepted, with the reason.
        """
        from consist_es.cache import accept as acceptance  # few processes accept anything

        self._check_writable("accept()")
        acceptance.accept(self._project, run, as_run, reason, uris=self._engine.uris)

    def revoke_acceptance(self, run: str, reason: str | None = None) -> None:
        """Revoke what was accepted for `run`: later lookups no longer follow it.

        Raises:
            MissingKeyError: no such run. AcceptanceError (ValueError): nothing is accepted for it.
        """
        from consist_es.cache import accept as acceptance

        self._check_writable("revoke_acceptance()")
        acceptance.revoke(self._project, run, reason)

    def prepare_config(self, adapter: Any, config_dirs: Any = None, **ignored: Any) -> ConfigPlan:
        """Read a configuration now; the plan has its identity, and may be given as `adapter=`.

        Raises:
            As `consist_es.adapters.Adapter.canonicalize`.
        """
        from consist_es.api.config_calls import prepared  # seldom, and with readers of formats

        return prepared(self._defaults, adapter, config_dirs)

    def canonicalize_config(self, adapter: Any, config_dirs: Any = None, **ignored: Any) -> ConfigPlan:
        """Read a configuration inside a run, and log its identity in the run's metadata. It does not count for the run,
        which has begun: give `adapter=` for that.

        Raises:
            NoActiveRunError: there is no run. As `prepare_config`.
        """
        plan = self.prepare_config(adapter, config_dirs)
        self.log_meta(**plan.meta)
        return plan

    def run_with_config_overrides(
        self, *, adapter: Any, overrides: Any, output_dir: str | os.PathLike[str], **run_kwargs: Any
    ) -> RunResult:
        """Write a changed configuration into ``output_dir/name`` and run a step with it: `fn`, `name` and more as of
        `run`. `base_config_dirs` are the folders that `adapter` reads, if others than its own.

        `override_runtime_kwargs`: parameter of the function -> ``selected_root_dir`` (the folder that was written),
        ``root_dirs`` (all folders), ``primary_config`` or ``adapter``; without it, those of its parameters that have
        one of these names.

        Raises:
            As `run`, `prepare_config` and `consist_es.adapters.lbnl_configs.changed`.
        """
        from consist_es.api.config_calls import run_changed  # seldom, and with readers of formats

        return run_changed(self, adapter, overrides, output_dir, **run_kwargs)

    def accept_packages(self, reason: str) -> list[str]:
        """Accept the installed versions of packages: results of the versions before are reused for all steps, and hits
        report it. Returns the changes in words, ``pandas 2.2.1 -> 2.2.2``.

        Raises:
            AcceptanceError (ValueError): nothing changed since the last run, or no reason is given.
        """
        self._check_writable("accept_packages()")
        return in_words(accept_packages(self._project, reason, ignored=self._defaults.packages.ignore))

    def revoke_packages(self, reason: str | None = None) -> None:
        """Revoke all accepted changes of packages.

        Raises:
            AcceptanceError (ValueError): none was accepted.
        """
        self._check_writable("revoke_packages()")
        revoke_packages(self._project, reason)

    def _check_writable(self, call: str) -> None:
        if (dry := self._rehearsal()) is not None:
            raise dry.stop(f"{call} would record something, and a dry run records nothing")
        if self._engine.access_mode != "standard":
            raise AccessModeError(self._engine.access_mode, call)

    # ------------------------------------------------------------ inside a step

    def _logging(self, call: str) -> ActiveRun:
        own = str(self._project.db_path)
        return active_run(call, lambda tracker, path: tracker is self or path == own)

    def _active_or_none(self) -> ActiveRun | None:
        frame = context.top()
        return frame.run if frame is not None and frame.tracker is self else None

    @property
    def is_cached(self) -> bool:
        """True if the executing trace block is a cache hit."""
        active = self._active_or_none()
        return active is not None and active.is_cached

    def cached_output(self, key: str | None = None) -> Artifact | None:
        """On a hit, the earlier output of that key (or the first); else None."""
        active = self._active_or_none()
        return active.cached_output(key) if active else None

    def cached_artifacts(self, direction: str = "output") -> dict[str, Artifact]:
        """On a hit, the earlier outputs by key (or this run's inputs); else empty."""
        active = self._active_or_none()
        return active.cached_artifacts(direction) if active else {}

    def load(self, artifact: Artifact, **options: Any) -> Any:
        """Load an artifact's data; see `consist_es.load`."""
        from consist_es.artifacts.drivers.loading import load  # with all drivers

        return load(artifact, **options)

    def define_step(self, **defaults: Any) -> Callable[[F], F]:
        """As `consist_es.define_step`; nothing of the tracker counts."""
        return define_step(**defaults)

    # ------------------------------------------------------------ hooks

    def on_run_start(self, fn: Hook) -> Hook:
        """Call ``fn(run)`` when a run begins; usable as a decorator. A hook that raises is a warning."""
        self._engine.hooks.on_start.append(fn)
        return fn

    def on_run_complete(self, fn: Hook) -> Hook:
        """Call ``fn(run, outputs)`` when a run completes."""
        self._engine.hooks.on_complete.append(fn)
        return fn

    def on_run_failed(self, fn: Hook) -> Hook:
        """Call ``fn(run, error)`` when a run ends with an exception."""
        self._engine.hooks.on_failed.append(fn)
        return fn


def _check_options(**given: str) -> None:
    for name, allowed in (("hashing_strategy", HASHING), ("access_mode", ACCESS_MODES), ("observe", OBSERVE)):
        check_option(name, given[name], allowed, optional=False)


def _external(given: bool | None) -> bool:
    """True if copies may go outside run_dir and mounts: by the argument, else the environment variable, else False."""
    if given is not None:
        return given
    return _is_set("CONSIST_ALLOW_EXTERNAL_PATHS")


def _tells(progress: bool | None) -> bool:
    return _is_set("CONSIST_ES_PROGRESS") if progress is None else progress


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() in ("1", "true", "yes")


def _refuse_str(what: str) -> tuple[str, ...]:
    raise UsageTypeError(f"{what} takes a list of str, not a single str.")
