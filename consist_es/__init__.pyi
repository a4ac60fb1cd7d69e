"""The public names for type checkers and editors; `consist_es/__init__.py` loads them on first use."""

from consist_es.alias import install_as as install_as
from consist_es.api.containers import ContainerResult as ContainerResult, run_container as run_container
from consist_es.api.coupler import Coupler as Coupler, CouplerView as CouplerView, DeclaredOutput as DeclaredOutput
from consist_es.api.functions import (
    attached as attached,
    cached_artifacts as cached_artifacts,
    cached_output as cached_output,
    capture_outputs as capture_outputs,
    current_consist as current_consist,
    current_run as current_run,
    log_artifact as log_artifact,
    log_artifacts as log_artifacts,
    log_dataframe as log_dataframe,
    log_h5_container as log_h5_container,
    log_h5_table as log_h5_table,
    log_input as log_input,
    log_meta as log_meta,
    log_output as log_output,
    output_dir as output_dir,
    output_path as output_path,
    run as run,
    scenario as scenario,
    start_run as start_run,
    trace as trace,
)
from consist_es.api.lifecycle import ConsistRecord as ConsistRecord
from consist_es.api.noop import (
    NoopTracker as NoopTracker,
    create_tracker as create_tracker,
    noop_scenario as noop_scenario,
)
from consist_es.api.protocols import (
    ArtifactRecordLike as ArtifactRecordLike,
    RunIdentifiedResultLike as RunIdentifiedResultLike,
    ScenarioLike as ScenarioLike,
    TrackerLike as TrackerLike,
)
from consist_es.api.queries import (
    FacetIndex as FacetIndex,
    RunFieldIndex as RunFieldIndex,
    find_latest_run as find_latest_run,
    find_run as find_run,
    find_runs as find_runs,
    get_artifact as get_artifact,
    get_run_result as get_run_result,
    index_by_facet as index_by_facet,
    index_by_field as index_by_field,
    run_set as run_set,
)
from consist_es.api.references import ref as ref, refs as refs
from consist_es.api.scenario import ScenarioContext as ScenarioContext
from consist_es.api.tracker import Tracker as Tracker
from consist_es.artifacts.artifact import Artifact as Artifact, ArtifactLike as ArtifactLike
from consist_es.artifacts.drivers.loading import load as load, load_df as load_df
from consist_es.artifacts.formats import DriverType as DriverType
from consist_es.artifacts.guards import (
    is_dataframe_artifact as is_dataframe_artifact,
    is_hdf_artifact as is_hdf_artifact,
    is_json_artifact as is_json_artifact,
    is_netcdf_artifact as is_netcdf_artifact,
    is_openmatrix_artifact as is_openmatrix_artifact,
    is_spatial_artifact as is_spatial_artifact,
    is_tabular_artifact as is_tabular_artifact,
    is_zarr_artifact as is_zarr_artifact,
)
from consist_es.artifacts.matrices import OpenMatrixMetadata as OpenMatrixMetadata, load_matrix as load_matrix
from consist_es.artifacts.placeholder import NoopArtifact as NoopArtifact
from consist_es.containers.container import Container as Container
from consist_es.errors import (
    CodeIdentityUnavailableError as CodeIdentityUnavailableError,
    ConsistError as ConsistError,
    ConsistWarning as ConsistWarning,
    SweepError as SweepError,
    WorkerDiffersError as WorkerDiffersError,
)
from consist_es.execution.call import Called as Called, call as call
from consist_es.execution.current import (
    current_tracker as current_tracker,
    set_current_tracker as set_current_tracker,
    use_tracker as use_tracker,
)
from consist_es.execution.dry_run import DryRun as DryRun
from consist_es.execution.dry_run import DryStep as DryStep
from consist_es.execution.forecast import Forecast as Forecast
from consist_es.execution.run_context import RunContext as RunContext
from consist_es.execution.summary import forecast_summary as forecast_summary
from consist_es.reading.compare import Comparison as Comparison
from consist_es.runs.noop import NoopRunResult as NoopRunResult
from consist_es.runs.recovery_results import (
    ArchivedOutputs as ArchivedOutputs,
    ArtifactRecoveryCopyRegistration as ArtifactRecoveryCopyRegistration,
    HydratedRunOutput as HydratedRunOutput,
    HydratedRunOutputsResult as HydratedRunOutputsResult,
    MaterializationResult as MaterializationResult,
    MaterializedArtifact as MaterializedArtifact,
    RunOutputRecoveryCopiesRegistration as RunOutputRecoveryCopiesRegistration,
)
from consist_es.runs.run import Run as Run, RunResult as RunResult, RunResultLike as RunResultLike
from consist_es.runs.sets import AlignedPair as AlignedPair, RunSet as RunSet
from consist_es.runs.why import Why as Why
from consist_es.steps.definition import (
    StepContext as StepContext,
    define_step as define_step,
    identity_exempt as identity_exempt,
    require_runtime_kwargs as require_runtime_kwargs,
)
from consist_es.steps.h5 import H5ChildSpec as H5ChildSpec
from consist_es.steps.options import (
    ArtifactSpec as ArtifactSpec,
    BindingResult as BindingResult,
    CacheOptions as CacheOptions,
    ExecutionOptions as ExecutionOptions,
    OutputArtifactSpec as OutputArtifactSpec,
    OutputPolicyOptions as OutputPolicyOptions,
)
from consist_es.steps.output_sets import (
    EnumCapture as EnumCapture,
    FilenamePattern as FilenamePattern,
    IntCapture as IntCapture,
    OutputSet as OutputSet,
)
from consist_es.sweeps.rows import SweepResult as SweepResult, SweepRow as SweepRow
from consist_es.values.secret import Secret as Secret
from consist_es.version import __version__ as __version__
