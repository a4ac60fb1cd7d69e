"""What a prompt and a notebook show of runs, results and sets of runs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from consist_es.notebook import ROWS, box
from consist_es.runs.labels import brief, label, tally
from consist_es.text import counted, span
from consist_es.values.flat import flat
from consist_es.values.plain import from_plain

if TYPE_CHECKING:
    from consist_es.runs.run import Run, RunResult
    from consist_es.runs.sets import RunSet

_NAMED = 5
"""Number of step names in the text of a set."""


def run_text(run: Run) -> str:
    """``<Run base_demand#2: demand 2030·1: hit, 0.01 s, scenario base>``."""
    words = [f"{label(run)}: {_went(run)}", f"scenario {run.scenario}" if run.scenario else ""]
    return f"<Run {brief(run.id)}: {brief(', '.join(filter(None, words)))}>"


def run_html(run: Run) -> str:
    """What it was, how it went, its config and its facet."""
    rows = [("run", run.id), ("scenario", run.scenario), ("model", run.model_name), ("because", _because(run))]
    rows = [row for row in rows if row[1]]
    config = [(f"config {key}", value) for key, value in flat(run.config).items()]
    facet = [(f"facet {key}", value) for key, value in flat(from_plain(run.facet)).items()]
    return box(label(run), _went(run), [*rows, *config, *facet], total=len(rows) + len(config) + len(facet))


def result_text(result: RunResult) -> str:
    """``<RunResult of base_demand#2: demand 2030·1, hit, outputs trips>``."""
    outputs = f"outputs {brief(', '.join(result.outputs))}" if result.outputs else "no outputs"
    return f"<RunResult of {brief(result.run.id)}: {brief(label(result.run))}, {_result_went(result)}, {outputs}>"


def result_html(result: RunResult) -> str:
    """How it went, and its outputs."""
    rows = [(key, item.driver, item.rows, item.size, item.container_uri) for key, item in result.outputs.items()]
    about = f"{_result_went(result)} · {result.run.id}"
    headings = ("output", "format", "rows", "bytes", "uri")
    return box(label(result.run), about, rows, headings=headings, total=len(rows))


def set_text(runs: RunSet) -> str:
    """``<RunSet policies: 12 runs, 8 hit, 4 computed, 2020–2030; demand (6), supply (6)>``."""
    names = Counter(run.name for run in runs if run.kind != "scenario")
    common = ", ".join(f"{name} ({number:,})" for name, number in names.most_common(_NAMED))
    more = f", … {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    title = f" {brief(runs.label)}" if runs.label else ""
    words = ", ".join(filter(None, (counted(len(runs), "run"), _sums(runs))))
    return f"<RunSet{title}: {words}{brief(f'; {common}') if common else ''}{more}>"


def set_html(runs: RunSet) -> str:
    """The first runs, and how they went."""
    rows = [(_how(run), label(run), run.scenario, _took(run), _because(run)) for run in runs[:ROWS]]
    title = f"{counted(len(runs), 'run')}{f': {runs.label}' if runs.label else ''}"
    headings = ("outcome", "step", "scenario", "time", "because")
    return box(title, _sums(runs), rows, headings=headings, total=len(runs))


def _sums(runs: RunSet) -> str:
    """How many scenarios and how many of each outcome, and their years."""
    outcomes = [run.outcome for run in runs if run.kind != "scenario"]
    headers = len(runs) - len(outcomes)
    years = sorted({run.year for run in runs if run.year is not None})
    ends = "–".join(str(year) for year in dict.fromkeys((*years[:1], *years[-1:])))
    return ", ".join(filter(None, (counted(headers, "scenario") if headers else "", tally(outcomes), ends)))


def _how(run: Run) -> str:
    """Its outcome; of a scenario its status, for that is never looked up."""
    return run.status if run.kind == "scenario" else run.outcome


def _took(run: Run) -> str:
    return "" if run.duration_seconds is None else span(run.duration_seconds)


def _went(run: Run) -> str:
    return ", ".join(filter(None, (_how(run), _took(run))))


def _result_went(result: RunResult) -> str:
    return "hit" if result.cache_hit else _went(result.run)


def _because(run: Run) -> str:
    """Why it had this outcome, in a few words: its error, the run that a hit came from, or the reason of a miss."""
    record = run._record
    if run.status in ("failed", "interrupted", "abandoned"):
        return str(run.meta.get("error") or "")
    if record.cache == "hit":
        return record.source or ""
    return "; ".join(record.differs) or (record.reason or "").replace("_", " ")
