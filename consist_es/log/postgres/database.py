"""What the owner of the database does: makes the tables, and gives rights."""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple

from consist_es.errors import LogFormatError, LogRightError, UsageError
from consist_es.log.postgres.address import Address
from consist_es.log.postgres.server import FORMAT, Server, require_psycopg

RIGHTS = ("read", "append", "redact")
_PROJECTS = """
SELECT p.name, p.id, h.seq, pg_size_pretty(sum(pg_column_size(e.line))::bigint)
FROM consist_es.project p CROSS JOIN LATERAL consist_es.head(p.no) h LEFT JOIN consist_es.event e ON e.project = p.no
GROUP BY p.no, p.name, p.id, h.seq ORDER BY p.name
"""
_MEMBERS = """
SELECT m.role, m.may FROM consist_es.member m JOIN consist_es.project p ON p.no = m.project
WHERE p.name = %s ORDER BY m.role, m.may
"""
_GRANT = """
INSERT INTO consist_es.member (project, role, may) SELECT no, %s, %s FROM consist_es.project WHERE name = %s
ON CONFLICT DO NOTHING
"""
_REVOKE = """
DELETE FROM consist_es.member m USING consist_es.project p
WHERE p.no = m.project AND m.role = %s AND m.may = %s AND p.name = %s
"""


class ServerSummary(NamedTuple):
    """A project in a database."""

    name: str
    id: str
    events: int
    size: str


def init(address: Address) -> bool:
    """Make the tables, as the owner of the database; False if they are there.

    Raises:
        LogFormatError: those there are of another version, or the database is not in UTF-8.
        LogRightError, LogServerError: the role may not make them, or the server is away.
    """
    require_psycopg()
    server = Server(address, checked=False)
    try:
        if server.ask("SELECT to_regclass('consist_es.format') IS NOT NULL")[0][0]:
            version = server.ask("SELECT version FROM consist_es.format")[0][0]
            if version != FORMAT:
                raise LogFormatError(
                    f"The database {address.shown} has tables of version {version}, not {FORMAT}. Nothing was changed.",
                    newer=version > FORMAT,
                )
            return False
        if (encoding := server.ask("SHOW server_encoding")[0][0]) != "UTF8":
            raise LogFormatError(
                f"The database {address.shown} is in {encoding}, and a log is UTF-8. Make one with "
                "`createdb --encoding=UTF8 --template=template0 NAME`."
            )
        text = files(__package__).joinpath("schema.sql").read_text("utf-8")
        server.script(text)
        return True
    finally:
        server.close()


def grant(address: Address, role: str, right: str, *, revoke: bool = False) -> None:
    """Give a role of the database a right to a project, or take it away.

    Raises:
        UsageError: no such role or project. LogRightError: only the owner of the tables can do that.
    """
    require_psycopg()
    server = Server(address)
    try:
        if not server.ask("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)):
            raise UsageError(f"There is no role {role!r} on {address.shown}: make it with `createuser {role}`.")
        if not server.ask("SELECT 1 FROM consist_es.project WHERE name = %s", (address.name,)):
            raise UsageError(f"There is no project {address.name!r} on {address.shown} that you can see.")
        if not server.ask(
            "SELECT 1 FROM pg_class WHERE oid = 'consist_es.member'::regclass AND pg_has_role(relowner, 'USAGE')"
        ):
            raise LogRightError(address.shown, "only the owner of its tables gives rights")
        if revoke:
            server.ask(_REVOKE, (role, right, address.name), writes=True)
            return
        quoted = '"' + role.replace('"', '""') + '"'
        server.ask(f"GRANT consist_es_user TO {quoted}", writes=True)
        server.ask(_GRANT, (role, right, address.name), writes=True)
    finally:
        server.close()


def projects(address: Address) -> list[ServerSummary]:
    """The projects in a database that this role may see."""
    require_psycopg()
    server = Server(address)
    try:
        return [ServerSummary(name, key, seq, size or "0 bytes") for name, key, seq, size in server.ask(_PROJECTS)]
    finally:
        server.close()
