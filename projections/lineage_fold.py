"""The fold of the lineage.

Links are put together in memory and written once: of an output, a run says three times that it has it.
"""

from collections.abc import Callable, Iterable
from typing import Any

from consist_es.events import (
    ArtifactLogged,
    ArtifactMaterialized,
    CacheHit,
    CopyForgotten,
    CopyRecorded,
    HitDemoted,
    OutputLink,
    Recorded,
    RunImported,
    StepCompleted,
    StepStarted,
)
from consist_es.projections import copies
from consist_es.projections.artifact_rows import ArtifactRow, artifact_row
from consist_es.projections.plumbing import Grouped, run_of, to_text
from consist_es.views.projector import Statement

_ARTIFACT = """
INSERT INTO artifacts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (artifact_id) DO NOTHING
"""
_LINK = """
INSERT INTO links (run_key, direction, name, artifact_id, position, via, result, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""
# An input logged without a role has a link of its own until the run gives it a role.
_UNNAMED_INPUT = """
INSERT INTO links (run_key, direction, name, artifact_id, position, via, seq)
SELECT ?, 'input', ?, ?, 0, 'logged', ?
WHERE NOT EXISTS (SELECT 1 FROM links WHERE run_key = ? AND direction = 'input' AND artifact_id = ?)
"""
_DROP_UNNAMED = """
DELETE FROM links WHERE run_key = ? AND direction = 'input' AND artifact_id = ? AND via = 'logged'
"""
# The link may be older than the events that are folded now.
_RESULT = """
UPDATE links SET result = ?1 WHERE run_key = ? AND direction = 'output' AND name = ? AND artifact_id = ?
    AND result IS NOT ?1
"""
_DROP_HIT = "DELETE FROM links WHERE run_key = ? AND direction = 'output' AND via = 'hit'"
_MATERIALIZED = """
INSERT INTO materializations (seq, artifact_id, key, uri, source_uri, digest, reason, run_key, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_Key = tuple[str, str, str]
"""Direction, name, artifact."""
_VIA, _PLACE = 1, 2
"""Within the values of a link: position, binding, place among the results, seq."""


class _Links:
    """The links and artifacts so far, and the statements before them."""

    def __init__(self) -> None:
        self.done = Grouped()
        self.artifacts: list[tuple[Any, ...]] = []
        self.materialized: list[tuple[Any, ...]] = []
        self._links: dict[str, dict[_Key, list[Any]]] = {}
        """Run -> its links."""
        self._dropped: list[tuple[str, str]] = []
        self._results: dict[tuple[str, str, str], int] = {}
        """(run, name, artifact) -> place."""

    def link(self, run: str, key: _Key, position: int, via: str, seq: int) -> list[Any]:
        """Add a link; the first of its kind counts, and is returned."""
        return self._links.setdefault(run, {}).setdefault(key, [position, via, None, seq])

    def outputs(self, run: str, links: list[OutputLink], via: str, seq: int) -> None:
        """Add outputs of a run."""
        for position, item in enumerate(links):
            self.link(run, ("output", item.key, item.artifact), position, via, seq)

    def results(self, run: str, links: list[OutputLink], seq: int) -> None:
        """Add outputs that the caller of a run received."""
        self.outputs(run, links, "completed", seq)
        for place, item in enumerate(links):
            self._links[run]["output", item.key, item.artifact][_PLACE] = place
            self._results[run, item.key, item.artifact] = place

    def has_input(self, run: str, artifact: str) -> bool:
        """True if an input is linked among the links that are held."""
        return any(key[0] == "input" and key[2] == artifact for key in self._links.get(run, ()))

    def drop_unnamed(self, run: str, artifacts: Iterable[str]) -> None:
        """Drop the links of inputs that the run logged without a role."""
        self._dropped += [(run, artifact) for artifact in artifacts]
        if held := self._links.get(run):
            given = set(artifacts)
            for key in [key for key, link in held.items() if key[0] == "input" and link[_VIA] == "logged"]:
                if key[2] in given:
                    del held[key]

    def then(self, sql: str, values: tuple[Any, ...]) -> None:
        """Add a statement that may concern any link."""
        self.write()
        self.done.add(sql, values)

    def apart(self, statements: Iterable[Statement]) -> None:
        """Add statements that concern neither links nor artifacts."""
        for sql, values in statements:
            self.done.add(sql, values)

    def write(self) -> None:
        """Write what is held."""
        links = [(run, *key, *link) for run, held in self._links.items() for key, link in held.items()]
        self.done.add_all(_ARTIFACT, self.artifacts)
        self.done.add_all(_MATERIALIZED, self.materialized)
        self.done.add_all(_DROP_UNNAMED, self._dropped)
        self.done.add_all(_LINK, links)
        self.done.add_all(_RESULT, [(place, *what) for what, place in self._results.items()])
        self.artifacts, self.materialized, self._links, self._dropped, self._results = [], [], {}, [], {}


def fold(recorded: Recorded) -> Iterable[Statement]:
    """See `consist_es.views.folding.Projection`."""
    return [(sql, values) for sql, rows in fold_group([recorded]) for values in rows]


def fold_group(events: Iterable[Recorded]) -> Grouped:
    """See `consist_es.views.folding.Projection`."""
    links = _Links()
    for recorded in events:
        handler = _FOLDS.get(type(recorded.event))
        if handler is not None:
            handler(links, recorded, recorded.event)
    links.write()
    return links.done


def _step_started(links: _Links, recorded: Recorded, event: StepStarted) -> None:
    run = run_of(recorded)
    if event.inputs:
        links.drop_unnamed(run, [item.artifact for item in event.inputs])
        for position, item in enumerate(event.inputs):
            links.link(run, ("input", item.role, item.artifact), position, item.via, recorded.seq)


def _values(recorded: Recorded, event: ArtifactLogged) -> tuple[Any, ...]:
    """Values of all columns of `artifacts`, in order."""
    place = (event.artifact, event.key, event.uri, event.root, event.kind, event.driver)
    content = (event.digest, event.digest_method, event.size, event.mtime_ns, event.producer)
    inside = (event.table_path, event.array_path, event.parent, to_text(event.schema), event.rows)
    said = (to_text(event.facet), event.facet_schema_version, to_text(event.meta) if event.meta else "{}")
    return (*place, *content, *inside, *said, recorded.time, recorded.seq)


def row_of(recorded: Recorded, event: ArtifactLogged) -> ArtifactRow:
    """The row made by an event, if it is the first one of its artifact."""
    return artifact_row(_values(recorded, event))


def _artifact_logged(links: _Links, recorded: Recorded, event: ArtifactLogged) -> None:
    if event.direction not in ("input", "output"):
        raise ValueError(f"direction is {event.direction!r}, neither input nor output")
    links.artifacts.append(_values(recorded, event))
    run, seq = recorded.run, recorded.seq
    if run is None:
        return
    if event.direction == "output" or event.role is not None:
        name = event.key if event.role is None or event.direction == "output" else event.role
        links.link(run, (event.direction, name, event.artifact), 0, "logged", seq)
    elif not links.has_input(run, event.artifact):
        links.then(_UNNAMED_INPUT, (run, event.key, event.artifact, seq, run, event.artifact))


def _hit(links: _Links, recorded: Recorded, event: CacheHit) -> None:
    links.outputs(run_of(recorded), event.outputs, "hit", recorded.seq)


def _completed(links: _Links, recorded: Recorded, event: StepCompleted) -> None:
    run = run_of(recorded)
    links.outputs(run, event.all_outputs, "completed", recorded.seq)
    links.results(run, event.outputs, recorded.seq)


def _imported(links: _Links, recorded: Recorded, event: RunImported) -> None:
    run = run_of(recorded)
    for position, item in enumerate(event.inputs):
        links.link(run, ("input", item.role, item.artifact), position, item.via, recorded.seq)
    links.results(run, event.outputs, recorded.seq)


def _demoted(links: _Links, recorded: Recorded, _event: HitDemoted) -> None:
    links.then(_DROP_HIT, (run_of(recorded),))


def _materialized(links: _Links, recorded: Recorded, event: ArtifactMaterialized) -> None:
    what = (event.artifact, event.key, event.uri, event.source_uri, event.digest, event.reason)
    links.materialized.append((recorded.seq, *what, recorded.run, recorded.time))


def _copied(links: _Links, recorded: Recorded, event: CopyRecorded) -> None:
    links.apart(copies.recorded_copy(recorded, event))


def _forgotten(links: _Links, recorded: Recorded, event: CopyForgotten) -> None:
    links.apart(copies.forgotten(recorded, event))


_FOLDS: dict[type, Callable[[_Links, Recorded, Any], None]] = {
    StepStarted: _step_started,
    StepCompleted: _completed,
    CacheHit: _hit,
    HitDemoted: _demoted,
    RunImported: _imported,
    ArtifactLogged: _artifact_logged,
    ArtifactMaterialized: _materialized,
    CopyRecorded: _copied,
    CopyForgotten: _forgotten,
}
TAKES = frozenset(_FOLDS)
