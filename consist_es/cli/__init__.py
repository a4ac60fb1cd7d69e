"""The command line: commands to inspect and maintain a project."""

import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from consist_es.cli.common import INTERRUPTED, Program
from consist_es.version import __version__

_TERMINATED = 128 + signal.SIGTERM
"""Exit code that a shell reports for a program ended by SIGTERM."""


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="consist-es", message="%(prog)s %(version)s")
def program() -> None:
    """Inspect and maintain a project: its log, and the views that are made from it.

    A project is a log folder (provenance.events) with a database beside it (provenance.db). Commands find it by
    --project, by CONSIST_ES_PROJECT, or as the only *.events folder in the working directory. Data goes to stdout,
    everything else to stderr. Exit codes: 0 success, 1 a negative answer, 2 a usage error, or a
    project that cannot be used.
    """


_GROUPS = {
    "Look": {
        "scenarios": "List scenarios with outcomes of their steps.",
        "runs": "List runs of steps: computed or reused, and why.",
        "artifacts": "List files and tables: what made and used them.",
        "show": "Show all about a scenario, step or artifact.",
        "why": "Explain why a step was computed or reused.",
        "diff": "Show what differs between A and B.",
        "lineage": "Show where a step or file comes from.",
        "stats": "Show where time went, and what the cache saved.",
        "report": "Write the record as one HTML file.",
        "forecast": "Show what a model would run now, and why.",
        "watch": "Watch scenarios while they run.",
        "audit": "Show what happened in SCENARIO, event by event.",
        "log": "Print the events of the project, oldest first.",
    },
    "Trust": {
        "verify": "Check every event of the log against its chain.",
        "doctor": "Check the log, the views, runs, outputs, and the machine.",
        "checkpoint": "Make a tree head: a digest of all events, in three lines.",
        "prove": "Prove that the events at POSITIONs are under a tree head.",
    },
    "Share": {
        "export": "Write scenarios in formats of others.",
        "datasette-config": "Write settings and queries for Datasette.",
    },
    "Act": {
        "accept": "Accept a harmless change: reuse an earlier run for RUN.",
        "replay": "Rebuild the database from the log.",
        "repair": "Show what a damaged log still holds, and go on with that.",
        "redact": "Remove payloads of events for good, such as a secret.",
        "evict": "Delete files that can be made again; keep all facts.",
        "pin": "Keep the bytes of a run, scenario or artifact.",
        "gc": "Delete what nothing needs.",
        "copy": "Copy a whole log: folder to server, or back.",
        "import": "Take over what another program recorded.",
        "merge": "Append what other logs have to the log of TARGET.",
        "db": "Make and open a database for logs on a server.",
        "archive": "Make all segments of the log but the newest read-only.",
        "completion": "Print the line that makes a shell complete names.",
        "demo": "Run a small simulation that shows recording and reuse.",
    },
}
"""Heading -> command -> what it does, as the list of commands says it."""
if isinstance(program, Program):
    program.groups = _GROUPS


def main(arguments: Sequence[str] | None = None) -> None:
    """The program `consist-es`. Does not return."""
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # printing must never fail
    if "_CONSIST_ES_COMPLETE" in os.environ:
        from consist_es.cli import complete  # noqa: F401 - registers how shells are answered
    try:
        program.main(arguments, prog_name="consist-es")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _terminate(_number: int, _frame: Any) -> None:
    """Exit by an exception, so that a running step is recorded as interrupted and temporary files are removed."""
    sys.exit(_TERMINATED)
