"""Goes through scenarios, runs and files one at a time, for exports: nothing is held that grows with the project."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from consist_es.projections import run_table
from consist_es.projections.artifact_rows import ArtifactRow, artifact_row
from consist_es.projections.plumbing import to_text
from consist_es.projections.run_rows import RunRow, WriterRow, run_row
from consist_es.views.file import query, snapshot, streamed

_PROJECT = "SELECT value FROM meta WHERE key = 'project'"
_HEADERS = "SELECT * FROM runs WHERE kind = 'scenario' ORDER BY started_seq"
_STEPS = "SELECT * FROM runs WHERE scenario_key IS ? AND kind <> 'scenario' ORDER BY started_seq"
_RUN = "SELECT * FROM runs WHERE key = ?"
_COUNT = {
    True: "SELECT count(*) FROM runs",
    False: "SELECT count(*) FROM runs WHERE scenario_key IN (SELECT value FROM json_each(?))",
}
_MOMENTS = {
    True: """
    SELECT started_seq AS seq, 0 AS ended, key FROM runs
    UNION ALL SELECT ended_seq, 1, key FROM runs WHERE ended_seq IS NOT NULL ORDER BY seq
    """,
    False: """
    SELECT started_seq AS seq, 0 AS ended, key FROM runs WHERE scenario_key IN (SELECT value FROM json_each(?1))
    UNION ALL SELECT ended_seq, 1, key FROM runs
    WHERE ended_seq IS NOT NULL AND scenario_key IN (SELECT value FROM json_each(?1)) ORDER BY seq
    """,
}
_FILES = {
    True: "SELECT * FROM artifacts ORDER BY rowid",
    False: """
    SELECT * FROM artifacts WHERE artifact_id IN (
        SELECT l.artifact_id FROM runs r JOIN links l ON l.run_key = r.key
        WHERE r.scenario_key IN (SELECT value FROM json_each(?))) ORDER BY rowid
    """,
}
_LINKS = {
    True: """
    SELECT r.key, l.name, l.artifact_id, a.producer_key, l.via FROM runs r JOIN links l ON l.run_key = r.key
        LEFT JOIN artifacts a ON a.artifact_id = l.artifact_id
    WHERE l.direction = ? AND r.kind <> 'scenario' ORDER BY r.started_seq, l.seq, l.position, l.name
    """,
    False: """
    SELECT r.key, l.name, l.artifact_id, a.producer_key, l.via FROM runs r JOIN links l ON l.run_key = r.key
        LEFT JOIN artifacts a ON a.artifact_id = l.artifact_id
    WHERE l.direction = ? AND r.kind <> 'scenario' AND r.scenario_key IN (SELECT value FROM json_each(?))
    ORDER BY r.started_seq, l.seq, l.position, l.name
    """,
}
_WRITERS = {
    True: "SELECT * FROM writers WHERE writer IN (SELECT writer FROM runs) ORDER BY seq",
    False: """
    SELECT * FROM writers WHERE writer IN (
        SELECT writer FROM runs WHERE scenario_key IN (SELECT value FROM json_each(?))) ORDER BY seq
    """,
}
_FUNCTIONS = {
    True: "SELECT DISTINCT function, code_digest FROM runs WHERE function IS NOT NULL ORDER BY 1, 2",
    False: """
    SELECT DISTINCT function, code_digest FROM runs
    WHERE function IS NOT NULL AND scenario_key IN (SELECT value FROM json_each(?)) ORDER BY 1, 2
    """,
}
"""Queries: True, of the whole project; False, of some scenarios."""
_OF_RUN = """
SELECT l.name, a.* FROM links l JOIN artifacts a ON a.artifact_id = l.artifact_id
WHERE l.run_key = ? AND l.direction = ? ORDER BY l.seq, l.position, l.name
"""
_WITHIN = """
SELECT DISTINCT l.artifact_id, r.key, r.started_seq FROM runs r JOIN links l ON l.run_key = r.key
WHERE r.scenario_key IS ? AND r.kind <> 'scenario' AND l.direction = 'output' ORDER BY r.started_seq, 1
"""
_OUTSIDE = """
SELECT * FROM artifacts WHERE artifact_id IN (
    SELECT l.artifact_id FROM runs r JOIN links l ON l.run_key = r.key
    WHERE r.scenario_key IS ?1 AND r.kind <> 'scenario' AND l.direction = 'input'
    EXCEPT SELECT l.artifact_id FROM runs r JOIN links l ON l.run_key = r.key
    WHERE r.scenario_key IS ?1 AND r.kind <> 'scenario' AND l.direction = 'output') ORDER BY rowid
"""
_STEPS_FILES = """
SELECT * FROM artifacts WHERE artifact_id IN (
    SELECT l.artifact_id FROM runs r JOIN links l ON l.run_key = r.key
    WHERE r.scenario_key = ? AND r.kind <> 'scenario') ORDER BY rowid
"""
_STEPS_MADE = """
SELECT * FROM artifacts WHERE artifact_id IN (
    SELECT l.artifact_id FROM runs r JOIN links l ON l.run_key = r.key
    WHERE r.scenario_key = ? AND r.kind <> 'scenario' AND l.direction = 'output') ORDER BY rowid
"""
_HANDED_ON = """
SELECT DISTINCT m.name, o.name, r.name, i.name
FROM runs r JOIN links i ON i.run_key = r.key JOIN links o ON o.artifact_id = i.artifact_id
    JOIN runs m ON m.key = o.run_key
WHERE r.scenario_key = ?1 AND m.scenario_key = ?1 AND r.kind <> 'scenario' AND m.kind <> 'scenario'
    AND i.direction = 'input' AND o.direction = 'output' AND m.key <> r.key ORDER BY 1, 2, 3, 4
"""
_LINKED_AS = """
SELECT DISTINCT r.name, l.direction, l.name FROM links l JOIN runs r ON r.key = l.run_key
WHERE l.artifact_id = ? AND r.scenario_key = ? AND r.kind <> 'scenario' ORDER BY 1, 2, 3
"""
_KINDS = """
SELECT DISTINCT r.name, l.direction, l.name FROM runs r JOIN links l ON l.run_key = r.key
WHERE r.scenario_key = ? AND r.kind <> 'scenario' ORDER BY 1, 2, 3
"""
_COMMIT = "SELECT git_commit FROM environments WHERE digest = ?"
_AT = "SELECT at FROM audit_index WHERE seq = ?"
_WRITER = "SELECT * FROM writers WHERE writer = ?"


class Link(NamedTuple):
    """A file that a run used or made."""

    run: str
    name: str
    """Its role for the run, or its key."""
    artifact: str
    maker: str | None
    """The run that made it, which for an output of a hit is an earlier one."""
    via: str


class Use(NamedTuple):
    """How steps of one name use or make a file."""

    step: str
    direction: str
    name: str


class Walk:
    """Some scenarios, or the whole project with the steps outside scenarios, as of one moment."""

    def __init__(self, conn: sqlite3.Connection, headers: Sequence[RunRow] | None) -> None:
        """`headers` None: the whole project."""
        self.conn = conn
        self._headers = None if headers is None else sorted(headers, key=lambda row: row.started_seq)
        self.whole = headers is None
        self.keys: tuple[str, ...] = () if headers is None else (to_text([row.key for row in headers]) or "",)
        """The parameter of queries that `whole` is False for."""
        self._writers: dict[str, WriterRow | None] = {}

    @property
    def project(self) -> str:
        """The id of the project."""
        return str(query(self.conn, _PROJECT)[0][0])

    def __len__(self) -> int:
        """The number of runs."""
        return int(query(self.conn, _COUNT[self.whole], self.keys)[0][0])

    # ------------------------------------------------------------ runs

    def scenarios(self) -> Iterator[RunRow]:
        """Headers of scenarios in the order of their starts."""
        yield from map(run_row, streamed(self.conn, _HEADERS)) if self._headers is None else self._headers

    def places(self) -> Iterator[RunRow | None]:
        """As `scenarios`; then None for the steps outside scenarios, if the whole project is asked for."""
        yield from self.scenarios()
        if self.whole:
            yield None

    def steps(self, header: RunRow | None) -> Iterator[RunRow]:
        """Steps of a scenario, or those outside scenarios, in the order of their starts."""
        yield from map(run_row, streamed(self.conn, _STEPS, (None if header is None else header.key,)))

    def runs(self) -> Iterator[RunRow]:
        """Each header, followed by its steps."""
        for header in self.places():
            if header is not None:
                yield header
            yield from self.steps(header)

    def moments(self) -> Iterator[tuple[RunRow, bool]]:
        """Starts (False) and ends (True) of runs, in the order of the log."""
        for _, ended, key in streamed(self.conn, _MOMENTS[self.whole], self.keys):
            yield run_row(query(self.conn, _RUN, (key,))[0]), bool(ended)

    def id_of(self, key: str) -> str:
        """The readable id of a run."""
        return run_table.id_of(self.conn, key)

    def name_of(self, key: str) -> str:
        """The name of a run."""
        found = run_table.by_key(self.conn, key)
        return key if found is None else found.name

    def commit(self, environment: str) -> str | None:
        """The commit of the code in a software environment."""
        found = query(self.conn, _COMMIT, (environment,))
        return None if not found else found[0][0]

    def at(self, position: int) -> str | None:
        """The time of an event."""
        found = query(self.conn, _AT, (position,))
        return None if not found else found[0][0]

    def functions(self) -> Iterator[tuple[str, str | None]]:
        """Each function with each digest of its code."""
        yield from streamed(self.conn, _FUNCTIONS[self.whole], self.keys)

    # ------------------------------------------------------------ processes

    def writers(self) -> Iterator[WriterRow]:
        """The processes that recorded the runs."""
        for values in streamed(self.conn, _WRITERS[self.whole], self.keys):
            yield _writer(values)

    def writer(self, name: str) -> WriterRow | None:
        """The process of that id."""
        if name not in self._writers:
            found = query(self.conn, _WRITER, (name,))
            self._writers = {name: _writer(found[0]) if found else None}  # runs of a process follow one another
        return self._writers[name]

    # ------------------------------------------------------------ files

    def artifacts(self) -> Iterator[ArtifactRow]:
        """Every file that a run used or made, once."""
        yield from map(artifact_row, streamed(self.conn, _FILES[self.whole], self.keys))

    def links(self, direction: str) -> Iterator[Link]:
        """Files that steps used (``input``) or made (``output``)."""
        yield from map(Link._make, streamed(self.conn, _LINKS[self.whole], (direction, *self.keys)))

    def inputs(self, run: str) -> Iterator[tuple[str, ArtifactRow]]:
        """Role and file of each input of a run."""
        yield from self._of(run, "input")

    def outputs(self, run: str) -> Iterator[tuple[str, ArtifactRow]]:
        """Key and file of each output of a run; of a hit, those of the run that answered."""
        yield from self._of(run, "output")

    def _of(self, run: str, direction: str) -> Iterator[tuple[str, ArtifactRow]]:
        for name, *values in streamed(self.conn, _OF_RUN, (run, direction)):
            yield name, artifact_row(values)

    def outside(self, header: RunRow | None) -> Iterator[ArtifactRow]:
        """Files that steps of a scenario used, and none of them made."""
        yield from map(artifact_row, streamed(self.conn, _OUTSIDE, (None if header is None else header.key,)))

    def made_in(self, header: RunRow | None) -> Iterator[tuple[str, str, int]]:
        """Artifact, run and position of its start, for each output of a scenario's steps."""
        yield from streamed(self.conn, _WITHIN, (None if header is None else header.key,))

    def files_of(self, header: RunRow) -> Iterator[ArtifactRow]:
        """Files that steps of a scenario used or made, each once."""
        yield from map(artifact_row, streamed(self.conn, _STEPS_FILES, (header.key,)))

    def made_by(self, header: RunRow) -> Iterator[ArtifactRow]:
        """Files that steps of a scenario made or, as hits, gave again, each once."""
        yield from map(artifact_row, streamed(self.conn, _STEPS_MADE, (header.key,)))

    def handed_on(self, header: RunRow) -> Iterator[tuple[str, str, str, str]]:
        """Step and key that files were made by, step and role that they were used by: each once."""
        yield from streamed(self.conn, _HANDED_ON, (header.key,))

    def uses(self, artifact: str, header: RunRow) -> Iterator[Use]:
        """How steps of a scenario use or make a file."""
        yield from map(Use._make, streamed(self.conn, _LINKED_AS, (artifact, header.key)))

    def all_uses(self, header: RunRow) -> Iterator[Use]:
        """How steps of a scenario use or make files: each name once."""
        yield from map(Use._make, streamed(self.conn, _KINDS, (header.key,)))


def _writer(values: Sequence[object]) -> WriterRow:
    return WriterRow(**dict(zip(WriterRow.__struct_fields__, values, strict=True)))  # type: ignore[arg-type]


@contextmanager
def walk(conn: sqlite3.Connection, headers: Sequence[RunRow] | None) -> Iterator[Walk]:
    """A walk over these scenarios, or over the whole project, through its own view of the file."""
    with snapshot(conn) as own:
        yield Walk(own, headers)
