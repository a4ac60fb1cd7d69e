"""Reads names and versions of installed distributions from the first lines of their metadata.

The same as `importlib.metadata` finds, in a twentieth of the time: that one parses each file whole, as an e-mail. What
is not plain is left to it.
"""
# Paths are joined as importlib does it, and there are hundreds.
# ruff: noqa: PTH118, PTH208

from __future__ import annotations

import errno
import itertools
import os
import re
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder

Header = tuple[str | None, str | None]
"""Name and version; None for what the metadata does not say."""

_HEAD, _LINES = 4096, 20
"""Bytes and lines in which both stand; if they do not, importlib reads the file."""
_FILES = ("METADATA", "PKG-INFO", "")
"""Where the metadata may be; the last is for an ``.egg-info`` that is a file itself."""
_ABSENT = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.EACCES, errno.EPERM)
_FIELD = re.compile(rb"[!-9;-~]+")


def installed_headers() -> Iterator[Header]:
    """Of each distribution on the path, in the order of an import."""
    finders = [finder for finder in sys.meta_path if getattr(finder, "find_distributions", None)]
    listed = [_listed(folder) for folder in sys.path] if finders == [PathFinder] else [None]
    if None in listed:  # an archive, or a finder of somebody else
        import importlib.metadata  # heavy

        for found in importlib.metadata.distributions():
            yield found.metadata["Name"], found.metadata["Version"]
        return
    for place in itertools.chain.from_iterable(filter(None, listed)):
        yield header(place)


def header(place: str) -> Header:
    """Of the distribution with this metadata."""
    try:
        plain = _plain(_head(place))
    except OSError:
        plain = None
    if plain is not None:
        return plain
    import importlib.metadata  # heavy

    metadata = importlib.metadata.Distribution.at(place).metadata
    return metadata["Name"], metadata["Version"]


def _listed(folder: str) -> list[str] | None:
    """The metadata in a folder, in the order of `importlib.metadata`; None if it is not a plain folder."""
    try:
        names = os.listdir(folder or ".")
    except (OSError, ValueError):
        return None if os.path.exists(folder) else []  # noqa: PTH110
    if os.path.basename(folder).lower().endswith(".egg"):  # noqa: PTH119
        return None
    groups: dict[str, list[str]] = {}
    for name in names:
        low = name.lower()
        if low.endswith((".dist-info", ".egg-info")):
            project = re.sub(r"[-_.]+", "-", low.rpartition(".")[0].partition("-")[0])
            groups.setdefault(project, []).append(os.path.join(folder, name))
    return [place for group in groups.values() for place in group]


def _head(place: str) -> bytes:
    """The beginning of the first file with metadata, in whole lines."""
    for name in _FILES:
        try:
            with open(os.path.join(place, name) if name else place, "rb", buffering=0) as file:  # noqa: PTH123
                text = file.read(_HEAD)
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
            continue
        if text:
            return text if len(text) < _HEAD else text[: text.rfind(b"\n")]  # the line after the last is unknown
    return b""


def _plain(text: bytes) -> Header | None:
    """Name and version, if both stand in plain lines at the beginning."""
    text = text.replace(b"\r\n", b"\n")
    found: dict[bytes, str] = {}
    for line, following in itertools.pairwise(text.split(b"\n", _LINES)):
        field, colon, value = line.partition(b":")
        is_plain = colon and _FIELD.fullmatch(field) and line.isascii() and b"\r" not in line
        if not is_plain or following[:1] in (b" ", b"\t"):
            return None
        if (wanted := field.lower()) in (b"name", b"version"):
            found.setdefault(wanted, value.lstrip(b" \t").decode())
            if len(found) == 2:
                return found[b"name"], found[b"version"]
    return None
