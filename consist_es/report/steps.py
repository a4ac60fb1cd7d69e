"""The rows of steps in a report: what each is compared by, why it ran, and what became of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from consist_es.events import Difference
from consist_es.projections import run_table
from consist_es.projections.run_rows import RunRow
from consist_es.reading.causes import Cause, Causes, differences, in_short, telling
from consist_es.reading.labels import OUTCOMES, outcome
from consist_es.reading.links import Links
from consist_es.reading.same_bytes import SameBytes
from consist_es.report.files import Files
from consist_es.report.makings import Makings
from consist_es.report.sharing import Sharing
from consist_es.report.tables import Keys, Texts, Values, moment_of
from consist_es.runs.step_logs import step_log
from consist_es.runs.why import imported_from, in_words
from consist_es.values.masking import Masker
from consist_es.values.written import by_text, written

_MISSES = ("missed", "demoted")
_RESOURCES = ("wall_s", "cpu_s", "peak_memory_bytes", "read_bytes", "written_bytes")
_LINES_FAILED, _LINES = 40, 10
"""Last lines shown of what a step printed."""
_ROOM = 200_000
"""Characters of that for all steps that did not fail."""


class Configs:
    """Configs by number; a row is the value, its digest, 1 if a redaction took the value, and how it is written."""

    def __init__(self, values: Values, texts: Texts, digests: Keys, masker: Masker, none: str) -> None:
        """`none` is the digest of no config at all."""
        self._texts = texts
        self.all: list[list[int | None]] = []
        self._numbers: dict[tuple[int, str | None], int] = {}
        self._values = values
        self._digests = digests
        self._masker = masker
        self._none = none

    def __call__(self, row: RunRow) -> int | None:
        """The number of a step's config; None if its fingerprint is not recorded."""
        if row.fingerprint_info is None:
            return None
        digest = row.fingerprint_info.config
        plain = self._masker.plain(row.config)
        value = self._values(plain)
        if (number := self._numbers.get((value, digest))) is None:
            number = self._numbers[value, digest] = len(self.all)
            is_gone = row.config is None and digest != self._none
            said = self._texts(repr(plain) if plain is None else written(by_text(plain)))
            self.all.append([value, self._digests(digest), int(is_gone), said])
        return number


class Tables(NamedTuple):
    """The tables that rows refer to by number."""

    texts: Texts
    files: Files
    digests: Keys
    configs: Configs
    makings: Makings


class Steps:
    """Makes the rows of steps."""

    def __init__(
        self,
        conn: sqlite3.Connection,
        rows: Sequence[RunRow],
        links: Mapping[str, Links],
        tables: Tables,
        masker: Masker,
        sharing: Sharing,
        folder: Path,
    ) -> None:
        """`folder` is that of the log."""
        self._conn = conn
        self._folder, self._room = folder, _ROOM
        self._links = links
        self._texts, self._files, self._digests, self._configs, self._makings = tables
        self._masker = masker
        self._sharing = sharing
        self._fingerprints = Keys()
        self._causes = Causes(conn, rows)
        self._places = {row.key: number for number, row in enumerate(rows)}
        self._known: dict[str, RunRow | None] = {row.key: row for row in rows}
        self._same_bytes = SameBytes(conn, [row for row in rows if row.cache == "missed"])

    def row(self, row: RunRow) -> dict[str, Any]:
        """A step's row."""
        return {
            "id": self._texts(row.id),
            "n": self._texts(row.name),
            "y": row.year,
            "i": row.iteration,
            "p": self._texts(row.phase),
            "g": self._texts(row.stage),
            "m": self._texts(None if row.model == row.name else row.model),
            "o": OUTCOMES.index(outcome(row)),
            "t": moment_of(row.started_at),
            "d": row.seconds,
            "q": row.started_seq,
            "fn": self._texts(row.function),
            "fp": self._fingerprints(row.fingerprint),
            "cf": self._configs(row),
            "iq": None if row.fingerprint_info is None else self._digests(row.fingerprint_info.inputs),
            "mk": self._makings(row),
            **self._of_files(row),
            **self._of_lookup(row),
            **self._of_end(row),
            **self._of_process(row),
        }

    def _of_process(self, row: RunRow) -> dict[str, Any]:
        """What it took, and the end of what it printed: always of a step that failed, of others while there is room."""
        found: dict[str, Any] = {}
        if row.resources is not None:
            taken = msgspec.to_builtins(row.resources)
            found["resources"] = {name: value for name, value in taken.items() if name in _RESOURCES}
        failed = row.status != "completed"
        if self._sharing.tracebacks and (failed or self._room > 0) and (log := step_log(row, project=self._folder)):
            text = self._masker.error(log.tail(_LINES_FAILED if failed else _LINES))
            self._room -= 0 if failed else len(text)
            if text:
                found["log"] = self._texts(text)
        return found

    def _of_files(self, row: RunRow) -> dict[str, Any]:
        """Inputs as role, file, and for those that count for identity how they came and their digest; outputs."""
        links = self._links.get(row.key, Links([], []))
        counted = {link.artifact for link in row.inputs}
        inputs: list[list[int | None]] = [
            [self._texts(link.role), self._files(link.artifact), self._texts(link.via), self._digests(link.digest)]
            for link in row.inputs
        ]
        inputs += [
            [self._texts(link.name), self._files(link.artifact)]
            for link in links.inputs
            if link.artifact not in counted
        ]
        outputs = [[self._texts(link.name), self._files(link.artifact)] for link in links.outputs]
        return {"in": inputs or None, "out": outputs or None}

    # ---------------------------------------------------------------- why

    def _of_lookup(self, row: RunRow) -> dict[str, Any]:
        source = self._run(row.cache_source_key)
        found: dict[str, Any] = {"src": self._place(source), "srx": self._outside(source)}
        if row.cache == "hit":
            if source is not None and source.seconds is not None:
                found["sv"] = max(0.0, source.seconds - (row.seconds or 0.0))
            found["no"] = [self._texts(text) for text in self._notes(row)] or None
        elif where := imported_from(row):
            found["re"] = self._texts(f"imported {'; '.join(where)}")
        elif row.cache in _MISSES:
            found["re"] = self._texts(in_words(row.cache_reason or "not_recorded"))
            found["df"] = [self._difference(item) for item in telling(differences(self._conn, row))] or None
            found["rc"] = [self._cause(cause) for cause in self._causes.of(row)] or None
            found["sb"] = 1 if self._same_bytes(row) else None
        return found

    def _difference(self, item: Difference) -> list[int | None]:
        """Words, and for an input the file that it is now."""
        words = self._texts(in_short(item))
        is_file = item.kind == "input" and isinstance(item.after, str)
        return [words, self._files(item.after)] if is_file else [words]

    def _cause(self, cause: Cause) -> list[int | None]:
        """Words, how many runs had it, the first of them, and its id if it is not in the report."""
        rows = [row for key in cause.runs if (row := self._run(key)) is not None]
        first = min(rows, key=lambda row: row.started_seq, default=None)
        found = [self._texts(cause.what), len(rows), self._place(first)]
        return found if found[-1] is not None else [*found, self._outside(first)]

    def _notes(self, row: RunRow) -> list[str]:
        details = row.cache_details
        accepted = [f"accepted: {text}" for text in details.get("accepted", ())]
        return [*accepted, *(f"other version of {text}" for text in details.get("packages", ()))]

    def _run(self, key: str | None) -> RunRow | None:
        if key is None:
            return None
        if key not in self._known:
            self._known[key] = run_table.by_key(self._conn, key)
        return self._known[key]

    def _place(self, row: RunRow | None) -> int | None:
        return None if row is None else self._places.get(row.key)

    def _outside(self, row: RunRow | None) -> int | None:
        return None if row is None or row.key in self._places else self._texts(row.id)

    # ---------------------------------------------------------------- end

    def _of_end(self, row: RunRow) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if row.error_message is not None or row.error_type is not None:
            found["et"] = self._texts(row.error_type)
            found["em"] = self._texts(self._masker.error(row.error_message or ""))
        if row.error_traceback and self._sharing.tracebacks:
            found["tb"] = self._texts(self._masker.error(row.error_traceback))
        if not row.reusable and row.not_reusable_reason and row.cache != "hit":
            found["nr"] = self._texts(row.not_reusable_reason)
        return found
