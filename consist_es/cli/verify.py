"""``consist-es verify``: check that the log is intact."""

import sys
from pathlib import Path

import click
import msgspec

from consist_es.cli.common import json_option, opened, place_of, project_option
from consist_es.cli.doctor import show_finding
from consist_es.cli.evidence import check_heads, readable_file
from consist_es.cli.output import emit, emit_json, note, shown, table
from consist_es.cli.wording import BAD, GOOD, ODD, QUIET
from consist_es.doctor.examine import derive_again
from consist_es.log.engine import EventLog, files_of
from consist_es.log.evidence.tree_head import read_head_file
from consist_es.log.report import VerifyReport
from consist_es.log.segment import segment_name
from consist_es.log.unended import Unended
from consist_es.project.project import Project
from consist_es.system.bar import Bar
from consist_es.system.storage import LocalStorage
from consist_es.text import counted

_MOST = 20
"""Most positions and runs that are listed."""

_WHAT_TO_DO = (
    "Nothing was changed. Restore the damaged files from a copy; what lies before the first problem is good and can be "
    "read. If there is no copy, `consist-es repair` shows what can be kept. The payload of a missing blob can only "
    "be given up, with `consist-es redact` and a reason."
)
_UNREAD = "Something could not be read, so it is not checked: check permissions and disk, and run it again."
CORRUPT, UNTRUSTED, UNCHECKED = 1, 2, 4
"""Exit codes, which add up."""
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
@click.option("--signers", metavar="FILE", type=readable_file, help="File of allowed signers, as in ssh-keygen(1).")
@click.option("--deep", is_flag=True, help="Also rebuild the views to compare them, and read every output.")
@click.option("--recent", is_flag=True, help="Continue where the last check without findings ended.")
@json_option
@project_option
def verify(
    against: tuple[Path, ...], signers: Path | None, deep: bool, recent: bool, as_json: bool, db_path: Path
) -> None:
    """Check every event of the log against its chain. Changes nothing in it.

    A check without findings notes how far it got. With --recent the next one goes on from there, if the chain is still
    the same at that place; later damage before that place is not found then.

    This check cannot find a rewrite of the whole log, nor the loss of its newest events if those had not been synced.
    Tree heads find both: give those that `checkpoint` wrote and that were kept elsewhere, with --against. --signers
    checks their signatures too.

    Exit codes add up: 1 if anything is damaged or incomplete, with --deep also if the views differ from the log, or an
    output is gone or changed; 2 if the log does not extend a tree head, or a signature is invalid; 4 if something could
    not be read. 0 if all is well, 2 also for a usage error.
    """
    if signers is not None and not against:
        raise click.UsageError("--signers belongs to --against: give both.")
    heads = {path: read_head_file(path) for path in against}
    with opened(db_path) as project:
        log = project.log
        with Bar("Checking the log") as bar:
            report = log.verify(bar, full=not recent)
        if as_json:
            emit_json({"folder": log.place, **msgspec.to_builtins(report)})
        else:
            _print(log, report)
        extended = check_heads(files_of(log, "verify --against"), heads, signers, as_json) if heads else True
        agreed = _deeply(project, as_json) if deep and not report.problems else True
    corrupt = CORRUPT if not (report.ok and agreed) else 0
    sys.exit(corrupt | (0 if extended else UNTRUSTED) | (UNCHECKED if report.unread else 0))


def _deeply(project: Project, as_json: bool) -> bool:
    """Rebuild the views and re-read the outputs, and print differences; True if there are none."""
    with Bar("Rebuilding the views") as bar:
        findings = list(derive_again(project, bar))
    for finding in findings:
        show_finding(finding, as_json)
    return not any(finding.is_wrong for finding in findings)


def _print(log: EventLog, report: VerifyReport) -> None:
    size = (
        f"{counted(report.events, 'event')} in {counted(report.segments, 'segment')}, {counted(report.bytes, 'byte')}"
    )
    synced = "not known" if report.watermark is None else f"position {report.watermark}"
    unfinished = "an incomplete last record" if report.torn_bytes else "a redaction that is not finished"
    verdict = "whole" if report.ok else "DAMAGED" if report.problems else f"whole, but for {unfinished}"
    style = GOOD if report.ok else BAD if report.problems else ODD
    emit(f"{place_of(log)}: {verdict}; {size}, the last at position {report.head}; synced up to: {synced}", style)
    if report.since:
        emit(f"up to position {report.since}: as an earlier check found it; leave --recent out to look again", QUIET)
    if report.problems:
        _print_problems(report)
    if report.torn_bytes:
        where = f"{segment_name(report.segments)}, byte {report.torn_offset}"
        emit(f"{where}: incomplete last record, {counted(report.torn_bytes, 'byte')}", ODD)
    _print_history(log, report)
    if report.problems:
        note(_WHAT_TO_DO)
    elif report.torn_bytes:
        note(_TORN)
    if report.redacting:
        note(_REDACTING)
    if report.unread:
        note(_UNREAD)


def _print_problems(report: VerifyReport) -> None:
    rows = [(problem.file, problem.offset, problem.position, problem.what) for problem in report.problems]
    table(("file", "byte", "position", "problem"), rows)
    if report.before is not None:
        behind = report.events - report.before
        emit(f"{counted(report.before, 'event')} can be read before the first break of the chain, {behind} after it")


def _print_history(log: EventLog, report: VerifyReport) -> None:
    """Print redactions, losses and other events about the log, and the open runs."""
    if report.redacted:
        listed = ", ".join(map(str, report.redacted))
        emit(f"redacted: the payload of {'position' if len(report.redacted) == 1 else 'positions'} {listed}", QUIET)
    if report.lost:
        listed = ", ".join(map(str, report.lost[:_MOST])) + (" and more" if len(report.lost) > _MOST else "")
        emit(f"lost, as an earlier repair recorded: the record of position {listed}", ODD)
    for name in report.quarantined:
        emit(f"quarantine/{name}: cut off by an earlier repair", QUIET)
    for found in report.unended[:_MOST]:
        _tell_unended(log, found)
    if len(report.unended) > _MOST:
        emit(f"{len(report.unended) - _MOST} more have no end", QUIET)


def _tell_unended(log: EventLog, found: Unended) -> None:
    """Print a run without an end, and whether its process is gone, if that can be checked from here."""
    writer = found.writer
    where = f"position {found.position}: {shown(found.run)} has no end"
    if writer is None:
        emit(f"{where}, and its process is not known to this check", QUIET)
    elif log.alive(writer) is False:
        emit(f"{where}, and process {writer.pid} is gone: the next writer records it as abandoned", ODD)
    else:
        elsewhere = "" if writer.host == LocalStorage().host() else f" of host {shown(writer.host)}"
        emit(f"{where}: process {writer.pid}{elsewhere} may still be running it", QUIET)
