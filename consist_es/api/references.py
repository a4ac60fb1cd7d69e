"""`ref` and `refs`: outputs of earlier results as inputs of later steps."""

from collections.abc import Mapping
from typing import Any

from consist_es.errors import UsageError, UsageTypeError
from consist_es.runs.run import RunResultLike, select_output

_FORMS = "use refs(result), refs(result, 'a', 'b'), refs(result, {'alias': 'a'}), refs((r1, 'a'), (r2,)) or refs(x=r)"


def ref(run_result: RunResultLike, key: str | None = None) -> Any:
    """One output of a result, as an input for another step.

    Raises:
        MissingKeyError: no output of that key.
        UsageError: no key was given and the result has not exactly one output.
        UsageTypeError: not a result.
    """
    if not isinstance(run_result, RunResultLike):
        raise UsageTypeError(f"ref() takes the result of a step, not {type(run_result).__name__}.")
    return select_output(run_result, key)


def refs(*selectors: Any, **aliases: Any) -> dict[str, Any]:
    """Several outputs, by name, for ``inputs=``.

    Forms: ``refs(r)`` all outputs; ``refs(r, "a", "b")`` those; ``refs(r, {"alias": "a"})`` renamed;
    ``refs((r1, "a"), (r2,))`` from several results; ``refs(x=(r, "a"), y=r2)`` by keyword.

    Raises:
        UsageError: nothing selected, or one name twice.
        MissingKeyError: no such output.
        UsageTypeError: any other form.
    """
    chosen: dict[str, Any] = {}
    for name, value in [*_positional(selectors), *_keywords(aliases)]:
        if name in chosen:
            raise UsageError(f"refs(): {name!r} is selected twice: give one of them an alias.")
        chosen[name] = value
    if not chosen:
        raise UsageError("refs() selects nothing: pass at least one result that has outputs.")
    return chosen


def _positional(selectors: tuple[Any, ...]) -> list[tuple[str, Any]]:
    if not selectors:
        return []
    first, *rest = selectors
    if isinstance(first, RunResultLike):
        return _from_result(first, tuple(rest))
    pairs: list[tuple[str, Any]] = []
    for selector in selectors:
        if not (isinstance(selector, tuple) and selector and isinstance(selector[0], RunResultLike)):
            raise UsageTypeError(f"refs() does not take {selector!r}: {_FORMS}.")
        pairs += _from_result(selector[0], selector[1:])
    return pairs


def _from_result(result: RunResultLike, wanted: tuple[Any, ...]) -> list[tuple[str, Any]]:
    if not wanted:
        return list(result.outputs.items())
    pairs: list[tuple[str, Any]] = []
    for item in wanted:
        if isinstance(item, str):
            pairs.append((item, select_output(result, item)))
        elif isinstance(item, Mapping):
            pairs += _renamed(result, item)
        else:
            raise UsageTypeError(f"refs() does not take {item!r}: {_FORMS}.")
    return pairs


def _renamed(result: RunResultLike, mapping: Mapping[Any, Any]) -> list[tuple[str, Any]]:
    if not mapping:
        raise UsageError("refs(): the mapping of aliases is empty. Name at least one output.")
    for alias, key in mapping.items():
        if not isinstance(alias, str) or not isinstance(key, str):
            raise UsageTypeError(f"refs(): aliases map str to str, not {alias!r} to {key!r}.")
    return [(alias, select_output(result, key)) for alias, key in mapping.items()]


def _keywords(aliases: dict[str, Any]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for alias, value in aliases.items():
        if isinstance(value, RunResultLike):
            pairs.append((alias, select_output(value)))
        elif isinstance(value, tuple) and len(value) in (1, 2) and isinstance(value[0], RunResultLike):
            pairs.append((alias, select_output(*value)))
        else:
            raise UsageTypeError(f"refs({alias}=…) does not take {value!r}: {_FORMS}.")
    return pairs
