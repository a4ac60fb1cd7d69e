"""Names of LBNL's consist that have no counterpart here, and their replacements, for users who migrate.

`CHANGELOG.md` has the same table; a test compares them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from consist_es.errors import OptionError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from consist_es.api.grouped import GroupedView
    from consist_es.api.lbnl_parts import TrackerFiles, TrackerIdentity, TrackerPersistence, TrackerSettings
    from consist_es.api.lbnl_queries import RunArtifacts, RunQueries
    from consist_es.artifacts.artifact import Artifact
    from consist_es.runs.run import Run

_RUN_FILTERS = ("model", "status", "year", "iteration", "parent_run_id")
INSTEAD = {
    "from_config": "Tracker(run_dir, db_path, ...) with the same arguments",
    "load_relation": "consist.load_df(artifact), or artifact.path with the reader of your choice",
    "map_runs": "sc.map(fn, rows, executor=...), or tracker.map_scenarios(fn, rows, executor=...)",
    "single_step_scenario": "with tracker.scenario(name) as sc, sc.trace(step): ...",
    "to_config": "Tracker(run_dir, db_path, ...) with the same arguments",
    "to_df": "consist.load_df(artifact)",
    "TrackerConfig": "Tracker(run_dir, db_path, ...) with the same arguments",
}
_DATABASE = "tracker.find_runs, find_artifacts and compare, or the views in SQLite, see docs/views.md"
_GTFS = "tracker.run with the feed's files as inputs"
_CONTAINER = "a step with ExecutionOptions(container=Container(image, command)), or run_container"
MODULES = {
    "api": "the functions of consist_es itself",
    "cli": "the command consist-es, see docs/cli.md",
    "core.admission": "identity_inputs=, which counts files by their content",
    "core.gtfs": _GTFS,
    "core.materialize": "cache_hydration=, or artifact.path",
    "integrations.dlt_loader": "artifact.path with the reader of your choice",
    "integrations.ibis": "artifact.path with the reader of your choice",
    "models.gtfs": _GTFS,
    "tools": "the functions of consist_es itself",
}
"""Submodules of LBNL's consist that are not provided, and their replacements."""
NAMES = {
    "core.directory_artifacts": "the folder as an artifact: its digest covers all files in it",
    "core.identity.IdentityManager": "tracker.find_artifacts_with_same_content, or artifact.hash",
    "core.maintenance": "tracker.snapshot_db(path), consist-es merge, or copy its folder, see docs/cleaning-up.md",
    "core.persistence": _DATABASE,
    "core.views": "tracker.run_set(...), or the views in SQLite, see docs/views.md",
    "integrations.activitysim": "adapter='folder:configs', or an adapter of your own, see docs/adapters.md",
    "integrations.beam": "adapter='folder:…', which reads HOCON, see docs/adapters.md",
    "integrations.containers.ContainerDefinition": _CONTAINER,
    "models.artifact_kv": _DATABASE,
    "models.artifact_schema": "artifact.schema, the columns of a table",
    "models.beam": _DATABASE,
}
"""Names and submodules that only stand for what they were, and their replacements."""


_RECOVERY = "recovery copies, see docs/recovery.md"
_PROFILE = "artifact.schema, the columns of a table: they are recorded with every file"
METHODS = {
    "apply_config_plan": "adapter=",
    "archive_artifact": _RECOVERY,
    "archive_current_run_outputs": _RECOVERY,
    "archive_run_output_files": _RECOVERY,
    "archive_run_outputs": _RECOVERY,
    "canonicalize_config": "adapter=",
    "canonicalize_gtfs": _GTFS,
    "create_view": "the views in SQLite, see docs/views.md",
    "db": _DATABASE,
    "db_session": _DATABASE,
    "engine": _DATABASE,
    "export_schema_sqlmodel": _PROFILE,
    "find_artifacts_by_params": "tracker.find_artifacts(...), and artifact.facet",
    "find_matching_run": "tracker.find_latest_run(model=…, year=…, status='completed')",
    "find_matching_runs": "tracker.find_runs(model=…, year=…, status='completed')",
    "find_recent_completed_runs_for_model": "tracker.find_runs(model=…, status='completed', limit=…)",
    "find_runs_by_facet_kv": "tracker.find_runs(facet={…})",
    "find_runs_producing_same_content": "tracker.find_artifacts_with_same_content(artifact)",
    "get_artifact_by_uri": "tracker.find_artifacts(uri=…)",
    "get_artifact_kv": "artifact.facet",
    "get_artifacts_for_run": "tracker.get_run_inputs(run_id) and get_run_outputs(run_id)",
    "get_config_bundle": "tracker.get_run_config(run_id)",
    "get_config_facet": "run.facet",
    "get_config_facets": "run.facet",
    "get_config_value": "tracker.get_run_config(run_id)[…]",
    "get_config_values": "tracker.get_run_config(run_id)",
    "get_registered_schema": "tracker.registered_schemas[…]",
    "get_run_config_kv": "tracker.get_run_config(run_id)",
    "get_run_record": "tracker.get_run(run_id)",
    "history": "tracker.find_runs(limit=…)",
    "hydrate_run_outputs": _RECOVERY,
    "hydrate_run_outputs_to_destinations": _RECOVERY,
    "ibis_connection": _DATABASE,
    "ibis_grouped_view": _DATABASE,
    "ibis_view": _DATABASE,
    "identity_from_config_plan": "adapter=",
    "load_input_bundle": _RECOVERY,
    "log_netcdf_file": "log_output(path)",
    "log_openmatrix_file": "log_output(path), or log_h5_container(path)",
    "materialize": _RECOVERY,
    "materialize_artifact": _RECOVERY,
    "materialize_run_outputs": _RECOVERY,
    "netcdf_metadata": "consist.load(artifact)",
    "prepare_config": "adapter=",
    "prepare_config_resolver": "adapter=",
    "queries": "the methods of the tracker itself",
    "register_artifact_facet_parser": "facet= of log_output",
    "register_artifact_recovery_copy": _RECOVERY,
    "register_run_output_recovery_copies": _RECOVERY,
    "resolve_historical_path": "artifact.path, which looks where it was recorded, too",
    "restore_cache_options": "cache_options= of each step",
    "run_artifact_dir": "run.artifact_dir",
    "run_query": _DATABASE,
    "run_with_config_overrides": "config=, or an adapter that reads a copy of the files",
    "select_artifact_schema_for_artifact": _PROFILE,
    "set_artifact_recovery_roots": _RECOVERY,
    "set_run_subdir_fn": "Tracker(run_subdir_fn=…)",
    "spatial_metadata": "consist.load(artifact)",
    "stage_artifact": "ExecutionOptions(input_paths=…, input_materialization='requested')",
    "stage_inputs": "ExecutionOptions(input_paths=…, input_materialization='requested')",
    "suspend_cache_options": "cache_options= of each step",
    "view": "consist.load_df(artifact), or the views in SQLite, see docs/views.md",
    "views": "consist.load_df(artifact), or the views in SQLite, see docs/views.md",
}
"""Methods of trackers that may not be provided, and their replacements. Those that are there by now are not told of."""


def instead_of(name: str) -> str | None:
    """The replacement of a dotted name of LBNL's consist, or None."""
    parts = name.split(".")[1:]
    found = (NAMES.get(".".join(parts[:length])) for length in range(len(parts), 0, -1))
    return next(filter(None, found), None) or INSTEAD.get(parts[-1] if parts else name)


def no_name(name: str, asking: str | None) -> Exception:
    """The error for a name that the package does not have. `asking`: name of the module that asks for it.

    ``from consist_es import map_runs`` hides the text of an AttributeError, so the import system gets an ImportError.
    """
    said = f"module 'consist_es' has no attribute {name!r}"
    if name not in INSTEAD:
        return AttributeError(said)
    said += _instead(name)
    importing = asking in ("importlib._bootstrap", "_frozen_importlib")
    return ImportError(said, name="consist_es") if importing else AttributeError(said)


def _instead(name: str) -> str:
    return f". This name of LBNL's consist has no counterpart here; instead: {INSTEAD[name]}."


class SaysInstead:
    """Base of the public classes: the error for a missing method of LBNL's consist names its replacement."""

    if not TYPE_CHECKING:  # else every name would be an attribute for the type checker

        def __getattr__(self, name: str) -> Any:
            if name in INSTEAD:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{_instead(name)}")
            return object.__getattribute__(self, name)  # also the error of a property that has one


class LbnlQueries(SaysInstead):
    """Queries of `Tracker` under the names that LBNL's consist gives them; `api/lbnl_queries` answers, when asked."""

    @property
    def queries(self) -> RunQueries:
        """The queries for runs as an object of their own."""
        from consist_es.api.lbnl_queries import RunQueries  # few processes ask by these names, here and below

        return RunQueries(self)

    @property
    def fs(self) -> TrackerFiles:
        """Paths and portable URIs: `virtualize_path`, `resolve_uri`, `mounts`, `run_dir`."""
        from consist_es.api.lbnl_parts import TrackerFiles

        return TrackerFiles(self)

    @property
    def settings(self) -> TrackerSettings:
        """What is done with tables that are logged."""
        from consist_es.api.lbnl_parts import TrackerSettings

        return TrackerSettings()

    @property
    def identity(self) -> TrackerIdentity:
        """How files are digested: `compute_file_checksum`, `hashing_strategy`."""
        from consist_es.api.lbnl_parts import TrackerIdentity

        return TrackerIdentity(self)

    @property
    def persistence(self) -> TrackerPersistence:
        """Only `batch_artifact_writes`, for which there is no need."""
        from consist_es.api.lbnl_parts import TrackerPersistence

        return TrackerPersistence()

    def snapshot_db(self, dest_path: str | os.PathLike[str], checkpoint: bool = True) -> Path:
        """Copy the record as it is now to views at `dest_path`, with the log beside it, and return that path: open the
        copy with ``Tracker(run_dir, db_path=dest_path)``, and do not record in both. `checkpoint` changes nothing.

        Raises:
            CopyError (UsageError): nothing is recorded yet, or something is at that place.
        """
        from consist_es.api.lbnl_parts import snapshot

        tracker: Any = self
        if (dry := tracker._rehearsal()) is not None:
            raise dry.stop("snapshot_db() would write a copy, and a dry run writes nothing")
        return snapshot(tracker.project, dest_path)

    def find_matching_run(
        self,
        config_hash: str | None = None,
        input_hash: str | None = None,
        git_hash: str | None = None,
        **filters: Any,
    ) -> Run | None:
        """The newest completed run that matches, or None; see `find_matching_runs`."""
        hashes = {"config_hash": config_hash, "input_hash": input_hash, "git_hash": git_hash}
        return next(iter(self.queries.find_matching_runs(**hashes, **{**filters, "limit": 1})), None)

    def find_matching_runs(self, **filters: Any) -> list[Run]:
        """Completed runs that match all filters, newest first.

        Args:
            config_hash, input_hash, git_hash, signature: attributes of a run.
            model, year, iteration, stage, phase, parent_id, facet, name, tags: as for `find_runs`; numbers may be text.
            cache_epoch: that of the run; with ``allow_missing_cache_epoch=True`` also runs that recorded none.
            run_scope: what the id or the description of the run begins with.
            status: ``completed`` by default.
            limit: at most so many, by default 100; None for all.

        Raises:
            OptionError: no such filter. UsageError: a year that is no number.
        """
        return self.queries.find_matching_runs(**filters)

    def find_recent_completed_runs_for_model(self, model_name: str, *, limit: int | None = 20) -> list[Run]:
        """The newest completed runs of a model."""
        return self.queries.find_matching_runs(model=model_name, limit=limit)

    def get_artifacts_for_run(self, run_id: str | Run) -> RunArtifacts:
        """`inputs` and `outputs` of a run, each by key.

        Raises:
            MissingKeyError: no such run.
        """
        from consist_es.api.lbnl_queries import artifacts_of

        return artifacts_of(self, run_id)

    def get_artifact_by_uri(
        self, uri: str, *, table_path: str | None = None, array_path: str | None = None
    ) -> Artifact | None:
        """The newest artifact recorded at a URI, and if given of this table or array; None if there is none."""
        from consist_es.api.lbnl_queries import artifact_at

        return artifact_at(self, uri, table_path, array_path)

    def find_artifacts_by_params(
        self,
        *,
        params: Iterable[str] | None = None,
        namespace: str | None = None,
        key_prefix: str | None = None,
        artifact_family_prefix: str | None = None,
        limit: int | None = 100,
    ) -> list[Artifact]:
        """Artifacts by values of their facets, newest first.

        Args:
            params: ``year=2030``, ``beam.year>=2030``, ``share<=0.5``: all of them hold. In front of the key may stand
                the model of a run that made the artifact, or used it.
            namespace: such a model.
            key_prefix, artifact_family_prefix: what the key, and ``artifact_family`` in the facet, begin with.

        Raises:
            UsageError: a text of `params` that is no comparison.
        """
        from consist_es.api.lbnl_queries import artifacts_by_params

        return artifacts_by_params(self, params or (), namespace, key_prefix, artifact_family_prefix, limit)

    def create_grouped_view(
        self,
        view_name: str,
        *,
        schema: Any = None,
        params: Iterable[str] | None = None,
        namespace: str | None = None,
        drivers: Iterable[str] | None = None,
        attach_facets: Iterable[str] | None = None,
        include_system_columns: bool = True,
        missing_files: str = "warn",
        **runs: Any,
    ) -> GroupedView:
        """Parquet and CSV files of many runs as one table, read where they lie.

        Args:
            view_name: the table's name in `GroupedView.connect`.
            schema: a class, or names of columns, that each file must have.
            params, namespace: as for `find_artifacts_by_params`.
            drivers: of ``parquet`` and ``csv`` (default both).
            attach_facets: dotted keys of facets; each is a column ``facet_…``.
            include_system_columns: adds ``consist_run_id`` and ``consist_artifact_id``.
            missing_files: ``warn`` (default), ``error`` or ``skip_silent``, for files whose recorded bytes are nowhere.
            runs: `model`, `status`, `year`, `iteration`, `parent_run_id` of the runs that made them.

        Raises:
            OptionError: no such driver, reaction or filter. InputError: a file is missing, with ``error``.
        """
        from consist_es.api.grouped import asked_of, grouped_view

        if unknown := sorted(runs.keys() - {*_RUN_FILTERS}):
            raise OptionError("filter", unknown[0], _RUN_FILTERS)
        given = {"schema": schema, "namespace": namespace, "missing_files": missing_files}
        given["include_system_columns"] = include_system_columns
        asked = asked_of(params, drivers, attach_facets, **given, **runs)
        tracker: Any = self
        return grouped_view(self, tracker._engine.digester, view_name, asked)

    def ingest(self, artifact: Artifact) -> Artifact:
        """Nothing is copied: `create_grouped_view` reads files where they lie. Gives the artifact.

        Raises:
            UsageError: it is not a Parquet or CSV file.
        """
        from consist_es.api.grouped import DRIVERS

        if artifact.driver not in DRIVERS:
            raise UsageError(f"ingest: {artifact.key!r} is {artifact.driver}, not one of {', '.join(DRIVERS)}.")
        return artifact

    def resolve_historical_path(self, artifact: Artifact, run: Run | None = None) -> Path:
        """The path of an artifact of an earlier run: today's, or where that run had it; or that of a recovery copy."""
        from consist_es.api.lbnl_queries import historical_path

        return historical_path(self, artifact, run)

    def history(self, limit: int | None = 10, tags: Iterable[str] | None = None) -> pd.DataFrame:
        """The newest runs as a DataFrame, with the columns of `RunSet.to_frame`."""
        from consist_es.api.lbnl_queries import history

        return history(self, limit, tags)

    def get_config_values(self, run_id: str | Run, **options: Any) -> dict[str, Any]:
        """As ``tracker.queries.get_config_values``."""
        return self.queries.get_config_values(run_id, **options)

    def get_config_value(self, run_id: str | Run, key: str, *, default: Any = None) -> Any:
        """One value of `get_config_values`, or the default."""
        return self.queries.get_config_values(run_id).get(key, default)


def asking_module() -> str | None:
    """The module of the code that asks the package for a name: two calls up."""
    return sys._getframe(2).f_globals.get("__name__")
