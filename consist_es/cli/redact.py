"""``consist-es redact``: remove the payload of an event from the log and the views."""

from collections.abc import Sequence
from pathlib import Path

import click

from consist_es.cli.common import json_option, opened, project_option, short
from consist_es.cli.names import Names
from consist_es.cli.output import emit, emit_json, note, table
from consist_es.cli.wording import ODD, moment
from consist_es.errors import UsageError
from consist_es.log.engine import files_of
from consist_es.log.files import QUARANTINE
from consist_es.log.local import LocalLog
from consist_es.log.redaction import find_lines
from consist_es.log.segment import Line
from consist_es.project.project import Project
from consist_es.projections.shared_values import referred_to
from consist_es.text import counted

_ELSEWHERE = (
    "Copies elsewhere are out of reach: backups and other copies of the project, exports, reports, proof bundles, "
    "databases written by `consist-es replay --db`, views that another user keeps in the folder for temporary files, "
    "terminals and their logs; and on the disk the blocks that the old bytes were in, until they are used again. "
    "Tree heads hold no payloads. If it was a password or a key, replace it by a new one: only that is certain."
)
_SHARED = (
    "Position {position} holds values of these events that other runs had as well, and stays. If it is to go too: "
    "`consist-es redact {position} --reason …`."
)
_READ_BY_OTHERS = (
    "Another program is reading the database, so what was redacted may still be in the file or its -wal. Close that "
    "program and run `consist-es replay`."
)


@click.command()
@click.argument("positions", metavar="POSITION...", type=click.IntRange(min=1), nargs=-1, required=True)
@click.option("--reason", metavar="TEXT", required=True, help="Why it is removed; this text is recorded and stays.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@project_option
def redact(positions: tuple[int, ...], reason: str, yes: bool, as_json: bool, db_path: Path) -> None:
    """Remove payloads of events for good, such as a recorded secret.

    They are removed from the log and the database. POSITION is the number at the beginning of each line of `audit` and
    `log`. The payload's digest stays in its place, so the chain, the tree heads and all other events remain valid. It
    cannot be undone. The redaction itself is recorded as an event, with user and reason.
    """
    wanted = sorted(set(positions))
    if not reason.strip():
        raise click.UsageError("--reason is blank: say why, for whoever looks at the record later.")
    with opened(db_path, read_only=False) as project:
        wanted = project.with_values(wanted)
        log = files_of(project.log, "redact")
        lines = _lines(log, wanted)
        if not yes:
            _show(project, lines)
            click.confirm(f"Redact {counted(len(lines), 'event')} for good?", abort=True, err=True)
        left = _left_beside(project, log.folder, lines)
        others = [seq for seq in referred_to(project.connection(), wanted, by_others=True) if seq not in lines]
        clean = project.redact(wanted, reason.strip())
    if as_json:
        emit_json(
            {"redacted": wanted, "reason": reason.strip(), "database_clean": clean, "left": left, "shared": others}
        )
    else:
        emit(f"Redacted: the payload of {', '.join(f'position {position}' for position in wanted)}.", ODD)
    for position in others:
        note(_SHARED.format(position=position), ODD)
    _tell_what_is_left(left, clean)


def _lines(log: LocalLog, positions: Sequence[int]) -> dict[int, Line]:
    """The lines at these positions; refuses all if one is beyond the end."""
    head = log.head().seq
    if beyond := [position for position in positions if position > head]:
        raise UsageError(f"There is no position {beyond[0]}: the log ends at {head}. Nothing was changed.")
    return find_lines(log.storage, log.folder, positions)


def _show(project: Project, lines: dict[int, Line]) -> None:
    """List the events to redact, without their payloads: a terminal may be recorded too."""
    names = Names(project.connection)
    rows = []
    for position, line in sorted(lines.items()):
        head = line.head
        about = head.run or head.scenario
        rows.append((position, moment(head.at), "" if about is None else names.run(about), head.type, len(line.data)))
    table(("position", "recorded", "run", "event", "bytes"), rows)


def _left_beside(project: Project, folder: Path, lines: dict[int, Line]) -> list[str]:
    """Files beside the log and the database that may hold the payloads too, and are kept as evidence."""
    payloads = [line.data for line in lines.values()]
    cut_off = folder / QUARANTINE
    held = [path for path in sorted(cut_off.glob("*")) if any(data in path.read_bytes() for data in payloads)]
    database = project.views.path
    aside = [path for kind in ("damaged", "orphaned") for path in database.parent.glob(f"{database.name}.{kind}-*")]
    archived = [path.resolve() for path in sorted(folder.glob("*.jsonl")) if path.is_symlink()]
    copies = [path for path in archived if any(data in path.read_bytes() for data in payloads)]
    return [short(path) for path in (*held, *copies, *sorted(aside))]


def _tell_what_is_left(left: list[str], clean: bool) -> None:
    if not clean:
        note(_READ_BY_OTHERS, ODD)
    for path in left:
        note(f"{path} was put aside earlier and may hold it too: remove it if you do not need it.", ODD)
    note(_ELSEWHERE)
