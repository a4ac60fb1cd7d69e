"""Folding: exactly once, the same live and rebuilt, whatever the events."""

import re
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consist_es.errors import NotOurDatabaseError, UsageError, ViewError
from consist_es.events import REGISTRY, CacheMissed, Draft, InputLink, MetaLogged, Recorded
from consist_es.projections import BUILTIN, lineage, run_table
from consist_es.views import file as view_file
from consist_es.views import folding
from consist_es.views.changes import COUNTED
from consist_es.views.compare import Row, counts, differences, dump, keys
from consist_es.views.folding import Statement, dead_letters
from consist_es.views.projector import Projector
from consist_es.views.tables import Making, create_own
from tests.support.views import (
    BATCHES,
    DRAFTS,
    MemoryLog,
    NoteTaken,
    artifact,
    completed,
    make_log,
    make_views,
    one_of_each,
    rows,
    scenario,
    state,
    step,
)

CELLS = st.none() | st.integers(-2, 2) | st.sampled_from(["", "a", "b", "ü", "𝄞"])
ROWS = st.tuples(CELLS, CELLS)

if TYPE_CHECKING:
    import sqlite_utils


@settings(max_examples=40)
@given(BATCHES)
def test_views_at_any_position_are_the_same_live_and_rebuilt(batches: list[list[Draft]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = make_log(folder)
        views = make_views(folder, log)
        live = {}
        for batch in batches:
            at = log.append(batch)[-1]
            views.catch_up()
            live[at] = state(views.path)
        for at, expected in live.items():
            views.rebuild(target=folder / "then.db", until=at)
            assert state(folder / "then.db") == expected
        views.rebuild()
        assert state(views.path) == live[at]
        views.close()
        log.close()


@settings(max_examples=60)
@given(st.lists(DRAFTS, min_size=2, max_size=30), st.integers(1, 29))
def test_events_folded_together_leave_the_rows_of_events_folded_one_by_one(
    empty: sqlite3.Connection, drafts: list[Draft], cut: int
) -> None:
    events = MemoryLog(drafts).events
    found = [
        folded(empty, groups) for groups in ([[event] for event in events], [events[:cut], events[cut:]], [events])
    ]
    assert found[0] == found[1] == found[2]


def test_a_whole_run_is_written_with_one_statement_per_table(empty: sqlite3.Connection) -> None:
    link = InputLink(role="demand", artifact="a0", key="demand", digest="d-a0")
    run = [
        step("A", inputs=[link], tags=["t", "u"], facet={"lanes": 2}, meta={"by": "x"}),
        Draft(CacheMissed(reason="no_similar_prior_run"), run="A"),
        artifact("A", "a1", "zones"),
        completed("A", ("zones", "a1")),
    ]
    events = MemoryLog(run).events
    texts = [sql.split()[:3] for view in (run_table, lineage) for sql, _ in view.fold_group(events)]
    assert [" ".join(words) for words in texts] == [
        *("INSERT INTO runs", "INSERT INTO run_tags", "INSERT INTO run_facets", "INSERT INTO run_meta"),
        *("INSERT INTO artifacts", "DELETE FROM links", "INSERT INTO links", "UPDATE links SET"),
    ]
    assert [row[1:4] for row in folded(empty, [events])["links"]] == [
        ("input", "demand", "a0"),
        ("output", "zones", "a1"),
    ]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """Views without an event."""
    with closing(view_file.create(tmp_path_factory.mktemp("empty") / "p.db")) as conn:
        create_own(conn, {})
        for view in BUILTIN:
            view.create(Making(conn))
        yield conn


def folded(conn: sqlite3.Connection, groups: list[list[Recorded]]) -> dict[str, list[Row]]:
    """The rows of all views after folding groups of events; nothing stays."""
    conn.execute("BEGIN")
    try:
        grown: Counter[str] = Counter()
        for events in filter(None, groups):
            grown.update(folding.fold_all(conn, BUILTIN, events))
        for table in COUNTED:
            assert conn.execute(f"SELECT count(*) FROM {table}").fetchone() == (grown[table],), table
        found = {table: list(dump(conn, table)) for view in BUILTIN for table in ("dead_letter", *view.tables)}
        for query in (
            "SELECT started_seq FROM runs ORDER BY rowid",
            "SELECT created_seq FROM artifacts ORDER BY rowid",
        ):
            order = conn.execute(query).fetchall()
            assert order == sorted(order)
        return found
    finally:
        conn.execute("ROLLBACK")


def test_a_rebuild_equals_the_live_views_after_every_type_of_event(tmp_path: Path) -> None:
    drafts = one_of_each()
    assert {draft.event.TYPE for draft in drafts} == {name for name, _ in REGISTRY} | {NoteTaken.TYPE}
    log = make_log(tmp_path)
    views = make_views(tmp_path, log)
    for draft in drafts:
        log.append([draft])
        views.catch_up()
    views.rebuild(target=tmp_path / "new.db")
    assert views.compare(tmp_path / "new.db") == {}
    assert state(views.path) == state(tmp_path / "new.db")
    letters = rows(views.catch_up(), "SELECT projection, type FROM dead_letter")
    assert letters == [("run_table", "scenario_exited")], "only the event without a run"
    views.close()


def test_catching_up_twice_folds_nothing_twice(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    views = make_views(tmp_path, log)
    log.append([scenario("S"), scenario("T")])
    for _ in range(2):
        assert rows(views.catch_up(), "SELECT id FROM runs ORDER BY started_seq") == [("base",), ("base#2",)]
    log.append([scenario("U")])
    for _ in range(2):
        assert rows(views.catch_up(), "SELECT max(id), count(*) FROM runs") == [("base#3", 3)]
    views.close()


def test_a_backlog_larger_than_a_batch_is_folded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = make_log(tmp_path)
    log.append([step("first")])  # views without an event are made anew when there is one
    views = make_views(tmp_path, log)
    views.catch_up()
    monkeypatch.setattr("consist_es.views.projector.BATCH", 3)
    monkeypatch.setattr(folding, "BATCH", 3)
    taken: list[int] = []

    def noted(events: Iterator[Recorded]) -> list[Recorded]:
        found = folding.whole(events)
        taken.append(len(found))
        return found

    monkeypatch.setattr("consist_es.views.projector.whole", noted)
    for number in range(5):
        log.append([step(f"{number}-{part}") for part in range(2)])
    assert rows(views.catch_up(), "SELECT count(*) FROM runs") == [(11,)]
    assert taken == [4, 4, 2]  # never a part of what was recorded together
    assert views.checkpoint() == log.head()
    views.close()


def test_queries_cannot_change_the_views(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    log.append([scenario("S")])
    views = make_views(tmp_path, log)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        views.catch_up().execute("DELETE FROM runs")
    log.append([scenario("T")])
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        views.catch_up().execute("DELETE FROM runs")
    views.close()


# ---------------------------------------------------------------- dead letters


class Picky:
    """A view of metadata that some events upset, in Python or in SQLite, before or after it wrote something."""

    name = "picky"
    version = 1
    tables: tuple[str, ...] = ("picky",)

    def create(self, db: "sqlite_utils.Database") -> None:
        db.create_table("picky", {"seq": int, "part": int}, pk=("seq", "part"))

    def index(self, db: "sqlite_utils.Database") -> None:
        pass

    def fold(self, recorded: Recorded) -> Iterable[Statement]:
        if not isinstance(recorded.event, MetaLogged):
            return
        insert = "INSERT INTO picky (seq, part) VALUES (?, ?)"
        yield insert, (recorded.seq, 1)
        how = recorded.event.values.get("how")
        if how == "python":
            raise KeyError("how")
        if how == "values":
            yield insert, (recorded.seq,)
        if how == "type":
            yield insert, (recorded.seq, {})
        if how == "large":
            yield insert, (recorded.seq, 2**64)
        if how == "function":
            yield "UPDATE picky SET part = json_merge('{', '{}')", ()
        if how == "sql":
            yield "INSERT INTO picky (no_such_column) VALUES (?)", (1,)
        yield insert, (recorded.seq, 1 if how == "twice" else 2)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("python", "KeyError: 'how'"),
        ("values", "ProgrammingError: Incorrect number of bindings supplied"),
        ("type", "(ProgrammingError|InterfaceError): Error binding parameter"),
        ("large", "OverflowError: "),
        ("sql", "OperationalError: table picky has no column named no_such_column"),
        ("function", "OperationalError: user-defined function raised exception"),
        ("twice", "IntegrityError: UNIQUE constraint failed: picky.seq, picky.part"),
    ],
)
def test_an_event_that_a_fold_cannot_take_goes_to_dead_letter_alone(tmp_path: Path, how: str, error: str) -> None:
    log = make_log(tmp_path)
    views = make_views(tmp_path, log, [*BUILTIN, Picky()])
    views.catch_up()
    log.append([scenario("S"), *(Draft(MetaLogged(values={"how": how_}), run="S") for how_ in ("well", how, "well"))])
    first = log.head().seq - 2
    conn = views.catch_up()
    (letter,) = dead_letters(conn)
    assert (letter.seq, letter.projection, letter.type) == (first + 1, "picky", "meta_logged")
    assert re.match(error, letter.error)
    assert rows(conn, "SELECT seq, part FROM picky") == [(first, 1), (first, 2), (first + 2, 1), (first + 2, 2)]
    assert rows(conn, "SELECT json_extract(meta, '$.how') FROM runs") == [("well",)], "other views took all of it"
    views.rebuild(target=tmp_path / "new.db")
    assert views.compare(tmp_path / "new.db") == {}
    views.close()


class FullHouse:
    """A view whose tables are made in each way that `sqlite_utils.Database` has for it, and by SQL."""

    name = "full_house"
    version = 1
    tables: tuple[str, ...] = ("by_create", "by_insert", "by_sql", "by_connection")

    def create(self, db: "sqlite_utils.Database") -> None:
        made = db.create_table(
            "by_create", {"seq": int, "share": float, "raw": bytes}, pk="seq", defaults={"share": 1.5}
        )
        made.create_index(["share"], if_not_exists=True)
        db["by_insert"].insert({"seq": 0, "text": "start"}, pk="seq")  # type: ignore[union-attr]
        db.execute("CREATE TABLE by_sql (seq INTEGER PRIMARY KEY, text TEXT)")
        db.execute("INSERT INTO by_sql VALUES (?, ?)", (0, "start"))
        db.conn.execute("CREATE TABLE by_connection (seq INTEGER PRIMARY KEY)")

    def index(self, db: "sqlite_utils.Database") -> None:
        db.table("by_insert").create_index(["text"], "texts")
        db.create_view("full_house", "SELECT seq FROM by_create")
        assert "by_create" in db.table_names()

    def fold(self, recorded: Recorded) -> Iterable[Statement]:
        yield "INSERT INTO by_create (seq) VALUES (?)", (recorded.seq,)


def test_a_view_of_somebody_else_is_made_with_all_that_sqlite_utils_has(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    log.append([scenario("S")])
    views = make_views(tmp_path, log, [*BUILTIN, FullHouse()])
    conn = views.catch_up()
    assert rows(conn, "SELECT seq, share FROM by_create JOIN full_house USING (seq)") == [(1, 1.5), (2, 1.5)]
    assert rows(conn, "SELECT * FROM by_insert UNION ALL SELECT * FROM by_sql") == [(0, "start"), (0, "start")]
    names = rows(conn, "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name LIKE 'by_%' AND sql <> ''")
    assert sorted(names) == [("idx_by_create_share",), ("texts",)]
    log.append([scenario("T")])
    views.catch_up()
    views.rebuild(target=tmp_path / "new.db")
    assert views.compare(tmp_path / "new.db") == {}
    views.close()


# ---------------------------------------------------------------- rebuild and compare


def test_a_rebuild_can_stop_at_a_time(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    views = make_views(tmp_path, log)
    log.append([scenario("S")])
    log.append([scenario("T")])
    first, second = (recorded for recorded in log.read() if recorded.type == "scenario_started")
    assert views.rebuild(target=tmp_path / "x.db", until=first.at) == first.seq
    assert views.rebuild(target=tmp_path / "x.db", until=second.at.replace("Z", "+00:00")) == second.seq
    assert views.rebuild(target=tmp_path / "x.db", until="2000-01-01T00:00:00+02:00") == 0
    views.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"until": 3}, "until= needs target="),
        ({"target": "x.db", "until": "yesterday"}, "'yesterday' is neither a position nor a time"),
        ({"target": "x.db", "until": "2026-11-22T08:13:00"}, "has no time zone"),
        ({"target": "p.db"}, "is the live view file"),
    ],
)
def test_a_rebuild_says_what_it_cannot_do(tmp_path: Path, arguments: dict[str, str], message: str) -> None:
    views = make_views(tmp_path, make_log(tmp_path))
    views.catch_up()
    given = {key: tmp_path / value if key == "target" else value for key, value in arguments.items()}
    with pytest.raises(UsageError, match=message):
        views.rebuild(**given)  # type: ignore[arg-type]
    views.close()


def test_a_rebuild_does_not_overwrite_another_programs_file(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    views = make_views(tmp_path, make_log(tmp_path))
    with pytest.raises(NotOurDatabaseError, match=r"notes\.txt is a text file"):
        views.rebuild(target=tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_rebuild_tells_how_far_it_is(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    log.append([scenario("S"), scenario("T")])
    said = []
    make_views(tmp_path, log).rebuild(target=tmp_path / "x.db", progress=lambda done, total: said.append((done, total)))
    assert said == [(log.head().seq, log.head().seq)]


def test_compare_names_the_rows_that_only_one_side_has(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    log.append([scenario("S")])
    views = make_views(tmp_path, log)
    views.rebuild(target=tmp_path / "x.db")
    with sqlite3.connect(tmp_path / "x.db") as other:
        other.execute("UPDATE audit_index SET type = 'forged' WHERE run_key = 'S'")
        other.execute("DELETE FROM runs")
    other.close()
    found = views.compare(tmp_path / "x.db")
    assert found.keys() == {"audit_index", "runs"}
    assert [side for side, _ in found["runs"]] == ["live"]
    assert sorted((side, row[3]) for side, row in found["audit_index"]) == [
        ("live", "scenario_started"),
        ("other", "forged"),
    ]
    views.close()


def test_compare_sees_a_column_more(tmp_path: Path) -> None:
    views = make_views(tmp_path, make_log(tmp_path))
    views.rebuild(target=tmp_path / "x.db")
    with sqlite3.connect(tmp_path / "x.db") as other:
        other.execute("ALTER TABLE checkpoint ADD COLUMN more")
    other.close()
    assert views.compare(tmp_path / "x.db").keys() == {"checkpoint"}
    views.close()


def test_the_tables_of_a_view_are_counted_and_their_rows_named_by_their_keys() -> None:
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute("CREATE TABLE two (b TEXT, a INTEGER, c TEXT, PRIMARY KEY (a, b))")
        conn.execute("CREATE TABLE empty (a)")
        conn.execute("CREATE VIEW seen AS SELECT a FROM two")
        conn.executemany("INSERT INTO two VALUES (?, ?, '')", [("x", 1), ("y", 1), ("x", 2)])
        assert counts(conn) == {"empty": 0, "two": 3}
        columns, primary = keys(conn, "two")
        assert columns == ["b", "a", "c"]
        assert set(primary) == {"a", "b"}


@given(st.lists(ROWS), st.lists(ROWS))
def test_differences_are_what_a_multiset_difference_says(mine: list[Row], theirs: list[Row]) -> None:
    def typed(row: Row) -> Row:
        return tuple((type(cell), cell) for cell in row)

    def sorted_by_sqlite(found: list[Row]) -> Iterator[Row]:
        with closing(sqlite3.connect(":memory:")) as conn:
            conn.execute("CREATE TABLE t (a, b)")
            conn.executemany("INSERT INTO t VALUES (?, ?)", found)
            return iter(conn.execute("SELECT a, b FROM t ORDER BY 1, 2, typeof(a), typeof(b)").fetchall())

    found = Counter((side, typed(row)) for side, row in differences(sorted_by_sqlite(mine), sorted_by_sqlite(theirs)))
    left, right = Counter(map(typed, mine)), Counter(map(typed, theirs))
    expected = {("live", row): count for row, count in (left - right).items()}
    assert found == expected | {("other", row): count for row, count in (right - left).items()}


def test_compare_with_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no database")
    views = make_views(tmp_path, make_log(tmp_path))
    with pytest.raises(ViewError, match=r"x\.db cannot be used"):
        views.compare(tmp_path / "x.db")
    views.close()


def test_a_closed_projector_opens_again(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    log.append([scenario("S")])
    views: Projector = make_views(tmp_path, log)
    views.catch_up()
    views.close()
    assert rows(views.catch_up(), "SELECT count(*) FROM runs") == [(1,)]
    views.close()


def test_an_interrupt_in_a_function_that_sqlite_calls_is_no_fault_of_the_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strikes = iter([KeyboardInterrupt()])

    def merges(old: str, new: str) -> str:
        if (strike := next(strikes, None)) is not None:
            raise strike
        return view_file._json_merge(old, new)

    def connects(path: Path, *, writes: bool = False) -> sqlite3.Connection:
        conn = connect(path, writes=writes)
        conn.create_function("json_merge", 2, merges)
        return conn

    connect = view_file.connect
    monkeypatch.setattr(view_file, "connect", connects)
    log = make_log(tmp_path)
    with make_views(tmp_path, log) as views:
        log.append([scenario("S"), step("A")])
        views.catch_up()
        log.append([Draft(MetaLogged(values={"note": None}), run="A")])
        with pytest.raises(KeyboardInterrupt):
            views.catch_up()
        conn = views.catch_up()
        assert dead_letters(conn) == []
        assert rows(conn, "SELECT meta FROM runs WHERE key = 'A'") == [('{"note":null}',)]
