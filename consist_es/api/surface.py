"""From the public signatures to one options struct."""

from collections.abc import Iterable, Mapping
from typing import Any

from consist_es.errors import UsageTypeError
from consist_es.steps.options import CacheOptions, ExecutionOptions, OutputPolicyOptions, StepArguments

GROUPS: dict[str, Any] = {
    "cache_options": CacheOptions,
    "output_policy": OutputPolicyOptions,
    "execution_options": ExecutionOptions,
}
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


def check_keywords(call: str, given: Mapping[str, Any], allowed: Iterable[str]) -> None:
    """Refuse keywords that a step does not take; for one that belongs into an option group, say into which.

    Raises:
        UsageTypeError: the first such keyword.
    """
    for name in sorted(set(given) - set(allowed)):
        groups = {field: kind for field, kind in GROUPS.items() if name in kind.__dataclass_fields__}
        remedy = [f" Give it as {field}={kind.__name__}({name}=…)." for field, kind in groups.items()]
        raise UsageTypeError(f"{call} got an unexpected keyword argument {name!r}.{''.join(remedy)}")


def arun_arguments(
    fn: Any, name: Any, given: Mapping[str, Any], defaults: Mapping[str, Any], call: str = "arun()"
) -> StepArguments:
    """The arguments of an `arun` or `forecast` surface.

    `defaults` are the keywords of the `run` beside it, and it takes no others.

    Raises:
        UsageTypeError: a keyword that `run` does not take.
    """
    check_keywords(call, given, defaults)
    return run_arguments({**defaults, "fn": fn, "name": name, **given})


def run_arguments(given: Mapping[str, Any]) -> StepArguments:
    """The arguments of a `run` surface, from its `locals()`."""
    values = {name: value for name, value in given.items() if name != "self"}
    for field, kind in GROUPS.items():
        values[field] = _group(values[field], kind)
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
