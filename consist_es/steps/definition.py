"""`define_step`: defaults attached to a step's function, and `require_runtime_kwargs`."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from consist_es.errors import MissingKeyError, UsageError, UsageTypeError
from consist_es.identity.live.left_out_values import ATTRIBUTE as EXEMPT
from consist_es.steps.options import CacheOptions, ExecutionOptions, StepArguments
from consist_es.text import nearest

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
_BINDING = ("input_binding", "load_inputs", "inject_context")
_EXECUTION = (*_BINDING, "input_paths", "input_materialization")
_OTHER = ("name_template", "schema_outputs")
KNOWN = (*_PLAIN, *_CACHE, *_EXECUTION, *_OTHER)
_OF_RUNTIME = ("settings", "workspace", "state")
"""Runtime kwargs that the context has as fields, too."""


class StepContext(msgspec.Struct, frozen=True, kw_only=True):
    """The argument of a callable default of `define_step`."""

    func_name: str
    model: str | None = None
    year: int | None = None
    iteration: int | None = None
    phase: str | None = None
    stage: str | None = None
    consist_settings: Any = None
    consist_workspace: Path | None = None
    """The tracker's run directory."""
    consist_state: Any = None
    runtime_settings: Any = None
    """The runtime kwarg ``settings``; likewise `runtime_workspace` and `runtime_state`."""
    runtime_workspace: Any = None
    runtime_state: Any = None
    runtime_kwargs: Mapping[str, Any] = {}

    @property
    def settings(self) -> Any:
        """`runtime_settings`, else `consist_settings`."""
        return self.consist_settings if self.runtime_settings is None else self.runtime_settings

    @property
    def workspace(self) -> Any:
        """`runtime_workspace`, else `consist_workspace`."""
        return self.consist_workspace if self.runtime_workspace is None else self.runtime_workspace

    @property
    def state(self) -> Any:
        """`runtime_state`, else `consist_state`."""
        return self.consist_state if self.runtime_state is None else self.runtime_state

    def get_runtime(self, name: str, default: Any = None) -> Any:
        """A runtime kwarg of the call, or `default`."""
        return self._runtime().get(name, default)

    def require_runtime(self, name: str) -> Any:
        """A runtime kwarg of the call.

        Raises:
            UsageError: it was not given.
        """
        given = self._runtime()
        if name not in given:
            raise UsageError(f"Step {self.func_name!r} needs the runtime kwarg {name!r}, which was not given.")
        return given[name]

    def get(self, name: str, default: Any = None) -> Any:
        """A field or runtime kwarg by name, or `default`."""
        return getattr(self, name) if name in self.__struct_fields__ else self.get_runtime(name, default)

    def __getitem__(self, name: str) -> Any:
        if name in self.__struct_fields__ or name in self._runtime():
            return self.get(name)
        raise MissingKeyError("field of the step context", name, (*self.__struct_fields__, *self._runtime()))

    def _runtime(self) -> dict[str, Any]:
        fields = {name: getattr(self, f"runtime_{name}") for name in _OF_RUNTIME}
        return {name: value for name, value in fields.items() if value is not None} | dict(self.runtime_kwargs)


class StepDefinition(msgspec.Struct, frozen=True):
    """The defaults that `define_step` attached to a function."""

    values: dict[str, Any]
    extra: dict[str, Any] = {}
    """Keywords that have no meaning here, as they were given."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in KNOWN:
            raise AttributeError(name)
        return self.values.get(name)


def define_step(**defaults: Any) -> Callable[[F], F]:
    """Attach defaults to a step's function; arguments of the call override them.

    Takes model, name_template, outputs, output_paths, output_sets, inputs, input_keys, optional_input_keys, config,
    adapter, identity_inputs, facet, facet_index, facet_from, facet_schema_version, tags, description, cache_mode,
    cache_hydration, cache_version, validate_cached_outputs, input_binding, load_inputs, inject_context, input_paths,
    input_materialization and schema_outputs. A value may be a function of a `StepContext`; it is called with the step.
    Any other keyword is kept in ``fn.__consist_step__.extra``. The decorated function is not wrapped.

    Raises:
        UsageTypeError: a keyword that is close to one of these, or config_plan or hash_inputs.
    """
    for name in defaults.keys() - set(KNOWN):
        if name in ("config_plan", "hash_inputs"):
            raise UsageTypeError(f"define_step({name}=…) is not supported: use adapter= or identity_inputs=.")
        if (near := nearest(name, KNOWN)) is not None:
            raise UsageTypeError(f"define_step() does not take {name!r}. Is {near!r} meant? Correct it, or rename it.")
    CacheOptions(**{name: defaults[name] for name in _CACHE if name in defaults and not callable(defaults[name])})
    given = {key: value for key, value in defaults.items() if key in KNOWN and value is not None}
    extra = {key: value for key, value in defaults.items() if key not in KNOWN}

    def attach(fn: F) -> F:
        setattr(fn, ATTRIBUTE, StepDefinition(given, extra))
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


def identity_exempt(*names: str) -> Callable[[F], F]:
    """Exempt captured variables of a step's function from its identity: their values do not count, and what the
    step does to them is neither compared nor repeated by a hit.

    For objects that only carry the step's surroundings, such as a holder of earlier results or a workspace. The
    exemption counts and is recorded, and every hit tells of it. The class of such an object counts as code.

    Raises:
        UsageError: no names, or a blank one. When the step runs: a name that it does not capture, or that is code.
    """
    if not names or not all(isinstance(name, str) and name.isidentifier() for name in names):
        raise UsageError("identity_exempt() takes at least one name of a variable that the step's function captures.")

    def attach(fn: F) -> F:
        setattr(fn, EXEMPT, tuple(dict.fromkeys((*getattr(fn, EXEMPT, ()), *names))))
        return fn

    return attach


def definition_of(fn: Any) -> StepDefinition | None:
    """The definition that `define_step` attached to a function, or None."""
    found = getattr(fn, ATTRIBUTE, None)
    return found if isinstance(found, StepDefinition) else None


def with_definition(args: StepArguments, workspace: Path | None = None) -> tuple[StepArguments, str | None]:
    """The arguments with the function's own defaults filled in, and its name template.

    `workspace` is the tracker's run directory, for the context of callable defaults.
    """
    definition = definition_of(args.fn)
    if definition is None:
        return args, None
    values = _resolved(definition.values, _context(args, definition, workspace))
    plain = {key: values[key] for key in _PLAIN if key in values and getattr(args, key) is None}
    if args.binding is not None:
        plain = {key: value for key, value in plain.items() if "input" not in key or key == "identity_inputs"}
    cache, execution = args.cache_options, args.execution_options
    if isinstance(cache, CacheOptions):
        plain["cache_options"] = _filled(cache, {key: values[key] for key in _CACHE if key in values})
    if isinstance(execution, ExecutionOptions):
        taken = _BINDING if execution.binding is not None else ()
        found = {key: values[key] for key in _EXECUTION if key in values and key not in taken}
        plain["execution_options"] = _filled(execution, found)
    return dataclasses.replace(args, **plain), values.get("name_template")


def _context(args: StepArguments, definition: StepDefinition, workspace: Path | None) -> StepContext:
    execution = args.execution_options
    runtime = dict((execution.runtime_kwargs if isinstance(execution, ExecutionOptions) else None) or {})
    model = definition.values.get("model")
    return StepContext(
        func_name=getattr(inspect.unwrap(args.fn), "__name__", type(args.fn).__name__),
        model=model if args.model is None and isinstance(model, str) else args.model,
        year=args.year,
        iteration=args.iteration,
        phase=args.phase,
        stage=args.stage,
        consist_workspace=workspace,
        runtime_kwargs=runtime,
        **{f"runtime_{name}": runtime.get(name) for name in _OF_RUNTIME},
    )


def _resolved(values: Mapping[str, Any], context: StepContext) -> dict[str, Any]:
    """Call the callable values, except classes and adapters, which may be callable themselves."""
    return {key: value(context) if _is_asked(value) else value for key, value in values.items()}


def _is_asked(value: Any) -> bool:
    return callable(value) and not isinstance(value, type) and not hasattr(value, "canonicalize")


def _filled(group: Any, defaults: Mapping[str, Any]) -> Any:
    return dataclasses.replace(group, **{key: value for key, value in defaults.items() if getattr(group, key) is None})
