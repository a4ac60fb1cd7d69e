"""``consist-es export``: scenarios in formats of others."""

import sys
from pathlib import Path
from typing import Any, BinaryIO

import click

from consist_es.cli import complete
from consist_es.cli.common import opened, project_option, short
from consist_es.cli.output import note
from consist_es.system.bar import Bar
from consist_es.text import counted

_FORMATS = ("openlineage", "prov", "ro-crate", "parquet", "trace", "mermaid", "dot")
_STDOUT = "-"


@click.command()
@click.argument("format", metavar="FORMAT", type=click.Choice(_FORMATS))
@click.argument("scenarios", metavar="[SCENARIO]...", nargs=-1, shell_complete=complete.scenarios)
@click.option(
    "-o", "--out", metavar="PATH", type=click.Path(path_type=Path), required=True,
    help="File to write, a folder for ro-crate and parquet, or - for stdout.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace an earlier export.")
@click.option("--script", metavar="FILE", type=click.Path(path_type=Path), help="ro-crate: the script of the model.")
@click.option("--license", metavar="TEXT", help="ro-crate: the licence, as an SPDX identifier or a URL.")
@click.option("--author", metavar="TEXT", help="ro-crate: who wrote it, as a name or an ORCID's URL.")
@click.option("--publisher", metavar="TEXT", help="ro-crate: the organisation that publishes it, a name or a URL.")
@click.option("--published", metavar="DATE", help="ro-crate: the date.  [default: the end of the scenario]")
@click.option("--data", is_flag=True, help="ro-crate: copy the files whose bytes are still the recorded ones.")
@project_option
def export(format: str, scenarios: tuple[str, ...], out: Path, force: bool, db_path: Path, **about: Any) -> None:
    """Write scenarios in a format of others; without SCENARIO the whole project. Formats:

    \b
    openlineage  OpenLineage 2-0-2 events, one to a line (Marquez, DataHub)
    prov         W3C PROV-JSON
    ro-crate     Provenance Run RO-Crate 0.5 of one scenario, a folder
    parquet      tables of steps, files and their links, a folder
    trace        Chrome trace (ui.perfetto.dev, speedscope)
    mermaid      flowchart for Markdown pages
    dot          graph for Graphviz

    SCENARIO is a name: its latest attempt, or NAME#2 for an earlier one. Two exports of the same record are equal, byte
    for byte. Nothing is invented: what the record does not know is left out, and a ro-crate asks for it by its options.
    """
    from consist_es.exports.export import export as write  # pyarrow is slow to import
    from consist_es.exports.export import own_places

    place: Path | BinaryIO = sys.stdout.buffer if str(out) == _STDOUT else out
    with opened(db_path) as project, Bar("Exporting") as bar:
        ours = own_places(project.folder, project.db_path)
        done = write(project.connection(), format, place, scenarios, ours=ours, force=force, about=about, progress=bar)
    for notice in done.notices:
        note(f"Note: {notice}", "yellow")
    if isinstance(place, Path):
        note(f"Written to {short(place)}: {counted(done.runs, 'run')}.")
