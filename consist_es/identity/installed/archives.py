"""Reads modules in zip files; a path that leads into an archive names a member of it."""

import functools
import os
import stat

_MEMBERS = 4096
"""How many members' contents are cached."""


def member_of(filename: str) -> bytes | None:
    """The content of the member that a path into a zip file names; None if there is no such archive or member."""
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
    """The lines of a Python file in a zip file; empty if there is no such file, or it is not text."""
    if not filename.endswith(".py"):
        return []
    from importlib.util import decode_source

    content = member_of(filename)
    try:
        return [] if content is None else decode_source(content).splitlines(keepends=True)
    except (SyntaxError, UnicodeDecodeError):
        return []


@functools.lru_cache(maxsize=_MEMBERS)
def _member(archive: str, inner: str, _stamp: tuple[int, ...]) -> bytes | None:
    import zipfile  # heavy, and few modules are in one

    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.read(inner)
    except (OSError, KeyError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile):
        return None
