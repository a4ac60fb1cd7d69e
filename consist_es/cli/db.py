"""``consist-es db``: what the owner of a database with logs does."""

from __future__ import annotations

import click

from consist_es.cli.common import json_option
from consist_es.cli.output import emit, emit_json, table
from consist_es.cli.wording import GOOD
from consist_es.log.postgres import database
from consist_es.log.postgres.address import address_of

_URL = "postgresql://host/database"


@click.group()
def db() -> None:
    """Make and open a database for logs on a server.

    The owner of a PostgreSQL database runs these once; see docs/postgresql.md. URLs hold no passwords: keep those in
    ~/.pgpass, a service file, or PGPASSWORD.
    """


@db.command()
@click.argument("url", metavar=_URL)
def init(url: str) -> None:
    """Make the tables, as the owner of the database."""
    address = address_of(url, whole=False)
    made = database.init(address)
    emit(f"{'Made the tables in' if made else 'The tables are there already:'} {address.shown}.", GOOD)


@db.command()
@click.argument("role")
@click.argument("right", type=click.Choice(database.RIGHTS))
@click.argument("url", metavar=f"{_URL}#project")
@click.option("--revoke", is_flag=True, help="Take the right away.")
def grant(role: str, right: str, url: str, revoke: bool) -> None:
    """Give ROLE the RIGHT to read, append to, or redact in a project.

    The right to append or redact is one to read as well.
    """
    address = address_of(url)
    database.grant(address, role, right, revoke=revoke)
    verb = "may no longer" if revoke else "may now"
    emit(f"{role} {verb} {right} in {address.shown}.", GOOD)


@db.command()
@click.argument("url", metavar=_URL)
@json_option
def projects(url: str, as_json: bool) -> None:
    """List the projects in a database that you may see."""
    found = database.projects(address_of(url, whole=False))
    if as_json:
        for item in found:
            emit_json(item._asdict())
    else:
        table(
            ("project", "events", "size", "identity"), [(item.name, item.events, item.size, item.id) for item in found]
        )
