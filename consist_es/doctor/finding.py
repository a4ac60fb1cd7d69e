"""Findings of `consist-es doctor`: one per thing examined."""

from collections.abc import Iterable, Iterator

import msgspec

OK, NOTE, WARNING, ERROR = "ok", "note", "warning", "error"
"""All is well; good to know; wrong or at risk; history or a result is damaged."""
MOST = 50
"""Most listed findings of one kind; one more gives the number of others."""


class Finding(msgspec.Struct, frozen=True):
    """Result for one thing examined."""

    level: str
    check: str
    """Name of the check."""
    what: str
    where: str = ""
    """File, run or artifact."""
    todo: str = ""
    """What the user should do; "" for nothing."""
    mends: bool = False
    """True if `consist_es.doctor.examine.mend` repairs it."""

    @property
    def is_wrong(self) -> bool:
        """True if something should be done."""
        return self.level in (WARNING, ERROR)


def listed(findings: Iterable[Finding], otherwise: Finding) -> Iterator[Finding]:
    """Up to `MOST` findings in full, then a count of the rest at their worst level; `otherwise` if there are none."""
    count = 0
    levels: set[str] = set()
    for finding in findings:
        count += 1
        if count <= MOST:
            yield finding
        else:
            levels.add(finding.level)
    if not count:
        yield otherwise
    if count > MOST:
        worst = next(level for level in (ERROR, WARNING, NOTE, OK) if level in levels)
        yield Finding(worst, otherwise.check, f"{count - MOST} more of these are not listed")
