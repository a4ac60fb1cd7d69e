"""`run`, `arun`, `forecast` and `trace`, shared by `Tracker` and `ScenarioContext`."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, KeysView, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypedDict, TypeVar, Unpack

from consist_es.adapters.protocol import Adapter
from consist_es.artifacts.artifact import Artifact, ArtifactLike
from consist_es.errors import UsageError, UsageTypeError
from consist_es.execution.current import top
from consist_es.execution.engine import Engine, Scope
from consist_es.execution.forecast import Forecast, Foresight
from consist_es.runs.run import RunResult, RunResultLike
from consist_es.steps.options import (
    BindingResult,
    CacheOptions,
    ExecutionOptions,
    OutputArtifactSpec,
    OutputPolicyOptions,
    StepArguments,
)
from consist_es.steps.output_sets import OutputSet

if TYPE_CHECKING:
    from consist_es.execution.dry_run import Rehearsal

T = TypeVar("T")


class LbnlAdapter(Protocol):
    """A config adapter of LBNL's consist."""

    @property
    def discover(self) -> Callable[..., object]: ...

    @property
    def canonicalize(self) -> Callable[..., object]: ...


Place = str | os.PathLike[str]

_CACHE, _POLICY, _EXECUTION = CacheOptions(), OutputPolicyOptions(), ExecutionOptions()
"""What counts if nothing is given: checked once, not for each step."""

Input = str | os.PathLike[str] | ArtifactLike | RunResultLike
"""One input: a path, a coupler key, an artifact, or a result or forecast with one output."""
Inputs = Mapping[str, Input] | Iterable[Input] | Input
IdentityInputs = Sequence[str | Path | Artifact | tuple[str, str | Path | Artifact]]
OutputPaths = Mapping[str, str | os.PathLike[str] | ArtifactLike | OutputArtifactSpec]

GROUPS: dict[str, type[CacheOptions | OutputPolicyOptions | ExecutionOptions]] = {
    "cache_options": CacheOptions,
    "output_policy": OutputPolicyOptions,
    "execution_options": ExecutionOptions,
}


class StepKeywords(TypedDict, total=False):
    """The keywords of `Steps.run`, for functions that forward them."""

    run_id: str | None
    model: str | None
    description: str | None
    config: object
    adapter: Adapter | LbnlAdapter | str | None
    config_plan_ingest: bool
    config_plan_profile_schema: bool
    inputs: Inputs | None
    input_keys: str | Iterable[str] | None
    optional_input_keys: str | Iterable[str] | None
    binding: BindingResult | None
    depends_on: Iterable[Input] | Input | None
    tags: str | Iterable[str] | None
    facet: object
    facet_from: str | Iterable[str] | None
    facet_schema_version: str | int | None
    facet_index: bool | None
    identity_inputs: IdentityInputs | None
    year: int | None
    iteration: int | None
    phase: str | None
    stage: str | None
    parent_run_id: str | None
    outputs: str | Sequence[str] | KeysView[str] | None
    output_paths: OutputPaths | None
    output_sets: Mapping[str, OutputSet] | None
    profile_file_schema: bool | str | None
    capture_dir: Place | None
    capture_pattern: str
    cache_options: CacheOptions | None
    output_policy: OutputPolicyOptions | None
    execution_options: ExecutionOptions | None
    runtime_kwargs: Mapping[str, Any] | None


class Steps(ABC, Generic[T]):
    """Runs steps: base of `Tracker`, and of `ScenarioContext`, which passes artifacts through its coupler."""

    _engine: Engine
    _foresight: Foresight

    def run(
        self,
        fn: Callable[..., object] | None = None,
        name: str | None = None,
        *,
        run_id: str | None = None,
        model: str | None = None,
        description: str | None = None,
        config: object = None,
        adapter: Adapter | LbnlAdapter | str | None = None,
        config_plan_ingest: bool = True,
        config_plan_profile_schema: bool = False,
        inputs: Inputs | None = None,
        input_keys: str | Iterable[str] | None = None,
        optional_input_keys: str | Iterable[str] | None = None,
        binding: BindingResult | None = None,
        depends_on: Iterable[Input] | Input | None = None,
        tags: str | Iterable[str] | None = None,
        facet: object = None,
        facet_from: str | Iterable[str] | None = None,
        facet_schema_version: str | int | None = None,
        facet_index: bool | None = None,
        identity_inputs: IdentityInputs | None = None,
        year: int | None = None,
        iteration: int | None = None,
        phase: str | None = None,
        stage: str | None = None,
        parent_run_id: str | None = None,
        outputs: str | Sequence[str] | KeysView[str] | None = None,
        output_paths: OutputPaths | None = None,
        output_sets: Mapping[str, OutputSet] | None = None,
        profile_file_schema: bool | str | None = None,
        capture_dir: Place | None = None,
        capture_pattern: str = "*",
        cache_options: CacheOptions | None = None,
        output_policy: OutputPolicyOptions | None = None,
        execution_options: ExecutionOptions | None = None,
        runtime_kwargs: Mapping[str, Any] | None = None,
    ) -> RunResult:
        """Run a step, or reuse an earlier run of the same code, config and inputs.

        In a scenario its outputs go into the coupler. See `docs/steps.md` for every argument, and for the values of
        `fn`'s parameters.

        Args:
            fn: the function of the step, called only on a miss.
            name: the step's name in the record; by default the function's.
            run_id, model, description, tags, year, iteration, phase, stage, parent_run_id: labels of the run.
            config: a mapping, dataclass, msgspec struct or pydantic model. Its values count for identity, and are
                passed to parameters of the same names.
            adapter: reads the model's own configuration files, which then count.
            inputs: files and artifacts by the name of the parameter that receives them, or a list of them.
            input_keys, optional_input_keys: names in the coupler of the scenario to take as inputs.
            binding: inputs and both kinds of keys in one object.
            depends_on: files and artifacts that count but are passed to no parameter.
            identity_inputs: files that count but are not inputs: paths, or pairs of label and path.
            facet, facet_from: values to find the run by, and names of config values to find it by.
            outputs: names of the returned values, in order.
            output_paths: name of an output -> path that `fn` writes it to.
            output_sets: name -> a set of files by the pattern of their names.
            profile_file_schema: for compatibility; columns of a table are always recorded.
            capture_dir, capture_pattern: a folder in which new files are outputs, and a glob to select them.
            cache_options: whether and how earlier runs are reused.
            output_policy: reaction to outputs that are not as declared.
            execution_options: how `fn` is called; does not count for identity.
            runtime_kwargs: the field of `execution_options` of that name, as an argument of its own.

        Raises:
            ClosedError: outside the scenario's block. UsageError, UsageTypeError, InputError, MissingKeyError:
            arguments that cannot be used; nothing is recorded. Whatever `fn` raises, unchanged; recorded as failed.
        """
        args = StepArguments(
            fn=fn,
            name=name,
            run_id=run_id,
            model=model,
            description=description,
            config=config,
            adapter=adapter,
            config_plan_ingest=config_plan_ingest,
            config_plan_profile_schema=config_plan_profile_schema,
            inputs=inputs,
            input_keys=input_keys,
            optional_input_keys=optional_input_keys,
            binding=binding,
            depends_on=depends_on,
            tags=tags,
            facet=facet,
            facet_from=facet_from,
            facet_schema_version=facet_schema_version,
            facet_index=facet_index,
            identity_inputs=identity_inputs,
            year=year,
            iteration=iteration,
            phase=phase,
            stage=stage,
            parent_run_id=parent_run_id,
            outputs=outputs,
            output_paths=output_paths,
            output_sets=output_sets,
            profile_file_schema=profile_file_schema,
            capture_dir=capture_dir,
            capture_pattern=capture_pattern,
            cache_options=_CACHE if cache_options is None else cache_options,
            output_policy=_POLICY if output_policy is None else output_policy,
            execution_options=_with_runtime(execution_options, runtime_kwargs),
        )
        if (dry := self._rehearsal()) is not None:
            return dry.run(args, self._scope("run()"), self._absorb)
        result = self._engine.run(args, self._scope("run()"))
        self._absorb(result.outputs)
        self._foresight.ran(result)
        return result

    async def arun(
        self, fn: Callable[..., object] | None = None, name: str | None = None, **arguments: Unpack[StepKeywords]
    ) -> RunResult:
        """As `run`, for ``async def`` steps; takes the same keywords."""
        args = _arguments("arun()", fn, name, arguments)
        if (dry := self._rehearsal()) is not None:
            return dry.run(args, self._scope("arun()"), self._absorb)
        result = await self._engine.arun(args, self._scope("arun()"))
        self._absorb(result.outputs)
        self._foresight.ran(result)
        return result

    def forecast(
        self, fn: Callable[..., object] | None = None, name: str | None = None, **arguments: Unpack[StepKeywords]
    ) -> Forecast:
        """Forecast `run` with the same arguments, without running or recording anything; see `docs/why.md`.

        A dry run: it assumes that the steps forecast before have run. Works outside a scenario's block, too.

        Raises:
            UsageError, UsageTypeError, InputError, MissingKeyError: arguments that `run` refuses.
        """
        return self._foresight.forecast(_arguments("forecast()", fn, name, arguments), self._scope(None))

    def trace(
        self,
        name: str,
        *,
        run_id: str | None = None,
        model: str | None = None,
        description: str | None = None,
        config: object = None,
        adapter: Adapter | LbnlAdapter | str | None = None,
        config_plan_ingest: bool = True,
        config_plan_profile_schema: bool = False,
        inputs: Inputs | None = None,
        input_keys: str | Iterable[str] | None = None,
        optional_input_keys: str | Iterable[str] | None = None,
        depends_on: Iterable[Input] | Input | None = None,
        tags: str | Iterable[str] | None = None,
        facet: object = None,
        facet_from: str | Iterable[str] | None = None,
        facet_schema_version: str | int | None = None,
        facet_index: bool | None = None,
        identity_inputs: IdentityInputs | None = None,
        year: int | None = None,
        iteration: int | None = None,
        parent_run_id: str | None = None,
        outputs: str | Sequence[str] | KeysView[str] | None = None,
        output_paths: OutputPaths | None = None,
        capture_dir: Place | None = None,
        capture_pattern: str = "*",
        cache_mode: str = "reuse",
        cache_hydration: str | None = None,
        cache_version: int | None = None,
        cache_epoch: int | None = None,
        validate_cached_outputs: str = "lazy",
        validate_materialized_inputs: bool | None = None,
        code_identity: str | None = None,
        code_identity_extra_deps: list[str] | None = None,
        output_mismatch: str = "warn",
        output_missing: str = "warn",
    ) -> AbstractContextManager[T]:
        """Record a block of code as a step. The block runs every time; on a hit `tracker.is_cached` is true in it.

        Yields the tracker. In a scenario its outputs are in the coupler after the block (on a hit, from its beginning).
        Takes the arguments of `run`, with the fields of its option groups as arguments of their own.
        """
        args = StepArguments(
            kind="trace",
            name=name,
            run_id=run_id,
            model=model,
            description=description,
            config=config,
            adapter=adapter,
            config_plan_ingest=config_plan_ingest,
            config_plan_profile_schema=config_plan_profile_schema,
            inputs=inputs,
            input_keys=input_keys,
            optional_input_keys=optional_input_keys,
            depends_on=depends_on,
            tags=tags,
            facet=facet,
            facet_from=facet_from,
            facet_schema_version=facet_schema_version,
            facet_index=facet_index,
            identity_inputs=identity_inputs,
            year=year,
            iteration=iteration,
            parent_run_id=parent_run_id,
            outputs=outputs,
            output_paths=output_paths,
            capture_dir=capture_dir,
            capture_pattern=capture_pattern,
            cache_options=CacheOptions(
                cache_mode=cache_mode,
                cache_hydration=cache_hydration,
                cache_version=cache_version,
                cache_epoch=cache_epoch,
                validate_cached_outputs=validate_cached_outputs,
                validate_materialized_inputs=validate_materialized_inputs,
                code_identity=code_identity,
                code_identity_extra_deps=code_identity_extra_deps,
            ),
            output_policy=OutputPolicyOptions(output_mismatch=output_mismatch, output_missing=output_missing),
        )
        if (dry := self._rehearsal()) is not None:
            from consist_es.execution.dry_block import DryBlock  # few scripts are ever rehearsed

            return DryBlock(dry, args, self._scope("trace()"), self._absorb)
        from consist_es.execution.trace import Trace  # with all that judges a block's code

        return Trace(self._engine, args, self._scope("trace()"), self._absorb)

    @abstractmethod
    def _scope(self, call: str | None) -> Scope:
        """The scope of a step of this call. None: nothing will run, so it need not be open."""

    def _rehearsal(self) -> Rehearsal | None:
        """The rehearsal that its steps belong to, in a dry run; else None."""
        frame = top()
        dry: Rehearsal | None = None if frame is None else frame.dry
        return dry

    def _absorb(self, outputs: Mapping[str, Artifact]) -> None:
        """Put the outputs of a step into the coupler, if there is one."""


for _call in (Steps.run, Steps.trace):
    _call.__qualname__ = _call.__name__  # for Python's own errors, ``run() got …``: users do not know `Steps`


def check_keywords(call: str, given: StepKeywords) -> None:
    """Refuse unknown keywords; for a field of an option group, the error names the group.

    Raises:
        UsageTypeError: the first such keyword.
    """
    for name in sorted(given.keys() - StepKeywords.__annotations__.keys()):
        groups = {field: kind for field, kind in GROUPS.items() if name in kind.__dataclass_fields__}
        remedy = [f" Give it as {field}={kind.__name__}({name}=…)." for field, kind in groups.items()]
        raise UsageTypeError(f"{call} got an unexpected keyword argument {name!r}.{''.join(remedy)}")


def _arguments(call: str, fn: Callable[..., object] | None, name: str | None, given: StepKeywords) -> StepArguments:
    check_keywords(call, given)
    values: dict[str, Any] = {key: value for key, value in given.items() if value is not None or key not in GROUPS}
    runtime = values.pop("runtime_kwargs", None)
    values["execution_options"] = _with_runtime(values.get("execution_options"), runtime)
    return StepArguments(fn=fn, name=name, **values)


def _with_runtime(options: ExecutionOptions | None, runtime: Mapping[str, Any] | None) -> ExecutionOptions:
    """The options, with runtime kwargs given as an argument of their own.

    Raises:
        UsageError: they are given twice.
    """
    found = _EXECUTION if options is None else options
    if runtime is None or not isinstance(found, ExecutionOptions):
        return found  # a wrong type is refused when the step is prepared
    if found.runtime_kwargs is not None:
        raise UsageError("runtime_kwargs is given as an argument and in execution_options: give it once.")
    return replace(found, runtime_kwargs=runtime)
