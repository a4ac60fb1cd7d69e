"""Runs that were imported from another program's record: part of the run table."""

import sqlite3
from typing import NamedTuple

from consist_es.events import ErrorInfo, Recorded, RedactedEvent, RunImported
from consist_es.projections import facets, run_meta
from consist_es.projections.plumbing import from_text, run_of, texts, to_text
from consist_es.projections.redactions import REDACTED, run_id_of
from consist_es.views.file import query
from consist_es.views.projector import Statement

IMPORTED = "imported"
"""In ``runs.cache``: nothing was looked up here, and nobody may be answered with it."""

# The attempt is that of the first import. What is known by then may change with a later one.
_RUN = """
INSERT INTO runs (key, run_id, attempt, id, kind, name, model, parent_key, scenario_key, status, description, year,
    iteration, phase, stage, tags, config, facet, facet_schema_version, meta, inputs, cache, cache_details,
    cache_differs, cache_differences, declared, missing, missing_outputs, options, mounts, run_dir,
    artifact_dir, reusable, writer, started_at, ended_at, seconds, error_type, error_message, error_traceback,
    started_seq, ended_seq)
VALUES (?1, ?2, (SELECT coalesce(max(attempt), 0) + 1 FROM runs WHERE run_id = ?2),
    (SELECT CASE WHEN max(attempt) IS NULL AND NOT ?3 THEN ?2 ELSE ?2 || '#' || (coalesce(max(attempt), 0) + 1) END
        FROM runs WHERE run_id = ?2),
    ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, 'imported', ?21,
    '[]', '[]', '[]', '[]', '[]', '{}', '{}', ?22, '', 0, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?30)
ON CONFLICT (key) DO NOTHING
"""
# Not within the INSERT: its rows are counted, see `consist_es.views.changes`. A config comes from a file that may be
# gone by then.
_AGAIN = """
UPDATE runs SET status = ?9, description = ?10, tags = ?15, config = coalesce(?16, config), facet = ?17,
    facet_schema_version = ?18, meta = ?19, inputs = ?20, cache_details = ?21, ended_at = ?25, seconds = ?26,
    error_type = ?27, error_message = ?28, error_traceback = ?29, ended_seq = ?30
WHERE key = ?1 AND cache = 'imported'
"""
_CLEAR = tuple(
    " ".join(("DELETE FROM", table, "WHERE run_key = ?")) for table in ("run_tags", "run_facets", run_meta.TABLE)
)
_TAG = "INSERT INTO run_tags (run_key, tag, seq) VALUES (?, ?, ?)"
_SINCE = tuple(
    " ".join(("UPDATE", table, "SET seq = (SELECT started_seq FROM runs WHERE key = ?1) WHERE run_key = ?1"))
    for table in ("run_tags", "run_facets", run_meta.TABLE)
)
INDEX = "CREATE INDEX runs_imported ON runs (key, cache_details, status) WHERE cache = 'imported'"


def fold(recorded: Recorded, event: RunImported, numbered: bool) -> list[Statement]:
    """The statements for an imported run; `numbered`: its run id ends in a number."""
    key, error = run_of(recorded), event.error
    details = {"program": event.program, "store": event.store, "content": event.content}
    named = (key, event.run_id, numbered, event.kind, event.name, event.model, event.parent)
    scenario = key if event.kind == "scenario" else recorded.scenario
    place = (scenario, event.status, event.description, event.year, event.iteration, event.phase, event.stage)
    said = (*texts(event.tags, event.config, event.facet), event.facet_schema_version, *texts(event.meta, event.inputs))
    times = (recorded.by, event.started_at, event.ended_at, event.seconds)
    failed = (error.type, error.message, error.traceback) if error else (None, None, None)
    row = (*named, *place, *said, to_text(details), event.run_dir, *times, *failed, recorded.seq)
    return [
        (_RUN, row),
        (_AGAIN, row),
        *((sql, (key,)) for sql in _CLEAR),
        *((_TAG, (key, tag, recorded.seq)) for tag in dict.fromkeys(event.tags)),
        *((facets.INSERT, values) for values in facets.rows(key, event.facet or {}, recorded.seq)),
        *((run_meta.START, values) for values in run_meta.started(key, event.meta, recorded.seq)),
        *((sql, (key,)) for sql in _SINCE),
    ]


def redacted(recorded: Recorded, event: RedactedEvent) -> RunImported | None:
    """The run of a redacted import: that it was there. None for other events."""
    if event.type != RunImported.TYPE:
        return None
    run_id = run_id_of(recorded.run or "")
    error = ErrorInfo(type="", message=REDACTED)
    return RunImported(
        run_id=run_id,
        name=REDACTED,
        model=REDACTED,
        status="abandoned",
        error=error,
        started_at=recorded.at,
        program=REDACTED,
        store="",
        content="",
    )


class Content(NamedTuple):
    """What is there of an imported run."""

    content: str
    """`RunImported.content`; "" if that was redacted."""
    status: str


_CONTENTS = "SELECT key, cache_details, status FROM runs WHERE cache = 'imported'"


def contents(conn: sqlite3.Connection) -> dict[str, Content]:
    """Key -> content of every imported run."""
    rows = query(conn, _CONTENTS, ())
    return {key: Content(from_text(details, {}).get("content", ""), status) for key, details, status in rows}
