"""Packages with other versions in an earlier run: which of them count, and which are accepted."""

from __future__ import annotations

import sqlite3
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from consist_es.artifacts.uris import unquote
from consist_es.cache.trust import Trust
from consist_es.checks import checked_text
from consist_es.errors import AcceptanceError, ConsistWarning
from consist_es.events import Draft, FingerprintInfo, ObservedRead, PackagesAccepted, PackagesRevoked
from consist_es.identity.installed.package_options import PackageOptions
from consist_es.identity.installed.packages import NOT_INSTALLED, PYTHON, refresh, version_of
from consist_es.identity.installed.started import package_now
from consist_es.project.project import Project
from consist_es.projections import cache_index, origins, run_table
from consist_es.projections.cache_index import PackageAcceptance
from consist_es.projections.run_rows import RunRow

_UNKNOWN = "a version that is not recorded"
_RECENT = 1000
"""Number of runs to search for the last one with other packages."""


class Changes(NamedTuple):
    """Packages with other versions in an earlier run, as text: ``pandas 2.2.1 -> 2.2.2``."""

    counted: list[str]
    """These prevent a hit."""
    noted: list[str]
    """These are only reported."""
    accepted: list[str]
    """These are accepted; with the reason."""


def changes_since(
    conn: sqlite3.Connection, info: FingerprintInfo, source: RunRow | None, options: PackageOptions, trust: Trust | None
) -> Changes:
    """Compare a step's packages with those of an earlier run of the same work."""
    found = Changes([], [], [])
    recorded = {} if source is None or source.fingerprint_info is None else source.fingerprint_info.packages
    before = _recorded_versions(conn, source)
    for name in sorted({*info.packages, *recorded} - {*options.ignore}):
        now, then = info.packages.get(name) or version_of(name), before(name)
        if now == then or (then is None and not options.counts(name)):
            continue
        said = f"{name} {then or _UNKNOWN} -> {now}"
        path = None if then is None else accepted_path(conn, name, then, now, trust)
        if path is not None:
            found.accepted.append(f"packages accepted: {said}: {'; '.join(item.reason for item in path)}")
        else:
            (found.counted if options.counts(name) else found.noted).append(said)
    return found


def add_started(
    found: Changes,
    conn: sqlite3.Connection,
    reads: Iterable[ObservedRead],
    now: Callable[[ObservedRead], str | None],
    options: PackageOptions,
    trust: Trust | None,
) -> None:
    """Add the packages of programs that an earlier run started: these always count. `now` gives a program's present
    package."""
    for read in (read for read in reads if read.kind == "program" and read.digest is not None):
        name, then = _split(read.digest)
        present = now(read)
        if present == read.digest or name in options.ignore:
            continue
        other, version = (name, NOT_INSTALLED) if present is None else _split(present)
        said = f"{name} {then} -> {version if other == name else present}"
        path = accepted_path(conn, name, then, version, trust) if other == name else None
        if path is not None:
            line = f"packages accepted: {said}: {'; '.join(item.reason for item in path)}"
            found.accepted.extend([line] if line not in found.accepted else [])
        elif (line := f"{said}, which the step starts") not in found.counted:
            found.counted.append(line)


def _split(package: str | None) -> tuple[str, str]:
    name, _, version = (package or "").partition(" ")
    return name, version


def accepted_path(
    conn: sqlite3.Connection, name: str, before: str, after: str, trust: Trust | None = None
) -> list[PackageAcceptance] | None:
    """The accepted changes that lead from one version of a package to another, or None.

    With `trust`, only changes accepted by trusted writers count.
    """
    steps = [item for item in cache_index.package_acceptances(conn) if item.name == name]
    steps = [item for item in steps if trust is None or trust.admits(conn, item.writer)]
    seen, waiting = {before}, deque[tuple[str, list[PackageAcceptance]]]([(before, [])])
    while waiting:
        version, path = waiting.popleft()
        if version == after:
            return path
        for item in steps:
            if item.before == version and item.after not in seen:
                seen.add(item.after)
                waiting.append((item.after, [*path, item]))
    return None


def _recorded_versions(conn: sqlite3.Connection, run: RunRow | None) -> Callable[[str], str | None]:
    """Name of a package -> its version in a run, None if not recorded.

    A package that the run did not import is looked up in its recorded environment.
    """
    info = None if run is None else run.fingerprint_info
    seen: Mapping[str, str] = {} if info is None else info.packages
    digest = None if run is None else run.environment
    environment: list[Mapping[str, str] | None] = []

    def version(name: str) -> str | None:
        if name in seen:
            return seen[name]
        if not environment:
            row = None if digest is None else origins.environment(conn, digest)
            python = {} if row is None else {PYTHON: ".".join(row.python.split(".")[:2])}
            environment.append(None if row is None else {**row.packages, **python})
        found = environment[0]
        return None if found is None else found.get(name, NOT_INSTALLED)

    return version


# ---------------------------------------------------------------- accepting


def in_words(event: PackagesAccepted) -> list[str]:
    """The accepted changes, one entry each."""
    return [f"{name} {then} -> {event.after.get(name, _UNKNOWN)}" for name, then in event.before.items()]


def accept_packages(project: Project, reason: str, *, ignored: Iterable[str] = ()) -> PackagesAccepted:
    """Record that results may be reused with the packages installed here.

    The changes are those from the last completed run with other versions of packages that runs import, to the ones
    installed here.

    Raises:
        AcceptanceError: there is no such run, or no reason is given; nothing is recorded.
    """
    text = (checked_text("reason", reason) or "").strip()
    if not text:
        raise AcceptanceError("packages", "no reason is given", "Say why the results stay equal.")
    refresh()
    conn = project.connection()
    found = run_table.find(conn, status="completed", limit=_RECENT)
    runs = [run for run in found if run.fingerprint_info is not None and run.cache != "hit"]
    used = {name for run in runs if run.fingerprint_info for name in run.fingerprint_info.packages} - {*ignored}
    now = {name: version_of(name) for name in sorted(used)}
    places = (Path.cwd(), project.folder.parent)
    for run in runs:
        before = _recorded_versions(conn, run)
        then = {name: version for name in now if (version := before(name)) not in (None, now[name])}
        seen = run.fingerprint_info.packages if run.fingerprint_info else {}
        programs = _started_versions(cache_index.reads_of(conn, run.key), places, ignored)
        if then.keys() & seen.keys() or programs:
            after = {name: now[name] for name in then} | {name: pair[1] for name, pair in programs.items()}
            then |= {name: pair[0] for name, pair in programs.items()}
            event = PackagesAccepted(before=then, after=after, reason=text, user=project.storage.user())
            project.record([Draft(event)], commit=True)
            return event
    raise AcceptanceError(
        "packages",
        f"none of the last {len(runs)} runs that completed saw other versions than are installed here",
        "Call it from the environment that the model runs in.",
    )


def _started_versions(
    reads: Iterable[ObservedRead], places: Iterable[Path], ignored: Iterable[str]
) -> dict[str, tuple[str, str]]:
    """Packages of started programs -> version then and now, if these differ. A program in the project's folder is
    looked for below each of `places`; if not found, the package installed here counts."""
    found = {}
    for read in (read for read in reads if read.kind == "program" and read.digest is not None):
        name, then = _split(read.digest)
        told = [_somewhere(word, places) if "/" in word else word for word in read.arguments]
        name_now, now = _split(package_now(_somewhere(read.name, places), told))
        now = now if name_now == name else version_of(name)
        if now != then and name not in ignored:
            found[name] = then, now
    return found


def _somewhere(name: str, places: Iterable[Path]) -> str:
    if "/" not in name or name.startswith("/"):
        return name
    here = (str(place / unquote(name)) for place in places if (place / unquote(name)).exists())
    return next(here, name)


def revoke_packages(project: Project, reason: str | None = None) -> PackagesRevoked:
    """Revoke every accepted package change.

    Raises:
        AcceptanceError: none is accepted.
    """
    if not cache_index.package_acceptances(project.connection()):
        raise AcceptanceError("packages", "nothing is accepted for them", "There is nothing to take back.")
    event = PackagesRevoked(reason=checked_text("reason", reason), user=project.storage.user())
    project.record([Draft(event)], commit=True)
    return event


def warn_missing(options: PackageOptions) -> None:
    """Warn of model packages that are not installed: they count as such."""
    refresh()
    if missing := [name for name in options.model if version_of(name) == NOT_INSTALLED]:
        warnings.warn(
            f"model_packages names {', '.join(missing)}, which is not installed here; steps count it as "
            f"{NOT_INSTALLED!r}. Check the spelling, or install it before the model runs.",
            ConsistWarning,
            stacklevel=3,
        )
