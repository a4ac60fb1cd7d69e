"""Accounts of steps, scenarios and artifacts as lines for people."""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from rich.text import Text

from consist_es.cli.marks import STYLES, mark, marked, size, style, took
from consist_es.cli.output import emit, entry, note, shown
from consist_es.cli.output import print_text as emit_text
from consist_es.cli.units import short_digest
from consist_es.projections.artifact_rows import ArtifactRow
from consist_es.projections.run_rows import RunRow, in_words
from consist_es.reading.account import ArtifactAccount, ScenarioAccount, StepAccount, SweepAccount
from consist_es.reading.causes import in_short
from consist_es.reading.labels import label, outcome
from consist_es.reading.select import Selected, SelectedArtifact
from consist_es.runs.sets import flat
from consist_es.runs.source_changes import SourceChange
from consist_es.runs.step_logs import StepLog
from consist_es.runs.why import imported_from
from consist_es.runs.why import in_words as reason_in_words
from consist_es.text import counted, shortened
from consist_es.values.plain import from_plain

_LISTED = 5
_FILES = 20
_LAST = 10
"""Lines of what a failed step printed."""
_OF_ERROR, _LONGEST = 20, 500
"""Lines of an error, and characters of one of them."""


def note_others(text: str, found: Selected | SelectedArtifact) -> None:
    """Say that a text could mean others too, and which one was taken."""
    if found.others:
        name = found.run.id if isinstance(found, Selected) else found.artifact.uri
        note(f"{text!r} may be one of {found.others + 1}: the newest was taken, {name!r}.")


def line(name: str, text: str, style: str = "") -> None:
    """One line of an account: its name in a column of its own, and the text, wrapped below itself."""
    entry((f"  {name:<11}",), text, style)


def _lines(name: str, texts: Iterable[str], style: str = "") -> None:
    for number, text in enumerate(texts):
        line("" if number else name, text, style)


def _of_error(message: str) -> list[str]:
    """The lines of an error, as many and as long as are read; the record has all."""
    lines = [shortened(text.rstrip(), _LONGEST) for text in message.splitlines() if text.strip()]
    more = len(lines) - _OF_ERROR
    return [*lines[:_OF_ERROR], *([f"… and {counted(more, 'more line')}"] if more > 0 else [])]


# ---------------------------------------------------------------- steps


def tell_step(found: StepAccount, *, whole: bool) -> None:
    """A step: outcome, why, first causes; if `whole` also its config, inputs and outputs."""
    row = found.row
    of = "" if found.scenario is None else f"  of {found.scenario.id}"
    time = "" if row.seconds is None else f" in {took(row.seconds)}"
    emit_text(
        Text.assemble((shown(label(row)), "bold"), shown(of), ("  " + marked(outcome(row)) + time, style(outcome(row))))
    )
    line("run", f"{row.id}, event {row.started_seq}, {row.started_at[:16].replace('T', ' ')}Z", "dim")
    if row.sweep_row is not None:
        line("row", f"{row.sweep_row} of a sweep of {row.name}", "dim")
    if row.error_message:
        said = f"{row.error_type}: {row.error_message}" if row.error_type else row.error_message
        _lines("error", _of_error(said), "red")
    _tell_why(found)
    if whole:
        tell_resources(row)
        config = flat(from_plain(row.config))
        if config:
            line("config", ", ".join(f"{key}={value}" for key, value in config.items()))
        _lines("inputs", _files(found.inputs))
        _lines("outputs", _files(found.outputs))
        _lines("evicted", _evicted(found))


def tell_resources(row: RunRow) -> None:
    """What a step took, as far as it is known."""
    taken = row.resources
    if taken is None:
        return
    if taken.shared:
        line("took", f"{took(taken.wall_s)}, beside other steps of its process")
        return
    parts = [
        f"{took(taken.wall_s)}",
        None if taken.cpu_s is None else f"CPU {took(taken.cpu_s)}",
        None if taken.peak_memory_bytes is None else f"peak memory {size(taken.peak_memory_bytes)}",
        None if taken.read_bytes is None else f"read {size(taken.read_bytes)}",
        None if taken.written_bytes is None else f"wrote {size(taken.written_bytes)}",
    ]
    line("took", ", ".join(filter(None, parts)))


def tell_printed(row: RunRow, log: StepLog | None) -> None:
    """How much a step printed; of a step that failed also the last lines."""
    if log is None:
        return
    if not log.path.is_file():
        line("printed", f"{size(row.log.bytes) if row.log else 'something'}, but the file is not there: {log.path}")
        return
    cut = f", {size(row.log.left_out)} of it left out" if row.log is not None and row.log.left_out else ""
    broken = f", not whole: {row.log.problem}" if row.log is not None and row.log.problem else ""
    line("printed", f"{size(log.path.stat().st_size)}{cut}{broken}; show it with --log")
    if row.status != "completed":
        _lines("last lines", log.tail(_LAST).splitlines(), "dim")


def tell_no_log(row: RunRow) -> None:
    """Why there is nothing to show."""
    if row.cache == "hit" and row.status == "completed":
        note("A hit prints nothing: its function was not called. Show the run that it came from.")
    else:
        note("It printed nothing, or that was not kept (capture_log=False, or an earlier version).")


def _tell_why(found: StepAccount) -> None:
    row, near = found.row, found.nearest
    if row.cache == "hit":
        if near is not None:
            saved = max(0.0, (near.seconds or 0.0) - (row.seconds or 0.0))
            line("reused", f"{near.id}; saved {took(saved)}")
        return
    for text in imported_from(row):
        line("imported", text.removeprefix("from "))
    if row.cache not in ("missed", "demoted"):
        return
    reason = reason_in_words(row.cache_reason or "not_recorded")
    line("computed", f"{reason}; the nearest earlier run is {near.id}" if near is not None else reason)
    if found.differences:
        _lines("", map(in_short, found.differences), "yellow")
    elif row.cache_differs:
        _lines("", row.cache_differs, "yellow")
    tell_source_changes(found.source_changes)
    _lines("first cause", where_it_came_in(found), "bold")


_SIGNS = {"+": "green", "-": "red", "@": "cyan"}


def tell_source_changes(changes: list[SourceChange]) -> None:
    """Changed lines of code, below the names of their parts."""
    for change in changes:
        line("", f"{change.part}:", "bold")
        for text in change.lines:
            emit_text(Text(f"               {shown(text)}", _SIGNS.get(text[:1], "")))
        if change.more:
            line("", f"… and {change.more} more lines", "dim")


def where_it_came_in(found: StepAccount) -> list[str]:
    """The first causes that came in at earlier steps, with these steps."""
    return [
        f"{cause.what}, in {label(cause.first)}" + (f" and {cause.later} later" if cause.later else "")
        for cause in found.causes
        if cause.first.key != found.row.key
    ]


def _evicted(found: StepAccount) -> Iterator[str]:
    """The outputs that were evicted, those of one day in one line: they are made again by one run."""
    names = {item.artifact_id: name for name, item in found.outputs.items()}
    said: dict[str, list[str]] = {}
    for artifact, gone in found.evicted.items():
        said.setdefault(str(gone), []).append(names[artifact])
    yield from (f"{', '.join(keys)}: {text}" for text, keys in said.items())


def _files(found: dict[str, ArtifactRow]) -> Iterator[str]:
    for number, (name, row) in enumerate(found.items()):
        if number == _FILES:
            yield f"… and {len(found) - _FILES} more"
            return
        rows = None if row.rows is None else f"{row.rows} rows"
        said = [PurePosixPath(row.uri).name, rows, size(row.size), short_digest(row.digest)]
        yield f"{name}: {', '.join(filter(None, said))}"


# ---------------------------------------------------------------- scenarios


def tell_scenario(found: ScenarioAccount) -> None:
    """A scenario: its state, counts, causes, and a row of marks for each kind of step."""
    header = found.header
    time = "" if header.seconds is None else f" in {took(header.seconds)}"
    status = "hit" if header.status == "completed" else header.status
    emit_text(Text.assemble((shown(header.id), "bold"), (f"  {header.status}{time}", STYLES.get(status, ""))))
    if header.description:
        line("", header.description, "dim")
    by = "" if found.writer is None else f" by {in_words(found.writer)}"
    attempts = "" if found.attempts < 2 else f"; attempt {header.attempt} of {found.attempts}"
    line("entered", f"{header.started_at[:16].replace('T', ' ')}Z{by}{attempts}")
    for text in imported_from(header):
        line("imported", text.removeprefix("from "))
    if config := flat(from_plain(header.config)):
        line("config", ", ".join(f"{key}={value}" for key, value in config.items()))
    counts = ", ".join(f"{count} {name}" for name, count in found.outcomes.items())
    saved = f"; saved {took(found.whole.saved_seconds)}" if found.whole.saved_seconds else ""
    line("steps", f"{len(found.steps)}: {counts}{saved}" if found.steps else "none")
    _lines("sweeps", [sweep_line(sweep) for sweep in found.sweeps])
    if header.error_message:
        where = f"in {header.failed_step}: " if header.failed_step else ""
        _lines("failed", _of_error(f"{where}{header.error_message}"), "red")
    tell_causes(found)
    emit()
    names = list(dict.fromkeys(row.name for row in found.steps))
    width = max((len(name) for name in names), default=0)
    for name in names:
        _marks(name.ljust(width), [row for row in found.steps if row.name == name])


def sweep_line(found: SweepAccount) -> str:
    """A sweep in one line: its rows by outcome, or how far it came, and the rows without a result."""
    row, missing = found.row, found.missing
    where = f" on {row.executor}" if row.executor else ""
    counts = [("computed", row.computed), ("hit", row.hits), ("failed", row.failed), ("lost", row.lost)]
    said = ", ".join(f"{count} {name}" for name, count in (*counts, ("waiting", row.waiting)) if count)
    if row.ended_at is None:
        said = f"{row.rows - missing.count} done, not ended"
    time = "" if row.seconds is None else f" in {took(row.seconds)}"
    lacking = ", ".join(missing.ids) + (", …" if missing.count > len(missing.ids) else "")
    rest = f"; {missing.count} without a result: {lacking}" if missing.count else ""
    return f"{row.name}: {counted(row.rows, 'row')}{where}{time}{': ' if said else ''}{said}{rest}"


def tell_causes(found: ScenarioAccount) -> None:
    """Why the computed steps of a scenario ran, the most frequent first cause first."""
    said = [f"{what} ({count} step{'s' if count > 1 else ''})" for what, count in found.causes[:_LISTED]]
    if len(found.causes) > _LISTED:
        said.append(f"… and {len(found.causes) - _LISTED} more causes")
    _lines("because of", said)


def _marks(name: str, rows: list[RunRow]) -> None:
    marks = [(mark(outcome(row)), style(outcome(row))) for row in rows]
    seconds = sum(row.seconds or 0.0 for row in rows)
    emit_text(Text.assemble(f"  {shown(name)}  ", *marks, (f"  {took(seconds)}", "dim")))


# ---------------------------------------------------------------- artifacts


def tell_artifact(found: ArtifactAccount) -> None:
    """An artifact: where it is, what made it, what used it."""
    row = found.row
    rows = None if row.rows is None else f"{row.rows} rows"
    said = ", ".join(filter(None, [row.driver, rows, size(row.size)]))
    emit_text(Text.assemble((shown(row.key), "bold"), f"  {shown(said)}"))
    line("where", row.uri)
    if isinstance(there := row.meta.get("imported"), dict):
        bytes_are = "its bytes are those" if row.digest else "its bytes were not compared"
        line("imported", f"as {there.get('id')}, {there.get('hash') or 'without a hash'}: {bytes_are}")
    line("digest", f"{row.digest or 'none'} ({row.digest_method})")
    line("made by", "outside" if found.maker is None else f"{label(found.maker)}, run {found.maker.id}")
    names = [run.id for run in found.users]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    line("used by", f"{len(names)} steps: {', '.join(names[:_LISTED])}{more}" if names else "no step")
    if isinstance(row.schema, dict) and row.schema:
        line("columns", ", ".join(f"{name}: {kind}" for name, kind in row.schema.items()))
    for copy in found.copies:
        line("copy", f"{copy.uri} ({copy.how.replace('_', ' ')})")
    if found.evicted is not None:
        line("evicted", str(found.evicted), "yellow")
    if found.same_bytes:
        line("same bytes", f"in {found.same_bytes} more records")


def plain_artifact(row: ArtifactRow) -> dict[str, Any]:
    """What JSON says of an artifact."""
    return {
        "artifact": row.artifact_id,
        "key": row.key,
        "uri": row.uri,
        "format": row.driver,
        "digest": row.digest,
        "size": row.size,
        "rows": row.rows,
        "columns": row.schema,
    }
