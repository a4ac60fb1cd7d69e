"""The tables of a run: per class, per source and per carrier."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from attacks.fresh.grammar import KINDS
from attacks.fresh.trial import (
    BROKEN,
    EQUAL,
    FREE,
    NEEDLESS,
    NEIGHBOUR,
    REFUSED,
    RIGHT,
    UNSTABLE,
    WRONG,
    Trial,
    Verdict,
)

HEAD = (
    "programs", "relevant", "wrong", "equal", "irrelevant", "needless", "rate", "unstable", "refused", "neighbours",
)  # fmt: skip


class Row:
    """Counts of one source, class or carrier."""

    def __init__(self) -> None:
        self.programs: set[int] = set()
        self.counts: Counter[str] = Counter()

    def take(self, number: int, verdict: Verdict) -> None:
        """Count a verdict."""
        self.programs.add(number)
        score, counts = verdict.score, self.counts
        counts["relevant"] += verdict.relevant and score in (RIGHT, WRONG, EQUAL)
        counts["irrelevant"] += not verdict.relevant and score in (RIGHT, WRONG, NEEDLESS, UNSTABLE)
        counts[score] += 1

    def cells(self) -> list[str]:
        """As the table shows it."""
        counts = self.counts
        asked = counts["irrelevant"]
        rate = f"{100 * counts[NEEDLESS] / asked:.1f} %" if asked else ""
        numbers = [len(self.programs), counts["relevant"], counts[WRONG] + counts[BROKEN], counts[EQUAL], asked]
        rest = [counts[UNSTABLE], counts[REFUSED], counts[NEIGHBOUR]]
        return [*map(str, numbers), str(counts[NEEDLESS]), rate, *map(str, rest)]


def rows(trials: Iterable[Trial], by: str) -> dict[str, Row]:
    """Rows by ``kind``, ``source`` or ``carrier``."""
    found: dict[str, Row] = defaultdict(Row)
    for trial in trials:
        for verdict in trial.verdicts:
            given = verdict.carriers if by == "carrier" else verdict.sources
            for label in sorted({one[0] if by == "kind" else one for one in given}):
                found[label].take(trial.number, verdict)
    return dict(sorted(found.items()))


def table(trials: list[Trial], by: str) -> str:
    """One table, columns aligned."""
    every = rows(trials, by)
    lines = [["", *HEAD]]
    lines += [[f"{name} {KINDS[name]}" if by == "kind" else name, *row.cells()] for name, row in every.items()]
    widths = [max(len(line[place]) for line in lines) for place in range(len(HEAD) + 1)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    )


def totals(trials: list[Trial]) -> Counter[str]:
    """How often each score was given, each call once."""
    return Counter(verdict.score for trial in trials for verdict in trial.verdicts)


def summary(trials: list[Trial]) -> str:
    """The result in one line."""
    counts = totals(trials)
    calls = [v for trial in trials for v in trial.verdicts]
    asked = sum(not v.relevant and v.score in (RIGHT, WRONG, NEEDLESS, UNSTABLE) for v in calls)
    rate = 100 * counts[NEEDLESS] / max(asked, 1)
    return (
        f"{len(trials)} programs, {len(calls)} calls judged: {counts[WRONG]} wrong hits, {counts[BROKEN]} broken, "
        f"{counts[NEEDLESS]} needless misses of {asked} ({rate:.2f} %), {counts[UNSTABLE]} said to be unstable, "
        f"{counts[REFUSED]} refused, {counts[EQUAL]} results equal, {counts[FREE]} not judged"
    )


def whole(trials: list[Trial]) -> str:
    """All tables, and what failed."""
    needless: Counter[str] = Counter(v.note for trial in trials for v in trial.verdicts if v.score == NEEDLESS)
    parts = [table(trials, by) for by in ("source", "carrier", "kind")]
    if needless:
        lines = [f"{n:6}  {k}" for k, n in needless.most_common()]
        parts.append("\n".join(["needless misses by edit and reason:", *lines]))
    refused: Counter[str] = Counter(v.note[:120] for t in trials for v in t.verdicts if v.score == REFUSED and v.note)
    if refused:
        parts.append("refused:\n" + "\n".join(f"{n:6}  {k}" for k, n in refused.most_common(20)))
    failures = [f"{trial.label}: {trial.failure} [{trial.kept}]" for trial in trials if trial.failure]
    return "\n\n".join([*parts, *failures, summary(trials)])
