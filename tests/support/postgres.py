"""A PostgreSQL server of Debian's package for the tests of one process: its own data, on a socket in a folder."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

DATABASE = "consist"


def binaries() -> Path | None:
    """The folder of the server's programs, newest version; None if it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    return found[-1].parent if found else None


def require() -> None:
    """Skip the test if there is no server or no client here. Where CI runs, both are installed."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        pytest.skip("psycopg is not installed")
    if binaries() is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")


class Postgres:
    """One server."""

    def __init__(self) -> None:
        programs = binaries()
        assert programs is not None
        self._programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self.data = self.folder / "data"
        self._as: list[str] = []
        if os.getuid() == 0:  # the server refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        self.folder.chmod(0o755)
        how = ["-U", "owner", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        self._do("initdb", "-D", str(self.data), *how)
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"listen_addresses = ''\nunix_socket_directories = '{self.folder}'\nshared_buffers = 32MB\n")
            file.write("max_connections = 60\nlog_min_messages = fatal\n")
        self.start()
        self._do("createdb", "-h", str(self.folder), "-U", "owner", DATABASE)

    def _do(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as, str(self._programs / program), *arguments], cwd="/", capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")

    def start(self) -> None:
        """Start it, and return once it answers."""
        self._do("pg_ctl", "-D", str(self.data), "-w", "-s", "-l", str(self.folder / "log"), "start")

    def stop(self, how: str = "fast") -> None:
        """Stop it; ``immediate`` is a crash."""
        self._do("pg_ctl", "-D", str(self.data), "-w", "-s", "-m", how, "stop")

    def url(self, name: str = "", *, user: str = "owner", database: str = DATABASE) -> str:
        """The address of a project."""
        host = str(self.folder).replace("/", "%2F")
        return f"postgresql://{user}@{host}/{database}" + (f"#{name}" if name else "")

    def sql(self, text: str, *, database: str = DATABASE, user: str = "owner") -> list[tuple[object, ...]]:
        """The rows of a statement."""
        import psycopg

        with psycopg.connect(self.url(user=user, database=database), autocommit=True) as conn:
            cursor = conn.execute(text.encode())
            return cursor.fetchall() if cursor.description is not None else []

    def remove(self) -> None:
        """Stop it and remove its data."""
        with contextlib.suppress(RuntimeError):
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def server() -> Postgres:
    """The server of this test process, with the tables made."""
    from consist_es.log.postgres.address import address_of
    from consist_es.log.postgres.database import init

    made, owner = Postgres(), os.getpid()
    atexit.register(lambda: made.remove() if os.getpid() == owner else None)
    init(address_of(made.url(), whole=False))
    return made
