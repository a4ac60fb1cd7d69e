"""``consist-es checkpoint``: a digest of the whole log, in three lines to keep elsewhere."""

from pathlib import Path

import click

from consist_es.cli.common import json_option, opened, project_option, short
from consist_es.cli.evidence import new_file, readable_file, require_new, signature_of, write_new
from consist_es.cli.output import emit, emit_json, note
from consist_es.log.engine import files_of
from consist_es.log.evidence.signing import sign
from consist_es.log.evidence.survey import Survey
from consist_es.log.evidence.tree_head import TreeHead
from consist_es.log.evidence.tree_heads import keep, make_head
from consist_es.log.local import LocalLog
from consist_es.system.bar import Bar
from consist_es.system.storage import READ_ONLY


@click.command()
@click.option("--sign", "key", metavar="KEY", type=readable_file, help="Sign with this SSH key, by ssh-keygen.")
@click.option("--out", metavar="FILE", type=new_file, help="Write a new file; a signature goes to FILE.sig.")
@json_option
@project_option
def checkpoint(key: Path | None, out: Path | None, as_json: bool, db_path: Path) -> None:
    """Make a tree head: a digest of all events, in three lines.

    Keep it out of reach of those who can write to the log: in a paper, a repository, a mail. `verify --against FILE`
    checks later whether the log still begins with the same events, and `prove` makes proofs against it. A copy stays in
    the log's folder checkpoints, so that the next head reads only new events.
    """
    with opened(db_path) as project:
        log = files_of(project.log, "checkpoint")
    if out is not None:
        require_new(out, signature_of(out))
    with Bar("Reading the log") as bar:
        head, survey = make_head(log.storage, log.folder, bar)
    signature = None if key is None else sign(head.text, key)
    kept = _keep(log, survey, head, signature)
    if out is not None:
        write_new(out, head.text)
        if signature is not None:
            write_new(signature_of(out), signature)
    _tell(head, signature, out or kept, as_json)


def _keep(log: LocalLog, survey: Survey, head: TreeHead, signature: str | None) -> Path | None:
    try:
        return keep(log.storage, log.folder, survey, head, signature)
    except OSError as error:
        if error.errno not in READ_ONLY:
            raise
        note(f"Nothing can be written to {short(log.folder)}: no copy stays there.", "yellow")
        return None


def _tell(head: TreeHead, signature: str | None, where: Path | None, as_json: bool) -> None:
    if as_json:
        origin, size, root = head.text.splitlines()
        facts = {"origin": origin, "size": int(size), "root": root}
        emit_json({**facts, "file": None if where is None else str(where), "signature": signature})
        return
    for line in head.text.splitlines():
        emit(line)
    if where is not None:
        signed = "" if signature is None else f", its signature in {short(signature_of(where))}"
        note(f"Written to {short(where)}{signed}. Keep a copy where nobody can change it together with the log.")
    elif signature is not None:
        emit()
        emit(signature.rstrip("\n"))
