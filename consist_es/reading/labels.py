"""Names and outcomes of steps, as people say them."""

from typing import Protocol

from consist_es.projections.run_rows import RunRow

OUTCOMES = ("hit", "computed", "demoted", "failed", "interrupted", "abandoned", "running")
"""Every outcome of a step. A ``demoted`` trace had hit, and then made an output of its own."""


class Placed(Protocol):
    """Anything with the name and the labels of a step."""

    @property
    def name(self) -> str: ...

    @property
    def year(self) -> int | None: ...

    @property
    def iteration(self) -> int | None: ...

    @property
    def phase(self) -> str | None: ...


def outcome(row: RunRow) -> str:
    """One of `OUTCOMES`."""
    if row.status != "completed":
        return row.status
    return row.cache if row.cache in ("hit", "demoted") else "computed"


def moment(row: Placed) -> str:
    """Year and iteration: ``2030·1``, ``2030``, or ``·1`` without a year."""
    iteration = "" if row.iteration is None else f"·{row.iteration}"
    return f"{'' if row.year is None else row.year}{iteration}"


def label(row: Placed) -> str:
    """Name of a step with its year, iteration and phase: ``demand 2030·1 am``."""
    return " ".join(filter(None, (row.name, moment(row), row.phase)))


def place(row: Placed) -> tuple[str, int | None, int | None, str | None]:
    """Name, year, iteration and phase: by these the steps of two scenarios are paired."""
    return row.name, row.year, row.iteration, row.phase


def selector(row: RunRow, scenario: str | None) -> str:
    """What selects a step on the command line: ``baseline/demand@2030.1``."""
    iteration = "" if row.iteration is None else f".{row.iteration}"
    when = f"{'' if row.year is None else row.year}{iteration}"
    return f"{'' if scenario is None else f'{scenario}/'}{row.name}{f'@{when}' if when else ''}"
