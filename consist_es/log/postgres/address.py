"""The place of a log on a server: ``postgresql://[user@]host[:port]/database[?options]#project``."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from consist_es.errors import ServerAddressError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Address(NamedTuple):
    """A project in a database."""

    server: str
    """The URL without the project, as libpq takes it."""
    name: str
    """The project; "" if the URL names none."""
    shown: str
    """For people: without user and options."""

    @property
    def url(self) -> str:
        """The whole URL. Holds no password."""
        return f"{self.server}#{self.name}" if self.name else self.server


def address_of(url: str, *, whole: bool = True) -> Address:
    """The parts of a URL; with `whole` False it need not name a project.

    Raises:
        ServerAddressError: no project, a name that is none, or a password: a URL is recorded and printed.
    """
    server, _, name = url.partition("#")
    try:
        parts = urlsplit(server)
        port = parts.port
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError as error:
        raise ServerAddressError("it is not a URL", f"Its form is {_FORM}.") from error
    if parts.password is not None or "password" in options:
        raise ServerAddressError(
            "it holds a password", "Keep that in ~/.pgpass, a service file, or PGPASSWORD (see the PostgreSQL manual)."
        )
    if not parts.path.strip("/"):
        raise ServerAddressError("it names no database", f"Its form is {_FORM}.")
    if (name or whole) and not _NAME.fullmatch(name):
        raise ServerAddressError(
            f"{name!r} is no name of a project" if name else "it names no project",
            f"Letters, digits, dot, dash and underscore may follow the #. Its form is {_FORM}.",
        )
    host = parts.hostname or options.get("host", "")
    where = (f"[{host}]" if ":" in host else unquote(host)) + (f":{port}" if port else "")
    shown = f"postgresql://{where}{parts.path}" + (f"#{name}" if name else "")
    return Address(server, name, shown)


_FORM = "postgresql://host/database#project"
