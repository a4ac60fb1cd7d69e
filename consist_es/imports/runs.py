"""Runs of another record as events, in an order in which parents come first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.uris import quote
from consist_es.checks import free_name, safe_name
from consist_es.events import ErrorInfo, InputLink, OutputLink, RunImported
from consist_es.imports.artifacts import artifact_id, mapping, plain, text
from consist_es.imports.store import Row, Store
from consist_es.text import shortened
from consist_es.values.digests import digest_of

PROGRAM = "consist"
_HEADER = "scenario_header"
"""Tag of the run that stands for a scenario."""
_ENDS = frozenset({"completed", "failed", "interrupted"})
_HASHES = ("config_hash", "git_hash", "input_hash", "signature")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = ("started_at", "created_at", "ended_at", "updated_at")


class Known(msgspec.Struct, frozen=True):
    """A run of the record, with its key here."""

    key: str
    row: Row
    meta: Row
    snapshot: Row
    facet: Row = {}
    inputs: list[Row] = []
    """Artifacts, in the order of their keys."""
    outputs: list[Row] = []
    parent: Known | None = None

    @property
    def is_header(self) -> bool:
        """True if it stands for a scenario."""
        return _HEADER in _tags(self.row)

    @property
    def scenario(self) -> str | None:
        """Key of the scenario that it is in, or stands for."""
        found: Known | None = self
        while found is not None and not found.is_header:
            found = found.parent
        return None if found is None else found.key


def known_runs(store: Store) -> list[Known]:
    """The runs of a record with their artifacts: parents before their children, else by their start."""
    rows = {str(row["id"]): row for row in store.tables["run"]}
    for run_id, snapshot in store.snapshots.items():
        rows.setdefault(run_id, snapshot["run"])
    for run_id in [name for name in store.snapshots if not _is_of(store.snapshots[name]["run"], rows[name])]:
        store.problems.append(f"the snapshot of run {run_id!r} is of another run with that id: not imported")
        del store.snapshots[run_id]
    links = _links(store, rows)
    facets = {str(item["id"]): item for item in store.tables["config_facet"]}
    made: dict[str, Known] = {}
    for run_id in sorted(rows, key=lambda name: (_times(rows[name]).get("started_at") or 0, name)):
        for name in _up(run_id, rows, made):
            row = rows[name]
            inputs, outputs = links.get(name, ([], []))
            meta = mapping(row.get("meta"))
            made[name] = Known(
                key=_key(name, row),
                row=row,
                meta=meta,
                facet=facets.get(str(meta.get("config_facet_id")), {}),
                snapshot=store.snapshots.get(name, {}),
                inputs=inputs,
                outputs=outputs,
                parent=made.get(str(row.get("parent_run_id"))),
            )
    return list(made.values())


def _up(run_id: str, rows: dict[str, Row], made: dict[str, Known]) -> list[str]:
    """A run after those of its parents that are not made yet; a circle is cut."""
    found: list[str] = []
    name = run_id
    while name in rows and name not in made and name not in found:
        found.append(name)
        name = str(rows[name].get("parent_run_id"))
    return found[::-1]


def _key(run_id: str, row: Row) -> str:
    """The key of a run, the same in every import of its record: of its id, and of when it was made."""
    times = _times(row)
    said = json.dumps([run_id, times.get("created_at") or times.get("started_at")]).encode()
    return f"{safe_name(run_id, 80)}-{digest_of(said).partition(':')[2][:12]}"


def _is_of(snapshot: Row, row: Row) -> bool:
    """True unless the run of a snapshot was made at another time."""
    theirs, ours = _times(snapshot), _times(row)
    return all(theirs[name] == ours[name] for name in ("created_at", "started_at") if name in theirs and name in ours)


def _links(store: Store, rows: dict[str, Row]) -> dict[str, tuple[list[Row], list[Row]]]:
    """Run id -> its inputs and outputs: of the database, or of the run's snapshot if that has none of the run."""
    artifacts = {str(row["id"]): row for row in store.tables["artifact"]}
    found: dict[str, tuple[list[Row], list[Row]]] = {}
    for link in store.tables["run_artifact_link"]:
        run_id, artifact, side = str(link["run_id"]), str(link["artifact_id"]), link.get("direction")
        where = f"the link of run {run_id!r} to artifact {artifact}"
        if run_id not in rows:
            store.problems.append(f"{where} is not imported: that run is not in the record")
        elif artifact not in artifacts:
            store.problems.append(f"{where} is not imported: that artifact is not in the record")
        elif side not in ("input", "output"):
            store.problems.append(f"{where} is not imported: its direction is {side!r}")
        else:
            found.setdefault(run_id, ([], []))[side == "output"].append(artifacts[artifact])
    for run_id, snapshot in store.snapshots.items():
        if run_id not in found:
            found[run_id] = (_listed(snapshot, "inputs", store), _listed(snapshot, "outputs", store))
    for lists in found.values():
        for rows_of in lists:
            rows_of.sort(key=lambda row: (str(row.get("key")), str(row["id"])))
    return found


def _listed(snapshot: Row, side: str, store: Store) -> list[Row]:
    given = snapshot.get(side)
    items = given if isinstance(given, list) else []
    found = [item for item in items if isinstance(item, dict) and item.get("id")]
    if len(found) < len(items):
        store.problems.append(f"the snapshot of run {snapshot['run']['id']!r} has {side} without an id: not imported")
    return found


def roots_of(known: Known, place: Path) -> Row:
    """Where ``./`` and the mounts of a run's URIs led: to its run directory, or to that of the record if it is gone."""
    recorded = known.meta.get("_physical_run_dir")
    folder = place if place.is_dir() else place.parent
    if not isinstance(recorded, str) or not recorded or (place.is_dir() and not _is_folder(recorded)):
        recorded = str(folder)
    return {"run_dir": recorded, "mounts": known.meta.get("mounts")}


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


# ---------------------------------------------------------------- one run


def event_of(known: Known, store: Store, place: str) -> RunImported:
    """The event of a run, without the digest of its content."""
    row, meta, problems = known.row, known.meta, store.problems
    where = f"run {shortened(str(row['id']), 60)}"
    facet = known.facet
    config = known.snapshot.get("config") or meta.get("config")
    status, error = _end(row, meta, where, problems)
    times = _times(row)
    if not times:
        problems.append(f"{where} has no time: it is imported as of 1970")
    started, ended = _first(times), times.get("ended_at")
    is_hit = meta.get("cache_hit") is True
    theirs = {
        **{name: text(row[name]) for name in _HASHES if row.get(name) is not None},
        "status": text(row.get("status")),
        **({"cache_hit": True, "cache_source": text(meta.get("cache_source"))} if is_hit else {}),
    }
    model = text(row.get("model_name")) or "unknown"
    run_id = str(text(row["id"]))
    return RunImported(
        run_id=run_id,
        name=run_id if known.is_header else model,
        model=model,
        kind="scenario" if known.is_header else "run",
        status=status,
        parent=None if known.parent is None else known.parent.key,
        description=text(row.get("description")),
        year=_number(row, "year", where, problems),
        iteration=_number(row, "iteration", where, problems),
        phase=text(row.get("phase") or meta.get("phase")),
        stage=text(row.get("stage") or meta.get("stage")),
        tags=[str(text(tag)) for tag in _tags(row)],
        config=plain(config, f"{where}: its config", problems) if config else None,
        facet=plain(_facet(facet, known.snapshot), f"{where}: its facet", problems),
        facet_schema_version=text(facet.get("schema_version")),
        meta={**(plain(meta, f"{where}: its metadata", problems) or {}), "imported": theirs},
        inputs=[
            InputLink(role=name, artifact=artifact_id(item["id"]), key=str(text(item.get("key"))), via="imported")
            for name, item in _named(known.inputs)
        ],
        outputs=[OutputLink(key=name, artifact=artifact_id(item["id"])) for name, item in _named(known.outputs)],
        started_at=_at(started),
        ended_at=None if ended is None else _at(ended),
        seconds=None if ended is None or is_hit or ended < started else (ended - started) / 1e6,
        error=error,
        run_dir=quote(str(roots_of(known, store.place)["run_dir"])),
        program=PROGRAM,
        store=place,
        content="",
    )


def _facet(row: Row, snapshot: Row) -> Any:
    return row.get("json", row.get("facet_json")) or snapshot.get("facet") or None


def _named(rows: Iterable[Row]) -> Iterator[tuple[str, Row]]:
    """Artifacts by their keys; a second one of a key gets a number."""
    taken: set[str] = set()
    for row in rows:
        name = free_name(text(row.get("key")) or "file", taken)
        taken.add(name)
        yield name, row


def _end(row: Row, meta: Row, where: str, problems: list[str]) -> tuple[str, ErrorInfo | None]:
    """Status, and the error that belongs to it."""
    status = row.get("status")
    if status == "completed":
        return status, None
    if status in _ENDS:
        said = meta.get("error")
        return str(status), ErrorInfo(type="", message=str(text(said))) if said else None
    if status == "running":
        return "abandoned", ErrorInfo(type="", message="it had not ended when it was imported")
    problems.append(f"{where} has the status {status!r}, which is not known: imported as abandoned")
    return "abandoned", ErrorInfo(type="", message=f"its status was {text(status)!r}")


def _tags(row: Row) -> list[Any]:
    tags = row.get("tags")
    return tags if isinstance(tags, list) else [] if tags in (None, "") else [tags]


def _number(row: Row, name: str, where: str, problems: list[str]) -> int | None:
    value = row.get(name)
    if value is None or (type(value) is int and -(2**63) <= value < 2**63):
        return value
    problems.append(f"{where}: its {name} is {shortened(repr(value), 60)}, not a number: not imported")
    return None


# ---------------------------------------------------------------- times


def _times(row: Row) -> dict[str, int]:
    """Column -> microseconds since 1970, of those that are there; a time without a zone is UTC."""
    return {name: found for name in _TIMES if (found := _micros(row.get(name))) is not None}


def _first(times: dict[str, int]) -> int:
    return next((times[name] for name in _TIMES if name in times), 0)


def _micros(value: Any) -> int | None:
    if type(value) is int:
        try:
            return value if _EPOCH + timedelta(microseconds=value) else None
        except OverflowError:
            return None
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return (moment - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None


def _at(micros: int) -> str:
    """As the envelope of an event says it."""
    return (_EPOCH + timedelta(microseconds=micros)).isoformat(timespec="microseconds").replace("+00:00", "Z")
