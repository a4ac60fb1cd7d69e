"""Recovery copies: where they lie, and whether they still have the bytes that they are for.

The record of a copy is a hint where to look. What counts is the digest of the bytes that are there now.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import Digester
from consist_es.artifacts.elsewhere import FoundCopy, RecoveryCopy
from consist_es.artifacts.uris import UriMap, inside, unquote
from consist_es.errors import InputError, PathError
from consist_es.text import readable
from consist_es.values.digests import CONTENT

MODES = ("copy", "move", "hardlink")
"""How bytes get into an archive."""
HOW = {"copy": "copied", "move": "moved", "hardlink": "linked"}
"""Mode -> the word in `CopyRecorded.how`."""
UNCHECKED = "cannot be checked: sizes and times were recorded of it, and no digest of its content"
"""Fault of a copy under fast hashing of which nobody has digested the content."""
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")


def places_of(copy: RecoveryCopy, uris: UriMap) -> list[Path]:
    """The places of a copy on this machine, best first.

    Raises:
        PathError: its mount is not there, or the URI was not written by us.
    """
    here = uris.resolve(copy.uri)
    try:
        there = uris.resolve(copy.uri, run_dir=copy.root) if copy.root else here
    except PathError:
        there = here
    return list(dict.fromkeys((here, there)))


def content_of(artifact: Artifact, place: Path, digester: Digester) -> str | None:
    """For `CopyRecorded.content`: the digest over the content at `place`, if the artifact's own is none.

    Raises:
        InputError: it cannot be read.
    """
    if artifact.hash is None or artifact.hash.startswith(CONTENT):
        return None
    return digester.digest(place, method="full", fresh=True).value


def fault(
    artifact: Artifact, place: Path, digester: Digester, *, content: str | None, fresh: bool = False
) -> str | None:
    """What is wrong with the bytes at `place`, or None if they are the artifact's."""
    try:
        found = digester.digest_as(artifact, place, fresh=fresh).value
        if found != artifact.hash:
            return f"has changed: its digest is {found[:19]}…, {str(artifact.hash)[:19]}… was recorded"
        if found.startswith(CONTENT):
            return None
        if content is None:
            return UNCHECKED
        now = digester.digest(place, method="full", fresh=fresh).value
        return None if now == content else f"has changed: its digest is {now[:19]}…, {content[:19]}… was recorded"
    except (InputError, PathError) as error:
        return f"cannot be read: {error}" if place.exists() else "is gone"


def look(
    copies: Iterable[RecoveryCopy], artifact: Artifact, uris: UriMap, digester: Digester, *, fresh: bool = False
) -> FoundCopy:
    """The first of the copies that has the artifact's bytes now. `uris`: today's roots."""
    faults: list[str] = []
    for copy in copies:
        if copy.digest != artifact.hash:
            continue
        try:
            places = places_of(copy, uris)
        except PathError as error:
            faults.append(f"its copy {copy.uri} cannot be looked for: {error}")
            continue
        for place in places:
            problem = fault(artifact, place, digester, content=copy.content, fresh=fresh)
            if problem is None:
                return FoundCopy(place, uris.uri(place), uris.root, tuple(faults))
        faults.append(f"its copy {readable(str(place))} {problem}")
    return FoundCopy(None, faults=tuple(faults))


# ---------------------------------------------------------------- places in an archive


def relative_place(artifact: Artifact) -> str:
    """The path below a recovery root: that below the run directory or mount; the file's name if it is below neither."""
    uri = artifact.container_uri
    if match := _SCHEME.match(uri):
        rel = unquote(uri[match.end() :]) if match[0] != "file://" else PurePosixPath(unquote(uri)).name
    elif uri.startswith("./"):
        rel = unquote(uri[2:])
    else:
        rel = PurePosixPath(unquote(uri)).name
    return artifact.key if rel in ("", ".") else rel


def expected_place(artifact: Artifact, root: Path) -> Path:
    """Where a copy of the artifact lies below a recovery root.

    Raises:
        PathError: the recorded URI leads out of it.
    """
    return inside(root, relative_place(artifact), artifact.container_uri)


def free_place(artifact: Artifact, root: Path, digester: Digester, content: str | None) -> tuple[Path, bool]:
    """Where to put a copy below a recovery root, and whether it is there already. `content`: see `content_of`.

    What lies there under another version's bytes is never touched: the copy gets part of its digest into its name.
    """
    wanted = expected_place(artifact, root)
    short = str(artifact.hash).partition(":")[2][:12]
    place, number = wanted, 1
    while place.exists() or place.is_symlink():
        if not place.is_symlink() and fault(artifact, place, digester, content=content) is None:
            return place, True
        more = short if number == 1 else f"{short}-{number}"
        place, number = wanted.with_name(f"{wanted.stem}.{more}{wanted.suffix}"), number + 1
    return place, False
