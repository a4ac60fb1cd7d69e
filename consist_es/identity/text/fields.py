"""Reads the fields of a class that a framework took out of it: defaults, factories, converters."""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from consist_es.identity.text.normal import Scope
from consist_es.identity.text.source import Fact, Parsed, Source

_PARTS = ("default", "default_factory", "factory", "converter", "validator", "metadata", "json_schema_extra")
_NO_VALUES = ("_MISSING_TYPE", "PydanticUndefinedType", "_Nothing", "UnsetType", "NoDefaultType")


def field_values(cls: type) -> dict[str, dict[str, Any]]:
    """Field -> defaults, factories and so on, for dataclasses, attrs, pydantic and msgspec; else {}."""
    found = {}
    for name, field in _fields(cls):
        parts = {part: value for part in _PARTS if (value := getattr(field, part, None)) is not None}
        parts = {part: _plainer(value) for part, value in parts.items() if type(value).__name__ not in _NO_VALUES}
        found[name] = {
            part: value for part, value in parts.items() if value or not isinstance(value, (dict, list, tuple))
        }
    return {name: parts for name, parts in found.items() if parts}


def _fields(cls: type) -> Iterator[tuple[str, Any]]:
    members = dict(vars(cls))
    for name in ("__dataclass_fields__", "__pydantic_fields__", "model_fields"):
        if isinstance(fields := members.get(name), Mapping):
            yield from fields.items()
    if isinstance(fields := members.get("__attrs_attrs__"), tuple):
        yield from ((field.name, field) for field in fields)
    names, defaults = getattr(cls, "__struct_fields__", ()), getattr(cls, "__struct_defaults__", ())
    if isinstance(names, tuple) and isinstance(defaults, tuple) and defaults:
        yield from ((name, _Default(value)) for name, value in zip(names[-len(defaults) :], defaults, strict=True))


class _Default:
    """A field that has a default only."""

    def __init__(self, default: Any) -> None:
        self.default = default


def _plainer(value: Any) -> Any:
    """Content of a field's default or metadata; the function of an attrs or msgspec factory, in a list."""
    if isinstance(value, Mapping):
        return dict(value)
    inner = getattr(value, "factory", None) if type(value).__name__ == "Factory" else None
    return value if inner is None else [inner]


def with_computed_fields(source: Source) -> tuple[str, ...]:
    """Names of a file's classes with fields that have computed values."""
    return _COMPUTED.of(source)


def _with_computed_fields(parsed: Parsed) -> tuple[str, ...]:
    if not any(map(_computes_fields, parsed.survey.nodes(ast.ClassDef))):
        return ()
    classes = _classes(parsed.survey.outside, "")
    return tuple(dict.fromkeys(name for name, node in classes if _computes_fields(node)))


def _classes(scope: Scope, prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    """All classes in a scope with their qualified names."""
    for item in scope.inside:
        if isinstance(item.node, ast.ClassDef):
            yield prefix + item.node.name, item.node
            yield from _classes(item, f"{prefix}{item.node.name}.")
        elif item.inside and not isinstance(item.node, ast.Lambda):
            yield from _classes(item, f"{prefix}{item.node.name}.<locals>.")


_COMPUTED: Fact[tuple[str, ...]] = Fact("computed fields", tuple[str, ...], _with_computed_fields)


def _computes_fields(node: ast.ClassDef) -> bool:
    return "<locals>" not in node.name and any(
        isinstance(item, ast.AnnAssign) and item.value is not None and not isinstance(item.value, ast.Constant)
        for item in node.body
    )
