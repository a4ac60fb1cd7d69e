"""``consist-es doctor``: check a project, and repair what can be repaired without loss."""

import sys
from pathlib import Path

import click
import msgspec

from consist_es.cli.common import NEGATIVE, json_option, project_option
from consist_es.cli.output import emit, emit_json, note
from consist_es.cli.wording import BAD, GOOD, ODD, QUIET
from consist_es.doctor.examine import abandon as declare_over
from consist_es.doctor.examine import examine, mend
from consist_es.doctor.finding import ERROR, NOTE, OK, WARNING, Finding
from consist_es.project.project import Project
from consist_es.system.bar import Bar
from consist_es.text import counted

_STYLES = {OK: GOOD, NOTE: QUIET, WARNING: ODD, ERROR: BAD}


@click.command()
@click.option("--fix", is_flag=True, help="Fix what can be fixed without losing anything.")
@click.option("--deep", is_flag=True, help="Read the whole log and every output, and compare the views row for row.")
@click.option(
    "--abandon",
    metavar="RUN",
    multiple=True,
    help="Record this run, or a scenario with its running steps, as abandoned: you know that it is over. "
    "May be repeated.",
)
@json_option
@project_option
def doctor(fix: bool, deep: bool, abandon: tuple[str, ...], as_json: bool, db_path: Path) -> None:
    """Check the log, the views, runs, outputs, and the machine.

    Each finding says what it is about and what to do. Exit code 1 if a warning or an error is left, 0 otherwise; notes
    are for information only.

    --fix records runs as abandoned if their process is gone, moves an unfinished record to quarantine, removes
    unfinished files, and rebuilds damaged views. It never deletes an output, and does not touch a damaged log.

    --abandon is for a run with a process that cannot be checked from here, as on another machine. No folder is moved,
    and if the run ends after all, its end is recorded.
    """
    project = Project(db_path, read_only=not fix and not abandon)
    try:
        if abandon:
            for run_id in declare_over(project, abandon):
                note(f"Recorded as abandoned: {run_id}.")
        with Bar("Looking") as bar:
            findings = list(examine(project, deep=deep, progress=bar))
            if fix and any(finding.mends for finding in findings):
                done = mend(project, findings)
                for text in done:
                    note(f"Fixed: {text}.")
                if not done:
                    note("Nothing was fixed: the log is damaged. Restore or repair it first.")
                findings = list(examine(project, deep=deep, progress=bar))
    finally:
        project.close()
    for finding in findings:
        show_finding(finding, as_json)
    wrong = sum(finding.is_wrong for finding in findings)
    if wrong:
        note(f"{counted(wrong, 'finding')} to look at.")
        sys.exit(NEGATIVE)


def show_finding(finding: Finding, as_json: bool) -> None:
    """Print one finding with its remedy, or as JSON."""
    if as_json:
        emit_json(msgspec.to_builtins(finding))
        return
    where = f" ({finding.where})" if finding.where else ""
    emit(f"{finding.level:7}  {finding.check}: {finding.what}{where}", _STYLES[finding.level])
    if finding.todo and finding.level != OK:
        emit(f"         -> {finding.todo}", QUIET)
