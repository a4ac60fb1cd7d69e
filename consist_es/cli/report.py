"""``consist-es report``: the record as one HTML file."""

import sys
import time
from pathlib import Path

import click

from consist_es.cli import complete
from consist_es.cli.common import NEGATIVE, opened, project_option, short
from consist_es.cli.marks import size
from consist_es.cli.output import emit, note
from consist_es.project.project import Project
from consist_es.report.making import Report, make_report, require_report, write_report
from consist_es.report.sharing import Sharing
from consist_es.system.bar import Bar
from consist_es.text import counted

_SHARE = 10
"""A report that takes a second is written every ten seconds at most, so that the model keeps the machine."""


@click.command()
@click.argument("scenario", nargs=-1, shell_complete=complete.scenarios)
@click.option(
    "-o", "--out", "path", metavar="FILE", default="report.html", show_default=True,
    type=click.Path(path_type=Path), help="The file; a report of that name is written again.",
)  # fmt: skip
@click.option("--title", metavar="TEXT", help="Heading of the report.  [default: name of the database]")
@click.option("--no-paths", is_flag=True, help="Leave out folders, and names of users and machines.")
@click.option("--no-tracebacks", is_flag=True, help="Leave out tracebacks of failed steps.")
@click.option("--watch", is_flag=True, help="Write it again as the project goes on, until Ctrl-C.")
@click.option(
    "--every", metavar="SECONDS", type=click.FloatRange(min=0.1), default=5.0, show_default=True,
    help="With --watch: seconds between two looks.",
)  # fmt: skip
@project_option
def report(
    scenario: tuple[str, ...],
    path: Path,
    title: str | None,
    no_paths: bool,
    no_tracebacks: bool,
    watch: bool,
    every: float,
    db_path: Path,
) -> None:
    """Write the record of the project, or of SCENARIOs, as one HTML file.

    It opens in any browser, also from a mail: every step of every scenario, when it ran, what it was made from, why it
    was computed, and how any two scenarios differ. It needs no network and no server, and every state of it has an
    address. Secrets and redacted values are not in it. A name means the latest attempt; NAME#2 an earlier one.

    The log is checked. If it is damaged, the report says so in red, and the exit code is 1. With --watch and SCENARIOs
    it ends when these have ended.
    """
    require_report(path)
    sharing = Sharing(paths=not no_paths, tracebacks=not no_tracebacks)
    with opened(db_path) as project:
        made = _write(project, scenario, path, sharing, title, every if watch else None)
        while watch and not (scenario and made.ended):
            began = time.monotonic()
            time.sleep(every)
            if project.log.head().seq != made.position:
                made = _write(project, scenario, path, sharing, title, every)
                time.sleep(_SHARE * max(0.0, time.monotonic() - began - every))
    sys.exit(0 if made.ok else NEGATIVE)


def _write(
    project: Project, names: tuple[str, ...], path: Path, sharing: Sharing, title: str | None, every: float | None
) -> Report:
    with Bar("Reading the views") as bar:
        made = make_report(project, names, sharing=sharing, title=title, every=every, progress=bar)
    write_report(path, made)
    large = size(len(made.text.encode()))
    emit(f"{short(path.absolute())}: {counted(made.scenarios, 'scenario')}, {counted(made.steps, 'step')}, {large}")
    if not made.ok:
        note("The record is not whole, and the report says so in red. `consist-es verify` tells more.", "red")
    return made
