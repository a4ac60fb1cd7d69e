"""What only people know of a crate: who wrote it, under which licence, from which script."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from consist_es.errors import ExportError, UsageTypeError

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(T.+)?")


class About(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a RO-Crate."""

    script: Path = Path()
    """The model's script, which becomes the workflow of the crate."""
    license: str = ""
    """A URL, or an identifier of https://spdx.org/licenses."""
    author: str | None = None
    """A name, or an ORCID as a URL."""
    publisher: str | None = None
    """A name or a URL of an organisation."""
    published: str | None = None
    """A date; the end of the scenario if it is not given."""
    data: bool = False
    """Copy the files into the crate."""

    @classmethod
    def of(cls, format: str, given: Mapping[str, Any]) -> About:
        """Check the options.

        Raises:
            ExportError: they are of another format, or lack what a valid crate needs. UsageTypeError: a wrong type.
        """
        found = {name: value for name, value in given.items() if value not in (None, False)}
        if unknown := found.keys() - set(cls.__struct_fields__):
            raise UsageTypeError(f"export() has no argument {min(unknown)!r}.")
        if format != "ro-crate":
            if found:
                raise ExportError(format, f"only ro-crate takes {_options(sorted(found))}. Leave it out")
            return cls()
        if missing := [name for name in ("script", "license") if name not in found]:
            raise ExportError(
                "ro-crate",
                f"a valid crate says what the record does not know. Give {_options(missing)}: --script is the script "
                "of the model, --license that of the crate, such as CC-BY-4.0",
                names=missing,
            )
        wrong = [name for name, value in found.items() if name not in ("script", "data") and not isinstance(value, str)]
        if wrong or not isinstance(found["script"], str | os.PathLike):
            raise UsageTypeError(f"{(*wrong, 'script')[0]} takes a str.")
        script = Path(found["script"])
        if not script.is_file():
            raise ExportError("ro-crate", f"--script {script}: there is no such file. Give the script of the model")
        if not _DATE.fullmatch(found.get("published", "2000-01-01")):
            raise ExportError("ro-crate", f"--published {found['published']}: give a date, such as 2030-01-31")
        return cls(**{**found, "script": script, "data": bool(found.get("data"))})


def _options(names: list[str]) -> str:
    return ", ".join(f"--{name}" for name in names)
