"""Keys of artifacts as a model declares them: those of its decorated steps, and registries of its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from consist_es.errors import ConsistWarning, UsageError
from consist_es.steps.definition import StepContext, definition_of


def resolve_metadata(value: Any, context: StepContext) -> Any:
    """A default of `define_step`; a function of the context is called."""
    return value(context) if callable(value) else value


def format_step_name(template: str, context: StepContext) -> str:
    """A name template filled with the fields of the context; those that are None are left empty."""
    fields = {name: getattr(context, name) for name in context.__struct_fields__}
    return template.format_map({name: "" if value is None else value for name, value in fields.items()})


def collect_step_schema(
    steps: Iterable[Callable[..., Any]],
    settings: Any = None,
    extra_keys: Mapping[str, str] | None = None,
    warn_unresolvable: bool = True,
) -> dict[str, str]:
    """Key -> description of what decorated steps make: their `schema_outputs`, else `outputs`, and `output_paths`.

    `extra_keys` come first. Defaults that are functions get a context with `settings`; one that raises is left out,
    with a warning unless `warn_unresolvable` is False.
    """
    found = dict(extra_keys or {})
    for step in steps:
        definition = definition_of(step)
        if definition is None:
            continue
        name = getattr(step, "__name__", type(step).__name__)
        context = StepContext(func_name=name, consist_settings=settings, runtime_settings=settings)
        said = _said(definition, name, context, warn_unresolvable)
        description = str(said.get("description") or "")
        keys = said.get("schema_outputs") or (*(said.get("outputs") or ()), *(said.get("output_paths") or ()))
        for key in keys:
            found.setdefault(str(key), description)
    return found


def _said(definition: Any, name: str, context: StepContext, warns: bool) -> dict[str, Any]:
    found = {}
    for field in ("schema_outputs", "outputs", "output_paths", "description"):
        try:
            found[field] = resolve_metadata(getattr(definition, field), context)
        except Exception as error:  # noqa: BLE001  a default of the user's that needs more than the settings
            if warns:
                said = f"{field} of step {name!r} needs more than the settings ({error!r}): its keys are left out."
                warnings.warn(said, ConsistWarning, stacklevel=4)
    return found


class ArtifactKeyRegistry:
    """Base of a class whose attributes are artifact keys: ``TRIPS = "trips"``."""

    @classmethod
    def all_keys(cls) -> list[str]:
        """Its keys and those of its bases, each once, in the order of their declaration."""
        held = [value for base in reversed(cls.__mro__) for name, value in vars(base).items() if name[:1] != "_"]
        return list(dict.fromkeys(value for value in held if isinstance(value, str)))

    @classmethod
    def validate(cls, keys: Iterable[str], *, require_all: bool = False) -> None:
        """Check that all keys are declared, and with `require_all` that all declared ones are there.

        Raises:
            UsageError: lists the keys that are not.
        """
        given, known = list(keys), cls.all_keys()
        if unknown := [key for key in given if key not in known]:
            raise UsageError(f"Unknown artifact keys: {unknown}. Known keys: {known}.")
        if require_all and (missing := [key for key in known if key not in given]):
            raise UsageError(f"Missing artifact keys: {missing}. Required keys: {known}.")
