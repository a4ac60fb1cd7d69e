"""Names and outcomes of steps, as people say them."""

from consist_es.projections.run_rows import RunRow
from consist_es.runs.labels import OUTCOMES as OUTCOMES
from consist_es.runs.labels import Labelled as Labelled
from consist_es.runs.labels import label as label
from consist_es.runs.labels import moment as moment
from consist_es.runs.labels import outcome_of


def outcome(row: RunRow) -> str:
    """One of `OUTCOMES`."""
    return outcome_of(row.status, row.cache)


def place(row: Labelled) -> tuple[str, int | None, int | None, str | None]:
    """Name, year, iteration and phase: by these the steps of two scenarios are paired."""
    return row.name, row.year, row.iteration, row.phase


def selector(row: RunRow, scenario: str | None) -> str:
    """What selects a step on the command line: ``baseline/demand@2030.1``."""
    iteration = "" if row.iteration is None else f".{row.iteration}"
    when = f"{'' if row.year is None else row.year}{iteration}"
    return f"{'' if scenario is None else f'{scenario}/'}{row.name}{f'@{when}' if when else ''}"
