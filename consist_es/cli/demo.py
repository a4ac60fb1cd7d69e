"""``consist-es demo``: a small simulation that shows recording, reuse and rebuilding."""

import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consist_es.cli.common import NEGATIVE, json_option, short
from consist_es.cli.output import emit, emit_json, note, table
from consist_es.cli.wording import duration
from consist_es.errors import UsageError
from consist_es.runs.why import in_words
from consist_es.text import counted
from consist_es.views import file as view_file
from consist_es.views.compare import counts

if TYPE_CHECKING:
    from consist_es.api.tracker import Tracker
    from consist_es.demo.story import Outcome, Question
    from consist_es.runs.run import RunResult

DATABASE = "demo.db"
LOG = "demo.events"

_tntp_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--network", metavar="FILE", type=_tntp_file, help="Your own network, in TNTP format; with --trips.")
@click.option("--trips", metavar="FILE", type=_tntp_file, help="Your own trip table, in TNTP format; with --network.")
@click.option("--growth", type=float, default=1.0, show_default=True, help="Factor on all trips: 1.1 is 10 % more.")
@click.option(
    "--folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default="consist-es-demo",
    show_default=True,
    help="Where everything goes; made if it is missing.",
)
@json_option
def demo(network: Path | None, trips: Path | None, growth: float, folder: Path, as_json: bool) -> None:
    """Run a small traffic simulation that shows recording and reuse.

    Four steps (read, grow, assign, summarise) find the user equilibrium of a road network in two scenarios: base, and
    widened, with twice the capacity on the most loaded link of base. Then all steps are run again, and the database is
    deleted and rebuilt from the log. Run it again in the same folder, with another --growth for example, and see what
    is reused.
    """
    if (network is None) != (trips is None):
        raise click.UsageError("--network and --trips belong together: give both, or neither.")
    _check_folder(folder)
    if not _play(_question(network, trips, growth, folder), folder.absolute(), as_json):
        note("Something was computed again, or not rebuilt as it was: that is a bug. Please report it.", "red")
        sys.exit(NEGATIVE)


def _question(network: Path | None, trips: Path | None, growth: float, folder: Path) -> "Question":
    # Imports pyarrow, which no other command needs.
    from consist_es.demo.story import Question, write_town

    if network is None or trips is None:
        network, trips = write_town(folder / "inputs")
    return Question(network, trips, growth)


def _check_folder(folder: Path) -> None:
    """Refuse a folder with files that are not the demo's."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--folder {folder}: there is a file of that name. Give another name.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / LOG).is_dir():
        raise UsageError(f"--folder {folder}: it is not empty, and not from an earlier demo. Give another name.")


def _play(question: "Question", folder: Path, as_json: bool) -> bool:
    """Run the whole demo; True if the results are as expected."""
    from consist_es.api.tracker import Tracker
    from consist_es.demo.story import run_both

    say = (lambda *_: None) if as_json else emit
    with Tracker(run_dir=folder, db_path=folder / DATABASE) as tracker:
        growth = f"{question.growth:g}"
        say(f"Traffic on the network {short(question.network)}; trips of {short(question.trips)} times {growth}.")
        _show(run_both(tracker, question), as_json)
        say()
        say("The same again, to see what is reused:", "bold")
        again = run_both(tracker, question)
        _show(again, as_json)
        say()
        equal = _replay(tracker, as_json)
    say()
    if not as_json:
        _say_where(folder)
    return equal and all(result.cache_hit for outcome in again for result in outcome.steps.values())


# ---------------------------------------------------------------- what came out


def _show(outcomes: "list[Outcome]", as_json: bool) -> None:
    if as_json:
        for outcome in outcomes:
            emit_json({"scenario": outcome.run_id, "steps": _facts(outcome), **outcome.summary})
        return
    emit()
    for outcome in outcomes:
        summary = outcome.summary
        missed = "" if summary["converged"] else f", NOT down to {summary['max_gap']}"
        gap = f"relative gap {summary['relative_gap']:.2e} after {counted(summary['iterations'], 'iteration')}{missed}"
        emit(f"{outcome.run_id}: objective {plain_number(summary['objective'])}, {gap}{_widened(outcome)}", "bold")
    emit()
    cells = [[_outcome_of(result) for result in outcome.steps.values()] for outcome in outcomes]
    steps = outcomes[0].steps
    table(("step", *(outcome.run_id for outcome in outcomes)), zip(steps, *cells, strict=True))


def _widened(outcome: "Outcome") -> str:
    widen = outcome.steps["assign_traffic"].run.config["widen"]
    return f" (link {widen['from']}-{widen['to']} with {widen['factor']:g} times the capacity)" if widen else ""


def _facts(outcome: "Outcome") -> dict[str, dict[str, object]]:
    return {
        name: {"run": result.run.id, "cache_hit": result.cache_hit, "seconds": result.run.duration_seconds}
        for name, result in outcome.steps.items()
    }


def _outcome_of(result: "RunResult") -> str:
    meta = result.run.meta
    if result.cache_hit:
        return f"reused {meta['cache_source']}"
    reason = in_words(meta["cache_miss_explanation"]["reason"])
    return f"computed in {duration(result.run.duration_seconds or 0.0)}: {reason}"


def plain_number(value: float) -> str:
    """A number without exponent and separators, with at least six significant digits."""
    decimals = 6 if value == 0 else max(6, 5 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"


# ---------------------------------------------------------------- the views, thrown away and built again


def _replay(tracker: "Tracker", as_json: bool) -> bool:
    """Set the database aside, rebuild it from the log, and compare the two; True if they are equal."""
    project = tracker.project
    project.connection()
    tracker.close()
    old = view_file.set_aside(tracker.db_path, "before-replay")
    events = project.views.rebuild()
    differing = project.views.compare(old)
    rows = counts(project.connection())
    if as_json:
        emit_json({"events": events, "rows": rows, "differing": sorted(differing)})
    else:
        log = f"the {counted(events, 'event')} of the log"
        emit(f"{tracker.db_path.name} deleted, except for a copy to compare with, and rebuilt from {log}:")
        emit()
        said = [(name, number, "DIFFERENT" if name in differing else "same") for name, number in rows.items()]
        table(("table", "rows", "compared, row for row"), said)
    if not differing:
        view_file.discard(old)
    return not differing


def _say_where(folder: Path) -> None:
    from consist_es.demo import story

    emit("Where everything lies:", "bold")
    where = (
        (folder / "outputs", "the files that the steps wrote"),
        (folder / LOG, "the log: JSON lines, the one thing that cannot be made again"),
        (folder / DATABASE, "the views, for SQL; safe to delete"),
        (Path(story.__file__), "the model, written as you would write yours"),
    )
    table(("path", "what it is"), [(short(path), what) for path, what in where])
    emit()
    emit("What to type next:", "bold")
    for command in ("audit widened", "runs", "log --type cache_missed", "replay --check"):
        emit(f"  consist-es {command} --project {shlex.quote(short(folder / LOG))}")
