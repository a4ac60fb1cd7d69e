"""``consist-es audit``: the events of a scenario, one by one."""

import sqlite3
from pathlib import Path

import click

from consist_es.cli import complete, wording
from consist_es.cli.common import json_forms, opened, project_option
from consist_es.cli.forms import Column, print_rows
from consist_es.cli.marks import marked, style, took
from consist_es.cli.names import Names, scenario_named
from consist_es.cli.output import emit
from consist_es.cli.prove import against_option, evidence, out_option, write_proof
from consist_es.cli.teller import Teller
from consist_es.project.project import Project
from consist_es.projections import audit_index, origins, run_table
from consist_es.projections.run_rows import RunRow, in_words
from consist_es.reading.listing import RUN_COLUMNS, Listing
from consist_es.text import counted
from consist_es.views.folding import dead_letters

_STEP = (
    Column("position", right=True),
    Column("outcome", marked, style),
    Column("step"),
    Column("seconds", took, right=True),
    Column("because", flexible=True),
)
_STATUS_STYLES = {"completed": wording.GOOD, "running": wording.ODD}


@click.command()
@click.argument("scenario", shell_complete=complete.scenarios)
@click.option("--all", "every", is_flag=True, help="Every attempt, the first one first.")
@click.option("--brief", is_flag=True, help="One line a step instead of one an event.")
@click.option("--proof", is_flag=True, help="Print the events with proofs, for people without the log.")
@against_option
@out_option
@json_forms
@project_option
def audit(
    scenario: str,
    every: bool,
    brief: bool,
    proof: bool,
    against: Path | None,
    out: Path | None,
    form: str | None,
    db_path: Path,
) -> None:
    """Show what happened in SCENARIO, event by event.

    One line per event: its position in the log, its time (UTC), the run, and what happened: a step's inputs, why it was
    reused or not, its outputs. SCENARIO is an id or a name: the latest attempt, or baseline#2 for an earlier one.

    The events are read from the log itself, and each is checked against its chain. With --proof they are printed as one
    line of JSON, together with the events that recorded their files, the tree head, and a proof for each event;
    tools/check_proof.py checks it anywhere.

    --brief has one line a step, from the views: the position of its start, its outcome, and what made it run or which
    run answered.
    """
    if (against or out) and not proof:
        raise click.UsageError("--against and --out belong to --proof: give that too.")
    if brief and proof:
        raise click.UsageError("--proof is about events, --brief about steps: give one of them.")
    with opened(db_path) as project:
        views = project.connection()
        header = scenario_named(views, scenario)
        attempts = run_table.attempts(views, header.run_id)
        chosen = [attempt for attempt in (attempts if every else [header]) if attempt.kind == "scenario"]
        if proof:
            write_proof(project.log, evidence(project, [attempt.key for attempt in chosen]), against, out)
            return
        with Teller(Names(project.connection), form) as teller:
            _tell_dead_letters(views, teller)
            for attempt in chosen:
                if not teller.as_json:
                    emit(_heading(views, attempt, len(attempts)), _STATUS_STYLES.get(attempt.status, wording.BAD))
                    emit(_circumstances(views, attempt), wording.QUIET)
                (_tell_steps if brief else _tell_events)(project, attempt, teller)


def _tell_steps(project: Project, header: RunRow, teller: Teller) -> None:
    views = project.connection()
    steps = run_table.steps(views, header.key)
    lines = Listing(views, steps)
    rows = [{"position": step.started_seq, **lines.run(step)} for step in steps]
    if not teller.as_json:
        print_rows(_STEP, rows, None)
        return
    for row in rows:
        teller.tell_json({name: row[name] for name in ("position", *RUN_COLUMNS)})


def _tell_events(project: Project, header: RunRow, teller: Teller) -> None:
    views = project.connection()
    for position, segment, offset in audit_index.positions(views, header.key):
        teller.tell(project.log.at(position, (segment, offset)))


def _heading(views: sqlite3.Connection, header: RunRow, attempts: int) -> str:
    of = run_table.counts(views, header.key)
    which = f" (attempt {header.attempt} of {attempts})" if attempts > 1 else ""
    took = f" in {wording.duration(header.seconds)}" if header.seconds is not None else ""
    counts = f"{counted(of.steps, 'step')}, of which {of.hits} reused and {of.failed} failed"
    return f"Scenario {header.id}{which}: {header.status}{took}; {counts}"


def _circumstances(views: sqlite3.Connection, header: RunRow) -> str:
    """User who entered the scenario, and the software used."""
    said = [f"entered {wording.moment(header.started_at)}"]
    if writer := origins.writer_details(views, header.writer):
        said[0] += f" by {in_words(writer)}"
        said.append(wording.software(writer))
    environment = origins.environment(views, header.environment) if header.environment else None
    if environment and (revision := wording.revision(environment)):
        said.append(revision)
    return "; ".join(said)


def _tell_dead_letters(views: sqlite3.Connection, teller: Teller) -> None:
    """Report events of the log that are missing from a view."""
    for letter in dead_letters(views):
        if teller.as_json:
            teller.tell_json({"dead_letter": {name: getattr(letter, name) for name in letter.__struct_fields__}})
        else:
            what = f"event {letter.seq} ({letter.type}) is missing from view {letter.projection}: {letter.error}"
            emit(f"DEAD LETTER: {what}", wording.BAD)
