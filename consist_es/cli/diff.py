"""``consist-es diff``: what differs between two scenarios or two steps."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from consist_es.cli import complete
from consist_es.cli.common import NEGATIVE, opened, project_option
from consist_es.cli.forms import Column, forms_option, print_rows
from consist_es.cli.marks import took
from consist_es.cli.output import emit, emit_json, note
from consist_es.cli.tell import tell_source_changes
from consist_es.projections.run_rows import RunRow
from consist_es.reading import select
from consist_es.reading.causes import in_short
from consist_es.reading.compare import BY_INPUTS, ITSELF, ONLY_A, ONLY_B, SAME, Comparison, Pair, compare
from consist_es.runs.source_changes import source_changes

_SIGNS = {SAME: "=", ITSELF: "≠", BY_INPUTS: "~", ONLY_A: "-", ONLY_B: "+"}
_STYLES = {ITSELF: "yellow", BY_INPUTS: "dim", ONLY_A: "red", ONLY_B: "green"}


def _sign(verdict: str | None) -> str:
    sign = _SIGNS.get(verdict or "", "")
    try:
        sign.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        sign = "!"
    return f"{sign} {verdict}"


_COLUMNS = (
    Column("verdict", _sign, lambda verdict: _STYLES.get(verdict or "", "")),
    Column("step"),
    Column("a_seconds", took, right=True),
    Column("b_seconds", took, right=True),
    Column("differs", flexible=True),
    Column("outputs"),
)


@click.command()
@click.argument("a", shell_complete=complete.sides)
@click.argument("b", shell_complete=complete.sides)
@click.option("--all", "every", is_flag=True, help="Also the steps that are the same work.")
@click.option("--summary", is_flag=True, help="Only where they part, and how many steps differ.")
@forms_option
@project_option
def diff(a: str, b: str, every: bool, summary: bool, form: str | None, db_path: Path) -> None:
    """Show what differs between A and B: two scenarios, or two steps.

    For scenarios: their configs, the first step that is not the same work, and each step that differs: by itself
    (config, code, or a file from outside), or only by inputs that other steps made. Exit code: 0 if every step is the
    same work, 1 if any differs, 2 for a usage error.
    """
    with opened(db_path) as project:
        views = project.connection()
        one, other = (select.scenario_or_step(views, text) for text in (a, b))
        found = compare(views, one.run, other.run)
        changes = source_changes(views, other.run, one.run) if one.run.kind != "scenario" else []
        for said, text in ((one, a), (other, b)):
            if said.others:
                note(f"{text!r} may be one of {said.others + 1} runs: the newest was taken, {said.run.id!r}.")
    shown = [pair for pair in found.pairs if every or pair.verdict != SAME]
    if form == "json":
        emit_json({**_document(found, shown), "source_changes": [msgspec.to_builtins(item) for item in changes]})
    elif form is not None:
        print_rows(_COLUMNS, [_row(pair) for pair in shown], form)
    else:
        _print(found, shown, summary=summary)
        tell_source_changes(changes)
    sys.exit(0 if found.first is None else NEGATIVE)


def _print(found: Comparison, shown: list[Pair], *, summary: bool) -> None:
    for name, row in (("A", found.a), ("B", found.b)):
        emit(f"{name} {row.id}  {row.status}{_in(row)}, {row.started_at[:16].replace('T', ' ')}Z", "dim")
    for item in found.config:
        emit(in_short(item), "yellow")
    if found.software is not None:
        emit("software: other versions, or another commit of the code", "yellow")
    if found.first is None:
        emit("Every step is the same work.", "green")
        return
    emit(f"They part at {found.first.step}: {found.first.words}", "bold")
    words = {SAME: "the same", ITSELF: "differ by themselves", BY_INPUTS: "only by their inputs"}
    emit(", ".join(f"{count} {words.get(verdict, verdict)}" for verdict, count in found.counts.items()), "dim")
    if not summary:
        emit()
        print_rows(_COLUMNS, [_row(pair) for pair in shown], None)


def _in(row: RunRow) -> str:
    return "" if row.seconds is None else f" in {took(row.seconds)}"


def _row(pair: Pair) -> dict[str, Any]:
    return {
        "verdict": pair.verdict,
        "step": pair.step,
        "a_seconds": None if pair.a is None else pair.a.seconds,
        "b_seconds": None if pair.b is None else pair.b.seconds,
        "differs": pair.words,
        "outputs": pair.came_out,
    }


def _document(found: Comparison, shown: list[Pair]) -> dict[str, Any]:
    return {
        "a": found.a.id,
        "b": found.b.id,
        "config": [{"key": item.key, "a": item.before, "b": item.after} for item in found.config],
        "software_differs": found.software is not None,
        "counts": found.counts,
        "first": None if found.first is None else {"step": found.first.step, "differs": found.first.words},
        "steps": [
            {
                **_row(pair),
                "a": None if pair.a is None else pair.a.id,
                "b": None if pair.b is None else pair.b.id,
                "differences": [
                    {"kind": item.kind, "key": item.key, "a": item.before, "b": item.after, "text": item.text}
                    for item in pair.differences
                ],
                "outputs": [
                    {"key": item.key, "same_bytes": item.same_bytes, "rows": list(item.rows)} for item in pair.outputs
                ],
            }
            for pair in shown
        ],
    }
