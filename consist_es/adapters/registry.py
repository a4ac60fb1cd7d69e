"""Finds adapters by name: ``"folder:configs"`` instead of an object.

A package offers one with an entry point of the group ``consist_es.adapters``: a class or function that takes the text
after the colon, or nothing if there is no colon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consist_es.errors import AdapterError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "consist_es.adapters"


def _folder(*paths: str) -> Any:
    from consist_es.adapters.folder import FolderAdapter  # with a reader for each format

    return FolderAdapter(*paths)


def _activitysim(folders: str = "") -> Any:
    """``activitysim:configs_local,configs``."""
    from consist_es.adapters.activitysim import ActivitySimAdapter

    return ActivitySimAdapter([folder for folder in folders.split(",") if folder])


def _imported_when_used(module: str, name: str) -> Any:
    def made(path: str = "") -> Any:
        from importlib import import_module

        return getattr(import_module(f"consist_es.adapters.{module}"), name)(path)

    return made


BUILTIN: dict[str, Any] = {
    "folder": _folder,
    "activitysim": _activitysim,
    "beam": _imported_when_used("beam", "BeamAdapter"),
    "content": _imported_when_used("arrays", "ContentAdapter"),
    "gtfs": _imported_when_used("gtfs", "GtfsAdapter"),
    "matsim": _imported_when_used("matsim", "MatsimAdapter"),
}


def named_adapter(text: str) -> Any:
    """The adapter for a text such as ``name:path``.

    Raises:
        AdapterError: no package registers that name, several do, or the entry point cannot be imported.
    """
    name, colon, path = text.partition(":")
    factory = BUILTIN[name] if name in BUILTIN else _load(name)
    if not callable(factory):
        raise AdapterError(name, f"its entry point is {factory!r}", "It must name a class or function.")
    return factory(path) if colon else factory()


def _load(name: str) -> Any:
    from importlib.metadata import entry_points  # heavy

    registered = entry_points(group=GROUP)
    found = {point.value: point for point in registered if point.name == name}
    if not found:
        known = ", ".join(sorted({*BUILTIN, *(point.name for point in registered)}))
        problem = f"no installed package registers it under the entry point group {GROUP!r}"
        raise AdapterError(name, problem, f"Known: {known}. Write 'name:path', or pass an adapter object.")
    if len(found) > 1:
        problem = f"several packages register it: {', '.join(sorted(found))}"
        raise AdapterError(name, problem, "Uninstall all but one, or pass an adapter object.")
    return _imported(name, next(iter(found.values())))


def _imported(name: str, point: EntryPoint) -> Any:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        package = point.dist.name if point.dist is not None else point.value
        problem = f"its entry point {point.value!r} cannot be imported: {error}"
        raise AdapterError(name, problem, f"Reinstall or repair {package}.") from error
