"""R28: other people's SQL in the views; a call is right all the same, and nothing is lost."""

from __future__ import annotations

import random
import shutil
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import consist_es as consist
from consist_es import Tracker
from consist_es.projections import BUILTIN
from torture import operations
from torture.trial import Trial, require

TABLES = [name for view in BUILTIN for name in view.tables]
TOLD = ("runs", "run_tags", "run_facets", "links", "materializations", "environments")
"""Where a value that is changed shows in what is told of a run, but in no hit: those are changed less often."""
WORK = (0, 1, 2)


def step(n: int) -> Path:
    """Depends on what it is given, reads by itself and logs itself; its output says which of all that it saw."""
    late = Path(f"late{n % 2}.txt").absolute()
    consist.log_input(late, key="late")
    return operations.made("o", f"{n} {Path('beside.txt').read_text()} {late.read_text()}\n")


def edited(trial: Trial) -> None:
    """R28: each table emptied, then `count` times in all some changes by SQL, by themselves or under an open tracker;
    then every call gives what it should, all runs are told of, and a call whose inputs changed is computed."""
    room, kept = trial.room("p"), trial.folder / "kept"
    with operations.inside(room):
        for name in ("beside", "late0", "late1"):
            Path(f"{name}.txt").write_text(name)
        with Tracker(run_dir="runs", db_path="p.db", sync="os") as tracker:
            for n in WORK:
                tracker.run(step, config={"n": n}, outputs=["o"])
    shutil.copytree(room, kept)
    for number in trial.cases():
        shutil.rmtree(room)
        shutil.copytree(kept, room)  # to the same place: inputs beside the run's folder are recorded where they lie
        if number < len(TABLES):
            changes = [("rows deleted", f"DELETE FROM {TABLES[number]}")]
        else:
            changes = [_change(room / "p.db", trial.random) for _ in range(trial.random.choice((1, 1, 2, 4)))]
        name = f"case {number}: {'; '.join(sql for _, sql in changes)}"
        with trial.case(name, changes[0][0]), operations.inside(room), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _called(room, changes, trial.random)


def _called(room: Path, changes: list[tuple[str, str]], chance: random.Random) -> None:
    with Tracker(run_dir="runs", db_path="p.db", sync="os") as tracker:
        held = chance.random() < 0.5
        if held:
            tracker.run(step, config={"n": 0}, outputs=["o"])
        _executed(room / "p.db", [sql for _, sql in changes])
        if {kind for kind, _ in changes} <= {"rows deleted", "another schema"}:
            _told(tracker, len(WORK) + held)
        for n in chance.sample(WORK, len(WORK)):
            _right(tracker, n)
        require(tracker.project.log.head().seq > 0, "the log is empty")
        _told(tracker, len(WORK) * 2 + held)
        n = chance.choice(WORK)
        Path(chance.choice(["beside.txt", f"late{n % 2}.txt"])).write_text("changed")
        _right(tracker, n)
        tracker.project.views.rebuild()
        _right(tracker, n)


def _told(tracker: Tracker, wanted: int) -> None:
    found = len(tracker.find_runs(limit=None))
    require(found == wanted, lambda: f"{found} of {wanted} runs are told of")


def _right(tracker: Tracker, n: int) -> None:
    result = tracker.run(step, config={"n": n}, outputs=["o"])
    got = result.outputs["o"].path.read_text()
    wanted = f"{n} {Path('beside.txt').read_text()} {Path(f'late{n % 2}.txt').read_text()}\n"
    require(got == wanted, lambda: f"{'hit' if result.cache_hit else 'miss'}: {got!r} instead of {wanted!r}")


def _executed(path: Path, changes: list[str]) -> None:
    with closing(sqlite3.connect(path, timeout=20)) as conn:
        for sql in changes:
            try:
                conn.executescript(sql)
            except sqlite3.Error:  # what was there has been changed before
                conn.rollback()


def _change(path: Path, chance: random.Random) -> tuple[str, str]:
    """What kind of change it is, and the SQL."""
    with closing(sqlite3.connect(path)) as conn:
        kind = chance.choice(list(CHANGES))
        table = chance.choice(TABLES)
        if kind in ("another value", "a row's value in another") and table in TOLD and chance.random() < 0.9:
            table = chance.choice(("artifacts", "cache_index", "observed_reads", "audit_index"))
        return kind, CHANGES[kind](conn, table, chance)


def _columns(conn: sqlite3.Connection, table: str) -> list[str]:
    return [name for _, name, *_ in conn.execute(f"PRAGMA table_info({table})")]


def _row(chance: random.Random, table: str) -> str:
    return f"rowid % {chance.randint(1, 3)} = 0 OR rowid = (SELECT min(rowid) FROM {table})"


def _deleted(conn: sqlite3.Connection, table: str, chance: random.Random) -> str:
    return f"DELETE FROM {table}" + (f" WHERE {_row(chance, table)}" if chance.random() < 0.7 else "")


def _another_value(conn: sqlite3.Connection, table: str, chance: random.Random) -> str:
    value = chance.choice(["NULL", "0", "-1", "7.5", "''", "'x'", "'[]'", "'{}'", "x'00ff'", "hex(randomblob(16))"])
    return f"UPDATE OR IGNORE {table} SET {chance.choice(_columns(conn, table))} = {value} WHERE {_row(chance, table)}"


def _from_another(conn: sqlite3.Connection, table: str, chance: random.Random) -> str:
    column = chance.choice(_columns(conn, table))
    return f"UPDATE OR IGNORE {table} SET {column} = (SELECT {column} FROM {table} ORDER BY random() LIMIT 1)"


def _swapped(conn: sqlite3.Connection, table: str, chance: random.Random) -> str:
    """The files of two runs, each for the other's."""
    columns = "uri, digest, size, mtime_ns"
    turned = "CREATE TABLE turned AS SELECT * FROM artifacts WHERE key = 'o'"
    other = f"SELECT {columns} FROM turned t WHERE t.artifact_id <> artifacts.artifact_id ORDER BY t.rowid LIMIT 1"
    return f"{turned}; UPDATE artifacts SET ({columns}) = ({other}) WHERE key = 'o'; DROP TABLE turned"


def _answers(conn: sqlite3.Connection, table: str, chance: random.Random) -> str:
    """What answers for one fingerprint answers for another."""
    columns = chance.choice(["outputs, all_outputs", "run_key, outputs, all_outputs", "fingerprint", "seq"])
    turned = "CREATE TABLE turned AS SELECT * FROM cache_index"
    if "run_key" in columns:
        return f"{turned}; DELETE FROM cache_index; INSERT INTO cache_index SELECT * FROM turned; DROP TABLE turned"
    other = f"SELECT {columns} FROM turned t WHERE t.run_key <> cache_index.run_key LIMIT 1"
    return f"{turned}; UPDATE cache_index SET ({columns}) = ({other}); DROP TABLE turned"


def _schema(conn: sqlite3.Connection, table: str, chance: random.Random) -> str:
    column = chance.choice(_columns(conn, table))
    return chance.choice(
        [
            f"ALTER TABLE {table} ADD COLUMN mine TEXT",
            f"ALTER TABLE {table} DROP COLUMN {column}",
            f"ALTER TABLE {table} RENAME COLUMN {column} TO {column}_was",
            f"ALTER TABLE {table} RENAME TO {table}_was",
            f"DROP TABLE {table}",
            f"CREATE TABLE other AS SELECT * FROM {table}; DROP TABLE {table}; ALTER TABLE other RENAME TO {table}",
        ]
    )


def _other(conn: sqlite3.Connection, table: str, chance: random.Random) -> str:
    indexes = [name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql NOT NULL")]
    return chance.choice(
        [
            f"DROP INDEX {chance.choice(indexes)}",
            "DROP VIEW run_outputs",
            "CREATE VIEW mine AS SELECT * FROM runs",
            "UPDATE checkpoint SET rows = '{}'",
            "UPDATE checkpoint SET seq = seq - 1",
            "DELETE FROM meta",
            "PRAGMA user_version = 7",
            "VACUUM",
            "ANALYZE",
        ]
    )


def _kinds() -> Iterator[tuple[str, Callable[[sqlite3.Connection, str, random.Random], str]]]:
    yield "rows deleted", _deleted
    yield "another value", _another_value
    yield "a row's value in another", _from_another
    yield "files swapped", _swapped
    yield "answers swapped", _answers
    yield "another schema", _schema
    yield "something else", _other


CHANGES = dict(_kinds())
