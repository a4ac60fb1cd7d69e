"""Parses the top level of a file: tree and imports, without the work to identify its functions."""

import ast
import functools
import os
from pathlib import Path
from typing import Any

from consist_es.identity.text.imports import ImportRef, computed_imports, imports_of
from consist_es.identity.text.source import read
from consist_es.identity.text.statements import pieces

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_STAMPED: dict[str, tuple[Any, "TopLevel | None"]] = {}


class TopLevel:
    """The top level of one file."""

    def __init__(self, filename: str, tree: ast.Module) -> None:
        self.filename, self.tree = filename, tree
        self.imports = top_imports(tree)


def top_level(filename: str) -> TopLevel | None:
    """Top level of a file, parsed once per version of it; None if it does not parse."""
    try:
        found = os.stat(filename)  # noqa: PTH116
        stamp = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        known = _STAMPED.get(filename)
        if known is None or known[0] != stamp:
            known = _STAMPED[filename] = (stamp, TopLevel(filename, ast.parse(read(Path(filename)))))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    return known[1]


@functools.lru_cache(maxsize=4096)
def top_imports(tree: ast.Module) -> tuple[ImportRef, ...]:
    """Imports that run whenever the file does: under no condition, and outside of functions."""
    found = [piece.node for piece in pieces(tree) if not piece.heads and not piece.guarded]
    return tuple(ref for node in found if not isinstance(node, _DEFINITIONS) for ref in imports_of(node))


@functools.lru_cache(maxsize=4096)
def computes_imports(tree: ast.Module) -> bool:
    """True if a file imports modules by computed names, such as the plugins of a package."""
    statements = [piece.node for piece in pieces(tree) if not isinstance(piece.node, _DEFINITIONS)]
    return any(computed_imports(node) for node in statements)
