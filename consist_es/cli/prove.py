"""``consist-es prove``: proofs that need only a tree head, neither the log nor this library."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from consist_es.cli.common import opened, project_option, short
from consist_es.cli.evidence import head_to_prove_against, new_file, readable_file, require_new, write_new
from consist_es.cli.output import note
from consist_es.events import CacheHit, CouplerSet, Recorded, ScenarioStarted, StepCompleted, StepStarted
from consist_es.log.engine import EventLog, files_of
from consist_es.log.evidence.proof import prove as make_proof
from consist_es.log.evidence.tree_head import TreeHead, read_head_file
from consist_es.project.project import Project
from consist_es.projections import audit_index, lineage, shared_values
from consist_es.system.bar import Bar
from consist_es.text import counted

against_option = click.option(
    "--against", metavar="FILE", type=readable_file, help="Tree head to prove against.  [default: the newest one kept]"
)
out_option = click.option("--out", metavar="FILE", type=new_file, help="Write a new file.  [default: print]")


@click.command()
@click.argument("positions", metavar="[POSITION]...", nargs=-1, type=click.IntRange(min=1))
@click.option(
    "--extends",
    "older",
    metavar="FILE",
    type=readable_file,
    help="Older tree head: prove that the newer one extends it.",
)
@against_option
@out_option
@project_option
def prove(
    positions: tuple[int, ...], older: Path | None, against: Path | None, out: Path | None, db_path: Path
) -> None:
    """Prove that the events at POSITIONs are under a tree head.

    With --extends also, or only, that its log begins with all events of an older head's log. The proof is one line of
    JSON, which tools/check_proof.py checks without this program: 70 lines to read and trust.
    """
    if not positions and older is None:
        raise click.UsageError("Give at least one POSITION, or --extends FILE.")
    extended = None if older is None else read_head_file(older)
    with opened(db_path) as project:
        write_proof(project.log, positions, against, out, older=extended)


def write_proof(
    log: EventLog, positions: Iterable[int], against: Path | None, out: Path | None, *, older: TreeHead | None = None
) -> None:
    """Make a proof, and print it or write it to a new file."""
    if out is not None:
        require_new(out)
    files = files_of(log, "prove")
    head, signature = head_to_prove_against(files, against)
    with Bar("Reading the log") as bar:
        proof = make_proof(files.storage, files.folder, head, positions, older=older, signature=signature, progress=bar)
    if out is None:
        sys.stdout.write(proof.text())
        return
    write_new(out, proof.text())
    note(f"Written to {short(out)}: {counted(len(proof.events), 'event')}, against the tree head of {head.size}.")


# ---------------------------------------------------------------- audit --proof


def evidence(project: Project, scenario_keys: Iterable[str]) -> set[int]:
    """Positions of all events of some scenarios, and of the events that recorded their files and values."""
    views = project.connection()
    found: set[int] = set()
    for key in scenario_keys:
        for position, segment, offset in audit_index.positions(views, key):
            found.add(position)
            recorded = project.log.at(position, (segment, offset))
            if isinstance(recorded.event, ScenarioStarted | StepStarted):
                for digest in recorded.event.shared.values():
                    found.update(shared_values.positions(views, digest))
            for artifact in _artifacts(recorded):
                row = lineage.artifact(views, artifact)
                if row is not None:
                    found.add(row.created_seq)
    return found


def _artifacts(recorded: Recorded) -> Iterator[str]:
    """Ids of the artifacts that an event links to."""
    event = recorded.event
    if isinstance(event, StepStarted):
        yield from (link.artifact for link in event.inputs)
    elif isinstance(event, StepCompleted):
        yield from (link.artifact for link in event.all_outputs)
    elif isinstance(event, CacheHit):
        yield from (link.artifact for link in event.outputs)
    elif isinstance(event, CouplerSet) and event.artifact is not None:
        yield event.artifact
