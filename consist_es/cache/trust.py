"""Trusted writers: whose runs may answer for a step, where a project is shared with others."""

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
"""Nobody is defended against the superuser, whose files are common where steps run in containers."""


class Trust(msgspec.Struct, frozen=True):
    """Users, as ``name`` or ``name@host``, whose records count."""

    trusted: tuple[str, ...]

    @classmethod
    def of(cls, given: Iterable[str] | None) -> Trust | None:
        """None where nothing was given: then everybody is trusted.

        Raises:
            UsageTypeError: no list of names. UsageError: a name that no writer can have.
        """
        if given is None:
            return None
        trusted = names(given, "trusted_writers")
        for name in trusted:
            if not name.strip() or name != name.strip() or name.startswith("@") or name.endswith("@"):
                raise UsageError(
                    f"trusted_writers takes names of users as `consist-es log` shows them, 'anna' or 'anna@host'; "
                    f"{name!r} is none."
                )
        return cls(trusted)

    def admits(self, conn: sqlite3.Connection, writer: str) -> bool:
        """Whether what this writer recorded counts. A writer that the log says nothing of is nobody's."""
        return self._knows(origins.writer_details(conn, writer))

    def _knows(self, writer: WriterRow | None) -> bool:
        if writer is None or not writer.user:
            return False
        return writer.user in self.trusted or f"{writer.user}@{writer.host}" in self.trusted

    def stranger(self, conn: sqlite3.Connection, writers: Iterable[str]) -> str | None:
        """The first of these writers, in words, whose record does not count."""
        for writer in dict.fromkeys(writers):
            row = origins.writer_details(conn, writer)
            if not self._knows(row):
                return _in_words(row, writer)
        return None


def _in_words(row: WriterRow | None, writer: str) -> str:
    if row is None:
        return f"writer {writer}, of whom nothing is recorded"
    return f"{row.user or 'a user without a name'}@{row.host}"


def foreign_files(
    conn: sqlite3.Connection, writer: str, outputs: Mapping[str, Artifact]
) -> tuple[dict[str, str], bool]:
    """Output -> whose it is, for those that belong neither to whom the log says recorded them, nor to oneself.

    And whether that could be asked: only POSIX systems keep it, and only of users that this machine knows.
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
    """Users that own a file and those that belong to it, or a folder and anything in it."""
    owners = {member.stat().st_uid for member in (path, *bundle_members(path))}
    if path.is_dir():
        for folder, folders, files in os.walk(path):
            owners.update(Path(folder, name).lstat().st_uid for name in (*folders, *files))
    return owners


def _uid(user: str) -> int | None:
    try:
        import pwd

        return pwd.getpwnam(user).pw_uid
    except (ImportError, KeyError, ValueError):  # no POSIX system, or nobody of that name here
        return None


def _name(uid: int) -> str:
    try:
        import pwd

        return f"{pwd.getpwuid(uid).pw_name} (user {uid})"
    except (ImportError, KeyError):
        return f"user {uid}"
