"""Decides which argument each parameter of a step's function receives.

Per parameter, first match wins: the whole config for one named `config`; runtime kwargs; an input of that name;
a config value of that name; `year`, `iteration`, `phase`, `stage`; the run context if asked for.
"""

from __future__ import annotations

import inspect
import operator
import os
import types
import warnings
import weakref
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.errors import BindingError, CallError, ConsistWarning, RuntimeArgumentError
from consist_es.steps.annotations import hints_of, parts_of
from consist_es.steps.definition import RUNTIME
from consist_es.steps.inputs import BoundInput
from consist_es.text import nearest

KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
CONTEXT_NAMES = ("ctx", "_consist_ctx")


class Form(Enum):
    """The form in which a parameter receives an input."""

    PATH = "path"
    TEXT = "text"
    ARTIFACT = "artifact"
    TABLE = "table"
    DATA = "data"

    def of(self, bound: BoundInput, path: Path) -> Any:
        """The argument in this form."""
        match self:
            case Form.PATH:
                return path
            case Form.TEXT:
                return str(path)
            case Form.ARTIFACT:
                return bound.artifact
        from consist_es.artifacts.drivers.loading import load, load_table  # with all drivers

        return load_table(bound.artifact) if self is Form.TABLE else load(bound.artifact)


class CallPlan(msgspec.Struct, frozen=True):
    """The planned call of a function; made before anything is recorded, so that mistakes are found first."""

    values: dict[str, Any]
    """Arguments other than inputs."""
    inputs: dict[str, tuple[BoundInput, Form]]
    context: str | None

    def arguments(self, context: Any, staged: Mapping[str, Path]) -> dict[str, Any]:
        """The keyword arguments of the call; loads inputs received as data."""
        bound = {name: form.of(item, staged.get(item.role, item.path)) for name, (item, form) in self.inputs.items()}
        injected = {self.context: context} if self.context else {}
        return {**self.values, **bound, **injected}

    def received(self, item: BoundInput) -> str:
        """The form in which the function receives an input: a `Form`'s value, or ``nothing``."""
        return next((form.value for bound, form in self.inputs.values() if bound is item), "nothing")

    def sees_name_of(self, item: BoundInput) -> bool:
        """True if the function can see the input's file name, by its argument or the run context."""
        return self.context is not None or self.received(item) not in (Form.DATA.value, Form.TABLE.value)

    def hands_out(self, item: BoundInput) -> bool:
        """True if the function can get the input's artifact, with its metadata."""
        return self.context is not None or self.received(item) == Form.ARTIFACT.value


def plan_call(
    fn: Callable[..., Any],
    *,
    step: str,
    inputs: list[BoundInput],
    binding: str | None,
    config: Any,
    config_values: Mapping[str, Any],
    labels: Mapping[str, Any],
    runtime: Mapping[str, Any],
    inject: bool | str | None,
) -> CallPlan:
    """Decide every argument of the call.

    Raises:
        RuntimeArgumentError: a runtime kwarg that the function requires is missing.
        CallError: a parameter that nothing supplies, or a runtime kwarg without a parameter.
        BindingError: no parameter for the context.
    """
    missing = [name for name in getattr(fn, RUNTIME, ()) if name not in runtime]
    if missing:
        raise RuntimeArgumentError(
            f"Step {step!r} requires runtime kwargs that were not given: {', '.join(missing)}. "
            "Pass execution_options=ExecutionOptions(runtime_kwargs={...})."
        )
    signature, hints = _signature(fn, step)
    context = _context_parameter(fn, signature, hints, inject, step)
    named = {item.role: item for item in inputs if item.named} if binding != "none" else {}
    values: dict[str, Any] = {}
    bound: dict[str, tuple[BoundInput, Form]] = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind not in KEYWORD or (name == context and name not in runtime):
            continue
        if name == "config" and config is not None and name not in runtime:
            values[name] = config
        elif name in runtime:
            values[name] = runtime[name]
        elif name in named:
            bound[name] = (named[name], _form(hints.get(name), fn, binding, named[name].artifact.driver))
        elif name in config_values:
            values[name] = config_values[name]
        elif labels.get(name) is not None:
            values[name] = labels[name]
    context = None if context in runtime else context
    values |= {name: value for name, value in runtime.items() if name not in values}
    given = {*values, *bound, *([context] if context else [])}
    _check(signature, given, step)
    whole = context is not None or "config" in values
    unused = {name: f"inputs[{name!r}]" for name in named} | (
        {} if whole else {name: f"config[{name!r}]" for name in config_values}
    )
    _warn_misspelt(signature, given, unused, step)
    return CallPlan(values, bound, context)


class _Known(NamedTuple):
    """The signature of a function, with all that it was read from."""

    source: tuple[Any, ...]
    signature: inspect.Signature
    hints: dict[str, Any]


_known: weakref.WeakKeyDictionary[Callable[..., Any], _Known] = weakref.WeakKeyDictionary()


def _signature(fn: Callable[..., Any], step: str) -> tuple[inspect.Signature, dict[str, Any]]:
    source = _source(fn)
    known = None if source is None else _known.get(fn)
    if known is not None and source is not None and _are_same(known.source, source):
        return known.signature, known.hints
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError) as error:
        raise CallError(step, f"its signature cannot be read: {error}") from error
    hints = hints_of(fn, signature)
    if source is not None:
        _known[fn] = _Known(source, signature, hints)
    return signature, hints


def _source(fn: Callable[..., Any]) -> tuple[Any, ...] | None:
    """The objects that the signature of a plain function is made of; None if it comes from elsewhere, or if one of the
    annotations is a text, which may mean something else later."""
    if type(fn) is not types.FunctionType or "__wrapped__" in fn.__dict__ or "__signature__" in fn.__dict__:
        return None
    annotations, keywords = fn.__annotations__, fn.__kwdefaults__ or {}
    if any(isinstance(value, str) for value in annotations.values()):
        return None
    counted = (len(keywords), *keywords, *keywords.values())
    return (fn.__code__, fn.__defaults__, *counted, *annotations, *annotations.values())


def _are_same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(map(operator.is_, one, other))


def _form(annotation: Any, fn: Callable[..., Any], binding: str | None, driver: str) -> Form:
    wanted = _annotated_form(annotation, fn)
    if wanted in (Form.PATH, Form.ARTIFACT):
        return wanted
    if binding == "paths":
        return Form.TEXT if wanted is Form.TEXT else Form.PATH
    if binding == "artifacts":
        return Form.ARTIFACT
    if binding == "loaded":
        return Form.TABLE if wanted is Form.TABLE else Form.DATA
    if wanted is not None:
        return wanted
    if annotation not in (inspect.Parameter.empty, Any):
        return Form.DATA
    from consist_es.artifacts.drivers.loading import can_load

    return Form.DATA if can_load(driver) else Form.ARTIFACT


def _annotated_form(annotation: Any, fn: Callable[..., Any]) -> Form | None:
    """The form that an annotation asks for; the first one of a union."""
    forms = (_form_by_name(part) if isinstance(part, str) else _form_of_type(part) for part in parts_of(annotation, fn))
    return next((form for form in forms if form is not None), None)


def _form_of_type(kind: type) -> Form | None:
    if kind is str:
        return Form.TEXT
    if issubclass(kind, Artifact):  # before paths: an Artifact is path-like
        return Form.ARTIFACT
    if issubclass(kind, PurePath) or kind is os.PathLike:
        return Form.PATH
    return Form.TABLE if kind.__module__.startswith("pyarrow") and kind.__name__ == "Table" else None


def _form_by_name(name: str) -> Form | None:
    """The form of a type that could not be evaluated, by its qualified name; only type checkers import it."""
    package, _, last = name.rpartition(".")
    packages, form = _BY_NAME.get(last, (frozenset(), None))
    return form if package.partition(".")[0] in packages else None


_PATHS = (frozenset({"", "pathlib", "os", "_typeshed"}), Form.PATH)
_BY_NAME = {
    **dict.fromkeys(("Path", "PurePath", "PosixPath", "PurePosixPath", "PathLike"), _PATHS),
    "Artifact": (frozenset({"", "consist", "consist_es"}), Form.ARTIFACT),
    "Table": (frozenset({"pa", "pyarrow"}), Form.TABLE),
    "str": (frozenset({"", "builtins"}), Form.TEXT),
}
"""Name of a type -> the packages that it may come from ("" if unknown), and the form."""


def _context_parameter(
    fn: Callable[..., Any], signature: inspect.Signature, hints: Mapping[str, Any], inject: bool | str | None, step: str
) -> str | None:
    if not inject:
        return None
    parameters = signature.parameters
    accepts_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    if isinstance(inject, str):
        if inject in parameters or accepts_any:
            return inject
        raise BindingError(f"inject_context={inject!r}: step {step!r} has no parameter {inject!r}. Add it.")
    annotated = [name for name in parameters if _is_context(hints.get(name), fn)]
    for name in (*annotated, *CONTEXT_NAMES):
        if name in parameters:
            return name
    if accepts_any:
        return CONTEXT_NAMES[-1]
    raise BindingError(
        f"inject_context=True: step {step!r} has no parameter annotated RunContext, and none named ctx. Add one."
    )


def _is_context(annotation: Any, fn: Callable[..., Any]) -> bool:
    names = (part if isinstance(part, str) else part.__name__ for part in parts_of(annotation, fn))
    return any(name.rpartition(".")[2] == "RunContext" for name in names)


def _warn_misspelt(signature: inspect.Signature, given: set[str], offered: Mapping[str, str], step: str) -> None:
    """Warn of a name that no parameter takes if it is close to a parameter that keeps its default. `offered`: how each
    was given. Other unused names are fine: config and inputs may hold more than a function takes."""
    parameters = signature.parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    left = [name for name, parameter in parameters.items() if parameter.kind in KEYWORD and name not in given]
    for name, shown in offered.items():
        if left and name not in parameters and (near := nearest(name, left)) is not None:
            warnings.warn(
                f"Step {step!r}: no parameter takes {shown}, and {near!r} keeps its default. Is one misspelt?",
                ConsistWarning,
                stacklevel=2,
            )


def _check(signature: inspect.Signature, given: set[str], step: str) -> None:
    parameters = signature.parameters
    accepts_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    for name, parameter in parameters.items():
        required = parameter.default is inspect.Parameter.empty
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY and required:
            raise CallError(step, f"parameter {name!r} is positional-only and cannot be bound by name")
        if parameter.kind in KEYWORD and required and name not in given:
            raise CallError(step, f"nothing supplies its parameter {name!r}")
    if unknown := sorted(name for name in given if name not in parameters and not accepts_any):
        raise CallError(step, f"it has no parameter {unknown[0]!r}")
