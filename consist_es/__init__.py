"""Event-sourced provenance and caching for scientific simulation.

``import consist_es as consist``; begin with `Tracker`. Names are loaded on first use.
"""

import gc
import os
from importlib import import_module
from types import ModuleType
from typing import Any

from consist_es.version import __version__ as __version__

_NAMES = {
    "api.containers": "ContainerResult run_container",
    "api.coupler": "Coupler CouplerView DeclaredOutput",
    "alias": "install_as",
    "api.functions": (
        "attached cached_artifacts cached_output capture_outputs current_consist current_run log_artifact "
        "log_artifacts log_dataframe log_h5_container log_h5_table log_input log_meta log_output "
        "output_dir output_path run scenario start_run trace"
    ),
    "api.lifecycle": "ConsistRecord",
    "api.noop": "create_tracker noop_scenario NoopTracker",
    "api.protocols": "ArtifactRecordLike RunIdentifiedResultLike ScenarioLike TrackerLike",
    "api.queries": (
        "FacetIndex find_latest_run find_run find_runs get_artifact get_run_result index_by_facet "
        "index_by_field run_set RunFieldIndex"
    ),
    "api.references": "ref refs",
    "api.scenario": "ScenarioContext",
    "api.tracker": "Tracker",
    "artifacts.artifact": "Artifact ArtifactLike",
    "artifacts.drivers.loading": "load load_df",
    "artifacts.formats": "DriverType",
    "artifacts.matrices": "load_matrix OpenMatrixMetadata",
    "artifacts.placeholder": "NoopArtifact",
    "artifacts.guards": (
        "is_dataframe_artifact is_hdf_artifact is_json_artifact is_netcdf_artifact is_openmatrix_artifact "
        "is_spatial_artifact is_tabular_artifact is_zarr_artifact"
    ),
    "containers.container": "Container",
    "errors": "CodeIdentityUnavailableError ConsistError ConsistWarning SweepError WorkerDiffersError",
    "execution.call": "Called call",
    "execution.current": "current_tracker set_current_tracker use_tracker",
    "execution.dry_run": "DryRun DryStep",
    "execution.forecast": "Forecast",
    "execution.run_context": "RunContext",
    "execution.summary": "forecast_summary",
    "reading.compare": "Comparison",
    "runs.noop": "NoopRunResult",
    "runs.recovery_results": (
        "ArchivedOutputs ArtifactRecoveryCopyRegistration HydratedRunOutput HydratedRunOutputsResult "
        "MaterializationResult MaterializedArtifact RunOutputRecoveryCopiesRegistration"
    ),
    "runs.run": "Run RunResult RunResultLike",
    "runs.sets": "AlignedPair RunSet",
    "runs.why": "Why",
    "steps.definition": "define_step identity_exempt require_runtime_kwargs StepContext",
    "steps.h5": "H5ChildSpec",
    "steps.options": "ArtifactSpec BindingResult CacheOptions ExecutionOptions OutputArtifactSpec OutputPolicyOptions",
    "steps.output_sets": "EnumCapture FilenamePattern IntCapture OutputSet",
    "sweeps.rows": "SweepResult SweepRow",
    "values.secret": "Secret",
}
_MODULE_OF = {name: f"consist_es.{module}" for module, names in _NAMES.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)  # __init__.pyi has the same names for type checkers and editors


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        from consist_es.api.lbnl_names import asking_module, no_name

        raise no_name(name, asking_module())
    value = globals()[name] = getattr(_imported(module), name)
    return value


def _imported(module: str) -> ModuleType:
    # Hundreds of modules leave no garbage, and looking for it is a fifth of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        return import_module(module)
    finally:
        if collects:
            gc.enable()
            if not gc.get_freeze_count():  # else they are the caller's
                gc.freeze()
                gc.unfreeze()  # all that lives now is old: the next small collection passes it over


def __dir__() -> list[str]:
    return sorted((*__all__, "__version__"))


if "CONSIST_ES_OBSERVE" in os.environ:  # a step in another process started this one: report reads to it
    import_module("consist_es.observe.children").attach()
