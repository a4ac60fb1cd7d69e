"""The command line: commands to inspect and maintain a project."""

import io
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from consist_es.cli.accept import accept
from consist_es.cli.archive import archive
from consist_es.cli.audit import audit
from consist_es.cli.checkpoint import checkpoint
from consist_es.cli.common import INTERRUPTED, Program
from consist_es.cli.completion import completion
from consist_es.cli.datasette import datasette_config
from consist_es.cli.demo import demo
from consist_es.cli.diff import diff
from consist_es.cli.doctor import doctor
from consist_es.cli.export import export
from consist_es.cli.forecast import forecast
from consist_es.cli.lineage import lineage
from consist_es.cli.log import log
from consist_es.cli.prove import prove
from consist_es.cli.redact import redact
from consist_es.cli.repair import repair
from consist_es.cli.replay import replay
from consist_es.cli.report import report
from consist_es.cli.runs import artifacts, runs, scenarios
from consist_es.cli.show import show
from consist_es.cli.stats import stats
from consist_es.cli.verify import verify
from consist_es.cli.watch import watch
from consist_es.cli.why import why
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


_GROUPS: dict[str, tuple[click.Command, ...]] = {
    "Look": (scenarios, runs, artifacts, show, why, diff, lineage, stats, report, forecast, watch, audit, log),
    "Trust": (verify, doctor, checkpoint, prove),
    "Share": (export, datasette_config),
    "Act": (accept, replay, repair, redact, archive, completion, demo),
}
for _command in [command for commands in _GROUPS.values() for command in commands]:
    program.add_command(_command)
if isinstance(program, Program):
    program.groups = {heading: [str(command.name) for command in commands] for heading, commands in _GROUPS.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """The program `consist-es`. Does not return."""
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # printing must never fail
    try:
        program.main(arguments, prog_name="consist-es")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _terminate(_number: int, _frame: Any) -> None:
    """Exit by an exception, so that a running step is recorded as interrupted and temporary files are removed."""
    sys.exit(_TERMINATED)
