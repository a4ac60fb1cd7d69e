"""Where the roots of a log lie now: a project may have been moved or copied since it was recorded."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from consist_es.artifacts.uris import UriMap, below
from consist_es.errors import PathError


def root_now(root: str, project: Path, uris: Sequence[str], scheme: str = "") -> str:
    """Where a recorded run directory, or the root of the mount `scheme`, lies now.

    It was moved along with the `project`, the folder of its log, where something of `uris` lies at the same place as
    seen from there or from a folder above it; otherwise it is where it was. A copy comes before what it was copied
    from, as for a tracker that is opened beside the copy.
    """
    others = _other_places(Path(root), project)
    stays = below(root, str(project)) is not None
    places = [root, *others] if stays else [*others, root]
    return next((place for place in places if _holds(place, uris, scheme)), root)


def _other_places(root: Path, project: Path) -> list[str]:
    """Folders that are to the project, or to one above it, what `root` may have been. The nearest come first."""
    parts = root.parts[1:]
    if not root.is_absolute() or ".." in parts:  # a root is what a log says, which may come from anybody
        return []
    tails = [Path(*parts[start:]) for start in range(len(parts) + 1)]
    found = dict.fromkeys(base / tail for base in (project, *project.parents) for tail in tails)
    return [str(place) for place in found if place != root and _is_folder(place)]


def _is_folder(place: Path) -> bool:
    try:
        return place.is_dir()
    except (OSError, ValueError):  # too long for a name, or out of reach
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
