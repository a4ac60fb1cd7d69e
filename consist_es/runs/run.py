"""A run's record and a step's result, as model code sees them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, TypeVar, runtime_checkable

from consist_es.artifacts.artifact import Artifact
from consist_es.errors import MissingKeyError, StateError, UsageError, UsageTypeError
from consist_es.events import LABELS, FingerprintInfo, Resources
from consist_es.identity.differences import components
from consist_es.values.plain import from_plain

if TYPE_CHECKING:
    from consist_es.projections.run_rows import RunRow, StepSummary
    from consist_es.runs.step_logs import StepLog
    from consist_es.runs.why import Why

T = TypeVar("T", bound="Run | RunResult")


class Account:
    """Answers `Run.why` from the views of a project. Once unpickled it has no views, and only tells how to ask."""

    def __init__(self, ask: Callable[[], Why] | None, key: str) -> None:
        self._ask, self._key = ask, key

    def __call__(self) -> Why:
        """Give the answer.

        Raises:
            StateError: it was unpickled.
        """
        if self._ask is None:
            raise StateError(
                f"Run {self._key!r} was unpickled, which cuts it off from its project, so it cannot answer why(): "
                f"use a tracker of that project, tracker.get_run({self._key!r}).why()."
            )
        return self._ask()

    def __reduce__(self) -> tuple[type[Account], tuple[None, str]]:
        return Account, (None, self._key)

    def __deepcopy__(self, memo: object) -> Account:
        return self


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What the views have of a run besides its fields; empty for one that did not come from there."""

    scenario: str | None = None
    """Id of its scenario's header."""
    cache: str | None = None
    """``hit``, ``missed`` or ``demoted``."""
    reason: str | None = None
    source: str | None = None
    """Id of the run that a hit came from, or of the nearest run of a miss."""
    differs: tuple[str, ...] = ()
    log: StepLog | None = None


@dataclass(slots=True, kw_only=True)
class Run:
    """One execution of a step, one cache hit, or one scenario header, as recorded in the log.

    `id` is the readable id, with ``#n`` from the second attempt on; look-ups by an id without a number give
    the latest attempt. `key` is globally unique. A run made by hand needs `id` and `model_name`.
    """

    id: str
    model_name: str
    key: str = ""
    run_id: str = ""
    """The id without an attempt number."""
    attempt: int = 1
    kind: str = "run"
    """``run``, ``trace`` or ``scenario``."""
    name: str = ""
    status: str = "running"
    """``running``, ``completed``, ``failed``, ``interrupted`` or ``abandoned``."""
    parent_run_id: str | None = None
    description: str | None = None
    year: int | None = None
    iteration: int | None = None
    phase: str | None = None
    stage: str | None = None
    tags: list[str] = field(default_factory=list)
    config: Any = None
    """As it was given: objects as dicts, enums as names, arrays and frames by their digests, secrets masked."""
    facet: Any = None
    meta: dict[str, Any] = field(default_factory=dict)
    """Logged metadata, and the library's own: cache_hit, cache_source, cache_miss_explanation, error.

    For a scenario also steps (one summary each, in order), failed_step and missing_outputs.
    """
    signature: str | None = None
    """The fingerprint."""
    config_hash: str | None = None
    git_hash: str | None = None
    """Digest of the code identity, whatever its mode."""
    input_hash: str | None = None
    run_dir: str = ""
    artifact_dir: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_seconds: float | None = None
    """By the monotonic clock; None while running."""
    created_at: datetime | None = None
    """By default the same as `started_at`."""
    updated_at: datetime | None = None
    """By default the time of its end, else of its start."""
    resources: Resources | None = None
    """What the step took, with the programs it waited for; None for a hit, a scenario, and while running."""
    _account: Account | None = field(default=None, repr=False, compare=False)
    _record: RunRecord = field(default=RunRecord(), repr=False, compare=False)

    def __post_init__(self) -> None:
        self.key = self.key or self.id
        self.run_id = self.run_id or self.id.partition("#")[0]
        self.name = self.name or self.model_name
        self.created_at = self.created_at or self.started_at
        self.updated_at = self.updated_at or self.ended_at or self.started_at

    def __repr__(self) -> str:
        from consist_es.runs.looks import run_text  # no step shows anything

        return run_text(self)

    def _repr_html_(self) -> str:
        from consist_es.runs.looks import run_html

        return run_html(self)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Run:
        """A copy, with other values for the fields in `update`; `deep` copies what the fields hold, too.

        Raises:
            UsageTypeError: `update` names no field.
        """
        return copied(self, update, deep)

    @property
    def scenario(self) -> str | None:
        """Id of the scenario that it belongs to; None for a scenario itself and outside any."""
        return self._record.scenario

    @property
    def outcome(self) -> str:
        """``hit``, ``computed``, ``demoted`` (a trace that had hit, and then made an output of its own), or its status
        if it did not complete."""
        from consist_es.runs.labels import outcome_of

        return outcome_of(self.status, self._record.cache)

    @property
    def log(self) -> StepLog | None:
        """The file with what the step printed; None if nothing, if that was not kept, and for a hit."""
        return self._record.log

    def why(self) -> Why:
        """Why it was a hit or a miss: the nearest earlier run, the differences, and the time taken or saved; printable.

        Raises:
            UsageError: a scenario. StateError: a run that is not recorded yet, or was unpickled.
        """
        if self._account is None:
            raise StateError(f"Run {self.id!r} is not recorded yet: call why() once it has started.")
        return self._account()

    @property
    def identity_summary(self) -> dict[str, Any]:
        """The parts of its identity, for debugging."""
        return {
            "signature": self.signature,
            "code": self.git_hash,
            "code_hash": self.git_hash,
            "code_version": self.git_hash,
            "code_identity": {"mode": self.meta.get("code_identity"), "digest": self.git_hash},
            "config": self.config_hash,
            "config_hash": self.config_hash,
            "inputs": self.input_hash,
            "input_hash": self.input_hash,
            "model": self.model_name,
            **{label: getattr(self, label) for label in LABELS},
            "cache_hit": self.meta.get("cache_hit", False),
            "cache_source": self.meta.get("cache_source"),
        }


def metadata(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata as it was given; the recorded form if that does not decode to a mapping."""
    given = from_plain(plain)
    return given if isinstance(given, dict) else dict(plain)


def _metadata_of(row: RunRow, source_id: str | None) -> dict[str, Any]:
    """Logged metadata, with facts from the lookup and the run's end."""
    meta = metadata(row.meta)
    if row.cache == "hit":
        meta |= {"cache_hit": True, "cache_source": source_id}
        if accepted := row.cache_details.get("accepted"):
            meta["cache_accepted"] = accepted
        if packages := row.cache_details.get("packages"):
            meta["cache_packages"] = packages
        if left_out := row.cache_details.get("left_out"):
            meta["cache_left_out"] = left_out
    elif row.cache_reason:
        meta["cache_miss_explanation"] = _explained(row, row.cache_reason, source_id)
    info = row.fingerprint_info
    if info is not None:
        meta = {**_said_of(info), **meta}
    if row.error_message is not None:
        meta["error"] = row.error_message
    if row.failed_step is not None:
        meta["failed_step"] = row.failed_step
    if row.missing_outputs:
        meta["missing_outputs"] = row.missing_outputs
    return meta


def _explained(row: RunRow, reason: str, source_id: str | None) -> dict[str, Any]:
    """Why a run was a miss: as recorded, and by the names that users of LBNL's consist know."""
    told = {"status": "miss", "reason": reason, "candidate_run_id": source_id, "differs": row.cache_differs}
    if source_id is None:
        parts: dict[str, Any] = {"matched_components": [], "mismatched_components": [], "fallbacks_used": []}
        return {**told, **parts, "confidence": "low", "details": row.cache_details}
    found = zip(row.cache_differences, row.cache_differs, strict=False)  # each has its text in the other list
    more = components(reason, list(found), {link.role: link.digest for link in row.inputs})
    invalid = {"candidate_output_validation_failure": True} if reason == "candidate_outputs_invalid" else {}
    return {**told, **more, "details": {**row.cache_details, **invalid, **more["details"]}}


def _said_of(info: FingerprintInfo) -> dict[str, Any]:
    """The mode of the code identity, and the cache epoch and version, as far as they were given."""
    labels = {name: info.label_values.get(name) for name in ("cache_epoch", "cache_version")}
    return {"code_identity": info.code_mode, **{name: value for name, value in labels.items() if value is not None}}


def run_of_row(
    row: RunRow,
    *,
    parent_id: str | None = None,
    source_id: str | None = None,
    scenario_id: str | None = None,
    account: Callable[[], Why] | None = None,
    log: StepLog | None = None,
) -> Run:
    """The public form of a row of the run table.

    `source_id` is the id of the run that a hit came from; `account` answers `Run.why`.
    """
    record = RunRecord(scenario_id, row.cache, row.cache_reason, source_id, tuple(row.cache_differs), log)
    return Run(
        id=row.id,
        key=row.key,
        run_id=row.run_id,
        attempt=row.attempt,
        kind=row.kind,
        name=row.name,
        model_name=row.model,
        status=row.status,
        parent_run_id=parent_id,
        description=row.description,
        year=row.year,
        iteration=row.iteration,
        phase=row.phase,
        stage=row.stage,
        tags=list(row.tags),
        config=from_plain(row.config),
        facet=row.facet,
        meta=_metadata_of(row, source_id),
        signature=row.fingerprint,
        config_hash=row.config_digest,
        git_hash=row.code_digest,
        input_hash=row.inputs_digest,
        run_dir=row.run_dir,
        artifact_dir=row.artifact_dir,
        started_at=moment_of(row.started_at),
        ended_at=moment_of(row.ended_at),
        duration_seconds=row.seconds,
        resources=None if row.wall_s is None else row.resources,
        _account=None if account is None else Account(account, row.key),
        _record=record,
    )


def step_summary(row: StepSummary) -> dict[str, Any]:
    """A step's entry in its scenario's ``meta["steps"]``."""
    return {
        "id": row.id,
        "name": row.name,
        "model": row.model,
        "status": row.status,
        "cache_hit": row.cache == "hit",
        "description": row.description,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "duration_seconds": row.seconds,
    }


@runtime_checkable
class RunResultLike(Protocol):
    """Anything with outputs, so that code works with results from other places."""

    @property
    def outputs(self) -> Mapping[str, Any]: ...

    @property
    def cache_hit(self) -> bool: ...


def is_like_result(value: object) -> TypeGuard[RunResultLike]:
    """True for anything with outputs. What `isinstance` says of the protocol, in a fraction of the time."""
    return hasattr(value, "outputs") and hasattr(value, "cache_hit")


@dataclass(slots=True)
class RunResult:
    """Result of a step: its run, its outputs by key in declared order, and `cache_hit`."""

    run: Run
    outputs: dict[str, Artifact] = field(default_factory=dict)
    cache_hit: bool = False

    def __repr__(self) -> str:
        from consist_es.runs.looks import result_text

        return result_text(self)

    def _repr_html_(self) -> str:
        from consist_es.runs.looks import result_html

        return result_html(self)

    @property
    def output(self) -> Artifact | None:
        """The first output, or None."""
        return next(iter(self.outputs.values()), None)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> RunResult:
        """As `Run.model_copy`."""
        return copied(self, update, deep)

    def as_dict(self) -> dict[str, Artifact]:
        """A copy of `outputs`."""
        return dict(self.outputs)

    def output_path(self, key: str, tracker: object = None) -> Path:
        """The path of one output.

        Raises:
            MissingKeyError: no output of that key; lists the outputs.
        """
        if key not in self.outputs:
            raise MissingKeyError("output", key, self.outputs)
        return self.outputs[key].path


def copied(record: T, update: Mapping[str, Any] | None, deep: bool) -> T:
    """A copy of a record, with other values for some of its fields.

    Raises:
        UsageTypeError: no such field.
    """
    fields = [each.name for each in dataclasses.fields(record) if not each.name.startswith("_")]
    if unknown := sorted(set(update or {}) - set(fields)):
        raise UsageTypeError(f"{type(record).__name__} has no field {unknown[0]!r}. Fields: {', '.join(fields)}.")
    return dataclasses.replace(copy.deepcopy(record) if deep else record, **(update or {}))


def select_output(result: RunResultLike, key: str | None = None) -> Any:
    """One output of a result: that of `key`, or the only one.

    Raises:
        MissingKeyError: no output of that key.
        UsageError: no key was given and there is not exactly one output.
    """
    if key is not None:
        if key not in result.outputs:
            raise MissingKeyError("output", key, result.outputs)
        return result.outputs[key]
    if len(result.outputs) == 1:
        return next(iter(result.outputs.values()))
    if not result.outputs:
        raise UsageError("This result has no outputs: there is nothing to refer to. Choose a step that has some.")
    listed = ", ".join(map(repr, result.outputs))
    raise UsageError(f"This result has several outputs ({listed}): choose one with ref(result, key=...).")


def moment_of(text: str | None) -> datetime | None:
    """A recorded time; None if there is none, or the text is not a time."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
