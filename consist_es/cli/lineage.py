"""``consist-es lineage``: what a step or file was made from, or what was made from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from consist_es.cli import complete
from consist_es.cli.common import json_document, opened, project_option
from consist_es.cli.marks import mark, style, took
from consist_es.cli.output import emit_json, print_text, shown
from consist_es.cli.tell import note_others
from consist_es.projections.run_rows import RunRow
from consist_es.reading import select
from consist_es.reading.family import Relative, of_artifact, of_step
from consist_es.reading.labels import label, outcome

_DEPTH = 4


@click.command()
@click.argument("what", shell_complete=complete.anything)
@click.option("--down", is_flag=True, help="Show what was made from it instead.")
@click.option(
    "--depth",
    metavar="N",
    type=click.IntRange(min=1),
    default=_DEPTH,
    show_default=True,
    help="Go so many steps far.",
)
@json_document
@project_option
def lineage(what: str, down: bool, depth: int, as_json: bool, db_path: Path) -> None:
    """Show what WHAT was made from, step by step; with --down, what was made from it.

    WHAT is a step, such as baseline/demand@2030.1, or an artifact: its key, the beginning of its id or digest, or the
    name of its file. Each step is opened once; further on it is only named.
    """
    with opened(db_path) as project:
        views = project.connection()
        found = select.anything(views, what)
        note_others(what, found)
        if isinstance(found, select.SelectedArtifact):
            root = of_artifact(views, found.artifact, down=down, depth=depth)
        elif found.run.kind == "scenario":
            raise click.UsageError(f"{found.run.id!r} is a scenario: name one of its steps, {found.run.id}/STEP.")
        else:
            root = of_step(views, found.run, down=down, depth=depth)
    if as_json:
        emit_json(_plain(root))
        return
    for text in _lines(root, down=down):
        print_text(text)


def _plain(node: Relative) -> dict[str, Any]:
    run = None if node.run is None else {"run": node.run.id, "step": label(node.run), "outcome": outcome(node.run)}
    artifact = None if node.artifact is None else {"key": node.artifact.key, "uri": node.artifact.uri}
    below = [_plain(item) for item in node.below]
    return {"name": node.name, **(run or {}), **(artifact or {}), "more": node.more, "below": below}


def _lines(node: Relative, *, down: bool, before: str = "", mine: str = "") -> Iterator[Text]:
    yield Text.assemble((mine, "dim"), *_said(node, down=down))
    for number, item in enumerate(node.below):
        last = number == len(node.below) - 1 and not node.more
        yield from _lines(
            item, down=down, before=before + ("    " if last else "│   "), mine=before + ("└── " if last else "├── ")
        )
    if node.more:
        yield Text(f"{before}└── … {node.more} more: --depth", "dim")


def _said(node: Relative, *, down: bool) -> list[Any]:
    arrow = (f"{shown(node.name)} {'→' if down else '←'} ", "dim") if node.name else ""
    if node.run is None:
        text = "" if node.artifact is None else node.artifact.uri
        return [arrow, (shown(text), "cyan")]
    row: RunRow = node.run
    again = ("  (shown above)", "dim italic") if node.repeated else ""
    return [
        arrow, (f"{mark(outcome(row))} ", style(outcome(row))), (shown(label(row)), "bold"),
        (f"  {shown(row.id)}  {took(row.seconds)}", "dim"), again,
    ]  # fmt: skip
