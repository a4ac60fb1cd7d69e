"""Differences of a step from an earlier run."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from consist_es.events import Difference, FingerprintInfo, InputLink
from consist_es.identity.adapters import counted
from consist_es.identity.differences import InputFile, explain
from consist_es.projections import lineage
from consist_es.projections.run_rows import RunRow
from consist_es.runs.artifacts import artifact_of_row
from consist_es.values.masking import Masker


def described(conn: sqlite3.Connection, links: Iterable[InputLink]) -> dict[str, InputFile]:
    """Artifact id of an input -> its record."""
    rows = lineage.by_ids(conn, sorted({link.artifact for link in links}))
    return {artifact_id: artifact_of_row(row, None, run_id=None) for artifact_id, row in rows.items()}


def differences(
    conn: sqlite3.Connection,
    run: RunRow,
    *,
    fingerprint: FingerprintInfo,
    config: Any,
    inputs: Sequence[InputLink],
    files: Mapping[str, InputFile],
    masker: Masker | None,
) -> tuple[str, list[Difference]]:
    """A reason in one word, and the differences from an earlier run. `config` is masked; `files` are known inputs."""
    if run.fingerprint_info is None:
        return "no_similar_prior_run", []
    known = {**described(conn, run.inputs), **files}
    links = (inputs, run.inputs)
    if masker is None:
        return explain(fingerprint, run.fingerprint_info, config, run.config, *links, files=known)
    then, before = run.fingerprint_info, masker.plain(run.config)
    if counted(fingerprint.adapter) != counted(then.adapter):  # else nothing of it is shown, and masking is slow
        then = masker.fingerprint(then)
    return explain(fingerprint, then, config, before, *links, files=known, mask=masker.plain)
