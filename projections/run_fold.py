"""The fold of the run table.

The row of a run that starts among the events is put together in memory, and written once: a run and its end mostly are
folded together. Events that change rows in another way are rare; they come as statements, after the rows so far.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from consist_es.events import (
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
    RunImported,
    ScenarioExited,
    ScenarioStarted,
    StepAbandoned,
    StepCompleted,
    StepFailed,
    StepStarted,
    ValuesRecorded,
    WriterAttached,
)
from consist_es.projections import facets, imported, redactions, run_meta, shared_values
from consist_es.projections.plumbing import Grouped, run_of, to_text
from consist_es.projections.run_rows import COLUMNS
from consist_es.views.projector import Statement

NUMBERED = re.compile(r"#\d+$")
"""End of the readable ids of later attempts; see `consist_es.projections.run_table`."""

# Not INSERT ... SELECT from the same table: SQLite would copy each row through a temporary one.
_COUNTED = {
    "attempt": "(SELECT coalesce(max(attempt), 0) + 1 FROM runs WHERE run_id = ?2)",
    "id": """(SELECT CASE WHEN max(attempt) IS NULL AND NOT ?3 THEN ?2
        ELSE ?2 || '#' || (coalesce(max(attempt), 0) + 1) END FROM runs WHERE run_id = ?2)""",
}
_GIVEN = ("key", "run_id", "is_numbered", *(column for column in COLUMNS if column not in ("key", "run_id", *_COUNTED)))
"""Values of `_START`, in order: columns with values from the event alone, and whether its run id ends in a number."""
_PLACE = {name: place for place, name in enumerate(_GIVEN)}
_START = " ".join(
    (
        "INSERT INTO runs VALUES (",
        ", ".join(_COUNTED.get(column) or f"?{_PLACE[column] + 1}" for column in COLUMNS),
        ")",
    )
)
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


class _Rows:
    """The rows of the runs that started so far, and the statements before them."""

    def __init__(self) -> None:
        self.done = Grouped()
        self._held: dict[str, list[Any]] = {}
        """Key of a run -> the values of its `_START`; nothing but its own events has changed them."""
        self._tags: list[tuple[Any, ...]] = []
        self._facets: list[tuple[Any, ...]] = []
        self._meta: list[tuple[Any, ...]] = []

    def start(self, key: str, row: list[Any], event: ScenarioStarted | StepStarted, seq: int) -> None:
        """Hold the row of a run."""
        if key in self._held:
            self.write()  # that key is taken: SQLite says so
        self._held[key] = row
        if event.tags:
            self._tags += [(key, tag, seq) for tag in dict.fromkeys(event.tags)]
        if event.facet:
            self._facets += facets.rows(key, event.facet, seq)
        if event.meta:
            self._meta += run_meta.started(key, event.meta, seq)

    def held(self, key: str) -> list[Any] | None:
        """The row of a run that has not ended, if it is held."""
        row = self._held.get(key)
        return row if row is not None and row[_STATUS] == "running" else None

    def then(self, statements: Iterable[Statement]) -> None:
        """Add statements that may concern any row."""
        for sql, values in statements:
            self.write()
            self.done.add(sql, values)

    def write(self) -> None:
        """Write the rows that are held."""
        if self._held:
            self.done.add_all(_START, list(self._held.values()))
            self.done.add_all(_TAG, self._tags)
            self.done.add_all(facets.INSERT, self._facets)
            self.done.add_all(run_meta.START, self._meta)
            self._held, self._tags, self._facets, self._meta = {}, [], [], []


_STATUS, _CACHE, _ENDED, _ERROR = (_PLACE[name] for name in ("status", "cache", "ended_at", "error_type"))
_MISSING, _FINGERPRINT, _LOG = (_PLACE[name] for name in ("missing", "fingerprint", "log"))
_LAST = len(_GIVEN) - 1
"""Of ``ended_seq``."""


def fold(recorded: Recorded) -> Iterable[Statement]:
    """See `consist_es.views.folding.Projection`."""
    return [(sql, values) for sql, rows in fold_group([recorded]) for values in rows]


def fold_group(events: Iterable[Recorded]) -> Grouped:
    """See `consist_es.views.folding.Projection`."""
    rows = _Rows()
    for recorded in events:
        event: Any = recorded.event
        if type(event) is RedactedEvent:
            event = redactions.start(recorded) or imported.redacted(recorded, event) or event
        handler = _FOLDS.get(type(event))
        if handler is not None:
            handler(rows, recorded, event)
    rows.write()
    return rows.done


def _scenario_started(rows: _Rows, recorded: Recorded, event: ScenarioStarted) -> None:
    key = run_of(recorded)
    code = (None, None, None, None, None, None, "[]", None)  # from the fingerprint to the cache mode
    texts_of = (to_text(event.config), to_text(event.facet), None, _dict(event.meta))
    kept = ("{}", _dict(event.mounts), event.run_dir, "")
    _started(rows, recorded, event, ("scenario", None, key), texts_of, code, "[]", kept)


def _step_started(rows: _Rows, recorded: Recorded, event: StepStarted) -> None:
    info = event.fingerprint
    digests = (info.digest, info.code, info.config, info.inputs, info.labels)
    code = (*digests, to_text(info), _list(event.inputs), event.cache_mode)
    texts_of = (to_text(event.config), to_text(event.facet), event.facet_schema_version, _dict(event.meta))
    kept = (_dict(event.options), "{}", event.run_dir, event.artifact_dir)
    what = (event.kind, event.function, recorded.scenario)
    _started(rows, recorded, event, what, texts_of, code, _list(event.declared), kept)


def _started(
    rows: _Rows,
    recorded: Recorded,
    event: ScenarioStarted | StepStarted,
    what: tuple[str, str | None, str | None],
    said: tuple[str | None, ...],
    code: tuple[str | None, ...],
    declared: str | None,
    kept: tuple[str | None, ...],
) -> None:
    """Hold the row of a started run.

    The values are those of its kind: kind, function and scenario; `said` from the config to the metadata; `code` from
    the fingerprint to the cache mode; the declared outputs; and `kept` from the options to the artifact folder.
    """
    key, run_id = run_of(recorded), event.run_id
    kind, function, scenario = what
    named = (
        key,
        run_id,
        "#" in run_id and NUMBERED.search(run_id) is not None,
        kind,
        event.name,
        event.model,
        function,
    )
    place = (event.year, event.iteration, event.phase, event.stage, _list(event.tags))
    row = [
        *(*named, event.parent, scenario, "running", event.description, *place, *said, *code),
        *(None, None, None, None, None, None, declared, None, None, None),  # the cache's result, and the outputs
        *(*kept, event.environment, recorded.by, recorded.time),
        *(None, None, None, None, None, None, None),  # the end, from its time to the missing outputs
        *(None, *_NOTHING_TOOK, event.sweep, event.row, recorded.seq, None),
    ]
    rows.start(key, row, event, recorded.seq)
    if event.shared:
        rows.then(shared_values.filled_in(recorded, event))


def _list(value: list[Any]) -> str | None:
    return to_text(value) if value else "[]"


def _dict(value: dict[str, Any]) -> str | None:
    return to_text(value) if value else "{}"


def _step_completed(rows: _Rows, recorded: Recorded, event: StepCompleted) -> None:
    key, missing, took = run_of(recorded), _list(event.missing), _witnessed(event)
    row = rows.held(key)
    if row is None:
        outcome = (missing, event.reusable, event.reason, event.fingerprint)
        rows.then([(_COMPLETED, (recorded.time, event.seconds, *outcome, *took, recorded.seq, key))])
        return
    row[_STATUS] = "completed"
    row[_ENDED : _ENDED + 2] = recorded.time, event.seconds
    row[_MISSING : _MISSING + 3] = missing, event.reusable, event.reason
    row[_LOG : _LOG + 7] = took
    row[_LAST] = recorded.seq
    if event.fingerprint is not None:
        row[_FINGERPRINT] = event.fingerprint


def _step_failed(rows: _Rows, recorded: Recorded, event: StepFailed) -> None:
    _ended(rows, recorded, event, event.error, (None, "[]", *_witnessed(event)))


def _scenario_exited(rows: _Rows, recorded: Recorded, event: ScenarioExited) -> None:
    rest = (event.failed_step, _list(event.missing_outputs), None, *_NOTHING_TOOK)
    _ended(rows, recorded, event, event.error, rest)


def _ended(
    rows: _Rows,
    recorded: Recorded,
    event: StepFailed | ScenarioExited,
    error: ErrorInfo | None,
    rest: tuple[Any, ...],
) -> None:
    """Set an end; `rest` are the columns from the failed step on."""
    said = (error.type, error.message, error.traceback) if error else (None, None, None)
    key = run_of(recorded)
    row = rows.held(key)
    if row is None:
        values = (event.status, recorded.time, event.seconds, *said, *rest, recorded.seq, key)
        rows.then([(_FAILED, values)])
        return
    row[_STATUS] = event.status
    row[_ENDED : _ENDED + 2] = recorded.time, event.seconds
    row[_ERROR : _ERROR + 3 + len(rest)] = (*said, *rest)
    row[_LAST] = recorded.seq


def _witnessed(event: StepCompleted | StepFailed) -> tuple[Any, ...]:
    """The columns from `log` to `shared`."""
    took = event.resources
    return (to_text(event.log), *(_NOTHING_TOOK if took is None else msgspec.structs.astuple(took)))


def _abandoned(rows: _Rows, recorded: Recorded, event: StepAbandoned) -> None:
    rows.then([(_ABANDONED, (event.reason, recorded.seq, run_of(recorded)))])


def _hit(rows: _Rows, recorded: Recorded, event: CacheHit) -> None:
    details: dict[str, Any] = {"validation": event.validation}
    for name in ("accepted", "packages", "carried_over", "left_out", "drift", "copies"):
        if value := getattr(event, name):
            details[name] = value
    key, text = run_of(recorded), to_text(details)
    row = rows.held(key)
    if row is None:
        rows.then([(_HIT, (event.source, text, key))])
    else:
        row[_CACHE : _CACHE + 2] = "hit", event.source
        row[_CACHE + 5] = text


def _missed(rows: _Rows, recorded: Recorded, event: CacheMissed) -> None:
    said = (event.nearest, event.reason, _list(event.differs), _list(event.differences), _dict(event.details))
    key = run_of(recorded)
    row = rows.held(key)
    if row is None:
        rows.then([(_MISSED, (*said, key))])
    else:
        row[_CACHE : _CACHE + 6] = ("missed", *said)


def _demoted(rows: _Rows, recorded: Recorded, event: HitDemoted) -> None:
    rows.then([(_DEMOTED, (event.reason, to_text({"demoted_by": event.key}), run_of(recorded)))])


def _doubted(rows: _Rows, recorded: Recorded, event: OutputsDoubted) -> None:
    reason = f"run {event.by} wrote one of its outputs' places at the same time: whose bytes are there is unknown"
    rows.then([(_DOUBTED, (reason, run_of(recorded)))])


def _meta_logged(rows: _Rows, recorded: Recorded, event: MetaLogged) -> None:
    phase, stage = (value if isinstance(value, str) else None for value in map(event.values.get, ("phase", "stage")))
    key = run_of(recorded)
    rows.then([(_META, (to_text(event.values), phase, stage, key)), *run_meta.logged(key, event.values)])


def _writer(rows: _Rows, recorded: Recorded, event: WriterAttached) -> None:
    process = (event.writer, event.host, event.boot, event.pid, event.pid_started, event.user)
    software = (event.library, event.python, event.platform)
    alive = (event.machine, event.pid_namespace, event.lock)
    rows.then([(_WRITER, (*process, *software, recorded.time, recorded.seq, *alive))])


def _environment(rows: _Rows, recorded: Recorded, event: EnvironmentRecorded) -> None:
    software = (event.digest, event.python, event.platform, to_text(event.packages), event.git_commit, event.git_dirty)
    rows.then([(_ENVIRONMENT, (*software, to_text(event.variables), recorded.time, recorded.seq))])


def _imported(rows: _Rows, recorded: Recorded, event: RunImported) -> None:
    rows.then(imported.fold(recorded, event, NUMBERED.search(event.run_id) is not None))


def _others(statements: Callable[[Recorded, Any], list[Statement]]) -> Callable[[_Rows, Recorded, Any], None]:
    return lambda rows, recorded, event: rows.then(statements(recorded, event))


_FOLDS: dict[type, Callable[[_Rows, Recorded, Any], None]] = {
    ScenarioStarted: _scenario_started,
    ScenarioExited: _scenario_exited,
    StepStarted: _step_started,
    StepCompleted: _step_completed,
    StepFailed: _step_failed,
    StepAbandoned: _abandoned,
    CacheHit: _hit,
    CacheMissed: _missed,
    HitDemoted: _demoted,
    RunImported: _imported,
    MetaLogged: _meta_logged,
    OutputsDoubted: _doubted,
    WriterAttached: _writer,
    EnvironmentRecorded: _environment,
    ValuesRecorded: _others(shared_values.recorded_apart),
    RedactedEvent: _others(redactions.outcome),
    PayloadRedacted: _others(redactions.status),
}
TAKES = frozenset(_FOLDS)
