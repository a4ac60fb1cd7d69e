"""Modules in zip files: a path that leads into one stands for a member of it."""

import functools
import os
import stat
import zipfile

_MEMBERS = 4096
"""Of how many members the content is kept."""


def member_of(filename: str) -> bytes | None:
    """The content that a path into a zip file stands for, None if it leads into none or to nothing in it."""
    archive = os.path.dirname(filename)  # noqa: PTH120
    while archive and archive != os.path.dirname(archive):  # noqa: PTH120
        try:
            found = os.stat(archive)  # noqa: PTH116
        except (OSError, ValueError):
            archive = os.path.dirname(archive)  # noqa: PTH120
            continue
        if not stat.S_ISREG(found.st_mode):
            return None
        inner = filename[len(archive) + 1 :].replace(os.sep, "/")
        return _member(archive, inner, (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino))
    return None


def lines_of(filename: str) -> list[str]:
    """The lines of a Python file in a zip file; empty if there is no such file, or no text in it."""
    from importlib.util import decode_source

    content = member_of(filename) if filename.endswith(".py") else None
    try:
        return [] if content is None else decode_source(content).splitlines(keepends=True)
    except (SyntaxError, UnicodeDecodeError):
        return []


@functools.lru_cache(maxsize=_MEMBERS)
def _member(archive: str, inner: str, _stamp: tuple[int, ...]) -> bytes | None:
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.read(inner)
    except (OSError, KeyError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile):
        return None
