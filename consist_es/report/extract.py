"""The data of a report, from the reading room and the views: plain JSON, in tables that repeat nothing.

The page reads these columns by their short names; `web/src/model.js` says what each of them means.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from consist_es.identity.config import digest_of_plain
from consist_es.projections import origins, run_table
from consist_es.projections.run_rows import RunRow
from consist_es.reading.compare import leaves
from consist_es.reading.found import find_steps
from consist_es.reading.labels import OUTCOMES
from consist_es.reading.links import links_of
from consist_es.reading.sums import Sum, sums
from consist_es.report.files import Files
from consist_es.report.makings import Makings
from consist_es.report.sharing import Sharing
from consist_es.report.steps import Configs, Steps, Tables
from consist_es.report.tables import Keys, Texts, Values, columns, moment_of
from consist_es.values.masking import Masker
from consist_es.values.written import written

Progress = Callable[[int, int], object]


def extract(
    conn: sqlite3.Connection,
    headers: Sequence[RunRow] | None,
    *,
    masker: Masker,
    sharing: Sharing,
    folder: Path,
    progress: Progress = lambda _done, _total: None,
) -> dict[str, Any]:
    """All that the page shows but the state of the log.

    `headers` are the scenarios to show; None for all of them and for steps outside any. `folder` is that of the log.
    The caller holds a transaction, so that all of it is of one state.
    """
    chosen = run_table.find(conn, kind="scenario", limit=None)[::-1] if headers is None else list(headers)
    return _Extract(conn, chosen, headers is None, masker, sharing, folder).payload(progress)


class _Extract:
    def __init__(
        self,
        conn: sqlite3.Connection,
        headers: list[RunRow],
        whole: bool,
        masker: Masker,
        sharing: Sharing,
        folder: Path,
    ) -> None:
        self._conn = conn
        self._headers = headers
        self._whole = whole
        self._masker = masker
        self._sharing = sharing
        self._rows = find_steps(conn, newest_first=False) if whole else _steps_of(conn, headers)
        self._texts = texts = Texts(sharing.altered(() if sharing.paths else self._private()))
        self._values = Values(texts)
        self._environments = Keys()
        self._leaves = Keys()
        digests, places = Keys(), {row.key: number for number, row in enumerate(self._rows)}
        links = links_of(conn, places)
        self._files = files = Files(conn, texts, digests, sharing, places)
        files.know(link.artifact for found in links.values() for link in (*found.inputs, *found.outputs))
        self._configs = Configs(self._values, texts, digests, masker, digest_of_plain(None))
        self._makings = Makings(texts)
        tables = Tables(texts, files, digests, self._configs, self._makings)
        self._steps = Steps(conn, self._rows, links, tables, masker, sharing, folder)

    def payload(self, progress: Progress) -> dict[str, Any]:
        """The data, as columns."""
        scenarios = [self._scenario(row) for row in self._headers]
        places: Mapping[str | None, int] = {row.key: number for number, row in enumerate(self._headers)}
        if any(row.scenario_key is None for row in self._rows):
            places = {**places, None: len(scenarios)}
            scenarios.append({"id": self._texts("(outside any scenario)"), "x": 1})
        steps = []
        for number, row in enumerate(self._rows):
            steps.append({"s": places[row.scenario_key], **self._steps.row(row)})
            progress(number + 1, len(self._rows))
        found = {
            "outcomes": OUTCOMES,
            "scenarios": columns(scenarios),
            "steps": columns(steps),
            "files": columns(self._files.rows),
            "configs": self._configs.all,
            "makings": self._makings.differences(),
            "sums": [msgspec.structs.asdict(item) | {"step": self._texts(item.step)} for item in self._sums()],
            "environments": [self._environment(digest) for digest in self._environments],
            "writers": self._writers(),
            "none": self._texts(written(None)),
            "values": self._values.all,
        }
        return found | {"texts": self._texts.all}

    def _private(self) -> set[str]:
        """Folders and names that a report without paths has nowhere."""
        rows = [*self._headers, *self._rows]
        folders = {Path(text) for row in rows for text in (row.run_dir, row.artifact_dir, *row.mounts.values())}
        folders |= {above for folder in folders for above in folder.parents}
        writers = (origins.writer_details(self._conn, name) for name in {row.writer for row in rows})
        names = {text for found in writers if found for text in (found.writer, found.host, found.user)}
        return {str(folder) for folder in folders if len(folder.parts) > 1} | names

    def _sums(self) -> list[Sum]:
        if self._whole:
            return sums(self._conn)
        merged: dict[str, Sum] = {}
        for item in [item for header in self._headers for item in sums(self._conn, header.key)]:
            there = merged.get(item.step)
            merged[item.step] = item if there is None else _added(there, item)
        return sorted(merged.values(), key=lambda item: (-item.seconds, item.step))

    def _scenario(self, row: RunRow) -> dict[str, Any]:
        facet = None if row.facet is None else self._masker.plain(row.facet)
        return {
            "id": self._texts(row.id),
            "name": self._texts(row.name),
            "at": row.attempt,
            "st": self._texts(row.status),
            "t": moment_of(row.started_at),
            "d": row.seconds,
            "ds": self._texts(row.description or None),
            "tg": [self._texts(tag) for tag in row.tags if tag != "scenario_header"] or None,
            "cf": self._flat(row.config),
            "fa": self._flat(facet),
            "env": self._environments(row.environment),
            "er": None if row.error_message is None else self._texts(self._masker.error(row.error_message)),
            "fs": self._texts(row.failed_step),
        }

    def _flat(self, plain: Any) -> list[int | None] | None:
        """Leaves of a scenario's config: name, what it is compared by, and how it is written."""
        found = leaves(self._masker.plain(plain))
        rows = [(self._texts(name), self._leaf(value), self._texts(written(value))) for name, value in found.items()]
        return [number for row in rows for number in row] or None

    def _leaf(self, value: Any) -> int | None:
        """What equal leaves have in common, 1 and 1.0 too; None for None."""
        try:
            return None if value is None else self._leaves((isinstance(value, str), value))
        except TypeError:  # a list
            return self._leaves(repr(value))

    def _environment(self, digest: str) -> dict[str, Any]:
        row = origins.environment(self._conn, digest)
        if row is None:
            return {"digest": self._texts(digest[:15])}
        return {
            "digest": self._texts(digest[:15]),
            "python": self._texts(row.python),
            "platform": self._texts(row.platform),
            "packages": [self._texts(f"{name} {version}") for name, version in row.packages.items()],
            "commit": self._texts(row.git_commit and row.git_commit[:12]),
            "dirty": row.git_dirty,
        }

    def _writers(self) -> list[int | None]:
        if not self._sharing.paths:
            return []
        found = (origins.writer_details(self._conn, name) for name in {row.writer for row in self._headers})
        return [
            self._texts(text) for text in sorted({f"{row.user or 'somebody'} on {row.host}" for row in found if row})
        ]


def _steps_of(conn: sqlite3.Connection, headers: Sequence[RunRow]) -> list[RunRow]:
    rows = [row for header in headers for row in run_table.steps(conn, header.key)]
    return sorted(rows, key=lambda row: row.started_seq)


def _added(one: Sum, other: Sum) -> Sum:
    return Sum(
        step=one.step,
        computed=one.computed + other.computed,
        hits=one.hits + other.hits,
        failed=one.failed + other.failed,
        running=one.running + other.running,
        seconds=one.seconds + other.seconds,
        saved_seconds=one.saved_seconds + other.saved_seconds,
    )
