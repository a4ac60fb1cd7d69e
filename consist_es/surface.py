"""From the public signatures to one options struct."""

from collections.abc import Mapping
from typing import Any

from consist_es.errors import UsageTypeError
from consist_es.options import CacheOptions, ExecutionOptions, OutputPolicyOptions, StepArguments

_CACHE = (
    "cache_mode",
    "cache_hydration",
    "cache_version",
    "cache_epoch",
    "validate_cached_outputs",
    "validate_materialized_inputs",
    "code_identity",
    "code_identity_extra_deps",
)
_POLICY = ("output_mismatch", "output_missing")


def arun_arguments(fn: Any, name: Any, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> StepArguments:
    """The arguments of an `arun` surface: `defaults` are the keywords of the `run` beside it, and it takes no others.

    Raises:
        UsageTypeError: a keyword that `run` does not take.
    """
    if unknown := sorted(set(given) - set(defaults)):
        raise UsageTypeError(f"arun() got an unexpected keyword argument {unknown[0]!r}: it takes those of run().")
    return run_arguments({**defaults, "fn": fn, "name": name, **given})


def run_arguments(given: Mapping[str, Any]) -> StepArguments:
    """The arguments of a `run` surface, from its `locals()`."""
    values = {name: value for name, value in given.items() if name != "self"}
    values["cache_options"] = _group(values.pop("cache_options"), CacheOptions)
    values["output_policy"] = _group(values.pop("output_policy"), OutputPolicyOptions)
    values["execution_options"] = _group(values.pop("execution_options"), ExecutionOptions)
    return StepArguments(**values)


def _group(given: Any, kind: type) -> Any:
    """None means the defaults; anything of a wrong type is refused where the step is prepared."""
    return kind() if given is None else given


def trace_arguments(given: Mapping[str, Any]) -> StepArguments:
    """The arguments of a `trace` surface, from its `locals()`: flat policy keywords become option groups."""
    values = {name: value for name, value in given.items() if name != "self"}
    cache = CacheOptions(**{name: values.pop(name) for name in _CACHE if name in values})
    policy = OutputPolicyOptions(**{name: values.pop(name) for name in _POLICY})
    return StepArguments(kind="trace", cache_options=cache, output_policy=policy, **values)
