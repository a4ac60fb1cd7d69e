"""Checks of runs' files on disk: missing or changed outputs, and folders that no run knows."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from consist_es.artifacts import recovery
from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import Digester
from consist_es.artifacts.digest import stat_matches
from consist_es.artifacts.digest_cache import DigestCache
from consist_es.artifacts.moved import root_now
from consist_es.artifacts.uris import UriMap, unquote
from consist_es.doctor.finding import NOTE, OK, WARNING, Finding, listed
from consist_es.errors import InputError, PathError
from consist_es.projections import copies, keeping, run_table
from consist_es.projections.artifact_rows import ArtifactRow, artifact_row
from consist_es.runs.artifacts import artifact_of_row
from consist_es.text import counted, readable
from consist_es.views.file import query

_MADE = """
SELECT a.rowid, a.*, r.id, r.key IN (
    SELECT run_key FROM cache_index c WHERE c.fingerprint = r.fingerprint ORDER BY c.seq DESC LIMIT 1)
FROM artifacts a CROSS JOIN runs r ON r.key = a.producer_key
WHERE r.status = 'completed' AND a.digest IS NOT NULL AND a.kind IN ('file', 'folder') AND a.rowid > ?
ORDER BY a.rowid LIMIT 1000
"""
_WRITTEN_AGAIN = """
SELECT r.id FROM artifacts a LEFT JOIN runs r ON r.key = a.producer_key
WHERE a.uri = ? AND a.root = ? AND a.created_seq > ? AND a.digest = ? ORDER BY a.created_seq DESC LIMIT 1
"""
_MADE_BELOW = """
SELECT uri FROM artifacts WHERE uri GLOB ? AND (root = ? OR ?) AND producer_key IS NOT NULL AND digest IS NOT NULL
ORDER BY rowid DESC LIMIT 1000
"""
_MOUNTS = "SELECT mounts FROM runs WHERE kind = 'scenario' AND mounts <> '{}' ORDER BY started_seq DESC LIMIT 1"
_RUN_DIRS = "SELECT DISTINCT run_dir FROM runs WHERE run_dir <> ''"
_OTHER_NAMES = "SELECT DISTINCT artifact_dir FROM runs WHERE artifact_dir <> '' AND artifact_dir NOT LIKE '%/' || key"
_ABANDONED = ".abandoned"
_REMAKE = "Run the step again, or restore the file. A step that asks for it will compute it again."


class Made(msgspec.Struct, frozen=True):
    """An output, the readable id of its run, and whether that run is the next hit."""

    artifact: ArtifactRow
    run: str
    answers: bool


class Roots:
    """Present folders of recorded run directories and mounts, as a tracker beside the log would resolve them."""

    def __init__(self, conn: sqlite3.Connection, project: Path) -> None:
        self._conn, self._project = conn, project
        self._maps: dict[str, UriMap] = {}
        found = query(conn, _MOUNTS)
        mounts = msgspec.json.decode(found[0][0], type=dict[str, str]) if found else {}
        self._mounts = {
            scheme: root_now(root, project, self._made(f"{scheme}://*", None), scheme)
            for scheme, root in mounts.items()
        }

    def of(self, root: str) -> UriMap:
        """The URI map for this recorded run directory."""
        if root not in self._maps:
            place = root_now(unquote(root), self._project, self._made("./*", root)) if root else os.curdir
            self._maps[root] = UriMap(run_dir=place, mounts=self._mounts)
        return self._maps[root]

    def _made(self, pattern: str, root: str | None) -> list[str]:
        return [uri for (uri,) in query(self._conn, _MADE_BELOW, (pattern, root, root is None))]


def check_outputs(conn: sqlite3.Connection, cache: DigestCache, roots: Roots, *, deep: bool) -> Iterator[Finding]:
    """Missing or changed outputs of completed runs. Reads only files with another size or time than recorded; with
    `deep`, all."""
    digester = Digester("full", None if deep else cache)
    evicted = _Evicted(conn)
    found = (
        finding
        for made in _outputs(conn)
        if (finding := _of_output(conn, made, roots, digester, deep=deep, evicted=evicted))
    )
    for finding in listed(found, Finding(OK, "outputs", "every output is in its place and unchanged")):
        if finding.level != OK or not evicted.count:
            yield finding
    yield from evicted.findings()


class _Evicted:
    """Counts outputs that are not there because they were evicted: nothing is wrong with that."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn, self.count, self._bytes = conn, 0, 0

    def has(self, artifact_id: str) -> bool:
        """True if an artifact was evicted, and not put back since."""
        found = keeping.evicted(self._conn, [artifact_id]).get(artifact_id)
        if found is None:
            return False
        self.count, self._bytes = self.count + 1, self._bytes + found.size
        return True

    def findings(self) -> Iterator[Finding]:
        """One note on all of them."""
        if self.count:
            said = f"evicted to make room: {counted(self.count, 'output')}, {self._bytes:,} bytes"
            todo = "A step that asks for one makes it again. `consist-es show` says how each was made."
            yield Finding(NOTE, "outputs", said, "", todo)


def _outputs(conn: sqlite3.Connection) -> Iterator[Made]:
    """All outputs in log order, in batches."""
    last = 0
    while rows := query(conn, _MADE, (last,)):
        for _, *values, run, answers in rows:
            yield Made(artifact_row(values), run, bool(answers))
        last = rows[-1][0]


def _of_output(
    conn: sqlite3.Connection, made: Made, roots: Roots, digester: Digester, *, deep: bool, evicted: "_Evicted"
) -> Finding | None:
    row = made.artifact
    try:
        artifact = artifact_of_row(row, roots.of(row.root), run_id=made.run)
        path = artifact.path
    except PathError as error:
        return Finding(NOTE, "outputs", f"{row.key} of run {made.run} cannot be looked for: {error}", row.uri)
    found = _digest(path, row, artifact, digester, deep=deep)
    if found == row.digest:
        return None
    what = "is gone" if found is None else "has changed"
    where = readable(str(path))
    copy = recovery.look(
        copies.with_bytes_of(conn, row.artifact_id, row.digest), artifact, roots.of(row.root), digester
    )
    if copy.path is not None:
        said = f"{row.key} of run {made.run} {what}, and a copy has its bytes: {readable(str(copy.path))}"
        return Finding(NOTE, "outputs", said, where)
    if found is None and evicted.has(row.artifact_id):
        return None
    if made.answers:
        return Finding(WARNING, "outputs", f"{row.key} of run {made.run} {what}", where, _REMAKE)
    again = query(conn, _WRITTEN_AGAIN, (row.uri, row.root, row.created_seq, found))
    if again:
        said = f"{row.key} of run {made.run} was written again by run {again[0][0]}"
        return Finding(NOTE, "outputs", said, where)
    said = f"{row.key} of run {made.run} {what}; no later hit needs it: a newer run answers, or none may"
    return Finding(NOTE, "outputs", said, where)


def _digest(path: Path, row: ArtifactRow, artifact: Artifact, digester: Digester, *, deep: bool) -> str | None:
    """The present digest; None if it is gone or cannot be read."""
    if not path.exists():
        return None
    plain = row.kind == "file" and row.size is not None and row.mtime_ns is not None
    if row.digest_method == "given" or (not deep and plain and stat_matches(path, row.size or 0, row.mtime_ns or 0)):
        return row.digest
    try:
        return digester.digest_as(artifact, path).value
    except InputError:
        return None


# ---------------------------------------------------------------- folders


def check_orphans(conn: sqlite3.Connection, roots: Roots) -> Iterator[Finding]:
    """Folders below ``outputs`` of the run directories that belong to no run of this log."""
    found = (
        Finding(
            NOTE,
            "orphans",
            "no run of this log has this output folder",
            readable(str(folder)),
            "Another project may share the run directory. Remove it if nobody needs it; doctor never does.",
        )
        for (run_dir,) in query(conn, _RUN_DIRS)
        for folder in _strangers(conn, Path(roots.of(run_dir).run_dir) / "outputs")
    )
    yield from listed(found, Finding(OK, "orphans", "every output folder belongs to a run"))


def _strangers(conn: sqlite3.Connection, outputs: Path) -> Iterator[Path]:
    """Folders without a run. Run folders are ``outputs/<model>/<key>``, or given by the user's own function."""
    named = {tuple(Path(unquote(uri)).parts) for (uri,) in query(conn, _OTHER_NAMES)}
    above = {parts[:size] for parts in named for size in range(1, len(parts))}
    for model in _folders(outputs):
        place = (outputs.name, model.name)
        if place in named:
            continue
        for folder in _folders(model):
            if not _is_known(conn, folder, (*place, folder.name), named, above):
                yield folder


def _is_known(
    conn: sqlite3.Connection,
    folder: Path,
    place: tuple[str, ...],
    named: set[tuple[str, ...]],
    above: set[tuple[str, ...]],
) -> bool:
    key = folder.name.removesuffix(_ABANDONED)
    return place in named or place in above or run_table.by_key(conn, key) is not None


def _folders(place: Path) -> list[Path]:
    """Folders directly in it, without links; empty if it cannot be read."""
    try:
        with os.scandir(place) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []
