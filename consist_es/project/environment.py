"""The software environment of a run. Recorded for the reader, not part of the fingerprint."""

import functools
import platform
from pathlib import Path

import msgspec

from consist_es.events import EnvironmentRecorded
from consist_es.identity.git import git_state
from consist_es.identity.installed.metadata import installed_headers
from consist_es.identity.installed.packages import normalised
from consist_es.values.digests import digest_of
from consist_es.values.plain import frame


def environment(project_root: Path | None = None) -> EnvironmentRecorded:
    """Python, platform, installed packages, and the commit of the project's repository, if it has one.

    Read once per process and project: later installations and commits are not seen.
    """
    return _environment(None if project_root is None else project_root.absolute())


def with_variables(event: EnvironmentRecorded, variables: dict[str, str | None]) -> EnvironmentRecorded:
    """Add variables to the environment, in the form to be recorded."""
    content = ["consist-es environment 1 with variables", event.digest, variables]
    digest = digest_of(frame(content))
    return msgspec.structs.replace(event, digest=digest, variables=variables)


@functools.lru_cache(maxsize=8)
def _environment(project_root: Path | None) -> EnvironmentRecorded:
    packages = _packages()
    git = None if project_root is None else git_state(project_root)
    commit, dirty = (None, None) if git is None else (git.commit, git.dirty)
    python, machine = platform.python_version(), platform.platform()
    content = ["consist-es environment 1", python, machine, packages, commit, dirty]
    return EnvironmentRecorded(
        digest=digest_of(frame(content)),
        python=python,
        platform=machine,
        packages=packages,
        git_commit=commit,
        git_dirty=dirty,
    )


@functools.cache
def _packages() -> dict[str, str]:
    """Normalised name -> version; the first on the path wins, as on import."""
    found: dict[str, str] = {}
    for name, version in installed_headers():
        if name and version:  # a half removed package has neither
            found.setdefault(normalised(name), version)
    return dict(sorted(found.items()))
