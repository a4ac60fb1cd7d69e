"""Asks the `git` program for a folder's commit and uncommitted changes."""

import os
from pathlib import Path

import msgspec
from blake3 import blake3

from consist_es.values.digests import written

_TIMEOUT = 60
# A repository's own settings may name programs to run; none of those is needed to read it.
_SAFE = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
# Set if a git hook runs us; they would point at the hook's repository.
_MISLEADING = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY"}
_DIFF = ["diff", "HEAD", "--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=diff"]


class GitState(msgspec.Struct, frozen=True):
    """A commit, and a digest of the changes since."""

    commit: str
    dirty: str | None
    """Digest over the change to tracked files and the content of untracked, not ignored ``*.py``; None without any."""


def git_state(folder: Path) -> GitState | None:
    """State of the repository around `folder`; None without git, repository or commit."""
    if not _has_repository(folder):
        return None
    found = _git(folder, "rev-parse", "--show-toplevel", "--verify", "HEAD")
    if found is None:
        return None
    top, _, commit = found.rstrip(b"\n").rpartition(b"\n")
    root = Path(os.fsdecode(top))
    diff = _git(root, *_DIFF)
    untracked = _git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", "*.py")
    if diff is None or untracked is None:
        return None
    return GitState(commit.decode(), _dirty(root, diff, sorted(filter(None, untracked.split(b"\0")))))


def _has_repository(folder: Path) -> bool:
    """True if git may find a repository; starting it to hear that there is none takes milliseconds."""
    try:
        real = folder.resolve()
    except (OSError, RuntimeError):  # git is the one to say
        return True
    return any(os.path.lexists(above / ".git") for above in (real, *real.parents))


def _dirty(root: Path, diff: bytes, untracked: list[bytes]) -> str | None:
    if not diff and not untracked:
        return None
    hasher = blake3(b"%d:" % len(diff) + diff)
    for name in untracked:
        content = _read(root / os.fsdecode(name))
        hasher.update(b"%d:%s%d:%s" % (len(name), name, len(content), content))
    return written(hasher)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # a dangling link or a file just removed: its name still counts


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Output of a git command; None if it cannot run or fails."""
    import subprocess  # heavy, and there may be no repository

    clean = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    try:
        done = subprocess.run(  # noqa: S603
            [*_SAFE, *arguments], cwd=folder, env=clean, capture_output=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
