"""``consist-es gc``: delete what nothing needs."""

from pathlib import Path

import click

from consist_es.cli.common import json_document, opened, project_option
from consist_es.cli.evict import plain_left
from consist_es.cli.output import emit, emit_json, note
from consist_es.doctor.outputs import Roots
from consist_es.keeping import garbage


@click.command()
@click.option("--caches", is_flag=True, help="Also the digests of files, which are then taken again.")
@click.option("--yes", is_flag=True, help="Do it. Without this a list is printed, and nothing is changed.")
@json_document
@project_option
def gc(caches: bool, yes: bool, as_json: bool, db_path: Path) -> None:
    """Delete what nothing needs.

    That is: partial outputs of runs whose process was killed (folders named ….abandoned), databases that were set aside
    when the views were built anew, and copies that a killed process was making. Nothing that a record or a recovery
    copy refers to, and nothing of a process that may be alive. `consist-es evict` deletes outputs that can be made
    again, and `consist-es doctor --fix` tidies the log.
    """
    with opened(db_path, read_only=not yes) as project:
        roots = Roots(project.connection(), project.folder.parent)
        act = garbage.collect if yes else garbage.garbage
        found = act(project, roots.of, caches=caches)
    if as_json:
        items = [{"kind": item.kind, "path": str(item.place), "bytes": item.size} for item in found.items]
        emit_json({"done": found.done, "bytes": found.size, "items": items, "left": plain_left(found.left)})
        return
    for line in found.lines():
        emit(line)
    if found.items and not found.done:
        note("Nothing was changed. Do it with --yes.")
