"""Event-sourced provenance and caching for scientific simulation.

``import consist_es as consist``; begin with `Tracker`. Names are loaded when they are first used.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from consist_es.version import __version__ as __version__

if TYPE_CHECKING:
    from consist_es.api.coupler import Coupler, CouplerView, DeclaredOutput
    from consist_es.api.functions import (
        cached_artifacts,
        cached_output,
        capture_outputs,
        current_run,
        log_artifact,
        log_artifacts,
        log_dataframe,
        log_input,
        log_meta,
        log_output,
        output_dir,
        output_path,
        run,
        scenario,
    )
    from consist_es.api.noop import NoopTracker, create_tracker, noop_scenario
    from consist_es.api.queries import (
        FacetIndex,
        RunFieldIndex,
        find_latest_run,
        find_run,
        find_runs,
        get_artifact,
        get_run_result,
        index_by_facet,
        index_by_field,
        run_set,
    )
    from consist_es.api.references import ref, refs
    from consist_es.api.scenario import ScenarioContext
    from consist_es.api.tracker import Tracker
    from consist_es.artifacts.artifact import Artifact, ArtifactLike
    from consist_es.artifacts.drivers.loading import load, load_df
    from consist_es.artifacts.formats import DriverType
    from consist_es.artifacts.guards import (
        is_dataframe_artifact,
        is_hdf_artifact,
        is_json_artifact,
        is_netcdf_artifact,
        is_openmatrix_artifact,
        is_spatial_artifact,
        is_tabular_artifact,
        is_zarr_artifact,
    )
    from consist_es.errors import CodeIdentityUnavailableError, ConsistError, ConsistWarning
    from consist_es.execution.current import current_tracker, set_current_tracker, use_tracker
    from consist_es.execution.forecast import Forecast
    from consist_es.execution.run_context import RunContext
    from consist_es.execution.summary import forecast_summary
    from consist_es.runs.run import Run, RunResult, RunResultLike
    from consist_es.runs.sets import AlignedPair, RunSet
    from consist_es.runs.why import Why
    from consist_es.steps.definition import StepContext, define_step, require_runtime_kwargs
    from consist_es.steps.options import (
        ArtifactSpec,
        BindingResult,
        CacheOptions,
        ExecutionOptions,
        OutputArtifactSpec,
        OutputPolicyOptions,
    )
    from consist_es.steps.output_sets import EnumCapture, FilenamePattern, IntCapture, OutputSet
    from consist_es.values.secret import Secret

_HOME = {
    "artifacts.artifact": ("Artifact", "ArtifactLike"),
    "artifacts.drivers.loading": ("load", "load_df"),
    "artifacts.formats": ("DriverType",),
    "artifacts.guards": (
        "is_dataframe_artifact",
        "is_hdf_artifact",
        "is_json_artifact",
        "is_netcdf_artifact",
        "is_openmatrix_artifact",
        "is_spatial_artifact",
        "is_tabular_artifact",
        "is_zarr_artifact",
    ),
    "execution.current": ("current_tracker", "set_current_tracker", "use_tracker"),
    "api.coupler": ("Coupler", "CouplerView", "DeclaredOutput"),
    "steps.definition": ("StepContext", "define_step", "require_runtime_kwargs"),
    "errors": ("CodeIdentityUnavailableError", "ConsistError", "ConsistWarning"),
    "execution.forecast": ("Forecast",),
    "api.noop": ("NoopTracker", "create_tracker", "noop_scenario"),
    "steps.options": (
        "ArtifactSpec",
        "BindingResult",
        "CacheOptions",
        "ExecutionOptions",
        "OutputArtifactSpec",
        "OutputPolicyOptions",
    ),
    "steps.output_sets": ("EnumCapture", "FilenamePattern", "IntCapture", "OutputSet"),
    "api.references": ("ref", "refs"),
    "runs.run": ("Run", "RunResult", "RunResultLike"),
    "execution.run_context": ("RunContext",),
    "api.scenario": ("ScenarioContext",),
    "values.secret": ("Secret",),
    "api.functions": (
        "cached_artifacts",
        "cached_output",
        "capture_outputs",
        "current_run",
        "log_artifact",
        "log_artifacts",
        "log_dataframe",
        "log_input",
        "log_meta",
        "log_output",
        "output_dir",
        "output_path",
        "run",
        "scenario",
    ),
    "api.queries": (
        "FacetIndex",
        "RunFieldIndex",
        "find_latest_run",
        "find_run",
        "find_runs",
        "get_artifact",
        "get_run_result",
        "index_by_facet",
        "index_by_field",
        "run_set",
    ),
    "runs.sets": ("AlignedPair", "RunSet"),
    "execution.summary": ("forecast_summary",),
    "api.tracker": ("Tracker",),
    "runs.why": ("Why",),
}
_MODULE_OF = {name: f"consist_es.{module}" for module, names in _HOME.items() for name in names}

__all__ = [
    "AlignedPair",
    "Artifact",
    "ArtifactLike",
    "ArtifactSpec",
    "BindingResult",
    "CacheOptions",
    "CodeIdentityUnavailableError",
    "ConsistError",
    "ConsistWarning",
    "Coupler",
    "CouplerView",
    "DeclaredOutput",
    "DriverType",
    "EnumCapture",
    "ExecutionOptions",
    "FacetIndex",
    "FilenamePattern",
    "Forecast",
    "IntCapture",
    "NoopTracker",
    "OutputArtifactSpec",
    "OutputPolicyOptions",
    "OutputSet",
    "Run",
    "RunContext",
    "RunFieldIndex",
    "RunResult",
    "RunResultLike",
    "RunSet",
    "ScenarioContext",
    "Secret",
    "StepContext",
    "Tracker",
    "Why",
    "cached_artifacts",
    "cached_output",
    "capture_outputs",
    "create_tracker",
    "current_run",
    "current_tracker",
    "define_step",
    "find_latest_run",
    "find_run",
    "find_runs",
    "forecast_summary",
    "get_artifact",
    "get_run_result",
    "index_by_facet",
    "index_by_field",
    "is_dataframe_artifact",
    "is_hdf_artifact",
    "is_json_artifact",
    "is_netcdf_artifact",
    "is_openmatrix_artifact",
    "is_spatial_artifact",
    "is_tabular_artifact",
    "is_zarr_artifact",
    "load",
    "load_df",
    "log_artifact",
    "log_artifacts",
    "log_dataframe",
    "log_input",
    "log_meta",
    "log_output",
    "noop_scenario",
    "output_dir",
    "output_path",
    "ref",
    "refs",
    "require_runtime_kwargs",
    "run",
    "run_set",
    "scenario",
    "set_current_tracker",
    "use_tracker",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        from consist_es.api.lbnl_names import asking_module, no_name

        raise no_name(name, asking_module())
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted((*__all__, "__version__"))


if "CONSIST_ES_OBSERVE" in os.environ:  # a step in another process started this one: tell it what is read here
    import_module("consist_es.observe.children").attach()
