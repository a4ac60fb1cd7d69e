"""Option groups of a step. A misspelt value is refused when the group is made, with the allowed ones listed."""

import os
from collections.abc import Iterable, KeysView, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any

from consist_es.checks import check_option, check_options, names
from consist_es.errors import OptionError, UsageError, UsageTypeError
from consist_es.identity.code.modes import MODES
from consist_es.values.digests import METHODS

if TYPE_CHECKING:
    from consist_es.containers.container import Container

CACHE_MODES = ("reuse", "overwrite", "readonly", "off")
NOT_ASKED = ("overwrite", "off")
"""Cache modes in which no earlier run is looked up."""
NOT_KEPT = ("readonly", "off")
"""Cache modes whose runs no later step reuses."""
HYDRATIONS = ("metadata", "inputs-missing", "outputs-requested", "outputs-all")
VALIDATIONS = ("lazy", "eager", "strict")
POLICIES = ("warn", "error", "ignore")
BINDINGS = ("loaded", "paths", "artifacts", "none")
ACCESS_MODES = ("standard", "analysis", "read_only")
HASHING = METHODS
OBSERVE = ("count", "warn", "off")


def output_names(value: str | Iterable[str] | None) -> tuple[str, ...]:
    """The declared outputs, in the order of a returned list.

    Raises:
        UsageTypeError: an item is not a str, or it is a mapping or a set.
    """
    if isinstance(value, Mapping):
        raise UsageTypeError(
            f"outputs takes a list of str, not {type(value).__name__}, whose values would be ignored. If they are "
            "the paths of the outputs, use output_paths={key: path}."
        )
    if isinstance(value, set | frozenset):
        raise UsageTypeError(f"outputs takes a list of str, not {type(value).__name__}, which has no order.")
    return names(value, "outputs")


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """How a step uses the cache. None: the scenario's default, then the tracker's."""

    cache_mode: str | None = None
    """``reuse`` (look up, run on a miss), ``overwrite`` (always run), ``readonly`` (look up; a run is not kept) or
    ``off`` (always run, and not kept)."""
    cache_hydration: str | None = None
    """Where the bytes of a hit are put: ``metadata`` (nowhere, the default), ``outputs-requested``, ``outputs-all`` or
    ``inputs-missing``. See docs/steps.md."""
    cache_hydration_failure: str = "warn"
    """If ``outputs-requested`` fails, the step runs: with a warning (``warn``) or without (``miss``)."""
    cache_version: int | None = None
    """A whole number in the fingerprint: raise it to compute this step again."""
    cache_epoch: int | None = None
    """The same; wins over the scenario's and the tracker's."""
    validate_cached_outputs: str | None = None
    """``lazy`` and ``eager`` digest files that changed by size or time; ``strict`` digests all, and is the default of a
    tracker with `trusted_writers`."""
    validate_materialized_inputs: bool | None = None
    """True: an artifact that was changed since it was made stands for its recorded bytes, where a recovery copy has
    them; if the step runs, they are put back first. Goes with ``inputs-missing``. See docs/recovery.md."""
    materialize_cached_outputs_source_root: str | os.PathLike[str] | None = None
    """Refused, with what to do instead."""
    input_identity: Mapping[str, str] | None = None
    """Input -> ``bytes`` (default), or ``content``: what is in its arrays counts, not how and when it was written. For
    OMX, HDF5, NetCDF-4 and Zarr, see docs/steps.md."""
    code_identity: str | None = None
    """``imports`` (default), ``repo_git``, ``callable_module`` or ``callable_source``."""
    code_identity_extra_deps: list[str] | None = None
    """Files of code that count too, by content, whatever the mode."""
    compute_once: bool | None = None
    """False: compute even while another process computes the same step; otherwise wait for its result."""

    def __post_init__(self) -> None:
        if self.cache_hydration_failure is None:
            raise OptionError("cache_hydration_failure", None, ("warn", "miss"))
        check_options(
            self,
            cache_mode=CACHE_MODES,
            cache_hydration=HYDRATIONS,
            cache_hydration_failure=("warn", "miss"),
            validate_cached_outputs=VALIDATIONS,
            code_identity=MODES,
        )
        for name in ("cache_version", "cache_epoch"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
                raise UsageTypeError(f"{name} takes an int, not {type(value).__name__}: {value!r}.")
        deps = self.code_identity_extra_deps
        if deps is not None and (isinstance(deps, str) or not all(isinstance(dep, str) for dep in deps)):
            raise UsageTypeError(f"code_identity_extra_deps takes a list of str, not {deps!r}.")
        _check_identities(self.input_identity)
        if self.cache_hydration_failure == "miss" and self.cache_hydration not in (None, "outputs-requested"):
            raise UsageError("cache_hydration_failure='miss' goes with cache_hydration='outputs-requested' only.")
        if self.validate_materialized_inputs and self.cache_hydration not in (None, "inputs-missing"):
            raise UsageError("validate_materialized_inputs=True goes with cache_hydration='inputs-missing' only.")
        if self.materialize_cached_outputs_source_root is not None:
            raise UsageError(
                "materialize_cached_outputs_source_root is not supported: outputs are looked for where they were "
                "recorded and below today's run_dir and mounts. Open the tracker with the moved folder as run_dir."
            )

    @property
    def counts_code_alone(self) -> bool:
        """True for a mode of `code_identity` in which values of captured objects do not count."""
        return self.code_identity not in (None, MODES[0])


def _check_identities(given: Any) -> None:
    if given is None:
        return
    if not isinstance(given, Mapping) or not all(isinstance(role, str) for role in given):
        raise UsageTypeError(f"input_identity takes a mapping of input to 'bytes' or 'content', not {given!r}.")
    for role, kind in given.items():
        check_option(f"input_identity[{role!r}]", kind, ("bytes", "content"), optional=False)


@dataclass(frozen=True, slots=True)
class OutputPolicyOptions:
    """Reactions to outputs that are not as declared: ``warn``, ``error`` or ``ignore``."""

    output_mismatch: str | None = None
    """A returned list of another length than `outputs`; default ``warn``."""
    output_missing: str | None = None
    """A declared output that did not appear; default ``error``."""

    def __post_init__(self) -> None:
        check_options(self, output_mismatch=POLICIES, output_missing=POLICIES)


@dataclass(frozen=True, slots=True)
class ExecutionOptions:
    """How a step's function is called. Nothing here but `container` is part of the step's identity."""

    load_inputs: bool | None = None
    """Older form of `input_binding`: True for ``loaded``, False for ``none``."""
    input_binding: str | None = None
    """``loaded``, ``paths``, ``artifacts`` or ``none``; if None, each parameter's annotation decides."""
    input_paths: Mapping[str, str | os.PathLike[str]] | None = None
    """Input name -> path that it is copied to before the function runs."""
    input_materialization: str | None = None
    """``requested`` goes with `input_paths`; without them nothing is copied."""
    input_materialization_mode: str | None = None
    """``copy``, the only one."""
    executor: str | None = None
    """``python``, or ``container``, which goes with `container` and says nothing more."""
    container: "Container | Mapping[str, Any] | None" = None
    """Runs a program in a container instead of a function; it is part of the step's identity. A mapping with the names
    of LBNL's consist is taken, too. See docs/howto/containers.md."""
    runtime_kwargs: Mapping[str, Any] | None = None
    """Arguments of the function that do not count for the step's identity."""
    inject_context: bool | str | None = None
    """True: the parameter annotated RunContext, else `ctx`, else `_consist_ctx`; or a parameter's name."""
    observe: str | None = None
    """Undeclared reads: ``count``, ``warn`` or ``off``; None: the tracker's setting."""
    ignore_reads: Sequence[str] | None = None
    """Glob patterns of files that never count, besides the tracker's."""
    capture_log: bool | None = None
    """False: do not keep what the step prints; None: the tracker's setting."""

    def __post_init__(self) -> None:
        check_options(
            self,
            input_binding=BINDINGS,
            input_materialization=("requested",),
            input_materialization_mode=("copy",),
            executor=("python", "container"),
            observe=OBSERVE,
        )
        names(self.ignore_reads, "ignore_reads")
        self._check_container()
        if self.load_inputs is not None and self.input_binding is not None:
            raise UsageError("load_inputs and input_binding set the same thing: give input_binding alone.")
        if self.input_paths and self.input_materialization is None:
            raise UsageError("input_paths has no effect alone: add input_materialization='requested'.")
        if self.runtime_kwargs is not None and not isinstance(self.runtime_kwargs, Mapping):
            raise UsageTypeError(f"runtime_kwargs takes a mapping, not {type(self.runtime_kwargs).__name__}.")

    def _check_container(self) -> None:
        if self.container is None:
            if self.executor == "container":
                raise UsageError(
                    "executor='container' runs a container: say which, with container=Container(image=...)."
                )
            return
        from consist_es.containers.container import container_of  # most steps have none

        if self.executor == "python":
            raise UsageError("executor='python' does not go with container=: leave executor out.")
        object.__setattr__(self, "container", container_of(self.container))

    @property
    def binding(self) -> str | None:
        """The binding asked for by either option; None if annotations decide."""
        if self.load_inputs is None:
            return self.input_binding
        return "loaded" if self.load_inputs else "none"


@dataclass(frozen=True, slots=True)
class BindingResult:
    """Inputs, required and optional coupler keys of a step in one object. `metadata` has no effect."""

    inputs: Any = None
    """As the keyword of `run`."""
    input_keys: str | Sequence[str] | None = None
    """Names in the coupler."""
    optional_input_keys: str | Sequence[str] | None = None
    """Names that need not be there."""
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class OutputArtifactSpec:
    """A value of `output_paths`: the file's path, and what to record about it.

    Args:
        path: relative to the run's own folder, or absolute.
        schema: a name or class, kept as metadata.
        driver: the file's format, if the suffix does not tell.
        facet, facet_schema_version: values to find it by, and the version of their names.
        meta: metadata by name.
        facet_index, profile_file_schema, file_schema_sample_rows: for compatibility; facets are always indexed.
    """

    path: Any
    schema: Any = None
    driver: str | None = None
    facet: Any = None
    facet_schema_version: str | int | None = None
    facet_index: bool = False
    profile_file_schema: bool | None = None
    file_schema_sample_rows: int | None = None
    meta: Mapping[str, Any] | None = None


ArtifactSpec = OutputArtifactSpec


@cache
def defaults_of(group: type[CacheOptions | OutputPolicyOptions | ExecutionOptions]) -> list[tuple[str, Any]]:
    """Name and default of each option of a group."""
    return [(each.name, each.default) for each in fields(group)]


@dataclass(slots=True)
class StepArguments:
    """All arguments of `run` and `trace`; the fields are those of their signatures."""

    fn: Any = None
    name: str | None = None
    kind: str = "run"
    run_id: str | None = None
    model: str | None = None
    description: str | None = None
    config: Any = None
    adapter: Any = None
    config_plan_ingest: bool = True
    config_plan_profile_schema: bool = False
    inputs: Any = None
    input_keys: str | Iterable[str] | None = None
    optional_input_keys: str | Iterable[str] | None = None
    binding: BindingResult | None = None
    depends_on: Any = None
    tags: Any = None
    facet: Any = None
    facet_from: Any = None
    facet_schema_version: str | int | None = None
    facet_index: bool | None = None
    identity_inputs: Any = None
    year: int | None = None
    iteration: int | None = None
    phase: str | None = None
    stage: str | None = None
    parent_run_id: str | None = None
    outputs: str | Sequence[str] | KeysView[str] | None = None
    output_paths: Mapping[str, Any] | None = None
    output_sets: Any = None
    profile_file_schema: bool | str | None = None
    capture_dir: str | os.PathLike[str] | None = None
    capture_pattern: str = "*"
    cache_options: CacheOptions = field(default_factory=CacheOptions)
    output_policy: OutputPolicyOptions = field(default_factory=OutputPolicyOptions)
    execution_options: ExecutionOptions = field(default_factory=ExecutionOptions)


def check_groups(args: StepArguments) -> None:
    """Refuse option groups of a wrong type; replace missing ones by their defaults."""
    groups = {
        "cache_options": CacheOptions,
        "output_policy": OutputPolicyOptions,
        "execution_options": ExecutionOptions,
    }
    for group, kind in groups.items():
        value = getattr(args, group)
        if value is None:
            setattr(args, group, kind())
        elif not isinstance(value, kind):
            raise UsageTypeError(f"{group} takes {kind.__name__}(...), not {type(value).__name__}: {value!r}.")
