"""Counts the environment variables and command line that code names: their present values are part of its identity."""

import ast
import functools
import os
import sys
from collections.abc import Iterable, Iterator

import msgspec

from consist_es.identity.text.normal import Scope
from consist_es.identity.text.source import Fact, Parsed, Source, digest_plain
from consist_es.values.masking import COMMAND_LINE, VARIABLE

_WORDS = ("environ", "getenv")
_READING = ("get", "pop", "setdefault", "__getitem__", "__contains__")


def variable_parts(source: Source, *nodes: ast.AST) -> dict[str, str]:
    """Part for each variable named in a file, or in the code below some nodes of it -> digest of its present value.

    Finds ``os.environ["A"]``, ``.get("A")``, ``"A" in os.environ`` and ``os.getenv("A")``, also through names imported
    from `os` and names bound once to the text. Names computed otherwise are not found.
    """
    names = {name for node in nodes for name in _named(source, node)} if nodes else variables_in(source)
    return {f"{VARIABLE}{name}": variable_digest(name) for name in sorted(names)}


def variables_in(source: Source) -> frozenset[str]:
    """The variables named in a file."""
    return _NAMED.of(source)


def variable_digest(name: str) -> str:
    """Digest of a variable's present value."""
    return _digest(os.environ.get(name))


@functools.lru_cache(maxsize=4096)
def _digest(text: str | None) -> str:
    return digest_plain(text)


def named_parts(source: Source, *nodes: ast.AST) -> dict[str, str]:
    """The same, with a part for ``sys.argv`` if the code reads it. Not meant for a whole module: its `main` reads it,
    which no step calls."""
    found = variable_parts(source, *nodes)
    if any(_reads_arguments(source, node) for node in nodes):
        found[COMMAND_LINE] = digest_plain(sys.argv[1:])
    return found


class _Names(msgspec.Struct, frozen=True):
    """Meaning of the names in a file."""

    aliases: dict[str, str]
    """Names for `os.environ` and `os.getenv`."""
    texts: dict[str, str]
    """Variables with one assignment, which is a text."""
    arguments: frozenset[str]
    """Names for `sys.argv`."""


def _names(parsed: Parsed) -> _Names:
    aliases = _imported(parsed, "os")
    arguments = frozenset(name for name, origin in _imported(parsed, "sys").items() if origin == "argv")
    return _Names(aliases, _texts(parsed.survey.nodes(ast.Assign)) if parsed.mentions(*_WORDS) else {}, arguments)


def _imported(parsed: Parsed, module: str) -> dict[str, str]:
    """Name -> its name in the module that it is imported from."""
    imports = [node for node in parsed.survey.nodes(ast.ImportFrom) if node.module == module]
    return {alias.asname or alias.name: alias.name for node in imports for alias in node.names}


def _texts(assignments: Iterable[ast.Assign]) -> dict[str, str]:
    found: dict[str, str | None] = {}
    for node in assignments:
        value = node.value.value if isinstance(node.value, ast.Constant) else None
        for target in node.targets:
            name = _id(target)
            found[name] = value if isinstance(value, str) and name not in found else None
    return {name: value for name, value in found.items() if value is not None}


def _named_in_file(parsed: Parsed) -> frozenset[str]:
    if not parsed.mentions(*_WORDS):
        return frozenset()
    names = _names(parsed)
    scopes = [scope for scope in parsed.survey.scopes if _names_environment(scope, names.aliases)]
    kinds = (ast.Subscript, ast.Compare, ast.Call)
    return _named_by((node for scope in scopes for kind in kinds for node in scope.nodes.get(kind, ())), names)


def _names_environment(scope: Scope, aliases: dict[str, str]) -> bool:
    """True if anything in a scope may look up a variable, so that it is worth a search."""
    attributes = scope.nodes.get(ast.Attribute, ())
    return any(item.attr in _WORDS for item in attributes) or any(item.id in aliases for item in scope.names)


def _named_by(nodes: Iterable[ast.AST], names: _Names) -> frozenset[str]:
    arguments = [argument for node in nodes for argument in _arguments(node, names.aliases)]
    known = (
        argument.value if isinstance(argument, ast.Constant) else names.texts.get(_id(argument))
        for argument in arguments
    )
    return frozenset(name for name in known if isinstance(name, str) and name)


@functools.lru_cache(maxsize=4096)
def _named(source: Source, node: ast.AST) -> frozenset[str]:
    if not any(word in source.text for word in _WORDS):
        return frozenset()
    return _named_by(ast.walk(node), _NAMES.of(source))


@functools.lru_cache(maxsize=4096)
def _reads_arguments(source: Source, node: ast.AST) -> bool:
    if "argv" not in source.text:
        return False
    names = _NAMES.of(source).arguments
    return any(
        _id(item) in names or (isinstance(item, ast.Attribute) and item.attr == "argv" and _id(item.value) == "sys")
        for item in ast.walk(node)
    )


def _arguments(node: ast.AST, aliases: dict[str, str]) -> Iterator[ast.expr]:
    """The expressions for variable names that a node looks up in the environment."""
    if isinstance(node, ast.Subscript) and _is(node.value, "environ", aliases):
        yield node.slice
    elif isinstance(node, ast.Compare) and any(_is(item, "environ", aliases) for item in node.comparators):
        yield node.left
    elif isinstance(node, ast.Call) and (node.args or node.keywords):
        first = node.args[0] if node.args else node.keywords[0].value
        method = node.func if isinstance(node.func, ast.Attribute) else None
        if _is(node.func, "getenv", aliases) or (
            method is not None and method.attr in _READING and _is(method.value, "environ", aliases)
        ):
            yield first


def _is(node: ast.expr, what: str, aliases: dict[str, str]) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == what
    return aliases.get(_id(node)) == what


def _id(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


_NAMES: Fact[_Names] = Fact("names of variables", _Names, _names)
_NAMED: Fact[frozenset[str]] = Fact("variables", frozenset[str], _named_in_file)
