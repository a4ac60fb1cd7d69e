"""``consist-es archive``: put segments away that nothing is appended to any more."""

import sys
from pathlib import Path

import click

from consist_es.cli.common import NEGATIVE, json_option, project_option, short
from consist_es.cli.output import emit, emit_json, note
from consist_es.cli.progress import Bar
from consist_es.cli.wording import BAD, GOOD
from consist_es.log.archive import archive as put_away
from consist_es.log.verify import verify_again
from consist_es.project.find import log_folder
from consist_es.system.storage import LocalStorage
from consist_es.text import counted


@click.command()
@click.option("--to", metavar="FOLDER", type=click.Path(path_type=Path), help="Move them there, and leave links.")
@json_option
@project_option
def archive(to: Path | None, as_json: bool, db_path: Path) -> None:
    """Make the segments of the log read-only that are complete, which is all but the newest.

    With --to they are moved to FOLDER, which must be there, and should be this project's alone: each one is copied, the
    copy read back and compared, and only then a link takes its place. Everything works as before as long as FOLDER can
    be reached, a disk that is read-only from now on included. The whole log is checked first; a damaged one is left
    as it is. It can be done again when there are more segments.
    """
    folder, storage = log_folder(db_path), LocalStorage()
    with Bar("Checking the log") as bar:
        report = verify_again(folder, progress=bar, full=True)
    if report.problems:
        note(f"{short(folder)} is not whole, so nothing was archived: `consist-es verify` says more.", BAD)
        sys.exit(NEGATIVE)
    done = []
    for path in put_away(storage, folder, to):
        done.append(path)
        if not as_json:
            emit(short(path))
    if as_json:
        emit_json({"folder": str(folder), "archived": [str(path) for path in done]})
    else:
        note(f"{counted(len(done), 'segment')} read-only; the newest one is still written to.", GOOD)
