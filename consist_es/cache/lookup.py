"""Looks up an earlier run. A candidate is a hit only if every output is there, byte for byte, or a copy of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import SET_DRIVER, Digester
from consist_es.artifacts.digest import Digest
from consist_es.artifacts.uris import UriMap
from consist_es.cache.packages import Changes, add_started, changes_since
from consist_es.cache.reads import ReadsNow
from consist_es.cache.trust import Trust, foreign_files
from consist_es.cache.verdict import INVALID as INVALID
from consist_es.cache.verdict import NOT_PUT_BACK as NOT_PUT_BACK
from consist_es.cache.verdict import NOT_TRUSTED as NOT_TRUSTED
from consist_es.cache.verdict import Hit as Hit
from consist_es.cache.verdict import Miss as Miss
from consist_es.cache.verdict import invalid
from consist_es.cache.vouch import NOT_VOUCHED, Silence, Voucher
from consist_es.errors import InputError, PathError
from consist_es.events import Effect, FingerprintInfo, InputLink
from consist_es.identity.adapters import drift
from consist_es.identity.installed.package_options import PackageOptions
from consist_es.projections import cache_index, lineage, near, run_table
from consist_es.projections.cache_index import Acceptance, CacheCandidate
from consist_es.projections.lineage import ArtifactRow
from consist_es.projections.run_rows import RunRow
from consist_es.runs.artifacts import artifact_of_row
from consist_es.runs.differences import differences
from consist_es.text import first_line, readable
from consist_es.values.masking import Masker


class Question(msgspec.Struct, frozen=True):
    """A lookup in the cache."""

    fingerprint: FingerprintInfo
    model: str
    name: str
    declared: Sequence[str]
    strict: bool
    config: Any
    inputs: Sequence[InputLink]
    files: Mapping[str, Artifact] = {}
    """Artifact id -> the input."""
    scenario: str | None = None
    """Key of the step's scenario."""
    around: Callable[[str], str] | None = None
    """Name of a scenario item that the step can read by itself -> its digest now."""
    obstacles: Callable[[list[Effect]], list[str]] | None = None
    """Descriptions of the obstacles to making an earlier run's changes again; None: they need not be made."""
    masker: Masker | None = None
    """Masks values that an earlier run recorded before they were secret."""
    trust: Trust | None = None
    """Trusted writers; None: all are."""
    reads: ReadsNow | None = None
    """Compares observed reads with the present; None: reads are not compared."""
    carry_over: bool = True
    """True if a run recorded under version 1 of the fingerprint can be a hit."""
    packages: PackageOptions = PackageOptions()
    """Selects the packages that count by version."""
    voucher: Voucher | None = None
    """Checks the views' facts against the log; None: they are trusted."""


def look_up(conn: sqlite3.Connection, question: Question, uris: UriMap, digester: Digester) -> Hit | Miss:
    """The newest earlier run with this fingerprint and intact outputs, or the reason for a miss.

    Raises:
        Disagreement: the views contradict the log about such a run.
    """
    if question.fingerprint.digest is None:
        return Miss("not_identifiable", differs=list(question.fingerprint.unstable))
    refused: Miss | None = None
    strangers: list[Acceptance] = []
    for fingerprint, path in cache_index.reached(
        conn, question.fingerprint.digest, _counting(conn, question, strangers)
    ):
        found: Hit | None = None
        for candidate in cache_index.candidates(conn, fingerprint):
            verdict = _tried(conn, candidate, fingerprint, question, uris, digester, exact=found is not None)
            if isinstance(verdict, Hit):
                found = verdict
                if not found.packages:  # else an older run may have seen today's packages
                    break
            else:
                refused = refused or verdict
        if found is not None and (silent := _unvouched(conn, question, found, path)):
            refused = refused or silent
        elif found is not None:
            accepted = [*(accepted_as(conn, item) for item in path), *found.accepted]
            return msgspec.structs.replace(found, accepted=accepted)
    if question.carry_over and isinstance(carried := _carried_over(conn, question, uris, digester), Hit):
        return carried
    if refused is None and question.trust is not None and strangers:
        refused = _vouched_by_stranger(conn, strangers[0], question.trust)
    return refused or _explained(conn, question)


def _carried_over(conn: sqlite3.Connection, question: Question, uris: UriMap, digester: Digester) -> Hit | Miss | None:
    """Let a run of version 1 of the fingerprint be a hit, unless such runs are carried over to another fingerprint:
    then version 1 could not tell the two apart, and this one is new work."""
    info = question.fingerprint
    chosen = None if info.before is None else cache_index.carried_to(conn, info.before)
    if info.before is None or chosen not in (None, info.digest):
        return None
    verdict: Hit | Miss | None = None
    for candidate in cache_index.candidates(conn, info.before):
        verdict = _tried(conn, candidate, info.before, question, uris, digester, exact=False)
        if isinstance(verdict, Hit):
            return msgspec.structs.replace(verdict, carried_over=True, claims=chosen is None)
    return verdict


def _counting(
    conn: sqlite3.Connection, question: Question, strangers: list[Acceptance]
) -> Callable[[Acceptance], bool]:
    """Predicate for the accepted changes to follow; adds the others to `strangers`."""

    def counts(item: Acceptance) -> bool:
        if question.trust is None or question.trust.admits(conn, item.writer):
            return True
        strangers.append(item)
        return False

    return counts


def _vouched_by_stranger(conn: sqlite3.Connection, item: Acceptance, trust: Trust) -> Miss:
    who = trust.stranger(conn, (item.writer,))
    said = f"{accepted_as(conn, item)}; that was recorded by {who}, who is not a trusted writer"
    return Miss(NOT_TRUSTED, item.as_run_key, [said], {"writer": item.writer})


def _tried(
    conn: sqlite3.Connection,
    candidate: CacheCandidate,
    fingerprint: str,
    question: Question,
    uris: UriMap,
    digester: Digester,
    *,
    exact: bool,
) -> Hit | Miss:
    """The verdict on one candidate. `exact` refuses one with any package in another version."""
    source = run_table.by_key(conn, candidate.run_key)
    late = lineage.logged_inputs(conn, candidate.run_key)
    # The log's confirmation comes first: unconfirmed facts are not used.
    if problem := (
        _unsaid(conn, candidate, fingerprint, source, late, question)
        or _of_a_stranger(conn, candidate, source, question)
    ):
        return problem
    changes = _package_changes(conn, candidate, source, question)
    if counted := changes.counted or (changes.noted if exact else ()):
        return Miss("packages_changed", candidate.run_key, [f"packages: {change}" for change in counted])
    ids = {candidate.run_key: source.id if source else candidate.run_key}
    outputs = artifacts_of(conn, candidate.outputs, uris, ids)
    all_outputs = artifacts_of(conn, candidate.all_outputs, uris, ids)
    logged = [(role, artifacts_of(conn, {role: row}, uris, ids)[role]) for role, row in late]
    refused = partial(refusal, candidate.run_key, logged=logged, digester=digester, strict=question.strict)
    problem = refused(question.declared, all_outputs)
    recovered: dict[str, Any] = {}
    if problem is not None and problem.reason == INVALID:
        from consist_es.cache.recovered import at_copies, from_copies  # few hits need copies

        problem, recovered = from_copies(problem, all_outputs, refused, uris, fresh=question.strict)
        outputs, all_outputs = at_copies(recovered, outputs), at_copies(recovered, all_outputs)
    if problem := problem or (
        _renamed(source, question)
        or _surroundings_changed(candidate, question)
        or _not_put_back(candidate, question)
        or _reads_changed(candidate, question)
    ):
        return problem
    validation = "digest" if question.strict else "stat+digest"
    if question.trust is not None:
        foreign, owner = _foreign(conn, candidate, all_outputs)
        if foreign is not None:
            return foreign
        validation += owner
    outputs |= {key: all_outputs[key] for key in question.declared if key not in outputs}
    return Hit(
        candidate.run_key,
        ids[candidate.run_key],
        outputs,
        all_outputs,
        validation,
        accepted=changes.accepted,
        packages=changes.noted,
        drift=[*_drift(source, question), *_other_bytes(source, question)],
        reads=candidate.reads,
        effects=candidate.effects,
        recovered=recovered,
    )


def _foreign(
    conn: sqlite3.Connection, candidate: CacheCandidate, outputs: Mapping[str, Artifact]
) -> tuple[Miss | None, str]:
    """Miss if an output's file is not its writer's; and what that adds to the validation."""
    foreign, asked = foreign_files(conn, candidate.writer, outputs)
    if foreign:
        said = [f"output {key!r} {whose}" for key, whose in foreign.items()]
        return Miss(NOT_TRUSTED, candidate.run_key, said, {"outputs": foreign}), ""
    return None, "+owner" if asked else ""


def _package_changes(
    conn: sqlite3.Connection, candidate: CacheCandidate, source: RunRow | None, question: Question
) -> Changes:
    """What differs in the packages that count, and in the programs that the step started."""
    changes = changes_since(conn, question.fingerprint, source, question.packages, question.trust)
    if question.reads is not None:
        add_started(changes, conn, candidate.reads, question.reads.package, question.packages, question.trust)
    return changes


def _drift(source: RunRow | None, question: Question) -> list[str]:
    """What differs in the configuration and does not count, as of an adapter; secrets are masked."""
    info = None if source is None else source.fingerprint_info
    if info is None or info.adapter is None or "tree" not in info.adapter:
        return []
    then = info if question.masker is None else question.masker.fingerprint(info)
    return drift(question.fingerprint.adapter, then.adapter)


def _other_bytes(source: RunRow | None, question: Question) -> list[str]:
    """Inputs that count by what is in them, and have other bytes than the source's."""
    then = {} if source is None else {link.role: link.digest for link in source.inputs}
    by_content = [link for link in question.inputs if link.role in question.fingerprint.contents]
    return [
        f"input {link.role!r}: other bytes, with the same content"
        for link in by_content
        if then.get(link.role) != link.digest
    ]


def _unsaid(
    conn: sqlite3.Connection,
    candidate: CacheCandidate,
    fingerprint: str,
    source: RunRow | None,
    late: list[tuple[str, ArtifactRow]],
    question: Question,
) -> Miss | None:
    """Miss if the log cannot be read where it describes the run."""
    try:
        if question.voucher is not None:
            question.voucher.candidate(conn, candidate, source, late, fingerprint)
    except Silence as silence:
        return _silent(candidate.run_key, silence)
    return None


def _unvouched(conn: sqlite3.Connection, question: Question, found: Hit, path: Sequence[Acceptance]) -> Miss | None:
    """Miss if the log cannot be read where it records the acceptances."""
    if question.voucher is None:
        return None
    try:
        if path:
            question.voucher.accepted(conn, path)
        if found.accepted:
            question.voucher.packages(conn, cache_index.package_acceptances(conn))
    except Silence as silence:
        return _silent(found.source, silence)
    return None


def _silent(run_key: str, silence: Silence) -> Miss:
    said = f"run {run_key!r} is the same work, but the log cannot be read at its records: {silence}"
    return Miss(NOT_VOUCHED, run_key, [said])


def _of_a_stranger(
    conn: sqlite3.Connection, candidate: CacheCandidate, source: RunRow | None, question: Question
) -> Miss | None:
    """Miss if an untrusted writer recorded the run's start or end."""
    if question.trust is None:
        return None
    writers = (candidate.writer, "" if source is None else source.writer)
    if (who := question.trust.stranger(conn, writers)) is None:
        return None
    run = candidate.run_key if source is None else source.id
    said = [f"run {run!r} is the same work, and was recorded by {who}, who is not a trusted writer"]
    return Miss(NOT_TRUSTED, candidate.run_key, said, {"writer": candidate.writer})


def accepted_as(conn: sqlite3.Connection, item: Acceptance) -> str:
    """Description of an accepted change: ``accepted as baseline_assign: only renamed a variable``."""
    run = run_table.by_key(conn, item.as_run_key)
    return f"accepted as {item.as_run_key if run is None else run.id}: {item.reason}"


def artifacts_of(
    conn: sqlite3.Connection, rows: Mapping[str, ArtifactRow], uris: UriMap, ids: dict[str, str] | None = None
) -> dict[str, Artifact]:
    """Artifacts of rows, with the readable ids of their producers. `ids` has those known by key, and is added to."""
    ids = {} if ids is None else ids
    for row in rows.values():
        if row.producer_key and row.producer_key not in ids:
            ids[row.producer_key] = run_table.id_of(conn, row.producer_key)
    return {key: artifact_of_row(row, uris, run_id=ids.get(row.producer_key or "")) for key, row in rows.items()}


def _renamed(source: RunRow | None, question: Question) -> Miss | None:
    """Miss if the outputs would be named differently now (order of declared keys, or the function's name for a single
    value)."""
    then, now = [] if source is None else source.declared, list(question.declared)
    if source is None or then == now or (now and sorted(then) != sorted(now)):
        return None
    said = f"outputs were declared as {', '.join(then)} then and as {', '.join(now) or 'nothing'} now"
    return Miss("outputs_renamed", source.key, [said])


def _surroundings_changed(candidate: CacheCandidate, question: Question) -> Miss | None:
    """Miss if an observed item of the scenario has changed."""
    now = question.around or (lambda _name: "")
    changed = [name for name, then in candidate.observed.items() if now(name) != then]
    said = [f"{name}, which the step read itself, has changed" for name in changed]
    return Miss("scenario_changed", candidate.run_key, said) if changed else None


def _reads_changed(candidate: CacheCandidate, question: Question) -> Miss | None:
    """Miss if an observed read (file, variable, ...) has changed."""
    if question.reads is None:
        return None
    for read in candidate.reads:
        versioned = read.kind == "program" and read.digest is not None  # compared with the packages
        if not versioned and (problem := question.reads.problem(read)) is not None:
            return Miss("reads_changed", candidate.run_key, [problem], {"read": read.name})
    return None


def _not_put_back(candidate: CacheCandidate, question: Question) -> Miss | None:
    """Miss if the earlier run's changes to objects cannot be made now."""
    if not candidate.effects or question.obstacles is None:
        return None
    problems = question.obstacles(candidate.effects)
    return Miss(NOT_PUT_BACK, candidate.run_key, problems) if problems else None


def refusal(
    run_key: str,
    declared: Sequence[str],
    outputs: Mapping[str, Artifact],
    *,
    logged: Sequence[tuple[str, Artifact]],
    digester: Digester,
    strict: bool,
) -> Miss | None:
    """Reason to refuse a candidate with these outputs and these inputs that it logged itself, or None."""
    missing = [key for key in declared if key not in outputs]
    if missing:
        said = [f"output {key!r} is declared now and was not produced then" for key in missing]
        return Miss("outputs_incomplete", run_key, said)
    if bad := _changed(outputs.items(), digester, strict):
        return invalid(run_key, bad)
    if bad := _changed(logged, digester, strict):
        said = [f"input {key!r}, which the step logged itself, {what}" for key, what in bad.items()]
        return Miss("inputs_changed", run_key, said, {"inputs": bad})
    return None


def _changed(artifacts: Iterable[tuple[str, Artifact]], digester: Digester, strict: bool) -> dict[str, str]:
    """Key -> fault, for artifacts with changed or unreadable bytes."""
    bad = {}
    known: dict[tuple[Path, str | None], Digest] = {}  # tables in one file have its digest: it is read once
    for key, artifact in artifacts:
        try:
            path = artifact.own_path
            one = (path, artifact.hash)
            found = known.get(one) or digester.digest_as(artifact, path, fresh=strict)
            if artifact.driver != SET_DRIVER:
                known[one] = found
        except (InputError, PathError) as error:
            bad[key] = f"cannot be read: {error}"
            continue
        if found.value != artifact.hash:
            now, then = found.value[:19], str(artifact.hash)[:19]
            bad[key] = f"changed: {readable(str(path))} has digest {now}…, {then}… was recorded"
    return bad


def _explained(conn: sqlite3.Connection, question: Question) -> Miss:
    """The miss without a candidate: the same work that cannot be used, else the differences from the nearest run."""
    info = question.fingerprint
    same = near.same_work(conn, info.digest or "")
    if same is not None:
        reason = "prior_run_not_reusable" if same.status == "completed" else f"prior_run_{same.status}"
        return Miss(reason, same.key, [f"run {same.id!r} is the same work, but {_unusable(same)}"])
    key = near.quickly(conn, model=question.model, name=question.name, info=info, scenario=question.scenario)
    if key is None or (run := run_table.by_key(conn, key)) is None:
        return Miss("no_similar_prior_run")
    reason, found = differences(
        conn,
        run,
        fingerprint=info,
        config=question.config,
        inputs=question.inputs,
        files=question.files,
        masker=question.masker,
    )
    return Miss(reason, run.key, [item.text for item in found], differences=found)


def _unusable(run: RunRow) -> str:
    """Description of why a run cannot be a hit."""
    said: list[str | None]
    match run.status:
        case "completed":
            return run.not_reusable_reason or "one of its outputs is not recorded"
        case "running":
            return "it has not ended: it still runs, or its process is gone"
        case "abandoned":
            said = ["it was abandoned", run.error_message]
        case "interrupted":
            said = ["it was interrupted", run.error_type, run.error_message]
        case _:
            said = [f"it {run.status}", run.error_type, run.error_message]
    return ": ".join(line for text in said if (line := first_line(text or "")))
