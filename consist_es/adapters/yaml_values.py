"""Reads YAML as PyYAML's safe loader does, for models that use it: the last of two equal keys counts."""

import importlib
from typing import Any

from consist_es.errors import ConfigFileError, MissingExtraError

MAX_DEPTH = 90
MAX_NODES = 1_000_000


def yaml_values(text: str, name: str, remedy: str = "") -> Any:
    """The value of a YAML text.

    Raises:
        ConfigFileError: it is not YAML, or a template that is to become YAML.
        MissingExtraError: PyYAML is not installed.
    """
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError as error:
        raise MissingExtraError(f"Reading {name}", "PyYAML", "yaml") from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _single(loader(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        problem = f"not valid YAML: {getattr(error, 'problem', None) or error}"
        if any(sign in text for sign in ("{{", "{%")):
            problem = f"a template, not YAML yet ({getattr(error, 'problem', None) or error})"
        raise ConfigFileError(name, line, problem, remedy) from error
    except (TypeError, ValueError, RecursionError) as error:  # unhashable keys, dates that do not exist
        raise ConfigFileError(name, None, f"not valid YAML: {error}", remedy) from error


def _single(loader: Any) -> Any:
    """The value of a text of one document; such a loader makes data only, whatever the tags say."""
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


class Shape:
    """Turns values of a YAML file into data for a record: keys as text, and the order of keys where it may matter."""

    def __init__(self, name: str, remedy: str = "") -> None:
        self.name, self.remedy, self.nodes = name, remedy, 0
        self.orders: list[Any] = []
        """The keys of every mapping but the outermost, in order, if it has more than one."""

    def of(self, value: Any, depth: int = 0) -> Any:
        """The data of a value."""
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            problem = f"nested more than {MAX_DEPTH} deep, in itself, or more than {MAX_NODES:,} values"
            raise ConfigFileError(self.name, None, problem, self.remedy)
        if isinstance(value, dict):
            keys = [key_text(key) for key in value]
            if depth and len(keys) > 1:
                self.orders.append(keys)
            return {key: self.of(item, depth + 1) for key, item in zip(keys, value.values(), strict=True)}
        if isinstance(value, list | tuple):
            return [self.of(item, depth + 1) for item in value]
        return value


def key_text(key: Any) -> str:
    """A key as text: other keys than texts in brackets, texts that begin with a bracket with one more."""
    if isinstance(key, str):
        return f"({key}" if key.startswith("(") else key
    return f"({key!r})"
