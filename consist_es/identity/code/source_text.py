"""Finds the source text behind the parts of a code identity."""

import os
import textwrap
from collections.abc import Collection, Iterator
from pathlib import Path

from consist_es.identity.code.modes import CodeIdentity
from consist_es.identity.text.source import load_source


def texts_of(code: CodeIdentity, wanted: Collection[str], root: Path) -> Iterator[tuple[str, str]]:
    """Digest and text of those of the `wanted` parts that are source in files below `root`: whole files, functions,
    classes and statements. Other parts (values, variables, set-ups) have no text of their own."""
    left = set(wanted)
    for file in sorted({code.own, *code.files}):
        if not left or not _is_below(file, root) or (source := load_source(file)) is None:
            continue
        for digest, text in source.texts(left):
            left.discard(digest)
            yield digest, textwrap.dedent(text)


def _is_below(file: str, root: Path) -> bool:
    return file.endswith(".py") and Path(os.path.realpath(file)).is_relative_to(os.path.realpath(root))
