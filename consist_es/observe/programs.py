"""The programs that a step starts, and which of their arguments are files."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator

from consist_es.observe.reads import Program

_SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "cmd.exe")


def find_program(path: str, arguments: list[str], folder: str | None, counts: Callable[[str], bool]) -> Program:
    """The program, and those of its arguments (also of a shell's command line) that are paths which count."""
    base = os.path.abspath(folder or os.curdir)
    words = [path, *arguments[1:]]
    if os.path.basename(path) in _SHELLS and len(arguments) > 2:
        words += _split(arguments[2])
    inputs: dict[str, None] = {}
    for word in words:
        for text in _paths(word):
            given = os.path.abspath(os.path.join(base, text))
            if counts(given) and os.path.exists(given) and given != base:
                inputs[given] = None
    return Program(path, arguments, list(inputs))


def _paths(word: str) -> Iterator[str]:
    """What of an argument may be a path: all of it, or what follows a sign."""
    if word and "\0" not in word:
        yield word
        if "=" in word:
            yield word.partition("=")[2]


def _split(command: str) -> list[str]:
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return command.split()
