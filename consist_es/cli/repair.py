"""``consist-es repair``: continue a damaged log without the lost records, if there is no copy of them."""

import sys
from pathlib import Path

import click

from consist_es.cli.common import NEGATIVE, json_option, opened, project_option, short
from consist_es.cli.output import emit, emit_json, note, shown
from consist_es.cli.wording import BAD, GOOD, ODD
from consist_es.log.blobs import BLOB_FOLDER
from consist_es.log.repair import Damage, Gap, behind
from consist_es.log.salvage import Survivor
from consist_es.log.segment import segment_name
from consist_es.project.project import Project
from consist_es.text import counted

_MOST = 20
_FIRST = (
    "Restoring the damaged file from an up-to-date copy loses nothing, so look for one first, and keep the damaged "
    "file until `consist-es verify` finds no fault. Without one, run `consist-es repair --keep-damaged`: a new segment "
    "takes over with everything that can still be read, the records that are lost are named in it by their positions, "
    "and the damaged files stay as they are. Tree heads of the log after the damage will not fit it any "
    "more."
)
_BLOBS = (
    "Payloads in files of their own, below blobs, were not looked at: `consist-es verify` does. One that is gone can "
    "only be restored from a copy, or given up with `consist-es redact` and a reason."
)
_AFTER = (
    "The damaged files are kept as they were; they no longer count from the damage on. Tree heads of the log "
    "after the damage do not fit it any more: if you keep some, move its folder `checkpoints` away and make a new one "
    "with `consist-es checkpoint`."
)


@click.command()
@click.option("--keep-damaged", is_flag=True, help="Do it: go on without the records that are lost.")
@json_option
@project_option
def repair(keep_damaged: bool, as_json: bool, db_path: Path) -> None:
    """Show what a damaged log still holds, and go on with that.

    Only for a log without a copy to restore it from. Without --keep-damaged nothing is changed; exit code 1 if the log
    is damaged. With it, the log can be written to again: every record that the chain confirms keeps its position, time
    and content, each of the others is replaced by an event that marks it as lost, and the damaged files stay unchanged.
    """
    with opened(db_path, read_only=False) as project:
        damage = project.log.damage()
        if damage is None:
            _whole(project, as_json)
            return
        if keep_damaged:
            gaps = project.log.repair()
        else:
            gaps = [item for item in behind(project.storage, project.folder, damage) if isinstance(item, Gap)]
        _tell(project, damage, gaps, as_json, done=keep_damaged)
    note(_AFTER if keep_damaged else _FIRST)
    if not keep_damaged:
        sys.exit(NEGATIVE)


def _whole(project: Project, as_json: bool) -> None:
    if as_json:
        emit_json({"folder": str(project.folder), "damaged": False})
    else:
        emit(f"{short(project.folder)}: every record is whole, nothing to repair", GOOD)
    if (project.folder / BLOB_FOLDER).exists():
        note(_BLOBS)


def _tell(project: Project, damage: Damage, gaps: list[Gap], as_json: bool, *, done: bool) -> None:
    lost = [gap.position for gap in gaps]
    if as_json:
        where = {"file": segment_name(damage.segment), "byte": damage.offset, "problem": damage.problem}
        emit_json({"folder": str(project.folder), "damaged": True, **where, "lost": lost, "repaired": done})
        return
    place = f"{segment_name(damage.segment)}, byte {damage.offset}"
    emit(f"{short(project.folder)}: DAMAGED at {place}: {shown(damage.problem)}", ODD if done else BAD)
    emit(f"up to position {damage.before.seq}: whole")
    if not done:
        kept = sum(isinstance(item, Survivor) for item in behind(project.storage, project.folder, damage))
        emit(f"after that: {counted(kept, 'record')} can be kept")
    listed = ", ".join(map(str, lost[:_MOST])) + (" and more" if len(lost) > _MOST else "")
    verb = "lost" if done else "cannot be kept"
    emit(f"{counted(len(lost), 'record')} {verb}" + (f": position {listed}" if lost else ""), BAD if lost else GOOD)
