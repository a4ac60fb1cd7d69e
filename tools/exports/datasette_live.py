"""Both versions of Datasette serve a project while a model writes: ``python3 tools/dev.py external datasette``.

Each is asked 200 times and more while scenarios are recorded, and while `consist-es replay` replaces the views; then
every question of `consist-es datasette-config` is asked, and what is served is compared with the file.

``--keep DIR``: keep the environments there, for the next time.
"""

import argparse
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from check import ROOT, environment, folder

from consist_es.exports.datasette_queries import QUESTIONS
from tests.support import exported

VERSIONS = ("0.65.5", "1.0a41")
POLLS = 200
WRITER = """
import sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from tests.support import exported
with exported.tracker(Path(sys.argv[1])) as tracker:
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        exported.play(tracker, f"written {number % 7}", note=str(number))
"""

COMMAND = "import sys; from consist_es.cli import main; main(sys.argv[1:])"


class Server:
    """Datasette, asked by HTTP."""

    def __init__(self, port: int) -> None:
        self._place = f"http://127.0.0.1:{port}"
        self.is_old = True

    def page(self, path: str, **values: str) -> str:
        """The text at a path."""
        query = f"?{urllib.parse.urlencode(values)}" if values else ""
        with urllib.request.urlopen(f"{self._place}{path}{query}", timeout=30) as answer:
            return str(answer.read().decode())

    def rows(self, path: str, **values: str) -> list[dict[str, object]]:
        """The rows at a path."""
        found = json.loads(self.page(f"{path}.json", _shape="objects", **values))
        if not found.get("ok", True):
            raise ValueError(str(found))
        return list(found["rows"])

    def count(self) -> int:
        """The number of runs that it serves."""
        path = "/provenance" if self.is_old else "/provenance/-/query"
        return int(str(self.rows(path, sql="select count(*) as n from runs")[0]["n"]))


@contextmanager
def serving(python: Path, project: Path, version: str) -> Iterator[Server]:
    """Datasette with the files that the command line wrote for it."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    old = ["-m", "datasette-metadata.json"]
    new = ["-c", "datasette-1.0-config.json", "-m", "datasette-1.0-metadata.json"]
    is_old = version.startswith("0.")
    options = ["--host", "127.0.0.1", "--port", str(port), "--setting", "sql_time_limit_ms", "5000"]
    with (project / "datasette.log").open("w") as told:
        command = [str(python), "-m", "datasette", "serve", "provenance.db", *(old if is_old else new), *options]
        process = subprocess.Popen(command, cwd=project, stdout=told, stderr=subprocess.STDOUT)
    server = Server(port)
    server.is_old = is_old
    try:
        for _ in range(150):
            try:
                server.page("/-/versions.json")
                break
            except OSError:
                time.sleep(0.2)
        yield server
    finally:
        process.terminate()
        process.wait()


def child(*arguments: str | Path) -> "subprocess.Popen[bytes]":
    """A program of the checkout's Python, beside this one."""
    place = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", *map(str, arguments)], env=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def still(process: "subprocess.Popen[bytes] | None", problems: list[str]) -> "subprocess.Popen[bytes] | None":
    """The process, or None once it has ended."""
    if process is None or process.poll() is None:
        return process
    if process.returncode:
        problems.append(f"a program beside Datasette ended with {process.returncode}")
    return None


def real(project: Path) -> int:
    """The number of runs in the file."""
    with closing(sqlite3.connect(f"file:{project / 'provenance.db'}?mode=ro", uri=True)) as conn:
        return int(conn.execute("SELECT count(*) FROM runs").fetchone()[0])


def try_version(python: Path, project: Path, version: str, first: int) -> list[str]:
    """Write, replay, ask; what went wrong, in words."""
    problems: list[str] = []
    replay = (COMMAND, "replay", "--project", project)
    with serving(python, project, version) as server:
        before, polls, seen = server.count(), 0, set()
        number, writer, rebuilt = first, None, None
        while polls < POLLS or writer is not None or rebuilt is not None:
            writer, rebuilt = still(writer, problems), still(rebuilt, problems)
            if writer is None and polls < POLLS:
                number, writer = number + 4, child(WRITER, project, str(number), str(number + 4))
            if rebuilt is None and polls % 50 == 25 and polls < POLLS:
                rebuilt = child(*replay)
            polls += 1
            try:
                seen.add(server.count())
                server.rows("/provenance/time_by_step")
                server.rows("/provenance/steps")
            except (OSError, ValueError) as error:
                more = error.read()[:300] if isinstance(error, urllib.error.HTTPError) else b""
                problems.append(f"poll {polls}: {error} {more!r}")
        if (served := server.count()) != real(project):
            problems.append(f"stale: {served} runs are served, and {real(project)} are there")
        if len(seen) < 5:
            problems.append(f"the polls saw only {seen}")
        child(*replay).wait()
        child(WRITER, project, "9000", "9001").wait()
        if (again := server.count()) != real(project) or again <= served:
            problems.append(f"stale after replay and one more scenario: {again} and {real(project)}")
        empty = problems_of_questions(server, problems)
        sizes = pages(server, problems)
    said = f"{polls} polls, runs {before} to {again} in {len(seen)} steps, {len(QUESTIONS)} questions"
    print(f"Datasette {version}: {'FAIL' if problems else 'PASS'}, {said}, without rows: {empty or 'none'}, {sizes}")
    return problems


def problems_of_questions(server: Server, problems: list[str]) -> list[str]:
    """Ask every question; the names of those without an answer."""
    empty = []
    for name in QUESTIONS:
        try:
            if not server.rows(f"/provenance/{name}"):
                empty.append(name)
            server.page(f"/provenance/{name}")
        except (OSError, ValueError) as error:
            problems.append(f"{name}: {error}")
    return empty


def pages(server: Server, problems: list[str]) -> str:
    """The pages that people open first: their size, and the links between them."""
    sizes = {name: len(server.page(path)) for name, path in (("start", "/"), ("steps", "/provenance/steps"))}
    if sizes["steps"] > 100_000:
        problems.append(f"the page of steps has {sizes['steps']} bytes")
    links = server.page("/provenance/links")
    if not re.search(r'href="/provenance/runs/[^"]+">[^<]+</a>', links):
        problems.append("links do not lead to runs by their names")
    for path in ("/provenance", "/provenance/runs", "/provenance/artifacts", "/provenance/files"):
        server.page(path)
    return ", ".join(f"{name} page {size / 1000:.0f} kB" for name, size in sizes.items())


def main() -> int:
    """Give 0 where both versions answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path)
    failed = []
    with folder(parser.parse_args().keep) as place:
        project = place / "project"
        shutil.rmtree(project, ignore_errors=True)
        with exported.recorded(project):
            pass
        child(COMMAND, "datasette-config", "-o", project, "--project", project).wait()
        for number, version in enumerate(VERSIONS):
            python = environment(place / f"datasette-{version}", f"datasette=={version}")
            for problem in try_version(python, project, version, 1000 * number):
                print(f"  {problem}")
                failed.append(version)
    print(f"datasette: {'FAILED' if failed else 'both versions serve it'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
