"""What is taken out of a report that is given to others: folders, users, machines, tracebacks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

import msgspec

_START = r"(?:[a-z][a-z0-9+]*:///?|/|~[\w.-]*/|\\\\|[A-Za-z]:[\\/])"
_QUOTED = re.compile(rf"(?P<quote>[\"']){_START}[^\"'\n]*[\\/](?=[^\"'\n]*(?P=quote))")
"""In quotes a path may hold spaces."""
_BARE = re.compile(rf"(?<![\w.:/\\…]){_START}(?:[^\s\"'(),;<>|\\/]+[\\/])+|(?<![\w.:/\\…]){_START}(?=[\w.])")

_CUT = re.compile(r"…[^\s\"'(),;<>|]*[\\/](?=[^\s\"'(),;<>|\\/])")
"""What is left of a path in a text that was shortened before."""


class Sharing(msgspec.Struct, frozen=True):
    """What a report leaves out."""

    paths: bool = True
    """False: no folders, and no names of users and machines."""
    tracebacks: bool = True

    def uri(self, uri: str) -> str:
        """Where a file is; without its folders if those are left out."""
        return uri if self.paths else PurePosixPath(uri.rstrip("/")).name

    def altered(self, secrets: Iterable[str]) -> Callable[[str], str]:
        """Alters texts. `secrets` are folders and names that are left out with the paths, wherever they stand."""
        if self.paths:
            return lambda text: text
        words = sorted({word for word in secrets if word}, key=len, reverse=True)
        known = re.compile("|".join(map(re.escape, words))) if words else None

        def altered(text: str) -> str:
            text = text if known is None else known.sub("…", text)
            text = _CUT.sub("…/", text)
            return _BARE.sub("…/", _QUOTED.sub(lambda match: f"{match['quote']}…/", text))

        return altered
