"""Describes the programs that a step starts, and finds arguments that are files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

from consist_es.identity.installed.started import SHELLS, Origin, split
from consist_es.observe.reads import Program


def find_program(
    path: str, arguments: list[str], folder: str | None, started: list[Origin], counts: Callable[[str], bool]
) -> Program:
    """The program, and those of its arguments (also in a shell's command line) that are paths which count, or programs
    at such a path."""
    base = os.path.abspath(folder or os.curdir)
    words = [path, *arguments[1:], *(origin.path for origin in started if os.path.isabs(origin.path))]
    if os.path.basename(path) in SHELLS and len(arguments) > 2:
        words += split(arguments[2])
    inputs: dict[str, None] = {}
    for word in words:
        for text in _paths(word):
            given = os.path.abspath(os.path.join(base, text))
            if os.path.basename(text) == text and not os.path.exists(given):
                given = shutil.which(text) or given
            if counts(given) and os.path.exists(given) and given != base:
                inputs[given] = None
    return Program(path, arguments, list(inputs), started)


def _paths(word: str) -> Iterator[str]:
    """Parts of an argument that may be a path: all of it, or the part after ``=``."""
    if word and "\0" not in word:
        yield word
        if "=" in word:
            yield word.partition("=")[2]
