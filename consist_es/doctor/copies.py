"""Checks of recovery copies: gone, changed, or out of reach."""

import sqlite3
from collections.abc import Iterator

from consist_es.artifacts import recovery
from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import Digester
from consist_es.artifacts.digest_cache import DigestCache
from consist_es.artifacts.elsewhere import RecoveryCopy
from consist_es.doctor.finding import NOTE, OK, WARNING, Finding, listed
from consist_es.doctor.outputs import Roots
from consist_es.errors import PathError
from consist_es.projections import copies, lineage, run_table
from consist_es.runs.artifacts import artifact_of_row
from consist_es.text import readable

_AGAIN = "It is never used as it is. Archive the output again if its own file is still right."


def check_copies(conn: sqlite3.Connection, cache: DigestCache, roots: Roots, *, deep: bool) -> Iterator[Finding]:
    """Recovery copies that do not have the bytes that they are for; nothing if there are no copies."""
    if next(copies.every(conn), None) is None:
        return
    digester = Digester("full", None if deep else cache)
    found = (finding for copy in copies.every(conn) if (finding := _of_copy(conn, copy, roots, digester)) is not None)
    yield from listed(found, Finding(OK, "copies", "every recovery copy is in its place and unchanged"))


def _of_copy(conn: sqlite3.Connection, copy: RecoveryCopy, roots: Roots, digester: Digester) -> Finding | None:
    row = lineage.artifact(conn, copy.artifact)
    if row is None:
        return None
    uris = roots.of(copy.root)
    artifact: Artifact = artifact_of_row(row, uris, run_id=None)
    run = "" if copy.run is None else f" of run {run_table.id_of(conn, copy.run)}"
    what = f"the copy of {row.key}{run}"
    try:
        places = recovery.places_of(copy, uris)
    except PathError as error:
        return Finding(NOTE, "copies", f"{what} cannot be looked for: {error}", copy.uri)
    faults = [recovery.fault(artifact, place, digester, content=copy.content) for place in places]
    if None in faults:
        return None
    if copy.how == "claimed" and not places[0].exists():
        return Finding(NOTE, "copies", f"{what} is not where it is to be looked for", readable(str(places[0])))
    return Finding(WARNING, "copies", f"{what} {faults[0]}", readable(str(places[0])), _AGAIN)
