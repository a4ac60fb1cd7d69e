"""Trusted writers: users with runs that can be hits, if a project is shared with others."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.formats import bundle_members
from consist_es.checks import names
from consist_es.errors import UsageError
from consist_es.projections import origins
from consist_es.projections.run_rows import WriterRow

SUPERUSER = 0
"""The superuser is always accepted: its files are common if steps run in containers."""


class Trust(msgspec.Struct, frozen=True):
    """Trusted users, as ``name`` or ``name@host``."""

    trusted: tuple[str, ...]

    @classmethod
    def of(cls, given: Iterable[str] | None) -> Trust | None:
        """None if nothing was given: then everybody is trusted.

        Raises:
            UsageTypeError: not a list of names. UsageError: a name that no writer can have.
        """
        if given is None:
            return None
        trusted = names(given, "trusted_writers")
        for name in trusted:
            if not name.strip() or name != name.strip() or name.startswith("@") or name.endswith("@"):
                raise UsageError(
                    f"trusted_writers takes names of users as `consist-es log` shows them, 'anna' or 'anna@host'; "
                    f"{name!r} is not one."
                )
        return cls(trusted)

    def admits(self, conn: sqlite3.Connection, writer: str) -> bool:
        """True if this writer is trusted. A writer unknown to the log is not."""
        return self._knows(origins.writer_details(conn, writer))

    def _knows(self, writer: WriterRow | None) -> bool:
        if writer is None or not writer.user:
            return False
        return writer.user in self.trusted or f"{writer.user}@{writer.host}" in self.trusted

    def stranger(self, conn: sqlite3.Connection, writers: Iterable[str]) -> str | None:
        """Description of the first untrusted writer, or None."""
        for writer in dict.fromkeys(writers):
            row = origins.writer_details(conn, writer)
            if not self._knows(row):
                return _in_words(row, writer)
        return None


def _in_words(row: WriterRow | None, writer: str) -> str:
    if row is None:
        return f"writer {writer}, of which nothing is recorded"
    return f"{row.user or 'a user without a name'}@{row.host}"


def foreign_files(
    conn: sqlite3.Connection, writer: str, outputs: Mapping[str, Artifact]
) -> tuple[dict[str, str], bool]:
    """Output -> owner, for outputs that belong neither to the recording user nor to you.

    The second value is False if owners cannot be determined (non-POSIX system, unknown user).
    """
    row = origins.writer_details(conn, writer)
    uid = None if row is None else _uid(row.user)
    if uid is None:
        return {}, False
    allowed = {uid, os.geteuid(), SUPERUSER}
    found = {}
    for key, artifact in outputs.items():
        try:
            others = _owners(artifact.path) - allowed
        except OSError as error:
            found[key] = f"cannot be read: {error}"
            continue
        if others:
            found[key] = f"belongs to {_name(min(others))}, not to {row.user if row else ''}, who recorded it"
    return found, True


def _owners(path: Path) -> set[int]:
    """Owners of a file and its companions, or of a folder and everything in it."""
    owners = {member.stat().st_uid for member in (path, *bundle_members(path))}
    if path.is_dir():
        for folder, folders, files in os.walk(path):
            owners.update(Path(folder, name).lstat().st_uid for name in (*folders, *files))
    return owners


def _uid(user: str) -> int | None:
    try:
        import pwd

        return pwd.getpwnam(user).pw_uid
    except (ImportError, KeyError, ValueError):  # not POSIX, or no such user here
        return None


def _name(uid: int) -> str:
    try:
        import pwd

        return f"{pwd.getpwuid(uid).pw_name} (user {uid})"
    except (ImportError, KeyError):
        return f"user {uid}"
