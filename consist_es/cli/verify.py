"""``consist-es verify``: is the log whole?"""

import sys
from pathlib import Path

import click
import msgspec

from consist_es.cli.common import NEGATIVE, json_option, project_option, short
from consist_es.cli.evidence import check_heads, readable_file
from consist_es.cli.output import emit, emit_json, note, table
from consist_es.cli.progress import Bar
from consist_es.cli.wording import BAD, GOOD, ODD, QUIET
from consist_es.log.segment import segment_name
from consist_es.log.treehead import read_head_file
from consist_es.log.verify import VerifyReport, verify_again
from consist_es.project_file import log_folder
from consist_es.wording import counted

_WHAT_TO_DO = (
    "Nothing was changed. Restore the damaged files from a copy; what lies before the first problem is good and can be "
    "read."
)
_TORN = (
    "A writer was killed there, or is writing just now. No recorded event is lost: the next writer moves these bytes "
    "to the quarantine folder and goes on."
)
_REDACTING = (
    "A redaction is under way, or the process that began it was killed: then the next writer finishes it, for example "
    "`consist-es redact` with the same position."
)


@click.command()
@click.option(
    "--against", metavar="FILE", type=readable_file, multiple=True, help="Compare with this tree head; may be repeated."
)
@click.option("--signers", metavar="FILE", type=readable_file, help="Whose signatures count, as in ssh-keygen(1).")
@click.option("--recent", is_flag=True, help="Go on from where the last check that found no fault got.")
@json_option
@project_option
def verify(against: tuple[Path, ...], signers: Path | None, recent: bool, as_json: bool, db_path: Path) -> None:
    """Check every event of the log against its chain. Changes nothing in it.

    A check that finds no fault notes how far the log is whole. With --recent the next one goes on from there, if the
    chain is still the same at that place; damage done since to what lies before it is not looked for then.

    Exit code 1 where anything is wrong, an incomplete record at the end included. A rewrite of the whole log cannot be
    found in this way, nor the loss of its newest events where those had not been synced. Tree heads find both: give
    those that `checkpoint` wrote and that were kept elsewhere, with --against. With --signers their signatures are
    checked too.
    """
    if signers is not None and not against:
        raise click.UsageError("--signers is about the tree heads that --against names: give both.")
    folder, heads = log_folder(db_path), {path: read_head_file(path) for path in against}
    with Bar("Checking the log") as bar:
        report = verify_again(folder, progress=bar, full=not recent)
    if as_json:
        emit_json({"folder": str(folder), **msgspec.to_builtins(report)})
    else:
        _print(folder, report)
    extended = check_heads(folder, heads, signers, as_json) if heads else True
    if not (report.ok and extended):
        sys.exit(NEGATIVE)


def _unfinished(report: VerifyReport) -> str:
    return "an incomplete last record" if report.torn_bytes else "a redaction that is not finished"


def _print(folder: Path, report: VerifyReport) -> None:
    size = (
        f"{counted(report.events, 'event')} in {counted(report.segments, 'segment')}, {counted(report.bytes, 'byte')}"
    )
    synced = "not known" if report.watermark is None else f"position {report.watermark}"
    verdict = "whole" if report.ok else "DAMAGED" if report.problems else f"whole, but for {_unfinished(report)}"
    style = GOOD if report.ok else BAD if report.problems else ODD
    emit(f"{short(folder)}: {verdict}; {size}, the last at position {report.head}; synced up to: {synced}", style)
    if report.since:
        emit(f"up to position {report.since}: as an earlier check found it; leave --recent out to look again", QUIET)
    if report.problems:
        rows = [(problem.file, problem.offset, problem.position, problem.what) for problem in report.problems]
        table(("file", "byte", "position", "problem"), rows)
    if report.torn_bytes:
        where = f"{segment_name(report.segments)}, byte {report.torn_offset}"
        emit(f"{where}: incomplete last record, {counted(report.torn_bytes, 'byte')}", ODD)
    if report.redacted:
        listed = ", ".join(map(str, report.redacted))
        emit(f"redacted: the payload of {'position' if len(report.redacted) == 1 else 'positions'} {listed}", QUIET)
    for name in report.quarantined:
        emit(f"quarantine/{name}: cut off by an earlier repair", QUIET)
    if report.problems:
        note(_WHAT_TO_DO)
    elif report.torn_bytes:
        note(_TORN)
    if report.redacting:
        note(_REDACTING)
