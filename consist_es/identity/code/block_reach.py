"""Finds what a block names, and what its own text visibly changes; not what the functions that it calls do."""

import ast
import dis
import itertools
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any

from consist_es.identity.code.block import Block
from consist_es.identity.installed.places import is_first_party
from consist_es.identity.live.modules import file_of, is_ours
from consist_es.identity.live.owners import Owner
from consist_es.identity.text.mentions import mentions
from consist_es.identity.text.source import load_source
from consist_es.identity.text.usage import MAKERS
from consist_es.identity.text.writes import FILLING, only_read

_BINDS = ("STORE_NAME", "STORE_GLOBAL", "STORE_DEREF", "DELETE_NAME", "DELETE_GLOBAL", "DELETE_DEREF")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_LEAVES = (ast.Return, ast.Break, ast.Continue, ast.Yield, ast.YieldFrom)
_PLAIN = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Delete)


def anchor_of(blocks: Sequence[Block]) -> types.FunctionType:
    """An empty function in the module of the outermost block, to look names up from."""
    frame = blocks[-1].frame
    return types.FunctionType(compile("", frame.f_code.co_filename, "exec"), frame.f_globals)


class BlockReach:
    """The values that one block can reach when it is entered."""

    def __init__(self, block: Block) -> None:
        frame = block.frame
        self._code, self._globals = block.code, frame.f_globals
        inside = block.instructions()
        self._bound = {str(item.argval) for item in inside if item.opname in _BINDS}
        self._filled = _filled(block.statements)
        self._set = _surely_set(block.statements)
        self.given: dict[str, Any] = {}
        """Name -> value: variables, and attributes of the project's modules."""
        scope = {**frame.f_globals, **frame.f_locals}
        said = _said(inside)
        package = frame.f_globals.get("__package__")
        imported = [str(item.argval) for item in inside if item.opname == "IMPORT_NAME"]
        modules = [sys.modules.get(name) for word in imported for name in (word, f"{package}.{word}")]
        for name in sorted(block.names() & scope.keys()):
            self.given[name] = scope[name]
            modules.append(scope[name] if isinstance(scope[name], types.ModuleType) else None)
        self._take_from([module for module in modules if module is not None], said)

    def _take_from(self, modules: list[types.ModuleType], said: set[str]) -> None:
        seen = set()
        while modules:
            module = modules.pop()
            if module in seen or is_ours(module.__name__) or not is_first_party(file_of(module) or ""):
                continue
            seen.add(module)
            for name in sorted(said & vars(module).keys()):
                value = vars(module)[name]
                self.given[f"{module.__name__}.{name}"] = value
                if isinstance(value, types.ModuleType):
                    modules.append(value)

    def binds(self, owner: Owner, name: str, functions: Sequence[types.FunctionType]) -> bool:
        """True if the text itself binds a variable, or surely sets an attribute, and no reached function does: the text
        runs at a hit too, so nothing is lost."""
        if owner.kind == "object":
            named = any(word == name and self.given.get(item) is owner.value for item, word in self._set)
            others = [fn for fn in functions if fn.__name__ not in MAKERS]
            return named and not any(name in mentions(fn.__code__).sets for fn in others)
        if name not in self._bound:
            return False
        if owner.kind == "module":
            here = owner.value is self._globals and name not in (*self._code.co_cellvars, *self._code.co_freevars)
        else:
            here = owner.kind == "cell" and f"{self._code.co_qualname}.".startswith(f"{owner.path}.")
        said = [mentions(fn.__code__) for fn in owner.code.get(name, ())]
        return here and not any(name in item.stores | item.sets | item.cells for item in said)

    def fills(self, owner: Owner) -> bool:
        """True if the text itself changes what a container holds, and the functions that name it only read it."""
        holder, name = owner.root or (owner, "")
        named = any(self.given.get(item) is owner.value for item in self._filled)
        if holder.kind not in ("module", "cell") or not named:
            return False
        for fn in holder.code.get(name, ()):
            source = load_source(fn.__code__.co_filename)
            node = None if source is None else source.find(fn.__code__)
            if node is None or not only_read(name, node):
                return False
        return True


def _said(inside: Sequence[dis.Instruction]) -> set[str]:
    """Attributes and imported names in some instructions, including those of functions defined there."""
    found: set[str] = set()
    for item in inside:
        if isinstance(item.argval, types.CodeType):
            found |= mentions(item.argval).names
        elif item.opname in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"):
            found.add(str(item.argval))
    return found


def _filled(statements: Sequence[ast.stmt]) -> set[str]:
    """Names of containers that some statements change: ``name.append(x)``, ``name[key] = x``, ``name += x``."""
    found = set()
    for item in itertools.chain.from_iterable(map(ast.walk, statements)):
        match item:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in FILLING:
                found.add(name)
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
                found.add(name)
            case ast.AugAssign(target=ast.Name(id=name)):
                found.add(name)
    return found


def _surely_set(statements: Sequence[ast.stmt]) -> set[tuple[str, str]]:
    """(variable, attribute) pairs that the statements set on every path, hence also at a hit."""
    if any(isinstance(item, _LEAVES) for statement in statements for item in _own_nodes(statement)):
        return set()
    targets = [item for statement in _straight(statements) for item in ast.walk(statement)]
    return {
        (item.value.id, item.attr)
        for item in targets
        if isinstance(item, ast.Attribute) and isinstance(item.value, ast.Name) and not isinstance(item.ctx, ast.Load)
    }


def _straight(statements: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in statements:
        if isinstance(statement, _PLAIN):
            yield statement
        elif isinstance(statement, ast.With | ast.For):
            yield from _straight(statement.body)


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """A node and those below it, without the bodies of functions and classes."""
    yield node
    if not isinstance(node, _SCOPES):
        for child in ast.iter_child_nodes(node):
            yield from _own_nodes(child)
