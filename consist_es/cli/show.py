"""``consist-es show``: all about a scenario, a step or an artifact."""

from pathlib import Path
from typing import Any

import click
import msgspec

from consist_es.cli import complete
from consist_es.cli.common import json_document, opened, project_option
from consist_es.cli.output import emit_json
from consist_es.cli.output import shown as shown_text
from consist_es.cli.tell import (
    note_others,
    plain_artifact,
    tell_artifact,
    tell_no_log,
    tell_printed,
    tell_scenario,
    tell_step,
)
from consist_es.errors import UsageError
from consist_es.projections.run_rows import RunRow
from consist_es.reading import account, select
from consist_es.reading.causes import in_short
from consist_es.reading.evicted import Gone
from consist_es.reading.labels import label, outcome
from consist_es.runs.step_logs import step_log


@click.command()
@click.argument("what", shell_complete=complete.anything)
@click.option("--log", "as_log", is_flag=True, help="Print what the step printed while it ran, or prints now.")
@json_document
@project_option
def show(what: str, as_log: bool, as_json: bool, db_path: Path) -> None:
    """Show all about WHAT: a scenario, a step or an artifact.

    A scenario is baseline, or baseline#2 for an earlier attempt; a step baseline/demand@2030.1 (year 2030, iteration
    1), or its run id; an artifact its key, the beginning of its id or digest, or the name of its file.
    """
    with opened(db_path) as project:
        views = project.connection()
        found = select.anything(views, what)
        note_others(what, found)
        if as_log:
            _show_log(what, found, project.folder, as_json=as_json)
            return
        if isinstance(found, select.SelectedArtifact):
            artifact = account.of_artifact(views, found.artifact)
            if as_json:
                emit_json(_artifact(artifact))
            else:
                tell_artifact(artifact)
        elif found.run.kind == "scenario":
            scenario = account.of_scenario(views, found.run)
            if as_json:
                emit_json(_scenario(scenario))
            else:
                tell_scenario(scenario)
        else:
            step = account.of_step(views, found.run)
            if as_json:
                emit_json(plain_step(step))
            else:
                tell_step(step, whole=True)
                tell_printed(step.row, step_log(step.row, project=project.folder))


def _show_log(
    what: str, found: select.Selected | select.SelectedArtifact, folder: Path | None, *, as_json: bool
) -> None:
    if isinstance(found, select.SelectedArtifact) or found.run.kind == "scenario":
        raise UsageError(f"{what!r} is no step: --log shows what one step printed. `consist-es runs` lists the steps.")
    row = found.run
    log = step_log(row, project=folder)
    text = None if log is None else log.text()
    if as_json:
        emit_json({**_run(row), "log": None if log is None else {**_log(row), "path": str(log.path), "text": text}})
    elif text is None:
        tell_no_log(row)
    else:
        for line in text.splitlines():
            click.echo(shown_text(line))


def _log(row: RunRow) -> dict[str, Any]:
    return {} if row.log is None else plain(row.log)


def plain(found: msgspec.Struct) -> dict[str, Any]:
    """A struct as JSON says it, with what is None."""
    return msgspec.structs.asdict(found)


def _run(row: RunRow) -> dict[str, Any]:
    return {
        "run": row.id,
        "step": label(row),
        "outcome": outcome(row),
        "seconds": row.seconds,
        "started": row.started_at,
    }


def plain_step(found: account.StepAccount) -> dict[str, Any]:
    """What JSON says of a step."""
    row = found.row
    return {
        **_run(row),
        "scenario": None if found.scenario is None else found.scenario.id,
        "name": row.name,
        "year": row.year,
        "iteration": row.iteration,
        "phase": row.phase,
        "row": row.sweep_row,
        "error": row.error_message,
        "reason": row.cache_reason,
        "nearest": None if found.nearest is None else found.nearest.id,
        **plain_differences(found),
        **plain_causes(found),
        "log": None if row.log is None else plain(row.log),
        "resources": None if row.resources is None else plain(row.resources),
        "config": row.config,
        "inputs": {name: plain_artifact(item) for name, item in found.inputs.items()},
        "outputs": {name: plain_artifact(item) for name, item in found.outputs.items()},
        "evicted": {
            name: _gone(found.evicted[item.artifact_id])
            for name, item in found.outputs.items()
            if item.artifact_id in found.evicted
        },
    }


def plain_differences(found: account.StepAccount) -> dict[str, Any]:
    """What JSON says of the differences from the nearest run."""
    items = [
        {"kind": item.kind, "key": item.key, "before": item.before, "after": item.after, "words": in_short(item)}
        for item in found.differences
    ]
    changes = [msgspec.to_builtins(change) for change in found.source_changes]
    return {"differences": items, "source_changes": changes}


def plain_causes(found: account.StepAccount) -> dict[str, Any]:
    """What JSON says of first causes."""
    items = [
        {"what": cause.what, "run": cause.first.id, "step": label(cause.first), "later": cause.later}
        for cause in found.causes
    ]
    return {"first_causes": items}


def _scenario(found: account.ScenarioAccount) -> dict[str, Any]:
    header = found.header
    return {
        "scenario": header.id,
        "status": header.status,
        "attempt": header.attempt,
        "attempts": found.attempts,
        "description": header.description,
        "seconds": header.seconds,
        "started": header.started_at,
        "config": header.config,
        "error": header.error_message,
        "outcomes": found.outcomes,
        "saved_seconds": found.whole.saved_seconds,
        "first_causes": [{"what": what, "steps": count} for what, count in found.causes],
        "sweeps": [_sweep(sweep) for sweep in found.sweeps],
        "steps": [_run(row) for row in found.steps],
    }


def _sweep(found: account.SweepAccount) -> dict[str, Any]:
    row = found.row
    names = ("name", "rows", "executor", "started_at", "ended_at", "seconds")
    return {
        **{name: getattr(row, name) for name in names},
        **{name: getattr(row, name) for name in ("computed", "hits", "failed", "lost", "waiting")},
        "without_result": found.missing.count,
    }


def _artifact(found: account.ArtifactAccount) -> dict[str, Any]:
    return {
        **plain_artifact(found.row),
        "made_by": None if found.maker is None else found.maker.id,
        "used_by": [row.id for row in found.users],
        "same_bytes": found.same_bytes,
        "evicted": None if found.evicted is None else _gone(found.evicted),
        "copies": [{"uri": copy.uri, "how": copy.how, "at": copy.at} for copy in found.copies],
    }


def _gone(found: Gone) -> dict[str, Any]:
    """What JSON says of an eviction."""
    row = found.row
    said = {"at": row.at, "by": row.user, "policy": row.policy, "bytes": row.size, "recipe": found.recipe}
    return {**said, "made_again_by": found.again, "same_bytes": found.same if found.again else None}
