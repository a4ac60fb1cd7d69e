"""SQLite takes the index that a query was made for, and goes through no table that grows with the project.

Every piece of SQL in the library is collected from its source and has to be in a query that is asked here.
"""

import ast
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

import consist_es
from consist_es.errors import MissingKeyError, OptionError
from consist_es.events import Draft, PayloadRedacted, RedactedEvent
from consist_es.projections import (
    BUILTIN,
    audit_index,
    cache_index,
    copies,
    coupler_state,
    imported,
    keeping,
    lineage,
    lineage_tree,
    near,
    origins,
    redactions,
    run_beginnings,
    run_names,
    run_table,
    shared_values,
    source_texts,
    sweeps,
)
from tests.support.views import MemoryLog, artifact, completed, fingerprint, one_of_each, step

PACKAGE = Path(consist_es.__file__).parent
OTHERS = {
    "postgres": "asked of a server, by whole keys of its tables: tests/log/test_postgres.py",
    "grouped.py": "asked of DuckDB, of files",
    "imports": "asked of another program's database",
    "views": "the projector's own tables, of a few rows, and what compares whole files",
    "system": "another file of keys and values",
    "artifacts": "the cache of digests",
    "identity": "the cache of sources",
    "doctor": "looks at every output on purpose",
    "keeping": "plans an eviction, which looks at every run and output",
    "exports": "goes through everything, as one streams it; a table of its own; questions for Datasette",
    "reading": "lists, sums and suggestions of the command line, which go through everything",
}
"""Rooms with other SQL than queries on the views."""
INFO = fingerprint("f")
SWEEP = sweeps.SweepRow(
    **dict.fromkeys(sweeps.SweepRow.__struct_fields__) | {"sweep": "w", "ids": ["a"]}  # type: ignore[arg-type]
)
RUN_KEY, RUN_ID, ARTIFACT = "sqlite_autoindex_runs_1", "runs_by_attempt", "sqlite_autoindex_artifacts_1"
LINK = "sqlite_autoindex_links_1"

NOTED = step("M", meta={"by": "hand"})
ENDED = Draft(
    PayloadRedacted(position=1, event="step_failed", digest="00", size=80, reason="r", status="failed"), run="A"
)
"""The end of a run was redacted."""

EVICTED = keeping.Evicted(1, "a1", "zones", "./x", "", "d", 9, "e", "p", "u", "A", "2026-01-01")

Query = Callable[[sqlite3.Connection], Any]
Asked = list[tuple[str, tuple[Any, ...]]]


class Case(NamedTuple):
    """A query function, and the indexes that its queries take."""

    ask: Query
    indexes: set[str]
    walks: tuple[str, ...] = ()
    """What it goes through from its end, up to a limit."""


def find(name: str, value: Any, *indexes: str) -> Case:
    return Case(lambda conn: run_table.find(conn, **{name: value}), {*indexes})


def find_artifacts(name: str, index: str) -> Case:
    filters: dict[str, Any] = {name: "x"}
    return Case(lambda conn: lineage.find_artifacts(conn, **filters), {index})


ALL_FILTERS: dict[str, Any] = dict.fromkeys(("model", "name", "parent", "scenario"), "x")

RUN_FILTERS = {
    "year": find("year", 2030, "runs_by_year"),
    "iteration": find("iteration", 1, "runs_by_iteration"),
    "phase": find("phase", "p", "runs_by_phase"),
    "stage": find("stage", "s", "runs_by_stage"),
    "model": find("model", "m", "runs_by_model"),
    "status": find("status", "failed", "runs_by_status"),
    "name": find("name", "n", "runs_by_name"),
    "kind": find("kind", "scenario", "runs_by_kind"),
    "parent": find("parent", "p", "runs_by_parent", RUN_ID, RUN_KEY),
    "scenario": find("scenario", "s", "runs_by_scenario", RUN_ID, RUN_KEY),
    "tags": find("tags", ["t"], "run_tags_by_tag", RUN_KEY),
    "facet": find("facet", {"a": 1}, "run_facets_by_value", RUN_KEY),
    "metadata": find("metadata", {"a": 1}, "run_meta_by_value", RUN_KEY),
}
FACETS = [None, True, "text", 1, 1.5, [1]]
ARTIFACT_FILTERS = {
    "key": "artifacts_by_key",
    "digest": "artifacts_by_digest",
    "uri": "artifacts_by_uri",
    "driver": "artifacts_by_driver",
    "kind": "artifacts_by_kind",
    "parent": "artifacts_by_parent",
    "creator": "artifacts_by_producer",
    "consumer": LINK,
    "run": LINK,
}


def unheard(kind: str | None) -> Query:
    def ask(conn: sqlite3.Connection) -> None:
        assert isinstance(run_names.no_run(conn, "run", "nothing like it", kind), MissingKeyError)

    return ask


QUERIES: dict[str, Case] = {
    **{f"runs by {name}": case for name, case in RUN_FILTERS.items()},
    **{f"runs by the facet {value!r}": find("facet", {"a": value}, "run_facets_by_value") for value in FACETS},
    **{f"artifacts by {name}": find_artifacts(name, index) for name, index in ARTIFACT_FILTERS.items()},
    "runs by two filters": Case(
        lambda conn: run_table.find(conn, year=2030, tags=["t", "u"]),
        {"runs_by_year", "run_tags_by_tag", "sqlite_autoindex_run_tags_1"},
    ),
    "runs by all filters": Case(
        lambda conn: run_table.find(conn, facet={"a": 1}, metadata={"a": 1}, **ALL_FILTERS),
        {"sqlite_autoindex_run_facets_1"},
    ),
    "newest runs": Case(run_table.find, {"runs_by_start"}, ("runs",)),
    "newest artifacts": Case(lineage.find_artifacts, set(), ("a",)),
    "nearest": Case(
        lambda conn: near.nearest(conn, model="m", name="n", info=INFO, scenario="s"),
        {"runs_computed_by_model", "runs_computed_by_name", RUN_KEY},
    ),
    "nearest, quickly": Case(
        lambda conn: near.quickly(conn, model="m", name="n", info=INFO, scenario="s"),
        {"runs_computed_by_model", "runs_computed_by_name", RUN_KEY},
    ),
    "same work": Case(lambda conn: near.same_work(conn, "f"), {"runs_by_fingerprint"}),
    "candidates": Case(lambda conn: [*cache_index.candidates(conn, "f")], {"cache_index_by_fingerprint"}),
    "candidate": Case(lambda conn: cache_index.candidate(conn, "k", "f"), {"sqlite_autoindex_cache_index_1"}),
    "reads": Case(lambda conn: cache_index.reads_of(conn, "k"), {"sqlite_autoindex_cache_index_1"}),
    "reads known": Case(lambda conn: cache_index.reads_known(conn, "d"), {"sqlite_autoindex_observed_reads_1"}),
    "carried": Case(lambda conn: cache_index.carried_to(conn, "f"), {"sqlite_autoindex_carried_over_1"}),
    "changes": Case(lambda conn: cache_index.changed_by(conn, "k"), {"sqlite_autoindex_cache_index_1"}),
    "acceptances": Case(lambda conn: cache_index.acceptances(conn, "f"), {"acceptances_by_fingerprint"}),
    "packages": Case(cache_index.package_acceptances, set(), ("package_acceptances",)),
    "run by key": Case(lambda conn: run_table.by_key(conn, "k"), {RUN_KEY}),
    "id of a run": Case(lambda conn: run_table.id_of(conn, "k"), {RUN_KEY}),
    "run by id": Case(lambda conn: run_table.get(conn, "zones"), {RUN_ID}),
    "run by id and number": Case(lambda conn: run_table.get(conn, "zones#2"), {RUN_ID}),
    "attempts": Case(lambda conn: run_table.attempts(conn, "zones"), {RUN_ID}),
    "unheard of": Case(unheard(None), {"runs_by_start"}, ("runs",)),
    "unheard of, of a kind": Case(unheard("scenario"), {"runs_by_kind"}),
    "beginning": Case(
        lambda conn: run_beginnings.beginning(conn, "zones"), {RUN_ID, "runs_by_status"}, ("checkpoint",)
    ),
    "going on": Case(run_beginnings.going_on, {"runs_by_status"}),
    "steps": Case(lambda conn: run_table.steps(conn, "s"), {"runs_by_scenario"}),
    "last step": Case(lambda conn: run_table.last_step(conn, "s"), {"runs_by_scenario"}),
    "steps in short": Case(lambda conn: run_table.step_summaries(conn, "s"), {"runs_by_scenario"}),
    "counts of steps": Case(lambda conn: run_table.counts(conn, "s"), {"runs_by_scenario"}),
    "scenarios": Case(run_table.scenarios, {"runs_by_kind"}),
    "running": Case(run_table.running, {"runs_by_status"}),
    "started since": Case(lambda conn: run_table.started_since(conn, 3), {"runs_by_start"}),
    "artifact": Case(lambda conn: lineage.artifact(conn, "a"), {ARTIFACT}),
    "artifacts by id": Case(lambda conn: lineage.by_ids(conn, ["a"]), {ARTIFACT}),
    "latest of a key": Case(lambda conn: lineage.latest_by_key(conn, "a"), {"artifacts_by_key"}),
    "latest of a run": Case(lambda conn: lineage.latest_by_key(conn, "a", "k"), {LINK}),
    "artifacts at a place": Case(lambda conn: lineage.by_uri(conn, "./a"), {"artifacts_by_uri"}),
    "places since": Case(lambda conn: lineage.places_since(conn, 1 << 60), set()),
    "same content": Case(lambda conn: lineage.same_content(conn, "d"), {"artifacts_by_digest"}),
    "outputs": Case(lambda conn: lineage.outputs(conn, "k"), {LINK}),
    "results": Case(lambda conn: lineage.results(conn, "k"), {LINK}),
    "inputs": Case(lambda conn: lineage.inputs(conn, "k"), {LINK}),
    "inputs by their way": Case(lambda conn: lineage.inputs(conn, "k", "inputs"), {LINK}),
    "logged inputs": Case(lambda conn: lineage.logged_inputs(conn, "k"), {LINK}),
    "outputs of a scenario": Case(lambda conn: lineage.scenario_outputs(conn, "s"), {"runs_by_scenario", LINK}),
    "inputs of a scenario": Case(lambda conn: lineage.scenario_inputs(conn, "s"), {"runs_by_scenario", LINK}),
    "origins": Case(lambda conn: lineage_tree.upstream(conn, "a1"), {ARTIFACT}),
    "uses": Case(lambda conn: lineage_tree.downstream(conn, "a0"), {ARTIFACT}),
    "inputs in SQL": Case(
        lambda conn: conn.execute("SELECT * FROM run_inputs WHERE run_key = ?", ("k",)), {LINK, RUN_KEY}
    ),
    "outputs in SQL": Case(
        lambda conn: conn.execute("SELECT * FROM run_outputs WHERE run_key = ?", ("k",)), {LINK, RUN_KEY}
    ),
    "edges in SQL": Case(
        lambda conn: conn.execute("SELECT * FROM lineage_edges WHERE artifact_id = ?", ("a",)), {"links_by_artifact"}
    ),
    "events of a scenario": Case(lambda conn: audit_index.positions(conn, "s"), {"audit_index_by_scenario"}),
    "newest events": Case(lambda conn: audit_index.newest(conn, 1, ["t"], None, 5), {"INTEGER PRIMARY KEY"}),
    "newest events of a scenario": Case(
        lambda conn: audit_index.newest(conn, 1, ["t"], "s", 5), {"audit_index_by_scenario"}
    ),
    "places of events": Case(lambda conn: audit_index.places(conn, [1]), {"INTEGER PRIMARY KEY"}),
    "start of a run": Case(lambda conn: audit_index.begins(conn, "k"), {"audit_index_by_run"}),
    "revocations": Case(
        lambda conn: audit_index.revocations(conn, "acceptance_revoked", 1), {"audit_index_of_revocations"}
    ),
    "number of events": Case(audit_index.count, set(), ("audit_index",)),
    "coupler": Case(lambda conn: coupler_state.state(conn, "s"), {"sqlite_autoindex_coupler_1"}),
    "coupler by key": Case(lambda conn: coupler_state.latest(conn, "k"), {"coupler_by_key"}),
    "declared": Case(lambda conn: coupler_state.declared(conn, "s"), {"sqlite_autoindex_declared_outputs_1"}),
    "writer": Case(lambda conn: origins.writer_details(conn, "w"), {"sqlite_autoindex_writers_1"}),
    "environment": Case(lambda conn: origins.environment(conn, "e"), {"sqlite_autoindex_environments_1"}),
    "environment known": Case(lambda conn: origins.environment_known(conn, "e"), {"sqlite_autoindex_environments_1"}),
    "imported runs": Case(imported.contents, {"runs_imported"}, ("runs",)),
    "redaction": Case(lambda conn: redactions.redaction(conn, 1), {"INTEGER PRIMARY KEY"}),
    "sweeps of a scenario": Case(lambda conn: sweeps.of_scenario(conn, "s"), {"sweeps_by_scenario"}),
    "missing rows of a sweep": Case(lambda conn: sweeps.missing(conn, SWEEP, 5), {"runs_by_sweep"}),
    "runs of a sweep": Case(lambda conn: run_table.of_sweep(conn, "w"), {"runs_by_sweep"}),
    "source texts": Case(lambda conn: source_texts.texts(conn, ["b3:s"]), {"sqlite_autoindex_source_texts_1"}),
    "copies with these bytes": Case(lambda conn: copies.with_bytes_of(conn, "a1", "d-a1"), {"copies_by_digest"}),
    "evictions that stand": Case(
        lambda conn: keeping.evicted(conn, ["a1"]), {"evictions_by_artifact", "materializations_by_artifact"}
    ),
    "last evictions": Case(lambda conn: keeping.last_evictions(conn, ["a1"], 99), {"evictions_by_artifact"}),
    "bytes of an eviction": Case(lambda conn: keeping.bytes_of(conn, "e"), {"evictions_by_call"}),
    "made again": Case(
        lambda conn: keeping.made_again(conn, EVICTED), {RUN_KEY, "runs_by_fingerprint", "artifacts_by_producer"}
    ),
    "pins": Case(lambda conn: keeping.pins(conn), set(), ("pins",)),
    "copies of artifacts": Case(lambda conn: copies.of_artifacts(conn, ["a1"]), {"copies_by_artifact"}),
    "every copy": Case(lambda conn: [*copies.every(conn)], {"INTEGER PRIMARY KEY"}),
    "values known": Case(lambda conn: shared_values.known(conn, "d"), {"shared_values_by_digest"}),
    "values": Case(lambda conn: shared_values.values_of(conn, "d"), {"shared_values_by_digest"}),
    "places of values": Case(lambda conn: shared_values.positions(conn, "d"), {"shared_values_by_digest"}),
}
BY_REDACTION = {
    "values of starts": Case(lambda conn: shared_values.referred_to(conn, [1], by_others=True), set()),
}
"""Only redacting asks these, and reads everything anyway."""


# ---------------------------------------------------------------- what is asked


class Cursor(sqlite3.Cursor):
    """Notes what is asked."""

    def execute(self, sql: str, values: Any = ()) -> "Cursor":
        assert isinstance(self.connection, Connection)
        self.connection.asked.append((sql, tuple(values)))
        return super().execute(sql, values)


class Connection(sqlite3.Connection):
    """Notes what is asked."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked: Asked = []

    def cursor(self, _factory: Any = None) -> Any:
        return super().cursor(Cursor)

    def execute(self, sql: str, values: Any = ()) -> Any:
        return self.cursor().execute(sql, values)


def asked(conn: sqlite3.Connection, ask: Query) -> Asked:
    """The SQL of a query function, with its values."""
    (place,) = [path for _, name, path in conn.execute("PRAGMA database_list") if name == "main"]
    with closing(sqlite3.connect(place, factory=Connection)) as listening:
        ask(listening)
        return listening.asked


def plan(conn: sqlite3.Connection, sql: str, values: tuple[Any, ...]) -> list[str]:
    return [row[3] for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


def plans(conn: sqlite3.Connection, ask: Query) -> list[str]:
    """How SQLite carries out what a query function asks."""
    found = asked(conn, ask)
    assert found
    return [line for sql, values in found for line in plan(conn, sql, values)]


def walked(lines: list[str]) -> list[str]:
    """The tables that are gone through; JSON texts, constants, and what a query itself found are none."""
    words = [line.split() for line in lines if line.startswith("SCAN") and "VIRTUAL TABLE" not in line]
    return [name for _, name, *_ in words if name != "CONSTANT" and not name.startswith("(subquery")]


@pytest.fixture(params=["empty", "one of each", "runs"])
def views(fold: Callable[..., sqlite3.Connection], request: pytest.FixtureRequest) -> sqlite3.Connection:
    if request.param == "empty":
        return fold()
    if request.param == "one of each":
        return fold(*one_of_each())
    runs = [(f"k{n}", f"step{n % 50}", f"a{n}") for n in range(10_000)]
    return fold(
        *(
            draft
            for key, name, made in runs
            for draft in (step(key, name, year=2030, tags=["t"], meta={"a": 1}), artifact(key, made), completed(key))
        )
    )


def test_every_query_takes_its_index(views: sqlite3.Connection) -> None:
    for name, case in QUERIES.items():
        lines = plans(views, case.ask)
        missing = {index for index in case.indexes if not any(index in line for line in lines)}
        assert not missing, (name, lines)
        assert {*walked(lines)} <= {*case.walks}, (name, lines)
        assert not [line for line in lines if "AUTOMATIC" in line], (name, lines)


def test_the_newest_rows_are_taken_without_sorting(views: sqlite3.Connection) -> None:
    for name in [*RUN_FILTERS, "two filters"]:
        lines = plans(views, QUERIES[f"runs by {name}"].ask)
        assert not [line for line in lines if "ORDER BY" in line], (name, lines)
    for name in ARTIFACT_FILTERS.keys() - {"consumer", "run"}:  # those of one run are few
        lines = plans(views, QUERIES[f"artifacts by {name}"].ask)
        assert not [line for line in lines if "ORDER BY" in line], (name, lines)
    assert plans(views, lineage.find_artifacts) == ["SCAN a"]


def test_every_filter_is_asked_for(fold: Callable[..., sqlite3.Connection]) -> None:
    conn = fold()
    with pytest.raises(OptionError) as refused:
        lineage.find_artifacts(conn, nothing="x")
    assert {*refused.value.allowed} == {*ARTIFACT_FILTERS, "limit"}
    with pytest.raises(OptionError) as refused:
        run_table.find(conn, nothing="x")
    assert {*refused.value.allowed} == {*RUN_FILTERS, "limit"}


# ---------------------------------------------------------------- all of it


def in_short(sql: str) -> str:
    return " ".join(sql.split())


def constants() -> Iterator[tuple[str, str]]:
    """File and text of every piece of SQL in the library, but for documentation."""
    files = [*PACKAGE.rglob("*.py"), *(PACKAGE / "projections").resolve().glob("*.py")]
    for file in {path.resolve() for path in files}:
        if {*file.relative_to(PACKAGE.parent).parts} & OTHERS.keys():
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
                text = in_short(node.value)
                if re.search(r"\b(SELECT|UPDATE|DELETE FROM|INSERT INTO|FROM) ", text) and not text.startswith(
                    "CREATE"
                ):
                    yield file.name, text


def folded() -> set[str]:
    """The SQL of all folds, also of redacted events."""
    told = MemoryLog([outside(draft) for draft in (*one_of_each(), ENDED, NOTED)]).events
    redacted = [msgspec.structs.replace(each, event=RedactedEvent(each.type, each.v, "00")) for each in told]
    return {sql for view in BUILTIN for event in (*told, *redacted) for sql, _ in view.fold(event)}


def outside(draft: Draft) -> Draft:
    """The same event, with a run and a scenario."""
    return msgspec.structs.replace(draft, scenario=draft.scenario or "S", run=draft.run or "S")


def test_every_piece_of_sql_is_asked_for(fold: Callable[..., sqlite3.Connection]) -> None:
    conn = fold(*one_of_each())
    asks = [case.ask for case in (*QUERIES.values(), *BY_REDACTION.values())]
    whole = {in_short(sql) for ask in asks for sql, _ in asked(conn, ask)} | {*map(in_short, folded())}
    whole |= {in_short(sql) for (sql,) in conn.execute("SELECT sql FROM sqlite_master WHERE type = 'view'")}
    found = [*constants()]
    assert len(found) > 100
    unasked = [(file, text) for file, text in found if not any(text in sql for sql in whole)]
    assert not unasked, "give these a line in QUERIES, or an event in one_of_each()"


def test_no_fold_goes_through_a_table(views: sqlite3.Connection) -> None:
    for sql in folded():
        numbers = [int(number) for number in re.findall(r"\?(\d+)", sql)]
        lines = plan(views, sql, (None,) * max([len(re.findall(r"\?(?!\d)", sql)) + len({*numbers} - {0}), *numbers]))
        assert not {*walked(lines)} - {"package_acceptances"}, (sql, lines)
