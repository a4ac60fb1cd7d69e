"""``consist-es evict``: delete files that can be made again, and keep all that is known of them."""

from pathlib import Path
from typing import Any

import click

from consist_es.artifacts.uris import given_folder
from consist_es.cli import complete
from consist_es.cli.common import json_document, opened, project_option
from consist_es.cli.output import emit, emit_json, note
from consist_es.doctor.outputs import Roots
from consist_es.keeping import evict as evicting
from consist_es.keeping.policy import Eviction, Left, Policy, checked_bytes


@click.command()
@click.argument("what", nargs=-1, shell_complete=complete.anything)
@click.option(
    "--keep-last", type=int, default=1, show_default=True, metavar="N", help="Keep the last N results of each step."
)
@click.option("--bytes", "free", metavar="SIZE", help="Stop once this much is freed: 10GB, 500 MiB.")
@click.option(
    "--to", "archive_root", metavar="FOLDER", type=click.Path(path_type=Path), help="Copy the bytes there first."
)
@click.option("--yes", is_flag=True, help="Do it. Without this the plan is printed, and nothing is changed.")
@json_document
@project_option
def evict(
    what: tuple[str, ...],
    keep_last: int,
    free: str | None,
    archive_root: Path | None,
    yes: bool,
    as_json: bool,
    db_path: Path,
) -> None:
    """Delete files of outputs that can be made again, and keep all that is known of them.

    WHAT is a scenario, a step (all runs of that name) or a run; by default all. What takes the fewest seconds per byte
    to make again goes first. Kept are outputs of the last results of each step, of runs that are pinned, that a run in
    progress or a living process uses, that a change was accepted as, or that could not be made again; and every file
    whose bytes are not the recorded ones. A later step that asks for an evicted output puts it back from a recovery
    copy, or runs again. If it is interrupted, the same call again completes it.
    """
    policy = Policy.of(what, keep_last, checked_bytes(free, "--bytes"))
    folder = None if archive_root is None else given_folder(archive_root, "--to")
    with opened(db_path, read_only=not yes) as project:
        roots = Roots(project.connection(), project.folder.parent)
        if yes:
            found = evicting.evict(project, roots.of, policy, archive_root=folder)
        else:
            found = evicting.planned(project, roots.of, policy)
    if as_json:
        emit_json(_plain(found))
        return
    for line in found.lines():
        emit(line)
    if found.runs and not found.done:
        note("Nothing was changed. Do it with --yes.")


def _plain(found: Eviction) -> dict[str, Any]:
    runs = [
        {
            "run": run.id,
            "bytes": run.size,
            "seconds": run.seconds,
            "recovery_copy": run.by_copy,
            "outputs": [{"artifact": item.row.artifact_id, "key": item.row.key} for item in run.outputs],
        }
        for run in found.runs
    ]
    kept, left = plain_left(found.kept), plain_left(found.left)
    size = found.freed if found.done else found.size
    return {"done": found.done, "bytes": size, "runs": runs, "kept": kept, "left": left}


def plain_left(items: list[Left]) -> list[dict[str, str]]:
    """What JSON says of what stays."""
    return [{"name": item.name, "why": item.why} for item in items]
