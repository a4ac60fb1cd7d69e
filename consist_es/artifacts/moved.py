"""Finds a log's roots after the project was moved or copied."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from consist_es.artifacts.uris import UriMap, below
from consist_es.errors import PathError


def root_now(root: str, project: Path, uris: Sequence[str], scheme: str = "") -> str:
    """The present place of a recorded run directory, or of the root of the mount `scheme`.

    Tries the same relative place beside the `project` (the folder of its log) and its parents; takes the first that
    holds one of `uris`, else the recorded path. A copy comes before its original, as for a tracker opened beside the
    copy.
    """
    others = _other_places(Path(root), project)
    stays = below(root, str(project)) is not None
    places = [root, *others] if stays else [*others, root]
    return next((place for place in places if _holds(place, uris, scheme)), root)


def _other_places(root: Path, project: Path) -> list[str]:
    """Candidate folders: every tail of `root` below the project and its parents, nearest first."""
    parts = root.parts[1:]
    if not root.is_absolute() or ".." in parts:  # the log may hold any path
        return []
    tails = [Path(*parts[start:]) for start in range(len(parts) + 1)]
    found = dict.fromkeys(base / tail for base in (project, *project.parents) for tail in tails)
    return [str(place) for place in found if place != root and _is_folder(place)]


def _is_folder(place: Path) -> bool:
    try:
        return place.is_dir()
    except (OSError, ValueError):  # name too long, or out of reach
        return False


def _holds(place: str, uris: Sequence[str], scheme: str) -> bool:
    here = UriMap(run_dir=place, mounts={scheme: place} if scheme else {})
    return any(os.path.lexists(path) for path in _resolved(here, uris))


def _resolved(here: UriMap, uris: Sequence[str]) -> Iterator[Path]:
    for uri in uris:
        try:
            yield here.resolve(uri)
        except PathError:
            continue
