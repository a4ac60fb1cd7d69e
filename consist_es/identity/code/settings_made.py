"""Settings of installed packages that statements make for all code of the process."""

import ast
import re
import types
from collections.abc import Iterator

from consist_es.identity.live import harmless
from consist_es.identity.live.scope import Names, function_scope
from consist_es.identity.text.statements import CALL, INNER, TARGET, Act, acts

_SETTING = re.compile(
    r"(set|reset)_(option|config|theme|style|palette|default|printoptions|float_precision|string_function)\w*|"
    r"seed|seterr\w*|setcontext|setlocale|filterwarnings|simplefilter|resetwarnings|register\w*|putenv"
)
"""Functions that change what other code of the process does."""
_DEEPEST = 12


def settings_made(act: Act, names: Names, *, perhaps: bool = False) -> Iterator[str]:
    """What an act sets, by itself or by the project's functions that it calls, in words. With `perhaps`, also calls of
    installed packages that are made for their effect, whatever it is."""
    yield from _made(act, names, perhaps, set(), 0)


def _made(act: Act, names: Names, perhaps: bool, seen: set[types.CodeType], depth: int) -> Iterator[str]:
    if not act.root or (act.broken and isinstance(act.node, ast.Call) and not perhaps):
        return
    package = names.imported[act.root]
    if package and package != "consist_es" and _is_setting(act, package, perhaps):
        yield f"{'.'.join(act.path)} (a setting of {package})"
    fn = None if act.kind == TARGET or act.broken else names.function[act.path]
    if fn is None or fn.__code__ in seen or depth == _DEEPEST:
        return
    seen.add(fn.__code__)
    if (scope := function_scope(fn, {})) is not None:
        inner = Names(scope)
        for piece in scope.pieces:
            for each in acts(piece.node):
                used = isinstance(piece.node, ast.Return) and act.kind == INNER
                yield from _made(each._replace(kind=INNER) if used else each, inner, perhaps, seen, depth + 1)


def _is_setting(act: Act, package: str, perhaps: bool) -> bool:
    if act.kind == TARGET or _SETTING.fullmatch(act.path[-1]):
        return True
    return perhaps and harmless.sets_something(package, act.path, meant=act.kind == CALL)
