"""The run table: every scenario, step and trace with its inputs and its outcome.

A readable run id may be used again; each use is an attempt, numbered by the order in the log. `runs.id` is the run id
for the first attempt and ``run_id#n`` for later ones. A run id that itself ends with ``#`` and a number always gets its
own number appended, so that ids stay unique.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from consist_es.events import (
    LABELS,
    CacheHit,
    CacheMissed,
    EnvironmentRecorded,
    ErrorInfo,
    HitDemoted,
    MetaLogged,
    OutputsDoubted,
    PayloadRedacted,
    Recorded,
    RedactedEvent,
    Resources,
    ScenarioExited,
    ScenarioStarted,
    StepAbandoned,
    StepCompleted,
    StepFailed,
    StepStarted,
    ValuesRecorded,
    WriterAttached,
)
from consist_es.projections import facets, rarest, redactions, run_filters, run_meta, shared_values
from consist_es.projections.plumbing import first, run_of, texts, to_text
from consist_es.projections.run_rows import (
    COLUMNS,
    RunRow,
    ScenarioRow,
    StepCounts,
    StepSummary,
    run_row,
)
from consist_es.projections.run_schema import create as create
from consist_es.projections.run_schema import index as index
from consist_es.views.file import query
from consist_es.views.projector import Statement

name = "run_table"
version = 10
tables: tuple[str, ...] = (
    "runs",
    "run_tags",
    "run_facets",
    run_meta.TABLE,
    "writers",
    "environments",
    *shared_values.TABLES,
)


# ---------------------------------------------------------------- fold

# Not INSERT ... SELECT from the same table: SQLite would copy each row through a temporary one.
_COUNTED = {
    "attempt": "(SELECT coalesce(max(attempt), 0) + 1 FROM runs WHERE run_id = ?)",
    "id": """(SELECT CASE WHEN max(attempt) IS NULL AND NOT ? THEN ?
        ELSE ? || '#' || (coalesce(max(attempt), 0) + 1) END FROM runs WHERE run_id = ?)""",
}
_START = " ".join(("INSERT INTO runs VALUES (", ", ".join(_COUNTED.get(column, "?") for column in COLUMNS), ")"))
_COPIED = tuple(COLUMNS)[tuple(COLUMNS).index("id") + 1 :]
"""Columns with values from the event alone."""
NUMBERED = re.compile(r"#\d+$")
"""End of the readable ids of later attempts; see above."""
_TAG = "INSERT INTO run_tags (run_key, tag, seq) VALUES (?, ?, ?)"
_COMPLETED = """
UPDATE runs SET status = 'completed', ended_at = ?, seconds = ?, missing = ?,
    reusable = ? AND not_reusable_reason IS NULL, not_reusable_reason = coalesce(not_reusable_reason, ?),
    fingerprint = coalesce(?, fingerprint), error_message = NULL, log = ?, wall_s = ?, cpu_s = ?,
    peak_memory_bytes = ?, read_bytes = ?, written_bytes = ?, shared = ?, ended_seq = ?
WHERE key = ?
"""
_FAILED = """
UPDATE runs SET status = ?, ended_at = ?, seconds = ?, error_type = ?, error_message = ?, error_traceback = ?,
    failed_step = ?, missing_outputs = ?, log = ?, wall_s = ?, cpu_s = ?, peak_memory_bytes = ?, read_bytes = ?,
    written_bytes = ?, shared = ?, ended_seq = ?
WHERE key = ?
"""
# A run that ended although it was taken for dead keeps its end.
_ABANDONED = """
UPDATE runs SET status = 'abandoned', error_message = ?, ended_seq = ? WHERE key = ? AND status = 'running'
"""
_HIT = "UPDATE runs SET cache = 'hit', cache_source_key = ?, cache_details = ? WHERE key = ?"
_MISSED = """
UPDATE runs SET cache = 'missed', cache_source_key = ?, cache_reason = ?, cache_differs = ?,
    cache_differences = ?, cache_details = ?
WHERE key = ?
"""
_DEMOTED = """
UPDATE runs SET cache = 'demoted', cache_reason = ?, cache_details = json_merge(cache_details, ?) WHERE key = ?
"""
_DOUBTED = "UPDATE runs SET reusable = 0 * reusable, not_reusable_reason = ? WHERE key = ?"
_NOTHING_TOOK = (None,) * len(Resources.__struct_fields__)
_META = """
UPDATE runs SET meta = json_merge(meta, ?), phase = coalesce(?, phase), stage = coalesce(?, stage) WHERE key = ?
"""
_WRITER = """
INSERT INTO writers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (writer) DO UPDATE SET lock = excluded.lock
"""
_ENVIRONMENT = """
INSERT INTO environments (digest, python, platform, packages, git_commit, git_dirty, variables, at, seq)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""


def fold(recorded: Recorded) -> Iterable[Statement]:
    """See `consist_es.views.folding.Projection`."""
    event: Any = recorded.event
    if isinstance(event, RedactedEvent):
        event = redactions.start(recorded) or event
    handler = _FOLDS.get(type(event))
    return handler(recorded, event) if handler else ()


def _scenario_started(recorded: Recorded, event: ScenarioStarted) -> list[Statement]:
    empty = {"inputs": "[]", "declared": "[]", "options": "{}", "artifact_dir": ""}
    own = {"kind": "scenario", "scenario_key": run_of(recorded), "mounts": to_text(event.mounts)}
    return _started(recorded, event, empty | own)


def _step_started(recorded: Recorded, event: StepStarted) -> list[Statement]:
    info = event.fingerprint
    own = {
        "kind": event.kind,
        "function": event.function,
        "scenario_key": recorded.scenario,
        "facet_schema_version": event.facet_schema_version,
        "fingerprint": info.digest,
        "code_digest": info.code,
        "config_digest": info.config,
        "inputs_digest": info.inputs,
        "labels_digest": info.labels,
        "fingerprint_info": to_text(info),
        "inputs": to_text(event.inputs),
        "cache_mode": event.cache_mode,
        "declared": to_text(event.declared),
        "options": to_text(event.options),
        "mounts": "{}",
        "artifact_dir": event.artifact_dir,
    }
    return _started(recorded, event, own)


def _started(recorded: Recorded, event: ScenarioStarted | StepStarted, own: dict[str, Any]) -> list[Statement]:
    """The row of a started run; `own` has the columns of its kind."""
    key, run_id = run_of(recorded), event.run_id
    row = own | {
        "name": event.name,
        "model": event.model,
        "parent_key": event.parent,
        "status": "running",
        "description": event.description,
        **{label: getattr(event, label) for label in LABELS},
        "tags": to_text(event.tags),
        "config": to_text(event.config),
        "facet": to_text(event.facet),
        "meta": to_text(event.meta),
        "run_dir": event.run_dir,
        "environment": event.environment,
        "writer": recorded.by,
        "started_at": recorded.at,
        "started_seq": recorded.seq,
    }
    attempt = (run_id, run_id, NUMBERED.search(run_id) is not None, run_id, run_id, run_id)
    statements: list[Statement] = [(_START, (key, *attempt, *map(row.get, _COPIED)))]
    statements += [(_TAG, (key, tag, recorded.seq)) for tag in dict.fromkeys(event.tags)]
    if event.meta:
        statements += run_meta.logged(key, event.meta)
    if event.facet:
        statements += [(facets.INSERT, values) for values in facets.rows(key, event.facet, recorded.seq)]
    return statements + shared_values.filled_in(recorded, event) if event.shared else statements


def _step_completed(recorded: Recorded, event: StepCompleted) -> list[Statement]:
    outcome = (to_text(event.missing), event.reusable, event.reason, event.fingerprint)
    return [(_COMPLETED, (recorded.at, event.seconds, *outcome, *_witnessed(event), recorded.seq, run_of(recorded)))]


def _step_failed(recorded: Recorded, event: StepFailed) -> list[Statement]:
    return [_ended(recorded, event, event.error, (None, to_text([]), *_witnessed(event)))]


def _scenario_exited(recorded: Recorded, event: ScenarioExited) -> list[Statement]:
    return [
        _ended(recorded, event, event.error, (event.failed_step, to_text(event.missing_outputs), None, *_NOTHING_TOOK))
    ]


def _ended(
    recorded: Recorded, event: StepFailed | ScenarioExited, error: ErrorInfo | None, rest: tuple[Any, ...]
) -> Statement:
    said = (error.type, error.message, error.traceback) if error else (None, None, None)
    return _FAILED, (event.status, recorded.at, event.seconds, *said, *rest, recorded.seq, run_of(recorded))


def _witnessed(event: StepCompleted | StepFailed) -> tuple[Any, ...]:
    """The columns from `log` to `shared`."""
    log, took = event.log, event.resources
    return (None if log is None else to_text(log), *(_NOTHING_TOOK if took is None else msgspec.structs.astuple(took)))


def _abandoned(recorded: Recorded, event: StepAbandoned) -> list[Statement]:
    return [(_ABANDONED, (event.reason, recorded.seq, run_of(recorded)))]


def _hit(recorded: Recorded, event: CacheHit) -> list[Statement]:
    details: dict[str, Any] = {"validation": event.validation}
    said = {"accepted": event.accepted, "packages": event.packages, "carried_over": event.carried_over}
    said |= {"left_out": event.left_out}
    details |= {name: value for name, value in said.items() if value}
    return [(_HIT, (event.source, to_text(details), run_of(recorded)))]


def _missed(recorded: Recorded, event: CacheMissed) -> list[Statement]:
    said = texts(event.differs, event.differences, event.details)
    return [(_MISSED, (event.nearest, event.reason, *said, run_of(recorded)))]


def _demoted(recorded: Recorded, event: HitDemoted) -> list[Statement]:
    return [(_DEMOTED, (event.reason, to_text({"demoted_by": event.key}), run_of(recorded)))]


def _doubted(recorded: Recorded, event: OutputsDoubted) -> list[Statement]:
    reason = f"run {event.by} wrote one of its outputs' places at the same time: whose bytes are there is unknown"
    return [(_DOUBTED, (reason, run_of(recorded)))]


def _meta_logged(recorded: Recorded, event: MetaLogged) -> list[Statement]:
    phase, stage = (value if isinstance(value, str) else None for value in map(event.values.get, ("phase", "stage")))
    key = run_of(recorded)
    return [(_META, (to_text(event.values), phase, stage, key)), *run_meta.logged(key, event.values)]


def _writer(recorded: Recorded, event: WriterAttached) -> list[Statement]:
    process = (event.writer, event.host, event.boot, event.pid, event.pid_started, event.user)
    software = (event.library, event.python, event.platform)
    alive = (event.machine, event.pid_namespace, event.lock)
    return [(_WRITER, (*process, *software, recorded.at, recorded.seq, *alive))]


def _environment(recorded: Recorded, event: EnvironmentRecorded) -> list[Statement]:
    software = (event.digest, event.python, event.platform, to_text(event.packages), event.git_commit, event.git_dirty)
    return [(_ENVIRONMENT, (*software, to_text(event.variables), recorded.at, recorded.seq))]


_FOLDS: dict[type, Callable[[Recorded, Any], list[Statement]]] = {
    ScenarioStarted: _scenario_started,
    ScenarioExited: _scenario_exited,
    StepStarted: _step_started,
    StepCompleted: _step_completed,
    StepFailed: _step_failed,
    StepAbandoned: _abandoned,
    CacheHit: _hit,
    CacheMissed: _missed,
    HitDemoted: _demoted,
    MetaLogged: _meta_logged,
    OutputsDoubted: _doubted,
    WriterAttached: _writer,
    EnvironmentRecorded: _environment,
    ValuesRecorded: shared_values.recorded_apart,
    RedactedEvent: redactions.outcome,
    PayloadRedacted: redactions.status,
}
TAKES = frozenset(_FOLDS)


# ---------------------------------------------------------------- queries


def _runs(conn: sqlite3.Connection, sql: str, values: Iterable[Any]) -> list[RunRow]:
    return [run_row(row) for row in query(conn, sql, tuple(values))]


def get(conn: sqlite3.Connection, ref: str) -> RunRow | None:
    """The run that `ref` names, or None.

    `ref` is a run id (its latest attempt), ``run_id#n`` (its n-th attempt; ``#1`` is the first), or a run's key.
    """
    run_id, _, number = ref.rpartition("#")
    if run_id and number.isdecimal() and len(number) < 10:
        exact = "SELECT * FROM runs WHERE run_id = ? AND attempt = ?"
        if found := _runs(conn, exact, (run_id, int(number))):
            return found[0]
    latest = "SELECT * FROM runs WHERE run_id = ? ORDER BY attempt DESC LIMIT 1"
    return first(_runs(conn, latest, (ref,))) or by_key(conn, ref)


def by_key(conn: sqlite3.Connection, key: str) -> RunRow | None:
    """The run with this key, or None."""
    found = _runs(conn, "SELECT * FROM runs WHERE key = ?", (key,))
    return found[0] if found else None


def id_of(conn: sqlite3.Connection, key: str) -> str:
    """The readable id of the run with this key, or the key itself if unknown."""
    found = query(conn, "SELECT id FROM runs WHERE key = ?", (key,))
    return str(found[0][0]) if found else key


def attempts(conn: sqlite3.Connection, run_id: str) -> list[RunRow]:
    """Every attempt of this run id, in order."""
    return _runs(conn, "SELECT * FROM runs WHERE run_id = ? ORDER BY attempt", (run_id,))


def find(conn: sqlite3.Connection, *, limit: int | None = 100, **filters: Any) -> list[RunRow]:
    """Runs that meet all conditions, newest first.

    `tags`: has all of them. `parent`, `scenario`: references as for `get`; a scenario's own header run is not among
    its runs. `facet`: dotted key -> value. `metadata`: key -> value. `limit`: None for all. The others compare a
    column: `year`, `iteration`, `stage`, `phase`, `model`, `status`, `name`, `kind`; None does not filter.

    Raises:
        OptionError: an unknown filter.
        ConfigTypeError: a facet or metadata value that cannot have been recorded.
    """
    return [run_row(row) for row in rarest.newest(conn, "runs.*", run_filters.EVERYTHING, _met(conn, filters), limit)]


def how_many(conn: sqlite3.Connection, **filters: Any) -> int:
    """The number of runs that `find` gives without a limit."""
    return rarest.how_many(conn, run_filters.EVERYTHING, _met(conn, filters))


def _met(conn: sqlite3.Connection, filters: Mapping[str, Any]) -> list[rarest.Condition]:
    return run_filters.conditions(lambda ref: named.key if (named := get(conn, ref)) else "", **filters)


def steps(conn: sqlite3.Connection, scenario_key: str) -> list[RunRow]:
    """The runs of a scenario in the order of their starts, without its header."""
    sql = "SELECT * FROM runs WHERE scenario_key = ? AND kind <> 'scenario' ORDER BY started_seq"
    return _runs(conn, sql, (scenario_key,))


def last_step(conn: sqlite3.Connection, scenario_key: str) -> RunRow | None:
    """The run of a scenario that started last, or None if none has."""
    sql = "SELECT * FROM runs WHERE scenario_key = ? AND kind <> 'scenario' ORDER BY started_seq DESC LIMIT 1"
    return first(_runs(conn, sql, (scenario_key,)))


_SUMMARIES = """
SELECT id, name, model, status, cache, description, started_at, ended_at, seconds FROM runs
WHERE scenario_key = ? AND kind <> 'scenario' ORDER BY started_seq
"""


def step_summaries(conn: sqlite3.Connection, scenario_key: str) -> list[StepSummary]:
    """As `steps`, with the columns that tell how each went: a scenario may have thousands."""
    return [StepSummary(*row) for row in query(conn, _SUMMARIES, (scenario_key,))]


def counts(conn: sqlite3.Connection, scenario_key: str) -> StepCounts:
    """Counts over the steps of a scenario."""
    return StepCounts(*query(conn, _COUNTS, (scenario_key,))[0])


def started_since(conn: sqlite3.Connection, seq: int) -> list[RunRow]:
    """Steps and traces started after this position."""
    return _runs(conn, "SELECT * FROM runs WHERE started_seq > ? AND kind <> 'scenario' ORDER BY started_seq", (seq,))


def running(conn: sqlite3.Connection) -> list[RunRow]:
    """Running runs, oldest first."""
    return _runs(conn, "SELECT * FROM runs WHERE status = 'running' ORDER BY started_seq", ())


_COUNTS = """
SELECT count(*), count(CASE WHEN cache = 'hit' THEN 1 END),
    count(CASE WHEN status IN ('failed', 'interrupted', 'abandoned') THEN 1 END),
    count(CASE WHEN status = 'running' THEN 1 END), coalesce(sum(seconds), 0.0)
FROM runs WHERE scenario_key = ? AND kind <> 'scenario'
"""


def scenarios(conn: sqlite3.Connection, limit: int | None = 100) -> list[ScenarioRow]:
    """Scenarios with counts over their steps, newest first."""
    headers = find(conn, kind="scenario", limit=limit)
    return [ScenarioRow(header=header, **counts(conn, header.key)._asdict()) for header in headers]
