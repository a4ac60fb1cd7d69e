"""Finds settings of installed packages that a block makes under a condition, such as ``if not t.is_cached:``.

The statement is skipped on a hit, and later code then runs with another setting than after a miss.
"""

import ast

from consist_es.identity.code.block import Block
from consist_es.identity.code.settings_made import settings_made
from consist_es.identity.live.scope import Names, Scope
from consist_es.identity.text.statements import acts

_LEAVES = (ast.Return, ast.Break, ast.Continue)


def settings_of(block: Block) -> list[str]:
    """The settings that a hit may skip, in words."""
    if block.source is None or not block.statements:
        return []
    frame = block.frame
    local = None if frame.f_locals is frame.f_globals else dict(frame.f_locals)
    scope = Scope(block.source, ast.Module([*block.statements], []), frame.f_globals, local, None)
    leaves = any(isinstance(item, _LEAVES) for statement in block.statements for item in ast.walk(statement))
    names, found = Names(scope), dict[str, None]()
    for piece in scope.pieces:
        if piece.heads or leaves:
            for act in acts(piece.node):
                found |= dict.fromkeys(settings_made(act, names))
    return list(found)
