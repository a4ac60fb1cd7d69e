"""``consist-es archive``: make complete segments read-only, and move them elsewhere."""

import sys
from pathlib import Path

import click

from consist_es.cli.common import NEGATIVE, json_option, opened, project_option, short
from consist_es.cli.output import emit, emit_json, note
from consist_es.cli.wording import BAD, GOOD
from consist_es.log.archive import archive as put_away
from consist_es.log.engine import files_of
from consist_es.system.bar import Bar
from consist_es.text import counted


@click.command()
@click.option("--to", metavar="FOLDER", type=click.Path(path_type=Path), help="Move them there, and leave links.")
@json_option
@project_option
def archive(to: Path | None, as_json: bool, db_path: Path) -> None:
    """Make all segments of the log but the newest read-only.

    With --to they are moved to FOLDER, which must exist and should hold this project only: each one is copied, the copy
    is read back and compared, and only then replaced by a link. Everything works as before as long as FOLDER can be
    reached; its disk may be read-only afterwards. The whole log is checked first; a damaged one is not changed. Run it
    again once there are more segments.
    """
    with opened(db_path) as project:
        log = files_of(project.log, "archive")
    with Bar("Checking the log") as bar:
        report = log.verify(bar, full=True)
    if report.problems:
        note(f"{short(log.folder)} is not whole, so nothing was archived: `consist-es verify` shows the faults.", BAD)
        sys.exit(NEGATIVE)
    done = []
    for path in put_away(log.storage, log.folder, to):
        done.append(path)
        if not as_json:
            emit(short(path))
    if as_json:
        emit_json({"folder": log.place, "archived": [str(path) for path in done]})
    else:
        note(f"{counted(len(done), 'segment')} read-only; the newest one is still written to.", GOOD)
