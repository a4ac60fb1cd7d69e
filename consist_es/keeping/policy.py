"""What an eviction is asked to keep and to free, and the plan that follows from it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.checks import checked_year
from consist_es.errors import UsageError, UsageTypeError
from consist_es.projections.artifact_rows import ArtifactRow
from consist_es.text import counted, shown, span

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kMGTP]?)(i?)(?:B|bytes?)?\s*", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_LISTED = 20


def checked_bytes(value: object, name: str) -> int | None:
    """A number of bytes: an int, or text such as ``10GB`` (a thousand to a step) or ``10GiB`` (1024); None as it is.

    Raises:
        UsageTypeError: neither int nor str. UsageError: no such size.
    """
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return int(value)
    if not isinstance(value, int | str) or isinstance(value, bool):
        raise UsageTypeError(f"{name} takes a number of bytes, or text such as '10GB', not {value!r}.")
    if not isinstance(value, str) or not (match := _SIZE.fullmatch(value)):
        raise UsageError(f"{name}: {value!r} is no size. Give a number of bytes, or text such as '10GB' or '500 MiB'.")
    number, unit, binary = match.groups()
    step = 1024 if binary else 1000
    return round(float(number) * float(step ** _POWERS[unit.lower()]))


class Policy(msgspec.Struct, frozen=True):
    """What is to be evicted, and what is kept all the same."""

    what: Sequence[str] = ()
    """Scenarios, steps or runs to take outputs of; empty for all."""
    keep_last: int = 1
    """How many different results of each step, at its year and iteration, are kept."""
    free: int | None = None
    """Bytes to aim for: what is cheapest to make again goes first. None for all that may go."""

    @classmethod
    def of(cls, what: Sequence[object], keep_last: object, free: object) -> Policy:
        """Check what a user gave.

        Raises:
            UsageError, UsageTypeError: something that it cannot be.
        """
        for text in what:
            if not isinstance(text, str):
                raise UsageTypeError(f"Evicting takes names of scenarios, steps or runs, not {text!r}.")
        count = checked_year("keep_last", keep_last)
        if count is None or count < 0:
            raise UsageError(f"keep_last is {count}: give 0 to keep no result for being the last, or more.")
        return cls(tuple(map(str, what)), count, checked_bytes(free, "free"))

    def __str__(self) -> str:
        of = f" of {', '.join(self.what)}" if self.what else ""
        aim = "" if self.free is None else f", until {in_bytes(self.free)} are freed"
        return f"outputs{of}, keeping the last {counted(self.keep_last, 'result')} of each step{aim}"


class PlannedOutput(msgspec.Struct, frozen=True):
    """An output whose file may go."""

    row: ArtifactRow
    artifact: Artifact
    place: Path
    files: tuple[Path, ...]
    """What is deleted: the file, with those that belong to it, or the folder."""
    size: int
    """Bytes that this frees."""
    eviction: str | None = None
    """An earlier call that recorded its eviction, and did not come to delete it."""


class PlannedRun(msgspec.Struct, frozen=True):
    """A run whose outputs may go: to have one of them again, it has to be run again."""

    key: str
    id: str
    scenario: str | None
    """Key of its scenario."""
    folder: str
    """Portable URI of its managed folder."""
    seconds: float
    """What making them again takes, as far as it was recorded."""
    by_copy: bool
    """True if recovery copies have all of the bytes."""
    outputs: tuple[PlannedOutput, ...]

    @property
    def size(self) -> int:
        """Bytes that this frees."""
        return sum(item.size for item in self.outputs)

    @property
    def cost(self) -> float:
        """Seconds for each byte."""
        return 0.0 if self.by_copy else self.seconds / self.size if self.size else float("inf")

    @property
    def begun(self) -> bool:
        """True if an earlier call was cut off before it deleted all of it."""
        return any(item.eviction for item in self.outputs)

    def __str__(self) -> str:
        how = "put back from a recovery copy" if self.by_copy else f"run again in {span(self.seconds)}"
        return f"{self.id}: {in_bytes(self.size)}, {', '.join(item.row.key for item in self.outputs)}; {how}"


class Left(msgspec.Struct, frozen=True):
    """Something that stays, and why."""

    name: str
    """Id of the run, or path of the file."""
    why: str


class Eviction(msgspec.Struct, kw_only=True):
    """A plan of what goes, or what has gone; `str()` gives readable text."""

    policy: Policy
    runs: list[PlannedRun]
    """In the order in which they go."""
    kept: list[Left]
    """Runs that stay, although they were asked for."""
    left: list[Left]
    """Files that stay, although their runs go."""
    done: bool = False
    """False for a plan: nothing was deleted or recorded."""
    freed: int = 0
    """Bytes that were freed."""
    at: int = 0
    """The position in the log that the plan was made at."""

    @property
    def size(self) -> int:
        """Bytes that the plan frees. Of a place that several runs wrote the same bytes to, they count once."""
        return sum({item.files: item.size for run in self.runs for item in run.outputs if item.size}.values())

    def lines(self) -> list[str]:
        """What goes and what stays, in words."""
        outputs = counted(sum(len(run.outputs) for run in self.runs), "output")
        of = f"{outputs} of {counted(len(self.runs), 'run')}"
        if self.done and not self.runs:
            first = f"Nothing was evicted ({self.policy})."
        elif self.done:
            first = f"Evicted {of}: {in_bytes(self.freed)} are free. What they were and how they were made is kept."
        elif self.runs:
            first = f"Would evict {of} and free {in_bytes(self.size)} ({self.policy}):"
        else:
            first = f"There is nothing to evict ({self.policy})."
        found = [first, *_listed([str(run) for run in self.runs])]
        if not self.done and self.policy.free is not None and self.runs and self.size < self.policy.free:
            found.append(f"  This is less than {in_bytes(self.policy.free)}: all else is kept.")
        return [
            *found,
            *_listed([f"kept: {item.name}: {item.why}" for item in self.kept]),
            *_listed([f"left: {item.name}: {item.why}" for item in self.left]),
        ]

    def __str__(self) -> str:
        return "\n".join(map(shown, self.lines()))


def _listed(lines: list[str]) -> list[str]:
    more = [f"  … and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
    return [*(f"  {line}" for line in lines[:_LISTED]), *more]


def in_bytes(count: int) -> str:
    """A number of bytes in the unit that it is read best in: ``1.2 GB``."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{count} bytes" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
