"""Prepares a step: checks every argument and computes its identity, before anything is recorded."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from consist_es.adapters.prepare import PreparedAdapter, prepare_adapter
from consist_es.artifacts.describe import Digester
from consist_es.checks import check_key, check_labels, check_name, check_run_id, names
from consist_es.errors import BindingError, MissingKeyError, UsageError, UsageTypeError
from consist_es.events import LABELS, FingerprintInfo
from consist_es.identity.code.block import Entry
from consist_es.identity.code.given import given_values
from consist_es.identity.code.modes import CodeIdentity, code_identity, trace_identity, with_parts
from consist_es.identity.config import as_mapping, said_of
from consist_es.identity.fingerprint import InputPart, fingerprint
from consist_es.identity.installed.package_options import PackageOptions
from consist_es.identity.installed.packages import versions
from consist_es.identity.live.left_out_values import LeftOut, left_out_of
from consist_es.identity.live.written import NOTHING, Written, only_written
from consist_es.steps.call import CallPlan, plan_call
from consist_es.steps.code_of import CodeOf
from consist_es.steps.definition import with_definition
from consist_es.steps.inputs import BoundInput, Sources, identity_digests, resolve_inputs
from consist_es.steps.options import (
    ExecutionOptions,
    OutputArtifactSpec,
    StepArguments,
    check_groups,
    defaults_of,
    output_names,
)
from consist_es.steps.output_sets import OutputSet, output_sets_of
from consist_es.steps.outputs import Policies, output_paths_of
from consist_es.values.masking import Masker
from consist_es.values.plain import object_fields, to_plain

if TYPE_CHECKING:
    from consist_es.steps.container import Inside


class StepDefaults(msgspec.Struct, frozen=True):
    """Defaults that a tracker, and a scenario on top of it, set for their steps."""

    project_root: Path
    cache_epoch: int | None
    masker: Masker
    label_root: Path | None = None
    """Folder that names of code files are relative to, if not the project's root."""
    run_id_prefix: str = ""
    scenario_id: str | None = None
    """Id of the open scenario, ``baseline#2``; run ids are built on it."""
    tags: tuple[str, ...] = ()
    facet: dict[str, Any] = {}
    name_template: str | None = None
    cache_hydration: str | None = None
    packages: PackageOptions = PackageOptions()
    run_dir: Path | None = None
    """The tracker's run directory, for callable defaults of steps."""


class Step(msgspec.Struct, frozen=True):
    """A step, ready to be looked up and run."""

    args: StepArguments
    name: str
    model: str
    run_id: str
    tags: list[str]
    config_plain: Any
    facet: Any
    inputs: list[BoundInput]
    adapter: PreparedAdapter | None
    fingerprint: FingerprintInfo
    plan: CallPlan | None
    """None for a trace."""
    outputs: tuple[str, ...]
    output_paths: dict[str, OutputArtifactSpec]
    output_sets: dict[str, OutputSet]
    policies: Policies
    project_root: Path
    cache_mode: str
    hydration: str
    staging: dict[str, Any]
    """Input role -> path that it is copied to before the function runs."""
    code: CodeIdentity
    unread: Written = NOTHING
    """Attributes of a method's object that do not count, as the method only writes them."""
    inside: Inside | None = None
    """The program in a container that runs instead of a function."""

    @property
    def left_out(self) -> LeftOut:
        """Captured values that do not count."""
        return left_out_of(self.args.fn, objects=self.args.cache_options.counts_code_alone)

    @property
    def handed(self) -> dict[str, Any]:
        """The objects that the function is given, except its inputs."""
        values = {} if self.plan is None else self.plan.values
        return {**values, "config": self.args.config}

    @property
    def declared(self) -> tuple[str, ...]:
        """Expected output keys, `output_paths` first."""
        return tuple(dict.fromkeys((*self.output_paths, *self.outputs, *self.output_sets)))

    def leaves_files(self, defaults: StepDefaults) -> bool:
        """True if it was asked to put no files anywhere on a hit."""
        return (self.args.cache_options.cache_hydration or defaults.cache_hydration) == "metadata"

    @property
    def unit(self) -> tuple[Any, ...]:
        """As that of `Outline`."""
        args = self.args
        return (self.fingerprint.config, self.model, args.year, args.iteration, args.phase, args.stage)

    @property
    def options(self) -> dict[str, Any]:
        """Options that differ from their defaults; of runtime kwargs the names only."""
        groups = (self.args.cache_options, self.args.output_policy, self.args.execution_options)
        said: dict[str, Any] = {}
        for group in groups:
            for name, default in defaults_of(type(group)):  # type: ignore[arg-type] # a class has a hash
                value = getattr(group, name)
                if value is not None and value != default:
                    said[name] = _recorded(name, value)
        return said

    @property
    def function(self) -> str | None:
        """Module-qualified name of the function."""
        fn = self.args.fn
        if fn is None:
            return None
        return f"{getattr(fn, '__module__', '?')}.{getattr(fn, '__qualname__', type(fn).__qualname__)}"


def _recorded(name: str, value: Any) -> Any:
    """An option as it is recorded."""
    if name == "container":
        return value.described()
    return sorted(value) if name == "runtime_kwargs" else to_plain(value, name)


def prepare(
    args: StepArguments,
    defaults: StepDefaults,
    sources: Sources,
    *,
    frame: Entry | None = None,
    is_async: bool = False,
    code_of: CodeOf | None = None,
) -> Step:
    """Check every argument and compute the step's identity. `frame` is that of a trace block; `code_of` gives the
    identity of the code, if another step may have the same.

    Raises:
        UsageError, UsageTypeError, InputError, ConfigTypeError, CodeIdentityUnavailableError …: nothing is recorded.
    """
    check_groups(args)
    args, template = with_definition(args, defaults.run_dir)
    check_labels(args, ("year", "iteration"), ("phase", "stage", "description"))
    name = name_of(args, template or defaults.name_template)
    check_callable(args, name, is_async)
    model = check_name(args.model if args.model is not None else name, "model")
    inputs = resolve_inputs(args, sources)
    config_plain = defaults.masker.plain(to_plain(args.config, "config"))
    config_values = as_mapping(args.config)
    labels = {label: getattr(args, label) for label in LABELS}
    args, inside = _inside(args, name, inputs, sources, defaults.masker, config_values)
    plan = None if args.kind == "trace" else _plan(args, name, inputs, config_values, labels, defaults.masker, inside)
    cache = args.cache_options
    outputs = tuple(check_key(key, "output key") for key in output_names(args.outputs))
    if len(set(outputs)) < len(outputs):
        raise UsageError(f"outputs={list(outputs)}: a key is declared twice. Name each output once.")
    adapter = _adapter(args, defaults, sources.digester)
    labels = {"model": model, **labels, "context": True if plan is not None and plan.context else None}
    parts = [_part(item, plan, args.execution_options, defaults.masker) for item in inputs]
    unread = NOTHING if plan is None or inside else only_written(args.fn, {**plan.values, "config": args.config})
    work = partial(_code, args, defaults, frame, unread, inside)
    code = work() if code_of is None else code_of(args, unread, work)
    info = _identity(args, defaults, labels, parts, adapter, sources.digester, code, config_plain)
    info = _shown(info, inputs, code.said or defaults.masker.plain(given_values(args.fn, unread.names)))
    return Step(
        args=args,
        name=name,
        model=model,
        run_id=check_run_id(
            f"{defaults.run_id_prefix}{name}" if args.run_id is None else args.run_id, defaults.scenario_id
        ),
        tags=_tags(args, defaults),
        config_plain=config_plain,
        facet=_facet(args, defaults, config_values),
        inputs=inputs,
        adapter=adapter,
        fingerprint=info,
        plan=plan,
        outputs=outputs,
        output_paths=output_paths_of(args.output_paths),
        output_sets=output_sets_of(args.output_sets),
        policies=Policies.of(name, args.output_policy),
        project_root=defaults.project_root,
        cache_mode=cache.cache_mode or "reuse",
        hydration=hydration_of(args, defaults),
        staging=_staging(args, inputs),
        unread=unread,
        code=code,
        inside=inside,
    )


def _shown(info: FingerprintInfo, inputs: Iterable[BoundInput], values: Any) -> FingerprintInfo:
    """The identity with what only explanations need: contents of inputs, and values in the code."""
    if contents := {item.role: item.contents for item in inputs if item.contents is not None}:
        info = msgspec.structs.replace(info, contents=contents)
    return msgspec.structs.replace(info, code_values=values) if values else info


def _inside(
    args: StepArguments,
    name: str,
    inputs: list[BoundInput],
    sources: Sources,
    masker: Masker,
    config_values: dict[str, Any],
) -> tuple[StepArguments, Inside | None]:
    """The program in a container, if there is one, and the arguments with all that it sees."""
    if args.execution_options.container is None:
        return args, None
    from consist_es.steps.container import in_container  # most steps have none

    return in_container(args, name, inputs, sources, masker, config_values)


def name_of(args: StepArguments, template: str | None) -> str:
    """The step's name: the one given, or its function's, in the template if there is one."""
    if args.name is not None:
        return check_name(args.name, "name")
    if args.kind == "run" and args.fn is not None and not callable(args.fn):
        raise UsageTypeError(f"fn takes a callable, not {type(args.fn).__name__}: {args.fn!r}.")
    found = getattr(inspect.unwrap(args.fn), "__name__", None) if callable(args.fn) else None
    if found is None:
        raise UsageError("This step has no name: pass name=..., or a function that has one.")
    if template is not None:
        return check_name(_fill(template, found, args), "name_template")
    return check_name(found, "name")


def _fill(template: str, function: str, args: StepArguments) -> str:
    fields = {"func_name": function, "model": args.model, "year": args.year, "iteration": args.iteration}
    fields |= {"phase": args.phase, "stage": args.stage}
    known = {key: "" if value is None else value for key, value in fields.items()}
    try:
        return template.format_map(_Blank(known))
    except (ValueError, AttributeError, IndexError) as error:
        raise UsageError(
            f"name_template {template!r} cannot be filled: {error}. Fields: {', '.join(known)}."
        ) from error


class _Blank(dict[str, Any]):
    """Unknown fields of a template become empty text."""

    def __missing__(self, key: str) -> str:
        return ""


_NO_STEPS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE
"""Flags of functions that are not called like others."""


def check_callable(args: StepArguments, name: str, is_async: bool) -> None:
    """Refuse a function that cannot be called as a step."""
    if args.kind == "trace" or args.execution_options.container is not None:
        return
    if args.fn is None or not callable(args.fn):
        raise UsageError(f"Step {name!r} needs a function: pass fn=a callable, or use trace(...) for a block of code.")
    if type(args.fn) is types.FunctionType and not args.fn.__dict__ and not args.fn.__code__.co_flags & _NO_STEPS:
        return
    target = inspect.unwrap(args.fn)
    if inspect.isasyncgenfunction(target) or inspect.isgeneratorfunction(target):
        raise UsageTypeError(f"Step {name!r} is a generator function: let it return its outputs instead.")
    if inspect.iscoroutinefunction(target) and not is_async:
        raise UsageTypeError(f"Step {name!r} is an async function: use `await ….arun(...)` instead of run(...).")


def _plan(
    args: StepArguments,
    name: str,
    inputs: list[BoundInput],
    config_values: dict[str, Any],
    labels: Mapping[str, Any],
    masker: Masker,
    inside: Inside | None,
) -> CallPlan:
    if inside is not None:
        return inside.plan(inputs)
    execution = args.execution_options
    if execution.binding in ("paths", "loaded", "artifacts") and inputs and not any(item.named for item in inputs):
        raise BindingError(f"input_binding={execution.binding!r} needs named inputs: pass inputs={{'parameter': …}}.")
    return plan_call(
        args.fn,
        step=name,
        inputs=inputs,
        binding=execution.binding,
        config=args.config,
        config_values=masker.revealed(config_values),
        labels=labels,
        runtime=masker.revealed(execution.runtime_kwargs or {}),
        inject=execution.inject_context,
    )


def _code(
    args: StepArguments, defaults: StepDefaults, frame: Entry | None, unread: Written, inside: Inside | None
) -> CodeIdentity:
    """Identity of the code. Values of environment variables with secrets count by a keyed hash."""
    if inside is not None:
        return inside.identity(defaults.masker)
    given: dict[str, Any] = {"mode": args.cache_options.code_identity, "ignored": defaults.packages.ignore}
    given |= {"project_root": defaults.project_root, "label_root": defaults.label_root}
    given["extra_deps"] = args.cache_options.code_identity_extra_deps
    if frame is not None:
        code = trace_identity(frame, **given)
    else:
        code = code_identity(args.fn, uses=args.config, unread=unread, **given)
    hidden = defaults.masker.code_parts(code.parts)
    return with_parts(code, hidden) if hidden else code


def _identity(
    args: StepArguments,
    defaults: StepDefaults,
    labels: Mapping[str, Any],
    inputs: Sequence[InputPart],
    adapter: PreparedAdapter | None,
    digester: Digester,
    code: CodeIdentity,
    config_plain: Any,
) -> FingerprintInfo:
    cache, packages = args.cache_options, defaults.packages
    sets = {f"output_set {key}": spec.identity(args.config) for key, spec in output_sets_of(args.output_sets).items()}
    epoch = cache.cache_epoch if cache.cache_epoch is not None else defaults.cache_epoch
    return fingerprint(
        code=code,
        config=args.config,
        config_plain=config_plain,
        inputs=inputs,
        labels={
            **labels,
            "cache_epoch": epoch,
            "cache_version": cache.cache_version,
            **sets,
            "capture": None if args.capture_dir is None else args.capture_pattern,
        },
        identity_inputs=identity_digests(args.identity_inputs, defaults.project_root, digester),
        adapter=None if adapter is None else adapter.info,
        packages=versions(code.installed, packages.model, packages.ignore),
    )


def _adapter(args: StepArguments, defaults: StepDefaults, digester: Digester) -> PreparedAdapter | None:
    given, root = args.adapter, defaults.project_root
    return (
        None if given is None else prepare_adapter(given, root, lambda it: digester.digest(it).value, defaults.masker)
    )


def _part(item: BoundInput, plan: CallPlan | None, execution: ExecutionOptions, masker: Masker) -> InputPart:
    """An input's part of the fingerprint, with the form the function receives; a staged one by the name it sees."""
    said = masker.plain(said_of(item.artifact)) if plan is None or plan.hands_out(item) else None
    part = item.part(name_counts=plan is None or plan.sees_name_of(item), said=said)
    via = "inputs" if item.via == "input_keys" else item.via
    part = msgspec.structs.replace(part, via=via if plan is None else f"{via} as {plan.received(item)}")
    staged = (execution.input_paths or {}).get(item.role)
    if staged is None or part.name is None:
        return part
    return msgspec.structs.replace(part, name=Path(staged).name)


def hydration_of(args: StepArguments, defaults: StepDefaults) -> str:
    """The hydration mode in effect."""
    stale = "inputs-missing" if args.cache_options.validate_materialized_inputs else None
    return args.cache_options.cache_hydration or stale or defaults.cache_hydration or "metadata"


def _staging(args: StepArguments, inputs: Sequence[BoundInput]) -> dict[str, Any]:
    """Input name -> path of its staged copy; refuses names that are not inputs."""
    places = dict(args.execution_options.input_paths or {})
    named = [item.role for item in inputs if item.named]
    if unknown := [name for name in places if name not in named]:
        raise UsageError(f"input_paths names {unknown}, which are not inputs of this step. Inputs: {named}.")
    return places


def _tags(args: StepArguments, defaults: StepDefaults) -> list[str]:
    return list(dict.fromkeys((*(check_name(tag, "tag") for tag in names(args.tags, "tags")), *defaults.tags)))


def _facet(args: StepArguments, defaults: StepDefaults, config_values: Mapping[str, Any]) -> Any:
    given = args.facet if args.facet is None or isinstance(args.facet, Mapping) else object_fields(args.facet)
    if given is None and args.facet is not None:
        raise UsageTypeError(f"facet takes a mapping or an object with fields, not {type(args.facet).__name__}.")
    facet = {**defaults.facet, **(given or {})}
    for key in names(args.facet_from, "facet_from"):
        if args.config is None:
            raise UsageError(
                "facet_from takes values from config, and this step has none. Pass config=, or leave facet_from out."
            )
        if key not in config_values:
            raise MissingKeyError("config key for facet_from", key, config_values)
        facet.setdefault(key, config_values[key])
    return to_plain(facet, "facet") if facet else None
