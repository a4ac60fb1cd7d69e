"""`define_step`: defaults attached to a step's function, and `require_runtime_kwargs`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from consist_es.errors import MissingKeyError, UsageError, UsageTypeError
from consist_es.steps.options import CacheOptions, ExecutionOptions, StepArguments

F = TypeVar("F", bound=Callable[..., Any])

ATTRIBUTE = "__consist_step__"
RUNTIME = "__consist_runtime_kwargs__"
_PLAIN = (
    "model",
    "outputs",
    "output_paths",
    "output_sets",
    "inputs",
    "input_keys",
    "optional_input_keys",
    "config",
    "adapter",
    "identity_inputs",
    "facet",
    "facet_index",
    "tags",
    "facet_from",
    "facet_schema_version",
    "description",
)
_CACHE = ("cache_mode", "cache_hydration", "cache_version", "validate_cached_outputs")
_EXECUTION = ("input_binding", "load_inputs", "inject_context")
_OTHER = ("name_template", "schema_outputs")


class StepContext(msgspec.Struct, frozen=True):
    """The argument of a callable default of `define_step`."""

    func_name: str
    model: str | None = None
    year: int | None = None
    iteration: int | None = None
    phase: str | None = None
    stage: str | None = None
    runtime_kwargs: dict[str, Any] = {}

    def get_runtime(self, name: str, default: Any = None) -> Any:
        """A runtime kwarg of the call, or `default`."""
        return self.runtime_kwargs.get(name, default)

    def require_runtime(self, name: str) -> Any:
        """A runtime kwarg of the call.

        Raises:
            UsageError: it was not given.
        """
        if name not in self.runtime_kwargs:
            raise UsageError(f"Step {self.func_name!r} needs the runtime kwarg {name!r}, which was not given.")
        return self.runtime_kwargs[name]

    def get(self, name: str, default: Any = None) -> Any:
        """A field or runtime kwarg by name, or `default`."""
        return getattr(self, name) if name in self.__struct_fields__ else self.get_runtime(name, default)

    def __getitem__(self, name: str) -> Any:
        if name in self.__struct_fields__ or name in self.runtime_kwargs:
            return self.get(name)
        raise MissingKeyError("field of the step context", name, (*self.__struct_fields__, *self.runtime_kwargs))


class StepDefinition(msgspec.Struct, frozen=True):
    """The defaults that `define_step` attached to a function."""

    values: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in (*_PLAIN, *_CACHE, *_EXECUTION, *_OTHER):
            raise AttributeError(name)
        return self.values.get(name)


def define_step(**defaults: Any) -> Callable[[F], F]:
    """Attach defaults to a step's function; arguments of the call override them.

    Takes model, name_template, outputs, output_paths, output_sets, inputs, input_keys, optional_input_keys, config,
    adapter, identity_inputs, facet, facet_index, facet_from, facet_schema_version, tags, description, cache_mode,
    cache_hydration, cache_version, validate_cached_outputs, input_binding, load_inputs, inject_context and
    schema_outputs. A value may be a function of a `StepContext`; it is called with the step. The decorated function is
    not wrapped.

    Raises:
        UsageTypeError: any other keyword.
    """
    allowed = (*_PLAIN, *_CACHE, *_EXECUTION, *_OTHER)
    for name in defaults:
        if name in ("config_plan", "hash_inputs"):
            raise UsageTypeError(f"define_step({name}=…) is not supported: use adapter= or identity_inputs=.")
        if name not in allowed:
            raise UsageTypeError(f"define_step() does not take {name!r}. It takes: {', '.join(sorted(allowed))}.")
    CacheOptions(**{name: defaults[name] for name in _CACHE if name in defaults and not callable(defaults[name])})

    def attach(fn: F) -> F:
        setattr(fn, ATTRIBUTE, StepDefinition({key: value for key, value in defaults.items() if value is not None}))
        return fn

    return attach


def require_runtime_kwargs(*names: str) -> Callable[[F], F]:
    """Declare the runtime kwargs that a step's function requires; checked before anything starts.

    Raises:
        UsageError: no names, or a blank one.
    """
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise UsageError("require_runtime_kwargs() takes at least one name, each a str that is not blank.")

    def attach(fn: F) -> F:
        setattr(fn, RUNTIME, tuple(dict.fromkeys((*getattr(fn, RUNTIME, ()), *names))))
        return fn

    return attach


def definition_of(fn: Any) -> StepDefinition | None:
    """The definition that `define_step` attached to a function, or None."""
    found = getattr(fn, ATTRIBUTE, None)
    return found if isinstance(found, StepDefinition) else None


def with_definition(args: StepArguments) -> tuple[StepArguments, str | None]:
    """The arguments with the function's own defaults filled in, and its name template."""
    definition = definition_of(args.fn)
    if definition is None:
        return args, None
    values = _resolved(definition.values, _context(args))
    plain = {key: values[key] for key in _PLAIN if key in values and getattr(args, key) is None}
    if args.binding is not None:
        plain = {key: value for key, value in plain.items() if "input" not in key or key == "identity_inputs"}
    cache, execution = args.cache_options, args.execution_options
    if isinstance(cache, CacheOptions):
        plain["cache_options"] = _filled(cache, {key: values[key] for key in _CACHE if key in values})
    if isinstance(execution, ExecutionOptions) and execution.binding is None:
        plain["execution_options"] = _filled(execution, {key: values[key] for key in _EXECUTION if key in values})
    return dataclasses.replace(args, **plain), values.get("name_template")


def _context(args: StepArguments) -> StepContext:
    execution = args.execution_options
    runtime = execution.runtime_kwargs if isinstance(execution, ExecutionOptions) else None
    return StepContext(
        func_name=getattr(inspect.unwrap(args.fn), "__name__", type(args.fn).__name__),
        model=args.model,
        year=args.year,
        iteration=args.iteration,
        phase=args.phase,
        stage=args.stage,
        runtime_kwargs=dict(runtime or {}),
    )


def _resolved(values: Mapping[str, Any], context: StepContext) -> dict[str, Any]:
    """Call the callable values, except classes and adapters."""
    return {
        key: value(context) if callable(value) and not isinstance(value, type) and key != "adapter" else value
        for key, value in values.items()
    }


def _filled(group: Any, defaults: Mapping[str, Any]) -> Any:
    return dataclasses.replace(group, **{key: value for key, value in defaults.items() if getattr(group, key) is None})
