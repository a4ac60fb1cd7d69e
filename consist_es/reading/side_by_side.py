"""What a prompt, a notebook and a table show of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consist_es.notebook import box
from consist_es.projections.plumbing import to_text
from consist_es.reading.labels import outcome
from consist_es.runs.labels import brief
from consist_es.text import counted, readable

if TYPE_CHECKING:
    import pyarrow as pa

    from consist_es.projections.run_rows import RunRow
    from consist_es.reading.compare import Comparison, Pair

_SAME = "same"


def comparison_text(found: Comparison) -> str:
    """``<Comparison of base and high: part at demand 2030; 4 same, 2 differs itself>``."""
    return f"<Comparison of {brief(found.a.id)} and {brief(found.b.id)}: {brief(_parting(found))}>"


def comparison_html(found: Comparison) -> str:
    """Where they part, the configs that differ, and the steps that are not the same work."""
    config = [("config", item.key, "", "", f"{item.before} → {item.after}", "") for item in found.config]
    pairs = [
        (pair.verdict, pair.step, _seconds(pair.a), _seconds(pair.b), pair.words, pair.came_out)
        for pair in found.pairs
        if pair.verdict != _SAME
    ]
    headings = ("verdict", "step", f"s in {found.a.id}", f"s in {found.b.id}", "differs", "outputs")
    rows = [*config, *pairs]
    return box(f"{found.a.id} and {found.b.id}", _parting(found), rows, headings=headings, total=len(rows))


def comparison_table(found: Comparison) -> pa.Table:
    """One row per step, with the same columns for every comparison."""
    import pyarrow as pa

    of_side = {"run": pa.string(), "outcome": pa.string(), "seconds": pa.float64()}
    schema = pa.schema(
        [
            ("verdict", pa.string()),
            ("step", pa.string()),
            ("name", pa.string()),
            ("year", pa.int64()),
            ("iteration", pa.int64()),
            ("phase", pa.string()),
            *((f"{side}_{name}", kind) for name, kind in of_side.items() for side in "ab"),
            ("differs", pa.string()),
            ("differences", pa.string()),
            ("same_bytes", pa.bool_()),
        ]
    )
    rows = [_row(pair) for pair in found.pairs]
    return pa.table({field.name: pa.array([row[field.name] for row in rows], field.type) for field in schema})


def _row(pair: Pair) -> dict[str, Any]:
    there = pair.b if pair.a is None else pair.a
    row: dict[str, Any] = {"verdict": pair.verdict, "step": pair.step, "differs": pair.words}
    row |= {name: getattr(there, name, None) for name in ("name", "year", "iteration", "phase")}
    for side, run in (("a", pair.a), ("b", pair.b)):
        row[f"{side}_run"] = None if run is None else run.id
        row[f"{side}_outcome"] = None if run is None else outcome(run)
        row[f"{side}_seconds"] = None if run is None else run.seconds
    told = [
        {"kind": item.kind, "key": item.key, "a": item.before, "b": item.after, "text": item.text}
        for item in pair.differences
    ]
    row["differences"] = to_text(told)
    row["same_bytes"] = all(item.same_bytes for item in pair.outputs) if pair.outputs else None
    return {name: readable(value) if isinstance(value, str) else value for name, value in row.items()}


def _parting(found: Comparison) -> str:
    if found.first is None:
        return f"every step is the same work ({counted(len(found.pairs), 'step')})"
    counts = ", ".join(f"{count} {verdict}" for verdict, count in found.counts.items())
    return f"part at {found.first.step}; {counts}"


def _seconds(run: RunRow | None) -> str:
    return "" if run is None or run.seconds is None else f"{run.seconds:.2f}"
