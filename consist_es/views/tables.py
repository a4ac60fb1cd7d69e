"""Makes tables; and the projector's own: the file's maker, its checkpoint, and the events that a view could not take.

Our own are made without sqlite-utils: it imports pandas where that is installed, half a second for every process that
makes views.
"""

import functools
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from consist_es.events import Cursor

if TYPE_CHECKING:
    import sqlite_utils

# State of a file against its log.
LEVEL = "the views are up to date with the log"
BEHIND = "the views lag behind the log"
OUTDATED = "the views were made by another version"
ORPHANED = "the views do not fit their log"

SET_CHECKPOINT = "UPDATE checkpoint SET seq = ?, segment = ?, offset = ?, chain = ? WHERE id = 1"

OWN = frozenset({"meta", "checkpoint", "dead_letter"})


class Database(Protocol):
    """What tables are made in: a connection, or a `Making`."""

    def execute(self, sql: str, /) -> Any: ...


class Making:
    """The file in which a projection makes its tables.

    It has all that `sqlite_utils.Database` has; that package is imported when more than `execute` is used.
    """

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self.conn.execute(sql, parameters)

    @functools.cached_property
    def _whole(self) -> "sqlite_utils.Database":
        import sqlite_utils

        return sqlite_utils.Database(self.conn)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def __getitem__(self, table: str) -> Any:
        return self._whole[table]


_TYPES: dict[type, str] = {str: "TEXT", int: "INTEGER", float: "REAL", bytes: "BLOB"}


def create_table(
    db: Database,
    name: str,
    columns: Mapping[str, type],
    pk: str | tuple[str, ...],
    not_null: Collection[str] = (),
    references: Mapping[str, tuple[str, str]] | None = None,
) -> None:
    """Make a table with columns of text, whole numbers and floats; one of bytes takes all of them as they are.

    `references` are foreign keys: column -> table and its key. SQLite does not check them unless it is asked to
    (sqlite.org/foreignkeys.html, 2); they tell tools how the tables are linked.
    """
    lines = []
    for column, kind in columns.items():
        rule = " PRIMARY KEY" if column == pk else " NOT NULL" if column in not_null else ""
        if references is not None and column in references:
            table, key = references[column]
            rule += f" REFERENCES {_quoted(table)}({_quoted(key)})"
        lines.append(f"   {_quoted(column)} {_TYPES[kind]}{rule}")
    if not isinstance(pk, str):
        lines.append(f"   PRIMARY KEY ({_listed(pk)})")
    text = ",\n".join(lines)
    db.execute(f"CREATE TABLE {_quoted(name)} (\n{text}\n)")


def create_index(db: Database, table: str, columns: Sequence[str], name: str, *, unique: bool = False) -> None:
    """Make an index over columns of a table."""
    kind = "UNIQUE INDEX" if unique else "INDEX"
    db.execute(f"CREATE {kind} {_quoted(name)}\n    ON {_quoted(table)} ({_listed(columns)})")


def create_view(db: Database, name: str, select: str) -> None:
    """Make an SQL view."""
    db.execute(f"CREATE VIEW {_quoted(name)} AS {select}")


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(_quoted, columns))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


ADD_META = "INSERT INTO meta (key, value) VALUES (?, ?)"


def create_own(conn: sqlite3.Connection, about: Mapping[str, str]) -> None:
    """Make the projector's tables; `about` is the content of ``meta``."""
    create_table(conn, "meta", {"key": str, "value": str}, pk="key")
    conn.executemany(ADD_META, about.items())
    place = {"id": int, "seq": int, "segment": int, "offset": int, "chain": str, "rows": str}
    create_table(conn, "checkpoint", place, pk="id")
    conn.execute("INSERT INTO checkpoint VALUES (1, 0, 1, 0, '', '{}')")
    letter = {"seq": int, "projection": str, "type": str, "error": str}
    create_table(conn, "dead_letter", letter, pk=("seq", "projection"))


def reached(conn: sqlite3.Connection) -> Cursor:
    """The checkpoint of a file; position -1 if it has none."""
    row = conn.execute("SELECT seq, segment, offset, chain FROM checkpoint").fetchone()
    is_ours = row is not None and [type(value) for value in row] == [int, int, int, str]
    return Cursor(*row) if is_ours else Cursor(seq=-1)


def same_place(one: Cursor, other: Cursor) -> bool:
    """True if two cursors mean the same event. At a segment's end, the same place has two forms."""
    return one.seq == other.seq and (one.chain == other.chain or one.seq == 0)
