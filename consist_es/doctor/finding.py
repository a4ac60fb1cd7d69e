"""What `consist-es doctor` says: one finding per thing that it looked at."""

from collections.abc import Iterable, Iterator

import msgspec

OK, NOTE, WARNING, ERROR = "ok", "note", "warning", "error"
"""All is well; good to know, nothing is wrong; something is wrong or at risk; history or a result was damaged."""
MOST = 50
"""Findings of one kind that are listed; one more says how many others there are."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    level: str
    check: str
    """Which check found it."""
    what: str
    where: str = ""
    """File, run or artifact."""
    todo: str = ""
    """What a person should do; "" where nothing is to be done."""
    mends: bool = False
    """Whether `consist_es.doctor.examine.mend` puts it right."""

    @property
    def is_wrong(self) -> bool:
        """Whether something should be done."""
        return self.level in (WARNING, ERROR)


def listed(findings: Iterable[Finding], otherwise: Finding) -> Iterator[Finding]:
    """The worst level of these in full up to `MOST`, then a count of the rest; `otherwise` where there are none."""
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
