"""Reads YAML into data that two files share only if every YAML program reads the same from both.

Programs differ: ``yes`` is true for one and text for another, ``010`` is 8 or 10. So only plain scalars on which YAML
1.1 and 1.2 agree become values; other plain scalars stay text that is marked as plain. Nothing is constructed from
tags: they are part of the data. Anchors and aliases are expanded; merge keys (``<<``) are kept unchanged. Sources:
yaml.org/spec/1.2.2, section 10.3 (core schema), and yaml.org/type for 1.1.
"""

import importlib
import re
from typing import Any

from consist_es.adapters.numbers import exact
from consist_es.errors import ConfigFileError, MissingExtraError

MAX_DEPTH = 90
MAX_NODES = 1_000_000
_CORE = "tag:yaml.org,2002:"
_AGREED_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+([eE][-+][0-9]+)?)?", re.ASCII)
_AGREED_NULLS = frozenset({"~", "null", "Null", "NULL", ""})
_AGREED_FLAGS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DISPUTED = re.compile(r"[-+]?\.?[0-9][0-9a-fA-FxoXO_.:eE+-]*|[yYnN]|on|off", re.ASCII | re.IGNORECASE)
"""Plain text that some YAML program reads as a number or flag, though this parser reads text."""


def read_yaml(text: str, name: str) -> Any:
    """The data of a YAML text; of all its documents, if there are several.

    Raises:
        ConfigFileError: it is not YAML, a key is a duplicate or not a scalar, or it is too large when expanded.
        MissingExtraError: PyYAML is not installed.
    """
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError as error:
        raise MissingExtraError(f"Reading {name}", "PyYAML", "yaml") from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        # Nodes only: compose() resolves tags to names and constructs nothing.
        documents = [_Reader(name).read(node, 0) for node in yaml.compose_all(text, Loader=loader)]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigFileError(name, None if mark is None else mark.line + 1, f"not valid YAML: {problem}") from error
    except RecursionError as error:
        raise ConfigFileError(name, None, f"nested more than {MAX_DEPTH} deep") from error
    data = documents[0] if len(documents) == 1 else ("documents", f"{len(documents)} documents", documents)
    directives = [line.rstrip() for line in text.splitlines() if line.startswith("%")]
    return {f"({' '.join(directives)})": data} if directives else data  # %YAML decides the meaning of disputed scalars


class _Reader:
    """Walks the nodes of one document."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes = 0

    def read(self, node: Any, depth: int) -> Any:
        self.nodes += 1
        if depth > MAX_DEPTH:
            raise self.error(node, f"nested more than {MAX_DEPTH} deep, or an alias inside its own anchor")
        if self.nodes > MAX_NODES:
            raise self.error(node, f"more than {MAX_NODES:,} values, with aliases written out")
        if node.id == "scalar":
            return _scalar(node)
        if node.id == "sequence":
            return _tagged(node, "seq", [self.read(item, depth + 1) for item in node.value])
        return _tagged(node, "map", self.mapping(node, depth))

    def mapping(self, node: Any, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.id != "scalar":
                raise self.error(key_node, "a key that is itself a list or mapping")
            key = _key(_scalar(key_node))
            if key in found:
                raise self.error(
                    key_node, f"the key {key_node.value!r} is there twice; programs differ in which counts"
                )
            found[key] = self.read(value_node, depth + 1)
        return found

    def error(self, node: Any, problem: str) -> ConfigFileError:
        return ConfigFileError(self.name, node.start_mark.line + 1, problem)


def _tagged(node: Any, usual: str, value: Any) -> Any:
    """The value, under its tag if that is not the usual one."""
    return value if node.tag == _CORE + usual else {f"(tag {node.tag.removeprefix(_CORE)})": value}


def _scalar(node: Any) -> Any:
    tag, text = node.tag.removeprefix(_CORE), node.value
    if tag == "str" and (node.style or _DISPUTED.fullmatch(text) is None):
        return text
    if tag == "null" and text in _AGREED_NULLS:
        return None
    if tag == "bool" and text in _AGREED_FLAGS:
        return _AGREED_FLAGS[text]
    if tag in ("int", "float") and _AGREED_NUMBER.fullmatch(text):
        return exact(text, whole=tag == "int")
    return ("yaml", text if tag in _PLAIN_TAGS else f"!{tag} {text}", tag)


_PLAIN_TAGS = frozenset({"str", "null", "bool", "int", "float", "timestamp", "merge", "value"})


def _key(value: Any) -> str:
    """Keys as text: other keys than text in brackets, text that begins with a bracket with one more."""
    if isinstance(value, str):
        return f"({value}" if value.startswith("(") else value
    if isinstance(value, tuple):
        return f"({value[0]} {value[-1]} {value[1]})"
    return f"({value!r})"
