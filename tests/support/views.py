"""Helpers for the tests of projector and views: events of every type, logs that hold them, dumps."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from consist_es.events import (
    REGISTRY,
    AcceptanceRevoked,
    ArtifactEvicted,
    ArtifactLogged,
    ArtifactMaterialized,
    BytesPinned,
    CacheHit,
    CacheMissed,
    ChangeAccepted,
    CopyForgotten,
    CopyRecorded,
    CouplerSet,
    Cursor,
    Draft,
    EnvironmentRecorded,
    ErrorInfo,
    Event,
    FingerprintInfo,
    HitDemoted,
    InputLink,
    KeyCarriedOver,
    LogClosed,
    LogMerged,
    LogRepaired,
    MetaLogged,
    ObservedRead,
    OutputLink,
    OutputsDeclared,
    OutputsDoubted,
    PackagesAccepted,
    PackagesRevoked,
    PayloadRedacted,
    PinRemoved,
    ReadsObserved,
    Recorded,
    RecordLost,
    Resources,
    RunImported,
    ScenarioExited,
    ScenarioStarted,
    SegmentSealed,
    SourceRecorded,
    StepAbandoned,
    StepCompleted,
    StepFailed,
    StepLogInfo,
    StepStarted,
    SweepEnded,
    SweepStarted,
    UnknownEvent,
    ValuesRecorded,
    WriterAttached,
)
from consist_es.log.local import LocalLog
from consist_es.projections import BUILTIN
from consist_es.views import file as view_file
from consist_es.views.compare import Row, dump
from consist_es.views.folding import Projection
from consist_es.views.projector import Projector

TABLES = ("checkpoint", "dead_letter", *(table for view in BUILTIN for table in view.tables))


class NoteTaken(Event, frozen=True, kw_only=True):
    """Stands for an event of a type that this version of the library does not know."""

    text: str = ""


# Written like any other event, but read back as unknown.
del REGISTRY[NoteTaken.TYPE, NoteTaken.V]


def make_log(folder: Path) -> LocalLog:
    """A log in `folder` that does not wait for the disk."""
    return LocalLog(folder / "p.events", sync="os")


def make_views(folder: Path, log: LocalLog, projections: Sequence[Projection] = BUILTIN) -> Projector:
    """The views of a log, beside it."""
    return Projector(folder / "p.db", log, projections)


def state(path: Path) -> dict[str, list[Row]]:
    """Every row of every table of a view file, in canonical order."""
    with closing(view_file.connect(path)) as conn:
        return {table: list(dump(conn, table)) for table in TABLES}


def rows(conn: sqlite3.Connection, sql: str, *values: Any) -> list[Row]:
    """All rows of a query."""
    return conn.execute(sql, values).fetchall()


def edit(path: Path, sql: str) -> None:
    """Somebody else changes the file."""
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(sql)


# ---------------------------------------------------------------- events for particular tests


def fingerprint(
    digest: str | None = "fp", code: str = "c", config: str = "g", inputs: str = "i", labels: str = "l"
) -> FingerprintInfo:
    """An identity whose parts can be told apart."""
    return FingerprintInfo(
        version=1, digest=digest, code=code, config=config, inputs=inputs, labels=labels, code_mode="module"
    )


def scenario(key: str, run_id: str = "base", **fields: Any) -> Draft:
    """A scenario begins."""
    return Draft(ScenarioStarted(run_id=run_id, name=run_id, **fields), scenario=key, run=key)


def step(key: str, run_id: str | None = None, *, scenario: str | None = None, **fields: Any) -> Draft:
    """A step begins; its name, model and run id are its key if nothing else is said."""
    given = {"name": key, "model": key, "fingerprint": fingerprint(), **fields}
    return Draft(StepStarted(run_id=run_id or key, **given), scenario=scenario, run=key)


def within(scenario: str, draft: Draft) -> Draft:
    """The same event, in a scenario."""
    return msgspec.structs.replace(draft, scenario=scenario)


def artifact(run: str | None, id: str, key: str = "out", *, direction: str = "output", **fields: Any) -> Draft:
    """An artifact is logged."""
    given = {"uri": f"./{id}", "digest": f"d-{id}", "producer": run if direction == "output" else None, **fields}
    return Draft(ArtifactLogged(artifact=id, key=key, direction=direction, **given), run=run)


def completed(run: str, *outputs: tuple[str, str], scenario: str | None = None, **fields: Any) -> Draft:
    """A step ends well with (key, artifact id) as outputs, reusable under the fingerprint "fp"."""
    links = [OutputLink(key=key, artifact=artifact) for key, artifact in outputs]
    given = {"seconds": 1.0, "outputs": links, "all_outputs": links, "fingerprint": "fp", "reusable": True, **fields}
    return Draft(StepCompleted(**given), scenario=scenario, run=run)


def one_of_each() -> list[Draft]:
    """A small history with every type of event there is, and one that is not known."""
    links = [OutputLink(key="zones", artifact="a1"), OutputLink(key="notes", artifact="a2")]
    error = ErrorInfo(type="ValueError", message="no such zone", traceback="Traceback …")
    bound = InputLink(role="land_use", artifact="a0", key="land_use", digest="d-a0", via="inputs")

    def on(run: str | None, event: Event) -> Draft:
        return Draft(event, scenario="S", run=run)

    return [
        Draft(
            WriterAttached(
                writer="w", host="h", boot="b", pid=7, pid_started="9", user="u", library="1", python="3", platform="x"
            )
        ),
        Draft(EnvironmentRecorded(digest="env", python="3.11", platform="x", packages={"numpy": "2"})),
        scenario("S", "base", config={"growth": 1.5}, tags=["base", "base"], facet={"a.b": {"c": 1}, "n": None}),
        on("S", OutputsDeclared(required={"zones": True, "notes": False}, descriptions={"zones": "what there is"})),
        artifact("S", "a0", "land_use", direction="input", size=3, mtime_ns=5),
        within("S", step("A", inputs=[bound], tags=["t"], year=2030, environment="env")),
        on("A", CacheMissed(reason="no_similar_prior_run")),
        within("S", artifact("A", "a1", "zones", schema={"id": "int64"}, rows=4, facet={"k": [1]}, meta={"m": None})),
        within("S", artifact("A", "a2", "notes")),
        on("A", MetaLogged(values={"stage": "assign", "note": {"deep": [1.5, None]}})),
        on(
            "A",
            StepCompleted(
                seconds=2.5,
                outputs=links[:1],
                all_outputs=links,
                fingerprint="fp",
                reusable=True,
                log=StepLogInfo(uri="./step_logs/A.log", bytes=7, left_out=3, digest="b3:l"),
                resources=Resources(wall_s=2.4, cpu_s=2.25, peak_memory_bytes=4096, read_bytes=10, written_bytes=20),
            ),
        ),
        on("A", CouplerSet(key="zones", artifact="a1")),
        within("S", step("B", "A", kind="trace")),
        on("B", CacheHit(source="A", validation="stat", outputs=links, accepted=["accepted as A: moved"])),
        on("B", HitDemoted(key="extra", reason="an output of its own")),
        within("S", artifact("B", "a3", "extra")),
        on("B", StepCompleted(seconds=0.5, all_outputs=[OutputLink(key="extra", artifact="a3")], reason="demoted")),
        within("S", step("C", parent="S")),
        on("C", StepFailed(status="failed", seconds=0.1, error=error, resources=Resources(wall_s=0.1, shared=True))),
        within("S", step("D")),
        on("D", StepAbandoned(reason="its process is gone")),
        on("D", ChangeAccepted(fingerprint="fp2", as_fingerprint="fp", as_run="A", reason="renamed", user="u")),
        on("D", AcceptanceRevoked(fingerprint="fp2", reason="it was not", user="u")),
        on("C", ChangeAccepted(fingerprint="fp3", as_fingerprint="fp", as_run="A", reason="moved", differs=["code"])),
        on("A", ReadsObserved(digest="b3:r", reads=[ObservedRead(kind="file", name="rates.csv", digest="b3:f")])),
        on("A", SourceRecorded(digest="b3:s", part="model.py:step", text="def step():\n    return 1\n")),
        on("D", ValuesRecorded(digest="b3:v", values={"growth": [1, None]})),
        within("S", step("E", shared={"config": "b3:v", "code_parts": "b3:w"})),
        on(None, SweepStarted(sweep="W", name="E", rows=2, ids=["low", "high"], executor="ProcessPoolExecutor")),
        within("S", step("F", sweep="W", row="low")),
        on("F", StepCompleted(seconds=0.2, fingerprint="fp")),
        on(None, SweepEnded(sweep="W", computed=1, hits=0, failed=0, lost=1, seconds=0.5)),
        on(None, SweepStarted(sweep="V", name="E", rows=1, ids=["low"])),
        on("D", KeyCarriedOver(fingerprint="fp2", before="fp0")),
        on("B", OutputsDoubted(by="A")),
        on(None, PackagesAccepted(before={"pandas": "2.2.1"}, after={"pandas": "2.2.2"}, reason="a patch", user="u")),
        on(None, PackagesRevoked(reason="it was not", user="u")),
        on(None, PackagesAccepted(before={"a": "1", "b": "2"}, after={"a": "3"}, reason="another")),
        on(
            None, ArtifactMaterialized(artifact="a1", key="zones", uri="./x", source_uri="./a1", digest="d", reason="r")
        ),
        on("A", CopyRecorded(artifact="a1", key="zones", uri="arc://a1", recovery_root="arc://.", digest="d-a1")),
        on("A", CopyRecorded(artifact="a1", key="zones", uri="./b", digest="fast:d", content="b3:c", how="set_aside")),
        on("A", CopyRecorded(artifact="a2", key="notes", uri="arc://a2", digest="d-a2", how="claimed")),
        on("A", CopyForgotten(artifact="a2", key="notes", uri="arc://a2", reason="other roots")),
        on("A", ArtifactEvicted(artifact="a1", key="zones", uri="./x", digest="d", size=9, eviction="e", policy="p")),
        on("A", ArtifactEvicted(artifact="a2", key="notes", uri="./n", digest="d-a2", eviction="e", user="u")),
        on("A", BytesPinned(name="A", reason="figure 3", user="u")),
        on("A", BytesPinned(artifact="a1", name="zones", reason="figure 4")),
        on("B", BytesPinned(name="B", reason="not long")),
        on("A", PinRemoved(artifact="a1", name="zones", reason="done")),
        on("B", PinRemoved(name="B")),
        on(None, CouplerSet(key="outside", value="/data/x.csv")),
        Draft(LogRepaired(segment=1, offset=5, length=3, quarantine="q", reason="torn")),
        Draft(RecordLost(segment=1, offset=5, size=300, said="meta_logged"), scenario="S", run="A"),
        Draft(SegmentSealed(segment=1, size=100)),
        Draft(NoteTaken(text="from the future"), scenario="S", run="A"),
        Draft(ScenarioExited(status="failed", seconds=9.0, error=error, failed_step="C", missing_outputs=["z"])),
        on("S", ScenarioExited(status="failed", seconds=9.0, error=error, failed_step="C", missing_outputs=["zones"])),
        on("A", PayloadRedacted(position=10, event="meta_logged", digest="00", size=80, reason="a password", user="u")),
        on("A", PayloadRedacted(position=11, event="source_recorded", digest="01", size=90, reason="a", source="b3:t")),
        on(
            "S/i",
            RunImported(
                run_id="old_1",
                name="demand",
                model="demand",
                parent="S",
                year=2030,
                tags=["old"],
                config={"growth": 1},
                facet={"unit": "km"},
                meta={"team": "x"},
                inputs=[bound],
                outputs=links,
                started_at="2025-03-01T12:00:00.000000Z",
                ended_at="2025-03-01T12:00:30.000000Z",
                seconds=30.0,
                program="consist",
                store="/data/old.duckdb",
                content="b3:1",
            ),
        ),
        Draft(LogMerged(log="another", upto=7, chain="c", events=3, skipped=1)),
        Draft(LogClosed(to="postgresql://host/db#name")),
    ]


# ---------------------------------------------------------------- events at random

KEYS = st.sampled_from(["r0", "r1", "r2", "r3", "r4"])
IDS = st.sampled_from(["base", "base#2", "a#1", "ünter"])
ARTIFACTS = st.sampled_from(["a0", "a1", "a2", "a3"])
NAMES = st.sampled_from(["zones", "trips", "x/y.z"])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
OPTIONAL_TEXT = st.none() | TEXT
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | TEXT
    | st.floats(allow_nan=False, allow_infinity=False)
)
JSON = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=2) | st.dictionaries(TEXT, part, max_size=3), max_leaves=5
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=3)
FLAGS = st.booleans()
SECONDS = st.floats(0, 1e6)
ERRORS = st.builds(ErrorInfo, type=TEXT, message=TEXT, traceback=OPTIONAL_TEXT)
OUTPUTS = st.lists(st.builds(OutputLink, key=NAMES, artifact=ARTIFACTS), max_size=3)
INPUTS = st.lists(st.builds(InputLink, role=NAMES, artifact=ARTIFACTS, key=NAMES, digest=OPTIONAL_TEXT), max_size=3)
YEARS = st.none() | st.integers(2020, 2050)
VERSIONS = st.dictionaries(NAMES, TEXT, max_size=2)
FPS = st.sampled_from(["f0", "f1", "f2"])
SHARED = st.dictionaries(st.sampled_from(["config", "adapter", "code_parts"]), FPS, max_size=2)
PRINTS = st.sampled_from([fingerprint("f0"), fingerprint("f1", code="other"), fingerprint(None)])

EVENTS = st.one_of(
    st.builds(
        WriterAttached,
        writer=NAMES,
        host=TEXT,
        boot=TEXT,
        pid=st.integers(1, 99),
        pid_started=TEXT,
        user=TEXT,
        library=TEXT,
        python=TEXT,
        platform=TEXT,
    ),
    st.builds(
        LogRepaired,
        segment=st.just(1),
        offset=st.integers(0, 9),
        length=st.integers(0, 9),
        quarantine=TEXT,
        reason=TEXT,
    ),
    st.builds(RecordLost, segment=st.just(1), offset=st.none() | st.integers(0, 9), said=OPTIONAL_TEXT),
    st.builds(SegmentSealed, segment=st.just(1), size=st.integers(0, 9)),
    st.builds(
        PayloadRedacted,
        position=st.integers(1, 9),
        event=NAMES,
        digest=TEXT,
        size=st.integers(80, 99),
        reason=TEXT,
        status=st.none() | st.sampled_from(["completed", "failed", "interrupted"]),
        source=st.none() | FPS,
    ),
    st.builds(
        EnvironmentRecorded, digest=NAMES, python=TEXT, platform=TEXT, packages=st.dictionaries(TEXT, TEXT, max_size=2)
    ),
    st.builds(
        ScenarioStarted,
        run_id=IDS,
        name=TEXT,
        config=JSON,
        tags=st.lists(TEXT, max_size=3),
        facet=JSON,
        meta=OBJECTS,
        year=YEARS,
        parent=st.none() | KEYS,
        shared=SHARED,
    ),
    st.builds(ValuesRecorded, digest=FPS, values=OBJECTS),
    st.builds(
        RunImported,
        run_id=IDS,
        name=NAMES,
        model=NAMES,
        kind=st.sampled_from(["run", "scenario"]),
        status=st.sampled_from(["completed", "failed", "abandoned"]),
        tags=st.lists(NAMES, max_size=3),
        facet=JSON,
        meta=OBJECTS,
        inputs=INPUTS,
        outputs=OUTPUTS,
        parent=st.none() | KEYS,
        started_at=TEXT,
        program=TEXT,
        store=TEXT,
        content=TEXT,
    ),
    st.builds(
        ScenarioExited, status=st.sampled_from(["completed", "failed"]), seconds=SECONDS, error=st.none() | ERRORS
    ),
    st.builds(
        StepStarted,
        run_id=IDS,
        name=NAMES,
        model=NAMES,
        config=JSON,
        tags=st.lists(NAMES, max_size=3),
        facet=JSON,
        meta=OBJECTS,
        inputs=INPUTS,
        fingerprint=PRINTS,
        year=YEARS,
        parent=st.none() | KEYS,
        shared=SHARED,
    ),
    st.builds(
        StepCompleted,
        seconds=SECONDS,
        outputs=OUTPUTS,
        all_outputs=OUTPUTS,
        reusable=FLAGS,
        fingerprint=st.sampled_from(["f0", "f1", None]),
    ),
    st.builds(StepFailed, status=st.sampled_from(["failed", "interrupted"]), seconds=SECONDS, error=ERRORS),
    st.builds(StepAbandoned, reason=TEXT),
    st.builds(CacheHit, source=KEYS, validation=TEXT, outputs=OUTPUTS),
    st.builds(CacheMissed, reason=TEXT, nearest=st.none() | KEYS, differs=st.lists(TEXT, max_size=2), details=OBJECTS),
    st.builds(HitDemoted, key=NAMES, reason=TEXT),
    st.builds(ChangeAccepted, fingerprint=FPS, as_fingerprint=FPS, as_run=KEYS, reason=TEXT),
    st.builds(AcceptanceRevoked, fingerprint=FPS, reason=OPTIONAL_TEXT),
    st.builds(ReadsObserved, digest=TEXT, reads=st.lists(st.builds(ObservedRead, kind=TEXT, name=TEXT), max_size=2)),
    st.builds(SourceRecorded, digest=FPS, part=TEXT, text=TEXT),
    st.builds(KeyCarriedOver, fingerprint=FPS, before=FPS),
    st.builds(OutputsDoubted, by=KEYS),
    st.builds(PackagesAccepted, before=VERSIONS, after=VERSIONS, reason=TEXT),
    st.builds(PackagesRevoked, reason=OPTIONAL_TEXT),
    st.builds(
        ArtifactLogged,
        artifact=ARTIFACTS,
        key=NAMES,
        direction=st.sampled_from(["input", "output", "sideways"]),
        uri=TEXT,
        role=st.none() | NAMES,
        facet=JSON,
        meta=OBJECTS,
        schema=JSON,
        rows=st.none() | st.integers(0, 2**64 - 1),
    ),
    st.builds(ArtifactMaterialized, artifact=ARTIFACTS, key=NAMES, uri=TEXT, source_uri=TEXT, digest=TEXT, reason=TEXT),
    st.builds(
        CopyRecorded, artifact=ARTIFACTS, key=NAMES, uri=TEXT, root=TEXT, recovery_root=TEXT, digest=TEXT, how=TEXT
    ),
    st.builds(CopyForgotten, artifact=ARTIFACTS, key=NAMES, uri=TEXT, reason=TEXT),
    st.builds(
        ArtifactEvicted, artifact=ARTIFACTS, key=NAMES, uri=TEXT, digest=TEXT, size=st.integers(0, 9), eviction=TEXT
    ),
    st.builds(BytesPinned, artifact=st.none() | ARTIFACTS, name=NAMES, reason=TEXT),
    st.builds(PinRemoved, artifact=st.none() | ARTIFACTS, name=NAMES, reason=OPTIONAL_TEXT),
    st.builds(CouplerSet, key=NAMES, artifact=st.none() | ARTIFACTS, value=OPTIONAL_TEXT),
    st.builds(
        OutputsDeclared,
        required=st.dictionaries(NAMES, FLAGS),
        warn_undefined=FLAGS,
        descriptions=st.dictionaries(NAMES, TEXT),
    ),
    st.builds(MetaLogged, values=OBJECTS),
    st.builds(NoteTaken, text=TEXT),
)
"""Any event, sensible or not: folds must agree with themselves on all of them."""

DRAFTS = st.builds(Draft, EVENTS, scenario=st.none() | KEYS, run=st.none() | KEYS)
BATCHES = st.lists(st.lists(DRAFTS, min_size=1, max_size=5), min_size=1, max_size=8)


# ---------------------------------------------------------------- a log without a disk


class MemoryLog:
    """Events at fixed times by a fixed writer, for what must be the same for ever."""

    project_id = "project"
    folder = Path("nowhere.events")
    place = "nowhere.events"

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self.events = [_recorded(number, draft) for number, draft in enumerate(drafts, start=1)]

    def read(self, after: Cursor | None) -> Iterator[Recorded]:
        """Events after a cursor."""
        return iter(self.events[after.seq if after else 0 :])

    def moved(self, cursor: Cursor, /) -> bool:
        return False

    def head(self, *, fresh: bool = True) -> Cursor:
        """The end."""
        return self.cursor_after(self.events[-1]) if self.events else Cursor()

    def cursor_after(self, recorded: Recorded) -> Cursor:
        """The place after an event."""
        return Cursor(seq=recorded.seq, segment=1, offset=recorded.offset + recorded.size, chain=recorded.chain)


def _recorded(seq: int, draft: Draft) -> Recorded:
    known = (draft.event.TYPE, draft.event.V) in REGISTRY
    return Recorded(
        seq=seq,
        end=True,
        id=f"event-{seq}",
        at=f"2026-11-22T08:{seq // 60:02}:{seq % 60:02}.000000Z",
        by="w",
        type=draft.event.TYPE,
        v=draft.event.V,
        scenario=draft.scenario,
        run=draft.run,
        event=draft.event if known else UnknownEvent(type=draft.event.TYPE, v=draft.event.V, data=b"{}"),
        chain=f"chain-{seq}",
        segment=1,
        offset=seq * 100,
        size=100,
    )
